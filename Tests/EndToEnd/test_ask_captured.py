"""Captured connections that wait for a person: in the sidecar, behind the gateway, and in the sandbox of `exitgate run`."""
import pathlib, sys, threading, time

import pytest

from harness.far import Accepted, Asked
from harness.gate import eventually, exitgate
from harness.namespaces import GOOD
from harness.reviewer import Reviewer

RULES = """version: 1
{agents}rules:
  - {{ id: web, action: ask, to: [web.test], protocol: http }}
  - {{ id: raw, action: ask, to: [raw.test], protocol: tcp, ports: [5432] }}
  - {{ id: tls, action: ask, to: [tls.test] }}
"""
PLAIN = RULES.format(agents="")
FLAGS = ("--hold", "4")
RAW = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as s:
        s.settimeout(20); s.sendall(b"\\x00opaque"); print(s.recv(64).decode() or "end")
except OSError as error: print(type(error).__name__)
"""


class InThread:
    def __init__(self, work):
        self.value = None
        self.thread = threading.Thread(target=lambda: setattr(self, "value", work()))
        self.thread.start()

    def end(self):
        self.thread.join(40)
        return self.value


def asked_about(fenced, reviewer, agent):
    """The whole of it: names at once, nothing upstream while it is held, each way of answering, and the refusals of each kind."""
    fenced.far.answers("tls.test", GOOD)
    mark, began = fenced.far.mark(), time.monotonic()
    assert fenced.python("import socket; print(socket.gethostbyname('web.test'))").startswith(("198.18.", "198.19.")), "a name is not held"
    assert time.monotonic() - began < 4
    plain = InThread(lambda: fenced.agent("curl", "-sS", "-m", "20", "http://web.test/x"))
    question = reviewer.question("web.test", agent=agent)
    time.sleep(0.2)
    assert not fenced.far.since(mark), fenced.far.since(mark)
    reviewer.approve(question)
    assert plain.end().stdout.startswith("origin ")
    # Nobody answers: a plain request is told so, opaque bytes and TLS are reset.
    mark = fenced.far.mark()
    done = fenced.agent("curl", "-sS", "-i", "-m", "20", "http://web.test/x")
    assert "pending_approval" in done.stdout and "Retry-After: 5" in done.stdout, done
    assert fenced.python(RAW, "raw.test", "5432").split() in (["ConnectionResetError"], ["end"])
    done = fenced.agent("curl", "-sS", "-m", "20", "-k", "https://tls.test/x")
    assert done.returncode in (35, 56), done
    assert not fenced.far.since(mark, Accepted) and not [one for one in fenced.far.since(mark, Asked)]
    # The retry after an approval passes.
    for host in ("web.test", "raw.test"):
        reviewer.approve(reviewer.question(host, agent=agent), "--session")
    reviewer.refuse(reviewer.question("tls.test", agent=agent))
    assert fenced.agent("curl", "-sS", "-m", "20", "http://web.test/x").stdout.startswith("origin ")
    assert fenced.python(RAW, "raw.test", "5432").startswith("FLIGHT ")


def test_the_sidecar_holds_what_it_captures(own_fence):
    fenced = own_fence(PLAIN, extra=FLAGS)
    before, reviewer = fenced.seen("stray"), Reviewer(fenced)
    asked_about(fenced, reviewer, "default")
    reviewer.close()
    assert fenced.seen("stray") == before


def named(reviewer, host, file):
    """The question, once the kernel has said whose connection it is."""
    return eventually(lambda: next((one for one in reviewer.questions() if one["host"] == host and (one["program"] or "").startswith(f"{file} (")), None), 10,
                      "nobody was found")


def logged(log, host, file):
    """What the log says of who was allowed."""
    entry = log.wait_for(verdict="allow", reason="approved", host=host)[-1]
    return entry.fields["actor"]["process"]["file"]["path"] == str(file)


def test_the_sidecar_names_the_program_that_it_captured(own_fence, tmp_path):
    fenced = own_fence(PLAIN, extra=FLAGS)
    reviewer, python = Reviewer(fenced), pathlib.Path(sys.executable).resolve()
    held = InThread(lambda: fenced.agent(sys.executable, "-c", RAW, "raw.test", "5432", cwd=tmp_path))
    question = named(reviewer, "raw.test", python)
    assert question["cwd"] == str(tmp_path) and pathlib.Path(f"/proc/{question['pid']}/exe").resolve() == python
    reviewer.approve(question)
    assert held.end().stdout.startswith("FLIGHT ") and logged(fenced.log, "raw.test", python)
    reviewer.close()
    # The process that looks may look at others, and no more.
    children = pathlib.Path(f"/proc/{fenced.process.pid}/task/{fenced.process.pid}/children").read_text().split()
    seer = next(child for child in children if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "exitgate-see")
    status = pathlib.Path(f"/proc/{seer}/status").read_text()
    assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status and "CapEff:\t0000000000080004" in status, status


def test_the_gateway_holds_what_it_captures_agent_by_agent(own_behind):
    behind = own_behind(RULES.format(agents="agents: { ci: { by: interface }, dev: { by: interface } }\n"), extra=FLAGS)
    before, reviewer = behind.strays(), Reviewer(behind)
    asked_about(behind, reviewer, "ci")
    # What one agent was granted is not the other's.
    mark = behind.far.mark()
    done = behind.other("curl", "-sS", "-i", "-m", "20", "http://web.test/x")
    assert "pending_approval" in done.stdout, done
    assert not behind.far.since(mark, Accepted)
    assert behind.agent("curl", "-sS", "-m", "20", "http://web.test/x").stdout.startswith("origin ")
    reviewer.close()
    assert behind.strays() == before


class Outside:
    """The gate of a command, as its reviewer finds it: by the control socket."""

    def __init__(self, box):
        self.control, self.log = box.state / "control.sock", box.log

    def tell(self, *arguments):
        return exitgate(*arguments, "--control", self.control)


LOOK = """
import os, socket, sys
found = []
for path in sys.argv[1:]:
    try: os.stat(path); found.append(path)
    except OSError: pass
    s = socket.socket(socket.AF_UNIX)
    try: s.connect(path); found.append("connected " + path)
    except OSError: pass
