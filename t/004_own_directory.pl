# Copyright (c) 2026, the walstream authors

# walstream in a directory of its own, as "make install DESTDIR=..." makes it:
# since PostgreSQL 18 two settings say where it is.

use strict;
use warnings;

use File::Basename;
use File::Copy;
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WalstreamTest;

my $node = walstream_primary('primary', walstream => 0);

if ($node->safe_psql('postgres',
		"SELECT count(*) FROM pg_settings WHERE name = 'extension_control_path'"
	) == 0)
{
	plan skip_all => 'an extension must be in the installation before 18';
}

sub config
{
	my ($what) = @_;
	my ($stdout) = run_command([ 'pg_config', "--$what" ]);

	return $stdout;
}

# The copy can be told from the one in the installation by its comment.
my $dir = PostgreSQL::Test::Utils::tempdir();
make_path("$dir/share/extension", "$dir/lib");
copy($_, "$dir/share/extension/" . basename($_)) || die "copy $_: $!\n"
  foreach glob(config('sharedir') . '/extension/walstream*');
copy(config('pkglibdir') . '/walstream.so', "$dir/lib/walstream.so")
  || die "copy: $!\n";
my $control = slurp_file("$dir/share/extension/walstream.control");
$control =~ s/^comment = .*$/comment = 'from its own directory'/m
  || die "no comment in the control file\n";
unlink("$dir/share/extension/walstream.control") || die "unlink: $!\n";
append_to_file("$dir/share/extension/walstream.control", $control);

# The server may run as another user than the test.
chmod(0755, $dir, glob("$dir/*"), glob("$dir/*/*"));

$node->append_conf(
	'postgresql.conf', qq{
extension_control_path = '$dir/share:\$system'
dynamic_library_path = '$dir/lib:\$libdir'
shared_preload_libraries = 'walstream'
});
$node->restart;
$node->safe_psql('postgres', 'CREATE EXTENSION walstream');
is( $node->safe_psql(
		'postgres',
		"SELECT obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = 'walstream'"
	),
	'from its own directory',
	'the extension comes from the directory');

my $pid = (split(/\n/, slurp_file($node->data_dir . '/postmaster.pid')))[0];
my %libraries =
  map { $_ => 1 } slurp_file("/proc/$pid/maps") =~ m{(/\S*/walstream\.so)$}mg;
is( join(' ', keys %libraries),
	"$dir/lib/walstream.so",
	'the preloaded library, too');

# The functions are those of the preloaded library, not of a second one.
is($node->safe_psql('postgres', 'SELECT count(*) FROM walstream_totals'),
	0, 'its functions work');

done_testing();
