#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The main job: certify the simulated NIC, in this process and under a stock kernel.

    1  `vqcert` on the IFCVF model in its own process
    2  a guest with an IOMMU and two such NICs, which mainline `ifcvf` binds: `vqcert` runs in the
       guest against the first, whose wire is a loopback; then against the second, whose wire is a
       TAP, without traffic; which then moves to virtio_vdpa and carries iperf3
    3  a guest with mainline `virtio_net` on the virtio-pci model, and iperf3 both ways

A step that fails says why; the others still run. Ends with the verdicts by area and parent, the
iperf3 figures and where the reports are.

usage: run.py [--seconds N] [--kernel SERIES]
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Callable, Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import cert, flows, kernels, owned, paths, qemu, say  # noqa: E402
from lab.guest import Guest  # noqa: E402
from lab.net import Iperf, Netns  # noqa: E402
from lab.nic import Nic  # noqa: E402
from lab.say import Task, line  # noqa: E402


class Run:
    """The steps and what they have found."""

    def __init__(self, seconds: float, series: str) -> None:
        self.seconds = seconds
        self.kernel = kernels.debian(series)
        self.reports: List[cert.Report] = []
        self.iperf: Dict[str, List[Iperf]] = {}
        self.status = 0

    def step(self, title: str, function: Callable[[], None]) -> None:
        """Run a step; a failure is told and kept."""
        line(title)
        try:
            function()
        except say.LabError as error:
            line(f"  failed: {error}")
            self.status = self.status or error.status

    def _judge(self, report: cert.Report) -> None:
        self.reports.append(report)
        for complaint in report.complaints():
            line(f"  {complaint}")
        if not report.ok:
            self.status = self.status or report.status

    def _iperf(self, what: str, guest: Guest, netns: Netns) -> None:
        with Task(f"iperf3, {what}, out of the guest and into it") as task:
            found = flows.iperf(guest, netns, self.seconds)
            task.result = ", ".join(f"{f.gbps:.2f} Gbit/s {f.direction}" for f in found)
        self.iperf[what] = found

    def in_process(self) -> None:
        """Certify the model in the suite's own process."""
        with Task("certify sim:ifcvf", always=True) as task:
            report = cert.run("sim-ifcvf", "sim:ifcvf")
            task.result = report.summary()
        self._judge(report)

    def under_ifcvf(self) -> None:
        """Certify the model behind the mainline driver, then run iperf3 through it."""
        with Netns() as netns, Nic("ifcvf", "loopback") as looped, \
                Nic("ifcvf", f"tap:{netns.tap()}", netns.name) as nic:
            devices = [*flows.IOMMU_DEVICE, *looped.device(addr=f"{flows.SLOT:x}"),
                       *nic.device(addr=f"{flows.SECOND_SLOT:x}")]
            with Task("boot a guest with an IOMMU", always=True) as task:
                guest = Guest(devices, self.kernel, flows.IOMMU_APPEND, flows.IOMMU_MACHINE,
                              cpus=flows.IFCVF_CPUS).start()
                task.result = f"Debian's {self.kernel.release}, {qemu.accelerator()}"
            with guest:
                with Task("bind ifcvf, create vDPA devices") as task:
                    nodes = [flows.pci_parent(guest, flows.SLOT, "ifcvf", "vdpa0"),
                             flows.pci_parent(guest, flows.SECOND_SLOT, "ifcvf", "vdpa1")]
                    task.result = ", ".join(nodes)
                for node, name, peer in ((nodes[0], "guest-ifcvf", "loopback"),
                                         (nodes[1], "guest-ifcvf-tap", "none")):
                    with Task(f"certify {node} in the guest, wire {peer}", always=True) as task:
                        report = cert.run_in_guest(guest, name, f"vhost-vdpa:{node}", peer=peer,
                                                   options=cert.SLOW)
                        task.result = report.summary()
                    self._judge(report)
                with Task(f"move the device of {nodes[1]} to virtio_vdpa") as task:
                    interface = flows.to_virtio_vdpa(guest, "vdpa1")
                    flows.configure(guest, interface)
                    task.result = f"{interface}, ping {flows.ping(guest):.2f} ms"
                self._iperf("ifcvf, virtio_vdpa", guest, netns)

    def under_virtio_net(self) -> None:
        """iperf3 through the mainline virtio_net driver."""
        with Netns() as netns, Nic("virtio-net", f"tap:{netns.tap()}", netns.name) as nic:
            with Task("boot a guest", always=True) as task:
                guest = Guest(nic.device(addr=f"{flows.SLOT:x}"), self.kernel)
                guest.start()
                task.result = f"Debian's {self.kernel.release}, {qemu.accelerator()}"
            with guest:
                with Task("bind virtio_net") as task:
                    interface = flows.virtio_net(guest, flows.SLOT)
                    task.result = f"{interface}, ping {flows.ping(guest):.2f} ms"
                self._iperf("virtio-pci, virtio_net", guest, netns)

    def summary(self) -> None:
        """The table, the figures and the place of the reports."""
        line()
        for text in cert.table(self.reports) if self.reports else ():
            line(text)
        if self.iperf:
            line()
            line(f"{'iperf3, Gbit/s':28}{'out of guest':>14}{'into guest':>12}")
            for what, found in self.iperf.items():
                line(f"{what:28}{found[0].gbps:14.2f}{found[1].gbps:12.2f}")
        paths.REPORTS.mkdir(parents=True, exist_ok=True)
        figures = {
            "schema": 1, "kernel": self.kernel.release, "qemu": qemu.version(),
            "accelerator": qemu.accelerator(),
            "iperf3": {k: [dataclasses.asdict(f) for f in v] for k, v in self.iperf.items()},
            "verdicts": {r.name: r.totals() for r in self.reports},
        }
        (paths.REPORTS / "run.json").write_text(json.dumps(figures, indent=1) + "\n")
        owned.give_back(paths.REPORTS)
        line()
        line(f"reports: {paths.REPORTS.relative_to(paths.REPO)}/"
             "{" + ",".join([r.name for r in self.reports]) + "}.{json,xml,tap}, run.json")
        line("all of it passed" if self.status == 0 else "not all of it passed (above)")


def main() -> int:
    """Parse the command line and go."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3, help="length of an iperf3 run")
    parser.add_argument("--kernel", default=kernels.DEFAULT, help="the guest's kernel")
    options = parser.parse_args()
    owned.directory()
    run = Run(options.seconds, options.kernel)
    run.step("1. in this process", run.in_process)
    run.step("2. under the mainline ifcvf driver", run.under_ifcvf)
    run.step("3. under the mainline virtio_net driver", run.under_virtio_net)
    run.summary()
    return run.status


if __name__ == "__main__":
    say.main(main)
