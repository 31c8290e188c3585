/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vqnic: the command line
 *
 * How it works. The first word names a command; each command parses the rest itself, with argp.
 * Exit status: 0 done, 2 wrong usage (profile, override, defect or option that does not exist), 3
 * something outside is not as it has to be (a socket in use, a TAP that can't be opened), 1 else.
 * What is wrong is said in one sentence on standard error.
 */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "fabric/backing.h"
#include "loop.h"
#include "version.h"
#include "vqnic.h"

enum { EXIT_USAGE = 2, EXIT_ENVIRONMENT = 3 };

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("vqnic: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* ---- Lists of words -------------------------------------------------------------------------- */

struct words {
	const char **word; /* NULL-terminated, or NULL when empty */
	size_t count;
};

static void add_word(struct words *words, const char *word)
{
	const char **more = realloc(words->word, (words->count + 2) * sizeof(*more));

	if (!more) {
		complain("out of memory");
		exit(EXIT_FAILURE);
	}
	words->word = more;
	words->word[words->count++] = word;
	words->word[words->count] = NULL;
}

static void add_words(struct words *words, const struct words *from)
{
	for (size_t i = 0; i < from->count; i++)
		add_word(words, from->word[i]);
}

/* Strings that live as long as the process, as the words of the command line do. */
static struct words kept;

__attribute__((format(printf, 1, 2))) static char *keep(const char *format, ...)
{
	va_list ap;
	char *text;
	int len;

	va_start(ap, format);
	len = vasprintf(&text, format, ap);
	va_end(ap);
	if (len < 0) {
		complain("out of memory");
		exit(EXIT_FAILURE);
	}
	add_word(&kept, text);
	return text;
}

/* ---- run ---------------------------------------------------------------------------------------
 */

/* A NIC to be, and then one that runs. */
struct unit {
	const char *profile, *socket, *wire;
	int fd; /* given instead of a path; -1: not */
	struct words overrides, defects;
	uint64_t seed;
	struct vqnic *nic;
	struct vfio_user_server *server;
};

struct run_args {
	struct unit *unit;
	size_t units;
	struct unit single; /* what is said outside --nic; its lists are for every NIC */
	bool seeded;
	bool counters;
};

enum {
	OPT_VFIO_USER = 0x100,
	OPT_WIRE,
	OPT_NIC,
	OPT_DEFECT,
	OPT_SET,
	OPT_SEED,
	OPT_FABRIC,
	OPT_COUNTERS,
	OPT_FD,
};

static uint64_t parse_number(const char *text, uint64_t most, const char *what,
			     struct argp_state *state)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || end == text || *end || strchr(text, '-') || v > most)
		argp_error(state, "the %s is a number of at most %llu, not '%s'", what,
			   (unsigned long long)most, text);
	return v;
}

/*
 * PROFILE,key=value,… A piece without a key of ours and without '=' continues the value before it,
 * as in wire=pcap:FILE,tap:NAME.
 */
static void parse_nic(struct unit *unit, const char *spec, struct argp_state *state)
{
	char *text = keep("%s", spec), *at;
	char *value = NULL; /* end of the value that may go on */

	at = strchr(text, ',');
	unit->profile = text;
	while (at) {
		char *key = at + 1, *next = strchr(key, ','), *eq = strchr(key, '=');

		if (!eq || (next && eq > next)) {
			if (!value)
				argp_error(state, "'%.*s' in --nic %s is no key=value",
					   (int)(next ? next - key : (long)strlen(key)), key, spec);
			at = next; /* the comma stays in the value */
			continue;
		}
		*at = '\0';
		value = eq;
		if (!strncmp(key, "vfio-user=", 10))
			unit->socket = key + 10;
		else if (!strncmp(key, "wire=", 5))
			unit->wire = key + 5;
		else if (!strncmp(key, "defect=", 7))
			add_word(&unit->defects, key + 7);
		else if (!strncmp(key, "fabric=", 7))
			add_word(&unit->overrides, keep("fabric.fabric=%s", key + 7));
		else if (!strncmp(key, "seed=", 5))
			unit->seed = parse_number(key + 5, UINT64_MAX, "seed", state);
		else
			add_word(&unit->overrides, key);
		at = next;
	}
	if (!*unit->profile || !unit->socket)
		argp_error(state, "--nic takes PROFILE,vfio-user=SOCKET[,wire=WIRE]…, not '%s'",
			   spec);
	/* Between NICs of one process a wire's bare name will do. */
	if (unit->wire && !strchr(unit->wire, ':') && strcmp(unit->wire, "loopback") &&
	    strcmp(unit->wire, "none"))
		unit->wire = keep("wire:%s", unit->wire);
}

