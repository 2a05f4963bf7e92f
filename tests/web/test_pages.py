from __future__ import annotations

import gzip
import os
import re

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.errors import StartupError
from sftpgo.web.pages import POLICY
from sftpgo.web.templates import Templates
from tests.doubles import HeldThreads
from tests.web.talk import Received, Reply, Server, Wire, head


class PageCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()

    def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Reply:
        return self.successResultOf(Deferred.fromCoroutine(self.server.call(method, path, body, headers)))

    def directory(self, **files: str) -> str:
        """A directory with these files, named with C{_} for the dot."""
        path = os.path.abspath(self.mktemp())
        os.mkdir(path)
        for name, content in files.items():
            with open(os.path.join(path, name.replace("_", ".")), "w") as file:
                file.write(content)
        return path


class Errors(PageCase):
    def test_first_page(self) -> None:
        for path in ("/", "/web"):
            for method in ("GET", "HEAD"):
                reply = self.ask(method, path)
                self.assertEqual((reply.status, reply.headers["Location"]), (301, "/web/users"))

    def test_unknown_pages(self) -> None:
        reply = self.ask("GET", "/web/nothing")
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (404, "text/html; charset=utf-8"))
        self.assertIn(b"<title>SFTPGo - Not found</title>", reply.body)
        for path in ("/web/", "/webx", "/api/v1/x"):
            self.assertEqual(self.ask("GET", path).json["message"], "Not Found")

    def test_headers(self) -> None:
        headers = self.ask("GET", "/web/nothing").headers
        self.assertEqual(headers.get_all("Content-Security-Policy"), [POLICY])
        self.assertNotIn("unsafe", POLICY)
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(headers["Referrer-Policy"], "same-origin")
        self.assertEqual(headers["Cache-Control"], "no-store")

    def test_made_in_a_thread(self) -> None:
        # A page of hundreds of users takes a tenth of a second, in which no transfer is to stand still.
        threads = HeldThreads()
        self.server = Server(run_in_thread=threads.run)
        for path in ("/web/users", "/web/user", "/web/connections"):
            wire = Wire(self.server.site)
            wire.send(head("GET", path))
            while not wire.value() and threads.waiting:
                last = threads.waiting[-1][1].__name__
                threads.release()
            self.assertEqual((path, Received(wire.value()).reply().status, last), (path, 200, "_made"))

    def test_compressed_for_who_takes_that(self) -> None:
        packed = self.ask("GET", "/web/nothing", None, {"Accept-Encoding": "br, gzip"})
        self.assertEqual((packed.headers["Content-Encoding"], packed.headers["Vary"]), ("gzip", "Accept-Encoding"))
        self.assertIn(b"<h1>Not found</h1>", gzip.decompress(packed.body))
        self.assertNotIn("Content-Encoding", self.ask("GET", "/web/nothing").headers)

    def test_other_methods(self) -> None:
        reply = self.ask("DELETE", "/web/login")
        self.assertEqual((reply.status, reply.headers["Allow"]), (405, "GET, HEAD, OPTIONS, POST"))
        self.assertIn(b"Method not allowed", reply.body)
        self.assertEqual((self.ask("OPTIONS", "/web/login").status, self.ask("OPTIONS", "/web/login").body), (204, b""))

    def test_foreign_host(self) -> None:
        reply = self.ask("GET", "/web/login", None, {"Host": "evil.example"})
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (403, "text/html; charset=utf-8"))

    def test_another_sites_form(self) -> None:
        reply = self.ask("POST", "/web/login", b"a=b", {"Origin": "http://evil.example"})
        self.assertEqual(reply.status, 403)

    def test_version_and_token(self) -> None:
        reply = self.ask("GET", "/web/nothing")
        self.assertIn(b"SFTPGo 1.2.3-abc-2020-01-01", reply.body)
        self.assertRegex(
            reply.headers["Set-Cookie"], r"^sftpgo_form=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; SameSite=Strict$"
        )

    def test_token_is_another_text_each_time(self) -> None:
        """Else the length of a compressed page could tell it."""
        cookie = {"Cookie": "sftpgo_form=" + "x" * 43}
        pages = [self.ask("GET", "/web/user", None, cookie).body.decode() for _ in range(2)]
        self.assertNotEqual(*pages)
        self.assertEqual(*[re.sub("[0-9a-f]{128}", "", page) for page in pages])


