/*-------------------------------------------------------------------------
 *
 * takeover.c
 *	  Takes over an authenticated connection for the relay's walsender.
 *
 * PostgreSQL's walsender can only read the WAL of its own cluster.  So once a
 * physical replication client has been authenticated by the instance's rules,
 * our ClientAuthentication_hook does the rest of PostgreSQL's startup of a
 * walsender, in the same order (InitPostgres() and PostgresMain() are the
 * model, for each version), and hands the process to walsender/loop.c.  It
 * never returns to PostgreSQL.
 *
 * A connection whose walstream.accept has the word "own" is not taken over; it
 * gives a superuser the instance's own walsender.
 *
 * For the postmaster the process is a walsender, so it may live through the
 * shutdown checkpoint.  But it has no WalSnd, since the checkpointer would
 * wait for that to stop.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "guc.h"
#include "libpq/auth.h"
#include "libpq/hba.h"
#include "libpq/libpq-be.h"
#include "libpq/libpq.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "peertext.h"
#include "pgstat.h"
#include "postmaster/postmaster.h"
#include "pure/wire/accept.h"
#include "relay/relay.h"
#include "relay/walsender/client.h"
#include "relay/walsender/loop.h"
#include "relay/walsender/session.h"
#include "relay/walsender/takeover.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

static ClientAuthentication_hook_type prev_client_authentication = NULL;

static void client_authentication(Port *port, int status);

/*
 * Split the client's command-line options into words; the first word stands
 * for the program's name.
 */
static char **
split_options(Port *port, int *count)
{
	size_t		room = 3;
	char	  **words;

	if (port->cmdline_options != NULL)
		room += (strlen(port->cmdline_options) + 1) / 2;
	words = palloc0(room * sizeof(char *));
	words[0] = pstrdup("postgres");
	*count = 1;
	if (port->cmdline_options != NULL)
		pg_split_opts(words, count, port->cmdline_options);
	return words;
}

static bool
is_accept(const char *name)
{
	return name != NULL && pg_strcasecmp(name, "walstream.accept") == 0;
}

/*
 * Returns true if the client wants the instance's own walsender.  Settings
 * have not been taken from the startup packet yet.
 */
static bool
wants_own(Port *port)
{
	char	   *accept = NULL;
	ListCell   *lc;
	char	  **words;
	int			count;

	words = split_options(port, &count);
	for (int i = 1; i < count; i++)
	{
		const char *setting = words[i];
		char	   *name;
		char	   *value;

		if (strcmp(setting, "-c") == 0 && i + 1 < count)
			setting = words[++i];
		else if (strncmp(setting, "-c", 2) == 0 || strncmp(setting, "--", 2) == 0)
			setting += 2;
		else
			continue;
		ParseLongOption(setting, &name, &value);
		if (is_accept(name))
			accept = value;
	}

	/* names and values alternate; these are applied after the options */
	lc = list_head(port->guc_options);
	while (lc != NULL)
	{
		char	   *name = lfirst(lc);

		lc = lnext(port->guc_options, lc);
		if (lc == NULL)
			break;
		if (is_accept(name))
			accept = lfirst(lc);
		lc = lnext(port->guc_options, lc);
	}

	return ws_accept_parse(accept).own;
}

/* Write the same line as PostgreSQL for log_connections. */
static void
log_authorized(Port *port)
{
	StringInfoData line;

	if (!WS_LOG_AUTHORIZATION)
		return;

	initStringInfo(&line);
	appendStringInfo(&line, _("replication connection authorized: user=%s"),
					 port->user_name);
	if (port->application_name != NULL)
		appendStringInfo(&line, _(" application_name=%s"),
						 port->application_name);
#ifdef USE_SSL
	if (port->ssl_in_use)
		appendStringInfo(&line, _(" SSL enabled (protocol=%s, cipher=%s, bits=%d)"),
						 be_tls_get_version(port),
						 be_tls_get_cipher(port),
						 be_tls_get_cipher_bits(port));
#endif
	ereport(LOG, errmsg_internal("%s", line.data));
	pfree(line.data);
}

/* Write the same line as PostgreSQL for log_disconnections. */
static void
log_disconnection(int code, Datum arg)
{
	Port	   *port = MyProcPort;
	int64		ms = (GetCurrentTimestamp() - MyStartTimestamp) / 1000;

	/* the exit has removed the error context; set it again for this line */
	ws_session_name_client();
	ereport(LOG,
			(errmsg("disconnection: session time: %d:%02d:%02d.%03d "
					"user=%s database=%s host=%s%s%s",
					(int) (ms / 3600000), (int) (ms / 60000 % 60),
					(int) (ms / 1000 % 60), (int) (ms % 1000),
					port->user_name, port->database_name, port->remote_host,
					port->remote_port[0] ? " port=" : "", port->remote_port)));
}

