/*-------------------------------------------------------------------------
 *
 * client.c
 *	  Exchanges messages with a relay sender's client, without waiting where
 *	  signals are not handled.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "libpq/libpq.h"
#include "libpq/pqformat.h"
#include "pure/bytes.h"
#include "relay/walsender/client.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* Size of a message's type and length. */
#define HEADER_SIZE		5

/*
 * Size of the input buffer, much larger than any command or standby message.
 * A longer command is thrown away as it arrives, so that a client cannot make
 * us allocate memory.
 */
#define MAX_CONTENT		PQ_SMALL_MESSAGE_LIMIT

static char input[HEADER_SIZE + MAX_CONTENT];
static int	input_start = 0;
static int	input_end = 0;
static uint32 discarding = 0;	/* bytes left of a command that was too long */
static char discarded_type;
static uint32 discarded_length;
static char content[MAX_CONTENT + 1];

/* The table that ours replaced. */
static const PQcommMethods *prev_methods = NULL;

/*
 * PostgreSQL's putmessage_noblock calls PqCommMethods->putmessage, that is,
 * our function.
 */
static bool passing_on = false;

static void
client_comm_reset(void)
{
	passing_on = false;
	prev_methods->comm_reset();
}

static int
client_flush_if_writable(void)
{
	bool		was_passing_on = passing_on;
	int			result;

	passing_on = true;
	result = prev_methods->flush_if_writable();
	passing_on = was_passing_on;
	return result;
}

static bool
client_is_send_pending(void)
{
	return prev_methods->is_send_pending();
}

static void
client_putmessage_noblock(char msgtype, const char *s, size_t len)
{
	bool		was_passing_on = passing_on;

	passing_on = true;
	prev_methods->putmessage_noblock(msgtype, s, len);
	passing_on = was_passing_on;
}

static int
client_putmessage(char msgtype, const char *s, size_t len)
{
	if (passing_on)
		return prev_methods->putmessage(msgtype, s, len);
	client_putmessage_noblock(msgtype, s, len);
	return 0;
}

static const PQcommMethods client_methods = {
	.comm_reset = client_comm_reset,
	.flush = client_flush_if_writable,
	.flush_if_writable = client_flush_if_writable,
	.is_send_pending = client_is_send_pending,
	.putmessage = client_putmessage,
	.putmessage_noblock = client_putmessage_noblock
};

void
ws_client_init(void)
{
	prev_methods = PqCommMethods;
	PqCommMethods = &client_methods;

	/*
	 * Take the bytes that authentication has read in advance, which always
	 * fit.
	 */
	if (ws_pq_has_data())
	{
		pq_startmsgread();
		while (ws_pq_has_data() && input_end < (int) sizeof(input))
			input[input_end++] = (char) pq_getbyte();
		pq_endmsgread();
	}
}

void
ws_client_gone(void)
{
	if (whereToSendOutput == DestRemote)
		whereToSendOutput = DestNone;
	proc_exit(0);
}

/*
 * Read the bytes that have arrived, as far as there is room.
 */
static WsReadResult
fill_input(void)
{
	if (input_start > 0)
	{
		memmove(input, input + input_start, input_end - input_start);
		input_end -= input_start;
		input_start = 0;
	}

	for (;;)
	{
		ssize_t		n;

		MyProcPort->noblock = true;
		n = secure_read(MyProcPort, input + input_end,
						sizeof(input) - input_end);
		if (n > 0)
		{
			input_end += n;
			return WS_READ_MESSAGE;
		}
		if (n == 0)
			return WS_READ_EOF;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return WS_READ_NOTHING;
		if (errno == EINTR)
			continue;

		/* COMMERROR goes only to the log */
		ereport(COMMERROR,
				(errcode_for_socket_access(),
				 errmsg("could not receive data from client: %m")));
		return WS_READ_EOF;
	}
}

/*
 * Refuse bytes that cannot be a message here; nothing tells where the next
 * message begins.
 */
static void
check_type(char type, WsExpect expect)
{
	static const char commands[] = {
		PqMsg_Query, PqMsg_Terminate, PqMsg_FunctionCall, PqMsg_Bind,
		PqMsg_Parse, PqMsg_Close, PqMsg_Describe, PqMsg_Execute, PqMsg_Flush,
		PqMsg_Sync, PqMsg_CopyData, PqMsg_CopyDone, PqMsg_CopyFail, '\0'
	};
	static const char in_copy[] = {
		PqMsg_CopyData, PqMsg_CopyDone, PqMsg_Terminate, '\0'
	};
	const char *allowed = expect == WS_EXPECT_COPY ? in_copy : commands;

	if (type == '\0' || strchr(allowed, type) == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 expect == WS_EXPECT_COPY ?
				 errmsg("invalid standby message type %d", (unsigned char) type) :
				 errmsg("invalid frontend message type %d", (unsigned char) type)));
}

