from __future__ import annotations

from twisted.trial.unittest import TestCase

from sftpgo.dataprovider.memory import MemoryProvider
from tests.provider_contract import ProviderContract, a_user


class Memory(ProviderContract, TestCase):
    no_such_name = "Not found: username NAME does not exist"
    no_such_id = "Not found: user with ID 77 does not exist"
    duplicate = "username NAME already exists"
    negative_limit_is_all = False

    def make_provider(self) -> MemoryProvider:
        return MemoryProvider()

    async def test_id_is_the_highest_plus_one(self) -> None:
        users = [await self.provider.add(a_user(name)) for name in "abc"]
        await self.provider.delete(users[0].id)
        self.assertEqual((await self.provider.add(a_user("d"))).id, 4)
