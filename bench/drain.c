/*-------------------------------------------------------------------------
 *
 * drain.c
 *	  A replication client that discards what it receives.
 *
 * It stands for the fastest possible receiver, so that the benchmark measures
 * the sender and the wire.  It requests compression only with -a, never
 * decodes, and looks only at the headers of frames, to know where in the WAL
 * they end.
 *
 * When the end position (-e) has arrived, it prints one line of JSON, then
 * keeps the connection open and continues to receive until standard input is
 * closed, so that the walsender's statistics can be read while it exists.
 * Without an end position the line is printed when standard input is closed, or
 * with -w when the time is over.
 *
 * This is a program of the benchmark: run by bench/run, no part of the module.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "getopt_long.h"
#include "libpq-fe.h"
#include "port/pg_bswap.h"

#include "pure/wire/accept.h"
#include "pure/wire/frame.h"

/* Ask for a keepalive after this long without data, to learn the position. */
#define IDLE_MS				10
/* How often to send a status update, well below any wal_sender_timeout. */
#define STATUS_INTERVAL_US	1000000

#define POSTGRES_EPOCH_US	INT64CONST(946684800000000)

typedef struct Options
{
	const char *conninfo;
	const char *accept;			/* value of walstream.accept, NULL: stock */
	const char *slot;			/* NULL: none */
	const char *publication;	/* for a logical stream, with slot; NULL for a
								 * physical one */
	XLogRecPtr	start_lsn;
	XLogRecPtr	end_lsn;		/* invalid: until standard input is closed */
	XLogRecPtr	mark_lsn;		/* count messages up to here; invalid: all */
	int64		window_us[2];	/* since the first data: when to begin and end
								 * to measure the rate; 0: not at all */
	bool		quiet;			/* send a status only if asked for one */
	bool		ack;			/* confirm each message, as a synchronous
								 * standby does */
} Options;

/* CopyData messages that carry WAL or rows, their 5-byte header included. */
typedef struct Counts
{
	uint64		bytes;
	uint64		messages;
} Counts;

typedef struct Drain
{
	const Options *options;
	PGconn	   *conn;
	bool		hello;			/* the peer speaks walstream's protocol */
	int			codec;			/* of the hello */
	XLogRecPtr	position;		/* all before has arrived */
	Counts		marked;
	Counts		total;
	int64		connect_us;		/* before the connection was made */
	int64		begin_us;
	int64		first_us;		/* when data first arrived, 0: not yet */
	int64		last_us;		/* when data last arrived */
	int64		status_us;		/* when a status was last sent */
	bool		unconfirmed;	/* data since then */
	int64		window_first_us;	/* first and last message in the window */
	int64		window_last_us;
	uint64		window_bytes;	/* after the first */
	bool		printed;
} Drain;

static void
fail(const char *what, const char *detail)
{
	fprintf(stderr, "drain: %s: %s\n", what, detail);
	exit(1);
}

static int64
clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static XLogRecPtr
parse_lsn(const char *text)
{
	uint32		hi,
				lo;
	char		rest;

	if (sscanf(text, "%X/%X%c", &hi, &lo, &rest) != 2)
		fail("not a WAL position", text);
	return ((XLogRecPtr) hi << 32) | lo;
}

/* Seconds, as in 2:10. */
static void
parse_window(const char *text, Options *options)
{
	double		from,
				to;
	char		rest;

	if (sscanf(text, "%lf:%lf%c", &from, &to, &rest) != 2 || from >= to)
		fail("not a window of time", text);
	options->window_us[0] = (int64) (from * 1e6);
	options->window_us[1] = (int64) (to * 1e6);
}

static void
parse_options(int argc, char **argv, Options *options)
{
	int			c;

	memset(options, 0, sizeof(*options));
	while ((c = getopt(argc, argv, "a:d:e:m:p:qs:S:w:A")) != -1)
	{
		switch (c)
		{
			case 'a':
				options->accept = optarg;
				break;
			case 'd':
				options->conninfo = optarg;
				break;
			case 'e':
				options->end_lsn = parse_lsn(optarg);
				break;
			case 'm':
				options->mark_lsn = parse_lsn(optarg);
				break;
			case 'p':
				options->publication = optarg;
				break;
			case 'q':
				options->quiet = true;
				break;
			case 's':
				options->start_lsn = parse_lsn(optarg);
				break;
			case 'S':
				options->slot = optarg;
				break;
			case 'w':
				parse_window(optarg, options);
				break;
			case 'A':
				options->ack = true;
				break;
			default:
				exit(2);
		}
	}
	if (optind != argc || options->conninfo == NULL)
		fail("usage", "drain -d conninfo [-s start] [-e end] [-m mark] "
			 "[-a accept] [-S slot [-p publication]] [-w from:to] [-q] [-A]");
}

/*
 * Our option precedes the conninfo's own parameters, which may be anything but
 * options.
 */
