#!/bin/bash
# run.sh - measure CONNECT proxies side by side, round after round (A B C A B C ...),
# each next to a fresh direct baseline, so that ratios hold on a noisy machine.
#
#   run.sh [-r ROUNDS] [-o OUTDIR] [-q] [-t "TEST ..."] PEER ...
#
# -q does about half the work of each test.
#
# A PEER is a file peers/PEER.peer that sets BIN, VERSION, CMD=(...) (in the
# foreground, listening on 127.0.0.1:3128) and, where it needs to, KIND=tcp (a plain
# relay, no CONNECT), N (operations of the rate test), IDLE (idle tunnels),
# OPENRATE (starts a second of the open-loop latency test).
# TESTs: startup lat1 openloop rate deny pull1 pull16 push1 cheap16 idle
# Results: OUTDIR/results.tsv (round, peer, test, key=value ...), then a table by
# report.py. Everything runs in a fresh network and mount namespace (loopback only,
# own resolv.conf pointing at dnsstub); needs root. A bench lock (BENCH_LOCK) is held
# for one peer's turn at a time.
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
export TOOLS=${TOOLS:-/var/tmp/egress-perf/bin} PEERS=$HERE/peers
LOCK=${BENCH_LOCK:-/tmp/bench.lock}
if [ "${IN_NS:-}" != 1 ]; then
	mkdir -p "$TOOLS"
	for p in connectload backend dnsstub relay; do
		[ "$TOOLS/$p" -nt "$HERE/$p.c" ] || nice gcc -O2 -Wall -pthread -o "$TOOLS/$p" "$HERE/$p.c" || exit 1
	done
	IN_NS=1 exec unshare -n -m "$0" "$@"
fi
QUICK=0 ROUNDS=3 OUT=/var/tmp/egress-perf/out TESTS="startup lat1 openloop rate deny pull1 pull16 push1 cheap16 idle"
while getopts r:o:t:q o; do
	case $o in q) QUICK=1 ;; r) ROUNDS=$OPTARG ;; o) OUT=$OPTARG ;; t) TESTS=$OPTARG ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
mkdir -p "$OUT"
export RUN=$OUT/run
mkdir -p "$RUN"; chmod 777 "$RUN"
ip link set lo up
sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_max_tw_buckets=4000 net.core.somaxconn=4096
sysctl -qw net.ipv4.ip_local_reserved_ports="3128-3130,5300,5353,9000-9002,9100-9102"
echo "nameserver 127.0.0.1" > "$RUN/resolv.conf"
mount --bind "$RUN/resolv.conf" /etc/resolv.conf
ulimit -n "$(ulimit -Hn)"

# the allow-list: the name under test among a hundred others
{ for i in $(seq -w 1 50); do echo "svc$i.example.com"; echo "registry$i.example.org"; done; echo allowed.test; } > "$RUN/allow.txt"
sed 's/^/./' "$RUN/allow.txt" > "$RUN/allow.dotted"
sed 's/\./\\./g; s/^/(^|\\.)/; s/$/$/' "$RUN/allow.txt" > "$RUN/allow.ere"
render() { # fills the @MARKS@ of peers/FILE into $RUN/FILE
	python3 - "$PEERS/$1" "$RUN/$1" <<-'PY'
		import os, sys
		run = os.environ["RUN"]
		names = open(run + "/allow.txt").read().split()
		t = open(sys.argv[1]).read()
		t = t.replace("@RUN@", run).replace("@ALT@", "|".join(n.replace(".", r"\.") for n in names))
		t = t.replace("@DOTTED@", "\n".join("." + n for n in names))
		t = t.replace("@YAML@", "\n".join("    - %s\n    - '*.%s'" % (n, n) for n in names))
		t = t.replace("@ENVOY_DOMAINS@", "\n".join(
		    '              - "%s%s:%d"' % (w, n, p) for n in names for w in ("", "*.") for p in (9000, 9001, 9002)))
		t = t.replace("@3PROXY_ALLOW@", "\n".join("allow * * %s,*.%s 443,9000-9002" % (n, n) for n in names))
		open(sys.argv[2], "w").write(t)
	PY
}
"$TOOLS/dnsstub" -a 127.0.0.1 -p 53 -b 1 -4 & DNS=$!
"$TOOLS/backend" -p 9000 & BK=$!
"$TOOLS/backend" -p 9100 -c & BKC=$!
trap 'kill $DNS $BK $BKC 2>/dev/null' EXIT
sleep 0.3
L=$TOOLS/connectload
put() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >> "$OUT/results.tsv"; }
stop() { # PID, with its children
	kill -TERM "-$1" 2>/dev/null
	for _ in $(seq 30); do kill -0 "-$1" 2>/dev/null || break; sleep 0.1; done
	kill -KILL "-$1" 2>/dev/null
	wait "$1" 2>/dev/null
}
has() { case " $TESTS " in *" $1 "*) return 0 ;; esac; return 1; }

