"""Results as tables of text: simple tables of reStructuredText, which a terminal can show as well."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.cases import CASES
from benchmarks.cases.base import Metric
from benchmarks.results import BASE, Ratio, Results

NOTHING = "–"


def render(rows: Sequence[Sequence[str]]) -> str:
    """A simple table; the first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def servers(results: Results) -> list[str]:
    """Those that were measured, in the order they were."""
    return list(results.about["servers"])


def main_table(results: Results) -> str:
    """This server and OpenSSH: the figures, and the ratios with their spread."""
    rows = [["Case", "Figure", "sftpgo", "OpenSSH", "ratio", "min–max"]]
    for title, case, metric in _figures(results):
        ratio = results.ratio(case, "sftpgo", metric.name)
        figures = [_number(results.median(case, server, metric.name), metric.digits) for server in ("sftpgo", BASE)]
        rows.append([title, metric.title, *figures, *_ratio(ratio)])
    return render(rows)


def rivals_table(results: Results) -> str:
    """The ratios of all servers to OpenSSH; nothing when there are no more than the two."""
    names = [name for name in servers(results) if name != BASE]
    if not [name for name in names if name != "sftpgo"]:
        return ""
    rows = [["Case", "Figure, OpenSSH = 1.00", *names]]
    for title, case, metric in _figures(results):
        ratios = [_ratio(results.ratio(case, name, metric.name))[0] for name in names]
        rows.append([title, metric.title, *ratios])
    return render(rows)


def _figures(results: Results) -> list[tuple[str, str, Metric]]:
    """The rows: a case's title stands in the first of its rows only, as a simple table needs something there."""
    found = []
    for case in CASES:
        if case.name in results.figures:
            found += [(case.title, case.name, metric) for metric in case.metrics]
    return found


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def _ratio(ratio: Ratio | None) -> tuple[str, str]:
    if ratio is None:
        return NOTHING, NOTHING
    return f"{ratio.median:.2f}", f"{ratio.least:.2f}–{ratio.most:.2f}"
