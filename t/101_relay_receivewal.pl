# Copyright (c) 2026, the walstream authors

# pg_receivewal receives from a relay, and continues in a relay's directory.

use strict;
use warnings;

use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay',
	conf => "walstream.relay_compress = lz4\n");
my $pg_wal = $primary->data_dir . '/pg_wal';
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 20_000);
wait_for_relay($primary, $relay);

# Compare the received segments with the primary's.
sub compare_received
{
	my ($dir, $what) = @_;
	my @files = store_files($dir);
	my ($tli, $high, $low) = map { hex } unpack('(A8)3', $files[0]);
	my $begin = ($high << 32) + ($low << 20);

	cmp_ok(scalar(@files), '>=', 2, "$what: segments");
	is( compare_store(
			$dir, 1, $begin, lsn_number($primary->lsn('flush')) & ~0xfffff,
			$pg_wal),
		undef,
		"$what: bytes");
	return;
}

# Receive until the primary has switched segments and the finished one is
# there.
sub receive
{
	my ($node, $dir, $what, @options) = @_;
	my $program = start_receivewal($node, $dir, @options);

	# it begins with the segment that is current at this moment
	$program->{run}->pump
	  until ${ $program->{output} } =~ /starting log streaming/;
	load_wal($primary, 10_000);

	# in the same statement: a moment later it could be the next segment
	my $last = $primary->safe_psql('postgres',
		'SELECT pg_walfile_name(pg_switch_wal() - 1)');
	my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;
	select(undef, undef, undef, 0.01)
	  while $attempts-- > 0 && !grep { -e "$dir/$last$_" }
	  ('', '.gz', '.lz4');
	ok(stop_receivewal($program), "$what: ends well")
	  || diag(${ $program->{output} });
	compare_received($dir, $what) unless "@options" =~ /gzip/;
	return;
}

my $base = PostgreSQL::Test::Utils::tempdir();
foreach my $case (
	['plain'],
	[ 'slot', '--slot=receivewal' ],
	[ 'synchronous', '--slot=receivewal', '--synchronous' ],
	[ 'lz4', '--compress=lz4' ])
{
	my ($what, @options) = @$case;

	mkdir("$base/$what");
	command_ok(
		[
			'pg_receivewal', '-d',
			$relay->connstr, '--slot=receivewal',
			'--create-slot', '--if-not-exists'
		],
		'--create-slot') if $what eq 'slot';
	receive($relay, "$base/$what", $what, @options);
}
isnt(relay_slot_row($relay, 'receivewal')->{restart_lsn},
	undef, 'the slot has a position');
is(relay_slot_row($relay, 'receivewal')->{active_pid},
	undef, 'nobody uses it now');
command_fails_like(
	[
		'pg_receivewal', '-d',
		$relay->connstr, '--slot=receivewal',
		'--create-slot'
	],
	qr/slot "receivewal" already exists/,
	'a slot exists once');
command_ok(
	[
		'pg_receivewal', '-d',
		$relay->connstr, '--slot=receivewal',
		'--drop-slot'
	],
	'--drop-slot');
is(relay_slot_row($relay, 'receivewal'), undef, 'the slot has been dropped');
command_fails_like(
	[
		'pg_receivewal', '-d',
		$relay->connstr, '--slot=receivewal',
		'--drop-slot'
	],
	qr/slot "receivewal" does not exist/,
	'it is gone for pg_receivewal too');
command_fails_like(
	[
		'pg_receivewal', '-d', $relay->connstr, '--no-loop',
		'--slot=none', '-D', "$base/plain"
	],
	qr/slot "none" does not exist/,
	'a slot that there is not');

# Receive into the same directory again, from where it stopped.
receive($relay, "$base/plain", 'again');

# pg_receivewal continues in the directory of a stopped relay, with closed
# segments as lz4 or plain, and the open one as .partial.
foreach my $form (qw(lz4 off))
{
	if ($form eq 'off')
	{
		$relay->adjust_conf('postgresql.conf', 'walstream.relay_compress',
			'off');
		$relay->start;
		load_wal($primary, 20_000);
		wait_for_relay($primary, $relay);
	}
	else
	{
		wait_until(
			$relay,
			"SELECT count(*) > 2 AND bool_and(state IN ('lz4', 'partial')) FROM walstream_relay_segments",
			'segments are compressed with lz4');
	}
	$relay->stop;

	my $dir = "$base/copy_$form";
	mkdir($dir);
	copy(store_dir($relay) . "/$_", "$dir/$_")
	  foreach store_files(store_dir($relay));
	my @before = store_files($dir);
	receive(
		$primary, $dir,
		"a relay's directory, $form",
		$form eq 'lz4' ? '--compress=lz4' : ());
	my %after = map { $_ => 1 } store_files($dir);
	ok(!(grep { !/partial/ && !$after{$_} } @before),
		"$form: all is still there");
}

done_testing();
