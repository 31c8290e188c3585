#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Formatters, static analysis, and the rules of the house that a script can check.

The rules: sim/ and conformance/ share no code (conformance/parent/sim.c, which includes vqnic.h, is
the exception); calls in sim/ go down, so no file includes a header of a room above its own; only
the fabric touches SystemC; each file has its SPDX line; nothing names a machine or a mirror.

usage: lint.py [--quick]    without clang-tidy and cppcheck
"""

import argparse
import ast
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Callable, List

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import paths, proc, say  # noqa: E402
from lab.say import Task, line  # noqa: E402

# From the top to the ground; a room may include its own headers and those of rooms further down.
ROOMS = ("attach", "pci", "device", "datapath", "fabric")
COLOUR = re.compile("\x1b\\[[0-9;]*m")
TEXT = {".c", ".h", ".cpp", ".py", ".sh", ".build", ".ini", ".def", ".md", ".yml", ".yaml", ".txt"}


def tracked(*suffixes: str) -> List[Path]:
    """Files that git knows, by suffix; all of them without one."""
    found = proc.run(["git", "-C", paths.REPO, "ls-files"]).out.splitlines()
    files = [paths.REPO / name for name in found]
    return [f for f in files if f.is_file() and (not suffixes or f.suffix in suffixes)]


def name_of(file: Path) -> str:
    """A file by its name in the repo."""
    return str(file.relative_to(paths.REPO))


def _tool(argv: List[str], deadline: float = 900) -> List[str]:
    if shutil.which(argv[0]) is None:
        return [f"{argv[0]} is not installed"]
    found = proc.run(argv, deadline, check=False, cwd=paths.REPO)
    if found.status == 0:
        return []
    text = COLOUR.sub("", found.out + found.err).replace(f"{paths.REPO}/", "")
    return [t for t in text.splitlines() if t.strip()] or [f"{argv[0]} failed"]


def check_format() -> List[str]:
    """clang-format agrees with each C file."""
    files = [name_of(f) for f in tracked(".c", ".h", ".cpp")]
    found = _tool(["clang-format", "--dry-run", "-Werror", *files]) if files else []
    places = [t.split(":")[0] for t in found if "error:" in t]
    return [t for t in found if "not installed" in t] + [
        f"{name}: {places.count(name)} places; run clang-format -i" for name in set(places)]


def check_python() -> List[str]:
    """Each Python file compiles and keeps to PEP 8 with 100 columns."""
    files = tracked(".py")
    found = []
    for file in files:
        try:
            ast.parse(file.read_text(), str(file))
        except SyntaxError as error:
            found.append(f"{name_of(file)}:{error.lineno}: {error.msg}")
    return found + _tool(["pycodestyle", "--max-line-length=100", *[name_of(f) for f in files]])


def check_sharing() -> List[str]:
    """sim/ and conformance/ share no code."""
    found = []
    ours = {top: {f.name for f in tracked(".h") if name_of(f).startswith(top + "/")}
            for top in ("sim", "conformance")}
    for file in tracked(".c", ".h", ".cpp"):
        name = name_of(file)
        top = name.split("/")[0]
        other = {"sim": "conformance", "conformance": "sim"}.get(top)
        if other is None:
            continue
        for number, text in enumerate(file.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', text)
            if not match:
                continue
            header = match.group(1)
            local = Path(header).name
            foreign = header.startswith(f"{other}/") or f"/{other}/" in header or (
                local in ours[other] and local not in ours[top])
            allowed = name == "conformance/parent/sim.c" and local == "vqnic.h"
            if foreign and not allowed:
                found.append(f"{name}:{number}: includes {header}, which is {other}'s")
    return found


def check_rooms() -> List[str]:
    """Calls in sim/ go down: no header of a room above."""
    found = []
    for file in tracked(".c", ".h", ".cpp"):
        parts = name_of(file).split("/")
        if parts[0] != "sim" or len(parts) < 3 or parts[1] not in ROOMS:
            continue
        if file.stem.endswith("_test"):
            continue
        above = ROOMS[:ROOMS.index(parts[1])]
        for number, text in enumerate(file.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"(?:\.\./)*(\w+)/', text)
            if match and match.group(1) in above:
                found.append(f"{name_of(file)}:{number}: includes a header of {match.group(1)}/, "
                             "a room above its own")
            if "systemc" in text and parts[1] != "fabric" and "#include" in text:
                found.append(f"{name_of(file)}:{number}: only the fabric may know SystemC")
    return found


def check_text() -> List[str]:
    """SPDX on each file; no machine, mirror or workshop named."""
    found = []
    # Put together, so that this file does not find itself.
    banned = re.compile("|".join(["/" + "work/", "shared" + "/[a-z]", r"https?://[^ \"']*"
                                  "(?:mirror|snapshot|artifact|proxy|deb)" + r"[.\w-]*\."]))
    for file in tracked():
        name = name_of(file)
        if file.suffix not in TEXT and file.suffix:
            continue
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        if "LICENSES" not in name and file.suffix not in (".md", ".txt") and \
                "SPDX-License-Identifier" not in text[:600] and text.strip():
            found.append(f"{name}:1: no SPDX-License-Identifier line")
        for number, content in enumerate(text.splitlines(), 1):
            if banned.search(content):
                found.append(f"{name}:{number}: names a machine, a mirror or a path of one: "
                             f"{content.strip()[:80]}")
    return found


def check_cppcheck() -> List[str]:
    """cppcheck on the C files."""
    found = _tool(["cppcheck", "--quiet", "--enable=warning,portability", "--inline-suppr",
                   "--error-exitcode=1", f"-j{os.cpu_count()}", "--suppress=missingIncludeSystem",
                   "--template={file}:{line}: {id}: {message}",
                   f"--project={paths.BUILD / 'meson' / 'compile_commands.json'}"])
    return [t for t in found if re.match(r"\S+:\d+: ", t) or "not installed" in t]


def check_tidy() -> List[str]:
    """clang-tidy on the C files."""
    runner = shutil.which("run-clang-tidy") or shutil.which("run-clang-tidy-14")
    if runner is None:
        return ["run-clang-tidy is not installed"]
    database = paths.BUILD / "meson"
    if not (database / "compile_commands.json").exists():
        return [f"{database}/compile_commands.json is missing: run `make build` first"]
    said = _tool([runner, "-quiet", "-p", str(database), f"-j{os.cpu_count()}",
                  r"/(sim|conformance)/.*\.c$"], 1800)
    found = [t for t in said if re.search(r":\d+:\d+: (error|warning): ", t)]
    return found


def main() -> int:
    """Run the checks and say what they found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without clang-tidy and cppcheck")
    options = parser.parse_args()
    checks: List[Callable[[], List[str]]] = [
        check_format, check_python, check_sharing, check_rooms, check_text]
    if not options.quick:
        checks += [check_cppcheck, check_tidy]
    failed = 0
    for check in checks:
        title = (check.__doc__ or "").rstrip(".")
        with Task(title, always=True) as task:
            found = check()
            task.result = f"{len(found)} complaints" if found else "yes"
        for text in sorted(set(found))[:40]:
            line(f"    {text}")
        failed += bool(found)
    line(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    say.main(main)
