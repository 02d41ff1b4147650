/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Checks all stored WAL, from its first byte to its end.
 *
 * Besides what PostgreSQL checks when it replays, this checks the zeros
 * between records and after a switch, that each page has the right timeline,
 * and that copies of older timelines' WAL are the same.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/store/file.h"
#include "relay/store/records.h"
#include "utils/memutils.h"

#define COMPARE_BYTES	(64 * 1024)

/* State of a verification, and the first finding. */
typedef struct Verification
{
	const WsStore *store;
	TimeLineID	tli;
	const WsHistory *history;
	uint32		segment_size;
	XLogRecPtr	end_lsn;
	XLogRecPtr	valid_lsn;		/* all records before this are valid */

	XLogRecPtr	bad_lsn;
	TimeLineID	bad_tli;
	char	   *reason;			/* NULL if nothing is wrong */
} Verification;

/* Note the first finding. */
static void
note(Verification *v, TimeLineID tli, XLogRecPtr lsn, const char *reason)
{
	if (v->reason != NULL)
		return;
	v->bad_tli = tli;
	v->bad_lsn = lsn;
	v->reason = pstrdup(reason);
}

/* Note a finding in the line, where the position determines the timeline. */
static void
note_in_line(Verification *v, XLogRecPtr lsn, const char *reason)
{
	XLogSegNo	segno;

	segno = ws_segment_number(lsn, v->segment_size);
	note(v, ws_line_segment_tli(v->history, v->segment_size, segno), lsn, reason);
}

/*
 * Find out why no record follows the last one.  If the page that was read last
 * has a bad header, that page is wrong, otherwise the record at valid_lsn.
 */
static void
note_record(Verification *v, WsRecords *records, XLogRecPtr valid_lsn)
{
	XLogRecPtr	page_lsn = records->page_lsn;
	char	   *reason = pstrdup(records->message != NULL ? records->message :
								 "no valid record");
	char	   *page = palloc(XLOG_BLCKSZ);
	XLogSegNo	segno;
	WsStoreReader *reader;

	if (page_lsn > valid_lsn && page_lsn + XLOG_BLCKSZ <= v->end_lsn)
	{
		reader = ws_store_reader_new(v->store);
		segno = ws_segment_number(page_lsn, v->segment_size);
		ws_store_read(reader, ws_line_segment_tli(v->history, v->segment_size, segno),
					  0, page_lsn, page, XLOG_BLCKSZ);
		ws_store_reader_free(reader);
		if (!XLogReaderValidatePageHeader(records->xlog, page_lsn, page) ||
			(((XLogPageHeader) page)->xlp_info & XLP_FIRST_IS_CONTRECORD) == 0)
			valid_lsn = page_lsn;
	}
	note_in_line(v, valid_lsn, reason);
	pfree(page);
}

/* Check that the padding after a record is zero. */
static void
check_filling(Verification *v, WsRecords *records)
{
	XLogReaderState *xlog = records->xlog;
	XLogRecPtr	begin;
	XLogRecPtr	lsn;

	if (ws_records_is_switch(records, &begin))
	{
		if (!ws_records_are_zeros(records, begin, Min(xlog->EndRecPtr, v->end_lsn), &lsn))
			note_in_line(v, lsn, "not zero behind a switch of segments");
	}
	else if (!ws_records_is_filled_with_zeros(records))
		note_in_line(v, xlog->EndRecPtr - 1, "not zero behind a record");
}

/* Read all records of the line from its first position to the end. */
static void
check_records(Verification *v, XLogRecPtr first_lsn)
{
	WsRecords  *records = ws_records_new(v->store, v->history, v->end_lsn);

	v->valid_lsn = first_lsn;
	if (ws_records_seek(records, first_lsn))
	{
		while (v->reason == NULL && ws_records_next(records))
		{
			v->valid_lsn = Min(records->xlog->EndRecPtr, v->end_lsn);
			check_filling(v, records);
			if (records->bad_tli_lsn != InvalidXLogRecPtr)
				note_in_line(v, records->bad_tli_lsn, "page of another timeline");
		}
	}
	if (v->reason == NULL && !records->reached_end && v->valid_lsn < v->end_lsn)
		note_record(v, records, v->valid_lsn);
	ws_records_free(records);
}

/*
 * Check that the last file of a timeline that was left has the same WAL as the
 * files of later timelines that continue it.
 */
