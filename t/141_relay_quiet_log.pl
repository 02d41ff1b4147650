# Copyright (c) 2026, the walstream authors

# A relay shows why one of its workers has ended, whatever is logged: with
# log_min_messages = fatal errors are not logged, with panic nothing is.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamRelay;
use WalstreamTest;

my $primary = walstream_primary('primary');
my $relay = walstream_relay($primary, 'relay');
my $dir = store_dir($relay);
wait_for_relay_state($relay, 'streaming');
my $faults = PostgreSQL::Test::Utils::tempdir() . '/faults';

foreach my $level (qw(error fatal panic))
{
	$relay->stop;
	$relay->append_conf('postgresql.conf', "log_min_messages = $level\n");

	# The store cannot be used
	append_to_file("$dir/foreign", '');
	set_faults($faults);
	start_preloaded($relay, 'power_fault', $dir, $faults);
	wait_until(
		$relay,
		"SELECT state = 'failed' AND last_error LIKE 'file \"%foreign\" does not belong in a relay directory' AND reason = last_error FROM walstream_relay",
		"$level: an error that ends a worker is told");
	unlink("$dir/foreign");
	$relay->reload;
	wait_for_relay_state($relay, 'streaming');

	# The disk is full where the receiver cannot continue without space
	$relay->stop;
	unlink("$dir/$_") foreach grep { -f "$dir/$_" } slurp_dir($dir);
	unlink($relay->data_dir . '/walstream.store');
	set_faults($faults, 'create walstream.identity.tmp ENOSPC');
	start_preloaded($relay, 'power_fault', $dir, $faults);
	wait_until(
		$relay,
		"SELECT state = 'disk full' AND last_error LIKE '%No space left on device' FROM walstream_relay",
		"$level: a full disk is recognised");
	set_faults($faults);
	$relay->reload;
	wait_for_relay_state($relay, 'streaming');

	# An orderly stop: there is no error, and the next start does not back off
	my $row = relay_row($relay);
	foreach my $worker (qw(receiver keeper))
	{
		my $pid = $row->{"${worker}_pid"};

		kill('TERM', $pid) == 1 or die "could not stop process $pid: $!\n";
		wait_until(
			$relay,
			"SELECT ${worker}_pid <> $pid AND state = 'streaming' FROM walstream_relay",
			"$level: the $worker is started again");
	}
	is( relay_row($relay)->{last_error_time},
		$row->{last_error_time},
		"$level: an orderly stop is no error");
}

# A worker that cannot even begin ends with FATAL
$relay->stop;
$relay->adjust_conf('postgresql.conf', 'walstream.relay', 'off');
$relay->start;
$relay->safe_psql('template1', 'ALTER DATABASE postgres RENAME TO other');
$relay->stop;
$relay->adjust_conf('postgresql.conf', 'walstream.relay', 'on');
$relay->start;
ok( $relay->poll_query_until(
		'other',
		q{SELECT state = 'failed' AND last_error LIKE '%database "postgres" does not exist%' FROM walstream_relay}
	),
	'panic: a fatal error is told');
$relay->stop;

done_testing();
