"""Twenty agents ask at random, people answer, take back, stop and let go on at random, policies change in between: every request is decided once.

EXITGATE_SOAK_SECONDS says for how long; scripts/soak takes ten minutes.
"""
import base64, collections, contextlib, hashlib, json, os, random, socket, threading, time

from harness.client import drain, get
from harness.gate import SHARED, eventually
from harness.namespaces import GOOD
from harness.reviewer import Reviewer

SECONDS = float(os.environ.get("EXITGATE_SOAK_SECONDS", "25"))
AGENTS = [f"agent{number}" for number in range(20)]
# Twelve names under a domain: more than five that wait are listed in one question, which grows. Of these agents nobody
# answers anything else, and they are in a hurry.
LISTED = AGENTS[:5]
HOSTS = [f"{name}.{domain}.test" for domain in ("one", "two", "three") for name in "abcdefghijkl"]


def policy(turn):
    """Each turn another host is denied, and another allowed; every fifth the rule that asks opens more than before."""
    agents = "".join(f"  {name}: {{ token_sha256: {hashlib.sha256(name.encode()).hexdigest()} }}\n" for name in AGENTS)
    denied, allowed = HOSTS[turn % len(HOSTS)], HOSTS[(turn * 5 + 1) % len(HOSTS)]
    leave = ", allow-private: true" if turn // 5 % 2 else ""
    return (f"version: 1\ndefaults: {{ hold: 2s }}\nagents:\n{agents}rules:\n"
            f"  - {{ id: ask, action: ask, protocol: http, to: ['*.one.test', '*.two.test', '*.three.test']{leave} }}\n"
            f"  - {{ id: no, action: deny, protocol: http, to: [{denied}] }}\n"
            f"  - {{ id: yes, action: allow, protocol: http, to: [{allowed}] }}\n")


class Person(threading.Thread):
    """Does something again and again at the control socket, a connection each, until it is over."""

    def __init__(self, control, seed, over):
        super().__init__(daemon=True)
        self.control, self.random, self.over = control, random.Random(seed), over
        self.said, self.faults = collections.Counter(), []

    def talk(self, request, **fields):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(str(self.control))
            sock.sendall(json.dumps({"exitgate": 1, "request": request, **fields}).encode() + b"\n")
            sock.shutdown(socket.SHUT_WR)
            raw = b""
            while data := sock.recv(65536):
                raw += data
        return [json.loads(line) for line in raw.splitlines()]

    def run(self):
        while not self.over.is_set():
            try:
                self.act()
            except (AssertionError, KeyError, IndexError, ValueError) as error:
                self.faults.append(repr(error))
            except OSError:
                self.said["unheard"] += 1
            time.sleep(self.random.uniform(0, self.rest))


class Approver(Person):
    rest = 0.1
    YES = [{"scope": "once"}, {"scope": "time", "seconds": 1}, {"scope": "time", "seconds": 3}, {"scope": "session"}, {"scope": "always"}]
    NO = [{"scope": "once"}, {"scope": "once"}, {"scope": "session"}]

    def act(self):
        questions = [reply["question"] for reply in self.talk("pending") if "question" in reply]
        questions = [question for question in questions if question["agent"] not in LISTED or question["joined"]]
        for question in self.random.sample(questions, min(3, len(questions))):
            verb = self.random.choice(["approve", "approve", "refuse"])
            scope = self.random.choice(self.YES if verb == "approve" else self.NO)
            order = {**{key: question[key] for key in ("id", "generation", "digest")}, "seconds": None, "note": None, **scope}
            reply = self.talk(verb, **order)[0]
            self.said["counted" if "answered" in reply else "had no effect"] += 1
            self.said["lists"] += bool(question["joined"]) and "answered" in reply


