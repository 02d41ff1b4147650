# Copyright (c) 2026, the walstream authors

# A relay does not follow a new timeline whose beginning differs from the
# stored WAL of the timeline before, not even if asked to.  The refused WAL
# does not get in the way of another server that was promoted to the same
# timeline.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning(
	'specified neither "?primary_conninfo"? nor "?restore_command"?');

use constant SEGMENT => 1024 * 1024;

my $one = walstream_primary('one', conf => "checkpoint_timeout = 1h\n");
my $relay = walstream_relay($one, 'relay');
my $dir = store_dir($relay);
wait_for_relay_state($relay, 'streaming');
load_wal($one, 10);
wait_for_relay($one, $relay);

# Promote a stopped server to timeline 2; returns where that begins.
sub promote
{
	my ($node) = @_;

	if (!defined $node->{_pid})
	{
		$node->set_standby_mode;
		$node->start;
	}
	$node->promote;
	load_wal($node, 10);
	$node->safe_psql('postgres', 'CHECKPOINT');
	my ($switch) = slurp_file($node->data_dir . '/pg_wal/00000002.history') =~
	  m{^1\s+(\S+)}m;
	return $switch;
}


sub is_whole
{
	my ($what) = @_;

	return is(
		$relay->safe_psql(
			'postgres', 'SELECT ok FROM walstream_relay_verify()'),
		't',
		"$what: the store is whole");
}

sub holds_nothing_of_2
{
	my ($what) = @_;

	return is_deeply([ grep { /^00000002/ } slurp_dir($dir) ],
		[], "$what: nothing of timeline 2 stays in the store");
}

#
# The primary is put back to an earlier state, writes some segments again, and
# is promoted before it reaches the relay's position.
#
$one->stop;
$one->backup_fs_cold('cold');
$one->start;
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($one, 'cold');
wait_for_relay_state($relay, 'streaming');
write_segments($one, $relay, 5);
my $wrong = walstream_standby($one, 'two');
wait_for_replay($one, $wrong);
$one->stop;
wait_for_relay_state($relay, 'waiting for upstream');
my $flushed = relay_row($relay)->{flushed_lsn};

$copy->start;
foreach (1 .. 2)
{
	load_wal($copy, 50);
	$copy->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
load_wal($copy, 50);
$copy->stop;
my $switch = promote($copy);
cmp_ok(lsn_number($switch), '<', lsn_number($flushed),
	"the switch point is behind the relay's end");
my $begin = format_lsn(lsn_number($switch) - lsn_number($switch) % SEGMENT);
isnt($begin, $switch, 'the switch point is within a segment');

set_relay_upstream($relay, $copy->connstr);
wait_for_relay_state($relay, 'diverged');
like(
	relay_row($relay)->{reason},
	qr/^Timeline 1 was left by the upstream at \Q$switch\E/,
	'an operator is asked');
foreach my $time ('at once', 'once more', 'after a restart')
{
	my $log = -s $relay->logfile;

	$relay->safe_psql('postgres', 'SELECT walstream_relay_follow()');
	$relay->wait_for_log(
		qr/the upstream's WAL is not what is stored.*restart_after_gap/s,
		$log);
	wait_for_relay_state($relay, 'diverged');
	my ($at) = relay_row($relay)->{reason} =~
	  m{^On timeline 2 the upstream has other bytes at (\S+) than are stored of timeline 1, which it left at \Q$switch\E$};
	ok( defined $at
		  && lsn_number($at) >= lsn_number($begin)
		  && lsn_number($at) < lsn_number($switch),
		"$time: the reason says where") or diag(relay_row($relay)->{reason});
	is(relay_row($relay)->{timeline}, 1, "$time: it is not followed");
	is(relay_row($relay)->{flushed_lsn},
		$flushed, "$time: what is stored is still there");
	holds_nothing_of_2($time);
	is_whole($time);
	is( $copy->safe_psql(
			'postgres',
			"SELECT count(*) FROM pg_stat_replication WHERE flush_lsn > '$begin'"
		),
		0,
		"$time: nothing is acknowledged");

	my $client = WalstreamClient->new($relay);
	my $wal = '';
	$client->start("START_REPLICATION $begin TIMELINE 1");
	while (length($wal) < lsn_number($flushed) - lsn_number($begin))
	{
		my $message = $client->receive;

		$wal .= substr($message, 25) if $message =~ /^w/;
	}
	$client->close;
	is( length($wal),
		lsn_number($flushed) - lsn_number($begin),
		"$time: and served");
	next unless $time eq 'once more';
	$relay->restart;
	wait_for_relay_state($relay, 'diverged');
}

#
# Another server has the stored WAL, but the first record of its timeline does
# not continue it.
#
$switch = promote($wrong);
flip_link($wrong, 2, $switch);
set_relay_upstream($relay, $wrong->connstr);
my $refused =
  qr/^On timeline 2 the upstream's WAL from \Q$switch\E on does not continue what is stored/;
foreach my $time ('at once', 'after a restart')
{
	wait_until(
		$relay,
		"SELECT state = 'diverged' AND reason LIKE '%does not continue%' FROM walstream_relay",
		"$time: a wrong record is seen");
	like(relay_row($relay)->{reason},
		$refused, "$time: where the timeline begins");
	is(relay_row($relay)->{timeline}, 1, "$time: timeline 1 is served");
	is(relay_row($relay)->{flushed_lsn}, $flushed, "$time: all of it");
	holds_nothing_of_2($time);
	is_whole($time);
	$relay->restart if $time eq 'at once';
}

#
# The right server is followed without any request.
#
$one->start;
load_wal($one, 10);
$one->stop;
$switch = promote($one);
set_relay_upstream($relay, $one->connstr);
wait_until(
	$relay,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'the right one is followed');
my $end = wait_for_relay($one, $relay);
is_whole('the right one');
is( compare_store(
		$dir, 2, lsn_number($switch) - lsn_number($switch) % SEGMENT,
		lsn_number($end), $one->data_dir . '/pg_wal'),
	undef,
	'all of its timeline is stored');

done_testing();
