"""The policy, the orders of people and the kernel's table change all at once: in the end they agree."""
import json, os, random, re, subprocess, threading, time

from harness.gate import BINARY, QUIET, eventually
from harness.namespaces import GOOD
from harness.packets import UDP
from harness.sidecar import POLICY

NUMBERS = range(1, 9)


def policy(chosen):
    return (POLICY + "".join(f"  - {{ id: n{number}, action: allow, to: [11.12.{number}.0/24], protocol: udp, ports: [123] }}\n" for number in chosen)
            + "  - { id: ask, action: ask, to: [ask.test], protocol: http }\n")


def table(fence):
    """What the kernel's table holds, a line for each object."""
    listed = subprocess.run(fence.bench.command("agent", "nft", "-j", "list", "ruleset"), capture_output=True, text=True, check=True).stdout
    objects = [one for one in json.loads(listed)["nftables"] if "metainfo" not in one]
    kept = [{key: value for key, value in body.items() if key not in ("handle", "table")}
            for one in objects for kind, body in one.items() if kind in ("rule", "set", "map", "chain")]
    return sorted(json.dumps(one, sort_keys=True) for one in kept)


def shape(lines, marks):
    """The same without the numbers of rules, what was learned and counted, and the packets that prove the table."""
    numbers = {str(mark) for mark in marks}
    own = [re.sub(r"fd[0-9a-f]{2}:[0-9a-f:]*", "block of names", line) for line in lines]
    text = [re.sub(r"\b\d{4,}\b", lambda found: "mark" if found[0] in numbers else found[0], line) for line in own]
    return sorted(re.sub(r'"(packets|bytes|expires)": \d+', "", line) for line in text if "learned" not in line and "canary" not in line)


def marks(lines):
    live = next(json.loads(line) for line in lines if json.loads(line).get("name") == "live")
    return {int(number) for number in live.get("elem", []) if isinstance(number, int) and number > 1}


def test_a_storm_of_changes_leaves_the_table_as_a_fresh_start_makes_it(own_fence):
    fence = own_fence(policy(NUMBERS))
    fence.far.answers("ask.test", GOOD)
    over, faults, done = threading.Event(), [], {"reload": 0, "stop": 0, "answer": 0}
    follower = subprocess.Popen([BINARY, "pending", "--follow", "--json", "--control", fence.control], env=QUIET, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def doing(kind, seed, work):
        def run():
            chance = random.Random(seed)
            while not over.is_set():
                try:
                    work(chance)
                    done[kind] += 1
                except Exception as error:
                    faults.append((kind, repr(error)))
        return threading.Thread(target=run, daemon=True)

    def reload(chance):
        # Whole at once: a reload of the other thread may read it at any time.
        part = fence.directory / f"part{threading.get_ident()}.yaml"
        part.write_text(policy(number for number in NUMBERS if chance.random() < 0.5))
        os.replace(part, fence.policy)
        done = fence.tell("reload")
        assert done.returncode == 0, done

    def stop(chance):
        assert fence.tell(chance.choice(["stop-all", "resume"])).returncode == 0

    def answer(chance):
        asker = subprocess.Popen(fence.bench.command("agent", "curl", "-sS", "-m", "2", "-o", "/dev/null", "http://ask.test/"), stderr=subprocess.DEVNULL)
        for _ in range(20):
            for question in json.loads(fence.tell("pending", "--json").stdout or "[]"):
                fence.tell("approve", question["id"], "--for", "1s")
                if chance.random() < 0.3:
                    fence.tell("revoke", question["id"])
            if asker.poll() is not None:
                return
        asker.kill(), asker.wait()

    threads = [doing("reload", 1, reload), doing("reload", 2, reload), doing("stop", 3, stop), doing("stop", 4, stop), doing("answer", 5, answer)]
    for thread in threads:
        thread.start()
    time.sleep(8)
    over.set()
    for thread in threads:
        thread.join(60)
    follower.kill(), follower.wait()
    assert not faults and min(done.values()) >= 2, (faults[:3], done)
    assert fence.tell("resume").returncode == 0
    last = fence.policy.read_text()
    after = table(fence)
    generations = [entry.fields["unmapped"]["generation"] for entry in fence.log.entries() if entry.event == "policy" and "generation" in entry.fields["unmapped"]]
    assert generations == sorted(set(generations)) and len(generations) > done["reload"] / 2, "each has its own, in order"
    wanted = len(re.findall("action: allow.*protocol: udp", last))
    assert len(marks(after)) == wanted, "one number for each rule"
    assert fence.python(UDP, GOOD, "123").split() == ["sent"]
    # What a fresh start makes of the same policy is the same, but for the numbers.
    fence.stop()
    subprocess.run(fence.enter(BINARY, "firewall", "remove"), env=QUIET, capture_output=True)
    fence.start()
    fresh = table(fence)
    assert shape(after, marks(after)) == shape(fresh, marks(fresh))
