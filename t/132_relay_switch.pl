# Copyright (c) 2026, the walstream authors

# Before a relay has reached the switch point on a new timeline, it sends
# nothing that it has not received, removes nothing that it is receiving, and
# slots hold what their downstreams will need on the new timeline.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamProxy;
use WalstreamRelay;
use WalstreamTest;

# Timeline 2 begins in the middle of a segment, and timeline 1 continues for
# some more segments.
my $one = walstream_primary('one', walstream => 0);
my $two = walstream_standby($one, 'two', walstream => 0);
my $proxy = WalstreamProxy->new($two);
my @relays = map {
	walstream_relay($one, $_->[0],
		conf =>
		  "walstream.relay_compress = $_->[2]\nwalstream.relay_keep_size = '$_->[1]'\nwal_receiver_status_interval = 1\n"
	)
}[ 'follows', '1MB', 'zstd' ], [ 'leaves', '1GB', 'off' ];
my ($follows, $leaves) = @relays;
wait_for_relay_state($_, 'streaming') foreach @relays;
write_segments($one, $follows, 1);
$follows->safe_psql('postgres',
	"SELECT walstream_create_relay_slot('early')");
write_segments($one, $follows, 3);
$one->safe_psql('postgres',
	"SELECT pg_logical_emit_message(true, '', repeat('x', 500000))");
wait_for_replay($one, $two);
$two->promote;
my ($switch) =
  slurp_file($two->data_dir . '/pg_wal/00000002.history') =~ m{^1\s+(\S+)}m;
my $begin = lsn_number($switch) & ~0xfffff;
cmp_ok(
	lsn_number($switch), '>',
	$begin + 400_000,
	'timeline 2 begins in the middle of a segment');
write_segments($one, $follows, 6);

# Let only one WAL message pass in each connection.
sub stall
{
	return $proxy->set_rules({ action => 'hold', kind => 'w', nth => 2 });
}

sub go_on
{
	my $log = -s $_[0]->logfile;

	$proxy->set_rules();
	load_wal($two, 1);
	return;
}

#
# A new relay, whose WAL begins on timeline 2 in the segment with the switch
# point.
#
stall();
my $new = walstream_relay($two, 'new', conninfo => $proxy->connstr);
wait_until(
	$new,
	"SELECT timeline = 2 AND flushed_lsn > first_lsn AND flushed_lsn < '$switch' FROM walstream_relay",
	'the relay has a part of what comes before the switch point');
my $row = relay_row($new);
is(lsn_number($row->{first_lsn}), $begin, 'from the start of its segment on');
my $client = WalstreamClient->new($new, application_name => 'client');
$client->start("START_REPLICATION $row->{first_lsn} TIMELINE 1");
my $wal = '';

# Receive WAL up to a position.
sub receive_up_to
{
	my ($end) = @_;

	while ($begin + length($wal) < $end)
	{
		my $message = $client->receive;

		$wal .= substr($message, 25) if $message =~ /^w/;
	}
	return;
}

sub first_segment
{
	my ($bytes) = @_;
	my $name =
	  sprintf('00000001%08X%08X', $begin >> 32, ($begin & 0xffffffff) >> 20);

	return substr(slurp_file($one->data_dir . "/pg_wal/$name"), 0, $bytes);
}
receive_up_to(lsn_number($row->{flushed_lsn}));
is(format_lsn($begin + length($wal)),
	$row->{flushed_lsn},
	'a downstream on timeline 1 gets what is there, and no more');
ok($wal eq first_segment(length($wal)), 'that is what the primary wrote');
go_on($new);
receive_up_to(lsn_number($switch));
is(format_lsn($begin + length($wal)),
	$switch, 'then it gets all up to the switch point');
ok( $wal eq first_segment(length($wal)),
	'and that too is what the primary wrote');
$client->_read_until('c');
$client->end;
$client->close;
$new->stop;

#
# Relays that have more of timeline 1 follow.  A slot and the WAL to keep are
# after the switch point; nevertheless the WAL that is received on timeline 2
# before it is not removed.
#
foreach my $relay (@relays)
{
	my $flushed = wait_for_relay($one, $relay);

	$relay->safe_psql('postgres',
		"SELECT walstream_create_relay_slot('away', false)");
	$client = WalstreamClient->new($relay);
	$client->start("START_REPLICATION SLOT away $flushed TIMELINE 1");
	$client->confirm($flushed);
	$client->end;
	$client->close;
	is(relay_slot_row($relay, 'away')->{restart_lsn},
		$flushed, $relay->name . ': a slot behind the switch point');
}
my $away = relay_slot_row($follows, 'away')->{restart_lsn};

