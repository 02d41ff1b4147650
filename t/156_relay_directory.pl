# Copyright (c) 2026, the walstream authors

# The relay's directory is private: owner, mode and place are checked as
# PostgreSQL does it, and links in it are never followed.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(mkfifo);
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $base = PostgreSQL::Test::Utils::tempdir();
my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay',
	conf => "walstream.relay_compress = off\n");
wait_for_relay_state($relay, 'streaming');
$relay->safe_psql('postgres', "SELECT walstream_create_relay_slot('slot')");
write_segments($primary, $relay, 2);
my $dir = store_dir($relay);

sub permissions
{
	my ($path) = @_;

	return sprintf('%04o', (stat($path))[2] & 07777);
}

#
# Modes: a wrong mode is corrected; in a server with group access, group access
# stays.
#
foreach my $case (
	[ 0755, '0700' ],
	[ 0777, '0700' ],
	[ 0750, '0750' ],
	[ 0700, '0700' ])
{
	my ($mode, $expected) = @$case;
	my $log = -s $relay->logfile;

	$relay->stop;
	chmod($mode, $dir) or die "chmod: $!\n";
	$relay->start;
	wait_for_relay_state($relay, 'streaming');
	is(permissions($dir), $expected,
		sprintf('mode %04o becomes %s', $mode, $expected));
	my $told = sprintf(
		'LOG:  permissions of relay directory "walstream_relay" were %04o and are now 0700',
		$mode);
	my $found = slurp_file($relay->logfile, $log) =~ /\Q$told\E/;
	is( $found                  ? 1 : 0,
		$mode == oct($expected) ? 0 : 1,
		'which the log tells of, if it was changed');
}
is(permissions("$dir/walstream.identity"), '0600', 'the mode of a file');

#
# Places that are refused
#
sub refused_start
{
	my ($directory, $message, $what) = @_;
	my $log = -s $relay->logfile;

	$relay->adjust_conf('postgresql.conf', 'walstream.relay_directory',
		"'$directory'");
	ok(!$relay->start(fail_ok => 1), "$what: no start");
	like(slurp_file($relay->logfile, $log),
		$message, "$what: the log says why");
	return;
}

$relay->append_conf('postgresql.conf',
	"walstream.relay_directory = 'walstream_relay'\n");
$relay->stop;
mkdir("$dir/before-gap.1");
refused_start(
	"$dir/before-gap.1/inner",
	qr/FATAL:  relay directory "[^"]*inner" is inside another relay directory\n.*DETAIL:  There is a file "[^"]*walstream\.identity"/,
	'inside another store');
ok(-e "$dir/before-gap.1/inner" ? rmdir("$dir/before-gap.1/inner") : 1,
	'nothing is in it');
rmdir("$dir/before-gap.1") or die "rmdir: $!\n";
append_to_file("$base/file", '');
refused_start("$base/file",
	qr/FATAL:  relay directory "[^"]*file" is not a directory/,
	'a file');
SKIP:
{
	skip 'only root owns another\'s directory', 2
	  if $> == 0 || !-d '/usr/share';
	refused_start(
		'/usr/share',
		qr/FATAL:  relay directory "[^"]*share" has wrong ownership/,
		'of another owner');
}
$relay->adjust_conf('postgresql.conf', 'walstream.relay_directory',
	"'walstream_relay'");

# The directory itself may be a link.
rename($dir, "$base/store") or die "rename: $!\n";
symlink("$base/store", $dir) or die "symlink: $!\n";
$relay->start;
wait_for_relay_state($relay, 'streaming');
pass('a link to the directory is followed');
$relay->stop;
unlink($dir);
rename("$base/store", $dir) or die "rename: $!\n";

#
# Links in the directory are not followed, and named pipes are not waited for.
#
my ($closed) = grep { /^[0-9A-F]{24}$/ } store_files($dir);
my ($open) = grep { /\.partial$/ } store_files($dir);
my $victim = "$base/victim";
my $untouched = 'not the relay\'s' x 100_000;

