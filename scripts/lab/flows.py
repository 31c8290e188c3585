# SPDX-License-Identifier: BSD-3-Clause
"""Guests put together.

The virtio_net flow: a NIC on the virtio-pci personality under the mainline `virtio_net` driver, and
a namespace with a TAP on the other side. The vDPA flow: a guest with an emulated IOMMU, in which a
PCI function is taken from virtio-pci and given to its vDPA driver, the vDPA device is created,
certified through vhost-vdpa, and then moved to virtio_vdpa, where it becomes a network interface.

Each step says in one sentence what is missing when the guest can't do it.
"""

from typing import Dict, List, Sequence

from .guest import Guest, GuestError
from .net import Iperf, IperfServer, Netns
from .say import BrokenEnvironment

HOST = "10.0.0.1"
GUEST = "10.0.0.2"
SLOT = 5                                # of the NIC under test
SECOND_SLOT = 6                         # of another like it
PEER_SLOT = 7                           # of QEMU's own NIC
MAC = "52:54:00:00:00:02"

# What puts an emulated IOMMU into a guest that DMA of a vfio device goes through.
IOMMU_MACHINE = "kernel-irqchip=split"
# Linux' ifcvf asks for its vectors with affinity, and gets no more than there are processors: with
# fewer than queues + 1 all queues share one, and each interrupts for all.
IFCVF_CPUS = 6
IOMMU_DEVICE = ["-device", "intel-iommu,intremap=off,caching-mode=on"]
# Pass-through by default, so that only vhost-vdpa pays for translation (each map is a message).
IOMMU_APPEND = "intel_iommu=on iommu=pt"

MODULE_OF = {"vp-vdpa": "vp_vdpa", "alibaba-eni-vdpa": "eni_vdpa"}


def address(slot: int) -> str:
    """The PCI address of a function in a slot of the root bus."""
    return f"0000:00:{slot:02x}.0"


def qemu_nic(slot: int = PEER_SLOT, tap: str = "tap0", ident: str = "peer",
             properties: str = "") -> List[str]:
    """QEMU's own virtio-net-pci on a TAP of the namespace that QEMU runs in."""
    more = f",{properties}" if properties else ""
    return ["-netdev", f"tap,id={ident},ifname={tap},script=no,downscript=no,vhost=off",
            "-device", f"virtio-net-pci,netdev={ident},addr={slot:x},romfile={more}"]


def load(guest: Guest, *modules: str) -> None:
    """Load modules in the guest."""
    for module in modules:
        answer = guest.run(f"modprobe {module}", check=False)
        if not answer.ok:
            raise BrokenEnvironment(
                f"the guest's kernel {guest.kernel.release} can't load the module {module} "
                f"({answer.err.strip() or 'not in its image'}): run `make setup`, or take a kernel "
                "whose configuration has it")


def interface_of(guest: Guest, where: str) -> str:
    """The network interface of a device, by a directory under /sys."""
    answer = guest.run(f"ls {where}/net {where}/virtio*/net 2>/dev/null | grep -v : | grep . | "
                       "head -n 1", check=False)
    name = answer.out.strip()
    if not name:
        raise GuestError(f"{where} in the guest has no network interface; its kernel said: "
                         + guest.run("dmesg | tail -n 5").out)
    return name


def configure(guest: Guest, interface: str, own: str = GUEST) -> None:
    """Bring an interface up with an address, and wait for its carrier."""
    guest.run(f"ip link set {interface} up; ip addr replace {own}/24 dev {interface}; "
              f"for i in 1 2 3 4 5 6 7 8 9 10; do "
              f"grep -q 1 /sys/class/net/{interface}/carrier && break; usleep 100000; done")


def ping(guest: Guest, to: str = HOST, count: int = 3) -> float:
    """Ping from the guest; the smallest round trip in milliseconds."""
    answer = guest.run(f"ping -c {count} -i 0.2 -W 5 {to}", check=False)
    if not answer.ok or f"{count} packets received" not in answer.out:
        lines = answer.out.strip().splitlines()
        raise GuestError(f"ping from the guest to {to}: {lines[-1] if lines else answer.err}")
    return float(answer.out.rpartition("min/avg/max = ")[2].split("/")[0])


