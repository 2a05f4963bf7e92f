"""What a fault leaves: on the disk, for the client, in the quota.  The table in docs/transfers.rst is this test's."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.upload import UploadSettings
from sftpgo.ssh import codec
from sftpgo.ssh.statuses import refusal
from tests.avatars.faults import FaultyOS, faulty_os
from tests.avatars.ground import Ground, result_of

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "transfers.rst"
BEGIN, END = ".. The table is written by the tests: begin.\n", ".. end.\n"

OLD, NEW = b"o" * 13, b"n" * 40
_STATUS = {
    codec.OK: "OK",
    codec.NO_SUCH_FILE: "NO_SUCH_FILE",
    codec.PERMISSION_DENIED: "PERMISSION_DENIED",
    codec.FAILURE: "FAILURE",
}


def answer(call: Callable[[], Any]) -> str:
    """What the client sees of a request."""
    try:
        result = call()
        if isinstance(result, Deferred):
            result_of(result)
    except Exception:
        reader = codec.Reader(refusal(Failure(), 1)[9:])
        return f"{_STATUS[reader.uint32()]} ({reader.string().decode()})"
    return "OK"


class Scene:
    """One upload over C{/f} that goes half way before the fault.

    @ivar seen: what the client was answered first that was no OK, or OK.
    """

    def __init__(self, mode: int, faulty: FaultyOS, *, old: bool, fsync: bool = False, **limits: Any) -> None:
        self.ground = Ground(track_quota=1, settings=UploadSettings(mode, fsync), **limits)
        self.mode = mode
        self.faulty = faulty
        self.files = self.ground.login()
        self.other = self.ground.login()
        self.seen = "OK"
        if old:
            self.upload(OLD, self.files)

    def upload(self, data: bytes, files: Any) -> None:
        file = files.open_for_writing(b"/f", truncate=True)
        file.writeChunk(0, data)
        closing = file.close()
        if closing is not None:
            result_of(closing)

    def begin(self, files: Any = None, **options: bool) -> None:
        """Open, and write the first half."""
        options = options or {"truncate": True}
        opened = (files or self.files).open_for_writing(b"/f", **options)
        self.file = result_of(opened) if isinstance(opened, Deferred) else opened
        self.offset = 0 if "truncate" in options else len(OLD)
        self.ask(lambda: self.file.writeChunk(self.offset, NEW[:20]))

    def end(self) -> None:
        """Write the second half, and close."""
        self.ask(lambda: self.file.writeChunk(self.offset + 20, NEW[20:]))
        self.ask(self.file.close)

    def ask(self, call: Callable[[], Any]) -> None:
        seen = answer(call)
        if self.seen == "OK":
            self.seen = seen

    def cell(self) -> str:
        """What there is now, in words."""
        self.faulty.faults = {}
        if self.ground.home.exists():
            assert self.ground.used() == self.ground.on_disk(), (self.ground.used(), self.ground.on_disk())
        names = self.ground.names_on_disk() if self.ground.home.exists() else []
        assert not [name for name in names if "sftpgo-upload" in name], names
        assert (self.seen == "OK") == any(event.action == "upload" for event in self.ground.heard[self.skip :])
        files, size = self.ground.used()
        return f"{self.content()}; {self.seen}; {files} file{'s' * (files != 1)}, {size} bytes"

    skip = 0

    def content(self) -> str:
        path = self.ground.home / "f"
        if path.is_dir():
            return "the directory"
        if not path.exists():
            return "nothing"
        data = path.read_bytes()
        for words, content in {
            "the old file": OLD,
            "the new file": NEW,
            "the first half": NEW[:20],
            "an empty file": b"",
            "old and first half": OLD + NEW[:20],
            "old and new": OLD + NEW,
        }.items():
            if data == content:
                return words
        raise AssertionError(data)


def broken(call: str, number: int) -> Callable[[Scene], None]:
    def play(scene: Scene) -> None:
        scene.begin()
        scene.faulty.faults = {call: number}
        scene.end()

    return play


def gone(scene: Scene) -> None:
    scene.begin()
    scene.file.abort()
    scene.seen = "connection lost"


def gone_resuming(scene: Scene) -> None:
    scene.begin(append=True)
    scene.file.abort()
    scene.seen = "connection lost"


def removed(scene: Scene) -> None:
    scene.begin()
    scene.ask(lambda: scene.other.remove(b"/f"))
    scene.end()


def became_directory(scene: Scene) -> None:
    scene.begin()
    scene.ask(lambda: scene.other.remove(b"/f"))
    scene.ask(lambda: scene.other.make_directory(b"/f"))
    scene.end()


def home_removed(scene: Scene) -> None:
    scene.begin()
    shutil.rmtree(scene.ground.home)
    scene.end()


def to_the_end(scene: Scene) -> None:
    scene.begin()
    scene.end()


def two_writers(scene: Scene) -> None:
    """The second opens when the first is half done, and ends after it."""
    scene.begin()
    second = scene.other.open_for_writing(b"/f", truncate=True)
    scene.end()
    scene.ask(lambda: second.writeChunk(0, NEW))
    scene.ask(second.close)


#: Name -> what happens, and what is there before.
FAULTS: dict[str, tuple[Callable[[Scene], None], dict[str, Any]]] = {
    "none, overwrite": (to_the_end, {"old": True}),
    "``ENOSPC`` in a write, new file": (broken("pwrite", errno.ENOSPC), {"old": False}),
    "``ENOSPC`` in a write, overwrite": (broken("pwrite", errno.ENOSPC), {"old": True}),
    "``EDQUOT`` in a write, overwrite": (broken("pwrite", errno.EDQUOT), {"old": True}),
    "``EIO`` in a write, overwrite": (broken("pwrite", errno.EIO), {"old": True}),
    "``EIO`` in ``fsync``, overwrite": (broken("fsync", errno.EIO), {"old": True, "fsync": True}),
    "``EIO`` in ``close``, overwrite": (broken("close", errno.EIO), {"old": True}),
    "``EIO`` in the rename, overwrite": (broken("rename", errno.EIO), {"old": True}),
    "quota reached, new file": (to_the_end, {"old": False, "quota_size": 30}),
    "quota reached, overwrite": (to_the_end, {"old": True, "quota_size": 30}),
    "target removed meanwhile": (removed, {"old": True}),
    "target became a directory": (became_directory, {"old": True}),
    "home removed": (home_removed, {"old": True}),
    "client gone, new file": (gone, {"old": False}),
    "client gone, overwrite": (gone, {"old": True}),
    "client gone, resume": (gone_resuming, {"old": True}),
    "two writers, overwrite": (two_writers, {"old": True}),
}

#: These take a server that is killed: tests/e2e/test_kills.py holds them against the disk.
KILLED = {
    "server killed, new file": (
        "what had arrived",
        "nothing",
        "what had arrived",
    ),
    "server killed, overwrite": (
        "what had arrived",
        "the old file",
        "the old file",
    ),
}


class FaultTableTests(SynchronousTestCase):
    """Each fault in each mode."""

    def observe(self, name: str, mode: int) -> str:
        play, options = FAULTS[name]
        scene = Scene(mode, self.faulty, **options)
        self.addCleanup(scene.ground.end)
        scene.skip = len(scene.ground.heard)
        play(scene)
        return scene.cell()

    def test_table(self) -> None:
        self.faulty = faulty_os(self)
        rows = {name: [self.observe(name, mode) for mode in (0, 1, 2)] for name in FAULTS}
        for name, cells in KILLED.items():
            rows[name] = [f"{cell}; connection lost; as on the disk" for cell in cells]
        table = _table(rows)
        text = DOCUMENT.read_text()
        before, rest = text.split(BEGIN)
        shown, after = rest.split(END)
        if os.environ.get("SFTPGO_WRITE_DOCS"):
            DOCUMENT.write_text(before + BEGIN + table + END + after)
            shown = table
        self.assertEqual(shown, table)


def _table(rows: dict[str, list[str]]) -> str:
    lines = ["", ".. list-table::", "   :header-rows: 1", "   :widths: 19 27 27 27", ""]
    for name, cells in {"Fault": ["Mode 0", "Mode 1", "Mode 2"], **rows}.items():
        lines.append(f"   * - {name}")
        lines += [f"     - {cell}" for cell in cells]
    return "\n".join(lines) + "\n\n"
