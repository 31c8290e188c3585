/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "status.h"
#include "text.h"

noreturn void sentence_die(int status, const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("vqcert: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

static void *must(void *memory)
{
	if (!memory)
		sentence_die(EXIT_ENVIRONMENT, "out of memory");
	return memory;
}

void *xcalloc(size_t n, size_t size)
{
	return must(calloc(n ? n : 1, size));
}

char *xstrdup(const char *text)
{
	return must(strdup(text));
}

char *xvformat(const char *fmt, va_list args)
{
	char *text;

	return must(vasprintf(&text, fmt, args) < 0 ? NULL : text);
}

char *xformat(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = xvformat(fmt, args);
	va_end(args);
	return text;
}

void replace_text(char **text, char *with)
{
	free(*text);
	*text = with;
}

void lines_add(struct lines *lines, const char *text)
{
	/* grows at powers of two, so that the capacity need not be kept */
	if (!(lines->n & (lines->n - 1)))
		lines->v = must(realloc(lines->v, (lines->n ? 2 * lines->n : 1) * sizeof(char *)));
	lines->v[lines->n++] = xstrdup(text);
}

void lines_drop_first(struct lines *lines)
{
	char **v;

	if (!lines->n)
		return;
	free(lines->v[0]);
	lines->n--;
	/* the invariant of lines_add(): room for the next power of two, also after shrinking */
	memmove(lines->v, lines->v + 1, lines->n * sizeof(char *));
	v = realloc(lines->v, (lines->n ? 2 * lines->n : 1) * sizeof(char *));
	lines->v = must(v);
}

void lines_free(struct lines *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		free(lines->v[i]);
	free(lines->v);
	*lines = (struct lines){0};
}

/* Length of the UTF-8 sequence at @s that XML also allows, 0 if it is none. */
static size_t sequence(const unsigned char *s)
{
	uint32_t point;
	size_t len;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	point = s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3f);
	}
	if (point < 0xa0 || (len == 3 && point < 0x800) || (len == 4 && point < 0x10000) ||
	    point > 0x10ffff || (point >= 0xd800 && point < 0xe000) || (point & 0xfffe) == 0xfffe)
		return 0;
	return len;
}

/* Words that parsers take for verdicts, and what a person reads as well; of the same length. */
static const struct {
	const char *word, *instead;
} loaded_words[] = {
	{" FAIL:", " fail:"},	{"[FAIL]", "[fail]"},	    {" # SKIP", " - skip"},
	{" # TODO", " - todo"}, {"Bail out!", "bail out."},
};

void text_clean(char *text)
{
	unsigned char *from = (unsigned char *)text, *to = from;

	while (*from) {
		size_t len = sequence(from);

		if (!len) {
			*to++ = *from == '\t' || *from == '\n' || *from == '\r' ? ' ' : '?';
			from++;
			continue;
		}
		memmove(to, from, len);
		to += len;
		from += len;
	}
	*to = '\0';
	for (size_t i = 0; i < sizeof(loaded_words) / sizeof(loaded_words[0]); i++)
		for (char *at = text; (at = strcasestr(at, loaded_words[i].word));)
			memcpy(at, loaded_words[i].instead, strlen(loaded_words[i].instead)),
				at += strlen(loaded_words[i].instead);
	/* a line of a diagnosis that starts like this would be a comment with a verdict */
	if (!strncasecmp(text, "FAIL:", 5))
		memcpy(text, "fail:", 5);
	if (!strncasecmp(text, "# SKIP", 6))
		memcpy(text, "- skip", 6);
}

void text_fill(struct lines *out, const char *text, size_t width)
{
	while (*text) {
		size_t len = strlen(text), cut;
		char *line;

		if (len > width) {
			for (cut = width; cut > 0 && text[cut] != ' '; cut--)
				;
			if (!cut)
				cut = width + strcspn(text + width, " ");
			len = cut;
		}
		line = xformat("%.*s", (int)len, text);
		lines_add(out, line);
		free(line);
		text += len;
		text += strspn(text, " ");
	}
}
