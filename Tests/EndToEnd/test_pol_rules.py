"""POL: what a rule covers, which rule wins, and policies that must not be read as an open door."""
import pytest

from harness.client import connect, get
from harness.gate import BASE, exitgate

NOTHING = "version: 1\nagents: { a1: { listen: 10.66.0.1:3128 } }\nrules: []\n"


@pytest.mark.parametrize("text", ["", "{}", "version: 1\n", "rules: []\n", "version: 1\nrules:\n", "version: 1\nrules: []\n", "# nothing\n"])
def test_POL_01_an_empty_policy_is_refused_or_denies(tmp_path, binary, text):
    policy = tmp_path / "policy.yaml"
    policy.write_text(text)
    done = exitgate("explain", "--policy", policy, "allowed.test:443")
    assert done.returncode in (1, 65), f"{text!r}: {done}"


def test_POL_01_a_gate_without_rules_is_closed_and_a_policy_that_vanishes_changes_nothing(fresh):
    trial = fresh(NOTHING)
    trial.denied(connect("allowed.test:443"), reason="no-rule")
    trial.denied(get("http://plain.test/"), reason="no-rule")
    assert trial.gate.reload(BASE).returncode == 0
    trial.passes()
    trial.gate.policy.unlink()
    assert trial.gate.tell("reload").returncode != 0
    trial.denied(connect("evil.test:443"), reason="no-rule")
    trial.passes()


def test_POL_24_a_rule_covers_its_ports_alone(trial):
    for port in (22, 25, 53, 80, 853, 3128, 8443, 1, 65535):
        trial.denied(connect(f"allowed.test:{port}"), reason="no-rule")
    for port in (8080, 443, 53):
        trial.denied(get(f"http://plain.test:{port}/", host=f"plain.test:{port}"), reason="no-rule")
    trial.denied(connect("raw.test:22"), reason="no-rule")
    trial.passes()


@pytest.mark.parametrize("port", ["65979", "65536", "0", "-1", "-0", "+443", "0443", "443x", "4.43e2", "0x1bb", "99999999999999999999", "", " 443",
                                  "443 ", "443:443", "\uff14\uff14\uff13", "443/", "443#"])
def test_POL_25_ports_are_plain_decimal_numbers(trial, port):
    trial.malformed(connect(f"allowed.test:{port}".encode()))
    if port:  # an empty port is that of the scheme (RFC 3986 §3.2.3)
        trial.malformed(get(f"http://plain.test:{port}/".encode()))
    trial.malformed(connect("allowed.test"))
    trial.passes()


def test_POL_26_a_rule_for_one_protocol_opens_no_other(trial):
    trial.denied(connect("plain.test:80"), reason="no-rule")
    for url in ("http://allowed.test/", "http://allowed.test:443/"):
        trial.denied(get(url, host=url[7:-1]), reason="no-rule")
    trial.malformed(get("https://allowed.test/", host="allowed.test"))
    trial.passes()


def test_POL_27_a_wildcard_covers_whole_labels_below_and_not_the_apex(trial):
    trial.denied(connect("wild.test:443"), reason="no-rule")
    trial.tunnels("a.wild.test:443", "a.wild.test")
    trial.tunnels("a.b.wild.test:443", "a.b.wild.test")
    trial.passes()


@pytest.mark.parametrize("pattern, ok", [
    ("*.wild.test", True), ("**.wild.test", True), ("*.test", False), ("*", False), ("**", False), ("w*ld.test", False), ("*wild.test", False),
    ("*.*.test", False), ("a.*.test", False), ("wild.*", False), ("***.wild.test", False), ("*.github.io", False), ("*.co.uk", False),
    ("*.s3.amazonaws.com", False), ("x.test.*", False), ("*.", False)])
def test_POL_27_patterns_that_would_cover_too_much_or_nothing_are_load_errors(tmp_path, binary, pattern, ok):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f'version: 1\nrules:\n  - {{ id: r, action: allow, to: ["{pattern}"] }}\n')
    done = exitgate("check", policy)
    assert done.returncode == (0 if ok else 65), done
    if not ok:
        assert f"{policy.name}:3:" in done.stdout + done.stderr, "the message names the line"


def test_POL_28_deny_comes_before_allow_in_either_order(fresh):
    rules = ['  - { id: all, agents: [a1], action: allow, to: ["**.wild.test", allowed.test] }\n',
             "  - { id: bad, agents: [a1], action: deny, to: [bad.wild.test] }\n",
             "  - { id: plain, agents: [a1], action: allow, protocol: http, to: [plain.test] }\n"]
    head = "version: 1\nagents: { a1: { listen: 10.66.0.1:3128 } }\nrules:\n"
    trial = fresh(head + "".join(rules))
    for order, number in ((rules, 1), (rules[::-1], 2)):
        assert trial.gate.reload(head + "".join(order)).returncode == 0
        trial.denied(connect("bad.wild.test:443"), reason="deny-rule")
        trial.far.answers(f"private{number}.wild.test", "10.0.0.5")
        trial.far.answers(f"metadata{number}.wild.test", "169.254.169.254")
        trial.denied(connect(f"private{number}.wild.test:443"), reason="private-address", resolves=True)
        trial.denied(connect(f"metadata{number}.wild.test:443"), reason="special-address", resolves=True)
        trial.tunnels("allowed.test:443", "allowed.test", rule="all")


