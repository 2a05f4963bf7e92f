"""Each verb passes the hooks: asked before, told after, refused for good."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any

import attrs
from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.hooked import HookedFilesystem
from sftpgo.avatars.hookedsession import HookedSFTPServer
from sftpgo.avatars.sftp import UserSFTPServer
from sftpgo.hooks import Hooks, Operation, Outcome
from sftpgo.hooks.calls import HookCalls, Refusal
from sftpgo.log import Log
from sftpgo.ssh import codec
from tests.doubles import Events, make_filesystem

_UPLOAD = codec.OPEN_WRITE | codec.OPEN_CREAT


class HookedTestCase(SynchronousTestCase):
    """Has a home with a file, a directory and two links, and hooks that keep what they get.

    @ivar answer: what the hook before answers.
    """

    def setUp(self) -> None:
        self.asked: list[Operation] = []
        self.outcomes: list[Outcome] = []
        self.answer: Callable[[], Any] = lambda: None
        self.files = self.hooked({"/": ("*",), "/closed": ("list",)})
        home = self.files.user.home_dir
        self.home = home
        os.mkdir(f"{home}/dir")
        os.mkdir(f"{home}/closed")
        with open(f"{home}/file", "w") as file:
            file.write("content")
        os.symlink("file", f"{home}/link")
        os.symlink("dir", f"{home}/way")
        self.server = HookedSFTPServer(self.files)

    def hooked(self, permissions: dict[str, tuple[str, ...]]) -> HookedFilesystem:
        plain = make_filesystem(self, permissions)
        self.clock = Clock()
        self.events = Events()

        def before(operation: Operation) -> Any:
            self.asked.append(operation)
            return self.answer()

        hooks = Hooks(before=before, after=self.outcomes.append)
        calls = HookCalls(hooks, self.clock, Log("hooks", self.events))
        given = {field.name: getattr(plain, field.name) for field in attrs.fields(UserFilesystem) if field.init}
        return HookedFilesystem(**given, calls=calls)

    def verbs(self) -> dict[str, tuple[Callable[[], Any], str, str]]:
        """By verb: the request, and the paths the hook should see."""
        server = self.server
        return {
            "stat": (lambda: server.getAttrs(b"/way/../link", True), "/file", ""),
            "list": (lambda: server.openDirectory(b"way").close(), "/dir", ""),
            "readlink": (lambda: server.readLink(b"/link"), "/link", ""),
            "space": (lambda: server.statvfs(b"//"), "/", ""),
            "download": (lambda: server.openFile(b"link", codec.OPEN_READ, {}).close(), "/file", ""),
            "upload": (lambda: server.openFile(b"way/new", _UPLOAD, {}).close(), "/dir/new", ""),
            "setstat": (lambda: server.setAttrs(b"/link", {"permissions": 0o600}), "/file", ""),
            "mkdir": (lambda: server.makeDirectory(b"way/made", {}), "/dir/made", ""),
            "rmdir": (lambda: server.removeDirectory(b"/dir/made/"), "/dir/made", ""),
            "symlink": (lambda: server.makeLink(b"way/l", b"../link"), "/file", "/dir/l"),
            "link": (lambda: server.hardLink(b"file", b"way/hard"), "/file", "/dir/hard"),
            "rename": (lambda: server.renameFile(b"way/hard", b"/other"), "/dir/hard", "/other"),
            "remove": (lambda: server.removeFile(b"link"), "/link", ""),
        }


class HookedVerbTests(HookedTestCase):
    """All verbs alike."""

    def test_allowed_at_once(self) -> None:
        """The hook sees where links lead, the answer is no Deferred, and the outcome is told once."""
        for verb, (request, path, target) in self.verbs().items():
            self.asked.clear()
            self.outcomes.clear()
            self.assertNotIsInstance(request(), Deferred)
            self.assertEqual([(o.verb, o.path, o.target) for o in self.asked], [(verb, path, target)])
            self.assertEqual([(o.operation, o.error) for o in self.outcomes], [(self.asked[0], "")])
        operation = self.asked[0]
        self.assertEqual((operation.client.address, operation.client.protocol), ("127.0.0.1", "SFTP"))
        self.assertEqual((operation.user.username, operation.user.password), ("u", ""))

    def test_refused_at_once(self) -> None:
        """With the hook's text and the status for it; nothing has changed on the disk."""
        before = _tree(self.home)
        self.answer = lambda: "not you"
        for verb, (request, _path, _target) in self.verbs().items():
            self.outcomes.clear()
            error = self.assertRaises(SFTPError, request)
            self.assertEqual((error.code, error.message), (codec.PERMISSION_DENIED, "not you"), verb)
            self.assertEqual([o.error for o in self.outcomes], ["not you"])
        self.assertEqual(_tree(self.home), before)

    def test_refused_later(self) -> None:
        before = _tree(self.home)
        for verb, (request, _path, _target) in self.verbs().items():
            if verb in ("list", "download", "upload"):
                continue  # below: what they give has to be closed
            self.outcomes.clear()
            answers: Deferred[str] = Deferred()
            self.answer = lambda answers=answers: answers
            waiting = request()
            self.assertNoResult(waiting)
            self.assertEqual(_tree(self.home), before, verb)
            answers.callback("not you")
            error = self.failureResultOf(waiting, SFTPError).value
            self.assertEqual((error.code, error.message), (codec.PERMISSION_DENIED, "not you"), verb)
            self.assertEqual([o.error for o in self.outcomes], ["not you"])
        self.assertEqual(_tree(self.home), before)

    def test_domain_errors_in_time(self) -> None:
        """What the server refuses after a hook that took its time has the status it always has."""
        answers: Deferred[None] = Deferred()
        self.answer = lambda: answers
        waiting = self.server.makeDirectory(b"/closed/x", {})
        answers.callback(None)
        self.assertEqual(self.failureResultOf(waiting, SFTPError).value.code, codec.PERMISSION_DENIED)
        self.assertEqual([o.error for o in self.outcomes], ["Permission Denied"])

    def test_permissions_stay(self) -> None:
        """A hook that allows everything grants nothing."""
        self.answer = lambda: True
        error = self.assertRaises(SFTPError, self.server.makeDirectory, b"/closed/x", {})
        self.assertEqual(error.code, codec.PERMISSION_DENIED)


