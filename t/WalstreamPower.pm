#-------------------------------------------------------------------------
#
# WalstreamPower.pm
#	  What a power cut may leave of a directory, after the record that
#	  src/test/power/power_record.c has made.
#
#	my $record = WalstreamPower->new($file);
#	my $replay = $record->replay(leave_out => $kind, unneeded => $pattern);
#								# or leave_out => [ $kind, $kind ]
#	$replay->advance($n);			# to before the n-th record
#	my $files = $replay->files;		# what is certain: path => content
#	my $files = $replay->files($seed);	# with some of the rest
#	write_files($files, $dir);
#
# A file's content is certain as of its last fsync.  fdatasync does the same
# for bytes within the size at the last fsync, so a file that grows needs
# fsync.  A directory's entries are certain as of the last fsync of the
# directory.  A disk may have written more: with a seed, some blocks of 4 kB
# that were not synced and some changes of names, in any order, are included
# too.
#
# A kind of sync is its call and the name under which the file was made, with
# variable parts replaced, and "again" if the file was written to between an
# earlier fsync and this one.  (PostgreSQL's durable_rename() calls fsync
# before and after; these are one kind.) The sync of a directory has one kind
# for each change since the sync before, except for changes that need not be
# durable, such as those of names that end in ".tmp".
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package WalstreamPower;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Fcntl qw(F_SETLKW F_WRLCK O_APPEND O_WRONLY);
use PostgreSQL::Test::Utils;
use WalstreamReplay;

our @EXPORT = qw(write_files add_mark names_fault kinds_fault);

# For each kind of record the number of its fields, and which of them count the
# bytes that follow the line (for two paths, both together).
my %format = (
	create => [2],
	mkdir => [2],
	write => [ 3, 2 ],
	allocate => [3],
	truncate => [2],
	fsync => [2],
	fdatasync => [2],
	rename => [ 2, 0, 1 ],
	link => [ 2, 0, 1 ],
	unlink => [1],
	rmdir => [1],
	stream => [ 2, 1 ],
	ack => [4],
	served => [2],
	mark => [1],
	unknown => [2]);

sub new
{
	my ($class, $file) = @_;
	my $log = slurp_file($file);
	my $at = 0;
	my @records;

	while ($at < length($log))
	{
		my $end = index($log, "\n", $at);
		die "the record ends within a line\n" if $end < 0;
		my ($name, $rest) =
		  split(/ /, substr($log, $at, $end - $at), 2);
		my ($fields, @counts) =
		  @{ $format{$name} // die "unknown record \"$name\"\n" };
		my @fields = split(/ /, $rest // '', $fields);
		$#fields = $fields - 1;
		$at = $end + 1;

		if (@counts)
		{
			my $bytes = 0;
			$bytes += $fields[$_] foreach @counts;
			push @fields, $at;
			$at += $bytes + 1;
		}
		die "could not tell what \"$fields[0]\" did to \"$fields[1]\"\n"
		  if $name eq 'unknown';
		push @records, [ $name, @fields ];
	}
	return bless { log => \$log, records => \@records }, $class;
}

sub count
{
	my ($self) = @_;

	return scalar(@{ $self->{records} });
}

# The numbers of the records with this name.
sub find
{
	my ($self, $name) = @_;

	return
	  grep { $self->{records}[$_][0] eq $name } (0 .. $#{ $self->{records} });
}

# The name and the fields of a record.
sub fields
{
	my ($self, $number) = @_;

	return @{ $self->{records}[$number] };
}

#
# Let the test add a mark to the record that is being made.
#
sub add_mark
{
	my ($file, $text) = @_;

	sysopen(my $fh, $file, O_WRONLY | O_APPEND)
	  or die "could not open \"$file\": $!\n";
	my $lock = pack('s s x4 q q i x4', F_WRLCK, 0, 0, 0, 0);
	fcntl($fh, F_SETLKW, $lock)
	  or die "could not lock \"$file\": $!\n";
	syswrite($fh, "mark $text\n");
	close($fh);
	return;
}

sub write_files
{
	my ($files, $dir) = @_;

	mkdir($dir, 0700);
	foreach my $path (sort keys %$files)
	{
		if (!defined $files->{$path})
		{
			mkdir("$dir/$path", 0700) or die "mkdir $dir/$path: $!\n";
			next;
		}
		open(my $fh, '>:raw', "$dir/$path") or die "open $dir/$path: $!\n";
		print $fh $files->{$path};
		close($fh) or die "close $dir/$path: $!\n";
		chmod(0600, "$dir/$path");
	}
	return;
}

#
# What keeps a relay from starting with these names; undef if nothing does.  No
# segment of a timeline may be missing, and only the last one may be open.
#
sub names_fault
{
	my ($files) = @_;
	my %forms;    # timeline => segment number => forms

	foreach my $file (keys %$files)
	{
		$forms{ hex($1) }{ hex($2) * 4096 + hex($3) }{ $4 // '' } = 1
		  if $file =~ m{^store/(.{8})(.{8})(.{8})(\.partial|\.zst)?$};
	}
	return 'WAL without identity'
	  if %forms && !exists $files->{'store/walstream.identity'};
	foreach my $tli (sort keys %forms)
	{
		my @numbers = sort { $a <=> $b } keys %{ $forms{$tli} };
		my $last = pop @numbers;

		return "no history of timeline $tli, which has WAL"
		  if $tli > 1
		  && !exists $files->{ sprintf('store/%08X.history', $tli) };
		foreach my $number (@numbers)
		{
			return
			  sprintf('segment %X of timeline %d is not the last, but open',
				$number, $tli)
			  if join(' ', keys %{ $forms{$tli}{$number} }) eq '.partial';
			return sprintf('segment %X of timeline %d is missing',
				$number + 1, $tli)
			  if !exists $forms{$tli}{ $number + 1 };
		}
	}
	return undef;
}

#
# Which expected kinds of sync are missing in $found (a reference to a hash),
# and which kinds in it were not expected; undef if there are none.
#
sub kinds_fault
{
	my ($found, @expected) = @_;
	my %expected = map { $_ => 1 } @expected;
	my @faults =
	  map { "missing: $_" } grep { !exists $found->{$_} } @expected;

	push @faults,
	  map { "unknown: $_" } grep { !$expected{$_} } sort keys %$found;
	return @faults ? join("\n", @faults) : undef;
}

sub replay
{
	my ($self, %options) = @_;

	return WalstreamReplay->new($self, %options);
}

1;
