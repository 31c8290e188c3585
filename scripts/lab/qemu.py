# SPDX-License-Identifier: BSD-3-Clause
"""Which QEMU, and which accelerator really works.

The NIC needs `vfio-user-pci`, which QEMU has since 10.1. The machine's own QEMU is taken if it is
new enough, else the one in build/root, started through that root's own dynamic loader. An
accelerator is chosen by booting a kernel with it: /dev/kvm may open, make a VM and still kill
every guest in its first instructions.
"""

import json
import re
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import List, Optional, Tuple

from . import kernels, paths, proc
from .say import BrokenEnvironment

OLDEST = (10, 1)
ACCELERATOR = paths.STAMPS / "accelerator.json"
BINARY = "qemu-system-x86_64"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
TRIAL_SECONDS = 5.0


def _version(argv: List[str]) -> Tuple[int, ...]:
    found = proc.run([*argv, "--version"], 20, check=False)
    match = re.search(r"version (\d+)\.(\d+)\.(\d+)", found.out)
    return tuple(int(n) for n in match.groups()) if match else ()


def machine_has_one() -> bool:
    """Whether the machine's own QEMU is new enough."""
    own = shutil.which(BINARY)
    return own is not None and _version([own]) >= OLDEST


def _in_root() -> List[str]:
    root = paths.ROOT
    libraries = f"{root / LIBRARIES}:{root / LIBRARIES}/pulseaudio"
    return [str(root / "usr/lib64/ld-linux-x86-64.so.2"), "--argv0", BINARY,
            "--library-path", libraries, str(root / "usr/bin" / BINARY)]


def command() -> List[str]:
    """The command line that starts QEMU, up to its first option."""
    own = shutil.which(BINARY)
    if own is not None and machine_has_one():
        return [own]
    if not (paths.ROOT / "usr/bin" / BINARY).exists():
        raise BrokenEnvironment(f"no QEMU {OLDEST[0]}.{OLDEST[1]} or newer: run `make setup`")
    share = paths.ROOT / "usr/share"
    return [*_in_root(), "-L", str(share / "qemu"), "-L", str(share / "seabios")]


def version() -> str:
    """The version of the QEMU that `command` starts."""
    return ".".join(str(n) for n in _version(command()))


def _boots(accelerator: str) -> bool:
    """Whether a stock kernel gets through its first instructions."""
    kernel = kernels.debian()
    argv = [*command(), "-accel", accelerator, "-M", "q35", "-m", "256", "-nodefaults",
            "-display", "none", "-no-reboot", "-kernel", str(kernel.image),
            "-append", "console=ttyS0 panic=-1", "-serial", "stdio"]
    child = proc.Child(argv, f"trial-{accelerator}", stdout=subprocess.PIPE)
    output = child.process.stdout
    assert output is not None
    seen = b""
    end = time.monotonic() + TRIAL_SECONDS
    try:
        while time.monotonic() < end:
            ready, _, _ = select.select([output], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                break
            chunk = output.read1(65536)     # type: ignore[union-attr]
            if not chunk:
                break
            seen += chunk
            # Panics for want of a root file system: it booted.
            if b"Kernel panic" in seen or b"Run /init" in seen:
                return True
    finally:
        child.stop(0.2)
        output.close()
    return False


def _machine() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def accelerator_recipe() -> str:
    """What the choice of an accelerator depends on."""
    return f"{ACCELERATOR.name} {_machine()} {Path('/dev/kvm').exists()}"


def choose_accelerator() -> str:
    """Try KVM where there is one; remember what works."""
    name = "tcg"
    if Path("/dev/kvm").exists() and _boots("kvm"):
        name = "kvm"
    ACCELERATOR.parent.mkdir(parents=True, exist_ok=True)
    ACCELERATOR.write_text(json.dumps({"accelerator": name}) + "\n")
    return "KVM works" if name == "kvm" else "guests run under TCG"


_accelerator: Optional[str] = None


def accelerator() -> str:
    """The accelerator that works on this machine."""
    global _accelerator
    if _accelerator is None:
        try:
            _accelerator = json.loads(ACCELERATOR.read_text())["accelerator"]
        except (OSError, ValueError, KeyError):
            _accelerator = "tcg"
    return _accelerator
