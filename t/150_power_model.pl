# Copyright (c) 2026, the walstream authors

# Tools for other tests: recording what a process does to files, calculating
# what a power cut leaves of them, and making system calls fail.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamPower;

system_or_bail('make', '-s', '-C', 'src/test/power');
my $base = PostgreSQL::Test::Utils::tempdir();
my $dir = "$base/watched";

# Run a Perl program with a library preloaded, in the watched directory.
sub run_preloaded
{
	my ($library, $program) = @_;
	local $ENV{LD_PRELOAD} = "src/test/power/$library.so";
	local $ENV{POWER_DIR} = $dir;
	local $ENV{POWER_LOG} = "$base/log";
	local $ENV{POWER_FAULT} = "$base/fault";
	my $prelude = q{
use strict;
use IO::Handle;
use Fcntl;
my $dir = shift;
my %open;
sub at { my $at = shift; return $at eq '' ? $dir : "$dir/$at" }
sub make { sysopen($open{$_[0]}, at($_[0]), O_RDWR | O_CREAT) or die "$_[0]: $!" }
sub put { my ($name, $offset, $text) = @_;
	sysseek($open{$name}, $offset, 0); return syswrite($open{$name}, $text) }
sub sync { my $name = shift;
	return $open{$name}->sync if $open{$name};
	sysopen(my $fh, at($name), O_RDONLY) or die "$name: $!"; return $fh->sync }
sub datasync { return system('sync', '-d', at(shift)) == 0 }
sub move { rename(at($_[0]), at($_[1])) or die "$_[0]: $!" }
};
	my ($stdout, $stderr) =
	  run_command([ $^X, '-e', "$prelude\n$program", $dir ]);
	is($stderr, '', 'the program runs');
	return $stdout;
}

