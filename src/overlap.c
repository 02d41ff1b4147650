/*-------------------------------------------------------------------------
 *
 * overlap.c
 *	  Compares the WAL of another source with this standby's, where both have
 *	  it.
 *
 * This runs in a walreceiver, and writes nothing.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <fcntl.h>

#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"
#include "overlap.h"
#include "pure/bytes.h"
#include "pure/segment.h"
#include "pure/wire/frame.h"
#include "redirect.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "storage/spin.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* How long a source may be silent, in milliseconds. */
#define SILENCE_LIMIT	10000

/*
 * How often to tell the source that we are alive, in milliseconds, or it would
 * end a long comparison after its wal_sender_timeout.
 */
#define REPLY_INTERVAL	1000

#define REPLY_SIZE		(1 + 4 * 8 + 1)

/* The WAL to compare. */
typedef struct Overlap
{
	TimeLineID	asked_tli;		/* timeline that the source is asked for */
	TimeLineID	tli;			/* timeline in whose files we have it */
	XLogRecPtr	next_lsn;
	XLogRecPtr	end_lsn;
	TimestampTz replied;		/* when the source was told last that we are
								 * alive */
} Overlap;

/*
 * The range is from the position at which recovery wants WAL to the end of
 * what it has replayed, plus any part of a record received after that.
 * Recovery asks for a walreceiver only when it has replayed everything else.
 */
static void
find_overlap(Overlap *overlap)
{
	TimeLineID	received_tli;
	XLogRecPtr	received;

	overlap->end_lsn = GetXLogReplayRecPtr(&overlap->tli);
	received = GetWalRcvFlushRecPtr(NULL, &received_tli);
	if (received_tli == overlap->tli && received > overlap->end_lsn)
		overlap->end_lsn = received;

	SpinLockAcquire(&WalRcv->mutex);
	overlap->next_lsn = WalRcv->receiveStart;
	overlap->asked_tli = WalRcv->receiveStartTLI;
	SpinLockRelease(&WalRcv->mutex);

	/* at the beginning of a segment, look at the one before */
	if (overlap->next_lsn >= overlap->end_lsn &&
		overlap->next_lsn > wal_segment_size)
	{
		overlap->next_lsn -= wal_segment_size;
		overlap->asked_tli = overlap->tli;
	}
}

/* Read bytes of one of our segments. */
static void
read_segment(TimeLineID tli, XLogRecPtr lsn, char *buf, size_t len)
{
	char		path[MAXPGPATH];
	XLogSegNo	segno;
	ssize_t		got;
	int			fd;

	segno = ws_segment_number(lsn, wal_segment_size);
	XLogFilePath(path, tli, segno, wal_segment_size);
	fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path)));
	got = pg_pread(fd, buf, len, ws_segment_offset(lsn, wal_segment_size));
	if (got < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", path)));
	if ((size_t) got != len)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("could not read file \"%s\": read %zd of %zu", path, got, len)));
	CloseTransientFile(fd);
}

/*
 * Compare the bytes that have come.  Returns false if they differ, and sets
 * *lsn to the place.
 */
static bool
compare(Overlap *overlap, const char *bytes, size_t len, XLogRecPtr *lsn)
{
	char		ours[XLOG_BLCKSZ];
	bool		same = true;

	len = Min(len, overlap->end_lsn - overlap->next_lsn);
	while (len > 0 && same)
	{
		size_t		left = wal_segment_size -
			ws_segment_offset(overlap->next_lsn, wal_segment_size);
		size_t		piece = Min(Min(len, left), sizeof(ours));

		read_segment(overlap->tli, overlap->next_lsn, ours, piece);
		for (size_t i = 0; i < piece && same; i++)
		{
			same = bytes[i] == ours[i];
			*lsn = overlap->next_lsn + i;
		}
		overlap->next_lsn += piece;
		bytes += piece;
		len -= piece;
	}
	return same;
}

/*
 * Send a status update, if it is time to.  It has no positions: we have all of
 * this WAL, but as somebody else's standby.
 */
