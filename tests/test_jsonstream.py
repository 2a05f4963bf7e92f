from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo import jsonstream
from sftpgo.jsonstream import MAX_VALUE, members

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def read(text: str | bytes) -> list[Any]:
    return list(members(io.BytesIO(text.encode() if isinstance(text, str) else text), "users"))


class MemberTests(SynchronousTestCase):
    def test_files(self) -> None:
        for text, expected in (
            ('{"users":[1,{"a":[]},"x"]}', [1, {"a": []}, "x"]),
            ("{}", []),
            ('{"users":null}', []),
            ('{"users": [ ] }\n', []),
            ('{"USERS":[12]}', [12]),
            (' {"a": {"users": [1]}, "users" : [2] , "b": [true] }', [2]),
            ('{"users":[1],"users":[2]}', [1, 2]),
            ('{"users":["\\u00e4ä\\n"]}', ["ää\n"]),
        ):
            self.assertEqual(read(text), expected, text)

    def test_broken(self) -> None:
        whole = '{"a":1,"users":[{"b":"c"},2]}'
        for end in range(len(whole)):
            self.assertRaises(ValueError, read, whole[:end])
        for text in (
            "[]",
            "null",
            '"users"',
            '{"users":{}}',
            '{"users":1}',
            '{"users":[1,]}',
            '{"users":[1 2]}',
            '{"users":[1],}',
            '{"users":[1]}x',
            '{"users":[1]}{}',
            "{1:2}",
            '{"users" [1]}',
            '{"users":[NaN]}',
            '{"users":["\\ud800"]}',
            '{"users":[' + "[" * 100_000 + "]" * 100_000 + "]}",
            b'{"users":["\xff"]}',
            b'{"users":[1]}\xc3',
        ):
            self.assertRaises(ValueError, read, text)

    def test_place_of_the_fault(self) -> None:
        padding = " " * 200_000
        error = self.assertRaises(ValueError, read, '{"users":[' + padding + "oops]}")
        self.assertIn(f"character {10 + len(padding)}", str(error))

    @settings(deadline=None, max_examples=150)
    @given(st.lists(_VALUES, max_size=5), st.integers(1, 9), st.sampled_from([None, 2]))
    def test_any_values_in_windows_of_any_size(self, values: list[Any], chunk: int, indent: int | None) -> None:
        text = json.dumps({"x": values, "users": values, "y": 1}, indent=indent, ensure_ascii=False)
        self.patch(jsonstream, "CHUNK", chunk)
        self.assertEqual(read(text), values)

    def test_memory_is_that_of_the_largest_member(self) -> None:
        content = b'{"users":[' + b",".join(b'{"n":"%s"}' % (b"x" * 1000) for _ in range(20_000)) + b"]}"
        file = io.BytesIO(content)
        tracemalloc.start()
        try:
            count = sum(1 for _ in members(file, "users"))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertEqual(count, 20_000)
        self.assertLess(peak, 2_000_000)

    def test_a_member_without_end(self) -> None:
        error = self.assertRaises(ValueError, read, b'{"users":["' + b"x" * (MAX_VALUE * 3))
        self.assertIn("Unterminated string", str(error))
