/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testing/command.h"

#define ARGS_MAX 32

static struct said said;
static unsigned int interrupt_ms;
static char directory[] = "/tmp/vqcert-test-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static void remove_scratch(void)
{
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(said.out);
	free(said.err);
}

const char *scratch(const char *name)
{
	static char paths[8][256];
	static unsigned int next;
	char *path = paths[next++ % 8];

	if (strchr(directory, 'X') && strstr(directory, "XXXXXX")) {
		if (!mkdtemp(directory)) {
			perror("mkdtemp");
			exit(99);
		}
		atexit(remove_scratch);
	}
	snprintf(path, 256, "%s/%s", directory, name);
	return path;
}

const char *scratch_write(const char *name, const char *text)
{
	const char *path = scratch(name);
	FILE *file = fopen(path, "we");

	if (!file || fputs(text, file) < 0 || fclose(file)) {
		perror(path);
		exit(99);
	}
	return path;
}

char *slurp(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!file || getdelim(&text, &size, '\0', file) < 0) {
		free(text);
		text = strdup("");
	}
	if (file)
		fclose(file);
	return text;
}

void say_interrupt_after(unsigned int ms)
{
	interrupt_ms = ms;
}

static void become(char **argv, const char *out, const char *err)
{
	int o = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int e = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (dup2(o, STDOUT_FILENO) < 0 || dup2(e, STDERR_FILENO) < 0)
		_exit(126);
	close(o);
	close(e);
	execv(argv[0], argv);
	_exit(127);
}

const struct said *say(const char *first, ...)
{
	char *argv[ARGS_MAX] = {getenv("VQCERT_FAKE")};
	char out[256], err[256];
	int n = 1, status;
	va_list args;
	pid_t pid;

	va_start(args, first);
	for (const char *arg = first; arg && n < ARGS_MAX - 1; arg = va_arg(args, const char *))
		argv[n++] = (char *)(uintptr_t)arg;
	va_end(args);
	if (!argv[0]) {
		fputs("VQCERT_FAKE must name the program under test\n", stderr);
		exit(99);
	}
	snprintf(out, sizeof(out), "%s", scratch("out"));
	snprintf(err, sizeof(err), "%s", scratch("err"));
	fflush(NULL);
	pid = fork();
	if (!pid)
		become(argv, out, err);
	if (interrupt_ms) {
		usleep(interrupt_ms * 1000);
		kill(pid, SIGINT);
		interrupt_ms = 0;
	}
	waitpid(pid, &status, 0);
	free(said.out);
	free(said.err);
	said = (struct said){.status = WIFEXITED(status) ? WEXITSTATUS(status)
							 : 128 + WTERMSIG(status),
			     .out = slurp(out),
			     .err = slurp(err)};
	return &said;
}
