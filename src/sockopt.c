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

#include "libpq/libpq-be.h"
#include "sockopt.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"

#if defined(TCP_CONGESTION) && defined(TCP_NOTSENT_LOWAT)

/* What the connection began with. */
static char initial_congestion[WS_CONGESTION_SIZE] = "";
static bool congestion_warned = false;

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

	if (congestion_warned)
		return;
	congestion_warned = true;

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

void
ws_sockopt_set_unsent(int bytes)
{
	/* an old kernel may not have it, and nothing depends on it */
	if (is_tcp())
		(void) setsockopt(MyProcPort->sock, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
						  &bytes, sizeof(bytes));
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

void
ws_sockopt_set_unsent(int bytes)
{
}

#endif
