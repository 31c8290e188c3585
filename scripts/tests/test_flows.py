# SPDX-License-Identifier: BSD-3-Clause
"""Real guests: the mainline drivers on the NIC, and on parents without hardware.

One boot serves as many steps as it can. `software` needs neither vqnic nor vqcert.
"""

import pytest

from lab import cert, flows
from lab.guest import Guest, GuestError
from lab.net import Netns
from lab.nic import Nic
from lab.say import BrokenEnvironment

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def software():
    """A guest with an IOMMU and QEMU's own NIC, modern and behind the IOMMU."""
    with Netns() as netns:
        netns.tap()
        devices = flows.qemu_nic(properties="iommu_platform=on,disable-legacy=on")
        with Guest([*flows.IOMMU_DEVICE, *devices], append=flows.IOMMU_APPEND,
                   machine=flows.IOMMU_MACHINE, netns=netns.name) as guest:
            guest.netns_of_test = netns
            yield guest


def test_commands_come_back_whole(software):
    answer = software.run("seq 20000; echo problem >&2; exit 7", check=False)
    assert answer.status == 7
    assert answer.out.split() == [str(n) for n in range(1, 20001)]
    assert answer.err == "problem\n"


def test_command_past_its_deadline_is_killed_and_the_guest_lives(software):
    with pytest.raises(GuestError, match="was killed"):
        software.run("sleep 60", deadline=1)
    assert software.run("echo alive").out == "alive\n"


def test_missing_module_is_one_sentence(software):
    with pytest.raises(BrokenEnvironment, match="can't load the module no_such_module"):
        flows.load(software, "no_such_module")


def test_vdpa_sim_can_be_certified(software, vqcert):
    """Whatever the verdicts on it are: the suite has some, and breaks nothing."""
    node = flows.vdpa_sim(software)
    report = cert.run_in_guest(software, "guest-vdpa-sim", f"vhost-vdpa:{node}", peer="none",
                               select=["features", "status"], options=cert.SLOW)
    assert report.totals()["pass"]
    assert not [c for c in report.checks if c["verdict"].lower() == "broken"]


def test_vp_vdpa_carries_traffic_as_virtio_vdpa(software):
    flows.pci_parent(software, flows.PEER_SLOT, "vp-vdpa", "vp0")
    interface = flows.to_virtio_vdpa(software, "vp0")
    flows.configure(software, interface)
    flows.ping(software)
    for result in flows.iperf(software, software.netns_of_test, 1):
        assert result.gbps > 0.05


def test_no_iommu_is_one_sentence(virtio_net_guest):
    guest, _ = virtio_net_guest
    with pytest.raises(BrokenEnvironment, match="no IOMMU"):
        flows.check_iommu(guest)


@pytest.fixture(scope="module")
def virtio_net_guest(request):
    """A guest with the virtio-pci model, or with QEMU's own NIC where there is no model yet."""
    from lab import paths
    with Netns() as netns:
        tap = netns.tap()
        if not paths.VQNIC.exists():
            with Guest(flows.qemu_nic(flows.SLOT), netns=netns.name) as guest:
                yield guest, netns
            return
        with Nic("virtio-net", f"tap:{tap}", netns.name) as nic:
            with Guest(nic.device(addr=f"{flows.SLOT:x}")) as guest:
                yield guest, netns
            assert nic.running, f"vqnic did not survive its client:\n{nic.log}"


def test_virtio_net_pings_and_runs_iperf3(virtio_net_guest):
    guest, netns = virtio_net_guest
    interface = flows.virtio_net(guest, flows.SLOT)
    flows.ping(guest)
    for result in flows.iperf(guest, netns, 2):
        assert result.gbps > 0.05
    # The driver lets go and binds again.
    where = flows.address(flows.SLOT)
    guest.run(f"ip link set {interface} down; cd /sys/bus/pci/drivers/virtio-pci; "
              f"echo {where} >unbind; echo {where} >bind")
    flows.virtio_net(guest, flows.SLOT)
    flows.ping(guest)


def test_ifcvf_is_certified_in_the_guest_and_carries_iperf3(vqnic, vqcert):
    with Netns() as netns, Nic("ifcvf") as looped, \
            Nic("ifcvf", f"tap:{netns.tap()}", netns.name) as nic:
        devices = [*looped.device(addr=f"{flows.SLOT:x}"),
                   *nic.device(addr=f"{flows.SECOND_SLOT:x}")]
        with Guest([*flows.IOMMU_DEVICE, *devices], append=flows.IOMMU_APPEND,
                   machine=flows.IOMMU_MACHINE, cpus=flows.IFCVF_CPUS) as guest:
            node = flows.pci_parent(guest, flows.SLOT, "ifcvf", "vdpa0")
            report = cert.run_in_guest(guest, "test-guest-ifcvf", f"vhost-vdpa:{node}",
                                       peer="loopback", options=cert.SLOW)
            assert report.ok, "\n".join(report.complaints())
            assert report.totals()["pass"]
            flows.pci_parent(guest, flows.SECOND_SLOT, "ifcvf", "vdpa1")
            flows.configure(guest, flows.to_virtio_vdpa(guest, "vdpa1"))
            flows.ping(guest)
            for result in flows.iperf(guest, netns, 1):
                assert result.gbps > 0.05
        for one in (looped, nic):
            assert one.running, f"vqnic did not survive its client:\n{one.log}"
