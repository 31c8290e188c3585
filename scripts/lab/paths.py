# SPDX-License-Identifier: BSD-3-Clause
"""Where things are."""

from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BUILD = REPO / "build"
ROOT = BUILD / "root"
STAMPS = BUILD / "stamps"
LOGS = BUILD / "logs"
REPORTS = BUILD / "reports"
KERNELS = BUILD / "kernels"
IMAGES = BUILD / "images"
# Sockets have short names: a path in sockaddr_un ends at 107 characters.
RUN = Path("/run") / "vqlab"

VQNIC = BUILD / "vqnic"
VQCERT = BUILD / "vqcert"
