/*-------------------------------------------------------------------------
 *
 * network_options.c
 *	  Logs which options a server sets on its sockets, and refuses some as long
 *	  as a test wants.
 *
 * Preloaded by tests.  NETWORK_LOG names a file that gets a line for each
 * setsockopt() of one of the options below:
 *
 *	PID NAME VALUE RESULT
 *
 * with RESULT 0 or -1.  While NETWORK_LOG.refuse exists, SO_MAX_PACING_RATE is
 * refused, as by old and other kernels.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef int (*SetSockOpt) (int, int, int, const void *, socklen_t);

static const char *
option_name(int level, int option)
{
	if (level == SOL_SOCKET && option == SO_MAX_PACING_RATE)
		return "SO_MAX_PACING_RATE";
	if (level == IPPROTO_TCP && option == TCP_NOTSENT_LOWAT)
		return "TCP_NOTSENT_LOWAT";
	if (level == IPPROTO_TCP && option == TCP_CONGESTION)
		return "TCP_CONGESTION";
	return NULL;
}

static bool
is_refused(const char *log_name, const char *name)
{
	char		path[PATH_MAX];

	snprintf(path, sizeof(path), "%s.refuse", log_name);
	return strcmp(name, "SO_MAX_PACING_RATE") == 0 && access(path, F_OK) == 0;
}

/* One write, so that lines of several processes do not mix. */
static void
write_line(const char *log_name, const char *line)
{
	int			fd = open(log_name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	if (write(fd, line, strlen(line)) < 0)
		perror("network_options");
	close(fd);
}

EXPORT int
setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
	static SetSockOpt real = NULL;
	const char *log_name = getenv("NETWORK_LOG");
	const char *name = option_name(level, option);
	char		line[256];
	int			result;
	int			error;

	if (real == NULL)
		real = (SetSockOpt) dlsym(RTLD_NEXT, "setsockopt");
	if (log_name == NULL || name == NULL)
		return real(fd, level, option, value, size);

	errno = ENOPROTOOPT;
	result = is_refused(log_name, name) ? -1 :
		real(fd, level, option, value, size);
	error = errno;
	if (option == TCP_CONGESTION && level == IPPROTO_TCP)
		snprintf(line, sizeof(line), "%d %s %.*s %d\n", (int) getpid(), name,
				 (int) size, (const char *) value, result);
	else
		snprintf(line, sizeof(line), "%d %s %u %d\n", (int) getpid(), name,
				 *(const unsigned *) value, result);
	write_line(log_name, line);
	errno = error;
	return result;
}
