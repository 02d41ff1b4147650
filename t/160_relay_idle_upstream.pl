# Copyright (c) 2026, the walstream authors

# An upstream that never sends anything new, whatever it answers, causes a few
# connections with pauses in between, not as many as the network allows.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;
use WalstreamUpstream;

use constant STREAMS => 8;

my $upstream = WalstreamUpstream->new;
my $relay = walstream_relay(
	undef, 'relay',
	conninfo => $upstream->connstr,
	conf => "wal_retrieve_retry_interval = '100ms'\n");
$relay->stop;

# Wait until the upstream has got this command so often.
sub wait_for_count
{
	my ($name, $count) = @_;
	my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;

	select(undef, undef, undef, 0.01)
	  while $upstream->count($name) < $count && $attempts-- > 0;
	return cmp_ok($upstream->count($name), '>=', $count,
		"$count times $name");
}

# With these answers the upstream gets at most this many streams for each
# connection, and the relay logs this error.
sub is_slow
{
	my ($what, $per_connection, $error, %answers) = @_;
	my ($streams, $logins) =
	  map { $upstream->count($_) } qw(START_REPLICATION login);
	my $log = -e $relay->logfile ? -s $relay->logfile : 0;

	$upstream->set_answers(%answers);
	$relay->start;
	wait_for_count('START_REPLICATION', $streams + STREAMS);
	$relay->stop;
	$streams = $upstream->count('START_REPLICATION') - $streams;
	$logins = $upstream->count('login') - $logins;
	cmp_ok(
		$streams, '<=',
		$per_connection * $logins,
		"$what: $streams streams with $logins connections");
	my $lines = () = slurp_file($relay->logfile, $log) =~
	  /LOG:  (?:relay receives|upstream)/g;
	cmp_ok(
		$lines, '<=',
		($per_connection + 1) * $logins,
		"... and few lines in the log ($lines)");
	return like(slurp_file($relay->logfile, $log), $error,
		'... which say why');
}

is_slow(
	'the same timeline, ended',
	1,
	qr/LOG:  upstream ended timeline 1, and is on timeline 1$/m,
	START_REPLICATION => { copy => [], next_tli => 1 });

is_slow(
	'a newer one each time',
	4,
	qr/LOG:  upstream ends one timeline after the other without sending anything new$/m,
	IDENTIFY_SYSTEM => {
		row => [ '7000000000000000001', undef, '0/3000000', undef ],
		growing => 1
	},
	START_REPLICATION => { copy => [], next_tli => 3 });

# A slot that has to be made anew leads to another connection, but not at once.
$upstream->set_answers(
	START_REPLICATION => { error => 'cannot use "slot": "idle_timeout"' });
$relay->append_conf('postgresql.conf',
	"walstream.relay_slot = 'slot'\nwal_retrieve_retry_interval = '1h'\n");
$relay->start;
wait_until(
	$relay,
	"SELECT state = 'waiting for upstream' AND reason = 'the connection is made again, to begin elsewhere' FROM walstream_relay",
	'a slot that is invalidated each time: there are pauses');
wait_for_count('DROP_REPLICATION_SLOT', 3);
$relay->stop;

# Streams that end as soon as they have caught up are not repeated at once
# either.
my $before = $upstream->count('START_REPLICATION');
$upstream->set_answers(
	START_REPLICATION => {
		copy => [],
		error =>
		  'requested WAL segment 000000010000000000000003 has already been removed'
	});
$relay->start;
wait_for_count('START_REPLICATION', $before + 5);
$relay->stop;
my @times = splice(@{ [ $upstream->times('START_REPLICATION') ] }, $before);
my @pauses = map { $times[$_] - $times[ $_ - 1 ] } 1 .. 4;
note("pauses: @pauses");
cmp_ok($pauses[2], '>=', 1, 'a slot without WAL: the pause doubles');
cmp_ok($pauses[3], '>=', 2, '... each time');

# An upstream that requests a thousand replies at once does not get a reply to
# each.
my $replies = $upstream->count('reply');
$upstream->set_answers(START_REPLICATION =>
	  { copy => [ (pack('a q> q> C', 'k', 0x3000000, 0, 1)) x 1000 ] });
$relay->start;
wait_for_count('reply', $replies + 1);
$relay->stop;
$replies = $upstream->count('reply') - $replies;
cmp_ok($replies, '<=', 100, "... not each time ($replies replies)");

$upstream->stop;

done_testing();
