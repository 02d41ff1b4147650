/*-------------------------------------------------------------------------
 *
 * news.h
 *	  Tells processes that there is news for downstreams: more WAL to serve,
 *	  another timeline, or other relays that it comes through.
 *
 * Processes that publish something call this and do not know who listens.  (A
 * condition variable would do, but PostgreSQL 15's passes a wakeup on to
 * another process if its waiter waits for something else too, as a sender does
 * for its client.)
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_NEWS_H
#define WS_RELAY_NEWS_H

/* In _PG_init of a relay. */
extern void ws_news_init(void);

/*
 * Have this process's latch set whenever there is news, until it exits.  There
 * is room for max_wal_senders processes.
 */
extern void ws_news_listen(void);

/* Tell all listeners that there is news. */
extern void ws_news_tell(void);

#endif							/* WS_RELAY_NEWS_H */
