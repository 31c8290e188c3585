/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vqcert prove: every seeded defect against the suite
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "engine.h"
#include "progress.h"
#include "prove.h"
#include "run.h"
#include "status.h"
#include "text.h"

static const char help[] =
	"usage: vqcert prove [OPTION...] [PROFILE...]\n"
	"\n"
	"Prove the suite: the clean NIC passes, every seeded defect is killed by a check that names\n"
	"a requirement it breaks, every check that runs on the NIC kills a defect. PROFILEs are\n"
	"those of the simulator; ifcvf, ifcvf-dpdk and virtio-net if none is given. Each is tried on\n"
	"the direct fabric and on the delayed one with windows of 1 and 64; an address (sim:...) is\n"
	"tried as it is.\n"
	"\n"
	"  -c, --checks=SELECT   only these checks (may be repeated); a dotted name, an area, a glob\n"
	"                        (quote it), or a requirement's id\n"
	"  -d, --defect=NAME     only this defect (may be repeated)\n"
	"      --matrix          every defect against every check, instead of the first kill\n"
	"  -f, --format=FORMAT   human (default), json, html\n"
	"  -s, --seed=N          seed of all random choices, or 'random' (default 1)\n"
	"  -t, --timeout=S       deadline of a check in seconds (default 10)\n"
	"  -j, --jobs=N          checks at a time (default: processors)\n"
	"  -h, --help            this\n"
	"\n"
	"Exit status: 0 proven, 1 a defect survives, a check kills nothing or the clean NIC fails.\n";

static const char *const default_profiles[] = {"ifcvf", "virtio-net", "ifcvf-dpdk"};

/* What is appended to a profile; the direct fabric first, it is the quickest. */
static const char *const fabrics[] = {"", ",fabric=delayed,window=64", ",fabric=delayed,window=1"};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct call {
	struct proof proof;
	struct patterns checks, defects;
	void (*print)(const struct proof *proof);
	struct progress progress;
};

static void add_stand(struct call *call, const char *profile, const char *fabric)
{
	struct proof *proof = &call->proof;
	struct stand *stand = &proof->stands[proof->stands_n++];
	struct child_task task = {.seed = proof->seed};
	char *sentence;
	int err;

	stand->profile = xstrdup(profile);
	stand->address =
		strchr(profile, ':') ? xstrdup(profile) : xformat("sim:%s%s", profile, fabric);
	task.address = stand->address;
	err = engine_probe(&task, PROBE_TIMEOUT_MS, &stand->probe, &sentence);
	if (err < 0)
		sentence_die(err == -EINVAL || err == -ENOENT ? EXIT_USAGE : EXIT_ENVIRONMENT, "%s",
			     sentence);
}

static void add_stands(struct call *call, const char *const *profiles, size_t n)
{
	call->proof.stands = xcalloc(n * COUNT(fabrics), sizeof(*call->proof.stands));
	for (size_t f = 0; f < COUNT(fabrics); f++)
		for (size_t i = 0; i < n; i++)
			if (!f || !strchr(profiles[i], ':'))
				add_stand(call, profiles[i], fabrics[f]);
}

static void add_defects(struct call *call)
{
	struct proof *proof = &call->proof;
	size_t all, used = 0;
	const struct parent_defect *table = parent_defects(&all);
	bool *found = xcalloc(call->defects.n + 1, sizeof(*found));

	proof->defects = xcalloc(all + 1, sizeof(*proof->defects));
	for (size_t i = 0; i < all; i++) {
		bool want = !call->defects.n;

		for (size_t k = 0; k < call->defects.n; k++)
			if (!strcmp(call->defects.v[k], table[i].name))
				want = found[k] = true;
		if (want)
			proof->defects[used++].defect = &table[i];
	}
	for (size_t k = 0; k < call->defects.n; k++)
		if (!found[k])
			usage_die("prove", "there is no defect '%s'; see vqnic defects",
				  call->defects.v[k]);
	proof->defects_n = used;
	free(found);
}

static void (*find_format(const char *name))(const struct proof *proof)
{
	if (!strcmp(name, "json"))
		return prove_json;
	if (!strcmp(name, "html"))
		return prove_html;
	if (strcmp(name, "human"))
		usage_die("prove", "--format is human, json or html, not '%s'", name);
	return prove_human;
}

