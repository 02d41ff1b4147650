/*-------------------------------------------------------------------------
 *
 * fuzz_intake.c
 *	  Fuzz target: what a receiver decides about arbitrary messages.
 *
 * First byte: bit 0 logical stream; bit 1 segments of 64 kB instead of 16 MB.
 * Then steps:
 *
 *		size	field
 *		1		kind
 *		2		length of what follows
 *		rest	kind 0, 6 and up: the message as it is
 *				kind 1: a hello for the stream; first byte: the codec, second:
 *				the level, third: the reason
 *				kind 2: data; first byte: bit 0 restart, bit 1 not a frame;
 *				rest: WAL or a row's body
 *				kind 3: a COPY begins
 *				kind 4: time goes on; first two bytes: seconds
 *				kind 5: the receiver ends; first byte: bit 0 in a crash, bit 1
 *				the setting is changed
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "messages.h"
#include "pure/failures.h"
#include "pure/wire/intake.h"

#define KIND_HELLO	1
#define KIND_DATA	2
#define KIND_BEGIN	3
#define KIND_TIME	4
#define KIND_END	5

#define FIRST_LSN	UINT64CONST(0x2A00FF00)

typedef struct Target
{
	WsCodecParams params;
	WsIntake   *intake;			/* NULL while compression is suspended */
	bool		failed;			/* nothing more is accepted */
	bool		gave_nothing;	/* the last message yielded nothing */
	uint64		frame_number;	/* of the next frame */
	XLogRecPtr	lsn;

	uint64		now_ns;
	uint64		connected_ns;
	uint64		log_lines;		/* since then */

	/* failures of the stream, and what they should be */
	WsFailures	failures;
	uint32		setting;
	int			in_a_row;
	uint64		good_bytes;
} Target;

static int64
now_us(const Target *target)
{
	return (int64) (target->now_ns / 1000);
}

static void
begin(Target *target)
{
	if (target->intake != NULL)
		ws_intake_begin(target->intake);
	target->failed = false;
	target->gave_nothing = false;
	target->frame_number = 0;
	target->lsn = FIRST_LSN;
}

/* Ask for compression again, unless that is suspended. */
static void
connect_again(Target *target)
{
	WsAccept	asked = accept_all();

	if (target->intake != NULL ||
		ws_failures_suspend(&target->failures, target->setting, now_us(target)))
		return;
	target->intake = ws_intake_new(&target->params, &asked);
	REQUIRE(target->intake != NULL);
	target->connected_ns = target->now_ns;
	target->log_lines = 0;
	begin(target);
}

/* The process ends, with a failure or normally. */
static void
end(Target *target, bool in_failure)
{
	uint64		good = ws_intake_good_bytes(target->intake);

	if (target->intake == NULL)
		return;
	ws_intake_note_good(target->intake);
	REQUIRE(ws_intake_good_bytes(target->intake) == 0);
	ws_intake_free(target->intake);
	target->intake = NULL;
	target->good_bytes += good;

	if (in_failure)
	{
		bool		suspended = ws_failures_add(&target->failures, good,
												target->setting, now_us(target));

		if (target->good_bytes >= WS_FAILURES_GOOD_BYTES ||
			target->in_a_row == WS_FAILURES_SUSPEND)
			target->in_a_row = 0;
		target->in_a_row++;
		target->good_bytes = 0;
		REQUIRE(suspended == (target->in_a_row == WS_FAILURES_SUSPEND));
	}
	else
		ws_failures_add_good(&target->failures, good);
	REQUIRE(ws_failures_suspend(&target->failures, target->setting, now_us(target)) ==
			(target->in_a_row == WS_FAILURES_SUSPEND &&
			 now_us(target) - target->failures.last_us < WS_FAILURES_SUSPEND_US));
}

static void
check_failure(Target *target, WsStatus status)
{
	WsIntakeFailure failure;

	ws_intake_describe(target->intake, status, &failure);
	REQUIRE(failure.codec != NULL && strlen(failure.codec) > 0);
	REQUIRE(failure.reason != NULL && strlen(failure.reason) > 0);
	REQUIRE(failure.memory == (status == WS_E_MEMORY));
}

static void
check_news(Target *target, const WsIntakeNews *news)
{
	if (news->log)
		target->log_lines++;
	REQUIRE(target->log_lines <= WS_INTAKE_LOG_LINES *
			(1 + (target->now_ns - target->connected_ns) / WS_INTAKE_LOG_NS));
	if (news->stock)
		REQUIRE(news->spec.id == WS_CODEC_NONE);
	if (news->spec.id != WS_CODEC_NONE)
		REQUIRE(ws_codec_by_id(news->spec.id) != NULL);
	REQUIRE(strlen(ws_reason_text(news->reason)) > 0);
}

