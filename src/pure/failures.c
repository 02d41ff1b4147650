/*-------------------------------------------------------------------------
 *
 * failures.c
 *	  Rules by which failures of a stream suspend its compression, and the file
 *	  that keeps the failures while a server is down.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/crc.h"
#include "pure/failures.h"

#define FIRST_LINE		"walstream failures 1\n"
#define LAST_LINE_LEN	13		/* "crc 01234567\n" */

void
ws_failures_add_good(WsFailures *failures, uint64 good_bytes)
{
	if (failures->good_bytes > PG_UINT64_MAX - good_bytes)
		failures->good_bytes = PG_UINT64_MAX;
	else
		failures->good_bytes += good_bytes;
}

bool
ws_failures_add(WsFailures *failures, uint64 good_bytes, uint32 setting,
				int64 now_us)
{
	ws_failures_add_good(failures, good_bytes);

	/* A new series begins, or the first failure after a suspension. */
	if (failures->good_bytes >= WS_FAILURES_GOOD_BYTES ||
		failures->setting != setting ||
		failures->count >= WS_FAILURES_SUSPEND)
		failures->count = 0;

	failures->count++;
	failures->good_bytes = 0;
	failures->last_us = now_us;
	failures->setting = setting;
	return failures->count >= WS_FAILURES_SUSPEND;
}

bool
ws_failures_suspend(const WsFailures *failures, uint32 setting, int64 now_us)
{
	return failures->count >= WS_FAILURES_SUSPEND &&
		failures->setting == setting &&
		failures->last_us <= now_us &&
		(uint64) now_us - (uint64) failures->last_us < WS_FAILURES_SUSPEND_US;
}

size_t
ws_failures_format(const WsStreamFailures *streams, int count, char *buf)
{
	size_t		len = sprintf(buf, FIRST_LINE);
	int			written = 0;
	pg_crc32c	crc;

	for (int i = 0; i < count && written < WS_FAILURES_MAX_STREAMS; i++)
	{
		const WsFailures *failures = &streams[i].failures;

		if (failures->count < 1 || failures->count > WS_FAILURES_SUSPEND)
			continue;
		len += sprintf(buf + len, "%016llx %d %llu %lld %08x\n",
					   (unsigned long long) streams[i].stream, failures->count,
					   (unsigned long long) failures->good_bytes,
					   (long long) failures->last_us, failures->setting);
		written++;
	}

	INIT_CRC32C(crc);
	crc = ws_crc_add(crc, (const uint8 *) buf, len);
	FIN_CRC32C(crc);
	return len + sprintf(buf + len, "crc %08x\n", crc);
}

/*
 * The scan accepts signs, white space and numbers that are too large.  So
 * write again what was read and require the same text.
 */
WsStatus
ws_failures_parse(const char *content, size_t len, WsStreamFailures *streams,
				  int *count)
{
	char		copy[WS_FAILURES_MAX_BYTES + 1];
	char		again[WS_FAILURES_MAX_BYTES];
	const char *pos;
	size_t		again_len;

	*count = 0;
	if (len > WS_FAILURES_MAX_BYTES)
		return WS_E_TOO_LARGE;
	memcpy(copy, content, len);
	copy[len] = '\0';
	if (len < strlen(FIRST_LINE) + LAST_LINE_LEN || strlen(copy) != len ||
		strncmp(copy, FIRST_LINE, strlen(FIRST_LINE)) != 0)
		return WS_E_MALFORMED;

	for (pos = copy + strlen(FIRST_LINE); pos < copy + len - LAST_LINE_LEN;)
	{
		WsStreamFailures *one = &streams[*count];
		unsigned long long stream;
		unsigned long long good_bytes;
		long long	last_us;
		int			used = 0;

		if (*count == WS_FAILURES_MAX_STREAMS ||
			sscanf(pos, "%16llx %d %llu %lld %8x%n", &stream,
				   &one->failures.count, &good_bytes, &last_us,
				   &one->failures.setting, &used) != 5 ||
			pos[used] != '\n')
			return WS_E_MALFORMED;
		one->stream = stream;
		one->failures.good_bytes = good_bytes;
		one->failures.last_us = last_us;
		(*count)++;
		pos += used + 1;
	}

	again_len = ws_failures_format(streams, *count, again);
	if (again_len != len ||
		memcmp(again, content, len - LAST_LINE_LEN) != 0)
		return WS_E_MALFORMED;
	return memcmp(again, content, len) == 0 ? WS_OK : WS_E_CHECK;
}
