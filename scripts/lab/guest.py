# SPDX-License-Identifier: BSD-3-Clause
"""A running guest that takes commands.

QEMU inherits one end of a socket pair as the guest's second serial port, where fixtures/guest/init
takes commands and gives back status and output, and one end of another as its own monitor (QMP).
The first serial port, the kernel's console, goes to a file. Nothing of it has a name in the file
system, and all of it ends with QEMU, which ends with us.
"""

import base64
import json
import select
import socket
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from . import initramfs, kernels, paths, proc, qemu
from .kernels import Kernel
from .say import LabError

BOOT_SECONDS = 90.0


class Answer:
    """What a command in the guest left."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def ok(self) -> bool:
        return self.status == 0


class GuestError(LabError):
    """The guest did not do what it should; with the end of its console."""


class Guest:
    """A guest with given QEMU devices. Use as a context manager."""

    def __init__(self, devices: Sequence[str] = (), kernel: Optional[Kernel] = None,
                 append: str = "", machine: str = "", memory: int = 512, cpus: int = 1,
                 netns: str = "", image: Optional[Path] = None, accelerator: str = "",
                 pass_fds: Sequence[int] = ()) -> None:
        self.kernel = kernel or kernels.debian()
        self._devices = list(devices)
        self._append = append
        self._machine = machine
        self._memory = memory
        self._cpus = cpus
        self._netns = netns
        self._image = image
        self._accelerator = accelerator or qemu.accelerator()
        self._pass_fds = list(pass_fds)
        self._child: Optional[proc.Child] = None
        self._jobs: Optional[socket.socket] = None
        self._monitor: Optional[socket.socket] = None
        self._buffers: Dict[int, bytes] = {}
        self._number = 0
        self.console = Path()
        self.boot_seconds = 0.0

    def _command(self, jobs: int, monitor: int) -> List[str]:
        machine = "q35,memory-backend=m0" + (f",{self._machine}" if self._machine else "")
        cpu = "host" if self._accelerator == "kvm" else "Nehalem"
        append = ("console=ttyS0 quiet loglevel=4 panic=-1 nokaslr mitigations=off "
                  f"no_timer_check tsc=reliable {self._append}").strip()
        image = self._image or initramfs.build(self.kernel)
        return [
            *qemu.command(), "-accel", self._accelerator, "-M", machine, "-cpu", cpu,
            "-smp", str(self._cpus), "-m", str(self._memory),
            "-object", f"memory-backend-memfd,id=m0,size={self._memory}M,share=on",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(self.kernel.image), "-initrd", str(image), "-append", append,
            "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
            "-chardev", f"socket,id=jobs,fd={jobs}", "-serial", "chardev:jobs",
            "-chardev", f"socket,id=qmp,fd={monitor}", "-qmp", "chardev:qmp",
            *self._devices,
        ]

    def __enter__(self) -> "Guest":
        return self if self._child is not None else self.start()

    def start(self) -> "Guest":
        """Boot it, until it takes commands; `with` does so too."""
        self.console = proc.log_path("console")
        self._jobs, theirs = socket.socketpair()
        self._monitor, theirs_too = socket.socketpair()
        started = time.monotonic()
        try:
            with theirs, theirs_too:
                fds = [theirs.fileno(), theirs_too.fileno()]
                self._child = proc.Child(self._command(*fds), "qemu", netns=self._netns,
                                         pass_fds=[*fds, *self._pass_fds])
            line = self._read_line(self._jobs, time.monotonic() + BOOT_SECONDS)
            if not line.startswith("ready"):
                raise GuestError(f"the guest's first line is {line!r}, not `ready`")
        except BaseException:
            self._stop()
            raise
        self.boot_seconds = time.monotonic() - started
        return self

    def __exit__(self, kind, value, trace) -> None:
        if kind is None and self._child is not None and self._child.running:
            self.power_off()
        self._stop()

    def _stop(self) -> None:
        if self._child is not None:
            self._child.stop(0.5)
        for end in (self._jobs, self._monitor):
            if end is not None:
                end.close()

    # The two channels.

    def _fill(self, channel: socket.socket, end: float) -> None:
        left = end - time.monotonic()
        ready, _, _ = select.select([channel], [], [], max(0.0, left))
        if not ready:
            raise GuestError(self._story("the guest did not answer in time"))
        try:
            data = channel.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            raise GuestError(self._story("QEMU ended"))
        key = channel.fileno()
        self._buffers[key] = self._buffers.get(key, b"") + data

    def _read_line(self, channel: socket.socket, end: float) -> str:
        key = channel.fileno()
        while b"\n" not in self._buffers.get(key, b""):
            self._fill(channel, end)
        text, _, self._buffers[key] = self._buffers[key].partition(b"\n")
        return text.decode(errors="replace").strip()

    def _read_bytes(self, channel: socket.socket, count: int, end: float) -> bytes:
        key = channel.fileno()
        while len(self._buffers.get(key, b"")) < count:
            self._fill(channel, end)
        data = self._buffers[key]
        self._buffers[key] = data[count:]
        return data[:count]

    def _story(self, what: str) -> str:
        parts = [what]
        if self._child is not None:
            if not self._child.running:
                parts[0] += f" (QEMU's status {self._child.process.returncode})"
            if self._child.tail(5):
                parts.append(f"QEMU said:\n{self._child.tail(5)}")
        if proc.tail(self.console):
            parts.append(f"end of the console ({self.console}):\n{proc.tail(self.console)}")
        return "\n".join(parts)

    # What one does with a guest.

    @property
    def pid(self) -> int:
        """QEMU's process."""
        assert self._child is not None
        return self._child.pid

    def run(self, script: str, deadline: float = 30.0, check: bool = True) -> Answer:
        """Run a shell script in the guest to its end."""
        assert self._jobs is not None
        self._number += 1
        encoded = base64.b64encode(script.encode()).decode()
        self._jobs.sendall(f"{self._number} {max(1, round(deadline))} {encoded}\n".encode())
        end = time.monotonic() + deadline + 15
        words = self._read_line(self._jobs, end).split()
        if len(words) != 5 or words[:2] != ["done", str(self._number)]:
            raise GuestError(self._story(f"the guest's agent answered {' '.join(words)!r}"))
        status, out_bytes, err_bytes = (int(w) for w in words[2:])
        out = self._read_bytes(self._jobs, out_bytes, end).decode(errors="replace")
        err = self._read_bytes(self._jobs, err_bytes, end).decode(errors="replace")
        if status == 137:
            raise GuestError(self._story(f"`{script}` in the guest was killed; its limit is "
                                         f"{deadline:.0f} s\n{err[-500:]}"))
        if check and status:
            last = (err.strip() or out.strip()).splitlines()
            raise GuestError(f"`{script}` in the guest failed with status {status}: "
                             f"{last[-1] if last else 'no output'}")
        return Answer(status, out, err)

    def read_file(self, path: str, deadline: float = 30.0) -> str:
        """A file of the guest."""
        return self.run(f"cat {path}", deadline).out

    def wait_console(self, text: str, deadline: float) -> None:
        """Wait until the kernel's console shows a text."""
        end = time.monotonic() + deadline
        while text not in self.console.read_text(errors="replace"):
            if time.monotonic() > end:
                raise GuestError(self._story(f"the console never showed {text!r}"))
            assert self._child is not None
            if not self._child.running:
                raise GuestError(self._story("QEMU ended"))
            time.sleep(0.02)    # polls a file, with a deadline

    def qmp(self, command: str, deadline: float = 10.0, **arguments) -> object:
        """Run a command of QEMU's monitor."""
        assert self._monitor is not None
        end = time.monotonic() + deadline
        if not hasattr(self, "_negotiated"):
            self._read_line(self._monitor, end)     # the greeting
            self._negotiated = True
            self.qmp("qmp_capabilities", deadline)
        request = {"execute": command, "arguments": arguments}
        self._monitor.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(self._read_line(self._monitor, end))
            if "error" in answer:
                raise GuestError(f"QEMU refuses {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def power_off(self, deadline: float = 20.0) -> None:
        """Power the guest off and wait for QEMU's end."""
        assert self._jobs is not None and self._child is not None
        try:
            self._jobs.sendall(b"0 5 " + base64.b64encode(b"poweroff -f") + b"\n")
            self._child.wait(deadline)
        except Exception as error:
            raise GuestError(self._story("the guest did not power off")) from error
