# Charts as SVG, written by hand: horizontal bars, or points with intervals.
#
# Copyright (c) 2026, the walstream authors

package Chart;

use strict;
use warnings;

use List::Util qw(max min);
use POSIX ();

use Host;

use constant {
	WIDTH => 780,
	LEFT => 270,    # room for labels
	RIGHT => 90,    # room for the last bar's number
	TOP => 78,
	BAR => 18,
	GAP => 14
};

my %colour = (
	text => '#24292f',
	faint => '#6e7781',
	grid => '#d8dee4',
	stock => '#9aa4af',
	walstream => '#0b6bcb',
	zstd => '#0b6bcb',
	lz4 => '#e08a00',
	bar => '#c62828');

# title, unit: what the chart shows, and its unit. rows: [{ label, values => [[
# series, value ], ...] }, ...]; each value becomes a bar.
sub bars
{
	my ($path, %chart) = @_;
	my @rows = grep { @{ $_->{values} } } @{ $chart{rows} };
	return if !@rows;

	my $scale = scale(0, map { $_->[1] } map { @{ $_->{values} } } @rows);
	my $y = TOP;
	my $body = '';
	my @series;
	for my $row (@rows)
	{
		my $height = BAR * @{ $row->{values} };
		$body .= text(LEFT - 10, $y + $height / 2 + 4, $row->{label}, 'end');
		for my $value (@{ $row->{values} })
		{
			my ($series, $number) = @$value;
			push @series, $series if !grep { $_ eq $series } @series;
			$body .= sprintf
			  qq(<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>\n),
			  LEFT, $y + 1, $scale->{x}->($number) - LEFT, BAR - 2,
			  $colour{$series};
			$body .= text(
				$scale->{x}->($number) + 6,
				$y + BAR - 5,
				number($number) . " $chart{short}",
				'start', 'faint');
			$y += BAR;
		}
		$y += GAP;
	}
	write_svg($path, \%chart, $scale, $y, $body, @series);
	return;
}

# The same for ratios to stock: a point, a line for its interval, and a mark at
# its limit. rows: [{ label, value, low, high, bar }, ...]
sub points
{
	my ($path, %chart) = @_;
	my @rows = @{ $chart{rows} };
	return if !@rows;

	my $scale =
	  scale(map { ($_->{low}, $_->{high}, $_->{bar} // 1, 1) } @rows);
	my $y = TOP + 4;
	my $body = '';
	for my $row (@rows)
	{
		my @x = map { $scale->{x}->($row->{$_}) } qw(low value high);
		$body .= text(LEFT - 10, $y + 12, $row->{label}, 'end');
		$body .= sprintf
		  qq(<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" stroke-width="3" stroke-linecap="round"/>\n),
		  @x[ 0, 2 ], $y + 8, $y + 8, $colour{walstream};
		$body .=
		  sprintf qq(<circle cx="%.1f" cy="%.1f" r="5.5" fill="%s"/>\n),
		  $x[1], $y + 8, $colour{walstream};
		$body .= sprintf
		  qq(<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" stroke-width="2"/>\n),
		  ($scale->{x}->($row->{bar})) x 2, $y - 3, $y + 19, $colour{bar}
		  if defined $row->{bar};
		$body .= text(
			WIDTH - RIGHT + 14,
			$y + 12, number($row->{value}),
			'start', 'faint');
		$y += BAR + GAP;
	}
	write_svg($path, \%chart, $scale, $y, $body, 'walstream', 'bar');
	return;
}

# A linear axis with round ticks that includes these values.
sub scale
{
	my @values = @_;
	my ($low, $high) = (min(@values), max(@values));
	my $span = $high - $low || 1;
	my $power = 10**(POSIX::floor(log($span) / log(10)) - 1);
	my ($step) = grep { $span / $_ <= 7 } map { $power * $_ } 1, 2, 5, 10, 20;

	my $from = $step * POSIX::floor($low / $step + 1e-9);
	my $to = $step * POSIX::ceil($high / $step - 1e-9);
	my $width = WIDTH - LEFT - RIGHT;
	return {
		ticks =>
		  [ map { $from + $_ * $step } 0 .. ($to - $from) / $step + 0.5 ],
		x => sub { LEFT + ($_[0] - $from) / ($to - $from) * $width }
	};
}

sub write_svg
{
	my ($path, $chart, $scale, $bottom, $body, @series) = @_;
	my $height = $bottom + 48;
	my $grid = '';

	for my $tick (@{ $scale->{ticks} })
	{
		my $x = $scale->{x}->($tick);
		$grid .= sprintf
		  qq(<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s"/>\n),
		  $x, $x, TOP - 6, $bottom, $colour{grid};
		$grid .= text(
			$x,
			$bottom + 18,
			0 + sprintf('%.6g', $tick),
			'middle', 'faint');
	}
	$grid .= text(
		(LEFT + WIDTH - RIGHT) / 2,
		$bottom + 38,
		$chart->{unit}, 'middle', 'faint');

	my $legend = '';
	my $x = LEFT;
	for my $series (@series)
	{
		my $name = $chart->{names}{$series} // $series;
		$legend .=
		  sprintf
		  qq(<rect x="%d" y="48" width="12" height="12" fill="%s"/>\n), $x,
		  $colour{$series};
		$legend .= text($x + 18, 58, $name, 'start');
		$x += 46 + 7 * length $name;
	}

	Host::write_file(
		$path,
		sprintf(
			qq(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="13">\n),
			WIDTH, $height, WIDTH, $height)
		  . qq(<rect width="100%" height="100%" fill="#ffffff"/>\n)
		  . qq(<text x="20" y="30" font-size="16" font-weight="600" fill="$colour{text}">)
		  . escape($chart->{title})
		  . "</text>\n"
		  . $legend
		  . $grid
		  . $body
		  . "</svg>\n");
	return;
}

sub text
{
	my ($x, $y, $text, $anchor, $colour) = @_;
	return sprintf
	  qq(<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>\n),
	  $x, $y, $anchor, $colour{ $colour // 'text' }, escape($text);
}

sub number
{
	my ($number) = @_;
	return
		sprintf abs $number >= 100 ? '%.0f'
	  : abs $number >= 10          ? '%.1f'
	  :                              '%.2f', $number;
}

sub escape
{
	my ($text) = @_;
	$text =~ s/&/&amp;/g;
	$text =~ s/</&lt;/g;
	return $text;
}

1;
