"""Whether the server can listen where it is to listen, or who does."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from sftpgo import sockets
from sftpgo.config.model import Config
from sftpgo.doctor.finding import Finding, fail, ok
from sftpgo.listening import Binding, http_bindings, sftp_bindings, written

_LISTENING: Final = "0A"
_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")
_PRIVILEGED: Final = 1024


def look(config: Config) -> Iterator[Finding]:
    """Each port that is not left to the kernel."""
    for check, binding in (
        *(("SFTP port", each) for each in sftp_bindings(config.sftpd)),
        *(("HTTP port", each) for each in http_bindings(config.httpd)),
    ):
        if binding.port:
            yield _port(check, binding)


def _port(check: str, binding: Binding) -> Finding:
    port = binding.port
    where = " and ".join(written((address, port)) for address in binding.addresses)
    try:
        for opened in sockets.open_listening(binding.addresses, port):
            opened.close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _taken(check, where, binding)
        if error.errno == errno.EACCES and port < _PRIVILEGED:
            do = "AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or a port from 1024 on"
            return fail(check, f"{where} may be listened on by root alone", do)
        return fail(check, f"{where} cannot be listened on: {error.strerror or error}", f"mend {binding.keys}")
    return ok(check, f"{where} is free")


def _taken(check: str, where: str, binding: Binding) -> Finding:
    holders = dict(_holders(binding.port))
    ours = [pid for pid, words in holders.items() if "sftpgo" in map(os.path.basename, words)]
    if ours:
        return ok(check, f"the server listens on {where} (process {ours[0]})")
    who = ", ".join(f"{' '.join(words[:4]) or 'a program'} (process {pid})" for pid, words in holders.items())
    do = f"stop that program, or mend {binding.keys}"
    return fail(check, f"{where} is taken by {who or 'a process that only root can see'}", do)


def _holders(port: int) -> Iterator[tuple[int, list[str]]]:
    """The processes that listen on a port, with the words of their command lines, as far as may be seen."""
    inodes = set(_inodes(port))
    for name in os.listdir("/proc") if inodes else ():
        if name.isdecimal() and inodes & set(_sockets(name)):
            yield int(name), _command(name)


def _inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError), open(table, encoding="ascii") as file:
            for line in file.readlines()[1:]:
                words = line.split()
                if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                    yield words[9]


def _sockets(pid: str) -> Iterator[str]:
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if found := _SOCKET.fullmatch(os.readlink(f"/proc/{pid}/fd/{name}")):
                    yield found[1]


def _command(pid: str) -> list[str]:
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read(4096).rstrip(b"\0").decode("utf-8", "replace").split("\0")
    return []
