# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces, TAPs and iperf3.

Each NIC's other side is a namespace of its own that holds one or more persistent TAPs. `vqnic` and
QEMU run inside it (their sockets are files, which namespaces don't touch), so nothing shows up in
the machine's own network, names can't collide, and removing the namespace removes it all.
"""

import itertools
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

from . import owned, proc
from .say import BrokenEnvironment, LabError

_numbers = itertools.count(1)
PORT = 5201


class Netns:
    """A network namespace with TAPs. Use as a context manager."""

    def __init__(self) -> None:
        self.name = f"{owned.NETNS_PREFIX}{os.getpid()}-{next(_numbers)}"
        self.addresses: Dict[str, str] = {}

    def __enter__(self) -> "Netns":
        owned.note_netns(self.name)
        try:
            proc.run(["ip", "netns", "add", self.name], 10)
            self.run(["ip", "link", "set", "lo", "up"])
            Path("/proc/sys/net/ipv6").exists() and self.run(
                ["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"], check=False)
        except LabError as error:
            self.__exit__()
            raise BrokenEnvironment(f"can't make a network namespace ({error}): run as root on a "
                                    "kernel with CONFIG_NET_NS") from error
        return self

    def __exit__(self, *_) -> None:
        proc.run(["ip", "netns", "del", self.name], 10, check=False)

    def run(self, argv: List[str], deadline: float = 20.0, check: bool = True) -> proc.Result:
        """Run a command in the namespace."""
        return proc.run(argv, deadline, netns=self.name, check=check)

    def tap(self, name: str = "tap0", address: str = "10.0.0.1/24", queues: int = 1) -> str:
        """Make a persistent TAP with an address, up, that carries virtio-net headers."""
        if not Path("/dev/net/tun").exists():
            raise BrokenEnvironment("/dev/net/tun is not there: load the module tun, or pass the "
                                    "device into this container")
        multi = ["multi_queue"] if queues > 1 else []
        try:
            self.run(["ip", "tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr", *multi])
        except LabError as error:
            raise BrokenEnvironment(f"can't make the TAP {name} ({error}): run as root on a kernel "
                                    "with CONFIG_TUN") from error
        self.run(["ip", "addr", "add", address, "dev", name])
        self.run(["ip", "link", "set", name, "up"])
        self.addresses[name] = address.split("/")[0]
        return name


@dataclass
class Iperf:
    """One iperf3 run: `out` is from the guest, `in` is into it."""

    direction: str
    gbps: float
    retransmits: int
    seconds: float
    cpu_guest: float
    cpu_host: float

    @classmethod
    def parse(cls, text: str, direction: str) -> "Iperf":
        """Read what `iperf3 -J` printed on the client."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise LabError(f"iperf3 printed no JSON: {text.strip()[:200]!r}") from error
        if "error" in data:
            raise LabError(f"iperf3 in the guest: {data['error']}")
        end = data["end"]
        cpu = end.get("cpu_utilization_percent", {})
        return cls(direction, round(end["sum_received"]["bits_per_second"] / 1e9, 4),
                   end["sum_sent"].get("retransmits", 0), round(end["sum_sent"]["seconds"], 2),
                   round(cpu.get("host_total", 0.0), 1), round(cpu.get("remote_total", 0.0), 1))


class IperfServer:
    """iperf3's server in a namespace; it serves one test after the other."""

    def __init__(self, netns: Netns, address: str, port: int = PORT) -> None:
        self._netns = netns
        self.address = address
        self.port = port
        self._child: Optional[proc.Child] = None

    def __enter__(self) -> "IperfServer":
        self._child = proc.Child(["iperf3", "-s", "-B", self.address, "-p", str(self.port),
                                  "--forceflush"], "iperf3-server", netns=self._netns.name)
        end = time.monotonic() + 10
        while f"listening on {self.port}" not in self._child.tail():
            if not self._child.running or time.monotonic() > end:
                text = self._child.tail(3)
                self.__exit__()
                raise LabError(f"iperf3's server does not listen on {self.address}: {text}")
            time.sleep(0.01)    # polls the log, with a deadline
        return self

    def __exit__(self, *_) -> None:
        if self._child is not None:
            self._child.stop(1)

    def client(self, direction: str, seconds: float, streams: int = 1) -> str:
        """The command line for the guest."""
        reverse = " -R" if direction == "in" else ""
        return (f"iperf3 -J -c {self.address} -p {self.port} -t {seconds:g} -P {streams} "
                f"--connect-timeout 5000{reverse}")
