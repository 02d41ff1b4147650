# Copyright (c) 2026, the walstream authors

# Two servers were promoted to the same timeline, and the upstream descends
# from the one that the relay has not followed: the timeline is a different
# one, even if it is only an ancestor.  Setting WAL aside fails halfway, and
# continues later.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning(
	'could not create directory ".*before-gap[^"]*": No space left on device'
);

# "left" and "right" each begin a timeline 2; "three" begins timeline 3 from
# right's.
my $one = walstream_primary('one');
my ($left, $right) = map { walstream_standby($one, $_) } qw(left right);
my $three = walstream_standby($right, 'three');
my $base = PostgreSQL::Test::Utils::tempdir();
my $dir = "$base/store";
my $faults = "$base/faults";
mkdir($dir, 0700);
my $relay = walstream_relay(
	$one, 'relay',
	directory => $dir,
	start => 0,
	conf => "fsync = on\nwalstream.relay_compress = off\n");
start_preloaded($relay, 'power_fault', $dir, $faults);
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $late = walstream_relay($one, 'late');
wait_for_relay_state($_, 'streaming') foreach $relay, $late;
write_segments($one, $_, 2)           foreach $relay, $late;
wait_for_replay($one, $_)             foreach $left, $right;
$late->stop;
$left->promote;
load_wal($one, 10);
wait_for_replay($one, $right);
$right->promote;
load_wal($right, 10);
wait_for_replay($right, $three);
$three->promote;
load_wal($three, 10);

set_relay_upstream($relay, $left->connstr);
wait_until(
	$relay,
	"SELECT state = 'diverged' OR timeline = 2 FROM walstream_relay",
	'the relay connects to "left"');
$relay->safe_psql('postgres', 'SELECT walstream_relay_follow()')
  if relay_row($relay)->{state} eq 'diverged';
wait_until(
	$relay,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'the relay has followed left');
write_segments($left, $relay, 4);

#
# A slot is reserved while the keeper removes WAL across the switch point: it
# holds what will be left.
#
my ($switch) = slurp_file("$dir/00000002.history") =~ m{^1\s+(\S+)}m;

# Make sure that the keeper's next fsync is that of a removal, and not that of
# a spare segment: wait until it has made the spare and removed something.
my $oldest = relay_row($relay)->{first_lsn};
$relay->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_ls_dir('$dir') AS name WHERE name = 'walstream.spare'"
) or die "there is no spare segment\n";
set_setting($relay, 'relay_keep_size', '6MB');
$relay->poll_query_until('postgres',
	"SELECT first_lsn > '$oldest' FROM walstream_relay")
  or die "nothing is removed\n";
cmp_ok(lsn_number(relay_row($relay)->{first_lsn}) + 1024 * 1024,
	'<=', lsn_number($switch),
	'there is WAL before the switch point to remove');
set_faults($faults, 'fsync . hold');
set_setting($relay, 'relay_keep_size', '1MB');
wait_for_fault($faults, qr/^fsync \. hold/m);
my $client = WalstreamClient->new($relay);
$client->command('CREATE_REPLICATION_SLOT reserved PHYSICAL RESERVE_WAL');
$client->close;
set_faults($faults);
wait_until(
	$relay,
	"SELECT first_lsn > '$switch' FROM walstream_relay",
	'WAL is removed beyond the switch point');
write_segments($left, $relay, 3);
my $row = relay_slot_row($relay, 'reserved');
is($row->{lost}, JSON::PP::false,
	'a slot that was reserved meanwhile is not lost');
is( $row->{restart_lsn},
	relay_row($relay)->{first_lsn},
	'WAL is kept for the reserved slot');

#
# Timeline 2 of "right" is not that of "left".
#
sub is_refused
{
	my ($what) = @_;

	wait_for_relay_state($relay, 'diverged');
	return is(relay_row($relay)->{reason},
		"The history of the upstream's timeline 2 is not the stored one",
		$what);
}

sub set_aside
{
	return scalar grep { /^before-gap/ } slurp_dir($dir);
}
set_relay_upstream($relay, $three->connstr);
is_refused('an ancestor of the same number is seen to be another one');
my $log = -s $relay->logfile;
$relay->safe_psql('postgres', 'SELECT walstream_relay_follow()');
$relay->wait_for_log(qr/relay stops receiving/, $log);
is_refused('which cannot be followed');

