from __future__ import annotations

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.connection import DOWNLOAD, UPLOAD, Channel, Connection, ConnectionRegistry, Transfer


class RegistryCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = ConnectionRegistry()
        self.told: list[str] = []

    def connect(self, connection_id: str, username: str = "", now: int = 1000) -> Connection:
        connection = self.registry.opened(
            connection_id,
            client_version="SSH-2.0-test",
            remote_address="127.0.0.1:5022",
            close=lambda: self.told.append(connection_id),
            now=now,
        )
        if username:
            self.assertTrue(self.registry.try_login(connection_id, username, 0, now))
        return connection


class Sessions(RegistryCase):
    def test_the_limit(self) -> None:
        for name in ("a", "b", "c"):
            self.connect(name)
        self.assertTrue(self.registry.try_login("a", "alice", 2, 1))
        self.assertTrue(self.registry.try_login("b", "alice", 2, 1))
        self.assertFalse(self.registry.try_login("c", "alice", 2, 1))
        self.assertEqual(self.registry.sessions("alice"), 2)
        self.assertTrue(self.registry.try_login("c", "bob", 2, 1))

    def test_no_limit(self) -> None:
        for limit in (0, -1):
            for number in range(3):
                self.connect(f"{limit}/{number}")
                self.assertTrue(self.registry.try_login(f"{limit}/{number}", "alice", limit, 1))

    def test_counted_by_connection_whatever_runs_on_it(self) -> None:
        self.connect("a", "alice")
        self.connect("b")
        self.registry.channel_opened("a", "SFTP", 1)
        self.registry.channel_opened("a", "SCP", 1)
        self.assertEqual(self.registry.sessions("alice"), 1)
        self.assertTrue(self.registry.try_login("b", "alice", 2, 1))

    def test_a_connection_without_a_channel_counts(self) -> None:
        self.connect("a", "alice")
        self.connect("b")
        self.assertFalse(self.registry.try_login("b", "alice", 1, 1))

    def test_a_second_login_takes_no_second_place(self) -> None:
        self.connect("a", "alice")
        self.assertTrue(self.registry.try_login("a", "alice", 1, 1))
        self.assertFalse(self.registry.try_login("a", "bob", 0, 1))
        self.assertEqual((self.registry.sessions("alice"), self.registry.sessions("bob")), (1, 0))

    def test_places_are_given_back_once(self) -> None:
        self.connect("a", "alice")
        self.connect("b", "alice")
        self.registry.closed("a")
        self.registry.closed("a")
        self.assertEqual(self.registry.sessions("alice"), 1)
        self.registry.closed("b")
        self.assertEqual(self.registry.sessions("alice"), 0)

    def test_a_connection_that_is_gone(self) -> None:
        self.connect("a")
        self.registry.closed("a")
        self.assertFalse(self.registry.try_login("a", "alice", 0, 1))
        self.assertEqual(self.registry.sessions("alice"), 0)

    def test_nobody(self) -> None:
        self.connect("a")
        self.assertFalse(self.registry.try_login("a", "", 0, 1))

    def test_an_id_is_entered_once(self) -> None:
        self.connect("a")
        self.assertRaises(ValueError, self.connect, "a")


class Listing(RegistryCase):
    def test_the_record(self) -> None:
        self.connect("a", "alice", now=1000)
        self.registry.channel_opened("a", "SFTP", 1100)
        up = self.registry.transfer_started("a", UPLOAD, "/up", 1200)
        self.registry.transfer_started("a", DOWNLOAD, "/down", 1300)
        up.size += 500
        up.last_activity = 1400
        (listed,) = self.registry.snapshot()
        record = attrs.asdict(listed)
        self.assertEqual(
            list(record.items()),
            [
                ("username", "alice"),
                ("connection_id", "a"),
                ("client_version", "SSH-2.0-test"),
                ("remote_address", "127.0.0.1:5022"),
                ("connection_time", 1000),
                ("last_activity", 1400),
                ("protocol", "SFTP"),
                ("active_transfers", record["active_transfers"]),
                ("ssh_command", ""),
            ],
        )
        self.assertEqual(
            [list(transfer.items()) for transfer in record["active_transfers"]],
            [
                [
                    ("operation_type", "upload"),
                    ("start_time", 1200),
                    ("size", 500),
                    ("last_activity", 1400),
                    ("path", "/up"),
                ],
                [
                    ("operation_type", "download"),
                    ("start_time", 1300),
                    ("size", 0),
                    ("last_activity", 1300),
                    ("path", "/down"),
                ],
            ],
        )

    def test_only_with_a_running_channel(self) -> None:
        self.connect("a")
        self.connect("b", "bob")
        self.connect("c", "carol")
        channel = self.registry.channel_opened("c", "SSH", 2, "md5sum /x")
        self.assertEqual([each.username for each in self.registry.snapshot()], ["carol"])
        self.assertEqual(self.registry.active(), 1)
        self.registry.channel_closed("c", channel, 3)
        self.assertEqual(self.registry.snapshot(), ())
        self.assertEqual(self.registry.active(), 0)

    def test_one_entry_for_two_channels(self) -> None:
        self.connect("a", "alice")
        self.registry.channel_opened("a", "SFTP", 2)
        command = self.registry.channel_opened("a", "SSH", 3, "pwd ")
        (listed,) = self.registry.snapshot()
        self.assertEqual((listed.protocol, listed.ssh_command), ("SSH", "pwd "))
        self.registry.channel_closed("a", command, 4)
        self.registry.channel_closed("a", command, 4)
        (listed,) = self.registry.snapshot()
        self.assertEqual((listed.protocol, listed.ssh_command), ("SFTP", ""))

    def test_a_snapshot_does_not_move(self) -> None:
        self.connect("a", "alice")
        self.registry.channel_opened("a", "SFTP", 2)
        transfer = self.registry.transfer_started("a", UPLOAD, "/up", 3)
        before = self.registry.snapshot()
        transfer.size += 1
        self.assertEqual(before[0].active_transfers[0].size, 0)


