"""The schema's scripts, and files at every stage of them."""

from __future__ import annotations

import sqlite3
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sftpgo.dataprovider import schema
from sftpgo.dataprovider.schema import Script, pending, split, statements
from sftpgo.domain.user import Filters
from sftpgo.errors import StartupError
from tests.dataprovider.sqlitefiles import new_path, sqlite_provider
from tests.provider_case import a_user, at_once

#: name, type, NOT NULL: the table as it is after all scripts.
COLUMNS = [
    ("id", "INTEGER", 1),
    ("username", "varchar(255)", 1),
    ("password", "varchar(255)", 0),
    ("public_keys", "TEXT", 0),
    ("home_dir", "varchar(255)", 1),
    ("uid", "INTEGER", 1),
    ("gid", "INTEGER", 1),
    ("max_sessions", "INTEGER", 1),
    ("quota_size", "bigint", 1),
    ("quota_files", "INTEGER", 1),
    ("permissions", "TEXT", 1),
    ("used_quota_size", "bigint", 1),
    ("used_quota_files", "INTEGER", 1),
    ("last_quota_update", "bigint", 1),
    ("upload_bandwidth", "INTEGER", 1),
    ("download_bandwidth", "INTEGER", 1),
    ("expiration_date", "bigint", 1),
    ("last_login", "bigint", 1),
    ("status", "INTEGER", 1),
    ("filters", "TEXT", 0),
]
STAGES = [COLUMNS[:16], COLUMNS[:19], COLUMNS]


def older_file(path: str, columns: list[tuple[str, str, int]], table: str = "users", more: str = "") -> None:
    """A file as the original leaves it: no write-ahead log, two users, of whom the third was deleted."""
    connection = sqlite3.connect(path, isolation_level=None)
    kinds = {"id": "integer NOT NULL PRIMARY KEY AUTOINCREMENT", "username": "varchar(255) NOT NULL UNIQUE"}
    definition = ", ".join(
        f'"{name}" ' + kinds.get(name, kind + (" NOT NULL" if needed else " NULL")) for name, kind, needed in columns
    )
    connection.execute(f'CREATE TABLE "{table}" ({definition}{more})')
    for number in (1, 2, 3):
        values: dict[str, Any] = {name: number if kind in ("INTEGER", "bigint") else "" for name, kind, _ in columns}
        values.update(id=number, username=f"u{number}", home_dir="/h", permissions='["list"]', public_keys='["k"]')
        values.update({name: None for name in ("filters",) if name in values})
        marks = ", ".join("?" * len(values))
        names = ", ".join(f'"{name}"' for name in values)
        connection.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', list(values.values()))
    connection.execute(f'DELETE FROM "{table}" WHERE id = 3')
    connection.close()


def layout(path: str, table: str = "users") -> list[tuple[str, str, int, str | None]]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
        return [(name, kind.lower(), needed, default) for _, name, kind, needed, default, _ in rows]
    finally:
        connection.close()


FINAL = [(name, kind.lower(), needed, None) for name, kind, needed in COLUMNS]


