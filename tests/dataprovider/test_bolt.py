from __future__ import annotations

import os
import stat
import threading
from typing import Any

import attrs
import lmdb
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from sftpgo.dataprovider.bolt import BoltProvider
from sftpgo.dataprovider.keyvalue import is_bbolt
from sftpgo.domain.search import Search, SearchResult, Sort
from sftpgo.errors import NotFound, ProviderError, StartupError
from tests.dataprovider.sqlitefiles import new_path, put, read
from tests.dataprovider.stores import file_settings, provider_of
from tests.dataprovider.test_sqlite_processes import Writer
from tests.provider_case import a_user, at_once
from tests.provider_contract import ProviderContract


class Bolt(ProviderContract, TestCase):
    no_such_name = "Not found: username NAME does not exist"
    no_such_id = "Not found: user with ID 77 does not exist"
    duplicate = "username NAME already exists"
    negative_limit = "none"

    def make_provider(self) -> Any:
        self.warnings: list[str] = []
        self.settings = file_settings(self, "bolt")
        return provider_of(self.settings, self.warnings)

    async def tearDown(self) -> None:
        self.assertEqual(self.warnings, [])

    async def test_ids_are_never_reused(self) -> None:
        users = [await self.provider.add(a_user(name)) for name in "abc"]
        await self.provider.delete(users[2].id)
        self.assertEqual((await self.provider.add(a_user("d"))).id, 4)
        await self.provider.stop()
        await self.provider.start()
        self.assertEqual((await self.provider.add(a_user("e"))).id, 5)

    async def test_long_names_that_begin_alike(self) -> None:
        """Longer than the file's keys may be: told apart all the same, and walked over each once."""
        face = "\N{PILE OF POO}"
        names = [face * 254 + last for last in "abcdef"] + [face * length for length in (119, 120, 250, 255)]
        await self.add_all(names)
        for name in names:
            self.assertEqual((await self.provider.user_by_name(name)).username, name)
        await self.raises(NotFound, self.provider.user_by_name(face * 254 + "g"))
        walked: list[str] = []
        while page := await self.provider.dump(walked[-1] if walked else "", 3):
            walked += [user.username for user in page]
        self.assertEqual((len(walked), set(walked)), (len(names), set(names)))

    async def test_names_no_key_can_be_made_of(self) -> None:
        for name in ("", "a\0b"):
            await self.raises(ProviderError, self.provider.add(a_user(name)))
        self.assertEqual(list(await self.provider.dump()), [])

    async def test_one_failure_among_many_writes(self) -> None:
        """Those that share its commit are stored."""
        await self.provider.add(a_user("a"))

        async def tried(name: str) -> bool:
            try:
                await self.provider.add(a_user(name))
            except ProviderError:
                return False
            return True

        names = [f"u{number}" if number % 3 else "a" for number in range(60)]
        self.assertEqual(await at_once([tried(name) for name in names]), [name != "a" for name in names])
        self.assertEqual(len(await self.provider.users(100, 0)), 1 + 40)

    async def test_file_is_for_nobody_else(self) -> None:
        await self.provider.add(a_user("a"))
        for name in (self.settings.name, self.settings.name + "-lock"):
            self.assertEqual(stat.S_IMODE(os.stat(name).st_mode), 0o600)

    async def test_a_full_file(self) -> None:
        """Nothing of what did not fit is stored, what there was stays, and it is said."""
        await self.provider.add(a_user("a"))
        self.provider._store.environment.set_mapsize(1024 * 1024)
        big = ["x" * 200_000]
        failed = 0
        for number in range(10):
            try:
                await self.provider.add(attrs.evolve(a_user(f"b{number}"), public_keys=tuple(big)))
            except ProviderError as error:
                self.assertIn("MDB_MAP_FULL", str(error))
                failed += 1
        self.assertTrue(0 < failed < 10)
        self.assertEqual(len(await self.provider.users(100, 0)), 1 + 10 - failed)
        await self.provider.update_quota("a", 1, 1, 1)

    async def test_names_that_are_not_there_take_no_place(self) -> None:
        """Each reader has one in the file, and there are not many: not even errors that are kept hold one."""
        kept = []
        for number in range(700):
            try:
                await (self.provider.user_by_id(77) if number % 2 else self.provider.user_by_name("ghost"))
            except NotFound as error:
                kept.append(error)
        self.assertEqual(len(kept), 700)
        self.assertLess(len(self.provider._store.environment.readers().splitlines()), 10)

    async def test_threads_end(self) -> None:
        await at_once([self.provider.check() for _ in range(20)])
        await self.provider.stop()
        self.assertEqual([thread for thread in threading.enumerate() if "users-" in thread.name], [])

    async def test_a_record_that_cannot_be_read(self) -> None:
        await self.add_all(list("abc"))
        user = await self.provider.user_by_name("b")
        store = self.provider._store
        with store.environment.begin(write=True) as transaction:
            transaction.put(b"b", b'{"uid": "x"}', db=store.users)
        for call in (self.provider.user_by_name("b"), self.provider.user_by_id(user.id)):
            text = await self.raises(ProviderError, call)
            self.assertEqual(text, 'cannot read the user "b": uid: expected an integer, got a string')
        self.assertEqual(await self.names(10, 0), ["a", "c"])
        self.assertEqual([found.username for found in await self.provider.dump("", 2)], ["a", "c"])
        self.assertEqual(len(self.warnings), 2)
        for wanted in (Search(), Search(sort=Sort.LAST_LOGIN)):
            result = await self.provider.search(wanted)
            self.assertEqual([found.username for found in result.users], ["a", "c"])
            self.assertEqual((result.count, result.unreadable), (3, 1))
        self.assertEqual(await self.provider.search(Search("b")), SearchResult([], 0))
        self.warnings.clear()
        await self.provider.update(user)
        self.assertEqual(await self.provider.user_by_name("b"), user)


