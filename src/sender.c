/*-------------------------------------------------------------------------
 *
 * sender.c
 *	  Encodes and counts the messages that a walsender sends.
 *
 * A walsender hands every message to the functions in PqCommMethods.  Once a
 * replication client has been authenticated, we install a table of our own,
 * which passes everything on to the one it replaced.  Between CopyBothResponse
 * and the end of the COPY it counts CopyData messages and, if the client asked
 * for that, puts them through an encoder.  Slots, synchronous replication,
 * timeouts and the order of shutdown stay PostgreSQL's, or the relay's in a
 * walsender of a relay.
 *
 * No method may raise an ERROR, since the report would pass through the same
 * method.  The exception is flush_if_writable while a stream runs, since the
 * report ends that.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "guc.h"
#include "libpq/auth.h"
#include "libpq/libpq.h"
#include "peer.h"
#include "pure/wire/encoder.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "sender.h"
#include "sockopt.h"
#include "throttle.h"
#include "utils/timestamp.h"

static ClientAuthentication_hook_type prev_client_authentication = NULL;

/* The table that ours replaced in this process; NULL until then. */
static const PQcommMethods *prev_methods = NULL;

/*
 * PostgreSQL's putmessage_noblock calls PqCommMethods->putmessage, that is,
 * our function.  A message that comes in while this flag is set has been
 * through the encoder already.  An error can leave it set; comm_reset clears
 * it.
 */
static bool passing_on = false;

/* State of the stream; all NULL or false outside of one. */
static bool streaming = false;	/* from CopyBothResponse to the end of the
								 * COPY */
static bool logical = false;
static int	segment_size = 0;	/* of the stream's WAL; 0 means this cluster's */
static WsEncoder *encoder = NULL;	/* kept for all streams of a connection */
static bool encoding = false;	/* the client asked for compression: use the
								 * encoder */
static bool flush_is_due = false;	/* the next flush does not directly follow
									 * a row */
static int64 last_row_us;		/* time of the last row */
static uint32 compression_generation;	/* setting that the encoder has */
static uint32 network_generation;	/* settings that the socket has */

static WsPeer *peer = NULL;
static TimestampTz streaming_since; /* start of the first stream of its kind */
static TimestampTz claimed_at;	/* time of the last attempt to get an entry */
static WsPeerMode shown_mode;	/* mode last shown in the entry and the log */
static WsNoCodecReason shown_reason;
static WsCodecSpec shown;
static WsPacing shown_pacing;
static WsCounterFeed feed;
static WsStreamCounts passed_counts;	/* counts of streams that are not
										 * encoded */

static const char *
stream_kind(void)
{
	return logical ? "logical changes" : "WAL";
}

/*
 * Write one line to the log: the client's codec, or the reason for none.
 *
 * ereport() ends with a check for interrupts, which must wait until we have
 * left the method.
 */
static void
log_choice(WsCodecSpec spec, WsPeerMode mode, WsNoCodecReason reason)
{
	HOLD_INTERRUPTS();
	if (spec.id != WS_CODEC_NONE)
		ereport(LOG_SERVER_ONLY,
				(errmsg("streaming %s to \"%s\" compressed with %s, level %d",
						stream_kind(), application_name,
						ws_codec_name(spec.id), spec.level),
				 errhidestmt(true)));
	else
		ereport(LOG_SERVER_ONLY,
				(errmsg("streaming %s to \"%s\" uncompressed: %s",
						stream_kind(), application_name,
						ws_peer_mode_reason(mode, reason)),
				 errhidestmt(true)));
	RESUME_INTERRUPTS();
}

static void
show_mode(WsCodecSpec spec, WsPeerMode mode, WsNoCodecReason reason)
{
	shown_mode = mode;
	shown_reason = reason;
	shown = spec;
	ws_peer_set_mode(peer, mode, reason, spec);
	log_choice(spec, mode, reason);
}

static void
show_choice(WsCodecSpec spec, WsNoCodecReason reason)
{
	show_mode(spec, spec.id != WS_CODEC_NONE ? WS_MODE_CODED : WS_MODE_NO_CODEC,
			  reason);
}

/*
 * Publish the encoder's counts, and a change of codec that it has made at a
 * segment boundary.
 */
