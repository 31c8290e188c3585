# SPDX-License-Identifier: BSD-3-Clause
"""The lab itself, without a guest: what it leaves behind, what it says."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import cert, kernels, net, owned, paths, proc, steps
from lab.initramfs import Cpio
from lab.nic import Nic
from lab.say import BrokenEnvironment, LabError

SCRIPTS = Path(__file__).resolve().parents[1]


def _wait(condition, deadline=10.0):
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.01)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_a_killed_run_takes_its_children_along_and_the_next_one_cleans_up():
    script = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
              "from lab import net, owned, proc\n"
              "netns = net.Netns(); netns.__enter__(); netns.tap()\n"
              "child = proc.Child(['sleep', '1000'], netns=netns.name)\n"
              "print(owned.directory(), netns.name, child.pid, flush=True)\n"
              "time.sleep(1000)\n")
    run = subprocess.Popen([sys.executable, "-c", script, str(SCRIPTS)], stdout=subprocess.PIPE,
                           text=True)
    directory, netns, child = run.stdout.readline().split()
    assert Path("/run/netns", netns).exists() and _alive(int(child))
    run.send_signal(signal.SIGKILL)
    run.wait()
    _wait(lambda: not _alive(int(child)))
    assert Path(directory).exists()
    assert owned.sweep() >= 1
    assert not Path(directory).exists()
    assert not Path("/run/netns", netns).exists()


def test_sweep_leaves_the_living_alone():
    own = owned.directory()
    owned.sweep()
    assert own.exists()


def test_a_child_past_its_deadline_is_killed_with_its_group():
    with pytest.raises(LabError, match="did not end within"):
        proc.run(["sh", "-c", "sleep 1000 & wait"], deadline=0.3)


def test_a_failing_command_is_one_sentence():
    with pytest.raises(LabError, match="status 3: oops"):
        proc.run(["sh", "-c", "echo oops >&2; exit 3"])


def test_a_missing_command_says_so():
    with pytest.raises(LabError, match="no-such-command is not installed"):
        proc.run(["no-such-command"])


def test_a_step_is_done_once_and_again_when_its_recipe_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "STAMPS", tmp_path)
    step = steps.Step("x", "recipe")
    assert not step.done
    step.finish()
    assert steps.Step("x", "recipe").done
    assert not steps.Step("x", "another").done


def test_the_archive_is_the_same_for_the_same_contents():
    def archive():
        cpio = Cpio()
        cpio.file("a/b", b"12345", 0o755)
        cpio.link("c", "a/b")
        return cpio.bytes()
    assert archive() == archive()
    found = subprocess.run([str(paths.ROOT / "usr/bin/busybox"), "cpio", "-t"], input=archive(),
                           stdout=subprocess.PIPE, check=True)
    assert found.stdout.split() == [b"a", b"a/b", b"c"]


def test_modules_come_in_the_order_in_which_they_load():
    names = [f.name.split(".ko")[0] for f in kernels.debian().modules(["vdpa_sim_net"])]
    assert names.index("vhost_iotlb") < names.index("vringh") < names.index("vdpa_sim")
    assert names[-1] == "vdpa_sim_net"


def test_a_module_the_kernel_lacks_is_one_sentence():
    with pytest.raises(BrokenEnvironment, match="has no module nonsense: run `make setup`"):
        kernels.debian().modules(["nonsense"])


def test_a_namespace_goes_away_with_its_taps():
    with net.Netns() as netns:
        netns.tap()
        assert "tap0" in netns.run(["ip", "link"]).out
        name = netns.name
    assert not Path("/run/netns", name).exists()


def test_iperf_output_that_is_no_json_says_so():
    with pytest.raises(LabError, match="no JSON"):
        net.Iperf.parse("iperf3: error", "out")
    with pytest.raises(LabError, match="unable to connect"):
        net.Iperf.parse('{"error": "unable to connect"}', "out")


def test_totals_and_table_of_a_report():
    text = ('{"checks": [{"name": "reset.a", "verdict": "PASS"}, '
            '{"name": "reset.b", "verdict": "FAIL", "diagnosis": "seen 1"}, '
            '{"name": "ring.c", "verdict": "SKIP"}]}')
    report = cert.Report("x", 1, text)
    assert report.totals()["fail"] == 1 and not report.ok
    assert report.complaints() == ["FAIL reset.b: seen 1"]
    table = cert.table([report])
    assert table[2].split() == ["reset", "1", "pass,", "1", "fail"]


def test_an_environment_that_is_broken_is_status_3(vqcert):
    with pytest.raises(BrokenEnvironment):
        cert.run("nothing", "vhost-vdpa:/dev/no-such-node", keep=False)


def test_a_tap_that_cannot_be_opened_is_one_sentence_and_status_3(vqnic):
    with pytest.raises(BrokenEnvironment, match="no-such-tap"):
        with Nic("virtio-net", "tap:no-such-tap/x"):
            pass
    assert not list(owned.directory().glob("nic*"))


def test_a_socket_that_exists_is_one_sentence_and_status_3(vqnic):
    nic = Nic("virtio-net")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(nic.socket))
        other.listen()
        with pytest.raises(BrokenEnvironment, match=nic.socket.name):
            with nic:
                pass
        assert nic.socket.exists()
    nic.socket.unlink()


def test_an_unknown_profile_is_one_sentence(vqnic):
    with pytest.raises(LabError, match="no-such-profile"):
        with Nic("no-such-profile"):
            pass
