# Copyright (c) 2026, the walstream authors

# A relay remembers which store it has used.  If that store is missing, as when
# a file system is not mounted, or if another one is in its place, the relay
# does not begin a new one.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $base = PostgreSQL::Test::Utils::tempdir();
my $primary = walstream_primary('primary');
my $place = "$base/place";
mkdir($place, 0700) or die "mkdir: $!\n";
my $relay = walstream_relay($primary, 'relay', directory => "$place/store");
wait_for_relay_state($relay, 'streaming');
write_segments($primary, $relay, 2);
make_synchronous($primary, $relay);
my $known = $relay->data_dir . '/walstream.store';

sub identity
{
	my ($dir) = @_;

	return slurp_file("$dir/walstream.identity");
}

sub identifier
{
	my ($dir) = @_;

	return (identity($dir) =~ /^store_identifier = (\d+)$/m)[0];
}

like(
	identity("$place/store"),
	qr/\Awalstream store\nformat_version = 2\nstore_identifier = [1-9]\d*\n/,
	'a new store has an identifier');
is( slurp_file($known),
	identity("$place/store") . "directory = $place/store\n",
	'the relay remembers the store');
is(sprintf('%04o', (stat($known))[2] & 07777),
	'0600', 'by a file that is not for others');

# Check that the relay fails, serves nothing, and confirms nothing.
sub fails
{
	my ($message, $hint, $what) = @_;
	my $log = -s $relay->logfile;

	# the stream of the stopped relay must have ended
	wait_until(
		$primary,
		'SELECT count(*) = 0 FROM pg_stat_replication',
		"$what: nobody is there");
	$relay->start;
	wait_for_relay_state($relay, 'failed');
	my $row = relay_row($relay);
	like($row->{last_error}, $message, "$what: last_error");
	$relay->wait_for_log(
		qr/ERROR:  [^\n]*$message[^\n]*\n[^\n]*DETAIL:  [^\n]*\n[^\n]*HINT:  [^\n]*$hint/,
		$log);
	pass("$what: the hint");
	is($row->{flushed_lsn}, undef, "$what: nothing is served");
	is( $primary->safe_psql(
			'postgres', 'SELECT count(*) FROM pg_stat_replication'),
		'0',
		"$what: nothing is confirmed");
	return;
}

# The function requires the state "failed", which each new attempt to open the
# store leaves for a moment.
sub forget_store
{
	$relay->poll_query_until('postgres',
		"SELECT walstream_relay_forget_store() IS NOT NULL FROM walstream_relay WHERE state = 'failed'"
	) or die "the store cannot be forgotten\n";
	return;
}

my $mount = qr/mount it and restart the server/;
my $forget = qr/SELECT walstream_relay_forget_store\(\)/;

#
# A missing mount: the directory does not exist, or is empty.
#
$relay->stop;
rename("$place/store", "$base/away") or die "rename: $!\n";
fails(
	qr/relay directory "\Q$place\E\/store" is empty, but this relay has kept WAL in it/,
	$mount,
	'nothing there');
ok(!-e "$place/store/walstream.identity", 'nothing is begun there');

# The store appears while the server runs; it is not locked.
rename("$place/store", "$base/below") or die "rename: $!\n";
rename("$base/away", "$place/store") or die "rename: $!\n";
my $log = -s $relay->logfile;
$relay->reload;
$relay->wait_for_log(
	qr/ERROR:  relay directory "[^"]*" is not the one that was there when the server was started\n.*\n.*HINT:  Restart the server/,
	$log);
pass('what is mounted later needs a restart');
$relay->restart;
wait_for_relay_state($relay, 'streaming');
is(relay_row($relay)->{last_error},
	undef, 'the relay works when the store is back');

#
# Another store in its place, here of a relay of the same cluster
#
my $other = walstream_relay($primary, 'other', directory => "$base/other");
wait_for_relay_state($other, 'streaming');
$other->stop;
$relay->stop;
isnt(
	identifier("$base/other"),
	identifier("$place/store"),
	'two stores of one cluster');
rename("$place/store", "$base/away") or die "rename: $!\n";
system_or_bail('cp', '-a', "$base/other", "$place/store");
fails(qr/relay directory "[^"]*" is not the one that this relay has used/,
	$forget, 'another store');
my ($status, $stdout, $stderr);

