# SPDX-License-Identifier: BSD-3-Clause
"""A running `vqnic`.

It serves vfio-user on a socket in our own directory. It is up when it says so: QEMU's client never
tries twice, so nothing may connect before.
"""

import itertools
import json
import time
from pathlib import Path
from typing import List, Optional, Sequence

from . import owned, paths, proc
from .say import BrokenEnvironment, LabError

_numbers = itertools.count(1)
START_SECONDS = 20.0


class Nic:
    """One NIC from a profile. Use as a context manager."""

    def __init__(self, profile: str, wire: str = "loopback", netns: str = "",
                 options: Sequence[str] = (), binary: Optional[Path] = None) -> None:
        self.profile = profile
        self.socket = owned.directory() / f"nic{next(_numbers)}"
        self._wire = wire
        self._netns = netns
        self._options = list(options)
        self._binary = binary or paths.VQNIC
        self._child: Optional[proc.Child] = None

    def __enter__(self) -> "Nic":
        if not self._binary.exists():
            raise LabError(f"{self._binary} is not built: run `make`")
        argv = [self._binary, "run", self.profile, "--vfio-user", self.socket,
                "--wire", self._wire, *self._options]
        self._child = proc.Child(argv, f"vqnic-{Path(self.profile).stem}", netns=self._netns)
        end = time.monotonic() + START_SECONDS
        while f"listening on {self.socket}" not in self._child.tail(50):
            if not self._child.running:
                status = self._child.stop(0)
                error = BrokenEnvironment if status == 3 else LabError
                raise error(self._child.tail(3) or f"vqnic ended with status {status}")
            if time.monotonic() > end:
                self.__exit__()
                raise LabError(f"vqnic does not listen on {self.socket} after {START_SECONDS:.0f} "
                               f"s: {self._child.tail(3)}")
            time.sleep(0.01)    # polls the log, with a deadline
        return self

    def __exit__(self, *_) -> None:
        if self._child is not None:
            self.status = self._child.stop(5)
            self.socket.unlink(missing_ok=True)

    def wait(self, deadline: float) -> int:
        """Wait until it ends by itself; its status."""
        assert self._child is not None
        return self._child.wait(deadline)

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    @property
    def log(self) -> str:
        return self._child.tail(40) if self._child is not None else ""

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def device(self, **properties: object) -> List[str]:
        """QEMU's options that plug the NIC into a guest."""
        value = {"driver": "vfio-user-pci",
                 "socket": {"path": str(self.socket), "type": "unix"}, **properties}
        return ["-device", json.dumps(value)]
