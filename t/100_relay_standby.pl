# Copyright (c) 2026, the walstream authors

# A relay is the primary's only synchronous standby.  Behind it are a standby
# without walstream and one with it, both made from base backups.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $relay = walstream_relay($primary, 'relay');
wait_for_relay_state($relay, 'streaming');
make_synchronous($primary, $relay);

my $stock = walstream_standby(
	$primary, 'stock',
	walstream => 0,
	conninfo => $relay->connstr);
my $ours = walstream_standby($primary, 'ours', conninfo => $relay->connstr);

# Commits wait for the relay alone.
load_wal($primary, 20_000);
$primary->safe_psql('postgres',
	"SET synchronous_commit = remote_write; INSERT INTO load (filler) VALUES ('remote_write')"
);
wait_for_replay($primary, $_) foreach $stock, $ours;
is( $primary->safe_psql(
		'postgres',
		'SELECT string_agg(application_name, $$ $$) FROM pg_stat_replication'
	),
	'relay',
	'one stream leaves the primary');
is(sender_row($primary, 'relay')->{codec}, 'walz', 'it is compressed');

my $row = relay_row($relay);
is($row->{state}, 'streaming', 'state');
is( $row->{system_identifier},
	$primary->safe_psql(
		'postgres', 'SELECT system_identifier FROM pg_control_system()'),
	'system identifier');
is($row->{timeline}, 1, 'timeline');
is($row->{last_error}, undef, 'no error');
is( $relay->safe_psql(
		'postgres',
		'SELECT received_lsn >= written_lsn AND written_lsn >= flushed_lsn AND flushed_lsn > first_lsn FROM walstream_relay'
	),
	't',
	'positions');
is(sender_row($relay, 'stock')->{codec}, undef, 'plain to the stock standby');
is(sender_row($relay, 'ours')->{codec}, 'walz', 'compressed to ours');
cmp_ok(sender_row($relay, 'ours')->{ratio}, '>', 1.5, 'ratio');
wait_until(
	$relay, q{
	SELECT count(*) = 2 AND bool_and(state = 'streaming') AND
		bool_and(flush_lsn = (SELECT flushed_lsn FROM walstream_relay))
	FROM walstream_senders},
	'both standbys have flushed all that the relay has');
wait_until(
	$relay,
	"SELECT walstream_relay_oldest_send_lsn() = flushed_lsn FROM walstream_relay",
	'the slowest sender has sent all');
standby_matches($primary, $stock, 'stock standby');
standby_matches($primary, $ours, 'standby with walstream');

# A reload changes the codec of a running stream, at the next segment.
my $sender = sender_row($relay, 'ours')->{pid};
set_compression($relay, 'lz4');
write_segments($primary, $relay, 2);
wait_until(
	$relay,
	"SELECT codec = 'lz4' FROM walstream_senders WHERE pid = $sender",
	'a reload changes the codec');
standby_matches($primary, $ours,
	'a standby whose stream has changed the codec');

# The stored WAL is identical to the primary's.
wait_for_relay($primary, $relay);
wait_until(
	$relay,
	"SELECT count(*) > 2 AND count(*) FILTER (WHERE state NOT IN ('zstd', 'partial')) = 0 FROM walstream_relay_segments",
	'closed segments are compressed');
$row = relay_row($relay);
is( compare_store(
		store_dir($relay), 1,
		lsn_number($row->{first_lsn}), lsn_number($row->{flushed_lsn}),
		$primary->data_dir . '/pg_wal'),
	undef,
	'all bytes are stored');
is( $relay->safe_psql(
		'postgres',
		"SELECT bool_and(raw_bytes = 1024 * 1024) AND bool_and(stored_bytes < raw_bytes / 1.5) AND bool_and(ratio > 1.5) FROM walstream_relay_segments WHERE state = 'zstd'"
	),
	't',
	'sizes of compressed segments');

# A standby that was stopped gets what it missed from the relay.
$stock->stop;
load_wal($primary, 40_000);
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
wait_for_relay($primary, $relay);
wait_until(
	$relay,
	"SELECT count(*) FILTER (WHERE state <> 'zstd') <= 1 FROM walstream_relay_segments",
	'what it missed is compressed');
$stock->start;
standby_matches($primary, $stock, 'a standby that was away');

# The relay is restarted, first while the primary runs, then after it has
# crashed.
my $before = relay_row($relay);
$relay->restart;
wait_for_relay_state($relay, 'streaming');
load_wal($primary);
standby_matches($primary, $_, $_->name . ' after a restart of the relay')
  foreach $stock, $ours;

my $client = start_commits($primary);
$primary->poll_query_until('postgres', 'SELECT count(*) > 200 FROM acked')
  or die "nothing is committed\n";
$stock->stop;
$primary->stop('immediate');
stop_commits($client);
my @acked = acked_ids($client);
cmp_ok(scalar(@acked), '>', 100, 'some commits were confirmed');
$relay->restart;
wait_for_relay_state($relay, 'waiting for upstream');
is(relay_row($relay)->{upstream_host}, undef, 'no upstream');
wait_until(
	$relay,
	'SELECT last_error IS NOT NULL FROM walstream_relay',
	'the reason is told');
$stock->start;
my $flushed = relay_row($relay)->{flushed_lsn};

# Print what both sides show and log, to explain a failure that has occurred
# once.
sub show_both
{
	my ($standby) = @_;

	foreach my $case (
		[ $relay, 'walstream_relay' ],
		[ $relay, 'walstream_senders' ],
		[ $relay, 'walstream_relay_slots' ],
		[ $standby, 'pg_stat_wal_receiver' ],
		[ $standby, 'pg_settings WHERE name ~ \'^primary_\'' ])
	{
		my ($node, $rows) = @$case;

		diag(
			"$rows: "
			  . $node->safe_psql(
				'postgres',
				"SELECT row_to_json(r) FROM (SELECT * FROM $rows) AS r"));
	}
	foreach my $node ($relay, $standby)
	{
		my @lines = split(/\n/, slurp_file($node->logfile));

		diag(join("\n", "log of " . $node->name, splice(@lines, -40)));
	}
	return;
}

# Compare what is replayed, not pg_last_wal_receive_lsn(): if a standby had
# everything before it was restarted, its walreceiver has nothing to flush, and
# that function returns the start of the segment from which WAL was requested.
foreach my $standby ($stock, $ours)
{
	if (!$standby->poll_query_until(
			'postgres', "SELECT pg_last_wal_replay_lsn() >= '$flushed'"))
	{
		show_both($standby);
		die $standby->name . " does not receive\n";
	}
	is_deeply(
		[ missing_ids($standby, @acked) ],
		[],
		'a relay without upstream serves all confirmed commits to '
		  . $standby->name);
}

# The primary comes back.
$primary->start;
wait_for_relay_state($relay, 'streaming');
load_wal($primary);
standby_matches($primary, $_, $_->name . ' in the end') foreach $stock, $ours;

done_testing();
