# Copyright (c) 2026, the walstream authors

# An upstream or a store that does not match the relay is refused, with a
# message that says why and a hint, and nothing is changed.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use IO::Socket::UNIX;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $base = PostgreSQL::Test::Utils::tempdir_short();

#
# A simulated upstream, whose answers are read from a file.
#
my $fake_port = PostgreSQL::Test::Cluster::get_free_port();
my $listener =
  IO::Socket::UNIX->new(Local => "$base/.s.PGSQL.$fake_port", Listen => 5)
  or die "could not listen: $!\n";
my $fake = fork() // die "could not fork: $!\n";
if ($fake == 0)
{
	$SIG{TERM} = 'DEFAULT';
	$SIG{PIPE} = 'IGNORE';
	while (my $client = $listener->accept)
	{
		eval { answer($client) };
		close($client);
	}
	POSIX::_exit(0);
}

END
{
	local $?;
	kill('TERM', $fake) if $fake;
}

sub read_bytes
{
	my ($client, $count) = @_;
	my $bytes = '';

	while (length($bytes) < $count)
	{
		sysread($client, $bytes, $count - length($bytes), length($bytes))
		  or die "client is gone\n";
	}
	return $bytes;
}

sub message
{
	my ($type, $content) = @_;

	return $type . pack('N', 4 + length($content)) . $content;
}