class Moved(RegistryCase):
    def test_what_runs_and_what_has_ended_counts_once(self) -> None:
        self.assertEqual(self.registry.moved(), (0, 0))
        self.connect("a", "alice")
        up = self.registry.transfer_started("a", UPLOAD, "/up", 1)
        down = self.registry.transfer_started("a", DOWNLOAD, "/down", 1)
        up.size, down.size = 5, 70
        self.assertEqual(self.registry.moved(), (5, 70))
        self.registry.transfer_ended("a", up)
        self.registry.transfer_ended("a", up)
        down.size += 10
        self.assertEqual(self.registry.moved(), (5, 80))
        self.registry.closed("a")
        self.registry.transfer_ended("a", down)
        self.registry.closed("a")
        self.assertEqual(self.registry.moved(), (5, 80))


class Idleness(RegistryCase):
    def idle(self, limit: int, now: int) -> list[str]:
        return [each.connection_id for each in self.registry.idle_since(limit, now)]

    def test_from_the_latest_activity(self) -> None:
        self.connect("a", "alice", now=1000)
        self.assertEqual(self.idle(100, 1100), [])
        self.assertEqual(self.idle(100, 1101), ["a"])
        self.registry.touched("a", 1050)
        self.assertEqual(self.idle(100, 1150), [])
        self.assertEqual(self.idle(100, 1151), ["a"])
        transfer = self.registry.transfer_started("a", DOWNLOAD, "/x", 1060)
        transfer.last_activity = 1200
        self.assertEqual(self.idle(100, 1300), [])
        self.registry.transfer_ended("a", transfer)
        self.assertEqual(self.idle(100, 1300), [])
        self.assertEqual(self.idle(100, 1301), ["a"])

    def test_no_limit(self) -> None:
        self.connect("a", "alice", now=0)
        self.assertEqual(self.idle(0, 10**12), [])
        self.assertEqual(self.idle(-1, 10**12), [])

    def test_a_login_has_its_own_time(self) -> None:
        self.connect("a", now=0)
        self.assertEqual(self.idle(10, 1000), [])


class Closing(RegistryCase):
    def test_tells_the_connection_and_waits_for_its_end(self) -> None:
        self.connect("a", "alice")
        self.connect("b", "bob")
        self.assertTrue(self.registry.close("a"))
        self.assertEqual(self.told, ["a"])
        self.assertEqual(self.registry.sessions("alice"), 1)

    def test_unknown(self) -> None:
        self.assertFalse(self.registry.close("a"))

    def test_ends_come_in_any_order(self) -> None:
        self.connect("a", "alice")
        channel = self.registry.channel_opened("a", "SFTP", 2)
        transfer = self.registry.transfer_started("a", UPLOAD, "/up", 3)
        self.registry.closed("a")
        self.registry.transfer_ended("a", transfer)
        self.registry.channel_closed("a", channel, 4)
        self.registry.touched("a", 4)
        self.assertIsNone(self.registry.get("a"))
        late = self.registry.transfer_started("a", UPLOAD, "/up", 5)
        late.size += 1
        self.assertEqual(self.registry.snapshot(), ())


