#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Everything that is tested on every change.

Jobs, each with a tally of its own, run on as many threads as there are processors:

    unit      the C unit tests, under AddressSanitizer and UndefinedBehaviorSanitizer
    suite     `vqcert run sim:...` under the sanitizers: each profile on the direct and the delayed
              fabric, with windows of 1 and 64 and several seeds
    prove     `vqcert prove`: each seeded defect is killed, each check kills one
    scripts   pytest over scripts/tests: the lab, vfio-user, the guests

The last line sums them all: each C test program, each verdict of the suite, each defect and each
pytest test counts as one.

usage: test.py [--full] [JOB...]
"""

import argparse
import json
import os
import queue
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import cert, owned, paths, proc, say  # noqa: E402
from lab.say import line  # noqa: E402

ASAN = paths.BUILD / "asan"
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99:print_stacktrace=1",
}
PROFILES = ("ifcvf", "ifcvf-dpdk", "virtio-net")
FABRICS = ("", "fabric=delayed,window=1", "fabric=delayed,window=64")


@dataclass
class Tally:
    """What a job has found."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    complaints: List[str] = field(default_factory=list)

    def add(self, ok: bool, complaint: str) -> None:
        """Count one thing."""
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            self.complaints.append(complaint)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def program(builddir: Path, name: str) -> Path:
    """A program in a build directory of meson's."""
    for path in (builddir / "conformance" / name, builddir / "sim" / name):
        if path.exists():
            return path
    raise say.LabError(f"{name} is not built in {builddir}: run `make asan`")


def unit() -> Tally:
    """The C unit tests."""
    tally = Tally()
    log = ASAN / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    child = proc.Child(["meson", "test", "-C", ASAN, "--no-rebuild", "--num-processes", "1"],
                       "unit", env={**os.environ, **SANITIZERS})
    try:
        child.wait(600)
    finally:
        child.stop()
    for text in log.read_text().splitlines() if log.exists() else ():
        result = json.loads(text)
        if result["result"] == "SKIP":
            tally.skipped += 1
        else:
            output = (result.get("stdout", "") + result.get("stderr", "")).strip()
            tally.add(result["result"] in ("OK", "EXPECTEDFAIL"),
                      f"{result['name']}: {result['result']}\n" + "\n".join(
                          f"    {t}" for t in output.splitlines()[-15:]))
    return tally


def suites(address: str, seeds: Sequence[int]) -> Callable[[], Tally]:
    """The suite on one simulated NIC, under the sanitizers, with one seed after the other."""
    def job() -> Tally:
        tally = Tally()
        for seed in seeds:
            report = cert.run(address.replace(":", "-"), address, seed=seed,
                              options=["--jobs", "1"], deadline=300, keep=False,
                              binary=program(ASAN, "vqcert"), env={**os.environ, **SANITIZERS})
            totals = report.totals()
            tally.passed += totals["pass"] + totals["xfail"]
            tally.skipped += totals["skip"]
            tally.failed += len(report.bad)
            tally.complaints += [f"seed {seed}: {text}" for text in report.complaints()]
            if not report.bad and not report.ok:
                tally.add(False, f"seed {seed}: exit status {report.status}")
        return tally
    return job


def prove() -> Tally:
    """Each seeded defect is killed, and each check kills one."""
    tally = Tally()
    found = proc.run([paths.VQCERT, "prove", "--format", "json"], 900, check=False)
    try:
        data = json.loads(found.out)
    except ValueError:
        tally.add(False, f"vqcert prove (status {found.status}): {found.err.strip()[-400:]}")
        return tally
    for defect in data["defects"]:
        tally.add(bool(defect["killed_by"]), f"{defect['name']} survives")
    for check in data["idle_checks"]:
        tally.add(False, f"{check} kills no defect")
    if not tally.failed and found.status:
        tally.add(False, f"exit status {found.status}: {found.err.strip()[-400:]}")
    paths.REPORTS.mkdir(parents=True, exist_ok=True)
    (paths.REPORTS / "prove.json").write_text(found.out)
    return tally


