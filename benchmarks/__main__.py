"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import datetime
import shlex
import signal
import sys
from pathlib import Path
from typing import NoReturn

from attrs import asdict

from benchmarks import document, machine, tables
from benchmarks.cases import CASES
from benchmarks.cases.base import Case
from benchmarks.results import BASE, Results
from benchmarks.runner import Plan, measure
from benchmarks.servers import SERVERS
from benchmarks.servers.base import Server
from benchmarks.workspace import QUICK, BenchmarkError, Scale, Workspace

_DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "performance.rst"


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("make bench BENCH_ARGS=...", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the data, 3 runs: a first look")
    parser.add_argument("--runs", type=int, default=0, help="rounds of each case (default 5, or 3 if quick)")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CASE",
        help="only these: " + ", ".join(case.name for case in CASES),
    )
    parser.add_argument(
        "--servers", default="", help="only these, by commas: " + ", ".join(server.name for server in SERVERS)
    )
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    parser.add_argument("--from-json", type=Path, help="measure nothing: show the figures of this file")
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.rst")
    return parser


def _chosen_cases(names: list[str]) -> list[Case]:
    wanted = [name for words in names for name in words.split(",")]
    unknown = set(wanted) - {case.name for case in CASES}
    if unknown:
        raise BenchmarkError(f"no such case: {', '.join(sorted(unknown))}")
    return [case for case in CASES if not wanted or case.name in wanted]


def _chosen_servers(names: str) -> list[type[Server]]:
    wanted = [name for name in names.split(",") if name]
    unknown = set(wanted) - {server.name for server in SERVERS}
    if unknown:
        raise BenchmarkError(f"no such server: {', '.join(sorted(unknown))}")
    chosen = []
    for server in SERVERS:
        if wanted and server.name not in wanted:
            continue
        if missing := server.missing():
            if server.name in wanted or server.name == BASE:
                raise BenchmarkError(f"{server.name}: {missing}")
            print(f"without {server.name}: {missing}", file=sys.stderr)
            continue
        chosen.append(server)
    return chosen


def _run(options: argparse.Namespace) -> Results:
    scale = QUICK if options.quick else Scale()
    runs = options.runs or (3 if options.quick else 5)
    plan = Plan(_chosen_cases(options.only), _chosen_servers(options.servers), runs, min(runs, 3))
    results = Results(
        {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "command": shlex.join(["make", "bench", *_arguments_as_make_takes_them(options)]),
            "runs": plan.runs,
            "rival_runs": plan.rival_runs,
            "scale": asdict(scale),
            "machine": machine.machine(),
            "servers": [server.name for server in plan.servers],
            "versions": {server.name: server.version() for server in plan.servers} | machine.libraries(),
        }
    )
    place = Workspace(scale)

    def keep() -> None:
        if options.json:
            results.save(options.json)

    try:
        measure(plan, place, results, keep)
    except KeyboardInterrupt:
        results.failures.append("the run was interrupted: the last cases are missing")
    finally:
        place.remove()
    return results


def _arguments_as_make_takes_them(options: argparse.Namespace) -> list[str]:
    """What was measured; not where the figures went."""
    words = ["--quick"] if options.quick else []
    words += ["--runs", str(options.runs)] if options.runs else []
    words += ["--servers", options.servers] if options.servers else []
    words += [word for names in options.only for word in ("--only", names)]
    return [f"BENCH_ARGS={shlex.join(words)}"] if words else []


def _interrupted(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    """Measure, print, write; the exit status."""
    signal.signal(signal.SIGTERM, _interrupted)
    options = _options().parse_args()
    try:
        results = Results.load(options.from_json) if options.from_json else _run(options)
    except (BenchmarkError, OSError, ValueError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        results.save(options.json)
    print(tables.main_table(results), tables.rivals_table(results), sep="\n\n")
    for failure in results.failures:
        print(f"failed: {failure}", file=sys.stderr)
    if options.write_docs:
        document.write(results, _DOCUMENT)
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
