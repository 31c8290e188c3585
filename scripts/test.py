#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Everything that is tested on every change."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import paths, proc, say  # noqa: E402


def main() -> int:
    """Run the C unit tests; end with one line of totals."""
    builddir = paths.BUILD / "asan"
    proc.run(["meson", "test", "-C", builddir, "--no-rebuild"], 300, check=False)
    log = builddir / "meson-logs" / "testlog.json"
    results = [json.loads(text) for text in log.read_text().splitlines()] if log.exists() else []
    failed = [r["name"] for r in results if r["result"] not in ("OK", "SKIP")]
    for name in failed:
        print(f"failed: {name}")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    say.main(main)