static void
publish(instr_time coding_time)
{
	WsCodecSpec spec = ws_encoder_spec(encoder);

	ws_counters_feed(&feed, ws_encoder_counts(encoder),
					 ws_instr_time_ns(coding_time));

	if (spec.id != shown.id || spec.level != shown.level)
		show_choice(spec, ws_encoder_reason(encoder));
}

/*
 * Send everything that the encoder has ready.  The caller decides whether that
 * may block, as PostgreSQL's callers do.
 */
static int
send_ready(bool noblock)
{
	instr_time	coding_time;
	const uint8 *out;
	size_t		out_len;
	int			result = 0;

	INSTR_TIME_SET_ZERO(coding_time);

	for (;;)
	{
		instr_time	start,
					end;
		bool		more;

		INSTR_TIME_SET_CURRENT(start);
		more = ws_encoder_next(encoder, &out, &out_len);
		INSTR_TIME_SET_CURRENT(end);
		INSTR_TIME_ACCUM_DIFF(coding_time, end, start);
		if (!more)
			break;

		passing_on = true;
		if (noblock)
			prev_methods->putmessage_noblock(PqMsg_CopyData,
											 (const char *) out, out_len);
		else if (prev_methods->putmessage(PqMsg_CopyData,
										  (const char *) out, out_len) != 0)
			result = EOF;
		passing_on = false;
		ws_throttle_take(out_len + WS_COPYDATA_HEADER);
	}

	publish(coding_time);
	return result;
}

/* Send the rows that are still in a batch before anything else. */
static int
send_batch(bool noblock)
{
	if (!encoding || !ws_encoder_pending(encoder, NULL))
		return 0;
	ws_encoder_flush(encoder);
	return send_ready(noblock);
}

/*
 * Returns the time at which PostgreSQL made this message, which serves as the
 * current time.  Reading the clock for each row would cost more than the row.
 */
static int64
message_time(const char *s, size_t len)
{
	WsStockHeader header;

	if (len < WS_STOCK_HEADER || s[0] != WS_STOCK_TYPE)
		return last_row_us;
	ws_stock_header_decode((const uint8 *) s, &header);
	return header.send_time;
}

/*
 * Put a CopyData message of a stream through the encoder.
 */
static int
send_encoded(const char *s, size_t len, bool noblock)
{
	/*
	 * A reload may have changed the codec; the encoder switches at a segment
	 * boundary.
	 */
	if (compression_generation != ws_guc_compression_generation())
	{
		WsCodecSpec spec;
		WsNoCodecReason reason;

		compression_generation = ws_guc_compression_generation();
		reason = ws_accept_choose(ws_guc_accept(), ws_guc_compression(),
								  logical, &spec);
		ws_encoder_change(encoder, spec, reason);
	}

	last_row_us = message_time(s, len);
	flush_is_due = false;
	if (!ws_encoder_put(encoder, (const uint8 *) s, len, last_row_us))
		return 0;
	return send_ready(noblock);
}

/* Count a CopyData message of a stream that is not encoded. */
static void
count_passed(const char *s, size_t len)
{
	ws_throttle_take(WS_COPYDATA_HEADER + len);
	if (len == 0 || s[0] != WS_STOCK_TYPE)
		return;
	passed_counts.raw_bytes += WS_COPYDATA_HEADER + len;
	passed_counts.wire_bytes += WS_COPYDATA_HEADER + len;
	passed_counts.messages++;
	passed_counts.bypassed++;
	ws_counters_feed(&feed, &passed_counts, 0);
}

static void
claim_entry(void)
{
	claimed_at = GetCurrentTimestamp();
	peer = ws_peer_claim(logical ? WS_ROLE_LOGICAL_SENDER : WS_ROLE_PHYSICAL_SENDER,
						 application_name, streaming_since);
	feed.shared = ws_peer_counters(peer);
}

/*
 * Claim an entry in the array of peers and show the stream there.  All streams
 * of a connection share the entry, unless one is physical and one logical.
 */
