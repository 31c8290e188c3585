/* SPDX-License-Identifier: BSD-3-Clause */
#include "prove.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "run.h"
#include "text.h"

bool check_names(const struct check *check, const char *requirements)
{
	const char *at = requirements;

	while (*at) {
		size_t len = strcspn(at, " ");
		const char *in = check->requirements;

		while (len && *in) {
			size_t n = strcspn(in, " ");

			if (n == len && !strncmp(in, at, n))
				return true;
			in += n + strspn(in + n, " ");
		}
		at += len + strspn(at + len, " ");
	}
	return false;
}

/* ---- A list of tries: one check on one stand with one defect ----------------------------------
 */

enum phase { CLEAN, NAMED, OTHERS, IDLE, MATRIX };

struct
try {
	size_t defect, check, stand;
};

struct tries {
	struct try *v;
	size_t n, cap;
};

struct prover {
	struct proof *proof;
	enum phase phase;
	struct tries tries;
	size_t next, ended;
	void (*tick)(void *ctx, const char *what, size_t done, size_t all);
	void *ctx;
};

#define NO_DEFECT SIZE_MAX

static void add(struct tries *tries, size_t defect, size_t check, size_t stand)
{
	if (tries->n == tries->cap) {
		tries->cap = tries->cap ? 2 * tries->cap : 1024;
		tries->v = realloc(tries->v, tries->cap * sizeof(*tries->v));
		if (!tries->v)
			sentence_die(3, "out of memory");
	}
	tries->v[tries->n++] = (struct try){defect, check, stand};
}

static bool applies(const struct proof *proof, size_t check, size_t stand)
{
	enum skip_kind kind;
	char *reason = check_inapplicable(proof->checks.v[check], &proof->stands[stand].probe, true,
					  &kind);

	free(reason);
	return !reason;
}

static bool shows(const struct parent_defect *defect, const struct stand *stand)
{
	return !strcmp(defect->personality, "any") ||
	       !strcmp(defect->personality, stand->probe.info.driver);
}

/* Every try of @defect with checks that name its requirements (or those that don't). */
static void add_defect(struct prover *p, size_t defect, bool named)
{
	struct proof *proof = p->proof;
	const struct parent_defect *d = proof->defects[defect].defect;

	for (size_t s = 0; s < proof->stands_n; s++)
		for (size_t c = 0; shows(d, &proof->stands[s]) && c < proof->checks.n; c++)
			if (check_names(proof->checks.v[c], d->requirements) == named &&
			    applies(proof, c, s))
				add(&p->tries, defect, c, s);
}

/* A check that has killed nothing: defects that it names first, then those of its area, then all.
 */
static void add_idle(struct prover *p, size_t check)
{
	struct proof *proof = p->proof;
	const struct check *c = proof->checks.v[check];

	for (int round = 0; round < 3; round++) {
		for (size_t d = 0; d < proof->defects_n; d++) {
			const struct parent_defect *defect = proof->defects[d].defect;
			bool names = check_names(c, defect->requirements);
			bool area = !strcmp(c->area, defect->area);
			int turn = names ? 0 : area ? 1 : 2;

			for (size_t s = 0; turn == round && s < proof->stands_n; s++)
				if (shows(defect, &proof->stands[s]) && applies(proof, check, s))
					add(&p->tries, d, check, s);
		}
	}
}

/* Is a try still of use, after what was found meanwhile? */
static bool of_use(const struct prover *p, const struct try *t)
{
	const struct proof *proof = p->proof;

	switch (p->phase) {
	case NAMED:
		return !proof->defects[t->defect].named;
	case OTHERS:
		return !proof->defects[t->defect].n;
	case IDLE:
		return !proof->kills[t->check];
	default:
		return true;
	}
}

static bool next(void *ctx, struct job *job)
{
	struct prover *p = ctx;
	struct proof *proof = p->proof;

	while (p->next < p->tries.n && !of_use(p, &p->tries.v[p->next])) {
		p->next++;
		p->ended++;
	}
	if (p->next == p->tries.n)
		return false;
	const struct try *t = &p->tries.v[p->next];
	const struct stand *stand = &proof->stands[t->stand];
	const struct check *check = proof->checks.v[t->check];

	*job = (struct job){
		.task = {.check = check,
			 .address = stand->address,
			 .defect = t->defect == NO_DEFECT ? NULL
							  : proof->defects[t->defect].defect->name,
			 .seed = proof->seed},
		.timeout_ms = run_timeout(check, proof->timeout_ms),
		.parent = &stand->probe,
		.ctx = (void *)(uintptr_t)p->next,
	};
	p->next++;
	proof->runs++;
	return true;
}

static void complain(struct proof *proof, const struct try *t, const struct result *result)
{
	size_t n = proof->complaints_n++;

	proof->complaints = realloc(proof->complaints, (n + 1) * sizeof(*proof->complaints));
	if (!proof->complaints)
		sentence_die(3, "out of memory");
	proof->complaints[n] = (struct complaint){t->check, t->stand,
						  xformat("%s: %s", verdict_name(result->verdict),
							  result->diagnosis)};
}

