"""What a search must find in every data provider; a part of the contract in tests/provider_contract.py."""

from __future__ import annotations

from typing import Any

import attrs

from sftpgo.domain.search import Search, Sort, State
from tests.provider_case import NAMES, ProviderCase, a_user


class SearchContract(ProviderCase):
    """Texts, states, orders and pages."""

    async def found(self, text: str = "", **values: Any) -> tuple[list[str], int]:
        result = await self.provider.search(Search(text, **values))
        return [user.username for user in result.users], result.count

    async def fill_for_searches(self) -> None:
        full = {"status": 1, "quota_files": 2}
        for user in (
            a_user("bob", status=1, expiration_date=50),
            a_user("alice", status=1, quota_size=10, expiration_date=150),
            attrs.evolve(a_user("carol", **full), home_dir="/srv/Special_100%"),
            attrs.evolve(a_user("dave"), permissions={"/": ("*",), "/bob": ("list",)}),
        ):
            await self.provider.add(user)
        await self.provider.update_quota("carol", 2, 30, 1)
        await self.provider.update_quota("alice", 1, 9, 1)
        await self.provider.update_last_login("dave", 5)

    async def test_search_pages(self) -> None:
        self.assertEqual(await self.found(), ([], 0))
        await self.add_all([f"u{number}" for number in range(9)])
        self.assertEqual(await self.found(limit=3), (["u0", "u1", "u2"], 9))
        self.assertEqual(await self.found(limit=3, offset=7), (["u7", "u8"], 9))
        self.assertEqual(await self.found(limit=3, offset=9), ([], 9))
        self.assertEqual(await self.found(limit=2, descending=True), (["u8", "u7"], 9))
        self.assertEqual(await self.found("u", limit=2, offset=1, descending=True), (["u7", "u6"], 9))
        self.assertEqual(await self.found("u", limit=0), ([], 9))
        self.assertEqual(await self.found("u", limit=-1, offset=-1), ([], 9))
        self.assertEqual(await self.found(limit=-1), ([], 9))

    async def test_search_sorts(self) -> None:
        await self.fill_for_searches()
        for sort, ascending, descending in (
            (Sort.USERNAME, "alice bob carol dave", "dave carol bob alice"),
            (Sort.STATUS, "dave alice bob carol", "alice bob carol dave"),
            (Sort.EXPIRATION, "carol dave bob alice", "alice bob carol dave"),
            (Sort.QUOTA, "bob dave alice carol", "carol alice bob dave"),
            (Sort.LAST_LOGIN, "alice bob carol dave", "dave alice bob carol"),
            (Sort.ID, "bob alice carol dave", "dave carol alice bob"),
        ):
            self.assertEqual(await self.found(sort=sort), (ascending.split(), 4))
            self.assertEqual(await self.found(sort=sort, descending=True), (descending.split(), 4))
            self.assertEqual(await self.found("srv", sort=sort, limit=2, offset=1), (ascending.split()[1:3], 4))

    async def test_search_states(self) -> None:
        await self.fill_for_searches()
        for state, names in (
            (State.ANY, ["alice", "bob", "carol", "dave"]),
            (State.ACTIVE, ["alice", "carol"]),
            (State.DISABLED, ["dave"]),
            (State.EXPIRED, ["bob"]),
            (State.FULL, ["carol"]),
        ):
            self.assertEqual(await self.found(state=state, now=100), (names, len(names)))
        self.assertEqual(await self.found(state=State.EXPIRED, now=50), ([], 0))
        self.assertEqual(await self.found("ar", state=State.ACTIVE, now=100), (["carol"], 1))
        self.assertEqual(await self.found("bo", state=State.ACTIVE, now=100), ([], 0))

    async def test_search_texts(self) -> None:
        await self.fill_for_searches()
        for text, names in (
            ("ALI", ["alice"]),
            ("aRo", ["carol"]),
            ("special", ["carol"]),
            ("_1", ["carol"]),
            ("l_0", []),
            ("L_100%", ["carol"]),
            ("_", ["carol"]),
            ("%", ["carol"]),
            ("|", []),
            ("\\", []),
            ("'", []),
            ('"', []),
            ("quota", []),
            ("list", []),
            ("/srv/", ["alice", "bob", "carol", "dave"]),
            ("\ud800", []),
            ("a\0b", []),
            ("\N{PILE OF POO}", []),
            ("x" * 10_000, []),
        ):
            self.assertEqual((text, await self.found(text)), (text, (names, len(names))))

    async def test_search_finds_every_name(self) -> None:
        await self.add_all(NAMES)
        for name in NAMES:
            names, count = await self.found(name)
            self.assertIn(name, names)
            self.assertEqual(len(names), count)
