/*-------------------------------------------------------------------------
 *
 * varint.h
 *	  Integers of variable length, as in frames and in walz's pieces.
 *
 * Seven bits a byte, least significant first, high bit set on all but the
 * last; signed ones are zigzag-coded first.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_VARINT_H
#define WS_PURE_VARINT_H

/* Write an integer.  Returns the number of bytes written. */
static inline size_t
ws_varint_put(uint8 *buf, uint64 value)
{
	size_t		len = 0;

	while (value >= 0x80)
	{
		buf[len++] = (uint8) value | 0x80;
		value >>= 7;
	}
	buf[len++] = (uint8) value;
	return len;
}

/*
 * Read an integer and advance *pos, never past end.  Returns false if there is
 * no complete integer in its shortest form.
 */
static inline bool
ws_varint_get(const uint8 **pos, const uint8 *end, uint64 *value)
{
	const uint8 *p = *pos;
	uint64		result = 0;
	int			shift;

	for (shift = 0; p < end; shift += 7)
	{
		uint8		byte = *p++;

		/* The tenth byte has room for the last of 64 bits only. */
		if (shift == 63 && byte > 1)
			return false;
		result |= (uint64) (byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;

		/* A last byte of zero means that a shorter form exists. */
		if (byte == 0 && shift > 0)
			return false;
		*value = result;
		*pos = p;
		return true;
	}
	return false;
}

static inline uint64
ws_varint_zigzag(int64 value)
{
	uint64		bits = (uint64) value << 1;

	return value < 0 ? ~bits : bits;
}

static inline int64
ws_varint_unzigzag(uint64 value)
{
	return (int64) ((value >> 1) ^ (~(value & 1) + 1));
}

static inline size_t
ws_varint_put_signed(uint8 *buf, int64 value)
{
	return ws_varint_put(buf, ws_varint_zigzag(value));
}

static inline bool
ws_varint_get_signed(const uint8 **pos, const uint8 *end, int64 *value)
{
	uint64		bits;

	if (!ws_varint_get(pos, end, &bits))
		return false;
	*value = ws_varint_unzigzag(bits);
	return true;
}

#endif							/* WS_PURE_VARINT_H */
