/*-------------------------------------------------------------------------
 *
 * backoff.c
 *	  Decides when bytes are sent without trying to encode them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/backoff.h"

void
ws_backoff_reset(WsBackoff *backoff)
{
	memset(backoff, 0, sizeof(*backoff));
	backoff->distance = WS_BACKOFF_MIN;
}

bool
ws_backoff_skip(WsBackoff *backoff, size_t len)
{
	if (backoff->skip == 0)
		return false;
	backoff->skip -= Min(backoff->skip, len);
	return true;
}

bool
ws_backoff_judge(WsBackoff *backoff, size_t raw_len, size_t encoded_len)
{
	bool		failed;

	backoff->excess += (int64) encoded_len - (int64) (raw_len - raw_len / WS_BACKOFF_SHARE);
	backoff->tried += raw_len;

	if (!backoff->probing)
	{
		/*
		 * Do not let earlier bytes that shrank well pay for bytes that do
		 * not.
		 */
		backoff->excess = Max(backoff->excess, 0);
		failed = backoff->excess >= WS_BACKOFF_AFTER / WS_BACKOFF_SHARE;
	}
	else
	{
		if (backoff->tried < WS_BACKOFF_PROBE)
			return false;
		failed = backoff->excess > 0;
		if (!failed)
			ws_backoff_reset(backoff);
	}

	if (failed)
	{
		backoff->skip = backoff->distance;
		backoff->distance = Min(backoff->distance * 2, WS_BACKOFF_MAX);
		backoff->probing = true;
		backoff->excess = 0;
		backoff->tried = 0;
	}
	return failed;
}
