#-------------------------------------------------------------------------
#
# WalstreamReplay.pm
#	  A directory during the replay of a record: its content, and which part of
#	  that would certainly survive a power cut.
#
# WalstreamPower's replay() creates it; there it is explained what is certain.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package WalstreamReplay;

use strict;
use warnings FATAL => 'all';

my $block_bytes = 4096;

sub new
{
	my ($class, $record, %options) = @_;

	return bless {
		record => $record,
		next => 0,
		top => new_object(1),
		by_inode => {},
		pending => [],
		kinds => {},
		acked => {},
		begun => {},
		served => 0,
		marks => {},
		connection => {},
		leave_out => [
			ref($options{leave_out})
			? @{ $options{leave_out} }
			: $options{leave_out} // ''
		],
		unneeded => $options{unneeded}
	  },
	  $class;
}

sub new_object
{
	my ($is_dir) = @_;

	return {
		is_dir => $is_dir,
		names => {},     # a directory's entries
		durable_names => {},
		content => '',
		durable => '',
		dirty => [],     # [offset, bytes] not synced
		grown => 0,      # the size was changed since the last fsync
		version => 0,    # counts changes of the durable content
		origin => '',    # the name under which it was made
		synced => 0,     # fsync was called, whether left out or not
		again => 0,      # and the file was written to after that
		changes => {}
	};    # of a directory since the last sync of it
}

sub advance
{
	my ($self, $upto) = @_;
	my $records = $self->{record}{records};

	while ($self->{next} < $upto && $self->{next} < @$records)
	{
		my ($name, @fields) = @{ $records->[ $self->{next}++ ] };
		my $apply = WalstreamReplay->can("apply_$name");

		$self->$apply(@fields);
	}
	return;
}

# The directory and the last component of a path.
sub locate
{
	my ($self, $path) = @_;
	my @components = split(m{/}, $path);
	my $last = pop @components;
	my $dir = $self->{top};

	foreach my $component (@components)
	{
		$dir = $dir->{names}{$component}
		  // die "there is no directory of \"$path\"\n";
	}
	return ($dir, $last);
}

sub look_up
{
	my ($self, $path) = @_;

	return $self->{top} if $path eq '';
	my ($dir, $last) = $self->locate($path);
	return $dir->{names}{$last};
}

sub note_change
{
	my ($self, $path, $what) = @_;
	my ($dir) = $self->locate($path);

	$dir->{changes}{$what} = 1;
	return;
}

# Changes of entries, as [directory, name, object or undef], that happen
# together.
sub change_names
{
	my ($self, @changes) = @_;

	foreach my $change (@changes)
	{
		my ($dir, $name, $object) = @$change;

		if (defined $object)
		{
			$dir->{names}{$name} = $object;
		}
		else
		{
			delete $dir->{names}{$name};
		}
	}
	push @{ $self->{pending} }, \@changes;
	return;
}

# A path with its variable parts replaced.
sub pattern_of
{
	my ($path) = @_;

	$path =~ s/[0-9A-F]{24}/SEGMENT/;
	$path =~ s/[0-9A-F]{8}(?=\.history)/TIMELINE/;
	$path =~ s{/slots/[a-z0-9_]+}{/slots/NAME};
	$path =~ s/before-gap\.[0-9A-F]{8}-[0-9A-F]{8}/before-gap/g;
	return $path =~ s/\.tmp$//r;
}

sub apply_create
{
	my ($self, $inode, $path) = @_;
	my $object = new_object(0);

	$object->{origin} = pattern_of($path);
	$self->note_change($path, 'creating ' . pattern_of($path))
	  if $path !~ /\.tmp$/;
	$self->{by_inode}{$inode} = $object;
	$self->change_names([ $self->locate($path), $object ]);
	return;
}

sub apply_mkdir
{
	my ($self, $inode, $path) = @_;
	my $object = new_object(1);

	$self->note_change($path, 'making ' . pattern_of($path));
	$self->{by_inode}{$inode} = $object;
	$self->change_names([ $self->locate($path), $object ]);
	return;
}

sub apply_rename
{
	my ($self, $old_bytes, $new_bytes, $at) = @_;
	my $old = substr(${ $self->{record}{log} }, $at, $old_bytes);
	my $new = substr(${ $self->{record}{log} }, $at + $old_bytes, $new_bytes);

	$self->note_change($new,
		'renaming ' . pattern_of($old) . ' to ' . pattern_of($new));
	$self->note_change($old, 'moving ' . pattern_of($old) . ' away')
	  if ($self->locate($old))[0] != ($self->locate($new))[0];
	$self->change_names([ $self->locate($new), $self->look_up($old) ],
		[ $self->locate($old), undef ]);
	return;
}

