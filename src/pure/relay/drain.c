/*-------------------------------------------------------------------------
 *
 * drain.c
 *	  Decides what a standby still has to receive before it is promoted, and
 *	  from whom.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/drain.h"

/* A position after any other. */
#define NO_END	((XLogRecPtr) PG_UINT64_MAX)

/* Returns where a line leaves its i-th timeline. */
static XLogRecPtr
end_of(const WsHistory *history, int i)
{
	return i < history->count - 1 ? history->entries[i].end_lsn : NO_END;
}

XLogRecPtr
ws_drain_common_end(const WsHistory *a, const WsHistory *b)
{
	XLogRecPtr	end = 0;

	for (int i = 0; i < a->count && i < b->count; i++)
	{
		if (a->entries[i].tli != b->entries[i].tli)
			break;
		end = Min(end_of(a, i), end_of(b, i));
		if (end_of(a, i) != end_of(b, i))
			break;
	}
	return end;
}

/* Find a member on the newest timeline, preferably the standby itself. */
static int
find_newest(const WsDrainMember *members, int count)
{
	int			newest = 0;

	for (int i = 1; i < count; i++)
	{
		if (members[i].heard && members[i].tli > members[newest].tli)
			newest = i;
	}
	return newest;
}

/*
 * Find the most advanced member on that timeline, preferably the standby
 * itself.
 */
static int
find_farthest(const WsDrainMember *members, int count, TimeLineID tli)
{
	int			farthest = -1;

	for (int i = 0; i < count; i++)
	{
		if (members[i].heard && members[i].tli == tli &&
			(farthest < 0 || members[i].end_lsn > members[farthest].end_lsn))
			farthest = i;
	}
	return farthest;
}

void
ws_drain_decide(const WsDrainMember *members, int count, int required,
				bool follows_latest, WsDrainPlan *plan)
{
	int			newest = find_newest(members, count);

	memset(plan, 0, sizeof(*plan));
	plan->tli = members[newest].tli;
	plan->source = newest;

	for (int i = 0; i < count; i++)
	{
		if (members[i].heard && members[i].counts)
			plan->heard++;
	}
	if (plan->heard < required)
	{
		plan->verdict = WS_DRAIN_UNHEARD;
		return;
	}

	for (int i = 0; i < count; i++)
	{
		if (!members[i].heard)
			continue;
		plan->lsn = ws_drain_common_end(members[i].history, members[newest].history);
		if (members[i].records_lsn > plan->lsn)
		{
			plan->other = i;
			plan->verdict = i == 0 ? WS_DRAIN_PAST_FORK : WS_DRAIN_DIVERGED;
			return;
		}
	}
	if (newest != 0 && !follows_latest)
	{
		plan->verdict = WS_DRAIN_OTHER_TARGET;
		return;
	}

	plan->source = find_farthest(members, count, plan->tli);
	plan->lsn = members[plan->source].end_lsn;
	plan->verdict = plan->source == 0 ? WS_DRAIN_HAS_ALL : WS_DRAIN_RECEIVE;
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void
skip_space(char **next)
{
	while (is_space(**next))
		(*next)++;
}

/* Returns the text in double quotes; NULL if they are not closed. */
static char *
take_quoted(char **next)
{
	char	   *item = ++*next;
	char	   *to = item;

	for (; **next != '\0'; (*next)++)
	{
		if (**next == '"' && *++*next != '"')
		{
			*to = '\0';
			return item;
		}
		*to++ = **next;
	}
	return NULL;
}

/* Returns the text up to a comma or the end, without trailing white space. */
static char *
take_plain(char **next, char **end)
{
	char	   *item = *next;

	*next += strcspn(*next, ",\"");
	*end = *next;
	while (*end > item && is_space((*end)[-1]))
		(*end)--;
	return *end > item ? item : NULL;
}

char *
ws_drain_next_item(char **cursor, WsStatus *status)
{
	char	   *next = *cursor;
	char	   *end = NULL;
	char	   *item;
	char		separator;

	*status = WS_OK;
	skip_space(&next);
	if (*next == '\0')
		return NULL;

	item = *next == '"' ? take_quoted(&next) : take_plain(&next, &end);
	skip_space(&next);
	separator = *next;
	if (end != NULL)
		*end = '\0';
	if (item == NULL || item[0] == '\0' || (separator != ',' && separator != '\0'))
	{
		*status = WS_E_MALFORMED;
		return NULL;
	}
	if (separator == ',')
	{
		next++;
		skip_space(&next);
		if (*next == '\0')
		{
			*status = WS_E_MALFORMED;
			return NULL;
		}
	}
	*cursor = next;
	return item;
}
