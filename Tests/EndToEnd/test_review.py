"""From an audited run to an enforced policy: what real programs fetched is suggested, and under it they fetch again."""
import json, re, shutil

import pytest

from harness.gate import ROOT, exitgate
from harness.workshop import PROGRAMS, Workshop


@pytest.fixture(scope="module")
def made(runner, ordinary):
    workshop = Workshop(ordinary, runner)
    yield workshop
    workshop.close()


@pytest.fixture
def workshop(made):
    made.log.path.unlink(missing_ok=True)
    made.clean()
    before = made.seen()
    yield made
    made.end()
    assert made.seen() == before, "packets reached hosts that no rule names"


def present(program):
    return shutil.which({"apt": "apt-get", "pip": "pip3"}.get(program, program), path="/usr/bin:/usr/sbin:/bin")


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_an_audited_run_suggests_lets_the_same_command_pass(workshop, program):
    command, left = PROGRAMS[program]
    if not present(program):
        pytest.skip(f"{program} is not installed")
    run = lambda policy, *flags: workshop.run("sh", "-c", command, policy=policy, flags=flags, timeout=90)
    # The control: in enforce mode, without a rule, nothing is fetched.
    assert run(workshop.empty).returncode != 0 and not (workshop.project / left).exists()
    workshop.clean()
    watched = run(workshop.empty, "--mode", "audit")
    assert watched.returncode == 0 and (workshop.project / left).exists(), watched
    told = exitgate("log", "suggest", "--audit-log", workshop.log.path)
    assert told.returncode == 0, told
    policy = workshop.work / f"{program}.yaml"
    policy.write_text(told.stdout)
    assert exitgate("check", policy).returncode == 0, told.stdout
    assert "mode: enforce" in told.stdout and "*" not in told.stdout.replace("# WILDCARD", "")
    workshop.clean()
    done = run(policy)
    assert done.returncode == 0 and (workshop.project / left).exists(), (told.stdout, done)
    # Nobody else is let in by it.
    denied = workshop.run("curl", "-sS", "-m", "5", "--cacert", "ca.pem", "https://denied.test/", policy=policy)
    assert denied.returncode != 0, denied


def section():
    """The commands and the file of the README's section."""
    text = re.search(r"## From audit mode to an enforced policy\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.S)[1]
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    tests = re.search(r"```yaml\n(# policy-tests.yaml.*?)```", text, re.S)[1]
    return [line for block in blocks for line in block.splitlines()], tests


def test_the_steps_of_the_readme_lead_a_whole_session_to_an_enforced_policy(workshop):
    commands, tests = section()
    assert len(commands) == 9 and commands[0].startswith("exitgate run --mode audit")
    (workshop.project / "policy-tests.yaml").write_text(tests)
    said = {}
    for line in commands:
        if line.startswith("exitgate run --policy"):
            workshop.clean()
        done = workshop.shell(line.partition(" #")[0])
        assert done.returncode == 0, (line, done, (workshop.project / "policy.yaml").exists() and (workshop.project / "policy.yaml").read_text())
        said[" ".join(line.split()[1:3])] = done.stdout
        if line.startswith("exitgate run"):
            for _, left in PROGRAMS.values():
                assert (workshop.project / left).exists(), (line, left, done)
    hosts = {"git.test", "index.test", "npm.test", "web.test", "apt.test"}
    assert all(host in said["log blocked"] for host in hosts)
    policy = (workshop.project / "policy.yaml").read_text()
    assert all(host in policy for host in hosts) and "denied.test" not in policy
    assert "denied, and would be allowed" in said["log replay"] and "would be denied:" not in said["log replay"]
    assert (workshop.project / "new.yaml").read_text() == policy, "nothing came up since"
    # The control: without the policy, the session ends with its first command.
    workshop.clean()
    assert workshop.run("sh", "agent.sh", policy=workshop.empty).returncode != 0
    assert not any((workshop.project / left).exists() for _, left in PROGRAMS.values())


def test_AUD_10_what_a_review_prints_is_data_and_says_the_same_in_each_form(workshop):
    for host in ("x" * 60 + ".evil.test", "a.evil.test", "b.evil.test"):
        workshop.run("curl", "-sS", "-m", "5", f"https://{host}/", policy=workshop.empty)
    rows = [json.loads(line) for line in exitgate("log", "blocked", "--json", "--audit-log", workshop.log.path).stdout.splitlines()]
    table = exitgate("log", "blocked", "--csv", "--audit-log", workshop.log.path).stdout
    assert re.fullmatch(r"[\n\x20-\x7e]*", table.replace("\r\n", "\n"))
    cells = [line.split(",") for line in table.splitlines()]
    assert [line[1] for line in cells[1:]] == [row["host"] for row in rows] and len(rows) >= 3
    assert {row["domain"] for row in rows} == {"evil.test"}
    pages = [exitgate("log", "blocked", "--json", "--limit", "1", "--page", str(page + 1), "--audit-log", workshop.log.path).stdout for page in range(len(rows))]
    assert [json.loads(page) for page in pages] == rows
