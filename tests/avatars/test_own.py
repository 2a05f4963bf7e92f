"""Files of an embedding program's own: the server judges, counts and tells, whatever is behind."""

from __future__ import annotations

from typing import Any

from twisted.conch.interfaces import ISFTPFile, ISFTPServer
from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides, implementer

from sftpgo.avatars.bandwidth import UNLIMITED
from sftpgo.avatars.hooked import Gate
from sftpgo.avatars.journal import Audience, Journal
from sftpgo.avatars.own import OwnAvatar, OwnSession
from sftpgo.avatars.ownfiles import OwnExtendedFiles, OwnFiles
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.domain.permissions import AccessRules, Permission
from sftpgo.domain.user import User
from sftpgo.hooks import Hooks, Operation, Outcome
from sftpgo.hooks.calls import HookCalls
from sftpgo.log import Log
from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import IExtendedSFTPServer
from tests.doubles import Events

_WRITE = codec.OPEN_WRITE | codec.OPEN_CREAT
_ID = "c" * 64


@implementer(ISFTPFile)
class File:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, Any] = {}

    def _answer(self, name: str, default: Any = None) -> Any:
        self.calls.append(name)
        answer = self.answers.get(name, default)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def readChunk(self, offset: int, length: int) -> Any:
        return self._answer("read", b"x" * length)

    def writeChunk(self, offset: int, data: bytes) -> Any:
        return self._answer("write")

    def getAttrs(self) -> Any:
        return self._answer("fstat", {})

    def setAttrs(self, attrs: dict[str, int]) -> Any:
        return self._answer("fsetstat")

    def close(self) -> Any:
        return self._answer("close")


