/*-------------------------------------------------------------------------
 *
 * testdata.c
 *	  Bytes to test with, the same in every run.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "testdata.h"

#define GUARD_SIZE	256
#define GUARD_BYTE	0xa5

/* splitmix64 */
static uint64
next_random(uint64 *state)
{
	uint64		z = (*state += UINT64CONST(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void
fill_random(uint8 *buf, size_t len, uint64 seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = next_random(&seed) & 0xff;
}

void
fill_records(uint8 *buf, size_t len, uint64 seed)
{
	uint64		xid = 1000 + seed;
	size_t		pos = 0;

	while (pos < len)
	{
		uint8		record[96];
		size_t		chunk = Min(sizeof(record), len - pos);
		uint64		row = next_random(&seed) % 100000;

		memset(record, 0, sizeof(record));
		memcpy(record, &xid, sizeof(xid));
		record[8] = row % 3;
		memcpy(record + 16, "\x7f\x06\x00\x00\x05\x00\x00\x00\x42\x40", 10);
		memcpy(record + 28, &row, sizeof(row));
		fill_random(record + 40, 8, row);
		memcpy(record + 60, "abcdefghijklmnopqrstuvwxyz", 26);
		memcpy(buf + pos, record, chunk);
		pos += chunk;
		xid++;
	}
}

uint8 *
guard_alloc(size_t len)
{
	uint8	   *whole = malloc(len + 2 * GUARD_SIZE);

	if (whole == NULL)
		abort();
	memset(whole, GUARD_BYTE, GUARD_SIZE);
	memset(whole + GUARD_SIZE + len, GUARD_BYTE, GUARD_SIZE);
	return whole + GUARD_SIZE;
}

bool
guard_intact(const uint8 *buf, size_t len)
{
	const uint8 *before = buf - GUARD_SIZE;
	const uint8 *after = buf + len;

	for (size_t i = 0; i < GUARD_SIZE; i++)
	{
		if (before[i] != GUARD_BYTE || after[i] != GUARD_BYTE)
			return false;
	}
	return true;
}

void
guard_free(uint8 *buf)
{
	free(buf - GUARD_SIZE);
}
