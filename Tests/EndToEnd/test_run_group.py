"""Limits by a control group that was delegated, and Debian 12's own Landlock, in a machine whose kernel has both: this host's groups have neither controller."""
import json

import pytest

from harness.guest import Guest
from harness.microvm import lacking

pytestmark = pytest.mark.skipif(bool(lacking()), reason=f"not installed: {', '.join(lacking())}")

POLICY = """version: 1
rules: [{ id: r, action: allow, to: [a.test] }]
process: { max-processes: 8, memory: 64MiB }
"""
RUN = "exitgate run --policy /tests/policy.yaml --audit-log {log}.jsonl --control {log}.sock"
OF_ROOT = "/var/own/root"
FORKS = "i=0; while [ $i -lt 20 ]; do sleep 3 & i=$((i+1)); echo n$i; done"
FILL = "dd if=/dev/zero of=/tmp/x bs=1M count={count} 2>/dev/null; echo filled $?"


WEAKER = "--allow-weaker landlock --allow-weaker limits"


def run(command, user="agent", flags="--allow-weaker landlock", log="/home/agent/log/own"):
    """A step that runs a command in its sandbox, by root or by another."""
    whole = f"HOME=/home/agent {RUN.format(log=log)} {flags} -- sh -c '{command}'\n"
    return whole if user == "root" else f"cat >/tmp/step <<'END'\n{whole}END\nsu {user} -c 'sh /tmp/step'\n"


ENTER = "echo $$ >/sys/fs/cgroup/{group}/cgroup.procs\n"
DELEGATE = """cd /sys/fs/cgroup
echo '+memory +pids' >cgroup.subtree_control; mkdir -p agent/shell plain
chown 1000:1000 agent agent/cgroup.procs agent/cgroup.subtree_control agent/shell agent/shell/cgroup.procs
echo '+memory +pids' >agent/cgroup.subtree_control
cat agent/shell/cgroup.controllers
# As a run that was killed leaves it, under the number of a process that lives.
mkdir agent/exitgate-run-1; chown 1000:1000 agent/exitgate-run-1
mkdir -p /home/agent/log; chown 1000:1000 /home/agent/log
"""
# A group that is made in it gets no limit of memory, and cannot be entered (EOPNOTSUPP).
THREADED = """(cd /sys/fs/cgroup
mkdir -p threads/shell; chown 1000:1000 threads threads/cgroup.procs threads/cgroup.subtree_control threads/shell threads/shell/cgroup.procs
echo '+pids' >threads/cgroup.subtree_control; echo threaded >threads/shell/cgroup.type
cat threads/cgroup.type)
"""
# No further group can be made in it (EAGAIN).
FULL = """(cd /sys/fs/cgroup
mkdir -p full/shell; chown 1000:1000 full full/cgroup.procs full/cgroup.subtree_control full/shell full/shell/cgroup.procs
echo '+memory +pids' >full/cgroup.subtree_control; echo 1 >full/cgroup.max.descendants)
"""
ASK = "su agent -c 'HOME=/home/agent exitgate explain --policy /tests/policy.yaml --process --json'\n"
STEPS = {
    "root, nothing delegated": "mkdir -p /var/own\n" + run("echo ran", "root", log=OF_ROOT),
    "said, nothing delegated": ASK,
    "delegate": DELEGATE,
    "an old Landlock": ENTER.format(group="agent/shell") + run("echo ran", flags=""),
    "said": ENTER.format(group="agent/shell") + ASK,
    "processes of root": ENTER.format(group="agent/shell") + run(FORKS, "root", log=OF_ROOT),
    "processes": ENTER.format(group="agent/shell") + run(FORKS),
    "memory that suffices": ENTER.format(group="agent/shell") + run(FILL.format(count=20)),
    "memory of all together": ENTER.format(group="agent/shell") + run(FILL.format(count=100)),
    "memory without a group": ENTER.format(group="plain") + run(FILL.format(count=100), log="/home/agent/log/plain"),
    "not entered": THREADED + ENTER.format(group="threads/shell") + run("echo ran"),
    "not entered, as agreed": ENTER.format(group="threads/shell") + run("echo ran", flags=WEAKER, log="/home/agent/log/threads"),
    "not made": FULL + ENTER.format(group="full/shell") + run("echo ran"),
    "not made, as agreed": ENTER.format(group="full/shell") + run("echo ran", flags=WEAKER, log="/home/agent/log/full"),
    "not made for root": ENTER.format(group="full/shell") + run("echo ran", "root", log=OF_ROOT),
    "not made for root, as agreed": ENTER.format(group="full/shell") + run("echo ran", "root", WEAKER, "/var/own/full"),
    "left": "ls -d /sys/fs/cgroup/*/exitgate-run-* /sys/fs/cgroup/exitgate-run-*",
    "logs": "cat /home/agent/log/own.jsonl; echo; echo ---; cat /home/agent/log/plain.jsonl",
    "logs of the weaker": "; echo ---; ".join(f"cat {log}.jsonl" for log in ("/home/agent/log/threads", "/home/agent/log/full", "/var/own/full")),
}


