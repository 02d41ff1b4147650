#-------------------------------------------------------------------------
#
# TapCounts.pm
#	  A formatter for prove that also writes the totals to a file.
#
#	TAP_COUNTS=FILE prove --formatter TapCounts ...
#
# Appends a line "passed failed skipped" to the file, and for each test
# program that failed a line with its name.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package TapCounts;

use strict;
use warnings;

use parent 'TAP::Formatter::File';

sub summary
{
	my ($self, $aggregate, @rest) = @_;
	my ($passed, $failed, $skipped) = (0, 0, 0);
	my @bad;

	$self->SUPER::summary($aggregate, @rest);

	foreach my $name ($aggregate->descriptions)
	{
		my ($parser) = $aggregate->parsers($name);
		my $failures = () = $parser->failed;
		my $skips = () = $parser->skipped;
		my $passes = () = $parser->passed;

		# a program that was skipped completely, or that died
		$skipped++ if $parser->skip_all;
		$failures++ if !$failures && $parser->has_problems;

		# skipped tests are also counted as passed
		$passed  += $passes - $skips;
		$skipped += $skips;
		$failed  += $failures;
		push @bad, $name if $failures;
	}

	open(my $fh, '>>', $ENV{TAP_COUNTS})
	  || die "could not open \"$ENV{TAP_COUNTS}\": $!\n";
	print $fh "$passed $failed $skipped\n", map { "$_\n" } @bad;
	close($fh) || die "could not write \"$ENV{TAP_COUNTS}\": $!\n";
	return;
}

1;
