"""C{scp}: what its arguments ask for, and who does it.

Everything goes through the same verbs on files as SFTP: L{UserFilesystem}.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.globbing import expand
from sftpgo.avatars.reasons import reason
from sftpgo.avatars.scpsink import Sink
from sftpgo.avatars.scpsource import Source
from sftpgo.avatars.streams import CommandStream
from sftpgo.ssh import scp
from sftpgo.ssh.words import Word


async def serve(files: UserFilesystem, words: Sequence[Word], stream: CommandStream) -> int:
    """Serve one C{scp} at the client's side; the exit status is 1 when anything failed."""
    files = attrs.evolve(files, journal=attrs.evolve(files.journal, protocol="SCP"))
    try:
        request = scp.parse_arguments([word.text for word in words])
        operands = words[len(words) - request.operands :]
        if request.upload:
            return await Sink(files, request, stream).run(await _target(files, operands[0]))
        found: list[bytes] = []
        for operand in operands:
            found += await expand(files, operand)
        return await Source(files, request, stream).run(found)
    except (scp.SCPError, OSError) as error:
        stream.write(scp.fatal(str(error) if isinstance(error, scp.SCPError) else reason(error)))
        return 1


async def _target(files: UserFilesystem, operand: Word) -> bytes:
    targets = await expand(files, operand)
    if len(targets) > 1:
        raise scp.SCPError("ambiguous target")
    return targets[0]
