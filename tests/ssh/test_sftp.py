"""The SFTP session's framing, order and answers, as scripts of bytes on a stream."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.conch.interfaces import ISFTPFile, ISFTPServer
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sftpgo.avatars.sftp import UserSFTPServer
from sftpgo.ssh import codec
from sftpgo.ssh.buffers import Buffers, ByteQueue
from sftpgo.ssh.requests import BYTES_PER_READDIR
from sftpgo.ssh.sftp import BYTES_IN_FLIGHT, MAX_PACKET, REQUESTS_IN_FLIGHT, SFTPSession
from sftpgo.ssh.stream import LARGEST_REQUEST
from tests.doubles import make_filesystem


class Stream:
    """A byte stream without a channel: what is put in, and what comes out."""

    def __init__(self) -> None:
        buffers = Buffers()
        self.incoming = ByteQueue(buffers.incoming, 10)
        self.outgoing = ByteQueue(buffers.outgoing, 10, 64)
        self.ended = False
        self.status: int | None = None
        self.stuck = False
        self.allowance = 1 << 40
        self.wanted = 0
        self.sent = b""
        self.handler: SFTPSession | None = None

    @property
    def missing(self) -> int:
        return self.wanted - len(self.incoming)

    def consume(self, size: int) -> None:
        self.incoming.head += size

    def finish(self, status: int) -> None:
        self.status = status

    def wake(self) -> None:
        self.run()

    def run(self) -> None:
        more = True
        while more:
            more = self.handler.serve()
            if self.stuck:
                return
            self.sent += bytes(self.outgoing.view[self.outgoing.head : self.outgoing.tail])
            self.outgoing.clear()

    def put(self, data: bytes) -> None:
        self.incoming.append(data)
        self.run()

    def take(self) -> list[tuple[int, int, bytes]]:
        sent, self.sent = self.sent, b""
        return replies(sent)


def session(files) -> tuple[Stream, SFTPSession]:
    stream = Stream()
    stream.handler = SFTPSession(stream, files)
    return stream, stream.handler


def replies(data: bytes) -> list[tuple[int, int, bytes]]:
    """Split a stream into (type, request id, rest)."""
    found = []
    while data:
        (length,) = struct.unpack_from(">L", data)
        kind, request_id = struct.unpack_from(">BL", data, 4)
        found.append((kind, request_id, data[9 : 4 + length]))
        data = data[4 + length :]
    return found


def status_of(reply: tuple[int, int, bytes]) -> int:
    assert reply[0] == codec.STATUS, reply
    return struct.unpack_from(">L", reply[2])[0]


def request(kind: int, request_id: int, *fields: bytes | int) -> bytes:
    body = b"".join(codec.string(f) if isinstance(f, bytes) else struct.pack(">L", f) for f in fields)
    return codec.reply(kind, request_id, body)


@implementer(ISFTPFile)
class SlowFile:
    """A file whose reads and writes end when the test says so."""

    def __init__(self) -> None:
        self.pending: list[Deferred] = []
        self.closed = False

    def readChunk(self, offset, length):
        deferred = Deferred()
        self.pending.append(deferred)
        return deferred

    def writeChunk(self, offset, data):
        return self.readChunk(offset, len(data))

    def getAttrs(self):
        return {"size": 1}

    def setAttrs(self, attrs):
        pass

    def close(self):
        self.closed = True


@implementer(ISFTPServer)
class SlowFiles:
    """A plain C{ISFTPServer}, without extensions."""

    avatar = None

    def __init__(self) -> None:
        self.file = SlowFile()
        self.removed: list[bytes] = []

    def openFile(self, filename, flags, attrs):
        return self.file

    def removeFile(self, filename):
        self.removed.append(filename)

    def openDirectory(self, path):
        return iter([(b"a", b"long a", {"size": 3}), (b"b", b"long b", {})])

    def realPath(self, path):
        raise RuntimeError("a defect behind the wire")

    def extendedRequest(self, name, data):
        if name == b"known@example":
            return b"answer"
        raise NotImplementedError

    gotVersion = renameFile = makeDirectory = removeDirectory = getAttrs = setAttrs = readLink = makeLink = None


class ProtocolTests(SynchronousTestCase):
    """Against a plain ISFTPServer whose operations take their time."""

    def setUp(self) -> None:
        self.files = SlowFiles()
        self.stream, self.server = session(self.files)

    def ask(self, data: bytes):
        self.stream.put(data)
        return self.stream.take()

    def open(self) -> bytes:
        ((kind, _id, rest),) = self.ask(request(codec.OPEN, 1, b"f", codec.OPEN_READ, 0))
        self.assertEqual(kind, codec.HANDLE)
        return codec.Reader(rest).string()

    def test_version(self) -> None:
        """INIT is answered with version 3 and without extensions nobody serves."""
        self.stream.put(struct.pack(">LBL", 5, codec.INIT, 6))
        answer = self.stream.sent
        self.assertEqual(answer[4:9], struct.pack(">BL", codec.VERSION, 3))
        self.assertIn(b"limits@openssh.com", answer)
        self.assertNotIn(b"posix-rename@openssh.com", answer)

    def test_byte_by_byte(self) -> None:
        for byte in request(codec.REMOVE, 9, b"name")[:-1]:
            self.assertEqual(self.ask(bytes([byte])), [])
        ((kind, request_id, _rest),) = self.ask(b"e")
        self.assertEqual((kind, request_id), (codec.STATUS, 9))
        self.assertEqual(self.files.removed, [b"name"])

    def test_what_is_wanted(self) -> None:
        """The stream knows how much of a request has to come, as soon as its length is there, and not when it has."""
        packet = request(codec.REMOVE, 9, bytes(1000))
        self.ask(packet[:4])
        self.assertEqual(self.stream.wanted, 0)
        self.ask(packet[4:5])
        self.assertEqual(self.stream.wanted, len(packet))
        self.ask(packet[5:] + packet[:100])
        self.assertEqual((len(self.files.removed), self.stream.wanted), (1, len(packet)))
        self.ask(packet[100:])
        self.assertEqual((len(self.files.removed), self.stream.wanted), (2, 0))
        self.ask(packet[:100])
        self.stream.ended = True
        self.stream.run()
        self.assertEqual(self.stream.status, 0)

    def test_unknown_type(self) -> None:
        (reply,) = self.ask(request(77, 5, b"whatever"))
        self.assertEqual((status_of(reply), reply[1]), (codec.OP_UNSUPPORTED, 5))

    def test_unknown_extension(self) -> None:
        (reply,) = self.ask(request(codec.EXTENDED, 5, b"nobody@knows", b"x"))
        self.assertEqual(status_of(reply), codec.OP_UNSUPPORTED)
        (reply,) = self.ask(request(codec.EXTENDED, 6, b"known@example"))
        self.assertEqual(reply, (codec.EXTENDED_REPLY, 6, b"answer"))

    def test_malformed(self) -> None:
        """Each request cut short gets one BAD_MESSAGE, never silence."""
        for kind in (*range(codec.OPEN, codec.SYMLINK + 1), codec.EXTENDED):
            (reply,) = self.ask(codec.reply(kind, 7, b"\0\0"))
            self.assertEqual((status_of(reply), reply[1]), (codec.BAD_MESSAGE, 7), kind)

    def test_defect_behind(self) -> None:
        """An unexpected error behind the wire is a FAILURE for the client and a traceback in the log."""
        (reply,) = self.ask(request(codec.REALPATH, 3, b"."))
        self.assertEqual(status_of(reply), codec.FAILURE)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_too_long(self) -> None:
        """A length that cannot be closes the channel: there is no next packet to find."""
        self.ask(struct.pack(">L", MAX_PACKET + 1) + b"\1")
        self.assertEqual(self.stream.status, 1)

    def test_empty_and_without_id(self) -> None:
        for data in (struct.pack(">LB", 0, 0), struct.pack(">LBB", 2, codec.REMOVE, 0)):
            self.setUp()
            self.assertEqual(self.ask(data), [])
            self.assertEqual(self.stream.status, 1)

    def test_plain_directory(self) -> None:
        """The iterator that Conch's interface asks of openDirectory is served too."""
        ((_kind, _id, rest),) = self.ask(request(codec.OPENDIR, 1, b"/"))
        handle = codec.Reader(rest).string()
        ((kind, _id, rest),) = self.ask(request(codec.READDIR, 2, handle))
        self.assertEqual((kind, codec.Reader(rest).uint32()), (codec.NAME, 2))
        (reply,) = self.ask(request(codec.READDIR, 3, handle))
        self.assertEqual(status_of(reply), codec.EOF)
        (reply,) = self.ask(request(codec.READ, 4, handle, 0, 0, 10))
        self.assertEqual(status_of(reply), codec.FAILURE)

    def test_directory_of_long_names(self) -> None:
        """Not every client takes as large a packet as it may be sent: entries that do not fit come with the next."""
        names = [b"%03d" % number + b"x" * 252 for number in range(400)] + [b"y" * 100_000, b"z"]
        self.files.openDirectory = lambda path: iter([(name, name, {}) for name in names])
        ((_kind, _id, rest),) = self.ask(request(codec.OPENDIR, 1, b"/"))
        handle, found = codec.Reader(rest).string(), []
        for request_id in range(2, 100):
            ((kind, _id, rest),) = self.ask(request(codec.READDIR, request_id, handle))
            if kind == codec.STATUS:
                break
            reader = codec.Reader(rest)
            count = reader.uint32()
            self.assertTrue(count == 1 or len(rest) <= BYTES_PER_READDIR + 4, (count, len(rest)))
            for _ in range(count):
                found.append(reader.string())
                reader.string(), reader.attributes()
        self.assertEqual(found, names)

    def test_replies_as_they_end(self) -> None:
        handle = self.open()
        for request_id in (10, 11, 12):
            self.assertEqual(self.ask(request(codec.READ, request_id, handle, 0, 0, 10)), [])
        self.files.file.pending[2].callback(b"third")
        self.files.file.pending[0].callback(b"first")
        self.assertEqual([reply[1] for reply in self.stream.take()], [12, 10])

    def test_others_wait_their_turn(self) -> None:
        """A CLOSE and a REMOVE behind a WRITE run after it, in order."""
        handle = self.open()
        data = request(codec.WRITE, 2, handle, 0, 0, b"data") + request(codec.CLOSE, 3, handle)
        self.assertEqual(self.ask(data + request(codec.REMOVE, 4, b"gone")), [])
        self.assertFalse(self.files.file.closed)
        self.assertEqual(self.files.removed, [])
        self.files.file.pending[0].callback(None)
        self.assertEqual([reply[1] for reply in self.stream.take()], [2, 3, 4])
        self.assertTrue(self.files.file.closed)

    def test_bounded(self) -> None:
        """No more reads are under way than their number and their bytes allow, whatever is pipelined."""
        handle = self.open()
        for request_id in range(3 * REQUESTS_IN_FLIGHT):
            self.ask(request(codec.READ, request_id, handle, 0, 0, 10))
        self.assertEqual(len(self.files.file.pending), REQUESTS_IN_FLIGHT)
        for number in range(3 * REQUESTS_IN_FLIGHT):
            self.files.file.pending[number].callback(b"x")
        self.assertEqual(len(self.stream.take()), 3 * REQUESTS_IN_FLIGHT)

    def test_bytes_are_bounded(self) -> None:
        handle = self.open()
        for request_id in range(REQUESTS_IN_FLIGHT):
            self.ask(request(codec.READ, request_id, handle, 0, 0, 2**32 - 1))
        under_way = len(self.files.file.pending)
        self.assertGreater(under_way, 1)
        self.assertLessEqual(under_way * 255 * 1024, BYTES_IN_FLIGHT)

    def test_no_room(self) -> None:
        """While replies cannot leave, requests are not read; all are served when there is room."""
        self.stream.stuck = True
        wanted = 60_000
        self.ask(b"".join(request(codec.REMOVE, number, b"x") for number in range(wanted)))
        self.assertLess(len(self.files.removed), wanted)
        self.assertGreater(len(self.stream.incoming), 100_000)
        self.stream.stuck = False
        self.stream.run()
        self.assertEqual([reply[1] for reply in self.stream.take()], list(range(wanted)))

    def test_turns(self) -> None:
        """A thousand small requests at once are more than a turn's worth; the largest one is not."""
        self.assertGreaterEqual(LARGEST_REQUEST, MAX_PACKET)
        self.stream.stuck = True
        self.stream.allowance = 10 * 4096
        self.ask(b"".join(request(codec.REMOVE, number, b"x") for number in range(1000)))
        self.assertEqual(len(self.files.removed), 10)
        self.stream.allowance = 1 << 40
        self.stream.stuck = False
        self.stream.run()
        self.assertEqual([reply[1] for reply in self.stream.take()], list(range(1000)))

    def test_end_of_input(self) -> None:
        """After EOF what was asked is answered, then the channel closes."""
        handle = self.open()
        self.ask(request(codec.READ, 2, handle, 0, 0, 10))
        self.stream.ended = True
        self.stream.run()
        self.assertIsNone(self.stream.status)
        self.files.file.pending[0].callback(b"x")
        self.assertEqual(self.stream.status, 0)

    def test_lost_connection(self) -> None:
        """Handles left open are closed; late results go nowhere."""
        handle = self.open()
        self.ask(request(codec.READ, 2, handle, 0, 0, 10))
        self.server.closed()
        self.assertTrue(self.files.file.closed)
        self.files.file.pending[0].callback(b"late")
        self.assertEqual(self.stream.take(), [])


