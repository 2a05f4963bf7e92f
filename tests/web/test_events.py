from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.web.events import MAX_STREAMS
from tests.web.talk import Received, Server, Wire, head

PATH = "/api/v1/events"
ID = "ab" * 32


class EventsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.wires: list[Wire] = []

    def tearDown(self) -> None:
        for wire in self.wires:
            wire.hang_up()
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def listen(self) -> Wire:
        # An HTTP/1.0 answer is not cut into chunks.
        wire = Wire(self.server.site)
        self.wires.append(wire)
        wire.send(head("GET", PATH).replace(b"HTTP/1.1", b"HTTP/1.0"))
        return wire

    def events(self, wire: Wire) -> list[tuple[str, Any]]:
        """What came since the last look."""
        content = wire.value().rpartition(b"\r\n\r\n")[2].decode()
        wire.clear()
        found = []
        for block in content.split("\n\n")[:-1]:
            if block != ":":
                kind, data = block.split("\n")
                found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        return found

    def connect(self) -> None:
        registry = self.server.registry
        registry.opened(ID, client_version="SSH-2.0-x\ny", remote_address="a:1", close=lambda: None, now=1)
        registry.try_login(ID, "alice", 0, 2)
        registry.channel_opened(ID, "SFTP", 3)

    def test_what_happens(self) -> None:
        wire = self.listen()
        self.assertIn(b"Content-Type: text/event-stream; charset=utf-8\r\n", wire.value())
        self.assertEqual(self.events(wire), [("connections", [])])
        self.connect()
        transfer = self.server.registry.transfer_started(ID, "upload", "/f", 4)
        self.server.clock.advance(1)
        (connected, started) = self.events(wire)
        self.assertEqual((connected[0], connected[1]["username"]), ("connected", "alice"))
        self.assertEqual(
            started,
            (
                "transfer_started",
                {
                    "connection": {key: value for key, value in connected[1].items() if key != "active_transfers"},
                    "transfer": {
                        "operation_type": "upload", "start_time": 4, "size": 0, "last_activity": 4, "path": "/f",
                    },
                },
            ),
        )  # fmt: skip
        transfer.size = 10
        self.server.clock.advance(1)
        self.assertEqual([kind for kind, _ in self.events(wire)], ["transfer_progress"])
        self.server.clock.advance(1)
        self.assertEqual(self.events(wire), [])
        self.server.registry.closed(ID)
        self.server.clock.advance(1)
        self.assertEqual([kind for kind, _ in self.events(wire)], ["transfer_ended", "disconnected"])

    def test_one_who_comes_later_gets_the_list(self) -> None:
        first = self.listen()
        self.connect()
        self.server.clock.advance(1)
        second = self.listen()
        ((kind, listed),) = self.events(second)
        self.assertEqual((kind, listed[0]["connection_id"]), ("connections", ID))
        self.assertEqual([kind for kind, _ in self.events(first)], ["connections", "connected"])

    def test_a_slow_client_costs_no_memory_and_gets_the_list_anew(self) -> None:
        wire = self.listen()
        self.events(wire)
        wire.producer.pauseProducing()
        self.connect()
        transfer = self.server.registry.transfer_started(ID, "upload", "/f", 4)
        for size in range(100):
            transfer.size = size
            self.server.clock.advance(1)
        self.assertEqual(wire.value(), b"")
        wire.producer.resumeProducing()
        self.server.clock.advance(1)
        ((kind, listed),) = self.events(wire)
        self.assertEqual((kind, listed[0]["active_transfers"][0]["size"]), ("connections", 99))

    def test_silence_is_broken_for_proxies(self) -> None:
        wire = self.listen()
        self.events(wire)
        self.server.clock.pump([1] * 40)
        self.assertEqual(wire.value(), b":\n\n" * 2)

    def test_nobody_looks_when_nobody_listens(self) -> None:
        self.assertEqual(self.server.clock.getDelayedCalls(), [])
        self.listen()
        self.wires.pop().hang_up()
        self.assertEqual(self.server.clock.getDelayedCalls(), [])
        self.assertEqual([line["resp_status"] for line in self.server.lines], [499])

    def test_so_many_at_once(self) -> None:
        for _ in range(MAX_STREAMS):
            self.listen()
        self.assertIn(b" 503 ", self.listen().value())
        self.wires[0].hang_up()
        del self.wires[0]
        self.assertIn(b" 200 ", self.listen().value())

    def test_none_for_pages_of_other_sites(self) -> None:
        # What they cannot read they could keep open still.
        for name, value in (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "null")):
            wire = Wire(self.server.site)
            self.wires.append(wire)
            self.assertEqual(Received(wire.send(head("GET", PATH, {name: value}))).reply().status, 403)

    def test_they_end_with_the_server(self) -> None:
        wire = self.listen()
        self.server.site.doStart()
        self.server.site.doStop()
        self.assertTrue(wire.disconnecting)

    def test_head(self) -> None:
        wire = Wire(self.server.site)
        self.wires.append(wire)
        reply = Received(wire.send(head("HEAD", PATH))).reply("HEAD")
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, "text/event-stream; charset=utf-8"))

    def test_totals_for_who_wants_them(self) -> None:
        wire = Wire(self.server.site)
        self.wires.append(wire)
        wire.send(head("GET", f"{PATH}?totals=1").replace(b"HTTP/1.1", b"HTTP/1.0"))
        other = self.listen()
        self.assertEqual([kind for kind, _ in self.events(wire)], ["connections", "totals"])
        self.assertEqual([kind for kind, _ in self.events(other)], ["connections"])
        self.connect()
        transfer = self.server.registry.transfer_started(ID, "upload", "/f", 4)
        transfer.size = 77
        self.server.metrics.login_failed("password")
        self.server.clock.advance(1)
        told = dict(self.events(wire))["totals"]
        shown = {name: told[name] for name in ("time", "connections", "transfers", "uploaded", "logins_failed")}
        self.assertEqual(shown, {"time": 1000, "connections": 1, "transfers": 1, "uploaded": 77, "logins_failed": 1})
        self.server.clock.advance(1)
        self.assertEqual([kind for kind, _ in self.events(wire)], ["totals"])
        self.assertEqual([kind for kind, _ in self.events(other)], ["connected", "transfer_started"])

    def test_bad_parameter(self) -> None:
        wire = Wire(self.server.site)
        self.wires.append(wire)
        self.assertIn(b" 400 ", wire.send(head("GET", f"{PATH}?totals=yes")))
