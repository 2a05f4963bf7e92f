"""``python -m tests.web.screenshots docs/screenshots``: pictures of every page, wide and narrow, light and dark.

A server of its own, with some users and real clients at work, is what the pictures show.
"""

from __future__ import annotations

import base64
import math
import random
import struct
import sys
import threading
import time
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.harness import Server
from tests.web.browser import NARROW, WIDE, Browser, shared_browser
from tests.web.clients import Client, refused
from tests.web.pages import GUARDED, GUARDED_FILES

#: Seconds of traffic before the plots are worth looking at.
_TRAFFIC = 100

#: User, client, bytes that are stored already.
_CLIENTS = (
    ("backup-nightly", "OpenSSH_9.6", 21_000_000),
    ("anna.meyer", "FileZilla_3.66.4", 33_000_000),
    ("design-agency", "WinSCP_release_6.1.2", 4_000_000),
    ("müller", "libssh2_1.11.0", 4_600_000),
    ("reports", "paramiko_3.4.0", 2_000_000),
)

_DAY = 24 * 3600 * 1000

_PIXELS = """
const [picture, done] = arguments;
const quantise = async () => {
  const blob = new Blob([Uint8Array.from(atob(picture), (c) => c.charCodeAt(0))], { type: "image/png" });
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const data = new Uint32Array(context.getImageData(0, 0, bitmap.width, bitmap.height).data.buffer);
  const counts = new Map();
  for (const pixel of data) counts.set(pixel, (counts.get(pixel) || 0) + 1);
  const colours = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
  const parts = (c) => [c & 255, (c >> 8) & 255, (c >> 16) & 255];
  const palette = [];
  const far = (c) => palette.every((p) => parts(p).reduce((sum, x, i) => sum + (x - parts(c)[i]) ** 2, 0) > 120);
  for (const c of colours) if (palette.length < 96 && far(c)) palette.push(c);
  const nearest = (c) => {
    const [r, g, b] = parts(c);
    let best = 0, least = Infinity;
    palette.forEach((p, i) => {
      const [x, y, z] = parts(p);
      const d = (r - x) ** 2 + (g - y) ** 2 + (b - z) ** 2;
      if (d < least) [best, least] = [i, d];
    });
    return best;
  };
  const places = new Map(colours.map((c) => [c, nearest(c)]));
  const indices = Uint8Array.from(data, (pixel) => places.get(pixel));
  let text = "";
  for (let i = 0; i < indices.length; i += 32768) text += String.fromCharCode(...indices.subarray(i, i + 32768));
  return { width: bitmap.width, height: bitmap.height, palette: palette.flatMap(parts), indices: btoa(text) };
};
quantise().then(done);
"""


def small(browser: Browser, picture: bytes) -> bytes:
    """The picture in as few colours as it needs (PNG, section 11.2.2: colour type 3)."""
    browser.driver.get("about:blank")
    told = browser.driver.execute_async_script(_PIXELS, base64.b64encode(picture).decode())
    width, height, pixels = told["width"], told["height"], base64.b64decode(told["indices"])
    rows = b"".join(b"\0" + pixels[start : start + width] for start in range(0, len(pixels), width))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(told["palette"])),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def populate(server: Server) -> None:
    """Users as an installation has them."""
    now = round(time.time() * 1000)
    users: list[dict[str, Any]] = [
        {"username": "anna.meyer", "quota_size": 50_000_000, "quota_files": 200},
        {"username": "backup-nightly", "quota_size": 60_000_000, "upload_bandwidth": 40_000, "max_sessions": 4},
        {"username": "billing", "permissions": {"/": ["list", "download"], "/inbox": ["*"]}},
        {"username": "camera-17", "quota_files": 40, "permissions": {"/": ["list", "upload"]}},
        {"username": "carlos", "expiration_date": now + 5 * _DAY},
        {"username": "design-agency", "quota_size": 100_000_000, "expiration_date": now + 90 * _DAY},
        {"username": "former.intern", "status": 0},
        {"username": "guest", "expiration_date": now - 3 * _DAY, "permissions": {"/": ["list", "download"]}},
        {"username": "müller", "quota_size": 5_000_000},
        {"username": "reports", "permissions": {"/": ["*"], "/archive": ["list", "download"]}},
        {"username": "translations", "quota_size": 1_500_000_000},
        {"username": "zoé", "download_bandwidth": 2_000},
    ]
    for user in users:
        server.add_user(**user)


class Bustle(threading.Thread):
    """Clients that move bytes until they are told to stop.

    @param clients: where what has to be closed is left.
    """

    def __init__(self, server: Server, clients: ExitStack) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._ended = threading.Event()
        self._random = random.Random(8)  # nothing hangs on it
        self._uploads: list[Any] = []
        for name, version, stored in _CLIENTS:
            client = Client(server, name, version=f"SSH-2.0-{version}")
            clients.callback(client.close)
            (server.home(name) / "stored.bin").write_bytes(bytes(stored))
            server.rest("POST", "/quota_scan", {"username": name})
            if name == "reports":
                self._download = client.sftp.open("stored.bin", "rb")
                continue
            self._uploads.append(client.upload(f"{name}-2026-11-23.tar.zst", 100_000))
        clients.callback(self.join)
        clients.callback(self._ended.set)

    def run(self) -> None:
        """Faster and slower, with somebody now and then who logs in or fails to."""
        began = time.monotonic()
        while not self._ended.wait(0.1):
            wave = 1.2 + math.sin((time.monotonic() - began) / 9)
            for file in self._uploads[: 1 + int(wave)]:
                file.write(bytes(int(self._random.uniform(2_000, 9_000) * wave)))
            if not self._download.read(int(self._random.uniform(10_000, 30_000) / wave)):
                self._download.seek(0)
            if self._random.random() < 0.02:
                refused(self._server, "guest")
            if self._random.random() < 0.04:
                Client(self._server, "translations").close()


def take(browser: Browser, origin: str, name: str, path: str, directory: Path) -> None:
    """One page in four pictures."""
    for scheme in ("light", "dark"):
        for width, height in (WIDE, NARROW):
            browser.scheme(scheme)
            browser.size(width, height)
            browser.driver.get(origin + path)
            if browser.all("#live"):
                browser.wait_for_text("Live", "#live")
                time.sleep(3)
            picture = small(browser, browser.screenshot())
            (directory / f"{name}-{width}-{scheme}.png").write_bytes(picture)


def main(arguments: list[str]) -> int:
    """Take all of them."""
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        browser = shared_browser()
        server = Server()
        stack.callback(server.clean_up)
        server.start()
        populate(server)
        Bustle(server, stack).start()
        time.sleep(_TRAFFIC)
        origin = f"http://127.0.0.1:{server.http_port}"
        user = server.rest("GET", "/user?username=billing")[0]["id"]
        session = server.rest("GET", "/connection")[0]["connection_id"]
        for name, path in (
            ("users", "/web/users"),
            ("user", f"/web/user/{user}"),
            ("connections", "/web/connections"),
            ("disconnect", f"/web/connections/{session}"),
            ("status", "/web/status"),
        ):
            take(browser, origin, name, path, directory)
        guarded = Server(GUARDED, files=GUARDED_FILES)
        stack.callback(guarded.clean_up)
        guarded.start()
        take(browser, f"http://127.0.0.1:{guarded.http_port}", "login", "/web/login", directory)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
