"""`exitgate explain --file` and `--process` beside `exitgate run`: one table, and each row holds for what is said and for what is done."""
import json, os, subprocess

import pytest

from harness.box import POLICY, PYTHON

# Where; what there is; the rule that says so; the line of the policy, counted from the one with 'files'.
ROWS = [
    ("notes.txt", "write", "builtin:working-directory", None),
    ("sub/.env", "hidden", "files.hide", 3),
    ("{data}/a", "read", "files.read", 1),
    ("{data}/inner/b", "write", "files.write", 2),
    ("{data}/inner/fixed", "read", "files.read", 1),
    ("{work}/beside", "hidden", "builtin:not-shown", None),
    ("~/tool.conf", "read", "files.read", 1),
    ("~/other", "own", "builtin:home", None),
    ("~/.ssh/id", "hidden", "builtin:credentials", None),
    ("~/.aws/credentials", "hidden", "builtin:credentials", None),
    ("~/.netrc", "read", "files.read", 1),
    ("to-a", "read", "files.read", 1),
    ("to-beside", "hidden", "builtin:not-shown", None),
    ("~/to-a", "own", "builtin:home", None),
    ("/etc/hostname", "read", "builtin:system", None),
    ("/etc/shadow", "hidden", "builtin:system-secrets", None),
    ("/etc/resolv.conf", "own", "builtin:resolver", None),
    ("/bin/sh", "read", "builtin:system", None),
    ("/proc/sys/kernel/hostname", "own", "builtin:kernel", None),
    ("/dev/kmsg", "hidden", "builtin:kernel", None),
    ("{policy}", "read", "builtin:policy", None),
]
# What is read there, and whether it can be written: at the place itself.
PROBE = """
import json, os, sys
said = []
for path in map(os.path.expanduser, sys.argv[1:]):
    try: content = open(path, "rb").read(4096).decode("latin-1")
    except OSError: content = None
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "a") as file: file.write("changed inside")
        written = True
    except OSError: written = False
    said.append([content, written])
print(json.dumps(said))
"""


@pytest.fixture
def furnished(box):
    data = box.work / "data"
    places = {"data": data, "work": box.work, "policy": box.project / "policy.yaml"}
    files = [data / "a", data / "inner" / "b", data / "inner" / "fixed", box.work / "beside", box.project / "notes.txt", box.project / "sub" / ".env",
             box.home / "tool.conf", box.home / "other", box.home / ".ssh" / "id", box.home / ".aws" / "credentials", box.home / ".netrc"]
    before = set(box.home.iterdir())
    for path in files:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            os.chown(path.parent, box.account.pw_uid, box.account.pw_gid)
        if not path.exists():
            path.write_text(f"the host's {path.name}\n")
            os.chown(path, box.account.pw_uid, box.account.pw_gid)
    for link, target in ((box.project / "to-a", data / "a"), (box.project / "to-beside", box.work / "beside"), (box.home / "to-a", data / "a")):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    places["policy"].write_text(
        POLICY + f"files:\n  read: [{data}, ~/tool.conf, ~/.netrc, /not/there, {data}/inner/fixed]\n  write: [{data}/inner]\n  hide: [sub/.env]\n")
    yield places
    for path in set(box.home.iterdir()) - before:
        subprocess.run(["rm", "-rf", path], check=True)


def explained(box, *words, env=None):
    command = box.on_host(box.binary, "explain", "--json", *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=box.project, env=box.environment(env))
    assert done.stdout, done
    return done.returncode, json.loads(done.stdout)


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode("latin-1")
    except OSError:
        return None


def test_what_is_said_of_a_file_is_what_a_command_finds(box, furnished):
    policy = furnished["policy"]
    first = policy.read_text().splitlines().index("files:") + 1
    paths = [row[0].format(**furnished) for row in ROWS]
    full = [box.project / path.replace("~", str(box.home), 1) for path in paths]
    before = [content(path) for path in full]
    found = json.loads(box.python(PROBE, *paths, policy=policy))
    after = [content(path) for path in full]
    for (_, access, rule, line), path, old, new, (inside, written) in zip(ROWS, paths, before, after, found):
        status, said = explained(box, "--policy", policy, "--file", path)
        assert (said["access"], said["rule"]) == (access, rule), (path, said)
        assert said["source"] == (f"{policy}:{first + line}" if line else None), (path, said)
        assert status == (0 if access in ("read", "write") else 1), (path, said)
        readable = subprocess.run(box.on_host("test", "-r", path.replace("~", str(box.home), 1)), cwd=box.project).returncode == 0
        if access == "read":
            assert readable and inside == old and not written, (path, inside, written)
        elif access == "write":
            assert readable and inside == old and written and new == old + "changed inside", (path, inside, written)
        else:
            assert inside != old or old is None or not readable, (path, inside)
        if access != "write" and not path.startswith("/proc"):
            assert new == old, (path, "was changed on the host")
        if rule == "builtin:home":
            assert written, (path, "is the sandbox's own, and cannot be written")


