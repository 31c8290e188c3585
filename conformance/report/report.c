/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/report.h"
#include "text.h"
#include "version.h"

static const struct report_format *const formats[] = {&report_json, &report_junit, &report_tap,
						      &report_ktap, &report_human};

const char *report_version(void)
{
	return "vqcert " VC_VERSION " (" VC_REVISION ")";
}

const struct report_format *report_find(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	return NULL;
}

void report_all(const struct report_format *format, FILE *out, const struct run *run,
		const char *sentence)
{
	const struct report_style style = {0};

	if (sentence) {
		format->failed(out, run, sentence);
		return;
	}
	if (format->begin)
		format->begin(out, run, &style);
	for (size_t i = 0; format->result && i < run->checks.n; i++)
		format->result(out, run, i, &style);
	format->end(out, run, &style);
}

/* mkdir -p */
static int make_directories(const char *path)
{
	char *copy = xstrdup(path);
	int err = 0;

	for (char *at = copy + 1; *at && !err; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(copy, 0777) < 0 && errno != EEXIST)
			err = -errno;
		*at = '/';
	}
	if (!err && mkdir(copy, 0777) < 0 && errno != EEXIST)
		err = -errno;
	free(copy);
	return err;
}

static int write_file(const char *path, const struct report_format *format, const struct run *run,
		      const char *sentence)
{
	char *new = xformat("%s.new", path);
	FILE *out = fopen(new, "we");
	int err = 0;

	if (!out) {
		err = -errno;
	} else {
		report_all(format, out, run, sentence);
		if (ferror(out))
			err = -EIO;
		if (fclose(out) < 0 && !err)
			err = -errno;
		if (!err && rename(new, path) < 0)
			err = -errno;
		if (err)
			unlink(new);
	}
	free(new);
	return err;
}

char *report_make_directory(const char *path)
{
	int err = make_directories(path);

	if (!err && access(path, W_OK | X_OK) < 0)
		err = -errno;
	if (err < 0)
		return xformat("directory %s can't be made for the reports: %s", path,
			       strerror(-err));
	return NULL;
}

char *report_directory(const char *path, const struct run *run, const char *sentence)
{
	char *unmade = report_make_directory(path);
	int err;

	if (unmade)
		return unmade;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		char *file = xformat("%s/%s", path, formats[i]->file);

		err = write_file(file, formats[i], run, sentence);
		if (err < 0) {
			char *wrong =
				xformat("report %s can't be written: %s", file, strerror(-err));

			free(file);
			return wrong;
		}
		free(file);
	}
	return NULL;
}
