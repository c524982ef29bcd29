#!/bin/bash
# run-dns.sh - measure filtering DNS forwarders side by side, round after round.
#
#   run-dns.sh [-r ROUNDS] [-o OUTDIR] SERVER ...
#
# A SERVER is a file peers/dns-SERVER.peer that sets BIN, VERSION and CMD (in the
# foreground, on 127.0.0.1:5353, forwarding to dnsstub on 127.0.0.1:5300, answering
# only the names of the allow-list). Tests, with dnsload (percentiles):
#   lat1      cached name, one query at a time
#   cached    100 hot names, 64 in flight      (cached4: the same with 512 in flight)
#   uncached  every name new, 64 in flight: filter + forward + answer
#   denied    names off the list, every one new, 64 in flight
# and with dnsperf (comparable with published figures): perf_cached, perf_denied,
# tcp_cached and tcp_denied (eight connections). Memory: after the load, and after
# FULL names more, which is more than any cache here holds (rss_full).
# -q does about a quarter of the work. "direct" is dnsstub itself with one packet a system call; "stub-mmsg" the same with
# recvmmsg/sendmmsg and a suffix filter: the smallest possible filtering responder.
# Results: OUTDIR/results.tsv and a table by report-dns.py.
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
export TOOLS=${TOOLS:-/var/tmp/egress-perf/bin} PEERS=$HERE/peers
LOCK=${BENCH_LOCK:-/tmp/bench.lock} PATH=$PATH:/usr/sbin
if [ "${IN_NS:-}" != 1 ]; then
	mkdir -p "$TOOLS"
	for p in dnsstub dnsload dnsfwd; do
		[ "$TOOLS/$p" -nt "$HERE/$p.c" ] || nice gcc -O2 -Wall -pthread -o "$TOOLS/$p" "$HERE/$p.c" || exit 1
	done
	IN_NS=1 exec unshare -n -m "$0" "$@"
fi
ROUNDS=3 OUT=/var/tmp/egress-perf/dns N=200000 FULL=300000 SEC=2
while getopts r:o:q o; do
	case $o in r) ROUNDS=$OPTARG ;; o) OUT=$OPTARG ;; q) N=50000 FULL=200000 SEC=1 ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
