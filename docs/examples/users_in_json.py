"""A data provider of one's own: some hundred users in a JSON file, as a dump of the REST API has them.

    python users_in_json.py DIRECTORY

``DIRECTORY/users.json`` is read at the start and written whenever a user is added, changed or deleted.  What users have
used and when they were last there is kept in memory alone.
"""

import argparse
import json
import os

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from sftpgo.config.load import load
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.user import User
from sftpgo.interfaces import IDataProvider
from sftpgo.jsons import user_from_json, user_to_json
from sftpgo.service import build


@implementer(IDataProvider)
class JSONFile(MemoryProvider):
    """Keeps the users in memory, as the provider ``memory`` does, and writes them down after each change."""

    def __init__(self, path):
        super().__init__(load=self._read)
        self._path = path
        self._writing = DeferredLock()

    async def _read(self):
        return await deferToThread(self._read_file)

    def _read_file(self):
        if not os.path.exists(self._path):
            return []
        with open(self._path, encoding="utf-8") as file:
            users = json.load(file)["users"]
        return [user_from_json(user, User(id=number), with_usage=True) for number, user in enumerate(users, 1)]

    async def _save(self):
        await self._writing.run(self._save_alone)

    def _save_alone(self):
        return Deferred.fromCoroutine(self._write_all())

    async def _write_all(self):
        users = [user_to_json(user, with_password=True) for user in await self.dump(limit=1_000_000)]
        await deferToThread(self._write_file, json.dumps({"users": users}, indent=2))

    def _write_file(self, text):
        new = f"{self._path}.new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(new, self._path)

    async def stop(self):
        """Let what is being written be written first."""
        await self._writing.run(lambda: None)
        await super().stop()

    async def add(self, user):
        """Store a new user."""
        stored = await super().add(user)
        await self._save()
        return stored

    async def update(self, user):
        """Replace a record."""
        await super().update(user)
        await self._save()

    async def delete(self, user_id):
        """Remove a record."""
        await super().delete(user_id)
        await self._save()


def main(directory):
    """Serve."""
    provider = JSONFile(os.path.join(directory, "users.json"))
    server = build(load(directory, environ={}), reactor, provider=provider)
    server.started.addCallback(lambda addresses: print(f"SFTP on {addresses.sftp[1]}", flush=True))
    reactor.callWhenRunning(server.startService)
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    reactor.run()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("directory", metavar="DIRECTORY")
    main(arguments.parse_args().directory)