class Stages(TestCase):
    async def opened(self, path: str, **options: Any) -> Any:
        provider = sqlite_provider(path, **options)
        self.addCleanup(lambda: Deferred.fromCoroutine(provider.stop()))
        await provider.start()
        return provider

    async def test_new_file(self) -> None:
        path = new_path(self)
        await self.opened(path)
        self.assertEqual(layout(path), FINAL)

    async def test_every_stage(self) -> None:
        for table in ("users", "sftpgo_Accounts"):
            for stage, columns in enumerate(STAGES):
                path = new_path(self)
                older_file(path, columns, table)
                provider = await self.opened(path, users_table=table)
                self.assertEqual(layout(path, table), FINAL)
                first, second = await provider.dump()
                self.assertEqual((first.username, second.username, second.id), ("u1", "u2", 2))
                self.assertEqual((second.quota_size, second.download_bandwidth), (2, 2))
                self.assertEqual((second.public_keys, second.permissions), (("k",), {"/": ("list",)}))
                stored_since = (2, 2, 2) if stage else (0, 0, 1)
                self.assertEqual((second.expiration_date, second.last_login, second.status), stored_since)
                self.assertEqual(second.filters, Filters())
                self.assertEqual((await provider.add(a_user("new"))).id, 4, "the id of the deleted user")

    async def test_a_complete_file_is_not_rewritten(self) -> None:
        """Neither its order of columns nor what others added to it."""
        path = new_path(self)
        older_file(path, COLUMNS[::-1], more=", description text NULL, CHECK (id < 100)")
        before = layout(path)
        provider = await self.opened(path)
        self.assertEqual(layout(path), before)
        self.assertEqual((await provider.add(a_user("new"))).id, 4)
        self.assertEqual((await provider.user_by_name("u2")).quota_size, 2)

    async def test_empty_table_keeps_its_counter(self) -> None:
        path = new_path(self)
        older_file(path, STAGES[0])
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("DELETE FROM users")
        connection.close()
        provider = await self.opened(path)
        self.assertEqual((await provider.add(a_user("new"))).id, 4)

    async def test_several_at_once(self) -> None:
        path = new_path(self)
        older_file(path, STAGES[0])
        providers = await at_once([self.opened(path) for _ in range(4)])
        self.assertEqual(layout(path), FINAL)
        for provider in providers:
            self.assertEqual(len(await provider.users(10, 0)), 2)

    async def test_waits_for_who_writes_meanwhile(self) -> None:
        """A file without a write-ahead log yet, in the middle of somebody's transaction."""
        path = new_path(self)
        older_file(path, STAGES[1])
        other = sqlite3.connect(path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM users WHERE username = 'u1'")
        opening = Deferred.fromCoroutine(self.opened(path))
        await deferLater(reactor, 0.2)
        self.assertFalse(opening.called)
        other.execute("COMMIT")
        provider = await opening
        self.assertEqual([user.username for user in await provider.users(10, 0)], ["u2"])

    async def refused(self, path: str) -> str:
        before = layout(path)
        provider = sqlite_provider(path)
        try:
            await provider.start()
        except StartupError as error:
            self.assertEqual(layout(path), before)
            return str(error)
        await provider.stop()
        return self.fail("it was opened")

    async def test_columns_that_would_be_lost(self) -> None:
        path = new_path(self)
        older_file(path, STAGES[1], more=", description text NULL")
        text = await self.refused(path)
        self.assertIn(f'"{path}": the table "users" is of an older layout', text)
        self.assertIn("would lose the column description", text)

    async def test_layouts_of_others(self) -> None:
        for columns, told in [
            ([COLUMNS[0], COLUMNS[1], ("home", "text", 0)], "the columns id, username without the columns download_"),
            (
                [*COLUMNS[:16], COLUMNS[19]],
                "the column filters without the columns expiration_date, last_login, status",
            ),
            ([*COLUMNS[:17]], "the column expiration_date without the columns last_login, status"),
        ]:
            path = new_path(self)
            connection = sqlite3.connect(path)
            connection.execute("CREATE TABLE users (" + ", ".join(name for name, _, _ in columns) + ")")
            connection.close()
            self.assertIn(told, await self.refused(path))

    async def test_a_script_that_fails_leaves_all_as_it_was(self) -> None:
        path = new_path(self)
        older_file(path, [(name, kind, needed and name != "uid") for name, kind, needed in STAGES[0]])
        connection = sqlite3.connect(path)
        self.addCleanup(connection.close)
        with connection:
            connection.execute("UPDATE users SET uid = NULL WHERE username = 'u2'")
        # By then the new table is there already.
        self.assertIn("NOT NULL constraint failed: new__users.uid", await self.refused(path))
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        self.assertEqual(tables, [("sqlite_sequence",), ("users",)])
        self.assertEqual(connection.execute("SELECT count(*) FROM users").fetchone(), (2,))

    async def test_what_others_built_on_the_table(self) -> None:
        """A view lives on; what would go with the old table is not dropped behind anybody's back."""
        for statement, told in [
            ("CREATE INDEX mine ON users (home_dir)", 'the index "mine"'),
            ("CREATE TRIGGER guard BEFORE DELETE ON users BEGIN SELECT 1; END", 'the trigger "guard"'),
        ]:
            path = new_path(self)
            older_file(path, STAGES[1])
            connection = sqlite3.connect(path, isolation_level=None)
            self.addCleanup(connection.close)
            connection.execute("CREATE VIEW names AS SELECT username FROM users")
            connection.execute(statement)
            self.assertIn(f"would lose {told}", await self.refused(path))
            connection.execute("DROP " + told.removeprefix("the "))
            await self.opened(path)
            self.assertEqual(connection.execute("SELECT * FROM names").fetchall(), [("u1",), ("u2",)])


class Scripts(SynchronousTestCase):
    def test_sqlite(self) -> None:
        scripts = schema.load_scripts("sqlite")
        self.assertEqual([script.name for script in scripts], ["20190828", "20191112", "20191230"])
        names = [name for name, _, _ in COLUMNS]
        self.assertEqual(set().union(*(script.columns for script in scripts)), set(names))

    def test_by_hand(self) -> None:
        """Each is one transaction as it stands, for whoever feeds it to the sqlite3 shell."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(connection.close)
        for script in schema.load_scripts("sqlite"):
            connection.executescript(script.text)
            self.assertFalse(connection.in_transaction)
            got = {row[1] for row in connection.execute("PRAGMA table_info(users)")}
            self.assertLessEqual(script.columns, got)

    def test_unknown_dialect(self) -> None:
        self.assertIn("oracle", str(self.assertRaises(StartupError, schema.load_scripts, "oracle")))

    def test_table_name(self) -> None:
        script = schema.parse_script(
            "1",
            "-- Columns: a, b,\n-- c\n\nBEGIN;\n"
            'CREATE TABLE "new__users" ("users_of" int, "b" text DEFAULT \'my users\');\n'
            "INSERT INTO `users` SELECT 'users', [users] FROM \"users\";\nCOMMIT;\n",
        )
        self.assertEqual(script.columns, {"a", "b", "c"})
        self.assertEqual(
            list(statements(script, "acc")),
            [
                'CREATE TABLE "new__acc" ("users_of" int, "b" text DEFAULT \'my users\');',
                "INSERT INTO `acc` SELECT 'acc', [users] FROM \"acc\";",
            ],
        )

    def test_hostile_table_names(self) -> None:
        script = schema.load_scripts("sqlite")[0]
        for name in ("", 'a"b', "a b", "a;b", "1a", "a'", "é", "a\n", "main.users"):
            self.assertRaises(ValueError, list, statements(script, name))

    def test_malformed_scripts(self) -> None:
        self.assertRaises(ValueError, schema.parse_script, "x", "BEGIN;\nSELECT 1;\nCOMMIT;")
        for text in (
            "BEGIN;\nSELECT 1;",
            "SELECT 1;\nSELECT 2;\nCOMMIT;",
            "BEGIN;\nCOMMIT;",
            "BEGIN; SELECT 1; COMMIT",
        ):
            self.assertRaises(ValueError, list, statements(Script("x", frozenset("a"), text), "users"))

    def test_split(self) -> None:
        for text, want in [
            ("", []),
            ("-- only; a comment\n", []),
            ("SELECT 1; SELECT 2;", ["SELECT 1;", "SELECT 2;"]),
            ("SELECT ';';\n-- a;b\nSELECT \"x;y\";", ["SELECT ';';", 'SELECT "x;y";']),
            ("SELECT 1 /* a;b */;", ["SELECT 1 /* a;b */;"]),
            ("SELECT 1 -- it's;\n;", ["SELECT 1 -- it's;\n;"]),
            (
                "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END; SELECT 3;",
                ["CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;", "SELECT 3;"],
            ),
        ]:
            self.assertEqual(list(split(text)), want)
        self.assertRaises(ValueError, list, split("SELECT 1; SELECT 2"))

    def test_pending(self) -> None:
        one, two = Script("1", frozenset("ab"), ""), Script("2", frozenset("c"), "")
        self.assertEqual(list(pending([one, two], "")), [one, two])
        self.assertEqual(list(pending([one, two], "ab")), [two])
        self.assertEqual(list(pending([one, two], "abc")), [])
        self.assertEqual(list(pending([one, two], "abcz")), [])
        for columns in ("a", "abz", "c", "z", "bc"):
            self.assertRaises(StartupError, pending, [one, two], columns)
