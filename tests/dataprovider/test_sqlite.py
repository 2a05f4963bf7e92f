from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

import sftpgo
from sftpgo.dataprovider.sql import inserted
from sftpgo.dataprovider.sqlite import SQLiteProvider
from sftpgo.errors import ProviderError, StartupError
from tests.dataprovider.sqlitefiles import beside, new_path, overwrite, put, read, sqlite_provider
from tests.provider_case import a_user, at_once
from tests.provider_contract import ProviderContract
from tests.unprivileged import unprivileged


class SQLite(ProviderContract, TestCase):
    def make_provider(self) -> SQLiteProvider:
        self.path = new_path(self)
        self.warnings: list[str] = []
        return sqlite_provider(self.path, warn=self.warnings.append)

    async def tearDown(self) -> None:
        self.assertEqual(self.warnings, [])

    async def fill(self, names: Sequence[str]) -> None:
        rows = [inserted(a_user(name)) for name in names]
        connection = sqlite3.connect(self.path)
        with connection:
            values = ", ".join(f":{column}" for column in rows[0])
            connection.executemany(f"INSERT INTO users ({', '.join(rows[0])}) VALUES ({values})", rows)
        connection.close()

    async def test_ids_are_never_reused(self) -> None:
        users = [await self.provider.add(a_user(name)) for name in "abc"]
        await self.provider.delete(users[2].id)
        self.assertEqual((await self.provider.add(a_user("d"))).id, 4)

    async def test_numbers_out_of_range(self) -> None:
        await self.raises(ProviderError, self.provider.add(a_user("a", quota_size=2**63)))
        await self.raises(ProviderError, self.provider.users(2**63, 0))
        await self.raises(ProviderError, self.provider.user_by_id(2**63))
        self.assertEqual(await self.provider.dump(), [])

    async def test_file_is_for_nobody_else(self) -> None:
        await self.provider.add(a_user("a"))
        modes = {name: stat.S_IMODE(os.stat(self.path + name).st_mode) for name in ("", "-wal", "-shm")}
        self.assertEqual(modes, {"": 0o600, "-wal": 0o600, "-shm": 0o600})

    async def test_write_ahead_log(self) -> None:
        await self.provider.add(a_user("a"))
        connection = sqlite3.connect(self.path)
        self.addCleanup(connection.close)
        self.assertEqual(connection.execute("PRAGMA journal_mode").fetchone(), ("wal",))

    async def test_stop_leaves_one_file(self) -> None:
        await self.provider.add(a_user("a"))
        await self.provider.stop()
        self.assertEqual(beside(self.path), [self.path.rpartition("/")[2]])

    async def test_threads_end(self) -> None:
        await at_once([self.provider.check() for _ in range(20)])
        self.assertTrue([thread for thread in threading.enumerate() if "users-" in thread.name])
        await self.provider.stop()
        self.assertEqual([thread for thread in threading.enumerate() if "users-" in thread.name], [])

    async def test_started_twice(self) -> None:
        await self.raises(ProviderError, self.provider.start())
        await self.provider.check()

    async def test_stopped_while_starting(self) -> None:
        await self.provider.stop()
        starting = Deferred.fromCoroutine(self.provider.start())
        await self.provider.stop()
        await self.raises(ProviderError, starting)
        await self.provider.start()
        await self.provider.check()

    async def test_login_waits_for_no_list(self) -> None:
        await self.fill([f"user{number:05}" for number in range(1000)])
        ended: list[str] = []

        async def noted(name: str, call: Any) -> None:
            await call
            ended.append(name)

        lists = [noted("list", self.provider.dump()) for _ in range(15)]
        await at_once([*lists, noted("login", self.provider.user_by_name("user00500"))])
        self.assertEqual(len(ended), 16)
        self.assertNotEqual(ended[-1], "login")

    async def test_login_waits_for_no_writer(self) -> None:
        """Neither for one of ours nor for another process."""
        await self.provider.add(a_user("a"))
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        write = Deferred.fromCoroutine(self.provider.update_last_login("a", 5))
        self.assertEqual((await self.provider.user_by_name("a")).last_login, 0)
        self.assertFalse(write.called)
        other.execute("COMMIT")
        await write
        self.assertEqual((await self.provider.user_by_name("a")).last_login, 5)

    async def test_nothing_runs_in_the_reactor(self) -> None:
        seen: list[str] = []

        def watch(frame: Any, kind: str, called: Any) -> None:
            owner = getattr(called, "__self__", None)
            if kind == "c_call" and (
                isinstance(owner, sqlite3.Connection | sqlite3.Cursor) or called is sqlite3.connect
            ):
                seen.append(str(called))

        previous = sys.getprofile()
        sys.setprofile(watch)
        try:
            provider = sqlite_provider(self.mktemp())
            self.addCleanup(lambda: Deferred.fromCoroutine(provider.stop()))
            await provider.start()
            user = await provider.add(a_user("a"))
            await provider.update(user)
            await provider.check()
            await provider.user_by_name("a")
            await provider.user_by_id(user.id)
            await provider.users(10, 0)
            await provider.dump()
            await provider.update_quota("a", 1, 1, 1)
            await provider.used_quota("a")
            await provider.update_last_login("a", 1)
            await provider.delete(user.id)
            await provider.stop()
            self.assertEqual(seen, [])
            sqlite3.connect(":memory:").execute("SELECT 1")
        finally:
            sys.setprofile(previous)
        self.assertGreaterEqual(len(seen), 2, "the watch sees a call when there is one")

    async def test_rows_are_what_the_original_reads(self) -> None:
        await self.provider.add(
            attrs.evolve(a_user("a"), public_keys=("k1", "k2"), permissions={"/": ("*",), "/b": ("list",)}, uid=7)
        )
        connection = sqlite3.connect(self.path)
        self.addCleanup(connection.close)
        row = connection.execute(
            "SELECT public_keys, permissions, filters, uid, status, last_login, password FROM users"
        ).fetchone()
        filters = '{"allowed_ip":[],"denied_ip":[]}'
        self.assertEqual(row, ('["k1","k2"]', '{"/":["*"],"/b":["list"]}', filters, 7, 0, 0, ""))


