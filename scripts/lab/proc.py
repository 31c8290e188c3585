# SPDX-License-Identifier: BSD-3-Clause
"""Child processes that never outlive us.

Each child leads a process group of its own, dies with the thread that started it
(PR_SET_PDEATHSIG: so start long-lived children from a thread that lives as long) and is ended by
its group. Output goes to a log, of which an error shows the end.
"""

import ctypes
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, List, Optional, Sequence, Set, Union

from . import paths
from .say import LabError

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_counter = 0
_counter_lock = threading.Lock()

_living: Set["subprocess.Popen"] = set()
_living_lock = threading.Lock()

Argument = Union[str, Path]


def _die_with_parent(parent: int):
    def prepare() -> None:
        os.setpgid(0, 0)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    return prepare


def log_path(name: str) -> Path:
    """A fresh file under build/logs."""
    global _counter
    with _counter_lock:
        _counter += 1
        number = _counter
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    return paths.LOGS / f"{os.getpid()}-{number:03d}-{name}.log"


def forget_old_logs(keep: int = 300) -> None:
    """Keep the newest files of build/logs."""
    def age(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except FileNotFoundError:
            return 0.0
    for log in sorted(paths.LOGS.glob("*.log"), key=age, reverse=True)[keep:]:
        log.unlink(missing_ok=True)


def tail(path: Path, lines: int = 12) -> str:
    """The end of a text file."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


class Child:
    """A process that runs beside us, with its output in a log."""

    def __init__(self, argv: Sequence[Argument], name: str = "", netns: str = "",
                 stdout: Union[None, int, IO] = None, pass_fds: Sequence[int] = (),
                 env: Optional[dict] = None) -> None:
        self.argv = [str(a) for a in argv]
        if netns:
            self.argv = ["nsenter", f"--net=/run/netns/{netns}", "--"] + self.argv
        self.name = name or Path(argv[0]).name
        self.log = log_path(self.name)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log if stdout is None else stdout,
                stderr=log, preexec_fn=_die_with_parent(os.getpid()), close_fds=True,
                pass_fds=pass_fds, env=env)
        with _living_lock:
            _living.add(self.process)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait(self, deadline: float) -> int:
        return self.process.wait(timeout=deadline)

    def stop(self, deadline: float = 5.0, sig: int = signal.SIGTERM) -> int:
        """Ask it to end, insist after the deadline; always reaps."""
        try:
            if self.running:
                os.kill(self.pid, sig)
                self.process.wait(timeout=deadline)
        except subprocess.TimeoutExpired:
            pass
        finally:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
            self.process.wait()
            with _living_lock:
                _living.discard(self.process)
        return self.process.returncode

    def tail(self, lines: int = 12) -> str:
        return tail(self.log, lines)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_) -> None:
        self.stop()


def end_all(deadline: float = 10.0) -> None:
    """Ask all long-lived children of other threads to end, and insist."""
    with _living_lock:
        living = list(_living)
    for process in living:
        if process.poll() is None:
            process.terminate()
    end = time.monotonic() + deadline
    for process in living:
        try:
            process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


class Result:
    """What a finished command left."""

    def __init__(self, argv: List[str], status: int, out: str, err: str) -> None:
        self.argv = argv
        self.status = status
        self.out = out
        self.err = err

    @property
    def ok(self) -> bool:
        return self.status == 0


def run(argv: Sequence[Argument], deadline: float = 60.0, netns: str = "", check: bool = True,
        stdin: Optional[str] = None, env: Optional[dict] = None,
        cwd: Optional[Path] = None) -> Result:
    """Run a command to its end and return its output; `check` makes a failure an error."""
    args = [str(a) for a in argv]
    if netns:
        args = ["nsenter", f"--net=/run/netns/{netns}", "--"] + args
    try:
        process = subprocess.Popen(
            args, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=env,
            cwd=cwd, preexec_fn=_die_with_parent(os.getpid()))
    except FileNotFoundError as error:
        raise LabError(f"{args[0]} is not installed or not built ({error.strerror})") from error
    try:
        out, err = process.communicate(stdin, timeout=deadline)
    except BaseException as error:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise LabError(f"`{' '.join(args)}` did not end within {deadline:.0f} s") from error
        raise
    if check and process.returncode:
        last = (err.strip() or out.strip()).splitlines()
        raise LabError(f"`{' '.join(args)}` failed with status {process.returncode}: "
                       f"{last[-1] if last else 'no output'}")
    return Result(args, process.returncode, out, err)


def logged(argv: Sequence[Argument], name: str, deadline: float, what: str,
           env: Optional[dict] = None) -> Path:
    """Run a long command with its output in a log; a failure shows the end of it."""
    child = Child(argv, name, env=env)
    try:
        status = child.wait(deadline)
    except subprocess.TimeoutExpired:
        raise LabError(f"{what} did not end within {deadline:.0f} s (log: {child.log})") from None
    finally:
        child.stop(0.5)
    if status:
        raise LabError(f"{what} failed (log: {child.log}):\n{child.tail()}")
    return child.log