static struct unit *add_unit(struct run_args *args)
{
	struct unit *more = realloc(args->unit, (args->units + 1) * sizeof(*more));

	if (!more) {
		complain("out of memory");
		exit(EXIT_FAILURE);
	}
	args->unit = more;
	args->unit[args->units] = (struct unit){.fd = -1};
	return &args->unit[args->units++];
}

static error_t parse_run(int key, char *arg, struct argp_state *state)
{
	struct run_args *args = state->input;

	switch (key) {
	case OPT_VFIO_USER:
		args->single.socket = arg;
		return 0;
	case OPT_FD:
		args->single.fd = (int)parse_number(arg, INT_MAX, "descriptor", state);
		return 0;
	case OPT_WIRE:
		args->single.wire = arg;
		return 0;
	case OPT_NIC:
		parse_nic(add_unit(args), arg, state);
		return 0;
	case OPT_DEFECT:
		add_word(&args->single.defects, arg);
		return 0;
	case OPT_SET:
		if (!strchr(arg, '='))
			argp_error(state, "--set takes key=value or section.key=value, not '%s'",
				   arg);
		add_word(&args->single.overrides, arg);
		return 0;
	case OPT_SEED:
		args->single.seed = parse_number(arg, UINT64_MAX, "seed", state);
		args->seeded = true;
		return 0;
	case OPT_FABRIC:
		add_word(&args->single.overrides, keep("fabric.fabric=%s", arg));
		return 0;
	case OPT_COUNTERS:
		args->counters = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->single.profile)
			argp_error(state, "one PROFILE, not also '%s'; for several NICs use --nic",
				   arg);
		args->single.profile = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->single.profile && !args->units)
			argp_error(state, "a PROFILE is missing; `vqnic profiles` lists them");
		if (args->single.socket && args->single.fd >= 0)
			argp_error(state, "either --vfio-user SOCKET or --fd FDNUM, not both");
		if (args->single.fd >= 0)
			args->single.socket = keep("descriptor %d", args->single.fd);
		if (args->single.profile && !args->single.socket)
			argp_error(state, "say where to listen: --vfio-user SOCKET");
		if (!args->single.profile && (args->single.socket || args->single.wire))
			argp_error(state,
				   "--vfio-user and --wire need a PROFILE; inside --nic they "
				   "are vfio-user=SOCKET and wire=WIRE");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option run_options[] = {
	{"vfio-user", OPT_VFIO_USER, "SOCKET", 0, "listen there; QEMU's vfio-user-pci connects", 0},
	{"socket-path", 0, NULL, OPTION_ALIAS, NULL, 0},
	{"fd", OPT_FD, "FDNUM", 0, "serve this socket, which listens or is connected, instead", 0},
	{"wire", OPT_WIRE, "WIRE", 0,
	 "the other side of the MAC: tap:NAME, loopback, stream:SOCKET, wire:NAME, "
	 "pcap:FILE,WIRE or none (default)",
	 0},
	{"nic", OPT_NIC, "PROFILE,vfio-user=SOCKET[,wire=WIRE][,defect=NAME][,key=value]...", 0,
	 "one of several NICs in this process; wire=NAME joins those of the same name", 0},
	{"defect", OPT_DEFECT, "NAME", 0, "switch a seeded defect on; may be repeated", 0},
	{"set", OPT_SET, "KEY=VALUE", 0, "override a key of the profile; may be repeated", 0},
	{"seed", OPT_SEED, "N", 0, "seed of random choices (default 0)", 0},
	{"fabric", OPT_FABRIC, "NAME", 0, "as --set fabric.fabric=NAME: direct or delayed", 0},
	{"counters", OPT_COUNTERS, NULL, 0, "print every NIC's counters at the end", 0},
	{0},
};