class CompleteTests(SynchronousTestCase):
    """Nothing new goes past the hooks unnoticed."""

    def test_requests(self) -> None:
        """Each is asked about, but for those of paths as text and of open files."""
        text = {"realPath", "expandPath", "gotVersion", "extendedRequest", "copyData", "end", "avatar"}
        requests = {name for name in vars(UserSFTPServer) if not name.startswith("_")} - text
        self.assertGreater(len(requests), 12)
        self.assertEqual(requests - set(vars(HookedSFTPServer)), set())

    def test_verbs(self) -> None:
        fields = {field.name for field in attrs.fields(UserFilesystem)}
        verbs = (
            {name for name in vars(UserFilesystem) if not name.startswith("_")}
            - fields
            - {"close", "copy", "file_class"}
        )
        self.assertGreater(len(verbs), 12)
        self.assertEqual(verbs - set(vars(HookedFilesystem)), set())


class SwappedTests(HookedTestCase):
    """What was asked about is what is done."""

    def test_link_changed_meanwhile(self) -> None:
        """While the hook takes its time the link is turned: then the answer was about something else."""
        answers: Deferred[None] = Deferred()
        self.answer = lambda: answers
        waiting = self.server.removeFile(b"/way/../way/victim")
        os.unlink(f"{self.home}/way")
        os.mkdir(f"{self.home}/secret")
        os.symlink("secret", f"{self.home}/way")
        for directory in ("dir", "secret"):
            with open(f"{self.home}/{directory}/victim", "w"):
                pass
        answers.callback(None)
        self.failureResultOf(waiting, SFTPError)
        self.assertTrue(os.path.exists(f"{self.home}/secret/victim"))
        self.assertTrue(os.path.exists(f"{self.home}/dir/victim"))

    def test_session_over_meanwhile(self) -> None:
        """The home is closed by then, and its descriptor perhaps somebody else's."""
        answers: Deferred[None] = Deferred()
        self.answer = lambda: answers
        waiting = self.server.makeDirectory(b"/late", {})
        self.files.close()
        answers.callback(None)
        self.failureResultOf(waiting, SFTPError)
        self.assertFalse(os.path.exists(f"{self.home}/late"))


