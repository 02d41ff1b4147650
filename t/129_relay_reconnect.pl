# Copyright (c) 2026, the walstream authors

# How often a relay tries to reach an upstream that is down: at once, then
# after a pause that doubles up to wal_retrieve_retry_interval, and that a
# successful connection resets.  Also, how often a failing receiver is
# restarted.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
my $proxy = WalstreamProxy->new($primary);
my $relay = walstream_relay(
	$primary, 'relay',
	conninfo => $proxy->connstr,
	conf => "wal_retrieve_retry_interval = '2500ms'\n");
wait_for_relay_state($relay, 'streaming');

# Stop the primary, and return the pauses between this many attempts.
sub pauses
{
	my ($count) = @_;
	my $before = @{ $proxy->count('connection_times') };

	$primary->stop;
	my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;
	my @times;

	do
	{
		select(undef, undef, undef, 0.01);
		@times = @{ $proxy->count('connection_times') };
	} while (@times < $before + $count && $attempts-- > 0);
	@times >= $before + $count or die "no attempt to connect\n";
	return
	  map { $times[ $before + $_ ] - $times[ $before + $_ - 1 ] }
	  1 .. $count - 1;
}

my @pauses = pauses(6);
note("pauses: @pauses");
cmp_ok($pauses[0], '>=', 0.5, 'there is a pause after the first attempt');
cmp_ok($pauses[1], '>=', 1, 'the pause doubles');
cmp_ok($pauses[2], '>=', 2, 'the pause doubles again');
cmp_ok($pauses[3], '>=', 2.5, 'up to wal_retrieve_retry_interval');

# without the limit it would be 8 seconds
cmp_ok($pauses[4], '<', 8,
	'the pause does not exceed wal_retrieve_retry_interval');
is( relay_row($relay)->{state},
	'waiting for upstream',
	'the state is "waiting for upstream"');

$primary->start;
wait_for_relay_state($relay, 'streaming');
@pauses = pauses(3);
note("pauses: @pauses");
cmp_ok($pauses[0], '>=', 0.5, 'after a success there is a pause too');

# the pauses before were 2.5 seconds; a busy machine may prolong one pause, but
# not both
cmp_ok((sort { $a <=> $b } @pauses[ 0, 1 ])[0],
	'<', 2.5, 'and it begins anew with the short ones');

$primary->start;
wait_for_relay_state($relay, 'streaming');

# The times at which a receiver that cannot work has reported its error.
sub failures
{
	my ($from, $count) = @_;
	my $failure = qr/^\S+ (\d+):(\d+):(\d+\.\d+) .*ERROR:  .*foreign/m;

	$relay->wait_for_log(qr/(?:$failure(?:.*\n)*?){$count}/, $from);
	my $log = slurp_file($relay->logfile, $from);
	my @times;
	push @times, $1 * 3600 + $2 * 60 + $3 while ($log =~ /$failure/g);
	return @times;
}

my $foreign = store_dir($relay) . '/foreign';
my $log = -s $relay->logfile;
append_to_file($foreign, '');
$relay->restart;
my @times = failures($log, 3);
@pauses = map { $times[$_] - $times[ $_ - 1 ] } 1, 2;
$_ += 86400 foreach grep { $_ < 0 } @pauses;
note("pauses: @pauses");

# times in the log are rounded to milliseconds
cmp_ok($pauses[0], '>=', 0.999,
	'a receiver that fails starts again after a second');
cmp_ok($pauses[1], '>=', 1.999, 'the second restart comes after two seconds');
is(relay_row($relay)->{state}, 'failed', 'the state is "failed"');
unlink($foreign);
$relay->reload;
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 10);
wait_for_relay($primary, $relay);
pass('nothing is wrong in the end');

done_testing();
