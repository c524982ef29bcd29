"""The webhook: questions go out signed, answers come back signed and once, and whoever is not heard is nobody to be asked."""
import datetime, json, os, subprocess, threading, time

import pytest

from harness.client import connect, get, read_head
from harness.far import Accepted, Asked
from harness.gate import BASE, BINARY, QUIET, eventually, exitgate
from harness.hooks import SECRET, FarSide, Hook, answering, cut, endless, interims, no_http, sign, slow
from harness.namespaces import GATE, GOOD
from harness.receivers import Authority, free_port
from harness.reviewer import Reviewer
from test_ask import RULES, Held
from test_ask_captured import PLAIN, InThread
from test_ask_captured import RULES as CAPTURED

POLICY = (BASE + RULES).replace("version: 1\n", "version: 1\ndefaults: { hold: 20s }\n")
GATEWAY = CAPTURED.format(agents="agents: { ci: { by: interface }, dev: { by: interface } }\n")
CALLBACK, METRICS = 9471, 9472
HOSTS = ("x.asked.test", "y.asked.test", "z.asked.test", "asked.test", "paths.asked.test")


@pytest.fixture
def hooked(fresh, tmp_path):
    """A gate with a webhook, its receiver, and the way back."""
    hooks = []

    def make(policy=POLICY, url=None, certificate=None, start=True, flags=(), port=0, path=None):
        trial = fresh(policy, start=False)
        for name in HOSTS:
            trial.far.answers(name, GOOD)
        hook = Hook(trial.bench, certificate, port, path=path)
        hooks.append(hook)
        secret = tmp_path / "secret"
        secret.write_bytes(SECRET + b"\n")
        secret.chmod(0o600)
        scheme = "https" if certificate else "http"
        trial.gate.extra = ("--webhook", url(hook.port) if url else f"{scheme}://127.0.0.1:{hook.port}/hook?for=gate", "--webhook-secret-file", secret,
                            "--webhook-callback-listen", f"127.0.0.1:{CALLBACK}", "--metrics-listen", f"127.0.0.1:{METRICS}", *flags)
        if start:
            trial.gate.start()
        return trial, hook, FarSide(trial.bench, CALLBACK)

    yield make
    for hook in hooks:
        hook.close()


def channels(trial):
    return json.loads(trial.gate.tell("status", "--json").stdout)["asking"]["channels"]


def attached(trial, hook, seconds=30):
    eventually(lambda: channels(trial) == 1, seconds, (hook.messages, hook.faults, trial.gate.said[-5:]))


def metric(trial, name):
    text = subprocess.run(trial.bench.command("gw", "curl", "-sS", f"http://127.0.0.1:{METRICS}/metrics"), capture_output=True, text=True, timeout=20).stdout
    return {line.rpartition(" ")[0].removeprefix(f"exitgate_{name}"): float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"exitgate_{name}")}


def notices(trial, written, reason):
    return [entry for entry in trial.gate.log.entries(written) if entry.fields.get("unmapped", {}).get("reason") == reason or reason in json.dumps(entry.fields)]


def controls(trial, written):
    return [entry for entry in trial.gate.log.entries(written) if entry.event == "control" and entry.fields["api"]["operation"] in ("approve", "refuse")]


def hold(trial, *segments):
    return Held(trial.agent, *segments, timeout=60)


