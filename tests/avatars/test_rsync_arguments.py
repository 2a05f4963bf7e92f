"""rsync's command line: what its clients send is understood, and nothing else gets through."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.confine import HOME_MARK
from sftpgo.avatars.rsync import Refused, RsyncRequest, parse
from sftpgo.ssh.words import Unreadable, split


def request(line: str) -> RsyncRequest:
    return parse(split(line.encode())[1:])


class ParseTests(SynchronousTestCase):
    """Lines as rsync 2.6 to 3.5 send them, and lines made to harm."""

    def test_clients(self) -> None:
        for line, sender, options, path in (
            ("rsync --server -logDtpre.iLsfxCIvu . /dir/", False, ["-logDtpre.iLsfxCIvu"], b"/dir/"),
            ("rsync --server --sender -vlogDtprze.iLsfxCIvu . 'a b'", True, ["-vlogDtprze.iLsfxCIvu"], b"a b"),
            ("rsync --server --sender -e.LsfxCIvu . .", True, ["-e.LsfxCIvu"], b"."),
            ("rsync --server -e31.14iLsfxCIvu -v . x", False, ["-e31.14iLsfxCIvu", "-v"], b"x"),
            (
                "rsync --server -nlogDtpre.iLsfxCIvu --delete-during --partial --bwlimit=100 . x",
                False,
                ["-nlogDtpre.iLsfxCIvu", "--delete-during", "--partial", "--bwlimit=100"],
                b"x",
            ),
            ("rsync --server -re.x --timeout 30 -B700 . x", False, ["-re.x", "--timeout=30", "-B700"], b"x"),
            ("rsync --server -re.x --log-format=%i . -x", False, ["-re.x", "--log-format=%i"], b"-x"),
            ("rsync --server -re.x --iconv=UTF-8 . ''", False, ["-re.x", "--iconv=UTF-8"], b""),
            ("rsync --server -re.x --skip-compress=gz/jpg . x", False, ["-re.x", "--skip-compress=gz/jpg"], b"x"),
        ):
            found = request(line)
            self.assertEqual((found.sender, list(found.options), found.operand.text), (sender, options, path), line)

    def test_directories(self) -> None:
        """Those of options start from the home, with a value of their own or in the next word."""
        for name in ("backup-dir", "partial-dir", "temp-dir", "link-dest", "copy-dest", "compare-dest"):
            for given_path, path in (
                ("/tmp", HOME_MARK + "/tmp"),
                ("/../../etc", HOME_MARK + "/etc"),
                ("/a/../..//b/", HOME_MARK + "/b"),
                ("../before", "../before"),
                (".part", ".part"),
            ):
                for form in (f"--{name}={given_path}", f"--{name} {given_path}"):
                    found = request(f"rsync --server -re.x {form} . x")
                    self.assertEqual(found.options[1:], (f"--{name}={path}",))

    def test_climbs(self) -> None:
        for value, climbs in (("../x", True), ("a/../b", True), ("/../x", False), ("a", False), ("..a", False)):
            self.assertEqual(request(f"rsync --server -re.x --temp-dir={value} . x").climbs, climbs, value)

    def test_what_they_mean(self) -> None:
        for flags, follows, attributes, removes in (
            ("-re.LKkAX", False, False, False),  # capabilities are no flags
            ("-rLe.x", True, False, False),
            ("-rKe.x", True, False, False),
            ("-rke.x", True, False, False),
            ("-rAe.x", False, True, False),
            ("-rXe.x", False, True, False),
            ("-re.x --super", False, True, False),
            ("-re.x --usermap=0:0", False, True, False),
            ("-re.x --remove-source-files", False, False, True),
        ):
            found = request(f"rsync --server {flags} . x")
            meant = (found.follows_links, found.attributes, found.removes)
            self.assertEqual(meant, (follows, attributes, removes), flags)

    def test_refused(self) -> None:
        for line in (
            "rsync",
            "rsync .",
            "rsync --daemon",
            "rsync --server --daemon .",
            "rsync --server --daemon --config=/tmp/x . x",
            "rsync --sender --server -re.x . x",
            "rsync --server -re.x",
            "rsync --server -re.x .",
            "rsync --server -re.x . a b",
            "rsync --server --sender -re.x . /etc/passwd /y",
            "rsync --server -re.x x .",
            "rsync --server -re.x -- . x",
            "rsync --server -re.x --rsh=id . x",
            "rsync --server -re.x -e id . x",
            "rsync --server -reid . x",
            "rsync --server -e'sh -c id' . x",
            "rsync --server -r -e . x",
            "rsync --server - . x",
            "rsync --server -s . x",
            "rsync --server -sre.x . x",
            "rsync --server -rse.x --protect-args . x",
            "rsync --server -re.x --secluded-args . x",
            "rsync --server -re.x --rsync-path=id . x",
            "rsync --server -re.x --log-file=/tmp/x . x",
            "rsync --server -re.x --log-file /tmp/x . x",
            "rsync --server -re.x --files-from=/etc/passwd . x",
            "rsync --server -re.x --files-from - . x",
            "rsync --server -re.x --write-devices . x",
            "rsync --server -re.x --copy-devices . x",
            "rsync --server -re.x --copy-unsafe-links . x",
            "rsync --server -re.x --no-munge-links . x",
            "rsync --server -re.x --no-safe-links . x",
            "rsync --server -re.x --exclude-from=/etc/passwd . x",
            "rsync --server -re.x --include-from=/etc/passwd . x",
            "rsync --server -re.x --password-file=/etc/passwd . x",
            "rsync --server -re.x --early-input=/etc/passwd . x",
            "rsync --server -re.x --write-batch=/tmp/x . x",
            "rsync --server -re.x --only-write-batch=x . x",
            "rsync --server -re.x --read-batch=x . x",
            "rsync --server -re.x --filter='merge /etc/passwd' . x",
            "rsync --server -re.x -f '. /etc/passwd' . x",
            "rsync --server -rTe.x . x",
            "rsync --server -re.x -T /tmp . x",
            "rsync --server -re.x --chmod=u+s . x",
            "rsync --server -re.x --delete=x . x",
            "rsync --server -re.x --suffix=/../x . x",
            "rsync --server -re.x --suffix=a/b . x",
            "rsync --server -re.x --timeout . x",
            "rsync --server -re.x --timeout",
            "rsync --server -re.x --iconv=../../x . x",
            "rsync --server -re.x --temp-dir= . x",
            "rsync --server -re.x --help . x",
            "rsync --server -re.x --version . x",
            "rsync --server -re.x --no-r=x . x",
            "rsync --server -re.x '--delete\n' . x",
            "rsync --server '-re.x\n' . x",
        ):
            with self.assertRaises(Refused, msg=line):
                request(line)

    @settings(deadline=None, max_examples=300)
    @given(st.lists(st.text(alphabet="-=/.esrKLk ~*@B09loadfig\n", max_size=14), max_size=5))
    def test_anything(self, words: list[str]) -> None:
        """Whatever gets through: no option with an absolute path, and none that starts a program."""
        try:
            found = request("rsync --server -re.x " + " ".join(words))
        except (Refused, Unreadable):
            return
        for option in found.options:
            name, _, value = option.partition("=")
            self.assertTrue(option.startswith("-"))
            self.assertFalse(value.startswith("/"), option)
            self.assertNotIn(name, ("--log-file", "--files-from", "--rsh", "--daemon", "--config"))
            if not option.startswith("--"):
                self.assertRegex(option, r"\A-([A-Za-df-rt-z]*(e\d*\.\w*)?|[@B]\d+)\Z")