stall();
set_relay_upstream($follows, $proxy->connstr);
wait_for_relay_state($follows, 'diverged');
my $log = -s $follows->logfile;
$follows->safe_psql('postgres', 'SELECT walstream_relay_follow()');
$follows->wait_for_log(qr/relay receives WAL from \S+ on timeline 2/, $log);
is(relay_row($follows)->{timeline}, 1, 'timeline 1 is served still');
my $partial = sprintf(
	'%s/00000002%08X%08X.partial',
	store_dir($follows),
	$begin >> 32,
	($begin & 0xffffffff) >> 20);
my $attempts = 10 * $PostgreSQL::Test::Utils::timeout_default;
select(undef, undef, undef, 0.1) while !-e $partial && $attempts-- > 0;
set_setting($follows, 'relay_max_slot_keep_size', '2MB');
wait_until(
	$follows,
	"SELECT lost FROM walstream_relay_slots WHERE slot_name = 'early'",
	'a slot that needs too much is lost');
wait_until(
	$follows,
	"SELECT first_lsn >= '" . format_lsn($begin) . "' FROM walstream_relay",
	'what only the slot held is removed');
is(lsn_number(relay_row($follows)->{first_lsn}),
	$begin, 'but not from the switch point on');
ok(-e $partial, 'the segment that is being written is not removed');
go_on($follows);
wait_until(
	$follows,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'a relay with a slot behind the switch point follows');
isnt(
	$follows->safe_psql(
		'postgres', "SELECT walstream_create_relay_slot('now')"),
	'',
	'slots can be made there');
$follows->safe_psql('postgres', "SELECT walstream_drop_relay_slot('now')");
set_setting($follows, 'relay_max_slot_keep_size', '-1');

#
# WAL that is set aside takes all slots with it, also those whose positions are
# When WAL is set aside all slots are lost, even those with positions after its
# end, where the new range begins.
# WAL after the switch point counts as more than the upstream has even if it
# cannot be read.
my $damaged = sprintf(
	'%s/00000001%08X%08X',
	store_dir($leaves),
	$begin >> 32,
	($begin & 0xffffffff) >> 20);
open(my $fh, '+<', $damaged) or die "could not open \"$damaged\": $!\n";
seek($fh, lsn_number($switch) & 0xfffff, 0);
print $fh 'x' x 16384;
close($fh);
set_relay_upstream($leaves, $two->connstr);
wait_for_relay_state($leaves, 'diverged');
like(
	relay_row($leaves)->{reason},
	qr/with complete records up to \S+ and no commit$/,
	'unreadable WAL is not given up by itself');
$leaves->safe_psql('postgres', 'SELECT walstream_relay_follow()');
wait_until(
	$leaves,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'the relay follows when told to');
is(relay_slot_row($leaves, 'away')->{lost},
	JSON::PP::false, 'the slot of a relay that has followed is not lost');
set_relay_upstream($leaves, $one->connstr);
wait_for_relay_state($leaves, 'behind');
$leaves->safe_psql('postgres', 'SELECT walstream_relay_restart_after_gap()');
wait_until(
	$leaves,
	"SELECT state = 'streaming' AND timeline = 1 FROM walstream_relay",
	'the relay begins a new range');
cmp_ok(lsn_number(relay_row($leaves)->{first_lsn}),
	'<=', lsn_number($away), 'before the position of its slot');
is(relay_slot_row($leaves, 'away')->{lost},
	JSON::PP::true, 'a slot ahead of the new range is lost');

#
# The slot's downstream will need timeline 2 from the switch point on.
#
write_segments($two, $follows, 10);
cmp_ok(
	lsn_number(relay_row($follows)->{flushed_lsn}),
	'>',
	lsn_number($away) + 3 * 1024 * 1024,
	'timeline 2 is far beyond the slot');
wait_until(
	$follows,
	"SELECT count(*) = 0 FROM walstream_relay_segments WHERE state = 'raw'",
	'the keeper has nothing left to do');
is(lsn_number(relay_row($follows)->{first_lsn}),
	$begin, 'the slot holds WAL from the switch point on');
is(relay_slot_row($follows, 'away')->{lost},
	JSON::PP::false, 'the slot that holds WAL is not lost');
is( $follows->safe_psql(
		'postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'all is whole');
$follows->restart;
is(lsn_number(relay_row($follows)->{first_lsn}),
	$begin, 'after a restart too');
wait_for_relay_state($follows, 'streaming');
set_setting($follows, 'relay_max_slot_keep_size', '2MB');
wait_until(
	$follows,
	"SELECT lost FROM walstream_relay_slots WHERE slot_name = 'away'",
	'it is lost if slots may hold less than that');
wait_until(
	$follows,
	"SELECT first_lsn > '$away' FROM walstream_relay",
	'the lost slot holds no WAL');

done_testing();
