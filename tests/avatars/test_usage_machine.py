"""Usage in the data provider equals what is on the disk, whatever two sessions of a user do and whatever fails."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.transfer import OpenFile
from sftpgo.avatars.upload import UploadSettings
from sftpgo.errors import PermissionDenied, QuotaExceeded
from tests.avatars.faults import FaultyOS, faulty_os
from tests.avatars.ground import Ground, result_of

REFUSALS = (OSError, SFTPError, QuotaExceeded, PermissionDenied)
PATHS = st.sampled_from([b"/a", b"/a", b"/b", b"/b", b"/d/c", b"/link"])
SIZES = st.integers(0, 60)
LIMIT = 150


def result_of_either(value: Any) -> Any:
    return result_of(value) if isinstance(value, Deferred) else value


class UsageMachine(RuleBasedStateMachine):
    """Two sessions of one user, their open files, and a data provider that comes and goes.

    @cvar faulty: the system calls, which the test that runs the machine has put in place.
    """

    faulty: ClassVar[FaultyOS]

    def __init__(self) -> None:
        super().__init__()
        self.ground: Ground | None = None
        self.open: list[OpenFile] = []

    @initialize(
        mode=st.sampled_from([0, 1, 2]),
        limited=st.booleans(),
        fsync=st.booleans(),
        begun=st.dictionaries(st.sampled_from([b"/a", b"/b", b"/d/c"]), SIZES, min_size=2),
    )
    def begin(self, mode: int, limited: bool, fsync: bool, begun: dict[bytes, int]) -> None:
        limits = {"quota_size": LIMIT, "quota_files": 5} if limited else {}
        self.limited = limited
        self.ground = Ground(track_quota=1, settings=UploadSettings(mode, fsync), **limits)
        self.sessions = [self.ground.login(), self.ground.login()]
        (self.ground.home / "d").mkdir()
        for path, size in begun.items():
            self.put(0, path, size)

    # What clients do.

    @rule(
        who=st.integers(0, 1),
        path=PATHS,
        flags=st.sampled_from(
            [
                {},
                {"truncate": True},
                {"append": True},
                {"read": True},
                {"exclusive": True},
                {"truncate": True, "read": True},
            ]
        ),
    )
    def open_file(self, who: int, path: bytes, flags: dict[str, bool]) -> None:
        if len(self.open) > 6:
            return
        with contextlib.suppress(*REFUSALS):
            self.open.append(result_of_either(self.sessions[who].open_for_writing(path, **flags)))

    @rule(who=st.integers(0, 1), path=PATHS, size=SIZES)
    def put(self, who: int, path: bytes, size: int) -> None:
        """A whole upload."""
        with contextlib.suppress(*REFUSALS):
            file = result_of_either(self.sessions[who].open_for_writing(path, truncate=True))
            with contextlib.suppress(*REFUSALS):
                file.writeChunk(0, b"y" * size)
            result_of_either(file.close())

    @rule(which=st.integers(0, 6), offset=SIZES, size=SIZES)
    def write(self, which: int, offset: int, size: int) -> None:
        if self.open and (which := which % len(self.open)) >= 0:
            with contextlib.suppress(*REFUSALS):
                self.open[which].writeChunk(offset, b"x" * size)

    @rule(which=st.integers(0, 6), size=SIZES)
    def set_size_of_open(self, which: int, size: int) -> None:
        if self.open and (which := which % len(self.open)) >= 0:
            with contextlib.suppress(*REFUSALS):
                self.open[which].setAttrs({"size": size})

    @rule(source=st.integers(0, 6), goal=st.integers(0, 6), offset=SIZES, length=SIZES, position=SIZES)
    def copy(self, source: int, goal: int, offset: int, length: int, position: int) -> None:
        if self.open:
            source, goal = source % len(self.open), goal % len(self.open)
            with contextlib.suppress(*REFUSALS):
                result_of(self.open[source].copy_to(offset, length, self.open[goal], position))

    @rule(which=st.integers(0, 6))
    def close(self, which: int) -> None:
        if self.open and (which := which % len(self.open)) >= 0:
            with contextlib.suppress(*REFUSALS):
                result_of_either(self.open.pop(which).close())

    @rule(which=st.integers(0, 6))
    def vanish(self, which: int) -> None:
        """The client goes away."""
        if self.open and (which := which % len(self.open)) >= 0:
            self.open.pop(which).abort()

    @rule(who=st.integers(0, 1), path=PATHS, size=SIZES)
    def set_size(self, who: int, path: bytes, size: int) -> None:
        with contextlib.suppress(*REFUSALS):
            self.sessions[who].change(path, {"size": size})

    @rule(who=st.integers(0, 1), path=PATHS)
    def remove(self, who: int, path: bytes) -> None:
        with contextlib.suppress(*REFUSALS):
            self.sessions[who].remove(path)

    @rule(who=st.integers(0, 1), source=PATHS, goal=PATHS)
    def rename(self, who: int, source: bytes, goal: bytes) -> None:
        with contextlib.suppress(*REFUSALS):
            self.sessions[who].rename(source, goal)

    @rule(who=st.integers(0, 1), source=PATHS, goal=PATHS)
    def hard_link(self, who: int, source: bytes, goal: bytes) -> None:
        with contextlib.suppress(*REFUSALS):
            self.sessions[who].hard_link(source, goal)

    @rule(who=st.integers(0, 1), goal=st.sampled_from([b"a", b"d/c", b"missing"]))
    def symlink(self, who: int, goal: bytes) -> None:
        with contextlib.suppress(*REFUSALS):
            self.sessions[who].symlink(goal, b"/link")

    @rule(who=st.integers(0, 1), there=st.sampled_from([b"/d", b"/e"]))
    def move_directory(self, who: int, there: bytes) -> None:
        with contextlib.suppress(*REFUSALS):
            self.sessions[who].rename(b"/e" if there == b"/d" else b"/d", there)

    @rule(who=st.integers(0, 1), path=st.sampled_from([b"/d", b"/e"]))
    def remove_directory(self, who: int, path: bytes) -> None:
        with contextlib.suppress(*REFUSALS):
            self.sessions[who].remove_directory(path)
            self.sessions[who].make_directory(path)

    # What goes wrong, and right again.

    @rule(call=st.sampled_from(["pwrite", "fsync", "close", "rename", "ftruncate"]))
    def break_disk(self, call: str) -> None:
        self.faulty.faults = {call: errno.ENOSPC if call == "pwrite" else errno.EIO}

    @rule(short=st.sampled_from([0, 1, 7]))
    def mend_disk(self, short: int) -> None:
        self.faulty.faults = {}
        self.faulty.short = short

    @rule(down=st.booleans())
    def provider(self, down: bool) -> None:
        assert self.ground is not None
        self.ground.provider.down = down
        self.ground.clock.advance(30)

    @rule()
    def login_again(self) -> None:
        assert self.ground is not None
        if not self.ground.provider.down and not self.open:
            self.sessions[0].close()
            self.sessions[0] = self.ground.login()

    @rule()
    def rescan(self) -> None:
        assert self.ground is not None
        if not self.ground.provider.down:
            user = result_of(self.ground.provider.user_by_name("u"))
            result_of(self.ground.ledgers.rescan(user, self.sessions[0].home))

    # What always holds.

    @invariant()
    def never_negative_and_never_over(self) -> None:
        if self.ground is None:
            return
        ledger = self.sessions[0].account.ledger
        assert min(ledger.files, ledger.size, ledger.held_files, ledger.held_size) >= 0, ledger
        if self.limited:
            files, size = self.ground.on_disk()
            assert files <= 5, files
            assert size <= LIMIT, size
        if not self.open:
            assert (ledger.held_files, ledger.held_size) == (0, 0), ledger
            assert (ledger.files, ledger.size) == self.ground.on_disk(), (ledger, self.ground.on_disk())

    def teardown(self) -> None:
        if self.ground is None:
            return
        self.faulty.faults = {}
        try:
            for file in self.open:
                file.abort()
            self.ground.provider.down = False
            self.ground.clock.advance(100)
            assert self.ground.used() == self.ground.on_disk(), (self.ground.used(), self.ground.on_disk())
            temporaries = [name for name in os.listdir(self.ground.home) if name.startswith(".sftpgo-upload")]
            assert not temporaries, temporaries
            self.ground.clock.advance(10)
            assert not self.ground.unsettled._names
        finally:
            self.ground.end()


class UsageMachineTests(SynchronousTestCase):
    """The machine, run by trial."""

    def test_usage_is_what_is_on_the_disk(self) -> None:
        UsageMachine.faulty = faulty_os(self)
        many = int(os.environ.get("SFTPGO_EXAMPLES", "150"))
        run_state_machine_as_test(
            UsageMachine,
            settings=settings(
                max_examples=many,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
