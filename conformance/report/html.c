/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "report/html.h"
#include "text.h"

void html_printf(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = xvformat(fmt, args);
	va_end(args);
	for (const char *at = text; *at; at++) {
		if (*at == '&' || *at == '<' || *at == '>' || *at == '"')
			printf("&#%d;", *at);
		else
			putchar(*at);
	}
	free(text);
}

void html_begin(const char *title)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", stdout);
	html_printf("%s", title);
	puts("</title>\n"
	     "<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}"
	     "td,th{border:1px solid #bbb;padding:.3em .5em;text-align:left;vertical-align:top}"
	     "th{position:sticky;top:0;background:#eee}.none td{color:#777}"
	     ".open td{background:#fff0d0}.fail td{background:#ffd8d8}</style></head><body>");
	fputs("<h1>", stdout);
	html_printf("%s", title);
	puts("</h1>");
}

void html_end(void)
{
	puts("</body></html>");
}