class TemplateTests(PageCase):
    def test_override(self) -> None:
        directory = self.directory(
            error_html="{% extends 'base.html' %}{% block content %}mine {{ meaning }}{% endblock %}"
        )
        templates = Templates(directory)
        templates.load()
        self.server = Server(templates=templates)
        reply = self.ask("GET", "/web/<x>")
        self.assertIn(b"mine There is no such page", reply.body)
        self.assertIn(b"bootstrap.min.css", reply.body)

    def test_a_missing_directory_is_none(self) -> None:
        Templates(os.path.abspath(self.mktemp())).load()

    def test_fault_is_named(self) -> None:
        path = self.directory(error_html="one\n{% nonsense %}")
        error = self.assertRaises(StartupError, Templates(path).load)
        self.assertEqual(
            str(error), f"httpd.templates_path: {path}/error.html, line 2: Encountered unknown tag 'nonsense'."
        )

    def test_templates_of_the_original_are_left_alone(self) -> None:
        """They lie where its configuration says, and are in another language."""
        path = self.directory(
            base_html='<!DOCTYPE html>{{define "base"}}<title>SFTPGo - {{template "title" .}}</title>{{end}}',
            users_html='{{template "base" .}}{{define "title"}}Users{{end}}{{range .Users}}{{.Username}}{{end}}',
            message_html="{{if .Error}}{{.Error}}{{end}}",
            login_html="{% extends 'base.html' %}{% block content %}mine{% endblock %}",
        )
        templates = Templates(path)
        self.assertEqual(templates.load(), ("base.html", "message.html", "users.html"))
        self.server = Server(templates=templates)
        self.assertIn(b"There are no users yet.", self.ask("GET", "/web/users").body)

    def test_files_that_are_no_pages_of_ours(self) -> None:
        self.assertEqual(Templates(self.directory(other_html="{% nonsense %}")).load(), ())

    def test_what_is_missing_at_run_time_is_answered_plainly(self) -> None:
        templates = Templates(self.directory(error_html="{{ nobody_knows }}"))
        templates.load()
        self.server = Server(templates=templates)
        reply = self.ask("GET", "/web/nothing")
        self.assertEqual((reply.status, reply.json["message"]), (404, "Not Found"))
        self.assertEqual(len([event for event in self.server.events if "log_failure" in event]), 1)
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_everything_is_escaped(self) -> None:
        page = Templates().render(
            "unavailable.html",
            {
                "text": "<img src=x onerror=alert(1)>\"'&",
                "path": "<p>",
                "version": "<v>",
                "token": "<t>",
                "user": '"><u>',
            },
        )
        for markup in (b"<img src=x", b'<p>"', b"<v>", b"<t>", b"<u>"):
            self.assertNotIn(markup, page)


class StaticFiles(PageCase):
    def test_everything_the_pages_name_is_there(self) -> None:
        page = self.ask("GET", "/web/login?x", None).body + self.ask("GET", "/web/nothing").body
        names = {part.split(b'"')[0].decode() for part in page.split(b'"/static/')[1:]}
        self.assertGreater(len(names), 3)
        for name in names:
            self.assertEqual((name, self.ask("GET", f"/static/{name}").status), (name, 200))

    def test_compressed_and_known_again(self) -> None:
        plain = self.ask("GET", "/static/bootstrap.min.css")
        packed = self.ask("GET", "/static/bootstrap.min.css", None, {"Accept-Encoding": "br, gzip"})
        self.assertEqual(plain.headers["Content-Type"], "text/css; charset=utf-8")
        self.assertLess(len(packed.body), len(plain.body) / 5)
        self.assertEqual(packed.headers["Vary"], "Accept-Encoding")
        self.assertNotEqual(packed.headers["ETag"], plain.headers["ETag"])
        for tag in (plain.headers["ETag"], f'"x", W/{plain.headers["ETag"]}', "*"):
            again = self.ask("GET", "/static/bootstrap.min.css", None, {"If-None-Match": tag})
            self.assertEqual((again.status, again.body, again.headers["ETag"]), (304, b"", plain.headers["ETag"]))
        self.assertEqual(self.ask("GET", "/static/page.js", None, {"If-None-Match": '"x"'}).status, 200)

    def test_directory(self) -> None:
        reply = self.ask("GET", "/static")
        self.assertEqual((reply.status, reply.headers["Location"]), (301, "/static/"))
        for path in ("/static/", "/static/docs", "/static/docs/"):
            self.assertEqual(self.ask("GET", path).status, 404)

    def test_own_directory_goes_first(self) -> None:
        path = self.directory(page_js="mine", other_txt="2")
        self.server = Server(static_files_path=path)
        self.assertEqual(self.ask("GET", "/static/page.js").body, b"mine")
        self.assertEqual(self.ask("GET", "/static/other.txt").body, b"2")
        self.assertEqual(self.ask("GET", "/static/theme.js").status, 200)
        with open(os.path.join(path, "page.js"), "w") as file:
            file.write("mine, longer")
        self.assertEqual(self.ask("GET", "/static/page.js").body, b"mine, longer")

    def test_nothing_else_gets_out(self) -> None:
        path = self.directory(a_txt="1")
        secret = os.path.join(os.path.dirname(path), "secret.txt")
        with open(secret, "w") as file:
            file.write("secret")
        self.addCleanup(os.unlink, secret)
        os.symlink(secret, os.path.join(path, "link.txt"))
        os.symlink("/etc", os.path.join(path, "etc"))
        os.mkfifo(os.path.join(path, "pipe.txt"))
        with open(os.path.join(path, ".hidden"), "w") as file:
            file.write("secret")
        self.server = Server(static_files_path=path)
        self.assertEqual(self.ask("GET", "/static/a.txt").body, b"1")
        for name in (
            "../secret.txt",
            "%2e%2e/secret.txt",
            "..%5csecret.txt",
            "link.txt",
            "etc/passwd",
            "pipe.txt",
            ".hidden",
            "a.txt%00.css",
            "a.txt/",
            "/etc/passwd",
            "//etc/passwd",
            "x" * 5000,
            "%ED%A0%80",
        ):
            self.assertEqual((name, self.ask("GET", f"/static/{name}").status), (name, 404))
