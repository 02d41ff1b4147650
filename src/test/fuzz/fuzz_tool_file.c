/*-------------------------------------------------------------------------
 *
 * fuzz_tool_file.c
 *	  Fuzz target: the files that the tool walz reads.
 *
 * A file that can be read is reported on and encoded, as the tool's commands
 * do, and is the same after decoding.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "../../cli/report.h"
#include "fuzz.h"
#include "pure/codec/walz.h"
#include "pure/segment.h"

/* Returns false if the file cannot be used. */
static bool
take(Segment *segment, const void *bytes, size_t len, bool *encoded)
{
	const char *why;

	memset(segment, 0, sizeof(*segment));
	segment->bytes = malloc(len > 0 ? len : 1);
	REQUIRE(segment->bytes != NULL);
	if (len > 0)
		memcpy(segment->bytes, bytes, len);
	segment->len = len;
	why = segment_take(segment, encoded);
	REQUIRE((why == NULL) == (segment->bytes != NULL));
	return why == NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Report report;
	Segment		segment;
	Segment		again;
	bool		encoded;
	uint8	   *file;
	size_t		file_len;

	if (!take(&segment, data, size, &encoded))
		return 0;
	REQUIRE(ws_segment_sizes_valid(segment.params.wal_block_size,
								   segment.params.wal_segment_size));
	REQUIRE(segment.used > 0 && segment.used <= segment.len);
	REQUIRE(segment.len <= segment.params.wal_segment_size);

	report_init(&report);
	REQUIRE(report_segment(&report, &segment));
	file = segment_encode(&segment, &file_len);
	REQUIRE(file != NULL);
	REQUIRE(take(&again, file, file_len, &encoded) && encoded);
	REQUIRE(again.len == segment.len && again.used == segment.used);
	REQUIRE(memcmp(again.bytes, segment.bytes, segment.len) == 0);
	free(file);
	segment_free(&again);
	segment_free(&segment);
	return 0;
}
