#!/bin/sh
#
# The command-line tool walz; TAP output.
#
#	test_walz.sh <walz> <make_segment>
#
# Copyright (c) 2026, the walstream authors

case $1 in
	/*) walz=$1 ;;
	*) walz=$PWD/$1 ;;
esac
make_segment=$2
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
count=0

# ok <description>: reports the exit status of the command before
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

# skip <description> <why>
skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# try <expected status> <arguments>: run walz
try()
{
	expected=$1
	shift
	"$walz" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq "$expected" ]
}

# bytes <file> <offset> <format of printf>: overwrite some
bytes()
{
	# shellcheck disable=SC2059
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# flip <file> <offset>: change all bits of a byte
flip()
{
	was=$(od -An -v -t u1 -j "$2" -N 1 "$1")
	bytes "$1" "$2" "\\$(printf %03o $((255 - was)))"
}

# no output has left a temporary file
no_temporary()
{
	[ -z "$(find "$tmp" -name '*.tmp.*')" ]
}

# start <arguments>: run walz in the background, and wait for its temporary
# file, which it creates before it begins to work
start()
{
	"$walz" "$@" >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	while no_temporary && kill -0 $pid 2>/dev/null; do :; done
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
try 2 --nonsense report "$segment"
ok "unknown option"

try 0 encode "$segment" && [ -s "$segment.walz" ] &&
	[ "$(wc -c <"$segment.walz")" -lt 250000 ]
ok "encode"
cmp -s "$segment" "$tmp/original"
ok "encode leaves the segment alone"
rm "$segment"
try 0 decode "$segment.walz" && cmp -s "$segment" "$tmp/original"
ok "decode"
try 0 --output="$tmp/copy" decode "$segment.walz" && cmp -s "$tmp/copy" "$tmp/original"
ok "decode to another name"
try 1 encode "$segment.walz" && grep -q "encoded already" "$tmp/err"
ok "an encoded file is not encoded again"
try 1 --output="$tmp/none" decode "$segment" && grep -q "not encoded" "$tmp/err" &&
	[ ! -e "$tmp/none" ]
ok "a segment is not decoded"

try 0 verify "$tmp/wal" && grep -q "^2 files verified" "$tmp/out"
ok "verify a folder with a segment and an encoded file"

# damage: a changed byte in the middle, a truncated file
size=$(wc -c <"$segment.walz")
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

# the name of a recycled segment differs from its content
cp "$segment" "$tmp/wal/000000010000000000000020"
try 0 --json report "$tmp/wal/000000010000000000000020" && grep -q '"segments": 0' "$tmp/out"
ok "a recycled segment is left out"

# existing files are kept; in pg_wal the server may have one open
echo mine >"$tmp/mine"
cp "$segment.walz" "$tmp/target.walz"
cp "$tmp/mine" "$tmp/target"
try 1 decode "$tmp/target.walz" && grep -q -e --force "$tmp/err" &&
	cmp -s "$tmp/target" "$tmp/mine"
ok "decode does not replace a file"
cp "$tmp/mine" "$tmp/target"
try 1 --output="$tmp/target" encode "$segment" && grep -q -e --force "$tmp/err" &&
	cmp -s "$tmp/target" "$tmp/mine"
ok "encode does not replace a file"
try 0 --force decode "$tmp/target.walz" && cmp -s "$tmp/target" "$tmp/original"
ok "decode with --force does"
cp "$tmp/mine" "$tmp/target"
try 0 --force --output="$tmp/target" encode "$segment" && cmp -s "$tmp/target" "$segment.walz"
ok "encode with --force does"
(umask 0; "$walz" --force --output="$tmp/target" encode "$segment") >"$tmp/out" 2>"$tmp/err" &&
	[ -n "$(find "$tmp/target" -perm 600)" ]
ok "only the owner may read what is written"

cp "$segment" "$tmp/input"
try 1 --force --output="$tmp/wal/../input" encode "$tmp/input" && grep -q "is the input" "$tmp/err" &&
	cmp -s "$tmp/input" "$tmp/original"
ok "the input is never replaced"
ln -s mine "$tmp/link"
try 1 --force --output="$tmp/link" encode "$segment" && [ -L "$tmp/link" ] &&
	try 1 --force --output="$tmp/wal" encode "$segment"
ok "nor what is no regular file"
try 1 --output="$tmp/missing/file" encode "$segment" && grep -q "could not create" "$tmp/err"
ok "no such folder to write to"
try 1 --output="$tmp/mine/file" encode "$segment" && grep -q "could not stat" "$tmp/err"
ok "a file in place of the folder to write to"
try 1 encode "$tmp/missing" && grep -q "could not open" "$tmp/err" && [ ! -e "$tmp/missing.walz" ]
ok "no input"
try 1 encode "$tmp/wal" && grep -q "no file of a segment's size" "$tmp/err" &&
	[ ! -e "$tmp/wal.walz" ] && no_temporary
ok "a folder as input"
try 2 decode "$segment" && grep -q -e --output "$tmp/err"
ok "decode: a name without .walz"
(cd "$tmp" && "$walz" --output=here encode "$segment") >"$tmp/out" 2>"$tmp/err" &&
	cmp -s "$tmp/here" "$segment.walz"
ok "write to the current folder"
mkdir "$tmp/unreadable"
chmod 300 "$tmp/unreadable"
if [ "$(id -u)" = 0 ]; then
	skip "a folder that cannot be synced" "root may read it"
	skip "a folder that cannot be read" "root may"
	skip "a file that cannot be read" "root may"
else
	try 1 --output="$tmp/unreadable/file" encode "$segment" &&
		grep -q "could not fsync directory" "$tmp/err" &&
		cmp -s "$tmp/unreadable/file" "$segment.walz"
	ok "a folder that cannot be synced"
	try 1 report "$tmp/unreadable" && grep -q "could not open directory" "$tmp/err"
	ok "a folder that cannot be read"
	cp "$segment" "$tmp/unreadable/file"
	chmod 200 "$tmp/unreadable/file"
	try 1 report "$tmp/unreadable/file" && grep -q "could not open file" "$tmp/err"
	ok "a file that cannot be read"
fi
chmod 700 "$tmp/unreadable"
rm -r "$tmp/unreadable"
long=$(printf '%01100d' 0)
try 1 --output="$long" encode "$segment" && grep -q "too long" "$tmp/err"
ok "a name that is too long is not cut"
try 1 --output="$(printf './%.0s' $(seq 507))none" encode "$segment" && grep -q "too long" "$tmp/err"
ok "nor one that is too long for the temporary file"
(ulimit -f 8; "$walz" --output="$tmp/none" encode "$segment") >"$tmp/out" 2>"$tmp/err"
[ $? -eq 1 ] && grep -q "could not write" "$tmp/err" && [ ! -e "$tmp/none" ] && no_temporary
ok "a file that cannot be written leaves nothing"

# large enough for signals to arrive while it is encoded
"$make_segment" 32 >"$tmp/large" || exit 1
start --output="$tmp/none" encode "$tmp/large"
cp "$tmp/mine" "$tmp/none"
wait $pid
[ $? -eq 1 ] && grep -q -e --force "$tmp/err" && cmp -s "$tmp/none" "$tmp/mine" && no_temporary
ok "a file that comes to exist meanwhile is not replaced"
rm -f "$tmp/none"
start --force --output="$tmp/none" encode "$tmp/large"
mkdir "$tmp/none"
wait $pid
[ $? -eq 1 ] && grep -q "not a regular file" "$tmp/err" && [ -d "$tmp/none" ] && no_temporary
ok "nor a folder, with --force"
rmdir "$tmp/none"
for option in --quiet --force; do
	mkdir "$tmp/gone"
	start $option --output="$tmp/gone/none" encode "$tmp/large"
	rm -r "$tmp/gone"
	wait $pid
	[ $? -eq 1 ] && grep -q "could not write file" "$tmp/err" && [ ! -e "$tmp/gone" ]
	ok "the folder is removed meanwhile, with $option"
done
# the other signals that walz handles may be ignored here, which walz does not
# change
start --output="$tmp/none" encode "$tmp/large"
kill -TERM $pid
wait $pid 2>/dev/null
[ $? -eq 143 ] && [ ! -e "$tmp/none" ] && no_temporary
ok "a signal leaves nothing"

# impossible sizes in a header; there are no blocks, in which another fault
# could be found first
for field in "16 block" "20 segment"; do
	at=${field% *}
	zero=$tmp/0000000100000000000000$at
	for byte in 0 1 377; do
		(head -c 24 "$segment.walz"; printf '\0\0\0\0') >"$zero"
		bytes "$zero" "$at" "\\$byte\\$byte\\$byte\\$byte"
		for command in report verify decode; do
			try 1 --output="$tmp/none" $command "$zero" && grep -q "$zero.*damaged: sizes" "$tmp/err"
			ok "$command: an encoded file with ${field#* } size of bytes $byte"
		done
	done
done

cp "$segment.walz" "$tmp/damaged.walz"
bytes "$tmp/damaged.walz" 22 '\040'
try 1 verify "$tmp/damaged.walz" && grep -q "does not go with its contents" "$tmp/err"
ok "a header with another size than the segment's"

# damage everywhere in the file's and the first block's header, and in some
# places after that; truncation likewise
size=$(wc -c <"$segment.walz")
bad=$tmp/bad.walz
status=0
for at in $(seq 0 40) $(seq 41 $((size / 40)) $((size - 5))) $(seq $((size - 4)) $((size - 1))); do
	cp "$segment.walz" "$bad"
	flip "$bad" "$at"
	if ! { try 1 verify "$bad" && grep -q "$bad" "$tmp/err"; }; then
		echo "# byte $at"
		status=1
	fi
	head -c "$at" "$segment.walz" >"$bad"
	if ! { try 1 report "$bad" && grep -q "$bad" "$tmp/err"; }; then
		echo "# cut at $at"
		status=1
	fi
done
[ $status -eq 0 ]
ok "damage anywhere is found"
(cat "$segment.walz"; echo) >"$bad"
try 1 verify "$bad" && grep -q damaged "$tmp/err"
ok "and bytes too many"

# report and verify write nothing, not even beside what they read
find "$tmp/wal" -type f -exec cksum {} + | sort >"$tmp/before"
try 0 report "$tmp/wal" && try 0 verify "$tmp/wal"
find "$tmp/wal" -type f -exec cksum {} + | sort | cmp -s - "$tmp/before"
ok "report and verify change nothing"

# the same pages count in a segment, encoded or not
try 0 --json report "$segment" && grep -o '"wal_bytes": [0-9]*' "$tmp/out" >"$tmp/before"
try 0 --json report "$segment.walz" && grep -o '"wal_bytes": [0-9]*' "$tmp/out" | cmp -s - "$tmp/before"
ok "a report of an encoded file is that of its segment"

if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
	# as on a terminal, with one line for each time that progress is shown
	script -qec "'$walz' report '$tmp/large'" /dev/null </dev/null | tr '\r' '\n' >"$tmp/out"
	grep -q '^0 of 1 files, [1-9][0-9]* %' "$tmp/out"
	ok "progress within a file"
	# this takes some seconds; a line for each message would be tens of
	# thousands
	[ "$(grep -c ' of 1 files' "$tmp/out")" -lt 400 ]
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
mkdir "$tmp/empty"
try 1 report "$tmp/empty" && grep -q "no WAL segments" "$tmp/err"
ok "no segments in a folder"
truncate -s 1200M "$tmp/huge"
try 1 report "$tmp/huge" && grep -q "no file of a segment's size" "$tmp/err"
ok "a file that is larger than any segment"
rm "$tmp/huge"
try 1 report "$tmp/$(printf './%.0s' $(seq 600))original" && grep -q "too long" "$tmp/err"
ok "a path that is too long is not cut"

# first pages that no segment has: the header's flags, position, and sizes
for field in "2 0" "10 1" "32 1" "34 0" "36 1" "37 0"; do
	cp "$tmp/original" "$tmp/text"
	bytes "$tmp/text" "${field% *}" "\\${field#* }\\${field#* }"
	try 1 report "$tmp/text" && grep -q "not a WAL segment" "$tmp/err"
	ok "not a segment: changed at byte ${field% *}"
done
head -c 39 "$tmp/original" >"$tmp/text"
try 1 report "$tmp/text" && grep -q "not a WAL segment" "$tmp/err"
ok "not a segment: less than a header"
cat "$tmp/original" "$tmp/original" >"$tmp/text"
try 1 report "$tmp/text" && grep -q "not a WAL segment" "$tmp/err"
ok "not a segment: larger than its header says"
head -c 8202 "$tmp/original" >"$tmp/text"
try 0 --json report "$tmp/text" && grep -q '"wal_bytes": 8192' "$tmp/out"
ok "a page that ends within its header is left out"

echo "1..$count"
exit "${failed:-0}"
