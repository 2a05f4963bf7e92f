"""What the fuzzer has found, each by itself; and a short run of it, always the same cases."""

from __future__ import annotations

import struct
from random import Random

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh import codec
from sftpgo.ssh.userauth import HOST_BOUND
from tests.doubles import HeldThreads

from .oracle import LoggedErrors
from .runner import opened, run_case
from .sftp_target import SFTPTarget, World
from .userauth_target import HOST_KEY, SESSION, UserAuthTarget

CASES = 120
"""Of each target, in the short run."""


class SFTPCrashers(SynchronousTestCase):
    def serve(self, *requests: bytes) -> dict[str, int]:
        """What the target has counted for these requests, none of which may break a promise."""
        target = SFTPTarget()
        self.addCleanup(target.close)
        world = World(HeldThreads())
        self.addCleanup(world.close)
        with LoggedErrors() as errors:
            target.serve(b"".join(requests), Random(1), world)
            errors.check()
        world.check()
        return dict(target.counts)

    def test_a_size_beyond_any_file(self) -> None:
        """SETSTAT, LSETSTAT and FSETSTAT to 2^63 bytes and more are refused, and no error of ours."""
        for size in (1 << 63, (1 << 64) - 1):
            attributes = struct.pack(">LQ", codec.ATTR_SIZE, size)
            extension = codec.string(b"lsetstat@openssh.com") + codec.string(b"/a")
            counts = self.serve(
                codec.reply(codec.SETSTAT, 1, codec.string(b"/a") + attributes),
                codec.reply(codec.EXTENDED, 2, extension + attributes),
                codec.reply(codec.OPEN, 3, codec.string(b"/a") + struct.pack(">LL", codec.OPEN_WRITE, 0)),
                codec.reply(codec.FSETSTAT, 4, codec.string(b"\0\0\0\1") + attributes),
            )
            self.assertEqual(counts["status 4"], 3)

    def test_a_read_of_nothing_that_is_refused(self) -> None:
        """One answer, not two; and the session goes on."""
        counts = self.serve(
            codec.reply(codec.OPEN, 1, codec.string(b"/a") + struct.pack(">LL", codec.OPEN_WRITE, 0)),
            codec.reply(codec.READ, 2, codec.string(b"\0\0\0\1") + struct.pack(">QL", 0, 0)),
            codec.reply(codec.STAT, 3, codec.string(b"/a")),
        )
        self.assertEqual((counts["status 3"], counts["requests answered once"]), (1, 3))


class UserAuthCrashers(SynchronousTestCase):
    key = Key(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))
    curve_key = Key(ec.derive_private_key(12345, ec.SECP256R1()))

    def serve(self, method: bytes, rest: bytes, known: Key | None = None, *more: tuple[int, bytes]) -> dict[str, int]:
        target = UserAuthTarget()
        head = NS(b"u") + NS(b"ssh-connection") + NS(method)
        with LoggedErrors() as errors:
            target.serve([(50, head + rest), *more], known or self.key, False, Random(1))
            errors.check()
        return dict(target.counts)

    def test_requests_that_are_cut_short(self) -> None:
        """The connection ends, and the log does not fill with tracebacks that anybody can order."""
        blob = NS(b"ssh-ed25519") + NS(self.key.public().blob())
        for method, rest in (
            (b"password", b""),
            (b"password", b"\0\0\0"),
            (b"publickey", b"\1"),
            (b"publickey", b"\0" + NS(b"ssh-ed25519")),
            (b"publickey", b"\1" + blob),
            (HOST_BOUND, b"\0" + blob),
            (HOST_BOUND, b"\1" + blob + NS(HOST_KEY)),
        ):
            self.assertEqual(self.serve(method, rest)["ended by us"], 1, (method, rest))

    def test_an_answer_that_is_cut_short(self) -> None:
        for answer in (b"\0\0\0\1", b"\0\0\0\1\0\0"):
            counts = self.serve(b"keyboard-interactive", NS(b"") * 2, None, (61, answer))
            self.assertEqual(counts["ended by us"], 1)

    def test_keys_in_other_forms(self) -> None:
        """What is sent as a key is read as RFC 4253 writes keys, never as a line or a file that holds one."""
        line = self.key.public().toString("openssh")
        file = self.key.toString("openssh", subtype="v1")
        for blob in (b"ssh-ed25519", line, file, b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"(", b"{"):
            fields = NS(b"ssh-ed25519") + NS(blob)
            for rest in (b"\0" + fields, b"\1" + fields + NS(NS(b"x") * 2)):
                counts = self.serve(b"publickey", rest)
                self.assertEqual((counts["logged in"], counts["questions to the checker"]), (0, 0), blob)

    def test_signatures_without_form(self) -> None:
        """A known key with a signature that has not even the form of one: refused, as any wrong one is."""
        name = b"ecdsa-sha2-nistp256"
        fields = NS(name) + NS(self.curve_key.public().blob())
        for inner in (b"", b"\0\0", NS(b"\1"), NS(b"") + NS(b"")):
            counts = self.serve(b"publickey", b"\1" + fields + NS(NS(name) + NS(inner)), self.curve_key)
            self.assertEqual((counts["logged in"], counts["questions to the checker"]), (0, 1))

    def test_the_right_signature(self) -> None:
        """The target does let in who should be."""
        head = NS(SESSION) + b"\x32" + NS(b"u") + NS(b"ssh-connection") + NS(b"publickey")
        fields = b"\1" + NS(b"ssh-ed25519") + NS(self.key.public().blob())
        counts = self.serve(b"publickey", fields + NS(self.key.sign(head + fields)))
        self.assertEqual(counts["logged in"], 1)


class ShortRun(SynchronousTestCase):
    def test_some_cases(self) -> None:
        with opened() as targets, LoggedErrors() as errors:
            for number in range(CASES):
                for target in targets:
                    crash = run_case(target, number, errors)
                    self.assertIsNone(crash, crash)
            seen = {target.name: target.counts for target in targets}
        # It has come somewhere.
        self.assertGreater(seen["transport"]["logins"], 10)
        self.assertGreater(seen["sftp"]["requests answered once"], 500)
        self.assertGreater(seen["userauth"]["logged in"], 0)
