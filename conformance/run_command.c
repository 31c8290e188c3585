/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vqcert run: certify a parent
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "progress.h"
#include "report/report.h"
#include "run.h"
#include "status.h"
#include "text.h"

static const char help[] =
	"usage: vqcert run PARENT [OPTION...] [SELECT...]\n"
	"\n"
	"Run checks on a parent: every check that its interface can carry, or those that SELECT\n"
	"means. Reports go to standard output: TAP, or a table if that is a terminal.\n" HELP_SELECT
	"\n"
	"  -p, --peer=PEER         what stands on the wire side: loopback, stream:SOCKET, tap:NAME,\n"
	"                          packet:IFACE, none; the parent's own if not given\n"
	"  -r, --require=FILE      names of checks that must run: skipping one is a failure\n"
	"  -x, --exclude=SELECT    leave these out\n"
	"  -f, --format=FORMAT     tap, ktap, json, junit, human\n"
	"  -o, --output=DIR        also write report.json, .xml, .tap, .ktap and .txt there\n"
	"  -s, --seed=N            seed of all random choices, or 'random' (default 1)\n"
	"  -t, --timeout=S         deadline of a check in seconds (default 10)\n"
	"      --retries=N         run a check again up to N times if it does not pass; reports say so\n"
	"  -j, --jobs=N            checks at a time (default: 1; processors for sim:)\n"
	"      --errata=FILE       more known bugs; those of fixtures/errata are built in\n"
	"      --no-errata         forget those that are built in\n"
	"      --destructive       allow checks that may leave a real device unusable\n"
	"      --defect=NAME       sim: only: switch this seeded defect on\n"
	"      --exit-codes=meson  77 instead of 4 and 99 instead of 3\n"
	"  -h, --help              this\n"
	"\n"
	"Parents:\n";

/* How this command was called. */
struct call {
	struct run run;
	struct patterns exclude;
	const struct report_format *format;
	const char *directory;
	const char *required;
	bool meson, no_errata;
	struct patterns errata;
	struct report_style style;
	struct progress progress;
};

static void print_help(void)
{
	fputs(help, stdout);
	for (const struct parent_kind *const *kind = parent_kinds(); *kind; kind++)
		printf("  %-12s %s\n", (*kind)->prefix, (*kind)->help);
}

static int exit_status(const struct call *call, int status)
{
	if (call->meson && status == EXIT_NOTHING_RAN)
		return MESON_SKIP;
	if (call->meson && status == EXIT_ENVIRONMENT)
		return MESON_ERROR;
	return status;
}

static const struct report_format *find_format(const char *name)
{
	const struct report_format *format = report_find(name);

	if (!format)
		usage_die("run", "--format is tap, ktap, json, junit or human, not '%s'", name);
	return format;
}

enum { OPT_RETRIES = 256, OPT_ERRATA, OPT_NO_ERRATA, OPT_DESTRUCTIVE, OPT_DEFECT, OPT_EXIT_CODES };

/* One option; false: the command is done. */
static bool take_option(struct call *call, int option)
{
	struct run *run = &call->run;

	switch (option) {
	case 'p':
		run->peer = optarg;
		break;
	case 'r':
		call->required = optarg;
		break;
	case 'x':
		patterns_add(&call->exclude, optarg);
		break;
	case 'f':
		call->format = find_format(optarg);
		break;
	case 'o':
		call->directory = optarg;
		break;
	case 's':
		run->seed = parse_seed("run", optarg);
		break;
	case 't':
		run->timeout_ms = parse_seconds("run", "--timeout", optarg);
		break;
	case 'j':
		run->jobs = (unsigned int)parse_number("run", "--jobs", optarg, 1, 256);
		break;
	case OPT_RETRIES:
		run->retries = (unsigned int)parse_number("run", "--retries", optarg, 0, 100);
		break;
	case OPT_ERRATA:
		patterns_add(&call->errata, optarg);
		break;
	case OPT_NO_ERRATA:
		call->no_errata = true;
		break;
	case OPT_DESTRUCTIVE:
		run->destructive = true;
		break;
	case OPT_DEFECT:
		run->defect = optarg;
		break;
	case OPT_EXIT_CODES:
		if (strcmp(optarg, "meson"))
			usage_die("run", "--exit-codes knows meson, not '%s'", optarg);
		call->meson = true;
		break;
	case 'h':
		print_help();
		return false;
	default:
		exit(EXIT_USAGE);
	}
	return true;
}

static bool parse(struct call *call, int argc, char **argv)
{
	static const struct option options[] = {{"peer", required_argument, NULL, 'p'},
						{"require", required_argument, NULL, 'r'},
						{"exclude", required_argument, NULL, 'x'},
						{"format", required_argument, NULL, 'f'},
						{"output", required_argument, NULL, 'o'},
						{"seed", required_argument, NULL, 's'},
						{"timeout", required_argument, NULL, 't'},
						{"jobs", required_argument, NULL, 'j'},
						{"retries", required_argument, NULL, OPT_RETRIES},
						{"errata", required_argument, NULL, OPT_ERRATA},
						{"no-errata", no_argument, NULL, OPT_NO_ERRATA},
						{"destructive", no_argument, NULL, OPT_DESTRUCTIVE},
						{"defect", required_argument, NULL, OPT_DEFECT},
						{"exit-codes", required_argument, NULL,
						 OPT_EXIT_CODES},
						{"help", no_argument, NULL, 'h'},
						{0}};
	const char *wrong;
	char *clean;
	int option;

	while ((option = getopt_long(argc, argv, "p:r:x:f:o:s:t:j:h", options, NULL)) != -1)
		if (!take_option(call, option))
			return false;
	if (optind == argc)
		usage_die("run", "a PARENT is needed, for instance sim:ifcvf");
	call->run.address = argv[optind++];
	clean = xstrdup(call->run.address);
	text_clean(clean);
	if (strcmp(clean, call->run.address))
		usage_die("run", "the address of the parent is no clean text: %s", clean);
	free(clean);
	wrong = checks_select((const char *const *)argv + optind, (size_t)(argc - optind),
			      call->exclude.v, call->exclude.n, &call->run.checks);
	if (wrong)
		usage_die("run", "no check is called '%s'; see vqcert list", wrong);
	if (!call->run.checks.n)
		usage_die("run", "no check is left to run");
	return true;
}

