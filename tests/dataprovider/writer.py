"""A process of its own that works on an SQLite file: C{python writer.py PATH increment COUNT} or C{PATH forever}.

C{forever} prints a name for each user it was told is stored, until somebody kills it.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import defer, task

from sftpgo.dataprovider.sqlite import SQLiteProvider
from sftpgo.domain.user import User


async def run(reactor: Any, path: str, verb: str, count: str = "0") -> None:
    provider = SQLiteProvider(path, reactor=reactor, warn=print)
    await provider.start()
    if verb == "increment":
        for now in range(int(count)):
            await provider.update_quota("a", 1, 3, now)
    number = 0
    while verb == "forever":
        await provider.add(User(username=f"u{number:06}", home_dir="/h", permissions={"/": ("*",)}))
        await provider.update_quota("a", 1, 3, number)
        print(f"u{number:06}", flush=True)
        number += 1
    await provider.stop()


if __name__ == "__main__":
    task.react(lambda reactor, *arguments: defer.ensureDeferred(run(reactor, *arguments)), sys.argv[1:])
