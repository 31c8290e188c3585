#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How fast it is.

    iperf3   `vqnic` over vfio-user against QEMU's own virtio-net-pci
    rate     `vqnic bench PROFILE`: the NIC without a guest
    suite    `vqcert run sim:PROFILE`: wall and processor time

The comparison is one guest in one boot with both NICs plugged in, so both have the same kernel, the
same vCPU and the same offloads (those that both offer; the guest says which it negotiated). Each
has a TAP of its own, made alike, in a namespace of its own with an iperf3 server; the interface
that is not measured is down. Runs alternate, A B B A A B ..., so that a slow minute of the machine
hurts both; medians are compared. QEMU's NIC has no vhost: its datapath is a thread of QEMU, as the
NIC's is a process.

usage: bench.py [--rounds N] [--seconds N] [--only iperf3,rate,suite] [--profile NAME]
"""

import argparse
import dataclasses
import json
import os
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import cert, flows, kernels, owned, paths, proc, qemu, say  # noqa: E402
from lab.guest import Guest  # noqa: E402
from lab.net import Iperf, IperfServer, Netns  # noqa: E402
from lab.nic import Nic  # noqa: E402
from lab.say import Task, line  # noqa: E402

SIDES = ("vqnic", "qemu")
SLOTS = {"vqnic": flows.SLOT, "qemu": flows.PEER_SLOT}
GUEST = {"vqnic": "10.0.1.2", "qemu": "10.0.2.2"}
HOST = {"vqnic": "10.0.1.1", "qemu": "10.0.2.1"}
OFFLOADS = ("rx-checksumming", "tx-checksumming", "scatter-gather", "tcp-segmentation-offload",
            "generic-receive-offload", "rx-gro-hw", "large-receive-offload")


def offloads(guest: Guest, interface: str) -> Dict[str, str]:
    """The offloads of an interface that matter here."""
    answer = guest.run(f"ethtool -k {interface}", check=False)
    found = dict(text.strip().split(": ", 1) for text in answer.out.splitlines() if ": " in text)
    return {key: found[key].split()[0] for key in OFFLOADS if key in found}


def features(guest: Guest, slot: int) -> int:
    """The features that driver and device agreed on."""
    bits = guest.run(f"cat /sys/bus/pci/devices/{flows.address(slot)}/virtio*/features").out.strip()
    return sum(1 << i for i, bit in enumerate(bits) if bit == "1")


def _sides(rounds: int) -> List[str]:
    order: List[str] = []
    for number in range(rounds):
        order += SIDES if number % 2 == 0 else reversed(SIDES)
    return order


def iperf3(rounds: int, seconds: float, profile: str, machine_options: List[str]) -> dict:
    """Both NICs in one guest, measured in turn."""
    runs: Dict[str, Dict[str, List[Iperf]]] = {s: {"out": [], "in": []} for s in SIDES}
    kernel = kernels.debian()
    with Netns() as ours, Netns() as theirs:
        spaces = {"vqnic": ours, "qemu": theirs}
        for side in SIDES:
            spaces[side].tap(address=f"{HOST[side]}/24")
        with Nic(profile, "tap:tap0", ours.name) as nic:
            devices = [*nic.device(addr=f"{SLOTS['vqnic']:x}"), *flows.qemu_nic(SLOTS["qemu"])]
            with Task("boot a guest with both NICs", always=True):
                # QEMU runs where its own TAP is.
                guest = Guest([*devices, *machine_options], kernel, netns=theirs.name).start()
            with guest:
                interfaces = {s: flows.virtio_net(guest, SLOTS[s], GUEST[s]) for s in SIDES}
                agreed = {s: features(guest, SLOTS[s]) for s in SIDES}
                settings = {s: offloads(guest, interfaces[s]) for s in SIDES}
                for side in SIDES:
                    guest.run(f"ip link set {interfaces[side]} down")
                with IperfServer(ours, HOST["vqnic"]) as one, \
                        IperfServer(theirs, HOST["qemu"]) as other:
                    servers = {"vqnic": one, "qemu": other}
                    for number, side in enumerate(_sides(rounds), 1):
                        with Task(f"run {number} of {2 * rounds}, {side}", always=True) as task:
                            flows.configure(guest, interfaces[side], GUEST[side])
                            flows.ping(guest, HOST[side], 1)
                            told = []
                            for way in ("out", "in"):
                                answer = guest.run(servers[side].client(way, seconds),
                                                   seconds + 30, check=False)
                                result = Iperf.parse(answer.out or answer.err, way)
                                runs[side][way].append(result)
                                told.append(f"{result.gbps:.2f} {way}")
                            guest.run(f"ip link set {interfaces[side]} down")
                            task.result = ", ".join(told)
    result: dict = {"kernel": kernel.release, "seconds": seconds, "rounds": rounds,
                    "profile": profile, "offloads": settings,
                    "features": {s: hex(f) for s, f in agreed.items()},
                    "runs": {s: {w: [dataclasses.asdict(r) for r in runs[s][w]] for w in runs[s]}
                             for s in SIDES}, "median_gbps": {}, "ratio": {}}
    for way in ("out", "in"):
        medians = {s: statistics.median(r.gbps for r in runs[s][way]) for s in SIDES}
        result["median_gbps"][way] = medians
        result["ratio"][way] = round(medians["vqnic"] / medians["qemu"], 3)
    return result


def tell_iperf3(result: dict) -> None:
    """The comparison, for people."""
    line(f"iperf3, Gbit/s, medians of {result['rounds']} runs of {result['seconds']:g} s, "
         f"Linux {result['kernel']}, {qemu.accelerator()}")
    line(f"  {'':14}{'vqnic':>8}{'QEMU':>8}{'ratio':>8}")
    for way, title in (("out", "out of guest"), ("in", "into guest")):
        medians = result["median_gbps"][way]
        ratio = result["ratio"][way]
        line(f"  {title:14}{medians['vqnic']:8.2f}{medians['qemu']:8.2f}{ratio:8.2f}")
    differ = {k for k in result["offloads"]["qemu"]
              if result["offloads"]["vqnic"].get(k) != result["offloads"]["qemu"][k]}
    if differ:
        line(f"  offloads that differ: {', '.join(sorted(differ))}")


def rate(profile: str) -> dict:
    """The NIC without a guest."""
    with Task(f"vqnic bench {profile}"):
        found = proc.run([paths.VQNIC, "bench", profile, "--format", "json"], 300)
    return json.loads(found.out)


def tell_rate(result: dict) -> None:
    """The packet rate, for people."""
    line(f"packet rate of {result['profile']} in-process")
    for row in result["results"]:
        line(f"  {row['frame_bytes']:5d} B  {row['ring']:7}{row['direction']:9}"
             f"batch {row['batch']:<4} {row['pps'] / 1e6:7.2f} Mpps {row['gbps']:7.2f} Gbit/s")


def suite(profile: str, rounds: int = 5) -> dict:
    """The suite's own time: the median of some runs."""
    wall, cpu, checks = [], [], 0
    with Task(f"vqcert run sim:{profile}, {rounds} times"):
        for _ in range(rounds):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.monotonic()
            report = cert.run(f"bench-{profile}", f"sim:{profile}", keep=False)
            wall.append(time.monotonic() - started)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            checks = len(report.checks)
    return {"profile": profile, "checks": checks, "wall_seconds": round(statistics.median(wall), 3),
            "cpu_seconds": round(statistics.median(cpu), 3)}


