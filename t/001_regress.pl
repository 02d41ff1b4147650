# Copyright (c) 2026, the walstream authors

# The regression tests of sql/, on a server that has walstream loaded, each in
# a database of its own.

use strict;
use warnings;

use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my $node = walstream_primary('primary');

foreach my $file (sort grep { !/--/ } glob('sql/*.sql'))
{
	my $test = basename($file, '.sql');
	my $outputdir = "$PostgreSQL::Test::Utils::tmp_check/regress_$test";

	mkdir($outputdir) || die "could not create \"$outputdir\": $!";
	my $same = is(
		system(
			$ENV{PG_REGRESS},
			'--bindir=',
			'--host=' . $node->host,
			'--port=' . $node->port,
			'--inputdir=.',
			"--outputdir=$outputdir",
			$test),
		0,
		$test);
	diag(slurp_file("$outputdir/regression.diffs"))
	  if !$same && -e "$outputdir/regression.diffs";
}

done_testing();