static void
check_copy(Verification *v, const WsSegment *last, XLogRecPtr switch_lsn)
{
	XLogRecPtr	lsn = ws_segment_lsn(last->segno, v->segment_size);
	TimeLineID	line_tli = ws_line_segment_tli(v->history, v->segment_size, last->segno);
	WsStoreReader *own = ws_store_reader_new(v->store);
	WsStoreReader *copy = ws_store_reader_new(v->store);
	char	   *own_bytes = palloc(2 * COMPARE_BYTES);
	char	   *copy_bytes = own_bytes + COMPARE_BYTES;

	while (lsn < switch_lsn && v->reason == NULL)
	{
		size_t		len = Min(COMPARE_BYTES, switch_lsn - lsn);

		CHECK_FOR_INTERRUPTS();
		ws_store_read(own, last->tli, 0, lsn, own_bytes, len);
		ws_store_read(copy, line_tli, 0, lsn, copy_bytes, len);
		for (size_t i = 0; i < len && v->reason == NULL; i++)
		{
			if (own_bytes[i] != copy_bytes[i])
				note(v, last->tli, lsn + i, "differs from what the next timeline has there");
		}
		lsn += len;
	}
	pfree(own_bytes);
	ws_store_reader_free(own);
	ws_store_reader_free(copy);
}

static void
check_copies(Verification *v, XLogRecPtr first_lsn)
{
	WsSegment  *segments;
	int			count = ws_store_list(v->store, &segments);

	for (int i = 0; i < v->history->count - 1 && v->reason == NULL; i++)
	{
		const WsHistoryEntry *entry = &v->history->entries[i];
		XLogRecPtr	switch_lsn = Min(entry->end_lsn, v->end_lsn);
		XLogSegNo	segno;
		const WsSegment *last = NULL;

		segno = ws_segment_number(switch_lsn, v->segment_size);
		for (int j = 0; j < count; j++)
		{
			if (segments[j].tli == entry->tli && segments[j].segno == segno)
				last = &segments[j];
		}
		if (last != NULL && ws_segment_lsn(segno, v->segment_size) >= first_lsn &&
			ws_line_segment_tli(v->history, v->segment_size, segno) != entry->tli)
			check_copy(v, last, switch_lsn);
	}
	pfree(segments);
}

/*
 * Check everything, and turn an error about a damaged file into a finding.
 * Returns true if a file has vanished.
 */
static bool
check_all(Verification *v, XLogRecPtr first_lsn)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool has_vanished = false;

	PG_TRY();
	{
		check_records(v, first_lsn);
		if (v->reason == NULL)
			check_copies(v, first_lsn);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_DATA_CORRUPTED &&
			error->sqlerrcode != ERRCODE_UNDEFINED_FILE)
			PG_RE_THROW();
		FlushErrorState();
		has_vanished = error->sqlerrcode == ERRCODE_UNDEFINED_FILE;
		note_in_line(v, v->valid_lsn, error->detail == NULL ? error->message :
					 psprintf("%s: %s", error->message, error->detail));
		FreeErrorData(error);
	}
	PG_END_TRY();
	return has_vanished;
}

/*
 * Find where the stored WAL begins.  Returns false if there is nothing to
 * verify, with a finding if a segment is missing.
 */
static bool
find_first(Verification *v, XLogRecPtr *first_lsn)
{
	WsSegment  *segments;
	int			count = ws_store_list(v->store, &segments);
	XLogSegNo	last;
	XLogSegNo	first;
	bool		is_gap = false;
	bool		found = false;

	if (count > 0 && v->end_lsn > 0)
	{
		last = ws_segment_number(v->end_lsn - 1, v->segment_size);
		found = ws_line_find_first(v->store, v->history, segments, count, last,
								   &first, &is_gap);
		*first_lsn = ws_segment_lsn(first, v->segment_size);
		if (!found || is_gap)
			note_in_line(v, ws_segment_lsn(first - 1, v->segment_size), "the WAL segment is missing");
	}
	pfree(segments);
	return v->reason == NULL && found;
}

/* Returns true if the stored WAL now begins after the missing segment. */
static bool
has_been_removed(const Verification *v)
{
	TimeLineID	first_tli;
	XLogRecPtr	first_lsn;

	return ws_store_find_first(v->store, v->tli, &first_tli, &first_lsn) &&
		first_lsn > v->bad_lsn;
}

bool
ws_store_verify(const WsStore *store, TimeLineID tli, XLogRecPtr end_lsn,
				TimeLineID *bad_tli, XLogRecPtr *bad_lsn, char **reason,
				uint64 *verified_bytes)
{
	Verification v = {.store = store,.segment_size = store->identity.segment_size};
	XLogRecPtr	first_lsn = InvalidXLogRecPtr;

	v.history = ws_store_read_history(store, tli);
	v.tli = tli;
	v.end_lsn = end_lsn;
	*verified_bytes = 0;
	*bad_tli = 0;
	*bad_lsn = InvalidXLogRecPtr;
	*reason = NULL;

	while (find_first(&v, &first_lsn) && check_all(&v, first_lsn) &&
		   has_been_removed(&v))
	{
		/* the keeper has removed what was being read: continue after it */
		v.reason = NULL;
	}

	*verified_bytes = v.valid_lsn > first_lsn ? v.valid_lsn - first_lsn : 0;
	*bad_tli = v.bad_tli;
	*bad_lsn = v.bad_lsn;
	*reason = v.reason;
	return v.reason == NULL;
}