static PGconn *
connect_replication(const Options *options)
{
	const char *keywords[5];
	const char *values[5];
	char		setting[WS_ACCEPT_MAX_SIZE + 64];
	int			n = 0;
	PGconn	   *conn;

	keywords[n] = "dbname";
	values[n++] = options->conninfo;
	keywords[n] = "replication";
	values[n++] = options->publication ? "database" : "true";
	if (options->accept)
	{
		char	   *out = setting;

		/* white space separates options; a backslash keeps it in the value */
		out += sprintf(out, "-c walstream.accept=");
		for (const char *in = options->accept; *in; in++)
		{
			if (out - setting > (int) sizeof(setting) - 3)
				fail("too long", options->accept);
			if (*in == ' ')
				*out++ = '\\';
			*out++ = *in;
		}
		*out = '\0';
		keywords[n] = "options";
		values[n++] = setting;
	}
	keywords[n] = "fallback_application_name";
	values[n++] = "drain";
	keywords[n] = NULL;
	values[n] = NULL;

	conn = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(conn) != CONNECTION_OK)
		fail("could not connect", PQerrorMessage(conn));
	return conn;
}

static void
start_replication(const Drain *drain)
{
	const Options *options = drain->options;
	PGresult   *res;
	char		command[512];
	char		slot[128] = "";
	char		plugin[256] = "";

	if (options->slot)
		snprintf(slot, sizeof(slot), "SLOT \"%s\" ", options->slot);
	if (options->publication)
		snprintf(plugin, sizeof(plugin),
				 " (proto_version '3', publication_names '\"%s\"')",
				 options->publication);
	snprintf(command, sizeof(command), "START_REPLICATION %s%s %X/%X%s",
			 slot, options->publication ? "LOGICAL" : "PHYSICAL",
			 LSN_FORMAT_ARGS(options->start_lsn), plugin);

	res = PQexec(drain->conn, command);
	if (PQresultStatus(res) != PGRES_COPY_BOTH)
		fail(command, PQerrorMessage(drain->conn));
	PQclear(res);
}

/*
 * Send a standby status update.  A logical slot is not advanced, so that the
 * same rows can be read from it again.
 */
static void
send_status(Drain *drain, bool request_reply)
{
	XLogRecPtr	reported = drain->options->publication ? InvalidXLogRecPtr :
		drain->position;
	uint64		values[4];
	char		message[34];

	values[0] = values[1] = values[2] = pg_hton64(reported);
	values[3] = pg_hton64((uint64) (clock_us(CLOCK_REALTIME) -
									POSTGRES_EPOCH_US));
	message[0] = 'r';
	memcpy(message + 1, values, sizeof(values));
	message[33] = request_reply ? 1 : 0;

	if (PQputCopyData(drain->conn, message, sizeof(message)) <= 0 ||
		PQflush(drain->conn) < 0)
		fail("could not send a status update", PQerrorMessage(drain->conn));
	drain->status_us = clock_us(CLOCK_MONOTONIC);
	drain->unconfirmed = false;
}

/* Returns the end of the WAL in a frame; a batch of rows has none. */
static void
take_frame(Drain *drain, const uint8 *message, size_t len)
{
	WsFrameHeader header;
	size_t		header_len;

	if (ws_frame_header_decode(message, len, &header, &header_len) != WS_OK)
		fail("protocol", "a frame's header could not be read");
	if (header.batch)
		return;
	if (header.restart)
		drain->position = header.start_lsn;
	drain->position += header.raw_len;
}

/*
 * A message is complete when its last byte has come, so the rate is that from
 * the first message in the window to the last one.
 */
static void
count_in_window(Drain *drain, size_t len)
{
	int64		since_us = drain->last_us - drain->first_us;

	if (since_us < drain->options->window_us[0] ||
		since_us > drain->options->window_us[1])
		return;
	if (drain->window_first_us == 0)
		drain->window_first_us = drain->last_us;
	else
		drain->window_bytes += len;
	drain->window_last_us = drain->last_us;
}

/* Returns true once the time is over. */
static bool
window_is_over(const Drain *drain)
{
	return drain->options->window_us[1] != 0 && drain->first_us != 0 &&
		clock_us(CLOCK_MONOTONIC) - drain->first_us > drain->options->window_us[1];
}

static double
window_rate(const Drain *drain)
{
	if (drain->window_last_us <= drain->window_first_us)
		return 0;
	return drain->window_bytes * 1e6 /
		(drain->window_last_us - drain->window_first_us);
}

static void
count_message(Drain *drain, size_t len)
{
	XLogRecPtr	mark = drain->options->mark_lsn;

	drain->total.bytes += len + WS_COPYDATA_HEADER;
	drain->total.messages++;
	if (mark == InvalidXLogRecPtr || drain->position <= mark)
	{
		drain->marked.bytes += len + WS_COPYDATA_HEADER;
		drain->marked.messages++;
	}
	drain->unconfirmed = true;
	drain->last_us = clock_us(CLOCK_MONOTONIC);
	if (drain->first_us == 0)
		drain->first_us = drain->last_us;
	count_in_window(drain, len + WS_COPYDATA_HEADER);
}

