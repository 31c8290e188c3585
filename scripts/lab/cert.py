# SPDX-License-Identifier: BSD-3-Clause
"""`vqcert`, its reports and their totals.

`vqcert run -o DIR` leaves a report in each format; here they are collected under build/reports, by
a name for the parent, whether the suite ran on this machine or in a guest.
"""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from . import paths, proc
from .guest import Guest
from .say import BrokenEnvironment, LabError

VERDICTS = ("pass", "fail", "skip", "broken", "xfail", "xpass")
BAD = ("fail", "broken", "xpass")
# In a guest under TCG on a busy machine a check has more time to end.
SLOW = ("--timeout", "60")
FORMATS = {"json": "json", "junit": "xml", "tap": "tap"}


class Report:
    """What a run of the suite found."""

    def __init__(self, name: str, status: int, text: str) -> None:
        self.name = name
        self.status = status
        try:
            self.data = json.loads(text)
        except ValueError as error:
            raise LabError(f"vqcert printed no JSON for {name} (status {status}): "
                           f"{text.strip()[-300:]!r}") from error

    @property
    def checks(self) -> List[dict]:
        return self.data["checks"]

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def bad(self) -> List[dict]:
        return [c for c in self.checks if c["verdict"].lower() in BAD]

    def totals(self) -> Dict[str, int]:
        """How many checks of each verdict."""
        return {v: sum(c["verdict"].lower() == v for c in self.checks) for v in VERDICTS}

    def by_area(self) -> Dict[str, Dict[str, int]]:
        """The same for each area."""
        areas: Dict[str, Dict[str, int]] = {}
        for check in self.checks:
            area = areas.setdefault(check["name"].split(".")[0], dict.fromkeys(VERDICTS, 0))
            area[check["verdict"].lower()] += 1
        return areas

    def summary(self) -> str:
        """One line."""
        totals = self.totals()
        parts = [f"{totals['pass']} passed"]
        parts += [f"{totals[v]} {v}" for v in VERDICTS[1:] if totals[v]]
        return f"{len(self.checks)} checks: {', '.join(parts)}"

    def complaints(self, most: int = 8) -> List[str]:
        """A line for each check that is not as it should be."""
        lines = []
        for check in self.bad[:most]:
            why = (check.get("diagnosis") or "").strip().splitlines()
            lines.append(f"{check['verdict']} {check['name']}: {why[0] if why else ''}")
        if len(self.bad) > most:
            lines.append(f"and {len(self.bad) - most} more")
        return lines


def _arguments(parent: str, peer: str, seed: Optional[int], options: Sequence[str],
               select: Sequence[str]) -> List[str]:
    argv = ["run", parent, "--format", "json"]
    if peer:
        argv += ["--peer", peer]
    if seed is not None:
        argv += ["--seed", str(seed)]
    return argv + list(options) + list(select)


def _keep(name: str, files: Dict[str, str]) -> None:
    """Put reports under build/reports by the name of the parent."""
    paths.REPORTS.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        suffix = Path(file).suffix.lstrip(".")
        if suffix in FORMATS.values():
            (paths.REPORTS / f"{name}.{suffix}").write_text(text)


def _judge(name: str, status: int, out: str, err: str) -> Report:
    if status in (2, 3, 4) and not out.strip().startswith("{"):
        lines = [text for text in err.strip().splitlines() if text] or [f"status {status}"]
        kind = BrokenEnvironment if status == 3 else LabError
        raise kind(lines[-1])
    if status < 0 or status > 4:
        raise LabError(f"vqcert on {name} ended with status {status}: {err.strip()[-500:]}")
    report = Report(name, status, out)
    if report.data.get("error"):
        raise (BrokenEnvironment if status == 3 else LabError)(report.data["error"])
    return report


def run(name: str, parent: str, peer: str = "", seed: Optional[int] = None,
        select: Sequence[str] = (), options: Sequence[str] = (), deadline: float = 300.0,
        binary: Optional[Path] = None, netns: str = "", keep: bool = True,
        env: Optional[dict] = None) -> Report:
    """Run the suite on this machine."""
    binary = binary or paths.VQCERT
    if not binary.exists():
        raise LabError(f"{binary} is not built: run `make`")
    directory = paths.BUILD / "tmp" / f"{name}.reports"
    shutil.rmtree(directory, ignore_errors=True)
    more = list(options)
    if keep:
        directory.mkdir(parents=True)
        more += ["-o", str(directory)]
    found = proc.run([binary, *_arguments(parent, peer, seed, more, select)], deadline,
                     netns=netns, check=False, env=env)
    report = _judge(name, found.status, found.out, found.err)
    if keep:
        files = {f.name: f.read_text() for f in directory.iterdir() if f.is_file()}
        shutil.rmtree(directory, ignore_errors=True)
        _keep(name, {**files, f"{name}.json": found.out})
    return report


def run_in_guest(guest: Guest, name: str, parent: str, peer: str = "",
                 seed: Optional[int] = None, select: Sequence[str] = (),
                 options: Sequence[str] = (), deadline: float = 300.0) -> Report:
    """Run the suite in a guest, and fetch its reports."""
    directory = f"/tmp/{name}"
    argv = _arguments(parent, peer, seed, [*options, "-o", directory], select)
    answer = guest.run(f"mkdir -p {directory}; exec /lab/vqcert {shlex.join(argv)}", deadline,
                       check=False)
    report = _judge(name, answer.status, answer.out, answer.err)
    names = guest.run(f"ls {directory}").out.split()
    files = {n: guest.read_file(f"{directory}/{n}") for n in names
             if Path(n).suffix in (".xml", ".tap")}
    _keep(name, {**files, f"{name}.json": answer.out})
    return report


def can(command: str) -> bool:
    """Whether the suite knows a command."""
    found = proc.run([paths.VQCERT, "--help"], check=False)
    return re.search(rf"^ +(vqcert )?{command}\b", found.out, re.M) is not None


def able(binary: Optional[Path] = None) -> bool:
    """Whether the suite has checks at all."""
    if not (binary or paths.VQCERT).exists():
        return False
    found = proc.run([binary or paths.VQCERT, "list", "--format", "json"], check=False)
    try:
        return bool(json.loads(found.out)["checks"])
    except (ValueError, KeyError):
        return False


def table(reports: Sequence[Report]) -> List[str]:
    """Verdicts by area and parent, for people."""
    areas: List[str] = []
    for report in reports:
        areas += [a for a in report.by_area() if a not in areas]
    cells = [["area"] + [r.name for r in reports]]
    for area in sorted(areas) + ["all"]:
        row = [area]
        for report in reports:
            counts = report.totals() if area == "all" else report.by_area().get(area, {})
            row.append(", ".join(f"{counts[v]} {v}" for v in VERDICTS if counts.get(v)) or "-")
        cells.append(row)
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in cells]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]
