"""OPS: starts, stops, reloads and broken surroundings never leave a door open, and are said in one clear line."""
import datetime, os, signal, socket, subprocess, threading, time

import pytest

from harness.client import Stream, client_hello, connect, drain, get, read_head
from harness.clock import Clock
from harness.far import Accepted, Asked
from harness.gate import BASE, BINARY, eventually, exitgate
from harness.namespaces import GOOD, RESOLVER


def test_OPS_01_a_gate_that_was_killed_leaves_no_way_out_and_starts_again(fresh):
    trial = fresh()
    trial.passes()
    seen = trial.far.mark()
    trial.gate.kill()
    with pytest.raises(OSError):
        trial.agent.open(1)
    with trial.bench.inside("agent"):
        direct = socket.socket()
    direct.settimeout(0.3)
    with direct, pytest.raises(OSError):
        direct.connect((GOOD, 443))
    assert not trial.far.since(seen)
    trial.gate.start()
    trial.passes()


def test_OPS_02_a_stop_drains_and_ends_with_success(fresh):
    trial = fresh()
    with trial.opened() as sock:
        sock.sendall(client_hello())
        sock.recv(100)
        trial.gate.process.send_signal(signal.SIGTERM)
        eventually(lambda: _refuses(trial.agent), 3, "a stopping gate still accepts")
        sock.sendall(b"the last word")
        assert sock.recv(100).startswith(b"FLIGHT"), "what stands may finish"
    assert trial.gate.ends(12) == 0
    assert [entry for entry in trial.gate.log.entries() if entry.event][-1].event in ("stop", "checkpoint")
    assert [entry.event for entry in trial.gate.log.entries()].count("stop") == 1
    trial.gate.log.verify()


def _refuses(agent):
    try:
        agent.open(0.5).close()
        return False
    except OSError:
        return True


