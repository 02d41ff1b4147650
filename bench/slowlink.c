/*-------------------------------------------------------------------------
 *
 * slowlink.c
 *	  A slow line with a long delay between two network namespaces.
 *
 * It makes a TUN device called "slow" in each of the two namespaces, and
 * carries IP packets from one to the other like a line with a router at its
 * near end: packets are sent one after the other at the line's rate, wait for
 * that in a queue of limited length, are dropped when the queue is full, and
 * arrive after the line's delay; some of them are lost at random, if that is
 * wanted.  Both directions are alike and independent.
 *
 * The kernel could do the same (netem), but not every kernel is built with it.
 * The program needs the right to enter the namespaces and to make devices.
 *
 * Prints "ready" when the devices exist, then carries packets until standard
 * input is closed, and prints what it has carried as one line of JSON.
 *
 * This is a program of the benchmark: run by bench/run, no part of the module.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#define DEVICE			"slow"
#define MAX_PACKET		2048	/* the devices' MTU is 1500 */

/*
 * The maximum of packets in transit in one direction, more than queue and
 * delay can hold.
 */
#define MAX_IN_FLIGHT	32768

typedef struct Packet
{
	int64_t		arrival_ns;
	size_t		len;
	unsigned char data[MAX_PACKET];
} Packet;

/* One direction.  Packets arrive in the order in which they were sent. */
typedef struct Line
{
	int			from;
	int			to;
	int64_t		idle_ns;		/* when the last packet will have been sent */
	Packet	   *packets;		/* ring of MAX_IN_FLIGHT */
	unsigned	first;
	unsigned	count;
	uint64_t	carried_packets;
	uint64_t	carried_bytes;
	uint64_t	dropped_packets;	/* the queue was full */
	uint64_t	lost_packets;
	uint64_t	random;			/* state; the same losses in each run */
} Line;

typedef struct Options
{
	int64_t		rate;			/* bits per second */
	int64_t		delay_ns;		/* one way */
	int64_t		queue_bytes;	/* waiting to be sent */
	int64_t		loss_ppm;		/* of packets, in millionths */
} Options;

