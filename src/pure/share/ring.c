/*-------------------------------------------------------------------------
 *
 * ring.c
 *	  Frames of one stream of WAL, in memory that processes share.
 *
 * The block has a head, the frames' descriptions, and their bytes.  Frame n is
 * described by entry n modulo their number.  Its bytes lie in one piece at an
 * offset that only grows; modulo the size of that part it is the place.
 *
 * A frame exists if its number is at least "first" and below "published".  The
 * writer raises "first" before it overwrites anything that belongs to a frame,
 * with a barrier between the two; a reader looks at "first" after it has read
 * all that it needs, with a barrier before.  So if what it read had been
 * overwritten, even in part, it sees that.  Until then it believes nothing:
 * lengths are checked before anything is copied by them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/crc.h"
#include "pure/share/ring.h"

/* What is not changed is written once, before anybody reads it. */
struct WsRing
{
	uint32		max_len;		/* not changed */
	uint32		nentries;		/* not changed */
	uint64		size;			/* not changed: of the bytes */
	uint64		offset;			/* where the next frame's bytes may begin;
								 * only the writer looks at it */
	uint64		reserved;		/* where those of the next do, after
								 * ws_ring_reserve; only the writer */

	/* Read without the lock; a cache line of their own, since they change. */
	uint64		first pg_attribute_aligned(WS_RING_ALIGN);
	uint64		published;
};

/*
 * A frame's description, as whole words: what a reader gets to see of one that
 * is being overwritten, or in which a bit has flipped, can be anything, and not
 * every byte is a valid bool.
 */
typedef struct WsRingEntry
{
	uint64		start_lsn;
	uint64		lengths;		/* of the WAL, and, low half, of the bytes */
	uint64		content;		/* its CRC; low half: codec and restart */
	uint64		cost_ns;
	uint64		offset;			/* of the bytes */
	uint64		check;			/* CRC of all that is above, and of the bytes */
} WsRingEntry;

#define HEAD_SIZE			TYPEALIGN(WS_RING_ALIGN, sizeof(WsRing))

/* Each frame's bytes begin at a multiple of this. */
#define FRAME_ALIGN			8

#define LOAD(from, order)	__atomic_load_n(&(from), __ATOMIC_##order)
#define STORE(to, value, order) __atomic_store_n(&(to), (value), __ATOMIC_##order)
#define BARRIER(order)		__atomic_thread_fence(__ATOMIC_##order)

static WsRingEntry *
get_entry(const WsRing *ring, uint64 number)
{
	WsRingEntry *entries = (WsRingEntry *) ((uint8 *) ring + HEAD_SIZE);

	return &entries[number % ring->nentries];
}

static uint8 *
get_bytes(const WsRing *ring, uint64 offset)
{
	return (uint8 *) get_entry(ring, 0) +
		TYPEALIGN(WS_RING_ALIGN, ring->nentries * sizeof(WsRingEntry)) +
		offset % ring->size;
}

static uint32
entry_len(const WsRingEntry *entry)
{
	return (uint32) entry->lengths;
}

static uint32
entry_raw_len(const WsRingEntry *entry)
{
	return (uint32) (entry->lengths >> 32);
}

static void
pack_entry(const WsRingFrame *frame, uint64 offset, WsRingEntry *entry)
{
	entry->start_lsn = frame->start_lsn;
	entry->lengths = (uint64) frame->raw_len << 32 | frame->len;
	entry->content = (uint64) frame->content_crc << 32 |
		(uint32) frame->codec << 1 | (uint32) frame->restart;
	entry->cost_ns = frame->cost_ns;
	entry->offset = offset;
}

static void
unpack_entry(const WsRingEntry *entry, WsRingFrame *frame)
{
	frame->start_lsn = entry->start_lsn;
	frame->raw_len = entry_raw_len(entry);
	frame->len = entry_len(entry);
	frame->content_crc = (pg_crc32c) (entry->content >> 32);
	frame->codec = (WsCodecId) ((uint32) entry->content >> 1);
	frame->restart = entry->content & 1;
	frame->cost_ns = entry->cost_ns;
}

static pg_crc32c
compute_check(const WsRingEntry *entry, const uint8 *bytes)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	crc = ws_crc_add(crc, (const uint8 *) entry, offsetof(WsRingEntry, check));
	crc = ws_crc_add(crc, bytes, entry_len(entry));
	FIN_CRC32C(crc);
	return crc;
}

WsRing *
ws_ring_init(void *block, size_t size, size_t max_len, size_t mean_len)
{
	WsRing	   *ring = block;
	size_t		each = sizeof(WsRingEntry) + mean_len;
	size_t		entries_size;

	if (mean_len == 0 || max_len == 0 || max_len > PG_INT32_MAX ||
		size < HEAD_SIZE + each || size / each > PG_INT32_MAX)
		return NULL;
	size -= HEAD_SIZE;
	memset(ring, 0, sizeof(WsRing));
	ring->nentries = Max(size / each, 2);
	entries_size = TYPEALIGN(WS_RING_ALIGN, ring->nentries * sizeof(WsRingEntry));
	if (entries_size > size || size - entries_size < TYPEALIGN(FRAME_ALIGN, max_len))
		return NULL;
	ring->max_len = max_len;
	ring->size = TYPEALIGN_DOWN(FRAME_ALIGN, size - entries_size);
	memset(get_entry(ring, 0), 0, entries_size);
	return ring;
}

/* Let all frames below a number exist no longer, before they are overwritten. */
static void
forget_before(WsRing *ring, uint64 number)
{
	STORE(ring->first, number, RELAXED);
	BARRIER(RELEASE);
}

