"""What a person at the terminal is told once the server is up."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.welcome import welcome_text
from tests.ssh.scripted import SERVER_KEY

KEYS = {SERVER_KEY.sshType(): SERVER_KEY}


class WelcomeTests(SynchronousTestCase):
    def lines(self, *sftp: tuple[str, int], http: tuple[tuple[str, int], ...] = (), newcomer: bool = True) -> list[str]:
        return [line.strip() for line in welcome_text(sftp, http, KEYS, "/srv", newcomer=newcomer).splitlines()]

    def test_every_address(self) -> None:
        lines = self.lines(("0.0.0.0", 2022), ("::", 2022), http=(("127.0.0.1", 8080), ("::1", 8080)))
        self.assertEqual(
            [line for line in lines if " listens on " in line],
            [
                "SFTP listens on 0.0.0.0:2022",
                "SFTP listens on [::]:2022",
                "HTTP listens on 127.0.0.1:8080",
                "HTTP listens on [::1]:8080",
            ],
        )

    def test_commands_that_reach_it(self) -> None:
        for host, reached in (
            ("0.0.0.0", "127.0.0.1"),
            ("::", "127.0.0.1"),
            ("::1", "[::1]"),
            ("192.0.2.1", "192.0.2.1"),
        ):
            lines = self.lines((host, 2022), http=((host, 8080),))
            self.assertIn(f"sftp -P 2022 alice@{reached}", lines)
            self.assertTrue(any(line.endswith(f" http://{reached}:8080/api/v1/user") for line in lines), lines)

    def test_who_has_accounts_already(self) -> None:
        lines = self.lines(("127.0.0.1", 2022), http=(("127.0.0.1", 8080),), newcomer=False)
        self.assertFalse([line for line in lines if line.startswith(("curl", "sftp"))])
        self.assertEqual(self.lines(("127.0.0.1", 2022)), [*lines[:1], *lines[2:]])
