/*-------------------------------------------------------------------------
 *
 * news.h
 *	  Tells processes that there is news for downstreams: more WAL to serve,
 *	  another timeline, or other relays that it comes through.
 *
 * Who publishes something says so here and does not know who listens.  (A
 * condition variable would do, but that of PostgreSQL 15 passes a wakeup on to
 * another process when its waiter waits for something else too, as a sender
 * does for its client.)
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
 * From now on this process's latch is set whenever there is news, until it
 * exits.  There is room for max_wal_senders processes.
 */
extern void ws_news_listen(void);

/* There is news. */
extern void ws_news_tell(void);

#endif							/* WS_RELAY_NEWS_H */
