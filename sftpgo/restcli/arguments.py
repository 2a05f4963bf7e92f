"""What can be said on the command line; the names and letters are those of the original's script."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime

from sftpgo.domain.explain import OPERATIONS
from sftpgo.domain.permissions import Permission

_LONGEST_WAIT = 1_000_000_000.0

SHELLS = ("bash", "zsh", "fish")


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """The whole of it."""
    top = argparse.ArgumentParser(
        prog="sftpgo rest",
        description="Manages a running server over its REST API.",
        epilog="Exit status: 0 done, 1 refused by the server, 2 wrong usage, 3 the server cannot be reached.",
        allow_abbrev=False,
    )
    _general(top, environ)
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, allow_abbrev=False)

    one = add("add-user", "Add a user.")
    one.add_argument("username")
    _fields(one, status=1)
    one = add("update-user", "Change what is given of a user.")
    one.add_argument("id", type=int)
    one.add_argument("username", nargs="?", help="of no effect: a user is never renamed")
    _fields(one, status=None)
    add("delete-user", "Remove a user; the files stay.").add_argument("id", type=int)
    one = add("get-users", "List users.")
    one.add_argument("-L", "--limit", type=int, default=100, help="at most this many, up to 500 (default: 100)")
    one.add_argument("-O", "--offset", type=int, default=0, help="leave out so many (default: 0)")
    one.add_argument("-U", "--username", default="", help="only the user of exactly this name")
    one.add_argument("-S", "--order", choices=("ASC", "DESC"), default="ASC", help="by name (default: ASC)")
    add("get-user-by-id", "Show one user.").add_argument("id", type=int)
    add("get-quota-scans", "List the quota scans under way.")
    add("start-quota-scan", "Count what a user's home holds.").add_argument("username")
    add("cancel-quota-scan", "End a quota scan.").add_argument("username")
    add("get-connections", "List the connections.")
    add("close-connection", "End a connection.").add_argument("connection_id", metavar="connectionID")
    add("get-version", "Show the version of the server.")
    add("get-provider-status", "Ask whether the data provider answers.")
    one = add("dumpdata", "Write all users to a file below the server's backups_path.")
    one.add_argument("output_file")
    one = add("loaddata", "Add or replace the users of a dump, a file of the server.")
    one.add_argument("input_file", help="absolute path on the server")
    one.add_argument("-Q", "--scan-quota", type=int, choices=(0, 1, 2), default=0, help="1: scan all, 2: with quota")
    one.add_argument("--partial", action="store_true", help="load those in order although others are not")
    one = add("explain", "Tell which rule decides on a request of a user.")
    one.add_argument("username")
    one.add_argument("operation", choices=tuple(OPERATIONS))
    one.add_argument("path")
    one.add_argument("--ip", default="", help="the address it comes from")
    add("events", "Follow connections and transfers until interrupted, a JSON object a line.")
    add("completion", "Print a completion script.").add_argument("shell", choices=SHELLS)
    return top


def _general(top: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    url = environ.get("SFTPGO_REST_URL", "http://127.0.0.1:8080")
    top.add_argument(
        "-b", "--base-url", default=url, help="where the server is [SFTPGO_REST_URL] (default: %(default)s)"
    )
    top.add_argument("-a", "--auth-type", choices=("basic",), help="the only one there is; not needed")
    top.add_argument("-u", "--auth-user", default=environ.get("SFTPGO_REST_USER", ""), help="[SFTPGO_REST_USER]")
    top.add_argument(
        "-p", "--auth-password", default=environ.get("SFTPGO_REST_PASSWORD", ""), help="better: [SFTPGO_REST_PASSWORD]"
    )
    top.add_argument("-d", "--debug", action="store_true", help="show requests on standard error")
    top.add_argument("-i", "--insecure", action="store_true", help="do not check the server's certificate")
    top.add_argument("--ca-file", help="certificates to trust, PEM")
    top.add_argument("--timeout", type=_seconds, default=60.0, help="seconds to wait (default: 60)")
    top.add_argument("-o", "--output", choices=("json", "table"), default="json", help="(default: json)")
    top.add_argument("-t", "--no-color", action="store_true", help="no colours on a terminal [NO_COLOR]")


def _fields(one: argparse.ArgumentParser, status: int | None) -> None:
    one.add_argument("-P", "--password", help="plain text or a hash; - reads a line from standard input")
    one.add_argument("-K", "--public-keys", nargs="*", metavar="KEY", help="lines as in authorized_keys")
    one.add_argument("-H", "--home-dir")
    one.add_argument("--uid", type=int)
    one.add_argument("--gid", type=int)
    one.add_argument("-C", "--max-sessions", type=int, help="0: no limit")
    one.add_argument("-S", "--quota-size", type=int, help="bytes; 0: no limit")
    one.add_argument("-F", "--quota-files", type=int, help="0: no limit")
    permissions = tuple(map(str, Permission))
    one.add_argument("-G", "--permissions", nargs="+", choices=permissions, metavar="NAME", help=", ".join(permissions))
    one.add_argument(
        "--subdirs-permissions", nargs="+", type=_subdirectory, metavar="DIR:NAME,NAME", help="as /sub:list,download"
    )
    one.add_argument("-U", "--upload-bandwidth", type=int, help="KB/s; 0: no limit")
    one.add_argument("-D", "--download-bandwidth", type=int, help="KB/s; 0: no limit")
    one.add_argument("--status", type=int, choices=(0, 1), default=status, help="1: may log in")
    one.add_argument("-E", "--expiration-date", type=_date, metavar="YYYY-MM-DD", help="UTC; empty: never")
    one.add_argument("-Y", "--allowed-ip", nargs="*", metavar="NETWORK", help="networks to log in from")
    one.add_argument("-N", "--denied-ip", nargs="*", metavar="NETWORK", help="networks not to log in from")


def _seconds(text: str) -> float:
    """A time that a socket can wait."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to {_LONGEST_WAIT:g}")
    return seconds


def _date(text: str) -> int:
    """Unix milliseconds."""
    if text in ("", "0"):
        return 0
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date as 2030-12-31") from error


def _subdirectory(text: str) -> tuple[str, list[str]]:
    directory, colon, names = text.rpartition(":")
    found = [name.strip() for name in names.split(",") if name.strip()]
    if not colon or not directory.startswith("/") or not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not as /sub:list,download")
    return directory, found
