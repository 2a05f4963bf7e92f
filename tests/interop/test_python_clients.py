"""paramiko and asyncssh against the real server."""

from __future__ import annotations

import asyncio
import os
import stat

import asyncssh
import paramiko

from tests.harness import digest, tree_digest
from tests.interop.base import ServerTestCase
from tests.rawsftp import connect


class ParamikoTests(ServerTestCase):
    """paramiko's SFTP client."""

    def setUp(self) -> None:
        super().setUp()
        self.transport = connect(self.server.sftp_port, self.user, self.password)
        self.addCleanup(self.transport.close)
        self.sftp = paramiko.SFTPClient.from_transport(self.transport)

    def test_key(self) -> None:
        key = paramiko.Ed25519Key.from_private_key_file(str(self.key.path))
        transport = connect(self.server.sftp_port, self.user, key=key)
        self.addCleanup(transport.close)
        self.assertTrue(transport.is_authenticated())

    def test_round(self) -> None:
        local = self.make_file("local", 1_300_007)
        self.sftp.put(str(local), "/there")
        self.assertEqual(digest(self.home / "there"), digest(local))
        self.sftp.rename("/there", "/renamed")
        self.sftp.get("/renamed", str(self.work / "back"))
        self.assertEqual(digest(self.work / "back"), digest(local))
        self.sftp.remove("/renamed")
        self.assertEqual(self.sftp.listdir("/"), [])

    def test_random_access(self) -> None:
        """Reading and writing in the middle, appending, truncating by handle and by path."""
        with self.sftp.open("/f", "w") as file:
            file.write(b"0123456789")
        with self.sftp.open("/f", "r+") as file:
            file.seek(3)
            file.write(b"xyz")
            file.seek(0)
            self.assertEqual(file.read(), b"012xyz6789")
            file.truncate(8)
            self.assertEqual(file.stat().st_size, 8)
        with self.sftp.open("/f", "a") as file:
            file.write(b"END")
        self.assertEqual((self.home / "f").read_bytes(), b"012xyz67END")
        self.sftp.truncate("/f", 2)
        self.assertEqual((self.home / "f").read_bytes(), b"01")

    def test_links(self) -> None:
        with self.sftp.open("/f", "w") as file:
            file.write(b"data")
        self.sftp.symlink("f", "/link")
        self.assertEqual(self.sftp.readlink("/link"), "f")
        self.assertTrue(stat.S_ISLNK(self.sftp.lstat("/link").st_mode))
        self.assertTrue(stat.S_ISREG(self.sftp.stat("/link").st_mode))
        self.sftp.posix_rename("/link", "/moved")
        self.assertEqual(os.readlink(self.home / "moved"), "f")

    def test_parallel_channels(self) -> None:
        """Two sessions on one connection do not disturb each other; ending one leaves the other."""
        other = paramiko.SFTPClient.from_transport(self.transport)
        with self.sftp.open("/a", "w") as mine, other.open("/b", "w") as theirs:
            for number in range(50):
                mine.write(b"a%d" % number)
                theirs.write(b"b%d" % number)
        other.close()
        self.assertEqual(sorted(self.sftp.listdir("/")), ["a", "b"])

    def test_checks_of_a_stat_after_a_put(self) -> None:
        """paramiko compares sizes after a put: the size is right at once."""
        local = self.make_file("local", 40_000)
        self.assertEqual(self.sftp.put(str(local), "/x", confirm=True).st_size, 40_000)


class AsyncSSHTests(ServerTestCase):
    """asyncssh's SFTP client, which pipelines and asks for every extension."""

    def test_round(self) -> None:
        tree = self.make_tree()

        async def talk() -> None:
            async with asyncssh.connect(
                "127.0.0.1",
                self.server.sftp_port,
                username=self.user,
                client_keys=[str(self.key.path)],
                known_hosts=None,
                config=None,
                agent_path=None,
            ) as connection:
                async with connection.start_sftp_client() as sftp:
                    await sftp.put(str(tree), "up", recurse=True, preserve=True)
                    await sftp.get("up", str(self.work / "down"), recurse=True, preserve=True)
                    # To a server that does not call itself OpenSSH it sends a link's name before its target.
                    await sftp.symlink("soft", "up/plain.txt")
                    await sftp.link("up/plain.txt", "hard")
                    self.assertEqual(await sftp.readlink("soft"), "up/plain.txt")
                    space = await sftp.statvfs("/")
                    self.assertGreater(space.blocks, 0)
                    await sftp.posix_rename("hard", "soft")
                    async with sftp.open("new", "wb") as file:
                        await file.write(b"x" * 100_000)
                        await file.fsync()
                    await sftp.setstat("new", asyncssh.SFTPAttrs(permissions=0o600, atime=5, mtime=6, size=10))

        asyncio.run(talk())
        self.assertEqual(tree_digest(self.home / "up"), tree_digest(tree))
        self.assertEqual(tree_digest(self.work / "down"), tree_digest(tree))
        self.assertTrue(os.path.samefile(self.home / "soft", self.home / "up" / "plain.txt"))
        there = (self.home / "new").stat()
        self.assertEqual((there.st_size, there.st_mode & 0o777, there.st_atime, there.st_mtime), (10, 0o600, 5, 6))

    def test_remote_copy(self) -> None:
        """copy-data: the server copies by itself."""
        data = os.urandom(3_000_000)

        async def talk() -> None:
            async with asyncssh.connect(
                "127.0.0.1",
                self.server.sftp_port,
                username=self.user,
                password=self.password,
                known_hosts=None,
                config=None,
                agent_path=None,
                client_keys=None,
            ) as connection:
                async with connection.start_sftp_client() as sftp:
                    async with sftp.open("source", "wb") as file:
                        await file.write(data)
                    self.assertTrue(sftp.supports_remote_copy)
                    await sftp.copy("source", "target")

        asyncio.run(talk())
        self.assertEqual((self.home / "target").read_bytes(), data)
