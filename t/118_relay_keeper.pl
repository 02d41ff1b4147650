# Copyright (c) 2026, the walstream authors

# The keeper: a segment that cannot be compressed does not keep it from
# compressing others and from removing old WAL.  Slots whose files cannot be
# written.  Errors of SQL functions that are called in the wrong state.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
$primary->append_conf('postgresql.conf', "wal_keep_size = 1GB\n");
$primary->reload;
my $relay = walstream_relay($primary, 'relay',
	conf => "walstream.relay_compress = off\n");
my $store = store_dir($relay);
wait_for_relay_state($relay, 'streaming');

sub error_of
{
	my ($query) = @_;

	return ($relay->psql('postgres', $query))[2];
}

# Overwrite some bytes of a file; returns what was there.
sub exchange_bytes
{
	my ($file, $offset, $bytes) = @_;

	open(my $fh, '+<:raw', $file) or die "could not open \"$file\": $!\n";
	seek($fh, $offset, 0);
	read($fh, my $before, length($bytes));
	seek($fh, $offset, 0);
	print $fh $bytes;
	close($fh) or die "could not write \"$file\": $!\n";
	return $before;
}

#
# Compressing
#
write_segments($primary, $relay, 6);
my @raw = $relay->safe_psql('postgres',
	"SELECT segment FROM walstream_relay_segments WHERE state = 'raw' ORDER BY start_lsn"
);
@raw = split(/\n/, $raw[0]);
cmp_ok(scalar(@raw), '>=', 6, 'off: closed segments stay raw');
is( $relay->safe_psql(
		'postgres',
		"SELECT ok AND reason IS NULL FROM walstream_relay_verify()"),
	't',
	'all is well');

my $damaged = $raw[2];
my $before = exchange_bytes("$store/$damaged", 0, "\0" x 16);
is( $relay->safe_psql(
		'postgres',
		"SELECT v.ok, v.timeline, v.lsn = s.start_lsn, v.reason IS NOT NULL
		FROM walstream_relay_verify() v, walstream_relay_segments s WHERE s.segment = '$damaged'"
	),
	'f|1|t|t',
	'the first byte that is wrong is named');

my $log = -s $relay->logfile;
set_setting($relay, 'relay_compress', 'zstd');
wait_until(
	$relay,
	"SELECT array_agg(segment) = '{$damaged}' FROM walstream_relay_segments WHERE state = 'raw'",
	'all but the damaged segment are compressed');
write_segments($primary, $relay, 2);
wait_until(
	$relay,
	"SELECT array_agg(segment) = '{$damaged}' FROM walstream_relay_segments WHERE state = 'raw'",
	'later segments are compressed, too');
my $told = () = slurp_file($relay->logfile, $log) =~
  /could not compress WAL segment "$damaged"/g;
is($told, 1, 'this is told once');
like(
	relay_row($relay)->{last_error},
	qr/could not compress WAL segment "$damaged": /,
	'the view shows the segment that cannot be compressed');

