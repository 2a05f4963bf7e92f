"""The exec helper: gives up what a command must not have, then becomes the command.

It is started as a program of its own with one argument, a JSON object (see L{Spec}), and the descriptors that object
names.  It imports the standard library and L{sftpgo.storage} alone, because it starts with every command.

A helper and not a function between fork and exec: the server has threads, and after a fork without an exec only
async-signal-safe calls are allowed.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from typing import TYPE_CHECKING, TypedDict

from sftpgo.storage import isolation, landlock

if TYPE_CHECKING:
    from typing import NoReturn

#: Stands in an argument for the real path of the home, which only the helper knows.
HOME_MARK = "\0home"

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
#: What root keeps: to own, read and change any file: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID.
_KEPT_CAPABILITIES = frozenset(range(5))

LIBRARIES = (
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/local/lib",
)
_LOADER_FILES = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
_MAX_OPEN_FILES = 1024
_PT_INTERP = 3


class Spec(TypedDict):
    """What to become, and under which limits.

    C{program}: absolute path; C{arguments} start with its name.  C{parent}: the server's process.  C{uid}, C{gid}: whom
    to become, or None.  C{home}: a descriptor of the home, which becomes the current directory, and its real path.
    C{grants}: descriptors of directories, each with whether it may be written.  C{executables}: further files and
    directories that may be executed.  C{landlock}: whether to use it.  C{isolation}: C{try}, C{need} or C{no}.
    C{file_size}: the largest file that may be written, or None.
    """

    program: str
    arguments: list[str]
    parent: int
    uid: int | None
    gid: int | None
    home: tuple[int, str]
    grants: list[tuple[int, bool]]
    executables: list[str]
    landlock: bool
    isolation: str
    file_size: int | None


def main() -> NoReturn:
    """Become the command of C{sys.argv[1]}, or say why not and exit with status 1."""
    spec: Spec = json.loads(sys.argv[1])
    try:
        arguments = prepare(spec)
        os.execv(spec["program"], arguments)  # noqa: S606
    except Exception as error:
        # No path and no traceback in here: this goes to the client.
        code = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(code) if code else type(error).__name__
        os.write(2, f"{spec['arguments'][0]}: cannot be run in confinement: {reason}\n".encode())
    os._exit(1)


def prepare(spec: Spec) -> list[str]:
    """Give up all that the command must not have; returns its arguments."""
    os.setsid()
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _limit(spec["file_size"])
    home, real_home = spec["home"]
    os.fchdir(home)
    rules = _rules(spec) if spec["landlock"] else None
    isolated = _isolated(spec)
    for descriptor in {home, *(grant for grant, _writable in spec["grants"])}:
        os.close(descriptor)
    _become(spec["uid"], spec["gid"])
    if rules is not None:
        rules.enforce()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != spec["parent"]:
        os._exit(1)  # the server was gone before it could be told to take this one with it
    prefix = isolation.HOME if isolated else real_home.rstrip("/")
    return [argument.replace(HOME_MARK, prefix) for argument in spec["arguments"]]


def _limit(file_size: int | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))


def _rules(spec: Spec) -> landlock.Ruleset:
    rules = landlock.Ruleset()
    for descriptor, writable in spec["grants"]:
        rules.allow(descriptor, landlock.WRITE if writable else landlock.READ)
    for path in LIBRARIES + _LOADER_FILES:
        rules.allow_path(path, landlock.READ)
    rules.allow_path("/dev/null", landlock.READ_FILE | landlock.WRITE_FILE)
    rules.allow_path("/dev/urandom", landlock.READ_FILE)  # Git names its temporary files by it
    program = spec["program"]
    for path in [program, *spec["executables"], *filter(None, [interpreter(program)])]:
        rules.allow_path(path, landlock.READ | landlock.EXECUTE)
    return rules


def _isolated(spec: Spec) -> bool:
    wanted = spec["isolation"]
    if wanted == "no" or os.getcwd() == "/":
        return False  # a home of "/" is all there is: nothing is left to be hidden
    if wanted == "try" and not isolation.covers(os.path.realpath(spec["program"])):
        return False
    try:
        isolation.isolate()
    except OSError:
        if wanted == "need":
            raise
        return False
    return True


def _become(uid: int | None, gid: int | None) -> None:
    """Be this user and group and no other; or stay, without root's power over the machine."""
    if uid is not None and gid is not None:
        os.setgroups([gid])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    elif os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in range(64):
            if capability not in _KEPT_CAPABILITIES:
                libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails beyond the last one, and does no harm


def interpreter(program: str) -> str | None:
    """The dynamic loader that an ELF program names (its PT_INTERP segment); None for a static one."""
    with open(program, "rb") as file:
        header = file.read(64)
        if header[:4] != b"\x7fELF":
            return None
        wide, order = header[4] == 2, "<" if header[5] == 1 else ">"
        table = struct.unpack_from(order + ("Q" if wide else "I"), header, 32 if wide else 28)[0]
        size, count = struct.unpack_from(order + "HH", header, 54 if wide else 42)
        for index in range(count):
            file.seek(table + index * size)
            entry = file.read(size)
            if struct.unpack_from(order + "I", entry)[0] == _PT_INTERP:
                offset, length = struct.unpack_from(order + ("Q16xQ" if wide else "I8xI"), entry, 8 if wide else 4)
                file.seek(offset)
                return os.fsdecode(file.read(length).rstrip(b"\0"))
    return None


if __name__ == "__main__":
    main()