# If there is no room for WAL that is to be set aside, or a slot cannot be
# written, nothing is given up.
my $end = relay_row($relay)->{flushed_lsn};
foreach my $case (
	[
		'create slots/reserved.tmp ENOSPC',
		'the slots of the old range',
		JSON::PP::false
	],
	[ 'create before-gap* ENOSPC', 'the directory', JSON::PP::true ])
{
	my ($fault, $what, $lost) = @$case;
	my ($file) = $fault =~ / (\S+) /;

	unlink("$faults.raised");
	set_faults($faults, $fault);
	$relay->safe_psql('postgres',
		'SELECT walstream_relay_restart_after_gap()');
	wait_for_fault($faults, qr/^create \Q@{[ $file =~ s{\*}{}r ]}\E/m);
	is_refused("$what cannot be written: it is as it was");
	set_faults($faults);
	is(set_aside(), 0, 'nothing is set aside');
	is(relay_row($relay)->{flushed_lsn},
		$end, 'what is stored is still served');

	# memory agrees with the file, or the next attempt would not write it
	is(relay_slot_row($relay, 'reserved')->{lost},
		$lost, 'the slot is lost when that was written');
}
my $first = relay_row($relay)->{first_lsn};
is( $relay->safe_psql(
		'postgres', "SELECT walstream_create_relay_slot('new')"),
	$end,
	'others can be made');
$client = WalstreamClient->new($relay);
$client->command('CREATE_REPLICATION_SLOT anew PHYSICAL RESERVE_WAL');
is(relay_slot_row($relay, 'anew')->{restart_lsn},
	$first, 'a new slot can reserve the oldest WAL');
$client->close;

$relay->safe_psql('postgres', 'SELECT walstream_relay_restart_after_gap()');
wait_until(
	$relay,
	"SELECT state = 'streaming' AND timeline = 3 FROM walstream_relay",
	'begun anew on timeline 3');
is(set_aside(), 1, 'what was stored is set aside');
is(relay_slot_row($relay, $_)->{lost}, JSON::PP::true, "slot $_ is lost")
  foreach qw(new anew);
load_wal($three, 100);
$end = wait_for_relay($three, $relay);
is( compare_store(
		$dir, 3,
		lsn_number(relay_row($relay)->{first_lsn}), lsn_number($end),
		$three->data_dir . '/pg_wal'),
	undef,
	'all of timeline 3 is stored');

# Timelines 2 and 3 begin in the first segment of this range.
my %left = slurp_file("$dir/00000003.history") =~ /^(\d)\s+(\S+)/mg;
is( lsn_number($left{1}) >> 20,
	lsn_number($left{2}) >> 20,
	'two timelines were left in one segment');
$client = WalstreamClient->new($relay);
foreach my $tli (1, 2)
{
	my $begin = relay_row($relay)->{first_lsn};
	my $next = $tli + 1;
	my $wal = '';

	$client->start("START_REPLICATION $begin TIMELINE $tli");
	for (;;)
	{
		my ($type, $content) = $client->_read;

		die $content if $type eq 'E';
		$wal .= substr($content, 25) if $type eq 'd' && $content =~ /^w/;
		$client->_send('c', '') if $type eq 'c';
		is( $content,
			pack(
				'n N a1 N a*', 2, 1, $next, length($left{$tli}), $left{$tli}),
			"timeline $tli: the next one") if $type eq 'D';
		last if $type eq 'Z';
	}
	is( lsn_number($begin) + length($wal),
		lsn_number($left{$tli}),
		"timeline $tli: all up to its end");
	my $name = sprintf('00000003%08X%08X', 0, lsn_number($begin) >> 20);
	ok( $wal eq substr(
			slurp_file($three->data_dir . "/pg_wal/$name"), 0,
			length($wal)),
		"timeline $tli: the right bytes");
}
$client->close;

#
# A relay was stopped while it was about to follow "left", and has nothing but
# the history of that timeline 2: this does not keep it from following.
#
system_or_bail('cp', $left->data_dir . '/pg_wal/00000002.history',
	store_dir($late));
$late->adjust_conf(
	'postgresql.conf',
	'walstream.relay_upstream',
	"'" . WalstreamRelay::quote($three->connstr) . "'");
$late->start;
wait_until(
	$late,
	"SELECT state = 'streaming' AND timeline = 3 FROM walstream_relay",
	'another relay follows');
is( slurp_file(store_dir($late) . '/00000002.history'),
	slurp_file($three->data_dir . '/pg_wal/00000002.history'),
	'with the history of the right timeline 2');
$late->restart;
wait_for_relay_state($late, 'streaming');
is($late->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't', 'all is whole');

done_testing();
