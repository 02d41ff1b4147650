#-------------------------------------------------------------------------
#
# WalstreamRelay.pm
#	  Relays for tests: creating them, waiting for them, reading their stores;
#	  and clients that know which of their commits were confirmed.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package WalstreamRelay;

use strict;
use warnings FATAL => 'all';

use Carp;
use Cwd;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

our @EXPORT = qw(
  walstream_relay
  start_preloaded
  set_faults
  wait_for_fault
  kill_and_wait
  make_synchronous
  waits_for_standby
  relay_row
  relay_slot_row
  wait_for_relay
  wait_for_relay_state
  pause_relay
  wait_for_next_receiver
  set_relay_upstream
  store_dir
  store_files
  store_content
  compare_store
  lsn_number
  holds_records
  start_commits
  stop_commits
  acked_ids
  missing_ids
  start_psql
  start_receivewal
  stop_receivewal
  command_error
  flip_wal
  flip_link
  write_segments
  set_setting
);

#
# walstream_relay($upstream, $name, %options): create a relay of that node.
#
#	conninfo	of the upstream, if not straight to the node
#	slot		walstream.relay_slot
#	directory	walstream.relay_directory
#	libraries	shared_preload_libraries
#	conf		text for the end of postgresql.conf
#	start		0: do not start it
#	extension	0: do not create the extension
#
# The segment size of the relay's own cluster differs from the upstream's.  The
# relay asks for synchronous_standby_names only when it connects, since tests
# count connections and syncs.
#
sub walstream_relay
{
	my ($upstream, $name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my $conninfo =
	  quote($options{conninfo} // ($upstream ? $upstream->connstr : ''));
	my $libraries = $options{libraries} // 'walstream';

	$node->init(allows_streaming => 1);
	$node->append_conf(
		'postgresql.conf', qq(
autovacuum = off
shared_preload_libraries = '$libraries'
walstream.relay = on
walstream.relay_names_interval = 0
walstream.relay_upstream = '$conninfo'
));
	foreach my $setting (qw(slot directory))
	{
		$node->append_conf('postgresql.conf',
			"walstream.relay_$setting = '" . quote($options{$setting}) . "'")
		  if defined $options{$setting};
	}
	$node->append_conf('postgresql.conf', $options{conf})
	  if defined $options{conf};
	if ($options{start} // 1)
	{
		$node->start;
		$node->safe_psql('postgres', 'CREATE EXTENSION walstream')
		  if $options{extension} // 1;

		# An upstream at the very beginning of a segment would have nothing to
		# send.
		$upstream->safe_psql('postgres',
			"SELECT pg_logical_emit_message(true, '', '')")
		  if $upstream;
	}
	return $node;
}

sub quote
{
	my ($value) = @_;

	return $value =~ s/'/''/gr;
}

#
# start_preloaded($relay, $library, $dir, $file): start the node with one of
# the libraries of src/test/power, which watches $dir and uses $file.  After
# power_fault, power_record and its file may follow: a call that is held is
# then recorded only when it continues.
#
sub start_preloaded
{
	my ($node, $library, $dir, $file, $library2, $file2) = @_;
	my $path = getcwd() . '/src/test/power';

	system_or_bail('make', '-s', '-C', 'src/test/power');
	local $ENV{LD_PRELOAD} =
	  join(' ', map { "$path/$_.so" } grep { defined } $library, $library2);
	local $ENV{POWER_DIR} = $dir;
	local $ENV{POWER_LOG} = $file2 // $file;
	local $ENV{POWER_FAULT} = $file;
	$node->start;
	return;
}

# set_faults($file, @lines): what power_fault.so has to do from now on.
sub set_faults
{
	my ($file, @lines) = @_;

	open(my $fh, '>', "$file.new") or die "could not write \"$file\": $!\n";
	print $fh "$_\n" foreach @lines;
	close($fh);
	rename("$file.new", $file) or die "could not rename \"$file\": $!\n";
	return;
}

# wait_for_fault($file, $pattern): wait until such a fault was raised.
sub wait_for_fault
{
	my ($file, $pattern) = @_;
	my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;

	while ($attempts-- > 0)
	{
		return 1
		  if -e "$file.raised" && slurp_file("$file.raised") =~ $pattern;
		select(undef, undef, undef, 0.01);
	}
	croak "no fault like $pattern was raised";
}

#
# kill_and_wait($node, $pid): kill one of the node's processes, and wait until
# the whole server has ended because of that.  It can be started again.
#
sub kill_and_wait
{
	my ($node, $pid) = @_;
	my $attempts = 100 * $PostgreSQL::Test::Utils::timeout_default;

	# without a pid, kill() would signal the test's own processes
	croak 'there is no process to kill' unless $pid;
	kill('KILL', $pid) == 1 or croak "could not kill process $pid: $!";
	while (-e $node->data_dir . '/postmaster.pid')
	{
		croak $node->name . ' does not end' if $attempts-- == 0;
		select(undef, undef, undef, 0.01);
	}
	$node->_update_pid(0);
	return;
}

# Wait until a session of the primary whose command contains this text waits
# for a synchronous standby; returns false if none does.
sub waits_for_standby
{
	my ($primary, $text) = @_;

	return $primary->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%$text%' AND pid <> pg_backend_pid()"
	);
}

# Make the relay the only synchronous standby of the primary.
sub make_synchronous
{
	my ($primary, $relay) = @_;
	my $name = $relay->name;

	$primary->append_conf('postgresql.conf',
		"synchronous_standby_names = '$name'\n");
	$primary->reload;
	$primary->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = '$name' AND sync_state = 'sync'"
	) or croak "$name does not become synchronous";
	return;
}

#
# relay_row($relay): the row of walstream_relay, once the receiver has opened
# the store or reported why it cannot; before that most columns are null.  The
# returned row itself is checked, since a failing receiver soon opens the store
# again.
#
sub relay_row
{
	my ($relay) = @_;
	my $attempts = 10 * $PostgreSQL::Test::Utils::timeout_default;

	while ($attempts-- > 0)
	{
		my $row = fetch_row($relay, 'SELECT * FROM walstream_relay');

		return $row
		  unless defined $row && $row->{state} =~ /^(?:stopped|opening)$/;
		select(undef, undef, undef, 0.1);
	}
	croak $relay->name . ' does not open its store';
}

# Slots are read from the store, too, so wait in the same way.
sub relay_slot_row
{
	my ($relay, $name) = @_;

	relay_row($relay);
	return fetch_row($relay,
		"SELECT * FROM walstream_relay_slots WHERE slot_name = '$name'");
}

#
# wait_for_relay($upstream, $relay, $lsn): wait until the relay has everything
# that the upstream has, or has reached the position.
#
sub wait_for_relay
{
	my ($upstream, $relay, $lsn) = @_;

	$lsn //= $upstream->safe_psql('postgres',
		'SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_flush_lsn() END'
	);
	$relay->poll_query_until('postgres',
		"SELECT flushed_lsn >= '$lsn' FROM walstream_relay")
	  or croak $relay->name . " does not reach $lsn";
	return $lsn;
}