class AnyBytesTests(SynchronousTestCase):
    """Whatever a client sends over real files: one reply a request with an id, and nothing raises."""

    kinds = st.one_of(st.integers(0, 255), st.sampled_from([*range(3, 21), 200]))
    bodies = st.one_of(
        st.binary(max_size=60),
        st.lists(
            st.one_of(
                st.sampled_from([b"/", b"a", b"b/c", b"1", b"2", b"/../x", b"\xff", b"n\0l", b"x" * 256]).map(
                    codec.string
                ),
                st.integers(0, 2**32 - 1).map(struct.Struct(">L").pack),
                st.sampled_from([0, 1, 2, 4, 8, 15, 26, 63]).map(struct.Struct(">L").pack),
            ),
            max_size=5,
        ).map(b"".join),
    )

    def setUp(self) -> None:
        self.files = UserSFTPServer(make_filesystem(self))

    @given(st.lists(st.tuples(kinds, bodies), max_size=12), st.integers(1, 50))
    @settings(max_examples=300, deadline=None)
    def test_one_reply_each(self, packets: list[tuple[int, bytes]], step: int) -> None:
        stream, server = session(self.files)
        packets = [(kind, body) for kind, body in packets if kind != codec.INIT]
        data = b"".join(codec.reply(kind, number, body) for number, (kind, body) in enumerate(packets))
        for start in range(0, len(data), step):
            stream.put(data[start : start + step])
        server.closed()
        self.assertEqual([reply[1] for reply in stream.take()], list(range(len(packets))))
        self.assertEqual(self.flushLoggedErrors(), [])
