# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces, TAPs and iperf3.

Each NIC's other side is a namespace of its own that holds one or more persistent TAPs. `vqnic` and
QEMU run inside it (their sockets are files, which namespaces don't touch), so nothing shows up in
the machine's own network, names can't collide, and removing the namespace removes it all.
"""

import ctypes
import itertools
import json
import os
import select
import socket
import struct
import threading
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


class Reflector:
    """The far end of a TAP that sends every frame back: a loopback cable with a TAP in it.

    So a NIC on a TAP can be certified as one on a loopback wire, and then carry iperf3, without
    being replaced. Offload headers travel along (PACKET_VNET_HDR); VLAN tags, which the kernel
    takes out of a received frame, are put back.
    """

    SOL_PACKET = 263
    PACKET_AUXDATA = 8
    PACKET_VNET_HDR = 15
    PACKET_IGNORE_OUTGOING = 23
    VLAN_VALID = 1 << 4
    CLONE_NEWNET = 0x40000000

    def __init__(self, netns: Netns, tap: str = "tap0") -> None:
        self._netns = netns
        self._tap = tap
        self._error = ""
        self._ready = threading.Event()
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self.frames = 0

    def __enter__(self) -> "Reflector":
        self._thread.start()
        self._ready.wait(10)
        if self._error:
            raise LabError(f"can't reflect frames on {self._tap}: {self._error}")
        return self

    def __exit__(self, *_) -> None:
        os.close(self._stop)
        self._thread.join(10)
        os.close(self._wake)

    def _open(self) -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{self._netns.name}", "rb") as file:
            # Changes this thread only.
            if libc.setns(file.fileno(), self.CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        raw.setsockopt(self.SOL_PACKET, self.PACKET_VNET_HDR, 1)
        raw.setsockopt(self.SOL_PACKET, self.PACKET_AUXDATA, 1)
        raw.setsockopt(self.SOL_PACKET, self.PACKET_IGNORE_OUTGOING, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        raw.bind((self._tap, 0x0003))
        return raw

    def _main(self) -> None:
        try:
            raw = self._open()
        except OSError as error:
            self._error = str(error)
            self._ready.set()
            return
        self._ready.set()
        with raw:
            while True:
                ready, _, _ = select.select([raw, self._wake], [], [])
                if self._wake in ready:
                    return
                try:
                    frame, extra, _, _ = raw.recvmsg(1 << 17, 256)
                    raw.send(self._retag(frame, extra))
                    self.frames += 1
                except OSError:
                    continue    # the frame is lost, as on any wire

    def _retag(self, frame: bytes, extra: list) -> bytes:
        for level, kind, data in extra:
            if level == self.SOL_PACKET and kind == self.PACKET_AUXDATA and len(data) >= 20:
                status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data[:20])
                if status & self.VLAN_VALID:
                    flags, gso, head, size, start, offset = struct.unpack("=BBHHHH", frame[:10])
                    if flags & 1:
                        head, start = head + 4, start + 4
                    header = struct.pack("=BBHHHH", flags, gso, head, size, start, offset)
                    tag = struct.pack("!HH", tpid or 0x8100, tci)
                    return header + frame[10:22] + tag + frame[22:]
        return frame