/* Returns the length of the content of the message at the start of input. */
static uint32
read_length(WsExpect expect)
{
	uint32		len = ws_bytes_get_net32((const uint8 *) input + input_start + 1);

	if (len < 4 || len > PQ_LARGE_MESSAGE_LIMIT ||
		(expect == WS_EXPECT_COPY && len - 4 > MAX_CONTENT))
		ereport(FATAL,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("invalid message length"),
				 errdetail("A message of type %d is said to have %u bytes.",
						   (unsigned char) input[input_start], len)));
	return len - 4;
}

/* Throw away the bytes that have arrived of a command that is too long. */
static void
discard(void)
{
	uint32		len = Min(discarding, (uint32) (input_end - input_start));

	input_start += len;
	discarding -= len;
}

/*
 * Take the message at the start of input, if it is complete.
 */
static bool
take_message(WsExpect expect, WsClientMessage *message)
{
	uint32		len;

	if (input_start == input_end)
		return false;
	check_type(input[input_start], expect);
	if (input_end - input_start < HEADER_SIZE)
		return false;

	len = read_length(expect);
	if (len > MAX_CONTENT)
	{
		discarded_type = input[input_start];
		discarding = discarded_length = len;
		input_start += HEADER_SIZE;
		return false;
	}
	if ((uint32) (input_end - input_start) < HEADER_SIZE + len)
		return false;

	/* pq_getmsgstring() needs a zero after the string */
	message->type = input[input_start];
	message->length = len;
	message->too_long = false;
	memcpy(content, input + input_start + HEADER_SIZE, len);
	content[len] = '\0';
	message->content.data = content;
	message->content.len = len;
	message->content.maxlen = sizeof(content);
	message->content.cursor = 0;
	input_start += HEADER_SIZE + len;
	return true;
}

WsReadResult
ws_client_read(WsExpect expect, WsClientMessage *message)
{
	for (;;)
	{
		WsReadResult result;

		if (discarding > 0)
		{
			discard();
			if (discarding == 0)
			{
				MemSet(message, 0, sizeof(*message));
				message->type = discarded_type;
				message->length = discarded_length;
				message->too_long = true;
				return WS_READ_MESSAGE;
			}
		}
		else if (take_message(expect, message))
			return WS_READ_MESSAGE;
		else if (discarding > 0)
			continue;

		result = fill_input();
		if (result != WS_READ_MESSAGE)
			return result;
		CHECK_FOR_INTERRUPTS();
	}
}

void
ws_client_wait(uint32 socket_events, long timeout_ms, uint32 wait_event)
{
	WaitEvent	event;

	ModifyWaitEvent(FeBeWaitSet, FeBeWaitSetSocketPos, socket_events, NULL);
	if (WaitEventSetWait(FeBeWaitSet, timeout_ms, &event, 1, wait_event) == 1 &&
		(event.events & WL_POSTMASTER_DEATH) != 0)
		proc_exit(1);
}

void
ws_client_flush_some(void)
{
	if (pq_flush_if_writable() != 0)
		ws_client_gone();
}

void
ws_client_flush(void)
{
	for (;;)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();

		ws_client_flush_some();
		if (!pq_is_send_pending())
			return;
		ws_client_wait(WL_SOCKET_WRITEABLE, -1, WAIT_EVENT_CLIENT_WRITE);
	}
}

static int16
type_length(Oid type)
{
	switch (type)
	{
		case INT4OID:
			return 4;
		case INT8OID:
			return 8;
		default:
			return -1;
	}
}

void
ws_client_send_row(const WsColumn *columns, int count, const char *const *values)
{
	StringInfoData buf;

	pq_beginmessage(&buf, PqMsg_RowDescription);
	pq_sendint16(&buf, count);
	for (int i = 0; i < count; i++)
	{
		pq_sendstring(&buf, columns[i].name);
		pq_sendint32(&buf, 0);	/* table */
		pq_sendint16(&buf, 0);	/* its column */
		pq_sendint32(&buf, columns[i].type);
		pq_sendint16(&buf, type_length(columns[i].type));
		pq_sendint32(&buf, (uint32) -1);	/* type modifier */
		pq_sendint16(&buf, 0);	/* text */
	}
	pq_endmessage(&buf);

	pq_beginmessage(&buf, PqMsg_DataRow);
	pq_sendint16(&buf, count);
	for (int i = 0; i < count; i++)
	{
		if (values[i] == NULL)
			pq_sendint32(&buf, (uint32) -1);
		else
		{
			pq_sendint32(&buf, strlen(values[i]));
			pq_sendbytes(&buf, values[i], strlen(values[i]));
		}
	}
	pq_endmessage(&buf);
}

void
ws_client_send_complete(const char *tag)
{
	pq_putmessage(PqMsg_CommandComplete, tag, strlen(tag) + 1);
}
