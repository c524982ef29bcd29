"""The log taken elsewhere: by rsyslog over TLS, by OTLP/HTTP, through outages, restarts and what retention takes away."""
import contextlib, json, pathlib, random, re, shutil, signal, socket, subprocess, threading, time, urllib.error, urllib.request

import pytest

from harness.client import connect
from harness.gate import BINARY, QUIET, ROOT, eventually, exitgate
from test_deploy import permitted

from harness.receivers import RSYSLOGD, Authority, Collector, Rsyslog, free_port

needs_rsyslog = pytest.mark.skipif(RSYSLOGD is None, reason="rsyslogd is not installed (rsyslog, rsyslog-openssl)")
try:
    import opentelemetry.proto.logs.v1.logs_pb2  # noqa: F401
    has_protocol = True
except ImportError:
    has_protocol = False
needs_protocol = pytest.mark.skipif(not has_protocol, reason="opentelemetry-proto is not installed")

AGENTS = 5  # each has 512 kinds of denials told apart in ten seconds; of more the log has the number alone
MANY = AGENTS * 450


class Writer:
    """A gate without an agent's network, whose log grows when it is told to."""

    def __init__(self, directory, *flags):
        self.dir, self.log, self.flags = directory, directory / "audit.jsonl", flags
        self.metrics = directory / "metrics.sock"
        directory.mkdir(exist_ok=True)
        self.sockets, self.before = [directory / f"proxy{number}.sock" for number in range(AGENTS)], None
        agents = ", ".join(f'a{number}: {{ listen: "unix:{path}" }}' for number, path in enumerate(self.sockets))
        (directory / "policy.yaml").write_text(f"version: 1\nagents: {{ {agents} }}\nrules: []\n")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "serve", "--policy", self.dir / "policy.yaml", "--audit-log", self.log, "--control", self.dir / "control.sock",
             "--dns-upstream", "127.0.0.1:9", "--metrics-listen", f"unix:{self.metrics}", *self.flags],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=QUIET)
        for line in self.process.stderr:
            if line.startswith("exitgate: ready"):
                break
        assert self.process.poll() is None
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def ask(self, count):
        """`count` requests that are denied, each of another host; all that is recorded of them is in the log afterwards."""
        for number in range(count):
            host = f"n{random.randrange(1 << 60)}.example.com"
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(self.sockets[number % AGENTS]))
                client.sendall(connect(f"{host}:443"))
                while client.recv(4096):
                    pass
        # A denial is answered before its record is written; one of very many different ones is only counted.
        if count < MANY:
            eventually(lambda: any(host in line for line in self.lines()[-100:]), 30)

    def lines(self):
        files = sorted(self.dir.glob(self.log.name + ".0*")) + [self.log]
        return [line for file in files if file.exists() for line in file.read_bytes().decode("ascii").split("\n")[:-1]]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


@pytest.fixture
def made():
    with contextlib.ExitStack() as stack:
        yield lambda thing: stack.callback(thing.stop) and thing


@pytest.fixture
def writer(tmp_path, made, binary):
    return made(Writer(tmp_path / "gate"))


@pytest.fixture
def authority(tmp_path):
    directory = tmp_path / "pki"
    directory.mkdir()
    return Authority(directory)


class Shipping:
    """`exitgate log ship` as a process that goes on."""

    def __init__(self, writer, target, *flags, state=None):
        self.words = []
        self.state = state or writer.dir / "ship.json"
        self.command = [BINARY, "log", "ship", "--audit-log", writer.log, "--state", self.state, "--to", target, *flags]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=QUIET)
        threading.Thread(target=lambda out: self.words.extend(out), args=(self.process.stderr,), daemon=True).start()

    def status(self):
        done = subprocess.run([*self.command, "--status", "--json"], capture_output=True, text=True, env=QUIET)
        return json.loads(done.stdout), done.returncode

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)
        return self.process.returncode


