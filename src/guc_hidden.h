/*-------------------------------------------------------------------------
 *
 * guc_hidden.h
 *	  Settings with connection strings, which PostgreSQL must not write into the
 *	  log.
 *
 * A connection string may contain a password, so only roles that see
 * primary_conninfo see such a setting.  PostgreSQL would log the value when a
 * check hook refuses it; so these hooks give a message of their own, which says
 * less if libpq's text could quote a part of a password.  PostgreSQL would also
 * log the value when a reload changes it; so the variable that PostgreSQL knows
 * never changes, and the hooks keep the value elsewhere.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_GUC_HIDDEN_H
#define WS_GUC_HIDDEN_H

/* What the variable is, always. */
#define WS_GUC_HIDDEN	"(hidden)"

/* Why libpq does not take it, palloc'd; NULL if it does, or it is empty. */
extern char *ws_guc_conninfo_fault(const char *conninfo);

/* In a check hook: move the value to *extra, where only we look. */
extern bool ws_guc_hide(char **newval, void **extra);

#endif							/* WS_GUC_HIDDEN_H */