sub apply_link
{
	my ($self, $old_bytes, $new_bytes, $at) = @_;
	my $old = substr(${ $self->{record}{log} }, $at, $old_bytes);
	my $new = substr(${ $self->{record}{log} }, $at + $old_bytes, $new_bytes);

	$self->change_names([ $self->locate($new), $self->look_up($old) ]);
	return;
}

sub apply_unlink
{
	my ($self, $path) = @_;

	$self->note_change($path, 'removing ' . pattern_of($path))
	  if $path !~ /\.tmp$/;
	$self->change_names([ $self->locate($path), undef ]);
	return;
}

sub apply_rmdir
{
	my ($self, $path) = @_;

	return $self->apply_unlink($path);
}

sub apply_write
{
	my ($self, $inode, $offset, $bytes, $at) = @_;
	my $object = $self->{by_inode}{$inode}
	  // die "write to what was not made\n";
	my $size = length($object->{content});

	if ($offset + $bytes > $size)
	{
		$object->{content} .= "\0" x ($offset + $bytes - $size);
		$object->{grown} = 1;
	}
	substr($object->{content}, $offset, $bytes) =
	  substr(${ $self->{record}{log} }, $at, $bytes);
	push @{ $object->{dirty} }, [ $offset, $bytes ];
	$object->{again} = $object->{synced};
	return;
}

sub apply_allocate
{
	my ($self, $inode, $offset, $bytes) = @_;
	my $object = $self->{by_inode}{$inode};
	my $size = length($object->{content});

	return if $offset + $bytes <= $size;
	$object->{content} .= "\0" x ($offset + $bytes - $size);
	$object->{grown} = 1;
	return;
}

sub apply_truncate
{
	my ($self, $inode, $bytes) = @_;
	my $object = $self->{by_inode}{$inode};
	my $size = length($object->{content});

	if ($bytes < $size)
	{
		$object->{content} = substr($object->{content}, 0, $bytes);
	}
	else
	{
		$object->{content} .= "\0" x ($bytes - $size);
	}
	$object->{grown} = 1;
	return;
}

# Count this sync, and return whether it has to be left out.
sub is_left_out
{
	my ($self, $call, $path, $object) = @_;
	my @kinds;

	if ($object->{is_dir})
	{
		my $unneeded = $self->{unneeded};

		@kinds =
		  map { "$call of the directory " . pattern_of($path) . "/ after $_" }
		  grep { !defined $unneeded || $_ !~ $unneeded }
		  keys %{ $object->{changes} };
		$object->{changes} = {};
	}
	else
	{
		@kinds =
		  ("$call $object->{origin}" . ($object->{again} ? ', again' : ''));
		$object->{synced} = 1;
	}
	$self->{kinds}{$_}++ foreach @kinds;
	return grep {
		my $kind = $_;
		grep { $_ eq $kind } @{ $self->{leave_out} };
	} @kinds;
}

sub apply_fsync
{
	my ($self, $inode, $path) = @_;
	my $object = $path eq '' ? $self->{top} : $self->{by_inode}{$inode};

	return if $self->is_left_out('fsync', $path, $object);
	if ($object->{is_dir})
	{
		$object->{durable_names} = { %{ $object->{names} } };

		# the other half of a change in two directories remains pending
		foreach my $changes (@{ $self->{pending} })
		{
			@$changes = grep { $_->[0] != $object } @$changes;
		}
		@{ $self->{pending} } = grep { @$_ } @{ $self->{pending} };
		return;
	}
	if ($object->{grown})
	{
		$object->{durable} = $object->{content};
		$object->{version}++;
	}
	else
	{
		$self->sync_dirty($object);
	}
	$object->{dirty} = [];
	$object->{grown} = 0;
	return;
}

sub apply_fdatasync
{
	my ($self, $inode, $path) = @_;
	my $object = $self->{by_inode}{$inode};

	return if $self->is_left_out('fdatasync', $path, $object);
	$self->sync_dirty($object);
	return;
}

# Make the bytes durable that lie within the durable size.
sub sync_dirty
{
	my ($self, $object) = @_;
	my $size = length($object->{durable});
	my @beyond;

	$object->{version}++ if @{ $object->{dirty} };
	foreach my $range (@{ $object->{dirty} })
	{
		my ($offset, $bytes) = @$range;

		$bytes = length($object->{content}) - $offset
		  if $offset + $bytes > length($object->{content});
		if ($offset + $bytes > $size)
		{
			push @beyond, $range;
			$bytes = $size - $offset;
		}
		next if $bytes <= 0;
		substr($object->{durable}, $offset, $bytes) =
		  substr($object->{content}, $offset, $bytes);
	}
	$object->{dirty} = \@beyond;
	return;
}

