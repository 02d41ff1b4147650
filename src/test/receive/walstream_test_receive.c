/*-------------------------------------------------------------------------
 *
 * walstream_test_receive.c
 *	  A test module between walstream's receiver functions and PostgreSQL's.
 *
 * For tests only.  Loaded before walstream, it takes the place of
 * libpqwalreceiver for walstream, in the walreceiver, apply worker or relay
 * receiver of a real server.
 *
 * walstream_test_receive.crash: the process crashes when it has got a frame
 * and asks for the next message.
 *
 * walstream_test_receive.hold: the process stops at the next WAL that it gets,
 * until it is told to end.
 *
 * walstream_test_receive.flip: the first messages of each stream are kept.
 * Then they are passed to walstream's functions again, through separate
 * connections of this module, each time with one bit of one message flipped,
 * for every bit of every message.  The output must be the same as the first
 * time, up to an error; only a keepalive, which is passed on unchanged, may
 * differ in that bit.  The result is logged in one line.
 *
 * walstream_test_receive.fill: before a stream begins, walstream's array of
 * streams is filled with streams of this module, which end when the setting is
 * turned off.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <signal.h>

#include "fmgr.h"
#include "postmaster/interrupt.h"
#include "pure/wire/accept.h"
#include "pure/wire/frame.h"
#include "replication/logicalworker.h"
#include "replication/walreceiver.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/* Number of frames that are kept; longer frames than this are passed over. */
#define FRAMES			2
#define MAX_MESSAGES	24
#define MAX_LEN			(256 * 1024)

/*
 * Every bit of the first bytes of a message is flipped, and some bits after
 * them.
 */
#define WHOLE			1024
#define STRIDE			8009

/* More streams than walstream's array has room for. */
#define FILLERS			1000

#define KEEPALIVE_SIZE	(1 + 8 + 8 + 1)

typedef struct Kept
{
	char	   *bytes;
	int			len;
} Kept;

typedef struct KeptList
{
	Kept		items[MAX_MESSAGES * 64];
	int			count;
} KeptList;

static WalReceiverFunctionsType *stock = NULL;
static WalReceiverFunctionsType below;
static emit_log_hook_type prev_emit_log = NULL;

static bool crash = false;
static bool hold = false;
static bool flip = false;
static bool fill = false;

static bool frame_given = false;

/* The messages, what they give, and the next one of our own connection, the first. */
static KeptList messages;
static KeptList given;
static int	frames;
static bool done = false;
static bool trying = false;
static char our_connections[1 + FILLERS];
static int	next_message;
static int	flipped_message;
static int	flipped_bit;
static char *flipped = NULL;
static char no_error[] = "";

/* Number of our connections that fill the array; 0 if it is not filled. */
static int	fillers = 0;
static bool is_full;

static bool
is_ours(WalReceiverConn *conn)
{
	return (char *) conn >= our_connections &&
		(char *) conn < our_connections + lengthof(our_connections);
}

static void
keep(KeptList *list, const char *bytes, int len)
{
	Kept	   *kept = &list->items[list->count++];

	if (list->count > lengthof(list->items))
		elog(PANIC, "too many messages");
	kept->bytes = MemoryContextAlloc(TopMemoryContext, len + 1);
	memcpy(kept->bytes, bytes, len);
	kept->bytes[len] = '\0';
	kept->len = len;
}

static WalReceiverConn *
below_connect(WS_CONNECT_PARAMS)
{
	if (trying)
	{
		*err = no_error;
		return (WalReceiverConn *) &our_connections[fillers];
	}
	return (stock->walrcv_connect) (WS_CONNECT_ARGS(conninfo));
}

static void
forget(KeptList *list)
{
	while (list->count > 0)
		pfree(list->items[--list->count].bytes);
}

/* Let walstream count streams without data, until it can count no more. */
static void
fill_all(void)
{
	WalRcvStreamOptions options = {0};

	options.logical = IsLogicalWorker();
	trying = true;
	for (is_full = false; !is_full;)
	{
		WalReceiverConn *conn;
		char	   *error = no_error;

		if (++fillers > FILLERS)
			elog(PANIC, "the array does not become full");
		conn = ws_walrcv_connect("host=fill application_name=fill",
								 options.logical, "fill", &error);
		walrcv_startstreaming(conn, &options);
	}
	trying = false;
}

