"""Directories and files that turn into links to the outside, and back, while every operation runs.

C{SFTPGO_RACE_SECONDS} says how long each resolver is under attack (2 seconds by default).
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import random
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage.resolver import DIRECTORY
from sftpgo.storage.walk import WalkResolver
from tests.storage.operations import OPERATIONS
from tests.storage.world import (
    OUTSIDE_NAME,
    SECRET,
    ByOpenat2,
    ByWalk,
    Watch,
    World,
    open_descriptors,
    running,
    write,
)

SECONDS = float(os.environ.get("SFTPGO_RACE_SECONDS", "2"))
REPORT = "SFTPGO_RACE_SECONDS" in os.environ
WORKERS = 2

#: Operations between two mendings, which cost more than they do.
BETWEEN_MENDINGS = 8

#: After its time the race goes on until every operation succeeded once, but not beyond so many of them.
ENOUGH = 500_000

INSIDE = b"inside"

#: Names that are exchanged, and what the first is before: a directory or a file; the second is a link outside.
DIRECTORY_PAIRS = ((b"d", b"d-trap"), (b"p/e", b"p/e-trap"))
FILE_PAIRS = ((b"f", b"f-trap"),)
PAIRS = (*DIRECTORY_PAIRS, *FILE_PAIRS)

#: Paths that pass through or end in a name that is exchanged; the outside has the same names.
PATHS = (
    b"/d",
    b"/d/file",
    b"/d/sub/secret",
    b"/d/new",
    b"/d/empty",
    b"/f",
    b"/p/e/file",
    b"/p/e/sub/../../e/file",
    b"/via/file",
)


class Stage:
    """The home under attack, mended as fast as the operations take it apart.

    Mending follows no link either: it works on open directories, and renames whole things into place.
    """

    def __init__(self, world: World) -> None:
        self.home = world.home
        self.traps = {name: world.outside for name, _ in DIRECTORY_PAIRS}
        self.traps |= {name: world.outside + b"/file" for name, _ in FILE_PAIRS}
        self.serial = itertools.count()
        os.mkdir(self.home + b"/p")
        os.mkdir(self.home + b"/trash")
        os.symlink(b"d", self.home + b"/via")
        self.mend()

    def mend(self) -> None:
        for pair in PAIRS:
            # The other worker may mend at the same time; then one of the two is late.
            with contextlib.suppress(OSError):
                self.mend_pair(*pair)
        for name in {name for pair in DIRECTORY_PAIRS for name in pair}:
            with contextlib.suppress(OSError):
                self.fill(name)
        for name in (b"moved", b"linked", b"sibling"):
            self.discard(name)
        with contextlib.suppress(OSError):
            write(self.home + b"/own")

    def mend_pair(self, real: bytes, trap: bytes) -> None:
        kinds = {name: self.kind(name) for name in (real, trap)}
        if sorted(kinds.values()) == ["link", "real"]:
            return
        if kinds[real] == kinds[trap] != "missing":
            self.discard(trap)
            kinds[trap] = "missing"
        wanted = ["link", "real"]
        for kind in kinds.values():
            if kind in wanted:
                wanted.remove(kind)
        for name in (real, trap):
            if kinds[name] == "missing":
                self.put(real, name, wanted.pop())

    def put(self, real: bytes, name: bytes, kind: str) -> None:
        fresh = self.home + b"/trash/fresh%d" % next(self.serial)
        if kind == "link":
            os.symlink(self.traps[real], fresh)
        elif real in dict(FILE_PAIRS):
            write(fresh, INSIDE)
        else:
            os.mkdir(fresh)
        os.rename(fresh, self.home + b"/" + name)

    def fill(self, name: bytes) -> None:
        directory = os.open(self.home + b"/" + name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            self.discard(b"new", directory)
            for path in (b"sub", b"empty"):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(path, dir_fd=directory)
            for path in (b"file", b"sub/secret"):
                with contextlib.suppress(FileExistsError, FileNotFoundError):
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL, dir_fd=directory))
        finally:
            os.close(directory)

    def discard(self, name: bytes, directory: int | None = None) -> None:
        target = self.home + b"/trash/gone%d" % next(self.serial)
        source = name if directory is not None else self.home + b"/" + name
        with contextlib.suppress(OSError):
            os.rename(source, target, src_dir_fd=directory)
            os.unlink(target)

    def kind(self, name: bytes) -> str:
        try:
            mode = os.lstat(self.home + b"/" + name).st_mode
        except FileNotFoundError:
            return "missing"
        return "link" if stat.S_ISLNK(mode) else "real"


class Worker(threading.Thread):
    """Runs every operation on every path, over and over, and looks at all it gets."""

    def __init__(self, seed: int, home, stage: Stage, inodes: set[tuple[int, int]], stop: threading.Event) -> None:
        super().__init__()
        self.home, self.stage, self.inodes, self.stop = home, stage, inodes, stop
        self.random = random.Random(seed)
        self.tried: Counter[str] = Counter()
        self.succeeded: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.escapes: list[str] = []
        self.broken: list[str] = []

    def run(self) -> None:
        schedule = list(itertools.product(OPERATIONS, PATHS, (True, False)))
        while not self.stop.is_set():
            self.random.shuffle(schedule)
            for number, (name, path, follow) in enumerate(schedule):
                if self.stop.is_set():
                    return
                self.attempt(name, path, follow)
                if not number % BETWEEN_MENDINGS:
                    self.stage.mend()

    def attempt(self, name: str, path: bytes, follow: bool) -> None:
        self.tried[name] += 1
        try:
            seen = OPERATIONS[name](self.home, path, follow)
        except OSError as error:
            self.refused[errno.errorcode.get(error.errno, "?")] += 1
            return
        except Exception as error:
            self.broken.append(f"{name} {path!r}: {error!r}")
            return
        self.succeeded[name] += 1
        if any(self.is_outside(item) for item in seen):
            self.escapes.append(f"{name} {path!r} follow={follow}")

    def is_outside(self, item: object) -> bool:
        if isinstance(item, os.stat_result):
            return (item.st_dev, item.st_ino) in self.inodes
        return SECRET in item or item == OUTSIDE_NAME


class RenameRaceMixin:
    """The race."""

    def test_no_escape(self):
        world = World(self.mktemp())
        stage = Stage(world)
        inodes, outside = world.inodes(), world.snapshot()
        watch = Watch(world.outside)
        self.addCleanup(watch.close)
        descriptors = open_descriptors()
        home = world.open(self.resolver())
        stop = threading.Event()
        workers = [Worker(seed, home, stage, inodes, stop) for seed in range(WORKERS)]
        with attacker(world) as attack, running(*workers):
            try:
                time.sleep(SECONDS)
                while self.incomplete(workers):
                    time.sleep(0.1)
            finally:
                stop.set()
        home.close()
        self.assertEqual([escape for worker in workers for escape in worker.escapes], [])
        self.assertEqual(watch.events(), [])
        self.assertEqual(world.snapshot(), outside)
        self.assertEqual([fault for worker in workers for fault in worker.broken], [])
        self.assertEqual(open_descriptors(), descriptors)
        self.check_it_was_a_race(workers, attack.swaps)

    def incomplete(self, workers: list[Worker]) -> bool:
        succeeded = set().union(*(worker.succeeded for worker in workers))
        return succeeded != set(OPERATIONS) and sum(worker.tried.total() for worker in workers) < ENOUGH

    def check_it_was_a_race(self, workers: list[Worker], swaps: int) -> None:
        tried = sum((worker.tried for worker in workers), Counter())
        succeeded = sum((worker.succeeded for worker in workers), Counter())
        refused = sum((worker.refused for worker in workers), Counter())
        if REPORT:
            sys.__stderr__.write(
                f"\n{type(self).__name__}: {SECONDS:g} s, {tried.total()} operations, {succeeded.total()} done, "
                f"refused {dict(refused)}, {swaps} exchanges, 0 escapes; done: {dict(succeeded)}\n"
            )
        self.assertEqual(set(succeeded), set(OPERATIONS))
        self.assertTrue(refused["ENOENT"])
        self.assertGreater(swaps, 100)


class Openat2RenameRaceTests(ByOpenat2, RenameRaceMixin, SynchronousTestCase):
    """By the kernel."""


class WalkRenameRaceTests(ByWalk, RenameRaceMixin, SynchronousTestCase):
    """By the fallback."""


class CheckThenOpen:
    """How not to do it: find out that the path is good, then open it by name."""

    name = "naive"

    def resolve(self, root: int, names: Sequence[bytes], links: int) -> tuple[int, list[bytes], int]:
        place, names, links = WalkResolver().resolve(root, names, links)
        os.close(place)
        return os.open(b"/".join(names) or b".", DIRECTORY, dir_fd=root), names, links


class DetectorTests(SynchronousTestCase):
    """The race would notice."""

    def test_naive_resolver_escapes(self):
        world = World(self.mktemp())
        stage = Stage(world)
        watch = Watch(world.outside)
        self.addCleanup(watch.close)
        home = world.open(CheckThenOpen())
        self.addCleanup(home.close)
        worker = Worker(0, home, stage, world.inodes(), threading.Event())
        events: list[tuple[int, bytes]] = []
        with attacker(world):
            for _ in range(ENOUGH):
                worker.attempt("read", b"/d/sub/secret", True)
                events.extend(watch.events())
                if worker.escapes and events:
                    break
        self.assertTrue(worker.escapes)
        self.assertTrue(events)


class attacker:
    """The swapping process, for the time of a block."""

    def __init__(self, world: World) -> None:
        self.home = world.home
        self.swaps = 0

    def __enter__(self) -> attacker:
        script = os.path.join(os.path.dirname(__file__), "swapper.py")
        command = [sys.executable, "-I", script, self.home, *(name for pair in PAIRS for name in pair)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *exception: object) -> None:
        output, _ = self.process.communicate()
        self.swaps = int(output)
