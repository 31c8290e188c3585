/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vqnic bench: the NIC without a guest
 *
 * How it works. A driver model (bench_driver.c) and the NIC take turns in one thread, a batch each,
 * so that a figure is what one processor does for both sides together. Three directions: frames
 * sent into a wire that counts them, frames that the wire injects, and frames sent over a loopback
 * wire and received again, each counted once. Every frame that comes back is checked for its length
 * and its place in the order; a lost one ends the bench.
 *
 * Each figure is the median of ROUNDS runs. What only a timed fabric knows (latency, PCIe, what is
 * the bottleneck) is null.
 */
#include "bench.h"

#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench_driver.h"
#include "util.h"

#define EXIT_USAGE 2
#define ROUNDS	   3
#define SIZES_MAX  8
#define SETS_MAX   32
#define FRAME_MIN  60u
#define FRAME_LONG 2036u /* fits a buffer of the driver model, header included */

enum direction { DIR_TX, DIR_RX, DIR_LOOP, DIRECTIONS };

static const char *const direction_names[] = {"tx", "rx", "loop"};

struct args {
	const char *profile;
	const char *sets[SETS_MAX + 1];
	unsigned int nsets;
	bool json;
	double seconds;
	unsigned int batch;
	uint16_t queue_size;
	uint32_t sizes[SIZES_MAX];
	unsigned int nsizes;
	bool ring[2]; /* split, packed */
	bool direction[DIRECTIONS];
};

/* ---- One run
 * --------------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static int sink_transmit(void *ctx, const struct vqnic_frame *frame)
{
	(void)frame;
	++*(uint64_t *)ctx;
	return 0;
}

static const struct vqnic_wire_ops sink = {
	.caps = VQNIC_WIRE_OFFLOADS,
	.transmit = sink_transmit,
};

static void run_nic(struct vqnic *nic)
{
	while (vqnic_run(nic, 4096) > 0)
		;
}

/* A batch through the NIC. Return: frames offered, negative errno if the NIC broke the rules. */
static int turn(struct vqnic *nic, struct bench_driver *driver, enum direction direction,
		unsigned int batch)
{
	unsigned int offered = batch;
	int ret;

	if (direction == DIR_RX) {
		struct vqnic_frame frame = bench_frame(driver);

		for (unsigned int i = 0; i < batch; i++)
			if (vqnic_wire_receive(nic, 0, &frame))
				return -ENOBUFS;
	} else {
		offered = bench_send(driver, batch);
	}
	run_nic(nic);
	ret = bench_reap_sent(driver);
	if (ret >= 0)
		ret = bench_reap_received(driver);
	return ret < 0 ? ret : (int)offered;
}

/* Runs for about @seconds. Return: 0 and frames a second; negative errno with a sentence. */
static int measure(const struct args *args, struct vqnic *nic, struct bench_driver *driver,
		   enum direction direction, uint64_t *sunk, double *pps, struct vqnic_error *err)
{
	uint64_t begin, end, offered = 0, seen;
	struct vqnic_counters before, after;
	int ret;