def test_OPS_03_no_broken_reload_takes_the_good_policy_away(fresh, tmp_path):
    trial = fresh()
    good, bad = BASE, ["", "version: 1\nrules: [", BASE[:len(BASE) // 2], "version: 9\n", BASE + "  - { id: bad, action: allow, to: [evil.test] }\n", "\0"]
    for text in bad:
        assert trial.gate.reload(text).returncode != 0, text
        trial.denied(connect("evil.test:443"), reason="no-rule")
        trial.denied(connect("bad.wild.test:443"), reason="deny-rule")
        trial.passes()
    trial.gate.policy.unlink()
    trial.gate.policy.symlink_to(tmp_path / "nowhere")
    assert trial.gate.tell("reload").returncode != 0
    trial.passes()
    trial.gate.policy.unlink()
    assert trial.gate.reload(good).returncode == 0
    trial.passes()


def test_OPS_03_a_storm_of_hangups_lets_nothing_through(fresh):
    trial = fresh()
    stop, passed = threading.Event(), []

    def probe():
        while not stop.is_set():
            reply = trial.agent.send(connect("bad.wild.test:443"))
            if reply.status != 403:
                passed.append(reply)

    probing = threading.Thread(target=probe)
    probing.start()
    for number in range(150):
        trial.gate.write(BASE + f"# {number}\n" if number % 3 else BASE[:200])
        trial.gate.process.send_signal(signal.SIGHUP)
        time.sleep(0.005)
    trial.gate.write(BASE)
    stop.set()
    probing.join()
    assert not passed and trial.gate.is_alive
    assert trial.gate.tell("reload").returncode == 0
    trial.passes()


class Load:
    """Clients of rules that no reload touches, as many as the threads: one connection after another, and kept ones. Ends with the block."""

    def __init__(self, trial, threads=6):
        self.trial, self.done, self.lost, self._stop = trial, 0, [], threading.Event()
        trial.far.answers("raw.test", GOOD)
        self._threads = [threading.Thread(target=self._work, args=([self._tunnels, self._keeps, self._stays][number % 3],)) for number in range(threads)]

    def _work(self, kind):
        try:
            while not self._stop.is_set():
                kind()
        except (OSError, EOFError, AssertionError) as error:
            self.lost.append(f"{kind.__name__}: {error!r}")

    def _speak(self, sock, words):
        sock.sendall(words)
        assert sock.recv(100).startswith(b"FLIGHT"), "the tunnel ended"
        self.done += 1

    def _tunnel(self):
        sock = self.trial.agent.open()
        sock.sendall(connect("raw.test:5432"))
        assert read_head(sock).status == 200
        return sock

    def _tunnels(self):
        with self._tunnel() as sock:
            for _ in range(3):
                self._speak(sock, b"short")

    def _stays(self):
        with self._tunnel() as sock:
            while not self._stop.is_set():
                self._speak(sock, bytes(32768))

    def _keeps(self):
        with self.trial.agent.open() as sock:
            stream = Stream(sock)
            for number in range(20):
                sock.sendall(get(f"http://plain.test/{number}"))
                assert stream.answer()[::2] == (200, b"origin " + GOOD.encode())
                self.done += 1

    def goes_on(self):
        """Waits until each kind of client has got its answers since."""
        before = self.done
        eventually(lambda: self.lost or self.done > before + 10 * len(self._threads), 10, "the load stands still")
        assert not self.lost, self.lost

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(10)


def test_OPS_03_a_reload_closes_what_lost_its_rule_and_spares_the_rest(fresh):
    """Under load: no connection whose rule stayed is lost, those whose rule went end within a second."""
    trial = fresh()
    going = [(trial.opened(f"{name}:443"), name) for name in ("a.wild.test", "allowed.test") * 20]
    for sock, name in going:
        sock.sendall(client_hello(name))
        assert sock.recv(100).startswith(b"FLIGHT")
        sock.settimeout(3)
    rule = "{ id: tunnel, agents: [a1], action: allow, to: [allowed.test, "
    kept = BASE.replace(rule, "{ id: kept, agents: [a1], action: allow, to: [allowed.test] }\n  - " + rule.replace("allowed.test, ", ""))
    without = "".join(line for line in kept.splitlines(keepends=True) if "id: tunnel" not in line)
    assert without != kept != BASE
    with Load(trial) as load:
        written = trial.gate.log.mark()
        assert trial.gate.reload(kept).returncode == 0  # `tunnel` changed: its flows to allowed.test end as well
        began = time.monotonic()
        ended = [drain(sock).ended for sock, _ in going]
        assert "open" not in ended and time.monotonic() - began < 1, (ended, time.monotonic() - began)
        closed = trial.gate.log.wait_for(written, 40, event="close", rule="tunnel", reason="revoked")
        assert len(closed) == 40 and {entry.host for entry in closed} == {"a.wild.test", "allowed.test"}
        load.goes_on()
        standing = [trial.opened() for _ in range(20)]
        for sock in standing:
            sock.sendall(client_hello())
            assert sock.recv(100).startswith(b"FLIGHT")
        assert trial.gate.reload(without).returncode == 0
        for number, sock in enumerate(standing):
            sock.sendall(b"still %d" % number)
            assert sock.recv(100).startswith(b"FLIGHT"), "a connection whose rule stayed was lost"
        load.goes_on()
        for number in range(10):
            assert trial.gate.reload(without + f"# {number}\n").returncode == 0
        load.goes_on()
    assert not load.lost, load.lost
    revoked = [entry for entry in trial.gate.log.entries(written) if entry.event == "close" and entry.reason == "revoked"]
    assert len(revoked) == 40, "and nobody else"
    trial.denied(connect("a.wild.test:443"), reason="no-rule")
    trial.tunnels("allowed.test:443", "allowed.test", rule="kept")


def test_OPS_04_a_client_that_belongs_to_no_agent_gets_nothing(trial, anyone, other):
    for stranger in (anyone, other):
        stranger.denied(connect("allowed.test:443"), reason="no-rule")
        stranger.denied(get("http://plain.test/"), reason="no-rule")
    trial.passes()


def start(bench, *arguments, env=None):
    return subprocess.run(bench.command("gw", BINARY, "serve", *arguments), capture_output=True, text=True, timeout=15,
                          env={"PATH": os.environ["PATH"], "HOME": "/root", "NO_COLOR": "1"} | (env or {}))


def test_OPS_05_what_is_missing_stops_the_start_with_its_name(bench, tmp_path, gate):
    policy = tmp_path / "p.yaml"
    policy.write_text("version: 1\nrules: []\n")
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: 1\nrulez: []\n")
    sound = {"--policy": policy, "--proxy-listen": "10.66.0.1:3199", "--dns-upstream": RESOLVER, "--audit-log": tmp_path / "a.jsonl", "--control": tmp_path / "c.sock"}
    (tmp_path / "file").write_text("")
    cases = [
        ({"--policy": tmp_path / "none.yaml"}, {65, 66, 78}, "none.yaml"), ({"--policy": broken}, {65}, "broken.yaml:2:"),
        ({"--proxy-listen": "10.66.0.1:3128"}, {69, 78}, "3128"), ({"--proxy-listen": "192.0.2.1:3199"}, {69, 78}, "192.0.2.1"),
        ({"--proxy-listen": "nonsense"}, {64, 78}, "nonsense"), ({"--proxy-listen": "10.66.0.1:99999"}, {64, 78}, "99999"),
        ({"--audit-log": tmp_path / "file" / "a.jsonl"}, {73, 74, 77, 78}, "/file"), ({"--audit-log": "/proc/nope.jsonl"}, {73, 74, 77, 78}, "/proc"),
        ({"--control": tmp_path / "file" / "c.sock"}, {69, 73, 77, 78}, "/file"), ({"--dns-upstream": "resolver.test"}, {64, 78}, "resolver.test"),
        ({"--no-such-flag": "x"}, {64}, "no-such-flag")]
    for changed, statuses, named in cases:
        done = start(bench, *(str(word) for pair in (sound | changed).items() for word in pair))
        assert done.returncode in statuses and named in done.stderr, (changed, done)
        assert "exitgate: ready" not in done.stderr and len(done.stderr.strip().splitlines()) <= 8, done.stderr
        assert not (tmp_path / "c.sock").exists(), f"{changed}: something was left half-started"
    assert gate.is_alive


@pytest.mark.parametrize("resolv_conf", ["# none\n", "", "nameserver resolver.test\n", "options ndots:1\nsearch test\n"])
def test_OPS_05_without_a_resolver_nothing_starts(fresh, resolv_conf):
    trial = fresh(start=False, upstream=(), resolv_conf=resolv_conf)
    trial.gate.start(wait=False)
    assert trial.gate.ends(5) == 78, trial.gate.said
    eventually(lambda: any("/etc/resolv.conf" in line for line in trial.gate.said))
    said = "\n".join(trial.gate.said)
    assert "no resolver" in said and "--dns-upstream" in said, f"what is missing, and the remedy: {said}"
    assert "ready" not in said and "listening" not in said and not trial.gate.control.exists(), "nothing is half-started"
    with pytest.raises(OSError):
        trial.agent.open(1)
    (trial.bench.etc / "resolv.conf").write_text(f"nameserver {RESOLVER}\n")
    trial.gate.start()
    trial.passes()


def test_OPS_06_a_rule_that_runs_out_ends_its_flows_and_denies(fresh):
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    trial = fresh(BASE + f"  - {{ id: brief, agents: [a1], action: allow, to: [brief.test], expires: {soon} }}\n")
    trial.far.answers("brief.test", GOOD)
    written = trial.gate.log.mark()
    with trial.opened("brief.test:443") as sock:
        sock.sendall(client_hello("brief.test"))
        assert sock.recv(100).startswith(b"FLIGHT")
        sock.settimeout(8)
        assert drain(sock).ended != "open"
    trial.gate.log.wait_for(written, event="close", rule="brief", reason="expired")
    trial.denied(connect("brief.test:443"), reason="no-rule")
    trial.passes()


@pytest.mark.parametrize("years", [10, -10])
def test_OPS_06_a_clock_that_is_ten_years_off_changes_no_verdict(fresh, tmp_path, years):
    """The time of day jumps under a running gate, and back; what counts seconds does not follow it."""
    clock = Clock(tmp_path)
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=5 * 365)).strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = (BASE + f"  - {{ id: brief, agents: [a1], action: allow, to: [brief.test], expires: {soon} }}\n"
              + "  - { id: hour, agents: [a1], action: allow, protocol: tcp, to: [hour.test], ports: [5432], limits: { duration: 1h } }\n")
    trial = fresh(policy, env=clock.environment)
    trial.far.answers("brief.test", GOOD), trial.far.answers("hour.test", GOOD)
    log = trial.gate.log

    def verdicts(brief):
        trial.passes()
        trial.denied(connect("evil.test:443"), reason="no-rule")
        trial.denied(get("http://evil.test/", "evil.test"), reason="no-rule")
        trial.denied(connect("bad.wild.test:443"), reason="deny-rule", rule="bad")
        trial.denied(connect("169.254.169.254:443"), reason="special-address")
        trial.denied(connect("10.0.0.5:443"), reason="private-address")
        trial.malformed(connect("0x7f.1:443"))
        if brief:
            trial.tunnels("brief.test:443", "brief.test", rule="brief")
        else:
            trial.denied(connect("brief.test:443"), reason="no-rule")

    def speaks(sock, words=b"still here"):
        sock.sendall(words)
        assert sock.recv(100).startswith(b"FLIGHT"), "a tunnel that stands goes on"

    verdicts(brief=True)
    with trial.opened() as standing, trial.opened("hour.test:5432") as timed:
        speaks(standing, client_hello()), speaks(timed)
        for _ in range(3):
            trial.agent.send(connect("again.evil.test:443"))
        written = log.mark()
        clock.turn(years * 365.25 * 86400)
        eventually(lambda: exitgate_year(trial) == datetime.date.today().year + years, 3, "the gate's clock did not jump")
        clock.elapse(3)
        verdicts(brief=years < 0)
        trial.agent.send(connect("again.evil.test:443"))
        assert not [entry for entry in log.entries(written) if entry.event == "rollup"], "ten years are not ten seconds"
        clock.elapse(12)
        rolled, = [entry for entry in log.wait_for(written, event="rollup", agent="a1") if entry.host == "again.evil.test"]
        assert rolled.count == 3 and rolled.reason == "no-rule", "the first stands for itself, the others are counted"
        clock.elapse(80)
        log.wait_for(written, event="checkpoint")
        speaks(standing), speaks(timed)
        clock.turn(0)
        verdicts(brief=years < 0)  # what has run out once stays so
        done = trial.gate.reload(policy)
        assert done.returncode == 0, done
        verdicts(brief=True)  # a reload is how a person says that the clock is right again
        speaks(standing), speaks(timed)
        clock.elapse(3700)
        timed.settimeout(5)
        assert drain(timed).ended != "open", "an hour is an hour by any clock"
        log.wait_for(written, event="close", rule="hour", reason="duration-limit")
        speaks(standing)
    trial.gate.stop()
    log.verify()
    assert exitgate("log", "verify", "--audit-log", log.path).returncode == 0