static void killed(struct proof *proof, const struct try *t)
{
	struct proved_defect *d = &proof->defects[t->defect];
	bool named = check_names(proof->checks.v[t->check], d->defect->requirements);

	proof->kills[t->check] = true;
	d->named |= named;
	for (size_t i = 0; i < d->n; i++)
		if (d->kills[i].check == t->check)
			return;
	d->kills = realloc(d->kills, (d->n + 1) * sizeof(*d->kills));
	if (!d->kills)
		sentence_die(3, "out of memory");
	d->kills[d->n++] = (struct kill){t->check, t->stand, named};
}

static void done(void *ctx, const struct job *job, struct result *result,
		 const struct probe *probed)
{
	struct prover *p = ctx;
	const struct try *t = &p->tries.v[(uintptr_t)job->ctx];

	(void)probed;
	p->ended++;
	if (p->phase == CLEAN) {
		if (result->verdict != V_SKIP)
			p->proof->ran[t->check] = true;
		if (result->verdict != V_PASS && result->verdict != V_SKIP)
			complain(p->proof, t, result);
	} else if (result->verdict == V_FAIL) {
		killed(p->proof, t);
	}
	result_free(result);
}

static void tick(void *ctx)
{
	static const char *const what[] = {
		[CLEAN] = "checks on the clean NIC",
		[NAMED] = "tries of defects",
		[OTHERS] = "tries of defects with other checks",
		[IDLE] = "tries of checks that killed nothing yet",
		[MATRIX] = "tries of the whole matrix",
	};
	struct prover *p = ctx;

	if (p->tick)
		p->tick(p->ctx, what[p->phase], p->ended, p->tries.n);
}

static int run_phase(struct prover *p, enum phase phase)
{
	static const struct engine_ops ops = {.next = next, .done = done, .tick = tick};
	int err;

	p->phase = phase;
	p->next = 0;
	p->ended = 0;
	err = p->tries.n ? engine_run(&ops, p, p->proof->jobs) : 0;
	p->tries.n = 0;
	return err;
}

/*
 * Tries of one defect run beside those of others: each defect's list is dealt out in turn, so that
 * a kill spares the rest of its own list.
 */
static void deal(struct tries *tries, size_t defects)
{
	struct try *dealt = xcalloc(tries->n, sizeof(*dealt));
	size_t *at = xcalloc(defects + 1, sizeof(*at)), *end = xcalloc(defects + 1, sizeof(*end));
	size_t n = 0;

	for (size_t i = 0, d = 0; d < defects; d++) {
		at[d] = i;
		while (i < tries->n && tries->v[i].defect == d)
			i++;
		end[d] = i;
	}
	while (n < tries->n)
		for (size_t d = 0; d < defects; d++)
			if (at[d] < end[d])
				dealt[n++] = tries->v[at[d]++];
	memcpy(tries->v, dealt, n * sizeof(*dealt));
	free(dealt);
	free(at);
	free(end);
}

int prove_all(struct proof *proof, void (*tick_fn)(void *, const char *, size_t, size_t), void *ctx)
{
	struct prover p = {.proof = proof, .tick = tick_fn, .ctx = ctx};
	int err;

	for (size_t s = 0; s < proof->stands_n; s++)
		for (size_t c = 0; c < proof->checks.n; c++)
			if (applies(proof, c, s))
				add(&p.tries, NO_DEFECT, c, s);
	err = run_phase(&p, CLEAN);
	for (size_t d = 0; d < proof->defects_n; d++)
		for (size_t s = 0; s < proof->stands_n; s++)
			proof->defects[d].shows |=
				shows(proof->defects[d].defect, &proof->stands[s]);
	if (!err && proof->matrix) {
		for (size_t d = 0; d < proof->defects_n; d++) {
			add_defect(&p, d, true);
			add_defect(&p, d, false);
		}
		err = run_phase(&p, MATRIX);
	} else {
		for (size_t d = 0; !err && d < proof->defects_n; d++)
			add_defect(&p, d, true);
		if (!err && p.tries.n)
			deal(&p.tries, proof->defects_n);
		err = err ? err : run_phase(&p, NAMED);
		for (size_t d = 0; !err && d < proof->defects_n; d++)
			if (!proof->defects[d].n)
				add_defect(&p, d, false);
		if (!err && p.tries.n)
			deal(&p.tries, proof->defects_n);
		err = err ? err : run_phase(&p, OTHERS);
		for (size_t c = 0; !err && c < proof->checks.n; c++)
			if (proof->ran[c] && !proof->kills[c])
				add_idle(&p, c);
		err = err ? err : run_phase(&p, IDLE);
	}
	free(p.tries.v);
	return err;
}
