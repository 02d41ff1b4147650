/*-------------------------------------------------------------------------
 *
 * sockopt.h
 *	  Options of a walsender's socket, which tell the kernel how to send.
 *
 * They exist for TCP on Linux only.  On a Unix-domain socket the kernel takes
 * some of them and does nothing, so the family decides, not the result.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_SOCKOPT_H
#define WS_SOCKOPT_H

/* Size of a congestion control's name with its terminating zero, in Linux. */
#define WS_CONGESTION_SIZE	16

/*
 * Bytes that the kernel takes without sending them.  By default it takes
 * megabytes, behind which a keepalive waits on a slow link until one of the
 * timeouts strikes.
 */
#define WS_UNSENT_MAX		(1024 * 1024)
#define WS_UNSENT_MIN		(32 * 1024)

/*
 * Set the congestion control; "" is the one that the connection began with,
 * which also stays if the wanted one cannot be had.  That is a WARNING, once in
 * a connection, to the log only.
 */
extern void ws_sockopt_set_congestion_control(const char *name);

/*
 * Returns the name of the congestion control in use; "" if there is none.
 * Valid until the next call.
 */
extern const char *ws_sockopt_congestion_control(void);

/*
 * Have the kernel send no more than so many bytes per second, and take no more
 * than it sends in a fifth of a second.  Returns false if it cannot; then
 * ws_sockopt_unpace() undoes what it has done of it.
 */
extern bool ws_sockopt_pace(int64 rate);

/*
 * Have it send as fast as it can; at first for every stream, for which it also
 * sets how much may wait unsent.
 */
extern void ws_sockopt_unpace(void);

#endif							/* WS_SOCKOPT_H */
