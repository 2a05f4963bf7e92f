"""The example of a data provider of one's own."""

from __future__ import annotations

import importlib.util
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from tests.harness import ROOT
from tests.provider_case import a_user


def example() -> Any:
    """The example's module."""
    spec = importlib.util.spec_from_file_location("users_in_json", ROOT / "docs/examples/users_in_json.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class JSONFile(TestCase):
    """What is kept is there again."""

    def setUp(self) -> Any:
        self.path = self.mktemp()
        self.provider = example().JSONFile(self.path)
        return Deferred.fromCoroutine(self.provider.start())

    async def again(self) -> Any:
        provider = example().JSONFile(self.path)
        await provider.start()
        return provider

    async def test_found_again(self) -> None:
        """By another start, with its permissions and its password."""
        stored = await self.provider.add(a_user("kept", password="$argon2id$x"))
        gone = await self.provider.add(a_user("gone"))
        await self.provider.delete(gone.id)
        await self.provider.update(attrs.evolve(stored, uid=7))
        await self.provider.stop()
        again = await self.again()
        found = await again.user_by_name("kept")
        self.assertEqual((found.password, found.permissions, found.uid), (stored.password, stored.permissions, 7))
        self.assertEqual(len(await again.dump()), 1)

    async def test_stop_waits(self) -> None:
        """Many at once, and a stop: all are in the file."""
        adding = [Deferred.fromCoroutine(self.provider.add(a_user(f"u{number}"))) for number in range(20)]
        await self.provider.stop()
        await gatherResults(adding)
        self.assertEqual(len(await (await self.again()).dump()), 20)
