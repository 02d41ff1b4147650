/*-------------------------------------------------------------------------
 *
 * replay_main.c
 *	  Runs a fuzz target over existing files, without libFuzzer.
 *
 * Arguments are files and directories of files; by default corpus/<name of the
 * program>. Each input is one result in TAP; a target that finds a fault ends
 * the program, which prove counts as a failure.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tap.h"

static int	replayed = 0;

/*
 * The input is in memory of exactly its size, so that reading beyond it is
 * noticed.
 */
static void
replay_file(const char *path, FILE *file)
{
	uint8_t    *data;
	long		size;

	if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 ||
		fseek(file, 0, SEEK_SET) != 0)
	{
		ok(false, "%s: could not find its size", path);
		return;
	}
	data = malloc(size > 0 ? size : 1);
	if (data == NULL || fread(data, 1, size, file) != (size_t) size)
		ok(false, "%s: could not read it", path);
	else
	{
		LLVMFuzzerTestOneInput(data, size);
		replayed++;
		ok(true, "%s", path);
	}
	free(data);
}

static int
is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void
replay_path(const char *path)
{
	struct dirent **entries;
	int			count = scandir(path, &entries, is_visible, alphasort);
	FILE	   *file;

	for (int i = 0; i < count; i++)
	{
		char		name[4096];

		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		replay_path(name);
		free(entries[i]);
	}
	if (count >= 0)
	{
		free(entries);
		return;
	}

	file = fopen(path, "rb");
	if (file == NULL)
	{
		ok(false, "%s: could not open it", path);
		return;
	}
	replay_file(path, file);
	fclose(file);
}

int
main(int argc, char **argv)
{
	uint8_t		nothing = 0;

	LLVMFuzzerTestOneInput(&nothing, 0);
	ok(true, "empty input");

	for (int i = 1; i < argc; i++)
		replay_path(argv[i]);
	if (argc == 1)
	{
		const char *slash = strrchr(argv[0], '/');
		char		corpus[4096];

		snprintf(corpus, sizeof(corpus), "corpus/%s",
				 slash != NULL ? slash + 1 : argv[0]);
		replay_path(corpus);
	}
	ok(replayed > 0, "%d inputs replayed", replayed);
	return done_testing();
}