static void say_of(void *ctx, const char *sentence)
{
	const struct unit *unit = ctx;

	complain("%s: %s", unit->socket, sentence);
}

static int fail_with(int error, const struct vqnic_error *err)
{
	complain("%s", err->text[0] ? err->text : strerror(-error));
	return error == -ENOMEM ? EXIT_FAILURE : EXIT_ENVIRONMENT;
}

static int start_unit(struct unit *unit, struct loop *loop)
{
	struct vqnic_error err = {{0}};
	struct vqnic_config cfg = {
		.profile = unit->profile,
		.overrides = unit->overrides.word,
		.defects = unit->defects.word,
		.seed = unit->seed,
	};
	struct vfio_user_config server = {.path = unit->socket, .say = say_of, .say_ctx = unit};
	int ret = vqnic_create(&cfg, &unit->nic, &err);

	if (ret) {
		complain("%s", err.text[0] ? err.text : strerror(-ret));
		return ret == -ENOENT || ret == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
	}
	vqnic_set_live(unit->nic, true);
	ret = vqnic_wire_open(unit->nic, 0, unit->wire ? unit->wire : "none", &err);
	if (ret)
		return fail_with(ret, &err);
	server.nic = unit->nic;
	if (unit->fd >= 0)
		ret = vfio_user_adopt(&server, unit->fd, &unit->server, &err);
	else
		ret = vfio_user_listen(&server, &unit->server, &err);
	if (!ret)
		ret = loop_add(loop, unit->nic, unit->server);
	return ret ? fail_with(ret, &err) : 0;
}

static void print_counters(const struct unit *unit)
{
	struct vqnic_counters c;

	vqnic_counters(unit->nic, &c);
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
		{"tx_frames", c.tx_frames},
		{"tx_bytes", c.tx_bytes},
		{"tx_drops", c.tx_drops},
		{"rx_frames", c.rx_frames},
		{"rx_bytes", c.rx_bytes},
		{"rx_drops", c.rx_drops},
		{"doorbells", c.doorbells},
		{"interrupts", c.interrupts},
		{"descriptors", c.descriptors},
		{"dma_reads", c.dma_reads},
		{"dma_writes", c.dma_writes},
		{"dma_read_bytes", c.dma_read_bytes},
		{"dma_write_bytes", c.dma_write_bytes},
		{"dma_errors", c.dma_errors},
		{"events", c.events},
	};

	printf("vqnic: %s:", unit->socket);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		printf(" %s=%llu", all[i].name, (unsigned long long)all[i].value);
	putchar('\n');
}

static void print_all_counters(void *ctx)
{
	const struct run_args *args = ctx;

	for (size_t i = 0; i < args->units; i++)
		print_counters(&args->unit[i]);
	fflush(stdout);
}

