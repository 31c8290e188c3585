# SPDX-License-Identifier: BSD-3-Clause
"""What we leave on the machine, so that it can be removed even by somebody else.

Each process that runs guests has a directory /run/vqlab/PID-STARTTIME. Its sockets live there, and
a file lists its network namespaces. Whoever starts next removes the directory of a process that no
longer lives, and what it lists: a killed run cleans up after itself at the next one. The start
time tells a process from a later one with the same number.
"""

import atexit
import os
import shutil
import threading
from pathlib import Path
from typing import Optional

from . import paths, proc
from .say import BrokenEnvironment

NETNS_PREFIX = "vq-"
_lock = threading.Lock()
_directory: Optional[Path] = None


def _start_time(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def _alive(name: str) -> bool:
    pid, _, start = name.partition("-")
    return pid.isdigit() and _start_time(int(pid)) == start


def _remove(directory: Path) -> None:
    listed = directory / "netns"
    if listed.exists():
        for name in listed.read_text().split():
            if name.startswith(NETNS_PREFIX) and Path("/run/netns", name).exists():
                proc.run(["ip", "netns", "del", name], 10, check=False)
    shutil.rmtree(directory, ignore_errors=True)


def sweep() -> int:
    """Remove what dead runs have left; how many there were."""
    found = 0
    if paths.RUN.is_dir():
        for directory in paths.RUN.iterdir():
            if not _alive(directory.name):
                _remove(directory)
                found += 1
    return found


def directory() -> Path:
    """Our own directory, made when first asked for."""
    global _directory
    with _lock:
        if _directory is None:
            if os.geteuid() != 0:
                raise BrokenEnvironment("namespaces, TAPs and guests need root: run this by sudo, "
                                        "or as root")
            sweep()
            proc.forget_old_logs()
            pid = os.getpid()
            _directory = paths.RUN / f"{pid}-{_start_time(pid)}"
            _directory.mkdir(parents=True, exist_ok=True)
            atexit.register(release)
        return _directory


def note_netns(name: str) -> None:
    """Say that a namespace is ours, before it exists."""
    own = directory()
    with _lock, (own / "netns").open("a") as file:
        file.write(name + "\n")


def release() -> None:
    """Remove all of ours."""
    global _directory
    with _lock:
        if _directory is not None:
            _remove(_directory)
            _directory = None


def give_back(directory: Path) -> None:
    """Hand files to whoever called sudo."""
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if os.geteuid() == 0 and user and group:
        proc.run(["chown", "-R", f"{user}:{group}", directory], check=False)
