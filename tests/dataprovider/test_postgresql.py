from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import TestCase

from tests import databases
from tests.dataprovider.rowsof import rows_of
from tests.dataprovider.stores import postgresql_settings, provider_of
from tests.provider_contract import ProviderContract


class PostgreSQL(ProviderContract, TestCase):
    duplicate = 'duplicate key value violates unique constraint "users_username_key"'
    negative_limit = "error"

    def make_provider(self) -> Any:
        self.warnings: list[str] = []
        self.settings = postgresql_settings()
        return provider_of(self.settings, self.warnings)

    async def tearDown(self) -> None:
        self.assertEqual(self.warnings, [])

    async def fill(self, names: Sequence[str]) -> None:
        schema = self.settings.connection_string.rpartition("search_path=")[2].strip("'")
        columns, rows = rows_of(names)
        marks = ", ".join(["%s"] * len(columns))
        with databases.postgresql().connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SET search_path = {schema}")
            cursor.executemany(f"INSERT INTO users ({', '.join(columns)}) VALUES ({marks})", rows)
