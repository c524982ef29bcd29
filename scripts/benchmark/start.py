#!/usr/bin/env python3
"""What a sandbox costs: `exitgate run -- true` beside a bare fork and exec of it, median of 20, turn by turn.

  start.py EXITGATE [ROUNDS]

The limit is 40 ms over the bare one.
"""
import os, pathlib, statistics, sys, tempfile, time

binary, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20
LIMIT = 40.0  # milliseconds
POLICIES = {"one rule": "version: 1\nrules:\n  - { id: web, action: allow, to: [example.com] }\n",
            "profile generic": "version: 1\ninclude: [builtin:profile-generic]\n"}


def took(command):
    began = time.perf_counter()
    process = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status == 0, f"{command}: ended with {status}"
    return (time.perf_counter() - began) * 1000


with tempfile.TemporaryDirectory(prefix="exitgate-start") as folder:
    project = pathlib.Path(folder) / "project"
    project.mkdir()
    os.chdir(project)
    for name, policy in POLICIES.items():
        path = pathlib.Path(folder) / "policy.yaml"
        path.write_text(policy)
        sandboxed = [binary, "run", "--policy", str(path), "--audit-log", f"{folder}/audit.jsonl", "--control", f"{folder}/control.sock",
                     "--dns-upstream", "127.0.0.1:9", "--", "/bin/true"]
        bare, whole = [], []
        for _ in range(rounds):
            bare.append(took(["/bin/true"]))
            whole.append(took(sandboxed))
        over = statistics.median(whole) - statistics.median(bare)
        print(f"run, {name}: {statistics.median(whole):.1f} ms, bare fork and exec {statistics.median(bare):.1f} ms, "
              f"over it {over:.1f} ms (limit {LIMIT:.0f}), median of {rounds}")
