/*-------------------------------------------------------------------------
 *
 * upstream.c
 *	  The relay's receiver connects to its upstream and checks its identity.
 *
 * Everything goes through WalReceiverFunctions, so that the connection is a
 * decorated one (receiver.c).  Only commands that a relay's own walsender
 * answers are sent, so that the upstream may be a relay.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/ip.h"
#include "executor/tuptable.h"
#include "owner.h"
#include "peertext.h"
#include "receiver.h"
#include "relay/chain.h"
#include "relay/seal.h"
#include "relay/standby_names.h"
#include "relay/walreceiver/state.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/tuplestore.h"

#define MAX_COLUMNS	4

/* Most changes of the chain of relays before us while we ask for it. */
#define MAX_CHAIN_ANSWERS	20

bool
ws_rcv_connect(WsRcv *rcv, char **error)
{
	MemoryContext old;
	char	   *host;
	int			port;

	if (rcv->upstream.context == NULL)
		rcv->upstream.context = AllocSetContextCreate(TopMemoryContext,
													  "walstream relay connection",
													  ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(rcv->upstream.context);

	rcv->upstream.conn = ws_walrcv_connect_physical(rcv->settings.upstream,
													cluster_name[0] != '\0' ? cluster_name : WS_RELAY_DEFAULT_NAME,
													error);
	if (rcv->upstream.conn != NULL)
	{
		walrcv_get_senderinfo(rcv->upstream.conn, &host, &port);
		ws_relay_set_upstream(host, port, walrcv_server_version(rcv->upstream.conn));
		ws_relay_count_reconnect();
	}
	MemoryContextSwitchTo(old);
	return rcv->upstream.conn != NULL;
}

/*
 * Get the address at the other end of a connection; "" for a socket in the file
 * system, or if it is not known.
 */
static void
get_peer_address(pgsocket fd, char *address, int size)
{
	struct sockaddr_storage peer;
	socklen_t	len = sizeof(peer);

	if (getpeername(fd, (struct sockaddr *) &peer, &len) != 0 ||
		peer.ss_family == AF_UNIX ||
		pg_getnameinfo_all(&peer, len, address, size, NULL, 0, NI_NUMERICHOST) != 0)
		address[0] = '\0';
}

void
ws_rcv_let_ask(WsRcv *rcv, pgsocket fd)
{
	WsNamesPrimary primary = {.tli = rcv->upstream.tli};
	char	   *host;

	if (rcv->upstream.may_be_asked || rcv->upstream.standby_names == NULL)
		return;
	walrcv_get_senderinfo(rcv->upstream.conn, &host, &primary.port);
	strlcpy(primary.host, host, sizeof(primary.host));
	get_peer_address(fd, primary.address, sizeof(primary.address));
	ws_standby_names_begin_asking(&primary);
	rcv->upstream.may_be_asked = true;
}

void
ws_rcv_hang_up(WsRcv *rcv)
{
	if (rcv->upstream.may_be_asked)
		ws_standby_names_end_asking();
	rcv->upstream.may_be_asked = false;
	if (rcv->upstream.conn != NULL)
		walrcv_disconnect(rcv->upstream.conn);
	rcv->upstream.conn = NULL;
	(void) ws_chain_publish(NULL);
}

void
ws_rcv_disconnect(WsRcv *rcv)
{
	ws_rcv_hang_up(rcv);
	ws_seal_end_stream();
	ws_relay_set_upstream(NULL, 0, 0);
	MemoryContextReset(rcv->upstream.context);
}

/*
 * Send a command and return the columns of its only row as palloc'd text, or
 * NULL for null.
 */
static void
ask(WsRcv *rcv, const char *command, int columns, char **values)
{
	const Oid	types[MAX_COLUMNS] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	WalRcvExecResult *result;
	MemoryContext caller_context = CurrentMemoryContext;

	Assert(columns <= MAX_COLUMNS);

	/* reading the result looks up types */
	StartTransactionCommand();
	result = walrcv_exec(rcv->upstream.conn, command, columns, types);
	if (result->status != WALRCV_OK_TUPLES && result->status != WALRCV_OK_COMMAND)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(result->sqlstate != 0 ? result->sqlstate : ERRCODE_CONNECTION_FAILURE),
				 errmsg("upstream refused \"%s\": %s", command,
						result->err != NULL ? ws_peertext_for_log(result->err) :
						"unknown error")));

	MemoryContextSwitchTo(rcv->upstream.context);
	if (columns > 0)
	{
		TupleTableSlot *slot = MakeSingleTupleTableSlot(result->tupledesc,
														&TTSOpsMinimalTuple);

		if (result->status != WALRCV_OK_TUPLES ||
			!tuplestore_gettupleslot(result->tuplestore, true, false, slot))
			ereport(ERROR,
					(ws_rcv_errupstream(),
					 errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("upstream gave no answer to \"%s\"", command)));
		for (int i = 0; i < columns; i++)
		{
			bool		isnull;
			Datum		value = slot_getattr(slot, i + 1, &isnull);

			values[i] = isnull ? NULL : TextDatumGetCString(value);
		}
		ExecDropSingleTupleTableSlot(slot);
	}
	walrcv_clear_result(result);

	/* this leaves us in another context */
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller_context);
}

