"""Real programs in the sandbox of `exitgate run`: what an audited run suggests is the policy under which they pass."""
import json, os, shutil

import pytest

from harness.box import PYTHON
from harness.far import Accepted
from harness.gate import exitgate
from harness.namespaces import EVIL, GOOD


def suggested(box):
    """The rules that `log blocked` gives for what passed in audit mode."""
    told = exitgate("log", "blocked", "--json", "--audit-log", box.log.path)
    assert told.returncode == 0, told
    return [row["suggested_rule"] for row in map(json.loads, told.stdout.splitlines()) if row["passed"] and row["suggested_rule"]]


@pytest.mark.parametrize("command", [
    ("curl", "-sSf", "-m", "5", "http://allowed.test/"),
    ("curl", "-sSf", "-m", "5", "--noproxy", "*", "http://allowed.test/"),
    (PYTHON, "-c", "import urllib.request as u; print(u.urlopen('http://allowed.test/', timeout=5).read())"),
    ("wget", "-qO-", "-T", "5", "-t", "1", "http://allowed.test/"),
], ids=lambda command: command[0].rsplit("/")[-1])
def test_an_audited_run_gives_the_policy_that_lets_it_pass(box, command):
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    box.log.path.unlink(missing_ok=True)
    mark = box.far.mark()
    assert box.run(*command).returncode != 0 and box.far.since(mark, Accepted) == []
    assert box.run(*command, flags=("--mode", "audit")).returncode == 0
    rules = suggested(box)
    assert rules, "nothing was suggested"
    policy = box.work / "suggested.yaml"
    policy.write_text("version: 1\nrules:\n" + "".join(f"  - {rule}\n" for rule in dict.fromkeys(rules)))
    mark = box.far.mark()
    done = box.run(*command, policy=policy)
    assert done.returncode == 0 and "origin" in done.stdout, (rules, done)
    assert {event.address for event in box.far.since(mark, Accepted)} <= {GOOD}
    assert box.run("curl", "-sSf", "-m", "5", f"http://{EVIL}/", policy=policy).returncode != 0


def test_a_build_works_in_the_working_directory(box):
    (box.project / "Makefile").write_text("all: out\nout: in.txt\n\t@mkdir -p build && cp in.txt build/tmp && mv build/tmp out && ln -sf out link && chmod 600 out\nclean:\n\trm -rf out build link\n")
    (box.project / "in.txt").write_text("built\n")
    for name in ("Makefile", "in.txt"):
        os.chown(box.project / name, box.account.pw_uid, box.account.pw_gid)
    script = "make -s && cat link && git init -q . && git -c user.name=a -c user.email=a@b add in.txt && git -c user.name=a -c user.email=a@b commit -qm x && git log --oneline | wc -l && make -s clean && rm -rf .git"
    if not shutil.which("make") or not shutil.which("git"):
        pytest.skip("make and git are not installed")
    done = box.run("sh", "-c", script)
    assert done.returncode == 0 and done.stdout.split() == ["built", "1"], done
