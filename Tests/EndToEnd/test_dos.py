"""DOS: slow, greedy and broken clients take nothing from the others, and nothing makes the gate grow or die."""
import contextlib, os, random, signal, socket, struct, threading, time

import pytest

from harness.audit import AuditLog
from harness.client import Agent, Reply, client_hello, connect, drain, get, read_head
from harness.clock import Clock
from harness.far import Accepted, Asked, Received
from harness.gate import A2, BASE, eventually, exitgate
from harness.namespaces import BLACKHOLE, BLACKHOLES, GOOD
from harness.trial import Trial


def reset(sock):
    """Closes with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_DOS_01_slow_heads_end_at_their_deadline_and_hinder_nobody(trial):
    trial.passes()
    written, began = trial.gate.log.mark(), time.monotonic()
    silent = [trial.agent.open(30) for _ in range(100)]
    started = [trial.agent.open(15) for _ in range(100)]
    for sock in started:
        sock.sendall(b"G")
    while time.monotonic() - began < 6:
        for sock in started:
            sock.sendall(b"E")
        once = time.monotonic()
        trial.passes()
        assert time.monotonic() - once < 1, "others are served as fast as ever"
        time.sleep(0.5)
    replies = [drain(sock) for sock in started]
    assert {(reply.status, reply.ended) for reply in replies} == {(408, "closed")}, set(map(str, replies))
    assert time.monotonic() - began < 15, "a byte now and then does not put the deadline off"
    # Who has not said a word is not even accepted for some seconds (TCP_DEFER_ACCEPT), and costs nothing until then.
    assert all(drain(sock).ended in ("closed", "reset") for sock in silent) and time.monotonic() - began < 25
    late = lambda: [entry for entry in trial.gate.log.entries(written) if entry.verdict == "deny"]
    eventually(lambda: sum(entry.count for entry in late()) >= len(started), 13, "each head that ended is counted")
    assert sum(entry.count for entry in late()) == len(started) and {(entry.agent, entry.reason) for entry in late()} == {("a1", "head-timeout")}, late()
    for sock in silent + started:
        sock.close()
    trial.passes()


BODIES = {"of a length": (b"Content-Length: 100000\r\n", b"Q"), "in chunks": (b"Transfer-Encoding: chunked\r\n", b"1\r\nQ\r\n")}


@pytest.mark.parametrize("name", BODIES)
def test_DOS_01_bodies_that_stall_or_trickle_end_at_their_deadline(fresh, tmp_path, name):
    """An hour for a body, however it comes; the hour is that of a clock in front of the gate's."""
    clock = Clock(tmp_path)
    trial = fresh(env=clock.environment)
    framing, piece = BODIES[name]
    arrived = lambda: b"".join(event.data for event in trial.far.since(seen, Received)).count(b"Q")
    trial.far.script = lambda connection, data: True  # an origin that waits for the whole of it

    def ended(socks, count):
        for sock in socks:
            sock.settimeout(3)
        replies = [drain(sock) for sock in socks]
        assert {(reply.status, reply.ended, reply.json["reason"]) for reply in replies} == {(408, "closed", "body-timeout")}, set(map(str, replies))
        closed = trial.gate.log.wait_for(written, count, event="close", host="plain.test")
        assert len(closed) == count == len({entry.flow for entry in closed}) and {entry.reason for entry in closed} == {"body-timeout"}, closed
        eventually(lambda: trial.gate.open_connections == 40 - count)

    seen, written = trial.far.mark(), trial.gate.log.mark()
    stalled = [trial.agent.open(10) for _ in range(20)]
    trickling = [trial.agent.open(10) for _ in range(20)]
    for sock in stalled + trickling:
        sock.sendall(get("http://plain.test/", fields=framing, method="POST") + piece)
    eventually(lambda: arrived() == 40)
    for step in range(1, 72):
        clock.elapse(50 * step)
        if step == 3:  # not 2: the first step may come before the gate, which has just sent the piece, looks at its clock
            ended(stalled, 20)
        assert trial.gate.open_connections in {1: (40,), 2: range(20, 41)}.get(step, (20,)), "nobody is ended who does not stall"
        for sock in trickling:
            sock.sendall(piece)
        eventually(lambda: arrived() == 40 + 20 * step, 3, f"a body that trickles is carried for {50 * step} s")
    clock.elapse(3602)  # less than a minute after a byte, which is no stall
    ended(trickling, 40)
    trial.far.script = None
    trial.passes()


