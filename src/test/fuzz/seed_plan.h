/*-------------------------------------------------------------------------
 *
 * seed_plan.h
 *	  The format of the inputs of fuzz_plan.
 *
 *	2 bytes: flags
 *	theirs: a history
 *	a position: the upstream's; another one if PLAN_SLOT: its slot's
 *	unless PLAN_NO_WAL:
 *		1 byte: how many timelines less one; for each: 1 byte, how much of its
 *		history is theirs; a history; 1 byte, and unless that is a multiple of
 *		four a position: where its WAL begins
 *		1 byte and a position: one of them, and how far it is stored
 *		1 byte: one of them; if that is another one, a position
 *
 * A history is a byte, how many timelines less one, and for each of them a byte,
 * how much its number is above the last less one, and how far behind the last
 * position it was left.  A position is 2 bytes, in units of 256 bytes.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_SEED_PLAN_H
#define WS_SEED_PLAN_H

#define PLAN_SEGMENT_SIZE	(1024 * 1024)
#define PLAN_PAGE_SIZE		8192

/* The first segment is never stored. */
#define PLAN_LSN(n)			(PLAN_SEGMENT_SIZE + UINT64CONST(256) * (n))

#define PLAN_NO_WAL			0x0001
#define PLAN_STANDBY		0x0002
#define PLAN_COMPARED		0x0004
#define PLAN_EARLIER_IS_GONE 0x0008
#define PLAN_SLOT			0x0010
#define PLAN_SLOT_IS_NEW	0x0020
#define PLAN_FOLLOW			0x0040
#define PLAN_RESTART		0x0080
#define PLAN_WAS_REMOVED	0x0100
#define PLAN_RECORD			0x0200
#define PLAN_SEGMENT		0x0400
#define PLAN_PAGE			0x0800

#endif							/* WS_SEED_PLAN_H */