one() { # ROUND PEER
	local r=$1 peer=$2 KIND=connect N=20000 IDLE=2000 OPENRATE=1000 BIN= VERSION= CMD=() p x pz
	local SEC=2 DSEC=1 OSEC=2 DN=15000
	. "$PEERS/$peer.peer"
	if [ $QUICK = 1 ]; then
		SEC=1.2 DSEC=0.7 OSEC=1 DN=10000
		N=$((N / 2)) IDLE=$((IDLE / 2))
	fi
	if [ ! -e "$BIN" ]; then [ "$r" = 1 ] && echo "$peer: $BIN is not there, left out" >&2; return; fi
	put "$r" "$peer" version "v=${VERSION// /_}"
	# direct, right before
	put "$r" "$peer" d_rate "$($L rate -n $DN -c 64)"
	put "$r" "$peer" d_lat1 "$($L rate -n 2000 -c 1)"
	put "$r" "$peer" d_openloop "$($L rate -n $((OPENRATE * OSEC)) -c 512 -r $OPENRATE)"
	put "$r" "$peer" d_pull1 "$($L throughput -b 127.0.0.1:9001 -k 1 -s $DSEC)"
	put "$r" "$peer" d_pull16 "$($L throughput -b 127.0.0.1:9001 -k 16 -s $DSEC)"
	put "$r" "$peer" d_push1 "$($L throughput -b 127.0.0.1:9002 -w push -k 1 -s $DSEC)"
	[ "$r" = 1 ] && put "$r" "$peer" d_cheap16 "$($L throughput -b 127.0.0.1:9101 -z -k 16 -s $DSEC)"
	if [ $KIND = tcp ]; then
		A="-b 127.0.0.1:3128"; S="-b 127.0.0.1:3129"; K="-b 127.0.0.1:3130"; C=
	else
		x="-x 127.0.0.1:3128"
		A="$x -T allowed.test:9000"; S="$x -T allowed.test:9001"; K="$x -T allowed.test:9002"
	fi
	has startup && put "$r" "$peer" startup "$($L startup $A -s 15 -- "${CMD[@]}" 2>>"$OUT/stderr")"
	set -m; "${CMD[@]}" >/dev/null 2>>"$OUT/stderr" & p=$!; set +m
	if ! $L wait $A -s 15; then
		echo "$peer: no tunnel within 15 s" >&2; put "$r" "$peer" failed "why=no_tunnel"; stop $p; return
	fi
	$L rate $A -n $((N / 10)) -c 16 >/dev/null 2>&1 # warm-up
	has lat1 && put "$r" "$peer" lat1 "$($L rate $A -n $((N / 10 < 2000 ? N / 10 : 2000)) -c 1 -p $p)"
	has openloop && put "$r" "$peer" openloop "$($L rate $A -n $((OPENRATE * OSEC)) -c 512 -r $OPENRATE -p $p)"
	has rate && put "$r" "$peer" rate "$($L rate $A -n $N -c 64 -p $p)"
	[ $KIND = connect ] && has deny && put "$r" "$peer" deny "$($L deny $x -T denied.example:9000 -n $N -c 64 -D -p $p)"
	has pull1 && put "$r" "$peer" pull1 "$(timeout 20 $L throughput $S -k 1 -s $SEC -p $p)"
	has pull16 && put "$r" "$peer" pull16 "$(timeout 20 $L throughput $S -k 16 -s $SEC -p $p)"
	has push1 && put "$r" "$peer" push1 "$(timeout 20 $L throughput $K -w push -k 1 -s $SEC -p $p)"
	if [ "$peer" != "${peer#relay}" ] && has cheap16; then
		put "$r" "$peer" cheap16 "$(timeout 20 $L throughput $x -T allowed.test:9101 -z -k 16 -s $SEC -p $p)"
	fi
	if has idle; then # a fresh process, so that memory kept from the load does not hide it
		stop $p; sleep 0.3
		set -m; "${CMD[@]}" >/dev/null 2>>"$OUT/stderr" & p=$!; set +m
		$L wait $A -s 15
		$L rate $A -n 50 -c 4 >/dev/null 2>&1
		put "$r" "$peer" idle "$(timeout 60 $L idle $A -m $IDLE -p $p)"
	fi
	stop $p
	sleep 0.3
}
for r in $(seq "$ROUNDS"); do
	for peer in "$@"; do
		exec 9>"$LOCK"; flock 9
		echo "round $r: $peer" >&2
		one "$r" "$peer" 9>&-
		flock -u 9
	done
done
python3 "$HERE/report.py" "$OUT/results.tsv"
