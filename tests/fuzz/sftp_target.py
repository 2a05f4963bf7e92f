"""The SFTP session over real files: every request with an id is answered once, and nobody gets out of the home."""

from __future__ import annotations

import os
import resource
import struct
from collections.abc import Callable
from random import Random
from typing import Any

from sftpgo.avatars.sftp import UserSFTPServer
from sftpgo.ssh import codec
from sftpgo.ssh.sftp import MAX_PACKET
from tests.doubles import HeldThreads, make_filesystem, run_now
from tests.ssh.test_sftp import Stream, replies, session

from .mutations import mutated, pieces
from .oracle import Counts, require
from .sftp_requests import LARGEST_FILE, OPENED, packet

SECRET = b"what nobody outside the home's walls may ever read"
HELD = 8 << 20
"""Bytes that the reply queue of one session may hold."""

_REPLIES = frozenset((*range(codec.STATUS, codec.ATTRS + 1), codec.EXTENDED_REPLY))


class Cleanups:
    """In the place of a test: what must be undone, done by L{close}."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def addCleanup(self, call: Callable[..., Any], *args: Any) -> None:
        self._calls.append((call, args))

    def close(self) -> None:
        while self._calls:
            call, args = self._calls.pop()
            call(*args)


class World:
    """A home with links that lead out of it, and what lies outside."""

    def __init__(self, threads: HeldThreads | None) -> None:
        self._cleanups = Cleanups()
        run = threads.run if threads is not None else run_now
        self.files = make_filesystem(self._cleanups, run_in_thread=run)  # type: ignore[arg-type]
        home = self.files.user.home_dir
        self.outside = os.path.join(os.path.dirname(home), "outside")
        with open(os.path.join(self.outside, "secret"), "wb") as file:
            file.write(SECRET)
        os.mkdir(os.path.join(home, "b"))
        for name in ("a", "b/c"):
            with open(os.path.join(home, name), "wb") as file:
                file.write(b"inside" * 1000)
        os.symlink(self.outside, os.path.join(home, "out"))
        os.symlink("../..", os.path.join(home, "b", "up"))
        os.symlink("..", os.path.join(home, "up"))
        os.symlink("loop", os.path.join(home, "loop"))
        self._before = self._picture()

    def _picture(self) -> list[tuple[str, tuple[int, ...], bytes]]:
        """All that is outside the home, with the times of it."""
        found = []
        around = os.path.dirname(self.files.user.home_dir)
        for name in (around, self.outside, os.path.join(self.outside, "secret")):
            has = os.lstat(name)
            numbers = (has.st_ino, has.st_mode, has.st_uid, has.st_mtime_ns, has.st_nlink, has.st_size)
            content = b"".join(sorted(map(os.fsencode, os.listdir(name)))) if os.path.isdir(name) else _content(name)
            found.append((name, numbers, content))
        return found

    def check(self) -> None:
        """Nothing outside was touched."""
        require(self._picture() == self._before, "something outside the home was changed")

    def close(self) -> None:
        self._cleanups.close()


def _content(name: str) -> bytes:
    with open(name, "rb") as file:
        return file.read()


class SFTPTarget:
    """Sessions of mutated requests, a few hundred of them on one home."""

    name = "sftp"

    def __init__(self) -> None:
        self.counts = Counts()
        self._world: World | None = None
        self._threads = HeldThreads()
        self._left = 0
        self._limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, self._limit[1]))

    def close(self) -> None:
        if self._world is not None:
            self._world.close()
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limit)

    def run(self, random: Random, fresh: bool = False) -> None:
        """One session.

        @param fresh: on a home of its own: what happens then depends on C{random} alone.
        """
        if fresh or not self._left or self._world is None:
            if self._world is not None:
                self._world.close()
            self._world = World(self._threads)
            self._left = 200
        self._left -= 1
        data = b"".join(packet(random, number) for number in range(random.randint(1, 25)))
        if random.random() < 0.7:
            data = OPENED + data
        if random.random() < 0.3:
            data = mutated(random, data, 2)
        self.serve(data, random, self._world)
        self._world.check()

    def serve(self, data: bytes, random: Random, world: World) -> None:
        """Put bytes in as they come from a network, and hold the answers against them."""
        stream, server = session(UserSFTPServer(world.files))
        stream.stuck = random.random() < 0.2
        held = random.random() < 0.5
        for piece in pieces(random, data):
            stream.put(piece)
            if not held:
                self._settle(stream)
        stream.stuck = False
        stream.run()
        self._settle(stream)
        require(len(stream.outgoing.data) <= HELD, f"{len(stream.outgoing.data)} bytes of replies are held")
        sent = stream.sent
        self._judge(data, stream)
        stream.sent = b""
        stream.ended = True
        stream.run()
        require(stream.status is not None, "the end of the input does not end the session")
        server.closed()
        self._settle(stream)
        require(not stream.sent, "something was said after the end")
        require(SECRET not in sent, "a file outside the home was read")
        require(os.fsencode(world.files.user.home_dir) not in sent, "the real path of the home was told")

    def _settle(self, stream: Stream) -> None:
        """Run what waits for threads, and what that leads to."""
        while self._threads.waiting:
            self.counts["calls in threads"] += len(self._threads.waiting)
            self._threads.release()
            stream.run()

    def _judge(self, data: bytes, stream: Stream) -> None:
        wanted, versions, refused = expected(data)
        answers = replies(stream.sent)
        got = [number for kind, number, _ in answers if kind != codec.VERSION]
        require(sum(kind == codec.VERSION for kind, _, _ in answers) == versions, "not each INIT was answered once")
        require(all(kind in _REPLIES for kind, _, _ in answers if kind != codec.VERSION), "a reply of no known type")
        require(sorted(got) == sorted(wanted), f"asked {sorted(wanted)}, answered {sorted(got)}")
        require((stream.status is not None) == refused, "only a length that cannot be ends a session")
        self.counts["sessions"] += 1
        self.counts["requests answered once"] += len(got)
        self.counts["sessions closed for a bad length"] += refused
        for kind, _, rest in answers:
            if kind == codec.STATUS:
                self.counts[f"status {struct.unpack_from('>L', rest)[0]}"] += 1


def expected(data: bytes) -> tuple[list[int], int, bool]:
    """The ids that must be answered, the INITs, and whether the session is closed for a length that cannot be."""
    wanted, versions, position = [], 0, 0
    while len(data) - position >= 5:
        length, kind = struct.unpack_from(">LB", data, position)
        if not 5 <= length <= MAX_PACKET:
            return wanted, versions, True
        if len(data) - position < 4 + length:
            break
        if kind == codec.INIT:
            versions += 1
        else:
            wanted.append(struct.unpack_from(">L", data, position + 5)[0])
        position += 4 + length
    return wanted, versions, False
