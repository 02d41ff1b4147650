# Copyright (c) 2026, the walstream authors

# The upstream left the relay's line of timelines long ago.  Their common WAL
# may be on an older timeline, and may no longer be stored.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

# "one" is on timeline 1.  "three" leaves it first, for timeline 3, and "two"
# later, for timeline 2.
my $one = walstream_primary('one');
my $two = walstream_standby($one, 'two');
my $three = walstream_standby($one, 'three',
	conf => "recovery_target_timeline = 'current'\n");
my %keep = (all => '1GB', new => '1MB', old => '1MB');
my %relays = map {
	$_ => walstream_relay($one, $_,
		conf => "walstream.relay_keep_size = '$keep{$_}'\n")
} keys %keep;
wait_for_relay_state($_, 'streaming') foreach values %relays;
load_wal($one, 1000);
wait_for_replay($one, $three);
$three->stop;
foreach (1 .. 4)
{
	load_wal($one, 100);
	$one->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
load_wal($one, 1);
wait_for_relay($one, $_) foreach values %relays;
wait_for_replay($one, $two);

$one->stop;
$two->promote;
foreach my $name (qw(all new))
{
	set_relay_upstream($relays{$name}, $two->connstr);
	wait_until(
		$relays{$name},
		"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
		"$name: it is on timeline 2");
}
foreach (1 .. 4)
{
	load_wal($two, 100);
	$two->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
load_wal($two, 1);
wait_for_relay($two, $relays{$_}) foreach qw(all new);

system_or_bail(
	'cp',
	$two->data_dir . '/pg_wal/00000002.history',
	$three->data_dir . '/pg_wal');
$three->start;
$three->promote;
load_wal($three, 1000);
my ($switch2) =
  slurp_file($two->data_dir . '/pg_wal/00000002.history') =~ m{^1\s+(\S+)}m;
my ($switch3) =
  slurp_file($three->data_dir . '/pg_wal/00000003.history') =~ m{^1\s+(\S+)}m;
cmp_ok(lsn_number($switch3), '<', lsn_number($switch2),
	'three has left timeline 1 first');

# A relay that was interrupted before it reached the beginning of timeline 3,
# and then followed to timeline 2, is still on timeline 2 when it is restarted.
my $segment3 = lsn_number($switch3) & ~0xfffff;
my $name3 = sprintf('00000003%08X%08X', $segment3 >> 32,
	($segment3 & 0xffffffff) >> 20);
my $part = int((lsn_number($switch3) - $segment3) / 2);
my $held = relay_row($relays{all})->{flushed_lsn};
my $all = store_dir($relays{all});
$two->stop;
$relays{all}->stop;
system_or_bail('cp', $three->data_dir . '/pg_wal/00000003.history', $all);
append_to_file("$all/$name3.partial",
	substr(slurp_file($three->data_dir . "/pg_wal/$name3"), 0, $part)
	  . "\0" x (1024 * 1024 - $part));
$relays{all}->start;
wait_for_relay_state($relays{all}, 'waiting for upstream');
is(relay_row($relays{all})->{timeline},
	2, 'the newest timeline that was followed counts');
cmp_ok(lsn_number(relay_row($relays{all})->{flushed_lsn}),
	'>=', lsn_number($held), 'all WAL of the newest timeline counts');

# Where the WAL of each relay begins, and what it has in common with "three".
my %common = (all => $switch3, new => $switch2, old => $switch3);
foreach my $name (qw(new old))
{
	wait_until(
		$relays{$name},
		"SELECT first_lsn > '$common{$name}' FROM walstream_relay",
		"$name: what it has in common with three is not stored any more");
}

foreach my $name (sort keys %relays)
{
	my $relay = $relays{$name};
	my $before = relay_row($relay);
	my $reason =
	  $name eq 'old'
	  ? qr{^Timeline 1, on which WAL is stored up to \S+, was left by the upstream at \Q$switch3\E}
	  : qr{^Timeline 2, .* is not in the history of the upstream's timeline 3; what they have in common ends on timeline 1 at or before \Q$switch2\E};
	my $gone = qr/, and WAL from there on is no longer stored$/;

	set_relay_upstream($relay, $three->connstr);
	wait_for_relay_state($relay, 'diverged');
	like(relay_row($relay)->{reason},
		$reason, "$name: it says where they part");
	if ($name eq 'all')
	{
		unlike(relay_row($relay)->{reason}, $gone, "$name: that is stored");
		$relay->safe_psql('postgres', 'SELECT walstream_relay_follow()');
	}
	else
	{
		my $log = -s $relay->logfile;

		like(relay_row($relay)->{reason}, $gone, "$name: that is not stored");
		$relay->safe_psql('postgres', 'SELECT walstream_relay_follow()');
		$relay->wait_for_log(
			qr/relay stops receiving.*\n.*DETAIL:  Timeline.*\n.*HINT:  .*walstream_relay_restart_after_gap\(\)/,
			$log);
		wait_for_relay_state($relay, 'diverged');
		my $after = relay_row($relay);
		is($after->{$_}, $before->{$_},
			"$name: to follow would leave a gap: $_ is as before")
		  foreach qw(timeline flushed_lsn receiver_pid);
		is($after->{last_error}, $after->{reason}, "$name: it is no failure");
		$relay->safe_psql('postgres',
			'SELECT walstream_relay_restart_after_gap()');
	}
	wait_until(
		$relay,
		"SELECT state = 'streaming' AND timeline = 3 FROM walstream_relay",
		"$name: then it goes on with timeline 3");
	load_wal($three, 1000);
	my $end = wait_for_relay($three, $relay);
	my $begin = lsn_number(relay_row($relay)->{first_lsn});

	$begin = $segment3 if $begin < $segment3;
	is( compare_store(
			store_dir($relay), 3,
			$begin, lsn_number($end),
			$three->data_dir . '/pg_wal'),
		undef,
		"$name: all of that is stored");
	is( $relay->safe_psql(
			'postgres', 'SELECT ok FROM walstream_relay_verify()'),
		't',
		"$name: and sound");
	$relay->restart;
	wait_until(
		$relay,
		"SELECT state = 'streaming' AND timeline = 3 FROM walstream_relay",
		"$name: also after a restart");
}

my $standby = walstream_standby(
	$three, 'standby',
	walstream => 0,
	conninfo => $relays{all}->connstr);
load_wal($three, 100);
standby_matches($three, $standby, 'a standby behind it');

done_testing();