@attrs.define
class Expected:
    """What is known of a connection when nothing but lists is used."""

    username: str = ""
    activity: int = 0
    channels: list[Channel] = attrs.field(factory=list)
    transfers: list[Transfer] = attrs.field(factory=list)


class AnySeries(RuleBasedStateMachine):
    """Any series of events against plain lists, counted afresh each time."""

    ids = Bundle("ids")
    channels = Bundle("channels")
    transfers = Bundle("transfers")

    def __init__(self) -> None:
        super().__init__()
        self.registry = ConnectionRegistry()
        self.expected: dict[str, Expected] = {}
        self.now = 0
        self.number = 0

    def tick(self) -> int:
        self.now += 10
        return self.now

    @rule(target=ids)
    def open(self) -> str:
        self.number += 1
        name = f"{self.number:064x}"
        self.registry.opened(
            name, client_version="SSH-2.0-x", remote_address="[::1]:1", close=lambda: None, now=self.tick()
        )
        self.expected[name] = Expected(activity=self.now)
        return name

    @rule(name=ids, username=st.sampled_from(["alice", "bob"]), limit=st.integers(-1, 2))
    def login(self, name: str, username: str, limit: int) -> None:
        now = self.tick()
        known = self.expected.get(name)
        taken = sum(each.username == username for each in self.expected.values())
        free = known is not None and not known.username and (limit <= 0 or taken < limit)
        mine = known is not None and known.username == username
        assert self.registry.try_login(name, username, limit, now) == (free or mine)
        if free and known is not None:
            known.username, known.activity = username, now

    @rule(name=ids)
    def close(self, name: str) -> None:
        self.registry.closed(name)
        self.expected.pop(name, None)

    @rule(target=channels, name=ids, protocol=st.sampled_from(["SFTP", "SCP", "SSH"]))
    def start_channel(self, name: str, protocol: str) -> tuple[str, Channel]:
        channel = self.registry.channel_opened(name, protocol, self.tick())
        if name in self.expected:
            self.expected[name].channels.append(channel)
            self.expected[name].activity = self.now
        return name, channel

    @rule(target=channels, which=consumes(channels), again=st.booleans())
    def end_channel(self, which: tuple[str, Channel], again: bool) -> object:
        name, channel = which
        self.registry.channel_closed(name, channel, self.tick())
        known = self.expected.get(name)
        if known is not None and any(each is channel for each in known.channels):
            known.channels = [each for each in known.channels if each is not channel]
            known.activity = self.now
        return which if again else multiple()

    @rule(target=transfers, name=ids)
    def start_transfer(self, name: str) -> tuple[str, Transfer]:
        transfer = self.registry.transfer_started(name, UPLOAD, "/x", self.tick())
        if name in self.expected:
            self.expected[name].transfers.append(transfer)
        return name, transfer

    @rule(which=transfers, count=st.integers(0, 10**6))
    def move(self, which: tuple[str, Transfer], count: int) -> None:
        which[1].size += count
        which[1].last_activity = self.tick()

    @rule(target=transfers, which=consumes(transfers), again=st.booleans())
    def end_transfer(self, which: tuple[str, Transfer], again: bool) -> object:
        name, transfer = which
        self.registry.transfer_ended(name, transfer)
        known = self.expected.get(name)
        if known is not None and any(each is transfer for each in known.transfers):
            known.transfers = [each for each in known.transfers if each is not transfer]
            known.activity = max(known.activity, transfer.last_activity)
        return which if again else multiple()

    @invariant()
    def sessions_are_the_logged_in_connections(self) -> None:
        for username in ("alice", "bob"):
            counted = sum(each.username == username for each in self.expected.values())
            assert self.registry.sessions(username) == counted

    @invariant()
    def the_list_is_what_runs(self) -> None:
        listed = [
            (name, each.username, each.channels[-1].protocol, [transfer.size for transfer in each.transfers])
            for name, each in self.expected.items()
            if each.username and each.channels
        ]
        shown = self.registry.snapshot()
        assert listed == [
            (each.connection_id, each.username, each.protocol, [item.size for item in each.active_transfers])
            for each in shown
        ]
        assert self.registry.active() == len(listed)

    @invariant()
    def the_idle_are_those_without_activity(self) -> None:
        idle = [
            name
            for name, each in self.expected.items()
            if each.username
            and max([each.activity, *(transfer.last_activity for transfer in each.transfers)]) < self.now - 50
        ]
        assert idle == [each.connection_id for each in self.registry.idle_since(50, self.now)]


class Model(SynchronousTestCase):
    def test_any_series_of_events(self) -> None:
        run_state_machine_as_test(AnySeries, settings=settings(deadline=None, max_examples=60, stateful_step_count=40))
