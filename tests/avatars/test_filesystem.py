"""Each verb with and without its permission, on the canonical path; and what it leaves on the disk."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.permissions import Permission as P
from sftpgo.errors import PermissionDenied
from tests.doubles import make_filesystem

ALL = tuple(p.value for p in P if p is not P.ANY)


def without(*missing: P) -> tuple[str, ...]:
    """All permissions but these."""
    return tuple(name for name in ALL if name not in missing)


class _Case(SynchronousTestCase):
    """A home with C{/open} where all is allowed and C{/part} where something is not."""

    def prepare(self, *missing: P, **fields):
        self.files = make_filesystem(self, {"/": ("*",), "/part": without(*missing)}, **fields)
        self.home = Path(self.files.user.home_dir)
        for directory in ("open", "part"):
            (self.home / directory).mkdir()
            (self.home / directory / "file").write_bytes(b"content")
            (self.home / directory / "sub").mkdir()
        return self.files

    def write(self, path: bytes, data: bytes = b"new", **options):
        file = self.files.open_for_writing(path, **options)
        file.writeChunk(0, data)
        file.close()

    def read(self, path: bytes) -> bytes:
        file = self.files.open_for_reading(path)
        data = file.readChunk(0, 1000)
        file.close()
        return data

    def allowed_and_denied(self, permission: P, verb) -> None:
        """C{verb(directory)} works in /open, and in /part is refused without the permission, changing nothing."""
        self.prepare(permission)
        before = snapshot(self.home / "part")
        verb(b"/open")
        for path in (b"/part", b"/open/../part", b"//part/.", b"/open/link-to-part"):
            if path.endswith(b"link-to-part"):
                os.symlink("../part", self.home / "open" / "link-to-part")
            with self.assertRaises(PermissionDenied, msg=path):
                verb(path)
        self.assertEqual(snapshot(self.home / "part"), before)
        self.prepare()
        verb(b"/part")


def snapshot(directory: Path) -> list[tuple[str, int, bytes]]:
    return [
        (str(path.relative_to(directory)), path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(directory.rglob("*"))
    ]


class PermissionTableTests(_Case):
    """Which permission each operation needs, and where."""

    def test_stat(self) -> None:
        self.allowed_and_denied(P.LIST, lambda d: self.files.stat(d + b"/file", follow=True))
        self.allowed_and_denied(P.LIST, lambda d: self.files.stat(d + b"/file", follow=False))

    def test_opendir(self) -> None:
        self.allowed_and_denied(P.LIST, lambda d: self.files.open_directory(d).close())

    def test_opendir_below(self) -> None:
        self.allowed_and_denied(P.LIST, lambda d: self.files.open_directory(d + b"/sub").close())

    def test_download(self) -> None:
        self.allowed_and_denied(P.DOWNLOAD, lambda d: self.read(d + b"/file"))

    def test_upload(self) -> None:
        self.allowed_and_denied(P.UPLOAD, lambda d: self.write(d + b"/new"))

    def test_overwrite(self) -> None:
        self.allowed_and_denied(P.OVERWRITE, lambda d: self.write(d + b"/file"))

    def test_append_is_an_overwrite(self) -> None:
        self.allowed_and_denied(P.OVERWRITE, lambda d: self.files.open_for_writing(d + b"/file", append=True).close())

    def test_overwrite_needs_no_upload(self) -> None:
        self.prepare(P.UPLOAD)
        self.write(b"/part/file")

    def test_read_and_write_needs_download(self) -> None:
        self.allowed_and_denied(P.DOWNLOAD, lambda d: self.files.open_for_writing(d + b"/file", read=True).close())

    def test_remove(self) -> None:
        self.allowed_and_denied(P.DELETE, lambda d: self.files.remove(d + b"/file"))

    def test_rmdir(self) -> None:
        self.allowed_and_denied(P.DELETE, lambda d: self.files.remove_directory(d + b"/sub"))

    def test_mkdir(self) -> None:
        self.allowed_and_denied(P.CREATE_DIRS, lambda d: self.files.make_directory(d + b"/made"))

    def test_rename_from(self) -> None:
        self.allowed_and_denied(P.RENAME, lambda d: self.files.rename(d + b"/file", b"/elsewhere"))

    def test_rename_to(self) -> None:
        def verb(directory: bytes) -> None:
            (self.home / "source").write_bytes(b"x")
            self.files.rename(b"/source", directory + b"/renamed")

        self.allowed_and_denied(P.RENAME, verb)

    def test_rename_over(self) -> None:
        def verb(directory: bytes) -> None:
            (self.home / "source").write_bytes(b"x")
            self.files.rename(b"/source", directory + b"/file")

        self.allowed_and_denied(P.OVERWRITE, verb)

    def test_symlink(self) -> None:
        self.allowed_and_denied(P.CREATE_SYMLINKS, lambda d: self.files.symlink(b"/open/file", d + b"/link"))

    def test_symlink_target(self) -> None:
        """A link into a directory where none may be made is refused, however the target is spelled."""
        self.prepare(P.CREATE_SYMLINKS)
        for target in (b"/part/file", b"../part/file", b"/part/missing/deep", b"../../../part/sub/../file"):
            with self.assertRaises(PermissionDenied, msg=target):
                self.files.symlink(target, b"/open/link")
        self.files.symlink(b"missing", b"/open/dangling")

    def test_hardlink(self) -> None:
        for permission in (P.CREATE_SYMLINKS, P.UPLOAD):
            self.allowed_and_denied(permission, lambda d: self.files.hard_link(d + b"/file", d + b"/hard"))

    def test_hardlink_grants_nothing(self) -> None:
        """A second name where more is allowed than at the first would be a way around the permissions."""
        self.prepare(P.DOWNLOAD)
        with self.assertRaises(PermissionDenied):
            self.files.hard_link(b"/part/file", b"/open/hard")
        self.files.hard_link(b"/open/file", b"/part/hard")

    def test_chmod_chown_chtimes(self) -> None:
        for permission, attributes in (
            (P.CHMOD, {"permissions": 0o600}),
            (P.CHOWN, {"uid": os.getuid(), "gid": os.getgid()}),
            (P.CHTIMES, {"atime": 1, "mtime": 2}),
        ):
            self.allowed_and_denied(permission, lambda d, a=attributes: self.files.change(d + b"/file", a))

    def test_size(self) -> None:
        self.allowed_and_denied(P.OVERWRITE, lambda d: self.files.change(d + b"/file", {"size": 3}))

    def test_directory_attributes_follow_the_parent(self) -> None:
        """SETSTAT of a directory is judged by its parent's entry, of a file by the nearest of its own path."""
        self.prepare(P.CHMOD)
        self.files.change(b"/part", {"permissions": 0o700})
        with self.assertRaises(PermissionDenied):
            self.files.change(b"/part/sub", {"permissions": 0o700})

    def test_all_or_nothing(self) -> None:
        """One attribute that may not be set keeps the others of the request from being set."""
        self.prepare(P.CHTIMES)
        with self.assertRaises(PermissionDenied):
            self.files.change(b"/part/file", {"size": 1, "permissions": 0o600, "atime": 1, "mtime": 2})
        self.assertEqual((self.home / "part" / "file").read_bytes(), b"content")

    def test_denied_tells_nothing(self) -> None:
        """Without the permission, what exists and what does not look alike."""
        self.prepare(P.LIST, P.DOWNLOAD, P.DELETE)
        for path in (b"/part/file", b"/part/missing", b"/part/missing/deeper", b"/part/file/below"):
            for verb in (
                lambda p: self.files.stat(p, follow=True),
                lambda p: self.files.stat(p, follow=False),
                self.files.open_for_reading,
                self.files.remove,
                self.files.readlink,
                self.files.space,
            ):
                with self.assertRaises(PermissionDenied, msg=path):
                    verb(path)

    def test_open_directory_denied_tells_nothing(self) -> None:
        self.files = make_filesystem(self, {"/": ("*",), "/no": ("upload",)})
        for path in (b"/no", b"/no/missing"):
            with self.assertRaises(PermissionDenied):
                self.files.open_directory(path)


