/*-------------------------------------------------------------------------
 *
 * intake.h
 *	  What a receiver makes of the messages of a stream for which compression
 *	  was asked: what it hands on, what it shows and says of it, and how it
 *	  reports what it refuses.
 *
 * All that a peer's bytes can decide is decided here, so that it can be tried
 * without a server; receiver.c reads the messages and carries out the rest.
 *
 *		status = ws_intake_put(intake, message, len, now_ns, &news);
 *		... report a failure, or show the news ...
 *		while (ws_intake_next(intake, &out, &out_len))
 *			hand on
 *
 * At most one message in a row gives nothing.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WIRE_INTAKE_H
#define WS_PURE_WIRE_INTAKE_H

#include "pure/wire/decoder.h"

/*
 * An upstream that changes its mind with each message shall not fill the log:
 * there are at most so many lines in such a time.  What could not be told is
 * told after it, if it still holds.
 */
#define WS_INTAKE_LOG_LINES		10
#define WS_INTAKE_LOG_NS		(UINT64CONST(60) * 1000000000)

typedef struct WsIntake WsIntake;

/* What has become known of the stream with a message. */
typedef struct WsIntakeNews
{
	bool		show;			/* something has: it is to be shown */
	bool		log;			/* and a line written */
	bool		stock;			/* the peer has no walstream; if it does: */
	WsCodecSpec spec;			/* what it codes with, WS_CODEC_NONE and */
	WsNoCodecReason reason;		/* the reason if it does not */
} WsIntakeNews;

/* Why a message was refused: words for a report, none of which is NULL. */
typedef struct WsIntakeFailure
{
	bool		memory;			/* nothing is wrong but that */
	XLogRecPtr	lsn;			/* where the stream stood; 0 if not known */
	const char *codec;
	const char *reason;
} WsIntakeFailure;

/* As for ws_decoder_new(). */
extern WsIntake *ws_intake_new(const WsCodecParams *stream,
							   const WsAccept *asked);
extern void ws_intake_free(WsIntake *intake);	/* NULL is allowed */

/* A COPY begins. */
extern void ws_intake_begin(WsIntake *intake);

/* As for ws_decoder_put(); *news is set with WS_OK. */
extern WsStatus ws_intake_put(WsIntake *intake, const uint8 *message,
							  size_t len, uint64 now_ns, WsIntakeNews *news);

/* As for ws_decoder_next(). */
extern bool ws_intake_next(WsIntake *intake, const uint8 **out,
						   size_t *out_len);

/* After put has returned this status, not WS_OK. */
extern void ws_intake_describe(const WsIntake *intake, WsStatus status,
							   WsIntakeFailure *failure);

extern XLogRecPtr ws_intake_position(const WsIntake *intake);
extern const WsStreamCounts *ws_intake_counts(const WsIntake *intake);

/*
 * Bytes that have been decoded since the last call of ws_intake_note_good(),
 * NULL allowed.
 */
extern uint64 ws_intake_good_bytes(const WsIntake *intake);
extern void ws_intake_note_good(WsIntake *intake);

#endif							/* WS_PURE_WIRE_INTAKE_H */
