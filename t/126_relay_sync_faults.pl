# Copyright (c) 2026, the walstream authors

# Every sync of a relay fails once, of files and of the directory.  WAL that
# could not be made durable is neither acknowledged nor removed, the view shows
# the reason, and when the disk works again nothing is missing.  Also, the
# keeper is killed in the two syncs between the two forms of a segment.
# killed in the two syncs between the two forms of a segment.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning('was terminated by signal 9: Killed');
declare_expected_warning(
	'terminating connection because of crash of another server process');

my $segment_glob = '[0-9A-F]' x 24;

my $base = PostgreSQL::Test::Utils::tempdir();
my $store = "$base/store";
my $faults = "$base/faults";
mkdir($store, 0700);
my $keep_files = "wal_keep_size = 1GB\n";
my $one = walstream_primary('one', conf => $keep_files);
my $two = walstream_standby($one, 'two',
	conf => "${keep_files}synchronous_standby_names = 'relay'\n");
my $relay = walstream_relay(
	$one, 'relay',
	conninfo => join(' ',
		'host=' . join(',', map { $_->host } $one, $two),
		'port=' . join(',', map { $_->port } $one, $two),
		'target_session_attrs=read-write'),
	directory => $store,
	start => 0,
	conf => "fsync = on\nwalstream.relay_compress = off\n");
my $primary = $one;

sub pid_of
{
	my ($worker) = @_;

	return relay_row($relay)->{"${worker}_pid"};
}

sub start_relay
{
	start_preloaded($relay, 'power_fault', $store, $faults);
	wait_for_relay_state($relay, 'streaming');
	return;
}

# From now on the disk has these faults.
sub break_disk
{
	unlink("$faults.raised");
	set_faults($faults, @_);
	return;
}

# Check that the error is shown in SQL and in the log after the offset.
sub is_told
{
	my ($pattern, $log, $what) = @_;

	like(relay_row($relay)->{last_error},
		$pattern, "$what: it is told in SQL");
	like(slurp_file($relay->logfile, $log), $pattern,
		"$what: and in the log");
	return;
}

# Wait until no file with such a name exists: each new attempt creates one for
# a moment.
sub nothing_is_left
{
	my ($like, $what) = @_;

	return wait_until(
		$relay,
		"SELECT count(*) = 0 FROM pg_ls_dir('$store') AS name WHERE name LIKE '$like'",
		$what);
}

# Start a commit in a new segment, for which the relay has to close one and
# begin another.
sub start_commit
{
	my ($name) = @_;

	return start_psql($primary,
		"SELECT pg_switch_wal(); INSERT INTO commits VALUES ('$name')");
}

#
# A sync of the receiver fails, also when it is repeated, until the disk works
# again.  A commit waits until then, and returns.
#
sub check_receiver
{
	my ($what, $pattern, @faults) = @_;
	my $log;

	# a restarted server begins with the shortest pause before it restarts a
	# worker
	$relay->stop;
	start_relay();
	$log = -s $relay->logfile;
	my $receiver = pid_of('receiver');
	my $end = $primary->safe_psql('postgres',
		"SELECT '0/0'::pg_lsn + (floor((pg_current_wal_flush_lsn() - '0/0') / 1048576) + 1) * 1048576"
	);

	break_disk(@faults);
	my $commit = start_commit($what);
	wait_for_fault($faults, qr/EIO/);
	ok(waits_for_standby($primary, $what), "$what: nothing is acknowledged");
	$relay->wait_for_log($pattern, $log);
	my $durable = relay_row($relay)->{flushed_lsn};
	cmp_ok(lsn_number($durable), '<=', lsn_number($end), "$what: nor served");
	is_told($pattern, $log, $what);
	set_faults($faults);
	ok($commit->{run}->finish,
		"$what: the commit returns when the disk is well");
	wait_for_relay_state($relay, 'streaming');
	isnt(pid_of('receiver'), $receiver, "$what: in another process");
	return;
}

