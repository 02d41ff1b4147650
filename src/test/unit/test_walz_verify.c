/*-------------------------------------------------------------------------
 *
 * test_walz_verify.c
 *	  Streams are correct although their walz encoder has a fault.
 *
 * Tests are compiled with WS_WALZ_VERIFY, so that an encoder decodes
 * everything that it encodes.  The linker replaces walz's own encoding by the
 * function below, which calls it: so an encoder's memory or output can be
 * changed secretly, as a fault would.
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/walz/piece.h"
#include "streams.h"
#include "tap.h"

/* What is changed, and when. */
typedef enum Fault
{
	FAULT_XID,
	FAULT_TIME,
	FAULT_BODY,
	FAULT_RELATION,
	FAULT_GUESS,
	FAULT_OUTPUT,
	FAULT_MORE_OUTPUT
} Fault;

static const char *const fault_names[] = {
	"the highest xid", "the last time", "a class's last body",
	"a relation's blocks", "a probability", "a byte of the output",
	"a byte more of output"
};

static Fault fault;
static int	calls_until_fault;	/* 0: none */
static int	faults;

extern WsStatus __real_ws_walz_encode(WsWalz *walz, const uint8 *src,
									  size_t src_len, uint8 *dst,
									  size_t dst_size, size_t *dst_len);
extern WsStatus __wrap_ws_walz_encode(WsWalz *walz, const uint8 *src,
									  size_t src_len, uint8 *dst,
									  size_t dst_size, size_t *dst_len);

static void
change_memory(WsWalz *walz)
{
	WsWalzModel *model = walz->model;

	switch (fault)
	{
		case FAULT_XID:
			model->max_xid += 3;
			for (int i = 0; i < WZ_XIDS; i++)
				model->xids[i] += 3;
			break;
		case FAULT_TIME:
			model->last_time += 1000;
			break;
		case FAULT_BODY:
			for (int i = 0; i < model->nclasses; i++)
				model->classes[i].last[WZ_BODY_BLOCKS * 6 + 2]++;
			break;
		case FAULT_RELATION:
			for (int i = 0; i < WZ_RELATIONS; i++)
				model->relations[i].recent[0]++;
			break;
		case FAULT_GUESS:
			for (int i = 0; i < WZ_GUESSES; i++)
				walz->io.tables->guesses[i].again /= 2;
			break;
		default:
			break;
	}
}

WsStatus
__wrap_ws_walz_encode(WsWalz *walz, const uint8 *src, size_t src_len,
					  uint8 *dst, size_t dst_size, size_t *dst_len)
{
	bool		now = calls_until_fault > 0 && --calls_until_fault == 0;
	WsStatus	status;

	if (now)
	{
		faults++;
		change_memory(walz);
	}
	status = __real_ws_walz_encode(walz, src, src_len, dst, dst_size, dst_len);
	if (now && status == WS_OK)
	{
		if (fault == FAULT_OUTPUT)
			dst[*dst_len / 2] ^= 0x10;
		else if (fault == FAULT_MORE_OUTPUT)
			dst[(*dst_len)++] = 1;
	}
	return status;
}

static WsFrameHeader
parse_frame(const Message *message)
{
	WsFrameHeader header;
	size_t		header_len;

	if (ws_frame_header_decode(message->bytes, message->len, &header,
							   &header_len) != WS_OK)
		abort();
	return header;
}

/*
 * A fault may have an effect only later, when the model uses what was changed:
 * so the frame that is sent raw may be that of a later message.
 */
static void
test_fault(size_t message_size)
{
	Stream		stream;
	const WsStreamCounts *counts;
	size_t		from;
	size_t		raw_frames = 0;
	bool		restarted = true;

	begin_stream(&stream, spec_of(WS_CODEC_WALZ, 1), START_LSN, SEGMENT_SIZE);
	counts = ws_encoder_counts(stream.encoder);
	take_encoded(stream.encoder, &stream.wire);
	send_wal(&stream, REAL_WAL, MB / 2, message_size);
	is(counts->codec_failures, 0, "%s, messages of %zu bytes: all is well until",
	   fault_names[fault], message_size);

	faults = 0;
	calls_until_fault = 3;
	from = stream.wire.count;
	send_wal(&stream, REAL_WAL, MB / 2, message_size);
	is(faults, 1, "it is changed");
	is(counts->codec_failures, 1, "which is noticed, once");
	for (size_t i = from; i < stream.wire.count; i++)
	{
		if (parse_frame(&stream.wire.items[i]).codec != WS_CODEC_NONE)
			continue;
		raw_frames++;
		if (i + 1 < stream.wire.count)
			restarted &= parse_frame(&stream.wire.items[i + 1]).restart;
	}
	ok(raw_frames == 1 && restarted,
	   "one frame goes out as it is, and the codec restarts after it");

	from = stream.wire.count;
	send_wal(&stream, REAL_WAL, MB / 2, message_size);
	is(counts->codec_failures, 1, "later messages are well");
	raw_frames = 0;
	for (size_t i = from; i < stream.wire.count; i++)
		raw_frames += parse_frame(&stream.wire.items[i]).codec == WS_CODEC_NONE;
	is(raw_frames, 0, "and encoded");
	ok(decode_stream(&stream), "and all comes back");
	end_stream(&stream);
}

int
main(void)
{
	static const size_t sizes[] = {2000, 8192, 131072};

	make_data();
	for (fault = FAULT_XID; fault <= FAULT_MORE_OUTPUT; fault++)
	{
		for (size_t i = 0; i < lengthof(sizes); i++)
		{
			/* the form with zstd has no probabilities */
			if (fault == FAULT_GUESS && sizes[i] > 16384)
				continue;
			test_fault(sizes[i]);
		}
	}
	free_data();
	return done_testing();
}
