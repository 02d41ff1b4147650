# Copyright (c) 2026, the walstream authors

# A store that is damaged, or whose disk fails: a file with wrong content is
# refused and named, and WAL that could not be synced is received again.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

my $base = PostgreSQL::Test::Utils::tempdir();
my $faults = "$base/faults";
my $primary = walstream_primary('primary');
my $relay = walstream_relay(
	$primary, 'relay',
	start => 0,
	conf => "fsync = on\nwalstream.relay_compress = off\n");
my $dir = store_dir($relay);
mkdir($dir, 0700);
start_preloaded($relay, 'power_fault', $dir, $faults);
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
wait_for_relay_state($relay, 'streaming');
make_synchronous($primary, $relay);
my $standby = walstream_standby(
	$primary, 'standby',
	walstream => 0,
	conninfo => $relay->connstr);
load_wal($primary, 10_000);
wait_for_replay($primary, $standby);

#
# fsync fails once, which means that the kernel has dropped what was written.
# None of it is acknowledged, and it is received again.
#
my $log = -s $relay->logfile;
set_faults($faults, 'fdatasync *.partial EIO', 'fsync *.partial EIO');

# read it only now, since the primary can write records at any time
my $flushed = relay_row($relay)->{flushed_lsn};
my $session =
  start_psql($primary, "INSERT INTO load (filler) VALUES ('fsync fails')");
wait_for_fault($faults, qr/EIO/);
$relay->wait_for_log(
	qr/(?:ERROR|FATAL):  could not (?:fsync|fdatasync) file "[^"]*\.partial"/,
	$log);
is( $primary->safe_psql(
		'postgres', "SELECT count(*) FROM load WHERE filler = 'fsync fails'"),
	0,
	'a commit that could not be synced is not confirmed');
my $recorded = relay_row($relay);
is($recorded->{flushed_lsn},
	$flushed, 'the flushed position does not include that commit');
like(
	$recorded->{last_error},
	qr/could not f(?:data)?sync/,
	'the error is shown');
set_faults($faults);
ok($session->{run}->finish, 'it is when it has been received again');
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 5_000);
standby_matches($primary, $standby, 'after a failed fsync');
wait_for_relay($primary, $relay);
my $begin = lsn_number(relay_row($relay)->{first_lsn});
is( compare_store(
		$dir, 1, $begin,
		lsn_number(relay_row($relay)->{flushed_lsn}),
		$primary->data_dir . '/pg_wal'),
	undef,
	'all bytes are there');

#
# Damage while the relay is stopped
#
$relay->stop('immediate');
$relay->start;
wait_for_relay_state($relay, 'streaming');
$relay->stop;

sub change_byte
{
	my ($file, $offset) = @_;

	open(my $fh, '+<:raw', $file) or die "$file: $!\n";
	seek($fh, $offset, 0);
	read($fh, my $byte, 1);
	seek($fh, $offset, 0);
	print $fh chr(ord($byte) ^ 0x55);
	close($fh);
	return;
}

# Expect the start to fail with this in the log; then repair the store.
sub refused
{
	my ($pattern, $what, $repair) = @_;
	my $from = -s $relay->logfile;

	$relay->start;
	$relay->wait_for_log($pattern, $from);
	wait_for_relay_state($relay, 'failed');
	like(
		relay_row($relay)->{last_error},
		$pattern =~ s/ERROR:  //r,
		"$what is refused by name");
	$relay->stop;
	$repair->();
	$relay->start;
	$relay->poll_query_until('postgres',
		"SELECT flushed_lsn IS NOT NULL FROM walstream_relay")
	  or die;
	wait_for_relay_state($relay, 'streaming');
	$relay->stop;
	pass("$what: repaired");
	return;
}

my @files = store_files($dir);
my @closed = grep { !/partial/ } @files;
my $partial;
my $middle = $closed[ @closed / 2 ];

rename("$dir/$middle", "$base/$middle");
refused(
	qr/$middle/,
	'a missing segment',
	sub { rename("$base/$middle", "$dir/$middle") });
append_to_file("$dir/foreign", 'x');
refused(qr/foreign/, 'a foreign file', sub { unlink("$dir/foreign") });
truncate("$dir/$middle", 500_000);
refused(
	qr/$middle/,
	'a segment that is too short',
	sub {
		unlink("$dir/$middle");
		system_or_bail('cp', $primary->data_dir . "/pg_wal/$middle",
			"$dir/$middle");
	});
system_or_bail('cp', '-p', "$dir/walstream.identity", "$base/identity");
change_byte("$dir/walstream.identity",
	-s "$dir/walstream.identity" > 20 ? 18 : 5);
refused(
	qr/walstream\.identity/,
	'a damaged identity',
	sub {
		system_or_bail('cp', '-p', "$base/identity",
			"$dir/walstream.identity");
	});