#
# A new store
#
my $log = 0;
$one->safe_psql('postgres', 'CREATE TABLE commits (name text)');
break_disk('fsync walstream.identity.tmp EIO');
start_preloaded($relay, 'power_fault', $store, $faults);
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
foreach my $fault (
	[
		'identity',
		qr/could not write file ".*walstream\.identity": Input\/output error/
	],
	[
		'identity\'s name',
		qr/could not fsync file ".*store": Input\/output error/,
		'fsync . EIO walstream.identity'
	])
{
	my ($what, $pattern, $line) = @$fault;

	break_disk($line) if defined $line;
	wait_for_fault($faults, qr/EIO/);
	$relay->wait_for_log($pattern, $log);
	is_told($pattern, $log, $what);
	is_deeply([ store_files($store) ],
		[], "$what: without it there is no WAL");
	nothing_is_left('walstream.identity.tmp', "$what: nothing is left of it");
	$log = -s $relay->logfile;
}
set_faults($faults);
wait_for_relay_state($relay, 'streaming');
make_synchronous($one, $relay);
my $standby = walstream_standby(
	$one, 'standby',
	walstream => 0,
	conninfo => $relay->connstr);
$one->safe_psql('postgres', "INSERT INTO commits VALUES ('first')");

#
# The receiver: the open segment's new file, its last sync, the renames of both
#
check_receiver(
	'closing',
	qr/could not fsync file ".*\.partial": Input\/output error/,
	'fsync *.partial EIO');
check_receiver(
	'closed name',
	qr/could not fsync file ".*store": Input\/output error/,
	"fsync . EIO $segment_glob");
check_receiver(
	'open name',
	qr/could not fsync file ".*store": Input\/output error/,
	'fsync . EIO *.partial');

#
# The spare segment: neither the receiver nor the keeper fails.
#
my ($receiver, $keeper) = map { pid_of($_) } 'receiver', 'keeper';
$log = -s $relay->logfile;
break_disk('fsync walstream.spare.tmp EIO');
write_segments($one, $relay, 2);
wait_for_fault($faults, qr/spare/);
my $pattern =
  qr/could not create file ".*walstream\.spare": Input\/output error/;
$relay->wait_for_log($pattern, $log);
write_segments($one, $relay, 2);
is(pid_of('receiver'), $receiver, 'spare: the receiver goes on without');
nothing_is_left('walstream.spare%',
	'spare: one that is not durable does not stay');
set_faults($faults);
wait_until(
	$relay,
	"SELECT count(*) = 1 FROM pg_ls_dir('$store') AS name WHERE name = 'walstream.spare'",
	'spare: it is made when the disk is well');
is(pid_of('keeper'), $keeper, 'spare: by the same process');

#
# Compressing: the raw segment stays, and is served.
#
sub raw_segments
{
	return split(
		/\n/,
		$relay->safe_psql(
			'postgres',
			"SELECT segment FROM walstream_relay_segments WHERE state = 'raw' ORDER BY start_lsn"
		));
}

sub is_served
{
	my ($what) = @_;
	my $dir = "$base/received $what" =~ tr/ '/__/r;
	my $end = $relay->safe_psql('postgres',
		"SELECT max(start_lsn) FROM walstream_relay_segments WHERE state = 'partial'"
	);

	mkdir($dir);
	command_ok(
		[
			'pg_receivewal', '--no-loop',
			'-D', $dir,
			'-d', $relay->connstr,
			'--endpos', $end
		],
		"$what: WAL is served");
	return;
}

sub wait_for_compressed
{
	my ($what) = @_;

	wait_until(
		$relay,
		"SELECT count(*) = 0 FROM walstream_relay_segments WHERE state NOT IN ('zstd', 'partial')",
		"$what: all is compressed later");
	nothing_is_left('%.tmp', "$what: nothing temporary is left");
	return;
}