static int run(int argc, char **argv)
{
	static const struct argp argp = {
		run_options,
		parse_run,
		"PROFILE --vfio-user SOCKET\n"
		"--nic SPEC...",
		"Run a NIC and let a client attach it.\v"
		"Prints a line `vqnic: listening on SOCKET` for each NIC when "
		"all are ready, and runs until SIGTERM or SIGINT. SIGUSR1 prints "
		"the counters.",
		NULL,
		NULL,
		NULL};
	struct run_args args = {.single.fd = -1};
	struct loop *loop = NULL;
	int status = 0, ret;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	if (args.single.profile) {
		struct unit *unit = add_unit(&args);

		unit->profile = args.single.profile;
		unit->socket = args.single.socket;
		unit->fd = args.single.fd;
		unit->wire = args.single.wire;
	}
	signal(SIGPIPE, SIG_IGN);
	ret = backing_guard();
	if (!ret)
		ret = loop_create(&loop);
	if (ret) {
		complain("can't start: %s", strerror(-ret));
		status = EXIT_FAILURE;
	}
	for (size_t i = 0; i < args.units && !status; i++) {
		struct unit *unit = &args.unit[i];

		if (args.seeded)
			unit->seed = args.single.seed;
		add_words(&unit->overrides, &args.single.overrides);
		add_words(&unit->defects, &args.single.defects);
		status = start_unit(unit, loop);
	}
	if (!status) {
		for (size_t i = 0; i < args.units; i++)
			printf("vqnic: listening on %s\n", args.unit[i].socket);
		fflush(stdout);
		loop_on_usr1(loop, print_all_counters, &args);
		ret = loop_run(loop);
		if (ret) {
			complain("waiting for events failed: %s", strerror(-ret));
			status = EXIT_FAILURE;
		}
	}
	if (args.counters && !status)
		print_all_counters(&args);
	/* First every client, then the NICs: a named wire joins them. */
	for (size_t i = 0; i < args.units; i++)
		vfio_user_close(args.unit[i].server);
	for (size_t i = 0; i < args.units; i++) {
		vqnic_destroy(args.unit[i].nic);
		free(args.unit[i].overrides.word);
		free(args.unit[i].defects.word);
	}
	loop_destroy(loop);
	free(args.single.overrides.word);
	free(args.single.defects.word);
	free(args.unit);
	return status;
}

/* vqnic --socket-path=PATH or --fd=FDNUM is `vqnic run virtio-net` with it. */
static int run_by_convention(int argc, char **argv)
{
	char name[] = "vqnic", profile[] = "virtio-net";
	char **more = calloc((size_t)argc + 2, sizeof(*more));
	int status;

	if (!more) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	more[0] = name;
	more[1] = profile;
	memcpy(more + 2, argv + 1, (size_t)argc * sizeof(*argv));
	status = run(argc + 1, more);
	free(more);
	return status;
}

/* ---- defects -----------------------------------------------------------------------------------
 */

struct defects_args {
	bool json;
};

static error_t parse_defects(int key, char *arg, struct argp_state *state)
{
	struct defects_args *args = state->input;

	switch (key) {
	case 'f':
		args->json = !strcmp(arg, "json");
		if (!args->json && strcmp(arg, "human"))
			argp_error(state, "the format is human or json, not '%s'", arg);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much: no arguments", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static json_t *split(const char *words)
{
	json_t *list = json_array();

	while (*words) {
		size_t len = strcspn(words, " ");

		if (len)
			json_array_append_new(list, json_stringn(words, len));
		words += len;
		words += *words == ' ';
	}
	return list;
}

static int print_defects_json(const struct vqnic_defect *defect, size_t count)
{
	json_t *list = json_array(), *root;
	int err;

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:s}", "name",
						      defect[i].name, "area", defect[i].area,
						      "personality", defect[i].personality,
						      "requirements", split(defect[i].requirements),
						      "what", defect[i].what));
	root = json_pack("{s:i, s:o}", "schema", 1, "defects", list);
	err = json_dumpf(root, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(root);
	return err ? EXIT_FAILURE : 0;
}

static int defects(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"format", 'f', "FORMAT", 0, "human (default) or json", 0}, {0}};
	static const struct argp argp = {
		options,
		parse_defects,
		"",
		"List the seeded defects, each of which `vqnic run --defect "
		"NAME` switches on.",
		NULL,
		NULL,
		NULL};
	struct defects_args args = {0};
	const struct vqnic_defect *defect;
	const char *area = "";
	size_t count;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	defect = vqnic_defects(&count);
	if (args.json)
		return print_defects_json(defect, count);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(area, defect[i].area))
			printf("%s%s\n", i ? "\n" : "", defect[i].area);
		area = defect[i].area;
		printf("  %-34s %s%s%s\n", defect[i].name, defect[i].what,
		       strcmp(defect[i].personality, "any") ? " - only " : "",
		       strcmp(defect[i].personality, "any") ? defect[i].personality : "");
	}
	return 0;
}

