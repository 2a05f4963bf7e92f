"""What the scripts make, on each real database, is what the statements are written for."""

from __future__ import annotations

from typing import Any

import psycopg2
from sqlalchemy import BigInteger, Column, Engine, Integer, String, Text, create_engine, inspect
from sqlalchemy.dialects.mysql import LONGTEXT
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.dataprovider import sql
from sftpgo.dataprovider.initialise import initialise
from sftpgo.dataprovider.mysettings import target
from sftpgo.dataprovider.mysql import open_connection
from tests.dataprovider.stores import file_settings, mysql_settings, postgresql_settings


def kind(type_: Any, dialect: str) -> tuple[str, int | None]:
    """The type as all databases would say it; a MySQL C{longtext} is one of its own."""
    for general in (BigInteger, Integer):
        if isinstance(type_, general):
            return general.__name__, None
    if dialect == "mysql" and isinstance(type_, LONGTEXT):
        return "LONGTEXT", None
    if isinstance(type_, Text):
        return "Text", None
    assert isinstance(type_, String), type_
    return "String", type_.length


class Reflection(SynchronousTestCase):
    def check(self, engine: Engine, table: str = "users") -> None:
        self.addCleanup(engine.dispose)
        dialect = engine.dialect.name
        core = sql.users_table(table)
        found = inspect(engine)

        def wanted(column: Column[Any]) -> tuple[object, ...]:
            type_ = column.type.dialect_impl(engine.dialect)
            return column.name, kind(type_, dialect), column.nullable

        columns = found.get_columns(table)
        self.assertEqual(
            [(column["name"], kind(column["type"], dialect), column["nullable"]) for column in columns],
            [wanted(column) for column in core.columns],
        )
        defaults = [column["name"] for column in columns if column["default"] is not None]
        self.assertIn(defaults, ([], ["id"]), "the database's own way to number rows")
        self.assertEqual(found.get_pk_constraint(table)["constrained_columns"], ["id"])
        automatic = {"include_auto_indexes": True} if dialect == "sqlite" else {}
        unique = [index["column_names"] for index in found.get_indexes(table, **automatic) if index["unique"]]
        self.assertEqual(unique, [["username"]])

    def test_sqlite(self) -> None:
        settings = file_settings(self, "sqlite")  # type: ignore[arg-type]
        initialise(settings, ".")
        self.check(create_engine(f"sqlite:///{settings.name}"))

    def test_postgresql(self) -> None:
        for table in ("users", "Select"):
            dsn = postgresql_settings(users_table=table).connection_string
            self.check(create_engine("postgresql+psycopg2://", creator=lambda dsn=dsn: psycopg2.connect(dsn)), table)

    def test_mysql(self) -> None:
        for table in ("users", "Select"):
            settings = mysql_settings(users_table=table)
            where = target(settings)
            self.check(create_engine("mysql+pymysql://", creator=lambda where=where: open_connection(where)), table)
