"""What is closed to others, although the tests are run by root, to whom nothing is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

#: Nobody, on every Linux.
_NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a while, in all threads, where the tests are run by root.

    What is needed has to be imported before: nobody may be unable to read the interpreter's own files.
    """
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
