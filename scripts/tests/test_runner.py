# SPDX-License-Identifier: BSD-3-Clause
"""The runner of the suite goes through every path it has.

`vqcert-fake` is vqcert with a parent and checks of its own (conformance/testing) that end in every
way that a check can end. Each test runs it as a user would, plain and under the sanitizers, and
reads what it says with parsers that forgive nothing.
"""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Dict, List, Optional
from xml.etree import ElementTree

import pytest

from lab import paths

PROGRAMS = {b: paths.BUILD / b / "conformance/testing/vqcert-fake" for b in ("meson", "asan")}
SANITIZERS = {"ASAN_OPTIONS": "exitcode=99:detect_leaks=1", "UBSAN_OPTIONS": "halt_on_error=1"}
VERDICTS = ("PASS", "FAIL", "SKIP", "BROKEN", "XFAIL", "XPASS")
NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
TOTALS = re.compile(r"# Totals: pass:(\d+) fail:(\d+) xfail:(\d+) xpass:(\d+) skip:(\d+) "
                    r"error:(\d+)")
# Some parsers take these for verdicts, wherever they stand.
FORBIDDEN = re.compile(r" FAIL:|\[FAIL\]|^FAIL:|Bail out!")


class Ran:
    """What a call left behind."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> dict:
        return json.loads(self.out)

    @property
    def checks(self) -> Dict[str, dict]:
        return {c["name"]: c for c in self.json["checks"]}


class Fake:
    """vqcert-fake, of one build."""

    def __init__(self, build: str, home: Path) -> None:
        self.build, self.program, self.home = build, PROGRAMS[build], home

    def environment(self, more: Optional[dict] = None) -> dict:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("FAKE_")}
        return {**inherited, **(SANITIZERS if self.build == "asan" else {}), **(more or {})}

    def __call__(self, *argv, env: Optional[dict] = None, **more) -> Ran:
        found = subprocess.run([self.program, *map(str, argv)], env=self.environment(env),
                               cwd=self.home, timeout=60, text=True, errors="strict",
                               **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                                  "stderr": subprocess.PIPE, **more})
        return Ran(found.returncode, found.stdout or "", found.stderr or "")

    def run(self, *select, parent: str = "fake:x", env: Optional[dict] = None, **more) -> Ran:
        return self("run", parent, "--format", "json", *select, env=env, **more)

    def one(self, name: str, *options, **more) -> dict:
        """The only check of a run."""
        found = self.run(name, *options, **more)
        assert list(found.checks) == [name]
        return {**found.checks[name], "status": found.status}


@pytest.fixture(params=sorted(PROGRAMS))
def fake(request, tmp_path):
    """The program under test; each test works in a directory of its own."""
    if not PROGRAMS[request.param].exists():
        pytest.skip(f"build/{request.param} has no vqcert-fake")
    return Fake(request.param, tmp_path)


# ---- How a check ends -----------------------------------------------------------------------


SUITE = "a mistake of the suite"
ENDINGS = {
    "passes": ("PASS", ""),
    "fails": ("FAIL", r"used index: expected 4 \(0x4\), seen 3 \(0x3\)"),
    "skips": ("SKIP", "not # today"),
    "breaks": ("BROKEN", "no memory is left"),
    "hangs": ("FAIL", "no end within 0.2 s, while running the check"),
    "hangs_in_parent_deaf": ("FAIL", "no end within 0.2 s"),
    "crashes": ("BROKEN", f"the check's process .*{SUITE}"),
    "parent_crashes": ("FAIL", "the parent .*inside kick, while running the check"),
    "parent_dies": ("FAIL", "the parent died"),
    "exits": ("BROKEN", f"exited with status 0, while running the check; {SUITE}"),
    "exits_in_parent": ("FAIL", "the parent exited with status 7 inside kick"),
    "is_killed": ("BROKEN", "killed by SIGKILL.*did somebody end it"),
    "fails_then_crashes": ("FAIL", "the parent .*inside reset, while resetting the parent after "
                           "the check"),
    "floods": ("FAIL", "and then it failed"),
    "floods_for_ever": ("FAIL", "no end within 0.3 s"),
    "closes_pipes": ("FAIL", "no end within 1 s"),
    "leaves_child": ("PASS", ""),
    "writes_garbage": ("BROKEN", f"something else than frames.*{SUITE}"),
}


@pytest.fixture(scope="module")
def ends():
    """All checks of the area ends, by build: run once."""
    ran: Dict[str, Dict[str, dict]] = {}

    def of(fake: Fake) -> Dict[str, dict]:
        if fake.build not in ran:
            found = fake.run("ends", "--jobs", 8)
            assert found.status == 1
            ran[fake.build] = found.checks
        return ran[fake.build]
    return of


@pytest.mark.parametrize("name", ENDINGS)
def test_ending(fake, ends, name):
    verdict, diagnosis = ENDINGS[name]
    check = ends(fake)[f"ends.{name}"]
    assert check["verdict"] == verdict, check["diagnosis"]
    assert re.search(diagnosis, check["diagnosis"], re.S)
    assert bool(check["diagnosis"]) == (verdict != "PASS")
    assert check.get("parent_died", False) == (
        name in ("parent_crashes", "parent_dies", "exits_in_parent", "fails_then_crashes"))


def test_first_failure_is_kept(fake, ends):
    """What went wrong first is not lost to a crash that follows."""
    assert ends(fake)["ends.fails_then_crashes"]["diagnosis"].startswith("the first mistake; then ")


def test_signals_have_names(fake, ends):
    if fake.build == "meson":
        assert "SIGSEGV" in ends(fake)["ends.crashes"]["diagnosis"]
        assert "SIGABRT" in ends(fake)["ends.parent_crashes"]["diagnosis"]


def test_crash_of_what_runs_elsewhere_is_no_fault_of_it(fake):
    """A parent behind a kernel or a socket can't make our process crash."""
    check = fake.one("ends.parent_crashes", parent="fake:hardware")
    assert (check["verdict"], check["status"]) == ("BROKEN", 3)
    assert SUITE in check["diagnosis"]


