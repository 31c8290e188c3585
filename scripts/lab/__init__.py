# SPDX-License-Identifier: BSD-3-Clause
"""The lab: real guests under QEMU, the NIC beside them, and networks to join the two.

Modules, from the ground up:

    paths      where things are in the checkout and under build/
    say        progress and errors, one sentence each
    proc       child processes that never outlive us
    owned      what we leave on the machine (namespaces, directories), so that the next run can
               remove what a killed one could not
    steps      set-up in stamped steps
    root       a Debian root under build/ for what the machine lacks
    kernels    guest kernels, and the vDPA parents that Debian's leave out
    qemu       which QEMU, and which accelerator really works
    initramfs  what the guest boots into
    guest      a running guest that takes commands
    net        network namespaces, TAPs and iperf3
    nic        a running `vqnic`
    cert       `vqcert`, its reports and their totals
    flows      guests put together: virtio_net, ifcvf, vDPA without hardware
"""
