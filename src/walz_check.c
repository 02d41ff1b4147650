/*-------------------------------------------------------------------------
 *
 * walz_check.c
 *	  Compares walz's description of WAL with PostgreSQL's own.
 *
 * walz/layout.h describes PostgreSQL's layouts by numbers of our own.  This
 * file has no code; it fails to compile against a server whose layouts differ.
 * It ignores versions that walz does not know, since walz does not parse WAL
 * with their page magic.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/heapam_xlog.h"
#include "access/rmgr.h"
#include "access/xact.h"
#include "access/xlog_internal.h"
#include "access/xlogrecord.h"
#include "pure/walz/layout.h"
#include "storage/bufpage.h"
#include "storage/itemid.h"

#if WS_WAL_IS_DESCRIBED

StaticAssertDecl(XLOG_PAGE_MAGIC == WZ_MAGIC_15 ||
				 XLOG_PAGE_MAGIC == WZ_MAGIC_16 ||
				 XLOG_PAGE_MAGIC == WZ_MAGIC_17 ||
				 XLOG_PAGE_MAGIC == WZ_MAGIC_18 ||
				 XLOG_PAGE_MAGIC == WZ_MAGIC_19,
				 "page magic of this version is not known");

#define CHECK(ours, theirs) \
	StaticAssertDecl((ours) == (theirs), #ours " is not " #theirs)

CHECK(WZ_ALIGN, MAXIMUM_ALIGNOF);

/* WAL pages */
CHECK(WZ_PAGE_MAGIC, offsetof(XLogPageHeaderData, xlp_magic));
CHECK(WZ_PAGE_INFO, offsetof(XLogPageHeaderData, xlp_info));
CHECK(WZ_PAGE_TLI, offsetof(XLogPageHeaderData, xlp_tli));
CHECK(WZ_PAGE_ADDR, offsetof(XLogPageHeaderData, xlp_pageaddr));
CHECK(WZ_PAGE_REST, offsetof(XLogPageHeaderData, xlp_rem_len));
CHECK(WZ_PAGE_SHORT, SizeOfXLogShortPHD);
CHECK(WZ_PAGE_LONG, SizeOfXLogLongPHD);
CHECK(WZ_PAGE_CONTRECORD, XLP_FIRST_IS_CONTRECORD);
CHECK(WZ_PAGE_IS_LONG, XLP_LONG_HEADER);
#ifdef XLP_BKP_REMOVABLE
CHECK(WZ_PAGE_BKP_REMOVABLE, XLP_BKP_REMOVABLE);
#else
CHECK(WZ_PAGE_OVERWRITE_19, XLP_FIRST_IS_OVERWRITE_CONTRECORD);
#endif

/* records */
CHECK(WZ_REC_LEN, offsetof(XLogRecord, xl_tot_len));
CHECK(WZ_REC_XID, offsetof(XLogRecord, xl_xid));
CHECK(WZ_REC_PREV, offsetof(XLogRecord, xl_prev));
CHECK(WZ_REC_INFO, offsetof(XLogRecord, xl_info));
CHECK(WZ_REC_RMID, offsetof(XLogRecord, xl_rmid));
CHECK(WZ_REC_PADDING, offsetof(XLogRecord, xl_rmid) + 1);
CHECK(WZ_REC_CRC, offsetof(XLogRecord, xl_crc));
CHECK(WZ_REC_HEADER, SizeOfXLogRecord);
CHECK(WZ_ID_MAX_BLOCK, XLR_MAX_BLOCK_ID);
CHECK(WZ_ID_TOPLEVEL_XID, XLR_BLOCK_ID_TOPLEVEL_XID);
CHECK(WZ_ID_ORIGIN, XLR_BLOCK_ID_ORIGIN);
CHECK(WZ_ID_MAIN_LONG, XLR_BLOCK_ID_DATA_LONG);
CHECK(WZ_ID_MAIN_SHORT, XLR_BLOCK_ID_DATA_SHORT);
CHECK(SizeOfXLogRecordDataHeaderShort, 2);
CHECK(SizeOfXLogRecordDataHeaderLong, 5);

/* block references */
CHECK(offsetof(XLogRecordBlockHeader, id), 0);
CHECK(offsetof(XLogRecordBlockHeader, fork_flags), 1);
CHECK(offsetof(XLogRecordBlockHeader, data_length), 2);
CHECK(SizeOfXLogRecordBlockHeader, 4);
CHECK(offsetof(XLogRecordBlockImageHeader, length), 0);
CHECK(offsetof(XLogRecordBlockImageHeader, hole_offset), 2);
CHECK(offsetof(XLogRecordBlockImageHeader, bimg_info), 4);
CHECK(SizeOfXLogRecordBlockImageHeader, 5);
CHECK(SizeOfXLogRecordBlockCompressHeader, 2);
CHECK(WZ_LOCATOR_SIZE, sizeof(RelFileLocator));
CHECK(sizeof(BlockNumber), 4);
CHECK(WZ_BLOCK_FORK, BKPBLOCK_FORK_MASK);
CHECK(WZ_BLOCK_HAS_IMAGE, BKPBLOCK_HAS_IMAGE);
CHECK(WZ_BLOCK_HAS_DATA, BKPBLOCK_HAS_DATA);
CHECK(WZ_BLOCK_SAME_REL, BKPBLOCK_SAME_REL);
CHECK(WZ_IMAGE_HAS_HOLE, BKPIMAGE_HAS_HOLE);
CHECK(WZ_IMAGE_COMPRESSED, BKPIMAGE_COMPRESS_PGLZ | BKPIMAGE_COMPRESS_LZ4 |
	  BKPIMAGE_COMPRESS_ZSTD);

/* commits */
CHECK(WZ_RM_XACT, RM_XACT_ID);
CHECK(WZ_XACT_OPMASK, XLOG_XACT_OPMASK);
CHECK(WZ_XACT_COMMIT, XLOG_XACT_COMMIT);
CHECK(offsetof(xl_xact_commit, xact_time), 0);

/*
 * data pages; for line pointers, which are bit fields, only the size can be
 * checked
 */
CHECK(WZ_DATA_LOWER, offsetof(PageHeaderData, pd_lower));
CHECK(WZ_DATA_UPPER, offsetof(PageHeaderData, pd_upper));
CHECK(WZ_DATA_SPECIAL, offsetof(PageHeaderData, pd_special));
CHECK(WZ_DATA_SIZE, offsetof(PageHeaderData, pd_pagesize_version));
CHECK(WZ_DATA_HEADER, SizeOfPageHeaderData);
CHECK(WZ_LINE_SIZE, sizeof(ItemIdData));
CHECK(WZ_LINE_NORMAL, LP_NORMAL);
CHECK(WZ_LINE_DEAD, LP_DEAD);

/* rows of a bulk load */
CHECK(WZ_ROW_LENGTH_SIZE, sizeof(((xl_multi_insert_tuple *) 0)->datalen));
CHECK(offsetof(xl_multi_insert_tuple, datalen), 0);
CHECK(offsetof(xl_multi_insert_tuple, t_infomask2), 2);
CHECK(offsetof(xl_multi_insert_tuple, t_infomask), 4);
CHECK(offsetof(xl_multi_insert_tuple, t_hoff), 6);
CHECK(WZ_ROW_HEADER, SizeOfMultiInsertTuple);
CHECK(WZ_ROW_ALIGN, SHORTALIGN(1));

#endif
