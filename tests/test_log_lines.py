"""The lines of the log: every shape to the byte, and any text in them."""

from __future__ import annotations

import calendar
import json
import os
import re
import time
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import LogEvent, Logger, LogLevel, LogPublisher, formatEvent
from twisted.python import log as legacy
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.log import Log
from sftpgo.log.lines import LEVELS, JsonLines, LocalTime

#: 2026-11-23, an hour before the local time of the lines below.
MOMENT = calendar.timegm((2026, 11, 23, 10, 36, 7)) + 0.680

ANY_TEXT = st.text(st.characters(exclude_categories=()))


def an_hour_east(seconds: float) -> time.struct_time:
    return time.gmtime(seconds + 3600)


def line_of(write: Callable[[Log], None], sender: str = "sftpd", when: float = MOMENT) -> bytes:
    """The line that a write to a Log makes."""
    events: list[LogEvent] = []
    write(Log(sender, events.append))
    [event] = events
    return line_of_event(event, when)


def line_of_event(event: LogEvent, when: object = MOMENT) -> bytes:
    lines = JsonLines(lambda: MOMENT, an_hour_east)
    return lines.line(LEVELS[event.get("log_level", LogLevel.info)], {**event, "log_time": when})


class ShapeTests(SynchronousTestCase):
    def test_transfer(self) -> None:
        self.assertEqual(
            line_of(
                lambda log: log.transfer(
                    "Upload",
                    elapsed_ms=0,
                    size_bytes=50,
                    username="q1",
                    file_path="/srv/q1/b",
                    connection_id="1159c6",
                    protocol="SFTP",
                )
            ),
            b'{"level":"info","time":"2026-11-23T11:36:07.680","sender":"Upload","elapsed_ms":0,"size_bytes":50,'
            b'"username":"q1","file_path":"/srv/q1/b","connection_id":"1159c6","protocol":"SFTP"}\n',
        )

    def test_command(self) -> None:
        self.assertEqual(
            line_of(
                lambda log: log.command(
                    "Rename",
                    username="q1",
                    file_path="/h/q1/b",
                    target_path="/h/q1/a",
                    connection_id="1159c6",
                    protocol="SFTP",
                )
            ),
            b'{"level":"info","time":"2026-11-23T11:36:07.680","sender":"Rename","username":"q1",'
            b'"file_path":"/h/q1/b","target_path":"/h/q1/a","filemode":"","uid":-1,"gid":-1,"access_time":"",'
            b'"modification_time":"","ssh_command":"","connection_id":"1159c6","protocol":"SFTP"}\n',
        )

    def test_command_with_every_field(self) -> None:
        self.assertEqual(
            line_of(
                lambda log: log.command(
                    "Chtimes",
                    username="s1",
                    file_path="/f",
                    target_path="/t",
                    filemode="-rw---x--x",
                    uid=4294967295,
                    gid=7,
                    access_time="1970-01-01T00:01:40",
                    modification_time="1970-01-01T00:03:20",
                    ssh_command="md5sum /f",
                    connection_id="a7b1",
                    protocol="SSH",
                )
            ),
            b'{"level":"info","time":"2026-11-23T11:36:07.680","sender":"Chtimes","username":"s1","file_path":"/f",'
            b'"target_path":"/t","filemode":"-rw---x--x","uid":4294967295,"gid":7,'
            b'"access_time":"1970-01-01T00:01:40","modification_time":"1970-01-01T00:03:20",'
            b'"ssh_command":"md5sum /f","connection_id":"a7b1","protocol":"SSH"}\n',
        )

    def test_http(self) -> None:
        self.assertEqual(
            line_of(
                lambda log: log.http(
                    method="DELETE",
                    proto="HTTP/1.1",
                    remote_addr="127.0.0.1:58538",
                    request_id="host/krprcZIqtB-000073",
                    uri="http://127.0.0.1:18080/api/v1/connection/nope",
                    user_agent="curl/7.88.1",
                    resp_status=404,
                    resp_size=48,
                    elapsed_ms=0,
                )
            ),
            b'{"level":"info","time":"2026-11-23T11:36:07.680","sender":"httpd","method":"DELETE",'
            b'"proto":"HTTP/1.1","remote_addr":"127.0.0.1:58538","request_id":"host/krprcZIqtB-000073",'
            b'"uri":"http://127.0.0.1:18080/api/v1/connection/nope","user_agent":"curl/7.88.1","resp_status":404,'
            b'"resp_size":48,"elapsed_ms":0}\n',
        )

    def test_connection_failed(self) -> None:
        line = line_of(
            lambda log: log.connection_failed(
                client_ip="127.0.0.1", username="t1", login_type="password", error="Invalid credentials"
            )
        )
        self.assertEqual(
            line,
            b'{"level":"debug","time":"2026-11-23T11:36:07.680","sender":"connection_failed",'
            b'"client_ip":"127.0.0.1","username":"t1","login_type":"password","error":"Invalid credentials"}\n',
        )

    def test_app(self) -> None:
        self.assertEqual(
            line_of(lambda log: log.info('User id: 6, logged in with: "password"', connection_id="3788")),
            b'{"level":"info","time":"2026-11-23T11:36:07.680","sender":"sftpd","connection_id":"3788",'
            b'"message":"User id: 6, logged in with: \\"password\\""}\n',
        )

    def test_app_without_connection(self) -> None:
        for level, write in (
            (b"debug", Log.debug),
            (b"info", Log.info),
            (b"warn", Log.warn),
            (b"error", Log.error),
        ):
            self.assertEqual(
                line_of(lambda log, write=write: write(log, "x"), sender="service"),
                b'{"level":"%s","time":"2026-11-23T11:36:07.680","sender":"service","connection_id":"",'
                b'"message":"x"}\n' % level,
            )

    def test_failure(self) -> None:
        def raised() -> ZeroDivisionError:
            try:
                raise ZeroDivisionError("division by zero")
            except ZeroDivisionError as error:
                return error

        for given_ in (raised(), Failure(raised())):
            line = line_of(lambda log, f=given_: log.failure("while {counting} 100%", f, connection_id="c"))
            record = json.loads(line)
            self.assertEqual(list(record), ["level", "time", "sender", "connection_id", "message"])
            self.assertEqual((record["level"], record["connection_id"]), ("error", "c"))
            self.assertTrue(record["message"].startswith("while {counting} 100%\nTraceback"), record)
            self.assertIn("in raised", record["message"])
            self.assertTrue(record["message"].endswith("division by zero"), record)
            self.assertEqual(line.count(b"\n"), 1)

    def test_text_is_no_format(self) -> None:
        text = "{} {0} {log_time} {x!r} 100% %s %(a)s"
        self.assertEqual(json.loads(line_of(lambda log: log.info(text)))["message"], text)

    def test_other_observers_can_read_every_record(self) -> None:
        events: list[LogEvent] = []
        log = Log("sftpd", events.append)
        log.info("a {b}")
        log.connection_failed(client_ip="::1", username="{u}", login_type="password", error="wrong")
        log.command("Mkdir", username="u", file_path="/{d}", connection_id="", protocol="SCP")
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["a {b}", "login of {u} from ::1 by password failed: wrong", "SCP Mkdir of /{d} by u"],
        )

    def test_wrong_types_do_not_lose_the_line(self) -> None:
        line = line_of(
            lambda log: log.connection_failed(client_ip=None, username=b"x", login_type=True, error="")  # type: ignore[arg-type]
        )
        self.assertEqual(json.loads(line)["username"], "b'x'")
        self.assertEqual(json.loads(line)["login_type"], "True")