static char *
ask_setting(WsRcv *rcv, const char *name)
{
	char	   *command = psprintf("SHOW %s", name);
	char	   *value;

	ask(rcv, command, 1, &value);
	return value != NULL ? value : pstrdup("");
}

/* value may be NULL. */
static void
refuse_value(const char *value, const char *expected)
{
	ereport(ERROR,
			(ws_rcv_errupstream(),
			 errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("upstream gave \"%s\" where %s is expected",
					ws_peertext_value(value), expected)));
}

static XLogRecPtr
parse_lsn(const char *value)
{
	uint32		high = 0,
				low = 0;
	int			len = 0;

	if (value == NULL ||
		sscanf(value, "%8X/%8X%n", &high, &low, &len) != 2 || value[len] != '\0')
		refuse_value(value, "a position");
	return ((uint64) high) << 32 | low;
}

/* All numbers that we ask for are greater than 0. */
static uint64
parse_number(const char *value, uint64 max, const char *expected)
{
	char	   *end;
	uint64		number;

	errno = 0;
	number = value != NULL ? strtou64(value, &end, 10) : 0;
	if (number == 0 || number > max || errno != 0 || *end != '\0' ||
		value[0] < '0' || value[0] > '9')
		refuse_value(value, expected);
	return number;
}

/* Ask the upstream for its timeline and position. */
static void
ask_position(WsRcv *rcv)
{
	char	   *values[4];

	ask(rcv, "IDENTIFY_SYSTEM", 4, values);
	rcv->upstream.identifier = parse_number(values[0], PG_UINT64_MAX,
											"a system identifier");
	rcv->upstream.tli = (TimeLineID) parse_number(values[1], PG_UINT32_MAX,
												  "a timeline");
	rcv->upstream.lsn = parse_lsn(values[2]);
}

void
ws_rcv_check_connection(WsRcv *rcv)
{
	char	   *values[4];

	ask(rcv, "IDENTIFY_SYSTEM", 4, values);
}

static void
check_identifier(WsRcv *rcv)
{
	uint64		ours = rcv->stored.store.identity.system_identifier;

	if (rcv->stored.is_open && rcv->upstream.identifier != ours)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("upstream is another cluster than the one whose WAL is stored"),
				 errdetail("The upstream's system identifier is " UINT64_FORMAT ", that of the relay's WAL in \"%s\" is " UINT64_FORMAT ".",
						   rcv->upstream.identifier, rcv->stored.store.path, ours),
				 errhint("Correct walstream.relay_upstream, or use another walstream.relay_directory.")));
}

void
ws_rcv_check_version(const WsRcv *rcv)
{
	int			version = walrcv_server_version(rcv->upstream.conn) / 10000;

	if (version != WS_MAJOR_VERSION)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("upstream is a PostgreSQL %d, this relay is a PostgreSQL %d",
						version, WS_MAJOR_VERSION),
				 errhint("Run the relay with the upstream's major version.")));
}

static void
check_settings(WsRcv *rcv)
{
	char	   *block_size = ask_setting(rcv, "wal_block_size");
	char	   *integer_datetimes = ask_setting(rcv, "integer_datetimes");
	char	   *segment_size = ask_setting(rcv, "wal_segment_size");

	if (atoi(block_size) != XLOG_BLCKSZ)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("upstream has a WAL block size of %s, this relay one of %d",
						ws_peertext_value(block_size), XLOG_BLCKSZ),
				 errhint("Run the relay with a server that was built with the upstream's WAL block size.")));
	if (strcmp(integer_datetimes, "on") != 0)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("upstream has integer_datetimes \"%s\", this relay \"on\"",
						ws_peertext_value(integer_datetimes))));

	if (!parse_int(segment_size, &rcv->upstream.segment_size, GUC_UNIT_BYTE, NULL) ||
		!IsValidWalSegSize(rcv->upstream.segment_size))
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream has an invalid WAL segment size: \"%s\"",
						ws_peertext_value(segment_size))));
	if (rcv->stored.is_open &&
		rcv->upstream.segment_size != rcv->stored.store.identity.segment_size)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("upstream has another WAL segment size than what is stored"),
				 errdetail("The upstream's is %d bytes, that of the relay's WAL %u.",
						   rcv->upstream.segment_size, rcv->stored.store.identity.segment_size),
				 errhint("After the upstream's segment size has been changed, use another walstream.relay_directory.")));
}

