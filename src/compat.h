/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Every difference between the PostgreSQL versions that walstream builds
 *	  on; no other file looks at PG_VERSION_NUM.
 *
 * Built and tested on 15, 17 and 18.  16 is expected to work and untested.
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

#if !defined(USE_ZSTD) || !defined(USE_LZ4)
#error "walstream needs a PostgreSQL that was configured with --with-zstd and --with-lz4"
#endif

/*
 * libpq-be.h wants gssapi.h where the server was built with GSSAPI; we use
 * nothing of it, and struct Port keeps its layout without it.
 */
#undef ENABLE_GSS

#include "miscadmin.h"
#include "portability/instr_time.h"
#if PG_VERSION_NUM >= 160000
#include "storage/relfilelocator.h"
#else
#include "storage/relfilenode.h"
#endif
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

/*
 * 16 gave extensions the allocator that check hooks must use for their extra
 * data; before it was plain malloc.
 */
#if PG_VERSION_NUM >= 160000
#define ws_guc_malloc(size)		guc_malloc(LOG, (size))
#else
#define ws_guc_malloc(size)		malloc(size)
#endif

/* 16 renamed what says where a relation's files are. */
#if PG_VERSION_NUM < 160000
#define RelFileLocator	RelFileNode
#endif

/* Is this one of the versions whose WAL pure/walz_layout.h describes? */
#define WS_WAL_IS_DESCRIBED		(PG_VERSION_NUM < 190000)

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
 * walrcv_connect: 16 added must_use_password, 17 added replication (false:
 * an ordinary connection, for slot synchronisation).
 *
 * WS_CONNECT_PARAMS declares the parameters, WS_CONNECT_ARGS passes them on
 * with another conninfo, WS_CONNECT_REPLICATES says whether the connection
 * will speak the replication protocol.
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
 * Does this server's libpqwalreceiver merge the user's options into those it
 * sends on a logical connection?  It overwrote them before the minor releases
 * named here.  The server's own number counts, not that of the headers we
 * were built with.
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

#endif							/* WS_COMPAT_H */