@implementer(ISFTPServer)
class Own:
    """Has one file C{/there}, and says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.file = File()

    def getAttrs(self, path: bytes, follow: bool) -> dict[str, int]:
        if path != b"/there":
            raise FileNotFoundError(2, "missing")
        return {"size": 3}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "connectionLost":
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            self.asked.append((name, *arguments))
            return self.file if name == "openFile" else None

        return call


class OwnTestCase(SynchronousTestCase):
    """A session with rules, hooks that keep what they get, and what else hears of it."""

    def setUp(self) -> None:
        self.own = Own()
        self.outcomes: list[Outcome] = []
        self.asked: list[Operation] = []
        self.answer: Any = None
        self.notified: list[Any] = []
        self.counted: list[Any] = []
        self.registry = ConnectionRegistry()
        self.registry.opened(_ID, client_version="SSH-2.0-x", remote_address="[::1]:1", close=lambda: None, now=0)
        self.registry.try_login(_ID, "u", 0, 0)
        self.events = Events()

    def files(self, *permissions: str, extended: bool = False, **more: tuple[str, ...]) -> Any:
        rules = {"/": permissions or ("*",)} | {f"/{name}": names for name, names in more.items()}
        user = User(username="u", home_dir="/", permissions=rules)
        audience = Audience(self.notified.append, lambda *count: self.counted.append(count))
        journal = Journal(user, _ID, self.registry, Log("sftpd", self.events), lambda: 7.0, audience=audience)

        def before(operation: Operation) -> Any:
            self.asked.append(operation)
            return self.answer

        hooks = Hooks(before=before, after=self.outcomes.append)
        calls = HookCalls(hooks, Clock(), Log("hooks", self.events))
        gate = Gate(calls, lambda: 7.0, lambda: self.session.over)
        self.session = OwnSession(user, AccessRules(rules), journal, UNLIMITED, gate)
        return (OwnExtendedFiles if extended else OwnFiles)(self.own, self.session)

    def denied(self, result: Any) -> None:
        error = self.failureResultOf(result, SFTPError).value
        self.assertEqual(error.code, codec.PERMISSION_DENIED)

    def opened(self, files: Any, path: bytes = b"/there", flags: int = codec.OPEN_READ) -> Any:
        return self.successResultOf(files.openFile(path, flags, {}))


class PathTests(OwnTestCase):
    """What arrives behind is canonical."""

    def test_cleaned(self) -> None:
        files = self.files(extended=True)
        for request in (
            files.removeFile,
            lambda path: files.makeDirectory(path, {"permissions": 0o777}),
            files.removeDirectory,
            lambda path: files.setAttrs(path, {"size": 1}),
            lambda path: files.setLinkAttrs(path, {"size": 1}),
            files.readLink,
            files.openDirectory,
            files.statvfs,
        ):
            self.successResultOf(request(b"../a//./b/../c\xff"))
            self.assertEqual(self.own.asked.pop()[1], b"/a/c\xff")
            self.assertRaises(OSError, request, b"a\0b")
        self.successResultOf(files.renameFile(b"../there", b"x/../y"))
        self.assertEqual(self.own.asked.pop(), ("renameFile", b"/there", b"/y"))
        self.successResultOf(files.makeLink(b"a/../link", b"../to"))
        self.assertEqual(self.own.asked.pop(), ("makeLink", b"/link", b"../to"))
        self.assertEqual((self.asked[-1].path, self.asked[-1].target), ("/to", "/link"))
        self.assertEqual(files.realPath(b".."), b"/")

    def test_modes_are_not_the_clients(self) -> None:
        files = self.files()
        self.successResultOf(files.openFile(b"/new", _WRITE, {"permissions": 0o4777}))
        self.successResultOf(files.makeDirectory(b"/d", {"permissions": 0o4777}))
        self.assertEqual([asked[-1] for asked in self.own.asked], [{}, {}])


class PermissionTests(OwnTestCase):
    """As for files on the disk."""

    def test_each_request(self) -> None:
        for permission, request in (
            ("list", lambda files: files.getAttrs(b"/there", True)),
            ("list", lambda files: files.openDirectory(b"/")),
            ("list", lambda files: files.readLink(b"/there")),
            ("download", lambda files: files.openFile(b"/there", codec.OPEN_READ, {})),
            ("overwrite", lambda files: files.openFile(b"/there", _WRITE, {})),
            ("upload", lambda files: files.openFile(b"/new", _WRITE, {})),
            ("delete", lambda files: files.removeFile(b"/there")),
            ("delete", lambda files: files.removeDirectory(b"/there")),
            ("create_dirs", lambda files: files.makeDirectory(b"/new", {})),
            ("create_symlinks", lambda files: files.makeLink(b"/new", b"there")),
            ("chmod", lambda files: files.setAttrs(b"/there", {"permissions": 0})),
            ("chown", lambda files: files.setAttrs(b"/there", {"uid": 0, "gid": 0})),
            ("chtimes", lambda files: files.setAttrs(b"/there", {"atime": 0, "mtime": 0})),
            ("overwrite", lambda files: files.setAttrs(b"/there", {"size": 0})),
            ("rename", lambda files: files.renameFile(b"/there", b"/new")),
        ):
            others = [str(name) for name in Permission if name not in (Permission.ANY, permission)]
            self.own.asked.clear()
            self.denied(request(self.files(*others)))
            self.assertEqual(self.own.asked, [], permission)
            self.successResultOf(request(self.files(permission)))

    def test_rename_over_something(self) -> None:
        self.denied(self.files("rename").renameFile(b"/other", b"/there"))
        self.successResultOf(self.files("rename", "overwrite").renameFile(b"/other", b"/there"))

    def test_rules_stay_with_their_paths(self) -> None:
        files = self.files("*", dir=("list",))
        for old, new in ((b"/dir", b"/x"), (b"/x", b"/dir")):
            self.denied(files.renameFile(old, new))

    def test_upload_alone_overwrites_nothing(self) -> None:
        """Should somebody be quicker, the open fails."""
        self.opened(self.files("upload"), b"/new", _WRITE | codec.OPEN_TRUNC)
        self.assertTrue(self.own.asked[0][2] & codec.OPEN_EXCL)
        self.opened(self.files("upload", "overwrite"), b"/new", _WRITE)
        self.assertFalse(self.own.asked[1][2] & codec.OPEN_EXCL)

    def test_reading_and_writing(self) -> None:
        self.denied(self.files("overwrite").openFile(b"/there", codec.OPEN_READ | codec.OPEN_WRITE, {}))

    def test_root(self) -> None:
        files = self.files()
        for request in (files.removeFile, files.removeDirectory):
            self.assertRaises(SFTPError, request, b"/x/..")
        self.assertRaises(SFTPError, files.renameFile, b"/", b"/x")
        self.assertRaises(SFTPError, files.renameFile, b"/x", b"/")

    def test_open_files(self) -> None:
        file = self.opened(self.files("overwrite"), flags=_WRITE)
        self.denied(_raised(file.setAttrs, {"permissions": 0}))
        self.successResultOf(file.setAttrs({"size": 1}))
        reading = self.opened(self.files())
        self.denied(_raised(reading.setAttrs, {"size": 1}))
        self.assertRaises(SFTPError, reading.writeChunk, 0, b"x")


class HookTests(OwnTestCase):
    """The hooks of operations."""

    def test_refused(self) -> None:
        files = self.files()
        self.answer = "not you"
        error = self.assertRaises(SFTPError, files.removeFile, b"/there")
        self.assertEqual((error.code, error.message), (codec.PERMISSION_DENIED, "not you"))
        self.assertEqual(self.own.asked, [])
        self.assertEqual([outcome.error for outcome in self.outcomes], ["not you"])
        self.assertEqual(self.asked[0].client.address, "::1")

    def test_later(self) -> None:
        files = self.files()
        self.answer = answers = Deferred()
        waiting = files.removeFile(b"/there")
        self.assertEqual(self.own.asked, [])
        answers.callback(None)
        self.successResultOf(waiting)
        self.assertEqual(self.own.asked, [("removeFile", b"/there")])

    def test_session_over_meanwhile(self) -> None:
        files = self.files()
        self.answer = answers = Deferred()
        waiting = files.removeFile(b"/there")
        self.session.over = True
        answers.callback(None)
        self.failureResultOf(waiting, SFTPError)
        self.assertEqual(self.own.asked, [])


class TransferTests(OwnTestCase):
    """Bytes are counted, and the end is told."""

    def test_download(self) -> None:
        file = self.opened(self.files())
        self.assertEqual([t.path for t in self.registry.get(_ID).transfers], ["/there"])
        for answer in (b"12345", succeed(b"12345"), _later(b"12345")):
            self.own.file.answers["read"] = answer
            self.assertEqual(self.successResultOf(file.readChunk(0, 4)), b"1234")
        self.own.file.answers["read"] = EOFError()
        self.failureResultOf(file.readChunk(9, 4), EOFError)
        self.successResultOf(file.close())
        self.assertEqual(self.registry.get(_ID).transfers, [])
        self.assertEqual(self.counted, [("download", 12, True)])
        self.assertEqual([event.action for event in self.notified], ["download"])
        self.assertEqual([(o.operation.path, o.size, o.error) for o in self.outcomes], [("/there", 12, "")])

    def test_failed_upload(self) -> None:
        """A write that failed is an upload that failed, and the CLOSE says so although the file's own goes well."""
        for answer in (OSError(28, "No space left"), fail(OSError(28, "No space left")), _later(OSError(28, "No"))):
            self.counted.clear()
            self.outcomes.clear()
            self.own.file.answers["write"] = answer
            file = self.opened(self.files(), b"/new", _WRITE)
            self.failureResultOf(file.writeChunk(0, b"1234"), OSError)
            self.failureResultOf(file.close(), OSError)
            self.assertEqual(self.own.file.calls.pop(), "close")
            self.assertEqual(self.counted, [("upload", 0, False)])
            self.assertEqual(self.notified, [])
            self.assertFalse(self.outcomes[0].ok)

    def test_failed_close(self) -> None:
        self.own.file.answers["close"] = OSError(5, "Input/output error")
        file = self.opened(self.files(), b"/new", _WRITE)
        self.failureResultOf(file.close(), OSError)
        self.assertEqual(self.counted, [("upload", 0, False)])
        self.assertEqual(self.registry.get(_ID).transfers, [])

    def test_close_waits(self) -> None:
        self.own.file.answers["write"] = write = Deferred()
        file = self.opened(self.files(), b"/new", _WRITE)
        writing = file.writeChunk(0, b"1234")
        closing = file.close()
        self.assertNotIn("close", self.own.file.calls)
        write.callback(None)
        self.successResultOf(writing)
        self.successResultOf(closing)
        self.assertEqual(self.counted, [("upload", 4, True)])

    def test_client_gone(self) -> None:
        file = self.opened(self.files(), b"/new", _WRITE)
        self.successResultOf(file.abort())
        self.assertEqual(self.own.file.calls, ["close"])
        self.assertEqual(self.counted, [("upload", 0, False)])
        self.own.file.abort = lambda: self.own.file.calls.append("abort")  # type: ignore[attr-defined]
        self.successResultOf(self.opened(self.files(), b"/new", _WRITE).abort())
        self.assertEqual(self.own.file.calls, ["close", "abort"])

    def test_opened_for_nobody(self) -> None:
        """The channel has ended while it was opened."""
        opening: Deferred[Any] = Deferred()
        self.own.openFile = lambda *_: opening  # type: ignore[attr-defined]
        files = self.files()
        waiting = files.openFile(b"/there", codec.OPEN_READ, {})
        files.end()
        opening.callback(self.own.file)
        self.failureResultOf(waiting, SFTPError)
        self.assertEqual(self.own.file.calls, ["close"])
        self.assertEqual(self.registry.get(_ID).transfers, [])


