/*-------------------------------------------------------------------------
 *
 * model.c
 *	  Predicts and codes WAL records from the records before them.
 *
 * Every function here runs on both ends and must leave the model in the same
 * state on both.  So a function may look at a record's fields before they are
 * coded only to choose what to code, and must not store anything in the model
 * that only the encoder knows.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/walz/body.h"
#include "pure/walz/model.h"
#include "pure/walz/page.h"

#define CLASS_TWO_CODES		240
#define CLASS_NEW			255
#define LENGTHS_NEW			WZ_LENGTH_SETS

#define BLOCK_LAST			0
#define BLOCK_NEXT			1
#define BLOCK_RECENT		2
#define BLOCK_THREE_BYTES	7
#define BLOCK_FOUR_BYTES	8
#define BLOCK_NEAR			9

StaticAssertDecl(WZ_KIND_OP + WZ_OP_PART < WZ_KIND_TUPLES &&
				 WZ_KIND_TIME + 10 * (WZ_LINKS + 1) <= WZ_KIND_SHAPE &&
				 WZ_KIND_SHAPE + WZ_SHAPE_MAX < WZ_KIND_MASK_BYTE &&
				 WZ_KIND_MASK_BYTE + WZ_BODY_MAX / 8 <= WZ_KIND_BODY &&
				 WZ_KIND_BODY + WZ_BODY_MAX <= 1024,
				 "kinds of contexts must not overlap");

void
ws_walz_model_forget(WsWalzModel *model)
{
	model->last_op = 0;
	model->last_class = 0;
	model->max_xid = 0;
	model->last_time = 0;
	model->nclasses = 0;
	model->ring_next = 0;
	memset(model->xids, 0, sizeof(model->xids));
	memset(model->xid_class, 0, sizeof(model->xid_class));
	memset(model->ring, 0, sizeof(model->ring));
	memset(model->victims, 0, sizeof(model->victims));
	model->hand = 0;
	memset(model->buckets, 0xFF, sizeof(model->buckets));
	memset(model->kin, 0xFF, sizeof(model->kin));
	for (int i = 0; i < WZ_RELATIONS; i++)
		model->relations[i].used = false;
}

/*
 * Xids
 */

static int
find_xid(const WsWalzModel *model, uint32 xid)
{
	for (int i = 0; i < WZ_XIDS; i++)
	{
		if (model->xids[i] == xid)
			return i;
	}
	return -1;
}

/* Move an xid to the front. */
static void
use_xid(WsWalzModel *model, uint32 xid)
{
	int			at = find_xid(model, xid);
	int16		class = at < 0 ? 0 : model->xid_class[at];

	if (at < 0)
		at = WZ_XIDS - 1;
	for (; at > 0; at--)
	{
		model->xids[at] = model->xids[at - 1];
		model->xid_class[at] = model->xid_class[at - 1];
	}
	model->xids[0] = xid;
	model->xid_class[0] = class;

	/*
	 * xids wrap around; the first one counts as the highest
	 */
	if (model->max_xid == 0 || (int32) (xid - model->max_xid) > 0)
		model->max_xid = xid;
}

uint8
ws_walz_model_op(WsWalzModel *model, WsWalzIo *io, const WsWalzRecord *record,
				 uint8 other)
{
	uint8		op = other;

	if (!io->decoding && record != NULL)
	{
		int			at;

		if (record->xid == 0)
			op = WZ_OP_NO_XID;
		else if (record->xid == model->max_xid + 1)
			op = WZ_OP_NEXT_XID;
		else if ((at = find_xid(model, record->xid)) >= 0)
			op = WZ_OP_RECENT_XID + at;
		else
			op = WZ_OP_OTHER_XID;
	}
	op = ws_walz_code(io, WZ_CONTEXT(WZ_KIND_OP, model->last_class,
									 model->last_op), op);
	if (op > WZ_OP_PART)
	{
		io->failed = true;
		op = WZ_OP_RAW;
	}
	model->last_op = op;
	return op;
}

static void
code_xid(WsWalzModel *model, WsWalzIo *io, uint8 op, WsWalzRecord *record)
{
	if (op == WZ_OP_NO_XID)
	{
		record->xid = 0;
		return;
	}
	if (op == WZ_OP_NEXT_XID)
		record->xid = model->max_xid + 1;
	else if (op < WZ_OP_OTHER_XID)
		record->xid = model->xids[op - WZ_OP_RECENT_XID];
	else
		record->xid = model->max_xid + (uint32)
			ws_walz_signed(io, WZ_CONTEXT(WZ_KIND_XID, 0, 0),
						   (int32) (record->xid - model->max_xid));
	use_xid(model, record->xid);
}