def test_sanitizer(fake, ends):
    check = ends(fake)["ends.overruns_memory"]
    if fake.build == "meson":
        assert check["verdict"] == "SKIP"
        return
    assert check["verdict"] == "FAIL"
    assert "the parent was stopped by a sanitizer inside kick" in check["diagnosis"]
    assert "heap-buffer-overflow" in check["log"]


def test_failure_says_all(fake, ends):
    check = ends(fake)["ends.fails"]
    assert check["steps"] == ["set a base of 65530", "read it back"]
    assert check["operations"] == ["reset()", "reset()"]
    assert check["log"].strip() == "said on the way"
    assert check["requirements"] == ["VDPA-VQ-014", "OPS-VQ-021"]


def test_flood_is_bounded(fake, ends):
    check = ends(fake)["ends.floods"]
    assert len(check["log"]) <= 32 * 1024 and check["log_dropped_bytes"] > 4_000_000
    assert len(check["steps"]) == 64 and check["steps"][-1] == "step 999"
    human = fake("run", "fake:x", "--format", "human", "ends.floods").out
    assert human.count("\n") < 160 and "more lines" in human


def test_deadline_is_kept_under_a_flood(fake):
    started = time.monotonic()
    fake.one("ends.floods_for_ever")
    assert time.monotonic() - started < 10


