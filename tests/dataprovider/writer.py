"""A process of its own that works on a file of users.

C{python writer.py PATH increment COUNT [DRIVER]} adds to the quota of C{a}.  C{PATH forever} prints a name for each
user it was told is stored, until somebody kills it; there it also makes C{a}, if it is not there.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import defer, task

from sftpgo.config.model import DataProvider
from sftpgo.dataprovider.select import select_provider
from sftpgo.domain.user import User
from sftpgo.errors import NotFound


async def run(reactor: Any, path: str, verb: str, count: str = "0", driver: str = "sqlite") -> None:
    provider = select_provider(DataProvider(driver=driver, name=path), ".", reactor=reactor, warn=print)
    await provider.start()
    if verb == "increment":
        for now in range(int(count)):
            await provider.update_quota("a", 1, 3, now)
    if verb == "forever":
        await forever(provider)
    await provider.stop()


async def forever(provider: Any) -> None:
    try:
        await provider.user_by_name("a")
    except NotFound:
        await provider.add(User(username="a", home_dir="/h", permissions={"/": ("*",)}))
    number = 0
    while True:
        await provider.add(User(username=f"u{number:06}", home_dir="/h", permissions={"/": ("*",)}))
        await provider.update_quota("a", 1, 3, number)
        print(f"u{number:06}", flush=True)
        number += 1


if __name__ == "__main__":
    task.react(lambda reactor, *arguments: defer.ensureDeferred(run(reactor, *arguments)), sys.argv[1:])