@pytest.mark.parametrize("written", ["hooks/pre-commit", "{project}/hooks/pre-commit"])
def test_what_is_to_be_read_and_is_not_there_is_not_for_the_command_to_make(box, furnished, written):
    written = written.format(project=box.project)
    policy, hooks = furnished["policy"], box.project / "hooks" / "pre-commit"
    said = f"{policy}:{policy.read_text().splitlines().index('files:') + 2}: '{written}' is to be read and not changed, and is not there"
    policy.write_text(policy.read_text().replace("/not/there", f"/not/there, {written}"))
    make = f"import os\nos.makedirs('{hooks.parent}', exist_ok=True)\nopen('{hooks}', 'a').write('from inside')"
    done = box.run(PYTHON, "-c", make, policy=policy)
    assert done.returncode == 78 and said in done.stderr and not hooks.parent.exists(), done
    told = subprocess.run(box.on_host(box.binary, "explain", "--policy", policy, "--file", hooks), capture_output=True, text=True, timeout=30, cwd=box.project, env=box.environment())
    assert told.returncode == 78 and said in told.stderr, told
    # The control: what is there is read, and stays; and a built-in list may speak of what is nowhere.
    lists = box.work / "lists.yaml"
    lists.write_text("version: 1\ninclude: [builtin:profile-codex]\n")
    assert box.run("true", policy=lists).returncode == 0 and not (box.project / ".git").exists()
    for path, add in ((hooks.parent, lambda: hooks.parent.mkdir()), (hooks, lambda: hooks.write_text("the host's"))):
        add()
        os.chown(path, box.account.pw_uid, box.account.pw_gid)
    done = box.run(PYTHON, "-c", make, policy=policy)
    assert done.returncode == 1 and "Read-only file system" in done.stderr, done
    assert box.run("cat", hooks, policy=policy).stdout == "the host's" == hooks.read_text()
    subprocess.run(["rm", "-r", hooks.parent], check=True)


def test_a_later_profile_and_a_wrong_place_are_said_as_run_says_them(box, furnished):
    status, said = explained(box, "--profile", "codex", "--file", "~/.codex/auth.json")
    assert said["rule"] in ("builtin:home", "files.write"), said
    for verb in (["explain", "--policy", furnished["policy"], "--file", "x"], ["run", "--policy", furnished["policy"], "--", "true"]):
        done = subprocess.run(box.on_host(box.binary, *verb), capture_output=True, text=True, timeout=30, cwd="/", env=box.environment())
        assert done.returncode == 64 and "would open too much" in done.stderr, done


def test_what_is_said_of_variables_and_limits_is_what_a_command_has(box):
    policy = box.work / "process.yaml"
    policy.write_text(POLICY + "process:\n  env: [GH_TOKEN, MISSING]\n  memory: 256MiB\n  max-processes: 64\n  time: 1h\n")
    env = {"GH_TOKEN": "t0ken", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "LC_TIME": "C", "PWD": "/elsewhere"}
    status, said = explained(box, "--policy", policy, "--process", env=env)
    first = policy.read_text().splitlines().index("process:") + 1
    sources = {entry["name"]: entry["source"] for entry in said["variables"] if entry["set"]}
    assert sources["GH_TOKEN"] == f"{policy}:{first + 1}" and sources["LC_TIME"] == "built in"
    assert "AWS_SECRET_ACCESS_KEY" in said["left_out"] and "s3cr3t" not in json.dumps(said) and "t0ken" not in json.dumps(said)
    limits = {entry["name"]: entry for entry in said["limits"]}
    assert [limits[name]["source"] for name in ("memory", "max-processes", "time")] == [f"{policy}:{first + n}" for n in (2, 3, 4)]
    if not said["starts"]:
        assert status == 1 and limits["max-processes"]["held_by"] == []
        assert box.run("true", policy=policy).returncode == 69
    flags = () if said["starts"] else ("--allow-weaker", "limits")
    script = "import json, os, resource as r; print(json.dumps([sorted(os.environ), r.getrlimit(r.RLIMIT_DATA)[0], r.getrlimit(r.RLIMIT_NPROC)[0]]))"
    done = box.run(PYTHON, "-c", script, env=env, policy=policy, flags=flags)
    assert done.returncode == 0, done
    names, data, processes = json.loads(done.stdout)
    assert set(names) - {"LC_CTYPE"} == set(sources) | set(said["own_variables"]), "said and found"
    assert "rlimit" in limits["memory"]["held_by"] and data == limits["memory"]["value"] == 256 << 20
    if "rlimit" in limits["max-processes"]["held_by"]:
        assert processes == limits["max-processes"]["value"] == 64
