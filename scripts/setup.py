#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Set up what the lab needs beyond the machine's own packages.

QEMU (where the machine's own is too old), a guest kernel, the vDPA parents and the guest's tools
come from a Debian root under build/. Each step is stamped with a hash of its recipe.

usage: setup.py [--kernel SERIES]... [--clean [--all]]
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import List

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import kernels, paths, qemu, root, say, steps  # noqa: E402


def clean(everything: bool) -> int:
    """Remove what was built; the root only when asked for it."""
    keep = {paths.ROOT, paths.STAMPS, paths.KERNELS}
    if not paths.BUILD.exists():
        return 0
    with steps.lock():
        for entry in paths.BUILD.iterdir():
            if everything or entry not in keep:
                if entry.is_dir() and not entry.is_symlink():
                    root.remove_tree(entry)
                else:
                    entry.unlink()
    return 0


def plan(series: List[str]) -> List[steps.Step]:
    """The steps, in order."""
    base = steps.Step("root", root.SUITE, root.BACKPORTS)
    tools = steps.Step("tools", base.key, root.TOOLS)
    found = [base, tools]
    for name in series:
        kernel = steps.Step(f"kernel-{name}", base.key)
        found += [kernel, steps.Step(f"parents-{name}", kernel.key, kernels.BUILD_RECIPE)]
    if not qemu.machine_has_one():
        found.append(steps.Step("qemu", base.key, root.QEMU))
    found.append(steps.Step("accelerator", base.key, qemu.accelerator_recipe()))
    return found


def do(step: str) -> str:
    """Do one step; what there is to say about it."""
    if step == "root":
        root.make()
        return f"Debian {root.SUITE} in build/root"
    if step == "tools":
        root.install(root.TOOLS.split())
        return "tools for the guest"
    if step == "qemu":
        root.install([root.QEMU], backports=True)
        return f"QEMU {root.version(root.QEMU)}"
    if step.startswith("kernel-"):
        return f"Debian's {kernels.install(step[len('kernel-'):])}"
    if step.startswith("parents-"):
        kernels.build_parents(step[len("parents-"):])
        return "vdpa_sim, ifcvf, vp_vdpa and others, as modules"
    return qemu.choose_accelerator()


TITLES = {
    "root": "making a Debian root",
    "tools": "installing the guest's tools",
    "qemu": "installing QEMU",
    "kernel": "installing the guest's kernel and its headers",
    "parents": "compiling the vDPA parents",
    "accelerator": "trying KVM",
}


def set_up(series: List[str]) -> int:
    """Do the steps that are not done."""
    with steps.lock():
        todo = [step for step in plan(series) if not step.done]
        if not todo:
            return 0
        if os.geteuid() != 0:
            raise say.BrokenEnvironment("set-up makes a Debian root and needs root: run it by "
                                        "sudo, or as root")
        started = time.monotonic()
        say.line("set-up")
        for step in todo:
            with say.Task(TITLES[step.name.split("-")[0]], always=True) as task:
                step.forget()
                task.result = do(step.name)
            step.finish()
        say.line(f"set-up: done in {time.monotonic() - started:.0f} s")
    return 0


def main() -> int:
    """Parse the command line and go."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", action="append", default=[], choices=sorted(kernels.SERIES),
                        help="hold this Debian kernel too")
    parser.add_argument("--clean", action="store_true", help="remove what was built")
    parser.add_argument("--all", action="store_true", help="with --clean: the Debian root too")
    options = parser.parse_args()
    if options.clean:
        return clean(options.all)
    series = [kernels.DEFAULT] + [s for s in options.kernel if s != kernels.DEFAULT]
    return set_up(series)


if __name__ == "__main__":
    say.main(main)
