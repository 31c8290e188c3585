# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the lab share."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab import cert, owned, paths  # noqa: E402


def pytest_configure(config):
    # A request to end is an interrupt: fixtures put everything away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config.addinivalue_line("markers", "guest: boots a guest")


@pytest.fixture(scope="session", autouse=True)
def clean_machine():
    """Leave nothing behind, and fail if something stays."""
    directory = owned.directory()
    yield
    owned.release()
    assert not directory.exists()
    left = [p.name for p in Path("/run/netns").glob(f"{owned.NETNS_PREFIX}*")
            if p.name.split("-")[1] == directory.name.split("-")[0]]
    assert not left, f"namespaces left: {left}"


@pytest.fixture
def vqnic():
    """The built NIC, or no test."""
    if not paths.VQNIC.exists():
        pytest.skip("build/vqnic is not built")
    return paths.VQNIC


@pytest.fixture
def vqcert():
    """The built suite, or no test."""
    if not paths.VQCERT.exists() or not cert.able():
        pytest.skip("build/vqcert is not built, or has no checks")
    return paths.VQCERT
