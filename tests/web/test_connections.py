from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.web.talk import Reply, Server

PATH = "/api/v1/connection"
ID = "ab" * 32


class ConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.closed: list[str] = []

    def ask(self, method: str, path: str = PATH) -> Reply:
        return self.successResultOf(Deferred.fromCoroutine(self.server.call(method, path)))

    def connect(self, connection_id: str = ID, channel: str | None = "SFTP", command: str = "") -> None:
        self.server.registry.opened(
            connection_id,
            client_version="SSH-2.0-<b>&",
            remote_address="127.0.0.1:5",
            close=lambda: self.closed.append(connection_id),
            now=10,
        )
        self.server.registry.try_login(connection_id, "alice", 0, 20)
        if channel:
            self.server.registry.channel_opened(connection_id, channel, 30, command)

    def test_none(self) -> None:
        self.assertEqual(self.ask("GET").body, b"[]\n")
        self.connect(channel=None)
        self.assertEqual(self.ask("GET").body, b"[]\n")

    def test_list(self) -> None:
        self.connect()
        transfer = self.server.registry.transfer_started(ID, "upload", "/a/b", 40)
        transfer.size, transfer.last_activity = 7, 50
        self.connect("cd" * 32, "SSH", "md5sum /f")
        self.assertEqual(
            self.ask("GET").body.decode(),
            f'[{{"username":"alice","connection_id":"{ID}","client_version":"SSH-2.0-\\u003cb\\u003e\\u0026",'
            '"remote_address":"127.0.0.1:5","connection_time":10,"last_activity":50,"protocol":"SFTP",'
            '"active_transfers":[{"operation_type":"upload","start_time":40,"size":7,"last_activity":50,'
            '"path":"/a/b"}],"ssh_command":""},'
            f'{{"username":"alice","connection_id":"{"cd" * 32}","client_version":"SSH-2.0-\\u003cb\\u003e\\u0026",'
            '"remote_address":"127.0.0.1:5","connection_time":10,"last_activity":30,"protocol":"SSH",'
            '"active_transfers":[],"ssh_command":"md5sum /f"}]\n',
        )

    def test_a_path_that_is_not_utf8(self) -> None:
        self.connect()
        self.server.registry.transfer_started(ID, "download", "/\udcff", 40)
        self.assertEqual(self.ask("GET").json[0]["active_transfers"][0]["path"], "/\udcff")

    def test_close(self) -> None:
        self.connect()
        reply = self.ask("DELETE", f"{PATH}/{ID}")
        self.assertEqual((reply.status, reply.json["message"], self.closed), (200, "Connection closed", [ID]))

    def test_close_one_that_has_no_channel(self) -> None:
        self.connect(channel=None)
        self.assertEqual((self.ask("DELETE", f"{PATH}/{ID}").status, self.closed), (200, [ID]))

    def test_close_none(self) -> None:
        self.connect()
        for name in ("nope", ID.upper(), ID[:-1], "%20"):
            reply = self.ask("DELETE", f"{PATH}/{name}")
            self.assertEqual((reply.status, reply.json), (404, {"error": "", "message": "Not Found", "status": 404}))
        self.assertEqual(self.closed, [])
