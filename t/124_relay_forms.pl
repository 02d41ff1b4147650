# Copyright (c) 2026, the walstream authors

# Segments in every form: one stream crosses all of them.  At start, the last
# closed segment, which recovery reads, is missing or damaged.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

my $segment_bytes = 1024 * 1024;
my $base = PostgreSQL::Test::Utils::tempdir();
my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay',
	conf => "wal_retrieve_retry_interval = 100ms\n");
my $dir = store_dir($relay);
my $pg_wal = $primary->data_dir . '/pg_wal';
wait_for_relay_state($relay, 'streaming');

# All WAL from the oldest segment to this end, as a client gets it.
sub stream_all
{
	my ($end) = @_;
	my $begin = relay_row($relay)->{first_lsn};
	my $client = WalstreamClient->new($relay, application_name => 'reader');
	my $wal = '';

	$client->start("START_REPLICATION $begin");
	while (lsn_number($begin) + length($wal) < lsn_number($end))
	{
		my $message = $client->receive;

		$wal .= substr($message, 25) if $message =~ /^w/;
	}
	$client->close;
	return (lsn_number($begin), $wal);
}

# Check that it is the primary's WAL.
sub check_stream
{
	my ($end, $what) = @_;
	my ($begin, $wal) = stream_all($end);
	my @differ;

	for (my $offset = 0; $offset < length($wal); $offset += $segment_bytes)
	{
		my $segno = ($begin + $offset) / $segment_bytes;
		my $name = sprintf('00000001%08X%08X', $segno >> 12, $segno & 0xfff);
		my $got = substr($wal, $offset, $segment_bytes);

		push @differ, $name
		  if $got ne substr(slurp_file("$pg_wal/$name"), 0, length($got));
	}
	is_deeply(\@differ, [], "$what: every byte is the primary's");
	return;
}

sub change_byte
{
	my ($file, $offset) = @_;

	open(my $fh, '+<:raw', $file) or die "$file: $!\n";
	seek($fh, $offset, 0);
	read($fh, my $byte, 1) == 1 or die "$file has no byte $offset\n";
	seek($fh, $offset, 0);
	print $fh chr(ord($byte) ^ 0x55);
	close($fh);
	return;
}

# Start with a damaged file: the receiver refuses the store, names the file,
# and changes nothing in the store.
sub refused
{
	my ($file, $what, $pattern, $damage) = @_;
	my @before = store_files($dir);
	my $path = "$dir/$file";

	system_or_bail('cp', '-p', $path, "$base/$file");
	$damage->($path);
	my $damaged = -e $path ? slurp_file($path) : undef;
	$relay->start;
	wait_until(
		$relay,
		"SELECT state NOT IN ('stopped', 'opening', 'waiting for upstream', 'catching up') FROM walstream_relay",
		"$what: it comes to a decision");
	my $row = relay_row($relay);
	is($row->{state}, 'failed', "$what: refused");
	like($row->{last_error}, $pattern, "$what: by name");
	is($row->{flushed_lsn}, undef, "$what: nothing is reported as held");
	$relay->stop('immediate');
	is(-e $path ? slurp_file($path) : undef,
		$damaged, "$what: the file is left as it is");
	system_or_bail('cp', '-p', "$base/$file", $path);
	is( "@{[ store_files($dir) ]}",
		"@before",
		"$what: and all the others are there");
	return;
}

my %form = (zstd => '.zst', lz4 => '.lz4', off => '');
foreach my $compress (qw(zstd lz4 off))
{
	my $state = $compress eq 'off' ? 'raw' : $compress;

	set_setting($relay, 'relay_compress', $compress);
	write_segments($primary, $relay, 1);
	load_wal($primary, 12_000);
	wait_for_relay($primary, $relay);
	wait_until(
		$relay,
		"SELECT state = '$state' FROM walstream_relay_segments
			WHERE state <> 'partial' ORDER BY start_lsn DESC LIMIT 1",
		"the last closed segment is $state");
	my ($file) = reverse grep { !/partial/ } store_files($dir);
	my ($name) = $file =~ /^(\w+)/;
	is($file, "$name$form{$compress}", "$compress: its name");
	my $size = -s "$dir/$file";
	my $held = relay_row($relay)->{flushed_lsn};
	$relay->stop;

	refused($file, "$compress: missing", qr/$name/, sub { unlink($_[0]) });
	refused($file, "$compress: cut off",
		qr/\Q$file\E/, sub { truncate($_[0], $size - 1) });
	refused($file, "$compress: empty",
		qr/\Q$file\E/, sub { truncate($_[0], 0) });
	refused(
		$file, "$compress: flipped at the begin",
		qr/\Q$file\E/, sub { change_byte($_[0], 10) });
	refused(
		$file, "$compress: flipped in the middle",
		qr/$name/, sub { change_byte($_[0], int($size / 2)) });
	refused(
		$file, "$compress: flipped at the end",
		qr/\Q$file\E/, sub { change_byte($_[0], $size - 1) }
	) if $compress ne 'off';

	# damage in the last record of a plain segment is noticed only by comparing
	# it with the upstream
	if ($compress eq 'off')
	{
		change_byte("$dir/$file", $size - 1);
		$relay->start;
		wait_for_relay_state($relay, 'diverged');
		my $end = $primary->safe_psql('postgres',
			"SELECT '$held'::pg_lsn - ('$held'::pg_lsn - '0/0') % $segment_bytes - 1"
		);
		like(relay_row($relay)->{reason},
			qr/\Q$end\E/, 'off: flipped at the end: told where');
		$relay->stop;
		change_byte("$dir/$file", $size - 1);
	}

	# copying a directory can easily lose an empty directory
	rmdir("$dir/slots")
	  or die "could not remove directory \"$dir/slots\": $!\n";
	$relay->start;
	wait_for_relay_state($relay, 'streaming');
	is( $relay->safe_psql(
			'postgres', "SELECT flushed_lsn >= '$held' FROM walstream_relay"),
		't',
		"$compress: repaired");
	$relay->safe_psql('postgres',
		"SELECT walstream_create_relay_slot('again')");
	ok(-e "$dir/slots/again",
		"$compress: a slot's file has its directory again");
	$relay->safe_psql('postgres',
		"SELECT walstream_drop_relay_slot('again')");
}

is( $relay->safe_psql(
		'postgres',
		"SELECT string_agg(DISTINCT state, ' ' ORDER BY state) FROM walstream_relay_segments"
	),
	'lz4 partial raw zstd',
	'there are segments in every form');
check_stream(wait_for_relay($primary, $relay), 'one stream over all of them');
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'all is well');

# An open file beside the closed one does not count.  Another program may leave
# it, if it closes the segment under a name of its own.
my ($last) = map { /^(\w+)/ } reverse grep { !/partial/ } store_files($dir);
$relay->stop;
append_to_file("$dir/$last.partial", "\0" x $segment_bytes);
$relay->start;
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 10);
check_stream(wait_for_relay($primary, $relay), 'the closed segment counts');

done_testing();