class CanonicalPathTests(_Case):
    """The same answer for a path and for every way to spell it."""

    spellings = st.lists(st.sampled_from(["", ".", "x/..", "..", "part/..", "open/./.."]), max_size=4)

    @given(
        st.sampled_from(["/part/file", "/part", "/open/file", "/open/sub"]), spellings, st.sampled_from(["", "/", "/."])
    )
    @settings(max_examples=60, deadline=None)
    def test_spellings(self, path: str, prefix: list[str], suffix: str) -> None:
        if not hasattr(self, "files"):
            self.prepare(P.LIST)
        spelled = "/" + "/".join([*prefix, path.lstrip("/")]) + suffix

        def outcome(asked: str) -> object:
            try:
                return self.files.stat(asked.encode(), follow=True).st_ino
            except (PermissionDenied, OSError) as error:
                return type(error)

        self.assertEqual(outcome(spelled), outcome(path))

    def test_dots_and_backslashes_are_names(self) -> None:
        """C{/..x} is a name of its own, and so is C{a\\..\\b}."""
        self.files = make_filesystem(self, {"/": ("*",), "/..x": ("list",), "/deny": ("list",)})
        home = Path(self.files.user.home_dir)
        (home / "..x").mkdir()
        (home / "deny").mkdir()
        with self.assertRaises(PermissionDenied):
            self.files.open_for_writing(b"/..x/f")
        self.files.open_for_writing(b"/deny\\..\\b").close()
        self.assertTrue((home / "deny\\..\\b").is_file())