def test_OPS_06_a_clock_set_back_keeps_no_rule_alive(fresh, tmp_path):
    """A rule has the hours it was given when it was loaded, whatever the time of day says afterwards."""
    clock = Clock(tmp_path)
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    trial = fresh(BASE + f"  - {{ id: brief, agents: [a1], action: allow, to: [brief.test], expires: {soon} }}\n", env=clock.environment)
    trial.far.answers("brief.test", GOOD)
    clock.turn(-10 * 365.25 * 86400)
    eventually(lambda: exitgate_year(trial) == datetime.date.today().year - 10, 3, "the gate's clock did not jump")
    trial.tunnels("brief.test:443", "brief.test", rule="brief")
    written = trial.gate.log.mark()
    with trial.opened("brief.test:443") as sock:
        sock.sendall(client_hello("brief.test"))
        assert sock.recv(100).startswith(b"FLIGHT")
        clock.elapse(3601)
        assert drain(sock).ended != "open", "its flows end when its hour is over"
    trial.gate.log.wait_for(written, event="close", rule="brief", reason="expired")
    trial.denied(connect("brief.test:443"), reason="no-rule")
    trial.passes()


def exitgate_year(trial):
    """The year in which the gate believes to be, as its last record has it."""
    trial.passes()
    return datetime.datetime.fromtimestamp(trial.gate.log.entries()[-1].fields["time"] / 1000, datetime.timezone.utc).year