/* Apply the settings that the client sent, as PostgreSQL does. */
static void
take_startup_options(Port *port)
{
	GucContext	context = superuser() ? PGC_SU_BACKEND : PGC_BACKEND;
	ListCell   *lc;

	if (port->cmdline_options != NULL)
	{
		int			count;
		char	  **words = split_options(port, &count);

		process_postgres_switches(count, words, context, NULL);
	}

	lc = list_head(port->guc_options);
	while (lc != NULL)
	{
		const char *name = lfirst(lc);

		lc = lnext(port->guc_options, lc);
		SetConfigOption(name, lfirst(lc), context, PGC_S_CLIENT);
		lc = lnext(port->guc_options, lc);
	}
}

/*
 * Do what PostgreSQL does between ClientAuthentication() and the end of
 * InitPostgres().  A transaction is open.
 */
static void
start_session(Port *port)
{
	sendAuthRequest(port, AUTH_REQ_OK, NULL, 0);

	disable_timeout(STATEMENT_TIMEOUT, false);
	ws_note_authenticated();
	log_authorized(port);
	set_ps_display("startup");
	ClientAuthInProgress = false;

	ws_set_session_user(port->user_name);
	ws_set_system_user();
	ws_report_authenticated();

	if (!superuser() && !has_rolreplication(GetUserId()))
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to start WAL sender"),
				 errdetail("Only roles with the %s attribute may start a WAL sender process.",
						   "REPLICATION")));

	take_startup_options(port);
	if (PostAuthDelay > 0)
		pg_usleep(PostAuthDelay * 1000000L);
	InitializeClientEncoding();
	ws_report_started();
	CommitTransactionCommand();
}

static void
send_parameter(const char *name, const char *value)
{
	StringInfoData buf;

	pq_beginmessage(&buf, PqMsg_ParameterStatus);
	pq_sendstring(&buf, name);
	pq_sendstring(&buf, value);
	pq_endmessage(&buf);
}

/*
 * Report the settings that are reported at the start of a session, and then
 * those in which the served cluster differs from this instance: its version,
 * and, unless configured otherwise, that nothing can be written here, so that
 * a client which looks for a primary in a list of hosts tries the next one.
 */
static void
report_settings(void)
{
	WsRelayStatus status;

	BeginReportingGUCOptions();

	ws_relay_get_status(&status);
	if (status.upstream_version > 0)
		send_parameter("server_version",
					   psprintf("%d.%d", status.upstream_version / 10000,
								status.upstream_version % 10000));
	if (ws_guc_relay()->in_hot_standby)
		send_parameter("in_hot_standby", "on");
}

static void
send_cancel_key(void)
{
	StringInfoData buf;

	pq_beginmessage(&buf, PqMsg_BackendKeyData);
	pq_sendint32(&buf, MyProcPid);
	ws_send_cancel_key(&buf);
	pq_endmessage(&buf);
}

/*
 * Take over the connection; this function does not return.
 */
static void
take_over(Port *port)
{
	if (ClientAuthentication_hook != client_authentication)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay cannot serve: another module would check this login after it"),
				 errhint("List walstream last in \"shared_preload_libraries\".")));

	ws_client_init();
	start_session(port);

	/*
	 * this frees hba and ident lines; other memory of the startup is
	 * elsewhere
	 */
	if (PostmasterContext != NULL)
	{
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextDelete(PostmasterContext);
		PostmasterContext = NULL;
	}
	SetProcessingMode(NormalProcessing);

	MessageContext = AllocSetContextCreate(TopMemoryContext, "MessageContext",
										   ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(MessageContext);

	report_settings();
	if (Log_disconnections)
		on_proc_exit(log_disconnection, 0);

	ws_session_begin();
	MarkPostmasterChildWalSender();
	SendPostmasterSignal(PMSIGNAL_ADVANCE_STATE_MACHINE);

	send_cancel_key();
	ws_loop_run();
}

/*
 * Check the right to use the instance's own walsender, which gives access to
 * the instance's files: its settings with the upstream's password, and the
 * whole store.
 */
static void
check_may_have_own(Port *port)
{
	Oid			role = get_role_oid(port->user_name, true);

	/* PostgreSQL refuses a role that does not exist */
	if (OidIsValid(role) && !superuser_arg(role))
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to replicate the relay's own cluster"),
				 errdetail("Only superusers may, because its settings and its directory are part of it.")));
}

static void
refuse_database(void)
{
	ereport(FATAL,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a relay does not serve connections with \"replication=database\""),
			 errdetail("It holds the WAL of another cluster but none of its databases, so it cannot decode changes."),
			 errhint("Connect to the primary or to a standby of that cluster.")));
}

/*
 * Called for every connection attempt, including those that fail.  The
 * previous hooks are called first: one of them may refuse, and one is that of
 * sender.c, which installs the encoder.
 */
static void
client_authentication(Port *port, int status)
{
	if (prev_client_authentication)
		prev_client_authentication(port, status);

	if (status != STATUS_OK || !am_walsender)
		return;
	ws_session_learn_client(port);
	ws_session_name_client();
	if (!wants_own(port))
	{
		if (am_db_walsender)
			refuse_database();
		take_over(port);
	}
	check_may_have_own(port);
	error_context_stack = error_context_stack->previous;
}

void
ws_takeover_init(void)
{
	prev_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = client_authentication;
}
