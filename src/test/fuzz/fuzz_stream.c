/*-------------------------------------------------------------------------
 *
 * fuzz_stream.c
 *	  Fuzz target: everything that goes into an encoder comes out of a decoder;
 *	  if a byte of a frame is changed, it still does, or is refused.
 *
 * First byte: bit 0 logical stream; bit 1 segments of 64 kB instead of 1 MB;
 * bits 2-3 codec.  Second: level.  Third to fifth: which byte of the frames,
 * joined, is changed, and sixth: how.  Then steps:
 *
 *		size	field
 *		1		kind
 *		2		a number n
 *		rest	kind 0-3: WAL or a row; n its length; another byte: which
 *				bytes (below 128: those that follow, n % 64 of them, repeated;
 *				else made by that seed)
 *				kind 4: flush
 *				kind 5: keepalive
 *				kind 6: any message; n % 64 bytes that follow
 *				kind 7: change to codec n % 3, level n / 3 % 8
 *				kind 8: the time goes on by n microseconds
 *				kind 9: a row without position, or WAL of 3 * n bytes
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "messages.h"
#include "testdata.h"

#define FIRST_LSN	UINT64CONST(0x2A00FF00)

/* Limit of the WAL of one input, so that none takes seconds. */
#define MAX_TOTAL	(2 * 1024 * 1024)

typedef struct Target
{
	WsCodecParams params;
	WsEncoder  *encoder;
	XLogRecPtr	lsn;
	int64		now_us;
	size_t		total;
	Messages	in;
	Messages	wire;
} Target;

static void
put_last(Target *target)
{
	encode_message(target->encoder, &target->in.items[target->in.count - 1],
				   target->now_us, &target->wire);
}

static void
put_data(Target *target, FuzzInput *input, size_t len, bool with_position)
{
	uint32		how = take_number(input, 1);
	uint8	   *body = malloc(len > 0 ? len : 1);
	int64		send_time = target->now_us * 3 - (int64) how;

	target->total += len;
	if (how < 128)
	{
		size_t		got;
		const uint8_t *bytes = take_bytes(input, len % 64, &got);

		for (size_t i = 0; i < len; i++)
			body[i] = got > 0 ? bytes[i % got] : how;
	}
	else if (how < 192)
		fill_random(body, len, how);
	else
		fill_records(body, len, how);

	if (with_position)
		add_stock(&target->in, target->lsn, target->lsn + how * 1000, send_time,
				  body, len);
	else
		add_stock(&target->in, 0, target->lsn, send_time, body, len);
	target->lsn += len;
	put_last(target);
	free(body);
}

static void
run_step(Target *target, FuzzInput *input)
{
	uint32		kind = take_number(input, 1) % 10;
	uint32		n = take_number(input, 2);
	WsCodecSpec spec;
	size_t		got;
	const uint8_t *bytes;

	switch (kind)
	{
		case 4:
			ws_encoder_flush(target->encoder);
			take_encoded(target->encoder, &target->wire);
			break;
		case 5:
			add_keepalive(&target->in, target->lsn);
			put_last(target);
			break;
		case 6:
			bytes = take_bytes(input, n % 64, &got);

			/* data of a physical stream must be contiguous */
			if (!target->params.logical && got > WS_STOCK_HEADER &&
				bytes[0] == WS_STOCK_TYPE)
				break;

			/*
			 * our own types, and those that differ from them in one bit, are
			 * refused
			 */
			if (got > 0 && (bytes[0] < 'a' || bytes[0] > 'y'))
				break;
			add_message(&target->in, bytes, got);
			put_last(target);
			break;
		case 7:
			spec.id = (WsCodecId) (n % 3);
			spec.level = (int) (n / 3 % 8) - 1;
			ws_encoder_change(target->encoder, spec, WS_REASON_OFF);
			break;
		case 8:
			target->now_us += n;
			break;
		case 9:
			put_data(target, input, target->params.logical ? n : 3 * n,
					 !target->params.logical);
			break;
		default:
			put_data(target, input, n, true);
			break;
	}
}

/* Returns true if wire decodes to all of in. *decoded gets the output. */
static WsStatus
decode(const Target *target, Messages *decoded)
{
	WsAccept	accept = accept_all();
	WsDecoder  *decoder = ws_decoder_new(&target->params, &accept);
	WsStatus	status;

	REQUIRE(decoder != NULL);
	status = decode_messages(decoder, &target->wire, decoded);
	ws_decoder_free(decoder);
	return status;
}

/*
 * Change the n-th byte of all frames by these bits, but only one bit of a
 * frame's type: with more changed, the byte is the type of another message.
 */
static bool
change_frame(Target *target, size_t n, uint8 bits)
{
	if (bits == 0)
		return false;
	for (size_t i = 0; i < target->wire.count; i++)
	{
		Message    *message = &target->wire.items[i];

		if (message->len == 0 || message->bytes[0] != WS_FRAME_TYPE)
			continue;
		if (n < message->len)
		{
			if (n == 0)
				bits &= ~bits + 1;
			message->bytes[n] ^= bits;
			return true;
		}
		n -= message->len;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	uint32		flags = take_number(&input, 1);
	WsCodecSpec spec;
	size_t		changed_byte;
	uint8		changed_bits;
	Target		target = {.lsn = FIRST_LSN};
	Messages	decoded = {0};
	Messages	decoded_changed = {0};

	spec.id = (WsCodecId) ((flags >> 2 & 3) % 3);
	spec.level = (int) take_number(&input, 1) % 8 - 1;
	changed_byte = take_number(&input, 3);
	changed_bits = take_number(&input, 1);
	target.params = stream_params(flags & 1, flags & 2 ? 65536 : 1024 * 1024);
	target.encoder = ws_encoder_new(&target.params);
	REQUIRE(target.encoder != NULL);
	REQUIRE(ws_encoder_begin(target.encoder, spec, WS_REASON_OFF) == WS_OK);
	take_encoded(target.encoder, &target.wire);

	while (input.len > 0 && target.total < MAX_TOTAL)
		run_step(&target, &input);
	ws_encoder_flush(target.encoder);
	take_encoded(target.encoder, &target.wire);
	REQUIRE(!ws_encoder_pending(target.encoder, NULL));
	REQUIRE(ws_encoder_counts(target.encoder)->codec_failures == 0);
	ws_encoder_free(target.encoder);

	REQUIRE(decode(&target, &decoded) == WS_OK);
	if (target.params.logical)
		REQUIRE(same_messages(&target.in, &decoded));
	else
		REQUIRE(same_stream(&target.in, &decoded, &target.params));

	if (change_frame(&target, changed_byte, changed_bits))
	{
		REQUIRE(decode(&target, &decoded_changed) != WS_OK);

		/* the output before the failure is correct */
		REQUIRE(decoded_changed.count < decoded.count);
		for (size_t i = 0; i < decoded_changed.count; i++)
			REQUIRE(same_message(&decoded.items[i], &decoded_changed.items[i]));
	}

	clear_messages(&target.in);
	clear_messages(&target.wire);
	clear_messages(&decoded);
	clear_messages(&decoded_changed);
	return 0;
}
