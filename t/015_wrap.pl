# Copyright (c) 2026, the walstream authors

# Another module that wraps a walsender's functions, loaded before or after.

use strict;
use warnings;

use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

# Build the module in the source tree; the servers load it from there.
system_or_bail('make', '-s', '-C', 'src/test/wrap', 'with_llvm=no');
my $wrap = getcwd() . '/src/test/wrap/walstream_test_wrap';

my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');

# Turn keepalives off: their number would not be predictable.
$primary->append_conf('postgresql.conf', "wal_sender_timeout = 0\n");
my $standby =
  walstream_standby($primary, 'standby',
	conf => "wal_receiver_timeout = 0\n");

foreach my $case (
	[ "$wrap, walstream", 'loaded before walstream' ],
	[ "walstream, $wrap", 'loaded after walstream' ])
{
	my ($libraries, $what) = @$case;
	my $after = $what =~ /after/;

	$primary->adjust_conf('postgresql.conf', 'shared_preload_libraries',
		"'$libraries'");
	$primary->restart;
	load_wal($primary, 20_000);
	standby_matches($primary, $standby, $what);

	my $row = sender_row($primary, 'standby');
	is($row->{codec}, 'walz', "$what: compressed");
	cmp_ok($row->{ratio}, '>', 1.5, "$what: ratio");
	cmp_ok($row->{frames}, '>', 10, "$what: frames");

	# End the stream: then the module reports what it saw.
	my $log = -s $primary->logfile;
	$standby->stop;
	$primary->wait_for_log(qr/\[$row->{pid}\] .*walstream_test_wrap saw/,
		$log);
	my ($seen, $frames) =
	  slurp_file($primary->logfile, $log) =~
	  /\[$row->{pid}\] .*walstream_test_wrap saw (\d+) messages, (\d+) frames/;

	my $total = fetch_row($primary,
		"SELECT * FROM walstream_totals WHERE name = 'standby'");
	is($total->{streams}, 1, "$what: one stream");

	# If loaded last it is called first, and sees what PostgreSQL hands over;
	# otherwise it sees what walstream makes of that, and the hello.
	if ($after)
	{
		is($frames, 0, "$what: it sees no frame");
		is($seen, $total->{messages}, "$what: it sees each message once");
	}
	else
	{
		is($frames, $total->{frames}, "$what: it sees each frame once");
		is($seen, $frames + 1, "$what: and the hello");
	}
	$standby->start;
}

done_testing();
