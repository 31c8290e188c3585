/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a proof found, for people and as JSON
 */
#include <stdio.h>
#include <string.h>

#include "prove.h"
#include "report/html.h"
#include "report/json.h"

static void name_check(char *buf, size_t size, const struct proof *proof, size_t check)
{
	snprintf(buf, size, "%s.%s", proof->checks.v[check]->area, proof->checks.v[check]->name);
}

void prove_human(const struct proof *proof)
{
	size_t survivors = 0, others = 0, idle = 0, ran = 0, absent = 0;
	char name[128];

	printf("seed %llu, on", (unsigned long long)proof->seed);
	for (size_t s = 0; s < proof->stands_n; s++)
		printf(" %s", proof->stands[s].address);
	printf("\n\n %-40s %s\n", "defect", "killed by");
	for (size_t i = 0; i < proof->defects_n; i++) {
		const struct proved_defect *d = &proof->defects[i];

		if (!d->shows) {
			absent++;
			continue;
		}
		printf(" %-40s", d->defect->name);
		if (!d->n)
			printf(" (nobody)   %s", d->defect->requirements);
		for (size_t k = 0; k < d->n; k++) {
			name_check(name, sizeof(name), proof, d->kills[k].check);
			printf("%s %s%s", k ? "," : "", name,
			       d->kills[k].named ? "" : " (other reason)");
		}
		putchar('\n');
		survivors += !d->n;
		others += d->n && !d->named;
	}
	putchar('\n');
	for (size_t i = 0; i < proof->complaints_n; i++) {
		const struct complaint *c = &proof->complaints[i];

		name_check(name, sizeof(name), proof, c->check);
		printf("the clean NIC does not pass: %s on %s: %s\n", name,
		       proof->stands[c->stand].address, c->diagnosis);
	}
	for (size_t c = 0; c < proof->checks.n; c++) {
		ran += proof->ran[c];
		if (!proof->ran[c] || proof->kills[c])
			continue;
		name_check(name, sizeof(name), proof, c);
		printf("kills nothing: %s\n", name);
		idle++;
	}
	printf("%zu defects, %zu survive, %zu are killed for another reason than stated; "
	       "%zu checks ran on the NIC, %zu kill nothing; %zu failures of the clean NIC; %zu runs\n",
	       proof->defects_n - absent, survivors, others, ran, idle, proof->complaints_n,
	       proof->runs);
}

static json_t *killers(const struct proof *proof, const struct proved_defect *d, bool named)
{
	json_t *list = json_array();

	for (size_t k = 0; k < d->n; k++)
		if (d->kills[k].named == named)
			json_array_append_new(list,
					      json_check_name(proof->checks.v[d->kills[k].check]));
	return list;
}

static json_t *kills(const struct proof *proof, const struct proved_defect *d)
{
	json_t *list = json_array();

	for (size_t k = 0; k < d->n; k++)
		json_array_append_new(list,
				      json_pack("{s:o, s:s, s:b, s:s}", "check",
						json_check_name(proof->checks.v[d->kills[k].check]),
						"parent", proof->stands[d->kills[k].stand].address,
						"stated", d->kills[k].named, "diagnosis",
						d->kills[k].diagnosis));
	return list;
}

void prove_json(const struct proof *proof)
{
	json_t *defects = json_array(), *survivors = json_array(), *idle = json_array();
	json_t *complaints = json_array(), *stands = json_array();
	size_t ran = 0;

	for (size_t s = 0; s < proof->stands_n; s++)
		json_array_append_new(stands, json_string(proof->stands[s].address));
	for (size_t i = 0; i < proof->defects_n; i++) {
		const struct proved_defect *d = &proof->defects[i];

		if (!d->shows)
			continue;
		json_array_append_new(
			defects, json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o}", "name",
					   d->defect->name, "area", d->defect->area, "personality",
					   d->defect->personality, "requirements",
					   json_ids(d->defect->requirements), "what",
					   d->defect->what, "killed_by", killers(proof, d, true),
					   "killed_for_another_reason_by", killers(proof, d, false),
					   "kills", kills(proof, d)));
		if (!d->n)
			json_array_append_new(survivors, json_string(d->defect->name));
	}
	for (size_t c = 0; c < proof->checks.n; c++) {
		ran += proof->ran[c];
		if (proof->ran[c] && !proof->kills[c])
			json_array_append_new(idle, json_check_name(proof->checks.v[c]));
	}
	for (size_t i = 0; i < proof->complaints_n; i++) {
		const struct complaint *c = &proof->complaints[i];

		json_array_append_new(complaints,
				      json_pack("{s:o, s:s, s:s}", "check",
						json_check_name(proof->checks.v[c->check]),
						"parent", proof->stands[c->stand].address,
						"diagnosis", c->diagnosis));
	}
	json_print(stdout, json_pack("{s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "schema", 1,
				     "seed", (json_int_t)proof->seed, "parents", stands, "defects",
				     defects, "survivors", survivors, "idle_checks", idle,
				     "clean_failures", complaints, "checks_ran", (json_int_t)ran,
				     "runs", (json_int_t)proof->runs));
}

void prove_html(const struct proof *proof)
{
	char name[128];

	html_begin("Seeded defects and the checks that kill them");
	puts("<p>");
	html_printf("Seed %llu, on", (unsigned long long)proof->seed);
	for (size_t s = 0; s < proof->stands_n; s++)
		html_printf(" %s", proof->stands[s].address);
	puts("</p>\n<table><thead><tr><th>Defect<th>What it does<th>Requirements<th>Killed by"
	     "<th>Seen</tr></thead><tbody>");
	for (size_t i = 0; i < proof->defects_n; i++) {
		const struct proved_defect *d = &proof->defects[i];

		if (!d->shows)
			continue;
		printf("<tr class=\"%s\"><td>", !d->n ? "fail" : d->named ? "" : "open");
		html_printf("%s", d->defect->name);
		fputs("<td>", stdout);
		html_printf("%s", d->defect->what);
		fputs("<td>", stdout);
		html_printf("%s", d->defect->requirements);
		fputs("<td>", stdout);
		for (size_t k = 0; k < d->n; k++) {
			name_check(name, sizeof(name), proof, d->kills[k].check);
			html_printf("%s%s on %s", name, d->kills[k].named ? "" : " (other reason)",
				    proof->stands[d->kills[k].stand].address);
			puts("<br>");
		}
		fputs("<td>", stdout);
		for (size_t k = 0; k < d->n; k++) {
			html_printf("%s", d->kills[k].diagnosis);
			puts("<br>");
		}
		puts("</tr>");
	}
	puts("</tbody></table><ul>");
	for (size_t i = 0; i < proof->complaints_n; i++) {
		const struct complaint *c = &proof->complaints[i];

		name_check(name, sizeof(name), proof, c->check);
		fputs("<li>", stdout);
		html_printf("The clean NIC does not pass %s on %s: %s", name,
			    proof->stands[c->stand].address, c->diagnosis);
	}
	for (size_t c = 0; c < proof->checks.n; c++) {
		if (!proof->ran[c] || proof->kills[c])
			continue;
		name_check(name, sizeof(name), proof, c);
		fputs("<li>", stdout);
		html_printf("%s kills nothing", name);
	}
	puts("</ul>");
	html_end();
}