uint8 *
ws_ring_reserve(WsRing *ring, size_t len)
{
	uint64		first = ring->first;
	uint64		place = ring->offset % ring->size;
	uint64		offset = ring->offset;

	if (len > ring->max_len)
		return NULL;

	/* in one piece: if it would go over the end, at the beginning */
	if (place + len > ring->size)
		offset += ring->size - place;
	ring->reserved = offset;

	/* neither its bytes nor its entry may belong to another frame */
	while (first < ring->published &&
		   (get_entry(ring, first)->offset + ring->size < offset + len ||
			first + ring->nentries <= ring->published))
		first++;
	if (first != ring->first)
		forget_before(ring, first);
	return get_bytes(ring, offset);
}

void
ws_ring_publish(WsRing *ring, const WsRingFrame *frame)
{
	WsRingEntry *entry = get_entry(ring, ring->published);

	pack_entry(frame, ring->reserved, entry);
	entry->check = compute_check(entry, get_bytes(ring, entry->offset));
	ring->offset = TYPEALIGN64(FRAME_ALIGN, entry->offset + frame->len);
	STORE(ring->published, ring->published + 1, RELEASE);
}

/*
 * A number is left out, at which nobody who waits for it finds a frame, even one
 * that starts at the same position.
 */
void
ws_ring_clear(WsRing *ring)
{
	uint64		next = ring->published + 1;

	forget_before(ring, next);
	STORE(ring->published, next, RELEASE);
}

/*
 * Read where frame "number" starts and ends.  Returns false if it does not
 * exist any more.
 */
static bool
read_range(const WsRing *ring, uint64 number, XLogRecPtr *start_lsn,
		   XLogRecPtr *end_lsn)
{
	const WsRingEntry *entry = get_entry(ring, number);

	*start_lsn = LOAD(entry->start_lsn, RELAXED);
	*end_lsn = *start_lsn + (uint32) (LOAD(entry->lengths, RELAXED) >> 32);
	BARRIER(ACQUIRE);
	return number >= LOAD(ring->first, RELAXED);
}

XLogRecPtr
ws_ring_end(const WsRing *ring)
{
	for (;;)
	{
		uint64		published = LOAD(ring->published, ACQUIRE);
		uint64		first = LOAD(ring->first, ACQUIRE);
		XLogRecPtr	start_lsn;
		XLogRecPtr	end_lsn;

		if (first < published && read_range(ring, published - 1, &start_lsn, &end_lsn))
			return end_lsn;

		/* empty, unless the writer has gone on meanwhile */
		if (LOAD(ring->published, ACQUIRE) == published)
			return InvalidXLogRecPtr;
	}
}

WsRingStatus
ws_ring_seek(const WsRing *ring, XLogRecPtr lsn, WsRingReader *reader)
{
	uint64		high = LOAD(ring->published, ACQUIRE);
	uint64		low = LOAD(ring->first, RELAXED);

	/*
	 * frames below low start before lsn, or are lost; those from high on, at
	 * it or later
	 */
	reader->lsn = lsn;
	if (low >= high)
		return WS_RING_LOST;
	while (low < high)
	{
		uint64		middle = low + (high - low) / 2;
		XLogRecPtr	start_lsn;
		XLogRecPtr	end_lsn;

		if (!read_range(ring, middle, &start_lsn, &end_lsn))
			low = middle + 1;
		else if (start_lsn == lsn)
		{
			reader->number = middle;
			return WS_RING_FOUND;
		}
		else if (end_lsn == lsn)
		{
			/* the next one, also if it does not exist yet */
			reader->number = middle + 1;
			return LOAD(ring->published, ACQUIRE) > middle + 1 ?
				WS_RING_FOUND : WS_RING_AT_END;
		}
		else if (start_lsn < lsn)
			low = middle + 1;
		else
			high = middle;
	}
	return WS_RING_LOST;
}

/* Each word once: the writer may change it at any time. */
static WsRingEntry
copy_entry(const WsRingEntry *entry)
{
	WsRingEntry copy;

	copy.start_lsn = LOAD(entry->start_lsn, RELAXED);
	copy.lengths = LOAD(entry->lengths, RELAXED);
	copy.content = LOAD(entry->content, RELAXED);
	copy.cost_ns = LOAD(entry->cost_ns, RELAXED);
	copy.offset = LOAD(entry->offset, RELAXED);
	copy.check = LOAD(entry->check, RELAXED);
	return copy;
}

WsRingStatus
ws_ring_take(const WsRing *ring, WsRingReader *reader, WsRingFrame *frame,
			 uint8 *dst)
{
	uint64		number = reader->number;
	WsRingEntry entry;
	bool		sane;

	if (number >= LOAD(ring->published, ACQUIRE))
		return WS_RING_AT_END;

	entry = copy_entry(get_entry(ring, number));
	sane = entry_len(&entry) <= ring->max_len &&
		entry.offset % ring->size + entry_len(&entry) <= ring->size;
	if (sane)
		memcpy(dst, get_bytes(ring, entry.offset), entry_len(&entry));
	BARRIER(ACQUIRE);
	if (number < LOAD(ring->first, RELAXED))
		return WS_RING_LOST;

	if (!sane || compute_check(&entry, dst) != entry.check)
		return WS_RING_DAMAGED;

	/* the ring has been cleared while the reader was at its end */
	if (entry.start_lsn != reader->lsn)
		return WS_RING_LOST;
	unpack_entry(&entry, frame);
	reader->number++;
	reader->lsn += frame->raw_len;
	return WS_RING_FOUND;
}
