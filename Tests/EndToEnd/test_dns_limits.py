"""DNS: what one agent may ask in a second, how much it may say in labels, and what a connection may hold."""
import base64, contextlib, os, select, socket, struct, threading, time

import pytest

from harness.asker import Asker, Reply, query, read_message, within
from harness.client import connect
from harness.gate import eventually
from harness.namespaces import GOOD
from harness.naming import POLICY, fresh_name
from harness.upstream import SILENCE

WATCHED = POLICY.replace(', limits: { dns-labels: none }', "")  # the default budget
MOST = 3 * 4096 + 200  # bytes: less than twice the budget in one minute, and the budget again in the next


def random_label(size=40):
    return base64.b32encode(os.urandom(size)).decode().lower().strip("=")[:size]


# -- the label budget

def test_DNS_09_labels_over_the_budget_raise_an_alert_and_then_end(own_stage):
    stage = own_stage(WATCHED)
    known = fresh_name()
    stage.resolves(known)
    written, sent, denied = stage.log.mark(), 0, None
    for number in range(500):
        reply = stage.ask(f"{random_label(50)}.wild.test")
        if reply.rcode == "NXDOMAIN":
            denied = number
            break
        sent += 50
    assert denied is not None and reply.ede == [18], f"500 labels of 50 bytes passed: {reply}"
    assert 4096 <= sent <= MOST, f"{sent} bytes passed"
    alert = stage.recorded(written, verdict="allow", reason="dns-budget")
    assert "wild.test" in alert.detail and ("4096" in alert.detail or "4KiB" in alert.detail.replace(" ", "")), alert.detail
    assert stage.recorded(written, verdict="deny", reason="dns-budget").rule in ("wild", None)
    seen = stage.upstream.mark()
    stage.denied(f"{random_label(50)}.wild.test", reason="dns-budget", recorded=False)
    stage.denied(fresh_name(), reason="dns-budget", recorded=False)
    assert stage.ask(known).addresses == [GOOD], "names seen before are still answered"
    assert stage.ask("allowed.test").addresses == [GOOD], "and other domains"
    assert {query.name for query in stage.upstream.since(seen)} <= {"allowed.test"}
    assert len(stage.log.entries(written)) < 400


def test_DNS_09_a_name_asked_again_costs_nothing(own_stage):
    stage = own_stage(WATCHED)
    names = [f"{random_label(60)}.wild.test" for _ in range(20)]
    for _ in range(20):
        for name in names:
            assert stage.ask(name).rcode == "NOERROR"
    assert not [entry for entry in stage.log.entries() if entry.reason == "dns-budget"]


def test_DNS_09_long_names_of_many_labels_count_whole(own_stage):
    stage = own_stage(WATCHED)
    total = 0
    for _ in range(100):
        name = ".".join(random_label(60) for _ in range(3)) + ".wild.test"
        if stage.ask(name).rcode != "NOERROR":
            break
        total += 180
    assert 4096 <= total <= MOST, f"{total} bytes passed"


def test_DNS_09_the_budget_is_one_for_every_way_of_asking(own_stage):
    """TCP, AAAA and CONNECT draw on the same budget as datagrams."""
    stage = own_stage(WATCHED)
    total, denied = 0, False
    for number in range(300):
        name = f"{random_label(60)}.wild.test"
        if number % 3 == 2:
            status = stage.trial.agent.send(connect(f"{name}:443"), b"", timeout=0.3).status
            denied = status == 403
        else:
            denied = stage.ask(name, "AAAA" if number % 3 else "A", tcp=bool(number % 3)).rcode == "NXDOMAIN"
        if denied:
            break
        total += 60
    assert denied and 4096 <= total <= MOST, total
    seen = stage.upstream.mark()
    stage.trial.agent.send(connect(f"{random_label(60)}.wild.test:443"))
    stage.upstream.heard_nothing(seen)


def test_DNS_09_a_rule_may_set_its_own_budget_or_none(own_stage):
    stage = own_stage(POLICY.replace("dns-labels: none", "dns-labels: 64KiB"))
    for _ in range(400):
        assert stage.ask(f"{random_label(50)}.wild.test").rcode == "NOERROR"
    unlimited = own_stage(POLICY)
    for _ in range(2000):
        assert unlimited.ask(f"{random_label(60)}.wild.test").rcode == "NOERROR"
    assert not [entry for entry in unlimited.log.entries() if entry.reason == "dns-budget"]


def test_DNS_09_a_new_policy_starts_anew(own_stage):
    stage = own_stage(WATCHED)
    while stage.ask(f"{random_label(60)}.wild.test").rcode == "NOERROR":
        pass
    stage.denied(fresh_name(), reason="dns-budget", recorded=False)
    assert stage.gate.reload(WATCHED + "  - { id: more, action: allow, to: [more.test] }\n").returncode == 0
    stage.resolves()