@pytest.mark.parametrize("trouble", ["SERVFAIL", "FORMERR", "REFUSED", "NXDOMAIN", "garbage"])
def test_OPS_07_a_resolver_that_fails_opens_nothing(trial, trouble):
    name = f"{trouble.lower()}.wild.test"
    trial.far.zone[f"{name} A"] = trial.far.zone[f"{name} AAAA"] = [trouble]
    seen = trial.far.mark()
    sock = trial.agent.open(8)
    sock.sendall(connect(f"{name}:443"))
    reply = drain(sock)
    assert reply.status in (502, 504) and reply.json["reason"] in ("dns-error", "dns-timeout"), reply
    assert "dns_" in reply.field("Proxy-Status")
    assert not trial.far.since(seen, Accepted)
    assert {event.server for event in trial.far.since(seen, Asked)} == {RESOLVER}, "another server was asked"
    trial.passes()


def test_OPS_07_a_resolver_that_is_silent_is_given_up_in_time(trial):
    names = [f"silent{number}.wild.test" for number in range(3)]
    for name in names:
        trial.far.zone[f"{name} A"] = trial.far.zone[f"{name} AAAA"] = ["silence"]
    seen, began = trial.far.mark(), time.monotonic()
    socks = [trial.agent.open(8) for _ in names]
    for sock, name in zip(socks, names):
        sock.sendall(connect(f"{name}:443"))
    trial.passes()
    for sock in socks:
        reply = drain(sock)
        assert reply.status == 504 and reply.json["reason"] == "dns-timeout", reply
    assert time.monotonic() - began < 6
    assert {event.server for event in trial.far.since(seen, Asked)} == {RESOLVER}


