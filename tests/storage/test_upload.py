"""The file beside the target, its sweep, and the names of those to look after."""

from __future__ import annotations

import fcntl
import os
import stat

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage import copying, upload
from sftpgo.storage.confined import Home
from sftpgo.storage.copying import copy_range, copy_whole
from sftpgo.storage.sweep import remove_stale_only, sweep
from sftpgo.storage.unsettled import Unsettled
from sftpgo.storage.upload import (
    Temporary,
    has_temporary,
    is_temporary,
    new_identifier,
    target_name,
    temporary_name,
)
from sftpgo.storage.visible import VisibleReader
from tests.storage.world import open_descriptors


class _Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = os.path.abspath(self.mktemp()).encode()
        os.makedirs(self.root)
        self.home = Home.open(self.root)
        self.addCleanup(self.home.close)

    def place(self, path: bytes):
        place = self.home.locate(path, follow=False)
        self.addCleanup(place.close)
        return place

    def names(self, directory: bytes = b"") -> list[bytes]:
        return sorted(os.listdir(self.root + b"/" + directory))

    def stray(self, target: bytes, content: bytes = b"part") -> bytes:
        """What a killed server leaves."""
        directory, name = os.path.split(target)
        stray = os.path.join(directory, temporary_name(name, new_identifier()))
        with open(os.path.join(self.root, stray), "wb") as file:
            file.write(content)
        return stray


class NameTests(SynchronousTestCase):
    def test_form(self) -> None:
        self.assertRegex(
            temporary_name(b"report.txt", new_identifier()), rb"^\.sftpgo-upload\.[0-9a-v]{20}\.report\.txt$"
        )
        self.assertNotEqual(new_identifier(), new_identifier())

    @given(st.binary(min_size=1, max_size=255).filter(lambda n: b"/" not in n and b"\0" not in n))
    @settings(max_examples=100, deadline=None)
    def test_any_name_fits_and_is_known_again(self, name: bytes) -> None:
        made = temporary_name(name, new_identifier())
        self.assertLessEqual(len(made), 255)
        self.assertTrue(is_temporary(made))
        self.assertTrue(name.startswith(target_name(made)))
        if len(name) <= 219:
            self.assertEqual(target_name(made), name)
        self.assertTrue(has_temporary(b"/a/" + made + b"/b"))

    def test_no_half_characters(self) -> None:
        name = ("ä" * 127 + "x").encode()
        self.assertEqual(target_name(temporary_name(name, new_identifier())).decode(), "ä" * 109)

    def test_others_names_are_theirs(self) -> None:
        for name in (b".sftpgo-upload.", b".sftpgo-upload.short.x", b".sftpgo-upload." + b"w" * 20 + b".x",
                     b".sftpgo-upload." + b"a" * 20 + b".", b"x.sftpgo-upload." + b"a" * 20 + b".x"):  # fmt: skip
            self.assertFalse(is_temporary(name), name)
            self.assertFalse(has_temporary(b"/" + name), name)


class TemporaryTests(_Case):
    def test_commit_replaces_in_one_step(self) -> None:
        with open(self.root + b"/f", "wb") as file:
            file.write(b"old")
        place = self.place(b"/f")
        before = open_descriptors()
        temporary = Temporary.create(place, 0o640)
        os.write(temporary.descriptor, b"new")
        self.assertEqual(temporary.target().st_size, 3)
        temporary.commit(replace=True)
        os.close(temporary.descriptor)
        temporary.release()
        temporary.release()
        with open(self.root + b"/f", "rb") as file:
            self.assertEqual(file.read(), b"new")
        self.assertEqual(self.names(), [b"f"])
        self.assertEqual(open_descriptors(), before)

    def test_without_leave_to_replace(self) -> None:
        temporary = Temporary.create(self.place(b"/f"), 0o600)
        self.addCleanup(os.close, temporary.descriptor)
        self.assertIsNone(temporary.target())
        os.mkdir(self.root + b"/f")
        self.assertRaises(FileExistsError, temporary.commit, replace=False)
        self.assertRaises(IsADirectoryError, temporary.commit, replace=True)
        temporary.discard()
        temporary.discard()
        temporary.release()
        self.assertEqual(self.names(), [b"f"])

    def test_mode(self) -> None:
        temporary = Temporary.create(self.place(b"/f"), 0o7600)
        self.addCleanup(os.close, temporary.descriptor)
        self.addCleanup(temporary.release)
        self.assertEqual(stat.S_IMODE(os.fstat(temporary.descriptor).st_mode), 0o600)

    def test_swept_before_it_was_locked(self) -> None:
        """The sweep may find a new file in the moment before its writer locks it: then another one is made."""
        real, seen = fcntl.flock, []

        def flock(descriptor: int, operation: int) -> None:
            if not seen:
                seen.extend(self.names())
                os.unlink(self.root + b"/" + seen[0])
            real(descriptor, operation)

        self.patch(upload.fcntl, "flock", flock)
        temporary = Temporary.create(self.place(b"/f"), 0o600)
        self.addCleanup(os.close, temporary.descriptor)
        self.addCleanup(temporary.release)
        self.assertEqual(len(self.names()), 1)
        self.assertNotEqual(self.names(), seen)

    def test_kept_before_it_was_locked(self) -> None:
        """A sweep that keeps what has arrived does not give the target's name to a file nobody has written to yet."""
        real, swept = fcntl.flock, []

        def flock(descriptor: int, operation: int) -> None:
            if not swept:
                swept.append(None)
                swept.append(sweep(self.home, keep=True))
            real(descriptor, operation)

        self.patch(upload.fcntl, "flock", flock)
        temporary = Temporary.create(self.place(b"/f"), 0o600)
        self.addCleanup(os.close, temporary.descriptor)
        self.addCleanup(temporary.release)
        self.assertEqual((swept[1].kept, swept[1].removed), (0, 1))
        self.assertTrue(all(map(is_temporary, self.names())), self.names())
        self.assertIsNone(temporary.target())