def test_waiting_costs_nothing(fake):
    """No spinning on pipes that have ended."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    fake.one("ends.closes_pipes")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.7


def children_of_nobody(program: Path) -> List[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "exe").resolve() == program.resolve():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_nothing_lives_on(fake):
    fake.one("ends.leaves_child")
    assert not children_of_nobody(fake.program)


@pytest.mark.parametrize("kind", ["feature", "interface", "peer", "destructive"])
def test_skip_of_a_check(fake, kind):
    check = fake.one(f"skips.{kind}")
    assert (check["verdict"], check["skip_kind"], check["status"]) == ("SKIP", kind, 4)
    assert check["diagnosis"] == "found out on the way"


@pytest.mark.parametrize("name, kind, why", [
    ("suspend", "interface", "the device can't be suspended"),
    ("peer", "peer", "--peer"),
    ("packed", "feature", "VIRTIO_F_RING_PACKED is not offered")])
def test_skip_by_need(fake, name, kind, why):
    check = fake.one(f"needs.{name}")
    assert (check["verdict"], check["skip_kind"], check["status"]) == ("SKIP", kind, 4)
    assert why in check["diagnosis"]


def test_destructive_is_opt_in(fake):
    hardware = {"parent": "fake:hardware"}
    check = fake.one("needs.courage", **hardware)
    assert (check["verdict"], check["skip_kind"]) == ("SKIP", "destructive")
    assert fake.one("needs.courage", "--destructive", **hardware)["verdict"] == "PASS"
    assert fake.one("needs.courage")["verdict"] == "PASS", "a simulator takes no harm"


# ---- Parents --------------------------------------------------------------------------------


@pytest.mark.parametrize("parent, status, sentence", [
    ("fake:absent", 3, "there is no device; plug one in"),
    ("fake:silent", 3, "fake:silent can't be opened: Input/output error"),
    ("fake:mute", 3, "device features can't be read"),
    ("nonsense:x", 2, "no such kind of parent"),
    ("", 2, "no such kind of parent")])
@pytest.mark.parametrize("form", ["tap", "ktap", "json", "junit", "human"])
def test_no_parent(fake, parent, status, sentence, form):
    found = fake("run", parent, "--format", form)
    assert found.status == status
    assert found.err.count("\n") == 1 and sentence in found.err
    if form == "json":
        assert sentence in found.json["error"] and not found.json["checks"]
    elif form == "junit":
        case, = ElementTree.fromstring(found.out).iter("testcase")
        assert sentence in case.find("error").get("message")
    elif form != "human":
        assert found.out.splitlines()[0] in ("TAP version 13", "KTAP version 1")
        assert found.out.splitlines()[1].startswith("Bail out! ")


def test_parent_that_does_not_open_in_time(fake):
    started = time.monotonic()
    found = fake("run", "fake:hanging", "--timeout", "0.1")
    assert found.status == 3 and "opening the parent" in found.err
    assert time.monotonic() - started < 15


def test_parent_that_vanishes(fake):
    """Some deadlines are enough to know."""
    found = fake.run("--jobs", 1, "ends.passes*", "needs", "prove", "slow.first", "slow.third",
                     parent="fake:vanishing", env={"FAKE_COUNTER": fake.home / "count"})
    assert found.status == 3
    ends = [(c["verdict"], c["diagnosis"]) for c in found.json["checks"]]
    assert ends[0] == ("PASS", "")
    broken = [text for verdict, text in ends if verdict == "BROKEN"]
    assert broken[:3] == ["it has vanished"] * 3
    assert set(broken[3:]) == {"not run: the parent could not be opened 3 times in a row: "
                               "it has vanished"}


@pytest.mark.parametrize("parent, diagnosis", [
    ("fake:never-reset", "before the check the parent must reset"),
    ("fake:no-reset", "after the check the parent must reset"),
    ("fake:close-crash", "inside close, while closing the parent")])
def test_parent_fails_around_a_check(fake, parent, diagnosis):
    check = fake.one("ends.passes", parent=parent)
    assert (check["verdict"], check["status"]) == ("FAIL", 1)
    assert diagnosis in check["diagnosis"]


def test_parent_hangs_in_close(fake):
    check = fake.one("prove_idle.sees_nothing", "--timeout", "0.2", parent="fake:close-hang")
    assert check["verdict"] == "FAIL" and "no end within" in check["diagnosis"]


# ---- Options --------------------------------------------------------------------------------


def test_retries(fake):
    attempts = {"FAKE_ATTEMPTS": fake.home / "attempts"}
    check = fake.one("retry.second_attempt", env=attempts)
    assert check["verdict"] == "FAIL" and check["attempts"] == 1
    (fake.home / "attempts").unlink()
    check = fake.one("retry.second_attempt", "--retries", 2, env=attempts)
    assert (check["verdict"], check["attempts"], check["status"]) == ("PASS", 2, 0)
    assert check["notes"] == ["attempt 1 of 3 ended as FAIL (not yet)",
                              "attempt 2 of 3 ended as PASS"]
    (fake.home / "attempts").unlink()
    human = fake("run", "fake:x", "--format=human", "--retries=1", "retry", env=attempts).out
    assert "1 of the passes on a later attempt" in human


def test_retries_end(fake):
    check = fake.one("ends.fails", "--retries", 2)
    assert (check["verdict"], check["attempts"]) == ("FAIL", 3)


def test_require(fake):
    required = fake.home / "required"
    required.write_text("# what we certify\nends.passes\n\nneeds.suspend # must be there\n")
    found = fake.run("--require", required, "ends.passes", "needs.suspend")
    check = found.checks["needs.suspend"]
    assert found.status == 1 and check["verdict"] == "FAIL" and check["required"]
    assert check["diagnosis"] == (f"required by {required}:4, but it can't run (interface): "
                                  "the device can't be suspended")
    required.write_text("ends.passes\n")
    assert fake.run("--require", required, "ends.passes", "needs.suspend").status == 0


@pytest.mark.parametrize("text, sentence", [
    ("ends.passes\nno.such\n", "required:2: no check is called 'no.such'"),
    ("# nothing\n", "names no check"),
    ("needs.suspend\n", "requires needs.suspend, which this selection leaves out"),
    (None, "No such file")])
def test_require_refused(fake, text, sentence):
    required = fake.home / "required"
    if text is not None:
        required.write_text(text)
    found = fake("run", "fake:x", "--require", required, "ends.passes")
    assert found.status == 2 and sentence in found.err


ERRATUM = """[a-bug]
check  = {check}
parent = fake:*
kernel = {kernel}
fix    = 0123456789ab ("the title")
text   = It can't count.
"""


def with_erratum(fake, check="ends.*", kernel="1.0..", text=None):
    path = fake.home / "errata.ini"
    path.write_text(text or ERRATUM.format(check=check, kernel=kernel))
    return f"--errata={path}"


def test_xfail(fake):
    check = fake.one("ends.fails", with_erratum(fake))
    assert (check["verdict"], check["status"]) == ("XFAIL", 4), "an expected failure is no pass"
    assert check["erratum"]["name"] == "a-bug" and "Fixed by 0123456789ab" in check["diagnosis"]
    found = fake.run("ends.fails", "needs.generation", with_erratum(fake))
    assert found.status == 0 and found.json["summary"]["xfail"] == 1


def test_xpass_fails_the_run(fake):
    check = fake.one("ends.passes", with_erratum(fake))
    assert (check["verdict"], check["status"]) == ("XPASS", 1)
    assert "a-bug" in check["diagnosis"]


def test_erratum_of_a_required_check(fake):
    required = fake.home / "required"
    required.write_text("ends.fails\n")
    check = fake.one("ends.fails", with_erratum(fake), "--require", required)
    assert (check["verdict"], check["status"]) == ("FAIL", 1)


def test_erratum_of_other_versions(fake):
    assert fake.one("ends.fails", with_erratum(fake, kernel="2.6..2.7"))["verdict"] == "FAIL"
    assert fake.one("ends.fails", with_erratum(fake, check="needs"))["verdict"] == "FAIL"
    assert fake.one("ends.breaks", with_erratum(fake))["verdict"] == "BROKEN"
    assert fake.one("ends.skips", with_erratum(fake))["verdict"] == "SKIP"


@pytest.mark.parametrize("text, sentence", [
    ("check = x\n", "errata.ini:1: 'check' stands before the first"),
    ("[a]\ncolour = x\n", "errata.ini:2: unknown key 'colour'"),
    ("[a]\nkernel = new\n", "errata.ini:2: 'new' is no list of kernel versions"),
    ("[a]\ncheck = x\n", "[a] lacks 'text'"),
    ("nonsense\n", "errata.ini:1: ")])
def test_errata_refused(fake, text, sentence):
    found = fake("run", "fake:x", with_erratum(fake, text=text))
    assert found.status == 2 and sentence in found.err


def test_seed(fake):
    """The same seed makes the same choices, whatever runs beside it; another one makes others."""
    def choice(*argv):
        return fake.run(*argv).checks["ends.random_is_stable"]["notes"]

    name = "ends.random_is_stable"
    assert choice(name) == choice(name, "--seed", 1) == choice(name, "prove", "--jobs", 4)
    assert choice(name, "--seed", 2) != choice(name)
    assert fake.run(name, "--seed", 0x10).json["seed"] == 16
    seeds = {fake.run(name, "--seed", "random").json["seed"] for _ in range(3)}
    assert len(seeds) == 3
    for form in ("tap", "ktap"):
        found = fake("run", "fake:x", "--seed=77", f"--format={form}", name).out
        assert "# seed 77" in found.splitlines()
    assert "seed 77" in fake("run", "fake:x", "--seed=77", "--format=human", name).out


@pytest.mark.parametrize("select, names", [
    (["ends.passes"], ["ends.passes"]),
    (["prove"], ["prove.sees_stated", "prove.sees_unstated"]),
    (["prove*sees_s*"], ["prove.sees_stated"]),
    (["VDPA-CFG-001"], ["needs.generation"]),
    (["OPS-VQ-021", "ends.passes"], ["ends.fails", "ends.passes"]),
    (["prove", "-x", "*unstated"], ["prove.sees_stated"]),
    (["prove", "-x", "VDPA-VQ-027"], ["prove.sees_stated"])])
def test_selection(fake, select, names):
    assert sorted(fake.run(*select).checks) == names
    listed = fake("list", "--format=names", *select)
    assert listed.out.split() == names


@pytest.mark.parametrize("argv, sentence", [
    (["run"], "a PARENT is needed"),
    (["run", "fake:x", "ends.pases"], "no check is called 'ends.pases'"),
    (["run", "fake:x", "-x", "nothing"], "no check is called 'nothing'"),
    (["run", "fake:x", "ends", "-x", "ends"], "no check is left to run"),
    (["run", "fake:x", "--format", "xml"], "not 'xml'"),
    (["run", "fake:x", "--timeout", "0"], "--timeout takes seconds"),
    (["run", "fake:x", "--timeout", "1s"], "--timeout takes seconds"),
    (["run", "fake:x", "--timeout", "nan"], "--timeout takes seconds"),
    (["run", "fake:x", "--seed", "-1"], "--seed takes a number"),
    (["run", "fake:x", "--jobs", "0"], "--jobs takes a number"),
    (["run", "fake:x", "--retries", "many"], "--retries takes a number"),
    (["run", "fake:x", "--exit-codes", "cmake"], "--exit-codes knows meson"),
    (["run", "fake:x", "--bogus"], "vqcert run: unrecognized option '--bogus'"),
    (["run", "fake:\x1b[2J"], "no clean text"),
    (["list", "nothing"], "no check is called 'nothing'"),
    (["list", "--format", "xml"], "not 'xml'"),
    (["prove", "--defect", "none"], "there is no defect 'none'"),
    (["trace", "--area", "none"], "no area 'none'"),
    (["trace", "--format", "pdf"], "not 'pdf'"),
    (["certify"], "there is no command 'certify'"),
    ([], "usage: vqcert COMMAND")])
def test_wrong_usage(fake, argv, sentence):
    found = fake(*argv)
    assert found.status == 2 and sentence in found.err and not found.out
    assert "\x1b" not in found.err


@pytest.mark.parametrize("select, plain, meson", [
    (["ends.passes"], 0, 0), (["ends.fails", "ends.breaks"], 1, 1), (["ends.skips"], 4, 77),
    (["ends.breaks", "ends.passes"], 3, 99), (["ends.passes", "ends.skips"], 0, 0)])
def test_exit_codes(fake, select, plain, meson):
    assert fake.run(*select).status == plain
    assert fake.run("--exit-codes=meson", *select).status == meson


def test_exit_codes_without_a_parent(fake):
    assert fake.run("--exit-codes=meson", parent="fake:absent").status == 99
    assert fake.run("--exit-codes=meson", parent="nonsense").status == 2


def test_help_and_version(fake):
    for argv in (["--help"], ["run", "--help"], ["list", "-h"], ["prove", "-h"], ["trace", "-h"]):
        found = fake(*argv)
        assert found.status == 0 and found.out.startswith("usage: vqcert") and not found.err
        assert max(map(len, found.out.splitlines())) <= 100
    assert re.fullmatch(r"vqcert \d+\.\d+\.\d+ \(\S+\)\n", fake("--version").out)


# ---- Reports, read by parsers that forgive nothing -----------------------------------------------


EVERYTHING = ["ends", "needs", "prove", "retry", "skips"]


def read_yaml(lines: List[str]) -> dict:
    """The YAML that we write: scalars and sequences of JSON's strings, plain numbers and words."""
    block: dict = {}
    key = ""
    assert lines[0] == "  ---" and lines[-1] == "  ...", lines
    for text in lines[1:-1]:
        item = re.fullmatch(r"    - (\".*\")", text)
        pair = re.fullmatch(r"  (\w+):(?: (\".*\"|[\d.]+|[a-z]+))?", text)
        assert item or pair, text
        if item:
            block[key].append(json.loads(item.group(1)))
        else:
            key, value = pair.groups()
            assert key not in block
            block[key] = [] if value is None else (
                json.loads(value) if value[0] in '"0123456789' else value)
    return block


