"""What a review of a log of a million records costs, by its index and without: review.py DIRECTORY [RECORDS].

The log is drawn: four agents, a few thousand hosts, four in ten records an allowed tunnel, as many its end nearly, the rest denials.
Prints the median of five runs of each command, turn by turn with the index and without, the file in the page cache; what the index
takes to make and in room; and the same for a log in which each of a million names stands once.
"""
import hashlib, json, os, pathlib, random, statistics, subprocess, sys, time

COMMANDS = (("blocked", "--json", "--limit", "20"), ("blocked", "--json"), ("stats", "--json"), ("suggest",))
HEAD = '{{"seq":{seq},"prev":"{prev}","class_uid":4001,"category_uid":4,"activity_id":{act},"type_uid":40010{act},"time":{time},"severity_id":1,'
OPEN = ('"action_id":1,"disposition_id":1,"src_endpoint":{{"ip":"127.0.0.1","port":{port}}},"dst_endpoint":{{"hostname":"{host}","ip":"11.2.3.{low}",'
        '"port":443}},"connection_info":{{"protocol_name":"tcp","uid":"{seq}"}},"unmapped":{{"event":"decision","agent":"{agent}","protocol":"https",'
        '"layer":"connect","reason":"rule","rule":"npm/npm-registry","verdict":"allow","generation":1,"listener":"127.0.0.1:3128"}}')
CLOSE = ('"duration":{port},"src_endpoint":{{"ip":"127.0.0.1","port":{port}}},"dst_endpoint":{{"hostname":"{host}","ip":"11.2.3.{low}","port":443}},'
         '"connection_info":{{"protocol_name":"tcp","uid":"{seq}"}},"traffic":{{"bytes_in":{bytes},"bytes_out":{port}}},"unmapped":{{"event":"close",'
         '"agent":"{agent}","protocol":"https","reason":"finished","rule":"npm/npm-registry","generation":1}}')
DENY = ('"action_id":2,"disposition_id":2,"src_endpoint":{{"ip":"127.0.0.1","port":{port}}},"dst_endpoint":{{"hostname":"{host}","port":443}},'
        '"connection_info":{{"protocol_name":"tcp","uid":"{seq}"}},"unmapped":{{"event":"decision","agent":"{agent}","protocol":"https",'
        '"layer":"connect","reason":"no-rule","verdict":"deny","generation":1,"listener":"127.0.0.1:3128"}}')


def write(path, records):
    draw = random.Random(7)
    agents = ("default", "ci", "review", "builder")
    hosts = [f"{word}{number}.{domain}" for domain in ("npmjs.org", "github.com", "example.com", "crates.example", "evil.test", "corp.example")
             for word in ("api", "cdn", "www", "reg") for number in range(80)]
    now, previous = 1_795_600_000_000, "0" * 64
    with open(path, "w") as file:
        for seq in range(1, records + 1):
            now += draw.randint(0, 60)
            act, body = draw.choices(((1, OPEN), (2, CLOSE), (5, DENY)), (40, 35, 25))[0]
            fields = {"seq": seq, "prev": previous, "act": act, "time": now, "host": draw.choice(hosts), "agent": draw.choice(agents),
                      "port": draw.randint(1024, 65535), "low": draw.randint(1, 254), "bytes": draw.randint(1, 10_000_000)}
            previous = hashlib.sha256(str(seq).encode()).hexdigest()
            file.write((HEAD + body + ',"hash":"{hash}"}}\n').format(hash=previous, **fields))


def run(path, *command):
    """In seconds, with the result and the largest resident set in MiB."""
    began = time.monotonic()
    done = subprocess.Popen([os.environ["EXITGATE"], "log", *command, "--audit-log", path], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)
    out = done.stdout.read()
    _, status, usage = os.wait4(done.pid, 0)
    assert status == 0, command
    return time.monotonic() - began, out, usage.ru_maxrss >> 10


def make(path):
    index = path.with_name(path.name + ".index")
    index.unlink(missing_ok=True)
    taken, out, memory = run(path, "blocked", "--json")
    print(f"  index: made in {taken:.2f} s, {index.stat().st_size / (1 << 20):.1f} MiB, {memory} MiB of memory")
    counted = sum(json.loads(line)["count"] for line in out.splitlines())
    # Line by line: a child's largest resident set begins with ours.
    with open(path, "rb") as file:
        return counted, sum(b'"verdict":"deny"' in line for line in file)


def shown(times):
    return f"{statistics.median(times):6.2f} s ({min(times):.2f} to {max(times):.2f})"


def main(directory, records=1_000_000):
    path = pathlib.Path(directory) / "review.jsonl"
    write(path, records)
    print(f"review: {records} records, {path.stat().st_size >> 20} MiB, {os.cpu_count()} cores")
    counted, denied = make(path)
    assert counted == denied, "not every denial was counted"
    for command in COMMANDS:
        with_index, without = [], []
        for _ in range(5):
            taken, out, _ = run(path, *command)
            with_index.append(taken)
            taken, truth, _ = run(path, *command, "--no-index")
            without.append(taken)
            assert out == truth, "the index says something else than the log"
        print(f"  log {' '.join(command):28} {shown(with_index)}  without index {shown(without)}")
    flood(path, records)
    for file in pathlib.Path(directory).glob("review.jsonl*"):
        file.unlink()


def flood(path, records):
    """A log of an agent that never asks for the same name twice."""
    body = HEAD + DENY + ',"hash":"{previous}"}}\n'
    with open(path, "w") as file:
        for seq in range(1, records + 1):
            fields = {"seq": seq, "prev": "0" * 64, "act": 5, "time": 1_795_600_000_000 + 30 * seq, "port": 50000, "agent": "default"}
            file.write(body.format(host=f"n{seq}.flood.test", previous="0" * 64, **fields))
    print(f"review of {records} distinct names, {path.stat().st_size >> 20} MiB")
    make(path)
    taken, _, memory = run(path, "blocked", "--json", "--limit", "20")
    print(f"  log blocked --json --limit 20     {taken:6.2f} s, {memory} MiB of memory")


main(sys.argv[1], *map(int, sys.argv[2:]))
