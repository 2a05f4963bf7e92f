from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config.formats import parse
from sftpgo.config.formats.content import Tree
from sftpgo.config.keys import KeyTable
from sftpgo.config.load import load
from sftpgo.config.model import Config
from sftpgo.reference.__main__ import stale
from tests.harness import ROOT

SAMPLES = ("json", "yaml", "toml")


class SampleTests(SynchronousTestCase):
    def test_they_mean_the_same(self) -> None:
        trees = [parse(kind, (ROOT / f"etc/sftpgo.{kind}").read_bytes()) for kind in SAMPLES]
        roots = [tree.root for tree in trees if isinstance(tree, Tree)]
        self.assertEqual(len(roots), 3)
        self.assertEqual(roots[1], roots[0])
        self.assertEqual(roots[2], roots[0])

    def test_they_are_the_defaults(self) -> None:
        for kind in SAMPLES:
            loaded = load(".", environ={}, explicit_path=str(ROOT / f"etc/sftpgo.{kind}"))
            self.assertEqual((loaded.config, loaded.warnings), (Config(), ()))
            self.assertEqual(set(loaded.origins), set(KeyTable.of(Config).keys))

    def test_every_key_has_its_meaning_above_it(self) -> None:
        for kind in SAMPLES[1:]:
            lines = (ROOT / f"etc/sftpgo.{kind}").read_text().splitlines()
            for key in KeyTable.of(Config).keys.values():
                places = [number for number, line in enumerate(lines) if re.match(rf" *{key.path[-1]}( =|:)", line)]
                above = " ".join(lines[number - 1].strip("# ") for number in places)
                self.assertIn(key.doc.split()[-1], above, key.name)


class UpToDateTests(SynchronousTestCase):
    def test_all_that_is_made(self) -> None:
        self.assertEqual(stale(ROOT), [])
