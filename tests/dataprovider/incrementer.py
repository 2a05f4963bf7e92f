"""A process of its own that adds to the quota of C{a}: C{python incrementer.py SETTINGS COUNT}, settings as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.internet import defer, task

from sftpgo.config.model import DataProvider
from sftpgo.dataprovider.select import select_provider


async def run(reactor: Any, settings: str, count: str) -> None:
    provider = select_provider(DataProvider(**json.loads(settings)), ".", reactor=reactor, warn=print)
    await provider.start()
    # Some at a time, as transfers that end together.
    left = int(count)
    while left:
        step = min(10, left)
        updates = [provider.update_quota("a", 1, 3, left) for _ in range(step)]
        await defer.gatherResults([defer.Deferred.fromCoroutine(update) for update in updates])
        left -= step
    await provider.stop()


if __name__ == "__main__":
    task.react(lambda reactor, *arguments: defer.ensureDeferred(run(reactor, *arguments)), sys.argv[1:])
