/*-------------------------------------------------------------------------
 *
 * seed.h
 *	  What the programs that write seeds share.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_SEED_H
#define WS_SEED_H

#include <sys/stat.h>

/* The folder that holds a folder for each target. */
static const char *seed_corpus;

/* A seed that grows at its end, until it is written. */
typedef struct Seed
{
	uint8		bytes[64 * 1024];
	size_t		len;
} Seed;

static Seed seed;

static inline void
add_bytes(const void *bytes, size_t len)
{
	if (len > sizeof(seed.bytes) - seed.len)
		abort();
	if (len > 0)
		memcpy(seed.bytes + seed.len, bytes, len);
	seed.len += len;
}

/* most significant byte first */
static inline void
add_number(uint32 number, int size)
{
	for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
	{
		uint8		byte = number >> shift & 0xff;

		add_bytes(&byte, 1);
	}
}

static inline void
write_seed(const char *target, const char *name)
{
	char		path[1024];
	FILE	   *file;

	(void) mkdir(seed_corpus, 0777);
	snprintf(path, sizeof(path), "%s/%s", seed_corpus, target);
	(void) mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s", seed_corpus, target, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(seed.bytes, 1, seed.len, file) != seed.len ||
		fclose(file) != 0)
	{
		fprintf(stderr, "could not write file \"%s\"\n", path);
		exit(1);
	}
	seed.len = 0;
}

/*
 * Write two seeds for a target that reads text files (see fuzz_text.h): the
 * file, and the file without its last line, which begins with crc_line.
 */
static inline void
write_text_seeds(const char *target, const char *name, const char *text,
				 size_t len, const char *crc_line)
{
	char		seed_name[64];

	add_number(0, 1);
	add_bytes(text, len);
	write_seed(target, name);

	add_number(1, 1);
	add_bytes(text, len - strlen(crc_line) - strlen("01234567\n"));
	snprintf(seed_name, sizeof(seed_name), "%s_without_crc", name);
	write_seed(target, seed_name);
}

#endif							/* WS_SEED_H */
