/*-------------------------------------------------------------------------
 *
 * receiver.c
 *	  Asks for compression when a receiver connects, and decodes its stream.
 *
 * walreceivers and logical apply workers reach their upstream through the
 * function table WalReceiverFunctions (connect, receive, send, disconnect and
 * others), which libpqwalreceiver fills in.  We replace it by a copy with five
 * functions of our own, each of which calls the one it replaced; the
 * connection itself remains libpqwalreceiver's.
 *
 * We find our state of a connection by the address of its WalReceiverConn.
 * Only connections of receivers have such a state: those of walreceivers,
 * apply workers, and a process that has called ws_receiver_enable().  For
 * other users of the table, such as a backend in CREATE SUBSCRIPTION, our
 * functions do nothing but call the ones they replaced.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "conninfo.h"
#include "fmgr.h"
#include "guc.h"
#include "lib/ilist.h"
#include "overlap.h"
#include "peer.h"
#include "peertext.h"
#include "pure/wire/intake.h"
#include "receiver.h"
#include "redirect.h"
#include "replication/logicalworker.h"
#include "replication/walreceiver.h"
#include "storage/ipc.h"
#include "upstream.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * A receiver's connection.  It lives in a memory context of its own, whose
 * reset callback frees the intake.
 */
typedef struct Receiver
{
	dlist_node	node;
	MemoryContext context;
	WalReceiverConn *conn;
	char		name[NAMEDATALEN];
	bool		logical;
	bool		redirected;		/* connected elsewhere than primary_conninfo
								 * says */
	WsUpstreamKey stream;		/* for upstream.c */

	/*
	 * WS_MODE_UNDECIDED if compression was asked for, otherwise the reason
	 * why not
	 */
	WsPeerMode	mode;
	WsAccept	asked;
	WsIntake   *intake;			/* NULL if compression was not asked for, or
								 * before the first stream */

	/*
	 * True from startstreaming to endstreaming.  Outside of that, rows of a
	 * COPY pass through the same receive function, and may begin with any
	 * byte.
	 */
	bool		streaming;
	bool		handed_data;	/* the last message had WAL or changes */

	WsPeer	   *peer;			/* NULL while no entry is free */
	TimestampTz streaming_since;
	TimestampTz claimed_at;		/* time of the last attempt to get an entry */
	WsPeerMode	shown_mode;		/* mode last shown in the entry and the log */
	WsNoCodecReason shown_reason;
	WsCodecSpec shown;
	WsCounterFeed feed;
	WsStreamCounts passed_counts;	/* counts without an intake */

	WsUpstream *upstream;		/* for noticing crashes; NULL without an
								 * intake */
	bool		busy;			/* last value told to upstream */
} Receiver;

static WalReceiverFunctionsType *stock = NULL;
static WalReceiverFunctionsType decorated;
static bool enabled = false;	/* ws_receiver_enable() was called */
static int	upstream_segment_size = 0;	/* 0: as this server's */
static dlist_head receivers = DLIST_STATIC_INIT(receivers);

static Receiver *
find_receiver(WalReceiverConn *conn)
{
	dlist_iter	iter;

	dlist_foreach(iter, &receivers)
	{
		Receiver   *receiver = dlist_container(Receiver, node, iter.cur);

		if (receiver->conn == conn)
			return receiver;
	}
	return NULL;
}

/*
 * Note that this connection ends in order, or with an error that is reported.
 */
static void
note_end(Receiver *receiver)
{
	uint64		bytes = ws_intake_good_bytes(receiver->intake);

	if (bytes > 0)
		ws_upstream_note_success(receiver->stream, bytes);
	ws_intake_note_good(receiver->intake);
	ws_upstream_end(receiver->upstream);
	receiver->upstream = NULL;
}

/* At process exit, since a receiver may end without disconnecting. */
static void
note_end_at_exit(int code, Datum arg)
{
	dlist_iter	iter;

	dlist_foreach(iter, &receivers)
		note_end(dlist_container(Receiver, node, iter.cur));
}

static void
free_intake(void *arg)
{
	ws_intake_free(((Receiver *) arg)->intake);
}

/*
 * Decide whether this connection asks for compression.  Returns
 * WS_MODE_UNDECIDED if it does, otherwise the reason why not.
 */
