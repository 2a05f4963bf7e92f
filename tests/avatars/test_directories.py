"""Open directories: what they keep in memory between two READDIRs."""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.sftp import UserSFTPServer
from sftpgo.ssh.requests import BYTES_PER_READDIR, ENTRIES_PER_READDIR
from sftpgo.storage import listing
from tests.doubles import make_filesystem


class DirectoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.files = make_filesystem(self)
        self.server = UserSFTPServer(self.files)

    def fill(self, names: list[bytes]) -> None:
        for name in names:
            with open(os.fsencode(self.files.user.home_dir) + b"/" + name, "wb"):
                pass

    def open(self) -> Any:
        directory = self.server.openDirectory(b"/")
        self.addCleanup(directory.close)
        return directory

    def test_no_more_than_a_reply_holds(self) -> None:
        """The rest of what is read at once would wait in memory, with each of a thousand directories."""
        names = [b"%0200d" % number for number in range(700)]
        self.fill(names)
        directory = self.open()
        found: list[bytes] = []
        while packed := self.successResultOf(directory.readPacked(ENTRIES_PER_READDIR)):
            self.assertLess(sum(map(len, packed)), BYTES_PER_READDIR + 32 * 1024)
            found += packed
        self.assertEqual([entry[4:204] for entry in found], names)

    def test_as_many_as_are_asked_for(self) -> None:
        self.fill([b"%d" % number for number in range(300)])
        directory = self.open()
        sizes = [len(self.successResultOf(directory.readPacked(100))) for _ in range(4)]
        self.assertEqual(sizes, [100, 100, 100, 0])

    def test_many_together(self) -> None:
        """The directories of a session keep few names in order when there are many: all have their entries still."""
        self.patch(listing, "SORTED", 40)
        names = [b"%02d" % number for number in range(40)]
        self.fill(names)
        for share in (40, 20, 13):
            found = [entry[4:6] for entry in self.successResultOf(self.open().readPacked(100))]
            self.assertEqual(found[:share], sorted(found[:share]))
            self.assertEqual(sorted(found), names)
        self.assertEqual(self.files.life.sorting.begin(), 10)
