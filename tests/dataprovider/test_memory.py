from __future__ import annotations

import json
import os
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from sftpgo.config.model import DataProvider
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.errors import StartupError
from sftpgo.jsons import user_to_json
from tests.dataprovider.stores import provider_of
from tests.provider_case import COUNTED, FULL, a_user
from tests.provider_contract import ProviderContract


class Memory(ProviderContract, TestCase):
    no_such_name = "Not found: username NAME does not exist"
    no_such_id = "Not found: user with ID 77 does not exist"
    duplicate = "username NAME already exists"
    negative_limit = "none"

    def make_provider(self) -> MemoryProvider:
        return MemoryProvider()

    async def test_id_is_the_highest_plus_one(self) -> None:
        users = [await self.provider.add(a_user(name)) for name in "abc"]
        await self.provider.delete(users[0].id)
        self.assertEqual((await self.provider.add(a_user("d"))).id, 4)


class FromADump(TestCase):
    """The driver memory with the name of a file."""

    def provider(self, content: str | None) -> Any:
        path = os.path.abspath(self.mktemp())
        self.path = path
        if content is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
        provider = provider_of(DataProvider(driver="memory", name=path), [])
        self.addCleanup(lambda: Deferred.fromCoroutine(provider.stop()))
        return provider

    async def test_users_are_as_they_were(self) -> None:
        full = attrs.evolve(FULL, **COUNTED)
        listed = [user_to_json(user, with_password=True) for user in (full, a_user("b", id=99), a_user("c"))]
        listed.append({"username": "older", "permissions": ["list"], "home_dir": "/x"})
        provider = self.provider(json.dumps({"users": listed}))
        await provider.start()
        self.assertEqual(await provider.user_by_name("full"), full)
        self.assertEqual((await provider.user_by_name("b")).id, 100, "the id was taken")
        self.assertEqual((await provider.user_by_name("older")).permissions, {"/": ("list",)})
        self.assertEqual([user.username for user in await provider.users(9, 0)], ["b", "c", "full", "older"])
        self.assertEqual((await provider.add(a_user("new"))).id, 103)
        await provider.stop()
        await provider.start()
        self.assertEqual(len(await provider.users(9, 0)), 5, "it is read once")

    async def test_empty(self) -> None:
        for content in ("{}", '{"users":null}', '{"users":[]}'):
            provider = self.provider(content)
            await provider.start()
            self.assertEqual(list(await provider.dump()), [])

    async def test_unreadable(self) -> None:
        for content, told in [
            (None, "No such file or directory"),
            ("", ""),
            ("[]", ""),
            (
                '{"users": [{"username": "a"}, {"username": "b", "uid": "hush"}]}',
                'user 1 "b": uid: expected an integer',
            ),
            ('{"users": [{"username": "a"}, {"username": "a"}]}', 'user 1 "a"'),
            ('{"users": [{}]}', 'user 0 ""'),
            ('{"users": [{"username": "a"}', ""),
        ]:
            try:
                await self.provider(content).start()
            except StartupError as error:
                self.assertIn(f'cannot read the dump "{self.path}": ', str(error))
                self.assertIn(told, str(error))
                self.assertNotIn("hush", str(error))
                self.assertNotIn("\n", str(error))
            else:
                self.fail(f"{content!r} was read")

    async def test_the_default_name_is_no_dump(self) -> None:
        provider = provider_of(DataProvider(driver="memory"), [])
        await provider.start()
        self.assertEqual(list(await provider.dump()), [])
