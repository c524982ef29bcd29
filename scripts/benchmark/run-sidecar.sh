#!/bin/bash
# run-sidecar.sh - what the kernel's table costs, in two network namespaces joined by a cable.
#
#   run-sidecar.sh [-r ROUNDS] [-o OUTDIR] [-q]
#
# -q does about half the work of each round. In each round, one after the other:
#   captured, connect   the same echo through the sidecar by capture and by CONNECT
#   udp, tcp            iperf3 without a table and with it: a datagram flow that a rule
#                       grants, and a TCP flow that others may open (--inbound)
# $EXITGATE is the binary, $TOOLS holds connectload, backend and dnsstub (built where
# missing). Results: OUTDIR/sidecar.tsv, then a table by report-sidecar.py. Needs root.
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
BIN=${EXITGATE:?names the binary} TOOLS=${TOOLS:-/var/tmp/egress-perf/bin}
ROUNDS=5 OUT=/var/tmp/egress-perf/out N=20000 SEC=2
while getopts r:o:q o; do
  case $o in r) ROUNDS=$OPTARG ;; o) OUT=$OPTARG ;; q) N=10000 SEC=1 ;; *) exit 2 ;; esac
done
for tool in iperf3 nsenter python3 gcc; do
  command -v $tool >/dev/null || { echo "run-sidecar: $tool is missing: apt-get install iperf3 util-linux python3 gcc" >&2; exit 69; }
done
mkdir -p "$TOOLS" "$OUT"
for p in connectload backend dnsstub; do
  [ "$TOOLS/$p" -nt "$HERE/$p.c" ] || nice gcc -O2 -Wall -pthread -o "$TOOLS/$p" "$HERE/$p.c" || exit 1
done
: >"$OUT/sidecar.tsv"
AGENT=xgb$$-agent FAR=xgb$$-far RUN=$(mktemp -d /tmp/exitgate-sidecar.XXXXXX) PIDS=() GATE=
GROUPS2=$(awk '/ - cgroup2 /{print $5; exit}' /proc/self/mountinfo)
GROUP=${GROUPS2:+$GROUPS2/xgb$$}
chmod 755 "$RUN"; mkdir -m 700 "$RUN/gate"; chown 2001:2001 "$RUN/gate"
agent() { nsenter --net=/run/netns/$AGENT "$@"; }
far() { nsenter --net=/run/netns/$FAR "$@"; }
end() {
  close_gate
  for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null; done
  wait
  ip netns del $AGENT; ip netns del $FAR
  [ -z "$GROUP" ] || rmdir "$GROUP"
  rm -rf "$RUN"
}
open_gate() { # the sidecar, in a control group of its own
  local weak=(); [ -n "$GROUP" ] || weak=(--accept-weaker-exemption)
  ( [ -z "$GROUP" ] || echo $BASHPID >"$GROUP/cgroup.procs"
    exec nsenter --net=/run/netns/$AGENT "$BIN" sidecar --policy "$RUN/policy.yaml" --audit-log "$RUN/gate/audit.jsonl" \
      --control "$RUN/gate/control.sock" --dns-upstream 11.77.0.1 --inbound 5202 "${weak[@]}" ) >"$RUN/said" 2>&1 &
  GATE=$!
  for _ in $(seq 100); do grep -q "exitgate: ready" "$RUN/said" && return; kill -0 $GATE 2>/dev/null || break; sleep 0.1; done
  cat "$RUN/said" >&2; exit 1
}
close_gate() { # and its table
  [ -n "$GATE" ] || return 0
  kill "$GATE"; wait "$GATE"; GATE=
  agent "$BIN" firewall remove 2>/dev/null
}
trap end EXIT
ip netns add $AGENT; ip netns add $FAR
ip link add a0 netns $AGENT type veth peer name b0 netns $FAR
for side in "$AGENT a0 11.77.0.2" "$FAR b0 11.77.0.1"; do
  read -r space device address <<<"$side"
  ip -n "$space" link set lo up; ip -n "$space" link set "$device" up; ip -n "$space" addr add "$address/24" dev "$device"
  nsenter --net=/run/netns/"$space" sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_max_tw_buckets=4000 \
    net.ipv4.ip_local_reserved_ports="3128,5201,5202,9000-9002,15001,15353"
done
ip -n $AGENT route add default via 11.77.0.1
[ -z "$GROUP" ] || mkdir "$GROUP"
cat >"$RUN/policy.yaml" <<'Y'
version: 1
rules:
  - { id: echo, action: allow, to: [allowed.test], protocol: tcp, ports: ["9000-9002"] }
  - { id: control, action: allow, to: [11.77.0.1/32], protocol: tcp, ports: [5201] }
  - { id: flow, action: allow, to: [11.77.0.1/32], protocol: udp, ports: [5201] }
Y
( exec nsenter --net=/run/netns/$FAR "$TOOLS/dnsstub" -a 11.77.0.1 -p 53 -b 1 -4 -i 11.77.0.1 ) & PIDS+=($!)
( exec nsenter --net=/run/netns/$FAR "$TOOLS/backend" -a 11.77.0.1 -p 9000 ) & PIDS+=($!)
( exec nsenter --net=/run/netns/$FAR iperf3 -s -B 11.77.0.1 -p 5201 >/dev/null ) & PIDS+=($!)
( exec nsenter --net=/run/netns/$AGENT iperf3 -s -B 11.77.0.2 -p 5202 >/dev/null ) & PIDS+=($!)
sleep 0.5
put() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" | tee -a "$OUT/sidecar.tsv" >&2; }
lease() { # the address that stands for allowed.test
  agent python3 - <<'PY'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto(b"\1\2\1\0\0\1\0\0\0\0\0\0\7allowed\4test\0\0\1\0\1", ("11.77.0.1", 53))
print(socket.inet_ntoa(s.recv(512)[-4:]))
PY
}
flow() { # KIND: what arrived, in Mbit/s
  local space=$FAR to=(-c 11.77.0.2 -p 5202 -R)
  [ "$1" = udp ] && space=$AGENT to=(-c 11.77.0.1 -p 5201 -u -b 0 -l 1400)
  timeout 30 nsenter --net=/run/netns/$space iperf3 "${to[@]}" -t $SEC -J | python3 -c '
import json, sys
end = json.load(sys.stdin)["end"]
total = end.get("sum_received") or end["sum"]
print("mbits=%.0f" % (total["bits_per_second"] / 1e6))'
}
for r in $(seq "$ROUNDS"); do
  for kind in udp tcp; do put "$r" "direct_$kind" "$(flow $kind)"; done
  open_gate
  for kind in udp tcp; do put "$r" "table_$kind" "$(flow $kind)"; done
  L="nice -n -5 $TOOLS/connectload rate -c 64 -p $GATE"
  A=$(lease)
  agent $L -b "$A:9000" -n 1000 >/dev/null; agent $L -x 127.0.0.1:3128 -T allowed.test:9000 -n 1000 >/dev/null
  put "$r" captured "$(agent $L -b "$A:9000" -n $N)"
  put "$r" connect "$(agent $L -x 127.0.0.1:3128 -T allowed.test:9000 -n $N)"
  close_gate
done
python3 "$HERE/report-sidecar.py" "$OUT/sidecar.tsv"