class Opening(TestCase):
    async def refused(self, path: str) -> str:
        provider = BoltProvider(path, reactor=reactor, warn=print)  # type: ignore[arg-type]
        try:
            await provider.start()
        except StartupError as error:
            await provider.stop()
            self.assertNotIn("\n", str(error))
            self.assertIn(path, str(error))
            return str(error)
        return self.fail("it was opened")

    async def test_a_file_of_the_original(self) -> None:
        """Its head as bbolt writes it: page 0, flags "meta", then the magic number."""
        path = new_path(self)
        page = bytes(8) + (4).to_bytes(2, "little") + bytes(6) + (0xED0CDAED).to_bytes(4, "little")
        before = page + bytes(4096 - len(page)) * 4
        put(path, before)
        self.assertTrue(is_bbolt(before[:20]))
        text = await self.refused(path)
        self.assertIn("bbolt file of the original", text)
        self.assertIn("sftpgo import", text)
        self.assertEqual(read(path), before)
        self.assertFalse(os.access(path + "-lock", os.F_OK))

    async def test_other_files(self) -> None:
        folder = new_path(self)
        os.mkdir(folder)
        for name, content in [("text", b"something else " * 999), ("sqlite", b"SQLite format 3\0" + bytes(9000))]:
            put(f"{folder}/{name}", content)
            self.assertIn("no key/value file", await self.refused(f"{folder}/{name}"))
            self.assertEqual(read(f"{folder}/{name}"), content)
        self.assertIn("directory", await self.refused(folder))
        os.mkfifo(f"{folder}/fifo")
        self.assertIn("no regular file", await self.refused(f"{folder}/fifo"))
        self.assertIn("No such file", await self.refused(f"{folder}/x/y"))

    async def test_truncated(self) -> None:
        settings = file_settings(self, "bolt")
        provider = provider_of(settings, [])
        await provider.start()
        await at_once([provider.add(a_user(f"u{number}")) for number in range(50)])
        await provider.stop()
        os.truncate(settings.name, 100)
        self.assertIn(settings.name, await self.refused(settings.name))

    async def test_an_lmdb_of_others(self) -> None:
        path = new_path(self)
        with lmdb.open(path, subdir=False) as environment, environment.begin(write=True) as transaction:
            transaction.put(b"mine", b"1")
        provider = BoltProvider(path, reactor=reactor, warn=print)  # type: ignore[arg-type]
        self.addCleanup(lambda: Deferred.fromCoroutine(provider.stop()))
        await provider.start()
        self.assertEqual(list(await provider.users(10, 0)), [])


class Killed(TestCase):
    timeout = 120

    async def test_killed_while_writing(self) -> None:
        for round_ in range(3):
            settings = file_settings(self, "bolt")
            writer = Writer(self, settings.name, "forever", "0", "bolt", lines=20 + 13 * round_)
            await writer.enough
            writer.kill()
            self.assertEqual(await writer.ended, -9)
            told = writer.output.decode().rpartition("\n")[0].split("\n")
            provider = provider_of(settings, [])
            self.addCleanup(provider.stop)
            await provider.start()
            stored = [user.username for user in await provider.dump("a")]
            files, size = await provider.used_quota("a")
            self.assertEqual(stored[: len(told)], told)
            self.assertEqual(size, 3 * files)
            await provider.add(a_user("after"))
            await provider.stop()