def test_a_question_goes_out_signed_and_its_answer_comes_back(hooked):
    trial, hook, far = hooked()
    attached(trial, hook)
    hello = hook.wait_for("hello")
    assert hello["version"] == 1 and hello["key"] == "hello" and hello["gate"]["host"]
    seen, written = trial.far.mark(), trial.gate.log.mark()
    held = hold(trial, connect("x.asked.test:443"))
    message = hook.wait_for("asked", host="x.asked.test")
    question = message["question"]
    assert message["key"] == question["id"] and (question["agent"], question["port"], question["protocol"]) == ("a1", 443, "https")
    assert question == next(one for one in json.loads(trial.gate.tell("pending", "--json").stdout) if one["id"] == question["id"]) | {"offers": question["offers"]}
    assert question["held_until"] > question["since"]
    assert "always" not in question["offers"] and "once" in question["offers"], "the webhook answers for now alone"
    assert held.reply is None and not trial.far.since(seen, Accepted)
    assert far.answer(question, note="for the docs") == (200, '{"counts":true,"text":"allowed (once) for agent a1: https://x.asked.test:443"}')
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    closed = hook.wait_for("closed", id=question["id"])
    assert closed["closed"]["outcome"] == "allowed" and "alice by webhook" in closed["closed"]["sentence"] and closed["key"] == question["id"] + "-closed"
    record = controls(trial, written)[0].fields["unmapped"]
    assert (record["channel"], record["scope"], record["note"]) == ("webhook", "once", "for the docs") and "alice" in json.dumps(controls(trial, written)[0].fields)
    # For a time, and a refusal.
    held = hold(trial, connect("y.asked.test:443"))
    assert far.answer(hook.wait_for("asked", host="y.asked.test")["question"], span="1h")[0] == 200 and held.end().raw.startswith(b"HTTP/1.1 200")
    held = hold(trial, connect("z.asked.test:443"))
    assert far.answer(hook.wait_for("asked", host="z.asked.test")["question"], "refuse")[0] == 200 and held.end().status == 403
    assert metric(trial, "webhook_up") == {"": 1}
    eventually(lambda: metric(trial, "webhook_deliveries_total")['{result="taken"}'] >= 7, 20)
    assert metric(trial, "webhook_callbacks_total")['{result="counted"}'] == 3
    assert not hook.faults
    trial.passes()


def test_a_connection_is_held_to_its_deadline_and_no_longer(hooked):
    """Two who could answer, and neither does: 20 s, measured at the client, whatever it speaks."""
    trial, hook, far = hooked()
    person = Reviewer(trial.gate)
    eventually(lambda: channels(trial) == 2, 30)
    seen, ends = trial.far.mark(), {}

    def ask(name, request):
        began = time.monotonic()
        with trial.agent.open(120) as sock:
            sock.sendall(request)
            ends[name] = (read_head(sock).raw, time.monotonic() - began)

    asked = {"connect": connect("x.asked.test:443"), "http": get("http://y.asked.test/", "y.asked.test")}
    threads = [threading.Thread(target=ask, args=item) for item in asked.items()]
    for thread in threads:
        thread.start()
    question = person.question("x.asked.test")
    for thread in threads:
        thread.join(150)
    for name, (raw, took) in ends.items():
        # Who is held for ever waits 120 s; a slow machine takes its time to say that it is over.
        assert raw.startswith(b"HTTP/1.1 403") and 19.9 < took < 40, (name, raw, took)
    assert len(ends) == 2 and not trial.far.since(seen)
    moment = lambda name: datetime.datetime.fromisoformat(question[name].replace("Z", "+00:00"))
    assert abs((moment("held_until") - moment("since")).total_seconds() - 20) < 0.5, "what is said of it is so"
    # The control: the retry is held too, and passes once somebody answers.
    held = hold(trial, connect("x.asked.test:443"))
    eventually(lambda: person.question("x.asked.test")["waiting"] == 1)
    person.approve(question)
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    person.close()
    trial.passes()


def test_it_is_told_over_tls_to_whom_the_certificate_is_good_for(hooked, tmp_path):
    authority = Authority(tmp_path)
    good = authority.certificate("hook", "IP:127.0.0.1")
    trial, hook, far = hooked(certificate=good, flags=("--webhook-ca", authority.ca))
    attached(trial, hook)
    held = hold(trial, connect("x.asked.test:443"))
    far.answer(hook.wait_for("asked", host="x.asked.test")["question"], "refuse")
    assert held.end().status == 403 and not hook.faults
    trial.gate.stop()
    # By a certificate of somebody else, nothing is told, and nobody can be asked.
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority(other)
    hook.close()
    wrong = Hook(trial.bench, stranger.certificate("hook", "IP:127.0.0.1"), hook.port)
    written = trial.gate.log.mark()
    try:
        trial.gate.start()
        eventually(lambda: metric(trial, "webhook_deliveries_total").get('{result="failed"}', 0) >= 2, 30)
        assert channels(trial) == 0 and not wrong.messages
        trial.denied(connect("x.asked.test:443"), reason="no-approver", itself=True)
    finally:
        wrong.close()
    trial.passes()


