"""What each subcommand asks the server."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from sftpgo.restcli.client import Client

_USER = "/api/v1/user"
_SCAN = "/api/v1/quota_scan"

#: Options that are fields of the record under the same name.
_PLAIN = (
    "password", "public_keys", "home_dir", "uid", "gid", "max_sessions", "quota_size", "quota_files",
    "upload_bandwidth", "download_bandwidth", "status", "expiration_date",
)  # fmt: skip


def fields(arguments: Namespace) -> dict[str, Any]:
    """The record that the options of add-user and update-user speak of; what was not given is not in it."""
    record: dict[str, Any] = {}
    if arguments.username is not None:
        record["username"] = arguments.username
    for name in _PLAIN:
        if getattr(arguments, name) is not None:
            record[name] = getattr(arguments, name)
    permissions: dict[str, list[str]] = {}
    if arguments.permissions:
        permissions["/"] = arguments.permissions
    permissions.update(dict(arguments.subdirs_permissions or ()))
    if permissions:
        record["permissions"] = permissions
    filters = {name: getattr(arguments, name) for name in ("allowed_ip", "denied_ip")}
    filters = {name: [network for network in given if network] for name, given in filters.items() if given is not None}
    if filters:
        record["filters"] = filters
    return record


def _update(client: Client, arguments: Namespace) -> Any:
    record = fields(arguments)
    if "permissions" in record and "/" not in record["permissions"]:
        # The map is replaced as a whole: what it says of the home has to be said again.
        stored = client.call("GET", f"{_USER}/{arguments.id}")
        record["permissions"] = {**stored["permissions"], **record["permissions"]}
    return client.call("PUT", f"{_USER}/{arguments.id}", body=record)


def _users(client: Client, arguments: Namespace) -> Any:
    names = ("limit", "offset", "order", "username")
    return client.call("GET", _USER, query={name: getattr(arguments, name) for name in names})


def _load(client: Client, arguments: Namespace) -> Any:
    names = ("input_file", "scan_quota", "partial")
    return client.call("POST", "/api/v1/loaddata", body={name: getattr(arguments, name) for name in names})


def _explain(client: Client, arguments: Namespace) -> Any:
    names = ("username", "operation", "path", "ip")
    return client.call("GET", "/api/v1/explain", query={name: getattr(arguments, name) for name in names})


#: Name -> what it does; C{events} and C{completion} are no calls and stand in L{sftpgo.restcli.main}.
COMMANDS: dict[str, Callable[[Client, Namespace], Any]] = {
    "add-user": lambda client, given: client.call("POST", _USER, body=fields(given)),
    "update-user": _update,
    "delete-user": lambda client, given: client.call("DELETE", f"{_USER}/{given.id}"),
    "get-users": _users,
    "get-user-by-id": lambda client, given: client.call("GET", f"{_USER}/{given.id}"),
    "get-quota-scans": lambda client, _: client.call("GET", _SCAN),
    "start-quota-scan": lambda client, given: client.call("POST", _SCAN, body={"username": given.username}),
    "cancel-quota-scan": lambda client, given: client.call("DELETE", _SCAN, query={"username": given.username}),
    "get-connections": lambda client, _: client.call("GET", "/api/v1/connection"),
    "close-connection": lambda client, given: client.call(
        "DELETE", f"/api/v1/connection/{quote(given.connection_id, safe='')}"
    ),
    "get-version": lambda client, _: client.call("GET", "/api/v1/version"),
    "get-provider-status": lambda client, _: client.call("GET", "/api/v1/providerstatus"),
    "dumpdata": lambda client, given: client.call("POST", "/api/v1/dumpdata", body={"output_file": given.output_file}),
    "loaddata": _load,
    "explain": _explain,
}
