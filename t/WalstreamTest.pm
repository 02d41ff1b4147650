#-------------------------------------------------------------------------
#
# WalstreamTest.pm
#	  What walstream's server tests share, on top of PostgreSQL::Test::Cluster.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package WalstreamTest;

use strict;
use warnings FATAL => 'all';

use Carp;
use Exporter 'import';
use File::Basename;
use File::Compare;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  walstream_primary
  walstream_standby
  wait_until
  wait_for_replay
  standby_matches
  shutdown_checkpoint
  table_checksums
  declare_expected_warning
  load_wal
  fetch_row
  sender_row
  receiver_row
  set_compression
  format_lsn
  patience
);

#
# walstream_primary($name, %options): a node from which standbys can be made.
#
#	walstream	0: without the module in shared_preload_libraries
#	logical		1: wal_level is logical
#	conf		text for the end of postgresql.conf
#	start		0: do not start it
#
# Segments are small, so that tests complete many of them, and are kept, so
# that they can be compared.  As far as settings can prevent it, only the test
# writes WAL.
#
sub walstream_primary
{
	my ($name, %options) = @_;

	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(
		allows_streaming => $options{logical} ? 'logical' : 1,
		extra => ['--wal-segsize=1']);
	$node->append_conf(
		'postgresql.conf', qq(
autovacuum = off
wal_keep_size = 1GB
));
	finish_node($node, %options);
	return $node;
}

#
# walstream_standby($upstream, $name, %options): a streaming standby, made from
# a new backup of the upstream.
#
#	walstream	0: without the module in shared_preload_libraries
#	conninfo	primary_conninfo, if not straight to the upstream
#	slot		primary_slot_name; the slot is created on the upstream
#	conf		text for the end of postgresql.conf
#	start		0: do not start it
#
sub walstream_standby
{
	my ($upstream, $name, %options) = @_;

	my $backup = "backup_$name";
	my $node = PostgreSQL::Test::Cluster->new($name);
	$upstream->backup($backup);
	$node->init_from_backup($upstream, $backup, has_streaming => 1);
	if (defined $options{conninfo})
	{
		my $quoted = $options{conninfo} =~ s/'/''/gr;

		$node->append_conf('postgresql.conf', "primary_conninfo = '$quoted'");
	}
	if (defined $options{slot})
	{
		$upstream->safe_psql('postgres',
			"SELECT pg_create_physical_replication_slot('$options{slot}')");
		$node->append_conf('postgresql.conf',
			"primary_slot_name = '$options{slot}'");
	}
	finish_node($node, %options);
	return $node;
}

sub finish_node
{
	my ($node, %options) = @_;

	my $libraries = ($options{walstream} // 1) ? 'walstream' : '';
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = '$libraries'");
	$node->append_conf('postgresql.conf', $options{conf})
	  if defined $options{conf};
	$node->start if $options{start} // 1;
	return;
}

#
# patience($seconds): this time, or more on a machine with a larger
# PG_TEST_TIMEOUT_DEFAULT.  It limits what must not take for ever, but cannot
# be waited for in another way, so it has to be ample.
#
sub patience
{
	my ($seconds) = @_;

	return
	  int($seconds * $PostgreSQL::Test::Utils::timeout_default / 180) + 1;
}

#
# wait_until($node, $query, $name): a test that passes as soon as the query,
# run in the database postgres, returns true.
#
sub wait_until
{
	my ($node, $query, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($node->poll_query_until('postgres', $query), $name);
}

#
# Wait until the standby has replayed everything that its upstream has now,
# through any number of servers in between.
#
sub wait_for_replay
{
	my ($upstream, $standby) = @_;

	my $lsn = end_of_wal($upstream);
	$standby->poll_query_until('postgres',
		"SELECT pg_last_wal_replay_lsn() >= '$lsn'")
	  or croak $standby->name
	  . " has not replayed $lsn of "
	  . $upstream->name;
	return;
}

sub end_of_wal
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		'SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END'
	);
}

#
# shutdown_checkpoint($node): the position of a stopped server's last
# checkpoint, from its control file; a test that it was shut down.
#
sub shutdown_checkpoint
{
	my ($node) = @_;
	my ($stdout) =
	  run_command([ 'pg_controldata', '-D', $node->data_dir ]);
	my ($lsn) = $stdout =~ m{^Latest checkpoint location:\s+(\S+)$}m
	  or croak "could not understand pg_controldata: $stdout";

	like(
		$stdout,
		qr/^Database cluster state:\s+shut down$/m,
		$node->name . ' was shut down');
	return $lsn;
}

#
# standby_matches($upstream, $standby, $name): two tests, that the complete WAL
# segments which both have (at least one) are identical, and that all tables
# have the same content.  Completes the current segment and waits for its
# replay first.
#
sub standby_matches
{
	my ($upstream, $standby, $name) = @_;
	$name //= $standby->name . ' matches ' . $upstream->name;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	# An upstream that is a standby itself cannot switch segments.
	$upstream->safe_psql('postgres', 'SELECT pg_switch_wal()')
	  if $upstream->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq
	  'f';
	wait_for_replay($upstream, $standby);

	my %there = map { $_ => 1 } complete_segments($standby);
	my @both = grep { $there{$_} } complete_segments($upstream);
	my @differ = grep {
		compare(
			$upstream->data_dir . "/pg_wal/$_",
			$standby->data_dir . "/pg_wal/$_") != 0
	} @both;
	my $same = ok(@both && !@differ, "$name: WAL segments");
	diag(   @both
		  . ' complete WAL segments are on both, of which differ: '
		  . (@differ ? "@differ" : 'none'))
	  unless $same;

	return is(
		table_checksums($standby),
		table_checksums($upstream),
		"$name: tables") && $same;
}