static void
claim_peer(void)
{
	static bool claimed = false;
	static bool claimed_logical = false;

	if (claimed && claimed_logical == logical)
		return;
	ws_peer_release(peer);
	ws_encoder_free(encoder);
	encoder = NULL;
	claimed = true;
	claimed_logical = logical;
	streaming_since = GetCurrentTimestamp();

	claim_entry();
	if (peer == NULL)
	{
		HOLD_INTERRUPTS();
		ereport(LOG_SERVER_ONLY,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("walstream has no free entry for this stream, which is not counted until there is one"),
				 errhidestmt(true)));
		RESUME_INTERRUPTS();
	}
}

static void
show_network(void)
{
	int64		limit;

	shown_pacing = ws_throttle_pacing(&limit);
	ws_peer_set_network(peer, ws_sockopt_congestion_control(), limit,
						shown_pacing);
}

/*
 * Send as the settings say, when a stream begins and after a reload.
 */
static void
configure_socket(void)
{
	bool		sync_too;
	int64		limit;

	network_generation = ws_guc_network_generation();
	ws_sockopt_set_congestion_control(ws_guc_tcp_congestion_control());
	limit = ws_guc_rate_limit(application_name, &sync_too);
	ws_throttle_set(limit, sync_too);
	show_network();
}

/*
 * What has to be looked at now and then while a stream runs: a reload, and
 * whether its rate is still to be limited.
 */
static void
check_socket(void)
{
	int64		limit;

	if (network_generation != ws_guc_network_generation())
		configure_socket();
	ws_throttle_check();
	if (ws_throttle_pacing(&limit) != shown_pacing)
		show_network();
}

/* The stream ends; what is still to be sent, such as an error, is in a hurry. */
static void
end_stream(void)
{
	streaming = encoding = false;
	ws_throttle_end();
	show_network();
}

/* Try to claim an entry, with each message of a stream that has none. */
static void
claim_peer_again(void)
{
	if (!ws_peer_may_claim_again(&claimed_at))
		return;
	claim_entry();
	ws_peer_set_mode(peer, shown_mode, shown_reason, shown);
	show_network();
}

/*
 * Begin streaming; CopyBothResponse has been sent or is about to be.  Choose
 * the codec, and return whether to send a hello.
 */
static bool
begin_stream(void)
{
	const WsAccept *accept = ws_guc_accept();
	WsCodecSpec spec;
	WsNoCodecReason reason;

	logical = MyReplicationSlot != NULL && SlotIsLogical(MyReplicationSlot);
	claim_peer();
	configure_socket();
	streaming = true;
	encoding = false;
	feed.published = passed_counts;

	if (accept->version == 0)
	{
		spec.id = WS_CODEC_NONE;
		spec.level = 0;
		show_mode(spec, WS_MODE_NOT_ASKED, WS_REASON_NONE);
		return false;
	}

	if (encoder == NULL)
	{
		WsCodecParams params = {0};

		params.logical = logical;
		params.wal_block_size = XLOG_BLCKSZ;
		params.wal_segment_size =
			segment_size != 0 ? segment_size : wal_segment_size;
		params.wal_page_magic = XLOG_PAGE_MAGIC;
		encoder = ws_encoder_new(&params);
	}

	/*
	 * Without memory even for a hello, the client takes us for stock
	 * PostgreSQL.
	 */
	if (encoder == NULL)
	{
		spec.id = WS_CODEC_NONE;
		spec.level = 0;
		show_choice(spec, WS_REASON_MEMORY);
		return false;
	}

	compression_generation = ws_guc_compression_generation();
	reason = ws_accept_choose(accept, ws_guc_compression(), logical, &spec);
	if (ws_encoder_begin(encoder, spec, reason) != WS_OK)
		reason = WS_REASON_MEMORY;
	encoding = true;
	feed.published = *ws_encoder_counts(encoder);
	show_choice(ws_encoder_spec(encoder), reason);
	return true;
}

/* Returns true if this message ends the COPY. */
static bool
ends_stream(char msgtype)
{
	return msgtype == PqMsg_CopyDone || msgtype == PqMsg_CommandComplete ||
		msgtype == PqMsg_ErrorResponse || msgtype == PqMsg_ReadyForQuery;
}

static void
filter_comm_reset(void)
{
	passing_on = false;
	end_stream();
	prev_methods->comm_reset();
}

static int
filter_flush(void)
{
	if (send_batch(false) != 0)
		return EOF;
	return prev_methods->flush();
}