def read_tap(text: str, version: str) -> Dict[str, dict]:
    """TAP 13 or KTAP: tests by name; anything that is out of place is an error."""
    lines = text.split("\n")
    assert lines.pop() == ""
    assert lines[0] == version
    plan = re.fullmatch(r"1\.\.(\d+)", lines[1])
    assert plan
    dash = "- " if version.startswith("TAP") else ""
    test = re.compile(rf"(ok|not ok) (\d+) {dash}(\S+)(?: # ([A-Z]+) (.+))?")
    found: Dict[str, dict] = {}
    comments: List[str] = []
    at = 2
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith("#"):
            assert not FORBIDDEN.search(line) and not re.match(r"# *#? *(SKIP|TODO)", line), line
            comments.append(line)
            continue
        match = test.fullmatch(line)
        assert match, line
        ok, number, name, directive, why = match.groups()
        assert int(number) == len(found) + 1 and name not in found and NAME.fullmatch(name)
        assert line.count(" # ") == bool(directive), line
        found[name] = {"ok": ok == "ok", "directive": directive, "why": why, "yaml": None}
        if at < len(lines) and lines[at] == "  ---":
            assert dash, "KTAP knows no YAML"
            end = lines.index("  ...", at)
            assert not any(FORBIDDEN.search(t) for t in lines[at:end])
            found[name]["yaml"] = read_yaml(lines[at:end + 1])
            at = end + 1
    assert len(found) == int(plan.group(1))
    totals = TOTALS.fullmatch(comments[-1])
    assert totals and comments[-1] == lines[-1]
    assert sum(map(int, totals.groups())) == len(found)
    found["# Totals"] = dict(zip(("pass", "fail", "xfail", "xpass", "skip", "broken"),
                                 map(int, totals.groups())))
    return found