static void
reply(const WalReceiverFunctionsType *functions, WalReceiverConn *conn, Overlap *overlap)
{
	char		message[REPLY_SIZE] = {'r'};
	TimestampTz now = GetCurrentTimestamp();

	if (now >= overlap->replied &&
		!TimestampDifferenceExceeds(overlap->replied, now, REPLY_INTERVAL))
		return;
	ws_bytes_put_net64((uint8 *) message + 1 + 3 * 8, now);
	(functions->walrcv_send) (conn, message, sizeof(message));
	overlap->replied = now;
}

/*
 * Get the next message in *buffer.  Returns its length, negative at the end.
 */
static int
next_message(const WalReceiverFunctionsType *functions, WalReceiverConn *conn,
			 Overlap *overlap, char **buffer)
{
	TimestampTz limit = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SILENCE_LIMIT);

	for (;;)
	{
		pgsocket	fd = PGINVALID_SOCKET;
		int			len;
		long		left;

		reply(functions, conn, overlap);
		len = (functions->walrcv_receive) (conn, buffer, &fd);
		if (len != 0)
			return len;
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), limit);
		if (left <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("no WAL to compare came for %d ms", SILENCE_LIMIT)));
		(void) WaitLatchOrSocket(MyLatch, WL_EXIT_ON_PM_DEATH | WL_SOCKET_READABLE |
								 WL_TIMEOUT | WL_LATCH_SET, fd,
								 Min(left, REPLY_INTERVAL),
								 WAIT_EVENT_WAL_RECEIVER_MAIN);
		ResetLatch(MyLatch);
		WS_CHECK_RECEIVER_INTERRUPTS();
	}
}

/*
 * Returns true if the WAL is the same; otherwise sets *reason, palloc'd, which
 * tells where it differs.
 */
static bool
is_same(const WalReceiverFunctionsType *functions, WalReceiverConn *conn,
		char **reason)
{
	WalRcvStreamOptions options = {0};
	Overlap		overlap;

	find_overlap(&overlap);
	options.startpoint = overlap.next_lsn;
	options.proto.physical.startpointTLI = overlap.asked_tli;
	if (overlap.next_lsn >= overlap.end_lsn ||
		!(functions->walrcv_startstreaming) (conn, &options))
		return true;

	overlap.replied = GetCurrentTimestamp();
	while (overlap.next_lsn < overlap.end_lsn)
	{
		char	   *buffer;
		int			len = next_message(functions, conn, &overlap, &buffer);
		WsStockHeader header;
		XLogRecPtr	lsn = InvalidXLogRecPtr;

		/* its timeline ends before our end, which is a part of a record */
		if (len < 0)
			break;
		if (len < WS_STOCK_HEADER || buffer[0] != WS_STOCK_TYPE)
			continue;
		ws_stock_header_decode((const uint8 *) buffer, &header);
		if (header.start_lsn != overlap.next_lsn)
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("WAL at " WS_LSN " came where that at " WS_LSN " was expected",
							LSN_FORMAT_ARGS(header.start_lsn),
							LSN_FORMAT_ARGS(overlap.next_lsn))));
		if (!compare(&overlap, buffer + WS_STOCK_HEADER, len - WS_STOCK_HEADER, &lsn))
		{
			*reason = psprintf("WAL of the source differs from this standby's at " WS_LSN " on timeline %u",
							   LSN_FORMAT_ARGS(lsn), overlap.tli);
			return false;
		}
	}
	return true;
}

void
ws_overlap_check(const WalReceiverFunctionsType *functions, WalReceiverConn *conn)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool differs = false;
	char	   *reason;

	PG_TRY();
	{
		if (!is_same(functions, conn, &reason))
		{
			differs = true;
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("%s", reason)));
		}
	}
	PG_CATCH();
	{
		ws_redirect_note_error(context, differs);
		PG_RE_THROW();
	}
	PG_END_TRY();
}