# -- the rate

def test_over_the_rate_clients_are_sent_to_tcp_and_over_twice_it_ignored(own_stage):
    stage = own_stage(rate=50)
    stage.ask("allowed.test")
    time.sleep(3)
    with stage.asker.datagrams() as sock:
        for number in range(1000):
            sock.send(query("allowed.test", id=number))
        sock.settimeout(0.5)
        replies = []
        try:
            while True:
                replies.append(Reply(sock.recv(2048)))
        except TimeoutError:
            pass
    whole, cut = [reply for reply in replies if reply.addresses], [reply for reply in replies if reply.truncated]
    assert 90 <= len(whole) <= 200, f"{len(whole)} answers at once"
    assert cut and len(whole) + len(cut) == len(replies) < 600, (len(whole), len(cut))
    assert not any(reply.message.answer for reply in cut)
    counted = stage.status["dns"]
    assert counted["limited"] >= len(cut) and counted["dropped"] >= 1000 - len(replies), counted
    time.sleep(3)
    stage.resolves()


def test_over_the_rate_tcp_waits_and_loses_nothing(own_stage):
    stage = own_stage(rate=50)
    began = time.monotonic()
    with stage.asker.stream(20) as sock:
        for number in range(300):
            wire = query("allowed.test", id=number)
            sock.sendall(struct.pack(">H", len(wire)) + wire)
        reader = sock.makefile("rb")
        ids = set()
        for _ in range(300):
            wire = reader.read(int.from_bytes(reader.read(2)))
            assert not wire[2] & 2
            ids.add(int.from_bytes(wire[:2]))
    assert ids == set(range(300))
    assert time.monotonic() - began > 2, "300 questions at 50 a second and a burst of 100"


# -- DNS over TCP

def stream_query(name, id):
    wire = query(name, id=id)
    return struct.pack(">H", len(wire)) + wire


def test_DNS_28_many_questions_in_one_connection(stage):
    """A thousand, pipelined: each is answered under its own id, whatever the order."""
    names = [fresh_name() if number % 10 == 0 else "allowed.test" for number in range(1000)]
    with stage.asker.stream(20) as sock:
        sender = threading.Thread(target=sock.sendall, args=(b"".join(stream_query(name, id) for id, name in enumerate(names)),))
        sender.start()
        reader, ids = sock.makefile("rb"), []
        for _ in names:
            reply = Reply(reader.read(int.from_bytes(reader.read(2))))
            assert str(reply.message.question[0].name) == names[reply.message.id] + "." and reply.addresses == [GOOD]
            ids.append(reply.message.id)
        sender.join(5)
    assert sorted(ids) == list(range(1000))
    stage.denied(fresh_name("evil.test"), tcp=True)


def test_DNS_28_a_slow_name_does_not_hold_up_the_answers_behind_it(stage):
    slow = fresh_name()
    stage.upstream.says(slow, "A", SILENCE)
    with stage.asker.stream(8) as sock:
        sock.sendall(stream_query(slow, 1) + stream_query("allowed.test", 2))
        with within(1):
            assert read_message(sock)[:2] == b"\0\2"
        late = Reply(read_message(sock))
        assert late.message.id == 1 and late.rcode == "SERVFAIL"


def test_DNS_28_questions_in_pieces_and_lengths_that_lie(stage):
    wire = stream_query("allowed.test", 7)
    with stage.asker.stream() as sock:  # a byte at a time
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in wire:
            sock.sendall(bytes([byte]))
            time.sleep(0.005)
        assert Reply(read_message(sock)).addresses == [GOOD]
    with stage.asker.stream() as sock:  # half-closed: what was asked is still answered
        sock.sendall(wire)
        sock.shutdown(socket.SHUT_WR)
        assert Reply(read_message(sock)).addresses == [GOOD]
        assert sock.recv(10) == b""
    for lie in (b"\0\0", b"\0\0" * 10, b"\0\1x", b"\0\x0b" + b"x" * 11):
        with stage.asker.stream(12) as sock:
            sock.sendall(lie)
            assert read_message(sock) is None, f"{lie!r} ends the connection"
    stage.resolves(tcp=True)


def test_DNS_28_slow_connections_end_after_ten_seconds(stage):
    """A message has that long to come whole, whether its bytes trickle in or were only promised."""
    with stage.asker.stream(20) as trickling, stage.asker.stream(20) as promised:
        promised.sendall(b"\xff\xff")
        began, wire = time.monotonic(), stream_query("allowed.test", 1)
        with contextlib.suppress(OSError):
            for byte in wire[:20]:
                trickling.sendall(bytes([byte]))
                if select.select([trickling], [], [], 0.7)[0]:
                    break
        assert ended(trickling) and 8 < time.monotonic() - began < 13
        assert ended(promised) and time.monotonic() - began < 13
    stage.resolves(tcp=True)


