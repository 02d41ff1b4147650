#-------------------------------------------------------------------------
#
# SourceGraph.pm
#	  Which source file uses functions and variables of which other file, and
#	  the circles among them.
#
# A file here is a .c together with the .h of its name.  Uses are found by
# looking at the source alone, so that nothing needs to be built: names at the
# beginning of a line, where pgindent puts them, are definitions, and all
# others outside comments and strings are uses.  A macro belongs to its header,
# but counts only for the names in its own text.
#
# Copyright (c) 2026, the walstream authors
#
#-------------------------------------------------------------------------
package SourceGraph;

use strict;
use warnings;

sub new
{
	my ($class, @paths) = @_;
	my $self = bless {
		text => {},    # path => its code
		home => {},    # name => path that defines it
		uses => {},    # file => { file => { name => 1 } }
	}, $class;

	$self->{text}{$_} = read_code($_) foreach sort @paths;
	$self->find_homes();
	$self->find_uses();
	return $self;
}

# The text of a file without comments, strings and includes.
sub read_code
{
	my ($path) = @_;

	open(my $fh, '<', $path) || die "could not open \"$path\": $!\n";
	my $text = do { local $/; <$fh> };
	close($fh);

	$text =~ s{/\*.*?\*/|("(?:[^"\\\n]|\\.)*")|('(?:[^'\\\n]|\\.)+')}
	  {defined $1 ? '""' : defined $2 ? '0' : ' '}gse;
	$text =~ s/^\s*#\s*include.*$//mg;
	return $text;
}

sub unit
{
	my ($path) = @_;

	return $path =~ s/\.[ch]$//r;
}

sub find_homes
{
	my ($self) = @_;
	my %declared;

	foreach my $path (grep { /\.h$/ } sort keys %{ $self->{text} })
	{
		my $text = $self->{text}{$path};

		# a whole declaration, which may have several lines
		while ($text =~ /^(?:\w+ )?extern\b([^;{]*);/mg)
		{
			my $declaration = $1;

			$declaration =~ s/pg_attribute_\w+(?:\([^)]*\))?//g;
			$declared{$1} = 1
			  if $declaration =~ /\b(\w+)\s*\(/
			  || $declaration =~ /\b(\w+)\s*(?:\[[^\]]*\]\s*)*$/;
		}
		$self->{home}{$1} = $path
		  while $text =~ /^static inline\b[^;({]*?\b(\w+)\s*\(/mg;
	}
	foreach my $path (grep { /\.c$/ } sort keys %{ $self->{text} })
	{
		my $text = $self->{text}{$path};

		while ($text =~
			/^(\w[^\n(=;]*?)??\b(\w+)\s*(?:\[[^\]\n]*\]\s*)*(\(|=|;)/mg)
		{
			my ($before, $name, $what) = ($1 // '', $2, $3);

			next if !$declared{$name} || $before =~ /^(?:static|extern)\b/;
			next if $what eq '(' && $before ne '';
			next if $what ne '(' && $before eq '';
			die "$name is defined in $path and in $self->{home}{$name}\n"
			  if exists $self->{home}{$name}
			  && unit($self->{home}{$name}) ne unit($path);
			$self->{home}{$name} = $path;
		}
	}
	return;
}

sub find_uses
{
	my ($self) = @_;

	foreach my $path (sort keys %{ $self->{text} })
	{
		my $from = unit($path);
		my $text = $self->{text}{$path};

		# a declaration does not count as a use
		$text =~ s/^(?:\w+ )?extern\b[^;{]*;//mg;
		while ($text =~ /\b([A-Za-z_]\w*)\b/g)
		{
			my $home = $self->{home}{$1} // next;
			my $to = unit($home);

			$self->{uses}{$from}{$to}{$1} = 1 if $to ne $from;
		}
	}
	return;
}

# The files that a file uses.
sub used_by
{
	my ($self, $file) = @_;

	return sort keys %{ $self->{uses}{$file} // {} };
}

sub files
{
	my ($self) = @_;
	my %units = map { unit($_) => 1 } keys %{ $self->{text} };

	return sort keys %units;
}

sub uses
{
	my ($self, $from, $to) = @_;

	return exists $self->{uses}{$from} && exists $self->{uses}{$from}{$to};
}

# The names of another file that a file uses.
sub names
{
	my ($self, $from, $to) = @_;

	return sort keys %{ $self->{uses}{$from}{$to} // {} };
}

# Ignore a use.
sub forget
{
	my ($self, $from, $to) = @_;

	delete $self->{uses}{$from}{$to};
	return;
}

# The shortest way from a file to another, both included, or nothing.
sub way
{
	my ($self, $from, $to) = @_;
	my %came_from = ($from => undef);
	my @next = ($from);

	while (@next)
	{
		my $file = shift @next;

		foreach my $used ($self->used_by($file))
		{
			if ($used eq $to)
			{
				my @way = ($to);

				for (; defined $file; $file = $came_from{$file})
				{
					unshift @way, $file;
				}
				return @way;
			}
			next if exists $came_from{$used};
			$came_from{$used} = $file;
			push @next, $used;
		}
	}
	return;
}

# Circles, each as a list of its files that begins and ends with the same one.
# If circles share files, only some of them are listed.
sub circles
{
	my ($self) = @_;
	my (@circles, %seen);

	foreach my $file ($self->files())
	{
		next if $seen{$file};
		my @circle = $self->way($file, $file) or next;

		$seen{$_} = 1 foreach @circle;
		push @circles, \@circle;
	}
	return @circles;
}

1;