static WsPeerMode
may_ask(bool logical, WsUpstreamKey way, WsUpstreamKey stream)
{
	if (ws_guc_compression()->count == 0)
		return WS_MODE_OFF;
	if (logical && !ws_logical_options_are_kept())
		return WS_MODE_OPTIONS_LOST;
	if (ws_upstream_suspended(stream))
		return WS_MODE_SUSPENDED;
	if (ws_upstream_refuses(way))
		return WS_MODE_OPTIONS_REFUSED;
	return WS_MODE_UNDECIDED;
}

/* Make the intake that decodes the stream. */
static void
make_intake(Receiver *receiver)
{
	WsCodecParams params = {0};
	MemoryContextCallback *callback;

	params.logical = receiver->logical;
	params.wal_block_size = XLOG_BLCKSZ;
	params.wal_segment_size = upstream_segment_size != 0 ?
		upstream_segment_size : wal_segment_size;
	params.wal_page_magic = XLOG_PAGE_MAGIC;
	receiver->intake = ws_intake_new(&params, &receiver->asked);
	if (receiver->intake == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed while preparing to decode a replication stream.")));

	callback = MemoryContextAlloc(receiver->context, sizeof(MemoryContextCallback));
	callback->func = free_intake;
	callback->arg = receiver;
	MemoryContextRegisterResetCallback(receiver->context, callback);
	receiver->upstream = ws_upstream_begin(receiver->stream);
}

/* Make our state of a connection. */
static void
register_receiver(WalReceiverConn *conn, bool logical, const char *name,
				  WsUpstreamKey stream, WsPeerMode mode, const char *accept)
{
	static bool exit_registered = false;
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "walstream receiver",
												  ALLOCSET_SMALL_SIZES);
	Receiver   *receiver = MemoryContextAllocZero(context, sizeof(Receiver));

	receiver->context = context;
	receiver->conn = conn;
	ws_peertext_copy_name(receiver->name, name);
	receiver->logical = logical;
	receiver->stream = stream;
	receiver->mode = mode;

	if (mode == WS_MODE_UNDECIDED)
		receiver->asked = ws_accept_parse(accept);

	dlist_push_head(&receivers, &receiver->node);
	if (!exit_registered)
	{
		before_shmem_exit(note_end_at_exit, 0);
		exit_registered = true;
	}
}

/*
 * Returns true if a server has answered at all. libpq shows a server's report
 * as severity, colon and two spaces, in any language; its own texts do not
 * have that.
 */
static bool
server_answered(const char *err)
{
	return err != NULL && strstr(err, ":  ") != NULL;
}

/*
 * Returns true if the answer seems to be about what we put into the options.
 */
static bool
names_option(const char *err)
{
	return strstr(err, "option") != NULL || strstr(err, "parameter") != NULL ||
		strstr(err, "walstream") != NULL;
}

/*
 * Connect with our option.  If a server, or a pooler on the way, answers with
 * an error that may be due to the option, try without it.  If that works, and
 * another attempt with the option gives the same error, then the option is
 * refused, and the stream goes on without it.
 *
 * Most errors have nothing to do with our option, and an attempt to log in can
 * count against a limit; so an error that does not seem to be about the option
 * leads to this only if it persists.
 */
static WalReceiverConn *
connect_asking(const char *with_accept, WsUpstreamKey way,
			   WsPeerMode *mode, WS_CONNECT_PARAMS)
{
	WalReceiverConn *conn;
	char	   *refusal;

	conn = (stock->walrcv_connect) (WS_CONNECT_ARGS(with_accept));
	if (conn != NULL)
	{
		ws_upstream_trust(way);
		return conn;
	}
	refusal = *err;
	if (!server_answered(refusal) ||
		!(names_option(refusal) || ws_upstream_doubt(way)))
		return NULL;

	conn = (stock->walrcv_connect) (WS_CONNECT_ARGS(conninfo));
	if (conn == NULL)
		return NULL;

	/* two connections at once may be more than the server allows */
	(stock->walrcv_disconnect) (conn);
	conn = (stock->walrcv_connect) (WS_CONNECT_ARGS(with_accept));
	if (conn != NULL || strcmp(*err, refusal) != 0)
		return conn;

	conn = (stock->walrcv_connect) (WS_CONNECT_ARGS(conninfo));
	if (conn == NULL)
		return NULL;

	*mode = WS_MODE_OPTIONS_REFUSED;
	if (ws_upstream_note_refusal(way))
		ereport(WARNING,
				(errmsg("upstream refuses a connection that asks for compression, streaming uncompressed"),
				 errdetail("With walstream's option: %s", ws_peertext_for_log(refusal)),
				 errhint("Connect to the server directly, or let the connection pooler pass the startup parameter \"options\" on.  "
						 "It is asked again at the first connection after a reload of the configuration.")));
	return conn;
}

