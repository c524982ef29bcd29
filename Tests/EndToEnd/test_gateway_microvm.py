"""A microVM behind the gateway: it boots with a tap, knows nothing of a proxy, reaches what rules name and nothing else."""
import time

import pytest

from harness.far import Accepted, Asked
from harness.gate import eventually
from harness.gateway import POLICY, address
from harness.microvm import MicroVM, lacking
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6, RESOLVER, run
from harness.sidecar import seen

MACHINES = POLICY.replace("agents: {", "agents: { vm: { by: interface },")

pytestmark = pytest.mark.skipif(bool(lacking()), reason=f"not installed: {', '.join(lacking())}")


def send(to, port):
    """A datagram, by a program that every busybox has."""
    return f"timeout 1 tftp -g -l /dev/null -r MARK {to} {port}"


REACHED = {
    "wget -q -O - http://web.test/": "origin ",
    f"nslookup web.test {EVIL}": "198.1",
    "echo opaque | nc -w 3 raw.test 5432": "FLIGHT ",
}
DENIED = ["wget -q -O - http://evil.test/", f"wget -q -O - http://{EVIL}/", f"wget -q -O - http://[{EVIL6}]/", f"echo x | nc -w 3 {EVIL} 22",
          f"echo x | nc -w 3 {GOOD} 5432", f"ping -c 1 -W 1 {EVIL}", f"ping -c 1 -W 1 {GOOD}", f"ping6 -c 1 -W 1 {EVIL6}", "ping -c 1 -W 1 10.70.0.1",
          "ping -c 1 -W 1 10.66.0.2", "wget -q -O - http://10.70.0.1:3128/", "wget -q -O - http://169.254.169.254/latest/meta-data/"]
DATAGRAMS = [send(EVIL, 443), send(EVIL6, 443), send(GOOD, 124), send("10.66.0.2", 9), send("10.70.0.1", 7777)]


def test_a_microvm_with_a_tap_reaches_what_rules_name_and_nothing_else(own_behind):
    fence = own_behind(MACHINES, links=("f0=ci", "f2=dev", "tap0=vm"), start=False)
    gw = fence.bench.names["gw"]
    run("ip", "-n", gw, "tuntap", "add", "tap0", "mode", "tap")
    address(fence.bench, "tap0", 70)
    fence.start()
    mark, good, began = fence.far.mark(), fence.seen("good"), time.monotonic()
    vm = MicroVM(fence.bench, "gw", "tap0", address="10.70.0.2", router="10.70.0.1", address6="fd70::2", router6="fd70::1", resolver=RESOLVER,
                 commands=[*DENIED, *DATAGRAMS, *REACHED, send(GOOD, 123)])
    assert time.monotonic() - began < 120
    for command in DENIED:
        status, said = vm.results[command]
        assert status != 0 or not said, (command, said)
    assert "403" in vm.results[f"wget -q -O - http://{EVIL}/"][1], "it is told no, and at once"
    for command, words in REACHED.items():
        status, said = vm.results[command]
        assert words in said, (command, status, said)
    eventually(lambda: fence.seen("ntp") >= 1, because="the one datagram that a rule grants")
    assert fence.strays() == (0, 0) and seen(fence.bench, "unasked", role="other") == 0
    opened = {(event.address, event.port) for event in fence.far.since(mark, Accepted)}
    assert opened <= {(GOOD, 80), (GOOD6, 80), (GOOD, 5432), (GOOD6, 5432)} and len(opened) == 2, opened
    assert not [asked for asked in fence.far.since(mark, Asked) if "evil" in asked.name or asked.server != RESOLVER]
    assert {record["rule"] for record in fence.records(agent="vm", verdict="allow", layer="transparent")} == {"web", "raw"}
    assert fence.records(agent="vm", verdict="deny", layer="kernel") and fence.records(agent="vm", verdict="deny", layer="transparent")
