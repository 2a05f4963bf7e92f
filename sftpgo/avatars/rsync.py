"""The command line of rsync's server side: what real clients send is taken, everything else is refused.

A client runs C{rsync --server [--sender] -FLAGS[e.CAPABILITIES] [long options] . PATH}.  Which options there are to
send follows from rsync's manual; each is listed here with what its value may be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from sftpgo.avatars.confine import HOME_MARK
from sftpgo.domain import paths
from sftpgo.ssh.words import Word

#: Flags without a value that do nothing beyond the paths of the command.  Missing on purpose: s (arguments by another
#: way), and K, L, k, which follow links and are judged apart.
_FLAGS = "ACDEHIJNORSUWXbcdghlmnopqrtuvxyz"
_FOLLOWING = "KLk"
_BUNDLE = re.compile(rf"-(?P<flags>[{_FLAGS}{_FOLLOWING}]*)(?P<capabilities>e\d*\.\w*)?\Z", re.ASCII)
_NUMBER = re.compile(r"-[@B]\d{1,10}\Z", re.ASCII)
_LONG = re.compile(r"--(?P<name>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>.*))?\Z", re.DOTALL)

_SWITCH_NAMES = """
    append delay-updates delete delete-after delete-before delete-delay delete-during delete-excluded
    delete-missing-args dirs existing fake-super force from0 fsync fuzzy group hard-links ignore-errors ignore-existing
    ignore-missing-args ignore-times inplace links list-only mkpath msgs2stderr munge-links new-compress no-W
    no-implied-dirs no-msgs2stderr no-r no-relative no-specials numeric-ids old-compress one-file-system open-noatime
    owner partial perms preallocate recursive remove-sent-files remove-source-files safe-links size-only specials stats
    times use-qsort"""
_VALUED_NAMES = """
    block-size bwlimit checksum-choice checksum-seed compress-choice compress-level compress-threads debug iconv info
    log-format max-alloc max-delete max-size min-size modify-window skip-compress stderr stop-after suffix
    timeout"""
_SWITCHES = frozenset(_SWITCH_NAMES.split())
_VALUED = frozenset(_VALUED_NAMES.split())
_VALUE = re.compile(r"[\w.,:+%=~*@-]{0,1024}\Z", re.ASCII)
_DIRECTORIES = frozenset({"backup-dir", "partial-dir", "temp-dir", "link-dest", "copy-dest", "compare-dest"})
_OWNERS = frozenset({"usermap", "groupmap", "super"})

_REMOVES = frozenset({"remove-sent-files", "remove-source-files"})


class Refused(Exception):
    """The command line has something that is not served; the text says what."""


@attrs.frozen
class RsyncRequest:
    """What a client asked rsync to do.

    @ivar sender: the server sends (a download).
    @ivar options: as they go to the program, those of directories with L{HOME_MARK} for the home.
    @ivar operand: the path.
    @ivar removes: files are removed once they are sent.
    @ivar follows_links: content is looked for behind links.
    @ivar attributes: sets access lists, extended attributes or owners by name.
    @ivar dry_run: changes nothing.
    @ivar climbs: has an option whose path goes up from where rsync works, out of the home for all one knows.
    """

    sender: bool
    options: tuple[str, ...]
    operand: Word
    removes: bool
    follows_links: bool
    attributes: bool
    dry_run: bool
    climbs: bool


def parse(words: Sequence[Word]) -> RsyncRequest:
    """Understand C{rsync}'s arguments, without its name.

    @raise Refused: for anything that no client of this server has a reason to send.
    """
    rest = list(words)
    if not rest or rest.pop(0).text != b"--server":
        raise Refused("only a client's --server can be served")
    sender = bool(rest) and rest[0].text == b"--sender"
    if sender:
        rest.pop(0)
    reading = _Options()
    while rest:
        text = paths.from_wire(rest.pop(0).text)
        if text == ".":
            break
        reading.take(text, rest)
    else:
        raise Refused("no path is given")
    if len(rest) != 1:
        raise Refused("exactly one path can be served at a time")
    return RsyncRequest(
        sender,
        tuple(reading.options),
        rest[0],
        reading.removes,
        reading.follows_links,
        reading.attributes,
        reading.dry_run,
        reading.climbs,
    )


@attrs.define
class _Options:
    """The options as they are read."""

    options: list[str] = attrs.field(factory=list)
    removes: bool = False
    follows_links: bool = False
    attributes: bool = False
    dry_run: bool = False
    climbs: bool = False

    def take(self, text: str, rest: list[Word]) -> None:
        """Take one option; its value may be the next word."""
        if _NUMBER.match(text):
            self.options.append(text)
        elif bundle := _BUNDLE.match(text):
            self._flags(text, bundle["flags"], bundle["capabilities"])
        elif long := _LONG.match(text):
            self._long(text, long["name"], long["value"], rest)
        elif "s" in text and not text.startswith("--"):
            raise Refused("option -s (--secluded-args) is not served; use --old-args or --no-s")
        else:
            raise _refused(text)

    def _flags(self, text: str, flags: str, capabilities: str | None) -> None:
        if not flags and not capabilities:
            raise _refused(text)
        self.follows_links = self.follows_links or not set(flags).isdisjoint(_FOLLOWING)
        self.attributes = self.attributes or not set(flags).isdisjoint("AX")
        self.dry_run = self.dry_run or "n" in flags
        self.options.append(text)

    def _long(self, text: str, name: str, value: str | None, rest: list[Word]) -> None:
        if name in _SWITCHES and value is None:
            self.removes = self.removes or name in _REMOVES
            self.options.append(text)
            return
        if name == "super" and value is None:
            self.attributes = True
            self.options.append(text)
            return
        if name not in _VALUED | _DIRECTORIES | _OWNERS:
            raise _refused(f"--{name}")
        if value is None:
            if not rest:
                raise Refused(f"option --{name} needs a value")
            value = paths.from_wire(rest.pop(0).text)
        self.options.append(f"--{name}={self._value(name, value)}")

    def _value(self, name: str, value: str) -> str:
        if name in _DIRECTORIES:
            if not value or "\0" in value:
                raise Refused(f"option --{name} needs a path")
            if value.startswith("/"):
                return HOME_MARK + paths.canonical(value)
            self.climbs = self.climbs or ".." in value.split("/")
            return value
        plain = value.replace("/", "") if name == "skip-compress" else value  # its suffixes are set apart by slashes
        if not _VALUE.match(plain) or value.startswith("-"):
            raise Refused(f"the value of option --{name} is not served")
        self.attributes = self.attributes or name in _OWNERS
        return value


def _refused(text: str) -> Refused:
    return Refused(f"option {text[:100]} is not served")
