# Copyright (c) 2026, the walstream authors

# Relay slots: created over the replication protocol and in SQL, durable, used
# by one client at a time, and temporary ones.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
my $relay = walstream_relay(
	$primary, 'relay',
	slot => 'for_relay',
	conf => "max_replication_slots = 3\n");
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 10_000);
wait_for_relay($primary, $relay);

# The relay has created its own slot on the primary.
is( $primary->safe_psql(
		'postgres',
		"SELECT active, temporary, restart_lsn IS NOT NULL FROM pg_replication_slots WHERE slot_name = 'for_relay'"
	),
	't|f|t',
	'the slot upstream is made when it is missing');

# Slots created in SQL
$relay->safe_psql('postgres', "SELECT walstream_create_relay_slot('in_sql')");
my $row = relay_slot_row($relay, 'in_sql');
is($row->{active_pid}, undef, 'a new slot: nobody uses it');
is($row->{temporary}, JSON::PP::false,
	'a slot created in SQL is not temporary');
like(
	(   $relay->psql(
			'postgres', "SELECT walstream_create_relay_slot('in_sql')"))[2],
	qr/slot "in_sql" already exists/,
	'a slot cannot be created twice');
like(
	(   $relay->psql(
			'postgres', "SELECT walstream_create_relay_slot('In SQL')"))[2],
	qr/replication slot name "In SQL" contains invalid character/,
	'a name that is none');

# Slots created over the replication protocol
my $client = WalstreamClient->new($relay, application_name => 'client');

sub command_row
{
	my ($command) = @_;

	$client->_send('Q', "$command\0");
	my $content = $client->_read_until('D');
	my $count = unpack('n', $content);
	my @values;
	my $at = 2;

	foreach (1 .. $count)
	{
		my $len = unpack('l>', substr($content, $at, 4));

		push @values, $len < 0 ? undef : substr($content, $at + 4, $len);
		$at += 4 + ($len < 0 ? 0 : $len);
	}
	$client->_read_until('Z');
	return @values;
}

my @created =
  command_row('CREATE_REPLICATION_SLOT over PHYSICAL RESERVE_WAL');
is($created[0], 'over', 'CREATE_REPLICATION_SLOT: name');
isnt(relay_slot_row($relay, 'over')->{restart_lsn},
	undef, 'RESERVE_WAL: position');
my @read = command_row('READ_REPLICATION_SLOT over');
is($read[0], 'physical', 'READ_REPLICATION_SLOT: type');
is( $read[1],
	relay_slot_row($relay, 'over')->{restart_lsn},
	'READ_REPLICATION_SLOT: position');
is($read[2], 1, 'READ_REPLICATION_SLOT: timeline');
is_deeply(
	[ command_row('READ_REPLICATION_SLOT none') ],
	[ undef, undef, undef ],
	'no such slot');

# A temporary slot, the last one for which there is room
command_row('CREATE_REPLICATION_SLOT shortly TEMPORARY PHYSICAL RESERVE_WAL');
is(relay_slot_row($relay, 'shortly')->{temporary},
	JSON::PP::true, 'a temporary slot');
like(
	command_error($client, 'CREATE_REPLICATION_SLOT one_more PHYSICAL'),
	qr/all relay slots are in use/,
	'there are no more');
$client->close;
wait_until(
	$relay,
	"SELECT count(*) = 0 FROM walstream_relay_slots WHERE slot_name = 'shortly'",
	'a temporary slot is dropped with its connection');

# A slot has one user at a time, and advances with what its standby has
# flushed.
my $standby = walstream_standby(
	$primary, 'standby',
	conninfo => $relay->connstr,
	conf => "primary_slot_name = in_sql\n");
wait_for_replay($primary, $standby);
wait_until(
	$relay, q{
	SELECT s.active_pid = w.pid AND s.restart_lsn IS NOT NULL
	FROM walstream_relay_slots s, walstream_senders w
	WHERE s.slot_name = 'in_sql' AND w.application_name = 'standby'},
	'the standby uses its slot');
is(sender_row($relay, 'standby')->{slot_name},
	'in_sql', "the sender's row names the slot");
$client = WalstreamClient->new($relay, application_name => 'client');
my $pid = relay_slot_row($relay, 'in_sql')->{active_pid};
like(
	command_error(
		$client, 'START_REPLICATION SLOT in_sql ' . $primary->lsn('flush')),
	qr/slot "in_sql" is active for PID $pid/,
	'nobody else can');
like(
	command_error($client, 'DROP_REPLICATION_SLOT in_sql'),
	qr/slot "in_sql" is active for PID $pid/,
	'nobody else can drop the slot');
$client->close;

load_wal($primary, 20_000);
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
my $end = $primary->lsn('insert');
load_wal($primary, 100);
wait_for_replay($primary, $standby);
wait_until(
	$relay,
	"SELECT restart_lsn >= '$end' FROM walstream_relay_slots WHERE slot_name = 'in_sql'",
	'a slot moves with its standby');

# Slots and their positions survive a restart and a crash.
foreach my $mode (qw(fast immediate))
{
	$standby->stop if $mode eq 'fast';
	$relay->poll_query_until('postgres',
		"SELECT active_pid IS NULL FROM walstream_relay_slots WHERE slot_name = 'in_sql'"
	) or die "the slot is still in use\n";
	my $before = relay_slot_row($relay, 'in_sql')->{restart_lsn};
	my $over = relay_slot_row($relay, 'over')->{restart_lsn};

	$relay->stop($mode);
	$relay->start;
	wait_for_relay_state($relay, 'streaming');
	is(relay_slot_row($relay, 'over')->{restart_lsn},
		$over, "$mode stop: a slot is where it was");
	is( $relay->safe_psql(
			'postgres',
			"SELECT restart_lsn <= '$before' AND restart_lsn >= '$end' FROM walstream_relay_slots WHERE slot_name = 'in_sql'"
		),
		't',
		"$mode stop: so is the other");
}
$standby->start;
standby_matches($primary, $standby, 'the standby');

# Dropping slots
$relay->safe_psql('postgres', "SELECT walstream_drop_relay_slot('over')");
is(relay_slot_row($relay, 'over'), undef, 'dropped in SQL');
$client = WalstreamClient->new($relay, application_name => 'client');
like(
	command_error($client, 'DROP_REPLICATION_SLOT over'),
	qr/slot "over" does not exist/,
	'a dropped slot cannot be dropped again');
$standby->stop;
$client->command('DROP_REPLICATION_SLOT in_sql WAIT');
$client->close;
is( $relay->safe_psql(
		'postgres', 'SELECT count(*) FROM walstream_relay_slots'),
	0,
	'dropped over the protocol');
$relay->restart;
wait_for_relay_state($relay, 'streaming');
is( $relay->safe_psql(
		'postgres', 'SELECT count(*) FROM walstream_relay_slots'),
	0,
	'dropped slots do not come back');

# A damaged slot file is refused, and the error names it.
$relay->safe_psql('postgres',
	"SELECT walstream_create_relay_slot('damaged')");
$relay->stop;
my ($file) = glob(store_dir($relay) . '/slots/damaged*');
open(my $fh, '+<:raw', $file) or die "$file: $!\n";
seek($fh, -3, 2);
print $fh "\xff";
close($fh);
my $log = -s $relay->logfile;
$relay->start;
$relay->wait_for_log(qr{ERROR:  .*slots/damaged}, $log);
pass('a damaged slot file is refused by name');
wait_for_relay_state($relay, 'failed');
unlink($file);
$relay->restart;
wait_for_relay_state($relay, 'streaming');

done_testing();
