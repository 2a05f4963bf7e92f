"""A database that is away at the start, goes away, and comes back; and one that refuses."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sftpgo.config.model import DataProvider
from sftpgo.dataprovider.backoff import DatabaseDown
from sftpgo.dataprovider.initialise import initialise
from sftpgo.dataprovider.waiting import started
from sftpgo.errors import NotFound, OutcomeUnknown, ProviderError, StartupError
from tests import databases
from tests.dataprovider.stores import mysql_settings, postgresql_settings, provider_of
from tests.provider_case import a_user, at_once


class Outages:
    """Mixed into one TestCase for each server."""

    timeout = 120

    def settings(self, **changes: Any) -> DataProvider:
        raise AssertionError

    def keys(self, **changes: Any) -> DataProvider:
        """The way to the server by single keys, not by a connection string."""
        raise AssertionError

    def server(self) -> databases.DatabaseServer:
        raise AssertionError

    def provider(self, settings: DataProvider) -> Any:
        provider = provider_of(settings, [])
        self.addCleanup(lambda: Deferred.fromCoroutine(provider.stop()))
        return provider

    async def refused(self, settings: DataProvider) -> StartupError:
        for attempt in ("start", "initialise"):
            try:
                if attempt == "start":
                    await self.provider(settings).start()
                else:
                    initialise(settings, ".")
            except StartupError as error:
                self.assertNotIn("\n", str(error))
                for secret in (databases.PASSWORD, "hush", databases.PASSWORD[:5]):
                    self.assertNotIn(secret, str(error))
                found = error
            else:
                self.fail(f"{attempt}: nothing was refused")
        return found

    async def test_away_and_back(self) -> None:
        provider = self.provider(self.settings())
        await provider.start()
        stored = await provider.add(a_user("a"))
        await at_once([provider.check() for _ in range(10)])
        self.server().stop(signal.SIGINT if self.server().leash == "QUIT" else signal.SIGTERM)
        try:
            for call in (
                provider.check(),
                provider.user_by_name("a"),
                provider.users(10, 0),
                provider.update_quota("a", 1, 1, 1),
                provider.add(a_user("b")),
            ):
                try:
                    await call
                except ProviderError as error:
                    self.assertNotIn(databases.PASSWORD, str(error))
                else:
                    self.fail("it answered")
        finally:
            self.server().start()
        while True:
            try:
                await provider.check()
                break
            except ProviderError:
                await deferLater(reactor, 0.05)
        self.assertEqual(await provider.user_by_name("a"), stored)
        await provider.update_quota("a", 2, 3, 1)
        self.assertEqual(await provider.used_quota("a"), (2, 3))

    async def test_a_restart_between_two_calls_is_not_noticed(self) -> None:
        provider = self.provider(self.settings())
        await provider.start()
        await at_once([provider.add(a_user(f"u{number}")) for number in range(8)])
        self.server().stop(signal.SIGINT if self.server().leash == "QUIT" else signal.SIGTERM)
        self.server().start()
        self.assertEqual((await provider.user_by_name("u3")).username, "u3")
        self.assertEqual(len(await provider.users(10, 0)), 8)
        await provider.update_last_login("u3", 5)
        self.assertEqual((await provider.user_by_name("u3")).last_login, 5)

    async def test_waiting_for_it(self) -> None:
        settings = self.settings()
        said: list[str] = []
        self.server().stop(signal.SIGINT if self.server().leash == "QUIT" else signal.SIGTERM)
        try:
            error = await self.refused(settings)
            self.assertIsInstance(error, DatabaseDown)
            self.assertIn(f"127.0.0.1:{self.server().port}", str(error))
            provider = self.provider(settings)
            starting = Deferred.fromCoroutine(started(provider, 60, clock=reactor, said=said.append))
            while not said:
                await deferLater(reactor, 0.05)
            self.assertFalse(starting.called)
        finally:
            self.server().start()
        await starting
        await provider.check()
        self.assertEqual(len(said), 1)
        self.assertIn("waiting for it up to 60 s", said[0])

    async def test_wrong_password_is_not_waited_for(self) -> None:
        error = await self.refused(self.keys(password="hush"))
        self.assertNotIsInstance(error, DatabaseDown)
        self.assertIn("sftpgo", str(error))
        said: list[str] = []
        try:
            await started(self.provider(self.keys(password="hush")), 3600, clock=reactor, said=said.append)
        except StartupError:
            self.assertEqual(said, [])
        else:
            self.fail("it started")

    async def test_no_such_database(self) -> None:
        error = await self.refused(self.keys(name="nobodys"))
        self.assertNotIsInstance(error, DatabaseDown)
        self.assertIn('"nobodys"', str(error))

    async def test_right_password(self) -> None:
        provider = self.provider(self.keys())
        try:
            await provider.start()
        except StartupError as error:
            self.assertIn('there is no table "users"', str(error))

    async def test_no_such_host(self) -> None:
        error = await self.refused(self.keys(host="nowhere.invalid"))
        self.assertIsInstance(error, DatabaseDown)

    async def test_no_name_of_a_host(self) -> None:
        self.assertIn("x" * 64, str(await self.refused(self.keys(host="x" * 64))))

    async def test_few_connections(self) -> None:
        """Everything works with as many as are allowed, also with a single one."""
        for size in (1, 2, 3):
            settings = self.settings(pool_size=size)
            provider = self.provider(settings)
            await provider.start()
            await provider.add(a_user("a"))
            work = [provider.update_quota("a", 1, 1, 1) for _ in range(20)]
            work += [provider.dump() for _ in range(5)] + [provider.user_by_name("a") for _ in range(20)]
            await at_once(work)
            self.assertLessEqual(self.connections(), size)
            self.assertEqual(await provider.used_quota("a"), (20, 20))
            await provider.stop()
            await self.until(lambda: self.connections() == 0)

    def connections(self) -> int:
        raise AssertionError

    async def until(self, holds: Any) -> None:
        end = time.monotonic() + databases.PATIENCE
        while not holds():
            self.assertLess(time.monotonic(), end)
            await deferLater(reactor, 0.05)

    async def test_a_lost_table(self) -> None:
        provider = self.provider(self.settings())
        await provider.start()
        self.drop(provider)
        for call in (provider.check(), provider.users(1, 0), provider.user_by_name("a"), provider.add(a_user("z"))):
            try:
                await call
            except NotFound:
                self.fail("no such user is another thing")
            except ProviderError as error:
                self.assertIn("users", str(error))
                self.assertNotIn("\n", str(error))
            else:
                self.fail("no error")

    def drop(self, provider: Any) -> None:
        raise AssertionError

    async def test_unreadable_rows(self) -> None:
        warnings: list[str] = []
        settings = self.settings()
        provider = provider_of(settings, warnings)
        self.addCleanup(lambda: Deferred.fromCoroutine(provider.stop()))
        await provider.start()
        await at_once([provider.add(a_user(name)) for name in "abcdef"])
        self.spoil(settings, "UPDATE users SET permissions = '{' WHERE username IN ('c', 'd')")
        try:
            await provider.user_by_name("c")
        except ProviderError as error:
            self.assertIn('cannot read the user "c": permissions: not valid JSON', str(error))
        else:
            self.fail("it was read")
        self.assertEqual([user.username for user in await provider.users(10, 0)], list("abef"))
        self.assertEqual([user.username for user in await provider.dump("", 3)], list("abe"))
        self.assertEqual(len(warnings), 4)

    def spoil(self, settings: DataProvider, statement: str) -> None:
        raise AssertionError

    async def test_values_that_do_not_fit(self) -> None:
        """Refused, not cut short."""
        provider = self.provider(self.settings())
        await provider.start()
        for values in ({"quota_size": 2**63}, {"uid": 2**31}, {"home_dir": "/" * 256}, {"password": "x" * 256}):
            try:
                await provider.add(attrs.evolve(a_user("a"), **values))
            except ProviderError as error:
                self.assertNotIn("xxx", str(error))
            else:
                self.fail(f"{values} was stored")
        self.assertEqual(list(await provider.users(10, 0)), [])

    async def broken_in_mid_change(self, settings: DataProvider, lock: str, find: str, kill: str) -> None:
        """Somebody holds the row; then the connection that waits for it is ended."""
        provider = self.provider(settings)
        await provider.start()
        await provider.add(a_user("a"))
        with contextlib.closing(self.server().connect()) as other:
            cursor = other.cursor()
            cursor.execute("BEGIN")
            cursor.execute(lock)
            changing = Deferred.fromCoroutine(provider.update_quota("a", 1, 1, 1))
            found: list[tuple[Any, ...]] = []
            while not (found or changing.called):
                await deferLater(reactor, 0.05)
                found = self.server().execute(find)
            for (number,) in found:
                self.server().execute(kill.format(number))
            try:
                await changing
            except OutcomeUnknown:
                pass
            else:
                self.fail("it was done, although the row was locked")
            cursor.execute("ROLLBACK")
        await provider.update_quota("a", 1, 1, 1)
        self.assertEqual(await provider.used_quota("a"), (1, 1))


class PostgreSQL(Outages, TestCase):
    def settings(self, **changes: Any) -> DataProvider:
        return postgresql_settings(**changes)

    def keys(self, **changes: Any) -> DataProvider:
        self.server()
        given = {
            "driver": "postgresql",
            "host": "127.0.0.1",
            "port": self.server().port,
            "name": "postgres",
            "username": "sftpgo",
            "password": databases.PASSWORD,
            **changes,
        }
        return DataProvider(**given)

    def server(self) -> databases.PostgreSQLServer:
        return databases.postgresql()

    def connections(self) -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'sftpgo'"
        return int(self.server().execute(query)[0][0])

    def drop(self, provider: Any) -> None:
        schema = provider._parameters["options"].rpartition("=")[2]
        self.server().execute(f"DROP TABLE {schema}.users")

    def spoil(self, settings: DataProvider, statement: str) -> None:
        schema = settings.connection_string.rpartition("search_path=")[2].strip("'")
        self.server().execute(statement.replace("users", f"{schema}.users"))

    async def test_a_connection_that_is_killed(self) -> None:
        provider = self.provider(self.settings())
        await provider.start()
        await provider.add(a_user("a"))
        for _ in range(3):
            # Returns when they are gone.
            query = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'sftpgo'"
            self.server().execute(query)
            await provider.update_quota("a", 1, 1, 1)
        self.assertEqual(await provider.used_quota("a"), (3, 3))

    async def test_broken_in_mid_change(self) -> None:
        settings = self.settings()
        schema = settings.connection_string.rpartition("search_path=")[2].strip("'")
        await self.broken_in_mid_change(
            settings,
            f"UPDATE {schema}.users SET uid = 5",
            "SELECT pid FROM pg_stat_activity WHERE usename = 'sftpgo' AND wait_event_type = 'Lock'",
            "SELECT pg_terminate_backend({}, 10000)",
        )

    @contextlib.contextmanager
    def held(self, settings: DataProvider, statement: str) -> Iterator[None]:
        """Somebody else's transaction is open, with this statement in it; its C{{}} is the table of users."""
        schema = settings.connection_string.rpartition("search_path=")[2].strip("'")
        with self.server().connect() as other:
            other.autocommit = False
            other.cursor().execute(statement.format(f"{schema}.users"))
            yield
            other.rollback()

    async def test_a_statement_that_takes_too_long(self) -> None:
        """Somebody's lock on the row: given up in time, and the connection is as good as before."""
        settings = self.settings(pool_size=1)
        provider = self.provider(settings)
        await provider.start()
        await provider.add(a_user("a"))
        async with provider._pool.connection() as connection:
            await connection.run("SET statement_timeout = 200")
        with self.held(settings, "UPDATE {} SET uid = 5"):
            try:
                await provider.update_quota("a", 1, 1, 1)
            except ProviderError as error:
                self.assertEqual(str(error), "canceling statement due to statement timeout")
            else:
                self.fail("nothing was locked")
        await provider.update_quota("a", 1, 1, 1)
        self.assertEqual(await provider.used_quota("a"), (1, 1))

    async def test_who_waits_no_longer(self) -> None:
        """Neither asks once more nor keeps the connection, and the next answer is nobody else's."""
        settings = self.settings(pool_size=1)
        provider = self.provider(settings)
        await provider.start()
        await provider.add(a_user("a"))
        with self.held(settings, "LOCK TABLE {}"):
            for call in (provider.check(), provider.users(1, 0)):
                asking = Deferred.fromCoroutine(call)
                await deferLater(reactor, 0.1)
                self.assertFalse(asking.called)
                asking.cancel()
                self.failureResultOf(asking, CancelledError)
        self.assertEqual((await provider.user_by_name("a")).username, "a")

    async def test_a_lookup_that_is_not_answered(self) -> None:
        """Whoever logs in waits less than a list may take."""
        from sftpgo.dataprovider import postgresql  # noqa: PLC0415

        settings = self.settings(pool_size=1)
        provider = self.provider(settings)
        await provider.start()
        await provider.add(a_user("a"))
        with self.held(settings, "LOCK TABLE {}"):
            patch = self.patch(postgresql, "_SHORT_TIMEOUT", 0.2)
            try:
                await provider.user_by_name("a")
            except ProviderError as error:
                self.assertEqual(str(error), "no answer within 0.2 seconds")
            else:
                self.fail("nothing was locked")
            finally:
                patch.restore()
        self.assertEqual((await provider.user_by_name("a")).username, "a")

    async def test_a_host_that_is_silent(self) -> None:
        """Whoever accepts and says nothing is not waited for longer than ten seconds."""
        from twisted.internet.protocol import Factory, Protocol  # noqa: PLC0415

        from sftpgo.dataprovider import pgconnection  # noqa: PLC0415

        port = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        self.patch(pgconnection, "_CONNECT_TIMEOUT", 0.2)
        provider = self.provider(self.keys(port=port.getHost().port))
        try:
            await provider.start()
        except DatabaseDown as error:
            self.assertIn("no answer within 0.2 seconds", str(error))
        else:
            self.fail("it started")


