#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compile the errata files into C.

usage: embed_errata.py OUTPUT.c FILE.ini...
"""

import json
import sys
from pathlib import Path


def main() -> None:
    """Write the table; JSON's strings of ASCII are C's."""
    output, *files = (Path(arg) for arg in sys.argv[1:])
    lines = ["/* Generated from fixtures/errata by embed_errata.py: do not edit. */",
             '#include "errata_table.h"', "", "const struct errata_file errata_files[] = {"]
    for path in files:
        text = path.read_text(encoding="ascii")
        pieces = "\n\t ".join(json.dumps(line) for line in text.splitlines(keepends=True))
        lines.append(f"\t{{{json.dumps(path.name)},\n\t {pieces}}},")
    lines += ["\t{0}", "};", "", f"const size_t errata_files_n = {len(files)};", ""]
    output.write_text("\n".join(lines), encoding="ascii")


if __name__ == "__main__":
    main()
