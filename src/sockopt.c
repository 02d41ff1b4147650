/*-------------------------------------------------------------------------
 *
 * sockopt.c
 *	  Options of a walsender's socket, which tell the kernel how to send.
 *
 * Only the end that sends WAL or changes has them: what a receiver sends are
 * status messages of some 40 bytes, for which no congestion control does
 * anything.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libpq/libpq-be.h"
#include "sockopt.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"

#if defined(TCP_CONGESTION) && defined(TCP_NOTSENT_LOWAT) && defined(SO_MAX_PACING_RATE)

/* An unlimited rate, for the kernel. */
#define NO_RATE		PG_UINT32_MAX

/* What the connection began with. */
static char initial_congestion[WS_CONGESTION_SIZE] = "";

/* The last one that was reported as not to be had. */
static char congestion_warned[WS_CONGESTION_SIZE] = "";

/* What SO_MAX_PACING_RATE was set to; 0 if it is not set. */
static uint32 paced_rate = 0;

static bool
is_tcp(void)
{
	int			family = MyProcPort->laddr.addr.ss_family;

	return family == AF_INET || family == AF_INET6;
}

/*
 * Report a congestion control that cannot be had.  Not to the client, which
 * may not expect a message here, and could do nothing about it; and without
 * the check for interrupts that ereport() ends with.
 */
static void
warn_congestion(const char *name, int error)
{
	CommandDest destination = whereToSendOutput;
	const char *client = application_name;

	if (strcmp(congestion_warned, name) == 0)
		return;
	strlcpy(congestion_warned, name, WS_CONGESTION_SIZE);

	/* the setting is made only after authentication */
	if (client[0] == '\0' && MyProcPort->application_name != NULL)
		client = MyProcPort->application_name;

	HOLD_INTERRUPTS();
	whereToSendOutput = DestNone;
	errno = error;
	ereport(WARNING,
			(errcode_for_socket_access(),
			 errmsg("could not set congestion control \"%s\" for the connection of \"%s\": %m",
					name, client),
			 errdetail("It goes on with \"%s\".", ws_sockopt_congestion_control()),
			 errhint("It must be in both net.ipv4.tcp_available_congestion_control and net.ipv4.tcp_allowed_congestion_control."),
			 errhidestmt(true)));
	whereToSendOutput = destination;
	RESUME_INTERRUPTS();
}

static bool
set_congestion(const char *name)
{
	return setsockopt(MyProcPort->sock, IPPROTO_TCP, TCP_CONGESTION,
					  name, strlen(name)) == 0;
}

void
ws_sockopt_set_congestion_control(const char *name)
{
	const char *wanted;
	int			error;

	if (!is_tcp())
		return;
	if (initial_congestion[0] == '\0')
		strlcpy(initial_congestion, ws_sockopt_congestion_control(),
				WS_CONGESTION_SIZE);

	wanted = name[0] != '\0' ? name : initial_congestion;
	if (strcmp(wanted, ws_sockopt_congestion_control()) == 0 ||
		set_congestion(wanted))
		return;

	error = errno;
	(void) set_congestion(initial_congestion);
	warn_congestion(wanted, error);
}

const char *
ws_sockopt_congestion_control(void)
{
	static char name[WS_CONGESTION_SIZE];
	socklen_t	size = sizeof(name) - 1;

	memset(name, 0, sizeof(name));
	if (!is_tcp() ||
		getsockopt(MyProcPort->sock, IPPROTO_TCP, TCP_CONGESTION,
				   name, &size) != 0)
		name[0] = '\0';
	return name;
}

/* Let the kernel take so many bytes that it does not send yet. */
static bool
set_unsent(int bytes)
{
	return setsockopt(MyProcPort->sock, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
					  &bytes, sizeof(bytes)) == 0;
}

/* 32 bits, which kernels of any age take. */
static bool
set_rate(uint32 rate)
{
	return setsockopt(MyProcPort->sock, SOL_SOCKET, SO_MAX_PACING_RATE,
					  &rate, sizeof(rate)) == 0;
}

/*
 * Returns true if we may choose this congestion control.  A connection can have
 * one that we may not.
 */
static bool
may_choose(const char *name)
{
	int			probe = socket(AF_INET, SOCK_STREAM, 0);
	bool		result;

	if (probe < 0)
		return false;
	result = setsockopt(probe, IPPROTO_TCP, TCP_CONGESTION,
						name, strlen(name)) == 0;
	close(probe);
	return result;
}

/*
 * A congestion control that measures how fast it can send, like bbr, has
 * measured our limit, and would take many round trips to see that it is gone.
 * So let it begin anew; the window stays.
 */
static void
forget_measured_rate(void)
{
	char		name[WS_CONGESTION_SIZE];

	strlcpy(name, ws_sockopt_congestion_control(), sizeof(name));
	if (strncmp(name, "bbr", 3) == 0 && may_choose(name) &&
		set_congestion("reno"))
		(void) set_congestion(name);
}

bool
ws_sockopt_pace(int64 rate)
{
	uint32		kernel_rate = (uint32) rate;
	int			unsent = (int) Max(Min(rate / 5, WS_UNSENT_MAX), WS_UNSENT_MIN);

	/*
	 * Without the second one, what is sent in many seconds would wait in the
	 * kernel, with keepalives behind it.
	 */
	if (!is_tcp() || rate >= NO_RATE)
		return false;
	if (!set_unsent(unsent) || !set_rate(kernel_rate))
		return false;
	if (paced_rate != 0 && kernel_rate > paced_rate)
		forget_measured_rate();
	paced_rate = kernel_rate;
	return true;
}

void
ws_sockopt_unpace(void)
{
	if (!is_tcp())
		return;
	if (paced_rate != 0)
	{
		(void) set_rate(NO_RATE);
		forget_measured_rate();
		paced_rate = 0;
	}
	/* an old kernel may not have it, and nothing depends on it here */
	(void) set_unsent(WS_UNSENT_MAX);
}

#else							/* not Linux */

void
ws_sockopt_set_congestion_control(const char *name)
{
}

const char *
ws_sockopt_congestion_control(void)
{
	return "";
}

bool
ws_sockopt_pace(int64 rate)
{
	return false;
}

void
ws_sockopt_unpace(void)
{
}

#endif
