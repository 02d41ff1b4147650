# What the benchmark has to build: the module, in a private copy of the
# PostgreSQL installation, and its own programs.
#
# Copyright (c) 2026, the walstream authors

package Tools;

use strict;
use warnings;

use Host;

sub build
{
	my ($bench) = @_;
	my $dir = $bench->{host}->dir;
	my $top = "$bench->{top}/..";

	# The output of apt-get and make goes to the terminal.
	$ENV{PG_CONFIG} = output_of("cd '$top' && src/tools/setup bench");

	# Build in a copy of the source, so that no objects of another PostgreSQL
	# or compiler are used, and none are left behind.
	my $source = "$dir/source";
	mkdir $source;
	output_of(
		"tar -c -C '$top' --exclude=./.git --exclude='*.o' --exclude='*.so' . "
		  . "| tar -x -C '$source'");
	output_of("cd '$source' && make -s PG_CONFIG=\"\$PG_CONFIG\" >&2");
	$bench->{bindir} =
	  output_of(
		"cd '$source' && src/tools/private_install '$dir/install' -s");

	my %config = map { $_ => output_of("\"\$PG_CONFIG\" --$_") }
	  qw(version cflags includedir includedir-server libdir pkglibdir);
	my $flags = "$config{cflags} -O2 -DFRONTEND -D_GNU_SOURCE -Isrc "
	  . "-isystem $config{'includedir-server'} -isystem $config{includedir}";
	my %needs = (
		drain =>
		  "src/pure/*.c src/pure/*/*.c -L$config{pkglibdir} -L$config{libdir} "
		  . '-lpgcommon -lpgport -lpq -lzstd -llz4 -lm',
		encode =>
		  "src/pure/*.c src/pure/*/*.c -L$config{pkglibdir} -L$config{libdir} "
		  . '-lpgcommon -lpgport -lzstd -llz4 -lm',
		slowlink => '');
	$needs{messages} = $needs{encode};

	# walz with less and with more memory than usual
	my %sizes = (
		small => '-DWZ_MAX_CLASSES=64 -DWZ_LINES_LOG=10 -DWZ_RELATIONS=64 '
		  . '-DWS_ZSTD_WINDOW_LOG_MIN=16 -DWZ_ZSTD_HASH_LOG=14',
		large => '-DWZ_MAX_CLASSES=4096 -DWZ_LINES_LOG=17 -DWZ_RELATIONS=4096'
	);

	$bench->{version} = $config{version};
	$bench->{tools} = "$dir/tools";
	mkdir $bench->{tools};
	for my $tool (sort keys %needs)
	{
		output_of("cd '$source' && cc $flags -o '$bench->{tools}/$tool' "
			  . "bench/$tool.c $needs{$tool}");
	}
	for my $size (sort keys %sizes)
	{
		output_of("cd '$source' && cc $flags $sizes{$size} "
			  . "-o '$bench->{tools}/messages_$size' "
			  . "bench/messages.c $needs{messages}");
	}
	return;
}

# Output of a shell command, run as the current user.
sub output_of
{
	my ($command) = @_;
	my $out = `$command`;
	die "bench: failed: $command\n" if $? != 0;
	chomp $out;
	return $out;
}

1;
