"""The import into a store: what is added, changed, left alone and skipped, and the same again."""

from __future__ import annotations

import contextlib
import io
import json
import os
from typing import Any

import attrs
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sftpgo.cli import main
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.user import Filters, User
from sftpgo.errors import ProviderError
from sftpgo.importing.formats import opener
from sftpgo.importing.found import Found, Options, SourceError
from sftpgo.importing.moving import Importer
from sftpgo.importing.report import Outcome, Report, Result
from sftpgo.jsons import user_to_json
from sftpgo.passwords import Passwords
from sftpgo.printable import printable
from sftpgo.ssh import authorized_keys
from tests.dataprovider.stores import file_settings, mysql_settings, postgresql_settings, provider_of
from tests.provider_case import COUNTED

HASH = "$6$salt$" + "x" * 86
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGCAv6TzdDBqTCbcKhO3bbYYxIVQ4hWHwvtbWe4QXmDx c"
DSA = "ssh-dss AAAAB3NzaC1kc3MAAAAA old"


def account(name: str, **values: Any) -> User:
    given: dict[str, Any] = {"password": HASH, "home_dir": f"/srv/{name}", "permissions": {"/": ("*",)}, "status": 1}
    return User(username=name, **{**given, **values})


class ImporterTestCase(TestCase):
    async def started(self, provider: Any) -> Any:
        self.addCleanup(provider.stop)
        await provider.start()
        return provider

    def write(self, text: str) -> str:
        """A file of this content."""
        path = os.path.abspath(self.mktemp())
        with open(path, "w") as file:
            file.write(text)
        return path

    def dump(self, *users: User) -> str:
        return self.write(json.dumps({"users": [user_to_json(user, with_password=True) for user in users]}))

    async def moved(
        self, provider: Any, path: str, wanted: str = "dump", *, output: io.StringIO | None = None, **options: Any
    ) -> tuple[list[int], str]:
        """The numbers of those added, changed, unchanged and skipped; and the lines, which also go to C{output}."""
        output = output or io.StringIO()
        report = Report(output, None, dry_run=options.get("dry_run", False), quiet=False)
        passwords = Passwords(deferToThread, workers=2)
        importer = Importer(provider, passwords, authorized_keys.check, deferToThread, **options)
        _, opens = opener(path, wanted, Options())
        with opens() as source:
            await importer.run(source, report)
        return [report.counts[outcome] for outcome in Outcome], output.getvalue()

    async def all(self, provider: Any) -> list[User]:
        return [attrs.evolve(user, id=0) for user in await provider.dump()]


class _FailsForB(MemoryProvider):
    """A store that has no room for one user."""

    async def add(self, user: User) -> User:
        """Add anybody but b."""
        if user.username == "b":
            raise ProviderError("no room")
        return await super().add(user)


