/*-------------------------------------------------------------------------
 *
 * command.c
 *	  The replication commands of a relay sender, except for
 *	  START_REPLICATION's stream.
 *
 * Commands are parsed with PostgreSQL's own grammar, and results have the same
 * columns as PostgreSQL's.  Questions about the cluster whose WAL is served
 * are answered for that one, not for the relay's instance.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "access/xlog_internal.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "guc.h"
#include "nodes/parsenodes.h"
#include "peertext.h"
#include "pgstat.h"
#include "relay/chain.h"
#include "relay/relay.h"
#include "relay/slots/slots.h"
#include "relay/walsender/client.h"
#include "relay/walsender/command.h"
#include "relay/walsender/served.h"
#include "relay/walsender/stream.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"

static char *
format_lsn(XLogRecPtr lsn)
{
	return psprintf(WS_LSN, LSN_FORMAT_ARGS(lsn));
}

static void
identify_system(void)
{
	static const WsColumn columns[] = {
		{"systemid", TEXTOID},
		{"timeline", WS_TIMELINE_TYPE},
		{"xlogpos", TEXTOID},
		{"dbname", TEXTOID}
	};
	const char *values[4];
	WsStore		store;
	TimeLineID	tli;
	XLogRecPtr	flushed_lsn;

	ws_served_get_store(&store);
	ws_served_get_position(&tli, &flushed_lsn);

	values[0] = psprintf(UINT64_FORMAT, store.identity.system_identifier);
	values[1] = psprintf("%u", tli);
	values[2] = format_lsn(flushed_lsn);
	values[3] = NULL;
	ws_client_send_row(columns, 4, values);
}

static void
timeline_history(const TimeLineHistoryCmd *cmd)
{
	static const WsColumn columns[] = {
		{"filename", TEXTOID},
		{"content", TEXTOID}
	};
	char		file_name[MAXFNAMELEN];
	const char *values[2];
	WsStore		store;
	char	   *content;
	size_t		len;

	ws_served_get_store(&store);
	content = ws_store_read_history_file(&store, cmd->timeline, &len);
	TLHistoryFileName(file_name, cmd->timeline);

	values[0] = file_name;
	values[1] = pnstrdup(content, len);
	ws_client_send_row(columns, 2, values);
}

/* Format a number as SHOW prints wal_segment_size. */
static char *
format_size(uint32 bytes)
{
	uint32		mb = bytes / (1024 * 1024);

	return mb % 1024 == 0 ? psprintf("%uGB", mb / 1024) : psprintf("%uMB", mb);
}

/*
 * Returns the value of a setting in which the served cluster may differ from
 * this instance; NULL for all others.
 */
static const char *
served_setting(const char *name)
{
	bool		version_num = pg_strcasecmp(name, "server_version_num") == 0;

	/*
	 * A client that asks for this, such as another relay, wants to know what
	 * this server is.  A client that looks for a primary uses the value
	 * reported at the start of the session, or, if it is older,
	 * transaction_read_only.
	 */
	if (pg_strcasecmp(name, "in_hot_standby") == 0)
		return "on";
	if (pg_strcasecmp(name, "transaction_read_only") == 0)
		return ws_guc_relay()->in_hot_standby ? "on" : NULL;

	if (version_num || pg_strcasecmp(name, "server_version") == 0)
	{
		WsRelayStatus status;

		ws_relay_get_status(&status);
		if (status.upstream_version <= 0)
			return NULL;
		if (version_num)
			return psprintf("%d", status.upstream_version);
		return psprintf("%d.%d", status.upstream_version / 10000,
						status.upstream_version % 10000);
	}

	if (pg_strcasecmp(name, "wal_segment_size") == 0 ||
		pg_strcasecmp(name, "wal_block_size") == 0)
	{
		WsStore		store;

		ws_served_get_store(&store);
		if (pg_strcasecmp(name, "wal_block_size") == 0)
			return psprintf("%u", store.identity.block_size);
		return format_size(store.identity.segment_size);
	}

	return NULL;
}

