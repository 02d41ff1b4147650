#-------------------------------------------------------------------------
#
# WalstreamScript.pm
#	  For tests: runs the scripts of contrib/patroni, without Patroni.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package WalstreamScript;

use strict;
use warnings FATAL => 'all';

use Carp;
use Cwd;
use Exporter 'import';
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use WalstreamTest;

our @EXPORT = qw(
  script_path
  start_script
  end_script
  run_script
  script_says
  write_script_conf
);

my $logs = 0;

sub script_path
{
	my ($name) = @_;

	return getcwd() . "/contrib/patroni/$name";
}

#
# start_script($name, @arguments): its temporary files are in a directory of its
# own.
#
sub start_script
{
	my ($name, @arguments) = @_;
	my $base = PostgreSQL::Test::Utils::tempdir();

	return start_command($base, script_path($name), @arguments);
}

sub start_command
{
	my ($base, @command) = @_;
	my $script = { log => "$base/log", tmp => "$base/tmp" };

	append_to_file($script->{log}, '');
	mkdir($script->{tmp}) or croak "could not make a directory: $!";
	$script->{pid} = fork() // croak "could not fork: $!";
	if ($script->{pid} == 0)
	{
		$ENV{TMPDIR} = $script->{tmp};
		open(STDIN, '<', '/dev/null');
		open(STDOUT, '>>', $script->{log});
		open(STDERR, '>&', \*STDOUT);
		exec(@command) or POSIX::_exit(127);
	}
	return $script;
}

# wait_for($what, $code, $script): until it gives true.
sub wait_for
{
	my ($what, $code, $script) = @_;
	my $attempts = 20 * $PostgreSQL::Test::Utils::timeout_default;

	until ($code->())
	{
		croak "$what: not within the time allowed; "
		  . ($script ? 'the script says: ' . slurp_file($script->{log}) : '')
		  if $attempts-- == 0;
		sleep(0.05);
	}
	return;
}

# Wait until it has ended; returns its exit status, and what it has said.
sub end_script
{
	my ($script) = @_;

	wait_for(
		'the script ends',
		sub {
			return 1 if defined $script->{status};
			waitpid($script->{pid}, POSIX::WNOHANG()) > 0 or return 0;
			$script->{status} = $? >> 8;
			return 1;
		},
		$script);
	note($script->{said} = slurp_file($script->{log}));
	return ($script->{status}, $script->{said});
}

sub run_script
{
	return end_script(start_script(@_));
}

# script_says($script, $pattern, $name): a test that passes as soon as it does.
sub script_says
{
	my ($script, $pattern, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	wait_for($name, sub { slurp_file($script->{log}) =~ $pattern }, $script);
	return ok(1, $name);
}

#
# write_script_conf($file, %settings): as for a shell; undef leaves one out.
#
sub write_script_conf
{
	my ($file, %settings) = @_;

	open(my $fh, '>', $file) or croak "could not create \"$file\": $!";
	foreach my $name (sort grep { defined $settings{$_} } keys %settings)
	{
		my $quoted = $settings{$name} =~ s/'/'\\''/gr;

		print $fh "$name='$quoted'\n";
	}
	close($fh);
	return $file;
}

1;