static void
end_filling(void)
{
	for (; fillers > 0; fillers--)
		walrcv_disconnect((WalReceiverConn *) &our_connections[fillers]);
}

static bool
below_startstreaming(WalReceiverConn *conn, const WalRcvStreamOptions *options)
{
	if (!is_ours(conn))
	{
		forget(&messages);
		forget(&given);
		frames = 0;
		done = false;
		if (fill && fillers == 0)
			fill_all();
	}
	return is_ours(conn) || (stock->walrcv_startstreaming) (conn, options);
}

static void
below_endstreaming(WalReceiverConn *conn, TimeLineID *next_tli)
{
	if (!is_ours(conn))
		(stock->walrcv_endstreaming) (conn, next_tli);
}

static void
below_disconnect(WalReceiverConn *conn)
{
	if (!is_ours(conn))
		(stock->walrcv_disconnect) (conn);
}

/* Return the next message, with a bit flipped if it is that message's turn. */
static int
give_ours(char **buffer)
{
	Kept	   *kept;

	if (next_message == messages.count)
		return 0;
	kept = &messages.items[next_message];
	*buffer = kept->bytes;
	if (next_message == flipped_message)
	{
		memcpy(flipped, kept->bytes, kept->len + 1);
		flipped[flipped_bit / 8] ^= 1 << flipped_bit % 8;
		*buffer = flipped;
	}
	next_message++;
	return kept->len;
}

/*
 * Is this the same as the original output of this number, or that keepalive?
 */
static bool
is_right(int number, const char *bytes, int len)
{
	const Kept *kept = &given.items[number];
	int			bits = 0;

	if (number >= given.count || len != kept->len)
		return false;
	for (int i = 0; i < len; i++)
	{
		for (uint8 c = bytes[i] ^ kept->bytes[i]; c != 0; c >>= 1)
			bits += c & 1;
	}
	return bits == 0 ||
		(bits == 1 && kept->bytes[0] == 'k' && flipped_message >= 0 &&
		 messages.items[flipped_message].bytes[0] == 'k');
}

/*
 * Let walstream decode all messages.  Returns the number of output messages if
 * all are correct, or -1; *refused: it ended with an error.
 */
