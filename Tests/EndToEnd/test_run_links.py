"""One run of a command can leave a link for the next: no path that the gate goes by leads through what the command may change."""
import os, shutil, subprocess

import pytest

from harness.box import POLICY, PYTHON
from harness.far import Accepted
from harness.namespaces import GOOD

LEAVE = "import os, sys; os.makedirs(os.path.dirname(sys.argv[2]) or '.', exist_ok=True); os.symlink(sys.argv[1], sys.argv[2])"


@pytest.fixture
def secret(box):
    place = box.home / ".ssh"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / "id").write_text("the host's key")
    for path in (place, place / "id"):
        os.chown(path, box.account.pw_uid, box.account.pw_gid)
    yield place / "id"
    shutil.rmtree(place)


@pytest.fixture(autouse=True)
def clean(box):
    before = set(box.project.iterdir())
    yield
    for path in set(box.project.iterdir()) - before:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def policy(box, text):
    path = box.work / "policy-of-links.yaml"
    path.write_text(POLICY + text)
    return path


def leave(box, target, link):
    """What a command does in its first run."""
    done = box.run(PYTHON, "-c", LEAVE, target, link)
    assert done.returncode == 0 and (box.project / link).is_symlink(), done


CASES = {
    "read": ("files:\n  read: [docs]\n", (), "docs"),
    "write": ("files:\n  write: [docs]\n", (), "docs"),
    "below": ("files:\n  read: [sub/docs]\n", (), "sub/docs"),
    "above": ("files:\n  read: [sub/.ssh]\n", (), "sub"),
    "built-in": ("include: [builtin:profile-codex]\n", (), ".git/hooks"),
    "--read": ("", ("--read", "docs"), "docs"),
    "--write": ("", ("--write", "docs"), "docs"),
}


@pytest.mark.parametrize("case", CASES)
def test_SBX_12_a_link_that_a_command_left_shows_the_next_one_nothing(box, secret, case):
    text, flags, link = CASES[case]
    if case == "built-in":
        rules = box.work / "policy-of-links.yaml"
        rules.write_text("version: 1\n" + text)
    else:
        rules = policy(box, text)
    leave(box, secret.parent.parent if case == "above" else secret.parent, link)
    done = box.run("cat", secret, policy=rules, flags=flags)
    assert done.returncode == 78 and f"the link {box.project / link}," in done.stderr and "key" not in done.stdout, done
    # The control: a directory of that name is shown.
    (box.project / link).unlink()
    place = box.project / link / ".ssh" if case == "above" else box.project / link
    place.mkdir(parents=True)
    (place / "a").write_text("shown")
    done = box.run("cat", place / "a", policy=rules, flags=flags)
    assert done.returncode == 0 and done.stdout == "shown", done
    assert "key" not in box.run("cat", secret, policy=rules, flags=flags).stdout


def test_a_link_outside_shows_where_it_leads(box):
    """The control of all: whoever may not change it cannot turn it elsewhere."""
    real = box.work / "real"
    real.mkdir(exist_ok=True)
    (real / "a").write_text("shown")
    link = box.work / "by-link"
    if not link.is_symlink():
        link.symlink_to(real)
    done = box.run("cat", real / "a", policy=policy(box, f"files:\n  read: [{link}]\n"))
    assert done.returncode == 0 and done.stdout == "shown", done


def test_a_link_that_leads_to_what_is_not_there_yet_is_no_way_in(box):
    link = box.work / "to-hooks"
    link.symlink_to(box.project / "hooks")
    try:
        done = box.run(PYTHON, "-c", f"import os; os.mkdir('{box.project}/hooks')", policy=policy(box, f"files:\n  read: [{link}]\n"))
        assert done.returncode == 78 and f"'{link}' is to be read and not changed, and is not there" in done.stderr, done
        assert not (box.project / "hooks").exists()
    finally:
        link.unlink()


def test_SBX_12_a_policy_is_not_read_by_a_link_that_the_command_may_change(box):
    real = policy(box, "")
    link = box.project / "policy.yaml"
    link.symlink_to(real)
    try:
        done = box.run("true", policy="policy.yaml")
        assert done.returncode == 78 and f"the link {link}," in done.stderr, done
        # Nor one that a policy includes.
        outer = box.work / "outer.yaml"
        outer.write_text(f"version: 1\ninclude: [\"file:{link}\"]\n")
        done = box.run("true", policy=outer)
        assert done.returncode == 78 and f"the link {link}," in done.stderr, done
    finally:
        link.unlink()
    assert box.run("true", policy=real).returncode == 0


