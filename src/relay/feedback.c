/*-------------------------------------------------------------------------
 *
 * feedback.c
 *	  Combines what downstreams want the primary to keep.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/feedback.h"

/*
 * Largest age of a transaction id in use: PostgreSQL stops assigning ids long
 * before half of all ids lie between the oldest and the next.  The primary
 * would refuse an older one, and with it what all others want.
 */
#define MAX_AGE		(PG_INT32_MAX - 1000000)

const WsFeedback ws_feedback_nothing = {
	{InvalidTransactionId}, {InvalidTransactionId}
};

bool
ws_feedback_equals(WsFeedback a, WsFeedback b)
{
	return FullTransactionIdEquals(a.xmin, b.xmin) &&
		FullTransactionIdEquals(a.catalog_xmin, b.catalog_xmin);
}

bool
ws_feedback_is_nothing(WsFeedback feedback)
{
	return !FullTransactionIdIsValid(feedback.xmin) &&
		!FullTransactionIdIsValid(feedback.catalog_xmin);
}

WsFeedback
ws_feedback_normalize(WsFeedback feedback)
{
	if (!FullTransactionIdIsValid(feedback.xmin))
		feedback.xmin = InvalidFullTransactionId;
	if (!FullTransactionIdIsValid(feedback.catalog_xmin))
		feedback.catalog_xmin = InvalidFullTransactionId;
	return feedback;
}

/*
 * Returns the older of two ids.  No two ids of one cluster are further apart
 * than half of all transaction ids; if they are, the older one is nonsense and
 * is ignored.
 */
static FullTransactionId
older_xid(FullTransactionId a, FullTransactionId b)
{
	FullTransactionId older;
	FullTransactionId newer;

	if (!FullTransactionIdIsValid(a))
		return b;
	if (!FullTransactionIdIsValid(b))
		return a;
	older = FullTransactionIdPrecedes(a, b) ? a : b;
	newer = FullTransactionIdPrecedes(a, b) ? b : a;
	return U64FromFullTransactionId(newer) - U64FromFullTransactionId(older) <= PG_INT32_MAX ?
		older : newer;
}

WsFeedback
ws_feedback_older(WsFeedback a, WsFeedback b)
{
	a.xmin = older_xid(a.xmin, b.xmin);
	a.catalog_xmin = older_xid(a.catalog_xmin, b.catalog_xmin);
	return a;
}

static bool
is_too_old(FullTransactionId xid, FullTransactionId next)
{
	return FullTransactionIdIsValid(xid) &&
		FullTransactionIdPrecedes(xid, next) &&
		U64FromFullTransactionId(next) - U64FromFullTransactionId(xid) > MAX_AGE;
}

static FullTransactionId
limit_xid(FullTransactionId xid, FullTransactionId next)
{
	if (is_too_old(xid, next))
		return InvalidFullTransactionId;
	return FullTransactionIdFollows(xid, next) ? next : xid;
}

WsFeedback
ws_feedback_limit(WsFeedback told, FullTransactionId next)
{
	told.xmin = limit_xid(told.xmin, next);
	told.catalog_xmin = limit_xid(told.catalog_xmin, next);
	return told;
}

bool
ws_feedback_is_too_old(WsFeedback told, FullTransactionId next)
{
	return is_too_old(told.xmin, next) || is_too_old(told.catalog_xmin, next);
}