def hold_json(data: dict) -> None:
    """The fields that others rely on, with their types; texts are clean."""
    assert data["schema"] == 1 and isinstance(data["seed"], int)
    assert isinstance(data["parent"], dict) and data["parent"]["address"]
    assert list(data["summary"]) == [v.lower() for v in VERDICTS]
    for check in data["checks"]:
        assert NAME.fullmatch(check["name"]) and check["verdict"] in VERDICTS
        assert check["requirements"] and all(isinstance(r, str) for r in check["requirements"])
        assert isinstance(check["duration_ms"], (int, float)) and check["duration_ms"] >= 0
        assert isinstance(check["diagnosis"], str)
        kinds = ("feature", "interface", "peer", "destructive")
        assert (check["skip_kind"] in kinds) if check["verdict"] == "SKIP" else (
            check["skip_kind"] is None)
    for verdict in VERDICTS:
        assert data["summary"][verdict.lower()] == sum(
            c["verdict"] == verdict for c in data["checks"])


def read_junit(text: str) -> Dict[str, str]:
    """Verdicts by name, as a CI system takes them."""
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    found: Dict[str, str] = {}
    sums = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in root:
        assert suite.tag == "testsuite"
        properties = {p.get("name"): p.get("value") for p in suite.find("properties")}
        assert {"suite", "kernel", "parent", "driver", "device", "seed"} <= set(properties)
        cases = suite.findall("testcase")
        for case in cases:
            assert case.get("classname") == suite.get("name") and float(case.get("time")) >= 0
            kinds = [c.tag for c in case if c.tag in ("failure", "error", "skipped")]
            assert len(kinds) <= 1
            if kinds:
                assert case.find(kinds[0]).get("message")
            found[f"{case.get('classname')}.{case.get('name')}"] = kinds[0] if kinds else "pass"
        for key, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(key)) == sum(
                any(c.tag == kind for c in case) for case in cases)
        assert int(suite.get("tests")) == len(cases)
        for key in sums:
            sums[key] += int(suite.get(key))
    assert {k: int(root.get(k)) for k in sums} == sums
    return found


AS_JUNIT = {"PASS": "pass", "FAIL": "failure", "XPASS": "failure", "BROKEN": "error",
            "SKIP": "skipped", "XFAIL": "skipped"}


def test_every_format_says_the_same(fake):
    """One run in every format: no verdict is lost on the way."""
    erratum = with_erratum(fake, text=ERRATUM.format(check="ends.p*", kernel="1.0..") +
                           ERRATUM.format(check="ends.fails_l*", kernel="1.0..")
                           .replace("a-bug", "b-bug"))
    directory = fake.home / "deep" / "reports"
    found = fake.run("-o", directory, erratum, "--jobs", 4, *EVERYTHING)
    assert found.status == 1
    data = found.json
    hold_json(data)
    assert {c["verdict"] for c in data["checks"]} == set(VERDICTS)
    assert sorted(p.name for p in directory.iterdir()) == [
        "report.json", "report.ktap", "report.tap", "report.txt", "report.xml"]
    assert json.loads((directory / "report.json").read_text()) == data
    verdicts = {c["name"]: c["verdict"] for c in data["checks"]}
    assert list(verdicts) == sorted(verdicts, key=lambda n: n.split(".")), "in the list's order"

    junit = read_junit((directory / "report.xml").read_text())
    assert junit == {name: AS_JUNIT[v] for name, v in verdicts.items()}

    tap = read_tap((directory / "report.tap").read_text(), "TAP version 13")
    assert tap.pop("# Totals") == data["summary"]
    assert list(tap) == list(verdicts)
    for name, test in tap.items():
        verdict = verdicts[name]
        assert test["ok"] == (verdict in ("PASS", "SKIP"))
        assert test["directive"] == {"SKIP": "SKIP", "XFAIL": "TODO"}.get(verdict)
        assert (test["yaml"] is None) == test["ok"]
        if test["yaml"]:
            assert test["yaml"]["verdict"] == verdict.lower()
            assert test["yaml"]["message"]

    ktap = read_tap((directory / "report.ktap").read_text(), "KTAP version 1")
    assert ktap.pop("# Totals") == data["summary"]
    for name, test in ktap.items():
        verdict = verdicts[name]
        assert test["ok"] == (verdict in ("PASS", "SKIP", "XFAIL"))
        assert test["directive"] == {"SKIP": "SKIP", "XFAIL": "XFAIL", "XPASS": "XPASS",
                                     "BROKEN": "ERROR"}.get(verdict)

    human = (directory / "report.txt").read_text()
    for name, verdict in verdicts.items():
        if verdict not in ("PASS", "SKIP"):
            assert f"{verdict} {name}\n" in human
    assert not FORBIDDEN.search(human)


