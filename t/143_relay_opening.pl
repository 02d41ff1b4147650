# Copyright (c) 2026, the walstream authors

# While a relay looks for the end of its WAL, it serves its closed segments and
# reports no end.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamClient;
use WalstreamRelay;
use WalstreamTest;

my $mb = 1024 * 1024;
my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay', conf => "fsync = on\n");
my $dir = store_dir($relay);
my $faults = PostgreSQL::Test::Utils::tempdir() . '/faults';
wait_for_relay_state($relay, 'streaming');
write_segments($primary, $relay, 3);
load_wal($primary, 100);
wait_for_relay($primary, $relay);
my $row = relay_row($relay);
my $begin = lsn_number($row->{first_lsn});
my $closed = lsn_number($row->{flushed_lsn});
$closed -= $closed % $mb;
cmp_ok($closed - $begin, '>=', 2 * $mb, 'there are closed segments');

# Start it, and hold it while it rewrites the open segment
$relay->stop('immediate');
set_faults($faults, 'fsync *.partial.tmp hold');
start_preloaded($relay, 'power_fault', $dir, $faults);
wait_for_fault($faults, qr/hold/);
my $opening = fetch_row($relay, 'SELECT * FROM walstream_relay');
is($opening->{state}, 'opening', 'the relay is being opened');
is($opening->{$_}, undef, "$_ is not known")
  foreach qw(flushed_lsn received_lsn timeline);

# Receive this much WAL
sub receive_wal
{
	my ($client, $bytes) = @_;
	my $wal = '';

	while (length($wal) < $bytes)
	{
		my $message = $client->receive;
		$wal .= substr($message, 25) if $message =~ /^w/;
	}
	return $wal;
}

my ($status, $stdout, $stderr) = $relay->psql(
	'postgres', '\set VERBOSITY sqlstate
IDENTIFY_SYSTEM', replication => 'true');
like(
	$stderr,
	qr/ERROR:  57P03/,
	'IDENTIFY_SYSTEM fails while the end is not known');
my $early = WalstreamClient->new($relay);
$early->start('START_REPLICATION ' . format_lsn($closed + 8192));
like(
	$early->receive_error,
	qr/does not know yet where its WAL ends/,
	'nor is a position behind what is closed refused for good');

my $client = WalstreamClient->new($relay);
$client->start('START_REPLICATION ' . format_lsn($begin));
my $wal = receive_wal($client, $closed - $begin);
is(length($wal), $closed - $begin, 'what is closed is served, and no more');
my ($segment) = sort grep {
	/^[0-9A-F]{24}$/ && $_ ge sprintf('00000001%08X%08X', 0, $begin / $mb)
} slurp_dir($primary->data_dir . '/pg_wal');
ok( substr($wal, 0, $mb) eq
	  slurp_file($primary->data_dir . "/pg_wal/$segment"),
	"the served WAL is the primary's");

# The same stream continues with the WAL after the closed segments.
set_faults($faults);
wait_for_relay_state($relay, 'streaming');
ok( length(receive_wal($client, 1)) > 0,
	'the stream goes on when the end is known');
$client->close;
cmp_ok(
	lsn_number(relay_row($relay)->{flushed_lsn}),
	'>=',
	lsn_number($row->{flushed_lsn}),
	'nothing was lost');

done_testing();
