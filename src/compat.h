/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  All differences between the PostgreSQL versions that walstream supports;
 *	  no other file looks at PG_VERSION_NUM.
 *
 * Built and tested on 15, 17, 18 and 19; docs/compatibility.md says when 16 was
 * tried.
 *
 * Server files include this instead of postgres.h.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_COMPAT_H
#define WS_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "walstream needs PostgreSQL 15 or later"
#endif

/* Child processes must inherit what _PG_init and the hooks have set. */
#ifdef EXEC_BACKEND
#error "walstream needs a server whose processes are forked"
#endif

#if !defined(USE_ZSTD) || !defined(USE_LZ4)
#error "walstream needs a PostgreSQL that was configured with --with-zstd and --with-lz4"
#endif

/*
 * libpq-be.h includes gssapi.h if the server was built with GSSAPI.  We use
 * nothing of it, and struct Port has the same layout without it.
 */
#undef ENABLE_GSS

#include "access/xlogreader.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#if PG_VERSION_NUM >= 160000
#include "storage/relfilelocator.h"
#else
#include "storage/relfilenode.h"
#endif
#include "storage/lwlock.h"
#include "utils/guc.h"
#if PG_VERSION_NUM >= 170000
#include "libpq/protocol.h"
#else
#define PqMsg_CopyBothResponse	'W'
#define PqMsg_CopyData			'd'
#define PqMsg_CopyDone			'c'
#define PqMsg_CommandComplete	'C'
#define PqMsg_ErrorResponse		'E'
#define PqMsg_ReadyForQuery		'Z'
#endif

/* 18 shows a module's name and version, see pg_get_loaded_modules(). */
#if PG_VERSION_NUM >= 180000
#define WS_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "walstream", .version = WS_VERSION)
#else
#define WS_MODULE_MAGIC	PG_MODULE_MAGIC
#endif

/*
 * Check hooks must allocate their extra data with guc_malloc since 16, with
 * plain malloc before.
 */
#if PG_VERSION_NUM >= 160000
#define ws_guc_malloc(size)		guc_malloc(LOG, (size))
#define ws_guc_free(pointer)	guc_free(pointer)
#else
#define ws_guc_malloc(size)		malloc(size)
#define ws_guc_free(pointer)	free(pointer)
#endif

/* 16 renamed RelFileNode to RelFileLocator. */
#if PG_VERSION_NUM < 160000
#define RelFileLocator	RelFileNode
#endif

/* True for the versions whose WAL walz/layout.h describes. */
#define WS_WAL_IS_DESCRIBED		(PG_VERSION_NUM < 200000)

/* 15 has no INSTR_TIME_GET_NANOSEC; its instr_time is a timespec. */
static inline uint64
ws_instr_time_ns(instr_time t)
{
#if PG_VERSION_NUM >= 160000
	return (uint64) INSTR_TIME_GET_NANOSEC(t);
#else
	return (uint64) t.tv_sec * UINT64CONST(1000000000) + (uint64) t.tv_nsec;
#endif
}

/*
 * The check for interrupts in a receiver process: before 18 a walreceiver had
 * a function of its own.
 */
#if PG_VERSION_NUM >= 180000
#define WS_CHECK_RECEIVER_INTERRUPTS()	CHECK_FOR_INTERRUPTS()
#else
#define WS_CHECK_RECEIVER_INTERRUPTS() \
	do { \
		if (AmWalReceiverProcess()) \
			ProcessWalRcvInterrupts(); \
		else \
			CHECK_FOR_INTERRUPTS(); \
	} while (0)
#endif

/*
 * In an application_name or cluster_name, a byte that is not printable ASCII
 * becomes \xNN since 16, and a question mark before: see pg_clean_ascii().
 */
#define WS_NAMES_SHOW_BYTES		(PG_VERSION_NUM >= 160000)

/*
 * walrcv_connect: 16 added must_use_password, 17 added replication (false for
 * an ordinary connection, as used for slot synchronization).
 *
 * WS_CONNECT_PARAMS declares the parameters, WS_CONNECT_ARGS passes them on
 * with another conninfo, and WS_CONNECT_REPLICATES tells whether the
 * connection will speak the replication protocol.
 */
#if PG_VERSION_NUM >= 170000
#define WS_CONNECT_PARAMS \
	const char *conninfo, bool replication, bool logical, \
	bool must_use_password, const char *appname, char **err
#define WS_CONNECT_ARGS(conninfo_) \
	(conninfo_), replication, logical, must_use_password, appname, err