/*
 * Connect, asking for compression unless that is known to be useless, and make
 * our state of the connection.
 */
static WalReceiverConn *
connect_stream(WS_CONNECT_PARAMS)
{
	WsUpstreamKey way;
	WsUpstreamKey stream;
	WsPeerMode	mode;
	char		accept[WS_ACCEPT_MAX_SIZE] = "";
	char	   *with_accept = NULL;
	WalReceiverConn *conn;

	way = ws_upstream_key(conninfo, NULL);
	stream = ws_upstream_key(conninfo, appname);
	mode = may_ask(logical, way, stream);
	if (mode == WS_MODE_UNDECIDED)
	{
		ws_accept_format(ws_guc_compression(), accept);
		with_accept = ws_conninfo_add_accept(conninfo, logical, accept);
	}

	/* libpq itself reports what it cannot parse */
	if (with_accept != NULL)
		conn = connect_asking(with_accept, way, &mode,
							  WS_CONNECT_ARGS(conninfo));
	else
		conn = (stock->walrcv_connect) (WS_CONNECT_ARGS(conninfo));

	if (with_accept != NULL)
		pfree(with_accept);
	if (conn != NULL)
		register_receiver(conn, logical,
						  ws_conninfo_application_name(conninfo, appname),
						  stream, mode, accept);
	return conn;
}

/*
 * Connect elsewhere, as a session wants (redirect.h).  WAL that has come from
 * there is written and replayed, so check first that it continues our WAL.
 */
static WalReceiverConn *
connect_redirected(WS_CONNECT_PARAMS)
{
	WalReceiverConn *conn = (stock->walrcv_connect) (WS_CONNECT_ARGS(conninfo));

	if (conn == NULL)
	{
		ws_redirect_note_failure(*err, false);
		return NULL;
	}
	ws_overlap_check(stock, conn);
	(stock->walrcv_disconnect) (conn);
	conn = connect_stream(WS_CONNECT_ARGS(conninfo));
	if (conn != NULL)
		find_receiver(conn)->redirected = true;
	else
		ws_redirect_note_failure(*err, false);
	return conn;
}

static WalReceiverConn *
receiver_connect(WS_CONNECT_PARAMS)
{
	char	   *elsewhere = NULL;
	WalReceiverConn *conn;

	if (!WS_CONNECT_REPLICATES ||
		!(AmWalReceiverProcess() || IsLogicalWorker() || enabled))
		return (stock->walrcv_connect) (WS_CONNECT_ARGS(conninfo));

	if (AmWalReceiverProcess())
		elsewhere = ws_redirect_take();
	if (elsewhere == NULL)
		return connect_stream(WS_CONNECT_ARGS(conninfo));

	conn = connect_redirected(WS_CONNECT_ARGS(elsewhere));
	pfree(elsewhere);
	return conn;
}

static void
show_mode(Receiver *receiver, WsPeerMode mode, WsNoCodecReason reason,
		  WsCodecSpec spec)
{
	receiver->shown_mode = mode;
	receiver->shown_reason = reason;
	receiver->shown = spec;
	ws_peer_set_mode(receiver->peer, mode, reason, spec);
}

/* Write one line to the log. */
static void
log_mode(Receiver *receiver, WsPeerMode mode, WsNoCodecReason reason,
		 WsCodecSpec spec)
{
	const char *kind = receiver->logical ? "logical changes" : "WAL";

	if (mode == WS_MODE_CODED)
		ereport(LOG,
				(errmsg("receiving %s for \"%s\" compressed with %s, level %d",
						kind, receiver->name,
						ws_codec_name(spec.id), spec.level)));
	else
		ereport(mode == WS_MODE_SUSPENDED ? WARNING : LOG,
				(errmsg("receiving %s for \"%s\" uncompressed: %s",
						kind, receiver->name,
						ws_peer_mode_reason(mode, reason))));
}

/* Show and log what a message has revealed about the stream. */
static void
announce(Receiver *receiver, const WsIntakeNews *news)
{
	WsPeerMode	mode = news->stock ? WS_MODE_STOCK_PEER :
		news->spec.id != WS_CODEC_NONE ? WS_MODE_CODED : WS_MODE_NO_CODEC;

	if (news->show)
		show_mode(receiver, mode, news->reason, news->spec);
	if (news->log)
		log_mode(receiver, mode, news->reason, news->spec);
}