# it is used after the operator has accepted it
forget_store();
wait_for_relay_state($relay, 'streaming');
is( slurp_file($known),
	identity("$base/other") . "directory = $place/store\n",
	'it is used and remembered when asked for');
($status, $stdout, $stderr) =
  $relay->psql('postgres', 'SELECT walstream_relay_forget_store()');
like(
	$stderr,
	qr/ERROR:  the relay has not failed to open its store\nDETAIL:  Its state is "streaming"/,
	'nothing is forgotten that is in use');

#
# The operator lets the relay begin a new store in the same place
#
$relay->stop;
rename("$place/store", "$base/other2") or die "rename: $!\n";
fails(qr/is empty, but this relay has kept WAL in it/, $forget, 'emptied');
forget_store();
wait_for_relay_state($relay, 'streaming');
is( slurp_file($known),
	identity("$place/store") . "directory = $place/store\n",
	'a new store, when asked for');

#
# After another failure the store cannot be forgotten; otherwise a missing
# store would later not be noticed.
#
my $content = slurp_file($known);
$relay->stop;
append_to_file("$place/store/foreign", '');
$relay->start;
wait_for_relay_state($relay, 'failed');
like(
	relay_row($relay)->{last_error},
	qr/foreign" does not belong in a relay directory/,
	'another failure');
my (undef, undef, $refusal) = $relay->psql('postgres',
	"\\set VERBOSITY verbose\nSELECT walstream_relay_forget_store()");
like(
	$refusal,
	qr/ERROR:  55000: the relay's failure is not that its store is missing or another one\nDETAIL:  [^\n]*foreign" does not belong[^\n]*\nHINT:  /,
	'nothing is forgotten for that');
is(slurp_file($known), $content, 'the store is still remembered');
unlink("$place/store/foreign");
$relay->reload;
wait_for_relay_state($relay, 'streaming');
is(slurp_file($known), $content, 'the remembered store is used again');
$relay->stop;
rename("$place/store", "$base/away2") or die "rename: $!\n";
fails(qr/is empty, but this relay has kept WAL in it/,
	$forget, 'missed as before');
$relay->stop;
rename("$place/store", "$base/empty") or die "rename: $!\n";
rename("$base/away2", "$place/store") or die "rename: $!\n";
$relay->start;
wait_for_relay_state($relay, 'streaming');

#
# A changed setting is accepted as a decision, whether the directory is empty
# or has a store
#
$relay->stop;
$relay->adjust_conf('postgresql.conf', 'walstream.relay_directory',
	"'$base/new'");
$relay->start;
wait_for_relay_state($relay, 'streaming');
is( slurp_file($known),
	identity("$base/new") . "directory = $base/new\n",
	'another, empty directory');
$relay->stop;
rename("$base/new", "$base/moved") or die "rename: $!\n";
$relay->adjust_conf('postgresql.conf', 'walstream.relay_directory',
	"'$base/moved'");
$relay->start;
wait_for_relay_state($relay, 'streaming');
is( slurp_file($known),
	identity("$base/moved") . "directory = $base/moved\n",
	'a store that was moved');
is(identifier("$base/moved"), identifier("$base/moved"), 'is the same');

#
# An instance and a store of a version that did not remember the store
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

$relay->stop;
unlink($known) == 1 or die "unlink: $!\n";
my $lines =
  identity("$base/moved") =~ s/^crc32c.*//mr =~
  s/^store_identifier.*\n//mr =~ s/format_version = 2/format_version = 1/r =~
  s/\n\n/\n/r;
open(my $fh, '>:raw', "$base/moved/walstream.identity")
  or die "identity: $!\n";
print $fh $lines, sprintf("crc32c = %08x\n", crc32c($lines));
close($fh);
$relay->start;
wait_for_relay_state($relay, 'streaming');
like(identifier("$base/moved"),
	qr/^[1-9]\d*$/, 'an older store is given an identifier');
is( slurp_file($known),
	identity("$base/moved") . "directory = $base/moved\n",
	'the identifier of the older store is remembered');

# The file that remembers it is damaged
$relay->stop;
$content = slurp_file($known) =~ s/block_size = 8192/block_size = 4096/r;
open($fh, '>:raw', $known) or die "$known: $!\n";
print $fh $content;
close($fh);
fails(qr/file "[^"]*walstream\.store" is damaged/, $forget, 'damaged');
forget_store();
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 10);
wait_for_relay($primary, $relay);
pass('nothing is wrong in the end');

done_testing();
