"""The four modes of TLS, against servers whose certificate is their own and is for C{localhost} only."""

from __future__ import annotations

import os
from typing import Any

import attrs
from twisted.trial.unittest import TestCase

from sftpgo.config.model import DataProvider
from sftpgo.errors import StartupError
from tests import databases
from tests.dataprovider.stores import mysql_settings, postgresql_settings, provider_of


class PostgreSQL(TestCase):
    def setUp(self) -> None:
        self.server = databases.postgresql()
        self.settings = postgresql_settings()
        self.schema = self.settings.connection_string.rpartition("search_path=")[2].strip("'")

    async def encrypted(self, settings: DataProvider) -> bool:
        """Whether the provider's connection is."""
        provider = provider_of(settings, [])
        self.addCleanup(provider.stop)
        await provider.start()
        await provider.check()
        query = "SELECT bool_or(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'sftpgo'"
        (found,) = self.server.execute(query)[0]
        await provider.stop()
        return bool(found)

    def by_string(self, **changes: object) -> DataProvider:
        return attrs.evolve(self.settings, connection_string=self.server.dsn(self.schema, **changes))

    async def refused(self, settings: DataProvider) -> str:
        try:
            await self.encrypted(settings)
        except StartupError as error:
            return str(error)
        return self.fail("it was connected")

    async def test_disable(self) -> None:
        self.assertFalse(await self.encrypted(self.by_string(sslmode="disable")))

    async def test_require(self) -> None:
        self.assertTrue(await self.encrypted(self.by_string(sslmode="require")))

    async def test_verify_ca(self) -> None:
        root = self.server.certificate
        self.assertTrue(await self.encrypted(self.by_string(sslmode="verify-ca", sslrootcert=root)))
        other = databases.mariadb().certificate
        self.assertIn(
            "certificate verify failed", await self.refused(self.by_string(sslmode="verify-ca", sslrootcert=other))
        )

    async def test_verify_full(self) -> None:
        given = {"sslmode": "verify-full", "sslrootcert": self.server.certificate}
        self.assertIn("does not match host name", await self.refused(self.by_string(**given)))
        self.assertTrue(await self.encrypted(self.by_string(host="localhost", **given)))

    async def test_by_keys(self) -> None:
        """C{sslmode} alone, as the configuration has it; the certificates come from libpq's own places."""
        given = DataProvider(
            driver="postgresql",
            host="localhost",
            port=self.server.port,
            name="postgres",
            username="sftpgo",
            password=databases.PASSWORD,
            users_table=f"users_{os.getpid()}",
        )
        self.server.execute(f"DROP VIEW IF EXISTS {given.users_table}")
        self.server.execute(f"CREATE VIEW {given.users_table} AS SELECT * FROM {self.schema}.users")
        self.addCleanup(self.server.execute, f"DROP VIEW {given.users_table}")
        for mode in (0, 1):
            self.assertEqual(await self.encrypted(attrs.evolve(given, sslmode=mode)), bool(mode))
        for mode in (2, 3):
            self.assertIn("root certificate file", await self.refused(attrs.evolve(given, sslmode=mode)))
        self.patch(os, "environ", os.environ)
        os.environ["PGSSLROOTCERT"] = str(self.server.certificate)
        self.addCleanup(os.environ.pop, "PGSSLROOTCERT")
        for mode in (2, 3):
            self.assertTrue(await self.encrypted(attrs.evolve(given, sslmode=mode)))
        self.assertIn("match host name", await self.refused(attrs.evolve(given, sslmode=3, host="127.0.0.1")))


class MySQL(TestCase):
    def setUp(self) -> None:
        self.server = databases.mariadb()
        self.settings = mysql_settings()

    async def encrypted(self, parameters: str, host: str = "127.0.0.1") -> bool:
        given = self.settings.connection_string.replace("tcp(127.0.0.1:", f"tcp({host}:") + parameters
        provider = provider_of(attrs.evolve(self.settings, connection_string=given), [])
        self.addCleanup(provider.stop)
        await provider.start()
        found: Any = []

        def look(engine: Any) -> None:
            with engine.connect() as connection:
                found.extend(connection.exec_driver_sql("SHOW STATUS LIKE 'Ssl_cipher'").fetchall())

        await provider._lanes.lookups.call(look, provider._engines.reads)
        return bool(found[0][1])

    async def refused(self, parameters: str, host: str = "127.0.0.1") -> str:
        try:
            await self.encrypted(parameters, host)
        except StartupError as error:
            return str(error)
        return self.fail("it was connected")

    async def test_modes(self) -> None:
        self.assertFalse(await self.encrypted("?tls=false"))
        self.assertTrue(await self.encrypted("?tls=skip-verify"))
        self.assertTrue(await self.encrypted("?tls=preferred"))

    async def test_true_verifies(self) -> None:
        self.assertIn("certificate verify failed", await self.refused("?tls=true", "localhost"))
        ours = f"?tls=true&ssl_ca={self.server.certificate}"
        self.assertTrue(await self.encrypted(ours, "localhost"))
        self.assertIn("certificate verify failed", await self.refused(ours))
        self.assertIn("cannot be read", await self.refused("?tls=true&ssl_ca=/nonexistent"))