static void
show(const VariableShowStmt *stmt)
{
	MemoryContext context = CurrentMemoryContext;
	WsColumn	column = {stmt->name, TEXTOID};
	const char *value = served_setting(stmt->name);

	/* checking privileges needs a transaction */
	StartTransactionCommand();
	if (value == NULL)
		value = GetConfigOptionByName(stmt->name, &column.name, false);
	ws_client_send_row(&column, 1, &value);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

/*
 * Check the options of CREATE_REPLICATION_SLOT; the grammar accepts any name.
 */
static bool
wants_wal_reserved(const CreateReplicationSlotCmd *cmd)
{
	bool		given = false;
	bool		reserve = false;
	ListCell   *lc;

	foreach(lc, cmd->options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "reserve_wal") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("unrecognized option for a physical replication slot: \"%s\"",
							ws_peertext_value(option->defname))));
		if (given)
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("conflicting or redundant options")));
		given = true;
		reserve = defGetBoolean(option);
	}
	return reserve;
}

/*
 * Returns the position from which RESERVE_WAL holds WAL: the oldest available.
 * The client will probably take a base backup next, and one from a standby
 * begins at that standby's last restartpoint, which may be long before the end
 * of our WAL.
 */
static void
find_reserved(const WsStore *store, TimeLineID *tli, XLogRecPtr *lsn)
{
	WsRelayStatus status;

	ws_relay_get_status(&status);
	*lsn = Max(status.first_lsn, ws_slots_floor());

	/* there is no WAL yet, or it is about to be set aside */
	if (!status.is_open || XLogRecPtrIsInvalid(status.first_lsn) ||
		*lsn > status.flushed_lsn)
		ws_served_not_ready();

	/*
	 * not first_tli, since the keeper may be removing WAL before that
	 * position
	 */
	*tli = ws_history_tli_at(ws_store_read_history(store, status.tli), *lsn);
}

static void
create_slot(const CreateReplicationSlotCmd *cmd)
{
	static const WsColumn columns[] = {
		{"slot_name", TEXTOID},
		{"consistent_point", TEXTOID},
		{"snapshot_name", TEXTOID},
		{"output_plugin", TEXTOID}
	};
	const char *values[4] = {cmd->slotname, "0/0", NULL, NULL};
	TimeLineID	tli = 0;
	XLogRecPtr	lsn = InvalidXLogRecPtr;
	WsStore		store;

	if (cmd->kind != REPLICATION_KIND_PHYSICAL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a relay has no logical replication slots"),
				 errhint("Connect to the primary or to a standby for logical replication.")));

	ws_slot_validate_name(cmd->slotname, ERROR);
	ws_served_get_store(&store);

	if (wants_wal_reserved(cmd))
		find_reserved(&store, &tli, &lsn);

	ws_slot_create(&store, cmd->slotname, cmd->temporary, tli, lsn);
	ws_client_send_row(columns, 4, values);
}

static void
read_slot(const ReadReplicationSlotCmd *cmd)
{
	static const WsColumn columns[] = {
		{"slot_type", TEXTOID},
		{"restart_lsn", TEXTOID},
		{"restart_tli", INT8OID}
	};
	const char *values[3] = {NULL, NULL, NULL};
	WsSlotSnapshot slot;
	char		chain[WS_CHAIN_TEXT_SIZE];

	/* this is another relay's question for the chain */
	if (strcmp(cmd->slotname, WS_CHAIN_QUESTION) == 0)
	{
		ws_chain_tell(chain);
		values[0] = WS_CHAIN_ANSWER;
		values[1] = chain;
	}
	else if (ws_slot_get(cmd->slotname, &slot))
	{
		values[0] = "physical";

		/* PostgreSQL does not show the position of a lost slot either */
		if (!slot.lost && !XLogRecPtrIsInvalid(slot.restart_lsn))
		{
			values[1] = format_lsn(slot.restart_lsn);
			values[2] = psprintf("%u", slot.restart_tli);
		}
	}
	ws_client_send_row(columns, 3, values);
}

