"""The statements by themselves: their plans, their arithmetic, and that every dialect can say them."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import ClauseElement, Engine, create_engine, insert, select
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.pool import StaticPool
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.dataprovider import schema, sql
from sftpgo.dataprovider.rows import MOST, bounded, row_from_user
from tests.provider_case import FULL

TABLE = sql.users_table("users")
STATEMENTS = sql.statements(TABLE)
PAGE = {"page_limit": 10, "page_offset": 5}


def with_schema(test: SynchronousTestCase) -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    test.addCleanup(engine.dispose)
    with engine.begin() as connection:
        for script in schema.load_scripts("sqlite"):
            for statement in schema.statements(script, "users"):
                connection.exec_driver_sql(statement)
    return engine


class Plans(SynchronousTestCase):
    def plan(self, statement: Any, values: dict[str, object], keys: list[str] | None = None) -> str:
        engine = with_schema(self)
        compiled = statement.compile(engine, column_keys=keys)
        text = str(compiled)
        self.assertEqual(text.count("?"), len(compiled.positiontup or ()))
        parameters = tuple({**compiled.params, **values}[name] for name in compiled.positiontup or ())
        with engine.connect() as connection:
            rows = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + text, parameters).fetchall()
        return "; ".join(row[3] for row in rows)

    def test_lookups_use_an_index(self) -> None:
        name = {"name": "a"}
        counts = sql.quota_to_add("a", 1, 1, 1)
        for statement, values in [
            (STATEMENTS.by_name, name),
            (STATEMENTS.used_quota, name),
            (STATEMENTS.page_of_one, {**name, **PAGE}),
            (STATEMENTS.add_quota, counts),
            (STATEMENTS.reset_quota, sql.quota_to_set("a", 1, 1, 1)),
            (STATEMENTS.last_login, {**name, "now": 1}),
        ]:
            plan = self.plan(statement, values)
            self.assertRegex(plan, r"^SEARCH users USING INDEX \S+ \(username=\?\)$")
        for statement in (STATEMENTS.by_id, STATEMENTS.remove):
            self.assertEqual(self.plan(statement, {"user_id": 1}), "SEARCH users USING INTEGER PRIMARY KEY (rowid=?)")
        changes = sql.replaced(FULL)
        plan = self.plan(STATEMENTS.replace, changes, [key for key in changes if key != "user_id"])
        self.assertEqual(plan, "SEARCH users USING INTEGER PRIMARY KEY (rowid=?)")

    def test_pages_do_not_sort(self) -> None:
        for statement in (STATEMENTS.page, STATEMENTS.page_descending):
            self.assertRegex(self.plan(statement, PAGE), r"^SCAN users USING INDEX \S+$")

    def test_a_far_page_counts_names_in_the_index(self) -> None:
        for statement, sign in ((STATEMENTS.page_far, ">"), (STATEMENTS.page_far_descending, "<")):
            plan = self.plan(statement, PAGE)
            self.assertRegex(plan, rf"^SEARCH users USING INDEX \S+ \(username{sign}\?\); SCALAR SUBQUERY 1; ")
            self.assertRegex(plan, r"SCAN users USING COVERING INDEX \S+$")

    def test_walk_starts_where_it_left_off(self) -> None:
        plan = self.plan(STATEMENTS.after, {"name": "a", **PAGE})
        self.assertRegex(plan, r"^SEARCH users USING INDEX \S+ \(username>\?\)$")


class Quota(SynchronousTestCase):
    @given(st.lists(st.tuples(st.booleans(), st.integers(-(2**64), 2**64) | st.integers(-9, 9)), max_size=6))
    @settings(deadline=None, max_examples=60)
    def test_as_if_counted_by_hand(self, steps: list[tuple[bool, int]]) -> None:
        engine = with_schema(self)
        want = 0
        with engine.begin() as connection:
            connection.execute(insert(TABLE), row_from_user(attrs.evolve(FULL, username="a")))
            for reset, number in steps:
                if reset:
                    want = bounded(number)
                    connection.execute(STATEMENTS.reset_quota, sql.quota_to_set("a", 0, number, 1))
                else:
                    want = bounded(want + min(max(number, -MOST), MOST))
                    connection.execute(STATEMENTS.add_quota, sql.quota_to_add("a", 0, number, 1))
                got = connection.execute(select(TABLE.c.used_quota_size)).scalar_one()
                self.assertIs(type(got), int)
                self.assertEqual(got, want)


class Dialects(SynchronousTestCase):
    def test_all_can_be_said(self) -> None:
        values = {"add": sql.inserted(FULL), "replace": sql.replaced(FULL)}
        for dialect in (postgresql.dialect(paramstyle="pyformat"), mysql.dialect(paramstyle="pyformat")):
            for field in attrs.fields(sql.Statements):
                statement: ClauseElement = getattr(STATEMENTS, field.name)
                keys = [key for key in values.get(field.name, {}) if key != "user_id"] or None
                text = str(statement.compile(dialect=dialect, column_keys=keys))
                self.assertIn("users", text)

    def test_an_update_never_names_what_it_must_not_touch(self) -> None:
        changed = set(sql.replaced(FULL))
        self.assertEqual(
            set(TABLE.c.keys()) - changed,
            {"id", "username", "used_quota_size", "used_quota_files", "last_quota_update", "last_login"},
        )
        self.assertEqual(set(TABLE.c.keys()) - set(sql.inserted(FULL)), {"id"})
