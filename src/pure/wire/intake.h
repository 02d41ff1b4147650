/*-------------------------------------------------------------------------
 *
 * intake.h
 *	  Decodes the messages of a stream for which compression was asked, and
 *	  decides what to show, log and report of it.
 *
 * Everything that depends on a peer's bytes is decided here, so that it can be
 * tested without a server; receiver.c reads the messages and acts on the
 * decisions.
 *
 *		status = ws_intake_put(intake, message, len, now_ns, &news);
 *		... report a failure, or show the news ...
 *		while (ws_intake_next(intake, &out, &out_len))
 *			hand on
 *
 * Two messages in a row never both yield nothing.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WIRE_INTAKE_H
#define WS_PURE_WIRE_INTAKE_H

#include "pure/wire/decoder.h"

/*
 * Limits the lines in the log for an upstream that changes its codec with each
 * message: at most this many lines in this time.  A change that could not be
 * logged is logged afterwards, if it still holds.
 */
#define WS_INTAKE_LOG_LINES		10
#define WS_INTAKE_LOG_NS		(UINT64CONST(60) * 1000000000)

typedef struct WsIntake WsIntake;

/* What a message has revealed about the stream. */
typedef struct WsIntakeNews
{
	bool		show;			/* there is something to show */
	bool		log;			/* and a line to log */
	bool		stock;			/* the peer has no walstream; if it has: */
	WsCodecSpec spec;			/* its codec, or WS_CODEC_NONE and */
	WsNoCodecReason reason;		/* the reason for none */
} WsIntakeNews;

/* Texts for the report of a refused message, none of which is NULL. */
typedef struct WsIntakeFailure
{
	bool		memory;			/* memory is short, and nothing else is wrong */
	XLogRecPtr	lsn;			/* the stream's position; 0 if not known */
	const char *codec;
	const char *reason;
} WsIntakeFailure;

/* See ws_decoder_new(). */
extern WsIntake *ws_intake_new(const WsCodecParams *stream,
							   const WsAccept *asked);
extern void ws_intake_free(WsIntake *intake);	/* NULL is allowed */

/* Begin a COPY. */
extern void ws_intake_begin(WsIntake *intake);

/* See ws_decoder_put().  With WS_OK, *news is set. */
extern WsStatus ws_intake_put(WsIntake *intake, const uint8 *message,
							  size_t len, uint64 now_ns, WsIntakeNews *news);

/* See ws_decoder_next(). */
extern bool ws_intake_next(WsIntake *intake, const uint8 **out,
						   size_t *out_len);

/* Describe a failure, after put has returned this status. */
extern void ws_intake_describe(const WsIntake *intake, WsStatus status,
							   WsIntakeFailure *failure);

extern XLogRecPtr ws_intake_position(const WsIntake *intake);
extern const WsStreamCounts *ws_intake_counts(const WsIntake *intake);

/*
 * Returns the bytes decoded since the last call of ws_intake_note_good().
 * NULL is allowed.
 */
extern uint64 ws_intake_good_bytes(const WsIntake *intake);
extern void ws_intake_note_good(WsIntake *intake);

#endif							/* WS_PURE_WIRE_INTAKE_H */
