/*-------------------------------------------------------------------------
 *
 * walgen.h
 *	  WAL to test with: valid records on valid pages, the same in every run.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_WALGEN_H
#define WS_WALGEN_H

#include "pure/codec/codec.h"

/* The maximal length of what follows a record's header. */
#define WALGEN_MAX_BODY		(300 * 1024)

/* WAL that is being written; buf[0] has the position start. */
typedef struct WalGen
{
	WsCodecParams params;
	uint8	   *buf;
	size_t		size;
	size_t		len;			/* written */
	XLogRecPtr	start;
	XLogRecPtr	prev;			/* start of the last record */
	uint32		tli;
	bool		full;			/* the last record did not fit, and was not
								 * written; nothing is any more */
	uint64		seed;
	uint32		xid;			/* of the last transaction; may be set */
	uint64		time;
	uint32		block;			/* where the next row goes to */
	uint16		offset;
	int			break_pages;	/* see walgen_break */
	int			overwritten;	/* records that were broken off */
	size_t		nends;			/* where records end */
	size_t		max_ends;
	size_t	   *ends;
} WalGen;

/* start must be a multiple of the block size.  Free with walgen_free(). */
extern void walgen_init(WalGen *gen, const WsCodecParams *params,
						XLogRecPtr start, size_t size, uint64 seed);
extern void walgen_free(WalGen *gen);

/*
 * Write a record: body has the len bytes after its header; the header is
 * completed, and the record written to as many pages as it needs.
 */
extern void walgen_record(WalGen *gen, uint32 xid, uint8 info, uint8 rmid,
						  const uint8 *body, uint32 len);

/*
 * The next record that continues on another page is broken off at the end of
 * its n-th page, and overwritten as PostgreSQL does after a crash.
 */
extern void walgen_break(WalGen *gen, int pages);

/*
 * Write transactions that insert, update, index and commit, and now and then a
 * page image, a long row, or a record of a rare kind, until the buffer is
 * full.
 */
extern void walgen_fill(WalGen *gen);

/* The same until len bytes are written. */
extern void walgen_fill_to(WalGen *gen, size_t len);

/* Like walgen_fill(), without page images and long rows. */
extern void walgen_fill_small(WalGen *gen);

/* A heap page with many rows; page has 8192 bytes. */
extern void walgen_page(WalGen *gen, uint8 *page, int rows, int width);

/* One block reference with an image of page, and main data of two bytes. */
extern void walgen_image(WalGen *gen, uint32 block, const uint8 *page);

/* At most 32 pages, from this block on, logged as an index build does. */
extern void walgen_images(WalGen *gen, int n, uint32 block, int rows, int width);

/* Rows as COPY logs them, in one record. */
extern void walgen_rows(WalGen *gen, int rows);

/* Returns a number from 0 to below - 1. */
extern uint32 walgen_random(WalGen *gen, uint32 below);

#endif							/* WS_WALGEN_H */