# Serve a whole session.  The answers are given by command, as the columns of a
# row.
sub answer
{
	my ($client) = @_;
	my %answers =
	  map { split(/=/, $_, 2) } split(/\n/, slurp_file("$base/answers"));

	read_bytes($client, unpack('N', read_bytes($client, 4)) - 4);
	syswrite(
		$client,
		message('R', pack('N', 0))
		  . join('',
			map { message('S', pack('Z*Z*', @$_)) }
			  [ 'server_version', $answers{server_version} ],
			[ 'client_encoding', 'SQL_ASCII' ],
			[ 'standard_conforming_strings', 'on' ])
		  . message('K', pack('NN', 1, 1))
		  . message('Z', 'I'));
	for (;;)
	{
		my ($type, $len) = unpack('a N', read_bytes($client, 5));
		my ($command) = unpack('Z*', read_bytes($client, $len - 4));

		return if $type ne 'Q';
		my @row = split(/,/, $answers{$command} // '', -1);
		my $row =
		  @row
		  ? message('T',
				pack('n', scalar @row)
			  . pack('Z* N n N n l> n', 'c', 0, 0, 25, -1, -1, 0) x @row)
		  . message('D',
			pack('n', scalar @row) . join('', map { pack('N/a', $_) } @row))
		  . message('C', "SELECT\0")
		  : message('E',
			"SERROR\0VERROR\0C42601\0Mthe fake knows no $command\0\0");
		syswrite($client, $row . message('Z', 'I'));
	}
}

my $primary = walstream_primary('primary');
my $system_identifier =
  $primary->safe_psql('postgres',
	'SELECT system_identifier FROM pg_control_system()');
my $version = $primary->safe_psql('postgres', 'SHOW server_version_num');
my $major = int($version / 10000);
my $other = $major - 1;

# The simulated upstream answers like the primary, except for the given
# answers.
sub set_answers
{
	my (%changed) = @_;
	my %answers = (
		server_version => "$major.0",
		IDENTIFY_SYSTEM => "$system_identifier,1,0/9000000,",
		'READ_REPLICATION_SLOT "walstream.relays"' => 'physical,,',
		'SHOW wal_block_size' => '8192',
		'SHOW integer_datetimes' => 'on',
		'SHOW wal_segment_size' => '1MB',
		%changed);

	open(my $fh, '>', "$base/answers") or die "$base/answers: $!\n";
	print $fh "$_=$answers{$_}\n" foreach sort keys %answers;
	close($fh);
	return;
}

my $fake_conninfo = "host=$base port=$fake_port dbname=postgres";
my $relay = walstream_relay(
	undef, 'relay',
	conninfo => $fake_conninfo,
	start => 0,
	conf => "log_error_verbosity = verbose\nwalstream.relay_compress = off\n"
);
my $dir = store_dir($relay);

# The report of an error in the log: SQLSTATE, message, detail and hint.
sub report
{
	my ($sqlstate, $message, $detail, $hint) = @_;
	my $text = "(?:ERROR|LOG):  $sqlstate: $message\n";

	$text .= "[^\n]*DETAIL:  $detail\n" if defined $detail;
	$text .= "[^\n]*HINT:  $hint\n" if defined $hint;
	return qr/$text/;
}

# All files of the store, except temporary ones.
sub store_state
{
	return join("\n",
		map  { "$_ " . md5_hex(slurp_file("$dir/$_")) }
		grep { -f "$dir/$_" && !/^walstream\.(?:lock|spare)|\.tmp$/ }
		sort(slurp_dir($dir)));
}

# Expect a start with an unsuitable upstream to fail.
sub refuses_upstream
{
	my ($what, @report) = @_;
	my $before = -d $dir ? store_state() : '';
	my $log = -e $relay->logfile ? -s $relay->logfile : 0;

	$relay->start;
	ok( $relay->wait_for_log(report(@report), $log),
		"$what: refused, with all that is to say");
	$relay->poll_query_until('postgres',
		'SELECT last_error IS NOT NULL FROM walstream_relay');
	my $row = relay_row($relay);
	like($row->{last_error}, qr/^$report[1]/, "$what: the view says so");
	isnt($row->{state}, $_, "$what: it is not $_")
	  foreach 'streaming', 'catching up';
	$relay->stop;
	is(store_state(), $before, "$what: nothing is stored");
	return;
}

# A relay without a store does not create one for an upstream that it cannot
# follow.
my $other_version = [
	'another major version',
	'0A000',
	"upstream is a PostgreSQL $other, this relay is a PostgreSQL $major",
	undef,
	"Run the relay with the upstream's major version\\."
];
my $other_block_size = [
	'another block size',
	'0A000',
	'upstream has a WAL block size of 16384, this relay one of 8192',
	undef,
	'Run the relay with a server that was built with [^\n]*block size\.'
];
set_answers();
$relay->start;
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
$relay->stop;
unlink("$dir/$_") foreach grep { -f "$dir/$_" } slurp_dir($dir);

# an old version does not know all commands
set_answers(
	server_version => "$other.3",
	'READ_REPLICATION_SLOT "walstream.relays"' => '');
refuses_upstream(@$other_version);
set_answers('SHOW wal_block_size' => 16384);
refuses_upstream(@$other_block_size);
ok(!-e "$dir/walstream.identity", 'no identity either');

# The same for a relay with a store, and what can only be wrong then.
sub set_upstream
{
	$relay->adjust_conf(
		'postgresql.conf',
		'walstream.relay_upstream',
		"'" . WalstreamRelay::quote($_[0]) . "'");
	return;
}

set_upstream($primary->connstr);
$relay->start;
wait_for_relay_state($relay, 'streaming');
write_segments($primary, $relay, 2);
my $held = relay_row($relay)->{flushed_lsn};
$relay->stop;

set_upstream($fake_conninfo);
set_answers(server_version => "$other.3");
refuses_upstream(@$other_version);
set_answers('SHOW wal_block_size' => 16384);
refuses_upstream(@$other_block_size);
set_answers('SHOW integer_datetimes' => 'off');
refuses_upstream('integer_datetimes', '0A000',
	'upstream has integer_datetimes "off", this relay "on"');
set_answers('SHOW wal_segment_size' => '3MB');
refuses_upstream('no segment size',
	'08P01', 'upstream has an invalid WAL segment size: "3MB"');

# Real servers: the same cluster with another segment size, and another cluster.
$primary->stop;
$primary->backup_fs_cold('cold');
my $resized = PostgreSQL::Test::Cluster->new('resized');
$resized->init_from_backup($primary, 'cold');
system_or_bail('pg_resetwal', '--wal-segsize=2', $resized->data_dir);
$resized->adjust_conf('postgresql.conf', 'wal_keep_size', '16MB');
$resized->start;
set_upstream($resized->connstr);
refuses_upstream(
	'another segment size',
	'55000',
	'upstream has another WAL segment size than what is stored',
	"The upstream's is 2097152 bytes, that of the relay's WAL 1048576\\.",
	'After [^\n]*, use another walstream\.relay_directory\.');
$resized->stop;

my $stranger = walstream_primary('stranger');
my $strange = $stranger->safe_psql('postgres',
	'SELECT system_identifier FROM pg_control_system()');
set_upstream($stranger->connstr);
refuses_upstream(
	'another cluster',
	'55000',
	'upstream is another cluster than the one whose WAL is stored',
	"The upstream's system identifier is $strange, that of the relay's WAL in \"[^\"]+\" is $system_identifier\\.",
	'Correct walstream\.relay_upstream, or use another walstream\.relay_directory\.'
);
$stranger->stop;

#
# Stores of other kinds, with valid identity files.
#
sub crc32c
{
	my ($crc) = 0xffffffff;

	foreach my $byte (unpack('C*', $_[0]))
	{
		$crc ^= $byte;
		$crc = $crc & 1 ? ($crc >> 1) ^ 0x82f63b78 : $crc >> 1 foreach 1 .. 8;
	}
	return $crc ^ 0xffffffff;
}

my $identity = slurp_file("$dir/walstream.identity");

# Write the identity of a store that the relay has not used before.
sub write_identity
{
	my ($content) = @_;

	unlink($relay->data_dir . '/walstream.store');
	open(my $fh, '>:raw', "$dir/walstream.identity")
	  or die "$dir/walstream.identity: $!\n";
	print $fh $content;
	close($fh);
	return;
}

my ($lines, $crc) = $identity =~ /^(.*)crc32c = (\w+)\n$/s;
is(sprintf('%08x', crc32c($lines)), $crc, 'the identity has a checksum');

# Expect a start with a different identity to fail.
sub refuses_store
{
	my ($with, $what, $value, @report) = @_;
	my $changed = $lines =~ s/^$what = \K\d+$/$value/mr;

	isnt($changed, $lines, "$with: a store with another $what");
	write_identity($changed . sprintf("crc32c = %08x\n", crc32c($changed)));
	my $before = store_state();
	my $log = -s $relay->logfile;
	$relay->start;
	ok( $relay->wait_for_log(report(@report), $log),
		"$with: $what: refused, with all that is to say");
	wait_for_relay_state($relay, 'failed');
	like(relay_row($relay)->{last_error},
		qr/^$report[1]/, "$with: $what: the view says so");
	is(relay_row($relay)->{flushed_lsn},
		undef, "$with: $what: nothing is reported as held");
	$relay->stop;
	is(store_state(), $before, "$with: $what: nothing is changed");
	return;
}

# A store with closed segments only, then one with only the open segment.
my %files = (
	open => [ grep { /\.partial$/ } store_files($dir) ],
	closed => [ grep { !/\.partial$/ } store_files($dir) ]);

sub move_files
{
	my ($from, $to, $which) = @_;

	cmp_ok(scalar(@{ $files{$which} }), '>', 0, "there are $which segments");
	rename("$from/$_", "$to/$_")
	  or die "$from/$_: $!\n"
	  foreach @{ $files{$which} };
	return;
}

set_upstream($primary->connstr);
$primary->start;
move_files($dir, $base, 'open');
foreach my $case (
	[
		'major_version',
		$other,
		'55000',
		"relay directory holds WAL of PostgreSQL $other, this server is PostgreSQL $major",
		'File "[^"]*/walstream\.identity" says so\.',
		'Set walstream\.relay_directory to a new directory\.'
	],
	[
		'block_size',
		16384,
		'55000',
		'relay directory holds WAL with a block size of 16384, this server\'s is 8192',
		'File "[^"]*/walstream\.identity" says so\.',
		'Use a server that was built with --with-wal-blocksize=16\.'
	],
	[
		'segment_size',
		2097152,
		'XX001',
		'WAL segment file "[^"]*/0000000100000000[0-9A-F]{8}" has an incorrect size',
		'It has 1048576 bytes instead of 2097152\.'
	],
	[
		'system_identifier',
		$strange,
		'XX001',
		'file "[^"]*/0000000100000000[0-9A-F]{8}" is not a WAL segment of this relay',
		"Its first page has system identifier $system_identifier instead of $strange\\."
	],
	[
		'format_version',
		99,
		'XX001',
		'file "[^"]*/walstream\.identity" is of another format version',
		undef,
		'The relay directory was made by another version of walstream\.'
	])
{
	refuses_store('closed segments', @$case);
}

move_files($base, $dir, 'open');
move_files($dir, $base, 'closed');
foreach my $case (
	[
		'segment_size',
		2097152,
		'XX001',
		'file "[^"]*/0000000100000000[0-9A-F]{8}\.partial" is not a WAL segment of this relay',
		'Its first page has segment size 1048576 instead of 2097152\.'
	],
	[
		'system_identifier',
		$strange,
		'XX001',
		'file "[^"]*/0000000100000000[0-9A-F]{8}\.partial" is not a WAL segment of this relay',
		"Its first page has system identifier $system_identifier instead of $strange\\."
	])
{
	refuses_store('an open segment', @$case);
}
move_files($base, $dir, 'closed');

# It works again with its own identity and upstream.
write_identity($identity);
$relay->start;
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 100);
wait_for_relay($primary, $relay);
is( $relay->safe_psql(
		'postgres', "SELECT flushed_lsn > '$held' FROM walstream_relay"),
	't',
	'the relay continues with its own identity and upstream');

done_testing();