@pytest.mark.parametrize("kind", ["name", "socket"])
def test_it_is_found_by_name_and_by_a_socket_of_this_machine(hooked, tmp_path, kind):
    path = tmp_path / "hook.sock" if kind == "socket" else None
    trial, hook, far = hooked(url=lambda port: f"unix:{path}" if path else f"http://localhost:{port}/hook?for=gate", path=path)
    attached(trial, hook)
    held = hold(trial, connect("x.asked.test:443"))
    assert far.answer(hook.wait_for("asked", host="x.asked.test")["question"])[0] == 200
    assert held.end().raw.startswith(b"HTTP/1.1 200") and not hook.faults
    trial.passes()


FAULTS = {"500": answering(500), "503 for long": answering(503, Retry_After="1"), "401": answering(401), "404": answering(404), "a redirect": None, "no HTTP": no_http,
          "the end": cut}


def test_whoever_is_not_heard_is_nobody_who_can_be_asked(hooked):
    trial, hook, far = hooked()
    attached(trial, hook)
    elsewhere = Hook(trial.bench)
    faults = FAULTS | {"a redirect": answering(307, Location=f"http://127.0.0.1:{elsewhere.port}/hook?for=gate")}
    try:
        for name, how in faults.items():
            written, mark = trial.gate.log.mark(), len(hook.messages)
            hook.misbehave(how, once=False)
            held = hold(trial, connect("x.asked.test:443"))
            first = hook.wait_for("asked", taken=False, after=mark, host="x.asked.test")
            eventually(lambda: channels(trial) == 0, 60, name)
            tries = [message for message in hook.messages[mark:] if message["event"] == "asked"]
            assert len({message["key"] for message in tries}) == 1 and len(tries) >= 3, (name, tries)
            gaps = [b["at"] - a["at"] for a, b in zip(tries, tries[1:])]
            assert all(gap > 0.2 for gap in gaps), (name, gaps)
            trial.denied(connect("y.asked.test:443"), reason="no-approver", itself=True)
            assert notices(trial, written, "webhook-down"), name
            # What is held can still be answered, and once it is heard again it is somebody.
            hook.behave()
            attached(trial, hook, 120)
            assert notices(trial, written, "webhook-up"), name
            if held.reply is None:
                far.answer(first["question"], "refuse")
            held.end()
            trial.gate.tell("refuse", first["question"]["id"])
            eventually(lambda: json.loads(trial.gate.tell("pending", "--json").stdout) == [], 20)
            # So that it is asked about again: a refusal of before would answer at once.
            trial.gate.stop()
            trial.gate.start()
            attached(trial, hook)
        assert not elsewhere.messages and not elsewhere.faults, "a redirect was followed"
    finally:
        elsewhere.close()
    assert not hook.faults
    trial.passes()


@pytest.mark.parametrize("how", [slow, endless, interims], ids=["slow", "endless", "interims"])
def test_a_receiver_that_takes_its_time_holds_nobody_up(hooked, how):
    trial, hook, far = hooked()
    attached(trial, hook)
    hook.misbehave(how)
    before = trial.gate.resident
    held = hold(trial, connect("x.asked.test:443"))
    question = hook.wait_for("asked", taken=False, host="x.asked.test")["question"]
    for _ in range(20):
        began = time.monotonic()
        assert trial.agent.send(connect("evil.test:443")).status == 403
        assert time.monotonic() - began < 2
    assert far.answer(question)[0] == 200 and held.end().raw.startswith(b"HTTP/1.1 200")
    # In bounds, and told anew in the end.
    closed = hook.wait_for("closed", 60, id=question["id"])
    assert closed["taken"] and trial.gate.resident - before < 8192
    assert not hook.faults
    trial.passes()