# What a program leaves in the directory after a power cut at its end, as
# "name=content".
sub left_by
{
	my ($program, %options) = @_;

	unlink("$base/log");
	system_or_bail('rm', '-rf', $dir);
	mkdir($dir);
	run_preloaded('power_record', $program);
	my $record = WalstreamPower->new("$base/log");
	my $replay = $record->replay(leave_out => $options{leave_out});
	$replay->advance($record->count);
	my $files = $replay->files($options{seed});
	return
	  join(' ', map { $_ . '=' . ($files->{$_} // 'dir') } sort keys %$files);
}

foreach my $case (
	[
		'a file whose directory is not synced is missing',
		q{make('a'); put('a', 0, 'x'); sync('a')},
		''
	],
	[
		'a file that is not synced is empty',
		q{make('a'); put('a', 0, 'x'); sync('')},
		'a='
	],
	[
		'a file that is synced is there',
		q{make('a'); put('a', 0, 'x'); sync('a'); sync('')}, 'a=x'
	],
	[
		'up to when it was synced',
		q{make('a'); put('a', 0, 'xyz'); sync('a'); sync(''); put('a', 1, 'uvw')},
		'a=xyz'
	],
	[
		'fdatasync does not make it longer',
		q{make('a'); put('a', 0, 'xyz'); sync('a'); sync(''); put('a', 1, 'uvw'); datasync('a')},
		'a=xuv'
	],
	[
		'fsync does',
		q{make('a'); put('a', 0, 'xyz'); sync('a'); sync(''); put('a', 1, 'uvw'); sync('a')},
		'a=xuvw'
	],
	[
		'a rename is undone',
		q{make('a'); put('a', 0, 'x'); sync('a'); sync(''); move('a', 'b')},
		'a=x'
	],
	[
		'a rename is synced',
		q{make('a'); put('a', 0, 'x'); sync('a'); sync(''); move('a', 'b'); sync('')},
		'b=x'
	],
	[
		'a file that was renamed is replaced',
		q{make('b'); put('b', 0, 'old'); sync('b'); sync(''); make('a'); put('a', 0, 'x'); sync('a'); move('a', 'b')},
		'b=old'
	],
	[
		'and when that is synced',
		q{make('b'); put('b', 0, 'old'); sync('b'); sync(''); make('a'); put('a', 0, 'x'); sync('a'); move('a', 'b'); sync('')},
		'b=x'
	],
	[
		'a file that was removed is there again',
		q{make('a'); put('a', 0, 'x'); sync('a'); sync(''); unlink(at('a'))},
		'a=x'
	],
	[
		'unless that is synced',
		q{make('a'); put('a', 0, 'x'); sync('a'); sync(''); unlink(at('a')); sync('')},
		''
	],
	[
		'a directory that is not synced into its parent is missing',
		q{mkdir(at('d')); make('d/a'); sync('d/a'); sync('d')},
		''
	],
	[
		'a directory and what is in it',
		q{mkdir(at('d')); make('d/a'); put('d/a', 0, 'x'); sync('d/a'); sync('d'); sync('')},
		'd=dir d/a=x'
	],
	[
		'a link',
		q{make('a'); put('a', 0, 'x'); sync('a'); link(at('a'), at('b')); sync('')},
		'a=x b=x'
	],
	[
		'a file that was made shorter',
		q{make('a'); put('a', 0, 'xyz'); sync('a'); sync(''); truncate($open{a}, 1); sync('a')},
		'a=x'
	],
	[
		'processes share the record',
		q{make('a'); put('a', 0, 'xyz'); if (my $pid = fork) { waitpid($pid, 0); sync('a'); sync('') } else { put('a', 1, 'u') }},
		'a=xuz'
	])
{
	my ($what, $program, $expected) = @$case;

	is(left_by($program), $expected, $what);
}

# With a seed, the result is one of the possible states in between.
my $program =
  q{make('a'); put('a', 0, 'x' x 8192); sync('a'); sync(''); put('a', 0, 'y' x 8192); make('b'); unlink(at('b'))};
unlink("$base/log");
left_by($program);
my %seen;
my $record = WalstreamPower->new("$base/log");
foreach my $seed (1 .. 60)
{
	my $replay = $record->replay;
	$replay->advance($record->count);
	my $files = $replay->files($seed);
	$seen{
		join(' ',
			map { $_ . '=' . ($files->{$_} =~ tr/xy//sr) } sort keys %$files)
	}++;
}
is( join(', ', sort keys %seen),
	'a=x, a=x b=, a=xy, a=xy b=, a=y, a=y b=, a=yx, a=yx b=',
	'with a seed any block may be there, and any change of names');
my $replay = $record->replay;
$replay->advance($record->count);
is_deeply(
	{ $replay->kinds },
	{
		'fsync a' => 1,
		'fsync of the directory / after creating a' => 1
	},
	'kinds of sync');
write_files($replay->files, "$base/written");
is(slurp_file("$base/written/a"), 'x' x 8192, 'files are written');

# Kinds: a renamed file keeps its kind, and repeated syncs are of one kind.
unlink("$base/log");
left_by(
	q{make('a.tmp'); put('a.tmp', 0, 'x'); sync('a.tmp'); move('a.tmp', 'b'); sync('b'); sync(''); put('a.tmp', 1, 'y'); sync('b')}
);
$record = WalstreamPower->new("$base/log");
$replay = $record->replay;
$replay->advance($record->count);
is_deeply(
	{ $replay->kinds },
	{
		'fsync a' => 2,
		'fsync a, again' => 1,
		'fsync of the directory / after renaming a to b' => 1
	},
	'kinds of sync of a file that was renamed');

# Comparing kinds with a test's list
is(kinds_fault({ a => 1, b => 2 }, 'b', 'a'),
	undef, 'all kinds, and no other');
is( kinds_fault({ a => 1, c => 1 }, 'a', 'b'),
	"missing: b\nunknown: c",
	'a kind that is missing, and one that is not known');

# Files that end in .tmp are not needed after a power cut.
unlink("$base/log");
left_by(q{make('a.tmp'); sync(''); unlink(at('a.tmp')); sync('')});
$record = WalstreamPower->new("$base/log");
$replay = $record->replay;
$replay->advance($record->count);
is_deeply({ $replay->kinds }, {}, 'a temporary name needs no sync');

# Leaving out one kind of sync
is( left_by(
		q{make('a'); put('a', 0, 'x'); sync('a'); sync('')},
		leave_out => 'fsync a'),
	'a=',
	'a sync of a file is left out');
is( left_by(
		q{make('a'); put('a', 0, 'x'); sync('a'); sync('')},
		leave_out => 'fsync of the directory / after creating a'),
	'',
	'a sync of the directory is left out');

#
# Failing system calls
#
sub faulty
{
	my ($faults, $program) = @_;

	system_or_bail('rm', '-rf', $dir, "$base/fault", "$base/fault.raised");
	mkdir($dir);
	append_to_file("$base/fault", $faults);
	return run_preloaded('power_fault', $program);
}

is( faulty(
		"fsync a EIO\n",
		q{make('a'); put('a', 0, 'xyz'); print sync('a') ? 'synced' : $!{EIO} ? 'EIO' : $!; sysseek($open{a}, 0, 0); sysread($open{a}, my $c, 9); print ' ', unpack('H*', $c)}
	),
	'EIO 000000',
	'fsync fails, and what was written is lost');
is(slurp_file("$base/fault.raised"), "fsync a EIO\n", 'that is told');
is( faulty(
		"fsync a EIO\n",
		q{make('b'); put('b', 0, 'xyz'); print sync('b') ? 'synced' : $!}),
	'synced',
	'of another file it does not');
is( faulty(
		"fsync . EIO\n",
		q{make('a'); print sync('a') ? 'synced' : $!, ' ', sync('') ? 'synced' : $!{EIO} ? 'EIO' : $!}
	),
	'synced EIO',
	'of the directory');
is(slurp_file("$base/fault.raised"), "fsync . EIO\n", 'that is told');
is( faulty(
		"fsync . EIO b*\n",
		q{make('a'); foreach my $to ('c', 'b1', 'c1') { move($to eq 'c' ? 'a' : $to eq 'b1' ? 'c' : 'b1', $to); print sync('') ? 'synced ' : $!{EIO} ? 'EIO ' : $! }}
	),
	'synced EIO synced ',
	'of the directory after one renaming');
is( faulty(
		"space 10\n",
		q{make('a'); print put('a', 0, 'x' x 8) ? 1 : 0; print put('a', 4, 'x' x 4) ? 1 : 0; print put('a', 8, 'x' x 4) ? 1 : $!{ENOSPC} ? 'full' : $!}
	),
	'11full',
	'the disk is full');

done_testing();