RULE = "version: 1\nrules:\n  - {{ id: r, action: allow, {} }}\n"
BROKEN = {
    "misspelt action": "version: 1\nrules:\n  - { id: r, actoin: allow, to: [x.test] }\n",
    "misspelt top key": "version: 1\nrulez: []\n",
    "unknown key": RULE.format("to: [x.test], allow: yes"),
    "duplicate rules": "version: 1\nrules: []\nrules:\n  - { id: r, action: allow, to: [x.test] }\n",
    "duplicate id": "version: 1\nrules:\n  - { id: r, action: allow, to: [x.test] }\n  - { id: r, action: allow, to: [y.test] }\n",
    "duplicate key in a rule": RULE.format("to: [x.test], to: [y.test]"),
    "port with a space": RULE.format('to: [x.test], ports: ["443 "]'),
    "port too large": RULE.format("to: [x.test], ports: [65979]"),
    "port 0": RULE.format("to: [x.test], ports: [0]"),
    "range upside down": RULE.format('to: [x.test], ports: ["90-80"]'),
    "newline in a host": RULE.format('to: ["x.test\\n add rule inet egress o accept"]'),
    "statement in a host": RULE.format('to: ["x.test; flush ruleset"]'),
    "NUL in a host": RULE.format('to: ["evil.test\\0.x.test"]'),
    "no version": "rules: []\n",
    "version 2": "version: 2\nrules: []\n",
    "version as text": 'version: "1x"\nrules: []\n',
    "list for a mapping": "- version: 1\n",
    "two documents": "version: 1\nrules: []\n---\nversion: 1\nrules: []\n",
    "alias": "version: 1\nrules: &r []\nagents: *r\n",
    "tag": "version: !!python/object:os.system 1\nrules: []\n",
    "too many udp ports of a name": RULE.format("to: [a.test], protocol: udp, ports: [\"1-1000\"]"),
    "paths inside https": RULE.format('to: [x.test], http: [{ path: "/x" }]'),
    "tcp without ports": RULE.format("to: [x.test], protocol: tcp"),
    "unknown protocol": RULE.format("to: [x.test], protocol: quic, ports: [443]"),
    "unknown agent": RULE.format("to: [x.test], agents: [nobody]"),
    "odd address": RULE.format("to: [0x7f000001]"),
    "prefix with host bits": RULE.format("to: [10.0.0.1/8], allow-private: true"),
    "allow-loopback on a wildcard": RULE.format('to: ["*.x.test"], allow-loopback: true'),
    "unterminated": "version: 1\nrules: [\n",
    "tab indent": "version: 1\nrules:\n\t- { id: r }\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_POL_29_a_policy_with_a_flaw_is_refused_whole(tmp_path, binary, name):
    policy = tmp_path / "policy.yaml"
    policy.write_text(BROKEN[name])
    done = exitgate("check", policy)
    assert done.returncode == 65, done
    assert f"{policy.name}:" in done.stdout + done.stderr


@pytest.mark.parametrize("name, data", [("not UTF-8", b"version: 1\nrules: []\n# \xff\xfe\n"), ("a NUL", b"version: 1\0\nrules: []\n"),
                                        ("UTF-16", "version: 1\nrules: []\n".encode("utf-16")), ("deep", b"version: 1\nrules: " + b"[" * 10000)])
def test_POL_29_bytes_that_are_no_text_are_refused(tmp_path, binary, name, data):
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(data)
    assert exitgate("check", policy).returncode == 65


def test_POL_29_a_file_that_everybody_may_write_is_refused(tmp_path, binary):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nrules:\n  - { id: r, action: allow, to: [x.test] }\n")
    assert exitgate("check", policy).returncode == 0
    policy.chmod(0o666)
    assert exitgate("check", policy).returncode == 65


def test_POL_29_a_huge_file_is_refused_at_once(tmp_path, binary):
    policy = tmp_path / "policy.yaml"
    with policy.open("wb") as file:
        file.write(b"version: 1\nrules: []\n# ")
        file.truncate(100 << 20)
    assert exitgate("check", policy, timeout=5).returncode == 65


def test_POL_29_a_bad_reload_leaves_the_good_policy_in_force_and_says_so(fresh):
    trial = fresh()
    written = trial.gate.log.mark()
    done = trial.gate.reload(BASE.replace("action: deny", "action: dney"))
    assert done.returncode != 0 and "policy.yaml:" in done.stdout + done.stderr, done
    record, = trial.gate.log.wait_for(written, event="policy")
    assert record.fields["unmapped"]["outcome"] == "refused" and record.fields["unmapped"]["error"]
    assert "policy.yaml:" in trial.gate.tell("status").stdout, "status tells of it"
    trial.denied(connect("bad.wild.test:443"), reason="deny-rule")
    trial.passes()
