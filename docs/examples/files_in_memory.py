"""A file system of one's own: every user sees files that are nowhere but in memory.

    python files_in_memory.py DIRECTORY

The user ``memo`` with the password ``memo-secret`` may do anything there.  The server still cleans the paths, judges
the permissions and counts the transfers.
"""

import argparse
import stat
import time

from twisted.conch.interfaces import ISFTPFile, ISFTPServer
from twisted.conch.ls import lsLine
from twisted.conch.ssh.filetransfer import FX_FAILURE, FXF_CREAT, FXF_EXCL, FXF_TRUNC, SFTPError
from twisted.internet import reactor
from zope.interface import implementer

from sftpgo.config.load import load
from sftpgo.hooks import Hooks, Method, account
from sftpgo.service import build


class Content:
    """A file's bytes, or a directory (without bytes)."""

    def __init__(self, data=None):
        self.data = data
        self.changed = time.time()

    def attributes(self):
        """As SFTP has them."""
        mode = stat.S_IFDIR | 0o755 if self.data is None else stat.S_IFREG | 0o644
        when = int(self.changed)
        size = 0 if self.data is None else len(self.data)
        return {"size": size, "uid": 0, "gid": 0, "permissions": mode, "atime": when, "mtime": when}


@implementer(ISFTPFile)
class MemoryFile:
    """An open file; a method may return its result, a Deferred, or be a coroutine."""

    def __init__(self, content):
        self._content = content

    def readChunk(self, offset, length):
        """Some bytes; none at the end."""
        return bytes(self._content.data[offset : offset + length])

    async def writeChunk(self, offset, data):
        """Write them, with zeros before them where nothing is."""
        content = self._content.data
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data
        self._content.changed = time.time()

    def getAttrs(self):
        """FSTAT."""
        return self._content.attributes()

    def setAttrs(self, attributes):
        """FSETSTAT: there is nothing to set."""

    def close(self):
        """CLOSE."""


@implementer(ISFTPServer)
class MemoryFiles:
    """What one user sees.  Paths are absolute and canonical; an OSError becomes the status that fits it."""

    def __init__(self):
        self._there = {b"/": Content()}

    def gotVersion(self, version, extensions):
        """No extensions."""
        return {}

    def openFile(self, path, flags, attributes):
        """Open, or make."""
        there = self._there.get(path)
        if there is None:
            if not flags & FXF_CREAT:
                raise FileNotFoundError(2, "missing")
            self._parent(path)
            there = self._there[path] = Content(bytearray())
        elif there.data is None or flags & FXF_EXCL:
            raise SFTPError(FX_FAILURE, "it is there already")
        elif flags & FXF_TRUNC:
            del there.data[:]
        return MemoryFile(there)

    def openDirectory(self, path):
        """Name, line for people, and attributes of each entry."""
        self.getAttrs(path, True)
        start = path.rstrip(b"/") + b"/"
        for name, content in sorted(self._there.items()):
            rest = name[len(start) :]
            if name.startswith(start) and rest and b"/" not in rest:
                status = content.attributes()
                line = lsLine(rest.decode("utf-8", "replace"), _Stat(status)).encode()
                yield rest, line, status

    def getAttrs(self, path, follow):
        """STAT and LSTAT."""
        if path not in self._there:
            raise FileNotFoundError(2, "missing")
        return self._there[path].attributes()

    def setAttrs(self, path, attributes):
        """SETSTAT: there is nothing to set."""
        self.getAttrs(path, True)

    def removeFile(self, path):
        """REMOVE."""
        if self.getAttrs(path, False)["permissions"] & stat.S_IFDIR:
            raise IsADirectoryError(21, "a directory")
        del self._there[path]

    def makeDirectory(self, path, attributes):
        """MKDIR."""
        if path in self._there:
            raise FileExistsError(17, "there")
        self._parent(path)
        self._there[path] = Content()

    def removeDirectory(self, path):
        """RMDIR."""
        if not self.getAttrs(path, False)["permissions"] & stat.S_IFDIR:
            raise NotADirectoryError(20, "a file")
        if any(name.startswith(path + b"/") for name in self._there):
            raise OSError(39, "not empty")
        del self._there[path]

    def renameFile(self, old, new):
        """RENAME, of a tree too."""
        self.getAttrs(old, False)
        self._parent(new)
        if new in self._there or new.startswith(old + b"/"):
            raise FileExistsError(17, "there")
        moved = [name for name in self._there if name == old or name.startswith(old + b"/")]
        for name in moved:
            self._there[new + name[len(old) :]] = self._there.pop(name)

    def readLink(self, path):
        """There are no links."""
        raise OSError(22, "no link")

    def makeLink(self, link, target):
        """There are no links."""
        raise SFTPError(FX_FAILURE, "no links here")

    def realPath(self, path):
        """The server's own is used."""
        return path

    def extendedRequest(self, name, data):
        """No extensions."""
        raise NotImplementedError

    def _parent(self, path):
        parent = self._there.get(path.rpartition(b"/")[0] or b"/")
        if parent is None or parent.data is not None:
            raise FileNotFoundError(2, "no such directory")


class _Stat:
    """What C{lsLine} asks for."""

    st_nlink = 1

    def __init__(self, attributes):
        self.st_mode, self.st_size = attributes["permissions"], attributes["size"]
        self.st_uid, self.st_gid, self.st_mtime = attributes["uid"], attributes["gid"], attributes["mtime"]


_files = {}


def filesystem(user):
    """The files of a user, the same ones for each of their connections."""
    return _files.setdefault(user.username, MemoryFiles())


def check_login(attempt):
    """One user is enough to show it."""
    if (attempt.username, attempt.method, attempt.password) == ("memo", Method.PASSWORD, "memo-secret"):
        return account("memo", "/", {"/": ("*",), "/read-only": ("list", "download")})
    return False


arguments = argparse.ArgumentParser()
arguments.add_argument("directory", metavar="DIRECTORY")
directory = arguments.parse_args().directory
server = build(load(directory, environ={}), reactor, hooks=Hooks(check_login=check_login), filesystem=filesystem)
server.started.addCallback(lambda addresses: print(f"SFTP on {addresses.sftp[1]}", flush=True))
reactor.callWhenRunning(server.startService)
reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
reactor.run()
