# Copyright (c) 2026, the walstream authors

# The documents name every setting, view, column, function and state that
# exists, and no others; and the links in them lead somewhere.

use strict;
use warnings;

use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

# The servers have their own directories; find the documents relative to this
# file.
my $top = dirname(dirname(__FILE__));

sub read_document
{
	my ($name) = @_;

	open(my $fh, '<', "$top/$name") || die "could not open \"$name\": $!\n";
	local $/ = undef;
	return scalar <$fh>;
}

# The text of a section, its subsections included.
sub section
{
	my ($text, $title) = @_;

	$text =~ /^(\#+)\ \Q$title\E\n(.*?)(?=^\#{1,3}\ |\z)/msx
	  || die "there is no section \"$title\"\n";
	return $2;
}

# First cells of a section's tables; one cell may name several things.
sub first_cells
{
	my ($text) = @_;
	my @names;

	# a table's heading has a line of dashes below it
	$text =~ s/^\|.*\n\|\s*-.*$//mg;
	foreach my $line (grep { /^\|/ } split(/\n/, $text))
	{
		my ($cell) = $line =~ /^\|\s*(.*?)\s*\|/;

		push @names,
		  map { s/^[\s`]+|[\s`]+$//gr } split(/,\s*(?![^()]*\))/, $cell);
	}
	return @names;
}

sub same_names
{
	my ($documented, $existing, $what) = @_;

	is_deeply([ sort @$documented ], [ sort @$existing ], $what);
	return;
}

my $node = walstream_primary('primary', conf => "walstream.relay = off\n");
$node->safe_psql('postgres', 'CREATE EXTENSION walstream');

sub names
{
	my ($query) = @_;

	return split(/\n/, $node->safe_psql('postgres', $query));
}

#
# Settings
#
my $configuration = read_document('docs/configuration.md');
my @settings = $configuration =~ /^\#+\ (walstream\.\w+)$/mgx;
push @settings, grep { /^walstream\./ } first_cells($configuration);
same_names(
	\@settings,
	[ names(q{SELECT name FROM pg_settings WHERE name LIKE 'walstream.%'}) ],
	'settings');

#
# Views, their columns, functions
#
my $views = read_document('docs/views.md');
my @documented_views = $views =~ /^\#+\ (walstream_\w+)$/mgx;
same_names(
	\@documented_views,
	[
		names(
			q{SELECT viewname FROM pg_views WHERE viewname LIKE 'walstream%'})
	],
	'views');
foreach my $view (@documented_views)
{
	same_names(
		[ first_cells(section($views, $view)) ],
		[
			names(
				qq{SELECT attname FROM pg_attribute WHERE attrelid = '$view'::regclass AND attnum > 0}
			)
		],
		"columns of $view");
}
my @functions =
  map { s/\(.*//sr } first_cells(section($views, 'Functions'));
same_names(
	\@functions,
	[
		names(
			q{SELECT DISTINCT proname FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid WHERE extname = 'walstream'}
		)
	],
	'functions');

#
# Who may execute the functions that are not read through views
#
my ($for_monitors) =
  read_document('docs/security.md') =~
  /^(\|\ functions\ that\ change\ nothing:.*)\|\ members\ of\ `pg_monitor`/mx;
same_names(
	[ ($for_monitors // '') =~ /`(\w+)\(\)`/g ],
	[
		grep { !/^walstream_get_/ }
		  read_document('sql/walstream--1.0.sql') =~
		  /^GRANT\ EXECUTE\ ON\ FUNCTION\ (\w+)\(.*\ TO\ pg_monitor;$/mgx
	],
	'functions for monitors');

#
# Options and commands of the program walz
#
my $program = read_document('src/cli/walz.c');
my ($options) = $program =~ /long_options\[\]\ =\ \{(.*?)\n\t\};/sx;
my @options = ($options // '') =~ /\{"([a-z]+)"/g;
my $page = read_document('src/cli/walz.1') =~ s/\\-/-/gr;
cmp_ok(scalar(@options), '>', 3, 'walz has options');
same_names([ $page =~ /^\.BI?\ --([a-z]+)/mgx ],
	\@options, 'options in the manual page of walz');
my ($help) = $program =~ /("Options:\\n".*?)\);/s;
same_names([ ($help // '') =~ /^\s+"\s+--([a-z]+)/mg ],
	\@options, 'options in the help of walz');
my %in_table = map { $_ => 1 }
  section(read_document('docs/walz.md'), 'The tool walz') =~ /\[--([a-z]+)/g;
same_names(
	[ keys %in_table ],
	[ grep { $_ ne 'help' } @options ],
	'options in the table of walz');

#
# States of a relay: one function of the source has all their names.
#
my $source = read_document('src/relay/shared.c');
my ($switch) = $source =~ /^ws_relay_state_name\(.*?^\}/msg ? $& : '';
my @states = $switch =~ /case\ .*?return\ "([a-z ]+)"/gxs;
cmp_ok(scalar(@states), '>', 5, 'the source has states');
my ($row) =
  section($views, 'walstream_relay') =~ /^\|\ state\ \|.*$/mx ? $& : '';
same_names([ $row =~ /`([a-z ]+)`/g ], \@states, 'states in the view');
same_names(
	[ grep { $_ ne 'streaming' } @states ],
	[
		first_cells(
			section(
				read_document('docs/operations.md'),
				'A relay is not `streaming`'))
	],
	'states in the runbook');

#
# Wait events
#
same_names(
	[
		first_cells(
			section(
				read_document('docs/operations.md'),
				'What a process waits for'))
	],
	[ read_document('src/waitevent.c') =~ /"(Walstream\w+)"/g ],
	'wait events');

#
# Messages that the runbook quotes occur in the source; "..." stands for what
# varies.
#
my @sources = map { glob("$top/src/$_") }
  qw(*.c drain/*.c pure/*.c pure/*/*.c relay/*.c relay/*/*.c);
my $sources = join('', map { read_document(s{^\Q$top\E/}{}r) } @sources);
$sources =~ s/\\"/"/g;
my $runbook = read_document('docs/operations.md');
my @reasons =
  section($runbook, 'A stream is not compressed') =~ /^\|\ ([^-|]+?)\ \|/mgx;
shift @reasons;
my @messages =
  map { /`([^`]+)`/g }
  map { section($runbook, $_) =~ /^\|\ ([^|]+?)\ \|/mgx }
  ('Log messages that need a person', 'The relay does not start');
cmp_ok(scalar(@reasons), '>', 5, 'the runbook has reasons');
cmp_ok(scalar(@messages), '>', 10, 'the runbook has messages');

foreach my $text (@reasons, @messages)
{
	my @missing =
	  grep { index($sources, $_) < 0 }
	  grep { /\w/ } split(/\ ?\.\.\.\ ?/, $text);

	is(join(', ', @missing), '', "the server says: $text");
}

#
# Links: their targets exist, and every document can be reached from the
# README.
#
sub blank_code
{
	my ($text) = @_;

	$text =~ s/^```.*?^```$//msg;
	$text =~ s/^\ {4,}.*$//mg;
	$text =~ s/`[^`\n]*`//g;
	return $text;
}

# Anchors of a document's headings, as forges make them.
sub anchors
{
	my ($text) = @_;
	my %anchors;

	$text =~ s/^```.*?^```$//msg;
	foreach my $heading ($text =~ /^\#+\ +(.*?)\s*$/mg)
	{
		my $anchor = lc($heading) =~ s/[^\w\- ]//gr =~ s/\ /-/gr;

		$anchors{$anchor} = 1;
	}
	return \%anchors;
}

# Where a link of a document points to, relative to the top directory.
sub target_of
{
	my ($document, $link) = @_;
	my @path = split(m{/}, dirname($document));

	foreach my $part (split(m{/}, $link))
	{
		if ($part eq '..')
		{
			pop @path;
		}
		else
		{
			push @path, $part;
		}
	}
	return join('/', grep { $_ ne '.' } @path);
}

my @documents =
  map { s{^\Q$top\E/}{}r } glob("$top/*.md"), glob("$top/docs/*.md");
my %links;
my @broken;
foreach my $document (@documents)
{
	my $text = blank_code(read_document($document));

	foreach my $link ($text =~ /\]\(([^()\s]+)\)/g)
	{
		next if $link =~ /^\w+:/;
		my ($file, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
		my $target = $file eq '' ? $document : target_of($document, $file);

		$links{$document}{$target} = 1;
		if (!-e "$top/$target")
		{
			push @broken, "$document: $link";
		}
		elsif (defined $anchor
			&& !anchors(read_document($target))->{$anchor})
		{
			push @broken, "$document: $link";
		}
	}
}
cmp_ok(scalar(map { keys %$_ } values %links), '>', 20, 'there are links');
is_deeply(\@broken, [], 'links of the documents lead somewhere');

my %reached = ('README.md' => 1);
my @waiting = ('README.md');
while (defined(my $document = shift @waiting))
{
	foreach my $target (grep { !$reached{$_}++ } keys %{ $links{$document} })
	{
		push @waiting, $target;
	}
}
is_deeply([ grep { !$reached{$_} } @documents ],
	[], 'every document can be reached from the README');
cmp_ok(-s "$top/README.md", '<=', 10 * 1024, 'the README is short');

done_testing();