def scripts(files: Tuple[str, ...]) -> Callable[[], Tally]:
    """pytest over some files of scripts/tests."""
    def job() -> Tally:
        tally = Tally()
        name = files[0]
        results = paths.BUILD / "tmp" / f"{name}.xml"
        results.parent.mkdir(parents=True, exist_ok=True)
        results.unlink(missing_ok=True)
        child = proc.Child(
            [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
             f"--junitxml={results}", *[paths.REPO / "scripts/tests" / f for f in files]],
            f"pytest-{name}")
        try:
            status = child.wait(900)
        finally:
            child.stop(20)
        if not results.exists():
            tally.add(False, f"pytest on {name} ended with status {status}:\n{child.tail()}")
            return tally
        for case in ElementTree.parse(results).getroot().iter("testcase"):
            bad = case.find("failure")
            bad = case.find("error") if bad is None else bad
            if case.find("skipped") is not None:
                tally.skipped += 1
            else:
                text = (bad.text or "") if bad is not None else ""
                tally.add(bad is None, f"{case.get('classname', '').split('.')[-1]}."
                          f"{case.get('name')}\n" + "\n".join(
                              f"    {t}" for t in text.splitlines()[-12:]))
        return tally
    return job


def plan(full: bool) -> Dict[str, Callable[[], Tally]]:
    """The jobs, longest first."""
    jobs: Dict[str, Callable[[], Tally]] = {}
    tests = paths.REPO / "scripts" / "tests"
    for file in sorted(tests.glob("test_*.py"), key=lambda f: f.stem != "test_flows"):
        jobs[f"scripts {file.stem[len('test_'):]}"] = scripts((file.name,))
    if not cert.able():
        jobs["unit"] = unit
        return jobs
    jobs["unit"] = unit
    if cert.can("prove"):
        jobs["prove"] = prove
    seeds = range(1, 101 if full else 5)
    for profile in PROFILES:
        for fabric in FABRICS:
            address = f"sim:{profile}" + (f",{fabric}" if fabric else "")
            jobs[f"suite {address}"] = suites(address, seeds if fabric else (1,))
    return jobs


class Pool:
    """Runs jobs on some threads and prints a line for each that ends."""

    def __init__(self, jobs: Dict[str, Callable[[], Tally]], threads: int) -> None:
        self._queue: "queue.SimpleQueue[Tuple[str, Callable[[], Tally]]]" = queue.SimpleQueue()
        for item in jobs.items():
            self._queue.put(item)
        self.total = Tally()
        self._lock = threading.Lock()
        self._running: Dict[str, float] = {}
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]

    def _work(self) -> None:
        while True:
            try:
                name, job = self._queue.get_nowait()
            except queue.Empty:
                return
            started = time.monotonic()
            with self._lock:
                self._running[name] = started
            try:
                tally = job()
            except Exception as error:      # a job that breaks is a failed one
                tally = Tally()
                tally.add(False, str(error) or repr(error))
            with self._lock:
                del self._running[name]
                self.total.passed += tally.passed
                self.total.failed += tally.failed
                self.total.skipped += tally.skipped
                line(f"  {name}: {tally} ({time.monotonic() - started:.1f} s)")
                for complaint in tally.complaints:
                    line("    " + complaint.replace("\n", "\n    "))

    def run(self) -> Tally:
        """Run them all; on an interrupt everything under way is ended."""
        for thread in self._threads:
            thread.start()
        told = time.monotonic()
        try:
            while any(thread.is_alive() for thread in self._threads):
                for thread in self._threads:
                    thread.join(0.2)
                with self._lock:
                    running = ", ".join(self._running)
                if time.monotonic() - told > 20 and running:
                    told = time.monotonic()
                    line(f"  running: {running}")
        except KeyboardInterrupt:
            while True:
                try:
                    self._queue.get_nowait()
                except queue.Empty:
                    break
            proc.end_all()
            owned.sweep()
            raise
        return self.total


def main() -> int:
    """Parse the command line and go."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="many more seeds")
    parser.add_argument("job", nargs="*", help="only jobs whose name starts so")
    options = parser.parse_args()
    owned.directory()
    jobs = plan(options.full)
    if options.job:
        jobs = {n: j for n, j in jobs.items() if n.startswith(tuple(options.job))}
        if not jobs:
            raise say.LabError(f"no job starts with {options.job[0]!r}: {', '.join(plan(False))}")
    started = time.monotonic()
    total = Pool(jobs, max(1, os.cpu_count() or 1)).run()
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    line(f"in {time.monotonic() - started:.0f} s{skipped}")
    line(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    say.main(main)