/* Get the slot's position.  Returns false if there is no slot. */
static bool
read_slot(WsRcv *rcv)
{
	char	   *command = psprintf("READ_REPLICATION_SLOT \"%s\"", rcv->settings.slot);
	char	   *values[3];

	ask(rcv, command, 3, values);
	rcv->upstream.slot_lsn = values[1] != NULL ? parse_lsn(values[1]) : InvalidXLogRecPtr;
	return values[0] != NULL;
}

/*
 * Report that a new slot was made.  If we have WAL already, somebody has
 * dropped our slot, or this is another upstream than before: WAL in between
 * might be missing, and the next time it will be.
 */
static void
report_new_slot(const WsRcv *rcv, const char *why)
{
	if (!rcv->stored.has_wal)
		ereport(LOG,
				(errmsg("created replication slot \"%s\" on the upstream%s",
						rcv->settings.slot, why)));
	else
		ereport(WARNING,
				(errmsg("replication slot \"%s\" on the upstream had to be made anew%s",
						rcv->settings.slot, why),
				 errdetail("The relay has WAL up to " WS_LSN " on timeline %u; the new slot keeps the upstream's from " WS_LSN " on.",
						   LSN_FORMAT_ARGS(rcv->stored.end.lsn), rcv->stored.end.tli,
						   LSN_FORMAT_ARGS(rcv->upstream.slot_lsn)),
				 errhint("Without its slot the upstream may remove WAL that the relay needs.  See to it that nothing drops the slot; after a change of the upstream this is expected.")));
}

/*
 * A slot without a position holds nothing: it was created without one, or it
 * was lost, and then PostgreSQL does not let anybody stream with it again.  A
 * slot whose WAL has been removed, or whose position is ahead of an upstream
 * that was put back, is no better if a range must begin with it.  A new slot
 * in its place holds the WAL that the upstream still has.
 */
static void
prepare_slot(WsRcv *rcv)
{
	const char *why = "";

	rcv->upstream.slot_lsn = InvalidXLogRecPtr;
	rcv->upstream.slot_is_new = false;
	if (rcv->settings.slot[0] == '\0')
		return;

	if (read_slot(rcv))
	{
		if (XLogRecPtrIsInvalid(rcv->upstream.slot_lsn))
			why = ": it held no WAL";
		else if (rcv->upstream.slot_lsn == rcv->decision.dead_slot_lsn)
			why = psprintf(": it was at " WS_LSN ", where the upstream has no WAL",
						   LSN_FORMAT_ARGS(rcv->upstream.slot_lsn));
		else
			return;
		ask(rcv, psprintf("DROP_REPLICATION_SLOT \"%s\"", rcv->settings.slot), 0, NULL);
	}
	rcv->decision.dead_slot_lsn = InvalidXLogRecPtr;

	ws_walrcv_create_physical_slot(rcv->upstream.conn, rcv->settings.slot, NULL);
	if (!read_slot(rcv))
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("replication slot \"%s\" on the upstream has disappeared",
						rcv->settings.slot)));
	rcv->upstream.slot_is_new = true;
	report_new_slot(rcv, why);
}

/*
 * Get the relays through which the upstream's WAL comes; none if it is not a
 * relay.
 */
static void
ask_chain(WsRcv *rcv, WsChain *chain)
{
	char	   *values[3];
	WsStatus	status;

	chain->count = 0;
	ask(rcv, "READ_REPLICATION_SLOT \"" WS_CHAIN_QUESTION "\"", 3, values);
	if (values[0] == NULL || strcmp(values[0], WS_CHAIN_ANSWER) != 0)
		return;
	status = values[1] != NULL ? ws_chain_parse(values[1], chain) : WS_E_MALFORMED;
	if (status == WS_E_TOO_LARGE)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("upstream receives through more than %d relays", WS_CHAIN_MAX)));
	if (status != WS_OK)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream, a relay, did not say through which relays it receives")));
}

