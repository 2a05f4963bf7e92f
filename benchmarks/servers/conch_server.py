"""Stock Twisted Conch serving SFTP: PORT HOME HOST_KEY AUTHORIZED_KEYS."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Any

from twisted.conch.checkers import InMemorySSHKeyDB, SSHPublicKeyChecker
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.unix import UnixConchUser
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor
from twisted.python.filepath import FilePath
from zope.interface import implementer


class _User(UnixConchUser):
    """The user who runs this, with another home."""

    home = ""

    def getHomeDir(self) -> FilePath[str]:
        """Where relative paths start; its SFTP server wants more than the text that its own method gives."""
        return FilePath(self.home)


@implementer(IRealm)
class _Realm:
    def __init__(self, home: str) -> None:
        self._home = home

    def requestAvatar(self, name: bytes, mind: object, *interfaces: Any) -> Any:
        """Whoever has the key."""
        user = _User(name.decode())
        user.home = self._home
        return interfaces[0], user, user.logout


def _main(port: str, home: str, host_key: str, authorized_keys: str) -> None:
    key = Key.fromFile(host_key)
    factory = SSHFactory()
    factory.privateKeys = {key.sshType(): key}
    factory.publicKeys = {key.sshType(): key.public()}
    friend = Key.fromString(Path(authorized_keys).read_bytes())
    factory.portal = Portal(_Realm(home))
    factory.portal.registerChecker(SSHPublicKeyChecker(InMemorySSHKeyDB({getpass.getuser().encode(): [friend]})))
    reactor.listenTCP(int(port), factory, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    _main(*sys.argv[1:])
