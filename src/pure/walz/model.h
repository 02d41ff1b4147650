/*-------------------------------------------------------------------------
 *
 * model.h
 *	  Predicts and codes WAL records from the records before them.
 *
 * Records of one shape (walz/record.h) form a class.  Their bodies (main data
 * and the blocks' data) usually differ from one record to the next in the same
 * few bytes.  Much of what differs can be predicted in another way, because it
 * is the record's xid, or close to the last timestamp, or was in another
 * record of the same transaction (a tuple's place in the index entry that
 * points to it, a key in the row that refers to it).  The model discovers such
 * fields by itself: a byte that was not as predicted starts a search for a
 * place from which it could have been copied.  If there is one, a link is made
 * and used from then on.
 *
 * A record goes through the entropy stage in this order:
 *
 *		field			what
 *		op				code: 0 no xid; 1 the highest xid so far plus one;
 *						2-9 one of the last eight; 10 another; 11 what follows
 *						up to the next possible start of a record is raw; 12
 *						the beginning of a record that does not end in the
 *						piece (walz/part.h)
 *		xid				op 10: signed number, from the highest so far
 *		class			code: its number, in two codes from 240 on; 255 new
 *		shape			new class: its length and its bytes, literals
 *		top-level xid	if the shape has one: signed number, from the xid
 *		lengths			code: 0-3 the same as one of the last four times; 4 new
 *						new: each block's data's, then the main data's, numbers
 *	  each block:
 *		block			code: 0 the relation's last; 1 the one after it;
 *						2-6 one of the five before; 7 in three bytes; 8 in
 *						four; 9 one byte, signed, from the last
 *		image			walz/page.h
 *	  one block with data of 512 bytes or more:
 *		rows			code: whether they are rows of a bulk load; these come last
 *	  all:
 *		times			each field known as a timestamp: signed number, from
 *						the last timestamp
 *		mask			code: 0-11 which of the class's masks says what bytes
 *						of the body are sent, 12 a new one
 *		new mask		cut, and as many mask bytes, literals
 *		body			each byte of the mask's: literal, difference from what
 *						was predicted
 *		rest			the body from 8 * cut bytes on, raw
 *		rows			walz/tuples.h
 *
 * The block numbers of the first four blocks, laid out as in a tuple
 * identifier, come in front of the body, so that links can refer to them; they
 * have been sent by then.  Masks and links count from there.  Masks and
 * predictions cover WZ_BODY_MAX bytes; anything beyond is raw.
 *
 * All memory is in WsWalzModel.  When it has no room for a new class, one that
 * has not been used for some time is given up; the decoder does the same at
 * the same record.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_MODEL_H
#define WS_PURE_WALZ_MODEL_H

#include "pure/walz/io.h"
#include "pure/walz/record.h"

/* WZ_MAX_CLASSES and WZ_RELATIONS: the benchmark tries others */
#ifndef WZ_MAX_CLASSES
#define WZ_MAX_CLASSES		512
#endif
#define WZ_CLASS_BUCKETS	512
#define WZ_KIN				256
#define WZ_BODY_MAX			320
#define WZ_BODY_BLOCKS		4
#define WZ_MASKS			12
#define WZ_LINKS			10
#define WZ_LENGTH_SETS		4
#define WZ_LENGTHS			4
#define WZ_XIDS				8
#define WZ_BLOCKS			6
#ifndef WZ_RELATIONS
#define WZ_RELATIONS		512
#endif
#define WZ_RELATION_WAYS	4
#define WZ_RING				8

/* Bit i: byte i of the body is sent. */
typedef struct WsWalzMask
{
	uint64		bits[WZ_BODY_MAX / 64];
	uint8		cut;			/* in units of eight bytes; the rest is raw */
} WsWalzMask;

typedef enum WsWalzLinkKind
{
	WZ_LINK_XID,				/* four bytes: the record's xid */
	WZ_LINK_TIME,				/* eight bytes: near the last timestamp */
	WZ_LINK_COPY				/* from the last body of another class */
} WsWalzLinkKind;

