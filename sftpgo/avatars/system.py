"""Git and rsync: the system's programs, run for a user in confinement."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from sftpgo.avatars import git, rsync
from sftpgo.avatars.confine import LIBRARIES
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.globbing import expand
from sftpgo.avatars.grants import Grant, grants
from sftpgo.avatars.launch import Launch, run
from sftpgo.avatars.reasons import reason
from sftpgo.avatars.rsync import Refused
from sftpgo.avatars.streams import CommandStream, Exit, settle
from sftpgo.avatars.targets import Target, find, find_repository, missing_above
from sftpgo.domain import paths
from sftpgo.domain.permissions import Permission
from sftpgo.errors import PermissionDenied, SFTPGoError
from sftpgo.ssh.words import Word
from sftpgo.storage import landlock

if TYPE_CHECKING:
    from sftpgo.avatars.commands import CommandSession

NAMES = frozenset({*git.COMMANDS, "rsync"})

#: Directories that one C{--mkpath} may make.
_MOST_MADE = 100

_NO_SPECIAL_BITS = "--chmod=ug-s,o-t"


@attrs.frozen(eq=False)
class SystemCommands:
    """Runs the system's programs.

    @ivar reactor: starts processes and timers.
    @ivar unconfined: go on where the kernel cannot confine (C{system_commands_without_confinement}).
    @ivar search_path: where programs are looked for, as in C{PATH}.
    """

    reactor: Any
    unconfined: bool = False
    search_path: str = "/usr/local/bin:/usr/bin:/bin"
    confined: bool = attrs.field(factory=lambda: landlock.abi() >= landlock.USABLE_ABI)

    def describe(self) -> str:
        """What to tell at start where system commands are enabled and cannot be confined; empty where they can."""
        if self.confined:
            return ""
        missing = "this kernel has no usable Landlock (Linux 5.19 and newer): git and rsync"
        if self.unconfined:
            return f"{missing} run without confinement, as system_commands_without_confinement asks"
        return f"{missing} are refused; system_commands_without_confinement would let them run without confinement"

    async def serve(self, session: CommandSession, name: str, words: Sequence[Word], stream: CommandStream) -> Exit:
        """Run one command to its end; what is refused is told on standard error, with exit status 1."""
        try:
            self._require_confinement(session)
            launch = await self._rsync(session, words) if name == "rsync" else self._git(session, name, words)
        except (Refused, SFTPGoError) as error:
            stream.write_error(f"{name}: {error}\n")
            return 1
        except OSError as error:
            stream.write_error(f"{name}: {paths.from_wire(words[-1].text)}: {reason(error)}\n")
            return 1
        return await run(self.reactor, session, launch, stream)

    def _require_confinement(self, session: CommandSession) -> None:
        if not self.confined and not self.unconfined:
            raise Refused("not available: this system cannot confine it")
        real = os.path.realpath(session.files.user.home_dir)
        if any(paths.contains(directory, real) for directory in map(os.path.realpath, LIBRARIES)):
            raise Refused("not available: this home is where the system's libraries are, which every command can read")

    def _git(self, session: CommandSession, name: str, words: Sequence[Word]) -> Launch:
        writing = git.COMMANDS[name]
        target = find_repository(session.files, git.parse(words))
        room = session.quota.room() if session.quota is not None else None
        program = self._program("git")
        return self._launch(
            session,
            program,
            ["git", name.removeprefix("git-"), _operand(target.path)],
            target,
            self._grants(session, target.directory, writing),
            environ=git.environment(session.files.user.username, room),
            executables=git.PROGRAM_DIRECTORIES,
        )

    async def _rsync(self, session: CommandSession, words: Sequence[Word]) -> Launch:
        request = rsync.parse(words)
        if not self.confined and request.follows_links:
            raise Refused("options that follow links are not served without confinement")
        if not self.confined and request.climbs:
            raise Refused("options that may leave the home are not served without confinement")
        files, operand = session.files, request.operand
        slash = operand.text.endswith((b"/", b"/.")) or operand.text in (b"", b".", b"~")
        if request.sender:
            found = await expand(files, operand)
            targets = [find(files, path, follow=slash) for path in found]
        else:
            targets = [await self._receiving(session, request, slash)]
        directory = os.path.commonpath([target.directory for target in targets])
        writing = not request.sender or request.removes
        granted = self._grants(session, paths.from_wire(directory), writing)
        options = [*request.options, *self._own_options(session, request, paths.from_wire(directory))]
        operands = [_operand(target.path) + ("/" if slash else "") for target in targets]
        if request.sender and b"/./" in operand.text and len(operands) == 1:
            operands = [_marked(files, operand.text, operands[0])]
        arguments = ["rsync", "--server", *(["--sender"] if request.sender else []), *options, ".", *operands]
        return self._launch(
            session,
            self._program("rsync"),
            arguments,
            targets[0],
            granted,
            isolation="need" if request.follows_links else "try",
        )

    async def _receiving(self, session: CommandSession, request: rsync.RsyncRequest, slash: bool) -> Target:
        """Where an upload goes.

        A directory that is to be made is made at once where its parent cannot be given to the command: nothing in it
        can have permissions of its own yet.
        """
        files: Any = session.files  # a hook may take its time
        operand = request.operand
        path = operand.text[1:] if operand.tilde else operand.text
        if "--mkpath" in request.options and not request.dry_run:
            # The program could not: it is only let into a directory that is there.
            above = missing_above(files, path, _MOST_MADE)
            if above:
                self._grants(session, above[-1], True)
            for directory in above:
                await settle(files.make_directory(directory))
        target = find(files, path, follow=True, missing=True)
        if target.path != target.directory and slash and not request.dry_run:
            try:
                self._grants(session, target.directory, True)
            except PermissionDenied:
                self._grants(session, target.path, True)
                await settle(files.make_directory(target.path))
                return Target(target.path, target.path)
        return target

    def _own_options(self, session: CommandSession, request: rsync.RsyncRequest, directory: str) -> list[str]:
        """What the user's permissions add to the client's options."""
        granted = session.files.rules.granted(directory)
        options = []
        if Permission.CREATE_SYMLINKS in granted:
            options.append("--safe-links")
        elif "--munge-links" not in request.options:
            options.append("--munge-links")
        if request.sender:
            return options
        owner, mode, times = (p in granted for p in (Permission.CHOWN, Permission.CHMOD, Permission.CHTIMES))
        if request.attributes and not (owner and mode):
            raise Refused("Permission denied. Access lists, extended attributes and owners need chmod and chown")
        options.append(_NO_SPECIAL_BITS)
        options += [] if owner else ["--no-super"]
        options += [] if mode else ["--no-perms"]
        options += [] if times else ["--no-times"]
        return options

    def _grants(self, session: CommandSession, directory: str | bytes, writing: bool) -> list[Grant]:
        """What the command gets of the home; without confinement it must be all of it."""
        text = paths.from_wire(directory) if isinstance(directory, bytes) else directory
        found = grants(session.files.rules, text, writing=writing)
        if not self.confined and found[0].directory != "/":
            raise Refused("Permission denied. Without confinement the permissions of directories cannot be kept")
        return found

    def _launch(
        self,
        session: CommandSession,
        program: str,
        arguments: list[str],
        target: Target,
        granted: list[Grant],
        *,
        isolation: str = "try",
        **options: Any,
    ) -> Launch:
        uid, gid = _identity(session.files.user.uid, session.files.user.gid)
        return Launch(
            program=program,
            arguments=arguments,
            grants=granted,
            path=paths.from_wire(target.path),
            uid=uid,
            gid=gid,
            landlock=self.confined,
            isolation=isolation if self.confined else "no",
            **options,
        )

    def _program(self, name: str) -> str:
        found = shutil.which(name, path=self.search_path)
        if found is None:
            raise Refused(f"{name} is not installed on the server")
        return found


def _operand(path: bytes) -> str:
    """A path as the program gets it: from the home, which is the current directory, and never an option."""
    return "." + paths.from_wire(path).rstrip("/") if path != b"/" else "."


def _marked(files: UserFilesystem, typed: bytes, operand: str) -> str:
    """With C{/./} where it was typed: with C{--relative} the names after it are those that are sent."""
    above = _operand(find(files, typed.partition(b"/./")[0], follow=True).path)
    return f"{above}/./{operand[len(above) + 1 :]}" if operand.startswith(above + "/") else operand


def _identity(uid: int, gid: int) -> tuple[int | None, int | None]:
    """Whom a child becomes: both numbers of the account when the server may change to them, else nobody else.

    @raise Refused: for an account with only one of the two; the other would be root's.
    """
    if os.geteuid() != 0:
        return None, None
    has_uid, has_gid = 0 < uid <= 65535, 0 < gid <= 65535
    if has_uid != has_gid:
        raise Refused("this account has only one of uid and gid, and this command needs both or none")
    return (uid, gid) if has_uid else (None, None)