/* Returns whether the message was accepted. */
static bool
put_message(Target *target, const uint8 *bytes, size_t len)
{
	uint8	   *message = calloc(1, len > 0 ? len : 1);
	WsIntakeNews news;
	WsStatus	status;
	const uint8 *out;
	size_t		out_len;
	int			given = 0;
	bool		is_frame;

	if (target->intake == NULL)
	{
		free(message);
		return false;
	}
	if (len > 0)
		memcpy(message, bytes, len);
	status = ws_intake_put(target->intake, message, len, target->now_ns, &news);
	is_frame = len > 0 && message[0] == WS_FRAME_TYPE;
	if (target->failed)
		REQUIRE(status == WS_E_FAILED);

	if (status == WS_OK)
		check_news(target, &news);
	else
	{
		REQUIRE(!news.show && !news.log);
		check_failure(target, status);
		target->failed = true;
	}
	while (ws_intake_next(target->intake, &out, &out_len))
	{
		REQUIRE(status == WS_OK);
		REQUIRE(!is_frame || (out_len >= WS_STOCK_HEADER && out[0] == WS_STOCK_TYPE));
		given++;
	}

	/* a receiver must never be made to wait */
	if (status == WS_OK)
	{
		REQUIRE(given > 0 || !target->gave_nothing);
		target->gave_nothing = given == 0;
		if (is_frame)
			target->frame_number++;
	}
	free(message);

	/* as receiver.c does */
	if (status != WS_OK && status != WS_E_FAILED)
	{
		end(target, true);
		connect_again(target);
	}
	return status == WS_OK;
}

static void
put_hello(Target *target, FuzzInput *input)
{
	WsHello		hello = {
		.version = WS_PROTOCOL_VERSION,
		.stream = target->params
	};
	uint8		buf[WS_HELLO_SIZE];

	hello.codec = (WsCodecId) (take_number(input, 1) % 8);
	hello.level = (int8) take_number(input, 1);
	hello.reason = (WsNoCodecReason) take_number(input, 1);
	ws_hello_encode(&hello, buf);
	(void) put_message(target, buf, sizeof(buf));
}

/* A frame that is not encoded, or a stock message, with this WAL or row. */
static void
put_data(Target *target, FuzzInput *input)
{
	uint32		flags = take_number(input, 1);
	size_t		len;
	const uint8_t *body = take_bytes(input, PG_UINT16_MAX, &len);
	WsStockHeader stock = {target->lsn, target->lsn, 0};
	WsFrameHeader header = {
		.batch = target->params.logical,
		.restart = flags & 1,
		.start_lsn = target->lsn
	};
	uint8	   *buf = malloc(WS_FRAME_HEADER_MAX + WS_ROW_HEADER_MAX + len);
	uint8	   *content = malloc(WS_ROW_HEADER_MAX + len);
	uint8		stock_header[WS_STOCK_HEADER];
	WsRowBase	base = {0};
	size_t		content_len = 0;
	size_t		header_len;
	pg_crc32c	crc;

	REQUIRE(buf != NULL && content != NULL);
	ws_stock_header_encode(&stock, stock_header);
	if (flags & 2)
	{
		memcpy(buf, stock_header, WS_STOCK_HEADER);
		header_len = WS_STOCK_HEADER;
		memcpy(buf + header_len, body, len);
		content_len = len;
	}
	else
	{
		if (header.batch)
		{
			header.restart = true;
			content_len = ws_frame_row_encode(&base, &stock, len, content);
			INIT_CRC32C(crc);
			crc = ws_frame_row_crc(crc, stock_header, body, len);
		}
		else
			crc = ws_frame_content_crc(target->lsn, body, len);
		if (len > 0)
			memcpy(content + content_len, body, len);
		content_len += len;
		header.raw_len = content_len;
		header_len = ws_frame_header_encode(&header, target->frame_number, crc,
											content, content_len, buf);
		memcpy(buf + header_len, content, content_len);
	}
	if (put_message(target, buf, header_len + content_len))
		target->lsn += len;
	free(content);
	free(buf);
}

static void
run_step(Target *target, uint32 kind, FuzzInput *input)
{
	uint32		how;

	switch (kind)
	{
		case KIND_HELLO:
			put_hello(target, input);
			break;
		case KIND_DATA:
			put_data(target, input);
			break;
		case KIND_BEGIN:
			begin(target);
			break;
		case KIND_TIME:
			target->now_ns += take_number(input, 2) * UINT64CONST(1000000000);
			connect_again(target);
			break;
		case KIND_END:
			how = take_number(input, 1);
			end(target, how & 1);
			if (how & 2)
			{
				target->setting++;
				target->in_a_row = 0;
			}
			connect_again(target);
			break;
		default:
			(void) put_message(target, input->data, input->len);
			break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	uint32		flags = take_number(&input, 1);
	Target		target = {.setting = 1};

	target.params = stream_params(flags & 1, flags & 2 ? 65536 : 16 * 1024 * 1024);
	connect_again(&target);
	REQUIRE(target.intake != NULL);
	while (input.len > 0)
	{
		uint32		kind = take_number(&input, 1);
		size_t		announced = take_number(&input, 2);
		FuzzInput	step;

		step.data = take_bytes(&input, announced, &step.len);
		run_step(&target, kind, &step);
	}
	ws_intake_free(target.intake);
	return 0;
}