exchange_bytes("$store/$damaged", 0, $before);
set_setting($relay, 'relay_compress', 'lz4');
wait_until(
	$relay,
	"SELECT count(*) = 1 FROM walstream_relay_segments WHERE segment = '$damaged.lz4' AND state = 'lz4' AND ratio > 1",
	'mended and reloaded, it is compressed too');
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'all is well again');
is( $relay->safe_psql(
		'postgres',
		"SELECT r.raw_bytes = s.raw_bytes AND r.stored_bytes = s.stored_bytes AND r.ratio > 1
		FROM walstream_relay r, (SELECT sum(raw_bytes) AS raw_bytes, sum(stored_bytes) AS stored_bytes
			FROM walstream_relay_segments) s"),
	't',
	'sizes are the sums of the segments');

#
# A slot whose file cannot be written keeps holding what it held, and its
# standby continues to stream.
#
$relay->safe_psql('postgres',
	"SELECT walstream_create_relay_slot('standby')");
my $standby = walstream_standby(
	$primary, 'standby',
	conninfo => $relay->connstr,
	conf => "primary_slot_name = standby\nwal_receiver_status_interval = 1s\n"
);
wait_for_replay($primary, $standby);
my $pid = relay_slot_row($relay, 'standby')->{active_pid};
my $held = relay_row($relay)->{flushed_lsn};
$log = -s $relay->logfile;
chmod(0500, "$store/slots") or die "could not chmod \"$store/slots\": $!\n";
set_setting($relay, 'relay_keep_size', '0');
write_segments($primary, $relay, 4);
wait_for_replay($primary, $standby);
$relay->wait_for_log(qr/LOG:  could not create file ".*slots\/standby\.tmp"/,
	$log);
like(
	error_of("SELECT walstream_create_relay_slot('more')"),
	qr/could not create file ".*slots\/more\.tmp"/,
	'a new slot cannot be made');
is( $relay->safe_psql(
		'postgres',
		"SELECT count(*) FROM walstream_relay_slots WHERE slot_name = 'more'"
	),
	0,
	'and is not there');
is(relay_slot_row($relay, 'standby')->{active_pid},
	$pid, 'the standby streams on');
is( $relay->safe_psql(
		'postgres', "SELECT first_lsn <= '$held' FROM walstream_relay"),
	't',
	'WAL is held for it');
chmod(0700, "$store/slots") or die "could not chmod \"$store/slots\": $!\n";
wait_until(
	$relay,
	"SELECT first_lsn > '$held' FROM walstream_relay",
	"WAL is removed when the slot's file can be written");
is(relay_slot_row($relay, 'standby')->{active_pid},
	$pid, 'the standby is still served by the same walsender');
$standby->stop;
$relay->safe_psql('postgres', "SELECT walstream_drop_relay_slot('standby')");

#
# relay_keep_age acts even if nothing happens but that time passes.
#
set_setting($relay, 'relay_keep_age', '1h');
write_segments($primary, $relay, 4);
my $first = relay_row($relay)->{first_lsn};
is( $relay->safe_psql(
		'postgres',
		"SELECT flushed_lsn - first_lsn > 4 * 1048576 FROM walstream_relay"),
	't',
	'what is young is kept');
set_setting($relay, 'relay_keep_age', '3s');
wait_until(
	$relay,
	"SELECT first_lsn > '$first' AND flushed_lsn - first_lsn < 2 * 1048576 FROM walstream_relay",
	'WAL older than relay_keep_age is removed');
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'what is left is whole');

#
# Functions that are called in the wrong state
#
like(
	error_of('SELECT walstream_relay_follow()'),
	qr/the relay has not diverged.*Its state is "streaming"/s,
	'nothing to follow');
like(
	error_of('SELECT walstream_relay_restart_after_gap()'),
	qr/neither a gap nor diverged.*Its state is "streaming"/s,
	'no gap');
like(
	error_of("SELECT walstream_drop_relay_slot('none')"),
	qr/relay slot "none" does not exist/,
	'no such slot');
like(
	error_of("SELECT walstream_create_relay_slot('Wrong')"),
	qr/contains invalid character/,
	'no such name');
is( $relay->safe_psql(
		'postgres',
		"SELECT walstream_create_relay_slot('temp', true);
		SELECT temporary, active_pid = pg_backend_pid(), lost FROM walstream_relay_slots;
		SELECT walstream_drop_relay_slot('temp');
		SELECT count(*) FROM walstream_relay_slots") =~ s/^\S+\n//r,
	"t|t|f\n\n0",
	'a temporary slot is its session\'s');
$relay->safe_psql('postgres',
	"SELECT walstream_create_relay_slot('temp', true)");
wait_until(
	$relay,
	'SELECT count(*) = 0 FROM walstream_relay_slots',
	'and goes with it');

$relay->safe_psql('postgres', 'SELECT walstream_relay_pause()');
wait_for_relay_state($relay, 'paused');
$relay->safe_psql('postgres', 'SELECT walstream_relay_resume()');
wait_for_relay_state($relay, 'streaming');

# A member of pg_monitor can see everything and change nothing.
$relay->safe_psql('postgres', 'CREATE ROLE watcher LOGIN IN ROLE pg_monitor');
is( $relay->safe_psql(
		'postgres',
		'SET ROLE watcher; SELECT (SELECT count(*) FROM walstream_relay), (SELECT count(*) > 0 FROM walstream_relay_segments), (SELECT count(*) FROM walstream_relay_slots), (SELECT ok FROM walstream_relay_verify())'
	),
	'1|t|0|t',
	'pg_monitor sees it');
like(
	error_of('SET ROLE watcher; SELECT walstream_relay_pause()'),
	qr/permission denied/,
	'pg_monitor cannot pause the relay');

done_testing();