class SweepTests(_Case):
    def test_removes_what_nobody_writes(self) -> None:
        os.makedirs(self.root + b"/a/b")
        for path in (b"f", b"a/f", b"a/b/f"):
            self.stray(path)
        living = Temporary.create(self.place(b"/a/living"), 0o600)
        self.addCleanup(os.close, living.descriptor)
        self.addCleanup(living.release)
        before = open_descriptors()
        swept = sweep(self.home, keep=False)
        self.assertEqual((swept.removed, swept.kept, swept.failed), (3, 0, 0))
        self.assertEqual(len(self.names(b"a")), 2)  # b, and what is being written
        self.assertEqual(self.names(b"a/b"), [])
        self.assertEqual(open_descriptors(), before)

    def test_keeps_what_loses_nothing(self) -> None:
        self.stray(b"new", b"12345")
        self.stray(b"old", b"part")
        self.stray(b"begun", b"")
        with open(self.root + b"/old", "wb") as file:
            file.write(b"whole")
        swept = sweep(self.home, keep=True)
        self.assertEqual((swept.removed, swept.kept, swept.kept_size), (2, 1, 5))
        self.assertEqual(self.names(), [b"new", b"old"])
        with open(self.root + b"/old", "rb") as file:
            self.assertEqual(file.read(), b"whole")

    def test_follows_no_link_and_leaves_directories(self) -> None:
        outside = os.path.abspath(self.mktemp()).encode()
        os.makedirs(outside)
        name = temporary_name(b"f", new_identifier())
        open(outside + b"/" + name, "wb").close()
        os.symlink(outside, self.root + b"/out")
        os.symlink(outside + b"/" + name, self.root + b"/" + name)
        directory = temporary_name(b"d", new_identifier())
        os.mkdir(self.root + b"/" + directory)
        swept = sweep(self.home, keep=False)
        self.assertEqual((swept.removed, swept.kept), (0, 0))
        self.assertEqual(os.listdir(outside), [name])
        self.assertEqual(self.names(), sorted([b"out", name, directory]))

    def test_stale_only(self) -> None:
        os.mkdir(self.root + b"/d")
        self.stray(b"d/f")
        self.stray(b"d/g")
        open(self.root + b"/d/x", "wb").close()
        self.assertFalse(remove_stale_only(self.place(b"/d")))
        self.assertEqual(len(self.names(b"d")), 3)
        os.unlink(self.root + b"/d/x")
        self.assertTrue(remove_stale_only(self.place(b"/d")))
        living = Temporary.create(self.place(b"/d/f"), 0o600)
        self.addCleanup(os.close, living.descriptor)
        self.addCleanup(living.release)
        self.assertFalse(remove_stale_only(self.place(b"/d")))

    def test_listing(self) -> None:
        for number in range(300):
            self.stray(b"%d" % number)
        open(self.root + b"/z", "wb").close()
        reader = VisibleReader.open(self.place(b"/"))
        self.addCleanup(reader.close)
        self.assertEqual([name for name, _ in reader.next_chunk(100)], [b"z"])
        self.assertEqual(reader.next_chunk(100), [])


