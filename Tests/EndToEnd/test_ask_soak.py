"""Twenty agents ask at random, approvers answer at random, policies change in between: every request is decided once.

EXITGATE_SOAK_SECONDS says for how long; scripts/soak takes ten minutes.
"""
import base64, collections, contextlib, hashlib, json, os, random, socket, threading, time

import pytest

from harness.client import get, read_head
from harness.gate import SHARED, Gate, eventually
from harness.namespaces import GOOD
from harness.reviewer import Reviewer

SECONDS = float(os.environ.get("EXITGATE_SOAK_SECONDS", "15"))
AGENTS = [f"agent{number}" for number in range(20)]
HOSTS = [f"{name}.{domain}.test" for domain in ("one", "two", "three") for name in ("a", "b", "c", "d", "e", "f", "g")]


def policy(turn):
    """Each turn another host is denied, and another allowed."""
    agents = "".join(f"  {name}: {{ token_sha256: {hashlib.sha256(name.encode()).hexdigest()} }}\n" for name in AGENTS)
    denied, allowed = HOSTS[turn % len(HOSTS)], HOSTS[(turn * 5 + 1) % len(HOSTS)]
    return (f"version: 1\ndefaults: {{ hold: 2s }}\nagents:\n{agents}rules:\n"
            f"  - {{ id: ask, action: ask, protocol: http, to: ['*.one.test', '*.two.test', '*.three.test'] }}\n"
            f"  - {{ id: no, action: deny, protocol: http, to: [{denied}] }}\n"
            f"  - {{ id: yes, action: allow, protocol: http, to: [{allowed}] }}\n")


class Approver(threading.Thread):
    """Answers what waits, at random, over a connection of its own."""

    def __init__(self, control, seed, over):
        super().__init__(daemon=True)
        self.control, self.random, self.over, self.said = control, random.Random(seed), over, collections.Counter()

    def talk(self, message):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(self.control))
            sock.sendall(json.dumps({"exitgate": 1, **message}).encode() + b"\n")
            sock.shutdown(socket.SHUT_WR)
            raw = b""
            while data := sock.recv(65536):
                raw += data
        return [json.loads(line) for line in raw.splitlines()]

    def run(self):
        while not self.over.is_set():
            with contextlib.suppress(OSError):
                self.answer([reply["question"] for reply in self.talk({"request": "pending"}) if "question" in reply])
            time.sleep(self.random.uniform(0, 0.1))

    def answer(self, questions):
        for question in self.random.sample(questions, min(3, len(questions))):
            verb = self.random.choice(["approve", "approve", "refuse"])
            scope = self.random.choice([{"scope": "once"}, {"scope": "time", "seconds": 1}, {"scope": "session"}] if verb == "approve" else [{"scope": "once"}])
            order = {"request": verb, **{key: question[key] for key in ("id", "generation", "digest")}, "seconds": None, "note": None, **scope}
            reply = self.talk(order)[0]
            self.said["counted" if "answered" in reply else "had no effect"] += 1
            if self.random.random() < 0.3:
                self.talk({"request": "revoke", "id": question["id"]})


def test_CTL_12_every_request_is_decided_once(fresh):
    trial = fresh(policy(0), doubles=0)
    gate, far = trial.gate, trial.far
    for host in HOSTS:
        far.answers(host, GOOD)
    over, sent, faults = threading.Event(), collections.Counter(), []
    trial.agent.port = SHARED

    def ask(name, seed):
        chance = random.Random(seed)
        token = base64.b64encode(f"{name}:{name}".encode()).decode()
        while not over.is_set():
            host = chance.choice(HOSTS)
            try:
                with trial.agent.open(10) as sock:
                    sock.sendall(get(f"http://{host}/", host, f"Proxy-Authorization: Basic {token}\r\nConnection: close\r\n"))
                    sent["sent"] += 1
                    if chance.random() < 0.15:
                        time.sleep(chance.uniform(0, 0.3))
                        continue
                    status = read_head(sock).status
                    sent[status] += 1
                    if status not in (200, 403):
                        faults.append((host, status))
            except OSError as error:
                faults.append((host, repr(error)))
            time.sleep(chance.uniform(0, 0.4))

    reviewer = Reviewer(gate)
    approvers = [Approver(gate.control, number, over) for number in range(3)]
    agents = [threading.Thread(target=ask, args=(name, number), daemon=True) for number, name in enumerate(AGENTS)]
    for thread in approvers + agents:
        thread.start()
    end, turn = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        time.sleep(min(2, SECONDS / 5))
        turn += 1
        assert gate.reload(policy(turn)).returncode == 0
    over.set()
    for thread in approvers + agents:
        thread.join(30)
    reviewer.close()
    eventually(lambda: gate.open_connections == 0, 30)
    gate.stop()
    assert not faults, faults[:5]
    gate.log.verify()
    entries = [entry for entry in gate.log.entries() if entry.event in ("decision", "rollup") and entry.agent in AGENTS]
    asked = [entry.flow for entry in entries if entry.event == "decision" and entry.verdict == "ask"]
    allowed = {entry.flow: entry.seq for entry in entries if entry.verdict == "allow"}
    # What was taken back while it was dialled was allowed first, and is denied then.
    ends = [entry.flow for entry in entries if entry.event == "decision" and entry.verdict != "ask"
            and not (entry.reason in ("revoked", "expired") and allowed.get(entry.flow, entry.seq) < entry.seq)]
    assert len(asked) == len(set(asked)) and len(ends) == len(set(ends)), "none is held or decided twice"
    assert set(asked) <= set(ends), "each that was held is decided"
    decided = len(ends) + sum(entry.count for entry in entries if entry.event == "rollup")
    said = sum((approver.said for approver in approvers), collections.Counter())
    print(f"\n{SECONDS:.0f} s: {sent['sent']} requests, {len(asked)} held, {decided} decided, answers {dict(said)}, {turn} policies")
    # A client that was gone before its head was read has asked nothing.
    assert sent["sent"] * 0.95 <= decided <= sent["sent"]
    reasons = collections.Counter(entry.reason for entry in entries)
    assert reasons["approved"] > 0 and reasons["refused"] > 0 and said["counted"] > 0, reasons