/* A required check that the selection leaves out would be skipped without a word. */
static void hold_required(const struct run *run, const char *path)
{
	struct check_list all = checks_all();

	for (size_t i = 0; i < all.n; i++) {
		bool selected = false;

		for (size_t j = 0; j < run->checks.n && !selected; j++)
			selected = run->checks.v[j] == all.v[i];
		if (!selected && required_names(&run->required, all.v[i]))
			usage_die("run", "%s requires %s.%s, which this selection leaves out", path,
				  all.v[i]->area, all.v[i]->name);
	}
	free(all.v);
}

static void load_files(struct call *call)
{
	struct run *run = &call->run;
	char *sentence;

	if (!call->no_errata)
		errata_builtin(&run->errata);
	for (size_t i = 0; i < call->errata.n; i++) {
		sentence = errata_load(&run->errata, call->errata.v[i]);
		if (sentence)
			sentence_die(EXIT_USAGE, "%s", sentence);
	}
	if (!call->required)
		return;
	sentence = required_load(&run->required, call->required);
	if (sentence)
		sentence_die(EXIT_USAGE, "%s", sentence);
	hold_required(run, call->required);
}

/* Without the parent there are no verdicts, but the reports say so. */
static int no_parent(struct call *call, int err, const char *sentence)
{
	struct run *run = &call->run;
	char *wrong = NULL;

	if (call->format != &report_human)
		report_all(call->format, stdout, run, sentence);
	if (call->directory)
		wrong = report_directory(call->directory, run, sentence);
	fflush(stdout);
	fprintf(stderr, "vqcert: %s\n", sentence);
	if (wrong)
		fprintf(stderr, "vqcert: %s\n", wrong);
	free(wrong);
	return exit_status(call, err == -EINVAL ? EXIT_USAGE : EXIT_ENVIRONMENT);
}

static void on_result(void *ctx, const struct run *run, size_t index)
{
	struct call *call = ctx;

	progress_clear(&call->progress);
	if (call->format->result)
		call->format->result(stdout, run, index, &call->style);
}

static void on_tick(void *ctx, const struct run *run)
{
	struct call *call = ctx;

	progress_show(&call->progress, run->ended, run->checks.n, "checks");
}

static void clean_probe(struct probe *probe)
{
	text_clean(probe->info.kind);
	text_clean(probe->info.address);
	text_clean(probe->info.driver);
	text_clean(probe->settle);
}

static int certify(struct call *call)
{
	const struct run_watcher watcher = {.result = on_result, .tick = on_tick, .ctx = call};
	struct run *run = &call->run;
	const struct child_task probe = {.address = run->address,
					 .peer = run->peer,
					 .defect = run->defect,
					 .seed = run->seed};
	unsigned int timeout = run->timeout_ms ? run->timeout_ms : PROBE_TIMEOUT_MS;
	char *sentence;
	int err = engine_probe(&probe, timeout, &run->probe, &sentence);
	int status;

	if (err < 0) {
		status = no_parent(call, err, sentence);
		free(sentence);
		return status;
	}
	clean_probe(&run->probe);
	run_begin(run);
	if (call->format->begin)
		call->format->begin(stdout, run, &call->style);
	err = run_checks(run, &watcher);
	progress_clear(&call->progress);
	if (err < 0)
		sentence_die(exit_status(call, EXIT_ENVIRONMENT), "no process can be started: %s",
			     strerror(-err));
	call->format->end(stdout, run, &call->style);
	fflush(stdout);
	status = summary_exit_status(&run->summary);
	sentence = call->directory ? report_directory(call->directory, run, NULL) : NULL;
	if (ferror(stdout)) {
		free(sentence);
		sentence = xstrdup("the report can't be written to standard output");
		clearerr(stdout);
	}
	if (sentence) {
		fprintf(stderr, "vqcert: %s\n", sentence);
		free(sentence);
		status = status == EXIT_FAILED ? status : EXIT_ENVIRONMENT;
	}
	return exit_status(call, status);
}

static int run_main(int argc, char **argv)
{
	struct call call = {.run = {.seed = 1}};
	bool terminal = isatty(STDOUT_FILENO);
	int status = EXIT_PASSED;

	call.format = terminal ? &report_human : &report_tap;
	call.style.colour = terminal && !getenv("NO_COLOR");
	if (parse(&call, argc, argv)) {
		char *wrong = NULL;

		load_files(&call);
		/* a reader that goes away ends neither the run nor its reports in files */
		signal(SIGPIPE, SIG_IGN);
		if (call.directory)
			wrong = report_make_directory(call.directory);
		if (wrong)
			sentence_die(exit_status(&call, EXIT_ENVIRONMENT), "%s", wrong);
		status = certify(&call);
	}
	free(call.exclude.v);
	free(call.errata.v);
	run_free(&call.run);
	return status;
}

const struct command command_run = {"run", "PARENT [SELECT...]", "certify a parent", run_main};
