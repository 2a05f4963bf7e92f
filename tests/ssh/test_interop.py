"""Real clients against our transport, channels and streams: so that we are not testing ourselves against ourselves."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import asyncssh
import paramiko
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from sftpgo.ssh.algorithms import Algorithms, choose_algorithms
from sftpgo.ssh.kex import METHODS
from sftpgo.ssh.suites import CIPHERS, MACS

from .servers import Factory, askpass, listen, openssh, run, threaded
from .test_ciphers import combinations

SIZE = 3_000_017


class InteropCase(TestCase):
    timeout = 300
    direct = True

    def start(self, **changes: Any) -> int:
        self.root = self.mktemp()
        os.mkdir(self.root)
        self.root = os.path.abspath(self.root)
        self.content = os.urandom(SIZE)
        with open(os.path.join(self.root, "source"), "wb") as file:
            file.write(self.content)
        self.factory = Factory(self.root, threaded(**changes), reactor)
        return listen(self, self.factory, self.direct)

    def check(self, *names: str) -> None:
        for name in names:
            with open(os.path.join(self.root, name), "rb") as file:
                self.assertTrue(file.read() == self.content, f"{name} differs")
            os.remove(os.path.join(self.root, name))


def all_named() -> Algorithms:
    return choose_algorithms(
        [name.decode() for name in METHODS], [name.decode() for name in CIPHERS], [name.decode() for name in MACS]
    )


class OpenSSHTests(InteropCase):
    async def sftp(self, port: int, *options: str) -> None:
        batch = f"get /source {self.root}/got\nput {self.root}/source /put\n"
        status, said = await run(
            *openssh("sftp", port, "BatchMode=no", *options),
            "-b",
            "-",
            "u@127.0.0.1",
            stdin=batch,
            env=askpass(self.root),
        )
        self.assertEqual(status, 0, said)
        self.check("got", "put")

    async def test_each_cipher_with_each_mac(self) -> None:
        port = self.start(algorithms=all_named())
        for cipher, mac in combinations():
            if mac == b"hmac-sha1-96" or cipher == b"3des-cbc":
                mac_option = "MACs=+" + mac.decode()
            else:
                mac_option = "MACs=" + mac.decode()
            await self.sftp(port, f"Ciphers={cipher.decode()}", mac_option)

    async def test_each_key_exchange(self) -> None:
        port = self.start(algorithms=all_named())
        known = (await run("ssh", "-Q", "kex"))[1].split()
        tried = [name.decode() for name in METHODS if name.decode() in known]
        self.assertGreaterEqual(len(tried), 11)
        for name in tried:
            await self.sftp(port, f"KexAlgorithms={name}")

    async def test_each_host_key(self) -> None:
        port = self.start()
        for name in ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"):
            await self.sftp(port, f"HostKeyAlgorithms={name}")

    async def test_compression(self) -> None:
        await self.sftp(self.start(), "Compression=yes")

    async def test_rekeying_by_the_client(self) -> None:
        await self.sftp(self.start(), "RekeyLimit=256K")

    async def test_rekeying_by_the_server(self) -> None:
        port = self.start(rekey_octets=256 * 1024)
        await self.sftp(port)
        # Asked for after each 256 KiB of 6 MB; what flows while an exchange is under way counts for none.
        self.assertGreater(self.factory.exchanges, 3)

    async def test_rekeying_by_both_with_compression(self) -> None:
        await self.sftp(self.start(rekey_octets=300 * 1024), "RekeyLimit=256K", "Compression=yes")

    async def test_reading_and_writing_without_a_stream(self) -> None:
        port = self.start()
        status, said = await run(
            *openssh("ssh", port), "u@127.0.0.1", "echo", stdin="hello\n" * 100_000, env=askpass(self.root)
        )
        self.assertEqual((status, said), (0, "hello\n" * 100_000))


class OpenSSHOverPublicInterfacesTests(OpenSSHTests):
    """The same, over an ordinary transport of Twisted's."""

    direct = False


class ParamikoTests(InteropCase):
    def transfer(self, port: int, cipher: str, mac: str) -> None:
        transport = paramiko.Transport(("127.0.0.1", port))
        try:
            options = transport.get_security_options()
            options.ciphers = (cipher,)
            if mac:
                options.digests = (mac,)
            transport.connect(username="u", password="p")
            client = paramiko.SFTPClient.from_transport(transport)
            assert client is not None
            client.get("/source", f"{self.root}/got")
            client.put(f"{self.root}/source", "/put")
        finally:
            transport.close()
        self.check("got", "put")

    async def test_each_cipher_with_each_mac(self) -> None:
        port = self.start(algorithms=all_named())
        ciphers, macs = paramiko.Transport._preferred_ciphers, paramiko.Transport._preferred_macs
        for cipher, mac in combinations():
            if cipher.decode() in ciphers and (CIPHERS[cipher].has_integrity or mac.decode() in macs):
                name = "" if CIPHERS[cipher].has_integrity else mac.decode()
                await deferToThread(self.transfer, port, cipher.decode(), name)


class AsyncsshTests(InteropCase):
    def transfer(self, port: int, cipher: str, mac: str, kex: str) -> None:
        async def work() -> None:
            async with (
                asyncssh.connect(
                    "127.0.0.1",
                    port,
                    username="u",
                    password="p",
                    known_hosts=None,
                    client_keys=None,
                    config=None,
                    encryption_algs=[cipher],
                    mac_algs=[mac],
                    kex_algs=[kex],
                ) as connection,
                connection.start_sftp_client() as client,
            ):
                await client.get("/source", f"{self.root}/got")
                await client.put(f"{self.root}/source", "/put")

        asyncio.run(work())
        self.check("got", "put")

    async def test_each_cipher_with_each_mac(self) -> None:
        port = self.start(algorithms=all_named())
        for cipher, mac in combinations():
            await deferToThread(self.transfer, port, cipher.decode(), mac.decode(), "curve25519-sha256")

    async def test_each_key_exchange(self) -> None:
        port = self.start(algorithms=all_named())
        for name in METHODS:
            await deferToThread(self.transfer, port, "aes128-gcm@openssh.com", "hmac-sha2-256", name.decode())


class PuttyTests(InteropCase):
    def write_batch(self, text: str) -> str:
        path = os.path.join(self.root, "batch")
        with open(path, "w") as file:
            file.write(text)
        return path

    async def test_default(self) -> None:
        port = self.start()
        batch = self.write_batch(f"get /source {self.root}/got\nput {self.root}/source /put\nquit\n")
        options = ("-P", str(port), "-l", "u", "-pw", "p", "-b", batch)
        # The first run learns the key; PuTTY asks for it on standard input.
        status, said = await run("psftp", *options, "127.0.0.1", stdin="y\n", env={"HOME": self.root})
        self.assertEqual(status, 0, said)
        self.check("got", "put")
