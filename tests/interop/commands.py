"""A server where every command is enabled, and the clients that run them."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any, ClassVar

from tests.harness import need, run, ssh_options
from tests.interop.base import ServerTestCase


class CommandTestCase(ServerTestCase):
    """Adds what is common to tests of commands."""

    programs: ClassVar[tuple[str, ...]] = ()
    config: ClassVar[dict[str, dict[str, object]]] = {"sftpd": {"enabled_ssh_commands": ["*"]}}

    def setUp(self) -> None:
        need("ssh", "ssh-keygen", *self.programs)
        super().setUp()
        self.home.mkdir(parents=True, exist_ok=True)

    @property
    def shell(self) -> list[str]:
        """OpenSSH's client, up to the host."""
        return ["ssh", *ssh_options(self.server, self.key), "-p", str(self.server.sftp_port)]

    def ssh(self, line: str, **options: Any) -> Any:
        """Run a command line."""
        return run([*self.shell, f"{self.user}@127.0.0.1", line], **options)

    def remote(self, path: str) -> str:
        """A path as scp and rsync name it."""
        return f"{self.user}@127.0.0.1:{path}"

    def scp(self, *words: str | Path, **options: Any) -> Any:
        """scp in its old mode."""
        port = ["-P", str(self.server.sftp_port)]
        return run(["scp", "-O", *ssh_options(self.server, self.key), *port, *words], cwd=self.work, **options)

    def rsync(self, *words: str | Path) -> Any:
        """rsync over OpenSSH."""
        return run(["rsync", "-e", shlex.join(self.shell), *words], cwd=self.work)

    def git(self, *words: str | Path, cwd: Path | None = None) -> Any:
        """git over OpenSSH, without the machine's configuration."""
        return subprocess.run(
            ["git", *map(str, words)],
            stdin=subprocess.DEVNULL,
            cwd=cwd or self.work,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.work),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_SSH_COMMAND": shlex.join(self.shell),
                "GIT_AUTHOR_NAME": "a",
                "GIT_AUTHOR_EMAIL": "a@localhost",
                "GIT_COMMITTER_NAME": "a",
                "GIT_COMMITTER_EMAIL": "a@localhost",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "init.defaultBranch",
                "GIT_CONFIG_VALUE_0": "main",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def url(self, repository: str) -> str:
        """A repository as git names it."""
        return f"ssh://{self.user}@127.0.0.1:{self.server.sftp_port}/{repository}"

    def account(self) -> dict[str, Any]:
        """The user as REST has it now."""
        (found,) = self.server.rest("GET", f"/user?username={self.user}")
        return found

    def change_account(self, **fields: Any) -> None:
        """Change the user; it holds from the next login."""
        self.server.rest("PUT", f"/user/{self.account()['id']}", fields)

    def assertDone(self, done: Any) -> None:
        """It ended well."""
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def assertNoRealPath(self, done: Any) -> None:
        """Nothing that was said names a place of the server's."""
        said = (done.stdout + done.stderr).replace(str(self.work), "")
        self.assertNotIn(str(self.server.directory), said)
