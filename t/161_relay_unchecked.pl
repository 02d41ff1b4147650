# Copyright (c) 2026, the walstream authors

# WAL that is not yet known to continue the stored WAL does not count, whatever
# ends its connection: another server may have the right WAL.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamRelay;
use WalstreamTest;

use constant SEGMENT => 1024 * 1024;

declare_expected_warning(
	'specified neither "?primary_conninfo"? nor "?restore_command"?');

my $one = walstream_primary('one',
	conf => "checkpoint_timeout = 1h\nmax_wal_size = 1GB\n");
my $relay = walstream_relay($one, 'relay', conf => "fsync = on\n");
my $dir = store_dir($relay);
my $faults = PostgreSQL::Test::Utils::tempdir() . '/faults';
wait_for_relay_state($relay, 'streaming');

sub write_message
{
	my ($node, $letter, $bytes) = @_;

	$node->safe_psql('postgres',
		"SELECT pg_logical_emit_message(false, '', repeat('$letter', $bytes))"
	);
	return;
}

# Copy a stopped node.
sub copy_of
{
	my ($node, $name) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);

	$node->backup_fs_cold($name);
	$copy->init_from_backup($node, $name);
	return $copy;
}

# Set or unset the upstream of a stopped relay.
sub use_upstream
{
	my ($conninfo) = @_;

	$relay->adjust_conf(
		'postgresql.conf',
		'walstream.relay_upstream',
		"'" . WalstreamRelay::quote($conninfo) . "'");
	return;
}

# Kill the receiver while it is held in this sync.
sub kill_at
{
	my (@faults) = @_;

	unlink("$faults.raised");
	set_faults($faults, map { "$_" } @faults);
	start_preloaded($relay, 'power_fault', $dir, $faults);
	wait_for_fault($faults, qr/hold/);
	my $pid = relay_row($relay)->{receiver_pid};
	declare_expected_warning("\\(PID $pid\\) was terminated by signal 9");
	kill_and_wait($relay, $pid);
	set_faults($faults);
	return;
}

