#!/usr/bin/env python3
"""report-dns.py RESULTS.TSV ... - medians over the rounds, as Markdown."""
import sys
from collections import defaultdict
from statistics import median

vals, order, version = defaultdict(lambda: defaultdict(list)), [], {}
for path in sys.argv[1:]:
    for line in open(path):
        if line.count("\t") < 3:
            continue
        r, peer, test, kv = line.rstrip("\n").split("\t", 3)
        if peer not in order:
            order.append(peer)
        for x in kv.split():
            k, _, v = x.partition("=")
            if test == "version":
                version[peer] = v.replace("_", " ")
                continue
            try:
                vals[(peer, test)][k].append(float(v))
            except ValueError:
                pass


def m(p, t, k, f="%.0f"):
    v = vals[(p, t)].get(k)
    return f % median(v) if v else "-"


head = ["cached QPS (64)", "p50 us", "p99 us", "CPU us/q", "cached QPS (512)", "one-at-a-time p50 us", "p99 us", "uncached QPS", "p50 us", "p99 us",
        "CPU us/q", "denied QPS", "p99 us", "CPU us/q", "lost", "dnsperf cached QPS", "avg us", "dnsperf denied QPS", "TCP cached QPS", "avg us",
        "TCP denied QPS", "start-up ms", "RSS kB start", "after", "cache full"]
print("| server | %s |\n|%s" % (" | ".join(head), "---|" * (len(head) + 1)))
for p in order:
    lost = sum(sum(vals[(p, t)].get("lost", [])) for t in ("cached", "cached4", "uncached", "denied", "perf_cached", "perf_denied", "tcp_cached", "tcp_denied"))
    print("| %s | %s |" % (p, " | ".join(
        [m(p, "cached", "qps"), m(p, "cached", "p50"), m(p, "cached", "p99"), m(p, "cached", "cpu_us_per_query", "%.2f"), m(p, "cached4", "qps"),
         m(p, "lat1", "p50", "%.1f"), m(p, "lat1", "p99", "%.1f"),
         m(p, "uncached", "qps"), m(p, "uncached", "p50"), m(p, "uncached", "p99"), m(p, "uncached", "cpu_us_per_query", "%.2f"),
         m(p, "denied", "qps"), m(p, "denied", "p99"), m(p, "denied", "cpu_us_per_query", "%.2f"), "%.0f" % lost,
         m(p, "perf_cached", "qps"), m(p, "perf_cached", "avg_us"), m(p, "perf_denied", "qps"),
         m(p, "tcp_cached", "qps"), m(p, "tcp_cached", "avg_us"), m(p, "tcp_denied", "qps"),
         m(p, "startup", "startup_ms"), m(p, "rss0", "kb"), m(p, "rss1", "kb"), m(p, "rss_full", "kb")])))
print("\nVersions: " + "; ".join("%s: %s" % (p, version.get(p, "?")) for p in order))
