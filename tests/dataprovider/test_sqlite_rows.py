"""Rows in the SQLite provider's table that somebody else wrote, or an older version."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from sftpgo.domain.search import Search, Sort
from sftpgo.errors import ProviderError
from tests.dataprovider.sqlitefiles import new_path, sqlite_provider
from tests.provider_case import a_user, at_once


class UnreadableRows(TestCase):
    """A row somebody else wrote badly."""

    async def setUp(self) -> None:
        self.path = new_path(self)
        self.warnings: list[str] = []
        self.provider = sqlite_provider(self.path, warn=self.note)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.provider.stop()))
        await self.provider.start()
        await at_once([self.provider.add(a_user(name)) for name in "abcdef"])
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(self.connection.close)

    def note(self, text: str) -> None:
        self.assertIs(threading.current_thread(), threading.main_thread())
        self.warnings.append(text)

    def spoil(self, name: str, column: str, value: Any) -> None:
        self.connection.execute(f"UPDATE users SET {column} = ? WHERE username = ?", (value, name))

    async def test_refused_by_name_and_skipped_in_lists(self) -> None:
        for column, value in [
            ("permissions", "{"),
            ("permissions", '{"/": "*"}'),
            ("permissions", '"hush"'),
            ("public_keys", "[1]"),
            ("public_keys", b"[]"),
            ("filters", "[" * 100_000),
            ("filters", '{"denied_ip": 1}'),
            ("uid", "hush"),
            ("quota_size", 1.5),
            ("home_dir", b"/srv"),
        ]:
            (before,) = self.connection.execute(f"SELECT {column} FROM users WHERE username = 'c'").fetchone()
            self.spoil("c", column, value)
            try:
                await self.provider.user_by_name("c")
            except ProviderError as error:
                self.assertIn('cannot read the user "c": ' + column, str(error))
                self.assertNotIn("hush", str(error))
                self.assertNotIn("\n", str(error))
            else:
                self.fail(f"{column} {value!r} was read")
            self.assertEqual(self.warnings, [])
            self.assertEqual([user.username for user in await self.provider.users(10, 0)], list("abdef"))
            self.assertEqual(len(self.warnings), 1)
            result = await self.provider.search(Search(sort=Sort.ID))
            self.assertEqual([user.username for user in result.users], list("abdef"))
            self.assertEqual((result.count, result.unreadable, len(self.warnings)), (6, 1, 2))
            self.assertIn('"c"', self.warnings[1])
            self.warnings.clear()
            self.spoil("c", column, before)
        self.assertEqual((await self.provider.user_by_name("c")).username, "c")

    async def test_a_walk_goes_on_behind_them(self) -> None:
        for name in "bce":
            self.spoil(name, "permissions", "{")
        self.connection.execute("UPDATE users SET username = CAST(x'64ff' AS TEXT) WHERE username = 'd'")
        for limit in (1, 2, 3, 10):
            walked: list[str] = []
            while page := await self.provider.dump(walked[-1] if walked else "", limit):
                walked += [user.username for user in page]
            self.assertEqual(walked, ["a", "f"])
        self.assertEqual([user.username for user in await self.provider.users(10, 0)], ["a", "f"])
        self.assertTrue(any('"d?": username: not text' in text for text in self.warnings))

    async def test_can_be_mended(self) -> None:
        self.spoil("c", "permissions", "{")
        (user_id,) = self.connection.execute("SELECT id FROM users WHERE username = 'c'").fetchone()
        await self.provider.update(attrs.evolve(a_user("c"), id=user_id))
        self.assertEqual((await self.provider.user_by_name("c")).permissions, {"/": ("*",)})

    async def test_what_older_versions_wrote(self) -> None:
        for column, value, field, want in [
            ("permissions", '["list", "download"]', "permissions", {"/": ("list", "download")}),
            ("filters", None, "filters.allowed_ip", ()),
            ("filters", "null", "filters.denied_ip", ()),
            ("filters", '{"denied_ip": ["10.0.0.0/8"], "newer": 1}', "filters.denied_ip", ("10.0.0.0/8",)),
            ("public_keys", None, "public_keys", ()),
            ("public_keys", "null", "public_keys", ()),
            ("public_keys", "", "public_keys", ()),
            ("password", None, "password", ""),
            ("used_quota_files", -3, "used_quota_files", -3),
        ]:
            self.spoil("c", column, value)
            got: Any = await self.provider.user_by_name("c")
            for name in field.split("."):
                got = getattr(got, name)
            self.assertEqual(got, want)

    async def test_negative_usage_recovers(self) -> None:
        self.spoil("c", "used_quota_files", -3)
        self.spoil("c", "used_quota_size", -3)
        await self.provider.update_quota("c", 1, -2, 1)
        self.assertEqual(await self.provider.used_quota("c"), (1, 0))

    async def test_a_lost_table_is_an_error_everywhere(self) -> None:
        self.connection.execute("DROP TABLE users")
        for call in (
            self.provider.check(),
            self.provider.users(1, 0),
            self.provider.dump(),
            self.provider.user_by_name("a"),
            self.provider.add(a_user("z", password="hush")),
        ):
            try:
                await call
            except ProviderError as error:
                self.assertEqual(str(error), "no such table: users")
                self.assertNotIn("hush", repr(error.__cause__))
            else:
                self.fail("no error")
