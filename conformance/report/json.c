/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON: schema 1 of `vqcert run`
 *
 * The fields that DESIGN names are a contract; the others may grow without a new schema number.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report/json.h"
#include "report/report.h"
#include "requirements/catalogue.h"
#include "text.h"
#include "version.h"

json_t *json_lines(const struct lines *lines)
{
	json_t *array = json_array();

	for (size_t i = 0; i < lines->n; i++)
		json_array_append_new(array, json_string(lines->v[i]));
	return array;
}

json_t *json_ids(const char *list)
{
	json_t *array = json_array();
	const char *id;
	size_t len;

	while ((id = catalogue_next_id(&list, &len)))
		json_array_append_new(array, json_stringn(id, len));
	return array;
}

json_t *json_check_name(const struct check *check)
{
	return json_sprintf("%s.%s", check->area, check->name);
}

json_t *json_needs(const struct check *check)
{
	json_t *array = json_array();
	char buf[16];

	for (unsigned int bit = 0; bit < 32; bit++)
		if (check->needs >> bit & 1 && cap_name(bit))
			json_array_append_new(array, json_string(cap_name(bit)));
	for (unsigned int bit = 0; bit < 64; bit++)
		if (check->features >> bit & 1)
			json_array_append_new(array, json_string(feature_name(bit, buf)));
	if (check->flags & CHECK_DESTRUCTIVE)
		json_array_append_new(array, json_string("destructive"));
	return array;
}

void json_print(FILE *out, json_t *document)
{
	json_dumpf(document, out, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	fputc('\n', out);
	json_decref(document);
}

static json_t *parent(const struct run *run)
{
	static const char *const peers[] = {"none", "echo", "own"};
	const struct probe *probe = &run->probe;
	json_t *caps = json_array(), *features = json_array();
	char buf[16];

	for (unsigned int bit = 0; bit < 32; bit++)
		if (probe->caps >> bit & 1 && cap_name(bit))
			json_array_append_new(caps, json_string(cap_name(bit)));
	for (unsigned int bit = 0; bit < 64; bit++)
		if (probe->features >> bit & 1)
			json_array_append_new(features, json_string(feature_name(bit, buf)));
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:s, s:s}", "address", run->address,
			 "kind", probe->info.kind, "driver", probe->info.driver, "device_id",
			 (json_int_t)probe->info.device_id, "vendor_id",
			 (json_int_t)probe->info.vendor_id, "capabilities", caps, "features",
			 features, "peer", peers[probe->peer <= PEER_OWN ? probe->peer : 0],
			 "settle", probe->settle);
}

static json_t *one(const struct run *run, const struct result *result)
{
	json_t *object =
		json_pack("{s:o, s:s, s:s, s:o, s:f, s:s, s:i, s:b}", "name",
			  json_check_name(result->check), "area", result->check->area, "verdict",
			  verdict_name(result->verdict), "requirements",
			  json_ids(result->check->requirements), "duration_ms",
			  (double)result->duration_us / 1000.0, "diagnosis", result->diagnosis,
			  "attempts", (int)(result->attempts ? result->attempts : 1), "required",
			  required_names(&run->required, result->check));

	json_object_set_new(object, "skip_kind",
			    result->verdict == V_SKIP
				    ? json_string(skip_kind_name(result->skip_kind))
				    : json_null());
	if (result->erratum)
		json_object_set_new(object, "erratum",
				    json_pack("{s:s, s:s, s:s*}", "name", result->erratum->name,
					      "text", result->erratum->text, "fix",
					      result->erratum->fix));
	if (result->parent_died)
		json_object_set_new(object, "parent_died", json_true());
	if (result->notes.n)
		json_object_set_new(object, "notes", json_lines(&result->notes));
	if (result->steps.n)
		json_object_set_new(object, "steps", json_lines(&result->steps));
	if (result->trace.n)
		json_object_set_new(object, "operations", json_lines(&result->trace));
	if (result->log && *result->log)
		json_object_set_new(object, "log", json_string(result->log));
	if (result->log_dropped)
		json_object_set_new(object, "log_dropped_bytes",
				    json_integer((json_int_t)result->log_dropped));
	return object;
}

static json_t *document(const struct run *run, json_t *about)
{
	json_t *summary = json_object(), *checks = json_array();

	for (int verdict = 0; verdict < VERDICTS; verdict++)
		json_object_set_new(summary, verdict_slug((enum verdict)verdict),
				    json_integer(run->summary.of[verdict]));
	for (size_t i = 0; run->results && i < run->checks.n; i++)
		json_array_append_new(checks, one(run, &run->results[i]));
	return json_pack("{s:i, s:s, s:s, s:s, s:o, s:I, s:f, s:o, s:o}", "schema", 1, "program",
			 "vqcert", "version", VC_VERSION, "revision", VC_REVISION, "parent", about,
			 "seed", (json_int_t)run->seed, "duration_ms",
			 (double)run->duration_us / 1000.0, "summary", summary, "checks", checks);
}

static void json_end(FILE *out, const struct run *run, const struct report_style *style)
{
	json_t *all = document(run, parent(run));

	(void)style;
	json_object_set_new(all, "kernel", json_string(run->kernel));
	if (run->interrupted)
		json_object_set_new(all, "interrupted", json_true());
	json_print(out, all);
}

static void json_failed(FILE *out, const struct run *run, const char *sentence)
{
	json_t *all = document(run, json_pack("{s:s}", "address", run->address));

	json_object_set_new(all, "error", json_string(sentence));
	json_print(out, all);
}

const struct report_format report_json = {
	.name = "json",
	.file = "report.json",
	.end = json_end,
	.failed = json_failed,
};
