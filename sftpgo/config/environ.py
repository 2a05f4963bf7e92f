"""The environment over the file: C{SFTPGO_SFTPD__BIND_PORT=2222}, in any case, for every known key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sftpgo.config.entries import Entry
from sftpgo.config.keys import KeyTable
from sftpgo.config.problems import Report

PREFIX: Final = "SFTPGO_"
SEPARATOR: Final = "__"


def entries(environ: Mapping[str, str], table: KeyTable, report: Report) -> dict[str, Entry]:
    """The keys given by variables, by dotted name.

    Names without C{__} (as C{SFTPGO_CONFIG_DIR}) belong to the command line and are passed over.
    """
    result: dict[str, Entry] = {}
    for variable in sorted(environ):
        bare = variable[len(PREFIX) :]
        if not variable.upper().startswith(PREFIX) or SEPARATOR not in bare:
            continue
        origin = f"environment variable {variable}"
        name = bare.replace(SEPARATOR, ".").lower()
        if name not in table.keys:
            report.warning(origin, name, table.unknown_key(name))
        elif name in result:
            report.problem(origin, name, f"given twice, also by the {result[name].origin}")
        else:
            result[name] = Entry(environ[variable], origin, text=True)
    return result
