from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from sftpgo.actions import Limits, TransferHooks, UserHooks
from sftpgo.config.model import TRANSFER_EVENTS, USER_EVENTS, TransferActions, UserActions
from sftpgo.domain.actions import TransferEvent
from sftpgo.domain.user import Filters, User
from sftpgo.interfaces import IActions, IUserActions
from sftpgo.log import Log
from tests.doubles import Events

_USER = User(
    id=7,
    status=1,
    username="ü",
    expiration_date=1234,
    password="$argon2id$h4sh",
    public_keys=("ssh-ed25519 AAAA",),
    home_dir="/h/ü x",
    uid=1000,
    gid=1001,
    permissions={"/": ("*",)},
    filters=Filters(denied_ip=("10.0.0.0/8",)),
)


class Hook(Resource):
    isLeaf = True

    def __init__(self, order: Path | None = None) -> None:
        super().__init__()
        self.seen: list[tuple[bytes, bytes, bytes]] = []
        self.order = order
        self.status = 200

    def render(self, request: Any) -> bytes:
        self.seen.append((request.method, request.uri, request.content.read()))
        if self.order is not None:
            with self.order.open("a") as file:
                file.write("request\n")
        request.setResponseCode(self.status)
        return b""


class HooksCase(TestCase):
    timeout = 120

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir(parents=True)
        self.events = Events()
        self.failures: list[str] = []
        self.clock = Clock()
        self.output = self.directory / "output"

    def script(self, text: str) -> str:
        path = self.directory / "hook"
        path.write_text(f"#!/bin/sh\nOUT='{self.output}'\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def hook(self, order: Path | None = None) -> tuple[Hook, str]:
        hook = Hook(order)
        port = reactor.listenTCP(0, Site(hook), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return hook, f"http://127.0.0.1:{port.getHost().port}/hook?key=s3cret"

    def options(self, **more: Any) -> dict[str, Any]:
        return {
            "log": Log("actions", self.events),
            "on_failure": self.failures.append,
            "environ": {"PATH": os.environ["PATH"]},
            **more,
        }

    def transfers(self, command: str = "", url: str = "", on: Any = TRANSFER_EVENTS, **more: Any) -> TransferHooks:
        settings = TransferActions(execute_on=on, command=command, http_notification_url=url)
        return TransferHooks(settings, reactor, **self.options(**more))

    def users(self, command: str = "", url: str = "", on: Any = USER_EVENTS, **more: Any) -> UserHooks:
        settings = UserActions(execute_on=on, command=command, http_notification_url=url)
        return UserHooks(settings, reactor, **self.options(**more))

    async def done(self, hooks: TransferHooks | UserHooks) -> None:
        await hooks.stop(100)

    def told(self, level: str) -> list[str]:
        return [event["text"] for event in self.events if event["log_level"].name == level]


class Transfers(HooksCase):
    async def test_command_and_request_of_each_event(self) -> None:
        hook, url = self.hook()
        path = self.script('{ printf "%s|" "$@"; env | grep ^SFTPGO_ | sort | tr "\\n" ";"; echo; } >> "$OUT"')
        hooks = self.transfers(path, url)
        verifyObject(IActions, hooks)
        for event in (
            TransferEvent("download", "u", "/h/d"),
            TransferEvent("upload", "u", "/h/u p"),
            TransferEvent("delete", "u", "/h/x"),
            TransferEvent("rename", "u", "/h/a", target_path="/h/b"),
            TransferEvent("ssh_cmd", "u", "/v", ssh_cmd="md5sum"),
        ):
            hooks.notify(event)
        await self.done(hooks)
        self.assertEqual(
            [(method, uri, body) for method, uri, body in hook.seen],
            [
                (b"GET", b"/hook?" + query, b"")
                for query in (
                    b"action=download&key=s3cret&path=%2Fh%2Fd&username=u",
                    b"action=upload&key=s3cret&path=%2Fh%2Fu+p&username=u",
                    b"action=delete&key=s3cret&path=%2Fh%2Fx&username=u",
                    b"action=rename&key=s3cret&path=%2Fh%2Fa&target_path=%2Fh%2Fb&username=u",
                    b"action=ssh_cmd&key=s3cret&path=%2Fv&ssh_cmd=md5sum&username=u",
                )
            ],
        )
        lines = self.output.read_text().splitlines()
        self.assertEqual(
            [line.rpartition("|")[0] for line in lines],
            [
                "download|u|/h/d||",
                "upload|u|/h/u p||",
                "delete|u|/h/x||",
                "rename|u|/h/a|/h/b|",
                "ssh_cmd|u|/v||md5sum",
            ],
        )
        self.assertEqual(
            lines[3].rpartition("|")[2],
            "SFTPGO_ACTION=rename;SFTPGO_ACTION_PATH=/h/a;SFTPGO_ACTION_SSH_CMD=;SFTPGO_ACTION_TARGET=/h/b;"
            "SFTPGO_ACTION_USERNAME=u;",
        )
        self.assertEqual(self.failures, [])
        self.assertEqual(
            self.told("debug")[:2],
            [
                f'command "{path}" for action "download" of "u": exit status 0',
                f'request to {url.partition("?")[0]} for action "download" of "u": status 200, 1 try',
            ],
        )

    async def test_command_first(self) -> None:
        _, url = self.hook(order=self.output)
        hooks = self.transfers(self.script('sleep 0.1; echo command >> "$OUT"; exit 1'), url)
        hooks.notify(TransferEvent("upload", "u", "/p"))
        hooks.notify(TransferEvent("upload", "u", "/p"))
        await self.done(hooks)
        self.assertEqual(self.output.read_text().split(), ["command", "request"] * 2)
        self.assertEqual(self.failures, ["command", "command"])

    async def test_only_selected_events(self) -> None:
        hook, url = self.hook()
        hooks = self.transfers("", url, on=("upload",))
        for action in TRANSFER_EVENTS:
            hooks.notify(TransferEvent(action, "u", "/p"))
        await self.done(hooks)
        self.assertEqual(len(hook.seen), 1)

    async def test_nothing_set(self) -> None:
        hooks = self.transfers(clock=self.clock)
        hooks.notify(TransferEvent("upload", "u", "/p"))
        self.assertEqual((hooks.check(), self.clock.getDelayedCalls()), ([], []))

    async def test_failures_are_told_and_counted(self) -> None:
        hook, url = self.hook()
        hook.status = 404
        hooks = self.transfers(self.script("exit 2"), url)
        hooks.notify(TransferEvent("upload", "u\n", "/p"))
        await self.done(hooks)
        self.assertEqual(self.failures, ["command", "request"])
        first, second = self.told("warn")
        self.assertIn('for action "upload" of "u\n" failed: exit status 2', first)
        self.assertIn("failed: status 404, 1 try", second)
        self.assertNotIn("s3cret", "".join(self.told("debug") + self.told("warn")))

    async def test_a_counter_that_raises(self) -> None:
        def broken(_sort: str) -> None:
            raise RuntimeError("no counter")

        hooks = self.transfers(self.script("exit 2"), on_failure=broken, limits=Limits(queue=1))
        for _ in range(3):
            hooks.notify(TransferEvent("upload", "u", "/p"))
        await self.done(hooks)
        self.assertIn("the failure of a hook could not be counted", self.told("error"))

    async def test_text_that_no_hook_can_take(self) -> None:
        hook, url = self.hook()
        hooks = self.transfers(self.script("exit 0"), url)
        hooks.notify(TransferEvent("upload", "\ud800", "/p"))
        hooks.notify(TransferEvent("upload", "u\0", "/p"))
        await self.done(hooks)
        self.assertEqual(sorted(self.failures), ["command", "command", "request"])
        self.assertEqual([uri for _, uri, _ in hook.seen], [b"/hook?action=upload&key=s3cret&path=%2Fp&username=u%00"])

    async def test_a_hook_that_hangs_holds_up_its_user_only(self) -> None:
        path = self.script('echo "$2" >> "$OUT"; test "$3" != /hang || exec sleep 1000')
        hooks = self.transfers(path, clock=self.clock)
        for username, file in (("a", "/hang"), ("a", "/2"), ("b", "/1"), ("c", "/1")):
            hooks.notify(TransferEvent("upload", username, file))
        self.assertFalse(self.output.exists())  # nothing was started while the event was told

        async def lines(count: int) -> list[str]:
            while not self.output.exists() or len(self.output.read_text().splitlines()) < count:
                self.clock.advance(0)
                await deferLater(reactor, 0.01)
            return sorted(self.output.read_text().split())

        self.assertEqual(await lines(3), ["a", "b", "c"])
        self.clock.advance(15)
        self.assertEqual(await lines(4), ["a", "a", "b", "c"])
        self.assertEqual(self.failures, ["command"])
        stopped = Deferred.fromCoroutine(hooks.stop(10))
        while not stopped.called:
            self.clock.advance(0)
            await deferLater(reactor, 0.01)

    async def test_many_at_once_are_few_at_a_time(self) -> None:
        running = self.directory / "running"
        running.mkdir()
        path = self.script(f'touch {running}/$$; ls {running} | wc -l >> "$OUT"; sleep 0.05; rm {running}/$$')
        hooks = self.transfers(path, limits=Limits(concurrency=3))
        for number in range(12):
            hooks.notify(TransferEvent("upload", f"u{number}", "/p"))
        await self.done(hooks)
        counts = [int(line) for line in self.output.read_text().split()]
        self.assertEqual((len(counts), max(counts) <= 3), (12, True))

    async def test_stop_kills_what_hangs(self) -> None:
        path = self.script('echo $$ > "$OUT.new"; mv "$OUT.new" "$OUT"; exec sleep 1000')
        hooks = self.transfers(path)
        hooks.notify(TransferEvent("upload", "u", "/1"))
        hooks.notify(TransferEvent("upload", "u", "/2"))
        while not self.output.exists():
            await deferLater(reactor, 0.01)
        await hooks.stop(0)
        self.assertRaises(ProcessLookupError, os.kill, int(self.output.read_text()), 0)
        self.assertEqual(self.told("warn"), ["hooks are stopped: 1 interrupted, 1 waiting events dropped"])
        self.assertEqual(self.failures, ["queue", "queue"])

    def test_check(self) -> None:
        self.assertEqual(self.transfers(self.script("")).check(), [])
        missing = str(self.directory / "missing")
        self.assertEqual(self.transfers(missing).check(), [f'command "{missing}": No such file or directory'])
        self.assertEqual(self.transfers(missing, on=()).check(), [])
        for url in (f"http://{'a' * 64}.example/", "https://my_hook/"):
            problems = self.transfers("", url).check()
            self.assertEqual(len(problems), 1)
            self.assertIn("http_notification_url", problems[0])


class Users(HooksCase):
    async def test_command_and_request(self) -> None:
        hook, url = self.hook()
        path = self.script('{ printf "%s|" "$@"; env | grep ^SFTPGO_ | sort | tr "\\n" ";"; echo; } >> "$OUT"')
        hooks = self.users(path, url)
        verifyObject(IUserActions, hooks)
        for action in USER_EVENTS:
            hooks.user_changed(action, _USER)
        await self.done(hooks)
        text = self.output.read_text()
        self.assertEqual(
            text.splitlines(),
            [
                f"{action}|ü|7|1|1234|/h/ü x|1000|1001|SFTPGO_ACTION={action};SFTPGO_ACTION_USERNAME=ü;"
                for action in USER_EVENTS
            ],
        )
        self.assertEqual(
            [(method, uri) for method, uri, _ in hook.seen],
            [(b"POST", f"/hook?action={action}&key=s3cret".encode()) for action in USER_EVENTS],
        )
        body = json.loads(hook.seen[0][2])
        self.assertEqual(list(body)[:4], ["id", "status", "username", "expiration_date"])
        self.assertEqual((body["username"], body["home_dir"], body["id"]), ("ü", "/h/ü x", 7))
        self.assertEqual(body["filters"], {"allowed_ip": [], "denied_ip": ["10.0.0.0/8"]})
        self.assertNotIn("password", body)
        self.assertNotIn("h4sh", text + repr(hook.seen))

    async def test_only_selected(self) -> None:
        hook, url = self.hook()
        hooks = self.users("", url, on=("delete",))
        for action in USER_EVENTS:
            hooks.user_changed(action, _USER)
        await self.done(hooks)
        self.assertEqual([uri for _, uri, _ in hook.seen], [b"/hook?action=delete&key=s3cret"])
