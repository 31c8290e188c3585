/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Run a program and look at what it says and how it ends
 */
#ifndef VC_TESTING_COMMAND_H
#define VC_TESTING_COMMAND_H

/** struct said - what a program wrote, terminated, and its exit status (128 + signal if killed) */
struct said {
	int status;
	char *out, *err;
};

/**
 * say() - run vqcert-fake with these arguments, ended by NULL
 *
 * The result is valid until the next call.
 */
const struct said *say(const char *first, ...) __attribute__((sentinel));

/** say_interrupt_after() - the next say() sends SIGINT after so many ms */
void say_interrupt_after(unsigned int ms);

/** scratch() - path of a file of this name in a directory of this test, which is removed at exit */
const char *scratch(const char *name);

/** scratch_write() - the same, with this text in it */
const char *scratch_write(const char *name, const char *text);

/** slurp() - a file's text; the caller frees it; "" if it is not there */
char *slurp(const char *path);

#endif
