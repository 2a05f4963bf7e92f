from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.errors import ProviderError
from tests.web.talk import Reply, Server, user

ID = "ab" * 32


@attrs.define
class Sick(MemoryProvider):
    """Fails, or never answers."""

    answer: Any = None

    async def check(self) -> None:
        await self.answer()


def sick(answer: Any) -> Sick:
    provider = Sick()
    provider.answer = answer
    return provider


async def failing() -> None:
    raise ProviderError("the disk is on fire")


class StatusTests(SynchronousTestCase):
    def ask(self, server: Server) -> Deferred[Reply]:
        return Deferred.fromCoroutine(server.call("GET", "/api/v1/status"))

    def test_numbers(self) -> None:
        server = Server()
        registry = server.registry
        registry.opened(ID, client_version="SSH-2.0-x", remote_address="a:1", close=lambda: None, now=1)
        registry.try_login(ID, "alice", 0, 2)
        registry.channel_opened(ID, "SFTP", 3)
        registry.transfer_started(ID, "download", "/f", 4).size = 5
        server.metrics.login_succeeded("public_key")
        server.metrics.set_availability(True)
        self.successResultOf(Deferred.fromCoroutine(server.call("POST", "/api/v1/user", user(home_dir="/"))))
        server.clock.advance(1.5)
        status = self.successResultOf(self.ask(server)).json
        self.assertEqual(
            status["totals"],
            {
                "time": 1500, "connections": 1, "transfers": 1, "uploaded": 0, "downloaded": 5, "uploads": 0,
                "downloads": 0, "upload_errors": 0, "download_errors": 0, "logins_ok": 1, "logins_failed": 0,
                "provider_available": True,
            },
        )  # fmt: skip
        self.assertEqual((status["version"], status["start_time"]), ("1.2.3-abc-2020-01-01", 0))
        self.assertEqual(status["provider"], {"available": True, "error": "", "elapsed_ms": 0})
        self.assertTrue(status["disks"]["complete"])
        ((path, homes),) = [(disk["path"], disk["homes"]) for disk in status["disks"]["file_systems"]]
        self.assertEqual((path, homes), ("/", 1))

    def test_the_last_ten_minutes_are_remembered(self) -> None:
        server = Server()
        server.site.doStart()
        server.clock.pump([5] * 300)
        history = self.successResultOf(self.ask(server)).json["history"]
        self.assertEqual([totals["time"] for totals in history], list(range(900_000, 1_500_001, 5000)))
        server.site.doStop()
        self.assertEqual(server.clock.getDelayedCalls(), [])

    def test_a_failing_provider_is_shown(self) -> None:
        status = self.successResultOf(self.ask(Server(sick(failing)))).json
        self.assertEqual(status["provider"], {"available": False, "error": "the disk is on fire", "elapsed_ms": 0})

    def test_a_silent_provider_is_shown(self) -> None:
        server = Server(sick(Deferred))
        reply = self.ask(server)
        server.clock.advance(4.9)
        self.assertNoResult(reply)
        server.clock.advance(0.1)
        # It does not tell either whose homes there are.
        server.clock.advance(1)
        provider = self.successResultOf(reply).json["provider"]
        self.assertEqual(provider, {"available": False, "error": "no answer within 5 s", "elapsed_ms": 5000})