static WsPeerRole
receiver_role(Receiver *receiver)
{
	if (receiver->logical)
		return WS_ROLE_LOGICAL_RECEIVER;
	return enabled ? WS_ROLE_RELAY_RECEIVER : WS_ROLE_PHYSICAL_RECEIVER;
}

static void
claim_entry(Receiver *receiver)
{
	receiver->claimed_at = GetCurrentTimestamp();
	receiver->peer = ws_peer_claim(receiver_role(receiver), receiver->name,
								   receiver->streaming_since);
	receiver->feed.shared = ws_peer_counters(receiver->peer);
}

/* Try to claim an entry, for a stream that has none. */
static void
claim_entry_again(Receiver *receiver)
{
	if (!ws_peer_may_claim_again(&receiver->claimed_at))
		return;
	claim_entry(receiver);
	ws_peer_set_mode(receiver->peer, receiver->shown_mode,
					 receiver->shown_reason, receiver->shown);
}

static void
receiver_begin_stream(Receiver *receiver)
{
	WsCodecSpec none = {WS_CODEC_NONE, 0};

	receiver->streaming = true;
	if (receiver->peer == NULL)
	{
		receiver->streaming_since = GetCurrentTimestamp();
		claim_entry(receiver);
		if (receiver->peer == NULL)
			ereport(WARNING,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("walstream has no free entry for this stream, which is not counted until there is one")));
	}

	if (receiver->mode == WS_MODE_UNDECIDED)
	{
		if (receiver->intake == NULL)
			make_intake(receiver);
		ws_intake_begin(receiver->intake);
	}
	else
		log_mode(receiver, receiver->mode, WS_REASON_NONE, none);
	show_mode(receiver, receiver->mode, WS_REASON_NONE, none);
}

static bool
receiver_startstreaming(WalReceiverConn *conn, const WalRcvStreamOptions *options)
{
	Receiver   *receiver = find_receiver(conn);
	bool		result;

	if (receiver != NULL && receiver->redirected)
		result = ws_redirect_start(stock, conn, options);
	else
		result = (stock->walrcv_startstreaming) (conn, options);
	if (receiver != NULL && result)
		receiver_begin_stream(receiver);
	return result;
}

static void
receiver_endstreaming(WalReceiverConn *conn, TimeLineID *next_tli)
{
	Receiver   *receiver = find_receiver(conn);

	if (receiver != NULL)
		receiver->streaming = false;
	(stock->walrcv_endstreaming) (conn, next_tli);
}

/*
 * Note that a message has arrived.  The receiver is busy with it until it asks
 * for more and there is nothing; a crash in between may be due to the message.
 */
static void
set_busy(Receiver *receiver, bool busy)
{
	if (receiver->upstream != NULL && (busy || receiver->busy))
		ws_upstream_set_busy(receiver->upstream, busy,
							 ws_intake_good_bytes(receiver->intake));
	receiver->busy = busy;
}

/*
 * Report bytes that make no sense: count a failure of the upstream and give up
 * this connection.  The receiver is started again and asks anew.
 */
