/*-------------------------------------------------------------------------
 *
 * guc_network.c
 *	  The settings that say how a stream uses the network.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "guc.h"
#include "sockopt.h"

static char *walstream_tcp_congestion_control = NULL;

static uint32 network_generation = 0;

/*
 * Which names a kernel has can change, and differs between namespaces, so only
 * the form is checked here.
 */
static bool
check_congestion_control(char **newval, void **extra, GucSource source)
{
	if (strlen(*newval) >= WS_CONGESTION_SIZE)
	{
		GUC_check_errdetail("The name of a congestion control has at most %d bytes.",
							WS_CONGESTION_SIZE - 1);
		return false;
	}
	for (const char *c = *newval; *c != '\0'; c++)
	{
		if (*c <= ' ' || *c > '~')
		{
			GUC_check_errdetail("The name of a congestion control has neither white space nor other characters than printable ASCII.");
			return false;
		}
	}
	return true;
}

static void
assign_congestion_control(const char *newval, void *extra)
{
	network_generation++;
}

void
ws_guc_init_network(void)
{
	DefineCustomStringVariable("walstream.tcp_congestion_control",
							   "TCP congestion control of the replication streams that this server sends.",
							   "An empty string is the system's.",
							   &walstream_tcp_congestion_control,
							   "",
							   PGC_SIGHUP, 0,
							   check_congestion_control,
							   assign_congestion_control, NULL);
}

const char *
ws_guc_tcp_congestion_control(void)
{
	return walstream_tcp_congestion_control;
}

uint32
ws_guc_network_generation(void)
{
	return network_generation;
}
