# What must hold after every replication, compressed or not.
#
# Copyright (c) 2026, the walstream authors

package Measure::Check;

use strict;
use warnings;

use Digest::MD5;

# Check that a primary and a standby that has replayed everything do not
# differ.  Stops the primary.
sub replica
{
	my ($bench, $id, $primary, $standby) = @_;

	$primary->wait_until(
		"SELECT replay_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication
		 WHERE application_name = '$standby->{name}'", 600);
	tables($bench, $id, $primary, $standby);
	shutdown_checkpoint($bench, $id, $primary, $standby);
	segments($bench, $id, $primary, $standby);
	return;
}

# Number of tables whose rows differ, among those named or among all.
sub tables
{
	my ($bench, $id, $one, $other, @names) = @_;
	my ($first, $second) = map { sums($_, @names) } $one, $other;
	my %names = (%$first, %$second);
	$bench->{results}->add(
		"check.$id.tables",
		'tables differ',
		scalar grep { ($first->{$_} // '') ne ($second->{$_} // '') }
		  keys %names);
	return;
}

# For each table the number of its rows and a sum of their hashes.
sub sums
{
	my ($server, @tables) = @_;
	@tables = split /\n/, $server->sql(
		"SELECT c.oid::regclass FROM pg_class c
		 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
	) if !@tables;

	my %sums;
	for my $table (@tables)
	{
		$sums{$table} = $server->sql(
			"SELECT count(*), sum(hashtextextended(t::text, 0)::numeric)
			 FROM $table t");
		die "$table of $server->{name} is empty\n" if $sums{$table} =~ /^0\|/;
	}
	return \%sums;
}

# Number of complete segments that both have and that differ.
sub segments
{
	my ($bench, $id, $primary, $standby) = @_;
	my %standby_has = map { s{.*/}{}r => $_ } files($standby);
	my @common = grep { $standby_has{s{.*/}{}r} } files($primary);

	# the last one may still be in use
	pop @common;
	die "no segment to compare\n" if !@common;
	$bench->{results}->add(
		"check.$id.segments",
		'segments differ',
		scalar
		  grep { sum_of_file($_) ne sum_of_file($standby_has{s{.*/}{}r}) }
		  @common);
	return;
}

sub files
{
	my ($server) = @_;
	return
	  sort grep { /^.*\/[0-9A-F]{24}$/ } glob $server->data . '/pg_wal/*';
}

sub sum_of_file
{
	my ($path) = @_;
	open my $file, '<:raw', $path or die "$path: $!\n";
	return Digest::MD5->new->addfile($file)->hexdigest;
}

# A fast shutdown waits until the standby has the checkpoint record; 1 if it
# lacks it.
sub shutdown_checkpoint
{
	my ($bench, $id, $primary, $standby) = @_;
	my $bindir = $bench->{bindir};

	$primary->stop('fast');
	my ($lsn) =
	  $bench->{host}->run([ "$bindir/pg_controldata", $primary->data ]) =~
	  /^Latest checkpoint location:\s+(\S+)/m;
	my $record = eval {
		$bench->{host}->run(
			[
				"$bindir/pg_waldump", '-p',
				$standby->data . '/pg_wal', '-s',
				$lsn, '-n',
				'1'
			]);
	} // '';
	$bench->{results}->add(
		"check.$id.shutdown",
		'checkpoints lost',
		$record =~ /CHECKPOINT_SHUTDOWN/ ? 0 : 1);
	return;
}

1;
