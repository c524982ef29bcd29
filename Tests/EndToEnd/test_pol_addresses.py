"""POL: addresses, as literals and as what a name resolves to. The floor judges both, whatever a rule says."""
import base64, hashlib, itertools, socket, threading

import pytest

from harness.client import connect, get
from harness.gate import SHARED
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6
from harness.trial import Trial

_fresh = itertools.count()


def resolving(trial, *addresses):
    """A name of its own under the allowed wildcard, so that nothing is cached."""
    name = f"n{next(_fresh)}.wild.test"
    trial.far.answers(name, *addresses)
    return name


def test_POL_16_an_address_needs_a_rule_of_its_own(trial):
    for literal in (EVIL, f"[{EVIL6}]", GOOD):
        trial.denied(connect(f"{literal}:443"), reason="no-rule")
    trial.denied(get(f"http://{EVIL}/", host=EVIL), reason="no-rule")
    with trial.bench.inside("agent"):
        direct = socket.socket()
    direct.settimeout(0.3)
    with direct, pytest.raises(OSError):
        direct.connect((EVIL, 80))
    trial.passes()


@pytest.mark.parametrize("authority", ["[::ffff:169.254.169.254]:80", "[::ffff:a9fe:a9fe]:443", "[0:0:0:0:0:ffff:7f00:1]:443", "[::FFFF:127.0.0.1]:443"])
def test_POL_17_ipv4_mapped_addresses_are_unwrapped(trial, authority):
    trial.denied(connect(authority), reason="special-address")
    literal = authority[1:authority.index("]")]
    trial.denied(connect(f"{resolving(trial, literal)}:443"), reason="special-address", resolves=True)
    trial.passes()


EMBEDDED = ["64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:5601:5601", "::ffff:0:a9fe:a9fe",
            "::a9fe:a9fe", "2a0e:b107:11::5efe:a9fe:a9fe", "2a0e:b107:11:0:0:5efe:7f00:1"]


@pytest.mark.parametrize("address", EMBEDDED)
def test_POL_18_ipv4_embedded_in_ipv6_is_judged_as_ipv4(trial, address):
    expected = "special-address"
    trial.denied(connect(f"[{address}]:443"), reason=expected)
    trial.denied(connect(f"{resolving(trial, address)}:443"), reason=expected, resolves=True)
    trial.tunnels(f"v6.wild.test:443", "v6.wild.test", address=GOOD6)


@pytest.mark.parametrize("authority", ["[fe80::1%25f0]:443", "[fe80::1%f0]:443", "[::1%25.allowed.test]:443", "[2a0e:b107:11::10%1]:443"])
def test_POL_19_zones_are_never_taken(trial, authority):
    trial.malformed(connect(authority))
    trial.passes()


def test_POL_20_the_unspecified_address_reaches_nobody(trial):
    for literal in ("0.0.0.0:3128", "[::]:3128", "[::ffff:0.0.0.0]:443", "0.0.0.0:443"):
        trial.denied(connect(literal), reason="special-address")
    for address in ("0.0.0.0", "::"):
        trial.denied(connect(f"{resolving(trial, address)}:443"), reason="special-address", resolves=True)
    trial.passes()


def test_POL_21_names_of_the_gates_own_hosts_file_are_judged_like_any_answer(trial):
    trial.denied(connect("trap.wild.test:443"), reason="special-address")
    trial.denied(connect("hosts-only.wild.test:443"), reason="private-address")
    for host in ("localhost", "x.localhost", "host.docker.internal", "metadata.google.internal", "ip6-localhost"):
        trial.denied(connect(f"{host}:443"), reason="no-rule")
    trial.tunnels("named.wild.test:443", "named.wild.test")


# First and last address of each range of the IANA special-purpose registries, and the metadata services'.
SPECIAL = ["0.0.0.0 0.255.255.255", "127.0.0.0 127.255.255.255", "169.254.0.0 169.254.255.255", "224.0.0.0 239.255.255.255",
           "255.255.255.255", "100.100.100.200", "168.63.129.16", "169.254.169.254", "::", "::1", "fe80:: febf:ffff::1",
           "ff00:: ffff::1", "fd00:ec2::254"]
PRIVATE = ["10.0.0.0 10.255.255.255", "100.64.0.0 100.127.255.255", "172.16.0.0 172.31.255.255", "192.0.0.0 192.0.0.255",
           "192.0.2.0 192.0.2.255", "192.88.99.0 192.88.99.255", "192.168.0.0 192.168.255.255", "198.18.0.0 198.19.255.255",
           "198.51.100.0 198.51.100.255", "203.0.113.0 203.0.113.255", "240.0.0.0 255.255.255.254", "100:: 100::ffff:ffff:ffff:ffff",
           "2001:100:: 2001:1ff::1", "2001:db8:: 2001:db8:ffff::1", "3fff:: 3fff:fff::1", "5f00:: 5f00:ffff::1",
           "fc00:: fdff::1", "fec0:: feff::1"]
