"""Cutting a large file by its path: in a thread, since the kernel frees what is cut off while the caller waits.

The file counts as open for writing meanwhile, so that whatever else happens to it is counted exactly: a second cut, a
write through a handle, a removal, a rename, a scan.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.defer import Deferred

from sftpgo.avatars.account import Account, inode
from sftpgo.avatars.handle import RunInThread
from sftpgo.storage.freeing import LetGo, close
from sftpgo.storage.location import Location


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
                account.settle_at_last(stake, os.fstat(descriptor))
            rest(descriptor)
        finally:
            close(descriptor, os.fstat(descriptor), let_go)
            account.ledger.closed(stake)
            account.ended()

    return Deferred.fromCoroutine(work())
