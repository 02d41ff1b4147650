#!/bin/sh
#
# The command-line tool walz; TAP output.
#
#	test_walz.sh <walz> <make_segment>

walz=$1
make_segment=$2
tmp=`mktemp -d` || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
count=0

# ok <description>, after the command that it is about
ok()
{
	status=$?
	count=$((count + 1))
	if [ $status -eq 0 ]; then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		sed 's/^/# /' "$tmp/out" "$tmp/err"
		failed=1
	fi
}

# try <expected status> <arguments>: run walz
try()
{
	expected=$1
	shift
	"$walz" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq $expected ]
}

mkdir "$tmp/wal"
segment=$tmp/wal/000000010000000000000010
"$make_segment" >"$segment" || exit 1
cp "$segment" "$tmp/original"

try 0 --help && grep -q Usage "$tmp/out"
ok "--help"
try 2 && grep -q Usage "$tmp/err"
ok "no command"
try 2 compress "$segment"
ok "unknown command"

try 0 encode "$segment" && [ -s "$segment.walz" ] &&
	[ `wc -c <"$segment.walz"` -lt 250000 ]
ok "encode"
cmp -s "$segment" "$tmp/original"
ok "encode leaves the segment alone"
rm "$segment"
try 0 decode "$segment.walz" && cmp -s "$segment" "$tmp/original"
ok "decode"
try 0 --output="$tmp/copy" decode "$segment.walz" && cmp -s "$tmp/copy" "$tmp/original"
ok "decode to another name"
try 1 encode "$segment.walz"
ok "an encoded file is not encoded again"
try 1 --output="$tmp/copy" decode "$segment"
ok "a segment is not decoded"

try 0 verify "$tmp/wal" && grep -q "^2 files verified" "$tmp/out"
ok "verify a folder with a segment and an encoded file"

# damage: a byte in the middle, a file that is cut
size=`wc -c <"$segment.walz"`
cp "$segment.walz" "$tmp/damaged.walz"
printf 'x' | dd of="$tmp/damaged.walz" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
try 1 verify "$tmp/damaged.walz" && grep -q damaged "$tmp/err"
ok "a changed byte is found"
try 1 --output="$tmp/none" decode "$tmp/damaged.walz" && [ ! -e "$tmp/none" ]
ok "nothing is written from a damaged file"
head -c $((size - 5)) "$segment.walz" >"$tmp/short.walz"
try 1 verify "$tmp/short.walz"
ok "a file that is cut is found"

try 0 report "$segment" && grep -q "^Heap " "$tmp/out" && grep -q "one per commit" "$tmp/out"
ok "report"
try 0 --json report "$segment" && grep -q '"resource_managers"' "$tmp/out"
ok "report in JSON"
if command -v python3 >/dev/null; then
	python3 -c 'import json, sys
report = json.load(sys.stdin)
assert report["wal_bytes"] <= 710000
assert report["ways"][1]["ratio"] > 1.5 * report["ways"][0]["ratio"]
names = {m["name"]: m for m in report["resource_managers"]}
assert names["Heap"]["records"] > 1000
assert sum(m["raw_bytes"] for m in names.values()) == report["wal_bytes"]
assert abs(sum(m["sent_bytes"] for m in names.values()) - report["ways"][1]["sent_bytes"]) < 100
' <"$tmp/out" 2>"$tmp/err"
	ok "its numbers fit together"
fi

# a recycled segment has a name that its contents do not have
cp "$segment" "$tmp/wal/000000010000000000000020"
try 0 --json report "$tmp/wal/000000010000000000000020" && grep -q '"segments": 0' "$tmp/out"
ok "a recycled segment is left out"

# large enough for something to happen while it is read
"$make_segment" 32 >"$tmp/large" || exit 1
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
	# as it is on a terminal, one line for each time that progress is shown
	script -qec "'$walz' report '$tmp/large'" /dev/null </dev/null | tr '\r' '\n' >"$tmp/out"
	grep -q '^0 of 1 files, [1-9][0-9]* %' "$tmp/out"
	ok "progress within a file"
	# that takes some seconds here; for each of its messages it would be 10000s
	[ `grep -c ' of 1 files' "$tmp/out"` -lt 400 ]
	ok "but not too often"
	script -qec "'$walz' --quiet report '$tmp/large'" /dev/null </dev/null >"$tmp/out"
	grep -q segments "$tmp/out" && ! grep -q ' of 1 files' "$tmp/out"
	ok "none with --quiet"
fi
try 0 report "$segment" && [ ! -s "$tmp/err" ]
ok "no progress but on a terminal"

echo hello >"$tmp/text"
try 1 report "$tmp/text" && grep -q "not a WAL segment" "$tmp/err"
ok "not a segment"
try 1 report "$tmp/missing"
ok "no such file"

echo "1..$count"
exit ${failed:-0}