static void
drop_slot(const DropReplicationSlotCmd *cmd)
{
	WsStore		store;

	ws_served_get_store(&store);
	ws_slot_drop(&store, cmd->slotname, cmd->wait);
}

static void
refuse(const char *command)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a relay does not serve %s", command),
			 errdetail("It holds the WAL of another cluster and nothing else of it."),
			 errhint("Connect to the primary or to a standby of that cluster.")));
}

/* Parse a command, and report an error if there is one. */
static Node *
parse(const char *query)
{
	WS_SCANNER	scanner;
	Node	   *node = NULL;

	ws_scanner_init(query, scanner);
	if (!ws_scanner_is_replication(scanner))
	{
		ws_scanner_finish(scanner);
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot execute SQL commands in WAL sender for physical replication"),
				 errhint("Connect without \"replication\" to use SQL on the relay.")));
	}
	if (ws_replication_parse(scanner, node) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg_internal("replication command parser failed")));
	ws_scanner_finish(scanner);
	return node;
}

/* Returns a command's name, for the process title and CommandComplete. */
static const char *
command_name(const Node *node)
{
	const char *name;

	switch (nodeTag(node))
	{
		case T_IdentifySystemCmd:
			return "IDENTIFY_SYSTEM";
		case T_TimeLineHistoryCmd:
			return "TIMELINE_HISTORY";
		case T_VariableShowStmt:
			return "SHOW";
		case T_CreateReplicationSlotCmd:
			return "CREATE_REPLICATION_SLOT";
		case T_ReadReplicationSlotCmd:
			return "READ_REPLICATION_SLOT";
		case T_DropReplicationSlotCmd:
			return "DROP_REPLICATION_SLOT";
		case T_StartReplicationCmd:
			return "START_REPLICATION";
		case T_BaseBackupCmd:
			return "BASE_BACKUP";
		default:
			name = ws_later_command_name(nodeTag(node));
			return name != NULL ? name : "this command";
	}
}

static void
execute(const Node *node, const char *name)
{
	switch (nodeTag(node))
	{
		case T_IdentifySystemCmd:
			identify_system();
			break;
		case T_TimeLineHistoryCmd:
			timeline_history((const TimeLineHistoryCmd *) node);
			break;
		case T_VariableShowStmt:
			show((const VariableShowStmt *) node);
			break;
		case T_CreateReplicationSlotCmd:
			create_slot((const CreateReplicationSlotCmd *) node);
			break;
		case T_ReadReplicationSlotCmd:
			read_slot((const ReadReplicationSlotCmd *) node);
			break;
		case T_DropReplicationSlotCmd:
			drop_slot((const DropReplicationSlotCmd *) node);
			break;
		case T_StartReplicationCmd:
			ws_stream_run((const StartReplicationCmd *) node);
			break;
		default:
			refuse(name);
	}
}

/*
 * Show the command in the server's log and in pg_stat_activity.  Unlike
 * PostgreSQL's, ours has no line breaks, which could imitate other log lines,
 * and no bytes that would make the view fail for all its readers.
 */
static void
show_command(const char *query)
{
	char	   *activity = palloc(pgstat_track_activity_query_size);

	debug_query_string = ws_peertext_for_log(query);
	ws_peertext_copy(activity, pgstat_track_activity_query_size, query);
	pgstat_report_activity(STATE_RUNNING, activity);
	pfree(activity);
}

void
ws_command_execute(const char *query)
{
	Node	   *node;
	const char *name;

	CHECK_FOR_INTERRUPTS();
	show_command(query);
	node = parse(query);
	name = command_name(node);

	ereport(log_replication_commands ? LOG : DEBUG1,
			(errmsg("received replication command: %s", debug_query_string)));
	set_ps_display(name);

	execute(node, name);

	ws_client_send_complete(name);
	debug_query_string = NULL;
}
