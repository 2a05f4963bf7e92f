"""Messages as an honest client might send them, for the fuzzer to make worse."""

from __future__ import annotations

import struct
from random import Random

from sftpgo.ssh import codec
from sftpgo.ssh.fields import string, uint32
from tests.ssh.scripted import kexinit

from .mutations import choose
from .userauth_target import RIGHT

Message = tuple[int, bytes]

_REQUESTS = (b"subsystem", b"exec", b"shell", b"pty-req", b"env", b"signal", b"window-change", b"x\xff", b"")
_GLOBAL = (b"keepalive@openssh.com", b"tcpip-forward", b"no-more-sessions@openssh.com", b"\xff", b"")


def transport_message(random: Random) -> Message:
    """What may come in any phase."""
    return choose(
        random,
        (1, (1, uint32(11) + string(b"bye") + string(b""))),
        (3, (2, string(random.randbytes(random.choice((0, 1, 1000, 30_000)))))),
        (2, (3, uint32(random.randrange(5)))),
        (2, (4, b"\0" + string(b"text") + string(b""))),
        (1, (7, uint32(1) + string(b"ext-info-in-auth@openssh.com") + string(b"0"))),
    )


def kex_message(random: Random) -> Message:
    """A step of a key exchange, its turn or not."""
    lists = choose(
        random,
        (5, {}),
        (1, {"compressions": (b"zlib@openssh.com",)}),
        (1, {"guess": True}),
        (1, {"kex": (b"diffie-hellman-group-exchange-sha256",)}),
        (1, {"kex": (b"mlkem768x25519-sha256",)}),
        (1, {"kex": (b"ecdh-sha2-nistp256",)}),
        (1, {"ciphers": (b"aes256-ctr",), "macs": (b"hmac-sha2-512-etm@openssh.com",)}),
        (1, {"ciphers": (b"chacha20-poly1305@openssh.com",)}),
    )
    return choose(
        random,
        (4, (20, kexinit(random.random() < 0.5, **lists)[1:])),
        (2, (21, b"")),
        (3, (30, string(random.randbytes(random.choice((32, 32, 65, 1216, 0)))))),
        (1, (34, uint32(1024) + uint32(2048) + uint32(8192))),
        (1, (random.randrange(30, 50), random.randbytes(8))),
    )


def login_message(random: Random) -> Message:
    """The authentication's, which are mutated more closely by a target of their own."""
    head = string(choose(random, (5, b"u"), (1, b"v"))) + string(b"ssh-connection")
    return choose(
        random,
        (2, (5, string(choose(random, (4, b"ssh-userauth"), (1, b"ssh-connection"))))),
        (1, (50, head + string(b"none"))),
        (1, (50, head + string(b"password") + b"\0" + string(RIGHT))),
        (2, (50, head + string(b"password") + b"\0" + string(b"wrong"))),
        (1, (50, head + string(b"keyboard-interactive") + string(b"") + string(b""))),
        (1, (50, head + string(b"publickey") + b"\0" + string(b"ssh-ed25519") + string(random.randbytes(51)))),
        (1, (61, uint32(1) + string(choose(random, (1, RIGHT), (3, b"wrong"))))),
    )


def channel_message(random: Random) -> Message:
    """The connection's."""
    number = uint32(random.choice((0, 0, 0, 1, 2, 3, 11, 0xFFFFFFFF)))
    window = uint32(random.choice((0, 1, 1000, 1 << 21, 0xFFFFFFFF)))
    largest = uint32(random.choice((32768, 32768, 0, 255, 256, 0xFFFFFFFF)))
    kind = choose(random, (9, b"session"), (1, b"direct-tcpip"), (1, b"\xff"))
    name = choose(random, (9, b"subsystem"), (5, random.choice(_REQUESTS)))
    rest = choose(random, (9, string(b"sftp")), (1, string(b"scp -t /")), (1, b""), (1, string(b"\xff" * 300)))
    reply = random.choice((b"\0", b"\1"))
    return choose(
        random,
        (1, (80, string(random.choice(_GLOBAL)) + reply)),
        (1, (random.choice((81, 82, 91, 92, 99, 100)), number)),
        (3, (90, string(kind) + uint32(random.randrange(20)) + window + largest)),
        (2, (93, number + window)),
        (8, (94, number + string(sftp_request(random)))),
        (1, (94, number + string(bytes(random.choice((0, 1, 30_000, 34_000)))))),
        (1, (95, number + uint32(1) + string(bytes(100)))),
        (1, (96, number)),
        (1, (97, number)),
        (3, (98, number + string(name) + reply + rest)),
    )


def sftp_request(random: Random) -> bytes:
    """A few requests of one session; their fields are mutated more closely by a target of their own."""
    handle = codec.string(uint32(random.choice((1, 2, 3))))
    opened = codec.string(random.choice((b"/a", b"/n", b"/b/c"))) + struct.pack(">LL", random.randrange(64), 0)
    sized = struct.pack(">QL", 0, random.choice((1, 4096, 255 * 1024)))
    written = struct.pack(">Q", random.choice((0, 5000))) + codec.string(bytes(random.choice((1, 4096, 20_000))))
    requests = (
        struct.pack(">LBL", 5, codec.INIT, 3),
        codec.reply(codec.OPEN, 1, opened),
        codec.reply(codec.READ, 2, handle + sized),
        codec.reply(codec.WRITE, 3, handle + written),
        codec.reply(codec.OPENDIR, 4, codec.string(b"/")),
        codec.reply(codec.READDIR, 5, handle),
        codec.reply(codec.CLOSE, 6, handle),
        codec.reply(codec.STAT, 7, codec.string(b"/a")),
        struct.pack(">L", 1 << 31),
    )
    weights = (3, 9, 9, 9, 3, 9, 3, 9, 1)
    return b"".join(random.choices(requests, weights, k=random.randint(1, 4)))
