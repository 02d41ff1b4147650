# Copyright (c) 2026, the walstream authors

# Clients that know nothing of walstream, and what a server tells clients.

use strict;
use warnings;

use File::Compare;
use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my $not_asked = 'the receiver did not ask for compression';

my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $wal_dir = $primary->data_dir . '/pg_wal';
load_wal($primary);

# Start a program in the background and collect its output.
sub start_program
{
	my ($name, @command) = @_;
	my $output = '';

	return {
		run => IPC::Run::start(
			[ @command, '-d', $primary->connstr . " application_name=$name" ],
			'>&' => \$output,
			IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default)),
		output => \$output
	};
}

# Run pg_receivewal while the server writes more than four segments.  Returns
# its walsender's row, read while pg_receivewal was connected and idle, so that
# no counter was changing.
sub receive_wal
{
	my ($name, $dir, @options) = @_;
	my $endpos = $primary->safe_psql('postgres',
		'SELECT pg_current_wal_lsn() + 4 * 1024 * 1024');
	my $program = start_program(
		$name, 'pg_receivewal', '--no-loop',
		'-D' => $dir,
		'--endpos' => $endpos,
		@options);

	$primary->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = '$name' AND state IN ('catchup', 'streaming')"
	) || die "$name does not stream\n";
	load_wal($primary);
	$primary->poll_query_until('postgres',
		"SELECT raw_bytes > 0 AND sent_lsn = pg_current_wal_flush_lsn() FROM walstream_senders WHERE application_name = '$name'"
	) || die "nothing is counted for $name\n";
	my $row = sender_row($primary, $name);

	load_wal($primary, 40_000);
	ok($program->{run}->finish, "$name: ends well")
	  || diag(${ $program->{output} });
	return $row;
}

# Check that a directory has the server's complete segments.
sub check_segments
{
	my ($dir, $what) = @_;
	my @segments = grep { /^[0-9A-F]{24}(?:\.gz)?$/ } slurp_dir($dir);
	my $equal = 0;

	foreach my $file (@segments)
	{
		my $segment = $file =~ s/\.gz$//r;
		my $received = "$dir/$file";

		if ($file =~ /\.gz$/)
		{
			$received = "$dir/$segment.unzipped";
			gunzip("$dir/$file" => $received) or die "gunzip: $GunzipError\n";
		}
		$equal++ if compare($received, "$wal_dir/$segment") == 0;
	}
	cmp_ok(scalar(@segments), '>=', 3, "$what: segments");
	is($equal, @segments, "$what: all are equal to the server's");
	return;
}

#
# pg_receivewal
#
foreach my $case (
	['receivewal'],
	[ 'receivewal_slot', '--slot=for_receivewal' ],
	[ 'receivewal_gzip', '--compress=gzip:1' ])
{
	my ($name, @options) = @$case;
	my $dir = PostgreSQL::Test::Utils::tempdir();

	command_ok(
		[
			'pg_receivewal', '-d', $primary->connstr, @options,
			'--create-slot'
		],
		"$name: slot") if grep { /slot/ } @options;

	my $row = receive_wal($name, $dir, @options);
	is($row->{codec}, undef, "$name: codec");
	is($row->{plain_reason}, $not_asked, "$name: plain_reason");
	is($row->{ratio}, 1, "$name: ratio");
	is($row->{wire_bytes}, $row->{raw_bytes}, "$name: bytes");
	is($row->{frames}, 0, "$name: frames");
	is($row->{bypassed_messages}, $row->{messages}, "$name: bypassed");
	is($row->{slot_name}, $name =~ /slot/ ? 'for_receivewal' : undef,
		"$name: slot");
	check_segments($dir, $name);
}

#
# pg_basebackup
#
my $total_before = fetch_row($primary,
	"SELECT * FROM walstream_totals WHERE name = 'pg_basebackup'");
is($total_before, undef, 'nothing counted yet for pg_basebackup');

my $log = -s $primary->logfile;
my $backup_dir = PostgreSQL::Test::Utils::tempdir();
my @backup = (
	'pg_basebackup', '--no-sync', '--checkpoint=fast', '-d',
	$primary->connstr . ' application_name=pg_basebackup');
command_ok([ @backup, '-D', "$backup_dir/stream", '-X', 'stream' ],
	'pg_basebackup -X stream');
command_ok(
	[ 'pg_verifybackup', "$backup_dir/stream" ],
	'the backup with -X stream is valid');
my $total = fetch_row($primary,
	"SELECT * FROM walstream_totals WHERE name = 'pg_basebackup'");
is($total->{streams}, 1, '-X stream: one stream');
cmp_ok($total->{raw_bytes}, '>', 0, '-X stream: counted');
is($total->{wire_bytes}, $total->{raw_bytes}, '-X stream: bytes');
like(
	slurp_file($primary->logfile, $log),
	qr/LOG:  streaming WAL to "pg_basebackup" uncompressed: \Q$not_asked\E\n/,
	'-X stream: log');