class Failing(TestCase):
    """What cannot be opened is said in one line that names it."""

    async def refused(self, path: str, **options: Any) -> str:
        provider = sqlite_provider(path, **options)
        try:
            await provider.start()
        except StartupError as error:
            text = str(error)
        else:
            await provider.stop()
            self.fail("it was opened")
        self.assertNotIn("\n", text)
        await provider.stop()
        self.assertEqual([thread for thread in threading.enumerate() if "users-" in thread.name], [])
        return text

    async def test_not_sqlite(self) -> None:
        path = self.mktemp()
        put(path, b"something else altogether " * 100)
        self.assertEqual(await self.refused(path), f'cannot open the SQLite database "{path}": file is not a database')
        self.assertEqual(read(path)[:9], b"something")

    async def test_directory(self) -> None:
        path = self.mktemp()
        os.mkdir(path)
        self.assertEqual(await self.refused(path), f'cannot use the SQLite database "{path}": it is a directory')

    async def test_fifo(self) -> None:
        path = self.mktemp()
        os.mkfifo(path)
        self.assertEqual(await self.refused(path), f'cannot use the SQLite database "{path}": it is no regular file')

    async def test_missing_directory(self) -> None:
        path = self.mktemp() + "/x/y"
        self.assertIn(f'"{path}": No such file or directory', await self.refused(path))

    async def test_dangling_link(self) -> None:
        path = self.mktemp()
        os.symlink("/nonexistent/file", path)
        self.assertIn(f'"{path}": No such file or directory', await self.refused(path))

    async def test_truncated(self) -> None:
        path = self.mktemp()
        provider = sqlite_provider(path)
        await provider.start()
        await at_once([provider.add(a_user(f"u{n}")) for n in range(200)])
        await provider.stop()
        os.truncate(path, 5000)
        self.assertIn(f'"{path}": database disk image is malformed', await self.refused(path))

    async def test_unreadable(self) -> None:
        directory = tempfile.mkdtemp(prefix="sftpgo-test-")
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "closed")
        # All that a start takes is there then.
        await self.refused(directory)
        put(path, mode=0)
        with unprivileged(directory):
            said = await self.refused(path)
        self.assertEqual(said, f'cannot open the SQLite database "{path}": unable to open database file')

    async def test_in_memory(self) -> None:
        for where in ("file::memory:?cache=shared", "file:x?mode=memory&cache=shared", "file:?cache=shared"):
            self.assertIn("the driver memory", await self.refused("", connection_string=where))

    async def test_no_scripts_for_another_name(self) -> None:
        path = self.mktemp()
        self.assertIn("is not the name of a table", await self.refused(path, users_table='x"; DROP TABLE y; --'))


