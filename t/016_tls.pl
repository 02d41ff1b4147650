# Copyright (c) 2026, the walstream authors

# A compressed stream through TLS.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamTest;

my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
plan skip_all => 'the server was built without TLS'
  if $primary->safe_psql('postgres', 'SHOW ssl_library') eq '';

# A self-signed certificate for the server.
my $keys = PostgreSQL::Test::Utils::tempdir();
system_or_bail(
	'openssl', 'req',
	'-x509', '-nodes',
	'-newkey' => 'rsa:2048',
	'-days' => '2',
	'-subj' => '/CN=localhost',
	'-keyout' => "$keys/server.key",
	'-out' => "$keys/server.crt");
chmod(0600, "$keys/server.key") || die "could not chmod: $!";
$primary->append_conf(
	'postgresql.conf', qq{
ssl = on
ssl_key_file = '$keys/server.key'
ssl_cert_file = '$keys/server.crt'
listen_addresses = '127.0.0.1'
});
my $hba_file = $primary->data_dir . '/pg_hba.conf';
my $hba = slurp_file($hba_file);
unlink($hba_file);
$primary->append_conf('pg_hba.conf',
	"hostssl replication all 127.0.0.1/32 trust\nhostnossl all all 127.0.0.1/32 reject\n$hba"
);
$primary->restart;

my $proxy = WalstreamProxy->new($primary, host => '127.0.0.1');
my $standby = walstream_standby($primary, 'standby',
	conninfo => $proxy->connstr
	  . " sslmode=verify-ca sslrootcert=$keys/server.crt");
load_wal($primary, 20_000);
wait_for_replay($primary, $standby);

my $row = sender_row($primary, 'standby');
is( $primary->safe_psql(
		'postgres', "SELECT ssl FROM pg_stat_ssl WHERE pid = $row->{pid}"),
	't',
	'the stream is encrypted');
is($row->{codec}, 'walz', 'the stream is compressed');
cmp_ok($row->{ratio}, '>', 1.5, 'ratio');
is(receiver_row($standby)->{codec}, 'walz', 'the receiver says so too');

# The counters agree with the bytes that really pass the network.
my $wire = $proxy->count('bytes_tls');
cmp_ok($wire, '>', $row->{wire_bytes},
	'bytes on the wire: not less than said');
cmp_ok($wire, '<', $row->{raw_bytes} / 1.5, 'bytes on the wire: compressed');
standby_matches($primary, $standby, 'through TLS');

done_testing();