static void
fail(const char *what)
{
	fprintf(stderr, "slowlink: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Make a device in the namespace of that name (as kept by "ip netns"). */
static int
open_device(const char *namespace)
{
	char		path[256];
	struct ifreq request;
	int			ns;
	int			fd;

	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		fail(path);
	if (setns(ns, CLONE_NEWNET) < 0)
		fail("could not enter the namespace");
	close(ns);

	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		fail("/dev/net/tun");
	memset(&request, 0, sizeof(request));
	request.ifr_flags = IFF_TUN | IFF_NO_PI;
	strcpy(request.ifr_name, DEVICE);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		fail("could not make the device");
	return fd;
}

static void
line_init(Line *line, int from, int to, uint64_t seed)
{
	memset(line, 0, sizeof(*line));
	line->random = seed;
	line->from = from;
	line->to = to;
	line->packets = malloc(sizeof(Packet) * MAX_IN_FLIGHT);
	if (line->packets == NULL)
		fail("could not get memory");
}

/* Returns whether the line loses the next packet (splitmix64). */
static bool
line_loses(Line *line, const Options *options)
{
	uint64_t	z = (line->random += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	z ^= z >> 31;
	return (int64_t) (z % 1000000) < options->loss_ppm;
}

/* Take the packets that the near end has sent. */
static void
line_accept(Line *line, const Options *options)
{
	for (;;)
	{
		unsigned	slot = (line->first + line->count) % MAX_IN_FLIGHT;
		unsigned char scratch[MAX_PACKET];
		bool		room = line->count < MAX_IN_FLIGHT;
		Packet	   *packet = &line->packets[slot];
		ssize_t		len = read(line->from, room ? packet->data : scratch,
							   MAX_PACKET);
		int64_t		now;
		int64_t		waiting_bytes = 0;

		if (len < 0)
		{
			if (errno == EAGAIN || errno == EINTR)
				return;
			fail("could not read a packet");
		}
		now = now_ns();
		if (line->idle_ns > now)
			waiting_bytes = (line->idle_ns - now) * options->rate /
				INT64_C(8000000000);
		else
			line->idle_ns = now;
		if (!room || waiting_bytes + len > options->queue_bytes)
		{
			line->dropped_packets++;
			continue;
		}
		line->idle_ns += len * INT64_C(8000000000) / options->rate;
		if (line_loses(line, options))
		{
			line->lost_packets++;
			continue;
		}
		packet->arrival_ns = line->idle_ns + options->delay_ns;
		packet->len = (size_t) len;
		line->count++;
	}
}

/*
 * Deliver the packets that have arrived.  Returns when the next one will
 * arrive, 0 if none will.
 */
static int64_t
line_deliver(Line *line)
{
	int64_t		now = now_ns();

	while (line->count > 0)
	{
		Packet	   *packet = &line->packets[line->first];

		if (packet->arrival_ns > now)
			return packet->arrival_ns;

		/* A device that is down loses packets, like a real one. */
		if (write(line->to, packet->data, packet->len) < 0)
			line->dropped_packets++;
		else
		{
			line->carried_packets++;
			line->carried_bytes += packet->len;
		}
		line->first = (line->first + 1) % MAX_IN_FLIGHT;
		line->count--;
	}
	return 0;
}

static void
carry(Line *there, Line *back, const Options *options)
{
	struct pollfd fds[3] = {
		{.fd = there->from,.events = POLLIN},
		{.fd = back->from,.events = POLLIN},
		{.fd = STDIN_FILENO,.events = POLLIN}
	};

	for (;;)
	{
		int64_t		there_next = line_deliver(there);
		int64_t		back_next = line_deliver(back);
		int64_t		next = there_next;
		struct timespec timeout;

		if (next == 0 || (back_next != 0 && back_next < next))
			next = back_next;
		if (next != 0)
		{
			int64_t		left = next - now_ns();

			if (left < 0)
				left = 0;
			timeout.tv_sec = left / 1000000000;
			timeout.tv_nsec = left % 1000000000;
		}
		if (ppoll(fds, 3, next != 0 ? &timeout : NULL, NULL) < 0 &&
			errno != EINTR)
			fail("ppoll");
		if (fds[2].revents)
			return;
		line_accept(there, options);
		line_accept(back, options);
	}
}

int
main(int argc, char **argv)
{
	struct sched_param priority = {.sched_priority = 1};
	Options		options = {0};
	Line		there;
	Line		back;
	int			near_end;
	int			far_end;
	int			c;

	while ((c = getopt(argc, argv, "d:l:q:r:")) != -1)
	{
		if (c == 'd')
			options.delay_ns = atoll(optarg) * 1000000;
		else if (c == 'l')
			options.loss_ppm = atoll(optarg);
		else if (c == 'q')
			options.queue_bytes = atoll(optarg);
		else if (c == 'r')
			options.rate = atoll(optarg);
		else
			return 2;
	}
	if (argc - optind != 2 || options.rate <= 0 || options.queue_bytes <= 0 ||
		options.delay_ns < 0 || options.loss_ppm < 0)
	{
		fprintf(stderr, "usage: slowlink -r bits_per_second -d delay_ms "
				"-q queue_bytes [-l loss_ppm] namespace namespace\n");
		return 2;
	}

	/* A line does not wait for a processor, so request priority. */
	if (sched_setscheduler(0, SCHED_FIFO, &priority) < 0)
		fail("could not get real-time priority");
	near_end = open_device(argv[optind]);
	far_end = open_device(argv[optind + 1]);
	line_init(&there, near_end, far_end, 1);
	line_init(&back, far_end, near_end, 2);
	printf("ready\n");
	fflush(stdout);

	carry(&there, &back, &options);

	printf("{\"packets\":%llu,\"bytes\":%llu,\"dropped\":%llu,\"lost\":%llu}\n",
		   (unsigned long long) (there.carried_packets + back.carried_packets),
		   (unsigned long long) (there.carried_bytes + back.carried_bytes),
		   (unsigned long long) (there.dropped_packets + back.dropped_packets),
		   (unsigned long long) (there.lost_packets + back.lost_packets));
	return 0;
}