def test_OPS_07_a_truncated_answer_is_asked_for_over_tcp(trial):
    trial.far.zone["big.wild.test A"], trial.far.zone["big.wild.test AAAA"] = ["truncated"], [[]]
    trial.tunnels("big.wild.test:443", "big.wild.test")


def test_OPS_07_rebinding_and_mixed_answers_never_reach_inside(trial):
    """DNS-20..22 as far as the proxy's own lookups go: the address judged is the address dialled, asked for once."""
    trial.far.zone["rebind.test A"], trial.far.zone["rebind.test AAAA"] = [[GOOD], ["169.254.169.254"]], [[]]
    seen = trial.far.mark()
    for _ in range(20):
        trial.agent.send(connect("rebind.test:443"), timeout=0.05)
    trial.far.answers("mixed.test", "169.254.169.254", GOOD, "::1")
    trial.agent.send(connect("mixed.test:443"), timeout=0.1)
    assert {event.address for event in trial.far.since(seen, Accepted)} <= {GOOD}
    trial.passes()


def test_OPS_07_aliases_are_followed_and_a_denied_one_is_not(trial):
    trial.far.zone["cn.test A"] = [[("cn.test", "CNAME", "edge.cdn.test"), ("edge.cdn.test", "A", GOOD)]]
    trial.far.zone["cn.test AAAA"] = [[]]
    trial.tunnels("cn.test:443", "cn.test")
    trial.denied(connect("edge.cdn.test:443"), reason="no-rule")
    trial.far.zone["alias.wild.test A"] = [[("alias.wild.test", "CNAME", "bad.wild.test"), ("bad.wild.test", "A", GOOD)]]
    trial.far.zone["alias.wild.test AAAA"] = [[("alias.wild.test", "CNAME", "bad.wild.test")]]
    trial.denied(connect("alias.wild.test:443"), reason="cname-denied", resolves=True)


def test_OPS_08_audit_mode_says_everywhere_that_nothing_is_enforced(fresh):
    trial = fresh(BASE.replace("version: 1\n", "version: 1\nmode: audit\n"))
    trial.far.answers("evil.test", GOOD)
    written = trial.gate.log.mark()
    with trial.opened("evil.test:443") as sock:
        sock.sendall(client_hello("evil.test"))
        assert sock.recv(100).startswith(b"FLIGHT")
    record, = trial.gate.log.wait_for(written, host="evil.test", verdict="allow", event="decision")
    assert record.would_deny and record.reason == "no-rule"
    trial.denied(connect("169.254.169.254:443"), reason="special-address")
    status = trial.gate.tell("status").stdout.lower()
    assert "audit" in status and "enforc" in status, status
    assert any("audit" in line.lower() for line in trial.gate.said), "the start says so"
    assert trial.gate.reload(BASE).returncode == 0
    trial.denied(connect("evil.test:443"), reason="no-rule")
