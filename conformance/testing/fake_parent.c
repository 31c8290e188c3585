/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A parent that exists in the tests of the runner only
 *
 * How it works. It stands in for parent.c: addresses are fake:KIND, where KIND says how it
 * misbehaves. Its seeded defects change what it answers, so that fake checks can catch them; there
 * are as many kinds of defects as the prover has to tell apart.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "testing/fake.h"

static struct parent the_fake;
static const char *the_address, *the_defect;

const char *fake_defect(void)
{
	return the_defect ? the_defect : "";
}

static int refuse(const struct parent_options *options, int err, const char *sentence)
{
	snprintf(options->error, options->error_size, "%s", sentence);
	return err;
}

static bool address_is(const char *kind)
{
	return the_address && !strncmp(the_address, kind, strlen(kind));
}

/* Counts openings across processes, in a file that the test names. */
static unsigned int opened_before(void)
{
	const char *path = getenv("FAKE_COUNTER");
	FILE *file = path ? fopen(path, "a+e") : NULL;
	long size = 0;

	if (!file)
		return 0;
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	fputc('.', file);
	fclose(file);
	return (unsigned int)size;
}

int parent_open(const char *address, const struct parent_options *options, struct parent **p)
{
	/* sim: is the address that the prover makes */
	if (strncmp(address, "fake:", 5) && strncmp(address, "sim:", 4))
		return refuse(options, -EINVAL, "no such kind of parent");
	the_address = strchr(address, ':') + 1;
	the_defect = options->defect;
	if (address_is("absent"))
		return refuse(options, -ENODEV, "there is no device; plug one in");
	if (address_is("silent"))
		return -EIO;
	if (address_is("hanging"))
		for (;;)
			pause();
	if (address_is("vanishing") && opened_before() >= 2)
		return refuse(options, -ENODEV, "it has vanished");
	the_fake = (struct parent){.caps = CAP_EXACT_SETTLE | CAP_GENERATION | CAP_TRAFFIC,
				   .peer = PEER_ECHO};
	if (address_is("hardware"))
		the_fake.caps = CAP_GENERATION | CAP_TRAFFIC;
	snprintf(the_fake.info.kind, sizeof(the_fake.info.kind), "%s",
		 address_is("hardware") ? "vfio" : "sim");
	snprintf(the_fake.info.address, sizeof(the_fake.info.address), "%s", address);
	snprintf(the_fake.info.driver, sizeof(the_fake.info.driver), "%s",
		 address_is("other") ? "other\033[31m\xff" : "fake");
	the_fake.info.device_id = 1;
	the_fake.info.vendor_id = 0x1af4;
	*p = &the_fake;
	return 0;
}

void parent_close(struct parent *p)
{
	p->inside = "close";
	if (address_is("close-crash"))
		abort();
	if (address_is("undefined")) {
		volatile int most = INT_MAX;

		most = most + 1;
	}
	if (address_is("overrun")) {
		char *volatile one = malloc(1);

		/* cppcheck-suppress arrayIndexOutOfBounds; the fault that a sanitizer must find */
		one[1] = 0;
		free(one);
	}
	if (address_is("close-hang"))
		for (;;)
			pause();
	p->inside = NULL;
}

int parent_reset(struct parent *p)
{
	static unsigned int resets;

	snprintf(p->trace[p->traced++ % PARENT_TRACE], sizeof(p->trace[0]), "reset()");
	p->inside = "reset";
	if (getenv("FAKE_RESET_CRASHES"))
		abort();
	if (address_is("no-reset") && resets++)
		return -ETIMEDOUT;
	if (address_is("never-reset"))
		return -ETIMEDOUT;
	p->inside = NULL;
	return 0;
}

int parent_get_device_features(struct parent *p, uint64_t *features)
{
	(void)p;
	if (address_is("mute"))
		return -EIO;
	*features = 1ull << 32;
	return 0;
}

int parent_get_device_id(struct parent *p, uint32_t *id)
{
	*id = p->info.device_id;
	return 0;
}

int parent_get_vendor_id(struct parent *p, uint32_t *id)
{
	*id = p->info.vendor_id;
	return 0;
}

const char *parent_settle_text(const struct parent *p)
{
	(void)p;
	return "when nothing is left to do (exact)";
}

const struct parent_kind *const *parent_kinds(void)
{
	static const struct parent_kind fake = {.prefix = "fake:", .help = "for tests"};
	static const struct parent_kind *const kinds[] = {&fake, NULL};

	return kinds;
}

const struct parent_defect *parent_defects(size_t *count)
{
	static const struct parent_defect well[] = {
		{"stated", "a", "any", "VDPA-VQ-014", "seen by the check that names it"},
		{"unstated", "a", "fake", "VDPA-VQ-015", "seen by a check that names another"},
		{"elsewhere", "a", "ifcvf", "VDPA-VQ-015", "belongs to another personality"},
	};
	static const struct parent_defect ill[] = {
		{"stated", "a", "any", "VDPA-VQ-014", "seen"},
		{"unseen", "a", "any", "VDPA-VQ-014", "no check sees it"},
	};

	*count = getenv("FAKE_SURVIVOR") ? 2 : 3;
	return getenv("FAKE_SURVIVOR") ? ill : well;
}
