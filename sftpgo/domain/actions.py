"""What is told to the hooks of an installation when a user did something."""

from __future__ import annotations

import attrs


@attrs.frozen
class TransferEvent:
    """A transfer, file command or SSH command that succeeded.

    Paths are text as C{os.fsdecode} gives it, so that names that are no UTF-8 keep their bytes.

    @ivar action: C{download}, C{upload}, C{delete}, C{rename} or C{ssh_cmd}.
    @ivar path: the real path; for C{ssh_cmd} the last argument as the client gave it, or empty.
    @ivar target_path: the new real path, for C{rename} only.
    @ivar ssh_cmd: the command's name alone, for C{ssh_cmd} only.
    """

    action: str
    username: str
    path: str
    target_path: str = ""
    ssh_cmd: str = ""