def ship(writer, target, *flags, state=None):
    """Ships once; afterwards at least what the log held before is to be there."""
    writer.before = writer.lines()
    return exitgate("log", "ship", "--once", "--audit-log", writer.log, "--state", state or writer.dir / "ship.json", "--to", target, *flags, timeout=120)


def has_all(receiver, writer):
    """Whether each record of the log arrived, byte for byte."""
    return set(writer.before or writer.lines()) <= set(receiver.bodies())


# -- syslog over TLS

@needs_rsyslog
@pytest.mark.parametrize("driver", ["ossl", "gtls"])
def test_every_record_arrives_once_and_as_it_stands(writer, authority, tmp_path, made, driver):
    writer.ask(1200)
    receiver = made(Rsyslog(tmp_path / "far", authority, driver=driver))
    target = f"syslog+tls://127.0.0.1:{receiver.port}"
    done = ship(writer, target, "--ca", authority.ca)
    assert done.returncode == 0, (done, (receiver.dir / "said").read_text())
    eventually(lambda: has_all(receiver, writer), 30)
    assert receiver.bodies()[:len(writer.before)] == writer.before and len(writer.before) > 1200
    for line in receiver.lines():
        assert re.match(r'<1(09|10|08|07)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ exitgate - [a-z]+ \[exitgate@32473 seq="\d+" ', line), line
    # Nothing is sent twice when there is nothing new, and only what is new when there is.
    assert ship(writer, target, "--ca", authority.ca).returncode == 0
    writer.ask(3)
    writer.stop()
    assert ship(writer, target, "--ca", authority.ca).returncode == 0
    eventually(lambda: has_all(receiver, writer), 30)
    assert receiver.bodies() == writer.lines()


@needs_rsyslog
def test_AUD_08_what_arrived_convicts_a_log_that_was_rewritten(writer, authority, tmp_path, made):
    receiver = made(Rsyslog(tmp_path / "far", authority))
    target = f"syslog+tls://localhost:{receiver.port}"
    writer.ask(20)
    writer.stop()
    assert ship(writer, target, "--ca", authority.ca).returncode == 0
    eventually(lambda: has_all(receiver, writer), 30)
    key = (writer.dir / "audit.jsonl.key.pub").read_text().strip()
    verify = lambda *more: exitgate("log", "verify", "--audit-log", writer.log, *more)
    held = ("--checkpoint", receiver.file, "--key", key)
    good = verify(*held, "--json")
    assert good.returncode == 0 and json.loads(good.stdout)["shipped"]["matched"] == 2, good
    assert exitgate("log", "verify", "--audit-log", writer.log, "--checkpoint", receiver.file).stdout.count("pin it with --key") == 1
    # Whoever holds the key begins the log anew: it verifies by itself, and not against what arrived.
    original = writer.log.read_bytes()
    for name in ("audit.jsonl", "audit.jsonl.head"):
        (writer.dir / name).unlink()
    writer.start()
    writer.ask(40)
    writer.stop()
    assert verify("--key", key).returncode == 0
    bad = verify(*held)
    assert bad.returncode == 1 and "the log was rewritten" in bad.stdout.splitlines()[0], bad
    assert writer.log.read_bytes() != original
    # The shipper sees it too, says so, and ships what is there now.
    done = ship(writer, target, "--ca", authority.ca)
    assert done.returncode == 0 and "THE LOG IS NOT THE ONE THAT WAS SHIPPED" in done.stderr, done
    eventually(lambda: has_all(receiver, writer), 30)
    told = exitgate("log", "ship", "--to", target, "--audit-log", writer.log, "--state", writer.dir / "ship.json", "--status")
    assert told.returncode == 0 and "THE LOG WAS REWRITTEN" in told.stdout, told