/*
 * Send what is ready, as far as the socket takes it.
 *
 * A walsender flushes after each row.  The flush that directly follows a row
 * leaves the batch alone, so that rows can be collected; the walsender always
 * flushes once more before it sleeps.  A batch is also kept while earlier
 * output is stuck, behind which it could only wait, or while the rate limit
 * holds it back; the walsender sees that output is pending and will flush
 * again.
 */
static int
flush_some(void)
{
	int64		oldest_us;

	if (encoding && ws_encoder_pending(encoder, &oldest_us))
	{
		bool		due = flush_is_due || last_row_us - oldest_us >= WS_BATCH_AGE_US;

		flush_is_due = true;
		if (!due || ws_throttle_in_debt())
			return prev_methods->flush_if_writable();
		if (prev_methods->is_send_pending())
		{
			if (prev_methods->flush_if_writable() != 0)
				return EOF;
			if (prev_methods->is_send_pending())
				return 0;
		}
		send_batch(true);
	}
	return prev_methods->flush_if_writable();
}

static int
filter_flush_if_writable(void)
{
	int			result;

	if (streaming)
		check_socket();
	result = flush_some();
	if (streaming && result == 0)
		ws_throttle_wait();
	return result;
}

/* What the rate limit holds back is pending: no more is to be read. */
static bool
filter_is_send_pending(void)
{
	return prev_methods->is_send_pending() ||
		(streaming && ws_throttle_in_debt());
}

static int
filter_putmessage(char msgtype, const char *s, size_t len)
{
	if (passing_on)
		return prev_methods->putmessage(msgtype, s, len);

	if (msgtype == PqMsg_CopyBothResponse)
	{
		bool		hello = begin_stream();

		if (prev_methods->putmessage(msgtype, s, len) != 0)
			return EOF;
		return hello ? send_ready(false) : 0;
	}

	if (!streaming)
		return prev_methods->putmessage(msgtype, s, len);

	if (msgtype == PqMsg_CopyData)
	{
		if (peer == NULL)
			claim_peer_again();
		if (encoding)
			return send_encoded(s, len, false);
		count_passed(s, len);
		return prev_methods->putmessage(msgtype, s, len);
	}

	if (send_batch(false) != 0)
		return EOF;
	if (ends_stream(msgtype))
		end_stream();
	return prev_methods->putmessage(msgtype, s, len);
}

static void
filter_putmessage_noblock(char msgtype, const char *s, size_t len)
{
	bool		was_passing_on;
	bool		hello = false;

	if (msgtype == PqMsg_CopyBothResponse && !passing_on)
		hello = begin_stream();
	else if (streaming && !passing_on)
	{
		if (msgtype == PqMsg_CopyData && peer == NULL)
			claim_peer_again();
		if (msgtype == PqMsg_CopyData && encoding)
		{
			send_encoded(s, len, true);
			return;
		}
		if (msgtype == PqMsg_CopyData)
			count_passed(s, len);
		else
		{
			send_batch(true);
			if (ends_stream(msgtype))
				end_stream();
		}
	}

	was_passing_on = passing_on;
	passing_on = true;
	prev_methods->putmessage_noblock(msgtype, s, len);
	passing_on = was_passing_on;

	if (hello)
		send_ready(true);
}

static const PQcommMethods filter_methods = {
	.comm_reset = filter_comm_reset,
	.flush = filter_flush,
	.flush_if_writable = filter_flush_if_writable,
	.is_send_pending = filter_is_send_pending,
	.putmessage = filter_putmessage,
	.putmessage_noblock = filter_putmessage_noblock
};

/*
 * Called for every connection attempt, including those that fail.  Every
 * walsender gets the filter, since streams whose client does not ask for
 * compression are counted too.
 */
static void
client_authentication(Port *port, int status)
{
	if (prev_client_authentication)
		prev_client_authentication(port, status);

	if (status == STATUS_OK && am_walsender && prev_methods == NULL)
	{
		prev_methods = PqCommMethods;
		PqCommMethods = &filter_methods;

		/* for base backups, too */
		ws_sockopt_set_congestion_control(ws_guc_tcp_congestion_control());
	}
}

void
ws_sender_init(void)
{
	prev_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = client_authentication;
}

void
ws_sender_set_segment_size(int size)
{
	segment_size = size;
}