def test_DNS_28_a_connection_that_says_nothing_ends_after_ten_seconds(stage):
    with stage.asker.stream(13) as silent:
        assert ended(silent)


def ended(sock):
    """Whether the gate closes the connection before the socket's patience ends."""
    try:
        return sock.recv(10) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_DNS_28_hundreds_of_idle_connections_cost_nobody_his_answers(stage):
    before, held = stage.gate.descriptors, []
    try:
        for _ in range(500):
            try:
                sock = stage.asker.stream(2)
                sock.sendall(b"\0")
                held.append(sock)
            except OSError:
                break
        for _ in range(10):
            with within(0.5):
                stage.resolves()
        stage.tunnels()
        assert stage.gate.descriptors - before < 400, "connections to the listener are bounded"
    finally:
        for sock in held:
            sock.close()
    eventually(lambda: stage.gate.descriptors <= before + 8, 12, "they end with their clients")
    assert stage.ask("allowed.test", tcp=True).addresses == [GOOD]
    stage.denied(fresh_name("evil.test"), tcp=True)


# -- agents

AGENTS = """version: 1
agents: { a1: { listen: 10.66.0.1:3128, dns: 10.66.0.1:5301 }, a2: { listen: 10.66.0.1:3129, dns: 10.66.0.1:5302 } }
rules:
  - { id: wild, agents: [a1], action: allow, to: [allowed.test, "*.wild.test"] }
  - { id: second, agents: [a2], action: allow, to: ["*.wild.test"] }
"""


def test_DNS_28_an_agent_is_known_by_its_listener_and_pays_for_itself(own_stage):
    """Rights, rates, budgets and records are each agent's own."""
    stage = own_stage(AGENTS, rate=20, dns=())
    first, second = (Asker(stage.bench, port=port) for port in (5301, 5302))
    written = stage.log.mark()
    assert first.ask("allowed.test").addresses == [GOOD]
    assert second.ask("allowed.test").rcode == "NXDOMAIN"
    assert stage.log.wait_for(written, layer="dns", agent="a1", verdict="allow", question="allowed.test")
    assert stage.log.wait_for(written, layer="dns", agent="a2", verdict="deny", question="allowed.test")
    with first.datagrams() as sock:
        for number in range(2000):
            sock.send(query("allowed.test", id=number))
        for _ in range(10):
            with within(0.5):
                assert second.ask(fresh_name()).addresses == [GOOD], "a1 has used up its own rate"
    time.sleep(3)
    while first.ask(f"{random_label(60)}.wild.test", tcp=True).rcode == "NOERROR":
        pass
    assert stage.log.wait_for(written, layer="dns", agent="a1", verdict="deny", reason="dns-budget")
    assert second.ask(fresh_name()).addresses == [GOOD], "a1 has spent its own budget"


def test_DOS_06_a_flood_of_questions_from_one_agent_leaves_the_other_its_answers(own_stage):
    """A hundred thousand names, allowed ones before a silent upstream and denied ones: bounded in memory, in the log and upstream."""
    stage = own_stage(AGENTS, rate=None, dns=())
    stage.upstream.suffixes = {"flood.wild.test": {"*": SILENCE}} | stage.upstream.suffixes
    first, second = (Asker(stage.bench, port=port) for port in (5301, 5302))
    second.ask("calm.wild.test")
    calm = percentile(second, 40)
    before, seen, began = stage.gate.resident, stage.upstream.mark(), time.monotonic()

    def flood():
        with first.datagrams() as sock:
            for number in range(100_000):
                sock.send(query(f"x{number}.{'flood.wild' if number % 2 else 'evil'}.test", id=number % 65536))

    flooding = threading.Thread(target=flood)
    flooding.start()
    stormy = percentile(second, 40)
    flooding.join(60)
    assert stormy < max(2 * calm, 0.1), f"{stormy * 1000:.1f} ms, and {calm * 1000:.1f} ms before"
    assert stage.gate.resident - before < 64 << 10, "KiB for a hundred thousand names"
    took = time.monotonic() - began
    assert len(stage.upstream.since(seen)) < 2 * (100 + 50 * took) + 10, "denied names and those above the rate cost the upstream nothing"
    assert len(stage.log.lines()) < 100 + 60 * (took + 5) + 600, "nor is there a line for each"
    assert second.ask(fresh_name()).addresses == [GOOD]


def percentile(asker, count):
    """The longest of so many answers but one, in seconds; asked at less than the rate."""
    times = []
    for _ in range(count):
        began = time.monotonic()
        assert asker.ask("calm.wild.test", timeout=5).addresses == [GOOD]
        times.append(time.monotonic() - began)
        time.sleep(0.03)
    return sorted(times)[-2]
