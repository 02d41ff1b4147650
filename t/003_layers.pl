# Copyright (c) 2026, the walstream authors

# src/tools/check_layers reports each kind of violation, and finds none in the
# actual source.

use strict;
use warnings;

use File::Basename;
use File::Copy;
use File::Path qw(make_path);
use PostgreSQL::Test::Utils;
use Test::More;

my $top = dirname(dirname(__FILE__));

# What check_layers reports about a source tree that consists of these files.
sub findings
{
	my (%files) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my @findings;

	make_path("$dir/src/tools");
	foreach my $file (sort keys %files)
	{
		make_path(dirname("$dir/$file"));
		append_to_file("$dir/$file",
			"/* Copyright (c) 2026, the walstream authors */\n$files{$file}");
	}
	my ($stdout, $stderr) =
	  run_command([ "$top/src/tools/check_layers", $dir ]);
	is($stderr, '', 'no error');
	return $stdout;
}

# Define a function in the source's layout: its name begins a line.
sub defines
{
	my ($name, @calls) = @_;

	return
	  "void\n$name(void)\n{\n" . join('', map { "\t$_();\n" } @calls) . "}\n";
}

is( findings(
		'src/a.h' => "extern void a(void);\n",
		'src/a.c' => defines('a', 'b'),
		'src/b.h' => "extern void b(void);\n",
		'src/b.c' => defines('b')),
	'',
	'one uses the other');

is( findings(
		'src/a.h' => "extern void a(void);\n",
		'src/a.c' => defines('a', 'b'),
		'src/b.h' => "extern void b(void);\n",
		'src/b.c' => defines('b', 'c'),
		'src/c.h' => "extern int c;\nextern void d(void);\n",
		'src/c.c' => "int\t\t\tc = 0;\n\n" . defines('d', 'a')),
	'src/a: is in a circle: uses src/b (b), that src/c (c), that src/a (a)',
	'a circle of three, by a variable too');

is( findings(
		'src/a.h' => "extern void a(void);\n",
		'src/a.c' => "/* b() calls a() */\n" . defines('a'),
		'src/b.h' => "extern void b(void);\n",
		'src/b.c' => defines('b', 'a')),
	'',
	'a comment is no use');

is( findings(
		'src/relay/walsender/s.c' => defines('s', 'r'),
		'src/relay/walreceiver/r.h' => "extern void r(void);\n",
		'src/relay/walreceiver/r.c' => defines('r')),
	'src/relay/walsender/s: a sender must not know receiver and keeper: '
	  . 'uses r of src/relay/walreceiver/r',
	'a sender that calls the receiver');

is( findings(
		'src/relay/store/s.c' => "#include \"storage/lwlock.h\"\n",
		'src/relay/keeper.c' => "#include \"relay/walsender/s.h\"\n",
		'src/relay/walsender/s.h' => ''),
	'src/relay/keeper.c:2: the keeper must not know receiver and senders: '
	  . 'must not include "relay/walsender/s.h"'
	  . "\nsrc/relay/store/s.c:2: the store must not include \"storage/lwlock.h\"",
	'what must not be included');

command_ok([ "$top/src/tools/check_layers", $top ], 'nothing in the source');

done_testing();