static int
take_all(int attempt, bool first, bool *refused)
{
	static const char *const conninfo = "host=flip application_name=flip";
	WalReceiverConn *volatile conn = NULL;
	MemoryContext old = CurrentMemoryContext;
	volatile int count = 0;
	volatile bool right = true;
	volatile bool failed = false;
	char		name[NAMEDATALEN];

	/*
	 * use a different upstream each time, so that compression is not
	 * suspended
	 */
	snprintf(name, sizeof(name), "flip%d", attempt);
	next_message = 0;
	PG_TRY();
	{
		WalRcvStreamOptions options = {0};
		char	   *error = no_error;
		char	   *buffer;
		pgsocket	fd = PGINVALID_SOCKET;
		int			len;

		options.logical = IsLogicalWorker();
		conn = ws_walrcv_connect(conninfo, options.logical, name, &error);
		walrcv_startstreaming(conn, &options);
		while ((len = walrcv_receive(conn, &buffer, &fd)) > 0)
		{
			if (first)
				keep(&given, buffer, len);
			else
				right = right && is_right(count, buffer, len);
			count++;
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		FlushErrorState();
		failed = true;
	}
	PG_END_TRY();
	if (conn != NULL)
		walrcv_disconnect(conn);
	*refused = failed;
	return right ? count : -1;
}

static void
flip_all(void)
{
	char		keepalive[KEEPALIVE_SIZE] = "k";
	int			attempts = 0;
	int			refused_count = 0;
	int			wrong = 0;
	bool		refused;

	keep(&messages, keepalive, KEEPALIVE_SIZE);
	if (flipped == NULL)
		flipped = MemoryContextAlloc(TopMemoryContext, MAX_LEN + 1);
	trying = true;
	flipped_message = -1;
	if (take_all(attempts++, true, &refused) <= 0 || refused)
		wrong++;
	if (take_all(attempts++, false, &refused) != given.count || refused)
		wrong++;

	for (int i = 0; i < messages.count; i++)
	{
		const Kept *kept = &messages.items[i];

		flipped_message = i;
		for (int bit = 0; bit < kept->len * 8; bit += bit < WHOLE * 8 ? 1 : STRIDE)
		{
			int			count;

			flipped_bit = bit;
			count = take_all(attempts++, false, &refused);
			if (refused)
				refused_count++;

			/* a frame is decoded completely or not at all */
			if (count < 0 || (!refused && count != given.count) ||
				(!refused && kept->bytes[0] == WS_FRAME_TYPE))
			{
				wrong++;
				trying = false;
				ereport(LOG,
						(errmsg("walstream_test_receive found bit %d of message %d wrong: type %c, length %d",
								bit, i, kept->bytes[0], kept->len)));
				trying = true;
			}
		}
	}
	trying = false;
	ereport(LOG,
			(errmsg("walstream_test_receive flipped %d bits of %d messages in codec %d: %d refused, %d wrong",
					attempts - 2, messages.count, messages.items[0].bytes[2],
					refused_count, wrong)));
}

/* Keep the message, and begin when there are enough of them. */
static void
keep_or_try(const char *bytes, int len)
{
	if (bytes[0] == WS_HELLO_TYPE && messages.count > 0)
		return;
	if (messages.count == 0 && bytes[0] != WS_HELLO_TYPE)
	{
		done = true;
		return;
	}
	if (messages.count < MAX_MESSAGES - 1 && len <= MAX_LEN)
		keep(&messages, bytes, len);
	else
		done = true;
	if (bytes[0] == WS_FRAME_TYPE && len < WHOLE)
		frames++;
	if (frames == FRAMES || done)
	{
		done = true;
		flip_all();
	}
}

static void
wait_for_end(void)
{
	ereport(LOG, (errmsg("walstream_test_receive holds")));
	while (!ShutdownRequestPending && !ProcDiePending)
		pg_usleep(10000);
	hold = false;
}

static int
below_receive(WalReceiverConn *conn, char **buffer, pgsocket *wait_fd)
{
	int			len;

	if (is_ours(conn))
		return give_ours(buffer);

	if (!fill)
		end_filling();
	if (crash && frame_given)
		kill(getpid(), SIGSEGV);
	len = (stock->walrcv_receive) (conn, buffer, wait_fd);
	frame_given = len > 0 && (*buffer)[0] == WS_FRAME_TYPE;
	if (hold && (frame_given || len > WS_STOCK_HEADER))
		wait_for_end();
	if (flip && len > 0 && !done)
		keep_or_try(*buffer, len);
	return len;
}

/*
 * Drop the messages about thousands of refusals, and note the one about a
 * missing entry.
 */
static void
hide_log(ErrorData *edata)
{
	if (trying)
	{
		edata->output_to_server = false;
		if (edata->sqlerrcode == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED)
			is_full = true;
	}
	if (prev_emit_log)
		prev_emit_log(edata);
}

void
_PG_init(void)
{
	DefineCustomBoolVariable("walstream_test_receive.crash", "", NULL, &crash,
							 false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("walstream_test_receive.hold", "", NULL, &hold,
							 false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("walstream_test_receive.flip", "", NULL, &flip,
							 false, PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomBoolVariable("walstream_test_receive.fill", "", NULL, &fill,
							 false, PGC_SIGHUP, 0, NULL, NULL, NULL);

	load_file("libpqwalreceiver", false);
	stock = WalReceiverFunctions;
	below = *stock;
	below.walrcv_connect = below_connect;
	below.walrcv_startstreaming = below_startstreaming;
	below.walrcv_endstreaming = below_endstreaming;
	below.walrcv_receive = below_receive;
	below.walrcv_disconnect = below_disconnect;
	WalReceiverFunctions = &below;

	prev_emit_log = emit_log_hook;
	emit_log_hook = hide_log;
}
