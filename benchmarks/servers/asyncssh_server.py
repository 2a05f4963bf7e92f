"""asyncssh's SFTP server: PORT HOME HOST_KEY AUTHORIZED_KEYS."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import asyncssh


async def _main(port: str, home: str, host_key: str, authorized_keys: str) -> None:
    def files(channel: Any) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=home.encode())

    await asyncssh.listen(
        "127.0.0.1",
        int(port),
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        sftp_factory=files,
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