NEIGHBOURS = ["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
              "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0",
              "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255",
              "203.0.114.0", "223.255.255.255", "2001:200::1", "2001:db9::1", "2003::1", "2a00::1"]


@pytest.mark.parametrize("reason, ranges", [("special-address", SPECIAL), ("private-address", PRIVATE)])
def test_POL_22_special_ranges_are_refused_to_their_last_address(trial, reason, ranges):
    for address in itertools.chain.from_iterable(row.split() for row in ranges):
        literal = f"[{address}]" if ":" in address else address
        trial.denied(connect(f"{literal}:443"), reason=reason)
        trial.denied(connect(f"{resolving(trial, address)}:443"), reason=reason, resolves=True)
    trial.passes()


def test_POL_22_the_addresses_beside_the_ranges_are_reached(trial):
    for address in NEIGHBOURS:
        name = resolving(trial, address)
        trial.tunnels(f"{name}:443", name, address=address)


def test_POL_23_the_gates_own_addresses_and_listeners(trial, bench):
    """With something that would answer on them, so that a refusal is the policy's and not the kernel's."""
    caught = []

    def trap(listener):
        try:
            while True:
                caught.append(listener.accept()[0].getsockname())
        except OSError:
            return

    traps = []
    with bench.inside("gw"):
        for address in ("10.66.0.1", "11.11.0.1", "127.0.0.1"):
            traps.append(socket.create_server((address, 443)))
    for listener in traps:
        threading.Thread(target=trap, args=(listener,), daemon=True).start()
    for address in ("10.66.0.1", "11.11.0.1", "fd66::1", "2a0e:b107:11::1"):
        literal = f"[{address}]" if ":" in address else address
        trial.denied(connect(f"{literal}:443"), reason="self-address")
        trial.denied(connect(f"{resolving(trial, address)}:443"), reason="self-address", resolves=True)
    for authority in ("10.66.0.1:3128", "10.66.0.1:3129", "11.11.0.53:53"):
        trial.denied(connect(authority), reason="self-address")
    trial.denied(connect("127.0.0.1:443"), reason="special-address")
    assert not caught, f"the gate connected to itself: {caught}"
    for listener in traps:
        listener.shutdown(socket.SHUT_RDWR), listener.close()
    trial.passes()


def test_POL_31_an_agent_is_known_by_its_listener_alone(trial, other, anyone):
    for forged in ("", "X-Forwarded-For: 10.66.0.2\r\n", "X-Agent: a1\r\n", "X-Smokescreen-Role: a1\r\n", "Forwarded: for=10.66.0.2\r\n"):
        name = resolving(trial, GOOD)  # a1 may
        other.denied(connect(f"{name}:443", fields=forged), reason="no-rule", host=name)
        trial.tunnels(f"{name}:443", name)
    with trial.bench.inside("agent"):  # the other agent's source address changes nothing either
        spoofed = socket.socket()
    spoofed.bind(("10.66.0.2", 0))
    spoofed.settimeout(3)
    spoofed.connect(("10.66.0.1", 3129))
    spoofed.sendall(connect("allowed.test:443"))
    assert spoofed.recv(4096).startswith(b"HTTP/1.1 403")
    spoofed.close()
    anyone.denied(connect("allowed.test:443"), reason="no-rule")
    trial.passes()


TOKENS = """version: 1
agents: {{ t1: {{ token_sha256: "{sha}" }}, t2: {{ token_sha256: "{other}" }} }}
rules:
  - {{ id: tunnel, agents: [t1], action: allow, to: [allowed.test, "*.wild.test"] }}
  - {{ id: plain, agents: [t1], action: allow, protocol: http, to: [plain.test] }}
"""


def test_POL_31_a_token_names_its_agent_and_a_wrong_one_nobody(fresh):
    digest = lambda token: hashlib.sha256(token).hexdigest()
    shown = lambda token: "Proxy-Authorization: Basic " + base64.b64encode(b"agent:" + token).decode() + "\r\n"
    trial = fresh(TOKENS.format(sha=digest(b"right"), other=digest(b"second")), name="t1", port=SHARED)
    for fields in ("", shown(b"wrong"), shown(b""), "Proxy-Authorization: Basic !!!\r\n", "Proxy-Authorization: Negotiate abc\r\n",
                   shown(b"right") + shown(b"wrong"), "X-Agent: t1\r\n"):
        reply = trial.refused(connect(f"n{next(_fresh)}.wild.test:443", fields=fields), status={400, 407}, agent="default")
        assert reply.status == 400 or reply.field("Proxy-Authenticate"), reply.head
    Trial(trial.bench, trial.far, trial.gate, trial.agent, "t2").denied(connect("allowed.test:443", fields=shown(b"second")), reason="no-rule")
    trial.tunnels("allowed.test:443", "allowed.test", request=connect("allowed.test:443", fields=shown(b"right")))
    assert "right" not in trial.gate.log.path.read_text()