static bool parse(struct call *call, int argc, char **argv)
{
	enum { OPT_MATRIX = 256 };
	static const struct option options[] = {{"checks", required_argument, NULL, 'c'},
						{"defect", required_argument, NULL, 'd'},
						{"matrix", no_argument, NULL, OPT_MATRIX},
						{"format", required_argument, NULL, 'f'},
						{"seed", required_argument, NULL, 's'},
						{"timeout", required_argument, NULL, 't'},
						{"jobs", required_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	struct proof *proof = &call->proof;
	const char *wrong;
	int option;

	while ((option = getopt_long(argc, argv, "c:d:f:s:t:j:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			patterns_add(&call->checks, optarg);
			break;
		case 'd':
			patterns_add(&call->defects, optarg);
			break;
		case OPT_MATRIX:
			proof->matrix = true;
			break;
		case 'f':
			call->print = find_format(optarg);
			break;
		case 's':
			proof->seed = parse_seed("prove", optarg);
			break;
		case 't':
			proof->timeout_ms = parse_seconds("prove", "--timeout", optarg);
			break;
		case 'j':
			proof->jobs = (unsigned int)parse_number("prove", "--jobs", optarg, 1, 256);
			break;
		case 'h':
			fputs(help, stdout);
			return false;
		default:
			exit(EXIT_USAGE);
		}
	}
	wrong = checks_select(call->checks.v, call->checks.n, NULL, 0, &proof->checks);
	if (wrong)
		usage_die("prove", "no check is called '%s'; see vqcert list", wrong);
	return true;
}

static void on_tick(void *ctx, const char *what, size_t done, size_t all)
{
	struct call *call = ctx;

	progress_show(&call->progress, done, all, what);
}

static int verdict(const struct proof *proof)
{
	for (size_t i = 0; i < proof->defects_n; i++)
		if (proof->defects[i].shows && !proof->defects[i].named)
			return EXIT_FAILED;
	for (size_t c = 0; c < proof->checks.n; c++)
		if (proof->ran[c] && !proof->kills[c])
			return EXIT_FAILED;
	return proof->complaints_n ? EXIT_FAILED : EXIT_PASSED;
}

static void release(struct call *call)
{
	struct proof *proof = &call->proof;

	for (size_t s = 0; s < proof->stands_n; s++) {
		free(proof->stands[s].address);
		free(proof->stands[s].profile);
	}
	for (size_t d = 0; d < proof->defects_n; d++) {
		for (size_t k = 0; k < proof->defects[d].n; k++)
			free(proof->defects[d].kills[k].diagnosis);
		free(proof->defects[d].kills);
	}
	for (size_t i = 0; i < proof->complaints_n; i++)
		free(proof->complaints[i].diagnosis);
	free(proof->stands);
	free(proof->defects);
	free(proof->complaints);
	free(proof->ran);
	free(proof->kills);
	free(proof->checks.v);
	free(call->checks.v);
	free(call->defects.v);
}

static int prove_main(int argc, char **argv)
{
	struct call call = {.proof.seed = 1, .print = prove_human};
	struct proof *proof = &call.proof;
	int err, status;

	if (!parse(&call, argc, argv))
		return EXIT_PASSED;
	if (optind < argc)
		add_stands(&call, (const char *const *)argv + optind, (size_t)(argc - optind));
	else
		add_stands(&call, default_profiles, COUNT(default_profiles));
	add_defects(&call);
	if (!proof->jobs)
		proof->jobs = engine_places(&proof->stands[0].probe);
	proof->ran = xcalloc(proof->checks.n + 1, sizeof(*proof->ran));
	proof->kills = xcalloc(proof->checks.n + 1, sizeof(*proof->kills));
	err = prove_all(proof, on_tick, &call);
	progress_clear(&call.progress);
	if (err == -EINTR)
		sentence_die(EXIT_ENVIRONMENT, "interrupted: nothing is proven");
	if (err < 0)
		sentence_die(EXIT_ENVIRONMENT, "no process can be started: %s", strerror(-err));
	call.print(proof);
	status = verdict(proof);
	release(&call);
	return status;
}

const struct command command_prove = {"prove", "[PROFILE...]", "every seeded defect, every check",
				      prove_main};