class Moving(ImporterTestCase):
    async def test_again_and_again(self) -> None:
        """On every store: all added, then nothing to do; the dry run before says the same and does nothing."""
        users = [
            account("a", **COUNTED),
            account("b", public_keys=(KEY,), filters=Filters(("10.0.0.0/8",), ())),
            account("\xe9mile '", permissions={"/": ("list",), "/x": ("*",)}, quota_size=2**40),
        ]
        path = self.dump(*users)
        for settings in (
            file_settings(self, "sqlite"),
            file_settings(self, "bolt"),
            postgresql_settings(),
            mysql_settings(),
        ):
            provider = await self.started(provider_of(settings, []))
            counts, lines = await self.moved(provider, path, dry_run=True)
            self.assertEqual(counts, [3, 0, 0, 0])
            self.assertIn("user 0: a: would be added\n", lines)
            self.assertEqual(await self.all(provider), [])
            counts, lines = await self.moved(provider, path)
            self.assertEqual(counts, [3, 0, 0, 0])
            self.assertIn("user 1: b: added\n", lines)
            self.assertEqual(await self.all(provider), users)
            for dry_run in (True, False):
                self.assertEqual(await self.moved(provider, path, dry_run=dry_run), ([0, 0, 3, 0], ""))
            self.assertEqual(await self.all(provider), users)

    async def test_what_changed(self) -> None:
        provider = await self.started(MemoryProvider())
        await self.moved(provider, self.dump(account("a", **COUNTED), account("b")))
        await provider.update_quota("a", 5, 5, 99, reset=True)
        path = self.dump(account("a", uid=7, home_dir="/other"), account("b"))
        counts, lines = await self.moved(provider, path, dry_run=True)
        self.assertEqual((counts, lines), ([0, 1, 1, 0], "user 0: a: would be changed: home_dir, uid\n"))
        self.assertEqual((await provider.user_by_name("a")).uid, 0)
        counts, lines = await self.moved(provider, path)
        self.assertEqual((counts, lines), ([0, 1, 1, 0], "user 0: a: changed: home_dir, uid\n"))
        user = await provider.user_by_name("a")
        self.assertEqual((user.uid, user.home_dir, user.used_quota_files, user.last_login), (7, "/other", 5, 14))

    async def test_only_what_the_source_knows(self) -> None:
        """A password file says nothing of permissions: those given here stay."""
        provider = await self.started(MemoryProvider())
        path = self.write(f"a:{HASH}:1:2::/srv/a:\n")
        await self.moved(provider, path, "proftpd")
        user = await provider.user_by_name("a")
        limited = attrs.evolve(user, permissions={"/": ("list",)}, status=0, quota_files=3, public_keys=(KEY,))
        await provider.update(limited)
        self.assertEqual((await self.moved(provider, path, "proftpd"))[0], [0, 0, 1, 0])
        path = self.write(f"a:{HASH}:1:2::/srv/moved:\n")
        self.assertEqual((await self.moved(provider, path, "proftpd"))[0], [0, 1, 0, 0])
        self.assertEqual(await provider.user_by_name("a"), attrs.evolve(limited, home_dir="/srv/moved"))

    async def test_passwords_in_plain_text(self) -> None:
        provider = await self.started(MemoryProvider())
        path = self.dump(account("a", password="secret"))
        self.assertEqual((await self.moved(provider, path))[0], [1, 0, 0, 0])
        stored = (await provider.user_by_name("a")).password
        self.assertTrue(stored.startswith("$argon2id$"))
        self.assertEqual((await self.moved(provider, path))[0], [0, 0, 1, 0])
        self.assertEqual((await provider.user_by_name("a")).password, stored)
        counts, lines = await self.moved(provider, self.dump(account("a", password="another")))
        self.assertEqual(counts, [0, 1, 0, 0])
        self.assertNotIn("another", lines)
        self.assertNotEqual((await provider.user_by_name("a")).password, stored)

    async def test_skipped(self) -> None:
        provider = await self.started(MemoryProvider())
        counts, lines = await self.moved(
            provider,
            self.dump(
                account("ok"),
                account("ok", uid=5),
                account("nohome", home_dir="x"),
                account("nopassword", password=""),
                account("odd", permissions={"/": ("fly",)}),
                account("on\nly", uid=3),
                account(""),
            ),
        )
        self.assertEqual(counts, [1, 0, 0, 6])
        for told in (
            "user 1: ok: skipped: user 0 has the same name",
            "user 2: nohome: skipped: Validation error: home_dir must be an absolute path",
            "user 3: nopassword: skipped: Validation error: Please set a password",
            'user 4: odd: skipped: Validation error: Invalid permission: "fly"',
            "user 5: on\\nly: skipped: Validation error: username cannot hold control characters",
            "user 6: : skipped: Validation error: Mandatory",
        ):
            self.assertIn(told, lines)
        self.assertEqual((await provider.user_by_name("ok")).uid, 0)

    async def test_keys_that_are_of_no_use(self) -> None:
        provider = await self.started(MemoryProvider())
        path = self.dump(account("a", public_keys=(DSA, KEY)), account("b", public_keys=(DSA,), password=""))
        counts, lines = await self.moved(provider, path)
        self.assertEqual(counts, [1, 0, 0, 1])
        self.assertIn("user 0: a: note: public key 0 is left out: no key found\n", lines)
        self.assertIn("user 1: b: skipped: Validation error: Please set a password or at least a public_key", lines)
        self.assertEqual((await provider.user_by_name("a")).public_keys, (KEY,))
        self.assertEqual((await self.moved(provider, path))[0], [0, 0, 1, 1])

    async def test_a_source_that_breaks_off(self) -> None:
        provider = await self.started(MemoryProvider())
        users = [json.dumps(user_to_json(account(f"u{number:03}"), with_password=True)) for number in range(100)]
        path = self.write('{"users":[' + ",".join(users) + ",")
        try:
            await self.moved(provider, path)
        except SourceError:
            self.assertEqual(len(await provider.dump()), 64, "what was taken stays")
        else:
            self.fail("it was taken as whole")

    async def test_a_store_that_fails(self) -> None:
        provider = await self.started(MemoryProvider())
        await provider.stop()
        try:
            await self.moved(provider, self.dump(account("a")))
        except ProviderError as error:
            self.assertEqual(str(error), "the data provider is stopped")
        else:
            self.fail("no error")

    async def test_a_store_that_fails_for_one(self) -> None:
        """The others of its batch are stored by then, and told."""
        provider = await self.started(_FailsForB())
        output = io.StringIO()
        try:
            await self.moved(provider, self.dump(*map(account, "abc")), output=output)
        except ProviderError:
            self.assertEqual([user.username for user in await provider.dump()], ["a", "c"])
            self.assertEqual(output.getvalue(), "user 0: a: added\nuser 2: c: added\n")
        else:
            self.fail("no error")

    async def test_users_base_dir(self) -> None:
        provider = await self.started(MemoryProvider())
        await self.moved(provider, self.dump(account("a", home_dir="")), users_base_dir="/homes")
        self.assertEqual((await provider.user_by_name("a")).home_dir, "/homes/a")


