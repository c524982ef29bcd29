"""What a policy says about the sandbox of `exitgate run`: `files` and `process`."""
import os, subprocess, time

from harness.box import POLICY, PYTHON
from harness.gate import exitgate


def policy(box, text, name="own.yaml"):
    path = box.work / name
    path.write_text(POLICY + text)
    return path


def test_files_of_the_policy_are_shown_and_hidden(box):
    data = box.work / "data"
    for folder in (data, data / "inner", box.project / "sub"):
        folder.mkdir(exist_ok=True)
        os.chown(folder, box.account.pw_uid, box.account.pw_gid)
    for path in (data / "a", data / "inner" / "b", box.project / "sub" / ".env", box.home / "tool.conf"):
        path.write_text(f"content of {path.name}\n")
        os.chown(path, box.account.pw_uid, box.account.pw_gid)
    own = policy(box, f"files:\n  read: [{data}, ~/tool.conf, /not/there]\n  write: [{data}/inner]\n  hide: [sub/.env]\n")
    done = box.run("sh", "-c", f"cat {data}/a ~/tool.conf; cat {data}/inner/b; cat sub/.env; echo x >{data}/a; echo new >{data}/inner/c", policy=own)
    assert done.stdout == "content of a\ncontent of tool.conf\ncontent of b\n", done
    assert (data / "a").read_text() == "content of a\n" and (data / "inner" / "c").read_text() == "new\n"
    assert (box.project / "sub" / ".env").read_text() == "content of .env\n"
    # Without the policy none of it is there, and what was hidden is.
    assert box.run("sh", "-c", f"cat {data}/a ~/tool.conf; cat sub/.env").stdout == "content of .env\n"


def test_process_of_the_policy_lets_variables_in(box):
    own = policy(box, "process: { env: [GH_TOKEN] }\n")
    env = {"GH_TOKEN": "t0ken", "OTHER": "0ther"}
    done = box.run("env", env=env, policy=own)
    assert "GH_TOKEN=t0ken\n" in done.stdout and "0ther" not in done.stdout
    assert [r for r in box.records(event="notice") if r["detail"] == "run: variables: GH_TOKEN"]
    assert "t0ken" not in box.log.path.read_text()


def test_time_that_is_over_ends_the_command(box):
    own = policy(box, "process: { time: 1s }\n")
    began = time.monotonic()
    done = box.run("sleep", "30", policy=own)
    assert done.returncode == 124 and "has used up its time" in done.stderr and time.monotonic() - began < 15
    done = box.run(PYTHON, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)", policy=own)
    assert done.returncode == 124 and time.monotonic() - began < 30
    assert box.run("true", policy=own).returncode == 0


def test_memory_and_processes_are_bounded(box):
    own = policy(box, "process: { memory: 256MiB, max-processes: 20 }\n")
    script = "import sys\ntry: b = bytearray(int(sys.argv[1]) << 20); print('had')\nexcept MemoryError: print('none')"
    flags = ("--allow-weaker", "limits") if box.account.pw_uid == 0 else ()
    assert [box.run(PYTHON, "-c", script, size, policy=own, flags=flags).stdout for size in ("100", "400")] == ["had\n", "none\n"]
    forks = "import os, time\nn = 0\ntry:\n    while n < 100:\n        if os.fork() == 0: time.sleep(5); os._exit(0)\n        n += 1\nexcept BlockingIOError: pass\nprint(n)"
    if box.account.pw_uid == 0:
        done = box.run("true", policy=own)
        assert done.returncode == 69 and "--allow-weaker limits" in done.stderr, done
        done = box.run("true", policy=own, flags=("--allow-weaker", "limits"))
        assert done.returncode == 0 and "WEAKER" in done.stderr
        assert [r for r in box.records(event="notice") if r["detail"] == "run: WEAKER without: limits"]
    else:
        assert int(box.run(PYTHON, "-c", forks, policy=own).stdout) < 20


def test_a_wrong_section_is_refused_with_its_place(box):
    own = policy(box, "files: { reads: [/a] }\nprocess: { memory: 2GB }\n")
    done = box.run("true", policy=own)
    assert done.returncode == 65 and "'reads' is not a key of 'files'. Write 'read'" in done.stderr, done
    assert "'memory' is" in done.stderr
    told = exitgate("check", own)
    assert told.returncode == 65 and "'reads' is not a key of 'files'" in told.stderr
    good = exitgate("check", policy(box, "files: { read: [/a] }\n", "good.yaml"))
    assert good.returncode == 0


def test_the_ready_profiles_start(box):
    for profile in ("generic", "claude-code", "codex", "gemini-cli", "aider"):
        printed = exitgate("allowlists", f"profile-{profile}")
        assert printed.returncode == 0 and "builtin:development" in printed.stdout, printed
        config = box.home / ".claude"
        config.mkdir(exist_ok=True)
        os.chown(config, box.account.pw_uid, box.account.pw_gid)
        command = box.on_host(box.binary, "run", "--profile", profile, "--audit-log", box.log.path, "--control", box.state / "control.sock",
                              "--dns-upstream", "11.11.0.53", "--", "sh", "-c", "echo in $ANTHROPIC_API_KEY $AWS_SECRET_ACCESS_KEY; touch ~/.claude/written")
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=box.project, stdin=subprocess.DEVNULL,
                              env=box.environment({"ANTHROPIC_API_KEY": "k3y", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}))
        wanted = "in k3y\n" if profile in ("claude-code", "aider") else "in\n"
        assert done.returncode in (0, 1) and done.stdout == wanted, (profile, done)
        assert (config / "written").exists() == (profile == "claude-code"), profile
        (config / "written").unlink(missing_ok=True)
