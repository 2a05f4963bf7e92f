"""Uploads in each mode: what is where before, during and after, and what clients can see of it."""

from __future__ import annotations

import errno
import os

from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred

from sftpgo.avatars.sftp import UserSFTPServer
from sftpgo.errors import PermissionDenied
from sftpgo.ssh import codec
from sftpgo.storage.upload import new_identifier, temporary_name
from tests.avatars.faults import fails_with, faulty_os
from tests.avatars.ground import UploadCase
from tests.doubles import HeldThreads


class AtomicTests(UploadCase):
    """Modes 1 and 2 when all goes well."""

    def test_appears_when_closed(self) -> None:
        for mode in (1, 2):
            self.begin(mode)
            file = self.open()
            file.writeChunk(0, b"new")
            self.assertEqual(self.listing(), [])
            self.assertEqual(len(self.temporaries()), 1)
            self.assertRaises(FileNotFoundError, self.files.stat, b"/f", follow=True)
            self.assertEqual(file.getAttrs()["size"], 3)
            self.assertEqual(self.ground.heard, [])
            self.close(file)
            self.assertEqual(self.read(), b"new")
            self.assertSettled()
            self.assertEqual([event.action for event in self.ground.heard], ["upload"])
            self.assertEqual(self.ground.heard[0].path, str(self.home / "f"))
            self.assertEqual(self.ground.counted, [("upload", 3, True)])

    def test_old_file_is_untouched_until_then(self) -> None:
        self.begin(1)
        self.put(b"old")
        before = (self.home / "f").stat()
        file = self.open(truncate=True)
        file.writeChunk(0, b"new content")
        file.setAttrs({"permissions": 0o600})
        now = (self.home / "f").stat()
        self.assertEqual((self.read(), now.st_ino, now.st_mtime_ns, now.st_mode),
                         (b"old", before.st_ino, before.st_mtime_ns, before.st_mode))  # fmt: skip
        self.close(file)
        self.assertEqual(self.read(), b"new content")
        self.assertEqual((self.home / "f").stat().st_mode & 0o777, 0o600)
        self.assertSettled()

    def test_owner_and_mode_of_the_target(self) -> None:
        if os.geteuid():
            self.skipTest("needs root")
        self.begin(1)
        self.put(b"old")
        os.chown(self.home / "f", 1234, 2345)
        os.chmod(self.home / "f", 0o4750)
        self.put(b"new")
        status = (self.home / "f").stat()
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o7777), (1234, 2345, 0o750))

    def test_own_owner_for_new_files(self) -> None:
        if os.geteuid():
            self.skipTest("needs root")
        for mode in (0, 1):
            self.begin(mode, uid=1234, gid=2345)
            self.put(b"x")
            self.files.symlink(b"f", b"/link")
            self.files.make_directory(b"/d")
            for name in ("f", "link", "d"):
                status = (self.home / name).lstat()
                self.assertEqual((status.st_uid, status.st_gid), (1234, 2345), name)

    def test_umask(self) -> None:
        for umask in (0o022, 0o077, 0):
            self.addCleanup(os.umask, os.umask(umask))
            for mode in (0, 1, 2):
                self.begin(mode)
                self.put(b"x")
                self.assertEqual((self.home / "f").stat().st_mode & 0o7777, 0o666 & ~umask)

    def test_set_id_bits_go_when_the_content_changes(self) -> None:
        for mode in (0, 1, 2):
            for flags in ({"truncate": True}, {"append": True}):
                self.begin(mode)
                (self.home / "f").write_bytes(b"#!program")
                os.chmod(self.home / "f", 0o6755)
                file = self.open(**flags)
                file.writeChunk(9, b"more")
                self.close(file)
                self.assertEqual((self.home / "f").stat().st_mode & 0o7777, 0o755, (mode, flags))

    def test_long_names(self) -> None:
        self.begin(1)
        name = b"n" * 255
        self.put(b"x", b"/" + name)
        self.assertEqual(self.listing(), [name])

    def test_nothing_written_is_nothing_replaced(self) -> None:
        self.begin(1)
        self.put(b"old")
        before = (self.home / "f").stat()
        file = self.open(read=True)
        self.assertEqual(file.readChunk(0, 10), b"old")
        self.close(file)
        self.assertEqual((self.home / "f").stat(), before)
        self.assertSettled()

    def test_hard_link_keeps_the_old_content(self) -> None:
        self.begin(1)
        self.put(b"old")
        self.files.hard_link(b"/f", b"/g")
        self.assertSettled()
        self.put(b"newer")
        self.assertEqual((self.read("f"), self.read("g")), (b"newer", b"old"))
        self.assertSettled()
        self.assertEqual(self.ground.used(), (2, 8))

    def test_through_a_link(self) -> None:
        self.begin(1)
        self.put(b"old", b"/real")
        os.symlink("real", self.home / "link")
        self.put(b"new", b"/link")
        self.assertTrue((self.home / "link").is_symlink())
        self.assertEqual(self.read("real"), b"new")