/* The ring that has been logged already; "" if none. */
static char told_ring[WS_RELAY_TEXT];

/*
 * Handle an upstream whose WAL comes from us: disconnect, and ask again later.
 */
static WsRcvEnd
refuse_ring(int others)
{
	char	   *reason = others == 0 ?
		pstrdup("the upstream is this relay itself") :
		psprintf("the upstream receives from this relay, through %d other%s",
				 others, others == 1 ? "" : "s");

	(void) ws_chain_publish(NULL);
	ws_rcv_set_state(WS_RELAY_WAITING, reason);
	ws_relay_note_error(reason);

	/* once is enough for the log */
	if (strcmp(told_ring, reason) != 0)
	{
		ereport(LOG,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relay does not receive from its upstream: %s", reason),
				 errhint("Set \"walstream.relay_upstream\" to the primary, or to a relay or standby that receives from it.")));
		strlcpy(told_ring, reason, sizeof(told_ring));
	}
	return WS_RCV_RETRY;
}

WsRcvEnd
ws_rcv_check_chain(WsRcv *rcv)
{
	MemoryContext old = MemoryContextSwitchTo(rcv->upstream.context);
	WsChain		chain;
	WsChain		before;
	int			place;
	int			answers = 1;

	/*
	 * Others may connect to each other at this moment.  A relay that asks
	 * after all of them have published sees the ring.
	 */
	ask_chain(rcv, &chain);
	do
	{
		place = ws_chain_find(&chain, ws_chain_my_id());
		if (place < 0 && !ws_chain_publish(&chain))
			ereport(ERROR,
					(ws_rcv_errupstream(),
					 errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("upstream receives through %d relays, which is the most there can be",
							chain.count)));
		if (++answers > MAX_CHAIN_ANSWERS)
			ereport(ERROR,
					(ws_rcv_errupstream(),
					 errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("upstream says again and again that it receives through other relays")));
		before = chain;
		if (place < 0 && chain.count > 0)
			ask_chain(rcv, &chain);
	} while (place < 0 && ws_chain_has_more(&chain, &before));

	MemoryContextSwitchTo(old);
	if (place >= 0)
		return refuse_ring(place);
	told_ring[0] = '\0';
	return WS_RCV_NEXT;
}

/*
 * Get the name under which the upstream seals relays; "" if it has none, or
 * has no walstream.
 */
static const char *
ask_owner(WsRcv *rcv)
{
	static const Oid types[1] = {TEXTOID};
	MemoryContext caller_context = CurrentMemoryContext;
	WalRcvExecResult *result;
	const char *owner = "";

	StartTransactionCommand();
	result = walrcv_exec(rcv->upstream.conn, "SHOW " WS_OWNER_SETTING, 1, types);
	if (result->status == WALRCV_OK_TUPLES)
	{
		TupleTableSlot *slot = MakeSingleTupleTableSlot(result->tupledesc,
														&TTSOpsMinimalTuple);
		bool		isnull = true;
		Datum		value = 0;

		if (tuplestore_gettupleslot(result->tuplestore, true, false, slot))
			value = slot_getattr(slot, 1, &isnull);
		if (!isnull)
			owner = MemoryContextStrdup(caller_context, TextDatumGetCString(value));
		ExecDropSingleTupleTableSlot(slot);
	}
	else if (result->sqlstate != ERRCODE_UNDEFINED_OBJECT)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(result->sqlstate != 0 ? result->sqlstate : ERRCODE_CONNECTION_FAILURE),
				 errmsg("upstream does not say under which name it seals relays: %s",
						result->err != NULL ? ws_peertext_for_log(result->err) :
						"unknown error")));
	walrcv_clear_result(result);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller_context);
	return owner;
}

/*
 * Check that the upstream may begin a timeline after the one for which the
 * relay is sealed.  What it says counts for the seal that was there before it
 * was asked.
 */
static bool
is_admitted(WsRcv *rcv)
{
	WsSealFile	seal;

	if (!ws_seal_get(&seal) || seal.owner[0] == '\0')
		return true;
	return strcmp(ask_owner(rcv), seal.owner) == 0;
}

/* Ask whether it is a standby, and if not for its list of synchronous standbys. */
static void
ask_kind(WsRcv *rcv)
{
	rcv->upstream.is_standby = strcmp(ask_setting(rcv, "in_hot_standby"), "on") == 0;

	/* on a standby or a relay this setting has no effect */
	rcv->upstream.standby_names = rcv->upstream.is_standby ? NULL :
		ask_setting(rcv, "synchronous_standby_names");
}

