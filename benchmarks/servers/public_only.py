"""C{sftpgo} without the TCP of its own: every argument is the command line's."""

from __future__ import annotations

from sftpgo.cli import main
from sftpgo.ssh import tcp

if __name__ == "__main__":
    tcp.TESTED = ((0, 0), (0, 0))  # type: ignore[misc]
    main()
