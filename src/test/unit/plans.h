/*-------------------------------------------------------------------------
 *
 * plans.h
 *	  A relay's plan as text, to be compared and read.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PLANS_H
#define WS_PLANS_H

#include "pure/relay/plan.h"

/* Everything in a plan, in at most size bytes. */
extern void plan_text(const WsPlanInput *input, const WsPlan *plan,
					  char *text, size_t size);

#endif							/* WS_PLANS_H */