#
# The names of the WAL files that hold a whole segment of their timeline: those
# that end at or before the end of the node's WAL, or of their timeline if that
# has ended.
#
sub complete_segments
{
	my ($node) = @_;

	my $pg_wal = $node->data_dir . '/pg_wal';
	my $segment_size = $node->safe_psql('postgres',
		"SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'");
	my $end = lsn_number(end_of_wal($node));
	my @files = grep { /^[0-9A-F]{24}$/ } slurp_dir($pg_wal);

	# The history of the newest timeline lists those that have ended.
	my %switch;
	my ($history) =
	  reverse sort grep { /^[0-9A-F]{8}\.history$/ } slurp_dir($pg_wal);
	if (defined $history)
	{
		foreach my $line (split /\n/, slurp_file("$pg_wal/$history"))
		{
			$switch{$1} = lsn_number($2)
			  if $line =~ m{^\s*(\d+)\s+([0-9A-F]+/[0-9A-F]+)};
		}
	}

	return sort grep {
		my ($timeline, $high, $low) = map { hex } unpack('(A8)*', $_);
		my $segment_end = ($high << 32) + ($low + 1) * $segment_size;
		my $timeline_end = $switch{$timeline} // $end;

		$segment_end <= $end && $segment_end <= $timeline_end
	} @files;
}

sub lsn_number
{
	my ($lsn) = @_;
	my ($high, $low) = map { hex } split(m{/}, $lsn);

	return ($high << 32) + $low;
}

# An LSN in the server's own format.
my $lsn_format;

sub format_lsn
{
	my ($number) = @_;

	if (!defined $lsn_format)
	{
		my ($major) = `pg_config --version` =~ /(\d+)/;

		$lsn_format = $major >= 19 ? '%X/%08X' : '%X/%X';
	}
	return sprintf($lsn_format, $number >> 32, $number & 0xffffffff);
}

#
# One line for each table and materialized view of each database: its name, the
# number of its rows, and a checksum of them that does not depend on their
# order.
#
sub table_checksums
{
	my ($node) = @_;
	my @lines;

	my @databases = split /\n/,
	  $node->safe_psql('postgres',
		'SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1');
	foreach my $database (@databases)
	{
		my @queries = split /\n/, $node->safe_psql(
			$database, q{
SELECT format('SELECT %L, count(*), sum(hashtextextended(t::text, 0)::numeric) FROM %s t', c.oid::regclass, c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p'
	AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY n.nspname, c.relname});
		next unless @queries;
		push @lines, "database $database",
		  $node->safe_psql($database, join(";\n", @queries));
	}
	return join("\n", @lines);
}

#
# A WARNING or PANIC in a server log, or a process that was ended by a signal,
# fails the run, unless the test has declared that such a line comes.
#
sub declare_expected_warning
{
	my ($regexp) = @_;

	my $test = basename($0) =~ s/\.[^.]+$//r;
	append_to_file(
		"$PostgreSQL::Test::Utils::log_path/$test.expected_warnings",
		"$regexp\n");
	return;
}

#
# load_wal($node, $rows): insert rows that compress well into a table "load",
# about 140 bytes of WAL each.
#
sub load_wal
{
	my ($node, $rows) = @_;
	$rows //= 5000;

	$node->safe_psql(
		'postgres', qq{
CREATE TABLE IF NOT EXISTS load (id bigserial, filler text);
INSERT INTO load (filler)
	SELECT md5(g::text) || repeat('x', 60) FROM generate_series(1, $rows) g});
	return;
}

#
# fetch_row($node, $query): the query's row as a hash; undef if there is none.
#
sub fetch_row
{
	my ($node, $query) = @_;
	my $row = $node->safe_psql('postgres',
		"SELECT row_to_json(r) FROM ($query) AS r");

	return $row eq '' ? undef : decode_json($row);
}

# The rows of a stream: that of the walsender which serves a client of this
# name, and that of the standby's walreceiver.  A client may connect again
# before its former walsender has ended.
sub sender_row
{
	my ($node, $application_name) = @_;

	return fetch_row($node,
		"SELECT * FROM walstream_senders WHERE application_name = '$application_name' ORDER BY backend_start DESC LIMIT 1"
	);
}

sub receiver_row
{
	my ($node) = @_;

	return fetch_row($node,
		"SELECT * FROM walstream_receiver WHERE kind = 'physical receiver'");
}

#
# set_compression($node, $value): change walstream.compression by a reload.  On
# return the postmaster has reloaded, and has signalled all processes.
#
sub set_compression
{
	my ($node, $value) = @_;

	$node->safe_psql('postgres',
		"ALTER SYSTEM SET walstream.compression = '$value'");
	$node->reload;
	$node->poll_query_until('postgres',
		"SELECT current_setting('walstream.compression') = '$value'")
	  or croak "walstream.compression does not become $value";
	return;
}

1;
