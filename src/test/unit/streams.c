/*-------------------------------------------------------------------------
 *
 * streams.c
 *	  A physical stream for tests: an encoder, a decoder, and what has gone
 *	  through them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "streams.h"
#include "tap.h"
#include "testdata.h"
#include "walgen.h"

#define MAX_TIMELINES	16

uint8	   *records;
uint8	   *noise;
uint8	   *prose;

/* The WAL written so far on each timeline, with segments of one size. */
static WalGen timelines[MAX_TIMELINES];
static int	ntimelines = 0;

void
make_data(void)
{
	records = malloc(DATA_SIZE);
	noise = malloc(DATA_SIZE);
	prose = malloc(DATA_SIZE);
	if (records == NULL || noise == NULL || prose == NULL)
		abort();
	fill_records(records, DATA_SIZE, 1);
	fill_random(noise, DATA_SIZE, 2);
	fill_random(prose, DATA_SIZE, 3);
	for (size_t i = 0; i < DATA_SIZE; i++)
		prose[i] = "etaoin shrdlu,\n"[prose[i] % 15];
}

void
free_data(void)
{
	free(records);
	free(noise);
	free(prose);
	for (int i = 0; i < ntimelines; i++)
		walgen_free(&timelines[i]);
	ntimelines = 0;
}

const uint8 *
data_for(WsCodecId id)
{
	return id == WS_CODEC_WALZ ? REAL_WAL : records;
}

/* The WAL at the stream's position; it is written when it is first needed. */
static const uint8 *
real_wal(const Stream *stream, size_t len)
{
	size_t		at = stream->lsn - START_LSN;
	WalGen	   *gen = NULL;

	for (int i = 0; i < ntimelines; i++)
	{
		if (timelines[i].tli == stream->tli &&
			timelines[i].params.wal_segment_size == stream->params.wal_segment_size)
			gen = &timelines[i];
	}
	if (gen == NULL)
	{
		if (ntimelines == MAX_TIMELINES)
			abort();
		gen = &timelines[ntimelines++];
		walgen_init(gen, &stream->params, START_LSN, REAL_WAL_SIZE, stream->tli);
		gen->tli = stream->tli;
	}
	walgen_fill_to(gen, at + len);
	if (stream->lsn < START_LSN || gen->len < at + len)
		abort();
	return gen->buf + at;
}

WsCodecSpec
spec_of(WsCodecId id, int level)
{
	WsCodecSpec spec = {id, level};

	return spec;
}

const char *
name_of(WsCodecId id)
{
	return ws_codec_by_id(id)->name;
}

void
begin_stream(Stream *stream, WsCodecSpec spec, XLogRecPtr start_lsn,
			 uint32 segment_size)
{
	WsAccept	accept = accept_all();

	memset(stream, 0, sizeof(*stream));
	stream->params = stream_params(false, segment_size);
	stream->encoder = ws_encoder_new(&stream->params);
	stream->decoder = ws_decoder_new(&stream->params, &accept);
	stream->lsn = start_lsn;
	stream->tli = 1;
	if (stream->encoder == NULL || stream->decoder == NULL ||
		ws_encoder_begin(stream->encoder, spec, WS_REASON_OFF) != WS_OK)
		abort();
}

void
end_stream(Stream *stream)
{
	ws_encoder_free(stream->encoder);
	ws_decoder_free(stream->decoder);
	clear_messages(&stream->in);
	clear_messages(&stream->wire);
	clear_messages(&stream->out);
}

void
add_wal(Stream *stream, const uint8 *wal, size_t len)
{
	if (wal == REAL_WAL)
		wal = real_wal(stream, len);
	add_stock(&stream->in, stream->lsn, stream->lsn + len + 1000,
			  START_TIME + (int64) stream->in.count * 250, wal, len);
	stream->lsn += len;
}

void
encode_added(Stream *stream, size_t from)
{
	for (size_t i = from; i < stream->in.count; i++)
		encode_message(stream->encoder, &stream->in.items[i], 0, &stream->wire);
}

void
send_wal(Stream *stream, const uint8 *data, size_t total, size_t message_size)
{
	size_t		from = stream->in.count;

	for (size_t pos = 0; pos < total; pos += message_size)
	{
		size_t		at = pos % (DATA_SIZE - message_size + 1);

		add_wal(stream, data == REAL_WAL ? REAL_WAL : data + at,
				Min(message_size, total - pos));
	}
	encode_added(stream, from);
}

bool
decode_stream(Stream *stream)
{
	WsStatus	status = decode_messages(stream->decoder, &stream->wire,
										 &stream->out);

	if (status != WS_OK)
		diag("refused at %llX: %s",
			 (unsigned long long) ws_decoder_position(stream->decoder),
			 ws_status_text(status));
	return status == WS_OK &&
		same_stream(&stream->in, &stream->out, &stream->params);
}

static uint64
count_bytes(const Messages *messages, uint8 type, uint8 other_type)
{
	uint64		bytes = 0;

	for (size_t i = 0; i < messages->count; i++)
	{
		if (messages->items[i].len > 0 &&
			(messages->items[i].bytes[0] == type ||
			 messages->items[i].bytes[0] == other_type))
			bytes += WS_COPYDATA_HEADER + messages->items[i].len;
	}
	return bytes;
}

bool
counts_hold(const Stream *stream)
{
	const WsStreamCounts *sent = ws_encoder_counts(stream->encoder);
	const WsStreamCounts *received = ws_decoder_counts(stream->decoder);

	return sent->raw_bytes == count_bytes(&stream->in, 'w', 'w') &&
		sent->wire_bytes == count_bytes(&stream->wire, 'w', 'Z') &&
		sent->messages == count_type(&stream->in, 'w') &&
		sent->frames == count_type(&stream->wire, 'Z') &&
		sent->codec_failures == 0 &&
		received->raw_bytes == count_bytes(&stream->out, 'w', 'w') &&
		received->wire_bytes == sent->wire_bytes &&
		received->messages == count_type(&stream->out, 'w') &&
		received->frames == sent->frames;
}