class ResumeTests(UploadCase):
    """WRITE without TRUNC, with and without APPEND."""

    def test_each_way_in_each_mode(self) -> None:
        for mode in (0, 1, 2):
            for flags in ({}, {"append": True}, {"read": True}):
                self.begin(mode)
                self.put(b"first half ")
                file = self.open(**flags)
                file.writeChunk(11, b"second half")
                if mode:
                    self.assertEqual(self.read(), b"first half ")
                self.close(file)
                self.assertEqual(self.read(), b"first half second half")
                self.assertSettled()

    def test_append_refuses_to_write_below(self) -> None:
        for mode in (0, 1, 2):
            self.begin(mode)
            self.put(b"12345")
            file = self.open(append=True)
            error = self.assertRaises(SFTPError, file.writeChunk, 4, b"x")
            self.assertEqual(error.message, "invalid write offset 4")
            file.writeChunk(5, b"6")
            self.close(file)
            self.assertEqual(self.read(), b"123456")

    def test_kept_only_where_nothing_is_lost(self) -> None:
        """Mode 2, client gone: a continuation takes the name, what overwrote something does not."""
        for offset, expected in ((5, b"12345more"), (3, b"12345"), (0, b"12345")):
            self.begin(2)
            self.put(b"12345")
            file = self.open()
            file.writeChunk(offset, b"more")
            file.abort()
            self.assertEqual(self.read(), expected)
            self.assertSettled()

    def test_not_kept_when_the_file_has_changed_meanwhile(self) -> None:
        self.begin(2)
        self.put(b"12345")
        file = self.open()
        file.writeChunk(5, b"more")
        (self.home / "f").write_bytes(b"somebody else's")
        file.abort()
        self.assertEqual(self.read(), b"somebody else's")

    def test_cut_in_between_is_no_continuation(self) -> None:
        self.begin(2)
        self.put(b"12345")
        file = self.open()
        file.setAttrs({"size": 2})
        file.abort()
        self.assertEqual(self.read(), b"12345")
        self.assertSettled()

    def test_a_client_that_goes_while_it_is_copied(self) -> None:
        """A large file takes a while to continue: whoever is gone by then leaves nothing."""
        for leave in ("channel", "session"):
            self.begin(1)
            self.put(b"12345")
            held = HeldThreads()
            files = self.ground.login(run_in_thread=held.run)
            server = UserSFTPServer(files)
            opening = server.openFile(b"/f", codec.OPEN_WRITE, {})
            self.assertIsInstance(opening, Deferred)
            self.assertEqual(self.ground.registry.transfers(), 1)
            if leave == "channel":
                server.end()
            else:
                files.close()
            held.release()
            self.assertTrue(self.failureResultOf(opening))
            self.assertEqual(self.read(), b"12345")
            self.assertEqual(self.ground.registry.transfers(), 0)
            self.ground.clock.advance(10)
            self.assertSettled()
            self.assertEqual(self.ground.unsettled._names, set())

    def test_no_room_for_the_copy(self) -> None:
        faulty = faulty_os(self)
        self.begin(1)
        self.put(b"12345")
        held = HeldThreads()
        files = self.ground.login(run_in_thread=held.run)
        opening = files.open_for_writing(b"/f")
        held.waiting = [(d, fails_with(errno.ENOSPC), a) for d, _, a in held.waiting]
        held.release()
        self.assertEqual(self.failureResultOf(opening).value.errno, errno.ENOSPC)
        self.assertSettled()
        self.assertEqual(faulty.faults, {})