class Flags(SynchronousTestCase):
    """What is wrong with the command line is said before anything is opened."""

    def refused(self, *words: str) -> str:
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            left = self.assertRaises(SystemExit, main, ["import", *words])
        self.assertEqual(left.code, 1)
        self.assertEqual(len(errors.getvalue().splitlines()), 1, errors.getvalue())
        return errors.getvalue()

    def test_flags(self) -> None:
        self.assertIn("SOURCE", self.refused())
        self.assertIn("no list of *, list,", self.refused("x", "--permissions", "fly"))
        self.assertIn("no list of", self.refused("x", "--permissions", ""))
        self.assertIn("invalid choice: 'csv'", self.refused("x", "--format", "csv"))
        self.assertIn("'soon' is no number of seconds", self.refused("x", "--wait", "soon"))
        self.assertIn("--min-uid", self.refused("x", "--min-uid", "a"))

    def test_users_that_are_only_read(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        with open(f"{folder}/sftpgo.json", "w") as file:
            file.write('{"data_provider": {"manage_users": 0}}')
        self.assertIn("data_provider.manage_users is 0", self.refused("x", "-c", folder))


class Reports(SynchronousTestCase):
    def result(self, outcome: Outcome, name: str = "a", why: str = "") -> Result:
        return Result(Found("line 1", User(username=name), notes=("left out",)), outcome, why)

    def test_lines(self) -> None:
        output = io.StringIO()
        report = Report(output, None, dry_run=False, quiet=False)
        for outcome in Outcome:
            report.tell(self.result(outcome, why="x"))
        report.progress(0.5)
        report.end()
        self.assertEqual(
            output.getvalue(),
            "line 1: a: added: x\nline 1: a: note: left out\nline 1: a: changed: x\nline 1: a: note: left out\n"
            "line 1: a: note: left out\nline 1: a: skipped: x\nline 1: a: note: left out\n"
            "1 added, 1 changed, 1 unchanged, 1 skipped\n",
        )

    def test_quiet(self) -> None:
        output = io.StringIO()
        report = Report(output, None, dry_run=True, quiet=True)
        for _ in range(1200):
            report.tell(self.result(Outcome.ADDED))
        report.end()
        self.assertEqual(output.getvalue(), "would be: 1,200 added, 0 changed, 0 unchanged, 0 skipped\n")

    def test_bar(self) -> None:
        terminal = io.StringIO()
        report = Report(io.StringIO(), terminal, dry_run=False, quiet=True)
        report.progress(0.5)
        report.progress(0.5)
        drawn = terminal.getvalue()
        self.assertEqual(drawn.count("\r"), 1)
        self.assertRegex(drawn, r"\[(#+)(\.+)\]  50%  0 accounts$")
        report.end()
        self.assertTrue(terminal.getvalue().endswith(" \r"))

    def test_names_steer_no_terminal(self) -> None:
        self.assertEqual(printable("a\x1b[2Jb\r\n\u202e\udcff\xe9"), "a\\x1b[2Jb\\r\\n\\u202e\\udcff\xe9")