def test_a_receiver_that_is_down_comes_back(hooked):
    trial, hook, far = hooked(start=False)
    port = hook.port
    hook.close()
    trial.gate.start()
    eventually(lambda: metric(trial, "webhook_deliveries_total").get('{result="failed"}', 0) >= 1, 30)
    trial.denied(connect("x.asked.test:443"), reason="no-approver", itself=True)
    back = Hook(trial.bench, port=port)
    try:
        attached(trial, back, 90)
        held = hold(trial, connect("y.asked.test:443"))
        assert far.answer(back.wait_for("asked", host="y.asked.test")["question"])[0] == 200
        assert held.end().raw.startswith(b"HTTP/1.1 200")
    finally:
        back.close()
    trial.passes()


# -- the way back

def test_CTL_03_answers_that_are_not_the_far_sides_have_no_effect(hooked):
    trial, hook, far = hooked()
    attached(trial, hook)
    seen, written = trial.far.mark(), trial.gate.log.mark()
    held = hold(trial, connect("x.asked.test:443"))
    question = hook.wait_for("asked", host="x.asked.test")["question"]
    body = json.dumps({"id": question["id"], "decision": "allow", "for": "once", "by": "mallory", "digest": question["digest"], "generation": question["generation"]}).encode()
    right = far.signed(body)
    now = int(time.time())
    for name, headers in {
        "no signature": {}, "another secret": far.signed(body, secret=b"another secret of the tests"), "another body": far.signed(body + b" "),
        "another nonce": right | {"Exitgate-Nonce": "a" * 22}, "another time": right | {"Exitgate-Timestamp": str(now + 1)},
        "too old": far.signed(body, moment=now - 900), "of the future": far.signed(body, moment=now + 900), "an outgoing signature": {
            "Exitgate-Timestamp": str(now), "Exitgate-Nonce": "a" * 22, "Exitgate-Signature": sign(f"{now}.".encode() + body)},
        "no nonce": {name: value for name, value in right.items() if name != "Exitgate-Nonce"}, "a short nonce": far.signed(body, nonce="a" * 8),
        "a nonce with a dot": far.signed(body, nonce="a" * 16 + ".x"), "two signatures": right | {"Exitgate-Signature": [right["Exitgate-Signature"]] * 2},
        "a time that is none": far.signed(body, moment="0x7f"), "no version": right | {"Exitgate-Signature": right["Exitgate-Signature"][3:]},
        "upper case": right | {"Exitgate-Signature": "v1=" + right["Exitgate-Signature"][3:].upper()},
    }.items():
        status, text = far.post(body, headers=headers)
        assert status == 403 and json.loads(text)["counts"] is False, (name, status, text)
    for path, method, expected in (("/", "POST", 404), ("/v1/answer?x=1", "POST", 404), ("/v1/answer", "PUT", 405), ("/v1/answer", "GET", 405)):
        assert far.post(body, headers=right, path=path, method=method)[0] == expected, path
    assert far.post(b"x" * 5000, headers=far.signed(b"x" * 5000))[0] == 413
    assert held.reply is None and not controls(trial, written) and not trial.far.since(seen, Accepted) and not trial.far.since(seen, Asked)
    assert 1 <= len(notices(trial, written, "webhook-callback")) <= 3, "they do not fill the log"
    # The control, which counts once.
    assert far.post(body, headers=right)[0] == 200 and held.end().raw.startswith(b"HTTP/1.1 200")
    status, text = far.post(body, headers=right)
    assert status == 403 and "sent before" in text
    assert metric(trial, "webhook_callbacks_total")['{result="unproved"}'] == 16
    trial.passes()


