# The workloads that generate WAL: for each the initial state, and one round of
# what is measured, repeated until there is enough.
#
# Copyright (c) 2026, the walstream authors

package Workload;

use strict;
use warnings;

# setup runs before the measured WAL, round with the numbers 0, 1, 2 ...; or,
# if parts of the workload are measured separately, each of its phases once.
my %workloads = (
	# TPC-B as pgbench runs it, with full-page images after each checkpoint, on
	# a database that has been in use, so that most updates find room in their
	# page and need no new index entry
	tpcb_fpi => {
		setup => sub {
			my ($server) = @_;
			$server->pgbench('-i', '-q', '-s', 20);
			$server->sql(
				'UPDATE pgbench_accounts SET abalance = aid % 10007 - 5000
				WHERE hashint4(aid) % 10 = 0');
			$server->sql('VACUUM');
		},
		round => sub {
			my ($server, $seed, $round) = @_;
			run_tpcb($server, $seed + $round, 2500);
			$server->sql('CHECKPOINT') if $round % 4 == 3;
		}
	},
	bulk => {
		setup =>
		  sub { $_[0]->script('bulk_setup.sql', seed => fraction($_[1])) },
		round => sub { run_script('bulk_chunk.sql', @_) }
	},
	# text, jsonb, timestamps, mixed row widths
	varied => {
		setup =>
		  sub { $_[0]->script('varied_setup.sql', seed => fraction($_[1])) },
		round => sub {
			my ($server, $seed, $round) = @_;
			run_script('varied_chunk.sql', @_);
			$server->sql('CHECKPOINT') if $round % 10 == 9;
		}
	},
	incompressible => {
		setup => sub { $_[0]->script('incompressible_setup.sql') },
		round => sub { run_script('incompressible_chunk.sql', @_) }
	},
	# the initial load of pgbench is part of what is measured
	mixed => {
		setup =>
		  sub { $_[0]->script('mixed_setup.sql', seed => fraction($_[1])) },
		round => sub {
			my ($server, $seed, $round) = @_;
			$server->pgbench('-i', '-q', '-s', 5) if $round == 0;
			run_tpcb($server, $seed + $round, 2500);
			run_script('mixed_chunk.sql', @_);
			$server->sql('CHECKPOINT') if $round % 2 == 1;
		}
	},
	# COPY only, one kind of rows after the other
	copy => {
		setup =>
		  sub { $_[0]->script('copy_setup.sql', seed => fraction($_[1])) },
		phases =>
		  [ map { phase('copy', $_) } qw(sales measurements requests) ]
	},
	# the activities of an application, one after the other
	phases => {
		setup =>
		  sub { $_[0]->script('phases_setup.sql', seed => fraction($_[1])) },
		phases => [
			map({ phase('phases', $_) }
				qw(customers orders events states profiles articles)),
			[
				sessions => sub {
					my ($server, $seed) = @_;
					$server->pgbench('-n', '-c', 4, '-t', 8000,
						"--random-seed=$seed", '-f',
						"$server->{bench}{top}/sql/phases_sessions.sql");
				}
			],
			map({ phase('phases', $_) } qw(deletes vacuum indexes rewrite))
		]
	});

sub setup
{
	my ($name, $server, $seed) = @_;
	$workloads{$name}{setup}->($server, $seed);
	return;
}

sub round
{
	my ($name, $server, $seed, $round) = @_;
	$workloads{$name}{round}->($server, $seed, $round);
	return;
}

# Names of a workload's phases; none if it consists of rounds.
sub phases
{
	my ($name) = @_;
	return map { $_->[0] } @{ $workloads{$name}{phases} // [] };
}

sub run_phase
{
	my ($name, $server, $seed, $number) = @_;
	$workloads{$name}{phases}[$number][1]->($server, $seed);
	return;
}

# A phase that runs a script.
sub phase
{
	my ($workload, $name) = @_;
	return [ $name => sub { run_script("${workload}_$name.sql", @_, 0) } ];
}

# The seed as an argument of setseed().
sub fraction
{
	my ($seed) = @_;
	return sprintf '%.6f', ($seed * 7919 % 1_000_003) / 1_000_003;
}

sub run_script
{
	my ($file, $server, $seed, $round) = @_;
	$server->script(
		$file,
		seed => fraction($seed * 1000 + $round),
		chunk => $round,
		file => "$server->{dir}/rows");
	return;
}

sub run_tpcb
{
	my ($server, $seed, $transactions) = @_;
	local $ENV{PGOPTIONS} = '-c synchronous_commit=off';
	$server->pgbench('-n', '-M', 'prepared', '-c', 4, '-t', $transactions,
		"--random-seed=$seed");
	return;
}

1;
