"""What monitoring reads of a gate, checked by Prometheus's own tool; nobody reads it through the gate."""
import json, pathlib, re, shutil, subprocess, time

import pytest

from harness.client import connect, get
from harness.namespaces import GATE, run

PORT = 9464
FILES = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "deploy" / "monitoring"
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (prometheus)")


@pytest.fixture
def measured(fresh):
    return fresh(extra=("--metrics-listen", f"127.0.0.1:{PORT}", "--dns-listen", f"{GATE}:53"))


def ask(trial, path="/metrics", *flags):
    """What somebody on the gate's host gets."""
    return run(*trial.bench.command("gw", "curl", "-sS", "-m", "5", *flags, f"http://127.0.0.1:{PORT}{path}"))


def values(trial):
    rows = [line.rsplit(" ", 1) for line in ask(trial).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in rows}


def test_what_was_decided_is_counted(measured):
    before = values(measured)
    measured.denied(connect("evil.test:443"), reason="no-rule")
    measured.passes()
    after = values(measured)
    grown = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    assert grown['exitgate_decisions_total{verdict="deny",reason="no-rule",layer="connect"}'] == 1
    assert grown['exitgate_decisions_total{verdict="allow",reason="rule",layer="connect"}'] == 1
    assert grown['exitgate_relay_bytes_total{direction="in"}'] > 0
    assert grown["exitgate_connect_duration_seconds_count"] == 2  # a tunnel and a request
    assert grown["exitgate_audit_records_total"] >= 3
    assert after["exitgate_policy_enforcing"] == 1 and after["exitgate_audit_available"] == 1
    assert after['exitgate_connect_duration_seconds_bucket{le="+Inf"}'] == after["exitgate_connect_duration_seconds_count"]


@needs_promtool
def test_prometheus_finds_nothing_to_mend(measured):
    measured.denied(connect("evil.test:443"), reason="no-rule")
    page = ask(measured)
    told = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    assert told.returncode == 0 and told.stderr.strip() == "", told
    assert page.count("# TYPE") > 30


@needs_promtool
def test_the_alert_rules_hold_what_they_say(tmp_path):
    told = subprocess.run(["promtool", "check", "rules", FILES / "alerts.yaml"], capture_output=True, text=True)
    assert told.returncode == 0, told
    told = subprocess.run(["promtool", "test", "rules", FILES / "alerts-test.yaml"], capture_output=True, text=True, cwd=FILES)
    assert told.returncode == 0, told


def test_dashboard_and_alerts_name_metrics_that_there_are(measured):
    measured.passes()
    there = {line.split()[2] for line in ask(measured).splitlines() if line.startswith("# TYPE")}
    there |= {f"{name}_{end}" for name in there for end in ("bucket", "sum", "count")}
    there |= {f"exitgate_kernel_{name}" for name in ("table_in_force", "canary_counted", "denied_packets_total", "link_up", "keeper_answers", "unguarded_devices")}  # with a table alone
    there |= {f"exitgate_webhook_{name}" for name in ("up", "deliveries_total", "callbacks_total")}  # with a webhook alone
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    words = "".join(asked) + (FILES / "alerts.yaml").read_text()
    named = {word for word in re.findall(r"exitgate_[a-z_]+", words)}
    assert named and named <= there, named - there
    assert {"exitgate_pending", "exitgate_approval_channels", "exitgate_webhook_up"} <= set(re.findall(r"exitgate_[a-z_]+", "".join(asked)))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in dashboard["panels"]}), "no panel hides another"


def test_probes_are_told_whether_denials_bite(fresh):
    trial = fresh("version: 1\nmode: audit\nagents: { a1: { listen: 10.66.0.1:3128 } }\nrules: []\n", extra=("--metrics-listen", f"127.0.0.1:{PORT}"))
    told = ask(trial, "/healthz", "-w", "%{http_code}")
    assert told.startswith("NOT ENFORCING") and told.endswith("503")
    trial.gate.reload("version: 1\nagents: { a1: { listen: 10.66.0.1:3128 } }\nrules: []\n")
    assert ask(trial, "/healthz", "-w", "%{http_code}") == "ok\n200"


def test_CTL_02_metrics_are_out_of_reach_through_the_gate(measured):
    """A policy that opens the machine itself opens neither its listeners nor this one."""
    for to in (f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"{GATE}:{PORT}"):
        reply = measured.agent.send(connect(to))
        assert reply.status == 403, reply
        reply = measured.agent.send(get(f"http://{to}/metrics", host=to))
        assert reply.status == 403 and b"exitgate_build_info" not in reply.raw
    assert "exitgate_build_info" in ask(measured)


@pytest.mark.parametrize("flags, status", [
    (("-X", "POST"), 405), (("-d", "body"), 400), (("-H", "Host: other.test:80"), 421), (("-H", "Host: 10.9.9.9:9464"), 421),
    (("-H", "Transfer-Encoding: chunked"), 400), (("-H", "X: " + "a" * 17000), 431),
], ids=["method", "body", "host", "address", "chunked", "large"])
def test_requests_that_no_page_takes(measured, flags, status):
    told = run(*measured.bench.command("gw", "curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", *flags, f"http://127.0.0.1:{PORT}/metrics"))
    assert told == str(status)


def test_a_client_that_says_nothing_holds_no_other_up(measured):
    script = f"import socket, time\nheld = [socket.create_connection(('127.0.0.1', {PORT})) for _ in range(31)]\nprint('held', flush=True)\ntime.sleep(30)"
    process = subprocess.Popen(measured.bench.command("gw", "python3", "-c", script), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        assert "exitgate_build_info" in ask(measured)
        time.sleep(10.5)
        assert values(measured)["exitgate_build_info{version=\"0.1.0\"}"] == 1
    finally:
        process.kill()
        process.wait()


def test_a_unix_socket_for_those_who_share_the_agents_network(fresh, tmp_path):
    path = tmp_path / "metrics.sock"
    trial = fresh(extra=("--metrics-listen", f"unix:{path}"))
    told = run("curl", "-sS", "-m", "5", "--unix-socket", str(path), "http://localhost/metrics")
    assert "exitgate_build_info" in told and path.stat().st_mode & 0o007 == 0
    trial.gate.stop()
    assert not path.exists()


def test_CTL_01_a_sidecars_metrics_are_for_others_than_the_agent(own_fence):
    fence = own_fence(extra=("--inbound", "9464", "--metrics-listen", "0.0.0.0:9464"))
    for to in ("127.0.0.1", "10.66.0.2"):
        done = fence.agent("curl", "-sS", "-m", "5", "--noproxy", "*", f"http://{to}:9464/metrics")
        assert done.returncode in (7, 52, 56) and done.stdout == "", done
        done = fence.agent("curl", "-sS", "-m", "5", "-x", "http://127.0.0.1:3128", f"http://{to}:9464/metrics")
        assert "exitgate_build_info" not in done.stdout and "self-address" in done.stdout, done
    told = run(*fence.bench.command("gw", "curl", "-sS", "-m", "5", "http://10.66.0.2:9464/metrics"))
    assert "exitgate_kernel_table_in_force 1" in told and "exitgate_kernel_denied_packets_total" in told
