from __future__ import annotations

import os
from base64 import b64encode
from urllib.parse import unquote_to_bytes

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.actions.address import Address


class Addresses(SynchronousTestCase):
    def url(self, url: str, *pairs: tuple[str, str]) -> bytes:
        return Address.parse(url).with_query(pairs)

    def test_query(self) -> None:
        pairs = (("action", "upload"), ("username", "u 1"), ("path", "/h/ä&b=c+d~e"))
        self.assertEqual(
            self.url("http://h/p", *pairs),
            b"http://h/p?action=upload&path=%2Fh%2F%C3%A4%26b%3Dc%2Bd~e&username=u+1",
        )

    def test_query_that_is_there_already(self) -> None:
        self.assertEqual(
            self.url("http://h/p?z=1&action=preset&k&b=%20x&username=", ("action", "upload"), ("username", "u")),
            b"http://h/p?action=preset&action=upload&b=+x&k=&username=&username=u&z=1",
        )

    def test_bytes_that_are_no_utf8(self) -> None:
        name = os.fsdecode(b"/\xff\xfe\n")
        self.assertEqual(self.url("http://h/?q=%fe", ("path", name)), b"http://h/?path=%2F%FF%FE%0A&q=%FE")
        self.assertRaises(UnicodeEncodeError, self.url, "http://h/", ("path", "\ud800"))

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9)), min_size=1, max_size=5))
    def test_any_bytes_come_back(self, pairs: list[tuple[bytes, bytes]]) -> None:
        url = self.url("http://h/", *((os.fsdecode(key), os.fsdecode(value)) for key, value in pairs))
        self.assertRegex(url, rb"\Ahttp://h/\?[A-Za-z0-9_.~%+=&-]*\Z")
        split = [item.partition(b"=")[::2] for item in url.partition(b"?")[2].split(b"&")]
        back = [tuple(_unquoted(part) for part in pair) for pair in split]
        self.assertEqual(back, sorted(pairs, key=lambda pair: pair[0]))

    def test_places(self) -> None:
        for url, expected in (
            ("http://h", b"http://h/?a=b"),
            ("https://h:443/x#frag", b"https://h/x?a=b"),
            ("http://H.Example:8080/%7Eu/a b/ä", b"http://h.example:8080/%7Eu/a%20b/%C3%A4?a=b"),
            ("http://[::1]:81/", b"http://[::1]:81/?a=b"),
            ("http://bücher.example/", b"http://xn--bcher-kva.example/?a=b"),
            ("http://u:p@h/", b"http://h/?a=b"),
            ("http://my_hook:1/", b"http://my_hook:1/?a=b"),
        ):
            self.assertEqual(self.url(url, ("a", "b")), expected)

    def test_refused(self) -> None:
        for url in (
            "ftp://h/",
            "http:///x",
            "/x",
            "",
            "http://h:x/",
            "http://[::1",
            "http://" + "a" * 64 + ".example/",
        ):
            with self.assertRaises(ValueError, msg=url):
                Address.parse(url)

    def test_logs_see_no_secret(self) -> None:
        address = Address.parse("https://user:s3cret@h/p?token=s3cret")
        self.assertEqual(str(address), "https://h/p")
        self.assertNotIn("s3cret", repr(address))
        self.assertEqual(address.authorization, "Basic " + b64encode(b"user:s3cret").decode())


def _unquoted(part: bytes) -> bytes:
    return unquote_to_bytes(part.replace(b"+", b" "))
