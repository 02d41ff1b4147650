# Copyright (c) 2026, the walstream authors

# The regression tests of sql/, on a server that has walstream loaded: first
# with default settings, and then with a standby, slots and other settings,
# since "make installcheck" may be run on any server.

use strict;
use warnings;

use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my $node = walstream_primary('primary');

sub run_all
{
	my ($when) = @_;

	foreach my $file (sort grep { !/--/ } glob('sql/*.sql'))
	{
		my $test = basename($file, '.sql');
		my $outputdir =
		  "$PostgreSQL::Test::Utils::tmp_check/regress_${test}_$when";

		mkdir($outputdir) || die "could not create \"$outputdir\": $!";
		my $same = is(
			system($ENV{PG_REGRESS}, '--bindir=',
				'--host=' . $node->host, '--port=' . $node->port,
				'--inputdir=.', "--outputdir=$outputdir",
				$test),
			0,
			"$test, $when");
		diag(slurp_file("$outputdir/regression.diffs"))
		  if !$same && -e "$outputdir/regression.diffs";
	}
	return;
}

run_all('idle');
my $standby = walstream_standby($node, 'standby', slot => 'standby');
set_compression($node, 'zstd:3');
wait_for_replay($node, $standby);
run_all('busy');

done_testing();