/*
 * Classes
 */

static uint32
hash_shape(const uint8 *shape, int len)
{
	uint64		h = UINT64CONST(0x9E3779B97F4A7C15) * (uint64) len;

	for (; len >= 8; shape += 8, len -= 8)
		h = (h ^ ws_bytes_get64(shape)) * UINT64CONST(0xD6E8FEB86659FD93) ^ h >> 29;
	for (; len > 0; shape++, len--)
		h = (h ^ *shape) * UINT64CONST(0xD6E8FEB86659FD93);
	return (uint32) (h >> 32);
}

static int
find_class(const WsWalzModel *model, const uint8 *shape, int len, uint32 hash)
{
	int			i = model->buckets[hash % WZ_CLASS_BUCKETS];

	while (i >= 0)
	{
		const WsWalzClass *class = &model->classes[i];

		if (class->hash == hash && class->shape_len == len &&
			memcmp(class->shape, shape, len) == 0)
			break;
		i = class->next;
	}
	return i;
}

/* Find a place for a new class: a free one, or that of a class not in use. */
static int
make_room(WsWalzModel *model)
{
	int16	   *at;
	int			number;

	if (model->nclasses < WZ_MAX_CLASSES)
		return model->nclasses++;

	/* take the first one not used since the hand's last visit */
	while (model->classes[model->hand].used)
	{
		model->classes[model->hand].used = false;
		model->hand = (model->hand + 1) % WZ_MAX_CLASSES;
	}
	number = model->hand;
	model->hand = (model->hand + 1) % WZ_MAX_CLASSES;

	/*
	 * Other classes may have links to it.  These will predict from the new
	 * class, be wrong, and be dropped.
	 */
	at = &model->buckets[model->classes[number].hash % WZ_CLASS_BUCKETS];
	while (*at != number)
		at = &model->classes[*at].next;
	*at = model->classes[number].next;
	return number;
}

/*
 * Initialize a new class from the last similar one, which is usually the same
 * kind of record of another relation.
 */
static int
add_class(WsWalzModel *model, const uint8 *shape, int len)
{
	int			number = make_room(model);
	WsWalzClass *class = &model->classes[number];
	uint32		hash = hash_shape(shape, len);
	int16	   *bucket = &model->buckets[hash % WZ_CLASS_BUCKETS];
	int16	   *kin;

	/* shapes begin with info, resource manager and the number of blocks */
	kin = &model->kin[hash_shape(shape, Min(len, 4)) % WZ_KIN];
	if (*kin < 0)
		memset(class, 0, sizeof(*class));
	else if (*kin != number)
		memcpy(class, &model->classes[*kin], sizeof(*class));
	*kin = number;

	/* but its links refer to records of another relation */
	class->nlinks = 0;
	class->seen = 0;
	class->last_xid = 0;
	class->hash = hash;
	class->shape_len = len;
	memcpy(class->shape, shape, len);
	class->next = *bucket;
	*bucket = number;
	return number;
}

/* Code the class and return its number.  Decoding sets the record's shape. */
static int
code_class(WsWalzModel *model, WsWalzIo *io, WsWalzRecord *record)
{
	uint8	   *shape = model->shape;
	int			len = model->shape_len;
	int			at = -1;
	int			before;
	uint8		first;
	uint32		context;

	if (!io->decoding)
		at = find_class(model, shape, len, hash_shape(shape, len));

	before = record->xid != 0 ? model->xid_class[0] : model->last_class;
	context = WZ_CONTEXT(WZ_KIND_CLASS, before, record->xid != 0);
	if (at < 0)
		first = CLASS_NEW;
	else if (at < CLASS_TWO_CODES)
		first = at;
	else
		first = CLASS_TWO_CODES + (at - CLASS_TWO_CODES) / 256;
	first = ws_walz_code(io, context, first);

	if (first == CLASS_NEW)
	{
		context = WZ_CONTEXT(WZ_KIND_SHAPE, 0, 0);
		len = ws_walz_literal(io, context, len);
		if (len > WZ_SHAPE_MAX)
		{
			io->failed = true;
			return 0;
		}
		for (int i = 0; i < len; i++)
			shape[i] = ws_walz_literal(io, context + 1 + i, shape[i]);
		at = add_class(model, shape, len);
	}
	else if (first >= CLASS_TWO_CODES)
	{
		at = ws_walz_code(io, context + 2,
						  (uint8) (at - CLASS_TWO_CODES));
		at += CLASS_TWO_CODES + (first - CLASS_TWO_CODES) * 256;
	}
	else
		at = first;

	if (io->decoding &&
		(at >= model->nclasses ||
		 !ws_walz_shape_read(model->classes[at].shape,
							 model->classes[at].shape_len, record)))
		io->failed = true;
	return at;
}

