#!/usr/bin/env python3
"""report-sidecar.py RESULTS.TSV - medians over the rounds, and medians of each round's ratio, as Markdown."""
import sys
from collections import defaultdict
from statistics import median

rounds = defaultdict(dict)
for line in open(sys.argv[1]):
    number, test, pairs = line.rstrip("\n").split("\t")
    rounds[number][test] = {k: float(v) for k, v in (pair.split("=", 1) for pair in pairs.split()) if v.replace(".", "", 1).isdigit()}


def row(title, test, other, key, unit):
    both = [(r[test][key], r[other][key]) for r in rounds.values() if key in r.get(test, {}) and key in r.get(other, {})]
    if both:
        ratios = sorted(a / b for a, b in both)
        print(f"| {title} | {median(a for a, _ in both):.0f} {unit} | {median(b for _, b in both):.0f} {unit} "
              f"| {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}) |")


print("| | with it | beside it | ratio, median and range |\n|---|---|---|---|")
row("datagrams that a rule grants: the table, no table", "table_udp", "direct_udp", "mbits", "Mbit/s")
row("a TCP flow that others opened: the table, no table", "table_tcp", "direct_tcp", "mbits", "Mbit/s")
row("connections a second: captured, CONNECT", "captured", "connect", "rate", "/s")
row("the gate's processor time for each: captured, CONNECT", "captured", "connect", "proxy_cpu_us_per_op", "µs")
row("the machine's processor time for each: captured, CONNECT", "captured", "connect", "sys_cpu_us_per_op", "µs")