mkdir -p "$OUT"
export RUN=$OUT/run-dns
mkdir -p "$RUN"; chmod 777 "$RUN"
ip link set lo up
sysctl -qw net.ipv4.ip_local_port_range="10000 65535"
echo "nameserver 127.0.0.1" > "$RUN/resolv.conf"
mount --bind "$RUN/resolv.conf" /etc/resolv.conf
{ for i in $(seq -w 1 50); do echo "svc$i.example.com"; echo "registry$i.example.org"; done; echo allowed.test; } > "$RUN/allow.txt"
render() {
	python3 - "$PEERS/$1" "$RUN/$1" <<-'PY'
		import os, sys
		run = os.environ["RUN"]
		names = open(run + "/allow.txt").read().split()
		t = open(sys.argv[1]).read().replace("@RUN@", run)
		out = []
		for line in t.split("\n"):
		    if "@NAME@" in line:  # a line for each name of the allow-list
		        out += [line.replace("@NAME@", n) for n in names]
		    else:
		        out.append(line.replace("@LUA@", ",".join('"%s."' % n for n in names)).replace("@LIST@", ",".join(names)))
		open(sys.argv[2], "w").write("\n".join(out))
	PY
}
seq 0 99 | sed 's/.*/h&.allowed.test A/' > "$RUN/cached.txt"
seq 0 99999 | sed 's/.*/h&.denied.example A/' > "$RUN/denied.txt"
"$TOOLS/dnsstub" -p 5300 -b 1 -4 -i 11.11.0.10 & STUB=$!
trap 'kill $STUB 2>/dev/null' EXIT
sleep 0.2
D="$TOOLS/dnsload -s 127.0.0.1:5353"
put() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >> "$OUT/results.tsv"; }
stop() {
	kill -TERM "-$1" 2>/dev/null
	for _ in $(seq 30); do kill -0 "-$1" 2>/dev/null || break; sleep 0.1; done
	kill -KILL "-$1" 2>/dev/null
	wait "$1" 2>/dev/null
}
perf() { # FILE [TRANSPORT] -> key=value of dnsperf
	dnsperf -s 127.0.0.1 -p 5353 -d "$1" -m "${2:-udp}" -c 8 -T 1 -q 100 -l $SEC 2>/dev/null | awk '
		/Queries per second/ {q=$4} /Queries lost/ {l=$3} /Average Latency/ {split($0,a,":"); split(a[2],b," "); v=b[1]}
		END {printf "mode=dnsperf qps=%s lost=%s avg_us=%.1f", q, l, v*1e6}'
}
rss() { # PID -> kB of it and its children
	local t=0 c
	for c in $1 $(pgrep -P "$1"); do t=$((t + $(awk '/^Rss/ {print $2}' /proc/$c/smaps_rollup))); done
	echo $t
}
one() {
	local r=$1 peer=$2 BIN= VERSION= CMD=() p
	. "$PEERS/dns-$peer.peer"
	if [ ! -e "$BIN" ]; then [ "$r" = 1 ] && echo "$peer: $BIN is not there, left out" >&2; return; fi
	put "$r" "$peer" version "v=${VERSION// /_}"
	put "$r" "$peer" startup "$($D -q 'h%ld.allowed.test' -X 15 -- "${CMD[@]}" 2>>"$OUT/stderr")"
	set -m; "${CMD[@]}" >/dev/null 2>>"$OUT/stderr" & p=$!; set +m
	local ok=0 i
	for i in $(seq 100); do
		$D -q 'h%ld.allowed.test' -n 1 -T 100 2>/dev/null | grep -q with_answer=1 && { ok=1; break; }
		sleep 0.1
	done
	[ $ok = 1 ] || { echo "$peer: no answer" >&2; put "$r" "$peer" failed why=no_answer; stop $p; return; }
	put "$r" "$peer" rss0 "kb=$(rss $p)"
	$D -q 'h%ld.allowed.test' -r 100 -n 20000 > /dev/null # warm
	put "$r" "$peer" lat1 "$($D -q 'h%ld.allowed.test' -r 100 -n $((N / 10)) -w 1 -p $p)"
	put "$r" "$peer" cached "$($D -q 'h%ld.allowed.test' -r 100 -n $N -w 64 -p $p)"
	put "$r" "$peer" cached4 "$($D -q 'h%ld.allowed.test' -r 100 -n $N -w 512 -S 8 -p $p)"
	put "$r" "$peer" uncached "$($D -q "u$r%ld.allowed.test" -r 10000000 -n $((N * 3 / 10)) -w 64 -p $p)"
	put "$r" "$peer" denied "$($D -q "d$r%ld.denied.example" -r 10000000 -n $((N / 2)) -w 64 -p $p)"
	put "$r" "$peer" perf_cached "$(perf "$RUN/cached.txt")"
	put "$r" "$peer" perf_denied "$(perf "$RUN/denied.txt")"
	put "$r" "$peer" rss1 "kb=$(rss $p)"
	put "$r" "$peer" tcp_cached "$(perf "$RUN/cached.txt" tcp)"
	put "$r" "$peer" tcp_denied "$(perf "$RUN/denied.txt" tcp)"
	$D -q "f$r%ld.allowed.test" -r 10000000 -n $FULL -w 64 > /dev/null
	put "$r" "$peer" rss_full "kb=$(rss $p)"
	stop $p
	sleep 0.2
}
for r in $(seq "$ROUNDS"); do
	for peer in "$@"; do
		exec 9>"$LOCK"; flock 9
		echo "round $r: $peer" >&2
		one "$r" "$peer" 9>&-
		flock -u 9
	done
done
python3 "$HERE/report-dns.py" "$OUT/results.tsv"