$log = -s $primary->logfile;
command_ok([ @backup, '-D', "$backup_dir/fetch", '-X', 'fetch' ],
	'pg_basebackup -X fetch');
command_ok(
	[ 'pg_verifybackup', "$backup_dir/fetch" ],
	'the backup with -X fetch is valid');
unlike(
	slurp_file($primary->logfile, $log),
	qr/streaming WAL to/,
	'-X fetch: nothing is streamed');
is( fetch_row($primary,
		"SELECT * FROM walstream_totals WHERE name = 'pg_basebackup'")
	  ->{streams},
	1,
	'-X fetch: nothing more is counted');

# A slow base backup shows up as a walsender without a stream.
declare_expected_warning('aborting backup due to backend exiting');
my $slow = start_program(
	'slow_backup', 'pg_basebackup', '--no-sync', '--checkpoint=fast',
	'-D' => "$backup_dir/slow",
	'-X' => 'none',
	'--max-rate=32k');
$primary->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM walstream_senders WHERE application_name = 'slow_backup' AND state = 'backup'"
) || die "no backup\n";
my $row = sender_row($primary, 'slow_backup');
is($row->{plain_reason}, undef, 'a backup has no plain_reason');
is($row->{raw_bytes}, undef, 'a backup has no counters');
$slow->{run}->signal('INT');
$slow->{run}->finish;

#
# A role that may replicate and nothing else
#
$primary->safe_psql('postgres', 'CREATE ROLE repl LOGIN REPLICATION');
my $standby = walstream_standby($primary, 'standby',
	conninfo => $primary->connstr . ' user=repl');
load_wal($primary);
$primary->wait_for_catchup($standby);
$row = sender_row($primary, 'standby');
is($row->{usename}, 'repl', 'standby with a role that is not superuser');
is($row->{codec}, 'walz', "the role's stream is compressed");
cmp_ok($row->{ratio}, '>', 1.5, "the role's stream: ratio");
standby_matches($primary, $standby, 'that standby');

#
# What the server tells clients
#
my $replication = $primary->connstr('postgres') . ' user=repl replication=1';
command_like(
	[ 'psql', '-XAtd', $replication, '-c', 'SHOW walstream.protocol' ],
	qr/^1$/, 'SHOW walstream.protocol over the replication protocol');
command_like([ 'psql', '-XAtd', $replication, '-c', 'SHOW walstream.accept' ],
	qr/^$/, 'SHOW walstream.accept when nothing was asked');
command_like(
	[
		'psql', '-XAtd',
		"$replication options='-c walstream.accept=7\\\\ new\\\\ zstd'",
		'-c', 'SHOW walstream.accept'
	],
	qr/^7 new zstd$/,
	'any value of walstream.accept is let in');

# The ParameterStatus messages of a new connection.
sub parameter_status
{
	my ($node) = @_;
	my $socket = $node->raw_connect;
	my %parameters = (user => 'repl', database => 'postgres');
	my %status;

	my $startup = pack('N(Z*)*x', 3 << 16, %parameters);
	print $socket pack('N', 4 + length($startup)), $startup;
	$socket->flush;
	while (1)
	{
		my ($header, $body) = ('', '');

		read($socket, $header, 5) == 5 or die "connection is closed\n";
		my ($type, $length) = unpack('aN', $header);
		read($socket, $body, $length - 4) == $length - 4
		  or die "connection is closed\n";
		die "error: $body\n" if $type eq 'E';
		last if $type eq 'Z';
		next if $type ne 'S';
		my ($name, $value) = unpack('Z*Z*', $body);
		$status{$name} = $value;
	}
	print $socket pack('aN', 'X', 4);
	close($socket);
	return \%status;
}

SKIP:
{
	skip 'needs Unix-domain sockets', 2 unless $primary->raw_connect_works;
	my $status = parameter_status($primary);
	is($status->{server_encoding} ? 1 : 0, 1, 'settings are reported');
	is($status->{'walstream.protocol'}, '1',
		'walstream.protocol is reported');
}

# A request for compression counts only if the client itself sends it.
$primary->append_conf('postgresql.conf', "walstream.accept = '1 zstd'\n");
$primary->reload;
$primary->poll_query_until('postgres',
	"SELECT current_setting('walstream.accept') = '1 zstd'")
  || die "walstream.accept is not set\n";
my $dir = PostgreSQL::Test::Utils::tempdir();
is(receive_wal('receivewal_file', $dir)->{plain_reason},
	$not_asked, 'walstream.accept in the file asks for nothing');
check_segments($dir, 'walstream.accept in the file');

done_testing();