@needs_rsyslog
@pytest.mark.parametrize("trouble", ["another name", "another authority", "an address that it does not name"])
def test_a_receiver_that_is_not_who_it_should_be_gets_nothing(writer, authority, tmp_path, made, trouble):
    receiver = made(Rsyslog(tmp_path / "far", authority, names=("DNS:localhost",) if trouble.startswith("an address") else ("DNS:other.test",) if trouble == "another name" else ("DNS:localhost", "IP:127.0.0.1")))
    (tmp_path / "pki2").mkdir()
    trusted = Authority(tmp_path / "pki2").ca if trouble == "another authority" else authority.ca
    writer.ask(3)
    host = "127.0.0.1" if trouble.startswith("an address") else "localhost"
    done = ship(writer, f"syslog+tls://{host}:{receiver.port}", "--ca", trusted)
    assert done.returncode == 1, done
    status = exitgate("log", "ship", "--to", f"syslog+tls://{host}:{receiver.port}", "--audit-log", writer.log, "--state", writer.dir / "ship.json", "--status")
    assert status.returncode == 1 and "its certificate is refused" in status.stdout, status
    # The control: one that is who it should be gets everything, with the same log and flags.
    good = made(Rsyslog(tmp_path / "good", authority))
    done = ship(writer, f"syslog+tls://localhost:{good.port}", "--ca", authority.ca, state=writer.dir / "good.json")
    assert done.returncode == 0, done
    eventually(lambda: has_all(good, writer), 30)
    assert receiver.lines() == []


@needs_rsyslog
def test_a_client_shows_its_certificate_where_one_is_asked_for(writer, authority, tmp_path, made):
    receiver = made(Rsyslog(tmp_path / "far", authority, asks=True))
    target = f"syslog+tls://localhost:{receiver.port}"
    writer.ask(2)
    assert ship(writer, target, "--ca", authority.ca).returncode == 1
    certificate, key = authority.certificate("gate", "DNS:gate.test")
    (tmp_path / "pki2").mkdir()
    wrong, wrong_key = Authority(tmp_path / "pki2").certificate("gate", "DNS:gate.test")
    assert ship(writer, target, "--ca", authority.ca, "--cert", wrong, "--key", wrong_key).returncode == 1
    assert receiver.lines() == []
    done = ship(writer, target, "--ca", authority.ca, "--cert", certificate, "--key", key)
    assert done.returncode == 0, done
    eventually(lambda: has_all(receiver, writer), 30)
    mixed = ship(writer, target, "--ca", authority.ca, "--cert", certificate, "--key", wrong_key)
    assert mixed.returncode == 78 and "no certificate with its key" in mixed.stderr


@needs_rsyslog
def test_an_outage_and_restarts_on_both_sides_lose_nothing(writer, authority, tmp_path, made):
    receiver = made(Rsyslog(tmp_path / "far", authority))
    shipping = made(Shipping(writer, f"syslog+tls://127.0.0.1:{receiver.port}", "--ca", authority.ca))
    writer.ask(30)
    eventually(lambda: has_all(receiver, writer), 60, lambda: shipping.words)
    receiver.stop(signal.SIGKILL)
    writer.ask(30)
    eventually(lambda: shipping.status()[0].get("failing_since"), 60, "the outage is not noticed")
    status, code = shipping.status()
    assert code == 1 and status["lag_records"] >= 30 and status["cause"], status
    assert shipping.stop(signal.SIGKILL) != 0
    writer.ask(30)
    receiver.start()
    shipping.start()
    eventually(lambda: has_all(receiver, writer), 90, lambda: shipping.words)
    writer.stop()
    eventually(lambda: has_all(receiver, writer), 90, lambda: shipping.words)
    assert shipping.stop() == 0
    status, code = shipping.status()
    assert code == 0 and status["lag_records"] == 0 and status["lost"] == 0, status
    # At least once: what came twice is the same record.
    bodies = receiver.bodies()
    assert set(bodies) == set(writer.lines()) and len(bodies) >= len(set(bodies))
    assert any("takes records again" in word for word in shipping.words), shipping.words


