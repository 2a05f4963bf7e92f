"""The attacker, a process of its own: exchanges pairs of names as fast as it can until its input ends.

Run as ``python swapper.py DIRECTORY NAME NAME [NAME NAME ...]``; prints how many exchanges it made.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys

RENAME_EXCHANGE = 2


def main(directory: str, *names: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    exchange = libc.renameat2
    fd = os.open(directory, os.O_RDONLY)
    encoded = [os.fsencode(name) for name in names]
    pairs = list(zip(encoded[::2], encoded[1::2], strict=True))
    swaps = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        for _ in range(100):
            for one, other in pairs:
                # A name may be missing for a moment, when the operations took it away.
                swaps += exchange(fd, one, fd, other, RENAME_EXCHANGE) == 0
    sys.stdout.write(f"{swaps}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
