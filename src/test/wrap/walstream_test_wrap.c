/*-------------------------------------------------------------------------
 *
 * walstream_test_wrap.c
 *	  Stands for another module that wraps a walsender's PqCommMethods.
 *
 * For tests only.  Loaded before or after walstream, it must see every message
 * of a stream once and pass it on unchanged.  When a walsender ends, it logs
 * how many CopyData messages it has seen and how many of them were walstream's
 * frames.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "fmgr.h"
#include "libpq/auth.h"
#include "libpq/libpq.h"
#include "pure/wire/frame.h"
#include "replication/walsender.h"
#include "storage/ipc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static ClientAuthentication_hook_type prev_client_authentication = NULL;
static const PQcommMethods *prev_methods = NULL;
static PQcommMethods wrapping_methods;
static bool nested = false;
static uint64 copydata_seen = 0;
static uint64 frames_seen = 0;

static void
count(char msgtype, const char *s, size_t len)
{
	if (msgtype != PqMsg_CopyData)
		return;
	copydata_seen++;
	if (len > 0 && s[0] == WS_FRAME_TYPE)
		frames_seen++;
}

static void
wrap_comm_reset(void)
{
	nested = false;
	prev_methods->comm_reset();
}

static int
wrap_putmessage(char msgtype, const char *s, size_t len)
{
	if (!nested)
		count(msgtype, s, len);
	return prev_methods->putmessage(msgtype, s, len);
}

static void
wrap_putmessage_noblock(char msgtype, const char *s, size_t len)
{
	if (!nested)
		count(msgtype, s, len);
	nested = true;
	prev_methods->putmessage_noblock(msgtype, s, len);
	nested = false;
}

static void
report(int code, Datum arg)
{
	ereport(LOG,
			(errmsg("walstream_test_wrap saw " UINT64_FORMAT " messages, "
					UINT64_FORMAT " frames",
					copydata_seen, frames_seen)));
}

static void
client_authentication(Port *port, int status)
{
	if (prev_client_authentication)
		prev_client_authentication(port, status);

	if (status == STATUS_OK && am_walsender && prev_methods == NULL)
	{
		prev_methods = PqCommMethods;
		wrapping_methods = *prev_methods;
		wrapping_methods.comm_reset = wrap_comm_reset;
		wrapping_methods.putmessage = wrap_putmessage;
		wrapping_methods.putmessage_noblock = wrap_putmessage_noblock;
		PqCommMethods = &wrapping_methods;
		before_shmem_exit(report, 0);
	}
}

void
_PG_init(void)
{
	prev_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = client_authentication;
}