class TextTests(SynchronousTestCase):
    FAIL2BAN = (
        r'^.*"sender":"connection_failed","client_ip":"(?P<host>[0-9a-fA-F.:]+)","username":".*",'
        r'"login_type":"password".*"}$'
    )

    def one_valid_line(self, line: bytes) -> dict[str, object]:
        text = line.decode("utf-8")
        self.assertEqual(text[-1], "\n")
        self.assertEqual(len(text.splitlines()), 1)
        self.assertTrue(text[:-1].isprintable(), ascii(text))
        record = json.loads(text)
        assert isinstance(record, dict)
        return record

    def test_escapes(self) -> None:
        text = '"\\\n\r\x00\x1b[31m\x7f\x85\u2028\u2029\u202e\u2066\u200f\ufeff\ud800\udcff\U000e0001'
        self.assertIn(
            b'"message":"\\"\\\\\\n\\r\\u0000\\u001b[31m\\u007f\\u0085\\u2028\\u2029\\u202e\\u2066\\u200f\\ufeff'
            b'\\ud800\\udcff\\udb40\\udc01"}\n',
            line_of(lambda log: log.info(text)),
        )

    def test_printable_text_stays_readable(self) -> None:
        text = "Zoë Æther 日本語 Ελλάδα עברית 🦆"
        self.assertIn(text.encode(), line_of(lambda log: log.info(text)))
        # ... also beside something that is escaped
        self.assertIn(text.encode() + b"\\u0007", line_of(lambda log: log.info(text + "\a")))

    @settings(deadline=None, max_examples=200)
    @given(ANY_TEXT)
    def test_any_text_is_one_line_and_reads_back(self, text: str) -> None:
        record = self.one_valid_line(line_of(lambda log: log.info(text, connection_id=text), sender=text))
        # JSON cannot tell two surrogates side by side from the character that they are in UTF-16.
        same = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        self.assertEqual((record["message"], record["connection_id"], record["sender"]), (same, same, same))

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=255))
    def test_any_file_name_reads_back_exactly(self, name: bytes) -> None:
        path = name.decode("utf-8", "surrogateescape")
        record = self.one_valid_line(
            line_of(
                lambda log: log.transfer(
                    "Download",
                    elapsed_ms=1,
                    size_bytes=2**63,
                    username=path,
                    file_path=path,
                    connection_id="",
                    protocol="SCP",
                )
            )
        )
        self.assertEqual(str(record["file_path"]).encode("utf-8", "surrogateescape"), name)
        self.assertEqual(record["size_bytes"], 2**63)

    @settings(deadline=None, max_examples=100)
    @given(ANY_TEXT)
    def test_no_name_can_forge_the_address_for_fail2ban(self, name: str) -> None:
        forged = f'{name}","sender":"connection_failed","client_ip":"6.6.6.6","username":"'
        line = line_of(
            lambda log: log.connection_failed(client_ip="127.0.0.1", username=forged, login_type="password", error=name)
        )
        self.one_valid_line(line)
        match = re.search(self.FAIL2BAN, line.decode().rstrip("\n"))
        assert match is not None
        self.assertEqual(match["host"], "127.0.0.1")

    @settings(deadline=None, max_examples=50)
    @given(ANY_TEXT)
    def test_any_request(self, text: str) -> None:
        self.one_valid_line(
            line_of(
                lambda log: log.http(
                    method=text,
                    proto=text,
                    remote_addr=text,
                    request_id=text,
                    uri=text,
                    user_agent=text,
                    resp_status=200,
                    resp_size=0,
                    elapsed_ms=3,
                )
            )
        )