@pytest.mark.parametrize("form", ["tap", "ktap", "json", "junit", "human"])
def test_hostile_text(fake, form):
    """A diagnosis can't forge a verdict, nor move the cursor."""
    found = fake("run", "fake:other", "--format", form, "ends.fails_loudly", "ends.skips")
    assert "\x1b" not in found.out and not FORBIDDEN.search(found.out)
    assert not re.search(r"[^\x20-\x7e\n€]", found.out.replace("\\u20ac", "€"))
    if form == "json":
        assert "<&\"'> ]]> €" in found.checks["ends.fails_loudly"]["diagnosis"]
    elif form == "junit":
        failure, = ElementTree.fromstring(found.out).iter("failure")
        assert "<&\"'> ]]> €" in failure.get("message")


def test_streamed_report_is_the_stored_one(fake):
    for form, file in (("tap", "report.tap"), ("ktap", "report.ktap"), ("junit", "report.xml")):
        found = fake("run", "fake:x", "--format", form, "-o", "out", "ends.passes", "ends.skips")
        assert found.out == (fake.home / "out" / file).read_text()


def test_default_is_tap(fake):
    assert fake("run", "fake:x", "ends.passes").out.startswith("TAP version 13\n")


def test_list(fake):
    checks = fake("list", "--format", "json").json
    assert checks["schema"] == 1
    for check in checks["checks"]:
        assert NAME.fullmatch(check["name"]) and check["name"].startswith(check["area"] + ".")
        assert check["requirements"] and isinstance(check["needs"], list)
    assert {tuple(c["needs"]) for c in checks["checks"] if c["area"] == "needs"} == {
        ("generation",), ("suspend",), ("peer",), ("VIRTIO_F_RING_PACKED",), ("destructive",)}
    assert fake("list").out.endswith(f"{len(checks['checks'])} checks\n")


# ---- Interrupts and output that goes nowhere ----------------------------------------------------