/*
 * Lengths
 */

static void
code_lengths(WsWalzIo *io, WsWalzClass *class, int number, WsWalzRecord *record)
{
	uint32		lengths[WZ_LENGTHS] = {0};
	int			n = 0;
	uint8		set = LENGTHS_NEW;

	for (int i = 0; i < record->nblocks; i++)
	{
		if ((record->blocks[i].flags & WZ_BLOCK_HAS_DATA) == 0)
			continue;
		if (n < WZ_LENGTHS)
			lengths[n] = record->blocks[i].data_len;
		n++;
	}
	if (n < WZ_LENGTHS)
		lengths[n] = record->main_len;
	n++;

	if (n <= WZ_LENGTHS && !io->decoding)
	{
		for (set = 0; set < WZ_LENGTH_SETS; set++)
		{
			if (memcmp(class->lengths[set], lengths, sizeof(lengths)) == 0)
				break;
		}
	}
	set = ws_walz_code(io, WZ_CONTEXT(WZ_KIND_LENGTHS, number, 0), set);
	if (set > LENGTHS_NEW)
	{
		io->failed = true;
		return;
	}

	if (set == LENGTHS_NEW)
	{
		int			k = 0;
		uint64		v;

		for (int i = 0; i < record->nblocks; i++)
		{
			if ((record->blocks[i].flags & WZ_BLOCK_HAS_DATA) == 0)
				continue;
			v = ws_walz_number(io, WZ_CONTEXT(WZ_KIND_LENGTH, number, 10 * Min(k, 4)),
							   record->blocks[i].data_len);
			if (v > PG_UINT16_MAX)
				io->failed = true;
			record->blocks[i].data_len = (uint16) v;
			if (k < WZ_LENGTHS)
				lengths[k] = (uint32) v;
			k++;
		}
		if (record->main_id != 0)
		{
			v = ws_walz_number(io, WZ_CONTEXT(WZ_KIND_LENGTH, number, 50),
							   record->main_len);
			if (v > (record->main_id == WZ_ID_MAIN_SHORT ?
					 PG_UINT8_MAX : PG_INT32_MAX))
				io->failed = true;
			record->main_len = (uint32) v;
		}
		if (k < WZ_LENGTHS)
			lengths[k] = record->main_len;
		set = WZ_LENGTH_SETS - 1;
	}
	else if (io->decoding)
	{
		int			k = 0;

		if (n > WZ_LENGTHS)
		{
			io->failed = true;
			return;
		}
		memcpy(lengths, class->lengths[set], sizeof(lengths));
		for (int i = 0; i < record->nblocks; i++)
		{
			if (record->blocks[i].flags & WZ_BLOCK_HAS_DATA)
				record->blocks[i].data_len = lengths[k++];
		}
		record->main_len = lengths[k];
	}

	if (n <= WZ_LENGTHS)
	{
		for (; set > 0; set--)
			memcpy(class->lengths[set], class->lengths[set - 1], sizeof(lengths));
		memcpy(class->lengths[0], lengths, sizeof(lengths));
	}
}

/*
 * Blocks
 */

WsWalzRelation *
ws_walz_model_relation(WsWalzModel *model, const WsWalzBlock *block)
{
	uint8		fork = block->flags & WZ_BLOCK_FORK;
	uint64		h;
	uint32		bucket;
	WsWalzRelation *relation;

	h = (ws_bytes_get64(block->locator) ^ (uint64) fork << 40) *
		UINT64CONST(0x9E3779B97F4A7C15);
	h = (h ^ ws_bytes_get32(block->locator + 8)) * UINT64CONST(0xD6E8FEB86659FD93);
	bucket = (uint32) (h >> 40) % (WZ_RELATIONS / WZ_RELATION_WAYS);
	relation = &model->relations[bucket * WZ_RELATION_WAYS];
	for (int i = 0; i < WZ_RELATION_WAYS; i++)
	{
		if (relation[i].used && relation[i].fork == fork &&
			memcmp(relation[i].locator, block->locator, WZ_LOCATOR_SIZE) == 0)
			return &relation[i];
	}

	relation += model->victims[bucket]++ % WZ_RELATION_WAYS;
	memset(relation, 0, sizeof(*relation));
	relation->used = true;
	relation->fork = fork;
	memcpy(relation->locator, block->locator, WZ_LOCATOR_SIZE);
	return relation;
}

