/* SPDX-License-Identifier: BSD-3-Clause */
#include "prove.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "requirements/catalogue.h"
#include "run.h"
#include "text.h"

bool check_names(const struct check *check, const char *requirements)
{
	return catalogue_lists_meet(check->requirements, requirements);
}

/* ---- Trials: one check on one stand with one defect ---- */

enum phase { CLEAN, NAMED, OTHERS, IDLE, MATRIX };

struct trial {
	size_t defect, check, stand;
	bool started;
};

struct trials {
	struct trial *v;
	size_t n, cap;
};

struct prover {
	struct proof *proof;
	enum phase phase;
	struct trials trials;
	size_t next, ended;
	bool *busy; /* per defect, or per check in the phase IDLE: a trial of it runs */
	void (*tick)(void *ctx, const char *what, size_t done, size_t all);
	void *ctx;
};

#define NO_DEFECT SIZE_MAX

static void add(struct trials *trials, size_t defect, size_t check, size_t stand)
{
	if (trials->n == trials->cap) {
		trials->cap = trials->cap ? 2 * trials->cap : 1024;
		trials->v = realloc(trials->v, trials->cap * sizeof(*trials->v));
		if (!trials->v)
			sentence_die(3, "out of memory");
	}
	trials->v[trials->n++] = (struct trial){defect, check, stand, false};
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

/* Every trial of @defect with checks that name its requirements (or those that don't). */
static void add_defect(struct prover *p, size_t defect, bool named)
{
	struct proof *proof = p->proof;
	const struct parent_defect *d = proof->defects[defect].defect;

	for (size_t s = 0; s < proof->stands_n; s++)
		for (size_t c = 0; shows(d, &proof->stands[s]) && c < proof->checks.n; c++)
			if (check_names(proof->checks.v[c], d->requirements) == named &&
			    applies(proof, c, s))
				add(&p->trials, defect, c, s);
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
					add(&p->trials, d, check, s);
		}
	}
}

/* Is a trial still of use, after what was found meanwhile? */
static bool of_use(const struct prover *p, const struct trial *t)
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

/*
 * Tries of one defect (of one check, where checks look for a defect) run one after the other, so
 * that which of them kills it first does not depend on how quick each is; NULL where that doesn't
 * matter.
 */
static bool *turn_of(struct prover *p, const struct trial *t)
{
	if (p->phase == CLEAN || p->phase == MATRIX)
		return NULL;
	return &p->busy[p->phase == IDLE ? t->check : t->defect];
}

static struct trial *next_trial(struct prover *p)
{
	struct trials *trials = &p->trials;

	while (p->next < trials->n &&
	       (trials->v[p->next].started || !of_use(p, &trials->v[p->next]))) {
		p->ended += !trials->v[p->next].started;
		trials->v[p->next++].started = true;
	}
	for (size_t i = p->next; i < trials->n; i++) {
		struct trial *t = &trials->v[i];
		bool *busy = turn_of(p, t);

		if (t->started || (busy && *busy) || !of_use(p, t))
			continue;
		t->started = true;
		if (busy)
			*busy = true;
		return t;
	}
	return NULL;
}

static bool next(void *ctx, struct job *job)
{
	struct prover *p = ctx;
	struct proof *proof = p->proof;
	struct trial *t = next_trial(p);

	if (!t)
		return false;
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
		.ctx = t,
	};
	proof->runs++;
	return true;
}

static void complain(struct proof *proof, const struct trial *t, const struct result *result)
{
	size_t n = proof->complaints_n++;

	proof->complaints = realloc(proof->complaints, (n + 1) * sizeof(*proof->complaints));
	if (!proof->complaints)
		sentence_die(3, "out of memory");
	proof->complaints[n] = (struct complaint){t->check, t->stand,
						  xformat("%s: %s", verdict_slug(result->verdict),
							  result->diagnosis)};
}

static void killed(struct proof *proof, const struct trial *t, const struct result *result)
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
	d->kills[d->n++] = (struct kill){t->check, t->stand, named, xstrdup(result->diagnosis)};
}

static void done(void *ctx, const struct job *job, struct result *result,
		 const struct probe *probed)
{
	struct prover *p = ctx;
	const struct trial *t = job->ctx;
	bool *busy = turn_of(p, t);

	(void)probed;
	p->ended++;
	if (busy)
		*busy = false;
	if (p->phase == CLEAN) {
		if (result->verdict != V_SKIP)
			p->proof->ran[t->check] = true;
		if (result->verdict != V_PASS && result->verdict != V_SKIP)
			complain(p->proof, t, result);
	} else if (result->verdict == V_FAIL) {
		killed(p->proof, t, result);
	}
	result_free(result);
}

static void tick(void *ctx)
{
	static const char *const what[] = {
		[CLEAN] = "checks on the clean NIC",
		[NAMED] = "trials of defects",
		[OTHERS] = "trials of defects with other checks",
		[IDLE] = "trials of checks that killed nothing yet",
		[MATRIX] = "trials of the whole matrix",
	};
	struct prover *p = ctx;

	if (p->tick)
		p->tick(p->ctx, what[p->phase], p->ended, p->trials.n);
}

static int run_phase(struct prover *p, enum phase phase)
{
	static const struct engine_ops ops = {.next = next, .done = done, .tick = tick};
	int err;

	p->phase = phase;
	p->next = 0;
	p->ended = 0;
	err = p->trials.n ? engine_run(&ops, p, p->proof->jobs) : 0;
	p->trials.n = 0;
	return err;
}

static int by_check(const void *a, const void *b)
{
	const struct kill *x = a, *y = b;

	return x->check == y->check ? 0 : x->check < y->check ? -1 : 1;
}

static int by_stand(const void *a, const void *b)
{
	const struct complaint *x = a, *y = b;

	if (x->check != y->check)
		return x->check < y->check ? -1 : 1;
	return x->stand == y->stand ? 0 : x->stand < y->stand ? -1 : 1;
}

/* In the order of the lists, not in that in which processes ended. */
static void sort(struct proof *proof)
{
	for (size_t d = 0; d < proof->defects_n; d++)
		if (proof->defects[d].n)
			qsort(proof->defects[d].kills, proof->defects[d].n, sizeof(struct kill),
			      by_check);
	if (proof->complaints_n)
		qsort(proof->complaints, proof->complaints_n, sizeof(*proof->complaints), by_stand);
}

int prove_all(struct proof *proof, void (*tick_fn)(void *, const char *, size_t, size_t), void *ctx)
{
	struct prover p = {.proof = proof, .tick = tick_fn, .ctx = ctx};
	size_t turns = proof->defects_n > proof->checks.n ? proof->defects_n : proof->checks.n;
	int err;

	p.busy = xcalloc(turns, sizeof(*p.busy));
	for (size_t s = 0; s < proof->stands_n; s++)
		for (size_t c = 0; c < proof->checks.n; c++)
			if (applies(proof, c, s))
				add(&p.trials, NO_DEFECT, c, s);
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
		err = err ? err : run_phase(&p, NAMED);
		for (size_t d = 0; !err && d < proof->defects_n; d++)
			if (!proof->defects[d].n)
				add_defect(&p, d, false);
		err = err ? err : run_phase(&p, OTHERS);
		for (size_t c = 0; !err && c < proof->checks.n; c++)
			if (proof->ran[c] && !proof->kills[c])
				add_idle(&p, c);
		err = err ? err : run_phase(&p, IDLE);
	}
	sort(proof);
	free(p.busy);
	free(p.trials.v);
	return err;
}
