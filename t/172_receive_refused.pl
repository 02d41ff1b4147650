# Copyright (c) 2026, the walstream authors

# What keeps walstream_receive_all() from hearing a relay, and what else can
# fail: each refusal that t/167 to t/169 do not provoke.

use strict;
use warnings;

use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamRelay;
use WalstreamTest;

declare_expected_warning('could not unseal');

my $nowhere = 'host=/nowhere';
my $primary = walstream_primary('primary',
	conf => "synchronous_standby_names = 'relay'\n");
my $relay = walstream_relay(undef, 'relay',
	conf => "wal_sender_timeout = 6s\nwal_retrieve_retry_interval = 200ms\n");
set_relay_upstream($relay, $primary->connstr);
wait_for_relay_state($relay, 'streaming');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');
my $standby = walstream_standby($primary, 'standby',
	conf => "wal_retrieve_retry_interval = 200ms\n");
my $other = walstream_relay(
	undef, 'other',
	conninfo => $nowhere,
	extension => 0);

# Of another cluster, and without walstream: it only looks like a relay.
my $foreign = walstream_primary(
	'foreign',
	walstream => 0,
	conf => "walstream.relay = on\n");

# A source with a longer timeout than users need.
sub source_of
{
	my ($node, $timeout) = @_;

	return
		$node->connstr('postgres')
	  . ' connect_timeout='
	  . ($timeout // patience(60));
}

# The arguments: these sources, of which one must be heard.
sub from
{
	return
		'ARRAY['
	  . join(', ', map { "'" . s/'/''/gr . "'" } @_)
	  . '], required => 1';
}

sub receive_all
{
	my ($what) = @_;
	my ($stdout, $stderr);
	my $rc = $standby->psql(
		'postgres', "CALL walstream_receive_all($what)",
		stdout => \$stdout,
		stderr => \$stderr);

	return ($rc, $stdout, $stderr);
}

sub is_not_sealed
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is( $relay->safe_psql(
			'postgres', 'SELECT sealed_timeline FROM walstream_relay'),
		'',
		"$name: the relay is not sealed");
	return;
}

sub refused
{
	my ($what, $error, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($rc, $stdout, $stderr) = receive_all($what);

	isnt($rc, 0, "$name: refused");
	like($stderr, $error, "$name: the error");
	is_not_sealed($name);
	return $stderr;
}

sub unseal
{
	$relay->safe_psql('postgres',
		'SELECT walstream_relay_unseal(token) FROM walstream_get_relay_seal()'
	);
	wait_for_relay_state($relay, 'streaming');
	return;
}

# Files of the standby that outlive a session.
my $kept = $standby->data_dir . '/pg_stat_tmp';

#
# The name under which it seals cannot be kept: before anything is sealed
#
mkdir("$kept/walstream_owner.tmp") || die "could not make a directory: $!\n";
refused(
	from(source_of($relay)),
	qr/"pg_stat_tmp\/walstream_owner\.tmp" is not a regular file/,
	'no name can be kept');
rmdir("$kept/walstream_owner.tmp") || die "could not remove it: $!\n";

#
# Invalid sources
#
refused(
	from('host=' . 'x' x 2000),
	qr/a source's connection string is longer than 1023 bytes/,
	'a long connection string');
my $only = qr/only 0 of 1 synchronous standbys.*Not heard: [^:]*:/s;
refused(
	from(source_of($other)),
	qr/$only[^:]+: the extension walstream has not been created in its database "postgres"/s,
	'a relay without the extension');
$other->safe_psql('postgres', 'CREATE EXTENSION walstream');
refused(
	from(source_of($other)),
	qr/$only[^:]+: it has no WAL/s,
	'a relay that has never received anything');
set_relay_upstream($other, $foreign->connstr);
wait_for_relay_state($other, 'streaming');
my $identifier = relay_row($other)->{system_identifier};
refused(
	from(source_of($other)),
	qr/$only[^:]+: it holds WAL of another cluster, whose system identifier is $identifier/s,
	'a relay of another cluster');
$other->stop;

#
# The list of synchronous standbys counts as the relay knows it when it is sealed:
# it learns another one while the next source does not answer.
#
sub wait_for_names
{
	my ($list) = @_;

	$primary->safe_psql('postgres',
		"ALTER SYSTEM SET synchronous_standby_names = '$list'");
	$primary->reload;
	wait_until(
		$relay,
		"SELECT upstream_standby_names = '$list' FROM walstream_relay",
		"the relay knows the list: $list");
	return;
}

$relay->append_conf('postgresql.conf',
	"walstream.relay_names_interval = 1s\n");
$relay->reload;
my $listener = IO::Socket::INET->new(
	Listen => 1,
	LocalAddr => '127.0.0.1',
	Timeout => patience(180)) || die "could not listen: $!\n";
my $call = start_psql($standby,
		"CALL walstream_receive_all(ARRAY['"
	  . source_of($relay) =~ s/'/''/gr
	  . "', 'host=127.0.0.1 port="
	  . $listener->sockport
	  . ' connect_timeout='
	  . patience(180)
	  . "'])");
my $silent = $listener->accept || die "nobody connects: $!\n";
wait_for_names('ANY 1 (relay, other)');
close($_) foreach $listener, $silent;
$call->{run}->finish;
like(
	${ $call->{output} },
	qr/only 1 of 2 synchronous standbys .*synchronous_standby_names of the old primary: "ANY 1 \(relay, other\)"/s,
	'a list that the relay learns before it is sealed counts');
is_not_sealed('a list that changes');
wait_for_names('relay');
$relay->append_conf('postgresql.conf',
	"walstream.relay_names_interval = 0\n");
$relay->reload;

#
# A server that gives answers which no relay gives
#
my $own = $standby->safe_psql('postgres',
	'SELECT system_identifier FROM pg_control_system()');

sub set_relay_view
{
	my ($state, $timeline, $more) = @_;

	$foreign->safe_psql(
		'postgres', qq{
		CREATE OR REPLACE VIEW fake.walstream_relay AS
		SELECT $state\::text AS state, '$own'::text AS system_identifier,
			$timeline AS timeline, 'fake'::text AS upstream_standby_names
		} . ($more // ''));
	return;
}

sub set_function
{
	my ($declaration, $select) = @_;

	$foreign->safe_psql('postgres',
		"CREATE OR REPLACE FUNCTION fake.$declaration LANGUAGE sql AS \$\$ SELECT $select \$\$"
	);
	return;
}

my $get_seal =
  'walstream_get_relay_seal(OUT timeline int, OUT since timestamptz, OUT token text)';
my $seal = 'walstream_relay_seal(int, text) RETURNS text';
$foreign->safe_psql(
	'postgres', q{
	CREATE SCHEMA fake;
	INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
	VALUES (99999, 'walstream', 10, 'fake'::regnamespace, false, '1.0')});
set_function(
	'walstream_get_relay_standby_names(OUT timeline int, OUT last_seen timestamptz) RETURNS SETOF record',
	'1, now() WHERE false');
set_function('walstream_application_name() RETURNS text', q{'fake'::text});
set_function('walstream_relay_unseal(text) RETURNS bool', 'true');
set_function($seal, q{'token'::text});

my $in_view = q{'streaming'};
my $not_sealed = 'NULL::int, NULL::timestamptz, NULL::text';
foreach my $case (
	[
		'NULL', 1, '', $not_sealed, q{'token'::text},
		qr/it does not say in which state it is/
	],
	[
		$in_view, 1, 'FROM generate_series(1, 2)',
		$not_sealed, q{'token'::text},
		qr/it answered with 2 rows of 4 columns/
	],
	[
		$in_view, 1, '', q{7, now(), 'x'::text},
		q{'token'::text}, qr/it is on timeline 1, and sealed for another one/
	],
	[
		$in_view, 1, '', $not_sealed, 'NULL::text',
		qr/it does not say with which token it is sealed/
	],
	[
		$in_view, 5, '', $not_sealed, q{'token'::text},
		qr/it went on from timeline 5 to 1 meanwhile/
	])
{
	my ($state, $timeline, $more, $sealed, $token, $error) = @$case;

	set_relay_view($state, $timeline, $more);
	set_function($get_seal, $sealed);
	set_function($seal, $token);
	refused(from(source_of($foreign)), qr/$only[^:]+: $error/s, $error);
}

# A server that does not accept connections yet
$foreign->stop;
$foreign->set_standby_mode;
$foreign->append_conf('postgresql.conf',
	"hot_standby = off\nprimary_conninfo = '$nowhere'\n");
$foreign->start;
refused(
	from(source_of($foreign)),
	qr/$only.*the database system is not (?:yet )?accepting connections/s,
	'a server that is starting up');
$foreign->stop;

#
# The relay accepts SQL connections, but no standby
#
my $hba = slurp_file($relay->data_dir . '/pg_hba.conf');
unlink($relay->data_dir . '/pg_hba.conf');
$relay->append_conf('pg_hba.conf',
	"local replication all reject\nlocal all all trust\n");
$relay->reload;
refused(
	from(source_of($relay)),
	qr/$only[^:]+: no replication connection: .*pg_hba\.conf rejects replication connection/s,
	'no replication connection');
unlink($relay->data_dir . '/pg_hba.conf');
$relay->append_conf('pg_hba.conf', $hba);
$relay->reload;

# The same source twice
wait_for_relay_state($relay, 'streaming');
refused(
	from(source_of($relay), source_of($relay)) =~ s/, required.*//r,
	qr/it is not known how many.*more than one of those asked is "relay"/s,
	'a relay that is named twice');

# The relay cannot write the file of its seal
wait_for_relay_state($relay, 'streaming');
chmod(0500, store_dir($relay)) == 1 || die "chmod: $!\n";
refused(
	from(source_of($relay)),
	qr/$only[^:]+: .*could not create file ".*walstream\.seal\.tmp": Permission denied/s,
	'a relay that cannot be sealed');
chmod(0700, store_dir($relay)) == 1 || die "chmod: $!\n";

#
# The standby cannot remember its seals: it goes on, and a later call does not
# recognize them.
#
wait_for_relay_state($relay, 'streaming');
unlink("$kept/walstream_seals");
mkdir("$kept/walstream_seals") || die "could not make a directory: $!\n";
my $log = -s $standby->logfile;
my ($rc, $stdout, $stderr) = receive_all(from(source_of($relay)));
is($rc, 0, 'seals that cannot be remembered do not matter') or diag($stderr);
ok( $standby->wait_for_log(
		qr/LOG:  could not write file "pg_stat_tmp\/walstream_seals"/, $log),
	'the log says so');
rmdir("$kept/walstream_seals") || die "could not remove it: $!\n";
($rc, $stdout, $stderr) = receive_all(from(source_of($relay)));
like(
	$stderr,
	qr/$only[^:]+: it has been sealed by somebody else/s,
	'the next call takes them for somebody else\'s');
unseal();

#
# The relay's session hangs while it seals: nobody knows whether it is sealed.
#
my $receiver = relay_row($relay)->{receiver_pid};
kill('STOP', $receiver) == 1 || die "could not stop the receiver: $!\n";
$call = start_psql($standby,
		'CALL walstream_receive_all('
	  . from(source_of($relay, 5))
	  . ", timeout => '6 s')");
my $session_query =
  "FROM pg_stat_activity WHERE query LIKE '%walstream_relay_seal(%' AND pid <> pg_backend_pid()";
$relay->poll_query_until('postgres',
	"SELECT count(*) = 1 $session_query AND state = 'active'")
  || die "it is not being sealed\n";
my $session = $relay->safe_psql('postgres', "SELECT pid $session_query");
kill('STOP', $session) == 1 || die "could not stop the session: $!\n";
$call->{run}->finish;
kill('CONT', $session);
like(
	${ $call->{output} },
	qr/$only[^:]+: no answer within the time allowed/s,
	'no answer: the error');
like(
	${ $call->{output} },
	qr/WARNING: +could not unseal "relay" [^:]*:[^:]*: no answer to the request to seal it.*walstream_get_relay_seal\(\) shows the token/s,
	'no answer: the warning');
$relay->poll_query_until('postgres', "SELECT count(*) = 0 $session_query")
  || die "the session does not end\n";
kill('CONT', $receiver);
wait_until(
	$relay,
	"SELECT sealed_timeline IS NULL AND state = 'streaming' FROM walstream_relay",
	'no answer: the relay has given up sealing');

#
# The standby lacks WAL, and the source is slow: a comparison that takes longer
# than wal_sender_timeout is not ended by that, but by its own limit.
#
wait_for_replay($primary, $standby);
$standby->append_conf('postgresql.conf', "primary_conninfo = '$nowhere'\n");
$standby->reload;
$standby->poll_query_until('postgres',
	'SELECT count(*) = 0 FROM pg_stat_wal_receiver')
  || die "the walreceiver does not end\n";
load_wal($primary, 100);
wait_for_relay($primary, $relay);

my $proxy = WalstreamProxy->new($relay);
$proxy->set_rules({ action => 'hold', kind => 'w', times => 1 });
my ($log_standby, $log_relay) = (-s $standby->logfile, -s $relay->logfile);
$call = start_psql(
	$standby,
	'CALL walstream_receive_all('
	  . from(
		$proxy->connstr . ' dbname=postgres connect_timeout=' . patience(60))
	  . ", timeout => '"
	  . patience(180) . " s')");
ok( $standby->wait_for_log(
		qr/no WAL to compare came for 10000 ms/, $log_standby),
	'a source that is silent is given up');
$call->{run}->finish;
like(
	${ $call->{output} },
	qr/^1\|[^|]+\|relay\|\{relay\}/m,
	'the next comparison succeeds');
unlike(
	slurp_file($relay->logfile, $log_relay),
	qr/due to (?:replication )?timeout/,
	'the relay has not ended one after its wal_sender_timeout');
unseal();
$proxy->stop;

#
# The relay is down when it has to be unsealed.  Recovery hangs, so that
# nothing is received.
#
my $hang = PostgreSQL::Test::Utils::tempdir() . '/hang';

sub start_waiting
{
	load_wal($primary, 100);
	wait_for_relay($primary, $relay);
	append_to_file($hang, '');
	$standby->append_conf('postgresql.conf',
		"restore_command = 'while test -e $hang; do sleep 0.1; done; false'\n"
	);
	$standby->reload;
	$standby->poll_query_until('postgres',
		"SELECT wait_event = 'RestoreCommand' FROM pg_stat_activity WHERE backend_type = 'startup'"
	) || die "recovery does not restore\n";
	my $waiting = start_psql($standby,
			'CALL walstream_receive_all('
		  . from(source_of($relay))
		  . ", timeout => '"
		  . patience(180)
		  . " s')");
	$standby->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event IN ('Extension', 'WalstreamReceiveAll') AND query LIKE 'CALL%'"
	) || die "the call does not wait\n";
	$relay->poll_query_until('postgres',
		'SELECT sealed_timeline = 1 FROM walstream_relay')
	  || die "the relay is not sealed\n";
	return $waiting;
}

my $waiting = start_waiting();
$relay->stop('immediate');
is( $standby->safe_psql(
		'postgres',
		"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL%' AND state = 'active'"
	),
	't',
	'the call is cancelled');
$waiting->{run}->finish;
my ($token) = ${ $waiting->{output} } =~
  /WARNING: +could not unseal "relay" .*nothing of timeline 1 until it is unsealed.*walstream_relay_unseal\('(\w+)'\)/s;
ok(defined $token, 'a relay that cannot be unsealed: a warning')
  or diag(${ $waiting->{output} });
$relay->start;
wait_for_relay_state($relay, 'sealed');
is( $relay->safe_psql(
		'postgres', "SELECT walstream_relay_unseal('" . ($token // '') . "')"
	),
	't',
	'the token in the warning unseals it');
wait_for_relay_state($relay, 'streaming');

#
# The standby is promoted meanwhile
#
$waiting = start_waiting();
$standby->safe_psql('postgres', 'SELECT pg_promote(false)');
unlink($hang);
$waiting->{run}->finish;
like(
	${ $waiting->{output} },
	qr/this standby was promoted before it had received all WAL.*It was to come to \S+ on timeline 1/s,
	'promoted too early');
is_not_sealed('promoted too early');

done_testing();