@pytest.fixture(scope="module")
def results(binary):
    guest = Guest(binary, list(STEPS.values()), [("/tests/policy.yaml", POLICY)])
    return dict(zip(STEPS, guest.results))


def held(results, step):
    line = next(line for line in results[step][1].splitlines() if line.startswith("{"))
    return {entry["name"]: entry["held_by"] for entry in json.loads(line)["limits"]}


def test_a_delegated_group_holds_a_command_to_its_limits(results):
    assert results["delegate"][0] == 0 and "memory" in results["delegate"][1] and "pids" in results["delegate"][1], results["delegate"]
    for step in ("processes", "processes of root"):
        said = results[step][1].split()
        assert "n4" in said and "n8" not in said and "n20" not in said, (step, results[step])
    assert "filled 0" in results["memory that suffices"][1], results["memory that suffices"]
    # What lies in /tmp is no process's own memory: rlimits do not see it, the group does.
    assert "filled 0" in results["memory without a group"][1], results["memory without a group"]
    assert "filled 0" not in results["memory of all together"][1], results["memory of all together"]
    assert "No such file" in results["left"][1] and "exitgate-run-1" not in results["left"][1].replace("exitgate-run-*", ""), results["left"]


def test_what_holds_the_command_is_said_and_recorded(results):
    assert held(results, "said") == {"max-processes": ["rlimit", "cgroup"], "memory": ["rlimit", "cgroup"], "time": ["clock"]}
    assert held(results, "said, nothing delegated") == {"max-processes": ["rlimit"], "memory": ["rlimit"], "time": ["clock"]}
    own, _, plain = results["logs"][1].partition("---")
    for word in ("max-processes", "memory"):
        assert f"run: {word} is held by rlimit and cgroup" in own and f'run: {word} is held by rlimit"' in plain


def test_what_nothing_holds_is_refused_and_so_is_an_old_landlock(results):
    status, said = results["root, nothing delegated"]
    assert status == 69 and "no control group was delegated" in said and "--allow-weaker limits" in said and "ran" not in said.split(), said
    status, said = results["an old Landlock"]
    assert status == 69 and "Landlock's ABI is 2, 3 is needed" in said and "Use Linux 6.12" in said and "ran" not in said.split(), said


def test_a_group_that_cannot_be_had_is_refused_with_a_remedy_that_fits_and_works(results):
    """The remedy is tried by the step that follows each, which is the control too."""
    for step, cause, user in (("not entered", "cannot enter the control group", "agent"), ("not made", "cannot make a control group", "agent"),
                              ("not made for root", "cannot make a control group", "root")):
        status, said = results[step]
        assert status == 69 and cause in said and "or say --allow-weaker limits" in said and "ran" not in said.split(), (step, said)
        assert ("as an ordinary user" in said) == (user == "root"), (step, said)
        status, said = results[f"{step}, as agreed"]
        assert status == 0 and "ran" in said.split() and "WEAKER" in said and cause in said, (step, said)


def test_what_is_recorded_is_what_was_made_in_truth(results):
    threads, full, root = results["logs of the weaker"][1].split("---")
    for log, cause in ((threads, "cannot enter the control group"), (full, "cannot make a control group"), (root, "cannot make a control group")):
        assert f"run: WEAKER: {cause}" in log and 'cgroup"' not in log, log
        assert 'run: memory is held by rlimit"' in log, log
    assert all('run: max-processes is held by rlimit"' in log for log in (threads, full))
    assert 'run: max-processes is held by nothing"' in root
