"""OpenSSH's own regression scripts, as Debian packages them, run against this server.

The scripts name local and remote files by the same absolute path, so the account's home is C{/}.  They start a server
by the path in C{TEST_SSH_SFTPSERVER}, which here is a script that connects to ours.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import PATIENCE, need, run, shared_server

SCRIPTS = Path("/usr/lib/openssh/regress")

#: What the scripts try each of; OpenSSH's own lists are long and hold what this server does not offer.
TRIED = {
    "key-plain": ("ssh-ed25519",),
    "kex": ("curve25519-sha256", "diffie-hellman-group14-sha256"),
    "cipher": ("aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"),
    "cipher-auth": ("aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"),
    "mac": ("hmac-sha2-256", "hmac-sha2-512-etm@openssh.com"),
}

#: The first line of rekey.sh that waits by the clock, or wants another configuration of OpenSSH's sshd.
REKEY_END = "for s in 5 10; do\n"

SSH = """#!/bin/sh
# ssh for the scripts: "-Q" tells what is to be tried, and "cat > FILE" goes by sftp, since this server runs no cat.
for word in "$@"; do query=$last last=$word; done
test "$query" = "-Q" && exec cat "{directory}/tried-$last"
case $last in
"cat > "*) ;;
*) exec ssh "$@" ;;
esac
options=
for word in "$@"; do
    case $word in somehost|"$last") ;; *) options="$options $word" ;; esac
done
cat > "{directory}/stdin"
export options
echo "put {directory}/stdin ${{last#cat > }}" | sftp -b - -D "{directory}/connect"
"""

CONNECT = """#!/bin/sh
exec ssh $options -s somehost sftp
"""

SSHD = """#!/bin/sh
# sshd for the scripts: as the command of a proxy it is our server, and it finds no fault with its configuration.
case " $* " in *" -i "*) exec {scripts}/netcat 127.0.0.1 {port} ;; esac
"""

SFTP_SERVER = """#!/bin/sh
exec ssh -F {directory}/client_config server -s sftp
"""

CLIENT_CONFIG = """Host server
    Hostname 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {directory}/ssh-ed25519
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile /dev/null
    StrictHostKeyChecking no
    LogLevel ERROR
    ControlMaster auto
    ControlPath {directory}/control
    ControlPersist 10
"""


class RegressTests(SynchronousTestCase):
    """Each script prints what it does and says "ok" at its end."""

    config: ClassVar[dict[str, dict[str, object]]] = {"sftpd": {"max_auth_tries": 6}}

    def setUp(self) -> None:
        if not (SCRIPTS / "test-exec.sh").exists():
            raise SkipTest("not installed: openssh-tests")
        need("ssh", "sftp", "scp", "ssh-agent", "ssh-keygen")
        self.server = shared_server(self.config, {})
        self.directory = Path(tempfile.mkdtemp(prefix="sftpgo-test-regress-"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.user = getpass.getuser()
        # The scripts take the client's keys for the host's too, and do not make those that are there.
        key = self.directory / "ssh-ed25519"
        shutil.copy2(self.server.directory / "id_ed25519", key)
        public = subprocess.run(["ssh-keygen", "-y", "-f", key], check=True, capture_output=True, text=True).stdout
        (self.directory / "ssh-ed25519.pub").write_text(public)
        os.utime(key)
        self.account(public.strip())
        for name, text in (("ssh", SSH), ("connect", CONNECT), ("sshd", SSHD), ("sftp-server", SFTP_SERVER)):
            self.write(name, text).chmod(0o755)
        config = self.write("client_config", CLIENT_CONFIG)
        # The sessions share one connection, which ends by itself; here it does not have to.
        self.addCleanup(run, ["ssh", "-F", config, "-O", "exit", "server"])
        for name, tried in TRIED.items():
            (self.directory / f"tried-{name}").write_text("".join(f"{one}\n" for one in tried))

    def account(self, public: str) -> None:
        """The account of the user who runs the tests; all tests here share it."""
        names = {user["username"] for user in self.server.rest("GET", "/user")}
        if self.user not in names:
            self.server.add_user(self.user, home_dir="/", public_keys=[public])

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        known = {"directory": self.directory, "port": self.server.sftp_port, "user": self.user, "scripts": SCRIPTS}
        path.write_text(text.format(**known))
        return path

    def regress(self, name: str, script: Path | None = None) -> str:
        """Run a script to its end; what it said."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("TEST_", "SSH_"))}
        environ |= {
            "TEST_SHELL": "sh",
            "BUILDDIR": str(SCRIPTS),
            "TEST_SSH_UNSAFE_PERMISSIONS": "1",
            "TEST_SSH_SSH": str(self.directory / "ssh"),
            "TEST_SSH_SSHD": str(self.directory / "sshd"),
            "TEST_SSH_SFTPSERVER": str(self.directory / "sftp-server"),
        }
        done = subprocess.run(
            ["sh", SCRIPTS / "test-exec.sh", self.directory, script or SCRIPTS / f"{name}.sh"],
            env=environ,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=10 * PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"(?m)^ok ")
        return done.stdout

    def changed(self, name: str, *replacements: tuple[str, str]) -> Path:
        """A copy of a script with some of its text replaced."""
        text = (SCRIPTS / f"{name}.sh").read_text()
        for old, new in replacements:
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = self.directory / f"{name}.sh"
        path.write_text(text)
        return path

    def test_sftp_cmds(self) -> None:
        self.assertIn("ln -s", self.regress("sftp-cmds"))

    def test_sftp_badcmds(self) -> None:
        self.regress("sftp-badcmds")

    def test_sftp_batch(self) -> None:
        self.regress("sftp-batch")

    def test_sftp_glob(self) -> None:
        self.regress("sftp-glob")

    def test_scp_over_sftp(self) -> None:
        """The half of scp.sh over SFTP; test_scp_regress has the old protocol.  Its bad servers are not ours."""
        script = self.changed(
            "scp", ("for mode in scp sftp ;", "for mode in sftp ;"), ("for i in 0 1 2 3 4 5 6 7;", "for i in ;")
        )
        shutil.copy2(SCRIPTS / "scp-ssh-wrapper.sh", self.directory)
        self.assertIn("shell metacharacters", self.regress("scp", script))

    def test_rekey(self) -> None:
        """Data with new keys every 256 KiB and less, for each method and cipher; a proxy leads to our server."""
        # The name of the variable is a slip of the script's: without the change no method and no cipher is ever tried.
        script = self.changed("rekey", ('test -z "$_kexopts"', 'test -z "$_kexopt"'))
        script.write_text(script.read_text().partition(REKEY_END)[0])
        shutil.copy2(SCRIPTS / "sshd-log-wrapper.sh", self.directory)
        said = self.regress("rekey", script)
        self.assertEqual(said.count("client rekey"), 2 + 3 + 2 + 2 * 2 + 4, said)
