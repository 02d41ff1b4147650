/*-------------------------------------------------------------------------
 *
 * names.c
 *	  Finds out which servers must be heard, and how many.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "conninfo.h"
#include "drain/names.h"
#include "guc.h"
#include "peertext.h"
#include "relay/relay.h"

/* The same name that a walreceiver or a relay sends. */
#define STANDBY_DEFAULT_NAME	"walreceiver"

const char *
ws_names_own(void)
{
	const char *conninfo = PrimaryConnInfo;
	const char *fallback = STANDBY_DEFAULT_NAME;

	if (ws_relay_enabled())
	{
		conninfo = ws_guc_relay()->upstream;
		fallback = WS_RELAY_DEFAULT_NAME;
	}
	else if (!RecoveryInProgress())
		return NULL;
	return ws_conninfo_application_name(conninfo != NULL ? conninfo : "",
										cluster_name[0] != '\0' ? cluster_name : fallback);
}

static void
refuse_list(const char *list, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("it is not known how many synchronous standbys have to be heard"),
			 errdetail("synchronous_standby_names of the old primary is \"%s\": %s.",
					   ws_peertext_for_log(list), why),
			 errhint("If you know how many of the sources are enough, pass the number as \"required\".")));
}

/* Find the source with this name; -1 is the standby itself. */
static int
find_holders(const char *name, WsSource **sources, int count, bool *self_counts)
{
	const char *own = ws_names_own();
	int			holders = 0;

	if (own != NULL && pg_strcasecmp(own, name) == 0)
	{
		*self_counts = true;
		holders++;
	}
	for (int i = 0; i < count; i++)
	{
		if (sources[i]->name != NULL && pg_strcasecmp(sources[i]->name, name) == 0)
		{
			sources[i]->member.counts = true;
			holders++;
		}
	}
	return holders;
}

int
ws_names_required(const char *list, WsSource **sources, int count,
				  bool *self_counts)
{
	SyncRepConfigData *parsed = list[0] != '\0' ? ws_syncrep_parse(list) : NULL;
	const char *name;

	if (parsed == NULL)
		refuse_list(list, "it names no standby");

	name = parsed->member_names;
	for (int i = 0; i < parsed->nmembers; i++)
	{
		const char *other = name + strlen(name) + 1;

		if (strcmp(name, "*") == 0)
			refuse_list(list, "any standby may have confirmed a commit");
		for (int j = i + 1; j < parsed->nmembers; j++)
		{
			if (pg_strcasecmp(name, other) == 0)
				refuse_list(list, "a name is there twice");
			other += strlen(other) + 1;
		}
		if (find_holders(name, sources, count, self_counts) > 1)
			refuse_list(list, psprintf("more than one of those asked is \"%s\"", name));
		name += strlen(name) + 1;
	}
	return Max(parsed->nmembers - parsed->num_sync + 1, 1);
}