class Revoker(Person):
    """Takes back what stands: approvals, refusals, and what was written down."""
    rest = 0.3

    def act(self):
        standing = [reply["grant"]["id"] for reply in self.talk("granted") if "grant" in reply]
        for one in self.random.sample(standing, (len(standing) + 3) // 4):
            self.said["taken back" if "revoked" in self.talk("revoke", id=one)[0] else "had no effect"] += 1


class Stopper(Person):
    """Stops everybody or one agent for a moment. `times` has whom, and when the order was given, stood, and was taken back."""
    rest = 2

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.times, self.lock, self.began = [], threading.Lock(), time.monotonic()

    def act(self):
        # Everybody less often, and not at once: that ends every list before it grows.
        is_early = time.monotonic() - self.began < min(15, SECONDS / 2)
        whom = None if not is_early and self.random.random() < 0.2 else self.random.choice(AGENTS[len(LISTED):] if is_early else AGENTS)
        entry = {"whom": whom, "given": time.monotonic(), "stood": None, "lifted": None, "over": None}
        with self.lock:
            self.times.append(entry)
        assert self.talk("stop-all", agent=whom)[0]["stopped"]["warnings"] == []
        entry["stood"] = time.monotonic()
        self.said["everybody" if whom is None else "one agent"] += 1
        time.sleep(self.random.uniform(0, 0.7))
        entry["lifted"] = time.monotonic()
        assert "stopped" in self.talk("resume", agent=whom)[0]
        entry["over"] = time.monotonic()

    def stood(self, name, began, ended):
        """Whether the agent was stopped all that time, or may have been at some of it."""
        with self.lock:
            own = [entry for entry in self.times if entry["whom"] in (None, name)]
        wholly = any(entry["stood"] and entry["stood"] <= began and ended <= (entry["lifted"] or ended) for entry in own)
        return wholly, any(entry["given"] <= ended and began <= (entry["over"] or ended) for entry in own)


def reason(reply):
    with contextlib.suppress(ValueError, KeyError):
        return reply.json["reason"]


class Asker(threading.Thread):
    """An agent: asks, gives up at times, and has each answer held against the orders to stop that stood."""

    def __init__(self, name, seed, trial, stopper, over):
        super().__init__(daemon=True)
        self.name, self.random, self.trial, self.stopper, self.over = name, random.Random(seed), trial, stopper, over
        self.sent, self.seen, self.faults = 0, collections.Counter(), []
        self.token = base64.b64encode(f"{name}:{name}".encode()).decode()

    def run(self):
        while not self.over.is_set():
            host, began, reply = self.random.choice(HOSTS[24:] if self.name in LISTED else HOSTS), time.monotonic(), None
            try:
                reply = self.ask(host)
            except OSError as error:
                self.judge(host, began, None, repr(error))
            if reply:
                self.judge(host, began, reply.status, reason(reply))
            time.sleep(self.random.uniform(0, 0.4))

    def ask(self, host):
        with self.trial.agent.open(15) as sock:
            sock.sendall(get(f"http://{host}/", host, f"Proxy-Authorization: Basic {self.token}\r\nConnection: close\r\n"))
            self.sent += 1
            if self.random.random() < (0.7 if self.name in LISTED else 0.15):
                time.sleep(self.random.uniform(0, 0.3))
                return None
            return drain(sock)

    def judge(self, host, began, status, why):
        wholly, partly = self.stopper.stood(self.name, began, time.monotonic())
        # An order, or what is taken back, cuts what is under way; the log has to say so of each.
        self.seen[why if status == 403 else status or "cut"] += 1
        told = status == 200 or status == 403 and bool(why)
        if not (told or status is None) or wholly and why != "stopped" or why == "stopped" and not partly:
            self.faults.append((self.name, host, status, why, wholly, partly))


def test_CTL_12_every_request_is_decided_once(fresh):
    trial = fresh(policy(0), doubles=0)
    gate, far = trial.gate, trial.far
    for host in HOSTS:
        far.answers(host, GOOD)
    trial.agent.port = SHARED
    over = threading.Event()
    reviewer = Reviewer(gate)
    stopper, revoker = Stopper(gate.control, 100, over), Revoker(gate.control, 101, over)
    approvers = [Approver(gate.control, number, over) for number in range(3)]
    agents = [Asker(name, number, trial, stopper, over) for number, name in enumerate(AGENTS)]
    threads = [*approvers, *agents, stopper, revoker]
    for thread in threads:
        thread.start()
    end, turn = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        time.sleep(min(2, SECONDS / 5))
        turn += 1
        done = gate.reload(policy(turn))
        assert done.returncode == 0, done
    over.set()
    for thread in threads:
        thread.join(40)
    assert not any(thread.is_alive() for thread in threads)
    reviewer.close()
    eventually(lambda: gate.open_connections == 0, 30)
    gate.stop()
    faults = [fault for thread in threads for fault in thread.faults]
    assert not faults, (len(faults), faults[:5])
    gate.log.verify()
    judged(gate, agents, approvers, stopper, revoker, turn)


def judged(gate, agents, approvers, stopper, revoker, turn):
    entries = [entry for entry in gate.log.entries() if entry.event in ("decision", "rollup") and entry.agent in AGENTS]
    asked = [entry.flow for entry in entries if entry.event == "decision" and entry.verdict == "ask"]
    allowed = {entry.flow: entry.seq for entry in entries if entry.verdict == "allow"}
    # What was taken back or stopped while it was dialled was allowed first, and is denied then.
    ends = [entry.flow for entry in entries if entry.event == "decision" and entry.verdict != "ask"
            and not (entry.reason in ("revoked", "expired", "stopped") and allowed.get(entry.flow, entry.seq) < entry.seq)]
    assert len(asked) == len(set(asked)) and len(ends) == len(set(ends)), "none is held or decided twice"
    assert set(asked) <= set(ends), "each that was held is decided"
    reasons = collections.Counter()
    for entry in entries:
        if entry.verdict != "ask":
            reasons[entry.reason] += entry.count if entry.event == "rollup" else 1
    sent, decided = sum(agent.sent for agent in agents), len(ends) + sum(entry.count for entry in entries if entry.event == "rollup")
    seen = sum((agent.seen for agent in agents), collections.Counter())
    said = sum((person.said for person in [*approvers, stopper, revoker]), collections.Counter())
    print(f"\n{SECONDS:.0f} s: {sent} requests, {len(asked)} questions held, {decided} decided, {reasons['stopped']} of them stopped, "
          f"answers and orders {dict(said)}, {turn} policies, seen {dict(seen)}")
    cuts = collections.Counter(entry.reason for entry in gate.log.entries() if entry.event == "close" and entry.agent in AGENTS)
    assert seen["cut"] <= cuts["revoked"] + cuts["expired"] + cuts["stopped"], (seen, cuts)
    # A client that was gone before its head was read has asked nothing.
    assert sent * 0.95 <= decided <= sent, (sent, decided)
    assert reasons["stopped"] >= seen["stopped"] > 0 and reasons["approved"] > 0 and reasons["refused"] > 0, (reasons, seen)
    assert all(said[word] > 0 for word in ("counted", "lists", "taken back")) and said["everybody"] + said["one agent"] > 0, said