sub wait_for_relay_state
{
	my ($relay, $state) = @_;

	$relay->poll_query_until('postgres',
		"SELECT state = '$state' FROM walstream_relay")
	  or croak $relay->name . " does not become $state";
	return;
}

#
# pause_relay($relay): stop receiving until the relay is resumed or restarted;
# returns the end of what it has.  (A primary can write records at any time.)
#
sub pause_relay
{
	my ($relay) = @_;

	$relay->safe_psql('postgres', 'SELECT walstream_relay_pause()');
	wait_for_relay_state($relay, 'paused');
	return relay_row($relay)->{flushed_lsn};
}

# Wait until another receiver runs in place of this one, which ends.
sub wait_for_next_receiver
{
	my ($relay, $pid) = @_;

	$relay->poll_query_until('postgres',
		"SELECT receiver_pid <> $pid FROM walstream_relay")
	  or croak $relay->name . ' has no other receiver';
	return;
}

# Change the upstream, by a reload.
sub set_relay_upstream
{
	my ($relay, $conninfo) = @_;

	$relay->adjust_conf('postgresql.conf', 'walstream.relay_upstream',
		"'" . quote($conninfo) . "'");
	$relay->reload;
	return;
}

#
# The store
#

sub store_dir
{
	my ($relay) = @_;

	return $relay->data_dir . '/walstream_relay';
}

# Names of the files with WAL, sorted.
sub store_files
{
	my ($dir) = @_;

	return sort grep { /^[0-9A-F]{24}(\.|$)/ } slurp_dir($dir);
}

