# SPDX-License-Identifier: BSD-3-Clause
"""Progress and errors.

A `Task` is a line for something that may take longer than two seconds. On a terminal it ticks;
elsewhere it says that it started once two seconds have passed, then every fifteen, and that it
ended. Things quicker than that stay silent unless they have a result to tell.
"""

import signal
import sys
import threading
import time
from typing import Optional

_lock = threading.Lock()
_ticking: Optional["Task"] = None


class LabError(Exception):
    """Something is wrong: one sentence that says what, where and what to do."""

    status = 1


class BrokenEnvironment(LabError):
    """The machine lacks something. Exit status 3, as for `vqcert`."""

    status = 3


def line(text: str = "") -> None:
    """Print a line, past whatever is ticking."""
    with _lock:
        if _ticking is not None:
            sys.stdout.write("\r\033[K")
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


class Task:
    """A line that shows that something is going on.

    with Task("boot the guest") as task:
        ...
        task.result = "3.2 s to the shell"
    """

    def __init__(self, what: str, always: bool = False) -> None:
        self.what = what
        self.result = ""
        self._always = always
        self._done = threading.Event()
        self._started = 0.0
        self._thread: Optional[threading.Thread] = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def __enter__(self) -> "Task":
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind, value, trace) -> None:
        global _ticking
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        with _lock:
            if _ticking is self:
                _ticking = None
                sys.stdout.write("\r\033[K")
                sys.stdout.flush()
        took = self.seconds
        if kind is not None:
            line(f"  {self.what}: failed after {took:.1f} s")
        elif self.result or self._always or took >= 2:
            line(f"  {self.what}: {self.result or 'done'} ({took:.1f} s)")

    def _tick(self) -> None:
        global _ticking
        if sys.stdout.isatty():
            while not self._done.wait(0.2):
                with _lock:
                    if _ticking is None and self.seconds > 0.5:
                        _ticking = self
                    if _ticking is self and not self._done.is_set():
                        sys.stdout.write(f"\r\033[K  {self.what} ... {self.seconds:.0f} s")
                        sys.stdout.flush()
            return
        if not self._done.wait(2):
            line(f"  {self.what} ...")
            while not self._done.wait(15):
                line(f"  {self.what} ... {self.seconds:.0f} s")


def main(function) -> None:
    """Run a command's main function; errors leave as one sentence and an exit status.

    A request to end arrives as an interrupt, so that everything is put away.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        status = function()
    except LabError as error:
        line(f"error: {error}")
        status = error.status
    except KeyboardInterrupt:
        line("interrupted")
        status = 130
    except BrokenPipeError:
        status = 141
    sys.exit(status)