#define WS_CONNECT_REPLICATES	replication
#elif PG_VERSION_NUM >= 160000
#define WS_CONNECT_PARAMS \
	const char *conninfo, bool logical, bool must_use_password, \
	const char *appname, char **err
#define WS_CONNECT_ARGS(conninfo_) \
	(conninfo_), logical, must_use_password, appname, err
#define WS_CONNECT_REPLICATES	true
#else
#define WS_CONNECT_PARAMS \
	const char *conninfo, bool logical, const char *appname, char **err
#define WS_CONNECT_ARGS(conninfo_) \
	(conninfo_), logical, appname, err
#define WS_CONNECT_REPLICATES	true
#endif

/*
 * Returns true if this server's libpqwalreceiver merges the user's options
 * into those that it sends on a logical connection.  It overwrote them before
 * the minor releases named here.  The running server's version counts, not
 * that of the headers we were built with.
 */
static inline bool
ws_logical_options_are_kept(void)
{
	int			version = atoi(GetConfigOption("server_version_num", false, false));

	switch (version / 10000)
	{
		case 15:
			return version >= 150016;
		case 16:
			return version >= 160012;
		case 17:
			return version >= 170008;
		case 18:
			return version >= 180002;
		default:
			return true;
	}
}

/*
 * Format in which the server prints a position, with LSN_FORMAT_ARGS; 19 pads
 * it with zeros.
 */
#if PG_VERSION_NUM >= 190000
#define WS_LSN	"%X/%08X"
#else
#define WS_LSN	"%X/%X"
#endif

/* 19 names a tranche when its id is allocated, for all processes. */
#if PG_VERSION_NUM >= 190000
#define ws_lwlock_new_tranche(name)		LWLockNewTrancheId(name)
#else
static inline int
ws_lwlock_new_tranche(const char *name)
{
	int			tranche_id = LWLockNewTrancheId();

	LWLockRegisterTranche(tranche_id, name);
	return tranche_id;
}
#endif

/* 19 reserves some names for its own slots. */
#if PG_VERSION_NUM >= 190000
#define ws_slot_validate_name(name, elevel) \
	ReplicationSlotValidateName((name), false, (elevel))
#else
#define ws_slot_validate_name(name, elevel) \
	ReplicationSlotValidateName((name), (elevel))
#endif

/*
 * 19 tells signal handlers who sent the signal, and we call die() from one of
 * ours; and it has a constant of its own for ignoring a signal.
 */
#if PG_VERSION_NUM >= 190000
#define ws_die_from_signal()	die(postgres_signal_arg, pg_siginfo)
#define ws_sig_ign				PG_SIG_IGN
#else
#define ws_die_from_signal()	die(postgres_signal_arg)
#define ws_sig_ign				SIG_IGN
#endif

/* 19 returns the reason if there is none; before, it is in errormsg_buf. */
#if PG_VERSION_NUM >= 190000
static inline XLogRecPtr
ws_xlog_find_next_record(XLogReaderState *reader, XLogRecPtr lsn)
{
	char	   *message;

	return XLogFindNextRecord(reader, lsn, &message);
}
#else
#define ws_xlog_find_next_record(reader, lsn)	XLogFindNextRecord((reader), (lsn))
#endif

/*----------------------------------------------------------------
 * The relay's workers and its receiver (relay/relay.c, relay/walreceiver)
 *----------------------------------------------------------------
 */
#include "postmaster/bgworker_internals.h"

/* 18 made the postmaster's list of workers a doubly linked one. */
#if PG_VERSION_NUM >= 180000
#define ws_list_iter			dlist_iter
#define ws_list_foreach			dlist_foreach
#define ws_list_container		dlist_container
#else
#define ws_list_iter			slist_iter
#define ws_list_foreach			slist_foreach
#define ws_list_container		slist_container
#endif

/* In the postmaster: returns true if there was room for this static worker. */
static inline bool
ws_worker_is_registered(const char *name)
{
	ws_list_iter iter;

	ws_list_foreach(iter, &BackgroundWorkerList)
	{
		RegisteredBgWorker *rw = ws_list_container(RegisteredBgWorker, rw_lnode,
												   iter.cur);

		if (strcmp(rw->rw_worker.bgw_name, name) == 0)
			return true;
	}
	return false;
}

/* Major version; servers of the same one share the WAL format. */
#define WS_MAJOR_VERSION	(PG_VERSION_NUM / 10000)

/* walrcv_create_slot also gets new parameters from version to version. */
#if PG_VERSION_NUM >= 170000
#define WS_CREATE_SLOT_PARAMS \
	WalReceiverConn *conn, const char *slotname, bool temporary, \
	bool two_phase, bool failover, CRSSnapshotAction snapshot_action, \
	XLogRecPtr *lsn