# The bytes of a segment, whatever form its file has.
sub store_content
{
	my ($file) = @_;
	my %program = (zst => 'zstd', lz4 => 'lz4');

	if ($file =~ /\.(zst|lz4)$/)
	{
		my ($stdout, $stderr) = ('', '');

		IPC::Run::run [ $program{$1}, '-dcq', $file ], '>', \$stdout, '2>',
		  \$stderr
		  or croak "could not unpack \"$file\": $stderr";
		return $stdout;
	}
	return slurp_file($file);
}

#
# compare_store($dir, $tli, $begin_lsn, $end_lsn, $pg_wal): undef if all bytes
# of the timeline between two positions (numbers) are stored and equal those in
# pg_wal, else what is wrong.  Instead of the directory, a hash of names and
# contents may be given.
#
sub compare_store
{
	my ($dir, $tli, $begin, $end, $pg_wal, $segment_bytes) = @_;

	$segment_bytes //= 1024 * 1024;
	croak "no WAL from $begin to $end to compare" if $begin >= $end;
	for (
		my $segno = int($begin / $segment_bytes);
		$segno * $segment_bytes < $end;
		$segno++)
	{
		my $name = segment_name($tli, $segno, $segment_bytes);
		my $bytes = $end - $segno * $segment_bytes;
		my ($form, $content) = stored_segment($dir, $name);

		return "$name is missing" unless defined $form;
		$bytes = $segment_bytes if $bytes > $segment_bytes;
		my $stored = substr($content, 0, $bytes);
		my $expected = substr(slurp_file("$pg_wal/$name"), 0, $bytes);
		next if $stored eq $expected;
		($stored ^ $expected) =~ /[^\0]/;
		return "$name$form differs from byte $-[0] of $bytes";
	}
	return undef;
}

# The suffix of a segment's file, which tells its form, and its content;
# nothing if there is no such file.  While this function looks, the file may be
# replaced by one of another form, which the next attempt finds.
sub stored_segment
{
	my ($dir, $name) = @_;

	foreach (1 .. 10)
	{
		foreach my $form ('', '.zst', '.lz4', '.partial')
		{
			my $file = "$dir/$name$form";
			my $content = -e $file ? eval { store_content($file) } : undef;

			return ($form, $content) if defined $content;
			die $@ if -e $file;
		}
	}
	return;
}

sub segment_name
{
	my ($tli, $segno, $segment_bytes) = @_;
	my $per_id = 4294967296 / $segment_bytes;

	return
	  sprintf('%08X%08X%08X', $tli, int($segno / $per_id), $segno % $per_id);
}

sub lsn_number
{
	return WalstreamTest::lsn_number(@_);
}

#
# holds_records($flushed, $acked, $tli, $pg_wal): whether after a recovery up
# to the first position all records are there that end at or before the second
# one, which was acknowledged.  That one may be within a record, since a
# message ends at a page's end.
#
sub holds_records
{
	my ($flushed, $acked, $tli, $pg_wal) = @_;

	return 1 if lsn_number($flushed) >= lsn_number($acked);
	my ($stdout) = run_command(
		[
			'pg_waldump', '--path', $pg_wal, '--timeline',
			$tli, '--start', $flushed, '--limit',
			2
		]);
	my @begin = $stdout =~ m{lsn: ([0-9A-F]+/[0-9A-F]+)}g;

	# a page header may lie between the end of a record and the next one
	return @begin == 2 && lsn_number($begin[1]) > lsn_number($acked) + 40;
}

#
# Clients
#

# A program that runs beside a test may run for much of the test before anyone
# waits for it.
sub run_timeout
{
	return IPC::Run::timeout(3 * $PostgreSQL::Test::Utils::timeout_default);
}

#
# start_commits($node, %options): start a client that commits one row after the
# other into a table "acked", and writes each id to a file of its own after
# COMMIT has returned.  It ends with its server, or by stop_commits().
#
#	first	the first id
#
sub start_commits
{
	my ($node, %options) = @_;
	my $base = PostgreSQL::Test::Utils::tempdir();
	my $first = $options{first} // 1;
	my $client = { file => "$base/ids", stop => "$base/stop", output => '' };

	open(my $script, '>', "$base/script") or die "$base/script: $!\n";
	foreach my $id ($first .. $first + 200_000)
	{
		print $script "INSERT INTO acked (id) VALUES ($id);\n\\echo $id\n";
		print $script
		  "\\set stop `test -e $client->{stop} && echo 1 || echo 0`\n\\if :stop\n\\q\n\\endif\n"
		  if $id % 25 == 0;
	}
	close($script);
	$node->safe_psql('postgres',
		"CREATE TABLE IF NOT EXISTS acked (id bigint PRIMARY KEY, filler text DEFAULT repeat('x', 100))"
	);
	$client->{run} = IPC::Run::start(
		[
			'psql', '-XAtq',
			'-v', 'ON_ERROR_STOP=1',
			'-d', $node->connstr('postgres'),
			'-f', "$base/script"
		],
		'>',
		$client->{file},
		'2>',
		\$client->{output},
		run_timeout());
	return $client;
}