def test_CTL_12_stale_answers_and_unknown_ones_say_why(hooked):
    trial, hook, far = hooked()
    attached(trial, hook)
    written = trial.gate.log.mark()
    held = hold(trial, connect("x.asked.test:443"))
    question = hook.wait_for("asked", host="x.asked.test")["question"]
    for changed, why in (({"digest": "0" * 32}, "not what was shown"), ({"generation": 9}, "policy has changed"), ({"id": "a" * 16}, "no question is called so"),
                         ({"id": "../x"}, "no answer"), ({"for": "31d"}, "not offered"), ({"for": "always"}, "webhook: edit")):
        status, text = far.answer(question, **({"span": changed["for"]} if "for" in changed else changed))
        assert status == 409 and why in text, (changed, status, text)
    for changed in ({"decision": "approve"}, {"decision": None}, {"for": "1y"}, {"for": "-1h"}, {"for": None}, {"by": None}, {"by": ""}, {"by": "x" * 200}, {"digest": None},
                    {"generation": "1"}, {"generation": -1}, {"more": 1}, {"note": 1}, {"for": "99999999999999999999h"}):
        own = {"decision": changed.get("decision", "allow")} if "decision" in changed else {}
        span = {"span": changed["for"]} if "for" in changed else {}
        rest = {name: value for name, value in changed.items() if name not in ("decision", "for")}
        assert far.answer(question, **own, **span, **rest)[0] == 400, changed
    for broken in (b"", b"x", b"[]", b"{}", b"[" * 2000, b'{"id":"a","id":"b"}'):
        assert far.post(broken, headers=far.signed(broken))[0] == 400, broken
    # The policy changes while somebody looks.
    trial.gate.reload(POLICY + "  - { id: more, action: allow, to: [more.test] }\n")
    status, text = far.answer(question)
    assert status == 409 and "generation 2 is in force" in text
    fresh = hook.wait_for("asked", host="x.asked.test", generation=2)
    assert fresh["key"] == f"{question['id']}-{fresh['question']['digest']}" and held.reply is None
    assert far.answer(fresh["question"])[0] == 200 and held.end().raw.startswith(b"HTTP/1.1 200")
    status, text = far.answer(fresh["question"], "refuse")
    assert status == 409 and "decided already: allowed (once) by alice by webhook" in text
    assert len([one for one in controls(trial, written) if one.fields.get("status_id") != 2]) == 1
    trial.passes()


def test_only_a_policy_that_says_so_lets_the_webhook_answer_for_good(hooked):
    trial, hook, far = hooked(policy=POLICY + "reviewers: { webhook: edit }\n")
    attached(trial, hook)
    held = hold(trial, connect("x.asked.test:443"))
    question = hook.wait_for("asked", host="x.asked.test")["question"]
    assert "always" in question["offers"]
    assert far.answer(question, span="always", by="alice\n  - { id: x, action: allow, to: [\"**.test\"] }", note="the team's")[0] == 200
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    overlay = (trial.gate.log.path.parent / "approvals.yaml").read_text()
    assert f'id: "approved-{question["id"]}"' in overlay and "alice?" in overlay and "by webhook: the team's" in overlay, overlay
    assert overlay.count("\n  - ") == 1, overlay
    trial.passes()


# -- out of reach