class TimeTests(SynchronousTestCase):
    def test_every_millisecond(self) -> None:
        text_of = LocalTime(an_hour_east)
        whole = calendar.timegm((2026, 11, 23, 10, 36, 7))
        for millisecond in range(1000):
            self.assertEqual(text_of(whole + millisecond / 1000), f"2026-11-23T11:36:07.{millisecond:03d}", millisecond)

    def test_seconds_follow(self) -> None:
        text_of = LocalTime(time.gmtime)
        self.assertEqual(
            [text_of(t) for t in (0.9999, 1.0, 0.5, 86399.999)],
            [
                "1970-01-01T00:00:00.999",
                "1970-01-01T00:00:01.000",
                "1970-01-01T00:00:00.500",
                "1970-01-01T23:59:59.999",
            ],
        )

    def test_local_time_by_default(self) -> None:
        def restore(old: str | None = os.environ.get("TZ")) -> None:
            os.environ.pop("TZ", None)
            if old is not None:
                os.environ["TZ"] = old
            time.tzset()

        self.addCleanup(restore)
        os.environ["TZ"] = "EST+5"
        time.tzset()
        self.assertEqual(LocalTime()(MOMENT), "2026-11-23T05:36:07.680")

    def test_absurd_times_fall_back_to_now(self) -> None:
        for when in (float("nan"), float("inf"), 1e300, -1e300, None, "yesterday"):
            line = line_of_event({"log_format": "x", "log_level": LogLevel.info}, when)
            self.assertEqual(json.loads(line)["time"], "2026-11-23T11:36:07.680", when)


class ForeignEventTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[LogEvent] = []

    def record(self) -> dict[str, object]:
        [event] = self.events
        record = json.loads(line_of_event(event))
        self.assertEqual(list(record), ["level", "time", "sender", "connection_id", "message"])
        return record  # type: ignore[no-any-return]

    def test_twisted_logger(self) -> None:
        Logger("twisted.conch.ssh.transport", observer=self.events.append).warn("no {what}", what="match\n")
        record = self.record()
        self.assertEqual(
            (record["level"], record["sender"], record["message"]),
            ("warn", "twisted.conch.ssh.transport", "no match"),
        )

    def test_own_modules_are_named_by_their_part(self) -> None:
        for namespace, sender in (
            ("sftpgo.ssh.transport.Transport", "ssh"),
            ("sftpgo.ssh.scp", "scp"),
            ("sftpgo.dataprovider.sql", "dataprovider"),
            ("sftpgo", "sftpgo"),
            ("", "twisted"),
            ("log_legacy", "twisted"),
        ):
            self.events.clear()
            Logger(namespace, observer=self.events.append).info("x", connection_id="77")
            record = self.record()
            self.assertEqual((record["sender"], record["connection_id"]), (sender, "77"))

    def test_critical_failure(self) -> None:
        log = Logger("twisted.internet.defer", observer=self.events.append)
        try:
            raise RuntimeError("boom\x1b")
        except RuntimeError:
            log.failure("Unhandled error in Deferred")
        record = self.record()
        self.assertEqual(record["level"], "error")
        self.assertTrue(str(record["message"]).startswith("Unhandled error in Deferred\nTraceback"))
        self.assertIn("boom\x1b", str(record["message"]))

    def test_failure_without_text(self) -> None:
        Logger("x", observer=self.events.append).emit(LogLevel.critical, log_failure=Failure(KeyError("k")))
        self.assertIn("KeyError", str(self.record()["message"]))

    def test_unformattable(self) -> None:
        Logger("x", observer=self.events.append).info("{missing}")
        self.assertIn("Unable to format event", str(self.record()["message"]))

    def test_nothing_to_say(self) -> None:
        Logger("x", observer=self.events.append).info(None, count=1)
        self.assertEqual(line_of_event(self.events[0]), b"")

    def test_legacy(self) -> None:
        publisher = LogPublisher(self.events.append)
        old = legacy.LogPublisher(publisher, publisher)
        old.msg("Starting factory", "x")
        record = self.record()
        self.assertEqual(
            (record["level"], record["sender"], record["message"]), ("info", "twisted", "Starting factory x")
        )

    def test_a_field_called_record_makes_no_record(self) -> None:
        Logger("x", observer=self.events.append).info("{record}", record="r", sender="forged")
        self.assertEqual((self.record()["sender"], self.record()["message"]), ("x", "r"))