# Put something in place of a file, and check how the relay fails.
sub replaced
{
	my ($name, $kind, $what) = @_;
	my $path = "$dir/$name";
	my $log;
	my $kept = -e $path;

	rename($path, "$base/kept") or die "rename: $!\n" if $kept;
	if ($kind eq 'link')
	{
		symlink($victim, $path) or die "symlink: $!\n";
	}
	elsif ($kind eq 'pipe')
	{
		mkfifo($path, 0600) or die "mkfifo: $!\n";
	}
	else
	{
		mkdir($path) or die "mkdir: $!\n";
	}
	unlink($victim);
	append_to_file($victim, $untouched);

	$log = -s $relay->logfile;
	my $started = $relay->start(fail_ok => 1);
	$relay->wait_for_log(
		qr/(?:ERROR|FATAL):  "[^"]*\Q$name\E" is not a (?:regular file|directory)\n/,
		$log);
	pass("$what: is named");
	if ($started)
	{
		wait_for_relay_state($relay, 'failed');
		$relay->stop;
	}
	is(slurp_file($victim), $untouched, "$what: not written to");
	if ($kind eq 'directory')
	{
		rmdir($path) or die "rmdir: $!\n";
	}
	else
	{
		unlink($path) or die "unlink: $!\n";
	}
	rename("$base/kept", $path) or die "rename: $!\n" if $kept;
	return;
}

replaced('walstream.identity', 'link', 'a link as identity');
replaced('walstream.identity', 'pipe', 'a pipe as identity');
replaced('walstream.lock', 'link', 'a link as lock');
replaced('walstream.lock', 'pipe', 'a pipe as lock');
replaced($closed, 'link', 'a link as segment');
replaced($closed, 'pipe', 'a pipe as segment');
replaced($closed, 'directory', 'a directory as segment');
replaced($open, 'link', 'a link as open segment');
replaced("$open.tmp", 'link', 'a link as unfinished segment');
replaced('walstream.spare', 'link', 'a link as spare');
replaced('walstream.identity.tmp', 'pipe', 'a pipe as unfinished identity');
replaced('00000002.history', 'link', 'a link as history');
replaced('slots', 'link', 'a link as directory of slots');
replaced('new-range.tmp', 'link', 'a link as a new range\'s directory');
replaced('slots/slot', 'link', 'a link as slot');
replaced('slots/slot', 'pipe', 'a pipe as slot');
replaced('slots/other', 'directory', 'a directory as slot');

# Hidden files, such as those of NFS, are ignored, in slots/ too.  Files that
# the relay opens while it runs are checked as well.
append_to_file("$dir/.nfs1", 'x');
append_to_file("$dir/slots/.nfs0000000000000001", 'x');
symlink($victim, "$dir/slots/.hidden.tmp") or die "symlink: $!\n";
$relay->start;
wait_for_relay_state($relay, 'streaming');
is(relay_slot_row($relay, 'slot')->{slot_name},
	'slot', 'hidden files in slots/ are no slots');
ok(-l "$dir/slots/.hidden.tmp", 'hidden files stay');

my $log = -s $relay->logfile;
symlink($victim, "$dir/slots/late.tmp") or die "symlink: $!\n";
my (undef, undef, $stderr) =
  $relay->psql('postgres', "SELECT walstream_create_relay_slot('late')");
like(
	$stderr,
	qr/"[^"]*late\.tmp" is not a regular file/,
	'a link in the place of a new slot');
unlink("$dir/slots/late.tmp");
is( $relay->safe_psql(
		'postgres', "SELECT walstream_create_relay_slot('late') IS NOT NULL"),
	't',
	'the slot can be created without the link');
my @made =
  map { "$dir/$_.zst.tmp" } grep { /^[0-9A-F]{24}$/ } store_files($dir);

foreach (@made)
{
	symlink($victim, $_) or die "symlink: $!\n";
}
set_setting($relay, 'relay_compress', 'zstd');
$relay->wait_for_log(
	qr/could not compress WAL segment [^\n]*\n[^\n]*\.zst\.tmp" is not a regular file/,
	$log);
pass('a link in the place of what the keeper writes');
unlink(@made);
is(slurp_file($victim), $untouched, 'not written to');

# The directory is replaced while the server runs; the new one is not locked.
$relay->stop;
$relay->start;
wait_for_relay_state($relay, 'streaming');
$log = -s $relay->logfile;
rename($dir, "$base/moved") or die "rename: $!\n";
system_or_bail('cp', '-a', "$base/moved", $dir);
my $receiver = relay_row($relay)->{receiver_pid};
$relay->safe_psql('postgres', "SELECT pg_terminate_backend($receiver)");
$relay->wait_for_log(
	qr/ERROR:  relay directory "walstream_relay" is not the one that was there when the server was started\n/,
	$log);
pass('a directory that was not locked is not used');
$relay->restart;
wait_for_relay_state($relay, 'streaming');
load_wal($primary, 10);
wait_for_relay($primary, $relay);
pass('nothing is wrong in the end');

done_testing();