@pytest.mark.parametrize("form", ["tap", "ktap", "json", "junit", "human"])
def test_interrupt(fake, form):
    """A partial report, the right status, and no process that lives on."""
    started = fake.home / "started"
    process = subprocess.Popen(
        [fake.program, "run", "fake:x", "--format", form, "-o", "out", "--jobs", "1",
         "--timeout", "50", "ends.passes", "ends.skips", "slow"],
        env=fake.environment({"FAKE_STARTED": str(started)}), cwd=fake.home, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 20
        while not (started.exists() and started.read_text().endswith("\n")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM if form == "human" else signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 3, err
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    data = json.loads((fake.home / "out" / "report.json").read_text())
    hold_json(data)
    assert data["interrupted"] is True
    ends = {c["name"]: (c["verdict"], c["diagnosis"]) for c in data["checks"]}
    stopped = ("BROKEN", "not finished: the run was interrupted")
    assert ends["ends.passes"] == ("PASS", "") and ends["slow.first"] == ("PASS", "")
    assert ends["slow.second"] == ends["slow.third"] == stopped
    if form == "human":
        assert "interrupted: the verdicts are incomplete" in out
    elif form == "junit":
        assert read_junit(out)["slow.third"] == "error"
    elif form == "json":
        assert json.loads(out) == data
    else:
        assert not read_tap(out, f"{form.upper()} version {1 if form == 'ktap' else 13}")[
            "slow.third"]["ok"]


@pytest.mark.parametrize("argv", [["run", "fake:x", "ends.passes"], ["list"], ["trace"],
                                  ["list", "--format", "json"], ["--help"], ["--version"],
                                  ["run", "fake:x", "ends.passes", "--format", "json"],
                                  ["prove", "--checks", "prove", "fake"]],
                         ids=" ".join)
def test_full_disk(fake, argv):
    with open("/dev/full", "w") as full:
        found = fake(*argv, stdout=full)
    assert found.status in ((3,) if argv[0] != "prove" else (1, 3))
    assert "standard output" in found.err


def test_full_disk_hides_no_failure(fake):
    with open("/dev/full", "w") as full:
        assert fake("run", "fake:x", "ends.fails", stdout=full).status == 1


def test_reader_that_goes_away(fake):
    """A closed pipe costs the report on standard output, not the one in files."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        found = fake("run", "fake:x", "-o", "out", "ends.passes", stdout=writing)
    finally:
        os.close(writing)
    assert found.status == 3 and "standard output" in found.err
    assert json.loads((fake.home / "out/report.json").read_text())["summary"]["pass"] == 1


def test_closed_streams(fake):
    """No pipe of the runner takes the place of a standard stream."""
    found = fake("run", "fake:x", "-o", "out", "ends.passes", "ends.fails",
                 stdin=None, stdout=None, stderr=None,
                 preexec_fn=lambda: os.closerange(0, 3))
    assert found.status == 1
    hold_json(json.loads((fake.home / "out/report.json").read_text()))


@pytest.mark.parametrize("directory", ["/dev/null/reports", "/proc/reports"])
def test_reports_that_can_not_be_written(fake, directory):
    """Said before the run, not after it."""
    found = fake("run", "fake:x", "-o", directory, "ends.passes")
    assert found.status == 3 and directory in found.err and not found.out


# ---- The proof and the matrix -----------------------------------------------------------------


def test_prove(fake):
    """A kill for another reason than stated, and a check that kills nothing, fail the proof."""
    found = fake("prove", "--format=json", "--checks=prove*", "fake")
    data = found.json
    assert found.status == 1 and data["schema"] == 1 and not data["survivors"]
    kills = {d["name"]: (d["killed_by"], d["killed_for_another_reason_by"])
             for d in data["defects"]}
    assert kills == {"stated": (["prove.sees_stated"], []),
                     "unstated": ([], ["prove.sees_unstated"])}, "and none of other personalities"
    assert data["idle_checks"] == ["prove_idle.sees_nothing"]
    assert fake("prove", "--checks=prove.sees_stated", "--defect=stated", "fake").status == 0


def test_prove_survivor(fake):
    found = fake("prove", "--format=json", "--checks=prove", "fake", env={"FAKE_SURVIVOR": "1"})
    assert found.status == 1 and found.json["survivors"] == ["unseen"]


def test_prove_needs_a_clean_nic(fake):
    found = fake("prove", "--checks=ends.fails", "fake")
    assert found.status == 1 and "the clean NIC does not pass: ends.fails" in found.out
    assert not FORBIDDEN.search(found.out)


def test_prove_refuses(fake):
    assert fake("prove", "absent").status == 3
    assert fake("prove", "--defect=none", "fake").status == 2


def test_trace(fake):
    rows = {r["id"]: r for r in fake("trace", "--format=json").json["requirements"]}
    assert len(rows) > 1000
    for row in rows.values():
        assert (row["why_none"] is None) == bool(row["checks"])
    row = rows["VDPA-VQ-027"]
    assert row["checks"] == ["prove.sees_unstated"] and not row["defects"]
    assert rows["VDPA-VQ-014"]["defects"] == ["stated"]


def test_trace_with_verdicts(fake):
    fake("run", "fake:x", "-o", "out", "ends.fails", "ends.passes", "prove")
    report = fake.home / "out/report.json"
    rows = {r["id"]: r for r in fake("trace", "--format=json", report).json["requirements"]}
    assert rows["VDPA-VQ-014"]["verdicts"] == {"fake:x": "FAIL"}, "the worst counts"
    assert rows["VDPA-VQ-027"]["verdicts"] == {"fake:x": "PASS"}
    (fake.home / "bad.json").write_text("{}")
    assert fake("trace", "bad.json").status == 2
    (fake.home / "bad.json").write_text("[")
    assert fake("trace", "bad.json").status == 2


# ---- The suite itself ---------------------------------------------------------------------------


def test_names_of_the_suite(vqcert):
    """Unique slugs, each with a requirement; the errata that are built in are read."""
    found = subprocess.run([vqcert, "list", "--format", "json"], capture_output=True, check=True)
    names = [c["name"] for c in json.loads(found.stdout)["checks"]]
    assert len(set(names)) == len(names) and all(NAME.fullmatch(n) for n in names)
    found = subprocess.run([vqcert, "run", "nonsense:"], capture_output=True, check=False)
    assert found.returncode == 2 and b"vqcert: " in found.stderr


# ---- What stands around it ----------------------------------------------------------------------


COMMANDS = ("list", "run", "prove", "trace")


def options_of(text: str) -> List[str]:
    return sorted(set(re.findall(r"--[a-z][a-z-]*", text)))


@pytest.mark.parametrize("command", COMMANDS)
def test_manual_and_completion_know_each_option(vqcert, command):
    """And none that there isn't."""
    told = subprocess.run([vqcert, command, "--help"], capture_output=True, text=True,
                          check=True).stdout
    # but for options of other commands that the help mentions
    wanted = [o for o in options_of(told) if re.search(rf"^ .*{o}\b", told, re.M)]
    manual = (paths.REPO / "docs/vqcert.1").read_text()
    zsh = (paths.REPO / "docs/completion/_vqcert").read_text()
    part = re.search(rf"^\t{command}\)$(.*?)^\t\t;;$", zsh, re.M | re.S)
    assert options_of(part.group(1)) == wanted
    for option in wanted:
        assert option == "--help" or re.search(rf"Fl Fl {option[2:]}\b", manual), option
    assert complete(vqcert, "vqcert", command, "--") == wanted


def complete(program: Path, name: str, *words: str) -> List[str]:
    """What bash would offer."""
    script = f"""
        PATH={program.parent}:$PATH
        compopt() {{ :; }}
        source {paths.REPO}/docs/completion/{name}.bash
        COMP_WORDS=({name} "$@"); COMP_CWORD=$#
        _{name} {name} "${{!#}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    found = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True,
                           check=True)
    assert not found.stderr
    return sorted(set(found.stdout.split()))


def test_completion(vqcert):
    assert complete(vqcert, "vqcert", "pro") == ["prove"]
    assert complete(vqcert, "vqcert", "run", "sim:ifcvf", "vq_st")[0] == "vq_state"
    assert complete(vqcert, "vqcert", "run", "sim:ifcvf", "--format", "=", "j") == [
        "json", "junit"]
    assert complete(vqcert, "vqcert", "prove", "ifc") == ["ifcvf", "ifcvf-dpdk"]
    assert "reset.keeps_position" in complete(vqcert, "vqcert", "prove", "--defect", "reset.")
    assert complete(vqcert, "vqnic", "run", "--wire", "lo") == ["loopback"]
    assert "--vfio-user" in complete(vqcert, "vqnic", "run", "--v")


def test_manual_pages():
    if not shutil.which("man"):
        pytest.skip("man is not installed")
    for page in ("vqcert.1", "vqnic.1"):
        found = subprocess.run(["man", "-l", "--warnings", paths.REPO / "docs" / page],
                               capture_output=True, text=True, check=True,
                               env={**os.environ, "LC_ALL": "C", "MANPAGER": "cat"})
        assert not found.stderr and "EXIT STATUS" in found.stdout


def test_example_of_the_readme(vqcert):
    """It shows what is printed now."""
    text = (paths.REPO / "README.md").read_text()
    command, excerpt = re.search(r"^\$ vqcert (run .*)\n((?:.*\n)*?)```$", text, re.M).groups()
    found = subprocess.run([vqcert, *command.split()], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    at = 0
    for piece in excerpt.split("…\n"):
        at = found.stdout.find(piece, at)
        assert at >= 0, piece


def test_links_of_the_documents():
    """Every file that a document links is there."""
    for document in (paths.REPO / "README.md", *(paths.REPO / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


@pytest.fixture
def scaffolder(tmp_path):
    """new-check on a copy of what it changes."""
    home = tmp_path / "conformance"
    (home / "checks").mkdir(parents=True)
    (home / "requirements").mkdir()
    source = paths.REPO / "conformance"
    for file in ("new-check", "checks/meson.build", "checks/status.c",
                 "requirements/requirements.tsv"):
        shutil.copy(source / file, home / file)

    def call(*argv: str) -> Ran:
        found = subprocess.run([home / "new-check", *argv], capture_output=True, text=True,
                               check=False)
        return Ran(found.returncode, found.stdout, found.stderr)
    call.home = home
    return call


@pytest.mark.parametrize("area", ["status", "brand_new"])
def test_new_check(scaffolder, area):
    """The skeleton compiles, is registered once, and its ids are held against the catalogue."""
    home, source = scaffolder.home, paths.REPO / "conformance"
    before = (home / "checks/meson.build").read_text()
    assert scaffolder(area, "an_idea", "VDPA-VQ-014", "OPS-VQ-021").status == 0
    file = home / "checks" / f"{area}.c"
    compiled = subprocess.run(
        ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
         f"-I{source / 'checks'}", f"-I{source}", file], capture_output=True, text=True,
        check=False)
    assert compiled.returncode == 0, compiled.stderr
    held = subprocess.run(
        ["/usr/bin/python3", source / "requirements/generate.py",
         home / "requirements/requirements.tsv", home / "out.c", file],
        capture_output=True, text=True, check=False)
    assert held.returncode == 0, held.stderr
    after = (home / "checks/meson.build").read_text()
    listed = re.findall(r"^  '(\w+\.c)',$", after, re.M)
    assert f"{area}.c" in listed and listed == sorted(set(listed))
    assert (after == before) == (area == "status")
    again = scaffolder(area, "an_idea")
    assert again.status == 2 and "already" in again.err
    assert scaffolder(area, "another").status == 0
    assert file.read_text().count("\nCHECK(") >= 2


@pytest.mark.parametrize("argv, sentence", [
    ([], "usage: new-check AREA NAME"), (["one"], "usage: new-check AREA NAME"),
    (["Area", "x"], "only a to z"), (["a/../b", "x"], "only a to z"),
    (["status", "x", "NO-SUCH-001"], "'NO-SUCH-001' is not in")])
def test_new_check_refuses(scaffolder, argv, sentence):
    found = scaffolder(*argv)
    assert found.status == 2 and sentence in found.err


def test_install():
    """Everything has its place, under DESTDIR and PREFIX."""
    build = paths.BUILD / "meson"
    if not (build / "build.ninja").exists():
        pytest.skip("build/meson is not configured")
    told = subprocess.run(["meson", "introspect", "--install-plan", build], capture_output=True,
                          text=True, check=True).stdout
    places = {item["destination"] for kind in json.loads(told).values() for item in kind.values()}
    for place in ("{bindir}/vqcert", "{bindir}/vqnic", "{mandir}/man1/vqcert.1",
                  "{mandir}/man1/vqnic.1", "{datadir}/bash-completion/completions/vqcert",
                  "{datadir}/bash-completion/completions/vqnic",
                  "{datadir}/zsh/site-functions/_vqcert", "{datadir}/zsh/site-functions/_vqnic"):
        assert place in places
