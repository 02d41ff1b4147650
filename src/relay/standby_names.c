/*-------------------------------------------------------------------------
 *
 * standby_names.c
 *	  Keeps the primary's synchronous_standby_names, as of each connection.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "peertext.h"
#include "relay/relay.h"
#include "relay/standby_names.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* How often the time of an unchanged list is written. */
#define SAVE_PAUSE_MS	60000

static WsNamesFile kept;
static TimestampTz saved_at = 0;

/* Show the newest list, or none. */
static void
show_last(void)
{
	const WsNamesEntry *last;

	if (kept.count == 0)
	{
		ws_relay_set_standby_names("", 0);
		return;
	}
	last = &kept.entries[kept.count - 1];
	ws_relay_set_standby_names(last->names, last->last_us);
}

void
ws_standby_names_load(const WsStore *store)
{
	(void) ws_store_read_names(store, &kept);
	show_last();
}

/*
 * Write the file.  Returns false if it cannot be written, and logs why, the first
 * time of several: this is tried with each connection.
 */
static bool
save(const WsStore *store)
{
	static bool failed = false;
	bool		done = ws_store_write_names(store, &kept, failed ? DEBUG1 : LOG);

	failed = !done;
	return done;
}

void
ws_standby_names_note(const WsStore *store, TimeLineID tli, const char *names)
{
	TimestampTz now = GetCurrentTimestamp();
	char		shown[2 * WS_NAMES_SIZE];
	bool		is_news;

	/* a truncated list would be a different one, even if it is only shown */
	ws_peertext_copy(shown, sizeof(shown), names);
	if (strlen(names) >= WS_NAMES_SIZE || strlen(shown) >= WS_NAMES_SIZE)
	{
		ws_relay_set_standby_names("", 0);
		ereport(LOG,
				(errmsg("the primary's synchronous_standby_names is too long to be kept"),
				 errdetail("It has %zu bytes; there is room for %d.",
						   strlen(names), WS_NAMES_SIZE - 1)));
		return;
	}

	is_news = ws_namesfile_add(&kept, now, tli, names);
	show_last();
	if (!is_news && saved_at != 0 && now >= saved_at &&
		!TimestampDifferenceExceeds(saved_at, now, SAVE_PAUSE_MS))
		return;
	saved_at = save(store) ? now : 0;
}
