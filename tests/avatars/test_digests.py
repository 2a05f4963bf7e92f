"""md5sum and its kin: as coreutils print them, with the permission the interface asks for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars import digests
from sftpgo.avatars.targets import find
from sftpgo.errors import PermissionDenied
from sftpgo.storage.upload import temporary_name
from tests.avatars.fakechannel import start
from tests.doubles import HeldThreads, make_filesystem


class DigestTests(SynchronousTestCase):
    """Over a home."""

    def setUp(self) -> None:
        self.files = make_filesystem(self, {"/": ("*",), "/unlisted": ("download", "upload")})
        self.home = Path(self.files.user.home_dir)

    def test_every_algorithm(self) -> None:
        (self.home / "a b").write_bytes(b"content")
        for command, name in digests.ALGORITHMS.items():
            channel = start(self.files, f"{command} 'a b'".encode())
            self.assertEqual(channel.output, f"{hashlib.new(name, b'content').hexdigest()}  /a b\n".encode())
            self.assertEqual((channel.errors, channel.exit), (b"", 0))

    def test_several(self) -> None:
        """One that fails does not keep the others from being printed; no real path in what is said."""
        (self.home / "a").write_bytes(b"a")
        (self.home / "dir").mkdir()
        channel = start(self.files, b"sha1sum a missing dir ./../a unlisted/x -- -b")
        digest = hashlib.sha1(b"a").hexdigest().encode()
        self.assertEqual(channel.output, digest + b"  /a\n" + digest + b"  /a\n")
        self.assertEqual(
            channel.errors.decode().splitlines(),
            [
                "sha1sum: /missing: No such file or directory",
                "sha1sum: /dir: Is a directory",
                "sha1sum: /unlisted/x: Permission denied",
                "sha1sum: /-b: No such file or directory",
            ],
        )
        self.assertEqual(channel.exit, 1)

    def test_uploads_of_their_own(self) -> None:
        """A file that an upload is still writing has a name of the server's, and is nobody's to read by it."""
        name = temporary_name(b"f", b"0" * 20)
        (self.home / os.fsdecode(name)).write_bytes(b"half")
        os.symlink(name, self.home / "link")
        for asked in (name, b"link"):
            channel = start(self.files, b"md5sum " + asked)
            self.assertEqual((channel.output, channel.exit), (b"", 1))
            self.assertIn(b"Permission denied", channel.errors)
            self.assertRaises(PermissionDenied, find, self.files, b"/" + asked, follow=True)

    def test_names_with_ends_of_lines(self) -> None:
        """Escaped as by coreutils, so that a line stays a line."""
        (self.home / "a\\b\nc").write_bytes(b"")
        channel = start(self.files, b"md5sum 'a\\b\nc'")
        self.assertEqual(channel.output, b"\\d41d8cd98f00b204e9800998ecf8427e  /a\\\\b\\nc\n")

    def test_input(self) -> None:
        """Standard input of any length and in any pieces."""
        data = os.urandom(3_000_001)
        for line in (b"sha512sum", b"sha512sum -", b"sha512sum -b"):
            channel = start(self.files, line)
            channel.send(data, piece=33_333)
            self.assertEqual(channel.output, b"")
            channel.end()
            self.assertEqual(channel.output, hashlib.sha512(data).hexdigest().encode() + b"  -\n")
            self.assertEqual(channel.exit, 0)

    def test_permission_is_the_paths_own(self) -> None:
        """C{list} is what it takes, not C{download}, and links are judged by where they lead."""
        files = make_filesystem(self, {"/": ("list",), "/secret": ("download",)})
        home = Path(files.user.home_dir)
        (home / "secret").mkdir()
        (home / "secret" / "f").write_bytes(b"x")
        (home / "f").write_bytes(b"x")
        (home / "link").symlink_to("secret/f")
        (home / "out").symlink_to("/etc/passwd")
        self.assertEqual(start(files, b"md5sum f").exit, 0)
        for path in (b"secret/f", b"link", b"secret/missing", b"/secret/../link"):
            channel = start(files, b"md5sum " + path)
            self.assertEqual((channel.output, channel.exit), (b"", 1), path)
            self.assertIn(b"Permission denied", channel.errors)
        self.assertIn(b"No such file", start(files, b"md5sum out").errors)

    def test_option(self) -> None:
        channel = start(self.files, b"md5sum --check x")
        self.assertEqual((channel.exit, channel.errors), (1, b"md5sum: unknown option\n"))

    def test_large_file_shares_threads(self) -> None:
        """A large file is hashed in slices, and not at all once the client is gone."""
        self.patch(digests, "_SLICE", 1024)
        self.patch(digests, "_PIECE", 1024)
        (self.home / "large").write_bytes(bytes(5000))
        threads = HeldThreads()
        files = make_filesystem(self, run_in_thread=threads.run)
        Path(files.user.home_dir, "large").write_bytes(bytes(5000))
        channel = start(files, b"md5sum large")
        before = set(os.listdir("/proc/self/fd"))
        slices = 0
        while threads.waiting:
            threads.release()
            slices += 1
        self.assertEqual(slices, 5)
        self.assertEqual(channel.exit, 0)
        channel = start(files, b"md5sum large")
        threads.release()
        channel.vanish()
        threads.release()
        self.assertEqual(threads.waiting, [])
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), len(before))
