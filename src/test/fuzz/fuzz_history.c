/*-------------------------------------------------------------------------
 *
 * fuzz_history.c
 *	  Fuzz target: a timeline history file.
 *
 * The first two bytes are the timeline's number, the rest is its file.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "pure/relay/history.h"

static WsHistoryEntry entries[WS_HISTORY_MAX_ENTRIES + 1];

/* Timelines rise, positions do not fall, and all can be found. */
static void
check_history(const WsHistory *history, TimeLineID tli)
{
	REQUIRE(history->count > 0 && history->count <= WS_HISTORY_MAX_ENTRIES + 1);
	for (int i = 0; i < history->count; i++)
	{
		const WsHistoryEntry *entry = &history->entries[i];
		bool		is_last = i == history->count - 1;
		XLogRecPtr	end_lsn;
		TimeLineID	next_tli;

		REQUIRE(entry->tli > 0);
		REQUIRE((entry->end_lsn == InvalidXLogRecPtr) == is_last);
		REQUIRE(i == 0 || entry->tli > entry[-1].tli);
		REQUIRE(i == 0 || is_last || entry->end_lsn >= entry[-1].end_lsn);
		REQUIRE(ws_history_find(history, entry->tli, &end_lsn, &next_tli));
		REQUIRE(end_lsn == entry->end_lsn);
		REQUIRE(next_tli == (is_last ? 0 : entry[1].tli));
	}
	REQUIRE(history->entries[history->count - 1].tli == tli);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	TimeLineID	tli = take_number(&input, 2);
	WsHistory	history = {.entries = entries};
	char	   *file = malloc(input.len > 0 ? input.len : 1);
	int			line = -1;

	/* memory of exactly this size, so that reading beyond it is noticed */
	REQUIRE(file != NULL);
	if (input.len > 0)
		memcpy(file, input.data, input.len);
	if (ws_history_parse(tli, file, input.len, &history, &line) == WS_OK)
		check_history(&history, tli);
	REQUIRE(line >= 0 && (size_t) line <= input.len);
	free(file);
	return 0;
}
