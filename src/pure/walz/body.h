/*-------------------------------------------------------------------------
 *
 * body.h
 *	  What walz expects the body of a WAL record to be: see walz/model.h.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_WALZ_BODY_H
#define WS_PURE_WALZ_BODY_H

#include "pure/walz/model.h"

/*
 * Code main data and blocks' data of a record of the class with this number,
 * whose lengths and blocks are known.  Decoding: they go to model->work.  Look
 * at io->failed afterwards.
 */
extern void ws_walz_body_code(WsWalzModel *model, WsWalzIo *io, int number,
							  WsWalzRecord *record);

#endif							/* WS_PURE_WALZ_BODY_H */