foreach my $fault (
	[
		'compressing',
		'fsync *.zst.tmp EIO',
		qr/could not write file ".*\.zst\.tmp": Input\/output error/, 0
	],
	[
		'compressed name',
		'fsync . EIO *.zst',
		qr/could not fsync file ".*store": Input\/output error/, 1
	])
{
	my ($what, $line, $reason, $both) = @$fault;

	write_segments($one, $relay, 2);
	my @raw = raw_segments();
	cmp_ok(scalar(@raw), '>=', 2, "$what: there are raw segments");
	$log = -s $relay->logfile;
	$keeper = pid_of('keeper');
	break_disk($line);
	set_setting($relay, 'relay_compress', 'zstd');
	$relay->wait_for_log(qr/could not compress WAL segment "$_".*$reason/s,
		$log)
	  foreach @raw;
	is_told(qr/could not compress WAL segment "$raw[-1]"/, $log, $what);
	is_deeply([ raw_segments() ], \@raw, "$what: the raw segments stay");
	is(scalar(grep { -e "$store/$_" } @raw),
		scalar(@raw), "$what: each of them");
	is( scalar(grep { -e "$store/$_.zst" } @raw),
		$both ? scalar(@raw) : 0,
		"$what: what is compressed is there only with its name");
	is(pid_of('keeper'), $keeper, "$what: the keeper goes on");
	is_served($what);
	set_faults($faults);
	set_setting($relay, 'relay_compress', 'off');
	set_setting($relay, 'relay_compress', 'zstd');
	wait_for_compressed($what);
	set_setting($relay, 'relay_compress', 'off');
}

#
# The keeper is killed between the two forms of a segment.
#
foreach my $hold (
	[ 'killed while compressing', 'fsync *.zst.tmp hold', '.zst.tmp' ],
	[ 'killed while renaming', 'fsync . hold *.zst', '.zst' ])
{
	my ($what, $line, $suffix) = @$hold;

	write_segments($one, $relay, 1);
	break_disk($line);
	set_setting($relay, 'relay_compress', 'zstd');
	wait_for_fault($faults, qr/hold/);
	my @raw = raw_segments();
	ok(-e "$store/$raw[0]" && -e "$store/$raw[0]$suffix",
		"$what: both forms are there");
	$relay->safe_psql('postgres',
		'ALTER SYSTEM SET walstream.relay_compress = off');
	kill_and_wait($relay, pid_of('keeper'));
	set_faults($faults);
	start_relay();
	is_deeply([ raw_segments() ],
		\@raw, "$what: the raw segment counts afterwards");
	is_deeply([ grep { /\.zst\.tmp$/ } slurp_dir($store) ],
		[], "$what: nothing temporary is left");
	is( $relay->safe_psql(
			'postgres', 'SELECT ok FROM walstream_relay_verify()'),
		't',
		"$what: all is verified");
	set_setting($relay, 'relay_compress', 'zstd');
	wait_for_compressed($what);
	set_setting($relay, 'relay_compress', 'off');
}

#
# A history file, and its rename
#
wait_for_replay($one, $two);
my $begin = lsn_number(relay_row($relay)->{first_lsn});
my $switched = relay_row($relay)->{flushed_lsn};
is( compare_store(
		$store, 1, $begin, lsn_number($switched), $one->data_dir . '/pg_wal'),
	undef,
	'all of the first timeline is stored');
$one->stop;
$log = -s $relay->logfile;
break_disk('fsync 00000002.history.tmp EIO');
$two->promote;
$primary = $two;
my $commit = start_commit('history');

foreach my $fault (
	[
		'history',
		qr/could not write file ".*00000002\.history": Input\/output error/
	],
	[
		'history\'s name',
		qr/could not fsync file ".*store": Input\/output error/,
		'fsync . EIO 00000002.history'
	])
{
	my ($what, $pattern, $line) = @$fault;

	break_disk($line) if defined $line;
	wait_for_fault($faults, qr/EIO/);
	$relay->wait_for_log($pattern, $log);
	is_told($pattern, $log, $what);
	is(relay_row($relay)->{timeline}, 1, "$what: it is not followed");
	ok( waits_for_standby($primary, 'history'),
		"$what: nothing is acknowledged");
	is(scalar(grep { /^00000002.{16}/ } store_files($store)),
		0, "$what: nothing is stored");
	nothing_is_left('00000002.history.tmp', "$what: nothing is left of it");
	$log = -s $relay->logfile;
}
set_faults($faults);
ok($commit->{run}->finish,
	'history: the commit returns when the disk is well');
wait_for_relay($two, $relay);
is(relay_row($relay)->{timeline}, 2, 'history: it is followed');

# Nothing was lost in any of these cases.
wait_for_replay($two, $standby);
is( $standby->safe_psql(
		'postgres', 'SELECT string_agg(name, $$, $$) FROM commits'),
	'first, closing, closed name, open name, history',
	'the standby has all commits');
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'all is verified');

done_testing();
