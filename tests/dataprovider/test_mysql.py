from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import TestCase

from tests import databases
from tests.dataprovider.rowsof import rows_of
from tests.dataprovider.stores import mysql_settings, provider_of
from tests.provider_contract import ProviderContract


class MySQL(ProviderContract, TestCase):
    duplicate = "Error 1062: Duplicate entry 'alice' for key 'username'"
    negative_limit = "error"

    def make_provider(self) -> Any:
        self.warnings: list[str] = []
        self.settings = mysql_settings()
        return provider_of(self.settings, self.warnings)

    async def tearDown(self) -> None:
        self.assertEqual(self.warnings, [])

    async def fill(self, names: Sequence[str]) -> None:
        database = self.settings.connection_string.rpartition("/")[2]
        columns, rows = rows_of(names)
        marks = ", ".join(["%s"] * len(columns))
        with databases.mariadb().connect() as connection, connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {database}.users ({', '.join(columns)}) VALUES ({marks})", rows)
