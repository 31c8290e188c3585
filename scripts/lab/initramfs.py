# SPDX-License-Identifier: BSD-3-Clause
"""What the guest boots into.

An uncompressed cpio archive (unpacking is what costs time under TCG), written here without root's
help: busybox, a few tools with their libraries, `vqcert`, the modules asked for with all they need
(decompressed) and fixtures/guest. Its name is a hash of its inputs, so it is made only when one of
them has changed.
"""

import hashlib
import re
import stat
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from . import kernels, paths, proc
from .kernels import Kernel
from .say import BrokenEnvironment

MODULES = ("virtio_net", "virtio_vdpa", "vhost_vdpa", "ifcvf", "vp_vdpa", "vdpa_sim_net", "vduse")
TOOLS = ("usr/sbin/vdpa", "usr/bin/ip", "usr/bin/iperf3", "usr/sbin/ethtool")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "lib64/ld-linux-x86-64.so.2"
# Applets whose place a real tool takes.
REPLACED = {"busybox", "ip"}


class Cpio:
    """A newc archive in memory, the same bytes for the same contents."""

    def __init__(self) -> None:
        self._entries: Dict[str, tuple] = {}

    def _put(self, name: str, mode: int, data: bytes = b"", device: tuple = (0, 0)) -> None:
        parent = str(Path(name).parent)
        if parent != "." and parent not in self._entries:
            self._put(parent, stat.S_IFDIR | 0o755)
        self._entries[name] = (mode, data, device)

    def directory(self, name: str) -> None:
        self._put(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self._put(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        self._put(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name: str, major: int, minor: int) -> None:
        self._put(name, stat.S_IFCHR | 0o600, b"", (major, minor))

    def bytes(self) -> bytes:
        """The archive."""
        out = []

        def add(number: int, name: str, mode: int, data: bytes, device: tuple) -> None:
            path = name.encode() + b"\0"
            fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
            head = b"070701" + b"".join(b"%08X" % f for f in fields) + path
            out.append(head + b"\0" * (-len(head) % 4))
            out.append(data + b"\0" * (-len(data) % 4))

        number = 0
        for number, (name, entry) in enumerate(self._entries.items(), 1):
            add(number, name, *entry)
        add(number + 1, "TRAILER!!!", 0, b"", (0, 0))
        return b"".join(out)


def _libraries(binary: Path) -> List[Path]:
    """The shared libraries a binary of the root needs."""
    root = paths.ROOT
    found = proc.run([root / "usr" / LOADER, "--library-path", root / LIBRARIES, "--list", binary])
    return [Path(p) for p in re.findall(r"=> (/\S+)", found.out)
            if not p.endswith("ld-linux-x86-64.so.2")]


def _applets() -> List[str]:
    found = proc.run([paths.ROOT / "usr/bin/busybox", "--list"])
    return [name for name in found.out.split() if name not in REPLACED]


def _inputs(kernel: Kernel, modules: Sequence[str], extra: Dict[str, Path]) -> Dict[str, Path]:
    """Everything that goes in: path in the guest -> file here."""
    files: Dict[str, Path] = {}
    root = paths.ROOT
    busybox = root / "usr/bin/busybox"
    if not busybox.exists():
        raise BrokenEnvironment(f"{busybox} is not there: run `make setup`")
    files["usr/bin/busybox"] = busybox
    for tool in TOOLS:
        files[tool] = root / tool
        for library in _libraries(root / tool):
            files[f"{LIBRARIES}/{library.name}"] = library
    # What pthread_cancel() loads by name.
    files[f"{LIBRARIES}/libgcc_s.so.1"] = root / LIBRARIES / "libgcc_s.so.1"
    files[LOADER] = root / "usr" / LOADER
    for file in kernel.modules(list(modules)):
        name = file.name.split(".ko")[0]
        files[f"lib/modules/{kernel.release}/{name}.ko"] = file
    for file in sorted((paths.REPO / "fixtures/guest").rglob("*")):
        if file.is_file():
            name = str(file.relative_to(paths.REPO / "fixtures/guest"))
            files[name if name == "init" else f"lab/{name}"] = file
    files.update(extra)
    return files


def _key(files: Dict[str, Path]) -> str:
    """A hash over names and contents; over size and time for what only set-up changes."""
    h = hashlib.sha256(Path(__file__).read_bytes())
    for name, file in sorted(files.items()):
        h.update(name.encode() + b"\0")
        if paths.ROOT in file.parents:
            status = file.stat()
            h.update(f"{file} {status.st_size} {status.st_mtime_ns}".encode())
        else:
            h.update(file.read_bytes())
        h.update(b"\0")
    return h.hexdigest()[:16]


def build(kernel: Kernel, modules: Sequence[str] = MODULES,
          extra: Optional[Dict[str, Path]] = None, cert: bool = True) -> Path:
    """The archive for a kernel; made only if there is none with these inputs."""
    extra = dict(extra or {})
    if cert and paths.VQCERT.exists():
        extra["lab/vqcert"] = paths.VQCERT.resolve()
    files = _inputs(kernel, modules, extra)
    target = paths.IMAGES / f"{kernel.release}-{_key(files)}.cpio"
    if target.exists():
        target.touch()
        return target

    archive = Cpio()
    for name in ("proc", "sys", "dev", "run", "tmp", "root", "etc"):
        archive.directory(name)
    archive.link("bin", "usr/bin")
    archive.link("sbin", "usr/sbin")
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive.file("etc/services", b"")
    applets = set(_applets())
    needs = []
    base = f"lib/modules/{kernel.release}"
    for name, file in files.items():
        if name.endswith(".ko"):
            data = kernels.read_module(file)
            archive.file(name, data)
            own = Path(name).name
            # modprobe loads a line from its end.
            wanted = [f"{f.name.split('.ko')[0]}.ko"
                      for f in reversed(kernel.modules([own[:-3]])) if f != file]
            needs.append(f"{own}: {' '.join(wanted)}\n".encode())
        else:
            archive.file(name, file.read_bytes(), 0o755)
    archive.file(f"{base}/modules.dep", b"".join(needs))
    for applet in sorted(applets):
        archive.link(f"usr/bin/{applet}", "busybox")
    archive.link("usr/sbin/modprobe", "../bin/busybox")
    paths.IMAGES.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(f".{id(archive)}.new")
    temporary.write_bytes(archive.bytes())
    temporary.replace(target)
    _forget_old(target)
    return target


def _forget_old(newest: Path, keep: int = 6) -> None:
    images = sorted(paths.IMAGES.glob("*.cpio"), key=lambda p: p.stat().st_mtime, reverse=True)
    for image in images[keep:]:
        if image != newest:
            image.unlink(missing_ok=True)