def test_CTL_02_no_agent_reaches_the_callback(hooked):
    trial, hook, far = hooked(policy=POLICY + "  - { id: all, agents: [a1], action: allow, to: [127.0.0.1/32, 10.66.0.1/32], protocol: http, ports: [\"1-65535\"], allow-loopback: true, allow-private: true }\n")
    attached(trial, hook)
    held = hold(trial, connect("x.asked.test:443"))
    question = hook.wait_for("asked", host="x.asked.test")["question"]
    body = json.dumps({"id": question["id"], "decision": "allow", "for": "once", "by": "agent", "digest": question["digest"], "generation": question["generation"]}).encode()
    fields = "".join(f"{name}: {value}\r\n" for name, value in far.signed(body).items())
    for host, told in ((f"127.0.0.1:{CALLBACK}", (403, "self-address")), (f"{GATE}:{CALLBACK}", (502, "connection-refused"))):
        assert trial.agent.send(connect(host)).status == 403, host
        reply = trial.agent.send(get(f"http://{host}/v1/answer", host, fields + f"Content-Length: {len(body)}\r\n", method="POST") + body)
        assert (reply.status, reply.json["reason"]) == told, (host, reply)
    with pytest.raises(OSError):
        FarSide(trial.bench, CALLBACK, role="agent", host=GATE).post(body, headers=far.signed(body))
    assert held.reply is None
    # The control: the very same from outside.
    assert far.post(body, headers=far.signed(body))[0] == 200 and held.end().raw.startswith(b"HTTP/1.1 200")
    trial.passes()


def test_CTL_03_nothing_inside_a_sandbox_reaches_the_callback(box):
    """`run`: the callback is outside, on this machine's loopback, which the command's is not."""
    secret, port, target = box.work / "secret", free_port(), free_port()
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    os.chown(secret, box.account.pw_uid, box.account.pw_gid)
    policy = box.work / "asks.yaml"
    policy.write_text("version: 1\nrules:\n  - { id: all, action: allow, to: [127.0.0.1/32], protocol: http, ports: [\"1-65535\"], allow-loopback: true }\n")
    flags = ("--policy", policy, "--webhook", f"http://127.0.0.1:{target}/", "--webhook-secret-file", secret, "--webhook-callback-listen", f"127.0.0.1:{port}")
    look = ("import socket, sys\n"
            "try:\n"
            "    s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 10); s.settimeout(10)\n"
            "    s.sendall(b'POST /v1/answer HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n')\n"
            "    while data := s.recv(65536): print(data)\n"
            "except OSError as error: print(type(error).__name__)\n")
    process, said = box.start("/bin/sh", "-c", f"echo begun; read line; exec /usr/bin/python3 -c \"$1\" {port}", "sh", look, flags=flags, stdin=subprocess.PIPE)
    assert said == "begun", process.stderr.read()
    outside = subprocess.run(box.on_host("curl", "-sS", "-i", "-m", "10", "-X", "POST", f"http://127.0.0.1:{port}/v1/answer"), capture_output=True, text=True)
    assert "403 Forbidden" in outside.stdout and "it is not signed" in outside.stdout, outside
    out, err = process.communicate("go\n", timeout=60)
    assert out == "ConnectionRefusedError\n", (out, err)


