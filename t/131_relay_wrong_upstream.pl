# Copyright (c) 2026, the walstream authors

# A relay is pointed at servers of its cluster that it should not follow, and
# back again.  Nothing that they sent stays in its way, and none of its own WAL
# is overwritten.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $one = walstream_primary('one');
my $relay =
  walstream_relay($one, 'relay', conf => "walstream.relay_compress = off\n");
my $dir = store_dir($relay);
wait_for_relay_state($relay, 'streaming');
write_segments($one, $relay, 2);

sub set_aside
{
	my @directories = sort grep { /^before-gap/ } slurp_dir($dir);

	return @directories;
}

sub streams_on
{
	my ($timeline, $what) = @_;

	return wait_until(
		$relay,
		"SELECT state = 'streaming' AND timeline = $timeline FROM walstream_relay",
		$what);
}

#
# Two new ranges begin in the same segment: what is set aside gets a separate
# directory each time.
#
$relay->stop;
$one->stop;
$one->backup_fs_cold('cold');
my $clone = PostgreSQL::Test::Cluster->new('clone');
$clone->init_from_backup($one, 'cold');
$_->start foreach $one, $clone, $relay;
wait_for_relay_state($relay, 'streaming');
$one->safe_psql('postgres', "INSERT INTO load (filler) VALUES ('one')");
my $end = lsn_number(wait_for_relay($one, $relay));
my $begin = lsn_number(relay_row($relay)->{first_lsn});

foreach my $upstream ($clone, $one)
{
	# each writes more than the relay has of the other
	load_wal($upstream, $upstream == $one ? 600 : 200);
	set_relay_upstream($relay, $upstream->connstr);
	wait_for_relay_state($relay, 'diverged');
	$relay->safe_psql('postgres',
		'SELECT walstream_relay_restart_after_gap()');
	streams_on(1, 'begun anew with ' . $upstream->name);
	wait_for_relay($upstream, $relay);
}
my @aside = set_aside();
is(scalar(@aside), 2, 'set aside twice');
is( join(' ', map { s/\.\d+$//r } @aside),
	"$aside[0] $aside[0]",
	'at the same place in WAL');
is( compare_store(
		"$dir/$aside[0]", 1, $begin, $end, $one->data_dir . '/pg_wal'),
	undef,
	'the first time\'s is what was acknowledged');
$clone->stop;

#
# A standby is promoted by mistake.  Its timeline is not remembered, so that
# another server can have the same one.
#
my $wrong = walstream_standby($one, 'wrong');
my $two = walstream_standby($one, 'two');
load_wal($one, 10);
wait_for_replay($one, $wrong);
$wrong->promote;
write_segments($one, $relay, 2);
set_relay_upstream($relay, $wrong->connstr);
wait_for_relay_state($relay, 'diverged');
ok(!-e "$dir/00000002.history",
	'the history of a server that is not followed is not stored');

# What was allowed for one upstream is not allowed for another.
my $first = relay_row($relay)->{first_lsn};
$wrong->stop;
$relay->safe_psql('postgres', 'SELECT walstream_relay_restart_after_gap()');
wait_for_relay_state($relay, 'waiting for upstream');
set_relay_upstream($relay, $one->connstr);
streams_on(1, 'it goes on with the right one');
is(relay_row($relay)->{first_lsn},
	$first, 'the relay keeps the WAL that it has');
is(scalar(set_aside()), 2, 'nothing more is set aside');

load_wal($one, 10);
wait_for_relay($one, $relay);
wait_for_replay($one, $two);
$one->stop;
$two->promote;
set_relay_upstream($relay, $two->connstr);
streams_on(2, 'the one that was meant to be promoted is followed');
load_wal($two, 100);
wait_for_relay($two, $relay);

#
# A server on an older timeline is asked again and again, until an operator
# decides that it counts.
#
$two->stop;
$one->start;
my ($error) =
  ($relay->psql('postgres', 'SELECT walstream_relay_restart_after_gap()'))[2];
like($error, qr/neither a gap nor diverged .* nor is the upstream behind it/,
	'not before');
set_relay_upstream($relay, $one->connstr);
wait_for_relay_state($relay, 'behind');
like(
	relay_row($relay)->{reason},
	qr/the upstream is on timeline 1, behind timeline 2 of the stored WAL/,
	'the state says why');
$relay->safe_psql('postgres', 'SELECT walstream_relay_restart_after_gap()');
streams_on(1, 'begun anew with the one that was behind');
load_wal($one, 10);
wait_for_relay($one, $relay);
is(scalar(set_aside()), 3, 'the other timeline\'s WAL is set aside');

# A server that was put back to an earlier state
write_segments($one, $relay, 2);
my $earlier = PostgreSQL::Test::Cluster->new('earlier');
$earlier->init_from_backup($one, 'cold');
$earlier->start;
set_relay_upstream($relay, $earlier->connstr);
wait_for_relay_state($relay, 'behind');
like(
	relay_row($relay)->{reason},
	qr/the upstream is at \S+ on timeline 1, before the segment in which the stored WAL ends at \S+$/,
	'behind on the same timeline');
set_relay_upstream($relay, $one->connstr);
streams_on(1, 'it goes on with the one that is not');

done_testing();