class MySQL(Outages, TestCase):
    def settings(self, **changes: Any) -> DataProvider:
        return mysql_settings(**changes)

    def keys(self, **changes: Any) -> DataProvider:
        given = {
            "driver": "mysql",
            "host": "127.0.0.1",
            "port": self.server().port,
            "name": "mysql",
            "username": "sftpgo",
            "password": databases.PASSWORD,
            **changes,
        }
        return DataProvider(**given)

    def server(self) -> databases.MariaDBServer:
        return databases.mariadb()

    def connections(self) -> int:
        query = "SELECT count(*) FROM information_schema.processlist WHERE user = 'sftpgo'"
        return int(self.server().execute(query)[0][0])

    def drop(self, provider: Any) -> None:
        names = self.server().execute("SELECT schema_name FROM information_schema.schemata")
        newest = max(
            (name for (name,) in names if name.startswith("test")), key=lambda name: int(name[4:].split("_")[0])
        )
        self.server().execute(f"DROP TABLE {newest}.users")

    async def test_broken_in_mid_change(self) -> None:
        settings = self.settings()
        name = settings.connection_string.rpartition("/")[2].partition("?")[0]
        await self.broken_in_mid_change(
            settings,
            f"UPDATE {name}.users SET uid = 5",
            "SELECT id FROM information_schema.processlist WHERE user = 'sftpgo' AND info LIKE 'UPDATE%'",
            "KILL {}",
        )

    def spoil(self, settings: DataProvider, statement: str) -> None:
        database = settings.connection_string.rpartition("/")[2]
        self.server().execute(statement.replace("users", f"{database}.users"))