class HookedTransferTests(HookedTestCase):
    """Open files."""

    def test_outcome_comes_with_the_end(self) -> None:
        file = self.server.openFile(b"/new", _UPLOAD, {})
        file.writeChunk(0, b"12345")
        self.assertEqual(self.outcomes, [])
        file.close()
        outcome = self.outcomes[0]
        self.assertEqual((outcome.operation.path, outcome.size, outcome.error, outcome.ok), ("/new", 5, "", True))

    def test_abort_is_an_error(self) -> None:
        file = self.server.openFile(b"/new", _UPLOAD, {})
        file.abort()
        self.assertIn("went away", self.outcomes[0].error)

    def test_reading_and_writing_is_both(self) -> None:
        flags = codec.OPEN_READ | codec.OPEN_WRITE
        self.server.openFile(b"/file", flags, {}).close()
        self.assertEqual([str(o.verb) for o in self.asked], ["upload", "download"])
        self.assertEqual([str(o.operation.verb) for o in self.outcomes], ["upload"])
        self.answer = lambda: "no" if self.asked[-1].verb == "download" else None
        self.assertRaises(SFTPError, self.server.openFile, b"/file", flags, {})

    def test_opened_in_time(self) -> None:
        for flags in (codec.OPEN_READ, _UPLOAD):
            answers: Deferred[None] = Deferred()
            self.answer = lambda answers=answers: answers
            waiting = self.server.openFile(b"/file", flags, {})
            self.assertNoResult(waiting)
            answers.callback(None)
            self.successResultOf(waiting).close()

    def test_nobody_there_any_more(self) -> None:
        """The channel has ended while the hook took its time: what was opened is closed again."""
        gc.collect()  # what other tests have left goes now
        descriptors = len(os.listdir("/proc/self/fd"))
        for request in (
            lambda: self.server.openFile(b"/file", codec.OPEN_READ, {}),
            lambda: self.server.openFile(b"/newer", _UPLOAD, {}),
            lambda: self.server.openDirectory(b"/dir"),
        ):
            self.server = HookedSFTPServer(self.files)
            answers: Deferred[None] = Deferred()
            self.answer = lambda answers=answers: answers
            waiting = request()
            self.server.end()
            answers.callback(None)
            self.failureResultOf(waiting, SFTPError)
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), descriptors)

    def test_fsetstat_is_asked_about(self) -> None:
        file = self.server.openFile(b"/new", _UPLOAD, {})
        self.answer = lambda: "leave it"
        error = self.assertRaises(SFTPError, file.setAttrs, {"permissions": 0o777})
        self.assertEqual((error.code, error.message), (codec.PERMISSION_DENIED, "leave it"))
        answers: Deferred[str] = Deferred()
        self.answer = lambda: answers
        waiting = file.setAttrs({"permissions": 0o777})
        closed = file.close()  # waits for it
        self.assertNoResult(closed)
        answers.callback("leave it")
        self.assertEqual(self.failureResultOf(waiting, SFTPError).value.message, "leave it")
        self.successResultOf(closed)
        self.assertEqual(os.stat(f"{self.home}/new").st_mode & 0o111, 0)
        self.assertEqual(self.asked[-1].attributes, {"permissions": 0o777})


class PlainTests(SynchronousTestCase):
    """A denied FSETSTAT without any hook."""

    def test_status(self) -> None:
        files = make_filesystem(self, {"/": ("upload",)})
        file = files.open_for_writing(b"/x")
        assert not isinstance(file, Deferred)
        error = self.assertRaises(SFTPError, file.setAttrs, {"permissions": 0o777})
        self.assertEqual(error.code, codec.PERMISSION_DENIED)
        self.assertNotIsInstance(error, Refusal)
        file.close()


def _tree(home: str) -> list[tuple[str, int, str]]:
    found = []
    for directory, names, files in os.walk(home):
        for name in (*names, *files):
            path = f"{directory}/{name}"
            target = os.readlink(path) if os.path.islink(path) else ""
            found.append((path, os.lstat(path).st_mode, target))
    return sorted(found)