void
ws_rcv_identify_again(WsRcv *rcv)
{
	MemoryContext old = MemoryContextSwitchTo(rcv->upstream.context);

	/* a standby may have been promoted, which does not end the connection */
	ask_kind(rcv);
	ask_position(rcv);
	MemoryContextSwitchTo(old);
}

WsRcvEnd
ws_rcv_check_upstream(WsRcv *rcv)
{
	MemoryContext old = MemoryContextSwitchTo(rcv->upstream.context);
	WsRcvEnd	end = WS_RCV_NEXT;

	rcv->upstream.seal_generation = ws_seal_generation();
	ask_position(rcv);
	check_identifier(rcv);
	check_settings(rcv);
	ask_kind(rcv);

	/* again: it must be behind all that was confirmed under another list */
	ask_position(rcv);
	ws_receiver_set_segment_size(rcv->upstream.segment_size);
	if (ws_seal_covers(rcv->upstream.tli))
		end = ws_rcv_be_sealed(rcv, true);
	else if (!is_admitted(rcv))
		end = ws_rcv_be_sealed(rcv, false);
	else
		prepare_slot(rcv);
	MemoryContextSwitchTo(old);
	return end;
}

/*
 * Since version 18 PostgreSQL invalidates slots for other reasons than missing
 * WAL, and these still have a position.  The cause is named in quotes,
 * whatever the language of the rest.
 */
static bool
says_invalidated(const WsRcv *rcv, const char *message)
{
	return strcmp(rcv->settings.slot, "idle_timeout") != 0 &&
		strstr(message, psprintf("\"%s\"", rcv->settings.slot)) != NULL &&
		strstr(message, "\"idle_timeout\"") != NULL;
}

WsRcvEnd
ws_rcv_start_streaming(WsRcv *rcv, const WalRcvStreamOptions *options)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool started = false;
	volatile bool invalidated = false;

	PG_TRY();
	{
		started = walrcv_startstreaming(rcv->upstream.conn, options);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (!says_invalidated(rcv, error->message))
			PG_RE_THROW();
		FlushErrorState();
		(void) ws_rcv_take_blame();
		invalidated = true;
	}
	PG_END_TRY();

	if (invalidated)
	{
		ask(rcv, psprintf("DROP_REPLICATION_SLOT \"%s\"", rcv->settings.slot), 0, NULL);
		ereport(LOG,
				(errmsg("dropped replication slot \"%s\" on the upstream, which had invalidated it because of idle_replication_slot_timeout",
						rcv->settings.slot)));
		return WS_RCV_CHANGED;
	}
	if (!started)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream has no WAL of timeline %u from " WS_LSN " on",
						options->proto.physical.startpointTLI,
						LSN_FORMAT_ARGS(options->startpoint))));
	return WS_RCV_NEXT;
}

WsRcvEnd
ws_rcv_end_streaming(WsRcv *rcv, const WsPlanStart *start, XLogRecPtr received_lsn)
{
	MemoryContext context = CurrentMemoryContext;
	volatile WsRcvEnd end = WS_RCV_RETRY;
	char	   *volatile why = NULL;

	PG_TRY();
	{
		TimeLineID	next_tli;

		walrcv_endstreaming(rcv->upstream.conn, &next_tli);
		if (next_tli != 0)
			end = WS_RCV_NEXT;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		why = CopyErrorData()->message;
		FlushErrorState();
		(void) ws_rcv_take_blame();
	}
	PG_END_TRY();

	if (end == WS_RCV_RETRY)
	{
		ereport(LOG,
				(errmsg("upstream has ended the stream of WAL at " WS_LSN,
						LSN_FORMAT_ARGS(received_lsn)),
				 why != NULL ? errdetail_internal("%s", ws_peertext_for_log(why)) : 0));
		if (why != NULL)
			ws_relay_note_error(why);
		ws_rcv_set_state(WS_RELAY_WAITING, "the upstream has ended the stream of WAL");
		return end;
	}

	if (received_lsn != start->switch_lsn && !XLogRecPtrIsInvalid(start->switch_lsn))
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream ended timeline %u at " WS_LSN " instead of " WS_LSN,
						start->tli, LSN_FORMAT_ARGS(received_lsn),
						LSN_FORMAT_ARGS(start->switch_lsn))));
	return end;
}
