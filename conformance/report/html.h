/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The little HTML that the matrices need: one self-contained page on standard output
 */
#ifndef VC_REPORT_HTML_H
#define VC_REPORT_HTML_H

/** html_begin() - a page up to its heading; rows of class none, open and fail have a colour */
void html_begin(const char *title);
void html_end(void);

/** html_printf() - text, with the markup in it escaped */
void html_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