static void
report_failure(Receiver *receiver, WsStatus status)
{
	WsIntakeFailure failure;
	bool		suspended;

	ws_intake_describe(receiver->intake, status, &failure);
	suspended = ws_upstream_note_failure(receiver->stream,
										 ws_intake_good_bytes(receiver->intake));
	ws_intake_note_good(receiver->intake);
	set_busy(receiver, false);

	ereport(ERROR,
			(errcode(failure.memory ? ERRCODE_OUT_OF_MEMORY :
					 ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("could not decode replication stream at " WS_LSN,
					LSN_FORMAT_ARGS(failure.lsn)),
			 errdetail("Codec %s: %s.", failure.codec, failure.reason),
			 suspended ?
			 errhint("%s", ws_upstream_suspended_hint()) :
			 errhint("Nothing of the message was used; the receiver connects again and continues from the same position.")));
}

/* Count a message of a stream that is not decoded. */
static void
count_passed(Receiver *receiver, const char *buffer, int len)
{
	WsStreamCounts *counts = &receiver->passed_counts;

	if (buffer[0] != WS_STOCK_TYPE)
		return;
	counts->raw_bytes += WS_COPYDATA_HEADER + len;
	counts->wire_bytes += WS_COPYDATA_HEADER + len;
	counts->messages++;
	counts->bypassed++;
	ws_counters_feed(&receiver->feed, counts, 0);
	if (len >= WS_STOCK_HEADER)
	{
		WsStockHeader header;

		ws_stock_header_decode((const uint8 *) buffer, &header);
		ws_peer_set_position(receiver->peer,
							 receiver->logical ? header.start_lsn :
							 header.start_lsn + (len - WS_STOCK_HEADER));
	}
}

/* Hand a message over, and remember whether it has WAL or changes. */
static void
note_data(Receiver *receiver, const char *buffer, int len)
{
	receiver->handed_data = len > WS_STOCK_HEADER && buffer[0] == WS_STOCK_TYPE;
}

static int
receiver_receive(WalReceiverConn *conn, char **buffer, pgsocket *wait_fd)
{
	Receiver   *receiver = find_receiver(conn);
	bool		gave_nothing = false;
	int			len;

	if (receiver == NULL || !receiver->streaming)
		return (stock->walrcv_receive) (conn, buffer, wait_fd);

	/*
	 * Receivers call this function until it returns nothing, and check for
	 * interrupts only then.  So check here, or an upstream that keeps sending
	 * messages without WAL would keep the receiver from ending.  But do not
	 * check after WAL: a walreceiver that ends because of a promotion first
	 * takes all WAL that has arrived, which is then replayed.
	 */
	if (!receiver->handed_data)
		WS_CHECK_RECEIVER_INTERRUPTS();
	receiver->handed_data = false;
	if (receiver->peer == NULL)
		claim_entry_again(receiver);

	if (receiver->intake == NULL)
	{
		len = (stock->walrcv_receive) (conn, buffer, wait_fd);
		if (len > 0)
			count_passed(receiver, *buffer, len);
		note_data(receiver, *buffer, len);
		return len;
	}

	for (;;)
	{
		instr_time	start,
					coding_time;
		const uint8 *out;
		size_t		out_len;
		WsStatus	status;
		WsIntakeNews news;

		/* First hand over what is left of an earlier message. */
		if (ws_intake_next(receiver->intake, &out, &out_len))
		{
			ws_peer_set_position(receiver->peer,
								 ws_intake_position(receiver->intake));
			*buffer = unconstify(char *, (const char *) out);
			note_data(receiver, *buffer, (int) out_len);
			return (int) out_len;
		}
		if (gave_nothing)
			WS_CHECK_RECEIVER_INTERRUPTS();

		len = (stock->walrcv_receive) (conn, buffer, wait_fd);
		set_busy(receiver, len > 0);
		if (len <= 0)
			return len;

		INSTR_TIME_SET_CURRENT(start);
		status = ws_intake_put(receiver->intake, (const uint8 *) *buffer, len,
							   ws_instr_time_ns(start), &news);
		INSTR_TIME_SET_CURRENT(coding_time);
		INSTR_TIME_SUBTRACT(coding_time, start);

		if (status != WS_OK)
			report_failure(receiver, status);
		announce(receiver, &news);
		ws_counters_feed(&receiver->feed, ws_intake_counts(receiver->intake),
						 ws_instr_time_ns(coding_time));
		gave_nothing = true;
	}
}

static void
receiver_disconnect(WalReceiverConn *conn)
{
	Receiver   *receiver = find_receiver(conn);

	if (receiver != NULL)
	{
		dlist_delete(&receiver->node);
		note_end(receiver);
		ws_peer_release(receiver->peer);
		MemoryContextDelete(receiver->context);
	}
	(stock->walrcv_disconnect) (conn);
}

void
ws_receiver_enable(void)
{
	enabled = true;
}

void
ws_receiver_set_segment_size(int segment_size)
{
	upstream_segment_size = segment_size;
}

void
ws_receiver_init(void)
{
	/*
	 * Load it now, not when the first receiver does: it refuses to be loaded
	 * once the table has been filled in.
	 */
	load_file("libpqwalreceiver", false);
	if (WalReceiverFunctions == NULL)
		elog(ERROR, "libpqwalreceiver did not initialize correctly");

	stock = WalReceiverFunctions;
	decorated = *stock;
	decorated.walrcv_connect = receiver_connect;
	decorated.walrcv_startstreaming = receiver_startstreaming;
	decorated.walrcv_endstreaming = receiver_endstreaming;
	decorated.walrcv_receive = receiver_receive;
	decorated.walrcv_disconnect = receiver_disconnect;
	WalReceiverFunctions = &decorated;
}
