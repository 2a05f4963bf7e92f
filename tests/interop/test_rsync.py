"""rsync with its own client, up and down."""

from __future__ import annotations

import os
import re
import stat
import time
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

from tests.harness import tree_digest
from tests.interop.commands import CommandTestCase

FILES = 10_000


class RsyncTests(CommandTestCase):
    """A local tree and a home."""

    programs: ClassVar[tuple[str, ...]] = ("rsync",)

    def local_tree(self) -> Path:
        tree = self.make_tree()
        (tree / "link").symlink_to("plain.txt")
        os.utime(tree / "plain.txt", (1_000_000_000, 1_000_000_000))
        (tree / "plain.txt").chmod(0o640)
        return tree

    def sent(self, done: Any) -> int:
        """How many files were transferred."""
        self.assertDone(done)
        found = re.search(r"regular files transferred: ([\d,]+)", done.stdout)
        assert found is not None
        return int(found[1].replace(",", ""))

    def test_up_and_down(self) -> None:
        """Whole trees with times, modes and links; a trailing slash means what is in the directory."""
        tree = self.local_tree()
        self.assertDone(self.rsync("-a", "tree", self.remote(".")))
        self.assertDone(self.rsync("-a", "tree/", self.remote("other/")))
        for place in (self.home / "tree", self.home / "other"):
            self.assertEqual(tree_digest(place), tree_digest(tree))
            there = (place / "plain.txt").stat()
            self.assertEqual((there.st_mtime, stat.S_IMODE(there.st_mode)), (1_000_000_000, 0o640))
        self.assertDone(self.rsync("-a", self.remote("tree"), "down"))
        self.assertDone(self.rsync("-a", self.remote("tree/"), "down2"))
        for place in (self.work / "down" / "tree", self.work / "down2"):
            self.assertEqual(tree_digest(place), tree_digest(tree))

    def test_directories_above_that_are_to_be_made(self) -> None:
        """--mkpath, as the user may make directories; never with --dry-run."""
        self.make_file("f", 100)
        refused = self.rsync("-a", "f", self.remote("a/b/"))
        self.assertIn("No such file or directory", refused.stderr)
        if "unknown option" in self.rsync("-a", "--mkpath", "--dry-run", "f", self.remote("a/b/")).stderr:
            raise SkipTest("this rsync has no --mkpath")
        self.assertEqual(os.listdir(self.home), [])
        self.assertDone(self.rsync("-a", "--mkpath", "f", self.remote("a/b/c/")))
        self.assertDone(self.rsync("-a", "--mkpath", "f", self.remote("a/x/y/g")))
        self.assertDone(self.rsync("-a", "--mkpath", "f", self.remote("a/x/y/h")))
        self.assertEqual(
            set(tree_digest(self.home)), {"a", "a/b", "a/b/c", "a/b/c/f", "a/x", "a/x/y", "a/x/y/g", "a/x/y/h"}
        )
        outside = self.rsync("-a", "--mkpath", "f", self.remote("../../up/f"))
        self.assertDone(outside)
        self.assertTrue((self.home / "up" / "f").exists())
        self.assertFalse((self.home.parent / "up").exists())

    def test_ten_thousand_files_twice(self) -> None:
        """The second run sends nothing; after changes, only those, and --delete takes what is gone, both ways."""
        tree = self.work / "many"
        for directory in range(100):
            (tree / str(directory)).mkdir(parents=True)
            for number in range(FILES // 100):
                (tree / str(directory) / str(number)).write_bytes(b"%d" % number)
        options = ("-a", "--delete", "--stats")
        self.assertEqual(self.sent(self.rsync(*options, "many/", self.remote("many/"))), FILES)
        self.assertEqual(self.sent(self.rsync(*options, "many/", self.remote("many/"))), 0)
        (tree / "1" / "1").write_bytes(b"changed")
        (tree / "2" / "2").unlink()
        self.assertEqual(self.sent(self.rsync(*options, "many/", self.remote("many/"))), 1)
        self.assertEqual(tree_digest(self.home / "many"), tree_digest(tree))
        self.assertEqual(self.sent(self.rsync(*options, self.remote("many/"), "down/")), FILES - 1)
        (self.home / "many" / "3" / "3").unlink()
        self.assertEqual(self.sent(self.rsync(*options, self.remote("many/"), "down/")), 0)
        self.assertEqual(tree_digest(self.work / "down"), tree_digest(self.home / "many"))

    def test_single_files_and_names(self) -> None:
        self.make_file("f", 100)
        for name in ("there", "a b", "-dash", "qu'o\"te", "ünï-名", "st*r", "semi;colon $HOME"):
            self.assertDone(self.rsync("-a", "f", self.remote(name)))
            self.assertEqual((self.home / name).read_bytes(), (self.work / "f").read_bytes(), name)
            self.assertDone(self.rsync("-a", self.remote(name), "back"))
            self.assertEqual((self.work / "back").read_bytes(), (self.work / "f").read_bytes())

    def test_wildcards_and_relative(self) -> None:
        for name in ("a.txt", "b.txt", "c.jpg", "d/e/f.txt"):
            (self.home / name).parent.mkdir(parents=True, exist_ok=True)
            (self.home / name).write_bytes(b"x")
        self.assertDone(self.rsync("-a", self.remote("*.txt"), "down/"))
        self.assertEqual(sorted(os.listdir(self.work / "down")), ["a.txt", "b.txt"])
        self.assertDone(self.rsync("-aR", self.remote("d/./e"), "relative/"))
        self.assertTrue((self.work / "relative" / "e" / "f.txt").exists())
        self.assertDone(self.rsync("-aR", self.remote("d/e/f.txt"), "relative/"))
        self.assertTrue((self.work / "relative" / "d" / "e" / "f.txt").exists())
        listing = self.rsync(self.remote(""))
        self.assertDone(listing)
        self.assertIn("c.jpg", listing.stdout)

    def test_options(self) -> None:
        """Those that people use: each with its effect."""
        self.local_tree()
        first = self.remote("first/")
        self.assertDone(self.rsync("-azHS", "--partial", "--timeout=60", "--bwlimit=100000", "tree/", first))
        self.assertDone(self.rsync("-a", "--link-dest=../first", "tree/", self.remote("second/")))
        self.assertTrue(os.path.samefile(self.home / "first" / "plain.txt", self.home / "second" / "plain.txt"))
        self.assertDone(self.rsync("-a", "--link-dest=/first", "tree/", self.remote("third/")))
        self.assertTrue(os.path.samefile(self.home / "first" / "plain.txt", self.home / "third" / "plain.txt"))
        (self.work / "tree" / "plain.txt").write_bytes(b"new")
        self.assertDone(self.rsync("-ab", "--backup-dir=/old", "--suffix=.bak", "tree/", first))
        self.assertEqual((self.home / "old" / "plain.txt.bak").stat().st_size, 100)
        self.assertDone(self.rsync("-c", "--partial-dir=.part", "--temp-dir=/old", "tree/plain.txt", first))
        self.assertDone(self.rsync("-c", "--inplace", "tree/plain.txt", first))
        self.assertDone(self.rsync("-a", "--remove-source-files", self.remote("third/plain.txt"), "taken"))
        self.assertFalse((self.home / "third" / "plain.txt").exists())
        self.assertDone(self.rsync("-aL", self.remote("first/link"), "link"))
        self.assertEqual((self.work / "link").read_bytes(), b"new")
        self.assertDone(self.rsync("-an", "--delete", "--exclude=*.x", "--filter=- *.y", "tree/", first))

    def test_links_and_special_bits(self) -> None:
        """Unsafe links are not made, set-id bits not given; without the permission for links they are munged."""
        tree = self.local_tree()
        (tree / "away").symlink_to("/etc/passwd")
        (tree / "up").symlink_to("../../../../etc/passwd")
        (tree / "plain.txt").chmod(0o6755)
        self.assertDone(self.rsync("-a", "tree/", self.remote("t/")))
        self.assertEqual(os.readlink(self.home / "t" / "link"), "plain.txt")
        self.assertFalse(os.path.lexists(self.home / "t" / "away") or os.path.lexists(self.home / "t" / "up"))
        self.assertEqual(stat.S_IMODE((self.home / "t" / "plain.txt").stat().st_mode), 0o755)
        everything = ["list", "download", "upload", "overwrite", "delete", "rename", "create_dirs"]
        self.change_account(permissions={"/": everything})
        self.assertDone(self.rsync("-a", "tree/", self.remote("m/")))
        self.assertEqual(os.readlink(self.home / "m" / "away"), "/rsyncd-munged//etc/passwd")
        done = self.rsync("-a", "--no-munge-links", "tree/", self.remote("m/"))
        self.assertDone(done)

    def test_attributes_need_their_permissions(self) -> None:
        """Without chmod, chown and chtimes a run goes on, and sets none of them."""
        self.local_tree()
        everything = ["list", "download", "upload", "overwrite", "delete", "rename", "create_dirs", "create_symlinks"]
        self.change_account(permissions={"/": everything})
        os.chmod(self.work / "tree" / "one byte", 0o600)
        self.assertDone(self.rsync("-a", "tree/", self.remote("t/")))
        there = (self.home / "t" / "plain.txt").stat()
        self.assertNotEqual(there.st_mtime, 1_000_000_000)
        self.assertEqual(there.st_uid, os.geteuid())
        done = self.rsync("-aX", "tree/", self.remote("t/"))
        self.assertIn("need chmod and chown", done.stderr)

    def test_read_only_user(self) -> None:
        self.local_tree()
        (self.home / "f").write_bytes(b"x")
        self.change_account(permissions={"/": ["list", "download"]})
        self.assertDone(self.rsync("-a", self.remote("f"), "f"))
        for words in (("-a", "tree", self.remote(".")), ("-a", "--remove-source-files", self.remote("f"), "g")):
            done = self.rsync(*words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("Permission denied. You don't have the permissions", done.stderr)
        self.assertEqual(os.listdir(self.home), ["f"])
        # Who may make directories, but not fill them, leaves none behind.
        self.change_account(permissions={"/": ["list", "download", "create_dirs"]})
        self.assertNotEqual(self.rsync("-a", "--mkpath", "tree", self.remote("a/b/c/")).returncode, 0)
        self.assertEqual(os.listdir(self.home), ["f"])

    def test_directory_permissions(self) -> None:
        self.local_tree()
        self.change_account(permissions={"/": ["*"], "/t/secret": ["list"]})
        for words in (("-a", "tree/", self.remote("t/")), ("-a", self.remote("t"), "down")):
            (self.home / "t" / "secret").mkdir(parents=True, exist_ok=True)
            done = self.rsync(*words)
            self.assertIn("cannot keep the permissions of /t/secret", done.stderr)
        # A directory that is to be made holds nothing that is somebody else's.
        self.assertDone(self.rsync("-a", "tree/", self.remote("u/")))
        self.assertEqual(tree_digest(self.home / "u"), tree_digest(self.work / "tree"))
        done = self.rsync("-an", "tree/", self.remote("v/"))
        self.assertIn("cannot keep the permissions of /t/secret", done.stderr)
        self.assertFalse((self.home / "v").exists())

    def test_home_is_the_root(self) -> None:
        """A home of C{/} holds everything, and that is what the command gets."""
        self.local_tree()
        self.change_account(home_dir="/")
        self.assertDone(self.rsync("-a", self.remote(f"{self.work}/tree/"), "down"))
        self.assertEqual(tree_digest(self.work / "down"), tree_digest(self.work / "tree"))

    def test_quota(self) -> None:
        """The child is stopped near the limit; afterwards what is used is what is there."""
        self.change_account(quota_size=2_000_000)
        (self.work / "big").mkdir()
        for number in range(30):
            self.make_file(f"big/{number}", 300_000)
        done = self.rsync("-a", "--bwlimit=2000", "big", self.remote("."))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("quota exceeded", done.stderr)
        there = sum(path.stat().st_size for path in self.home.rglob("*") if path.is_file())
        self.assertLess(there, 9_000_000)
        for _ in range(200):
            if self.account()["used_quota_size"] == there:
                break
            time.sleep(0.05)
        self.assertEqual(self.account()["used_quota_size"], there)
        done = self.rsync("-a", "big", self.remote("."))
        self.assertIn("quota exceeded", done.stderr)

    def test_warnings_do_not_end_it(self) -> None:
        """A file that cannot be read: the rest comes through, with rsync's own status and words."""
        self.local_tree()
        self.assertDone(self.rsync("-a", "tree", self.remote(".")))
        os.mkfifo(self.home / "tree" / "fifo")
        (self.home / "tree" / "gone").symlink_to("nowhere")
        done = self.rsync("-rL", self.remote("tree"), "down")
        self.assertEqual(done.returncode, 23)
        self.assertIn("gone", done.stderr)
        self.assertNoRealPath(done)
        self.assertTrue((self.work / "down" / "tree" / "plain.txt").exists())
