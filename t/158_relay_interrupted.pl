# Copyright (c) 2026, the walstream authors

# A system call on the relay's files that is interrupted by a signal has not
# failed; and an exceeded quota counts as a full disk, for slots as for WAL.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $base = PostgreSQL::Test::Utils::tempdir();
my $faults = "$base/faults";
my $dir = "$base/above/store";
mkdir("$base/above", 0700) or die "mkdir: $!\n";
mkdir($dir, 0700) or die "mkdir: $!\n";
my $primary = walstream_primary('primary');
my $relay = walstream_relay(
	$primary, 'relay',
	start => 0,
	directory => $dir,
	conf => "fsync = on\n");
# "." is the directory above, which is synced for the name of the store
my @interrupted = map { "fsync $_ EINTR" } (
	'.', 'store', 'store/slots', 'store/slots/*',
	'store/0*', 'store/walstream.*');
set_faults($faults, @interrupted, 'fdatasync * EINTR');
start_preloaded($relay, 'power_fault', "$base/above", $faults);
$relay->safe_psql('postgres', 'CREATE EXTENSION walstream');
load_wal($primary, 10);
wait_for_relay_state($relay, 'streaming');
my $receiver = relay_row($relay)->{receiver_pid};

write_segments($primary, $relay, 2);
wait_for_fault($faults, qr/^fsync store\/0\S*\.zst\.tmp EINTR$/m);
$relay->safe_psql('postgres', "SELECT walstream_create_relay_slot('slot')");
my $raised = slurp_file("$faults.raised");
foreach my $file (
	'fsync .',
	'fsync store',
	'fsync store/slots',
	'fsync store/slots/slot.tmp',
	'fsync store/walstream.identity.tmp',
	'fsync store/0\S*.partial',
	'fsync store/0\S*.zst.tmp',
	'fdatasync store/0\S*.partial')
{
	like($raised, qr/^$file EINTR$/m, "$file was interrupted");
}
my $row = relay_row($relay);
is($row->{receiver_pid}, $receiver, 'the receiver goes on');
is($row->{last_error}, undef, 'the view shows no error');
is( $relay->safe_psql('postgres', 'SELECT ok FROM walstream_relay_verify()'),
	't',
	'all is stored');

# No room for a slot's file
set_faults($faults, 'quota 0');
my ($status, undef, $stderr) = $relay->psql('postgres',
	"\\set VERBOSITY verbose\nSELECT walstream_create_relay_slot('more')");
like(
	$stderr,
	qr/ERROR:  53100: could not write file "[^"]*\/more": Disk quota exceeded/,
	'a quota is a full disk to a slot');
ok(!-e "$dir/slots/more.tmp", 'nothing is left of it');
set_faults($faults);
is( $relay->safe_psql(
		'postgres', "SELECT walstream_create_relay_slot('more') IS NOT NULL"),
	't',
	'the slot can be created when there is room');

done_testing();
