/*-------------------------------------------------------------------------
 *
 * history.c
 *	  Parses timeline history files.
 *
 * The parser is stricter than PostgreSQL's scanf() about things that
 * PostgreSQL never writes: signs, numbers that are too large, a zero byte.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/history.h"

/* The rest of a line. */
typedef struct Line
{
	const char *next;
	const char *end;
} Line;

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 16;
}

/* Step over white space.  Returns false if there is none. */
static bool
skip_space(Line *line)
{
	const char *first = line->next;

	while (line->next < line->end && is_space(*line->next))
		line->next++;
	return line->next > first;
}

/* Step over an unsigned 32-bit number.  Returns false if there is none. */
static bool
take_number(Line *line, int base, uint32 *number)
{
	const char *first = line->next;
	uint64		value = 0;

	while (line->next < line->end && digit_value(*line->next) < base)
	{
		value = value * base + digit_value(*line->next++);
		if (value > PG_UINT32_MAX)
			return false;
	}
	*number = (uint32) value;
	return line->next > first;
}

/* Parse a line; *is_entry is false if it is blank or a comment. */
static bool
parse_line(Line line, WsHistoryEntry *entry, bool *is_entry)
{
	uint32		high;
	uint32		low;

	*is_entry = false;
	if (memchr(line.next, '\0', line.end - line.next) != NULL)
		return false;
	skip_space(&line);
	if (line.next == line.end || *line.next == '#')
		return true;

	*is_entry = true;
	if (!take_number(&line, 10, &entry->tli) || entry->tli == 0 ||
		!skip_space(&line) || !take_number(&line, 16, &high) ||
		line.next == line.end || *line.next++ != '/' ||
		!take_number(&line, 16, &low))
		return false;
	entry->end_lsn = (uint64) high << 32 | low;

	/* the reason follows, if there is one */
	return entry->end_lsn != InvalidXLogRecPtr &&
		(line.next == line.end || is_space(*line.next));
}

/*
 * Append an entry.  After a recovery to a point before the last timeline
 * began, PostgreSQL records that timeline as left before its beginning.  Such
 * a timeline is not part of the line: the one before it was left at that
 * point.
 */
static void
append_entry(WsHistory *history, const WsHistoryEntry *entry)
{
	WsHistoryEntry *entries = history->entries;

	if (history->count == 0 ||
		entry->end_lsn >= entries[history->count - 1].end_lsn)
	{
		entries[history->count++] = *entry;
		return;
	}

	while (history->count > 1 &&
		   entry->end_lsn < entries[history->count - 2].end_lsn)
		history->count--;
	entries[history->count - 1].end_lsn = entry->end_lsn;
}

WsStatus
ws_history_parse(TimeLineID tli, const char *content, size_t len,
				 WsHistory *history, int *line)
{
	const char *next = content;
	size_t		left = len;
	TimeLineID	last_tli = 0;
	WsHistoryEntry *last;

	history->count = 0;
	*line = 0;
	if (len > WS_HISTORY_MAX_BYTES)
		return WS_E_TOO_LARGE;
	if (tli == 0 || (tli == 1 && len > 0))
		return WS_E_MALFORMED;

	while (left > 0)
	{
		const char *newline = memchr(next, '\n', left);
		size_t		line_len = newline != NULL ? (size_t) (newline - next) : left;
		Line		this_line = {next, next + line_len};
		WsHistoryEntry entry;
		bool		is_entry;

		(*line)++;
		next += newline != NULL ? line_len + 1 : line_len;
		left -= newline != NULL ? line_len + 1 : line_len;
		if (!parse_line(this_line, &entry, &is_entry))
			return WS_E_MALFORMED;
		if (!is_entry)
			continue;
		if (history->count >= WS_HISTORY_MAX_ENTRIES)
			return WS_E_TOO_LARGE;
		if (entry.tli >= tli || entry.tli <= last_tli)
			return WS_E_MALFORMED;
		last_tli = entry.tli;
		append_entry(history, &entry);
	}

	last = &history->entries[history->count++];
	last->tli = tli;
	last->end_lsn = InvalidXLogRecPtr;
	return WS_OK;
}

bool
ws_history_find(const WsHistory *history, TimeLineID tli, XLogRecPtr *end_lsn,
				TimeLineID *next_tli)
{
	for (int i = 0; i < history->count; i++)
	{
		if (history->entries[i].tli != tli)
			continue;
		*end_lsn = history->entries[i].end_lsn;
		*next_tli = i + 1 < history->count ? history->entries[i + 1].tli : 0;
		return true;
	}
	return false;
}

TimeLineID
ws_history_tli_at(const WsHistory *history, XLogRecPtr lsn)
{
	int			i = 0;

	while (i < history->count - 1 && history->entries[i].end_lsn <= lsn)
		i++;
	return history->entries[i].tli;
}

bool
ws_history_is_shared(const WsHistory *a, const WsHistory *b, int i)
{
	if (i >= a->count || i >= b->count || a->entries[i].tli != b->entries[i].tli)
		return false;
	for (int j = 0; j < i; j++)
	{
		if (a->entries[j].tli != b->entries[j].tli ||
			a->entries[j].end_lsn != b->entries[j].end_lsn)
			return false;
	}
	return true;
}
