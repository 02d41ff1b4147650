/*-------------------------------------------------------------------------
 *
 * namesfile.c
 *	  The file of a store that keeps the primary's lists of synchronous
 *	  standbys.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/crc.h"
#include "pure/relay/namesfile.h"

static const char first_line[] = "walstream standby names 1\n";

/* "crc 0123abcd\n" */
#define CRC_LINE_LEN	13

bool
ws_namesfile_add(WsNamesFile *file, int64 now_us, TimeLineID tli, const char *names)
{
	WsNamesEntry *entry;

	if (file->count > 0)
	{
		entry = &file->entries[file->count - 1];
		if (entry->tli == tli && strcmp(entry->names, names) == 0)
		{
			entry->last_us = now_us;
			return false;
		}
	}
	if (file->count == WS_NAMES_MAX_ENTRIES)
	{
		file->count--;
		memmove(&file->entries[0], &file->entries[1],
				file->count * sizeof(WsNamesEntry));
	}

	entry = &file->entries[file->count++];
	entry->first_us = entry->last_us = now_us;
	entry->tli = tli;
	strlcpy(entry->names, names, WS_NAMES_SIZE);
	return true;
}

static bool
is_plain(char c)
{
	return c >= ' ' && c <= '~' && c != '\\';
}

static size_t
format_names(const char *names, char *buf)
{
	size_t		len = 0;

	for (const char *c = names; *c != '\0'; c++)
	{
		if (is_plain(*c))
			buf[len++] = *c;
		else
			len += sprintf(buf + len, "\\x%02x", (unsigned char) *c);
	}
	return len;
}

size_t
ws_namesfile_format(const WsNamesFile *file, char *buf)
{
	size_t		len = strlen(first_line);
	pg_crc32c	crc;

	memcpy(buf, first_line, len);
	for (int i = 0; i < file->count; i++)
	{
		const WsNamesEntry *entry = &file->entries[i];

		len += sprintf(buf + len, "seen %lld %lld %u =", (long long) entry->first_us,
					   (long long) entry->last_us, entry->tli);
		len += format_names(entry->names, buf + len);
		buf[len++] = '\n';
	}

	INIT_CRC32C(crc);
	crc = ws_crc_add(crc, (const uint8 *) buf, len);
	FIN_CRC32C(crc);
	return len + sprintf(buf + len, "crc %08x\n", crc);
}

/* Read a list that format_names() has written, and that ends at end. */
static bool
parse_names(const char *text, const char *end, char *names)
{
	size_t		len = 0;

	while (text <end)
	{
		unsigned int byte = (unsigned char) *text ++;

		if (byte == '\\')
		{
			if (end - text <3 || sscanf(text, "x%2x", &byte) != 1)
				return false;
			text	  +=3;
		}
		if (byte == 0 || len == WS_NAMES_SIZE - 1)
			return false;
		names[len++] = (char) byte;
	}
	names[len] = '\0';
	return true;
}

/* Read the line from text to its end; text ends with a zero byte. */
static bool
parse_line(const char *text, const char *end, WsNamesEntry *entry)
{
	long long	first_us;
	long long	last_us;
	int			read = 0;

	if (sscanf(text, "seen %lld %lld %u =%n", &first_us, &last_us, &entry->tli, &read) != 3 ||
		read == 0 || text +read > end || entry->tli == 0)
		return false;
	entry->first_us = first_us;
	entry->last_us = last_us;
	return parse_names(text +read, end, entry->names);
}

/*
 * The scans are lenient, so write again what they have read and require the
 * same text. content ends with a zero byte; again has room.
 */
static WsStatus
parse_text(const char *content, size_t len, WsNamesFile *file, char *again)
{
	const char *end = content + len - CRC_LINE_LEN;
	const char *line = content + strlen(first_line);

	if (strncmp(content, first_line, strlen(first_line)) != 0)
		return WS_E_MALFORMED;
	while (line < end)
	{
		const char *line_end = memchr(line, '\n', end - line);

		if (line_end == NULL || file->count == WS_NAMES_MAX_ENTRIES ||
			!parse_line(line, line_end, &file->entries[file->count]))
			return WS_E_MALFORMED;
		file->count++;
		line = line_end + 1;
	}
	if (ws_namesfile_format(file, again) != len ||
		memcmp(again, content, len - CRC_LINE_LEN) != 0)
		return WS_E_MALFORMED;
	return memcmp(again, content, len) == 0 ? WS_OK : WS_E_CHECK;
}

WsStatus
ws_namesfile_parse(const char *content, size_t len, WsNamesFile *file)
{
	char	   *copy;
	WsStatus	status;

	memset(file, 0, sizeof(*file));
	if (len >= WS_NAMESFILE_MAX_BYTES)
		return WS_E_TOO_LARGE;
	if (len < strlen(first_line) + CRC_LINE_LEN)
		return WS_E_MALFORMED;
	copy = malloc(len + 1 + WS_NAMESFILE_MAX_BYTES);
	if (copy == NULL)
		return WS_E_MEMORY;
	memcpy(copy, content, len);
	copy[len] = '\0';
	status = parse_text(copy, len, file, copy + len + 1);
	free(copy);
	return status;
}
