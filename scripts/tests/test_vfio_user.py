# SPDX-License-Identifier: BSD-3-Clause
"""`vqcert` against `vqnic` in another process, over vfio-user; the NIC runs under the sanitizers
where such a build is at hand.
"""

import os
import signal

import pytest

from lab import cert, paths
from lab.nic import Nic

SANITIZED = paths.BUILD / "asan" / "sim" / "vqnic"


def _nic(profile, wire="loopback", **more):
    return Nic(profile, wire, binary=SANITIZED if SANITIZED.exists() else None, **more)


@pytest.mark.parametrize("profile", ["ifcvf", "virtio-net"])
def test_the_suite_passes_and_the_nic_serves_the_next_client(vqnic, vqcert, profile):
    with _nic(profile) as nic:
        for turn in range(2):
            report = cert.run(f"vfio-user-{profile}", f"vfio-user:{nic.socket}", peer="loopback",
                              seed=turn + 1)
            assert report.totals()["pass"]
            assert report.ok, "\n".join(report.complaints())
            assert nic.running, nic.log
    assert nic.status == 0, nic.log


def test_memory_without_descriptors_is_reached_by_messages(vqnic, vqcert):
    """Every access takes a round trip then, which is when wake-ups get lost."""
    with _nic("ifcvf") as nic:
        report = cert.run("vfio-user-messages", f"vfio-user:{nic.socket},fds=no", peer="loopback",
                          select=["notify", "split"], keep=False)
        assert report.totals()["pass"]
        assert report.ok, "\n".join(report.complaints())
    assert nic.status == 0, nic.log


def test_a_client_that_is_killed_leaves_the_nic_ready(vqnic, vqcert):
    from lab import proc
    with _nic("ifcvf") as nic:
        for _ in range(3):
            client = proc.Child([paths.VQCERT, "run", f"vfio-user:{nic.socket}", "--peer",
                                 "loopback", "vq_state"], "client")
            # Any moment will do: it is killed under way, wherever that is.
            os.kill(client.pid, signal.SIGKILL)
            client.stop()
        report = cert.run("after-kill", f"vfio-user:{nic.socket}", peer="loopback",
                          select=["features", "status"], keep=False)
        assert report.ok, "\n".join(report.complaints())
        assert nic.running, nic.log
    assert nic.status == 0, nic.log


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_the_nic_ends_cleanly_and_takes_its_socket_along(vqnic, signal_number):
    with _nic("virtio-net") as nic:
        os.kill(nic.pid, signal_number)
        assert nic.wait(5) == 0, nic.log
        assert not nic.socket.exists()