def iperf(guest: Guest, netns: Netns, seconds: float, directions: Sequence[str] = ("out", "in"),
          host: str = HOST) -> List[Iperf]:
    """iperf3 between the guest and a namespace: `out` of the guest, and `in`."""
    results = []
    with IperfServer(netns, host) as server:
        for direction in directions:
            answer = guest.run(server.client(direction, seconds), seconds + 30, check=False)
            results.append(Iperf.parse(answer.out or answer.err, direction))
    return results


def virtio_net(guest: Guest, slot: int, own: str = GUEST) -> str:
    """Give a PCI function to virtio_net and configure it; its interface."""
    load(guest, "virtio_net")
    interface = interface_of(guest, f"/sys/bus/pci/devices/{address(slot)}")
    configure(guest, interface, own)
    return interface


def check_iommu(guest: Guest) -> None:
    """The guest has an IOMMU, as vhost-vdpa on a PCI function needs."""
    if not guest.run("ls /sys/class/iommu").out.strip():
        raise BrokenEnvironment(
            "the guest has no IOMMU, and vhost-vdpa on a PCI function needs one: start QEMU with "
            f"-M q35,{IOMMU_MACHINE} {' '.join(IOMMU_DEVICE)} and the kernel with {IOMMU_APPEND}")


def bind(guest: Guest, slot: int, driver: str) -> None:
    """Take a PCI function from whatever has it and give it to a driver."""
    where = address(slot)
    path = f"/sys/bus/pci/devices/{where}"
    if not guest.run(f"ls -d {path}", check=False).ok:
        raise GuestError(f"the guest has no PCI function {where}: "
                         + guest.run("cut -f 1,2 /proc/bus/pci/devices").out)
    load(guest, MODULE_OF.get(driver, driver))
    guest.run(f"""
        [ ! -e {path}/driver ] || echo {where} >{path}/driver/unbind
        echo {driver} >{path}/driver_override
        echo {where} >/sys/bus/pci/drivers_probe""")
    answer = guest.run(f"basename $(readlink {path}/driver)", check=False)
    if answer.out.strip() != driver:
        raise GuestError(f"the driver {driver} does not take {where}; the guest's kernel said:\n"
                         + guest.run("dmesg | tail -n 5").out)


def add_vdpa(guest: Guest, management: str, name: str, options: str = "") -> str:
    """Create a vDPA device and give it to vhost_vdpa; its character device."""
    load(guest, "vhost_vdpa")
    answer = guest.run(f"vdpa dev add mgmtdev {management} name {name} {options}", check=False)
    if not answer.ok:
        raise GuestError(f"`vdpa dev add` on {management}: {answer.err.strip()}; management "
                         "devices: " + guest.run("vdpa mgmtdev show", check=False).out)
    node = guest.run(f"ls /sys/bus/vdpa/devices/{name} | grep vhost-vdpa", check=False).out.strip()
    if not node:
        raise GuestError(f"{name} has no vhost-vdpa node; the guest's kernel said:\n"
                         + guest.run("dmesg | tail -n 5").out)
    return f"/dev/{node}"


def to_virtio_vdpa(guest: Guest, name: str) -> str:
    """Move a vDPA device from vhost_vdpa to virtio_vdpa; its network interface."""
    load(guest, "virtio_net", "virtio_vdpa")
    guest.run(f"""
        cd /sys/bus/vdpa
        [ ! -e devices/{name}/driver ] || echo {name} >devices/{name}/driver/unbind
        echo virtio_vdpa >devices/{name}/driver_override
        echo {name} >drivers_probe""")
    # The virtio device hangs off the vDPA device's parent.
    return interface_of(guest, f"$(readlink -f /sys/bus/vdpa/devices/{name})/..")


def vdpa_sim(guest: Guest, name: str = "sim0") -> str:
    """Debian's own software parent, with no hardware; its character device."""
    load(guest, "vdpa_sim_net")
    return add_vdpa(guest, "vdpasim_net", name, "mac 52:54:00:00:00:03")


def pci_parent(guest: Guest, slot: int, driver: str, name: str) -> str:
    """A vDPA device on a PCI function; its character device."""
    check_iommu(guest)
    bind(guest, slot, driver)
    return add_vdpa(guest, f"pci/{address(slot)}", name)


def fetch_reports(guest: Guest, directory: str) -> Dict[str, str]:
    """All files of a directory of the guest, by name."""
    names = guest.run(f"ls {directory}", check=False).out.split()
    return {name: guest.read_file(f"{directory}/{name}") for name in names}