@needs_rsyslog
def test_a_receiver_that_dies_with_what_it_has_not_read_is_sent_it_again(writer, authority, tmp_path, made):
    """Stopped, rsyslog takes bytes into its kernel's buffers and reads none; killed then, they are gone."""
    receiver = made(Rsyslog(tmp_path / "far", authority))
    shipping = made(Shipping(writer, f"syslog+tls://127.0.0.1:{receiver.port}", "--ca", authority.ca))
    writer.ask(5)
    eventually(lambda: has_all(receiver, writer), 60, lambda: shipping.words)
    receiver.process.send_signal(signal.SIGSTOP)
    writer.ask(20)
    time.sleep(2)  # so that they are on their way; whether they are makes the test harder, not right or wrong
    receiver.stop(signal.SIGKILL)
    before = len(receiver.bodies())
    receiver.start()
    eventually(lambda: has_all(receiver, writer), 90, lambda: shipping.words)
    assert len(receiver.bodies()) - before >= 20


@needs_rsyslog
def test_a_receiver_that_takes_nothing_holds_neither_the_gate_up_nor_memory(writer, authority, tmp_path, made):
    receiver = made(Rsyslog(tmp_path / "far", authority))
    shipping = made(Shipping(writer, f"syslog+tls://127.0.0.1:{receiver.port}", "--ca", authority.ca))
    eventually(lambda: has_all(receiver, writer), 60, lambda: shipping.words)
    receiver.process.send_signal(signal.SIGSTOP)
    try:
        writer.ask(4000)  # each is answered, and recorded
        peak = int(next(line for line in pathlib.Path(f"/proc/{shipping.process.pid}/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1])
        assert peak < 150_000, f"{peak} KiB"
    finally:
        receiver.process.send_signal(signal.SIGCONT)
    eventually(lambda: has_all(receiver, writer), 120, lambda: shipping.words)


@needs_rsyslog
def test_what_retention_took_away_unshipped_is_counted_and_said(tmp_path, authority, made, binary):
    writer = made(Writer(tmp_path / "gate", "--audit-rotate-at", "64KiB", "--audit-keep", "2"))
    receiver = made(Rsyslog(tmp_path / "far", authority))
    target = f"syslog+tls://127.0.0.1:{receiver.port}"
    writer.ask(5)
    assert ship(writer, target, "--ca", authority.ca).returncode == 0
    first = int(json.loads((writer.dir / "ship.json").read_text())["seq"])
    eventually(lambda: [writer.ask(50)] and json.loads(writer.lines()[0])["seq"] > first + 10, 60)
    writer.stop()
    start = json.loads(writer.lines()[0])["seq"]
    done = ship(writer, target, "--ca", authority.ca)
    assert done.returncode == 0 and f"records {first + 1} to {start - 1} are gone from the log, and were not shipped" in done.stderr, done
    eventually(lambda: has_all(receiver, writer), 30)
    assert json.loads((writer.dir / "ship.json").read_text())["lost"] == start - 1 - first


@needs_rsyslog
def test_the_signed_head_goes_before_the_records_that_lead_to_it(writer, authority, tmp_path, made):
    receiver = made(Rsyslog(tmp_path / "far", authority))
    writer.ask(1500)
    writer.stop()
    assert ship(writer, f"syslog+tls://127.0.0.1:{receiver.port}", "--ca", authority.ca).returncode == 0
    eventually(lambda: has_all(receiver, writer), 30)
    first = receiver.lines()[0]
    assert " exitgate - head [" in first and json.loads(first[first.index("{"):]) == json.loads((writer.dir / "audit.jsonl.head").read_text())
    (tmp_path / "head").write_text(first + "\n")
    done = exitgate("log", "verify", "--audit-log", writer.log, "--checkpoint", tmp_path / "head")
    assert done.returncode == 0 and "holds 1 of 1 signed state" in done.stdout, done


def test_wrong_configuration_is_said_with_its_remedy(writer, tmp_path):
    def said(*flags):
        done = exitgate("log", "ship", "--once", "--audit-log", writer.log, "--state", tmp_path / "s" / "state", *flags)
        return done.returncode, done.stderr
    assert said("--to", "tcp://x:1")[0] == 64
    code, words = said("--to", "syslog+tls://127.0.0.1:1", "--ca", tmp_path / "none.pem")
    assert code == 78 and "holds no certificate that can be read" in words
    assert said("--to", "http://127.0.0.1:1", "--ca", "x")[0] == 64 and said("--to", "https://127.0.0.1:1", "--cert", "x")[0] == 64
    assert said("--to", "syslog+tls://127.0.0.1:1", "--metrics-from", "127.0.0.1:1")[0] == 64
    assert said("--to", "http://192.0.2.1:9")[0] == 1
    assert "not on this machine" in json.loads((tmp_path / "s" / "state").read_text())["cause"]
    (tmp_path / "s" / "state").write_text("{}")
    code, words = said("--to", "http://127.0.0.1:1")
    assert code == 78 and "is no state of shipping" in words


def test_two_shippers_do_not_share_a_state(writer, tmp_path, made):
    first = made(Shipping(writer, "http://127.0.0.1:1"))
    eventually(lambda: pathlib.Path(f"{first.state}.lock").exists() and any("shipping" in word for word in first.words), 30)
    done = ship(writer, "http://127.0.0.1:1")
    assert done.returncode == 78 and "another process ships by this state" in done.stderr, done


@pytest.mark.parametrize("monitored", [False, True], ids=["alone", "with metrics"])
def test_shipping_is_confined_before_it_hears_of_the_network(writer, tmp_path, made, monitored):
    shipping = made(Shipping(writer, "http://127.0.0.1:1", *(("--metrics-listen", f"127.0.0.1:{free_port()}") if monitored else ())))
    eventually(lambda: any("shipping" in word for word in shipping.words), 30)
    threads = list(pathlib.Path(f"/proc/{shipping.process.pid}/task").glob("*/status"))
    assert threads and not any("not confined" in word for word in shipping.words), shipping.words
    for thread in threads:
        told = dict(line.split(":\t", 1) for line in thread.read_text().splitlines() if ":\t" in line)
        assert told["NoNewPrivs"] == "1" and told["Seccomp"] == "2" and int(told["CapEff"], 16) == 0


@needs_rsyslog
@pytest.mark.skipif(not (shutil.which("systemd-analyze") and shutil.which("strace")), reason="systemd-analyze or strace is not installed")
def test_shipping_works_with_what_its_unit_leaves_it(writer, authority, tmp_path, made):
    receiver = made(Rsyslog(tmp_path / "far", authority))
    unit = "exitgate-ship.service"
    variables = re.findall(r"EXITGATE_[A-Z_]+", (ROOT / "scripts/deploy" / unit).read_text())
    told = {"EXITGATE_TO": f"syslog+tls://localhost:{receiver.port}", "EXITGATE_CA": str(authority.ca)}
    assert set(told) <= set(variables)
    done = exitgate("log", "ship", "--help")
    assert all(f"--{name.removeprefix('EXITGATE_').lower().replace('_', '-')} " in done.stdout for name in variables)
    command = ["strace", "-f", "-qq", "-o", tmp_path / "trace", BINARY, "log", "ship", "--once", "--audit-log", writer.log, "--state", tmp_path / "state"]
    assert subprocess.run(command, env=QUIET | told, timeout=120).returncode == 0
    eventually(lambda: has_all(receiver, writer), 30)
    used = set(re.findall(r"^\d+ +(\w+)\(", (tmp_path / "trace").read_text(), re.M))
    assert used - permitted(unit) == set() and {"seccomp", "connect"} <= used


@needs_rsyslog
def test_the_steps_of_the_readme(writer, authority, tmp_path, made):
    text = re.search(r"## Shipping the log\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.S)[1]
    lines = [line.partition(" #")[0].strip() for line in re.search(r"```sh\n(.*?)```", text, re.S)[1].splitlines()]
    assert len(lines) == 6 and all(line.startswith("exitgate log ") for line in lines)
    receiver = made(Rsyslog(tmp_path / "far", authority))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "exitgate").symlink_to(BINARY)
    shutil.copy(authority.ca, tmp_path / "ca.pem")
    shutil.copy(writer.dir / "audit.jsonl.key.pub", tmp_path / "audit.jsonl.key.pub")
    environment = QUIET | {"PATH": f"{tmp_path / 'bin'}:{QUIET['PATH']}", "EXITGATE_AUDIT_LOG": str(writer.log), "EXITGATE_STATE": str(tmp_path / "state.json")}
    writer.ask(3)
    writer.stop()
    for line in lines:
        if "otel" in line or line == lines[0]:
            continue
        line = line.replace("logs.example.com:6514", f"localhost:{receiver.port}").replace("received.log", str(receiver.file))
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60)
        assert done.returncode == 0, (line, done)
        eventually(lambda: has_all(receiver, writer), 30)
    assert (tmp_path / "events.jsonl").read_text().count("\n") == len(writer.lines())


# -- OTLP

@needs_protocol
@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
def test_logs_and_metrics_arrive_as_the_protocol_defines_them(writer, authority, tmp_path, made, secure):
    collector = made(Collector(authority.certificate("collector", "DNS:localhost") if secure else None))
    flags = ("--ca", authority.ca) if secure else ()
    shipping = made(Shipping(writer, f"{'https' if secure else 'http'}://localhost:{collector.port}", "--metrics-from", f"unix:{writer.metrics}", *flags))
    writer.ask(700)
    eventually(lambda: has_all(collector, writer), 60, lambda: (shipping.words, collector.faults))
    eventually(lambda: "exitgate_decisions_total" in collector.metrics(), 60, lambda: collector.faults)
    bodies = collector.bodies()
    assert collector.faults == [] and bodies == writer.lines()[:len(bodies)] and len(bodies) > 700
    denied = next(record for record in collector.records() if record.event_name == "exitgate.decision")
    attributes = {pair.key: pair.value for pair in denied.attributes}
    line = json.loads(denied.body.string_value)
    assert attributes["exitgate.seq"].int_value == line["seq"] and attributes["exitgate.verdict"].string_value == "deny"
    assert denied.time_unix_nano == line["time"] * 1_000_000 and denied.severity_number in range(9, 18)
    metrics = collector.metrics()
    sums = metrics["exitgate_decisions_total"].sum
    assert sums.is_monotonic and sums.aggregation_temporality == 2 and sums.data_points[0].start_time_unix_nano > 0
    buckets = metrics["exitgate_audit_commit_duration_seconds"].histogram.data_points[0]
    assert len(buckets.bucket_counts) == len(buckets.explicit_bounds) + 1 and sum(buckets.bucket_counts) == buckets.count
    assert metrics["exitgate_ship_lag_records"].WhichOneof("data") == "gauge" and "exitgate_ship_shipped_records_total" in metrics
    assert shipping.stop() == 0


@needs_protocol
def test_a_collector_that_is_busy_or_gone_is_asked_again(writer, made):
    collector = made(Collector())
    collector.answer(503, {"Retry-After": "1"})
    collector.answer(429)
    shipping = made(Shipping(writer, f"http://127.0.0.1:{collector.port}"))
    writer.ask(20)
    eventually(lambda: has_all(collector, writer), 60, lambda: (shipping.words, collector.faults))
    collector.stop()
    writer.ask(20)
    eventually(lambda: shipping.status()[0].get("failing_since"), 60)
    collector.start()
    eventually(lambda: has_all(collector, writer), 90, lambda: shipping.words)
    eventually(lambda: shipping.status()[1] == 0, 30)
    assert collector.faults == [] and shipping.status()[0]["lost"] == 0 and shipping.status()[0]["refused"] == 0


@needs_protocol
def test_a_request_that_is_refused_is_cut_in_two_until_one_record_is_left(writer, made):
    """One record that a collector will never take does not hold up the others, and is counted."""
    collector = made(Collector())
    writer.ask(40)
    writer.stop()
    take, poison = collector.take, writer.lines()[20]

    def refuse(path, headers, body):
        return (400, {}, b"{}") if path == "/v1/logs" and json.dumps(poison).encode()[1:-1] in body else take(path, headers, body)
    collector.take = refuse
    done = ship(writer, f"http://127.0.0.1:{collector.port}")
    assert done.returncode == 1 and "refuses record 21 for good: it answers 400" in done.stderr, done
    assert collector.bodies() == [line for line in writer.lines() if line != poison]
    assert json.loads((writer.dir / "ship.json").read_text())["refused"] == 1


@needs_protocol
def test_a_collector_that_refuses_everything_is_waited_for(writer, made):
    """Set wrong, it would take the log for good: three records are given up, the others wait until it takes some."""
    collector = made(Collector())
    writer.ask(40)
    writer.stop()
    take = collector.take
    collector.take = lambda path, headers, body: (400, {}, b"{}")
    done = ship(writer, f"http://127.0.0.1:{collector.port}")
    assert done.returncode == 1 and done.stderr.count("for good") == 3, done
    assert json.loads((writer.dir / "ship.json").read_text())["refused"] == 3
    collector.take = take
    done = ship(writer, f"http://127.0.0.1:{collector.port}")
    assert done.returncode == 0, done
    assert collector.bodies() == writer.lines()[3:]


@needs_protocol
def test_what_a_collector_says_it_rejected_is_counted(writer, made):
    collector = made(Collector())
    writer.ask(5)
    collector.answer(200, {}, b"{}", takes=True)  # the head
    collector.answer(200, {}, b'{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}', takes=True)
    done = ship(writer, f"http://127.0.0.1:{collector.port}")
    assert done.returncode == 1 and "refuses 2 records for good: too old" in done.stderr, done
    assert json.loads((writer.dir / "ship.json").read_text())["refused"] == 2


@needs_protocol
def test_a_collector_with_the_wrong_certificate_gets_nothing(writer, authority, made):
    bad = made(Collector(authority.certificate("bad", "DNS:other.test")))
    good = made(Collector(authority.certificate("good", "DNS:localhost")))
    writer.ask(3)
    assert ship(writer, f"https://localhost:{bad.port}", "--ca", authority.ca).returncode == 1
    assert ship(writer, f"https://localhost:{good.port}", "--ca", authority.ca, state=writer.dir / "good.json").returncode == 0
    assert bad.requests == [] and has_all(good, writer)


@needs_protocol
def test_a_collector_whose_answer_has_no_end_costs_neither_memory_nor_time(writer, made):
    """Within the time that an answer has, a fast far side could send gigabytes."""
    sent, stopping = [0], threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not stopping.is_set():
                sent[0] += connection.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")

    def serve():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    writer.ask(3)
    try:
        told = ship(writer, f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        stopping.set()
        listener.close()
    assert told.returncode == 1 and "more than 1048576 bytes" in told.stderr + json.dumps(json.loads((writer.dir / "ship.json").read_text())), told
    # What was sent beside what was read lay in the kernel's buffers.
    assert sent[0] < 64 << 20, sent
    collector = made(Collector())
    assert ship(writer, f"http://127.0.0.1:{collector.port}").returncode == 0 and has_all(collector, writer), "the control"


ALERTS = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "deploy" / "monitoring" / "alerts-ship.yaml"


@needs_protocol
def test_monitoring_reads_how_far_shipping_is(writer, made):
    collector, place = made(Collector()), free_port()
    shipping = made(Shipping(writer, f"http://127.0.0.1:{collector.port}", "--metrics-listen", f"127.0.0.1:{place}"))

    def read(path="/metrics"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{place}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def values():
        return {line.split(" ")[0]: float(line.rsplit(" ", 1)[1]) for line in read()[1].splitlines() if line and not line.startswith("#")}

    writer.ask(20)
    eventually(lambda: has_all(collector, writer) and values().get("exitgate_ship_lag_records") == 0, 60, lambda: (shipping.words, read()))
    began = values()
    assert began["exitgate_ship_up"] == 1 and began["exitgate_ship_shipped_records_total"] >= 20 and read("/healthz")[0] == 200
    assert abs(began["exitgate_ship_last_success_timestamp_seconds"] - time.time()) < 60
    assert began[f'exitgate_ship_info{{target="{shipping.command[shipping.command.index("--to") + 1]}"}}'] == 1, began
    if shutil.which("promtool"):
        told = subprocess.run(["promtool", "check", "metrics"], input=read()[1], capture_output=True, text=True)
        assert told.returncode == 0 and told.stdout + told.stderr == "", told
        assert subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True).returncode == 0
    named = set(re.findall(r"exitgate_ship_[a-z_]+", ALERTS.read_text()))
    assert named and named <= {name.split("{")[0] for name in began}, named
    collector.stop()
    writer.ask(20)
    eventually(lambda: values().get("exitgate_ship_up") == 0, 60, lambda: (shipping.words, read()))
    eventually(lambda: values().get("exitgate_ship_lag_records", 0) >= 20 and values()["exitgate_ship_lag_seconds"] > 0, 30, read)
    assert read("/healthz")[0] == 503 and read("/other")[0] == 404
    collector.start()
    eventually(lambda: values().get("exitgate_ship_up") == 1 and values()["exitgate_ship_lag_records"] == 0, 90, lambda: (shipping.words, read()))
    after = values()
    assert after["exitgate_ship_shipped_records_total"] >= began["exitgate_ship_shipped_records_total"] + 20
    assert after["exitgate_ship_refused_records_total"] == after["exitgate_ship_lost_records_total"] == 0
    assert shipping.stop() == 0


# -- export

@needs_protocol
def test_exports_are_what_the_formats_say(writer, tmp_path):
    from google.protobuf import json_format
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    writer.ask(230)
    writer.stop()
    export = lambda form, *flags: exitgate("log", "export", "--format", form, "--audit-log", writer.log, *flags)
    wanted = writer.lines()
    otlp = [json_format.Parse(line, ExportLogsServiceRequest()) for line in export("otlp").stdout.splitlines()]
    assert [record.body.string_value for message in otlp for record in message.resource_logs[0].scope_logs[0].log_records] == wanted
    assert [line[line.index('] {"seq":') + 2:] for line in export("syslog").stdout.splitlines()] == wanted
    for form, number in (("ocsf", lambda one: one["metadata"]["sequence"]), ("ecs", lambda one: one["event"]["sequence"])):
        told = [json.loads(line) for line in export(form).stdout.splitlines()]
        assert [number(one) for one in told] == [json.loads(line)["seq"] for line in wanted]
        # Each form carries what proves the log later.
        (tmp_path / form).write_text(export(form).stdout)
        done = exitgate("log", "verify", "--audit-log", writer.log, "--checkpoint", tmp_path / form)
        assert done.returncode == 0 and "signed states" in done.stdout, done
    assert len(export("ocsf", "--reason", "no-rule").stdout.splitlines()) == 230 and export("ocsf", "--since", "0s").stdout == ""
    assert exitgate("log", "export", "--audit-log", writer.log).returncode == 64 and export("xml").returncode == 64


def test_an_export_follows_the_log(writer):
    process = subprocess.Popen([BINARY, "log", "export", "--format", "ecs", "--reason", "no-rule", "--follow", "--audit-log", writer.log], stdout=subprocess.PIPE, text=True, env=QUIET)
    try:
        writer.ask(1)
        assert json.loads(process.stdout.readline())["event"]["reason"] == "no-rule"
        writer.ask(1)
        assert json.loads(process.stdout.readline())["event"]["type"] == ["connection", "denied"]
    finally:
        process.kill()
        process.wait()