@pytest.mark.parametrize("option,name", [("--overlay", "o.yaml"), ("--audit-log", "audit.jsonl"), ("--control", "control.sock")])
@pytest.mark.parametrize("is_above", [False, True])
def test_what_the_gate_writes_is_not_reached_by_a_link_that_the_command_may_change(box, option, name, is_above):
    elsewhere = box.work / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    os.chown(elsewhere, box.account.pw_uid, box.account.pw_gid)
    link = box.project / ("place" if is_above else name)
    link.symlink_to(elsewhere if is_above else elsewhere / name)
    done = box.run("true", flags=(option, f"place/{name}" if is_above else name))
    assert done.returncode == 78 and f"the link {link}," in done.stderr and list(elsewhere.iterdir()) == [], done
    assert box.run("true", flags=(option, elsewhere / name)).returncode == 0
    shutil.rmtree(elsewhere)


EXCHANGE = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
while True:
    if libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2): sys.exit(ctypes.get_errno())
"""


def test_SBX_12_what_is_exchanged_for_a_link_meanwhile_shows_nothing(box, secret):
    """Another command in the same directory, which may change it all the time."""
    place, link = box.project / "docs", box.project / "other"
    place.mkdir()
    (place / "a").write_text("shown")
    link.symlink_to(secret.parent)
    rules = policy(box, "files:\n  read: [docs]\n")
    look = f"cat {secret}; cat docs/a docs/id"
    before = box.run("sh", "-c", look, policy=rules)
    assert before.stdout == "shown", before
    rival = subprocess.Popen(box.on_host(PYTHON, "-c", EXCHANGE, place, link))
    ends = set()
    try:
        for _ in range(60):
            done = box.run("sh", "-c", look, policy=rules)
            assert "key" not in done.stdout, done
            ends.add((done.returncode, done.stdout))
            assert rival.poll() is None
    finally:
        rival.kill(), rival.wait()
    assert {status for status, _ in ends} <= {0, 1, 69, 78} and 78 in {status for status, _ in ends}, ends
    assert len(ends) > 1, "both were seen"


CONFIGURED = {
    "git": (".git/config", '[remote "origin"]\n  url = https://left.test/x.git\n'),
    "npm": (".npmrc", "registry=https://left.test/\n"),
    "cargo": (".cargo/config.toml", '[registries.mine]\nindex = "https://left.test/index"\n'),
    "pip": ("venv/pip.conf", "[global]\nindex-url = https://left.test/simple\n"),
}


@pytest.mark.parametrize("name", CONFIGURED)
def test_SBX_12_what_a_command_left_for_a_system_list_opens_nothing(box, name):
    place, text = CONFIGURED[name]
    rules = box.work / "policy-of-links.yaml"
    rules.write_text(f"version: 1\ninclude: [system:{name}]\n")
    box.far.answers("left.test", GOOD)
    env = {"VIRTUAL_ENV": str(box.project / "venv")}
    box.run(PYTHON, "-c", f"import os; os.makedirs(os.path.dirname('{place}') or '.', exist_ok=True); open('{place}', 'w').write({text!r})", policy=rules)
    assert (box.project / place).read_text() == text
    before = box.far.mark()
    done = box.run("curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_connect}", "https://left.test/", policy=rules, env=env)
    assert done.stdout == "403" and f"{place}' is left out: the command could change it" in done.stderr, done
    assert not box.far.since(before, Accepted)
    # The control: the same where the command may not write; and again nothing where it may by the policy.
    own = box.home / "own"
    shutil.rmtree(own, ignore_errors=True)
    where = own / place
    where.parent.mkdir(parents=True)
    where.write_text(text)
    env = {"git": {}, "npm": {"npm_config_userconfig": str(where)}, "cargo": {"CARGO_HOME": str(where.parent)}, "pip": {"PIP_CONFIG_FILE": str(where)}}[name]
    if env:
        (box.project / place).unlink()
        done = box.run("curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_connect}", "https://left.test/", policy=rules, env=env)
        assert done.stdout == "200", done
        done = box.run("true", policy=rules, env=env, flags=("--write", own))
        assert done.returncode == 78 and f"a system list was read from '{where}', which the command could change" in done.stderr, done
    shutil.rmtree(own)


def refused(box, words, *, cwd=None, flags=(), env=None, policy=None):
    done = box.run("true", cwd=cwd, flags=flags, env=env, policy=policy)
    assert done.returncode in (64, 78) and words in done.stderr, done


def test_a_link_of_an_earlier_command_elsewhere_shows_no_secret(box, secret):
    """It lies where this one may change nothing; what is kept of secrets is shown by its own name alone."""
    leave(box, secret.parent, "docs")
    below = box.project / "below"
    below.mkdir()
    os.chown(below, box.account.pw_uid, box.account.pw_gid)
    done = box.run("cat", secret, flags=("--read", "../docs"), cwd=below)
    assert done.returncode == 78 and f"leads over the link {box.project}/docs to {secret.parent}, which is shown only where it is named itself" in done.stderr, done
    assert box.run("cat", secret, flags=("--read", secret.parent), cwd=below).stdout == "the host's key"


def test_a_command_does_not_start_among_secrets(box, secret):
    leave(box, secret.parent, "pkg")
    refused(box, f"the working directory {secret.parent} would open too much", cwd=box.project / "pkg")
    assert (box.home / ".ssh" / "id").read_text() == "the host's key"


@pytest.mark.parametrize("what", ["policy", "built-in"])
def test_what_is_hidden_is_not_moved_away_for_the_next(box, what):
    if what == "policy":
        place, rules, flags = box.project / "sub" / "secret", policy(box, "files:\n  hide: [sub/secret]\n"), ()
    else:
        place, rules, flags = box.home / ".config" / "gh" / "hosts.yml", policy(box, ""), ("--write", box.home / ".config")
        (box.home / ".config" / "exitgate").mkdir(parents=True, exist_ok=True)
    above = place.parent
    above.mkdir(parents=True, exist_ok=True)
    place.write_text("the host's key")
    for path in (above.parent, above, place):
        os.chown(path, box.account.pw_uid, box.account.pw_gid)
    moved = above.parent / "moved"
    try:
        done = box.run("sh", "-c", f"cat {place}; mv {above} {moved}; touch {above.parent}/made; cat {moved}/*", policy=rules, flags=flags)
        assert "busy" in done.stderr and done.stdout == "" and not moved.exists() and (above.parent / "made").exists(), done
    finally:
        shutil.rmtree(above)
        (above.parent / "made").unlink(missing_ok=True)


def test_what_is_hidden_by_a_link_is_hidden_at_its_end(box):
    real, link = box.home / "dot", box.home / ".npmrc"
    real.write_text("the host's key")
    link.symlink_to("dot")
    (box.home / "seen").write_text("shown")
    try:
        done = box.run("sh", "-c", f"cat {link} {real}; cat {box.home}/seen", flags=("--read", box.home))
        assert done.stdout == "shown", done
    finally:
        for path in (real, link, box.home / "seen"):
            path.unlink()


def test_the_gates_own_files_are_not_even_read(box):
    """Whoever can read a socket's place can speak to it, and whoever can read a lock can keep it."""
    other = box.work / "place"
    other.mkdir(exist_ok=True)
    os.chown(other, box.account.pw_uid, box.account.pw_gid)
    for option in ("--control", "--audit-log", "--overlay"):
        place = other / option[2:]
        refused(box, f"the command could reach '{place}'", flags=("--read", other, option, place))
        assert box.run("true", flags=(option, place)).returncode == 0
    if box.account.pw_uid == 0:
        return
    run = box.work / "rt"
    run.mkdir(exist_ok=True)
    (run / "other").write_text("shown")
    for path in (run, run / "other"):
        os.chown(path, box.account.pw_uid, box.account.pw_gid)
    env = box.environment({"XDG_RUNTIME_DIR": str(run), "XDG_STATE_HOME": str(box.work / "rt" / "state")})
    command = box.on_host(box.binary, "run", "--policy", box.policy, "--read", run, "--", "sh", "-c", f"cat {run}/other; ls {run}/exitgate {run}/state/exitgate")
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=box.project, env=env)
    assert done.returncode == 0 and "shown" in done.stdout and "sock" not in done.stdout and "jsonl" not in done.stdout, done
    assert (run / "state" / "exitgate" / "audit.jsonl").exists(), "the control: they were there"


def test_no_policy_is_left_for_a_run_that_names_none(box):
    if box.account.pw_uid == 0:
        return  # root's is in /etc, which no command may change
    place = box.project / "config"
    place.mkdir()
    os.chown(place, box.account.pw_uid, box.account.pw_gid)
    refused(box, f"the command could make or change '{place}/exitgate/policy.yaml'", env={"XDG_CONFIG_HOME": str(place)})
    assert box.run("true", env={"XDG_CONFIG_HOME": str(box.work / "config")}).returncode == 0


def test_a_hard_link_is_no_other_way_to_change_it(box):
    rules = box.project / "policy.yaml"
    rules.write_text(POLICY)
    os.chown(rules, box.account.pw_uid, box.account.pw_gid)
    assert box.run("ln", "policy.yaml", ".other").returncode == 0
    refused(box, f"'{rules}' has another name (a hard link)", policy=rules)
    (box.project / ".other").unlink()
    assert box.run("true", policy=rules).returncode == 0


def test_the_files_that_the_gate_goes_by_are_not_the_commands_to_change(box):
    authorities = box.project / "ca.pem"
    authorities.write_text("")
    refused(box, f"the command could change '{authorities}'", flags=("--dns-upstream-ca", authorities))
