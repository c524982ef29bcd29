"""DNS: dnsperf loses nothing, in a minute of each kind of load."""
import re

import pytest

from harness.namespaces import GOOD
from harness.naming import fresh_name
from harness.programs import found, run_in

LOADS = {"cached": 60, "mixed": 60, "denied": 5}  # seconds

pytestmark = pytest.mark.skipif(not found("dnsperf"), reason="dnsperf is not installed")


def questions(kind):
    if kind == "cached":
        return [f"h{number}.wild.test {'AAAA' if number % 2 else 'A'}" for number in range(100)]
    if kind == "denied":
        return [f"h{number}.evil.test A" for number in range(5000)]
    mixed = []
    for number in range(500):
        mixed += [f"h{number % 100}.wild.test A", "allowed.test AAAA", f"d{number}.evil.test A", "allowed.test HTTPS", "allowed.test TXT", "bad.wild.test A"]
        mixed += ["plain.test A"] if number % 5 else [f"n{number}.wild.test A"]
    return mixed


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("load", LOADS)
def test_dnsperf_loses_nothing(stage, tmp_path, load, transport):
    (tmp_path / "questions").write_text("\n".join(questions(load)) + "\n")
    for number in range(100):
        stage.ask(f"h{number}.wild.test", "AAAA" if number % 2 else "A")
    seconds = LOADS[load] if transport == "udp" else 5
    done = run_in(stage.bench, "agent", "dnsperf", "-s", "10.66.0.1", "-m", transport, "-d", tmp_path / "questions", "-l", seconds, "-c", "8", "-T", "1",
                  "-q", "100", "-t", "5", timeout=seconds + 30)
    said = dict(re.findall(r"^\s*(Queries sent|Queries completed|Queries lost|Queries per second):\s+([\d.]+)", done.stdout, re.M))
    assert said and int(said["Queries lost"]) == 0 and said["Queries sent"] == said["Queries completed"], done.stdout + done.stderr
    assert int(said["Queries completed"]) > 1000, done.stdout
    codes = set(re.findall(r"(NOERROR|NXDOMAIN|SERVFAIL|REFUSED|FORMERR)", done.stdout))
    assert codes <= {"NOERROR", "NXDOMAIN"}, done.stdout
    assert stage.gate.is_alive and stage.ask(fresh_name()).addresses == [GOOD]


def test_the_log_counts_what_dnsperf_asked(own_stage, tmp_path):
    stage = own_stage()
    stage.ask("allowed.test"), stage.ask("x.evil.test")
    (tmp_path / "questions").write_text("allowed.test A\nx.evil.test A\n")
    done = run_in(stage.bench, "agent", "dnsperf", "-s", "10.66.0.1", "-d", tmp_path / "questions", "-l", "2", timeout=30)
    completed = int(re.search(r"Queries completed:\s+(\d+)", done.stdout).group(1))
    stage.gate.stop()
    counted = sum(entry.count for entry in stage.log.entries() if entry.layer == "dns")
    assert counted == completed + 2, (counted, done.stdout)
