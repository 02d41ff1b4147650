/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  The settings of walstream, except those in the other guc_*.c.
 *
 * Values are parsed in the check hooks, so that an invalid value is refused
 * when it is set or the configuration is reloaded, and the old value stays in
 * force.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "common/compression.h"
#include "common/hashfn.h"
#include "guc.h"
#include "lib/stringinfo.h"
#include "postmaster/interrupt.h"
#include "utils/memutils.h"

static char *walstream_compression = NULL;
static char *walstream_accept = NULL;
static int	walstream_protocol = WS_PROTOCOL_VERSION;

static const WsCompression *current_compression = NULL;
static uint32 compression_generation = 0;

static const WsAccept nothing_accepted = {0};
static const WsAccept *current_accept = &nothing_accepted;

/* The names of all codecs, for a hint. */
static const char *
codec_names(void)
{
	const WsCodec *codec;
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; (codec = ws_codec_at(i)) != NULL; i++)
		appendStringInfo(&names, "%s\"%s\"", i > 0 ? ", " : "", codec->name);
	return names.data;
}

/* The value of walstream.compression if it is not set. */
static const char *
default_codecs(void)
{
	const WsCodec *codec;
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; (codec = ws_codec_at(i)) != NULL; i++)
	{
		if (codec->by_default)
			appendStringInfo(&names, "%s%s", names.len > 0 ? " " : "", codec->name);
	}
	return MemoryContextStrdup(TopMemoryContext, names.data);
}

/*
 * Parse what follows the codec's name, NULL if nothing does: PostgreSQL's
 * grammar of options, of which only the level applies to a stream.  It is
 * parsed for no algorithm of PostgreSQL's, since the limits are the codec's.
 * Returns NULL, or what is wrong.
 */
static const char *
parse_level(const WsCodec *codec, char *options, int *level)
{
	pg_compress_specification parsed;

	*level = codec->default_level;
	if (options == NULL)
		return NULL;
	parse_compress_specification(PG_COMPRESSION_NONE, options, &parsed);
	if (parsed.parse_error != NULL)
		return parsed.parse_error;
	if (parsed.options != 0)
		return "only the option \"level\" applies to a stream";
	if (parsed.level < codec->min_level() || parsed.level > codec->max_level())
		return psprintf("its level must be between %d and %d (default %d)",
						codec->min_level(), codec->max_level(), codec->default_level);
	*level = parsed.level;
	return NULL;
}

/*
 * Parse one item of walstream.compression, such as "zstd:level=3".  Returns
 * false with the detail set if the item is invalid.
 */
static bool
parse_item(char *item, WsCodecSpec *spec)
{
	char	   *options = strchr(item, ':');
	const WsCodec *codec;
	const char *error;

	if (options != NULL)
		*options++ = '\0';

	codec = ws_codec_by_name(item, strlen(item));
	if (codec == NULL)
	{
		GUC_check_errdetail("Unrecognized codec: \"%s\".", item);
		GUC_check_errhint("Codecs are %s; \"off\" alone turns compression off.", codec_names());
		return false;
	}

	spec->id = codec->id;
	error = parse_level(codec, options, &spec->level);
	if (error != NULL)
		GUC_check_errdetail("Invalid specification for codec \"%s\": %s.", item, error);
	return error == NULL;
}

/*
 * Parse the whole list.  Returns false with the detail set if it is invalid.
 */
static bool
parse_compression(const char *value, WsCompression *compression)
{
	char	   *copy = pstrdup(value);
	char	   *save = NULL;
	bool		off = false;
	char	   *item;

	memset(compression, 0, sizeof(*compression));

	for (item = strtok_r(copy, " \t\r\n\f\v", &save); item != NULL;
		 item = strtok_r(NULL, " \t\r\n\f\v", &save))
	{
		WsCodecSpec spec;

		if (pg_strcasecmp(item, "off") == 0)
		{
			off = true;
			continue;
		}
		if (!parse_item(item, &spec))
			return false;
		for (int i = 0; i < compression->count; i++)
		{
			if (compression->specs[i].id == spec.id)
			{
				GUC_check_errdetail("Codec \"%s\" is named more than once.",
									ws_codec_name(spec.id));
				return false;
			}
		}
		compression->specs[compression->count++] = spec;
	}

	if (off && compression->count > 0)
	{
		GUC_check_errdetail("\"off\" cannot be combined with a codec.");
		return false;
	}
	if (!off && compression->count == 0)
	{
		GUC_check_errdetail("No codec is named.");
		GUC_check_errhint("To turn compression off, set it to \"off\".");
		return false;
	}

	pfree(copy);
	return true;
}

static bool
check_compression(char **newval, void **extra, GucSource source)
{
	WsCompression compression;
	WsCompression *result;

	if (!parse_compression(*newval, &compression))
		return false;

	result = ws_guc_malloc(sizeof(WsCompression));
	if (result == NULL)
		return false;
	*result = compression;
	*extra = result;
	return true;
}

static void
assign_compression(const char *newval, void *extra)
{
	current_compression = extra;
	compression_generation++;
}

/*
 * Accept any value: refusing one would refuse the connection, and receivers of
 * later versions must be able to connect.  But only a value that the client
 * itself sent tells what the client can decode.
 */
static bool
check_accept(char **newval, void **extra, GucSource source)
{
	WsAccept   *result;

	if (source != PGC_S_CLIENT)
		return true;

	result = ws_guc_malloc(sizeof(WsAccept));
	if (result == NULL)
		return false;
	*result = ws_accept_parse(*newval);
	*extra = result;
	return true;
}

static void
assign_accept(const char *newval, void *extra)
{
	current_accept = (extra != NULL) ? extra : &nothing_accepted;
}

bool
ws_guc_reload(void)
{
	if (!ConfigReloadPending)
		return false;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	return true;
}

void
ws_guc_init(void)
{
	DefineCustomStringVariable("walstream.compression",
							   "Codecs that replication streams use, in order of preference.",
							   "Codecs separated by white space, each as a compression "
							   "specification (such as zstd, zstd:3 or zstd:level=3), or off.",
							   &walstream_compression,
							   default_codecs(),
							   PGC_SIGHUP, 0,
							   check_compression, assign_compression, NULL);

	DefineCustomStringVariable("walstream.accept",
							   "What the receiver of a replication stream can decode.",
							   "Sent by walstream itself when it connects; not meant to be set by hand.",
							   &walstream_accept,
							   "",
							   PGC_BACKEND,
							   GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   check_accept, assign_accept, NULL);

	DefineCustomIntVariable("walstream.protocol",
							"Shows the version of the stream protocol that this server speaks.",
							NULL,
							&walstream_protocol,
							WS_PROTOCOL_VERSION, WS_PROTOCOL_VERSION, WS_PROTOCOL_VERSION,
							PGC_INTERNAL,
							GUC_REPORT | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							NULL, NULL, NULL);

	ws_guc_init_network();
	ws_guc_init_relay();
	ws_guc_init_drain();

	MarkGUCPrefixReserved("walstream");
}

const WsCompression *
ws_guc_compression(void)
{
	return current_compression;
}

uint32
ws_guc_compression_generation(void)
{
	return compression_generation;
}

uint32
ws_guc_compression_hash(void)
{
	return hash_bytes((const unsigned char *) current_compression,
					  sizeof(WsCompression));
}

const WsAccept *
ws_guc_accept(void)
{
	return current_accept;
}