	vqnic_counters(nic, &before);
	*sunk = 0;
	begin = now_ns();
	do {
		for (unsigned int i = 0; i < 64; i++) {
			ret = turn(nic, driver, direction, args->batch);
			if (ret <= 0) {
				snprintf(err->text, sizeof(err->text),
					 "after %llu frames the NIC %s",
					 (unsigned long long)offered,
					 ret == -EPROTO ? "used a buffer that was not offered, or "
							  "gave back another frame"
					 : ret		? "takes no frames from the wire"
							: "gives no buffers back");
				return ret ? ret : -EIO;
			}
			offered += (unsigned int)ret;
		}
		end = now_ns();
	} while (end - begin < (uint64_t)(args->seconds * 1e9));
	vqnic_counters(nic, &after);
	seen = direction == DIR_TX ? *sunk : after.rx_frames - before.rx_frames;
	if (seen != offered || after.rx_drops != before.rx_drops ||
	    after.tx_drops != before.tx_drops) {
		snprintf(err->text, sizeof(err->text), "of %llu frames %llu arrived",
			 (unsigned long long)offered, (unsigned long long)seen);
		return -EIO;
	}
	*pps = (double)offered / ((double)(end - begin) / 1e9);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int figure(const struct args *args, bool packed, uint32_t bytes, enum direction direction,
		  double *pps, struct vqnic_error *err)
{
	const struct vqnic_config cfg = {.profile = args->profile, .overrides = args->sets};
	const struct bench_params params = {
		.packed = packed, .queue_size = args->queue_size, .frame_bytes = bytes};
	struct bench_driver *driver = NULL;
	double rounds[ROUNDS];
	struct vqnic *nic;
	uint64_t sunk = 0;
	int ret = vqnic_create(&cfg, &nic, err);

	if (ret)
		return ret;
	if (direction == DIR_LOOP)
		ret = vqnic_wire_open(nic, 0, "loopback", err);
	else
		ret = vqnic_wire_plug(nic, 0, &sink, &sunk);
	if (!ret)
		ret = bench_driver_open(nic, &params, &driver, err);
	for (unsigned int i = 0; !ret && i < ROUNDS; i++)
		ret = measure(args, nic, driver, direction, &sunk, &rounds[i], err);
	bench_driver_close(driver);
	vqnic_destroy(nic);
	if (ret)
		return ret;
	qsort(rounds, ROUNDS, sizeof(rounds[0]), by_value);
	*pps = rounds[ROUNDS / 2];
	return 0;
}

/* ---- All of them
 * ------------------------------------------------------------------------------------- */

static json_t *result_json(const struct args *args, const char *ring, uint32_t bytes,
			   enum direction direction, double pps)
{
	return json_pack("{s:i, s:i, s:i, s:s, s:s, s:f, s:f, s:n, s:n, s:n}", "frame_bytes",
			 (int)bytes, "batch", (int)args->batch, "queues", 1, "ring", ring,
			 "direction", direction_names[direction], "pps", pps, "gbps",
			 pps * bytes * 8 / 1e9, "latency_ns", "pcie", "bottleneck");
}

static void heading(const struct args *args)
{
	printf("vqnic bench %s: driver model and NIC on one processor, 1 queue pair, no guest\n",
	       args->profile);
	printf("%6s  %-6s  %-9s  %5s  %8s  %8s  %9s\n", "bytes", "ring", "direction", "batch",
	       "Mpps", "Gbit/s", "ns/frame");
}

static void result_row(const struct args *args, const char *ring, uint32_t bytes,
		       enum direction direction, double pps)
{
	printf("%6u  %-6s  %-9s  %5u  %8.3f  %8.2f  %9.1f\n", bytes, ring,
	       direction_names[direction], args->batch, pps / 1e6, pps * bytes * 8 / 1e9,
	       1e9 / pps);
	fflush(stdout);
}

static int bench(const struct args *args, json_t *results)
{
	struct vqnic_error err = {""};
	unsigned int rows = 0;

	for (unsigned int s = 0; s < args->nsizes; s++) {
		for (unsigned int n = 0; n < 2 * DIRECTIONS; n++) {
			bool packed = n >= DIRECTIONS;
			enum direction direction = n % DIRECTIONS;
			const char *ring = packed ? "packed" : "split";
			double pps;
			int ret;

			if (!args->ring[packed] || !args->direction[direction])
				continue;
			ret = figure(args, packed, args->sizes[s], direction, &pps, &err);
			if (ret == -EOPNOTSUPP && packed)
				continue; /* IFCVF has no packed rings */
			if (ret) {
				fprintf(stderr, "vqnic bench: %s\n", err.text);
				return ret == -EINVAL || ret == -ENOENT ? EXIT_USAGE : EXIT_FAILURE;
			}
			if (args->json)
				json_array_append_new(results,
						      result_json(args, ring, args->sizes[s],
								  direction, pps));
			else if (!rows++)
				heading(args);
			if (!args->json)
				result_row(args, ring, args->sizes[s], direction, pps);
		}
	}
	return 0;
}

/* ---- Arguments
 * ----------------------------------------------------------------------------------------- */

enum {
	OPT_FORMAT = 0x100,
	OPT_SECONDS,
	OPT_BATCH,
	OPT_SET,
	OPT_SIZE,
	OPT_QUEUE,
	OPT_RING,
	OPT_DIR
};

static const struct argp_option options[] = {
	{"format", OPT_FORMAT, "table|json", 0, "how to print (table)", 0},
	{"frame-bytes", OPT_SIZE, "N", 0, "frame without FCS; may be given again (64, 1514)", 0},
	{"ring", OPT_RING, "split|packed", 0, "only this ring format", 0},
	{"direction", OPT_DIR, "tx|rx|loop", 0, "only this direction; may be given again", 0},
	{"batch", OPT_BATCH, "N", 0, "frames a doorbell (64)", 0},
	{"queue-size", OPT_QUEUE, "N", 0, "entries of a ring (256)", 0},
	{"seconds", OPT_SECONDS, "S", 0, "length of each of a figure's 3 runs (0.3)", 0},
	{"set", OPT_SET, "KEY=VALUE", 0, "change a key of the profile", 0},
	{0},
};

static unsigned int number(struct argp_state *state, const char *what, const char *text,
			   unsigned int min, unsigned int max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (end == text || *end || n < min || n > max)
		argp_error(state, "%s is a number from %u to %u, not '%s'", what, min, max, text);
	return (unsigned int)n;
}

static void parse_direction(struct args *args, const char *arg, struct argp_state *state)
{
	for (unsigned int i = 0; i < DIRECTIONS; i++) {
		if (!strcmp(arg, direction_names[i])) {
			args->direction[i] = true;
			return;
		}
	}
	argp_error(state, "--direction is tx, rx or loop, not '%s'", arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;
	char *end;

	switch (key) {
	case OPT_FORMAT:
		args->json = !strcmp(arg, "json");
		if (!args->json && strcmp(arg, "table"))
			argp_error(state, "--format is table or json, not '%s'", arg);
		return 0;
	case OPT_SIZE:
		if (args->nsizes == SIZES_MAX)
			argp_error(state, "at most %d sizes of frames", SIZES_MAX);
		args->sizes[args->nsizes++] =
			number(state, "--frame-bytes", arg, FRAME_MIN, FRAME_LONG);
		return 0;
	case OPT_RING:
		if (strcmp(arg, "split") && strcmp(arg, "packed"))
			argp_error(state, "--ring is split or packed, not '%s'", arg);
		args->ring[!strcmp(arg, "packed")] = true;
		return 0;
	case OPT_DIR:
		parse_direction(args, arg, state);
		return 0;
	case OPT_BATCH:
		args->batch = number(state, "--batch", arg, 1, 32768);
		return 0;
	case OPT_QUEUE:
		args->queue_size = (uint16_t)number(state, "--queue-size", arg, 2, 32768);
		if (args->queue_size & (args->queue_size - 1))
			argp_error(state, "--queue-size is a power of two, not %s", arg);
		return 0;
	case OPT_SECONDS:
		args->seconds = strtod(arg, &end);
		if (end == arg || *end || !(args->seconds > 0 && args->seconds <= 3600))
			argp_error(state, "--seconds is a number up to 3600, not '%s'", arg);
		return 0;
	case OPT_SET:
		if (args->nsets == SETS_MAX)
			argp_error(state, "at most %d --set", SETS_MAX);
		args->sets[args->nsets++] = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (args->profile)
			argp_error(state, "one profile is enough");
		args->profile = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->profile)
			argp_error(state, "a profile is missing; `vqnic profiles` lists them");
		if (args->batch > args->queue_size)
			argp_error(state, "a batch of %u does not fit a ring of %u", args->batch,
				   args->queue_size);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void fill_in(struct args *args)
{
	if (!args->nsizes) {
		args->sizes[args->nsizes++] = 64;
		args->sizes[args->nsizes++] = 1514;
	}
	if (!args->ring[0] && !args->ring[1])
		args->ring[0] = args->ring[1] = true;
	if (!args->direction[DIR_TX] && !args->direction[DIR_RX] && !args->direction[DIR_LOOP])
		memset(args->direction, true, sizeof(args->direction));
}

int vqnic_bench(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, "PROFILE", "Measure the NIC without a guest: packet rates.",
		NULL,	 NULL,	NULL};
	struct args args = {.seconds = 0.3, .batch = 64, .queue_size = 256};
	json_t *results;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	fill_in(&args);
	results = json_array();
	status = bench(&args, results);
	if (!status && args.json) {
		json_t *all = json_pack("{s:i, s:s, s:O}", "schema", 1, "profile", args.profile,
					"results", results);

		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(all);
	}
	json_decref(results);
	return status;
}
