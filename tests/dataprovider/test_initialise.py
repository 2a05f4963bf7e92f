"""C{sftpgo initprovider} on real databases: tables at every stage, of others, and views."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from sftpgo.config.model import DataProvider
from sftpgo.dataprovider import schema
from sftpgo.dataprovider.initialise import initialise
from sftpgo.dataprovider.readonly import ReadOnlyProvider
from sftpgo.errors import StartupError
from sftpgo.initprovider import run
from tests import databases
from tests.dataprovider.sqlitefiles import put
from tests.dataprovider.stores import file_settings, mysql_settings, postgresql_settings, provider_of
from tests.provider_case import a_user

NAMES = ["20190828", "20191112", "20191230"]
FIRST = (
    "INSERT INTO users (username, password, public_keys, home_dir, uid, gid, max_sessions, quota_size, quota_files,"
    " permissions, used_quota_size, used_quota_files, last_quota_update, upload_bandwidth, download_bandwidth)"
    """ VALUES ('old', 'p', NULL, '/h', 1, 2, 3, 4, 5, '["list"]', 6, 7, 8, 9, 10)"""
)


class Stages:
    """Mixed into one TestCase for each server; C{empty()} gives settings of a database without the table."""

    dialect = ""

    def empty(self, **changes: Any) -> DataProvider:
        raise AssertionError

    def execute(self, settings: DataProvider, statement: str) -> Sequence[Any]:
        raise AssertionError

    async def started(self, settings: DataProvider) -> Any:
        provider = provider_of(settings, [])
        self.addCleanup(provider.stop)
        await provider.start()
        return provider

    async def refused(self, settings: DataProvider) -> str:
        try:
            await self.started(settings)
        except StartupError as error:
            self.assertNotIn("\n", str(error))
            self.assertNotIn(databases.PASSWORD, str(error))
            return str(error)
        return self.fail("it started")

    async def test_each_stage(self) -> None:
        for stage in (1, 2, 3):
            settings = self.empty()
            for script in schema.load_scripts(self.dialect)[:stage]:
                for statement in schema.statements(script, "users"):
                    self.execute(settings, statement)
            values = FIRST
            if stage > 1:
                values = FIRST.replace("bandwidth)", "bandwidth, expiration_date, last_login, status)")
                values = values.replace("10)", "10, 11, 12, 0)")
            self.execute(settings, values)
            if stage < 3:
                text = await self.refused(settings)
                self.assertIn('"sftpgo initprovider" brings the schema up to date', text)
                self.assertIn("filters", text)
            told = initialise(settings, ".")
            self.assertEqual([line.partition("applied ")[2][:8] for line in told], NAMES[stage:] or [""])
            self.assertIn("nothing was changed", initialise(settings, ".")[0])
            provider = await self.started(settings)
            user = await provider.user_by_name("old")
            self.assertEqual(
                (user.permissions, user.used_quota_files, user.filters.allowed_ip), ({"/": ("list",)}, 7, ())
            )
            later = (user.expiration_date, user.last_login, user.status)
            self.assertEqual(later, (0, 0, 1) if stage == 1 else (11, 12, 0))
            self.assertGreater((await provider.add(a_user("new"))).id, user.id)

    async def test_no_table(self) -> None:
        text = await self.refused(self.empty(users_table="nobodys"))
        self.assertIn('there is no table "nobodys"', text)

    async def test_another_table(self) -> None:
        settings = self.empty()
        self.execute(settings, "CREATE TABLE users (name varchar(10))")
        self.assertIn("lacks the columns", await self.refused(settings))
        error = self.assertRaises(StartupError, initialise, settings, ".")
        self.assertIn("not a table of users: it has the column name without", str(error))

    async def test_columns_of_others_stay(self) -> None:
        settings = self.empty()
        for statement in schema.statements(schema.load_scripts(self.dialect)[0], "users"):
            self.execute(settings, statement)
        self.execute(settings, "ALTER TABLE users ADD COLUMN note varchar(9) DEFAULT 'x'")
        self.assertEqual(len(initialise(settings, ".")), 2)
        provider = await self.started(settings)
        await provider.add(a_user("new"))
        self.assertEqual([tuple(row) for row in self.execute(settings, "SELECT note FROM users")], [("x",)])

    async def test_several_at_once(self) -> None:
        settings = self.empty()
        told = await gatherResults([deferToThread(initialise, settings, ".") for _ in range(4)])
        applied = [line.partition("applied ")[2][:8] for lines in told for line in lines]
        self.assertEqual(sorted(name for name in applied if name), NAMES)

    async def test_a_view_over_accounts_of_ones_own(self) -> None:
        """Nothing but reading is tried, so an account of the database that may only read does."""
        settings = self.empty(manage_users=0, track_quota=0, users_table="sftp_users")
        self.execute(settings, "CREATE TABLE people (nr integer, login varchar(20), secret varchar(99))")
        self.execute(settings, "INSERT INTO people VALUES (7, 'eve', '$6$x$y'), (8, 'adam', NULL)")
        zeros = ", ".join(
            f"0 AS {name}"
            for name in (
                "uid",
                "gid",
                "max_sessions",
                "quota_size",
                "quota_files",
                "used_quota_size",
                "used_quota_files",
                "last_quota_update",
                "upload_bandwidth",
                "download_bandwidth",
                "expiration_date",
                "last_login",
            )
        )
        self.execute(
            settings,
            "CREATE VIEW sftp_users AS SELECT nr AS id, login AS username, secret AS password, NULL AS public_keys,"
            f" '/srv/people' AS home_dir, {zeros}, 1 AS status, NULL AS filters,"
            """ '{"/": ["list", "download"]}' AS permissions FROM people""",
        )
        self.assertIn("nothing was changed", initialise(settings, ".")[0])
        provider = await self.started(settings)
        self.assertIsInstance(provider, ReadOnlyProvider)
        await provider.check()
        eve = await provider.user_by_name("eve")
        self.assertEqual((eve.id, eve.password, eve.status), (7, "$6$x$y", 1))
        self.assertEqual([user.username for user in await provider.users(10, 0)], ["adam", "eve"])
        self.assertEqual([user.username for user in await provider.dump("adam")], ["eve"])
        self.assertEqual((await provider.user_by_id(8)).username, "adam")
        await provider.update_last_login("eve", 5)
        await provider.update_quota("eve", 1, 2, 3)
        self.assertEqual(await provider.used_quota("eve"), (0, 0))

    async def test_command(self) -> None:
        settings = self.empty()
        folder = self.mktemp()
        os.mkdir(folder)
        section = {name: getattr(settings, name) for name in ("driver", "connection_string")}
        put(f"{folder}/sftpgo.json", json.dumps({"data_provider": section}).encode())
        for wanted in ("applied 20191230.sql", "up to date, nothing was changed"):
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                self.assertEqual(run(["--config-dir", folder]), 0)
            self.assertIn(wanted, output.getvalue())
            self.assertNotIn(databases.PASSWORD, output.getvalue())


class PostgreSQL(Stages, TestCase):
    dialect = "postgresql"

    def empty(self, **changes: Any) -> DataProvider:
        return attrs.evolve(postgresql_settings(prepared=False), **changes)

    def execute(self, settings: DataProvider, statement: str) -> Sequence[Any]:
        path = settings.connection_string.rpartition("search_path=")[2].strip("'")
        with databases.postgresql().connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SET search_path = {path}")
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else ()

    async def test_a_table_between_two_stages(self) -> None:
        settings = self.empty()
        for statement in schema.statements(schema.load_scripts(self.dialect)[0], "users"):
            self.execute(settings, statement)
        self.execute(settings, "ALTER TABLE users ADD COLUMN last_login bigint")
        error = self.assertRaises(StartupError, initialise, settings, ".")
        self.assertIn("the column last_login without the columns expiration_date, status", str(error))
        self.assertEqual(self.execute(settings, "SELECT last_login FROM users"), [])


class MySQL(Stages, TestCase):
    dialect = "mysql"

    def empty(self, **changes: Any) -> DataProvider:
        return attrs.evolve(mysql_settings(prepared=False), **changes)

    def execute(self, settings: DataProvider, statement: str) -> Sequence[Any]:
        with databases.mariadb().connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"USE {settings.connection_string.rpartition('/')[2]}")
            cursor.execute(statement)
            return list(cursor.fetchall())

    async def test_names_that_only_the_collation_takes_for_one(self) -> None:
        """A table of the original's may have any collation: still only the exact name is a user's."""
        settings = self.empty()
        self.execute(settings, "ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_swedish_ci")
        initialise(settings, ".")
        name = "ALTER TABLE users MODIFY username varchar(255) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL"
        self.execute(settings, name)
        provider = await self.started(settings)
        await provider.add(a_user("\xc9mile"))
        self.assertEqual((await provider.user_by_name("\xc9mile")).username, "\xc9mile")
        for other in ("emile", "\xe9mile", "\xc9mile "):
            self.assertEqual(await provider.users(10, 0, username=other), [])
        await provider.update_quota("\xc9mile", 1, 1, 1)
        self.assertEqual(await provider.used_quota("\xc9mile"), (1, 1))


class Files(TestCase):
    def test_sqlite(self) -> None:
        settings = file_settings(self, "sqlite")
        told = initialise(settings, ".")
        self.assertEqual([line.partition("applied ")[2][:8] for line in told], NAMES)
        self.assertIn("nothing was changed", initialise(settings, ".")[0])

    def test_bolt(self) -> None:
        settings = file_settings(self, "bolt")
        self.assertIn("is ready", initialise(settings, ".")[0])
        self.assertTrue(os.path.isfile(settings.name))

    def test_memory(self) -> None:
        self.assertIn("nothing to prepare", initialise(DataProvider(driver="memory"), ".")[0])