#define WS_CREATE_SLOT_ARGS \
	conn, slotname, temporary, two_phase, failover, snapshot_action, lsn
#else
#define WS_CREATE_SLOT_PARAMS \
	WalReceiverConn *conn, const char *slotname, bool temporary, \
	bool two_phase, CRSSnapshotAction snapshot_action, XLogRecPtr *lsn
#define WS_CREATE_SLOT_ARGS \
	conn, slotname, temporary, two_phase, snapshot_action, lsn
#endif

/*
 * Connect as a physical receiver, and create a physical slot that reserves WAL
 * from the last checkpoint on (all versions ask the server for that).
 */
#if PG_VERSION_NUM >= 170000
#define ws_walrcv_connect(conninfo, logical, appname, err) \
	walrcv_connect(conninfo, true, logical, false, appname, err)
#define ws_walrcv_create_physical_slot(conn, name, lsn) \
	walrcv_create_slot(conn, name, false, false, false, CRS_NOEXPORT_SNAPSHOT, lsn)
#elif PG_VERSION_NUM >= 160000
#define ws_walrcv_connect(conninfo, logical, appname, err) \
	walrcv_connect(conninfo, logical, false, appname, err)
#define ws_walrcv_create_physical_slot(conn, name, lsn) \
	walrcv_create_slot(conn, name, false, false, CRS_NOEXPORT_SNAPSHOT, lsn)
#else
#define ws_walrcv_connect(conninfo, logical, appname, err) \
	walrcv_connect(conninfo, logical, appname, err)
#define ws_walrcv_create_physical_slot(conn, name, lsn) \
	walrcv_create_slot(conn, name, false, false, CRS_NOEXPORT_SNAPSHOT, lsn)
#endif
#define ws_walrcv_connect_physical(conninfo, appname, err) \
	ws_walrcv_connect(conninfo, false, appname, err)

/*----------------------------------------------------------------
 * The relay's walsender (relay/walsender)
 *----------------------------------------------------------------
 */

#if PG_VERSION_NUM < 170000
#define PqMsg_BackendKeyData	'K'
#define PqMsg_Bind				'B'
#define PqMsg_Close				'C'
#define PqMsg_CopyFail			'f'
#define PqMsg_DataRow			'D'
#define PqMsg_Describe			'D'
#define PqMsg_Execute			'E'
#define PqMsg_Flush				'H'
#define PqMsg_FunctionCall		'F'
#define PqMsg_ParameterStatus	'S'
#define PqMsg_Parse				'P'
#define PqMsg_Query				'Q'
#define PqMsg_RowDescription	'T'
#define PqMsg_Sync				'S'
#define PqMsg_Terminate			'X'
#endif

/*
 * 18 requires it in front of a declaration, where the older form is allowed
 * too.
 */
#if PG_VERSION_NUM >= 180000
#define ws_noreturn		pg_noreturn
#else
#define ws_noreturn		pg_attribute_noreturn()
#endif

/* 16 made IDENTIFY_SYSTEM's timeline an int8. */
#if PG_VERSION_NUM >= 160000
#define WS_TIMELINE_TYPE	INT8OID
#else
#define WS_TIMELINE_TYPE	INT4OID
#endif

/*
 * How long a stop waits for a client since 19, in milliseconds; -1 means for
 * ever.
 */
#if PG_VERSION_NUM >= 190000
#define ws_shutdown_timeout_ms()	wal_sender_shutdown_timeout
#else
#define ws_shutdown_timeout_ms()	(-1)
#endif

/* 17 has a function that counts the bytes left in the receive buffer. */
#if PG_VERSION_NUM >= 170000
#define ws_pq_has_data()	(pq_buffer_remaining_data() > 0)
#else
#define ws_pq_has_data()	pq_buffer_has_data()
#endif

/* 18 made log_connections a set of flags. */
#if PG_VERSION_NUM >= 180000
#include "tcop/backend_startup.h"
#define WS_LOG_AUTHORIZATION	((log_connections & LOG_CONNECTION_AUTHORIZATION) != 0)
#define ws_note_authenticated() (conn_timing.auth_end = GetCurrentTimestamp())
#else
#define WS_LOG_AUTHORIZATION	Log_connections
#define ws_note_authenticated() ((void) 0)
/* exported, but not declared in any header */
extern PGDLLIMPORT bool Log_disconnections;
#endif

