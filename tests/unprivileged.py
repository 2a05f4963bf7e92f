"""What is closed to others, although the tests are run by root, to whom nothing is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import SkipTest

#: Nobody, on every Linux.
_NOBODY = 65534


@contextmanager
def unprivileged(directory: str | Path) -> Iterator[None]:
    """Be nobody for a while, in all threads, where the tests are run by root.

    What is needed has to be imported before: nobody may be unable to read the interpreter's own files.

    @param directory: of the test's files; it is opened to everybody.
    @raise SkipTest: when it lies where nobody gets at it.
    """
    os.chmod(directory, 0o755)
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        if not os.access(directory, os.X_OK):
            raise SkipTest(f"nobody gets at {directory}")
        yield
    finally:
        os.setresuid(0, 0, 0)
