"""Connection strings for MySQL, in both forms."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config.model import DataProvider
from sftpgo.dataprovider.mysettings import Target, target
from sftpgo.errors import StartupError


def parsed(text: str) -> Target:
    return target(DataProvider(driver="mysql", connection_string=text))


class ConnectionStrings(SynchronousTestCase):
    def test_forms_of_the_original(self) -> None:
        for text, want in [
            ("u:p@tcp([127.0.0.1]:3307)/n", Target(host="127.0.0.1", port=3307, user="u", password="p", name="n")),
            ("u:p@tcp(db.example:3307)/n", Target(host="db.example", port=3307, user="u", password="p", name="n")),
            ("u:p@tcp([::1]:3307)/n", Target(host="::1", port=3307, user="u", password="p", name="n")),
            ("u@tcp(h)/n", Target(host="h", user="u", name="n")),
            ("u:p@/n", Target(user="u", password="p", name="n")),
            ("/n", Target(name="n")),
            ("u:@unix(/run/x.sock)/n", Target(socket="/run/x.sock", user="u", name="n")),
            ("u:a@b/c:d(e)@tcp(h:1)/n", Target(host="h", port=1, user="u", password="a@b/c:d(e)", name="n")),
            ("u:a://b@tcp(h)/n", Target(host="h", user="u", password="a://b", name="n")),
            ("u:p@tcp(h)/n?ssl_ca=/x@y/z", Target(host="h", user="u", password="p", name="n", authorities="/x@y/z")),
            ("u:p@tcp(h)/n?tls=skip-verify", Target(host="h", user="u", password="p", name="n", tls="skip-verify")),
            (
                "u:p@tcp(h)/n?charset=utf8&interpolateParams=true&timeout=10s&readTimeout=1m30s&writeTimeout=500ms",
                Target(
                    host="h",
                    user="u",
                    password="p",
                    name="n",
                    connect_timeout=10.0,
                    read_timeout=90.0,
                    write_timeout=0.5,
                ),
            ),
        ]:
            self.assertEqual(parsed(text), want, text)

    def test_urls(self) -> None:
        for text, want in [
            ("mysql://u:p%40%2F@h:3307/n", Target(host="h", port=3307, user="u", password="p@/", name="n")),
            ("mysql+pymysql://u@[::1]/n?tls=true", Target(host="::1", user="u", name="n", tls="true")),
            ("mariadb://u@localhost/n?unix_socket=/x", Target(host="localhost", user="u", name="n", socket="/x")),
        ]:
            self.assertEqual(parsed(text), want, text)

    def test_keys(self) -> None:
        for mode, tls in enumerate(("false", "true", "skip-verify", "preferred")):
            found = target(
                DataProvider(driver="mysql", name="n", host="h", port=1, username="u", password="p", sslmode=mode)
            )
            self.assertEqual(found, Target(host="h", port=1, user="u", password="p", name="n", tls=tls))

    def test_unreadable(self) -> None:
        for text in (
            "hush",
            "u:hush@tcp(h:1)",
            "u:hush@tcp(h:port)/n",
            "u:hush@tcp(h:99999)/n",
            "mysql://u:hush@h:99999/n",
            "u:hush@udp(h:1)/n",
            "u:hush@tcp(h)/n?tls=maybe",
            "u:hush@tcp(h)/n?timeout=soon",
            "u:hush@tcp(h)/n?timeout=0s",
            "postgresql://u:hush@h/n",
            "mysql://u:hush@h:port/n",
        ):
            error = self.assertRaises(StartupError, parsed, text)
            self.assertIn("data_provider.connection_string: expected", str(error))
            self.assertNotIn("hush", str(error).replace(text, "") if text == "hush" else str(error))

    @given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
    @settings(deadline=None, max_examples=100)
    def test_any_password(self, password: str) -> None:
        for text in (
            f"u:{password}@tcp(h:1)/n?tls=true",
            f"mysql://u:{quote(password, safe='')}@h:1/n?tls=true",
        ):
            found = parsed(text)
            self.assertEqual((found.password, found.host, found.tls), (password, "h", "true"))
            self.assertNotIn(repr(found), password or " ")

    def test_never_shown(self) -> None:
        found = parsed("u:hush@tcp(h:1)/n")
        self.assertNotIn("hush", repr(found) + found.described())