def main() -> int:
    """Parse the command line and go."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="iperf3 runs of each NIC")
    parser.add_argument("--seconds", type=float, default=3, help="length of an iperf3 run")
    parser.add_argument("--only", default="iperf3,rate,suite", help="what to measure")
    parser.add_argument("--profile", default="virtio-net", help="of the NIC under iperf3")
    options = parser.parse_args()
    wanted = options.only.split(",")
    owned.directory()
    result: dict = {"schema": 1, "qemu": qemu.version(), "accelerator": qemu.accelerator(),
                    "cpus": os.cpu_count()}
    result["load_before"] = round(os.getloadavg()[0], 2)
    if result["load_before"] > 0.7:
        line(f"note: the machine is busy (load {result['load_before']}); figures of different runs "
             "can't be compared")
    status = 0

    def part(name: str, function) -> None:
        nonlocal status
        if name.split()[0] in wanted:
            try:
                function()
            except say.LabError as error:
                line(f"{name} failed: {error}")
                status = status or error.status

    def do_iperf3() -> None:
        result["iperf3"] = iperf3(options.rounds, options.seconds, options.profile, [])
        tell_iperf3(result["iperf3"])

    def do_rate(profile: str) -> None:
        found = rate(profile)
        result.setdefault("rate", []).append(found)
        tell_rate(found)

    def do_suite(profile: str) -> None:
        found = suite(profile)
        result.setdefault("suite", []).append(found)
        line(f"the suite on sim:{profile}: {found['checks']} checks in {found['wall_seconds']:.2f} "
             f"s ({found['cpu_seconds']:.2f} s of processor)")

    part("iperf3", do_iperf3)
    for name in ("virtio-net", "ifcvf"):
        part(f"rate {name}", lambda: do_rate(name))
    for name in ("ifcvf", "virtio-net"):
        part(f"suite {name}", lambda: do_suite(name))
    paths.REPORTS.mkdir(parents=True, exist_ok=True)
    target = paths.REPORTS / "bench.json"
    target.write_text(json.dumps(result, indent=1) + "\n")
    owned.give_back(paths.REPORTS)
    line(f"figures: {target.relative_to(paths.REPO)}")
    return status


if __name__ == "__main__":
    say.main(main)