def test_DOS_04_a_tunnel_ends_after_a_day_however_busy_unless_its_rule_says_otherwise(fresh, tmp_path):
    """A day that passes in steps shorter than a tunnel may rest, each with a word both ways."""
    clock = Clock(tmp_path)
    rules = "".join(f"  - {{ id: {name}, agents: [a1], action: allow, protocol: tcp, to: [{name}.test], ports: [5432], limits: {{ duration: {span} }} }}\n"
                    for name, span in (("brief", "2h"), ("long", "2d"), ("endless", "none")))
    trial = fresh(BASE + rules, env=clock.environment)
    for name in ("brief.test", "long.test", "endless.test", "raw.test"):
        trial.far.answers(name, GOOD)
    written = trial.gate.log.mark()
    tunnels = {rule: trial.opened(f"{name}.test:5432") for rule, name in (("opaque", "raw"), ("brief", "brief"), ("long", "long"), ("endless", "endless"))}
    ends = {2: "brief", 24: "opaque", 48: "long"}
    for hour in range(1, 51):
        clock.elapse(3600 * hour + 5)
        if over := ends.get(hour):
            assert drain(tunnels.pop(over)).ended != "open", f"{over} is not over after {hour} h"
            trial.gate.log.wait_for(written, event="close", rule=over, reason="duration-limit")
        for rule, sock in tunnels.items():
            sock.sendall(b"still here")
            assert sock.recv(100).startswith(b"FLIGHT"), f"{rule} is over after {hour} h"
    assert list(tunnels) == ["endless"]
    tunnels["endless"].close()
    trial.passes()


def test_DOS_01_an_answer_that_stalls_ends_as_well(fresh, tmp_path):
    clock = Clock(tmp_path)
    trial = fresh(env=clock.environment)
    now, written = 0, trial.gate.log.mark()

    def patience(sock, step):
        """The answer that ends the connection, and after how many seconds, counted in steps."""
        nonlocal now
        began, reply = now, Reply(b"", "open")
        sock.settimeout(0.5)
        while reply.ended == "open":
            assert now - began < 10 * step, "it never ends"
            now += step
            clock.elapse(now)
            reply = drain(sock)
        return reply, now - began

    half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    trial.far.script = lambda connection, data: connection.sendall(half) or True
    with trial.agent.open(10) as sock:
        sock.sendall(get("http://plain.test/"))
        reply = read_head(sock)
        while not reply.raw.endswith(b"half"):
            reply.raw += sock.recv(100)
        _, seconds = patience(sock, 3700)
    # The first step may come before the gate, which has just sent the half, looks at its clock.
    assert seconds in (3 * 3700, 4 * 3700), "as long as a tunnel may rest, two hours and four minutes"
    trial.gate.log.wait_for(written, event="close", host="plain.test", reason="idle")
    trial.far.script = lambda connection, data: True
    with trial.agent.open(10) as sock:
        seen = trial.far.mark()
        sock.sendall(get("http://plain.test/silent"))
        trial.far.wait_for(seen, Received)
        reply, seconds = patience(sock, 120)
    assert reply.status == 504 and reply.ended == "closed" and seconds in (3 * 120, 4 * 120), (reply, seconds)
    trial.far.script = None
    trial.passes()


BOMBS = {
    "many fields": b"".join(b"a%d: b\r\n" % number for number in range(200000)), "a long field": b"X: " + b"a" * (1 << 20), "a long name": b"y" * 70000,
    "many empty values": b"a:\r\n" * 300000, "many hosts": b"Host: plain.test\r\n" * 50000}


