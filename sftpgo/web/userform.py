"""The form of a user, read: every fault is told at its field, and what the form cannot show stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from sftpgo.domain.filters import parse_network
from sftpgo.domain.paths import canonical
from sftpgo.domain.permissions import Permission
from sftpgo.domain.sizes import parse_size
from sftpgo.domain.user import Filters, User
from sftpgo.web.form import Form
from sftpgo.web.typed import KILOBYTE, Typed, expiration_text, lines, writable

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.0+)?)?", re.ASCII)
_NAMES: Final = frozenset(map(str, Permission))

#: Read without their spaces at both ends.
_NUMBERS: Final = ("quota_files", "max_sessions", "uid", "gid")


@attrs.frozen
class Reading:
    """What became of a form.

    @ivar user: to be stored, when there are no faults.
    @ivar faults: field -> what is wrong with it.
    """

    user: User
    faults: dict[str, str]


def read(form: Form, base: User) -> Reading:
    """Read what was sent over a stored user, or over C{User()}.

    A number that is empty is 0; one that was not sent at all is a fault, for then the form is none of ours.
    """
    typed = Typed.of_form(form)
    reader = _Reader(form)
    changes: dict[str, Any] = {name: reader.number(name) for name in _NUMBERS}
    changes["status"] = reader.status()
    changes["quota_size"] = reader.size("quota_size", 1)
    for name in ("upload_bandwidth", "download_bandwidth"):
        # Never less than was asked for: below 1 KB/s there would be no limit at all.
        changes[name] = -(-reader.size(name, KILOBYTE) // KILOBYTE)
    changes["expiration_date"] = reader.expiration(typed, base)
    changes["permissions"] = reader.permissions(typed, base)
    changes["filters"] = Filters(reader.networks("allowed_ip"), reader.networks("denied_ip"))
    changes["public_keys"] = tuple(line.strip() for line in lines(typed.public_keys) if line.strip())
    changes["password"] = typed.password or ("" if typed.clear_password else base.password)
    changes["home_dir"] = _home(typed.home_dir, base.home_dir) if "home_dir" in form else base.home_dir
    changes["username"] = base.username or typed.username
    return Reading(attrs.evolve(base, **changes), reader.faults)


def _home(text: str, stored: str) -> str:
    """A browser sends one line, whatever the field was filled with."""
    return stored if "".join(lines(text)) == "".join(lines(stored)) else text.strip()


class _Reader:
    """Collects the faults."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self.faults: dict[str, str] = {}

    def number(self, name: str) -> int:
        """A whole number."""
        return self._parsed(name, _integer)

    def status(self) -> int:
        """Whether the user may log in; nothing is no answer to that."""
        if not self._form.text("status").strip():
            self.faults["status"] = "choose a status"
            return 0
        return self.number("status")

    def size(self, name: str, bare: int) -> int:
        """Bytes; without a unit it is so many of them."""
        return self._parsed(name, lambda text: parse_size(text, bare=bare) if text else 0)

    def expiration(self, typed: Typed, base: User) -> int:
        """Unix milliseconds."""
        # The form knows seconds only: what was not changed keeps its milliseconds.
        if "expiration_date" not in self._form or typed.expiration_date == expiration_text(base.expiration_date):
            return base.expiration_date
        return self._parsed("expiration_date", _moment)

    def networks(self, name: str) -> tuple[str, ...]:
        """Networks in CIDR notation, with commas or spaces between them."""
        given = tuple(re.split(r"[\s,]+", self._form.text(name).strip(" \t\r\n,")))
        for network in given if given != ("",) else ():
            try:
                parse_network(network)
            except ValueError:
                self.faults[name] = f'expected networks such as "192.168.1.0/24, 2001:db8::/32", found "{network}"'
        return given if given != ("",) else ()

    def permissions(self, typed: Typed, base: User) -> dict[str, tuple[str, ...]]:
        """By directory; entries that no line can hold stay as they are."""
        kept = {path: names for path, names in base.permissions.items() if path != "/" and not writable(path, names)}
        found: dict[str, tuple[str, ...]] = {"/": typed.permissions}
        if not typed.permissions:
            self.faults["permissions"] = "choose at least one permission"
        elif unknown := [name for name in typed.permissions if name not in _NAMES]:
            self.faults["permissions"] = f'there is no permission "{unknown[0]}"'
        for number, line in enumerate(lines(typed.sub_dirs_permissions), 1):
            if not line.strip():
                continue
            try:
                path, names = _line(line.strip())
            except ValueError as error:
                self.faults.setdefault("sub_dirs_permissions", f"line {number}: {error}")
                continue
            if path in found or path in kept:
                self.faults.setdefault("sub_dirs_permissions", f'line {number}: "{path}" has permissions already')
            found[path] = names
        return {**found, **kept}

    def _parsed(self, name: str, parse: Callable[[str], int]) -> int:
        if name not in self._form:
            self.faults[name] = "the field is missing in what was sent"
            return 0
        try:
            return parse(self._form.text(name).strip())
        except ValueError as error:
            self.faults[name] = str(error)
            return 0


def _integer(text: str) -> int:
    if text and not _INTEGER.fullmatch(text):
        raise ValueError(f'expected a whole number, found "{text}"')
    return int(text or "0")


def _moment(text: str) -> int:
    """Unix milliseconds of a time in UTC; 0 for none."""
    if not text:
        return 0
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f'expected a time such as "2030-12-31 23:59:59", found "{text}"')
    try:
        moment = datetime.strptime(f"{found[1]} {found[2] or '00:00'}{found[3] or ':00'}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        raise ValueError(f'there is no such time: "{text}"') from None
    milliseconds = round(moment.replace(tzinfo=UTC).timestamp()) * 1000
    if milliseconds <= 0:
        # Such an account would never expire; a browser makes the year 26 of what is typed in haste.
        raise ValueError(f'expected a time after 1970, found "{text}"')
    return milliseconds


def _line(line: str) -> tuple[str, tuple[str, ...]]:
    """One directory and its permissions; the last colon divides them, for a directory may have one in its name."""
    path, colon, listed = line.rpartition(":")
    path = path.strip()
    names = tuple(name.strip() for name in listed.split(",") if name.strip())
    if not colon or not path:
        raise ValueError(f'expected directory:permission,permission, found "{line}"')
    if not path.startswith("/"):
        raise ValueError(f'the directory must begin with a slash: "{path}"')
    if not names:
        raise ValueError(f'no permission is granted for "{path}"')
    for name in names:
        if name not in _NAMES:
            raise ValueError(f'there is no permission "{name}"')
    try:
        cleaned = canonical(path)
    except ValueError as error:
        raise ValueError(f'"{path}" is no path') from error
    return cleaned, names
