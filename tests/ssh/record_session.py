"""Records what OpenSSH's client sends and takes under each cipher: ``python -m tests.ssh.record_session``.

It writes ``tests/ssh/vectors/openssh.json``: for each cipher and MAC the keys of both directions, and the first packets
each way as they were on the wire.  What the client sent was sealed by OpenSSH; what it was sent, OpenSSH has opened.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred

from sftpgo.ssh import handshake
from sftpgo.ssh.ciphers import Clear
from sftpgo.ssh.packets import PacketReader, PacketWriter
from sftpgo.ssh.suites import CIPHERS, MACS, Keys, packet_cipher

from .servers import Factory, askpass, openssh, run, threaded
from .test_interop import all_named

TARGET = Path(__file__).with_name("vectors") / "openssh.json"

SUITES = (
    *((name, "hmac-sha2-256") for name in ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")),
    ("chacha20-poly1305@openssh.com", "hmac-sha2-256"),
    *(("aes128-ctr", mac.decode()) for mac in MACS),
    ("aes192-ctr", "hmac-sha2-256"),
    ("aes256-ctr", "hmac-sha2-512-etm@openssh.com"),
    ("aes128-cbc", "hmac-sha2-256"),
    ("aes192-cbc", "hmac-sha2-512"),
    ("aes256-cbc", "hmac-sha2-256-etm@openssh.com"),
    ("3des-cbc", "hmac-sha1"),
)
PACKETS = 6


class Recorder:
    """Stands where the packets come by."""

    def __init__(self) -> None:
        self.keys: dict[bool, dict[str, str]] = {}
        self.packets: dict[bool, list[tuple[int, str, str]]] = {False: [], True: []}

    def packet_cipher(self, cipher: bytes, mac: bytes, keys: Keys, encrypting: bool) -> Any:
        """In place of the handshake's."""
        suite = CIPHERS[cipher]
        self.keys[encrypting] = {
            "iv": keys.iv(suite.iv_size).hex(),
            "encryption": keys.encryption(suite.key_size).hex(),
            "integrity": "" if suite.has_integrity else keys.integrity(MACS[mac].key_size).hex(),
        }
        return packet_cipher(cipher, mac, keys, encrypting)

    def take(self, encrypting: bool, sequence: int, plain: bytes, sealed: bytes) -> None:
        """One packet, until there are enough."""
        if len(self.packets[encrypting]) < PACKETS:
            self.packets[encrypting].append((sequence, plain.hex(), sealed.hex()))

    def session(self) -> dict[str, Any]:
        """All that was recorded."""
        return {
            name: self.keys[encrypting] | {"packets": self.packets[encrypting]}
            for name, encrypting in (("from_client", False), ("to_client", True))
        }


def listen_in(recorder: Recorder) -> None:
    """Have every packet of this process pass by."""
    opening, writing = PacketReader.open, PacketWriter.seal

    def opened(reader: PacketReader, view: memoryview, head: int, plain: memoryview) -> None:
        sequence, size = reader.sequence, 4 + reader.length + reader.cipher.tag
        # Opening in place is allowed: look first.
        sealed = bytes(view[head : head + size])
        encrypted = not isinstance(reader.cipher, Clear)
        opening(reader, view, head, plain)
        if encrypted:
            recorder.take(False, sequence, bytes(plain), sealed)

    def sealed(writer: PacketWriter, plain: memoryview, packet: memoryview) -> None:
        sequence = writer.sequence
        writing(writer, plain, packet)
        if not isinstance(writer.cipher, Clear):
            recorder.take(True, sequence, bytes(plain), bytes(packet))

    PacketReader.open = opened
    PacketWriter.seal = sealed
    handshake.packet_cipher = recorder.packet_cipher


async def record(directory: str) -> None:
    """Run one session for each suite."""
    recorder = Recorder()
    listen_in(recorder)
    (Path(directory) / "file").write_bytes(b"recorded\n")
    port = reactor.listenTCP(0, Factory(directory, threaded(algorithms=all_named()), reactor), interface="127.0.0.1")
    sessions = []
    for cipher, mac in SUITES:
        recorder.__init__()
        options = ("BatchMode=no", f"Ciphers={cipher}", f"MACs={mac}")
        command = (*openssh("sftp", port.getHost().port, *options), "-b", "-", "u@127.0.0.1")
        status, said = await run(*command, stdin=f"get /file {directory}/got\n", env=askpass(directory))
        if status:
            raise SystemExit(f"{cipher}, {mac}: {said}")
        sessions.append({"cipher": cipher, "mac": mac} | recorder.session())
    version = (await run("ssh", "-V"))[1].strip()
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps({"client": version, "sessions": sessions}, indent=1) + "\n")
    await port.stopListening()


def main() -> None:
    """Record, and say where."""
    with tempfile.TemporaryDirectory() as directory:
        done = ensureDeferred(record(os.path.abspath(directory)))
        done.addErrback(lambda failure: failure.printTraceback())
        done.addBoth(lambda _: reactor.stop())
        reactor.run()
    print(TARGET)


if __name__ == "__main__":
    main()
