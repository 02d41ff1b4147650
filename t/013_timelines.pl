# Copyright (c) 2026, the walstream authors

# Cascading standbys, slots, promotion, and the old primary rewound.

use strict;
use warnings;

use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my $one = walstream_primary('one');
$one->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $two = walstream_standby($one, 'two',
	conf => "wal_receiver_create_temp_slot = on\n");
my $three = walstream_standby($two, 'three', slot => 'for_three');

# Check the codec and the slot of the stream to a standby.
sub check_sender
{
	my ($node, $name, $slot_pattern, $what) = @_;
	my $row = sender_row($node, $name);

	is($row->{codec}, 'walz', "$what: codec");
	cmp_ok($row->{ratio}, '>', 1.5, "$what: ratio");
	like($row->{slot_name} // 'none', $slot_pattern, "$what: slot");
	return $row;
}

load_wal($one);
wait_for_replay($one, $three);

my $temporary =
  check_sender($one, 'two', qr/^pg_walreceiver_\d+$/, 'one to two');
is( $one->safe_psql(
		'postgres',
		"SELECT temporary, active_pid FROM pg_replication_slots WHERE slot_name = '$temporary->{slot_name}'"
	),
	"t|$temporary->{pid}",
	'that is a temporary slot');
my $before = check_sender($two, 'three', qr/^for_three$/, 'two to three');
isnt($before->{restart_lsn}, undef, 'the slot holds WAL');
standby_matches($one, $two, 'standby');
standby_matches($one, $three, 'cascading standby');
my $receiver =
  $three->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver');

# Promote "two".  "three" follows the timeline on its existing connection.
my $two_log = -s $two->logfile;
my $three_log = -s $three->logfile;
$two->promote;
load_wal($two);
$two->wait_for_catchup($three);

my $after =
  check_sender($two, 'three', qr/^for_three$/, 'after the promotion');
is($after->{pid}, $before->{pid}, 'the walsender is the same');
is( $three->safe_psql(
		'postgres', 'SELECT pid, received_tli FROM pg_stat_wal_receiver'),
	"$receiver|2",
	'the walreceiver is the same, on timeline 2');
cmp_ok(
	$after->{raw_bytes}, '>',
	$before->{raw_bytes} + 500_000,
	'counting goes on');
cmp_ok(
	$after->{wire_bytes},
	'<',
	$before->{wire_bytes} +
	  ($after->{raw_bytes} - $before->{raw_bytes}) / 1.5,
	'compressed on timeline 2');
is(receiver_row($three)->{codec}, 'walz', 'the receiver says so');
like(
	slurp_file($two->logfile, $two_log),
	qr/\[$after->{pid}\] three LOG:  streaming WAL to "three" compressed with walz/,
	'the second stream of the walsender is in its log');
like(
	slurp_file($three->logfile, $three_log),
	qr/\[$receiver\] LOG:  receiving WAL for "three" compressed with walz/,
	'and in that of the walreceiver');
standby_matches($two, $three, 'standby on timeline 2');

# "one" has diverged by now, and is rewound.
load_wal($one);
$one->stop;
$two->safe_psql('postgres', 'CHECKPOINT');
my $kept = PostgreSQL::Test::Utils::tempdir() . '/postgresql.conf';
copy($one->data_dir . '/postgresql.conf', $kept);
command_ok(
	[
		'pg_rewind', '--no-sync',
		'--target-pgdata' => $one->data_dir,
		'--source-server' => $two->connstr('postgres')
	],
	'pg_rewind');
copy($kept, $one->data_dir . '/postgresql.conf');
$one->enable_streaming($two);
my $one_log = -s $one->logfile;
$one->start;
load_wal($two);
$two->wait_for_catchup($one);
check_sender($two, 'one', qr/^none$/, 'stream to the old primary');
is(receiver_row($one)->{codec}, 'walz',
	'the old primary receives compressed');
standby_matches($two, $one, 'the old primary');
standby_matches($two, $three, 'the other standby');

done_testing();