# End the client if its server has not; acked_ids() then returns its commits.
sub stop_commits
{
	my ($client) = @_;

	append_to_file($client->{stop}, '');
	$client->{run}->finish;
	return;
}

sub acked_ids
{
	my ($client) = @_;

	return grep { /^\d+$/ } split(/\n/, slurp_file($client->{file}));
}

# Those of the ids that the node lacks.
sub missing_ids
{
	my ($node, @ids) = @_;
	my %there = map { $_ => 1 }
	  split(/\n/, $node->safe_psql('postgres', 'SELECT id FROM acked'));

	return grep { !$there{$_} } @ids;
}

# Start psql in the background and collect its output.
sub start_psql
{
	my ($node, $sql) = @_;
	my $output = '';
	my $run = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ],
		'>&' => \$output,
		run_timeout());

	return { run => $run, output => \$output };
}

# start_receivewal($node, $dir, @options): start pg_receivewal in the
# background.
sub start_receivewal
{
	my ($node, $dir, @options) = @_;
	my $output = '';
	my $run = IPC::Run::start(
		[
			'pg_receivewal', '-v', '--no-loop', '-D',
			$dir, '-d', $node->connstr, @options
		],
		'>&' => \$output,
		run_timeout());

	return { run => $run, output => \$output };
}

sub stop_receivewal
{
	my ($program) = @_;

	$program->{run}->signal('INT');
	return $program->{run}->finish;
}

# command_error($client, $command): the error of a command of a
# WalstreamClient, which can then send another one.
sub command_error
{
	my ($client, $command) = @_;
	my $error = '';

	$client->_send('Q', "$command\0");
	for (;;)
	{
		my ($type, $content) = $client->_read;

		($error) = $content =~ /\0M([^\0]*)/ if $type eq 'E';
		return $error if $type eq 'Z';
	}
}

#
# flip_wal($node, $tli, $lsn): flip a bit in a node's WAL, which has segments
# of 1 MB.  A second call undoes it.
#
sub flip_wal
{
	my ($node, $tli, $lsn) = @_;
	my $segment_bytes = 1 << 20;
	my $file =
		$node->data_dir
	  . '/pg_wal/'
	  . segment_name($tli, int($lsn / $segment_bytes), $segment_bytes);

	open(my $fh, '+<:raw', $file) or croak "$file: $!";
	seek($fh, $lsn % $segment_bytes, 0);
	read($fh, my $byte, 1);
	seek($fh, $lsn % $segment_bytes, 0);
	print $fh chr(ord($byte) ^ 8);
	close($fh);
	return;
}

# flip_link($node, $tli, $lsn): flip a bit in the link to the previous record
# (xl_prev), 8 bytes after the record's beginning.
sub flip_link
{
	my ($node, $tli, $lsn) = @_;

	return flip_wal($node, $tli, lsn_number($lsn) + 8);
}

# write_segments($upstream, $relay, $count): write this many segments, and wait
# until the relay has them.
sub write_segments
{
	my ($upstream, $relay, $count) = @_;

	foreach (1 .. $count)
	{
		load_wal($upstream, 100);
		$upstream->safe_psql('postgres', 'SELECT pg_switch_wal()');
	}
	load_wal($upstream, 1);
	wait_for_relay($upstream, $relay);
	return;
}

#
# set_setting($relay, $name, $value): change a setting of walstream, named
# without its prefix.  On return the postmaster has reloaded, and has signalled
# all processes.
#
sub set_setting
{
	my ($relay, $name, $value) = @_;

	$relay->safe_psql('postgres',
		"ALTER SYSTEM SET walstream.$name = '$value'");
	my $before = $relay->safe_psql('postgres', 'SELECT pg_conf_load_time()');
	$relay->reload;
	$relay->poll_query_until('postgres',
		"SELECT pg_conf_load_time() > '$before'")
	  or croak $relay->name . ' does not reload';
	return;
}

1;
