# SPDX-License-Identifier: BSD-3-Clause
"""Guest kernels, and the vDPA parents that Debian's kernels leave out.

A kernel is Debian's own (image and headers installed in the root) or one built from a tree; to
the lab each is a `Kernel`: an image, a directory of modules and a release. The stock one stays
untouched. Debian builds the vDPA bus but almost none of its parents, so those are compiled
unchanged from Debian's own source package of the same version, as out-of-tree modules into
build/kernels/RELEASE/extra, and found there by `modules` beside the stock ones.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional

from . import paths, proc, root
from .say import BrokenEnvironment, LabError

# The kernels the lab can hold: series -> whether it comes from backports.
SERIES = {"6.12": False, "7.2": True}
DEFAULT = "6.12"

# What is compiled from the source package: symbols of drivers/vdpa and drivers/vhost.
PARENTS = ("CONFIG_VDPA_SIM=m CONFIG_VDPA_SIM_NET=m CONFIG_VDPA_SIM_BLOCK=m CONFIG_IFCVF=m "
           "CONFIG_VP_VDPA=m CONFIG_ALIBABA_ENI_VDPA=m CONFIG_OCTEONEP_VDPA=m CONFIG_SNET_VDPA=m")

_BUILD = r"""
set -e
release=$1
series=$2
version=$3
work=/var/tmp/parents-$release
rm -rf "$work"
mkdir -p "$work"
cd "$work"
apt-get -q -o Acquire::Retries=3 -o APT::Sandbox::User=root download "linux-source-$series=$version"
dpkg-deb --fsys-tarfile ./*.deb | tar -xO "./usr/src/linux-source-$series.tar.xz" |
        xz -dc -T0 | tar -x --strip-components=2 --wildcards \
        "linux-source-$series/drivers/vdpa" "linux-source-$series/drivers/vhost/vringh.c"
rm -f ./*.deb
# Each directory stays as it is; the bus itself (vdpa.o) and VDUSE are Debian's.
mv vhost vringh
printf 'obj-m := vringh.o\n' >vringh/Makefile
printf 'obj-y := vringh/ vdpa/\n' >Makefile
make -j"$(nproc)" -C "/usr/src/linux-headers-$release" M="$work" \
        KCFLAGS=-DCONFIG_VHOST_RING_MODULE=1 CONFIG_VHOST_RING=m \
        CONFIG_VDPA=n CONFIG_VDPA_USER=n CONFIG_MLX5_VDPA=n CONFIG_PDS_VDPA=n \
        CONFIG_VIRTIO_VDPA=n $4 modules
mkdir -p "/var/tmp/extra-$release"
rm -f "/var/tmp/extra-$release"/*
find "$work" -name '*.ko' -exec cp {} "/var/tmp/extra-$release/" \;
rm -rf "$work"
"""

BUILD_RECIPE = _BUILD + PARENTS


@dataclass
class Kernel:
    """A kernel that a guest can boot."""

    release: str
    image: Path
    # Directories with *.ko, *.ko.xz or *.ko.zst; a later one wins.
    module_dirs: List[Path]
    _files: Dict[str, Path] = field(default_factory=dict, repr=False)
    _needs: Dict[str, List[str]] = field(default_factory=dict, repr=False)
    _builtin: Dict[str, str] = field(default_factory=dict, repr=False)

    def _index(self) -> None:
        if self._files:
            return
        for directory in self.module_dirs:
            for file in directory.rglob("*.ko*"):
                self._files[file.name.split(".ko")[0].replace("-", "_")] = file
            builtin = directory / "modules.builtin"
            if builtin.is_file():
                for text in builtin.read_text().splitlines():
                    name = Path(text).name.split(".ko")[0].replace("-", "_")
                    self._builtin[name] = text
            dep = directory / "modules.dep"
            if dep.is_file():
                for text in dep.read_text().splitlines():
                    module, _, needs = text.partition(":")
                    name = Path(module).name.split(".ko")[0].replace("-", "_")
                    self._needs[name] = [Path(n).name.split(".ko")[0].replace("-", "_")
                                         for n in needs.split()]

    def has(self, name: str) -> bool:
        """Whether a module exists, or is built in."""
        self._index()
        return name in self._files or name in self._builtin

    def modules(self, names: List[str]) -> List[Path]:
        """The files of modules and of all they need, in the order in which they load."""
        self._index()
        wanted: Dict[str, Path] = {}

        def add(name: str, by: str) -> None:
            name = name.replace("-", "_")
            if name in wanted or name in self._builtin:
                return
            file = self._files.get(name)
            if file is None:
                raise BrokenEnvironment(
                    f"kernel {self.release} has no module {name}{by}: run `make setup`, or take a "
                    "kernel whose configuration has it")
            needs = self._needs.get(name)
            if needs is None:
                needs = depends(file)
            for other in needs:
                add(other, f" (needed by {name})")
            wanted[name] = file

        for name in names:
            add(name, "")
        return list(wanted.values())


def read_module(file: Path) -> bytes:
    """A module's ELF image."""
    data = file.read_bytes()
    if file.suffix == ".xz":
        import lzma
        return lzma.decompress(data)
    if file.suffix == ".zst":
        import subprocess
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE,
                              check=True).stdout
    return data


def depends(file: Path) -> List[str]:
    """What a module says it needs (`depends=` in its .modinfo)."""
    match = re.search(rb"(?:^|\0)depends=([^\0]*)\0", read_module(file))
    names = match.group(1).decode() if match else ""
    return [name for name in names.split(",") if name]


def _headers(series: str) -> List[str]:
    """Version and name of the headers package of a Debian kernel series in the root."""
    number, name = root.available("linux-headers-amd64",
                                  rf"linux-headers-{re.escape(series)}\.[^ ]*-amd64")
    return [number, name]


def install(series: str) -> str:
    """Install a Debian kernel's headers (which bring the image) in the root; its release."""
    number, name = _headers(series)
    release = name[len("linux-headers-"):]
    root.install([name, f"linux-image-{release}"], backports=SERIES[series])
    pin = paths.KERNELS / series
    pin.parent.mkdir(parents=True, exist_ok=True)
    pin.write_text(f"{release} {number}\n")
    return release


def build_parents(series: str) -> None:
    """Compile the vDPA parents for an installed Debian kernel."""
    release, number = _pinned(series)
    root.logged("sh", "-c", _BUILD, "parents", release, series, number, PARENTS,
                name=f"parents-{series}", deadline=900,
                what=f"building the vDPA parents for {release}")
    extra = paths.KERNELS / release / "extra"
    proc.run(["rm", "-rf", extra])
    extra.parent.mkdir(parents=True, exist_ok=True)
    built = paths.ROOT / "var/tmp" / f"extra-{release}"
    proc.run(["cp", "-r", built, extra])
    proc.run(["rm", "-rf", built])


def _pinned(series: str) -> List[str]:
    try:
        return (paths.KERNELS / series).read_text().split()
    except OSError:
        raise BrokenEnvironment(f"kernel {series} is not set up: run `make setup`") from None


def debian(series: str = DEFAULT) -> Kernel:
    """A Debian kernel from the root."""
    release = _pinned(series)[0]
    image = paths.ROOT / "boot" / f"vmlinuz-{release}"
    if not image.is_file():
        raise BrokenEnvironment(f"{image} is not there: run `make setup`")
    return Kernel(release, image, [paths.ROOT / "usr/lib/modules" / release,
                                   paths.KERNELS / release / "extra"])


def from_tree(tree: Path, modules: Optional[Path] = None) -> Kernel:
    """A kernel built in a tree; `modules` is where its modules were installed to."""
    image = tree / "arch/x86/boot/bzImage"
    if not image.is_file():
        raise LabError(f"{tree} holds no built kernel: run make bzImage modules in it")
    release = (tree / "include/config/kernel.release").read_text().strip()
    return Kernel(release, image, [modules or tree])
