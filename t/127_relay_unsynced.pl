# Copyright (c) 2026, the walstream authors

# A process is killed between a rename and the sync of the directory.  The next
# process finds the new names and relies on them for what it promises and
# serves, so it must make them durable first, or a later power cut would take
# them back.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamPower;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning('was terminated by signal 9: Killed');
declare_expected_warning(
	'terminating connection because of crash of another server process');

my $base = PostgreSQL::Test::Utils::tempdir();
my $watched = "$base/watched";
my $log = "$base/record";
my $faults = "$base/faults";
mkdir($watched);

# The upstream has nothing to send, so that the store has no WAL; otherwise
# other syncs would make the names durable, too.
my $primary = walstream_primary('primary');
my $relay = walstream_relay(
	$primary, 'relay',
	directory => "$watched/store",
	start => 0,
	conf => "fsync = on\n");
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');

sub start_watched
{
	start_preloaded($relay, 'power_fault', $watched, $faults, 'power_record',
		$log);
	return;
}

# Kill the process that is held in the sync; all processes of the relay end.
sub kill_held
{
	my ($find_pid) = @_;

	wait_for_fault($faults, qr/hold/);
	kill_and_wait($relay, $find_pid->());
	set_faults($faults);
	unlink("$faults.raised");
	return;
}

sub receiver_pid
{
	return relay_row($relay)->{receiver_pid};
}

# Start a replication command, which may have to wait.  Slots can be created
# before there is WAL.
sub start_command
{
	my ($command) = @_;
	my $output = '';

	return IPC::Run::start(
		[
			'psql', '-XAtq', '-d',
			$relay->connstr . ' replication=true application_name=commands',
			'-c', $command
		],
		'>&' => \$output,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
}

# The process that runs the replication command.
sub command_pid
{
	return $relay->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE application_name = 'commands'"
	);
}

# Does the file survive a power cut at this mark?
sub is_durable
{
	my ($record, $mark, $file) = @_;
	my $replay = $record->replay;

	foreach my $number ($record->find('mark'))
	{
		next if ($record->fields($number))[1] ne $mark;
		$replay->advance($number + 1);
		return exists $replay->files->{$file} ? 1 : 0;
	}
	die "there is no mark \"$mark\"\n";
}

# Kill the receiver after the identity got its name.
set_faults($faults, 'fsync store hold store/walstream.identity');
start_watched();
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
kill_held(\&receiver_pid);
ok(-e "$watched/store/walstream.identity", 'the identity has its name');
add_mark($log, 'identity killed');

# Without an upstream, the next receiver has only the directory to go by.
$primary->stop;
start_watched();
wait_for_relay_state($relay, 'waiting for upstream');
ok(start_command('CREATE_REPLICATION_SLOT kept PHYSICAL')->finish,
	'a slot is promised');
add_mark($log, 'kept promised');

# Slots: one is being created when its process is killed, one is being dropped.
ok(start_command('CREATE_REPLICATION_SLOT dropped PHYSICAL')->finish,
	'another one');
add_mark($log, 'dropped promised');
set_faults($faults, 'fsync store/slots hold store/slots/made');
my $command = start_command('CREATE_REPLICATION_SLOT made PHYSICAL');
kill_held(\&command_pid);
$command->finish;
ok(-e "$watched/store/slots/made", 'a slot that was being made has its name');
add_mark($log, 'made killed');
start_watched();
wait_for_relay_state($relay, 'waiting for upstream');
is(relay_slot_row($relay, 'made')->{slot_name},
	'made', 'the created slot is there after the restart');
add_mark($log, 'made shown');

set_faults($faults, 'fsync store/slots hold');
$command = start_command('DROP_REPLICATION_SLOT dropped');
kill_held(\&command_pid);
$command->finish;
ok(!-e "$watched/store/slots/dropped",
	'a slot that was being dropped has none any more');
add_mark($log, 'dropped killed');
start_watched();
wait_for_relay_state($relay, 'waiting for upstream');
is( $relay->safe_psql(
		'postgres',
		'SELECT string_agg(slot_name, $$ $$ ORDER BY slot_name) FROM walstream_relay_slots'
	),
	'kept made',
	'the dropped slot is gone after the restart');
add_mark($log, 'dropped shown');
$relay->stop;

my $record = WalstreamPower->new($log);
foreach my $case (
	[
		'identity killed', 'walstream.identity',
		0, 'the identity was not durable'
	],
	[
		'kept promised', 'walstream.identity',
		1, 'it is, once something is promised'
	],
	[ 'kept promised', 'slots/kept', 1, 'so the slot is there' ],
	[ 'dropped promised', 'slots/dropped', 1, 'and the next one' ],
	[ 'made killed', 'slots/made', 0, 'a new slot was not durable' ],
	[ 'made shown', 'slots/made', 1, 'it is, once it is shown' ],
	[
		'dropped killed', 'slots/dropped',
		1, 'the removal of a slot was not durable'
	],
	[
		'dropped shown', 'slots/dropped',
		0, 'it is, once the slot is not shown'
	])
{
	my ($mark, $file, $expected, $what) = @$case;

	is(is_durable($record, $mark, "store/$file"), $expected, $what);
}

done_testing();