class Restored(TestCase):
    """A file that was broken while it was in use, and then put back."""

    async def test_is_used_again_without_a_restart(self) -> None:
        for replaced in (False, True):
            path = new_path(self)
            provider = sqlite_provider(path)
            await provider.start()
            await at_once([provider.add(a_user(f"u{n}")) for n in range(3)])
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
            good = read(path)
            overwrite(path, b"garbage" * (len(good) // 7))
            for _ in range(4):  # every connection sees it
                for call in (provider.check(), provider.add(a_user("u9")), provider.update_last_login("u1", 7)):
                    try:
                        await call
                    except ProviderError as error:
                        self.assertEqual(str(error), "file is not a database")
                    else:
                        self.fail("garbage was used")
            if replaced:
                os.unlink(path)
            overwrite(path, good)
            await provider.check()
            await provider.add(a_user("u9"))
            await provider.update_last_login("u1", 7)
            self.assertEqual([user.username for user in await provider.users(9, 0)], ["u0", "u1", "u2", "u9"])
            self.assertEqual((await provider.user_by_name("u1")).last_login, 7)
            await provider.stop()


class Locations(TestCase):
    async def opened(self, path: str, **options: Any) -> None:
        provider = sqlite_provider(path, **options)
        self.addCleanup(lambda: Deferred.fromCoroutine(provider.stop()))
        await provider.start()
        await provider.add(a_user("a"))
        await provider.stop()

    async def test_strange_paths(self) -> None:
        folder = new_path(self)
        os.mkdir(folder)
        names = ["a b", "q?x=1", "h#1", "100%25", "\N{PILE OF POO}", os.fsdecode(b"\xff"), "file:x", "semi;colon&"]
        for name in names:
            await self.opened(os.path.join(folder, name))
        self.assertEqual(sorted(os.listdir(folder)), sorted(names))

    async def test_connection_string(self) -> None:
        path = new_path(self)
        quoted = path + "%20x"
        for text in (f"file:{quoted}?cache=shared", f"file://{quoted}", f"file:{quoted}?mode=ro&_busy_timeout=9#f"):
            provider = sqlite_provider("unused", connection_string=text)
            await provider.start()
            await provider.check()
            await provider.stop()
        self.assertEqual(beside(path), [path.rpartition("/")[2] + " x"])
        self.assertNotIn("unused", os.listdir())

    async def test_relative_connection_string(self) -> None:
        name = self.mktemp()
        await self.opened("unused", connection_string=f"file:{name}?cache=shared")
        self.assertTrue(os.access(name, os.F_OK))

    async def test_two_tables_in_one_file(self) -> None:
        path = self.mktemp()
        await self.opened(path)
        await self.opened(path, users_table="Select")
        connection = sqlite3.connect(path)
        self.addCleanup(connection.close)
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        self.assertEqual(tables, [("Select",), ("sqlite_sequence",), ("users",)])

    async def test_an_empty_file_is_new(self) -> None:
        path = self.mktemp()
        put(path)
        await self.opened(path)

    def test_scripts_are_found(self) -> None:
        root = Path(sftpgo.__file__).parent
        self.assertTrue((root / "sql/sqlite").is_dir() or (root.parent / "sql/sqlite").is_dir())
