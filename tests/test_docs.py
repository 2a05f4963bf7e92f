"""The documentation: it builds without a warning, its examples are right, and what it names is there."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from unittest import SkipTest

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config import inline
from sftpgo.config.keys import KeyTable
from sftpgo.config.model import Config
from sftpgo.hooks import model
from sftpgo.reference.commands import Command, program
from tests.harness import PATIENCE, ROOT

DOCS = ROOT / "docs"

_LITERAL = re.compile(r"``([^`]+)``")
_KEY = re.compile(r"\b(?:sftpd|data_provider|httpd)(?:\.[a-z_]+)+\b(?!\()")
_PATH = re.compile(r"^(?:docs|etc|scripts|sftpgo|sql|tests|benchmarks|twisted)/[\w./-]+$")
#: What ``make docs`` makes, and a link's text.
_ELSEWHERE = {"docs/_build", "etc/passwd"}
_CALL = re.compile(r"^(?:\$ )?sftpgo(?: .*)?$")


def pages() -> list[Path]:
    """All that people read."""
    return [ROOT / "README.rst", ROOT / "CONTRIBUTING.rst", *sorted(DOCS.glob("*.rst"))]


def literals(text: str) -> list[str]:
    """What stands between double backquotes, on one line or over two."""
    return [" ".join(found.split()) for found in _LITERAL.findall(text)]


class BuildTests(SynchronousTestCase):
    """Sphinx has nothing to say."""

    def test_html(self) -> None:
        if find_spec("sphinx") is None or find_spec("furo") is None:
            raise SkipTest("not installed: sphinx, furo")
        out = tempfile.mkdtemp(prefix="sftpgo-test-docs-")
        self.addCleanup(shutil.rmtree, out, True)
        done = subprocess.run(
            [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-b", "html", str(DOCS), out],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 5,
            check=False,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertIn("check_login", (Path(out) / "embedding.html").read_text())


class ExampleTests(SynchronousTestCase):
    """What stands behind a prompt is what comes."""

    def examples(self, runner: doctest.DocTestRunner, tests: Iterator[doctest.DocTest]) -> int:
        said: list[str] = []
        for test in tests:
            runner.run(test, out=said.append)
        self.assertEqual(runner.failures, 0, "".join(said))
        return runner.tries

    def test_pages(self) -> None:
        parser = doctest.DocTestParser()
        tests = [parser.get_doctest(path.read_text(), {}, path.name, str(path), 0) for path in pages()]
        ran = self.examples(doctest.DocTestRunner(verbose=False), (test for test in tests if test.examples))
        self.assertGreater(ran, 3)

    def test_docstrings(self) -> None:
        finder = doctest.DocTestFinder(exclude_empty=True)
        for module in (model, inline):
            self.assertGreater(self.examples(doctest.DocTestRunner(verbose=False), iter(finder.find(module))), 0)


class NameTests(SynchronousTestCase):
    """What the pages name is there."""

    def faults(self, found: Iterator[tuple[Path, str]]) -> None:
        lines = [f"{path.name}: {text}" for path, text in found]
        self.assertEqual(lines, [])

    def test_configuration_keys(self) -> None:
        """Each C{section.key} is a key, or a section of keys."""
        keys = set(KeyTable.of(Config).keys)
        known = keys | {key[: match.start()] for key in keys for match in re.finditer(r"\.", key)}
        self.assertIn("sftpd.actions.execute_on", known)

        def unknown() -> Iterator[tuple[Path, str]]:
            for path in pages():
                for line in path.read_text().splitlines():
                    for name in _KEY.findall(line):
                        if name not in known and "did you mean" not in line and ">>>" not in line:
                            yield path, name

        self.faults(unknown())

    def test_commands_and_options(self) -> None:
        """Each call of C{sftpgo} names a command there is, with options it has."""

        def wrong() -> Iterator[tuple[Path, str]]:
            for path in pages():
                text = path.read_text()
                for line in (*literals(text), *(line.strip() for line in text.splitlines())):
                    if _CALL.match(line) and (fault := _fault(line.removeprefix("$ ").split()[1:])):
                        yield path, f"{line}: {fault}"

        self.faults(wrong())

    def test_the_check_itself(self) -> None:
        self.assertEqual(_fault(["serve", "--config-dir", "/etc"]), "")
        self.assertEqual(_fault(["rest", "get-users", "--limit=5"]), "")
        self.assertIn("--nonsense", _fault(["serve", "--nonsense"]))
        self.assertIn("sevre", _fault(["sevre", "--config-dir", "/etc"]))

    def test_tests_and_modules(self) -> None:
        """Each test that shows something is there, and so is each name of the program's own."""

        def missing() -> Iterator[tuple[Path, str]]:
            for path in pages():
                for name in literals(path.read_text()):
                    if re.fullmatch(r"tests\.\w+(?:\.\w+)*|sftpgo\.\w+\.\w+(?:\.\w+)*", name):
                        try:
                            namedAny(name)
                        except (AttributeError, ImportError, ValueError) as error:
                            yield path, f"{name}: {error}"

        self.faults(missing())

    def test_files(self) -> None:
        """Each file of the project that is named is there; what is below a package may be named from there."""

        def missing() -> Iterator[tuple[Path, str]]:
            for path in pages():
                for name in literals(path.read_text()):
                    if _PATH.match(name) and name not in _ELSEWHERE and not (ROOT / name).exists():
                        yield path, name

        self.faults(missing())

    def test_links_of_the_readme(self) -> None:
        text = (ROOT / "README.rst").read_text()
        targets = re.findall(r"<([\w./-]+)>`_|^\.\. image:: (\S+)", text, re.MULTILINE)
        self.assertGreater(len(targets), 5)
        for target in ("".join(pair) for pair in targets):
            self.assertTrue((ROOT / target).exists(), target)

    def test_the_readme_opens_with_two_commands(self) -> None:
        calls = re.findall(r"^ +(\S.*)$", (ROOT / "README.rst").read_text(), re.MULTILINE)
        self.assertEqual([call.split("#")[0].strip() for call in calls[:2]], ["make run", "make test"])


def _fault(words: list[str]) -> str:
    """What is wrong with the words after C{sftpgo}; nothing when all of it is there."""
    command = program()
    options = _options(command)
    for word in words:
        if word.startswith("#"):
            break
        if word.startswith("--"):
            if word.partition("=")[0].rstrip(".,;:") not in options:
                return f"no option {word}"
        elif found := next((one for one in command.commands if one.name == word), None):
            command = found
            options |= _options(found)
        elif command.name == "sftpgo" and re.fullmatch(r"[a-z][a-z-]+", word) and word != "help":
            return f"no command {word}"
    return ""


def _options(command: Command) -> set[str]:
    return {name for option in command.options for name in option.names} | {"--help", "--version"}
