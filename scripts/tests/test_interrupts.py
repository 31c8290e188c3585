# SPDX-License-Identifier: BSD-3-Clause
"""A run that is interrupted or killed while a guest is up leaves nothing behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import owned

SCRIPTS = Path(__file__).resolve().parents[1]

RUN = """
import sys, time
sys.path.insert(0, sys.argv[1])
from lab import flows, owned, say
from lab.guest import Guest
from lab.net import IperfServer, Netns

def main():
    with Netns() as netns:
        netns.tap()
        with IperfServer(netns, flows.HOST), Guest(flows.qemu_nic(), netns=netns.name) as guest:
            print(owned.directory(), netns.name, guest.pid, flush=True)
            guest.run("sleep 1000", 1000)
    return 0

say.main(main)
"""


def _gone(pid):
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


@pytest.mark.guest
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left(number):
    run = subprocess.Popen([sys.executable, "-c", RUN, str(SCRIPTS)], stdout=subprocess.PIPE,
                           text=True, start_new_session=True)
    directory, netns, qemu = run.stdout.readline().split()
    assert not _gone(qemu)
    run.send_signal(number)
    rest, _ = run.communicate(timeout=20)
    if number == signal.SIGKILL:
        owned.sweep()       # what the next run does
    else:
        assert run.returncode == 130, rest
        assert "interrupted" in rest
    end = time.monotonic() + 10
    while not _gone(qemu):
        assert time.monotonic() < end, "QEMU outlives its run"
        time.sleep(0.01)
    assert not Path(directory).exists()
    assert not Path("/run/netns", netns).exists()