def test_CTL_01_a_sidecars_callback_is_for_others_than_the_agent(own_fence, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    fenced = own_fence(PLAIN, extra=("--hold", "20", "--inbound", str(CALLBACK), "--webhook", "http://10.66.0.1:9474/hook?for=gate", "--webhook-allow-plain-http",
                                     "--webhook-secret-file", secret, "--webhook-callback-listen", f"0.0.0.0:{CALLBACK}"))
    before, hook = fenced.seen("stray"), Hook(fenced.bench, port=9474, host="10.66.0.1")
    try:
        eventually(lambda: json.loads(fenced.tell("status", "--json").stdout)["asking"]["channels"] == 1, 90, hook.faults)
        held = InThread(lambda: fenced.agent("curl", "-sS", "-m", "25", "http://web.test/x"))
        question = hook.wait_for("asked", host="web.test")["question"]
        body = json.dumps({"id": question["id"], "decision": "allow", "for": "once", "by": "agent", "digest": question["digest"], "generation": question["generation"]}).encode()
        # The agent, who shares the network and even knows the secret.
        for to in ("127.0.0.1", "10.66.0.2"):
            words = [word for name, value in FarSide(fenced.bench, CALLBACK).signed(body).items() for word in ("-H", f"{name}: {value}")]
            done = fenced.agent("curl", "-sS", "-m", "5", "--noproxy", "*", *words, "-d", body.decode(), f"http://{to}:{CALLBACK}/v1/answer")
            assert done.returncode in (7, 52, 56) and done.stdout == "", done
            done = fenced.agent("curl", "-sS", "-m", "5", "-x", "http://127.0.0.1:3128", *words, "-d", body.decode(), f"http://{to}:{CALLBACK}/v1/answer")
            assert "self-address" in done.stdout and "counts" not in done.stdout, done
        assert held.value is None
        # The control: whoever is elsewhere.
        assert FarSide(fenced.bench, CALLBACK, host="10.66.0.2").post(body, headers=FarSide(fenced.bench, CALLBACK).signed(body))[0] == 200
        assert held.end().stdout.startswith("origin ")
        assert fenced.seen("stray") == before and not hook.faults
    finally:
        hook.close()


def test_CTL_01_a_gateways_callback_is_for_others_than_its_agents(own_behind, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    behind = own_behind(GATEWAY, extra=("--hold", "20", "--webhook", "http://127.0.0.1:9474/hook?for=gate", "--webhook-secret-file", secret,
                                        "--webhook-callback-listen", f"0.0.0.0:{CALLBACK}"))
    before, hook = behind.strays(), Hook(behind.bench, port=9474)
    try:
        eventually(lambda: json.loads(behind.tell("status", "--json").stdout)["asking"]["channels"] == 1, 90, hook.faults)
        held = InThread(lambda: behind.agent("curl", "-sS", "-m", "25", "http://web.test/x"))
        question = hook.wait_for("asked", host="web.test")["question"]
        assert question["agent"] == "ci"
        body = json.dumps({"id": question["id"], "decision": "allow", "for": "once", "by": "agent", "digest": question["digest"], "generation": question["generation"]}).encode()
        # Both agents, who even know the secret, by every address of the gateway.
        for ask in (behind.agent, behind.other):
            for to in ("10.66.0.1", "10.67.0.1", "11.11.0.1"):
                words = [word for name, value in FarSide(behind.bench, CALLBACK).signed(body).items() for word in ("-H", f"{name}: {value}")]
                done = ask("curl", "-sS", "-m", "5", *words, "-d", body.decode(), f"http://{to}:{CALLBACK}/v1/answer")
                assert "counts" not in done.stdout and (done.returncode in (7, 28, 52, 56) or "self-address" in done.stdout), (to, done)
        assert held.value is None
        # The control: whoever is on the other side of the gateway.
        far = FarSide(behind.bench, CALLBACK, role="out", host="11.11.0.1")
        assert far.post(body, headers=far.signed(body))[0] == 200
        assert held.end().stdout.startswith("origin ")
        assert behind.strays() == before and not hook.faults
    finally:
        hook.close()


# -- what is refused at the start

@pytest.mark.parametrize("taken", [False, True], ids=["not given", "given"])
def test_the_environment_speaks_for_every_option_of_it(hooked, tmp_path, taken):
    trial, hook, far = hooked(start=False)
    authority = Authority(tmp_path)
    secure = Hook(trial.bench, authority.certificate("hook", "IP:127.0.0.1"))
    secret, trial.gate.extra = trial.gate.extra[3], ()
    try:
        trial.gate.env = {"EXITGATE_WEBHOOK": f"https://127.0.0.1:{secure.port}/hook?for=gate", "EXITGATE_WEBHOOK_SECRET_FILE": str(secret), "EXITGATE_WEBHOOK_CALLBACK_LISTEN": f"127.0.0.1:{CALLBACK}",
                          "EXITGATE_METRICS_LISTEN": f"127.0.0.1:{METRICS}"} | ({"EXITGATE_WEBHOOK_CA": str(authority.ca)} if taken else {})
        trial.gate.start()
        if not taken:
            # Whose certificate is believed makes the difference.
            eventually(lambda: metric(trial, "webhook_deliveries_total").get('{result="failed"}', 0) >= 1, 30)
            assert channels(trial) == 0 and not secure.messages
            return
        attached(trial, secure)
        held = hold(trial, connect("x.asked.test:443"))
        assert far.answer(secure.wait_for("asked", host="x.asked.test")["question"])[0] == 200 and held.end().raw.startswith(b"HTTP/1.1 200")
        # In the clear to elsewhere, only where it is let.
        trial.gate.stop()
        outside = Hook(trial.bench, host=GATE)
        try:
            trial.gate.env |= {"EXITGATE_WEBHOOK": f"http://{GATE}:{outside.port}/hook?for=gate", "EXITGATE_WEBHOOK_CA": "", "EXITGATE_WEBHOOK_ALLOW_PLAIN_HTTP": "1"}
            trial.gate.start()
            attached(trial, outside)
        finally:
            outside.close()
        trial.passes()
    finally:
        secure.close()


def test_a_wrong_environment_says_what_to_write():
    for environment, why in (({"EXITGATE_WEBHOOK": "https://hooks.example.com/x"}, "--webhook-secret-file"), ({"EXITGATE_WEBHOOK_SECRET_FILE": "/x"}, "need --webhook"),
                             ({"EXITGATE_WEBHOOK": "ftp://x/y"}, "no webhook"), ({"EXITGATE_WEBHOOK_ALLOW_PLAIN_HTTP": "maybe"}, "EXITGATE_WEBHOOK_ALLOW_PLAIN_HTTP")):
        done = exitgate("serve", env=environment)
        assert done.returncode == 64 and why in done.stderr, done


def test_a_secret_that_others_can_read_is_refused(tmp_path):
    def start(mode, text=SECRET, path="secret"):
        secret = tmp_path / path
        secret.write_bytes(text)
        secret.chmod(mode)
        policy = tmp_path / "policy.yaml"
        policy.write_text("version: 1\nrules: []\n")
        return exitgate("serve", "--policy", policy, "--webhook", "https://hooks.example.com/x", "--webhook-secret-file", secret, "--audit-log", tmp_path / "audit.jsonl",
                        "--control", tmp_path / "control.sock", "--proxy-listen", f"unix:{tmp_path}/proxy.sock")
    for mode in (0o640, 0o604, 0o644, 0o660):
        done = start(mode)
        assert done.returncode == 78 and f"mode {mode:o}" in done.stderr and "chmod 600" in done.stderr, done
    for text in (b"", b"short", b"x" * 5000):
        done = start(0o600, text)
        assert done.returncode == 78 and "16 to 4096 bytes" in done.stderr and "openssl rand" in done.stderr, done
    assert not (tmp_path / "audit.jsonl").exists()


@pytest.mark.parametrize("words, why", [
    (("--webhook", "https://hooks.example.com/x"), "--webhook-secret-file"), (("--webhook-secret-file", "/x"), "need --webhook"),
    (("--webhook", "ftp://x/y", "--webhook-secret-file", "/x"), "no webhook"), (("--webhook", "https://user@x/y", "--webhook-secret-file", "/x"), "no host"),
    (("--webhook", "https://x.test/a b", "--webhook-secret-file", "/x"), "printable"), (("--webhook", "https://x.test/#a", "--webhook-secret-file", "/x"), "'#'"),
], ids=["no secret", "no webhook", "scheme", "user", "space", "fragment"])
def test_a_wrong_command_line_says_what_to_write(words, why):
    done = exitgate("serve", *words)
    assert done.returncode == 64 and why in done.stderr, done


def test_in_the_clear_nothing_leaves_this_machine(hooked):
    trial, hook, far = hooked(url=lambda port: f"http://{GATE}:{port}/hook?for=gate")
    eventually(lambda: metric(trial, "webhook_deliveries_total").get('{result="failed"}', 0) >= 1, 30)
    trial.denied(connect("x.asked.test:443"), reason="no-approver", itself=True)
    assert channels(trial) == 0 and not hook.messages
    trial.passes()
