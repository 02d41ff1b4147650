/*-------------------------------------------------------------------------
 *
 * standby.c
 *	  This server, as the standby that is to be promoted.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <unistd.h>

#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"
#include "drain/standby.h"
#include "relay/store/file.h"
#include "replication/walreceiver.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "utils/backend_status.h"
#include "utils/wait_event.h"

static void
check_no_target(const char *setting)
{
	const char *value = GetConfigOption(setting, false, false);

	if (value != NULL && value[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery of this standby ends at a target"),
				 errdetail("\"%s\" is set to \"%s\".", setting, value),
				 errhint("A standby that does not replay all WAL cannot be promoted without loss.")));
}

void
ws_standby_check(void)
{
	static const char *const targets[] = {
		"recovery_target", "recovery_target_lsn", "recovery_target_name",
		"recovery_target_time", "recovery_target_xid"
	};

	if (!RecoveryInProgress() || access(STANDBY_SIGNAL_FILE, F_OK) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server is not a standby"),
				 errhint("Call this on the standby that is to be promoted, before it is.")));
	for (int i = 0; i < (int) lengthof(targets); i++)
		check_no_target(targets[i]);
}

void
ws_standby_check_receives(void)
{
	if (PrimaryConnInfo == NULL || PrimaryConnInfo[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this standby receives no WAL"),
				 errdetail("\"primary_conninfo\" is empty, so that recovery starts no walreceiver."),
				 errhint("Set \"primary_conninfo\" to anything that is not empty, such as \"host=/nowhere\", reload the configuration, and call this again; the value is not used meanwhile.")));
	if (GetRecoveryPauseState() != RECOVERY_NOT_PAUSED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery of this standby is paused"),
				 errdetail("It asks for WAL only when it has replayed what it has."),
				 errhint("Call pg_wal_replay_resume().")));
	if (recovery_min_apply_delay > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery of this standby is delayed"),
				 errdetail("\"recovery_min_apply_delay\" is set, and recovery asks for WAL only when it has replayed what it has."),
				 errhint("Set \"recovery_min_apply_delay\" to 0 and reload the configuration.")));
}

bool
ws_standby_follows_latest(void)
{
	return strcmp(GetConfigOption("recovery_target_timeline", false, false),
				  "latest") == 0;
}

/* Read the history of a timeline from the file in pg_wal. */
static void
read_history(TimeLineID tli, WsHistory *history)
{
	char		path[MAXPGPATH];
	char	   *content = "";
	size_t		len = 0;
	int			line;

	history->entries = palloc(sizeof(WsHistoryEntry) * (WS_HISTORY_MAX_ENTRIES + 1));
	if (tli > 1)
	{
		TLHistoryFilePath(path, tli);
		content = ws_file_read_all(path, WS_HISTORY_MAX_BYTES, &len);
		if (content == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FILE),
					 errmsg("timeline history file \"%s\" is missing", path)));
	}
	if (ws_history_parse(tli, content, len, history, &line) != WS_OK)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("timeline history file \"%s\" is invalid in line %d", path, line)));
	if (tli > 1)
		pfree(content);
}

void
ws_standby_describe(WsDrainMember *member, WsHistory *history)
{
	TimeLineID	received_tli;
	XLogRecPtr	received = GetWalRcvFlushRecPtr(NULL, &received_tli);

	memset(member, 0, sizeof(*member));
	member->records_lsn = GetXLogReplayRecPtr(&member->tli);
	member->end_lsn = member->records_lsn;

	/* received, and not replayed yet */
	if (received > member->end_lsn && received_tli >= member->tli)
	{
		member->tli = received_tli;
		member->end_lsn = received;
	}
	read_history(member->tli, history);
	member->history = history;
	member->heard = true;
}

bool
ws_standby_has(TimeLineID tli, XLogRecPtr lsn)
{
	TimeLineID	has_tli;

	if (GetWalRcvFlushRecPtr(NULL, &has_tli) >= lsn && has_tli == tli)
		return true;
	return GetXLogReplayRecPtr(&has_tli) >= lsn && has_tli == tli;
}

bool
ws_standby_receives_from(const char *host, const char *port)
{
	bool		result;

	SpinLockAcquire(&WalRcv->mutex);
	result = WalRcv->walRcvState == WALRCV_STREAMING && WalRcv->ready_to_display &&
		strcmp(WalRcv->sender_host, host) == 0 && WalRcv->sender_port == atoi(port);
	SpinLockRelease(&WalRcv->mutex);
	return result;
}

/*
 * Returns the event that the startup process waits for; NULL if it does not
 * wait.
 */
static const char *
find_startup_wait(void)
{
	int			count = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= count; i++)
	{
		LocalPgBackendStatus *entry = ws_get_backend_entry(i);
		PGPROC	   *proc;

		if (entry == NULL || entry->backendStatus.st_backendType != B_STARTUP)
			continue;
		proc = AuxiliaryPidGetProc(entry->backendStatus.st_procpid);
		if (proc != NULL)
			return pgstat_get_wait_event(proc->wait_event_info);
	}
	return NULL;
}

const char *
ws_standby_obstacle(void)
{
	const char *event = find_startup_wait();

	if (GetRecoveryPauseState() != RECOVERY_NOT_PAUSED)
		return "Recovery is paused; call pg_wal_replay_resume().";
	if (event == NULL)
		return "Recovery is still replaying what this standby has.";
	if (strcmp(event, "RecoveryApplyDelay") == 0)
		return "Recovery is held up by \"recovery_min_apply_delay\".";
	if (strcmp(event, "RestoreCommand") == 0)
		return "Recovery waits for \"restore_command\".";
	if (strncmp(event, "RecoveryConflict", strlen("RecoveryConflict")) == 0)
		return "Recovery waits for a query on this standby.";
	return NULL;
}
