/*-------------------------------------------------------------------------
 *
 * test_intake.c
 *	  What a receiver shows and logs about a stream, and what it says about a
 *	  failure.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "messages.h"
#include "pure/wire/intake.h"
#include "tap.h"

#define MB			(1024 * 1024)
#define SECOND_NS	UINT64CONST(1000000000)

static WsCodecParams params;
static XLogRecPtr lsn = UINT64CONST(0x2A000010);

static WsIntake *
new_intake(void)
{
	WsAccept	accept = accept_all();

	params = stream_params(false, MB);
	return ws_intake_new(&params, &accept);
}

/* Pass one message, and ignore its output. */
static WsStatus
put(WsIntake *intake, const uint8 *message, size_t len, uint64 now_ns,
	WsIntakeNews *news)
{
	WsStatus	status = ws_intake_put(intake, message, len, now_ns, news);
	const uint8 *out;
	size_t		out_len;

	while (ws_intake_next(intake, &out, &out_len))
		;
	return status;
}

static WsStatus
put_hello(WsIntake *intake, WsCodecId codec, int level, uint64 now_ns,
		  WsIntakeNews *news)
{
	WsHello		hello = {
		.version = WS_PROTOCOL_VERSION,
		.codec = codec,
		.level = level,
		.stream = params
	};
	uint8		buf[WS_HELLO_SIZE];

	ws_hello_encode(&hello, buf);
	return put(intake, buf, sizeof(buf), now_ns, news);
}

/* Pass one byte of WAL as a stock message. */
static WsStatus
put_wal(WsIntake *intake, uint64 now_ns, WsIntakeNews *news)
{
	WsStockHeader header = {lsn, lsn, 0};
	uint8		buf[WS_STOCK_HEADER + 1] = {0};

	ws_stock_header_encode(&header, buf);
	lsn++;
	return put(intake, buf, sizeof(buf), now_ns, news);
}

static void
test_news(void)
{
	WsIntake   *intake = new_intake();
	WsIntakeNews news;

	put_hello(intake, WS_CODEC_LZ4, 3, 0, &news);
	ok(news.show && news.log && !news.stock && news.spec.id == WS_CODEC_LZ4 &&
	   news.spec.level == 3, "a hello is shown and logged");
	put_wal(intake, 0, &news);
	ok(!news.show && !news.log, "what follows is no news");
	put_hello(intake, WS_CODEC_LZ4, 3, 0, &news);
	ok(!news.show && !news.log, "nor is the same again");
	put_wal(intake, 0, &news);
	put_hello(intake, WS_CODEC_LZ4, 4, 0, &news);
	ok(news.show && news.log && news.spec.level == 4, "another level is");

	ws_intake_begin(intake);
	put_wal(intake, 0, &news);
	ok(news.show && news.log && news.stock, "a peer without walstream is");
	put_wal(intake, 0, &news);
	ok(!news.show && !news.log, "once");
	ws_intake_free(intake);
}

static void
test_log_limit(void)
{
	WsIntake   *intake = new_intake();
	WsIntakeNews news;
	uint64		now_ns = 5 * SECOND_NS;
	int			lines = 0;
	int			shown = 0;

	for (int i = 0; i < 1000; i++)
	{
		if (put_hello(intake, WS_CODEC_ZSTD, 1 + i % 2, now_ns, &news) != WS_OK)
			abort();
		lines += news.log;
		shown += news.show;
		if (put_wal(intake, now_ns, &news) != WS_OK)
			abort();
		now_ns += SECOND_NS / 100;
	}
	is(lines, WS_INTAKE_LOG_LINES, "1000 changes in 10 s: lines in the log");
	is(shown, 1000, "all are shown");

	put_hello(intake, WS_CODEC_LZ4, 0, now_ns, &news);
	ok(news.show && !news.log, "another change is not logged");
	put_wal(intake, now_ns, &news);
	ok(!news.show && !news.log, "nor what follows it");
	put_wal(intake, now_ns + WS_INTAKE_LOG_NS, &news);
	ok(!news.show && news.log && news.spec.id == WS_CODEC_LZ4,
	   "but when a minute has gone");
	put_wal(intake, now_ns + WS_INTAKE_LOG_NS, &news);
	ok(!news.log, "once");
	ws_intake_free(intake);
}

static void
test_failures(void)
{
	for (int codec = 0; codec <= WS_MAX_CODECS; codec++)
	{
		WsIntake   *intake = new_intake();
		WsIntakeNews news;
		WsIntakeFailure failure;
		uint8		frame[40] = {WS_FRAME_TYPE, codec | WS_FLAG_RESTART, 1};
		WsStatus	status;

		put_hello(intake, WS_CODEC_LZ4, 0, 0, &news);
		put_wal(intake, 0, &news);
		is(ws_intake_good_bytes(intake), WS_COPYDATA_HEADER + WS_STOCK_HEADER + 1,
		   "what was good is counted");
		ws_intake_note_good(intake);
		is(ws_intake_good_bytes(intake), 0, "until it is noted");

		status = put(intake, frame, sizeof(frame), 0, &news);
		ok(status != WS_OK && !news.show && !news.log, "codec %d: refused", codec);
		ws_intake_describe(intake, status, &failure);
		ok(failure.codec != NULL && failure.reason != NULL && !failure.memory,
		   "codec %d: described as \"%s\": %s", codec, failure.codec, failure.reason);
		status = put(intake, frame, sizeof(frame), 0, &news);
		is(status, WS_E_FAILED, "and so is all that follows");
		ws_intake_describe(intake, status, &failure);
		ok(failure.codec != NULL && failure.reason != NULL, "which can be described");
		ws_intake_free(intake);
	}
	is(ws_intake_good_bytes(NULL), 0, "nothing is good of nothing");
	ws_intake_note_good(NULL);
}

int
main(void)
{
	test_news();
	test_log_limit();
	test_failures();
	return done_testing();
}
