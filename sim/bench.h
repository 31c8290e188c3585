/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vqnic bench: the NIC without a guest
 */
#ifndef VN_BENCH_H
#define VN_BENCH_H

/**
 * vqnic_bench() - the sub-command `vqnic bench`
 * @argv: its own arguments; argv[0] is "vqnic bench"
 *
 * Return: exit status.
 */
int vqnic_bench(int argc, char **argv);

#endif