class CopyTests(_Case):
    def copy(self, content: bytes, size: int) -> os.stat_result:
        with open(self.root + b"/from", "wb") as file:
            file.write(content)
            file.truncate(size)
        moved: list[int] = []
        with open(self.root + b"/from", "rb") as source, open(self.root + b"/to", "w+b") as target:
            steps = list(copy_whole(source.fileno(), target.fileno(), moved.append))
        self.assertEqual(steps, [True] * (sum(moved) // copying.STEP))
        with open(self.root + b"/to", "rb") as file:
            self.assertEqual(file.read(len(content)), content)
        return os.stat(self.root + b"/to")

    def test_whole(self) -> None:
        self.assertEqual(self.copy(os.urandom(300_000), 300_000).st_size, 300_000)
        self.assertEqual(self.copy(b"", 0).st_size, 0)

    def test_in_steps(self) -> None:
        """However the content is scattered, a turn copies no more than one step."""
        self.patch(copying, "STEP", 100_000)
        self.copy(os.urandom(350_000), 350_000)
        with open(self.root + b"/from", "r+b") as source:
            source.seek(5_000_000)
            source.write(b"x" * 120_000)
        with open(self.root + b"/from", "rb") as source, open(self.root + b"/to", "w+b") as target:
            moved: list[int] = []
            for turn, _ in enumerate(copy_whole(source.fileno(), target.fileno(), moved.append)):
                self.assertEqual(sum(moved), (turn + 1) * 100_000)
            source.seek(0)
            target.seek(0)
            self.assertEqual(source.read(), target.read())

    def test_holes_stay_holes(self) -> None:
        status = self.copy(b"x" * 10, 1 << 30)
        self.assertEqual(status.st_size, 1 << 30)
        self.assertLess(status.st_blocks * 512, 10 << 20)
        self.assertEqual(self.copy(b"", 1 << 30).st_size, 1 << 30)

    def test_stops_when_told(self) -> None:
        def stop(_moved: int) -> None:
            raise InterruptedError

        with open(self.root + b"/from", "w+b") as source, open(self.root + b"/to", "w+b") as target:
            source.write(b"x" * 100)
            source.flush()
            with self.assertRaises(InterruptedError):
                copy_range(source.fileno(), 0, 100, target.fileno(), 0, stop)


class UnsettledTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()

    def opened(self) -> Unsettled:
        unsettled = Unsettled(self.path)
        unsettled.open()
        self.addCleanup(unsettled.close)
        return unsettled

    def after_a_kill(self) -> set[str]:
        """What a server finds that starts now."""
        copy = self.mktemp()
        with open(self.path, "rb") as file, open(copy, "wb") as other:
            other.write(file.read())
        unsettled = Unsettled(copy)
        try:
            return set(unsettled.open())
        finally:
            unsettled.close()

    def test_names(self) -> None:
        unsettled = self.opened()
        for name in ("alice", 'b"\n+x', "\udcff", "alice"):
            unsettled.add(name)
        self.assertEqual(self.after_a_kill(), {"alice", 'b"\n+x', "\udcff"})
        unsettled.remove("alice")
        unsettled.remove("alice")
        self.assertEqual(self.after_a_kill(), {'b"\n+x', "\udcff"})
        unsettled.remove('b"\n+x')
        unsettled.remove("\udcff")
        self.assertEqual(os.stat(self.path).st_size, 0)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_survives_its_own_end(self) -> None:
        self.opened().add("a")
        self.assertRaises(BlockingIOError, Unsettled(self.path).open)

    def test_torn_line(self) -> None:
        with open(self.path, "wb") as file:
            file.write(b'+"a"\n\n+7\nrubbish\n+"b')
        self.assertEqual(self.after_a_kill(), {"a"})
        self.opened().add("c")
        self.assertEqual(self.after_a_kill(), {"a", "c"})

    def test_long_file_is_written_anew(self) -> None:
        unsettled = self.opened()
        unsettled.add("stays")
        line = len('+"xxxx"\n') + 1000
        for _ in range((1 << 20) // line + 2):
            unsettled.add("x" * 1004)
            unsettled.remove("x" * 1004)
        self.assertLess(os.stat(self.path).st_size, 1 << 20)
        self.assertEqual(self.after_a_kill(), {"stays"})
        self.assertFalse(os.path.exists(self.path + ".new"))
        self.assertRaises(BlockingIOError, Unsettled(self.path).open)

    def test_full_disk(self) -> None:
        """What could not be written down is with the next that can be; no half line stays."""
        unsettled = self.opened()
        unsettled.add("a")
        kept, readable = os.dup(unsettled._descriptor), os.open(os.devnull, os.O_RDONLY)
        self.addCleanup(os.close, kept)
        self.addCleanup(os.close, readable)
        os.dup2(readable, unsettled._descriptor)
        self.assertRaises(OSError, unsettled.add, "b")
        os.mkdir(self.path + ".new")
        self.assertRaises(OSError, unsettled.add, "b")
        self.assertRaises(OSError, unsettled.remove, "a")
        os.dup2(kept, unsettled._descriptor)
        self.assertEqual(self.after_a_kill(), {"a"})
        os.rmdir(self.path + ".new")
        unsettled.add("b")
        self.assertEqual(self.after_a_kill(), {"b"})
        unsettled.add("c")
        unsettled.remove("b")
        self.assertEqual(self.after_a_kill(), {"c"})
        unsettled.remove("c")
        self.assertEqual(os.stat(self.path).st_size, 0)