static void
code_block(WsWalzIo *io, WsWalzRelation *relation, int number, int nth,
		   WsWalzBlock *block)
{
	uint32		last = relation->recent[0];
	uint8		code;
	uint32		context;
	int			at;

	nth = Min(nth, 7);
	for (at = 0; at < WZ_BLOCKS; at++)
	{
		if (relation->recent[at] == block->block)
			break;
	}
	if (at == 0)
		code = BLOCK_LAST;
	else if (block->block == last + 1)
		code = BLOCK_NEXT;
	else if (at < WZ_BLOCKS)
		code = BLOCK_RECENT + at - 1;
	else if (block->block - last + 128 < 256)
		code = BLOCK_NEAR;
	else if (block->block < 1 << 24)
		code = BLOCK_THREE_BYTES;
	else
		code = BLOCK_FOUR_BYTES;
	code = ws_walz_code(io, WZ_CONTEXT(WZ_KIND_BLOCK, number, nth), code);

	context = WZ_CONTEXT(WZ_KIND_BLOCK_NUMBER, number, nth * 8);
	if (code <= BLOCK_NEXT)
		block->block = last + code;
	else if (code < BLOCK_RECENT + WZ_BLOCKS - 1)
		block->block = relation->recent[code - BLOCK_RECENT + 1];
	else if (code == BLOCK_NEAR)
		block->block = last - 128 +
			ws_walz_literal(io, context + 4, (uint8) (block->block - last + 128));
	else if (code <= BLOCK_FOUR_BYTES)
	{
		uint32		v = block->block;
		uint32		result = 0;

		for (int i = code == BLOCK_FOUR_BYTES ? 3 : 2; i >= 0; i--)
			result = result << 8 | ws_walz_literal(io, context + i, (uint8) (v >> (8 * i)));
		block->block = result;
	}
	else
		io->failed = true;

	for (at = 0; at < WZ_BLOCKS - 1; at++)
	{
		if (relation->recent[at] == block->block)
			break;
	}
	for (; at > 0; at--)
		relation->recent[at] = relation->recent[at - 1];
	relation->recent[0] = block->block;
}

static void
code_blocks(WsWalzModel *model, WsWalzIo *io, int number, WsWalzRecord *record)
{
	uint8	   *room = model->images;
	size_t		left = model->max_record;

	for (int i = 0; i < record->nblocks; i++)
	{
		WsWalzBlock *block = &record->blocks[i];
		WsWalzRelation *relation = ws_walz_model_relation(model, block);

		code_block(io, relation, number, i, block);
		if ((block->flags & WZ_BLOCK_HAS_IMAGE) == 0)
			continue;
		ws_walz_page_code(io, WZ_CONTEXT(WZ_KIND_IMAGE, number, 0),
						  relation->page, block, room, left);
		if (io->failed)
			return;
		if (io->decoding)
		{
			room += block->image_len;
			left -= block->image_len;
		}
	}
}

/* When decoding, set the record's pointers. */
static void
place_body(WsWalzModel *model, WsWalzRecord *record)
{
	const uint8 *p = model->work;
	const uint8 *image = model->images;

	record->main = p;
	p += record->main_len;
	for (int i = 0; i < record->nblocks; i++)
	{
		record->blocks[i].image = image;
		image += record->blocks[i].image_len;
		record->blocks[i].data = p;
		p += record->blocks[i].data_len;
	}
}

bool
ws_walz_model_fits(WsWalzModel *model, const WsWalzRecord *record)
{
	size_t		total = record->main_len;

	for (int i = 0; i < record->nblocks; i++)
		total += record->blocks[i].data_len;
	if (total > model->max_record)
		return false;
	model->shape_len = ws_walz_shape_write(record, model->shape);
	return model->shape_len > 0;
}

void
ws_walz_model_record(WsWalzModel *model, WsWalzIo *io, uint8 op,
					 WsWalzRecord *record)
{
	WsWalzClass *class;
	int			number;

	code_xid(model, io, op, record);
	number = code_class(model, io, record);
	if (io->failed)
		return;
	class = &model->classes[number];

	if (record->has_toplevel)
		record->toplevel = record->xid + (uint32)
			ws_walz_signed(io, WZ_CONTEXT(WZ_KIND_XID, 0, 10),
						   (int32) (record->toplevel - record->xid));
	code_lengths(io, class, number, record);
	if (io->failed)
		return;
	code_blocks(model, io, number, record);
	if (io->failed)
		return;
	ws_walz_body_code(model, io, number, record);
	if (io->failed)
		return;
	if (io->decoding)
		place_body(model, record);

	class->used = true;
	class->seen++;
	class->last_xid = record->xid;
	model->ring[model->ring_next++ % WZ_RING] = number;
	model->last_class = number + 1;
	if (record->xid != 0 && model->xids[0] == record->xid)
		model->xid_class[0] = number + 1;
}
