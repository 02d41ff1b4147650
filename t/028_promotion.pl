# Copyright (c) 2026, the walstream authors

# A standby that is promoted after the loss of its primary replays all WAL that
# has arrived, including what its walreceiver has not read yet when it is told
# to end.

use strict;
use warnings;

use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

# Build the module in the source tree; the servers load it from there.
system_or_bail('make', '-s', '-C', 'src/test/receive', 'with_llvm=no');
my $module = getcwd() . '/src/test/receive/walstream_test_receive';

foreach my $compression ('walz zstd lz4', 'off')
{
	my $name = $compression eq 'off' ? 'plain' : 'compressed';
	my $primary = walstream_primary("primary_$name");
	my $standby = walstream_standby(
		$primary, "standby_$name",
		conf => qq{
shared_preload_libraries = '$module, walstream'
walstream.compression = '$compression'
});

	$primary->safe_psql('postgres', 'CREATE TABLE t (id serial)');
	wait_for_replay($primary, $standby);
	$standby->append_conf('postgresql.conf',
		'walstream_test_receive.hold = on');
	$standby->reload;
	$standby->poll_query_until('postgres',
		'SHOW walstream_test_receive.hold', 'on')
	  or die "the setting has not been loaded\n";

	# The walreceiver reads the setting when it is woken, and stops at the
	# first WAL after that.
	my $log = -s $standby->logfile;
	my $rows = 0;
	until (
		slurp_file($standby->logfile, $log) =~ /walstream_test_receive holds/)
	{
		die "the walreceiver does not stop\n" if ++$rows > 10_000;
		$primary->safe_psql('postgres', 'INSERT INTO t DEFAULT VALUES');
	}

	# these are in transit or in the socket when the primary is lost
	$primary->safe_psql('postgres',
		join('', map { "INSERT INTO t DEFAULT VALUES;\n" } 1 .. 200));
	my $sent = $primary->lsn('flush');
	$primary->poll_query_until('postgres',
		"SELECT sent_lsn >= '$sent' FROM pg_stat_replication")
	  or die "not all was sent\n";
	my $expected = $primary->safe_psql('postgres', 'SELECT count(*) FROM t');
	$primary->stop('immediate');
	$standby->promote;
	is($standby->safe_psql('postgres', 'SELECT count(*) FROM t'),
		$expected, "$name: all that had arrived was replayed");
	$standby->stop;
}

done_testing();
