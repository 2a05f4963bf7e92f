"""How big the disk is for one user: a quota of bytes or of files shows as the disk's own size."""

from __future__ import annotations

import os

from sftpgo.avatars.account import Account
from sftpgo.ssh.interfaces import StatVFS


def space_for(account: Account, real: os.statvfs_result) -> StatVFS:
    """The file system as C{df} of this user shows it.

    With a limit of bytes the size is the quota and the free space what is left of it, never more than the disk really
    has; the same with a limit of files for inodes.
    """
    limits, ledger = account.limits, account.ledger
    block = real.f_frsize or real.f_bsize or 4096
    blocks, free, available = real.f_blocks, real.f_bfree, real.f_bavail
    if limits.size > 0:
        left = max(0, limits.size - ledger.size - ledger.held_size) // block
        blocks = limits.size // block
        free, available = min(left, free), min(left, available)
    files, files_free, files_available = real.f_files, real.f_ffree, real.f_favail
    if limits.files > 0:
        left = max(0, limits.files - ledger.files - ledger.held_files)
        # Some file systems count no inodes and say 0 for all three.
        files_free = min(left, files_free) if files else left
        files_available = min(left, files_available) if files else left
        files = limits.files
    return StatVFS(
        real.f_bsize,
        block,
        blocks,
        free,
        available,
        files,
        files_free,
        files_available,
        0,  # the real id of the file system is nobody's business
        real.f_flag,
        real.f_namemax,
    )
