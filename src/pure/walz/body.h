/*-------------------------------------------------------------------------
 *
 * body.h
 *	  Predicts and codes the body of a WAL record: see walz/model.h.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_BODY_H
#define WS_PURE_WALZ_BODY_H

#include "pure/walz/model.h"

/*
 * Code the main data and blocks' data of a record of the class with this
 * number; its lengths and blocks are known.  When decoding, they go to
 * model->work.  The caller must look at io->failed afterwards.
 */
extern void ws_walz_body_code(WsWalzModel *model, WsWalzIo *io, int number,
							  WsWalzRecord *record);

#endif							/* WS_PURE_WALZ_BODY_H */