/*
 * Set the session's user. 16 has SYSTEM_USER, 17 a way around the check for
 * LOGIN, and 18 splits the entry in pg_stat_activity, whose first part is made
 * before authentication.
 */
#if PG_VERSION_NUM >= 170000
#define ws_set_session_user(name)	InitializeSessionUserId((name), InvalidOid, false)
#else
#define ws_set_session_user(name)	InitializeSessionUserId((name), InvalidOid)
#endif

#if PG_VERSION_NUM >= 160000
#define ws_set_system_user() \
	do { \
		if (MyClientConnectionInfo.authn_id) \
			InitializeSystemUser(MyClientConnectionInfo.authn_id, \
								 hba_authname(MyClientConnectionInfo.auth_method)); \
	} while (0)
#else
#define ws_set_system_user()	((void) 0)
#endif

#if PG_VERSION_NUM >= 180000
#define ws_report_authenticated()	pgstat_bestart_security()
#define ws_report_started()			pgstat_bestart_final()
#else
#define ws_report_authenticated()	((void) 0)
#define ws_report_started()			pgstat_bestart()
#endif

/* Since 18, cancel keys have any length. */
#if PG_VERSION_NUM >= 180000
#define ws_send_cancel_key(buf)		pq_sendbytes((buf), MyCancelKey, MyCancelKeyLength)
#else
#define ws_send_cancel_key(buf)		pq_sendint32((buf), MyCancelKey)
#endif

/*
 * The parser of replication commands, which is reentrant since 18.  A scanner
 * is declared with WS_SCANNER; parse returns 0 and sets node.
 */
#if PG_VERSION_NUM >= 180000
#define WS_SCANNER	yyscan_t
#define ws_scanner_init(query, scanner)		replication_scanner_init((query), &(scanner))
#define ws_scanner_finish(scanner)			replication_scanner_finish(scanner)
#define ws_scanner_is_replication(scanner)	replication_scanner_is_replication_command(scanner)
#define ws_replication_parse(scanner, node) replication_yyparse(&(node), (scanner))
#else
#define WS_SCANNER	char pg_attribute_unused()
#define ws_scanner_init(query, scanner)		replication_scanner_init(query)
#define ws_scanner_finish(scanner)			replication_scanner_finish()
#define ws_scanner_is_replication(scanner)	replication_scanner_is_replication_command()
#define ws_replication_parse(scanner, node) \
	((replication_yyparse() == 0) ? ((node) = replication_parse_result, 0) : 1)
#endif

/* Names of the commands that 17 added. */
#if PG_VERSION_NUM >= 170000
#define ws_later_command_name(tag) \
	((tag) == T_UploadManifestCmd ? "UPLOAD_MANIFEST" : \
	 (tag) == T_AlterReplicationSlotCmd ? "ALTER_REPLICATION_SLOT" : NULL)
#else
#define ws_later_command_name(tag)	NULL
#endif

/*----------------------------------------------------------------
 * What a standby asks others before it is promoted (drain)
 *----------------------------------------------------------------
 */
#include "replication/syncrep.h"

/*
 * synchronous_standby_names, parsed as the server does; palloc'd, NULL if it is
 * empty or invalid.  18 made the parser reentrant.
 */
static inline SyncRepConfigData *
ws_syncrep_parse(const char *names)
{
#if PG_VERSION_NUM >= 180000
	yyscan_t	scanner;
	SyncRepConfigData *parsed = NULL;
	char	   *message = NULL;
	int			failed;

	syncrep_scanner_init(names, &scanner);
	failed = syncrep_yyparse(&parsed, &message, scanner);
	syncrep_scanner_finish(scanner);
	return failed ? NULL : parsed;
#else
	int			failed;

	syncrep_parse_result = NULL;
	syncrep_scanner_init(names);
	failed = syncrep_yyparse();
	syncrep_scanner_finish();
	return failed ? NULL : syncrep_parse_result;
#endif
}

/* A backend's entry in pg_stat_activity, by its place; 16 renamed the function. */
#if PG_VERSION_NUM >= 160000
#define ws_get_backend_entry(i)		pgstat_get_local_beentry_by_index(i)
#else
#define ws_get_backend_entry(i)		pgstat_fetch_stat_local_beentry(i)
#endif

/* 17 gives modules' wait events names. */
#if PG_VERSION_NUM >= 170000
#define ws_wait_event_new(name)		WaitEventExtensionNew(name)
#else
#define ws_wait_event_new(name)		((void) (name), PG_WAIT_EXTENSION)
#endif

#endif							/* WS_COMPAT_H */