#
# Let this many messages of an upstream pass, and end the connection when the
# last of them have been written to the file.  Do so a second time, and then
# unset the upstream.
#
sub lose_connection
{
	my ($node, $messages, $file) = @_;
	my $proxy = WalstreamProxy->new($node);
	my $log = -s $relay->logfile;
	my $arrives = sub {
		my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;
		my $content = sub {
			return eval { slurp_file("$dir/$file.partial") } // '';
		};

		select(undef, undef, undef, 0.01)
		  while $content->() !~ /[^\0]/ && $attempts-- > 0;
		return cmp_ok($attempts, '>', 0, "WAL arrives in $file");
	};

	$proxy->set_rules({ action => 'hold', nth => $messages + 1 });
	set_relay_upstream($relay, $proxy->connstr);
	$arrives->();
	$node->safe_psql('postgres',
		'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
	$relay->wait_for_log(
		qr/LOG:  relay removes WAL that was not found to continue what is stored/,
		$log);
	$arrives->();
	set_relay_upstream($relay, '');
	wait_until(
		$relay,
		"SELECT state = 'waiting for upstream' AND reason LIKE '% is not set' FROM walstream_relay",
		'there is none');
	$proxy->stop;
	return;
}

# Check that the stored WAL ends here, and that no file has WAL after that.
sub ends_at
{
	my ($lsn, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $last =
	  WalstreamRelay::segment_name(1, lsn_number($lsn) / SEGMENT - 1,
		SEGMENT);

	is(relay_row($relay)->{flushed_lsn}, $lsn, "$what: nothing counts");
	return is_deeply(
		[ grep { substr($_, 0, 24) gt $last } store_files($dir) ],
		[], "$what: nor is there any of it");
}

sub is_whole
{
	my ($tli, $node, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	load_wal($node, 10);
	my $end = wait_for_relay($node, $relay);
	my $first = lsn_number($end);
	$first -= $first % SEGMENT;
	is( $relay->safe_psql(
			'postgres', 'SELECT ok FROM walstream_relay_verify()'),
		't',
		"$what: the store is whole");
	is( compare_store(
			$dir, $tli, $first, lsn_number($end), $node->data_dir . '/pg_wal'
		),
		undef,
		"$what: and has this server's WAL");
	return is_deeply([ grep { /unchecked/ } slurp_dir($dir) ],
		[], "$what: which was checked");
}

#
# Another server has a long record that crosses the end of the stored WAL.
# Segments are filled before the record's end shows that its beginning is not
# the stored one.
#
$one->safe_psql('postgres', 'SELECT pg_switch_wal()');
load_wal($one, 10);
wait_for_relay($one, $relay);
$one->stop;
my $two = copy_of($one, 'two');
my $boundary;
foreach my $case ([ $one, 'x' ], [ $two, 'y' ])
{
	my ($node, $letter) = @$case;

	$node->start;
	my $at = lsn_number(
		$node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()'));
	$boundary //= $at - $at % SEGMENT + SEGMENT;
	cmp_ok($at, '<', $boundary, 'the record begins before the boundary');
	write_message($node, $letter, 4 * SEGMENT);
	load_wal($node, 10);
}
wait_for_relay_state($relay, 'streaming');
wait_for_relay($one, $relay);
$relay->stop;

# Let the relay's WAL end at this boundary, and the other server's begin there.
my $name = WalstreamRelay::segment_name(1, $boundary / SEGMENT - 1, SEGMENT);
unlink(
	map  { "$dir/$_" }
	grep { substr($_, 0, 24) gt $name } store_files($dir));
$two->safe_psql('postgres', 'CHECKPOINT') foreach 1 .. 2;
$two->stop;
unlink($two->data_dir . "/pg_wal/$name");
$two->start;

my $third = WalstreamRelay::segment_name(1, $boundary / SEGMENT + 2, SEGMENT);
$boundary = format_lsn($boundary);
use_upstream($two->connstr);
kill_at("fsync $third.partial hold", "fdatasync $third.partial hold");
cmp_ok(scalar(grep { substr($_, 0, 24) gt $name } store_files($dir)),
	'>=', 2, 'segments were closed');
use_upstream('');
$relay->start;
wait_for_relay_state($relay, 'waiting for upstream');
ends_at($boundary, 'killed');

set_relay_upstream($relay, $two->connstr);
wait_for_relay_state($relay, 'diverged');
like(
	relay_row($relay)->{reason},
	qr/does not continue what is stored: .* incorrect resource manager data checksum/,
	'when it is complete it is refused');
ends_at($boundary, 'refused');

lose_connection($two, 20, $third);
ends_at($boundary, 'connection lost');
$two->stop;

set_relay_upstream($relay, $one->connstr);
wait_for_relay_state($relay, 'streaming');
is_whole(1, $one, 'the right one');

#
# All that has arrived of a new timeline is what it has in common with the one
# before.
#
$one->safe_psql('postgres', 'SELECT pg_switch_wal()');
write_message($one, 'x', SEGMENT / 2);
wait_for_relay($one, $relay);
$one->stop;
wait_for_relay_state($relay, 'waiting for upstream');
my $wrong = copy_of($one, 'wrong');
my $right = copy_of($one, 'right');

# "right" writes more WAL before it is promoted.
$right->start;
load_wal($right, 10);
$right->stop;
foreach my $node ($wrong, $right)
{
	$node->set_standby_mode;
	$node->start;
	$node->promote;
	load_wal($node, 10);
}
my $flushed = relay_row($relay)->{flushed_lsn};
$relay->stop;

sub has_nothing_of_2
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $row = relay_row($relay);

	is( "$row->{timeline} $row->{flushed_lsn}",
		"1 $flushed",
		"$what: timeline 1 is served");
	return is_deeply([ grep { /^00000002/ } slurp_dir($dir) ],
		[], "$what: nothing of timeline 2 stays in the store");
}

use_upstream($wrong->connstr);
kill_at('fsync . hold 00000002*.partial');
cmp_ok(scalar(grep { /^00000002.*partial/ } store_files($dir)),
	'==', 1, 'a file was made');
use_upstream('');
start_preloaded($relay, 'power_fault', $dir, $faults);
wait_for_relay_state($relay, 'waiting for upstream');
has_nothing_of_2('killed');

lose_connection(
	$wrong, 3,
	WalstreamRelay::segment_name(
		2, int(lsn_number($flushed) / SEGMENT), SEGMENT));
has_nothing_of_2('connection lost');
$wrong->stop;

# If there is no room for a mark, the receiver waits as it does for WAL.
my $pid = relay_row($relay)->{receiver_pid};
set_faults($faults, 'create *.unchecked ENOSPC');
set_relay_upstream($relay, $right->connstr);
wait_for_relay_state($relay, 'disk full');
set_faults($faults);
wait_until(
	$relay,
	"SELECT state = 'streaming' AND timeline = 2 FROM walstream_relay",
	'the right one is followed');
is(relay_row($relay)->{receiver_pid},
	$pid, 'by the receiver that had no room');
is_whole(2, $right, 'the right one');

done_testing();
