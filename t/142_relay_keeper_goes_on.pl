# Copyright (c) 2026, the walstream authors

# A segment that cannot be removed does not keep the keeper from compressing
# others, and is removed as soon as that is possible.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay',
	conf => "walstream.relay_compress = off\n");
my $dir = store_dir($relay);
wait_for_relay_state($relay, 'streaming');
write_segments($primary, $relay, 5);
my $keeper = relay_row($relay)->{keeper_pid};
my ($oldest) = store_files($dir);

# Put a directory in its place: unlink() fails on it.
unlink("$dir/$oldest") or die "could not remove \"$dir/$oldest\": $!\n";
mkdir("$dir/$oldest");
my $log = -s $relay->logfile;
set_setting($relay, 'relay_keep_size', '0');
$relay->wait_for_log(
	qr/could not remove old WAL segments\n.*DETAIL:  could not remove file "[^"]*$oldest"/,
	$log);
like(
	relay_row($relay)->{last_error},
	qr/could not remove old WAL segments: /,
	'what cannot be removed is told');
set_setting($relay, 'relay_compress', 'zstd');
wait_until(
	$relay,
	"SELECT count(*) >= 3 FROM walstream_relay_segments WHERE state = 'zstd'",
	'others are compressed all the same');
is(relay_row($relay)->{keeper_pid},
	$keeper, 'the keeper is still the same process');

rmdir("$dir/$oldest") or die "could not remove \"$dir/$oldest\": $!\n";
$relay->reload;
wait_until(
	$relay,
	'SELECT count(*) <= 3 FROM walstream_relay_segments',
	'the segment is removed as soon as possible');
is(relay_row($relay)->{keeper_pid}, $keeper, 'still by the same process');

done_testing();
