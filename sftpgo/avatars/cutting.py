"""Cutting a large file by its path: in a thread, since the kernel frees what is cut off while the caller waits.

The file counts as open for writing meanwhile, so that whatever else happens to it is counted exactly: a second cut, a
write through a handle, a removal, a rename, a scan.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from sftpgo.avatars.account import Account, inode
from sftpgo.domain.quota import Stake
from sftpgo.storage.freeing import LetGo, takes_long
from sftpgo.storage.location import Location

RunInThread = Callable[..., "Deferred[Any]"]


def cut(
    place: Location,
    size: int,
    account: Account,
    *,
    run_in_thread: RunInThread,
    let_go: LetGo,
    rest: Callable[[int], None],
) -> Deferred[None]:
    """Cut the file at C{place} to C{size} bytes, and count what it then has.

    @param let_go: closes a descriptor of what may take long to free, in a thread.
    @param rest: called with its descriptor once it is cut, for what else is to be set.
    @return: fires when all is done, with an C{OSError} when it could not be.
    @raise OSError: it cannot be opened to be written; nothing was done.
    """
    descriptor, status = place.open_file(os.O_WRONLY)
    stake = account.ledger.opened(inode(status), status.st_size)
    account.began()

    async def work() -> None:
        try:
            try:
                await run_in_thread(os.ftruncate, descriptor, size)
            finally:
                _count(account, stake, os.fstat(descriptor))
            rest(descriptor)
        finally:
            _close(descriptor, let_go)
            account.ledger.closed(stake)
            account.ended()

    return Deferred.fromCoroutine(work())


def _count(account: Account, stake: Stake, status: os.stat_result) -> None:
    account.ledger.settle(stake, status.st_size)
    if not status.st_nlink and stake.linked:
        # Somebody removed it whom nobody here counts, such as rsync.
        account.ledger.unlinked(stake.key, status.st_size)


def _close(descriptor: int, let_go: LetGo) -> None:
    status = os.fstat(descriptor)
    (let_go if not status.st_nlink and takes_long(status) else os.close)(descriptor)
