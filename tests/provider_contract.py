"""What every data provider must do: mixed into one trial TestCase for each of them."""

from __future__ import annotations

import attrs
from zope.interface.verify import verifyObject

from sftpgo.domain.search import Search
from sftpgo.domain.user import Filters, User
from sftpgo.errors import NotFound, ProviderError, ValidationError
from sftpgo.interfaces import IDataProvider
from tests.provider_case import COUNTED, FULL, NAMES, a_user, at_once
from tests.provider_searches import SearchContract


class ProviderContract(SearchContract):
    """C{make_provider} gives a new, empty provider that was not started yet."""

    async def test_interface(self) -> None:
        self.assertTrue(verifyObject(IDataProvider, self.provider))

    async def test_empty(self) -> None:
        await self.provider.check()
        self.assertEqual(list(await self.provider.users(100, 0)), [])
        self.assertEqual(list(await self.provider.dump()), [])

    async def test_every_field_is_kept(self) -> None:
        added = await self.provider.add(attrs.evolve(FULL, **COUNTED))
        self.assertEqual(added, attrs.evolve(FULL, id=added.id))
        for stored in (
            await self.provider.user_by_name("full"),
            await self.provider.user_by_id(added.id),
            (await self.provider.users(1, 0))[0],
            (await self.provider.users(1, 0, username="full"))[0],
            (await self.provider.dump())[0],
        ):
            self.assertEqual(stored, added)

    async def test_what_the_caller_holds_is_not_the_store(self) -> None:
        mine: dict[str, tuple[str, ...]] = {"/": ("list",)}
        await self.provider.add(attrs.evolve(a_user("a"), permissions=mine))
        mine["/secret"] = ("*",)
        self.assertEqual((await self.provider.user_by_name("a")).permissions, {"/": ("list",)})

    async def test_empty_fields(self) -> None:
        bare = User(username="bare", home_dir="/b", permissions={"/": ("*",)})
        added = await self.provider.add(bare)
        self.assertEqual(await self.provider.user_by_name("bare"), attrs.evolve(bare, id=added.id))

    async def test_names_as_they_are(self) -> None:
        await self.add_all(NAMES)
        ids = set()
        for name in NAMES:
            user = await self.provider.user_by_name(name)
            self.assertEqual(user.username, name)
            self.assertEqual(await self.names(10, 0, username=name), [name])
            await self.provider.update_quota(name, 1, 1, 1)
            self.assertEqual(await self.provider.used_quota(name), (1, 1))
            ids.add(user.id)
        self.assertEqual(len(ids), len(NAMES))
        self.assertEqual(await self.names(100, 0), sorted(NAMES))

    async def test_names_that_are_not_there(self) -> None:
        await self.add_all(["alice", "bob"])
        for name in ("ALICE", "alice ", "al%", "_ob", "", "ali", "\N{PILE OF POO}", "a\x00lice", "\udcff"):
            text = await self.raises(NotFound, self.provider.user_by_name(name))
            self.assertEqual(text, self.no_such_name.replace("NAME", name))
            if name:
                self.assertEqual(await self.names(10, 0, username=name), [])

    async def test_duplicate(self) -> None:
        first = await self.provider.add(a_user("alice", uid=1))
        text = await self.raises(ProviderError, self.provider.add(a_user("alice", uid=2)))
        self.assertEqual(text, self.duplicate.replace("NAME", "alice"))
        self.assertEqual(await self.provider.user_by_name("alice"), first)
        self.assertEqual(len(await self.provider.users(10, 0)), 1)

    async def test_racing_for_a_name(self) -> None:
        async def attempt(uid: int) -> bool:
            try:
                await self.provider.add(a_user("alice", uid=uid))
            except ProviderError:
                return False
            return True

        self.assertEqual(sum(await at_once([attempt(uid) for uid in range(20)])), 1)

    async def test_no_text(self) -> None:
        """A lone surrogate has no UTF-8 form: no store takes it where a client's name or path goes."""
        stored = await self.provider.add(a_user("alice"))
        for field in ("username", "home_dir", "password"):
            broken = attrs.evolve(a_user("bob"), **{field: "x\udcff"})
            text = await self.raises(ValidationError, self.provider.add(broken))
            self.assertEqual(text, f"Validation error: {field} is not valid Unicode text")
        await self.raises(ValidationError, self.provider.update(attrs.evolve(stored, home_dir="/\ud800")))
        self.assertEqual(list(await self.provider.users(10, 0)), [stored])

    async def test_directories_that_are_no_text(self) -> None:
        added = await self.provider.add(attrs.evolve(a_user("a"), permissions={"/": ("*",), "/\udcff": ("list",)}))
        self.assertEqual((await self.provider.user_by_name("a")).permissions, added.permissions)

    async def test_unknown_id(self) -> None:
        await self.add_all(["alice"])
        ghost = attrs.evolve(a_user("alice"), id=77)
        for call in (
            self.provider.user_by_id(77),
            self.provider.update(ghost),
            self.provider.delete(77),
        ):
            self.assertEqual(await self.raises(NotFound, call), self.no_such_id)
        await self.raises(NotFound, self.provider.user_by_id(0))
        await self.raises(NotFound, self.provider.user_by_id(-1))

    async def test_unknown_name_is_said(self) -> None:
        for name in ("ghost", "\udcff"):
            for call in (
                self.provider.used_quota(name),
                self.provider.update_quota(name, 1, 1, 1),
                self.provider.update_quota(name, 1, 1, 1, reset=True),
                self.provider.update_last_login(name, 1),
            ):
                self.assertEqual(await self.raises(NotFound, call), self.no_such_name.replace("NAME", name))

    async def test_update_replaces_all_but_identity_and_counts(self) -> None:
        await self.provider.add(a_user("full"))
        other = await self.provider.add(a_user("other"))
        await self.provider.update_quota("full", 2, 3, 4)
        await self.provider.update_last_login("full", 5)
        user_id = (await self.provider.user_by_name("full")).id
        await self.provider.update(attrs.evolve(FULL, id=user_id, username="other", **COUNTED))
        want = attrs.evolve(FULL, id=user_id, used_quota_files=2, used_quota_size=3, last_quota_update=4, last_login=5)
        self.assertEqual(await self.provider.user_by_id(user_id), want)
        self.assertEqual(await self.provider.user_by_name("full"), want)
        self.assertEqual(await self.provider.user_by_name("other"), other)
        await self.provider.update(attrs.evolve(a_user("full"), id=user_id))
        self.assertEqual((await self.provider.user_by_name("full")).public_keys, ())
        self.assertEqual((await self.provider.user_by_name("full")).filters, Filters())

    async def test_delete(self) -> None:
        await self.add_all(["a", "b", "c"])
        gone = await self.provider.user_by_name("b")
        await self.provider.delete(gone.id)
        await self.raises(NotFound, self.provider.user_by_name("b"))
        await self.raises(NotFound, self.provider.user_by_id(gone.id))
        self.assertEqual(await self.names(10, 0), ["a", "c"])
        again = await self.provider.add(a_user("b", uid=5))
        self.assertEqual((await self.provider.user_by_id(again.id)).uid, 5)
        self.assertEqual(await self.names(10, 0), ["a", "b", "c"])

    async def test_ids_differ(self) -> None:
        users = [await self.provider.add(a_user(name)) for name in ("a", "b")]
        await self.provider.delete(users[0].id)
        third = await self.provider.add(a_user("c"))
        self.assertEqual(len({user.id for user in [*users, third]}), 3)
        self.assertTrue(all(user.id > 0 for user in users))

    async def test_quota_adds_up(self) -> None:
        await self.add_all(["a", "b"])
        await self.provider.update_quota("a", 3, 1000, 10)
        await self.provider.update_quota("a", -1, -400, 20)
        self.assertEqual(await self.provider.used_quota("a"), (2, 600))
        user = await self.provider.user_by_name("a")
        self.assertEqual((user.used_quota_files, user.used_quota_size, user.last_quota_update), (2, 600, 20))
        self.assertEqual(await self.provider.used_quota("b"), (0, 0))

    async def test_quota_never_below_zero(self) -> None:
        await self.add_all(["a"])
        await self.provider.update_quota("a", 5, 5, 1)
        await self.provider.update_quota("a", -6, -1, 2)
        self.assertEqual(await self.provider.used_quota("a"), (0, 4))
        await self.provider.update_quota("a", 1, -100, 3)
        self.assertEqual(await self.provider.used_quota("a"), (1, 0))

    async def test_quota_beyond_64_bits(self) -> None:
        """Two sparse files of 8 EiB cost nothing: the account must stay readable."""
        await self.add_all(["a"])
        for size in (2**63 - 1, 2**63 - 1, 1, 2**70):
            await self.provider.update_quota("a", 1, size, 1)
            self.assertEqual((await self.provider.used_quota("a"))[1], 2**63 - 1)
        await self.provider.update_quota("a", 0, -(2**70), 1)
        self.assertEqual(await self.provider.used_quota("a"), (4, 0))
        await self.provider.update_quota("a", 1, 2**70, 1, reset=True)
        self.assertEqual((await self.provider.user_by_name("a")).used_quota_size, 2**63 - 1)

    async def test_quota_reset(self) -> None:
        await self.add_all(["a"])
        await self.provider.update_quota("a", 5, 500, 1)
        await self.provider.update_quota("a", 2, 20, 9, reset=True)
        self.assertEqual(await self.provider.used_quota("a"), (2, 20))
        self.assertEqual((await self.provider.user_by_name("a")).last_quota_update, 9)
        await self.provider.update_quota("a", -2, -20, 10, reset=True)
        self.assertEqual(await self.provider.used_quota("a"), (0, 0))

    async def test_concurrent_additions_lose_nothing(self) -> None:
        await self.add_all(["a"])
        await at_once([self.provider.update_quota("a", 1, 7, now) for now in range(1000)])
        self.assertEqual(await self.provider.used_quota("a"), (1000, 7000))

    async def test_last_login(self) -> None:
        before = await self.provider.add(a_user("a"))
        await self.provider.add(a_user("b"))
        await self.provider.update_last_login("a", 1577836800000)
        self.assertEqual(await self.provider.user_by_name("a"), attrs.evolve(before, last_login=1577836800000))
        self.assertEqual((await self.provider.user_by_name("b")).last_login, 0)

    async def test_pages(self) -> None:
        names = [f"u{number:02}" for number in range(25)]
        await self.add_all(names[::-1])
        for limit in (0, 1, 7, 25, 26, 1000):
            for offset in (0, 1, 20, 24, 25, 400):
                self.assertEqual(await self.names(limit, offset), names[offset : offset + limit])
                got = await self.names(limit, offset, descending=True)
                self.assertEqual(got, names[::-1][offset : offset + limit])
        self.assertEqual(await self.names(3, -4), names[:3])
        if self.negative_limit == "error":
            await self.raises(ProviderError, self.provider.users(-1, 0))
        else:
            self.assertEqual(await self.names(-1, 0), names if self.negative_limit == "all" else [])

    async def test_page_of_one_name(self) -> None:
        await self.add_all(["a", "ab", "b"])
        self.assertEqual(await self.names(10, 0, username="a"), ["a"])
        self.assertEqual(await self.names(10, 0, True, "a"), ["a"])
        self.assertEqual(await self.names(0, 0, username="a"), [])
        self.assertEqual(await self.names(10, 1, username="a"), [])
        self.assertEqual(await self.names(10, 0, username="c"), [])

    async def test_walk_over_all(self) -> None:
        names = [f"user{number:05}" for number in range(2500)]
        await self.fill(names[::-1])
        walked: list[str] = []
        pages = []
        while page := await self.provider.dump(walked[-1] if walked else ""):
            pages.append(len(page))
            walked += [user.username for user in page]
        self.assertEqual(pages, [1000, 1000, 500])
        self.assertEqual(walked, names)
        self.assertEqual([user.username for user in await self.provider.dump("user00008x", 2)], names[9:11])
        self.assertEqual(list(await self.provider.dump("user99999")), [])
        self.assertEqual(list(await self.provider.dump("", 0)), [])

    async def test_pages_far_from_the_beginning(self) -> None:
        names = [f"user{number:05}" for number in range(1500)]
        await self.fill(names[::-1])
        for offset in (499, 500, 501, 999, 1490, 1499, 1500, 1501, 10**9):
            self.assertEqual(await self.names(20, offset), names[offset : offset + 20])
            self.assertEqual(await self.names(20, offset, True), names[::-1][offset : offset + 20])
        self.assertEqual(await self.names(0, 1000), [])

    async def test_walk_over_a_changing_store(self) -> None:
        await self.add_all(["a", "c", "e", "g"])
        first = [user.username for user in await self.provider.dump("", 2)]
        await self.provider.delete((await self.provider.user_by_name("a")).id)
        await self.add_all(["b", "d"])
        rest = [user.username for user in await self.provider.dump(first[-1], 10)]
        self.assertEqual((first, rest), (["a", "c"], ["d", "e", "g"]))

    async def test_stopped(self) -> None:
        stored = await self.provider.add(a_user("a"))
        await self.provider.stop()
        await self.provider.stop()
        for call in (
            self.provider.check(),
            self.provider.user_by_name("a"),
            self.provider.user_by_id(1),
            self.provider.users(1, 0),
            self.provider.search(Search()),
            self.provider.search(Search("x")),
            self.provider.dump(),
            self.provider.add(a_user("b")),
            self.provider.update(stored),
            self.provider.delete(1),
            self.provider.update_quota("a", 1, 1, 1),
            self.provider.used_quota("a"),
            self.provider.update_last_login("a", 1),
        ):
            self.assertEqual(await self.raises(ProviderError, call), "the data provider is stopped")

    async def test_stop_lets_pending_work_end(self) -> None:
        pending = at_once([self.provider.add(a_user(f"u{number}")) for number in range(50)])
        await self.provider.stop()
        self.assertTrue(pending.called)
        self.assertEqual(len(await pending), 50)
        await self.provider.start()
        self.assertEqual(len(await self.provider.users(100, 0)), 50)