# Note what this server has told others, which is a promise from now on.
sub apply_stream
{
	my ($self, $pid, $bytes, $at) = @_;
	my $command = substr(${ $self->{record}{log} }, $at, $bytes);

	if ($command =~ m{ ([0-9A-F]+)/([0-9A-F]+) TIMELINE (\d+)})
	{
		my $begin = (hex($1) << 32) + hex($2);

		$self->{connection}{$pid} = $3;
		$self->{begun}{$3} = $begin
		  if !defined $self->{begun}{$3} || $begin < $self->{begun}{$3};
	}
	return;
}

sub apply_ack
{
	my ($self, $pid, $write, $flush, $apply) = @_;
	my $timeline = $self->{connection}{$pid} // return;

	$self->{acked}{$timeline} = hex($flush)
	  if hex($flush) > ($self->{acked}{$timeline} // 0);
	return;
}

sub apply_served
{
	my ($self, $pid, $lsn) = @_;

	$self->{served} = hex($lsn) if hex($lsn) > $self->{served};
	return;
}

sub apply_mark
{
	my ($self, $text) = @_;

	$self->{marks}{$text} = 1;
	return;
}

#
# The files with their certain content, or with a seed one of their possible
# contents.  "versions" then has a string that stands for the certain contents,
# and changes with them.  With "names" contents are left out.
#
sub files
{
	my ($self, $seed, %options) = @_;
	my %names;    # of directories with changes since their last sync
	my %files;

	if (defined $seed)
	{
		srand($seed);
		my $pending = $self->{pending};

		foreach my $changes (@$pending)
		{
			next if rand() < 0.5;
			foreach my $change (@$changes)
			{
				my ($dir, $name, $object) = @$change;
				my $entries = $names{$dir} //= { %{ $dir->{durable_names} } };

				if (defined $object)
				{
					$entries->{$name} = $object;
				}
				else
				{
					delete $entries->{$name};
				}
			}
		}
	}
	$self->{versions} = {};
	$self->{names_only} = $options{names};
	$self->add_files(\%files, \%names, $self->{top}, '', defined $seed);
	return \%files;
}

sub add_files
{
	my ($self, $files, $names, $dir, $prefix, $torn) = @_;
	my $entries = $names->{$dir} // $dir->{durable_names};

	foreach my $name (sort keys %$entries)
	{
		my $object = $entries->{$name};

		if ($object->{is_dir})
		{
			$files->{"$prefix$name"} = undef;
			$self->add_files($files, $names, $object, "$prefix$name/", $torn);
		}
		elsif ($self->{names_only})
		{
			$files->{"$prefix$name"} = '';
		}
		elsif ($torn && ($object->{grown} || @{ $object->{dirty} }))
		{
			$files->{"$prefix$name"} = torn_content($object);
		}
		else
		{
			$files->{"$prefix$name"} = $object->{durable};
			$self->{versions}{"$prefix$name"} = "$object $object->{version}";
		}
	}
	return;
}

sub torn_content
{
	my ($object) = @_;
	my $content = $object->{durable};
	my $size = length($object->{content});
	my %blocks;

	if (rand() < 0.5)
	{
		$content = substr($content, 0, $size) if length($content) > $size;
		$content .= "\0" x ($size - length($content));
	}
	foreach my $range (@{ $object->{dirty} })
	{
		my ($offset, $bytes) = @$range;
		next if $bytes == 0;
		$blocks{$_} = 1
		  foreach (
			int($offset / $block_bytes) ..
			int(($offset + $bytes - 1) / $block_bytes));
	}
	foreach my $block (sort { $a <=> $b } keys %blocks)
	{
		my $offset = $block * $block_bytes;
		my $bytes = $block_bytes;

		next
		  if rand() < 0.5 || $offset >= length($content) || $offset >= $size;
		$bytes = length($content) - $offset
		  if $offset + $bytes > length($content);
		$bytes = $size - $offset if $offset + $bytes > $size;
		substr($content, $offset, $bytes) =
		  substr($object->{content}, $offset, $bytes);
	}
	return $content;
}

# Files that are written completely before they get their name, and that have a
# durable name but no durable content.
sub incomplete_files
{
	my ($self, $pattern) = @_;
	my @incomplete;
	my @dirs = ([ $self->{top}, '' ]);

	while (my $next = shift @dirs)
	{
		my ($dir, $prefix) = @$next;

		foreach my $name (sort keys %{ $dir->{durable_names} })
		{
			my $object = $dir->{durable_names}{$name};

			push @dirs, [ $object, "$prefix$name/" ] if $object->{is_dir};
			push @incomplete, "$prefix$name"
			  if "$prefix$name" =~ $pattern
			  && $object->{durable} ne $object->{content};
		}
	}
	return @incomplete;
}

# How often each kind of sync has occurred so far.
sub kinds
{
	my ($self) = @_;

	return %{ $self->{kinds} };
}

1;
