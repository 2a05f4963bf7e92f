from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo import cli
from sftpgo.reference.completion import script
from tests.harness import PATIENCE, need

EXPECTED = (
    (("expl",), {"explain"}),
    (("serve", "--log-max"), {"--log-max-size", "--log-max-backups", "--log-max-age"}),
    (("explain", "alice", "rena"), {"rename"}),
    (("import", "--format", "pure"), {"pureftpd"}),
    (("rest", "get-u"), {"get-users", "get-user-by-id"}),
    (("rest", "-o", "table", "get-users", "--li"), {"--limit"}),
    (("rest", "add-user", "x", "--qu"), {"--quota-size", "--quota-files"}),
    (("rest", "get-users", "--order", ""), {"ASC", "DESC"}),
    (("completion", "z"), {"zsh"}),
    (("rest", "add-user", "x", "--permissions", "ch"), {"chmod", "chown", "chtimes"}),
    (("rest", "add-user", "x", "--permissions", "a"), set()),
    (("nonsense", "--li"), set()),
)


class CompletionTests(SynchronousTestCase):
    """What real shells offer."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-completion-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        (self.directory / "a directory").mkdir()
        (self.directory / "a file").write_text("")

    def run_shell(self, *command: str) -> set[str]:
        need(command[0])
        done = subprocess.run(
            command,
            cwd=self.directory,
            env={**os.environ, "HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return {line for line in done.stdout.splitlines() if line}

    def by_function(self, shell: str, start: str, *words: str) -> set[str]:
        line = " ".join(f"'{word}'" for word in ("sftpgo", *words))
        asked = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; COMPREPLY=(); _sftpgo; "
        return self.run_shell(shell, *start.split(), f'{script(shell)}\n{asked}printf "%s\\n" "${{COMPREPLY[@]}}"')

    def test_bash(self) -> None:
        for words, expected in EXPECTED:
            self.assertEqual(self.by_function("bash", "--norc -c", *words), expected, words)
        self.assertEqual(self.by_function("bash", "--norc -c", "serve", "--config-dir", "a"), {"a directory"})
        self.assertEqual(self.by_function("bash", "--norc -c", "serve", "--config", "a"), {"a directory", "a file"})
        self.assertLessEqual(set(cli.summaries()), self.by_function("bash", "--norc -c", ""))

    def test_fish(self) -> None:
        need("fish")
        (self.directory / "sftpgo.fish").write_text(script("fish"))
        for words, expected in EXPECTED:
            line = " ".join(["sftpgo", *words])
            found = self.run_shell("fish", "--no-config", "-c", f"source sftpgo.fish; complete -C '{line}'")
            # A file is offered where a path may stand: what is asked for is among the rest.
            offered = {each.partition("\t")[0] for each in found}
            self.assertLessEqual(expected, offered, words)
        found = self.run_shell("fish", "--no-config", "-c", "source sftpgo.fish; complete -C 'sftpgo '")
        self.assertEqual({line.partition("\t")[0] for line in found}, set(cli.summaries()))

    def test_zsh(self) -> None:
        """As zsh calls functions of bash's kind (bashcompinit); zsh itself leaves out what begins otherwise."""
        need("zsh")
        for words, expected in EXPECTED:
            line = " ".join(f"'{word}'" for word in ("sftpgo", *words))
            asked = (
                "autoload -Uz compinit; compinit -D -u\n"
                f"{script('zsh')}\n"
                "function asked { emulate -L sh; setopt kshglob noshglob braceexpand nounset; "
                f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; COMPREPLY=(); _sftpgo; "
                'print -rl -- "${COMPREPLY[@]}" }\nasked'
            )
            found = self.run_shell("zsh", "-f", "-c", asked)
            self.assertEqual({each for each in found if each.startswith(words[-1])}, expected, words)
