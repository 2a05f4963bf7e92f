from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.web.body import decode
from sftpgo.web.respond import Refused, to_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
CONTAINERS = VALUES.filter(lambda value: isinstance(value, list | dict))


class Decoding(SynchronousTestCase):
    def error(self, body: bytes) -> str:
        answer = self.assertRaises(Refused, decode, body).answer
        assert isinstance(answer.value, dict)
        self.assertEqual((answer.status, answer.value["message"]), (400, ""))
        text = answer.value["error"]
        assert isinstance(text, str)
        self.assertTrue(text)
        return text

    def test_values(self) -> None:
        for body, value in (
            (b"{}", {}),
            (b" \t\r\n[1] ", [1]),
            (b'"x"', "x"),
            (b"null", None),
            (b'{"a":1}{"b":2', {"a": 1}),
            (b"{}\xc3\xa4 whatever", {}),
            (b'["\\ud83d\\ude00"]', ["\N{GRINNING FACE}"]),
            (b'{"a":1,"a":2}', {"a": 2}),
        ):
            self.assertEqual(decode(body), value)

    def test_empty(self) -> None:
        for body in (b"", b" ", b"\r\n\t "):
            self.assertEqual(self.error(body), "EOF")

    def test_malformed(self) -> None:
        for body in (
            b"x",
            b"{x}",
            b"{'a':1}",
            b'{"a":1,}',
            b"[1 2]",
            b"}",
            b"\xef\xbb\xbf{}",
            b'["\x01"]',
            b"[01]",
            b"+1",
        ):
            self.assertNotIn("EOF", self.error(body))

    def test_no_numbers(self) -> None:
        for text in ("NaN", "Infinity", "-Infinity"):
            self.assertIn(text, self.error(b"[%s]" % text.encode()))
        self.assertIn("digits", self.error(b"[" + b"9" * 5000 + b"]"))

    def test_not_utf8(self) -> None:
        self.assertEqual(self.error(b'{"a":"\xff"}'), "the body is not valid UTF-8 at byte 6")

    def test_half_a_surrogate_pair(self) -> None:
        for text in (rb'"\ud800"', rb'{"\udc00": 1}', rb'["\ud83d", "\ude00"]', rb'"\uDFFFx"'):
            self.assertIn("surrogate", self.error(text))

    def test_nested_deeply(self) -> None:
        for opening in (b"[", b'{"a":'):
            self.assertIn("deep", self.error(opening * 100_000))

    def test_nested_deeply_with_escapes(self) -> None:
        # Read, but too deep for the look at its strings, or not: either way no crash.
        for depth in (300, 900, 990, 5000):
            body = b"[" * depth + rb'"\u0041"' + b"]" * depth
            try:
                decode(body)
            except Refused as refused:
                self.assertEqual(refused.answer.status, 400)

    @given(CONTAINERS, st.booleans(), st.sampled_from([None, 1]))
    @settings(deadline=None, max_examples=150)
    def test_every_part_of_a_value_is_cut_off(self, value: Any, ascii_only: bool, indent: int | None) -> None:
        whole = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
        self.assertEqual(decode(whole.encode()), value)
        for end in range(1, len(whole)):
            self.assertEqual(self.error(whole[:end].encode()), "unexpected EOF", whole[:end])

    @given(st.binary() | st.text().map(str.encode) | st.text('{}[]",:\\u0d8c1.-+eEtrufalsn ').map(str.encode))
    @settings(deadline=None, max_examples=500)
    def test_anything_is_decoded_or_refused(self, body: bytes) -> None:
        try:
            decode(body)
        except Refused as refused:
            self.assertEqual(refused.answer.status, 400)


class Encoding(SynchronousTestCase):
    def test_form(self) -> None:
        self.assertEqual(
            to_json({"b": "<a href='x'>&\u2028\u2029\"\\\x00ä", "a": [1, None]}),
            b'{"b":"\\u003ca href=\'x\'\\u003e\\u0026\\u2028\\u2029\\"\\\\\\u0000\xc3\xa4","a":[1,null]}\n',
        )

    @given(VALUES | st.text("<>&\udc80ä\n\u2028"))
    @settings(deadline=None, max_examples=150)
    def test_round_trip(self, value: Any) -> None:
        text = to_json(value)
        self.assertEqual(json.loads(text), value)
        self.assertNotRegex(text.decode(), "[<>&\u2028\u2029]|\n.")
