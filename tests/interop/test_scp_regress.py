"""OpenSSH's own regression scripts for scp, as Debian ships them, with this server at the other end."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import ClassVar
from unittest import SkipTest

from tests.harness import run
from tests.interop.commands import CommandTestCase

REGRESS = Path("/usr/lib/openssh/regress")

#: What the scripts' own frame (test-exec.sh) would define.
_FRAME = """
OBJ={obj} SRC={src} SCRIPT={src}/{script} COPY={obj}/copy DATA={obj}/data SCP={scp} SSH={obj}/ssh USER={user}
SFTPSERVER={obj}/sftp-server PORT={port} SUDO=
maybe_add_scp_path_to_sshd() {{ :; }}
verbose() {{ echo "case: $*"; }}
fail() {{ echo "FAILED: $*"; }}
set --
. {src}/{script}
"""


class RegressTests(CommandTestCase):
    """A user whose home is the root of the file system, so that both ends name files alike."""

    programs: ClassVar[tuple[str, ...]] = ("scp", "sftp")
    config: ClassVar[dict[str, dict[str, object]]] = {"sftpd": {"enabled_ssh_commands": ["scp"], "upload_mode": 1}}

    def setUp(self) -> None:
        if not REGRESS.is_dir():
            raise SkipTest("not installed: openssh-tests")
        super().setUp()
        self.change_account(home_dir="/")

    def run_script(self, script: str) -> tuple[list[str], list[str]]:
        """The cases that were run, and those that failed."""
        obj, src = self.work / "obj", self.work / "src"
        obj.mkdir()
        src.mkdir()
        shutil.copy(REGRESS / script, src / script)
        (obj / "data").write_bytes(Path("/bin/ls").read_bytes())
        ssh = shlex.join(self.shell)
        host = f"{self.user}@127.0.0.1"
        # scp starts it with its options and the host first; both are ours to choose.
        (src / "scp-ssh-wrapper.sh").write_text(
            "#!/bin/sh\n"
            f'if [ -n "$SCPTESTMODE" ]; then exec sh {REGRESS}/scp-ssh-wrapper.sh "$@"; fi\n'
            f'while [ $# -gt 1 ]; do shift; done\nexec {ssh} {host} "$1"\n'
        )
        (obj / "ssh").write_text(f'#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\nexec {ssh} {host} "$1"\n')
        (obj / "sftp-server").write_text(f"#!/bin/sh\nexec {ssh} -s {host} sftp\n")
        (obj / "ssh_proxy").write_text("")
        (obj / "ssh_config").write_text("")
        for name in ("ssh", "sftp-server"):
            (obj / name).chmod(0o755)
        frame = _FRAME.format(
            obj=obj, src=src, script=script, scp=shutil.which("scp"), user=self.user, port=self.server.sftp_port
        )
        done = run(["sh", "-c", frame], cwd=self.work)
        said = done.stdout + done.stderr
        return re.findall(r"^case: (.*)$", said, re.M), re.findall(r"^FAILED: .*$", said, re.M)

    def test_scp(self) -> None:
        cases, failed = self.run_script("scp.sh")
        self.assertEqual(failed, [])
        self.assertEqual(len([case for case in cases if "scp mode" in case]), 27)

    def test_scp_uri(self) -> None:
        cases, failed = self.run_script("scp-uri.sh")
        self.assertEqual(failed, [])
        self.assertEqual(len(cases), 12)

    def test_scp3(self) -> None:
        cases, failed = self.run_script("scp3.sh")
        self.assertEqual(failed, [])
        self.assertEqual(len(cases), 8)
