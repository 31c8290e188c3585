# SPDX-License-Identifier: BSD-3-Clause
"""A Debian root under build/ for what the machine lacks.

mmdebstrap makes a small trixie there, from the mirror that this machine's own apt uses (or from
mmdebstrap's default); apt inside it then adds groups of packages, so that a longer list later
installs only what is new. Commands run in it by chroot(1) under `unshare --mount`: whatever is
mounted for them goes away with them, and nothing can be left mounted when the tree is removed.
"""

import re
import shlex
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from . import paths, proc
from .say import BrokenEnvironment, LabError, line

SUITE = "trixie"
BACKPORTS = "trixie-backports"

# In the order of installation: what comes from backports goes last, so that it upgrades the few
# libraries it needs, and nothing else does. Names with a * are resolved by kernels.py.
TOOLS = ("busybox-static iproute2 iperf3 kmod ethtool xz-utils zstd make")
QEMU = "qemu-system-x86"

_ENTER = r"""
set -e
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
if [ -e /etc/resolv.conf ]; then
        [ -e "$root/etc/resolv.conf" ] || : >"$root/etc/resolv.conf"
        mount --bind "$(readlink -f /etc/resolv.conf)" "$root/etc/resolv.conf"
fi
exec chroot "$root" "$@"
"""

_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C.UTF-8",
    # No initramfs for the root's kernels: the lab makes its own.
    "INITRD": "No",
}

APT = ["apt-get", "-q", "-y", "--no-install-recommends",
       "-o", "Dpkg::Options::=--force-unsafe-io", "-o", "Dpkg::Use-Pty=0",
       "-o", "Acquire::Retries=3"]


def inside(*command: str) -> List[str]:
    """The command line that runs a command in the root."""
    return ["unshare", "--mount", "--", "sh", "-c", _ENTER, "enter", str(paths.ROOT), *command]


def run(*command: str, deadline: float = 120.0, check: bool = True) -> proc.Result:
    """Run a short command in the root."""
    return proc.run(inside(*command), deadline, env=_ENVIRONMENT, check=check)


def logged(*command: str, name: str, deadline: float, what: str) -> None:
    """Run a long command in the root."""
    proc.logged(inside(*command), name, deadline, what, env=_ENVIRONMENT)


def mounted_below(tree: Path) -> List[str]:
    """Mount points in a tree."""
    prefix = str(tree.resolve())
    points = [text.split()[4] for text in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [p for p in points if p == prefix or p.startswith(prefix + "/")]


def remove_tree(tree: Path) -> None:
    """Remove a tree, unless something is mounted in it."""
    if not tree.exists():
        return
    points = mounted_below(tree)
    if points:
        raise LabError(f"{points[0]} is mounted inside {tree}: unmount it, then try again")
    proc.run(["rm", "-rf", "--one-file-system", tree], 300)


def _machine_release() -> Dict[str, str]:
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return {}
    return dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.M))


def machine_sources() -> List[str]:
    """Lines for sources.list made from this machine's own mirrors; empty if it has none."""
    release = _machine_release()
    codename = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian" or not codename:
        return []
    found = proc.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)",
                      "Created-By: Packages"], check=False)
    mirrors: Dict[str, str] = {}
    for text in found.out.splitlines():
        uri, _, suite = text.partition(" ")
        if re.match(r"https?://", uri):
            mirrors.setdefault(suite, uri)
    main = mirrors.get(codename)
    if not main:
        return []
    lines = [f"deb {main} {SUITE} main", f"deb {main} {SUITE}-updates main",
             f"deb {main} {BACKPORTS} main"]
    security = mirrors.get(f"{codename}-security")
    if security:
        lines.append(f"deb {security} {SUITE}-security main")
    return lines


def machine_apt_options() -> List[str]:
    """The machine's apt settings that decide whether a mirror can be reached and used."""
    found = proc.run(["apt-config", "dump"], check=False)
    wanted = re.compile(r"^(Acquire::(http|https|HTTP|HTTPS)::[^ ]*Proxy[^ ]*|"
                        r"Acquire::Check-(Valid-Until|Date)) \".+\";$")
    return [text for text in found.out.splitlines() if wanted.match(text)]


def _mmdebstrap(tree: Path, sources: Sequence[str]) -> None:
    hooks = ['--customize-hook=printf "#!/bin/sh\\nexit 101\\n" >"$1/usr/sbin/policy-rc.d"; '
             'chmod 755 "$1/usr/sbin/policy-rc.d"']
    if not sources:
        # mmdebstrap's default mirrors, and backports from the first of them.
        hooks.append(f'--setup-hook=sed -n "s/^\\(deb .*\\) {SUITE} main$/\\1 {BACKPORTS} main/p" '
                     '"$1/etc/apt/sources.list" >"$1/etc/apt/sources.list.d/backports.list"')
    options = [f"--aptopt={option.rstrip(';')}" for option in machine_apt_options()]
    proc.logged(
        # It mounts what the root needs while it works; in a namespace of its own none of that can
        # stay, whenever it is interrupted.
        ["unshare", "--mount", "--", "mmdebstrap", "--variant=apt", "--components=main",
         "--mode=root", "--skip=cleanup/apt/lists", "--dpkgopt=force-unsafe-io",
         "--aptopt=Acquire::Languages \"none\"", "--aptopt=APT::Install-Recommends \"false\"",
         *options, *hooks, SUITE, tree, *sources],
        "mmdebstrap", 600, "making the Debian root")


def make() -> None:
    """Make the root anew. It appears under its name only when it is complete."""
    temporary = paths.BUILD / "root.new"
    remove_tree(temporary)
    sources = machine_sources()
    try:
        _mmdebstrap(temporary, sources)
    except LabError as error:
        if not sources:
            raise BrokenEnvironment(f"{error}\nCheck the network and the mirror in "
                                    "/etc/apt/sources.list, then try again") from error
        line("  the machine's own mirror does not serve it; trying mmdebstrap's default")
        remove_tree(temporary)
        _mmdebstrap(temporary, [])
    remove_tree(paths.ROOT)
    temporary.rename(paths.ROOT)


def install(packages: Sequence[str], backports: bool = False) -> None:
    """Install packages in the root; resumes what was interrupted."""
    run("dpkg", "--configure", "-a", "--force-unsafe-io", deadline=300, check=False)
    target = ["-t", BACKPORTS] if backports else []
    logged(*APT, *target, "install", *packages, name="apt", deadline=900,
           what=f"installing {shlex.join(packages[:3])} ... in build/root")
    run("apt-get", "clean")


def version(package: str) -> str:
    """The installed version of a package in the root, or nothing."""
    found = run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package, check=False)
    status, _, number = found.out.partition(" ")
    return number if status == "installed" else ""


def available(package: str, pattern: str) -> Tuple[str, str]:
    """The version of a metapackage whose dependencies match a pattern, and the match."""
    found = run("apt-cache", "show", package, check=False)
    for stanza in found.out.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.M))
        match = re.search(pattern, fields.get("Depends", ""))
        if match:
            return fields["Version"], match.group(0)
    raise LabError(f"no version of {package} in build/root depends on {pattern}: "
                   "run `make clean ALL=1` and `make setup`")