print(found)
"""


@pytest.mark.parametrize("way", ["captured", "by the proxy"])
def test_run_names_the_program_inside(box, way):
    policy = box.work / "asks.yaml"
    policy.write_text(PLAIN)
    (box.state / "control.sock").unlink(missing_ok=True)
    (box.project / "sub").mkdir(exist_ok=True)
    curl, options = pathlib.Path("/usr/bin/curl").resolve(), "--noproxy '*' " if way == "captured" else ""
    process, said = box.start("/bin/sh", "-c", f"echo begun; cd sub; until curl {options}-sf -m 20 http://web.test/x; do sleep 0.3; done", flags=("--policy", policy, *FLAGS))
    assert said == "begun"
    reviewer = Reviewer(Outside(box))
    try:
        question = named(reviewer, "web.test", curl)
        assert question["program"] == f"{curl} (curl {options.replace(chr(39), '')}-sf -m 20 http://web.test/x)" and question["cwd"] == f"{box.project}/sub"
        assert pathlib.Path(f"/proc/{question['pid']}/comm").read_text() == "curl\n"
        reviewer.approve(question)
        out, err = process.communicate(timeout=60)
        assert "origin " in out and logged(box.log, "web.test", curl), (out, err)
    finally:
        reviewer.close()


def test_CTL_03_run_holds_its_command_and_nothing_inside_reaches_a_channel(box):
    policy = box.work / "asks.yaml"
    policy.write_text(PLAIN)
    (box.state / "control.sock").unlink(missing_ok=True)
    process, said = box.start("/bin/sh", "-c", "echo begun; until curl -sf -m 20 http://web.test/x; do sleep 0.3; done", flags=("--policy", policy, *FLAGS))
    assert said == "begun"
    reviewer = Reviewer(Outside(box))
    try:
        # The first came before anybody was there; what comes then is held.
        question = reviewer.question("web.test")
        assert question["agent"] == "default" and question["cwd"] == str(box.project)
        reviewer.approve(question, "--session")
        out, err = process.communicate(timeout=60)
        assert "origin " in out, (out, err)
    finally:
        reviewer.close()
    # From inside, the socket of the gate is not there, neither by its path nor by another.
    inside = box.python(LOOK, str(box.state / "control.sock"), str(box.state), "/run/exitgate/control.sock")
    assert inside == "[]\n", inside
    done = box.run(str(box.binary), "approve", question["id"], "--control", str(box.state / "control.sock"), flags=("--read", str(pathlib.Path(box.binary).parent)))
    assert done.returncode != 0 and "no gate answers" in done.stderr, done