typedef struct WsWalzLink
{
	uint8		kind;			/* WsWalzLinkKind */
	uint8		trust;			/* 0: dropped */
	uint8		len;
	uint16		to;
	uint16		from;			/* COPY: class, and where in its body */
	uint16		from_class;
} WsWalzLink;

typedef struct WsWalzClass
{
	uint32		hash;
	int16		next;			/* in the bucket; -1 is the end */
	uint8		shape_len;
	uint8		shape[WZ_SHAPE_MAX];
	bool		used;			/* since the hand was here */

	uint32		seen;
	uint32		last_xid;
	uint32		lengths[WZ_LENGTH_SETS][WZ_LENGTHS];
	uint8		nlinks;
	uint8		nmasks;
	uint8		next_mask;		/* the one to replace */
	uint16		last_len;
	WsWalzLink	links[WZ_LINKS];
	WsWalzMask	masks[WZ_MASKS];
	uint8		last[WZ_BODY_MAX];
} WsWalzClass;

/* A fork of a relation. */
typedef struct WsWalzRelation
{
	bool		used;
	uint8		fork;
	uint8		locator[WZ_LOCATOR_SIZE];
	uint32		recent[WZ_BLOCKS];
	uint8		page[WZ_DATA_HEADER];	/* header of the last page image */
} WsWalzRelation;

typedef struct WsWalzModel
{
	size_t		max_record;		/* what work and images have room for */
	uint8	   *work;			/* decoding: main data and blocks' data */
	uint8	   *images;			/* decoding: images */
	int			shape_len;		/* coding: length of the current record's
								 * shape */
	uint8		shape[WZ_SHAPE_MAX];

	uint32		last_op;
	int			last_class;		/* 0 none, else class + 1 */
	uint32		max_xid;
	uint32		xids[WZ_XIDS];
	int16		xid_class[WZ_XIDS]; /* their last classes, as last_class */
	uint64		last_time;
	uint16		ring[WZ_RING];	/* classes of the last records */
	uint32		ring_next;

	int			nclasses;
	int			hand;			/* the next class to give up, unless it is in
								 * use */
	int16		kin[WZ_KIN];	/* the last class of a kind; -1 none */
	int16		buckets[WZ_CLASS_BUCKETS];
	uint8		victims[WZ_RELATIONS / WZ_RELATION_WAYS];
	WsWalzRelation relations[WZ_RELATIONS];
	WsWalzClass classes[WZ_MAX_CLASSES];
} WsWalzModel;

extern void ws_walz_model_forget(WsWalzModel *model);

/*
 * Code the op of this record, or, if record is NULL, the op "other".  When
 * decoding, both arguments are ignored and the op is returned.
 */
extern uint8 ws_walz_model_op(WsWalzModel *model, WsWalzIo *io,
							  const WsWalzRecord *record, uint8 other);

#define WZ_OP_NO_XID		0
#define WZ_OP_NEXT_XID		1
#define WZ_OP_RECENT_XID	2
#define WZ_OP_OTHER_XID		10
#define WZ_OP_RAW			11
#define WZ_OP_PART			12

/*
 * Code a record after its op.  When coding, ws_walz_model_fits must have
 * returned true for it.  When decoding, this fills in *record, with pointers
 * into the model's memory that are valid until the next call.  The caller must
 * look at io->failed afterwards.
 */
extern void ws_walz_model_record(WsWalzModel *model, WsWalzIo *io, uint8 op,
								 WsWalzRecord *record);

/*
 * Returns what the model remembers of a block's fork; valid until the next
 * call.
 */
extern WsWalzRelation *ws_walz_model_relation(WsWalzModel *model,
											  const WsWalzBlock *block);

/* Returns true if this record can be modelled; only when coding. */
extern bool ws_walz_model_fits(WsWalzModel *model,
							   const WsWalzRecord *record);

#endif							/* WS_PURE_WALZ_MODEL_H */
