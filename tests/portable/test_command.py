"""C{sftpgo portable} as people use it: on a terminal and in a pipe, with real clients."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

import paramiko
import segno
from twisted.trial.unittest import SynchronousTestCase

from tests.harness import PATIENCE, ROOT, ClientKey, digest, need, run
from tests.mdns import Browser, need_multicast
from tests.portable.terminal import Portable, kept_keys

LOOPBACK = ("--bind-address", "127.0.0.1")


class PortableTestCase(SynchronousTestCase):
    """Starts it on demand."""

    def portable(self, *, terminal: bool, columns: int = 100) -> Portable:
        made = Portable(terminal=terminal, columns=columns)
        self.addCleanup(made.clean_up)
        return made


class TerminalTests(PortableTestCase):
    """On a terminal there are a QR code, progress bars and Ctrl-C."""

    def test_session(self) -> None:
        """From the first line to the first Ctrl-C, which lets a download end."""
        portable = self.portable(terminal=True, columns=120)
        name = "big \x1b[2J\x07name\n名前.bin"
        (portable.share / name).write_bytes(os.urandom(1_000_000))
        portable.start(*LOOPBACK)
        url = f"sftp://user:{portable.password}@127.0.0.1:{portable.port}/"
        self.assertRegex(portable.password, r"^[A-Za-z0-9]{14}$")
        self.assertIn(f"  sftp -P {portable.port} user@127.0.0.1\r\n  {url}\r\n", portable.text)
        self.assertEqual(qr_matrix(portable.text), expected_matrix(url))

        sftp = portable.client()
        with sftp.open("/" + name) as file:
            first = file.read(250_000)
            drawn = portable.wait_for(r"█████░{15}  250 KB of  1\.0 MB  25%")
            self.assertIn("↓ /big \\x1b[2J\\x07name\\n名前.bin", drawn)
            self.assertIn("127.0.0.1", drawn)
            portable.press_ctrl_c()
            portable.wait_for(r"Stopping: nobody new gets in, 1 transfer may end")
            portable.wait_until_refused()
            rest = file.read()
        self.assertEqual(first + rest, (portable.share / name).read_bytes())
        self.assertEqual(portable.end(), 0)
        self.assertRegex(portable.text, r'downloaded "/big \\x1b\[2J\\x07name\\n名前\.bin": 1\.0 MB in [0-9.]+ s')
        self.assertTrue(portable.text.endswith("Stopped.\r\n"), portable.text[-200:])
        # Of what came over the network nothing reaches the terminal raw.
        self.assertNotIn(b"\x1b[2J", portable.said)
        self.assertNotIn(b"\x07", portable.said)

    def test_second_ctrl_c(self) -> None:
        """Ends a transfer that would go on for ever; what has arrived is there, and nothing is left drawn."""
        portable = self.portable(terminal=True).start(*LOOPBACK, "-g", "list,upload", "-p", "a hush-hush word")
        self.assertEqual(portable.password, "")
        self.assertNotIn("hush", portable.text)
        portable.password = "a hush-hush word"
        sftp = portable.client()
        file = sftp.open("/upload.bin", "w")
        file.write(b"x" * 30_000)
        file.stat()
        portable.wait_for(r"↑ /upload\.bin \(user@127\.0\.0\.1\) .* 30\.0 KB")
        portable.press_ctrl_c()
        portable.wait_for(r"Stopping: .* 1 transfer may end\. Ctrl-C again ends it at once\.")
        portable.press_ctrl_c()
        self.assertEqual(portable.end(), 0)
        self.assertEqual((portable.share / "upload.bin").read_bytes(), b"x" * 30_000)
        self.assertRegex(portable.text, r"\x1b\[1A\x1b\[J(?:(?!↑).)*Stopped\.\r\n$")

    def test_window_closed(self) -> None:
        """It ends by itself, and leaves nobody waiting for long."""
        portable = self.portable(terminal=True).start(*LOOPBACK)
        sftp = portable.client()
        self.assertEqual(sftp.listdir("/"), [])
        self.assertEqual(portable.close_terminal(), 0)
        self.assertRaises((OSError, EOFError, paramiko.SSHException), sftp.listdir, "/")


class PipeTests(PortableTestCase):
    """Where nobody draws there are plain lines."""

    def test_round(self) -> None:
        """OpenSSH's sftp with a key and with a password; then the same host key again."""
        need("sftp", "ssh-keygen")
        portable = self.portable(terminal=False)
        key = ClientKey(portable.work)
        (portable.share / "down.bin").write_bytes(os.urandom(300_000))
        words = ("-k", f"{key.path}.pub", "-p", "hush", "-g", "*", "-u", "anna", *LOOPBACK)
        portable.start(*words, state=portable.work / "state")
        self.assertEqual((portable.username, portable.password), ("anna", ""))
        self.assertNotIn("\x1b", portable.text)
        self.assertNotIn("█", portable.text)

        up = portable.work / "up.bin"
        up.write_bytes(os.urandom(400_000))
        self.sftp(portable, ["-i", key.path, "-o", "BatchMode=yes"], None, f"put {up}")
        self.sftp(portable, ["-o", "PubkeyAuthentication=no"], "hush", f"get down.bin {portable.work}/back.bin")
        self.assertEqual(digest(portable.share / "up.bin"), digest(up))
        self.assertEqual(digest(portable.share / "down.bin"), digest(portable.work / "back.bin"))
        portable.wait_for(r'uploaded "/up\.bin": 400 KB in .*anna from 127\.0\.0\.1:\d+\n')
        portable.wait_for(r'downloaded "/down\.bin": 300 KB in')
        self.assertNotIn("\r", portable.text)

        # Nothing but what was put there is in the shared directory; the key is where state is kept, for us alone.
        self.assertEqual(sorted(os.listdir(portable.share)), ["down.bin", "up.bin"])
        state = portable.work / "state/sftpgo/portable"
        self.assertEqual(stat.S_IMODE((state / "id_ed25519").stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(state.stat().st_mode), 0o700)
        told = re.search(r"Host key \(ssh-ed25519\): (SHA256:\S+)", portable.text)[1]
        shown = subprocess.run(
            ["ssh-keygen", "-l", "-f", state / "id_ed25519"], capture_output=True, text=True, check=True
        )
        self.assertIn(told, shown.stdout)
        portable.press_ctrl_c()
        self.assertEqual(portable.end(), 0)

    def sftp(self, portable: Portable, options: list[str | Path], password: str | None, script: str) -> None:
        done = run(
            [
                *("sftp", "-F", "none", "-P", str(portable.port), "-o", "UserKnownHostsFile=/dev/null"),
                *("-o", "StrictHostKeyChecking=no", "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes"),
                *options,
                "anna@127.0.0.1",
            ],
            password=password,
            stdin=script + "\n",
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_home_itself_is_shared(self) -> None:
        """Then the host key would be in it, and is kept in memory; a warning says so."""
        portable = self.portable(terminal=False)
        state = portable.work / "share/.local/state"
        portable.start(*LOOPBACK, "-l", str(portable.work / "x.log"), state=state)
        self.assertIn(
            f"host keys are kept in memory, so that their fingerprints change with each start: {state}", portable.text
        )
        self.assertEqual(os.listdir(portable.share), [])
        portable.client().listdir("/")
        transport = paramiko.Transport(("127.0.0.1", portable.port))
        self.addCleanup(transport.close)
        transport.start_client(timeout=PATIENCE)
        self.assertIn(transport.get_remote_server_key().fingerprint, portable.text)
        transport.close()
        portable.press_ctrl_c()
        self.assertEqual(portable.end(), 0)
        self.assertIn('"sender":"sftpd"', (portable.work / "x.log").read_text())


class RefusalTests(SynchronousTestCase):
    """A start that fails says why in one line, and exits with 1."""

    def refused(self, *words: str, **environ: str) -> str:
        state, share = os.path.abspath(self.mktemp()), self.mktemp()
        os.mkdir(share)
        kept_keys(Path(state))
        done = subprocess.run(
            [sys.executable, "-m", "sftpgo", "portable", "-d", os.path.abspath(share), *words],
            cwd=ROOT,
            env=os.environ | {"XDG_STATE_HOME": state} | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        return done.stderr

    def test_port_taken(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            said = self.refused("-s", str(port), *LOOPBACK)
        self.assertRegex(said, rf"^sftpgo: SFTP cannot listen on 127\.0\.0\.1:{port} \(--bind-address, -s\): Address")

    def test_flags(self) -> None:
        self.assertIn("-d: there is no directory", self.refused("-d", "/nowhere"))
        self.assertIn("unrecognized arguments: --nonsense", self.refused("--nonsense"))

    def test_nobody_to_tell(self) -> None:
        """Standard output is closed: the password could not be told."""
        words = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "sftpgo", "portable", *LOOPBACK]
        done = subprocess.run(
            words, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "sftpgo: standard output is closed: nobody could be told how to get in\n")

    def test_log_file(self) -> None:
        log = Path(self.mktemp()).absolute()
        log.mkdir()
        self.assertIn(f"cannot open the log file '{log}'", self.refused("-l", str(log), *LOOPBACK))

    def test_host_key(self) -> None:
        state = Path(self.mktemp())
        directory = state / "sftpgo/portable"
        directory.mkdir(parents=True)
        (directory / "id_rsa").write_text("not a key")
        (directory / "id_rsa").chmod(0o600)
        for text, change in {
            "is not a private key": lambda: None,
            "can be read by others": lambda: (directory / "id_rsa").chmod(0o644),
            "cannot be used: No such file": lambda: (
                (directory / "id_rsa").unlink(),
                (directory / "id_rsa").symlink_to("x"),
            ),
        }.items():
            change()
            said = self.refused(*LOOPBACK, XDG_STATE_HOME=str(state.resolve()))
            self.assertIn(text, said)
            self.assertIn(str(directory), said)


def qr_matrix(text: str) -> list[list[bool]]:
    """The QR code on the terminal, its dark modules as C{True}; two rows of them are in one line."""
    rows: list[list[bool]] = []
    for line in re.findall(r"\x1b\[97;40m([█▀▄ ]+)\x1b\[0m", text):
        rows.append([c not in "█▀" for c in line])
        rows.append([c not in "█▄" for c in line])
    return rows


def expected_matrix(text: str) -> list[list[bool]]:
    """The same from the encoder itself, with its border of 4."""
    code = segno.make(text, micro=False, error="l")
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=4)]
    # A line of half a row is filled up with dark.
    return rows + [[True] * len(rows[0])] * (len(rows) % 2)


class AdvertisedTests(PortableTestCase):
    """With -S the network is told."""

    def test_seen_and_gone(self) -> None:
        need_multicast()
        browser = Browser()
        self.addCleanup(browser.close)
        portable = self.portable(terminal=False).start(*LOOPBACK, "-S", "-C", "-u", "anna")
        name = f"SFTPGo portable {portable.port}"
        portable.wait_for(f'Advertised over multicast DNS as "{name}"')
        self.assertTrue(browser.wait_for(name))
        port, addresses, strings = browser.details(name)
        self.assertEqual((port, addresses), (portable.port, ["127.0.0.1"]))
        self.assertEqual(strings[1:], [b"user=anna", b"password=" + portable.password.encode()])
        self.assertRegex(strings[0], rb"^version=\d")
        portable.press_ctrl_c()
        self.assertEqual(portable.end(), 0)
        self.assertTrue(browser.wait_for(name, gone=True))

    def test_no_network(self) -> None:
        """One clear warning, and the server goes on."""
        alone = ("unshare", "--map-root-user", "--net", "--")
        need("unshare")
        if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
            raise SkipTest("no network namespaces here")
        portable = self.portable(terminal=False).start("-S", under=alone)
        said = portable.wait_for("the server goes on without it")
        self.assertIn("Warning: multicast DNS: this machine has no address on a network; the server goes on", said)
        portable.press_ctrl_c()
        self.assertEqual(portable.end(), 0)

    def test_not_asked_for(self) -> None:
        """Credentials alone advertise nothing, which is said; keys have no password to tell."""
        need("ssh-keygen")
        portable = self.portable(terminal=False)
        key = ClientKey(portable.work)
        portable.start(*LOOPBACK, "-C", "-k", str(key.path.with_suffix(".pub")))
        said = portable.wait_for("-C has no effect without -S, nothing is advertised")
        self.assertNotIn("Advertised", said)
        portable.press_ctrl_c()
        self.assertEqual(portable.end(), 0)
