"""docs/performance.rst, made of the results of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.results import Results
from benchmarks.tables import main_table, rivals_table

_TEXT: Final = """\
Performance
===========

.. Written by ``make bench BENCH_ARGS=--write-docs``: edit benchmarks/document.py, not this.

Measured on {date} by ``{command}``; medians of {runs}.

{main}

Ratios are to OpenSSH: below 1 is less CPU, time or memory; for figures per second above 1 is more.  Each ratio is of
two measurements made one after the other; the median, the least and the most of them are shown.
{rivals}
How it is measured
------------------

- The figure to trust is the server's CPU time: user and system time of the server and of every process it starts, from
  ``/proc``.  Wall time depends on the client as well, which shares the machine's processors.
- The client is the same for all: OpenSSH's ``sftp`` with the cipher that the row names (aes128-gcm where none is
  named), curve25519-sha256 and Ed25519 keys.  Servers take turns (A B A B), and all run all the time.
- OpenSSH runs ``internal-sftp``, so no shell starts.  This server has a user in SQLite with permissions on several
  directories and a quota, and writes its log: nothing is switched off for the measurement.
- All files are in memory (tmpfs).  Downloads go to ``/dev/null``, uploads into a new file: a part of an
  upload's time is the kernel's, which gets pages for it.  Before each upload as much memory is written and given back,
  so that no server pays for what a virtual machine has to ask its host for.
- One large file is {size} MiB; when several clients download, each gets {share}.
  A transfer's figures include its login; those of the stats and of their latency do not.
- {files} small files; a directory of {entries} names, listed five times; {stats} stats sent at once by a client
  that has prepared them; {logins} logins, four at a time.
- Memory is the proportional set size of all processes of the server, before and after {connections} connections
  were made that have asked for one stat each.
- Latency is that of {probes} stats, one every 5 ms, while eight other clients download, or upload over
  files that are there.  The client that asks runs before everybody else (``SCHED_FIFO``), as on a machine of its own;
  the server and the eight share the processors.

Where the time goes
-------------------

- A download: half of it is the kernel's (a copy from the page cache, a copy into the socket), a seventh the cipher's, a
  third the interpreter's, which handles eight packets for each READ.
- An upload: more than half of it is the kernel's, which finds pages for the new file and copies into them, for
  whichever server.  Of the rest the cipher has a third with AES-GCM and two thirds with the others; what the
  interpreter adds is a call of the cipher for each packet of 32 KiB that OpenSSH's client sends.
- ChaCha20-Poly1305: two passes, and 4 of the 15 microseconds a packet are OpenSSL's for setting up each Poly1305.
- Small files: a client asks three times for each that it uploads and four times for each that it downloads, one after
  the other.  Each time costs a wake-up, a receive and a send, and on Twisted that alone is half of what OpenSSH takes
  for the whole request; the rest are small calls in the interpreter, system calls of the confinement, the log's line.
  To open and close a file takes 32 microseconds where nothing comes between, and three times as much where the client's
  process runs in between: an interpreter needs more of the processor's caches than a small C program.
- A login by key: no single thing; a dozen messages, a key agreement, a signature made and one checked, look-ups in a
  thread, log lines.

The machine
-----------

{machine}

{versions}
{failures}
Your own figures: ``make bench`` (``make bench BENCH_ARGS=--help`` for what it can do, ``--quick`` for a first look).
"""

_RIVALS: Final = """
Others
------

The same cases on other servers, {rivals_runs} runs each.  A dash means that the server has not the cipher, or failed.
``sftpgo-public`` is this server without the TCP of its own, as it runs over any other transport or reactor.

{table}
"""


def document(results: Results) -> str:
    """The whole text."""
    about = results.about
    scale = about["scale"]
    mib = scale["size"] // (1024 * 1024)
    rivals = rivals_table(results)
    return _TEXT.format(
        date=about["date"],
        command=about["command"],
        runs=f"{about['runs']} runs",
        main=main_table(results),
        rivals=_RIVALS.format(rivals_runs=about["rival_runs"], table=rivals) if rivals else "",
        size=mib,
        share=f"{mib} MiB divided by their number, and {mib // 8} MiB at least",
        files=f"{scale['files']:,}",
        entries=f"{scale['entries']:,}",
        stats=f"{scale['stats']:,}",
        logins=4 * scale["logins"],
        connections=scale["connections"],
        probes=scale["probes"],
        machine="\n".join(f"- {line}" for line in about["machine"]),
        versions="\n".join(f"- {name}: {version}" for name, version in about["versions"].items()),
        failures=_failures(results.failures),
    )


def _failures(failures: list[str]) -> str:
    if not failures:
        return ""
    return "\nWhat failed during the run:\n\n" + "\n".join(f"- {line}" for line in failures) + "\n"


def write(results: Results, path: Path) -> None:
    """Write the document."""
    path.write_text(document(results), encoding="utf-8")