class AvatarTests(OwnTestCase):
    """The connection."""

    def test_subsystem_and_end(self) -> None:
        self.files()
        avatar = OwnAvatar(self.own, self.session)
        self.assertIsNotNone(avatar.lookupStream(b"sftp"))
        self.assertIsNone(avatar.lookupStream(b"shell"))
        self.assertIsNone(avatar.lookupSubsystem(b"other", b""))
        lost: list[int] = []
        self.own.connectionLost = lambda: lost.append(1) or 1 / 0  # type: ignore[attr-defined]
        avatar.logout()
        self.assertEqual((lost, self.session.over, self.registry.get(_ID)), ([1], True, None))
        self.assertTrue(any("log_failure" in event for event in self.events))

    def test_extensions(self) -> None:
        """Those of the file system behind, where it has them."""
        self.assertFalse(IExtendedSFTPServer.providedBy(self.files()))
        alsoProvides(self.own, IExtendedSFTPServer)
        files = self.files(extended=True)
        self.assertTrue(IExtendedSFTPServer.providedBy(files))
        self.successResultOf(files.posixRename(b"/a", b"/b"))
        self.assertEqual(self.own.asked, [("posixRename", b"/a", b"/b")])
        self.assertEqual(files.expandPath(b"~/a/.."), b"/")
        self.assertRaises(OSError, files.expandPath, b"~root")
        self.denied(self.files("create_symlinks", extended=True).hardLink(b"/there", b"/b"))


async def _later(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


def _raised(call: Any, *arguments: Any) -> Any:
    """A Deferred of what a call raises or gives."""
    try:
        return call(*arguments)
    except SFTPError as error:
        return fail(error)
