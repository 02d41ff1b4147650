# Copyright (c) 2026, the walstream authors

# The request for compression is added to connection strings of all kinds;
# upstreams and poolers may refuse it.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamProxy;
use WalstreamTest;

my $asked = '-c walstream.accept=1\ walz1\ zstd\ lz4';
my $compressed = 'compressed with walz, level 1';
my $refused =
  'uncompressed: the connection to the upstream refuses the "options" parameter';
my $warning =
  'WARNING:  upstream refuses a connection that asks for compression, streaming uncompressed';

my $primary = walstream_primary('primary');
$primary->safe_psql('postgres', 'CREATE EXTENSION walstream');

# The proxy records what the upstream is asked for and what it answers.
my $proxy = WalstreamProxy->new($primary);
my $connstr = $proxy->connstr;
my $standby = walstream_standby(
	$primary, 'standby',
	conninfo => $connstr,
	conf => "wal_retrieve_retry_interval = '100ms'\n");

sub wait_for_choice
{
	my ($log, $said) = @_;

	$standby->wait_for_log(
		qr/LOG:  receiving WAL for "(?:standby|by_uri|by_service)" \Q$said\E\n/,
		$log);
	return;
}

# Make the standby connect with this string, and these variables in its
# environment, and check that the stream is compressed.
sub connect_with
{
	my ($conninfo, %environment) = @_;

	$conninfo =~ s/([\\'])/$1$1/g;
	$standby->adjust_conf('postgresql.conf', 'primary_conninfo',
		"'$conninfo'");

	# while it runs it may connect with the old string
	$standby->stop;
	my $log = -s $standby->logfile;
	{
		local @ENV{ keys %environment } = values %environment;
		$standby->start;
	}
	wait_for_choice($log, $compressed);
	return;
}

# Force a new connection with an unchanged configuration.
sub reconnect
{
	my ($said) = @_;
	my $log = -s $standby->logfile;

	$primary->safe_psql('postgres',
		'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
	wait_for_choice($log, $said);
	return;
}

sub count_warnings
{
	my ($log) = @_;
	my $times = () = slurp_file($standby->logfile, $log) =~ /\Q$warning\E/g;

	return $times;
}

connect_with($connstr);
is($proxy->count('startup')->{options},
	$asked, 'the request in a connection string without options');
is($proxy->count('startup')->{application_name},
	'standby', 'its name is that of the cluster');

#
# The user's own options, in each place that can hold them
#
my $service_file = PostgreSQL::Test::Utils::tempdir() . '/service';
append_to_file(
	$service_file, qq{
[with_options]
options=-c DateStyle=ISO,\\ YMD -c IntervalStyle=iso_8601
[without_options]
application_name=by_service
});

my $uri = $connstr =~ s{host=(\S+) port=(\d+)}{postgresql://$1:$2/}r;
my $in_uri =
  "$uri?options=-c%20DateStyle%3DISO,%5C%20DMY&application_name=by_uri";
my $in_conninfo =
  "$connstr options='-c DateStyle=ISO,\\\\ DMY -c IntervalStyle=postgres_verbose'";
my $pgoptions = '-c DateStyle=German -c IntervalStyle=sql_standard';

foreach my $case (
	[
		'keywords', $in_conninfo, {},
		'-c DateStyle=ISO,\ DMY -c IntervalStyle=postgres_verbose',
		'ISO, DMY', 'postgres_verbose'
	],
	[ 'URI', $in_uri, {}, '-c DateStyle=ISO,\ DMY', 'ISO, DMY', 'postgres' ],
	[
		'PGOPTIONS', $connstr,
		{ PGOPTIONS => $pgoptions }, $pgoptions,
		'German, DMY', 'sql_standard'
	],
	[
		'keywords before PGOPTIONS',
		$in_conninfo,
		{ PGOPTIONS => $pgoptions },
		'-c DateStyle=ISO,\ DMY -c IntervalStyle=postgres_verbose',
		'ISO, DMY',
		'postgres_verbose'
	],
	[
		'service',
		"$connstr service=with_options",
		{ PGSERVICEFILE => $service_file },
		'-c DateStyle=ISO,\ YMD -c IntervalStyle=iso_8601',
		'ISO, YMD',
		'iso_8601'
	],
	[
		'PGSERVICE before PGOPTIONS',
		$connstr,
		{
			PGSERVICEFILE => $service_file,
			PGSERVICE => 'with_options',
			PGOPTIONS => $pgoptions
		},
		'-c DateStyle=ISO,\ YMD -c IntervalStyle=iso_8601',
		'ISO, YMD',
		'iso_8601'
	],
	[
		'service without options, PGOPTIONS',
		"$connstr service=without_options",
		{ PGSERVICEFILE => $service_file, PGOPTIONS => $pgoptions },
		$pgoptions,
		'German, DMY',
		'sql_standard'
	],
	[
		'keywords before a service',
		"$in_conninfo service=with_options",
		{ PGSERVICEFILE => $service_file },
		'-c DateStyle=ISO,\ DMY -c IntervalStyle=postgres_verbose',
		'ISO, DMY',
		'postgres_verbose'
	])
{
	my ($what, $conninfo, $environment, $options, $date_style,
		$interval_style)
	  = @$case;

	connect_with($conninfo, %$environment);
	my $sent = $proxy->count('startup')->{options};
	like($sent, qr/\Q$asked\E/, "$what: asked for");
	like($sent, qr/\Q$options\E/, "$what: the user's options are kept");
	is($proxy->count('status')->{DateStyle},
		$date_style, "$what: and have an effect");
	is($proxy->count('status')->{IntervalStyle},
		$interval_style, "$what: and have an effect");
	my $name = receiver_row($standby)->{name};
	wait_until(
		$primary,
		"SELECT string_agg(application_name, ' ') = '$name' FROM walstream_senders",
		"$what: both ends show the same name");
}

# Options that need quoting at each level.
foreach my $case (
	[ q{-c TimeZone=<a\ 'b>3}, q{<A 'B>3} ],
	[ q{-c TimeZone=<a\\\\b"c>3}, q{<A\B"C>3} ],
	[ q{--TimeZone=<a\$b>3}, q{<A$B>3} ],
	[ q{-c TimeZone=Etc/GMT+5 }, q{Etc/GMT+5} ],
	[ q{-c TimeZone=Etc/GMT+6\\}, q{Etc/GMT+6} ])
{
	my ($options, $time_zone) = @$case;
	my $quoted = $options =~ s/([\\'])/\\$1/gr;

	connect_with("$connstr options='$quoted'");
	is($proxy->count('status')->{TimeZone},
		$time_zone, "options \"$options\" have an effect");
}

# A setting that only superusers may change: it makes the walsender log more.
my $log = -s $primary->logfile;
connect_with("$connstr options='-c log_min_messages=debug1'");
$primary->wait_for_log(
	qr/DEBUG:  "standby" has now caught up with upstream server/, $log);

#
# Passwords
#
my $password = q{p' a"\ %20=&\\};
$primary->safe_psql('postgres',
	'CREATE ROLE repl LOGIN REPLICATION PASSWORD '
	  . ("'" . $password =~ s/'/''/gr . "'"));
my $hba = slurp_file($primary->data_dir . '/pg_hba.conf');
unlink($primary->data_dir . '/pg_hba.conf');
$primary->append_conf('pg_hba.conf',
	"local replication repl scram-sha-256\n$hba");
$primary->reload;

my $quoted = $password =~ s/([\\'])/\\$1/gr;
my $percent = $password =~ s/(\W)/sprintf('%%%02X', ord($1))/ger;
foreach my $case (
	[ 'keywords', "$connstr user=repl password='$quoted'" ],
	[ 'URI', $uri =~ s{//}{//repl:$percent@}r ],
	[ 'URI parameter', "$uri?user=repl&password=$percent" ])
{
	my ($what, $conninfo) = @$case;

	$log = -s $standby->logfile;
	connect_with($conninfo);
	is($proxy->count('startup')->{user}, 'repl', "password in $what: user");
	my $shown =
	  $standby->safe_psql('postgres',
		'SELECT conninfo FROM pg_stat_wal_receiver');
	like($shown, qr/user=repl\b/, "password in $what: conninfo is shown");
	like($shown, qr/walstream\.accept=1/,
		"password in $what: with the request");
	like($shown, qr/password=\*+ /, "password in $what: and hidden password");
	unlike(
		slurp_file($standby->logfile, $log),
		qr/\Q$password\E|\Q$quoted\E|\Q$percent\E/,
		"password in $what: it is not in the log");
}

# A wrong password is not mistaken for a refusal of the request.
$log = -s $standby->logfile;
$primary->safe_psql('postgres', "ALTER ROLE repl PASSWORD 'other'");
$primary->safe_psql('postgres',
	'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
$standby->wait_for_log(qr/password authentication failed for user "repl"/,
	$log);
$primary->safe_psql('postgres',
	'ALTER ROLE repl PASSWORD ' . ("'" . $password =~ s/'/''/gr . "'"));
wait_for_choice($log, $compressed);
is(count_warnings($log), 0, 'a wrong password: no warning');

#
# A path that refuses options
#
$log = -s $standby->logfile;
connect_with($connstr);
declare_expected_warning(
	'upstream refuses a connection that asks for compression');
$proxy->set_rules({ action => 'refuse_options' });
reconnect($refused);
is(count_warnings($log), 1, 'refused: one warning');
like(
	slurp_file($standby->logfile, $log),
	qr/\Q$warning\E\n.*DETAIL:  .*unsupported startup parameter: options/,
	'refused: what the upstream says');
is($proxy->count('startup')->{options}, undef, 'refused: connects without');
load_wal($primary);
wait_for_replay($primary, $standby);
my $row = receiver_row($standby);
is($row->{codec}, undef, 'refused: not compressed');
is("uncompressed: $row->{plain_reason}", $refused, 'refused: reason');
is( sender_row($primary, 'standby')->{plain_reason},
	'the receiver did not ask for compression',
	'refused: sender');

my $times = $proxy->count('refuse_options');
reconnect($refused);
is($proxy->count('refuse_options'), $times, 'refused: it does not ask again');
is(count_warnings($log), 1, 'refused: no second warning');

# After a reload the standby requests compression again, and is refused again.
$standby->reload;
$standby->wait_for_log(qr/received SIGHUP/, $log);
reconnect($refused);
cmp_ok($proxy->count('refuse_options'),
	'>', $times, 'refused: a reload lets it ask again');
is(count_warnings($log), 2, 'refused: and warn again');

$proxy->set_rules;
my $reload_log = -s $standby->logfile;
$standby->reload;
$standby->wait_for_log(qr/received SIGHUP/, $reload_log);
reconnect($compressed);
is($proxy->count('startup')->{options}, $asked, 'no longer refused');
is(receiver_row($standby)->{codec}, 'walz', 'no longer refused: compressed');
is(count_warnings($log), 2, 'no longer refused: no warning');

# A single failure does not count as a refusal, not even if the upstream has no
# room for a second connection beside the standby's.
foreach my $max_wal_senders (10, 1)
{
	$primary->adjust_conf('postgresql.conf', 'max_wal_senders',
		$max_wal_senders);
	$primary->restart;
	connect_with($connstr);
	$log = -s $standby->logfile;
	$times = $proxy->count('refuse_options');
	$proxy->set_rules({ action => 'refuse_options', times => 1 });
	$primary->safe_psql('postgres',
		'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
	$standby->wait_for_log(qr/LOG:  receiving WAL for "standby"/, $log);

	my $what = "one failure, $max_wal_senders walsenders";
	is($proxy->count('refuse_options'), $times + 1, $what);
	like(
		slurp_file($standby->logfile, $log),
		qr/LOG:  receiving WAL for "standby" $compressed\n/,
		"$what: compressed");
	is(count_warnings($log), 0, "$what: no warning");
}

# If the user has options, too, the connection fails, as it does without
# walstream.
connect_with($in_conninfo);
$log = -s $standby->logfile;
$proxy->set_rules({ action => 'refuse_options' });
$primary->safe_psql('postgres',
	'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
$standby->wait_for_log(qr/FATAL: .*unsupported startup parameter: options/,
	$log);
$proxy->set_rules;
wait_for_choice($log, $compressed);
is(count_warnings($log), 0, "the user's options are refused: no warning");

#
# While an upstream is down, or is starting up, its errors do not count as
# refusals: the request is made again when it is back.
#
connect_with($primary->connstr);
$log = -s $standby->logfile;
$primary->stop;
$standby->wait_for_log(qr/FATAL: .*could not connect to the primary server/,
	$log);
$primary->start;
wait_for_choice($log, $compressed);
is(count_warnings($log), 0, 'the upstream was away: no warning');

$log = -s $standby->logfile;
my $session = $primary->background_psql('postgres');
my $stop = IPC::Run::start(
	[ 'pg_ctl', '-D', $primary->data_dir, '-m', 'smart', 'stop' ],
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$primary->wait_for_log(qr/received smart shutdown request/);
$session->query_safe(
	'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
$standby->wait_for_log(qr/FATAL: .*the database system is shutting down/,
	$log);
$session->quit;
$stop->finish;
$primary->stop('fast', fail_ok => 1);
$primary->start;
wait_for_choice($log, $compressed);
is(count_warnings($log), 0, 'the upstream was shutting down: no warning');

load_wal($primary);
standby_matches($primary, $standby,
	'standby and primary are the same in the end');

done_testing();
