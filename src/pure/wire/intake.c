/*-------------------------------------------------------------------------
 *
 * intake.c
 *	  Decodes the messages of a stream for which compression was asked, and
 *	  decides what to report.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/wire/intake.h"

/* What has been logged of a stream. */
typedef struct Saying
{
	bool		anything;
	bool		stock;
	WsCodecSpec spec;
	WsNoCodecReason reason;
} Saying;

struct WsIntake
{
	WsDecoder  *decoder;
	uint64		noted_bytes;	/* decoded bytes noted as good */

	/* of this COPY */
	Saying		shown;
	Saying		logged;

	/* lines in the log, and since when they are counted, over all COPYs */
	int			log_lines;
	uint64		log_since_ns;
};

WsIntake *
ws_intake_new(const WsCodecParams *stream, const WsAccept *asked)
{
	WsIntake   *intake = calloc(1, sizeof(WsIntake));

	if (intake == NULL)
		return NULL;
	intake->decoder = ws_decoder_new(stream, asked);
	if (intake->decoder == NULL)
	{
		free(intake);
		return NULL;
	}
	return intake;
}

void
ws_intake_free(WsIntake *intake)
{
	if (intake == NULL)
		return;
	ws_decoder_free(intake->decoder);
	free(intake);
}

void
ws_intake_begin(WsIntake *intake)
{
	ws_decoder_begin(intake->decoder);
	memset(&intake->shown, 0, sizeof(Saying));
	memset(&intake->logged, 0, sizeof(Saying));
}

/* Determine the news; the peer is known after the first message. */
static Saying
find_saying(const WsIntake *intake)
{
	const WsHello *hello = ws_decoder_hello(intake->decoder);
	Saying		saying = {0};

	saying.anything = true;
	saying.stock = hello == NULL;
	if (hello != NULL)
	{
		saying.spec.id = hello->codec;
		saying.spec.level = hello->level;
		saying.reason = hello->reason;
	}
	return saying;
}

static bool
same_saying(const Saying *a, const Saying *b)
{
	return a->anything == b->anything && a->stock == b->stock &&
		a->spec.id == b->spec.id && a->spec.level == b->spec.level &&
		a->reason == b->reason;
}

/* Returns true if one more line may go to the log. */
static bool
may_log(WsIntake *intake, uint64 now_ns)
{
	if (intake->log_lines == 0 ||
		now_ns - intake->log_since_ns >= WS_INTAKE_LOG_NS)
	{
		intake->log_lines = 0;
		intake->log_since_ns = now_ns;
	}
	if (intake->log_lines >= WS_INTAKE_LOG_LINES)
		return false;
	intake->log_lines++;
	return true;
}

static void
find_news(WsIntake *intake, uint64 now_ns, WsIntakeNews *news)
{
	Saying		saying = find_saying(intake);

	news->show = !same_saying(&saying, &intake->shown);
	news->log = !same_saying(&saying, &intake->logged) &&
		may_log(intake, now_ns);
	if (news->log)
		intake->logged = saying;
	intake->shown = saying;
	news->stock = saying.stock;
	news->spec = saying.spec;
	news->reason = saying.reason;
}

WsStatus
ws_intake_put(WsIntake *intake, const uint8 *message, size_t len,
			  uint64 now_ns, WsIntakeNews *news)
{
	WsStatus	status = ws_decoder_put(intake->decoder, message, len);

	memset(news, 0, sizeof(*news));
	if (status == WS_OK)
		find_news(intake, now_ns, news);
	return status;
}

bool
ws_intake_next(WsIntake *intake, const uint8 **out, size_t *out_len)
{
	return ws_decoder_next(intake->decoder, out, out_len);
}

void
ws_intake_describe(const WsIntake *intake, WsStatus status,
				   WsIntakeFailure *failure)
{
	failure->memory = status == WS_E_MEMORY;
	failure->lsn = ws_decoder_position(intake->decoder);
	failure->codec = ws_codec_name(ws_decoder_codec(intake->decoder));
	failure->reason = ws_status_text(status);
}

XLogRecPtr
ws_intake_position(const WsIntake *intake)
{
	return ws_decoder_position(intake->decoder);
}

const WsStreamCounts *
ws_intake_counts(const WsIntake *intake)
{
	return ws_decoder_counts(intake->decoder);
}

uint64
ws_intake_good_bytes(const WsIntake *intake)
{
	if (intake == NULL)
		return 0;
	return ws_intake_counts(intake)->raw_bytes - intake->noted_bytes;
}

void
ws_intake_note_good(WsIntake *intake)
{
	if (intake != NULL)
		intake->noted_bytes = ws_intake_counts(intake)->raw_bytes;
}
