#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compile the catalogue of requirements into C, and hold the checks' ids against it.

usage: generate.py requirements.tsv OUTPUT.c CHECK.c...

Every id in a `.requirements = "..."` of a check must be in the catalogue, every check must name at
least one, and no two checks may share a name; otherwise nothing is written and the build stops
with one line per mistake, in the form of a compiler's message.
"""

import re
import sys
from pathlib import Path

COLUMNS = ["id", "source", "section", "level", "subject", "area", "observable", "statement"]
LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"}
SUBJECTS = {"device", "backend", "kernel", "driver", "frontend"}
OBSERVABLE = {"yes", "no", "partly"}

ID = re.compile(r"[A-Z]+(-[A-Z0-9]+)+-[0-9]{3}\Z")
# A comment or a string; so that what looks like a check inside of one isn't taken for one.
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|("(?:[^"\\\n]|\\.)*")', re.S)
CHECK = re.compile(r"^CHECK\(\s*(\w+)\s*,\s*(\w+)\s*,(.*?)\)\s*\n\{", re.S | re.M)
FIELD = re.compile(r'\.requirements\s*=\s*((?:"[^"]*"\s*)+)')
SLUG = re.compile(r"[a-z0-9_]+\Z")


def read_catalogue(path: Path, mistakes: list[str]) -> list[list[str]]:
    """Rows of the catalogue in the file's order."""
    rows = []
    seen = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row = line.split("\t")
        if number == 1:
            if row != COLUMNS:
                mistakes.append(f"{path}:1: error: columns must be {' '.join(COLUMNS)}")
            continue
        where = f"{path}:{number}: error:"
        if len(row) != len(COLUMNS):
            mistakes.append(f"{where} {len(row)} columns, {len(COLUMNS)} are needed")
            continue
        if not ID.match(row[0]):
            mistakes.append(f"{where} malformed id '{row[0]}'")
        if row[0] in seen:
            mistakes.append(f"{where} id '{row[0]}' is already in line {seen[row[0]]}")
        seen[row[0]] = number
        for value, allowed in ((row[3], LEVELS), (row[4], SUBJECTS), (row[6], OBSERVABLE)):
            if value not in allowed:
                mistakes.append(f"{where} '{value}' is none of {', '.join(sorted(allowed))}")
        rows.append(row)
    return rows


def hold_checks(path: Path, known: set[str], names: dict[str, str], mistakes: list[str]) -> None:
    """Look at every CHECK() of a source file."""
    text = COMMENT.sub(lambda m: m.group(1) or re.sub(r"[^\n]", " ", m.group(0)),
                       path.read_text(encoding="utf-8"))
    for check in CHECK.finditer(text):
        area, name, body = check.groups()
        where = f"{path}:{text.count(chr(10), 0, check.start()) + 1}: error: check {area}.{name}"
        if not SLUG.match(area) or not SLUG.match(name):
            mistakes.append(f"{where}: only [a-z0-9_] in a name")
        if f"{area}.{name}" in names:
            mistakes.append(f"{where}: the name is already in {names[f'{area}.{name}']}")
        names[f"{area}.{name}"] = str(path)
        field = FIELD.search(body)
        ids = " ".join(re.findall(r'"([^"]*)"', field.group(1))).split() if field else []
        if not ids:
            mistakes.append(f"{where} names no requirement")
        for ident in ids:
            if ident not in known:
                mistakes.append(f"{where}: requirement '{ident}' is not in the catalogue "
                                "(conformance/requirements/requirements.tsv)")
    if text.count("CHECK(") != len(CHECK.findall(text)):
        mistakes.append(f"{path}: error: a CHECK() that is not of the form "
                        "'CHECK(area, name, ...)' and '{' on the line after it")


def c_string(text: str) -> str:
    """A C string literal of UTF-8 text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?") + '"'


def main() -> int:
    """Write the table, or say what is wrong."""
    catalogue, output, *checks = (Path(arg) for arg in sys.argv[1:])
    mistakes: list[str] = []
    rows = read_catalogue(catalogue, mistakes)
    names: dict[str, str] = {}
    for path in checks:
        hold_checks(path, {row[0] for row in rows}, names, mistakes)
    if mistakes:
        output.unlink(missing_ok=True)
        print("\n".join(mistakes), file=sys.stderr)
        return 1
    lines = ["/* Generated from requirements.tsv by generate.py: do not edit. */",
             '#include "requirements/catalogue.h"', "",
             "const struct requirement catalogue[] = {"]
    lines += ["\t{" + ", ".join(c_string(cell) for cell in row) + "}," for row in rows]
    order = sorted(range(len(rows)), key=lambda i: rows[i][0])
    lines += ["};", "", "const unsigned short catalogue_by_id[] = {"]
    lines += [f"\t{index}," for index in order]
    lines += ["};", "", f"const size_t catalogue_size = {len(rows)};", ""]
    output.write_text("\n".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