static void
take_message(Drain *drain, const char *message, size_t len)
{
	uint64		value;

	switch (message[0])
	{
		case WS_HELLO_TYPE:
			{
				WsHello		hello;

				if (ws_hello_decode((const uint8 *) message, len, &hello) != WS_OK)
					fail("protocol", "a hello could not be read");
				drain->hello = true;
				drain->codec = hello.codec;
				break;
			}
		case WS_STOCK_TYPE:
			if (len < WS_STOCK_HEADER)
				fail("protocol", "a message is too short");
			memcpy(&value, message + 1, sizeof(value));
			if (!drain->options->publication)
				drain->position = pg_ntoh64(value) + len - WS_STOCK_HEADER;
			count_message(drain, len);
			break;
		case WS_FRAME_TYPE:
			take_frame(drain, (const uint8 *) message, len);
			count_message(drain, len);
			break;
		case 'k':
			if (len < 1 + 8 + 8 + 1)
				fail("protocol", "a keepalive is too short");
			memcpy(&value, message + 1, sizeof(value));
			/* nothing else tells the position of a logical stream */
			if (drain->options->publication)
				drain->position = Max(drain->position, pg_ntoh64(value));
			if (message[17])
				send_status(drain, false);
			break;
		default:
			fail("protocol", "a message of unknown type arrived");
	}
}

static void
print_result(Drain *drain)
{
	drain->printed = true;
	printf("{\"pid\":%d,\"hello\":%d,\"codec\":%d,\"position\":\"%X/%X\","
		   "\"bytes\":" UINT64_FORMAT ",\"messages\":" UINT64_FORMAT ","
		   "\"total_bytes\":" UINT64_FORMAT ",\"total_messages\":" UINT64_FORMAT ","
		   "\"rate\":%.1f,\"first_s\":%.6f,\"wall_s\":%.6f}\n",
		   PQbackendPID(drain->conn), drain->hello, drain->codec,
		   LSN_FORMAT_ARGS(drain->position),
		   drain->marked.bytes, drain->marked.messages,
		   drain->total.bytes, drain->total.messages,
		   window_rate(drain),
		   drain->first_us == 0 ? 0.0 :
		   (drain->first_us - drain->connect_us) / 1e6,
		   (drain->last_us - drain->begin_us) / 1e6);
	fflush(stdout);
}

/*
 * Take everything that libpq has.  Returns false if the sender has ended the
 * stream.
 */
static bool
take_available(Drain *drain)
{
	char	   *message;
	int			len;

	while ((len = PQgetCopyData(drain->conn, &message, 1)) > 0)
	{
		take_message(drain, message, (size_t) len);
		PQfreemem(message);
	}
	if (len == -2)
		fail("could not receive", PQerrorMessage(drain->conn));
	return len == 0;
}

static void
run(Drain *drain)
{
	const Options *options = drain->options;
	struct pollfd fds[2];

	fds[0].fd = PQsocket(drain->conn);
	fds[0].events = POLLIN;
	fds[1].fd = STDIN_FILENO;
	fds[1].events = POLLIN;

	drain->begin_us = drain->last_us = clock_us(CLOCK_MONOTONIC);
	start_replication(drain);
	send_status(drain, false);

	for (;;)
	{
		bool		reached;
		int			ready;

		if (!take_available(drain))
			fail("stream", "the sender ended it");

		reached = window_is_over(drain) ||
			(options->end_lsn != InvalidXLogRecPtr &&
			 drain->position >= options->end_lsn);
		if (reached && !drain->printed)
			print_result(drain);
		if ((options->ack && drain->unconfirmed) ||
			(!options->quiet &&
			 clock_us(CLOCK_MONOTONIC) - drain->status_us > STATUS_INTERVAL_US))
			send_status(drain, false);

		ready = poll(fds, 2, reached ? STATUS_INTERVAL_US / 1000 : IDLE_MS);
		if (ready < 0 && errno != EINTR)
			fail("poll", strerror(errno));
		if (ready == 0 && !reached && options->end_lsn != InvalidXLogRecPtr)
			send_status(drain, true);
		if (ready > 0 && fds[1].revents)
			break;
		if (ready > 0 && fds[0].revents && !PQconsumeInput(drain->conn))
			fail("could not receive", PQerrorMessage(drain->conn));
	}

	/* Closed early: count what has arrived. */
	if (!drain->printed)
	{
		take_available(drain);
		print_result(drain);
	}
}

int
main(int argc, char **argv)
{
	Options		options;
	Drain		drain;

	parse_options(argc, argv, &options);
	memset(&drain, 0, sizeof(drain));
	drain.options = &options;
	drain.position = options.start_lsn;
	drain.connect_us = clock_us(CLOCK_MONOTONIC);
	drain.conn = connect_replication(&options);
	run(&drain);
	PQfinish(drain.conn);
	return 0;
}
