"""Holds answers against the description of the API."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import yaml

from sftpgo.web.apidocs import DESCRIPTION

METHODS = ("get", "post", "put", "delete", "patch")


@cache
def document() -> dict[str, Any]:
    """The description."""
    loaded: dict[str, Any] = yaml.safe_load(DESCRIPTION.read_text())
    return loaded


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """(method, path as it stands there) -> operation."""
    return {
        (method.upper(), path): item[method]
        for path, item in document()["paths"].items()
        for method in METHODS
        if method in item
    }


def resolved(value: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to."""
    while "$ref" in value:
        target: Any = document()
        for part in value["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        value = target
    return value


def violation(method: str, target: str, status: int, content_type: str, body: bytes) -> str:
    """What is wrong with an answer, or nothing.  What is described nowhere must be refused."""
    path = target.partition("?")[0]
    # An escaped slash is none between parts of a path.
    path = path if "%2f" in path.lower() else unquote(path)
    pages = path in ("/", "/web", "/static") or path.startswith(("/web/", "/static/"))
    if pages or (method, target) == ("OPTIONS", "*"):
        return ""  # for people; of the server as a whole (RFC 9110, section 9.3.7)
    operation = _operation("GET" if method == "HEAD" else method, path)
    if operation is None or (method, status) == ("HEAD", 405):
        return "" if status in (204, 400, 401, 403, 404, 405, 413, 429) else f"an undescribed request gave {status}"
    if str(status) not in operation["responses"]:
        return f"status {status} is not described"
    content = resolved(operation["responses"][str(status)])["content"]
    essence = content_type.partition(";")[0]
    if essence not in content:
        return f"content type {essence} is not described for status {status}"
    if essence != "application/json" or method == "HEAD":
        return ""
    return _fault(json.dumps(content[essence]["schema"]), json.loads(body))


def _operation(method: str, path: str) -> dict[str, Any] | None:
    # A path without variable parts goes before one that has some.
    for (described, template), operation in sorted(operations().items(), key=lambda item: item[0][1].count("{")):
        if described == method and re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path):
            return operation
    return None


@cache
def _validator(schema: str) -> Any:
    return jsonschema_rs.validator_for({**json.loads(schema), "components": document()["components"]})


def _fault(schema: str, value: object) -> str:
    return "; ".join(error.message for error in _validator(schema).iter_errors(value))
