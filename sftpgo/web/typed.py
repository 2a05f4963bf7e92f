"""What stands in the fields of the form of a user: as it was typed, or as a stored user is shown."""

from __future__ import annotations

import hashlib
import json
import re

import attrs

from sftpgo.domain.sizes import size_text
from sftpgo.domain.user import STATUS_ENABLED, User
from sftpgo.jsons import user_to_json
from sftpgo.web.form import Form
from sftpgo.web.shown import moment_of

#: Bytes that a bandwidth without a unit counts for.
KILOBYTE = 1000

#: A time as C{<input type="datetime-local">} sends it, which leaves out seconds that are 0.
_LOCAL = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?", re.ASCII)


@attrs.frozen
class Typed:
    """The text of every field; the names are those the fields always had.

    @ivar expiration_date: C{YYYY-MM-DD HH:MM:SS} in UTC, or empty.
    @ivar permissions: those of C{/}.
    @ivar sub_dirs_permissions: C{directory:permission,permission} a line.
    @ivar clear_password: not empty to take the password away.
    @ivar version: the fingerprint of the record that the form was filled from.
    """

    username: str = ""
    status: str = str(STATUS_ENABLED)
    expiration_date: str = ""
    password: str = attrs.field(default="", repr=False)
    clear_password: str = ""
    public_keys: str = ""
    permissions: tuple[str, ...] = ("*",)
    sub_dirs_permissions: str = ""
    home_dir: str = ""
    quota_files: str = "0"
    quota_size: str = "0"
    upload_bandwidth: str = "0"
    download_bandwidth: str = "0"
    max_sessions: str = "0"
    uid: str = "0"
    gid: str = "0"
    denied_ip: str = ""
    allowed_ip: str = ""
    version: str = ""

    @classmethod
    def of_form(cls, form: Form) -> Typed:
        """What was sent."""
        texts = {field.name: form.text(field.name) for field in attrs.fields(cls) if field.name != "permissions"}
        if found := _LOCAL.fullmatch(texts["expiration_date"]):
            texts["expiration_date"] = f"{found[1]} {found[2]}{found[3] or ':00'}"
        return cls(permissions=form.all("permissions"), **texts)

    @classmethod
    def of_user(cls, user: User) -> Typed:
        """A stored user; of the password nothing is shown."""
        return cls(
            username=user.username,
            status=str(user.status),
            expiration_date=expiration_text(user.expiration_date),
            public_keys="\n".join(user.public_keys),
            permissions=tuple(user.permissions.get("/", ())),
            sub_dirs_permissions="\n".join(
                f"{directory}:{','.join(user.permissions[directory])}"
                for directory in sorted(user.permissions)
                if directory != "/" and writable(directory, user.permissions[directory])
            ),
            home_dir=user.home_dir,
            quota_files=str(user.quota_files),
            quota_size=_size(user.quota_size, 1),
            upload_bandwidth=_size(user.upload_bandwidth, KILOBYTE),
            download_bandwidth=_size(user.download_bandwidth, KILOBYTE),
            max_sessions=str(user.max_sessions),
            uid=str(user.uid),
            gid=str(user.gid),
            denied_ip=", ".join(user.filters.denied_ip),
            allowed_ip=", ".join(user.filters.allowed_ip),
            version=version_of(user),
        )


def writable(directory: str, names: tuple[str, ...]) -> bool:
    """Whether an entry of the permissions can be written as a line, and read again from it."""
    if not names or directory != directory.strip() or len(lines(directory)) > 1:
        return False
    try:
        directory.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def lines(text: str) -> list[str]:
    """What a text field holds, line by line, however the browser ends them; no other character ends one."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def version_of(user: User) -> str:
    """Tells one version of a record from another, by what a form can change."""
    record = user_to_json(user, with_password=True)
    for name in ("used_quota_size", "used_quota_files", "last_quota_update", "last_login"):
        del record[name]
    return hashlib.sha256(json.dumps(record).encode("ascii")).hexdigest()[:32]


def expiration_text(milliseconds: int) -> str:
    """The time as the form has it; the bare number for what no calendar has."""
    if not milliseconds:
        return ""
    moment = moment_of(milliseconds)
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else str(milliseconds)


def _size(number: int, unit: int) -> str:
    return size_text(number * unit) if number > 0 else str(number)
