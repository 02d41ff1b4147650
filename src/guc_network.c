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
#include "parser/scansup.h"
#include "peertext.h"
#include "pure/bucket.h"
#include "sockopt.h"

/*
 * Smallest limit, in bytes per second.  A message that PostgreSQL hands over has
 * up to 128 kB, and is sent as a whole: with less than this a stop would wait
 * too long for the end of one, and timeouts would strike.
 */
#define MIN_RATE	(32 * 1024)

/* One part of walstream.rate_limit. */
typedef struct RateLimit
{
	bool		is_default;		/* "*": for all names that have no limit */
	char		name[NAMEDATALEN];	/* as a server shows it */
	int64		rate;			/* bytes per second, 0 for no limit */
} RateLimit;

typedef struct RateLimits
{
	bool		sync_too;
	int			count;
	RateLimit	limits[FLEXIBLE_ARRAY_MEMBER];
} RateLimits;

static char *walstream_rate_limit = NULL;
static char *walstream_tcp_congestion_control = NULL;

static const RateLimits *rate_limits = NULL;
static uint32 network_generation = 0;

/*
 * Take a name, up to the equal sign or white space behind it; in double quotes
 * it may have these, and a double quote twice.  Returns a palloc'd copy, NULL
 * with the detail set if the closing quote is missing.
 */
static char *
take_name(const char **cursor, bool *quoted)
{
	const char *in = *cursor;
	char	   *name = palloc(strlen(in) + 1);
	char	   *out = name;

	*quoted = *in == '"';
	if (!*quoted)
	{
		while (*in != '\0' && *in != '=' && !scanner_isspace(*in))
			*out++ = *in++;
	}
	else
	{
		for (in++; *in != '"' || in[1] == '"'; in++)
		{
			if (*in == '\0')
			{
				GUC_check_errdetail("A double quote is missing behind the name that begins with %s.",
									*cursor);
				return NULL;
			}
			if (*in == '"')
				in++;
			*out++ = *in;
		}
		in++;
	}
	*out = '\0';
	*cursor = in;
	return name;
}

/* Take what goes on to the next white space, palloc'd. */
static char *
take_word(const char **cursor)
{
	const char *begin = *cursor;

	while (**cursor != '\0' && !scanner_isspace(**cursor))
		(*cursor)++;
	return pnstrdup(begin, *cursor - begin);
}

/* Parse a rate.  Returns false with the detail set if it is invalid. */
static bool
parse_rate(const char *name, const char *text, int64 *rate)
{
	double		value;
	const char *hint = NULL;

	if (!parse_real(text, &value, GUC_UNIT_BYTE, &hint))
	{
		GUC_check_errdetail("The rate of \"%s\" is not a number of bytes: \"%s\".",
							name, text);
		if (hint != NULL)
			GUC_check_errhint("%s", hint);
		return false;
	}
	if (value != 0 && !(value >= MIN_RATE && value <= WS_BUCKET_MAX_RATE))
	{
		GUC_check_errdetail("The rate of \"%s\" is out of range: \"%s\".",
							name, text);
		GUC_check_errhint("It is in bytes per second, from %dkB to 1TB, or 0 for no limit.",
						  MIN_RATE / 1024);
		return false;
	}
	*rate = (int64) value;
	return true;
}

/*
 * Parse one part.  Returns false with the detail set if it is invalid.
 */
static bool
parse_limit(const char **cursor, RateLimits *result)
{
	const char *begin = *cursor;
	RateLimit  *limit = &result->limits[result->count];
	bool		quoted;
	char	   *name = take_name(cursor, &quoted);

	if (name == NULL)
		return false;
	if (**cursor != '=' || (!quoted && name[0] == '\0'))
	{
		char	   *rest = take_word(cursor);

		if (!quoted && rest[0] == '\0' && pg_strcasecmp(name, "sync_too") == 0)
		{
			result->sync_too = true;
			return true;
		}
		GUC_check_errdetail("\"%.*s\" is neither a name with a rate nor \"sync_too\".",
							(int) (*cursor - begin), begin);
		GUC_check_errhint("Write it like standby_far=20MB, without white space.");
		return false;
	}

	(*cursor)++;
	limit->is_default = !quoted && strcmp(name, "*") == 0;
	ws_peertext_copy_name(limit->name, name);
	if (!parse_rate(name, take_word(cursor), &limit->rate))
		return false;
	for (int i = 0; i < result->count; i++)
	{
		if (limit->is_default == result->limits[i].is_default &&
			pg_strcasecmp(limit->name, result->limits[i].name) == 0)
		{
			GUC_check_errdetail("\"%s\" is named more than once.", limit->name);
			return false;
		}
	}
	result->count++;
	return true;
}

static bool
check_rate_limit(char **newval, void **extra, GucSource source)
{
	/* no part is shorter than "a=0 " */
	Size		size = offsetof(RateLimits, limits) +
		(strlen(*newval) / 4 + 1) * sizeof(RateLimit);
	RateLimits *result = ws_guc_malloc(size);

	if (result == NULL)
		return false;
	memset(result, 0, size);
	for (const char *cursor = *newval;;)
	{
		while (scanner_isspace(*cursor))
			cursor++;
		if (*cursor == '\0')
			break;
		if (!parse_limit(&cursor, result))
		{
			ws_guc_free(result);
			return false;
		}
	}
	*extra = result;
	return true;
}

static void
assign_rate_limit(const char *newval, void *extra)
{
	rate_limits = extra;
	network_generation++;
}

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
	DefineCustomStringVariable("walstream.rate_limit",
							   "Most bytes per second that replication streams are sent.",
							   "Parts separated by white space: application_name=rate, "
							   "*=rate for all others, sync_too for synchronous ones, too.",
							   &walstream_rate_limit,
							   "",
							   PGC_SIGHUP, 0,
							   check_rate_limit, assign_rate_limit, NULL);

	DefineCustomStringVariable("walstream.tcp_congestion_control",
							   "TCP congestion control of the replication streams that this server sends.",
							   "An empty string is the system's.",
							   &walstream_tcp_congestion_control,
							   "",
							   PGC_SIGHUP, 0,
							   check_congestion_control,
							   assign_congestion_control, NULL);
}

int64
ws_guc_rate_limit(const char *name, bool *sync_too)
{
	int64		rate = 0;

	*sync_too = rate_limits != NULL && rate_limits->sync_too;
	for (int i = 0; rate_limits != NULL && i < rate_limits->count; i++)
	{
		const RateLimit *limit = &rate_limits->limits[i];

		if (limit->is_default)
			rate = limit->rate;
		else if (pg_strcasecmp(limit->name, name) == 0)
			return limit->rate;
	}
	return rate;
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