/* ---- profiles ----------------------------------------------------------------------------------
 */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void collect_profiles(struct words *names, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (!fnmatch("*.ini", entry->d_name, FNM_PERIOD))
			add_word(names,
				 keep("%.*s", (int)(strlen(entry->d_name) - 4), entry->d_name));
	if (dir)
		closedir(dir);
}

static error_t parse_nothing(int key, char *arg, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	argp_error(state, "'%s' is too much: no arguments", arg);
	return EINVAL;
}

static int profiles(int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		parse_nothing,
		"",
		"List the profiles that a name stands for, and their files.\v"
		"Looked for in the directories of $VQNIC_PROFILES, beside the "
		"sources, and where vqnic is installed.",
		NULL,
		NULL,
		NULL};
	const char *dirs = getenv("VQNIC_PROFILES");
	struct words names = {0};

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	while (dirs && *dirs) {
		size_t len = strcspn(dirs, ":");

		if (len)
			collect_profiles(&names, keep("%.*s", (int)len, dirs));
		dirs += len;
		dirs += *dirs == ':';
	}
	collect_profiles(&names, VN_PROFILES_SOURCE);
	collect_profiles(&names, VN_PROFILES_INSTALLED);
	if (names.count)
		qsort(names.word, names.count, sizeof(*names.word), by_name);
	for (size_t i = 0; i < names.count; i++) {
		char path[4096];

		if (i && !strcmp(names.word[i], names.word[i - 1]))
			continue;
		if (!vqnic_profile_path(names.word[i], path, sizeof(path)))
			printf("%-20s %s\n", names.word[i], path);
	}
	free(names.word);
	return 0;
}

/* ---- Commands ----------------------------------------------------------------------------------
 */

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{"run", run, "run a NIC and let a client attach it"},
#ifdef VN_HAVE_BENCH
	{"bench", vqnic_bench, "the NIC without a guest: packet rates"},
#endif
	{"defects", defects, "list the seeded defects"},
	{"profiles", profiles, "list the profiles"},
};

static void help(FILE *to)
{
	fputs("usage: vqnic COMMAND [ARGUMENT...]\n\n"
	      "A simulated NIC. Its datapath is virtio rings, its control path a vendor's own; QEMU\n"
	      "attaches it as a PCI card.\n\n",
	      to);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].what);
	fputs("\n`vqnic COMMAND --help` says more; --version tells which vqnic this is.\n", to);
}

static void print_version(FILE *to, struct argp_state *state)
{
	(void)state;
	fprintf(to, "vqnic %s (%s)\n", VQNIC_VERSION, VN_REVISION);
}

int main(int argc, char **argv)
{
	char name[32];

	argp_err_exit_status = EXIT_USAGE;
	argp_program_version_hook = print_version;
	if (argc < 2) {
		complain("a command is missing; `vqnic --help` lists them");
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?") || !strcmp(argv[1], "help")) {
		help(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		print_version(stdout, NULL);
		return 0;
	}
	/*
	 * The vfio-user specification's conventions for programs: started with a socket and nothing
	 * else. A profile there has to be.
	 */
	if (!strncmp(argv[1], "--socket-path", 13) || !strncmp(argv[1], "--fd", 4))
		return run_by_convention(argc, argv);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		snprintf(name, sizeof(name), "vqnic %s", commands[i].name);
		argv[1] = name;
		return commands[i].run(argc - 1, argv + 1);
	}
	complain("there is no command '%s'; `vqnic --help` lists them", argv[1]);
	return EXIT_USAGE;
}