def test_DOS_02_header_bombs_are_cut_off_early(trial):
    for bomb in BOMBS.values():
        trial.malformed(b"GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n" + bomb + b"\r\n\r\n", status=431)
    trial.malformed(b"GET http://plain.test/" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", status=414)
    trial.passes()


@pytest.mark.parametrize("name", BOMBS)
def test_DOS_02_header_bombs_cost_64_kib_a_connection_at_most(fresh, name):
    """Measured at its peak over 64 connections at once, of which half are as large as a head may be and never end."""
    trial = fresh()
    head = b"GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n"
    bomb = head + BOMBS[name] + b"\r\n\r\n"
    fitting = (head + BOMBS[name].replace(b"Host: plain.test", b"Hosts: plain.test"))[:16000]
    at_once, threads, replies = 64, [], []
    for _ in range(20):
        trial.passes()  # what the first connections load of the program is no connection's
    trial.malformed(bomb, status=431)
    trial.gate.forget_peak()
    before = trial.gate.peak
    held = [trial.agent.open() for _ in range(at_once // 2)]
    for sock in held:
        sock.sendall(fitting)
    for _ in range(at_once // 2):
        threads.append(threading.Thread(target=lambda: replies.append(trial.agent.send(bomb))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert {(reply.status, reply.ended) for reply in replies} == {(431, "closed")} and len(replies) == at_once // 2, set(map(str, replies))
    eventually(lambda: trial.gate.open_connections == at_once // 2, 3, "the others are waited for")
    grown = trial.gate.peak - before
    assert grown <= 64 * at_once, f"{grown} KiB over {at_once} connections"
    for sock in held:
        sock.close()
    trial.passes()


def test_DOS_03_running_out_of_descriptors_pauses_accepting_and_no_more(fresh):
    trial = fresh(BASE + "  - { id: other, agents: [a2], action: allow, to: [dead.test] }\n", nofile=128, doubles=0)
    trial.far.answers("dead.test", *BLACKHOLES)
    trial.passes()
    held = []
    for port, count in ((3128, 12), (A2, 4)):  # each dials all the addresses at once before long
        for _ in range(count):
            held.append(Agent(trial.bench, port=port).open())
            held[-1].sendall(connect("dead.test:443"))
    time.sleep(2)
    with trial.bench.inside("agent"):
        for _ in range(400):
            sock = socket.socket()
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(("10.66.0.1", 3128))
            held.append(sock)
    for sock in held[16:]:  # a connection is accepted when its client has spoken
        with contextlib.suppress(OSError):
            sock.setblocking(True), sock.settimeout(0.05), sock.send(b"G")
    time.sleep(0.5)
    assert trial.gate.is_alive
    ticks = lambda: sum(map(int, open(f"/proc/{trial.gate.process.pid}/stat").read().rpartition(")")[2].split()[11:13]))
    before = ticks()
    time.sleep(1)
    assert (ticks() - before) / os.sysconf("SC_CLK_TCK") < 0.5, "it spins instead of waiting"
    for _ in range(5):
        began = time.monotonic()
        assert trial.gate.tell("status").returncode == 0, "the control socket still answers"
        done = trial.gate.reload(trial.gate.policy.read_text() + "# again\n")
        assert done.returncode == 0, f"the descriptors of a reload are kept back: {done.stderr}"
        assert time.monotonic() - began < 2, "it waits until dials have given up"
    rotates(trial)
    for sock in held:
        reset(sock)
    eventually(lambda: trial.agent.send(connect("allowed.test:443"), timeout=0.5).raw.startswith(b"HTTP/1.1 200"), 10, "it does not recover once the dials are over")
    assert [line for line in trial.gate.said if "descriptor" in line.lower() or "open files" in line.lower()], "it says why"
    trial.passes()
    trial.gate.stop()
    done = exitgate("log", "verify", "--audit-log", trial.gate.log.path)
    assert done.returncode == 0, done


def rotates(trial):
    """The log is set aside, as logrotate(8) does it, and goes on in a new file within its tick of a second."""
    path = trial.gate.log.path
    for number in (1, 2):
        aside = path.with_name(f"{path.name}.00000{number}")
        path.rename(aside)
        eventually(path.exists, 3, "the log is not begun anew")
        trial.gate.log.wait_for(event="rotated")
        assert trial.gate.tell("reload").returncode == 0
        trial.gate.log.wait_for(event="policy")
        last, first = AuditLog(aside).entries()[-1], trial.gate.log.entries()[0]
        assert (first.seq, first.fields["prev"]) == (last.seq + 1, last.fields["hash"]), "the chain goes on"


def test_DOS_04_an_upstream_that_swallows_packets_is_given_up_in_time(trial):
    trial.far.answers("dead.test", BLACKHOLE)
    written, began = trial.gate.log.mark(), time.monotonic()
    tunnel = trial.agent.open(20)
    tunnel.sendall(connect("dead.test:443"))
    plain = trial.agent.open(20)
    plain.sendall(get("http://dead.test/", "dead.test"))
    for sock in (tunnel, plain):
        reply = drain(sock)
        assert reply.status == 504 and reply.json["reason"] == "connection-timeout", reply
        assert "connection_timeout" in reply.field("Proxy-Status")
    assert time.monotonic() - began < 12
    trial.gate.log.wait_for(written, 1, host="dead.test", verdict="allow")
    trial.passes()


@pytest.mark.parametrize("target", ["silent.wild.test", "dead.test"])
def test_DOS_04_a_client_that_breaks_off_is_waited_for_by_nobody(fresh, target):
    """While its name is looked up, or its upstream dialled. A client that only shut its sending side is served."""
    trial = fresh()
    trial.far.zone["silent.wild.test A"] = trial.far.zone["silent.wild.test AAAA"] = ["silence"]
    trial.far.answers("dead.test", BLACKHOLE)
    written = trial.gate.log.mark()
    asked = trial.far.mark()
    gone, half = [trial.agent.open(10) for _ in range(20)], trial.agent.open(20)
    for sock in gone:
        sock.sendall(connect(f"{target}:443") + client_hello(target))
    half.sendall(connect(f"{target}:443"))
    half.shutdown(socket.SHUT_WR)
    trial.far.wait_for(asked, Asked)
    eventually(lambda: trial.gate.open_connections == len(gone) + 1)
    time.sleep(0.3)  # so that what is looked up is dialled
    for sock in gone:
        reset(sock)
    closed = trial.gate.log.wait_for(written, len(gone), 2, event="close", host=target, reason="client-reset")
    assert len({entry.flow for entry in closed}) == len(gone), closed
    eventually(lambda: trial.gate.open_connections == 1, 2, "somebody waits for who is gone")
    reply = drain(half)
    assert reply.status == 504 and reply.ended == "closed", f"an end alone is no reason to give up: {reply}"
    assert not trial.far.since(asked, Accepted) and not trial.far.since(asked, Received)
    trial.passes()


def test_DOS_04_half_closed_and_broken_tunnels_leave_nothing_behind(trial):
    trial.passes()
    before, memory = trial.gate.descriptors, trial.gate.resident
    for number in range(300):
        sock = trial.opened()
        if number % 3:
            sock.sendall(client_hello())
            sock.recv(100)
        if number % 4 == 0:
            sock.shutdown(socket.SHUT_WR)
        if number % 4 < 2:
            reset(sock)
        else:
            sock.close()
    eventually(lambda: trial.gate.descriptors <= before + 2, 5, "descriptors are left over")
    eventually(lambda: trial.gate.open_connections == 0, 5, "connections are counted that no longer exist")
    assert trial.gate.resident - memory < 8192
    trial.passes()


def test_DOS_04_a_rule_may_bound_connections_bytes_and_time(fresh):
    policy = """version: 1
agents: { a1: { listen: 10.66.0.1:3128 } }
rules:
  - { id: two, action: allow, to: [allowed.test], limits: { connections: 2 } }
  - { id: short, action: allow, to: [a.wild.test], limits: { duration: 1s } }
  - { id: little, action: allow, protocol: tcp, ports: [8443], to: [raw.test], limits: { bytes-out: 64KiB, bytes-in: 10MiB } }
  - { id: plain, action: allow, protocol: http, to: [plain.test] }
"""
    trial = fresh(policy)
    first, second = trial.opened(), trial.opened()
    reply = trial.denied(connect("allowed.test:443"), reason="connection-limit", status=503, itself=True)
    assert "connection_limit_reached" in reply.field("Proxy-Status")
    second.close()
    eventually(lambda: trial.agent.send(connect("allowed.test:443"), timeout=0.3).raw.startswith(b"HTTP/1.1 200"), 3)
    first.close()
    trial.far.answers("raw.test", GOOD)
    received = []
    trial.far.script = lambda connection, data: received.append(len(data)) or True
    written = trial.gate.log.mark()
    with trial.opened("raw.test:8443") as sock, contextlib.suppress(OSError):
        for _ in range(64):
            sock.sendall(bytes(4096))
        assert drain(sock).ended != "open"
    record, = trial.gate.log.wait_for(written, event="close", rule="little")
    assert record.reason == "bytes-out-limit" and sum(received) <= 65536, (record, sum(received))
    began = time.monotonic()
    with trial.opened("a.wild.test:443") as sock:
        sock.sendall(client_hello("a.wild.test"))
        assert drain(sock).ended != "open" and time.monotonic() - began < 3
    trial.gate.log.wait_for(written, event="close", rule="short", reason="duration-limit")


@pytest.mark.parametrize("direction", ["down", "up"])
def test_DOS_05_a_fast_sender_and_a_slow_reader_cost_no_memory(trial, direction):
    trial.far.answers("raw.test", GOOD)
    sent, stop = [0], threading.Event()

    def pour(sock):
        with contextlib.suppress(OSError):
            sock.settimeout(0.2)
            while not stop.is_set():
                try:
                    sent[0] += sock.send(bytes(262144))
                except TimeoutError:
                    pass

    def answer(connection, _):
        if direction == "down":
            pour(connection)
        else:
            stop.wait(10)
        return False

    trial.far.script = answer
    before = trial.gate.resident
    socks = [trial.opened("raw.test:8443") for _ in range(8)]
    pourers = []
    for sock in socks:
        sock.sendall(b"go")
        if direction == "up":
            pourers.append(threading.Thread(target=pour, args=(sock,)))
            pourers[-1].start()
    time.sleep(2)
    grown, poured = trial.gate.resident - before, sent[0]
    stop.set()
    for thread in pourers:
        thread.join()
    for sock in socks:
        sock.close()
    assert poured > 1 << 20, "the sender did fill the buffers"
    assert grown < 8 * 512, f"{grown} KiB for 8 tunnels"
    trial.far.script = None
    trial.passes()


def test_DOS_06_a_flood_of_names_leaves_the_others_their_lookups(fresh):
    trial = fresh(BASE + '  - { id: other, agents: [a2], action: allow, to: ["*.other.test"] }\n')
    other = Trial(trial.bench, trial.far, trial.gate, Agent(trial.bench, port=A2), "a2")
    for number in range(10000):
        for kind in ("A", "AAAA"):
            trial.far.zone[f"flood{number}.wild.test {kind}"] = ["silence"]
    for number in range(40):
        trial.far.answers(f"n{number}.other.test", GOOD)
    names, told, stop = iter(range(10000)), [], threading.Event()

    def flood():
        held = []
        with contextlib.suppress(OSError):
            while not stop.is_set() and len(held) < 600:
                held.append(trial.agent.open(10))
                held[-1].sendall(connect(f"flood{next(names)}.wild.test:443"))
        for sock in held:
            told.append(drain(sock))
            sock.close()

    other.tunnels("n0.other.test:443", "n0.other.test", rule="other")
    before, flooders = trial.gate.descriptors, [threading.Thread(target=flood) for _ in range(4)]
    for thread in flooders:
        thread.start()
    eventually(lambda: next(names) > 1000, 10)
    most = 0
    try:
        for number in range(1, 40):
            with other.agent.open() as sock:
                sock.sendall(connect(f"n{number}.other.test:443"))
                reply = read_head(sock)
            assert reply.raw.startswith(b"HTTP/1.1 200"), f"another agent's name is refused: {reply}"
            most = max(most, trial.gate.descriptors - before)
    finally:
        stop.set()
        for thread in flooders:
            thread.join()
    full = [reply for reply in told if reply.status == 503]
    assert full and {reply.json["reason"] for reply in full} == {"overload"}, set(map(str, told))
    assert {reply.json["reason"] for reply in told if reply.status == 504} == {"dns-timeout"}
    assert most < 1500, f"{most} descriptors held"
    eventually(lambda: trial.gate.descriptors <= before + 2, 10, "descriptors are left over")
    trial.passes()


def test_DOS_07_peers_that_vanish_in_the_middle_of_a_write(trial):
    def flood(connection, _):
        with contextlib.suppress(OSError):
            for _ in range(50):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + bytes(65536))
        return False

    trial.far.answers("raw.test", GOOD)
    for number in range(30):
        trial.far.script = flood
        with contextlib.suppress(OSError, AssertionError):
            sock = trial.opened("raw.test:8443") if number % 2 else trial.agent.open()
            sock.sendall(b"go" if number % 2 else get("http://plain.test/"))
            sock.recv(1)
            reset(sock)
        trial.far.script = lambda connection, _: reset(connection)
        with contextlib.suppress(OSError, AssertionError):
            with trial.opened("raw.test:8443") as sock:
                sock.sendall(b"x")
                drain(sock)
    trial.far.script = None
    assert trial.gate.is_alive
    eventually(lambda: trial.gate.open_connections == 0, 5, "connections are counted that no longer exist")
    trial.passes()


def test_DOS_07_random_bytes_never_kill_it(trial):
    source = random.Random(7)
    seeds = [connect("allowed.test:443"), get("http://plain.test/"), b"\x05\x01\x00\x05\x01\x00\x03\x0callowed.test\x01\xbb", b"\x05\x02\x00\x02\x01\x02ab\x02cd"]
    for _ in range(400):
        data = bytearray(source.choice(seeds))
        for _ in range(source.randrange(1, 5)):
            at = source.randrange(len(data))
            data[at:at + source.randrange(2)] = bytes(source.randrange(256) for _ in range(source.randrange(3)))
        with trial.agent.open(1) as sock, contextlib.suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
    assert trial.gate.is_alive
    trial.settles()
    trial.passes()


def test_DOS_07_ten_thousand_rules_and_the_longest_name(fresh):
    rules = "".join(f'  - {{ id: r{number}, action: allow, to: ["*.n{number}.example.test", e{number}.test] }}\n' for number in range(10000))
    trial = fresh(BASE + rules)
    longest = ".".join(["a" * 63] * 3) + "." + "b" * 56 + ".test"
    assert len(longest) == 253
    times = []
    for _ in range(100):
        began = time.monotonic()
        reply = trial.agent.send(connect(f"{longest}:443"))
        times.append(time.monotonic() - began)
        assert reply.status == 403
    assert sorted(times)[98] < 0.05, f"a denial takes {sorted(times)[98]:.4f} s"
    trial.far.answers("x.n9999.example.test", GOOD)
    trial.tunnels("x.n9999.example.test:443", "x.n9999.example.test", rule="r9999")
