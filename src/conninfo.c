/*-------------------------------------------------------------------------
 *
 * conninfo.c
 *	  Adds our request to a receiver's connection string.
 *
 * libpq parses the string, and we write it again as keyword='value' pairs,
 * which works for keywords and for a URI.  The string may contain a password,
 * so it is never logged or kept.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "conninfo.h"
#include "lib/stringinfo.h"
#include "libpq-fe.h"

static void
append_pair(StringInfo conninfo, const char *keyword, const char *value)
{
	appendStringInfo(conninfo, "%s%s='", conninfo->len > 0 ? " " : "", keyword);
	for (const char *c = value; *c != '\0'; c++)
	{
		if (*c == '\'' || *c == '\\')
			appendStringInfoChar(conninfo, '\\');
		appendStringInfoChar(conninfo, *c);
	}
	appendStringInfoChar(conninfo, '\'');
}

static const char *
find_value(PQconninfoOption *options, const char *keyword)
{
	for (PQconninfoOption *o = options; o->keyword != NULL; o++)
	{
		if (strcmp(o->keyword, keyword) == 0)
			return o->val;
	}
	return NULL;
}

/*
 * Returns, palloc'd, the value that libpq would use for a keyword that is not
 * in the connection string: a service's value, else that of an environment
 * variable; NULL if there is none.
 *
 * libpq looks up a service only when it connects, and in PQconndefaults for
 * the service that PGSERVICE names; so PGSERVICE is set for one call.
 */
static char *
default_value(const char *service, const char *keyword)
{
	char	   *old_service = getenv("PGSERVICE");
	char	   *result = NULL;
	PQconninfoOption *defaults;
	const char *value;

	if (service != NULL)
	{
		if (old_service != NULL)
			old_service = pstrdup(old_service);
		setenv("PGSERVICE", service, 1);
	}

	defaults = PQconndefaults();

	if (service != NULL)
	{
		if (old_service != NULL)
			setenv("PGSERVICE", old_service, 1);
		else
			unsetenv("PGSERVICE");
	}

	if (defaults == NULL)
		return NULL;
	value = find_value(defaults, keyword);
	if (value != NULL && value[0] != '\0')
		result = pstrdup(value);
	PQconninfoFree(defaults);
	return result;
}

/*
 * Parse the string as libpq does when it connects: a string without any equal
 * sign that is not a URI is the name of a database.
 */
static PQconninfoOption *
parse_conninfo(const char *conninfo)
{
	PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
	StringInfoData dbname;

	if (parsed != NULL || strchr(conninfo, '=') != NULL ||
		strstr(conninfo, "://") != NULL)
		return parsed;

	initStringInfo(&dbname);
	append_pair(&dbname, "dbname", conninfo);
	parsed = PQconninfoParse(dbname.data, NULL);
	pfree(dbname.data);
	return parsed;
}

char *
ws_conninfo_add_accept(const char *conninfo, bool logical, const char *accept)
{
	PQconninfoOption *parsed = parse_conninfo(conninfo);
	const char *options;
	StringInfoData merged;
	StringInfoData result;

	if (parsed == NULL)
		return NULL;

	options = find_value(parsed, "options");
	if (options == NULL && !logical)
		options = default_value(find_value(parsed, "service"), "options");

	initStringInfo(&merged);
	appendStringInfoString(&merged, "-c walstream.accept=");
	for (const char *c = accept; *c != '\0'; c++)
	{
		/* the server splits options at unescaped white space */
		if (*c == ' ' || *c == '\\')
			appendStringInfoChar(&merged, '\\');
		appendStringInfoChar(&merged, *c);
	}

	/*
	 * our option comes first, since the user's may end in a backslash or "--"
	 */
	if (options != NULL && options[0] != '\0')
		appendStringInfo(&merged, " %s", options);

	initStringInfo(&result);
	for (PQconninfoOption *o = parsed; o->keyword != NULL; o++)
	{
		if (o->val != NULL && strcmp(o->keyword, "options") != 0)
			append_pair(&result, o->keyword, o->val);
	}
	append_pair(&result, "options", merged.data);

	PQconninfoFree(parsed);
	pfree(merged.data);
	return result.data;
}

char *
ws_conninfo_application_name(const char *conninfo, const char *fallback)
{
	PQconninfoOption *parsed = parse_conninfo(conninfo);
	const char *name = NULL;
	char	   *result;

	if (parsed != NULL)
	{
		name = find_value(parsed, "application_name");
		if (name == NULL)
			name = default_value(find_value(parsed, "service"),
								 "application_name");
	}
	result = pstrdup(name != NULL ? name : fallback);
	PQconninfoFree(parsed);
	return result;
}
