/*-------------------------------------------------------------------------
 *
 * feedback.h
 *	  Combines what downstreams want the primary to keep.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_FEEDBACK_H
#define WS_RELAY_FEEDBACK_H

#include "access/transam.h"

/*
 * The primary must keep rows that these transactions can see; nothing if
 * invalid.
 */
typedef struct WsFeedback
{
	FullTransactionId xmin;
	FullTransactionId catalog_xmin;
} WsFeedback;

extern const WsFeedback ws_feedback_nothing;

extern bool ws_feedback_equals(WsFeedback a, WsFeedback b);
extern bool ws_feedback_is_nothing(WsFeedback feedback);

/*
 * Normalize the feedback in a standby's message: an epoch without xid means
 * nothing.
 */
extern WsFeedback ws_feedback_normalize(WsFeedback feedback);

/*
 * Combine the feedback of two downstreams, so that it keeps enough for both;
 * an impossible xid is ignored.
 */
extern WsFeedback ws_feedback_older(WsFeedback a, WsFeedback b);

/*
 * Limit feedback to valid xids.  next is at or before the primary's next
 * transaction id; a later xid becomes next, and one that is older than any
 * transaction in use becomes invalid.
 */
extern WsFeedback ws_feedback_limit(WsFeedback told, FullTransactionId next);

/* Returns true if one of the two is older than any transaction in use. */
extern bool ws_feedback_is_too_old(WsFeedback told, FullTransactionId next);

#endif							/* WS_RELAY_FEEDBACK_H */