class RenameTests(_Case):
    """What a rename may do to directories and to what stands at the target."""

    def test_directory_with_rules(self) -> None:
        """A directory with permissions of its own, or one that holds such, is not moved, nor put over one."""
        self.files = make_filesystem(self, {"/": ("*",), "/a/b/secret": ("list",)})
        home = Path(self.files.user.home_dir)
        (home / "a/b/secret").mkdir(parents=True)
        (home / "c").mkdir()
        for source, target in ((b"/a", b"/z"), (b"/a/b", b"/z"), (b"/a/b/secret", b"/z"), (b"/c", b"/a/b/secret/c")):
            with self.assertRaises(PermissionDenied, msg=source):
                self.files.rename(source, target)
        os.rmdir(home / "a/b/secret")
        with self.assertRaises(PermissionDenied):
            self.files.rename(b"/c", b"/a/b/secret")

    def test_replaces(self) -> None:
        self.prepare()
        self.files.rename(b"/open/file", b"/part/file")
        self.assertEqual(snapshot(self.home / "open"), [("sub", 0o40755, b"")])

    def test_refusals(self) -> None:
        """Into itself, over a full directory, file over directory: an error, and exactly what was there before."""
        self.prepare()
        before = snapshot(self.home)
        for source, target in itertools.product([b"/open", b"/open/file"], [b"/open/sub/x/y", b"/part", b"/"]):
            with self.assertRaises((OSError, PermissionDenied)):
                self.files.rename(source, target)
        with self.assertRaises(OSError):
            self.files.rename(b"/open", b"/open/sub/inside")
        with self.assertRaises(PermissionDenied):
            self.files.rename(b"/", b"/x")
        self.assertEqual(snapshot(self.home), before)


class OwnerAndModeTests(_Case):
    """Bits that cannot be set, and the account's own uid and gid."""

    def test_special_bits(self) -> None:
        self.prepare()
        self.files.change(b"/open/file", {"permissions": 0o7755})
        self.assertEqual((self.home / "open/file").stat().st_mode & 0o7777, 0o755)
        file = self.files.open_for_writing(b"/open/file")
        file.setAttrs({"permissions": 0o6711})
        file.close()
        self.assertEqual((self.home / "open/file").stat().st_mode & 0o7777, 0o711)

    def test_created_things_are_the_users(self) -> None:
        if os.geteuid():
            self.skipTest("needs root")
        self.prepare(uid=1234, gid=2345)
        self.write(b"/open/new")
        self.files.make_directory(b"/open/dir")
        self.files.rename(b"/open/file", b"/open/renamed")
        for name in ("new", "dir", "renamed"):
            status = (self.home / "open" / name).stat()
            self.assertEqual((status.st_uid, status.st_gid), (1234, 2345), name)

    def test_setstat_ignored(self) -> None:
        """setstat_mode 1: mode, owner and times answer OK and stay; a size is data and is set."""
        self.prepare(setstat_ignored=True)
        before = (self.home / "open/file").stat()
        self.files.change(b"/open/file", {"permissions": 0o100, "atime": 1, "mtime": 1, "uid": 1, "gid": 1})
        self.assertEqual((self.home / "open/file").stat(), before)
        self.files.change(b"/open/file", {"size": 2})
        self.assertEqual((self.home / "open/file").read_bytes(), b"co")


class SpaceTests(_Case):
    """statvfs as the quota lets the user see it."""

    def test_quota_is_the_disk(self) -> None:
        self.prepare(quota_size=10 * 1024 * 1024, used_quota_size=4 * 1024 * 1024, quota_files=10, used_quota_files=3)
        space = self.files.space(b"/")
        self.assertEqual(space.blocks * space.frsize, 10 * 1024 * 1024)
        self.assertEqual(space.bavail * space.frsize, 6 * 1024 * 1024)
        self.assertEqual((space.files, space.ffree), (10, 7))

    def test_over_quota(self) -> None:
        self.prepare(quota_size=100, used_quota_size=200)
        self.assertEqual(self.files.space(b"/").bavail, 0)

    def test_without_quota(self) -> None:
        self.prepare()
        self.assertEqual(self.files.space(b"/").blocks, os.statvfs(self.home).f_blocks)
