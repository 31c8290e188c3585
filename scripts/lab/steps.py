# SPDX-License-Identifier: BSD-3-Clause
"""Set-up in steps, each done once.

A step has a recipe: whatever text decides its result. Its stamp, written when it is done, holds
the hash of the recipe; a step whose hash differs is done again, and so is every step that names
it as an input. An interrupted step has no stamp and starts anew, and each step copes with its own
leftovers. One lock keeps two set-ups apart.
"""

import fcntl
import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from . import paths
from .say import Task


def digest(*parts: str) -> str:
    """A short hash over texts."""
    h = hashlib.sha256()
    for part in parts:
        h.update(part.encode())
        h.update(b"\0")
    return h.hexdigest()[:24]


def file_digest(*files: Path) -> str:
    """A short hash over the contents of files."""
    h = hashlib.sha256()
    for file in files:
        h.update(file.read_bytes())
        h.update(b"\0")
    return h.hexdigest()[:24]


def write_atomically(path: Path, text: str) -> None:
    """Replace a file so that a reader sees the old or the new one, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def lock() -> Iterator[None]:
    """Hold the set-up lock; says so when somebody else has it."""
    paths.BUILD.mkdir(exist_ok=True)
    with (paths.BUILD / ".setup.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with Task("waiting for another set-up in this checkout"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Step:
    """One stamped piece of set-up."""

    def __init__(self, name: str, *recipe: str) -> None:
        self.name = name
        self.key = digest(name, *recipe)
        self._stamp = paths.STAMPS / name

    @property
    def done(self) -> bool:
        try:
            return self._stamp.read_text().strip() == self.key
        except OSError:
            return False

    def forget(self) -> None:
        self._stamp.unlink(missing_ok=True)

    def finish(self) -> None:
        write_atomically(self._stamp, self.key + "\n")
