/*-------------------------------------------------------------------------
 *
 * hello.c
 *	  Writes and parses the hello message, which announces the codec of the
 *	  frames that follow.
 *
 * The layout is in accept.h.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/bytes.h"
#include "pure/wire/accept.h"

#define FLAG_LOGICAL	0x01
#define FLAGS_RESERVED	0xfe

void
ws_hello_encode(const WsHello *hello, uint8 *buf)
{
	/* a level may be below the field's range, which is only informative */
	int16		level = Max(PG_INT16_MIN, Min(PG_INT16_MAX, hello->level));

	buf[0] = WS_HELLO_TYPE;
	buf[1] = hello->version;
	buf[2] = hello->codec;
	buf[3] = hello->reason;
	ws_bytes_put_net16(buf + 4, (uint16) level);
	buf[6] = hello->window_log;
	buf[7] = hello->stream.logical ? FLAG_LOGICAL : 0;
	ws_bytes_put_net32(buf + 8, hello->stream.wal_block_size);
	ws_bytes_put_net32(buf + 12, hello->stream.wal_segment_size);
	ws_bytes_put_net16(buf + 16, hello->stream.wal_page_magic);
}

/*
 * A version above ours is WS_E_UNEXPECTED, since a sender must not choose a
 * version that the receiver did not announce.  So is a codec that is not in
 * the table.
 */
WsStatus
ws_hello_decode(const uint8 *buf, size_t len, WsHello *hello)
{
	if (len < WS_HELLO_SIZE || buf[0] != WS_HELLO_TYPE || buf[1] == 0)
		return WS_E_MALFORMED;
	if (buf[1] > WS_PROTOCOL_VERSION)
		return WS_E_UNEXPECTED;
	if (buf[2] > WS_MAX_CODECS || (buf[7] & FLAGS_RESERVED) != 0)
		return WS_E_MALFORMED;
	if (buf[2] != WS_CODEC_NONE && ws_codec_by_id(buf[2]) == NULL)
		return WS_E_UNEXPECTED;
	if (buf[2] != WS_CODEC_NONE && buf[3] != WS_REASON_NONE)
		return WS_E_MALFORMED;
	if (buf[2] != WS_CODEC_NONE && buf[6] > WS_WINDOW_LOG_MAX)
		return WS_E_TOO_LARGE;

	hello->version = buf[1];
	hello->codec = (WsCodecId) buf[2];
	hello->reason = (WsNoCodecReason) buf[3];
	hello->level = (int16) ws_bytes_get_net16(buf + 4);
	hello->window_log = buf[6];
	hello->stream.level = hello->level;
	hello->stream.logical = (buf[7] & FLAG_LOGICAL) != 0;
	hello->stream.wal_block_size = ws_bytes_get_net32(buf + 8);
	hello->stream.wal_segment_size = ws_bytes_get_net32(buf + 12);
	hello->stream.wal_page_magic = ws_bytes_get_net16(buf + 16);
	return WS_OK;
}