class TogetherTests(UploadCase):
    """Several at one path, and what others do meanwhile."""

    def test_exclusive(self) -> None:
        for mode in (0, 1, 2):
            self.begin(mode)
            self.put(b"old")
            self.assertRaises(FileExistsError, self.open, exclusive=True)
            self.assertEqual(self.read(), b"old")
            file = self.open(b"/new", exclusive=True)
            file.writeChunk(0, b"1")
            self.close(file)
            self.assertSettled()

    def test_two_who_create_one_file(self) -> None:
        """With EXCL exactly one of them gets it, at the latest when it closes."""
        for mode in (1, 2):
            self.begin(mode)
            first, second = self.open(exclusive=True), self.open(exclusive=True, files=self.ground.login())
            first.writeChunk(0, b"first")
            second.writeChunk(0, b"second")
            self.close(second)
            self.assertRaises(FileExistsError, first.close)
            self.assertEqual(self.read(), b"second")
            self.assertSettled()

    def test_upload_without_overwrite(self) -> None:
        """Who may not overwrite may not do so by being slow."""
        self.begin(1)
        self.files.rules.__init__({"/": ("upload", "list")})
        other = self.ground.login()
        slow = self.open()
        slow.writeChunk(0, b"slow")
        quick = other.open_for_writing(b"/f")
        quick.writeChunk(0, b"quick")
        quick.close()
        self.assertRaises(FileExistsError, slow.close)
        self.assertEqual(self.read(), b"quick")
        self.assertSettled()

    def test_directory_moved_meanwhile(self) -> None:
        for mode in (0, 1, 2):
            self.begin(mode)
            self.files.make_directory(b"/d")
            file = self.open(b"/d/f")
            file.writeChunk(0, b"new")
            self.files.rename(b"/d", b"/e")
            self.close(file)
            self.assertEqual(self.read("e/f"), b"new")
            self.assertSettled()

    def test_directory_of_a_running_upload_is_not_empty(self) -> None:
        self.begin(1)
        self.files.make_directory(b"/d")
        self.files.make_directory(b"/e")
        file = self.open(b"/d/f")
        self.assertEqual(self.listing(b"/d"), [])
        for attempt in (lambda: self.files.remove_directory(b"/d"), lambda: self.files.rename(b"/e", b"/d")):
            self.assertEqual(self.assertRaises(OSError, attempt).errno, errno.ENOTEMPTY)
        self.close(file)
        self.assertEqual(self.listing(b"/d"), [b"f"])

    def test_directory_of_dead_uploads_is_empty(self) -> None:
        self.begin(1)
        for name in ("d", "e", "g"):
            (self.home / name).mkdir()
            (self.home / name / os.fsdecode(temporary_name(b"f", new_identifier()))).write_bytes(b"part")
        self.files.remove_directory(b"/d")
        self.files.rename(b"/e", b"/g")
        self.assertEqual(self.listing(), [b"g"])
        (self.home / "full").mkdir()
        (self.home / "full" / "file").touch()
        self.assertEqual(self.assertRaises(OSError, self.files.remove_directory, b"/full").errno, errno.ENOTEMPTY)

    def test_read_and_write_on_the_wrong_handle(self) -> None:
        self.begin(0)
        self.put(b"12345")
        upload, download = self.open(), self.files.open_for_reading(b"/f")
        for call in (
            lambda: upload.readChunk(0, 5),
            lambda: download.writeChunk(0, b"x"),
            lambda: download.writeFrom(memoryview(b"x"), 0),
            lambda: download.setAttrs({"size": 0}),
            download.sync,
            lambda: upload.copy_to(0, 0, download, 0),
        ):
            self.assertEqual(self.assertRaises(SFTPError, call).code, codec.PERMISSION_DENIED)
        self.assertIsNone(upload.readInto(memoryview(bytearray(5)), 0))
        self.close(upload)
        download.close()
        self.assertEqual(self.read(), b"12345")


class HiddenTests(UploadCase):
    """The temporary files are nobody's business, in any request."""

    def test_refused_by_name_in_every_verb(self) -> None:
        self.begin(1)
        self.put(b"x")
        file = self.open(b"/g")
        hidden = b"/" + os.fsencode(self.temporaries()[0])
        absent = b"/" + temporary_name(b"absent", new_identifier())
        os.symlink(os.fsdecode(hidden[1:]), self.home / "link")
        files = self.files
        for path in (hidden, absent, b"/f/.." + hidden, b"//" + hidden[1:], b"/link"):
            follows = path == b"/link"
            for name, verb in {
                "stat": lambda p: files.stat(p, follow=True),
                "open to read": files.open_for_reading,
                "open to write": lambda p: files.open_for_writing(p, truncate=True),
                "opendir": files.open_directory,
                "space": files.space,
                "setstat": lambda p: files.change(p, {"size": 0}),
                "lstat": lambda p: files.stat(p, follow=False),
                "readlink": files.readlink,
                "remove": files.remove,
                "rmdir": files.remove_directory,
                "mkdir": files.make_directory,
                "rename from": lambda p: files.rename(p, b"/z"),
                "rename to": lambda p: files.rename(b"/f", p),
                "symlink at": lambda p: files.symlink(b"f", p),
                "symlink to": lambda p: files.symlink(p, b"/z"),
                "hard link of": lambda p: files.hard_link(p, b"/z"),
                "hard link at": lambda p: files.hard_link(b"/f", p),
                "lsetstat": lambda p: files.change(p, {"atime": 1, "mtime": 1}, follow=False),
            }.items():
                if follows and name not in ("stat", "open to read", "open to write", "space", "setstat", "symlink to"):
                    continue  # these are about the link itself
                with self.assertRaises(PermissionDenied, msg=(name, path)):
                    verb(path)
        file.writeChunk(0, b"y")
        self.close(file)
        self.assertEqual(self.read("g"), b"y")
