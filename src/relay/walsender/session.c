/*-------------------------------------------------------------------------
 *
 * session.c
 *	  What the files of a relay sender share: its entry in the array, its
 *	  client's names, and a stop of the server.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <netdb.h>

#include "libpq/libpq-be.h"
#include "libpq/pqsignal.h"
#include "peertext.h"
#include "relay/news.h"
#include "relay/walsender/session.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"

static WsSender *my_sender = NULL;

static volatile sig_atomic_t is_copying = false;
static volatile sig_atomic_t is_stopping = false;

WsSender *
ws_session_sender(void)
{
	return my_sender;
}

/*
 * The client's names, copied for the error context callback, which must not
 * fail.  application_name is "" until the settings have been taken over.
 */
static char client_name[NAMEDATALEN];
static char client_user[NAMEDATALEN];
static char client_host[NI_MAXHOST];

static void
add_client(void *arg)
{
	errcontext("relay sender for \"%s\", user \"%s\", host %s",
			   application_name != NULL && application_name[0] != '\0' ?
			   application_name : client_name, client_user, client_host);
}

void
ws_session_name_client(void)
{
	static ErrorContextCallback callback;

	callback.callback = add_client;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
}

/*
 * The port distinguishes several clients on one host; a Unix socket has
 * neither host nor port.
 */
void
ws_session_learn_client(const Port *port)
{
	char		host[NI_MAXHOST];

	snprintf(host, sizeof(host), "%s%s%s", port->remote_host,
			 port->remote_port[0] != '\0' ? ":" : "", port->remote_port);
	ws_peertext_copy(client_host, sizeof(client_host), host);
	ws_peertext_copy(client_user, sizeof(client_user), port->user_name);
	ws_peertext_copy(client_name, sizeof(client_name),
					 port->application_name != NULL ? port->application_name : "");
}

/*
 * SIGUSR2: the server stops.  (PostgreSQL's walsenders are prepared for that
 * by an earlier signal, which is sent only to those with a WalSnd.)
 */
static void
handle_stop(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (is_copying)
	{
		is_stopping = true;
		SetLatch(MyLatch);
	}
	else
		ws_die_from_signal();

	errno = save_errno;
}

void
ws_session_begin(void)
{
	my_sender = ws_senders_claim();
	ws_news_listen();
	pqsignal(SIGUSR2, handle_stop);
}

void
ws_session_set_copying(bool copying)
{
	is_copying = copying;
	if (!copying && is_stopping)
		proc_exit(0);
}

bool
ws_session_is_stopping(void)
{
	return is_stopping;
}
