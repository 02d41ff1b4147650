/*-------------------------------------------------------------------------
 *
 * feedback.h
 *	  What downstreams want kept on the primary.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_FEEDBACK_H
#define WS_RELAY_FEEDBACK_H

#include "access/transam.h"

/* Rows that these transactions can see are to be kept; invalid: nothing. */
typedef struct WsFeedback
{
	FullTransactionId xmin;
	FullTransactionId catalog_xmin;
} WsFeedback;

extern const WsFeedback ws_feedback_nothing;

extern bool ws_feedback_equals(WsFeedback a, WsFeedback b);
extern bool ws_feedback_is_nothing(WsFeedback feedback);

/* An epoch without xid is nothing. */
extern WsFeedback ws_feedback_normalize(WsFeedback feedback);

/* Of two downstreams' feedback, what keeps enough for both; nonsense for none. */
extern WsFeedback ws_feedback_older(WsFeedback a, WsFeedback b);

/*
 * What of it can be, where next is known to be at or before the next
 * transaction of the primary: nothing is later than that, and what is older than
 * any transaction can be is nothing.
 */
extern WsFeedback ws_feedback_limit(WsFeedback told, FullTransactionId next);

/* Is one of the two older than any transaction can be? */
extern bool ws_feedback_is_too_old(WsFeedback told, FullTransactionId next);

#endif							/* WS_RELAY_FEEDBACK_H */