unlink("$dir/walstream.identity");
refused(
	qr/identity/,
	'WAL without identity',
	sub {
		system_or_bail('cp', '-p', "$base/identity",
			"$dir/walstream.identity");
	});

# A torn last page: nothing after the last valid record counts.
$relay->start;
# if WAL ended with a segment there would be no open one
load_wal($primary, 10);
wait_for_relay($primary, $relay);
$relay->stop('immediate');
$primary->stop('immediate');
($partial) = grep { /partial/ } store_files($dir);
$relay->start;
wait_for_relay_state($relay, 'waiting for upstream');
my $end = relay_row($relay)->{flushed_lsn};
$relay->stop('immediate');
my $offset = lsn_number($end) % (1024 * 1024);
open(my $fh, '+<:raw', "$dir/$partial") or die "$partial: $!\n";
seek($fh, $offset, 0);
print $fh "\x30\0\0\0" . ("\xa5" x 8000);
close($fh);
$relay->start;
wait_for_relay_state($relay, 'waiting for upstream');
is(relay_row($relay)->{flushed_lsn},
	$end, 'a torn last page: the end is that of the last record');
my ($name) = $partial =~ /^(\w+)/;
$primary->start;
load_wal($primary, 5_000);
standby_matches($primary, $standby,
	'the relay continues after a torn last page');

# A damaged page among the valid ones: the end is before it, and the rest is
# received again.
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
load_wal($primary, 500);
wait_for_relay($primary, $relay);
$relay->stop('immediate');
$primary->stop('immediate');
($partial) = grep { /partial/ } store_files($dir);
change_byte("$dir/$partial", 8192 + 100);
$relay->start;
wait_for_relay_state($relay, 'waiting for upstream');
cmp_ok(lsn_number(relay_row($relay)->{flushed_lsn}) % (1024 * 1024),
	'<=', 8192 + 100,
	'a damaged page in the open segment: the end is before it');
$primary->start;
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 500);
standby_matches($primary, $standby,
	'a damaged page in the open segment is received again');

# What a client gets that begins at a segment's start: all WAL up to an error,
# and the error.
sub stream_from
{
	my ($lsn) = @_;
	my $client = WalstreamClient->new($relay, application_name => 'reader');
	my $wal = '';

	$client->start("START_REPLICATION $lsn TIMELINE 1");
	while (length($wal) < 1024 * 1024)
	{
		my $message = eval { $client->receive };

		return ($wal, $@) unless defined $message;
		$wal .= substr($message, 25) if $message =~ /^w/;
	}
	$client->close;
	return ($wal, '');
}

# walstream_relay_verify() finds a flipped bit in a closed segment, plain or
# compressed.  Compressed segments have checksums, so wrong bytes of these are
# never sent.
wait_for_relay($primary, $relay);
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'all is well');
foreach my $form ('off', 'zstd', 'lz4')
{
	my %suffix = (off => '', zstd => '.zst', lz4 => '.lz4');
	my %state = (off => 'raw', zstd => 'zstd', lz4 => 'lz4');

	$relay->safe_psql('postgres',
		"ALTER SYSTEM SET walstream.relay_compress = '$form'");
	$relay->reload;
	load_wal($primary, 10_000);
	wait_for_relay($primary, $relay);
	if ($form ne 'off')
	{
		$relay->poll_query_until('postgres',
			"SELECT count(*) > 0 FROM walstream_relay_segments WHERE state = '$state{$form}'"
		) or die "nothing is compressed\n";
	}
	my ($file) =
	  reverse grep { /^[0-9A-F]{24}\Q$suffix{$form}\E$/ } store_files($dir);
	my $where = int((-s "$dir/$file") / 2);
	change_byte("$dir/$file", $where);
	my ($segment) = $file =~ /^(\w+)/;
	my $begin_lsn = $relay->safe_psql('postgres',
		"SELECT start_lsn FROM walstream_relay_segments WHERE segment = '$file'"
	);
	my $row = fetch_row($relay, 'SELECT * FROM walstream_relay_verify()');
	ok(!$row->{ok}, "$form: a flipped bit is found");
	is( $relay->safe_psql(
			'postgres',
			"SELECT '$row->{lsn}'::pg_lsn - '$begin_lsn'::pg_lsn BETWEEN -10000 AND 1024 * 1024"
		),
		't',
		"$form: and the record in which it is");
	like($row->{reason}, qr/\S/, "$form: $row->{reason}");

	if ($form ne 'off')
	{
		my ($wal, $error) = stream_from($begin_lsn);

		like($error, qr/\Q$file\E/,
			"$form: a client gets an error that names the file");
		is( $wal,
			substr(
				slurp_file($primary->data_dir . "/pg_wal/$segment"), 0,
				length($wal)),
			"$form: and no byte that is wrong");
	}
	change_byte("$dir/$file", $where);
	is( $relay->safe_psql(
			'postgres', 'SELECT ok FROM walstream_relay_verify()'),
		't',
		"$form: repaired");
}

done_testing();
