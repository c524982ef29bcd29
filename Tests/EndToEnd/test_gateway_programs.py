"""Debian's ssh and psql, which know no proxy, from behind the gateway to real servers: by name where a rule names them."""
import itertools, pathlib, shutil, tempfile

import pytest

from harness.gateway import Behind
from harness.namespaces import GOOD, run
from harness.services import NAMES, Services
from test_nft import container
from test_sidecar_programs import COUNTERS, Programs, missing

POLICY = """version: 1
agents: { ci: { by: interface }, dev: { by: interface } }
rules:
  - { id: shell,  agents: [ci], action: allow, to: [ssh.test], protocol: tcp, ports: [22] }
  - { id: base,   agents: [ci], action: allow, to: [db.test], protocol: tcp, ports: [5432] }
"""
AGENTS = {"root": (), "container": container()}

pytestmark = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="module", params=itertools.product(AGENTS, (True, False)),
                ids=lambda param: f"{param[0]}, {'forwarding' if param[1] else 'not forwarding'}")
def fence(binary, request):
    kind, forwards = request.param
    fence, services = Behind(POLICY, forwards=forwards, ports=(25, 8080)), None
    fence.prefix = AGENTS[kind]
    try:
        run(*fence.bench.command("out", "nft", "-f", "-"), input=COUNTERS)
        for name in NAMES:
            fence.far.answers(name, GOOD)
        services = Services(fence.bench, pathlib.Path(tempfile.mkdtemp(prefix="exitgate-services")))
        fence.services = services
        yield fence
        fence.log.verify()
    finally:
        if services:
            services.close()
            shutil.rmtree(services.dir, ignore_errors=True)
        fence.close()


@pytest.fixture
def programs(fence, tmp_path):
    before = fence.strays()
    yield Programs(fence, tmp_path)
    assert fence.strays() == before, "packets reached hosts that no rule names"


def test_ssh_runs_a_command_and_moves_bulk(programs):
    done = programs.ssh("root@ssh.test", "cat; head -c 3000000 /dev/zero")
    assert done.returncode == 0 and len(done.stdout) == 3_000_000, done.stderr
    programs.passed("shell", "ssh.test", 22)


def test_ssh_to_a_name_that_no_rule_knows(programs):
    done = programs.ssh(f"root@{programs.denied}", "true")
    assert done.returncode == 255 and "Could not resolve" in done.stderr, done
    programs.unknown(programs.denied)


@pytest.mark.parametrize("to, port, host", [(GOOD, 22, GOOD), ("ssh.test", 2222, "ssh.test"), ("db.test", 22, "db.test")],
                         ids=["by its address", "on another port", "by another name of the same server"])
def test_ssh_beside_its_rule(programs, to, port, host):
    assert programs.ssh("-p", str(port), f"root@{to}", "true").returncode == 255
    programs.refused(layer="transparent", host=host, port=port, reason="no-rule", agent="ci")


def test_psql_asks_and_copies(programs):
    done = programs.psql("db.test", "select 6 * 7; select repeat('x', 2000000)")
    assert done.returncode == 0 and done.stdout[:3] == "42\n" and len(done.stdout) == 2_000_004, done.stderr
    programs.passed("base", "db.test", 5432)


@pytest.mark.parametrize("host, port", [(GOOD, 5432), ("db.test", 5433)], ids=["by its address", "on another port"])
def test_psql_beside_its_rule(programs, host, port):
    done = programs.psql(host, "select 1", port)
    assert done.returncode == 2 and done.stdout == "", done
    programs.refused(layer="transparent", host=host, port=port, reason="no-rule", agent="ci")


def test_POL_31_what_one_agent_may_the_other_may_not(programs):
    """The other agent learns no address for the name, and the first one's does not help it."""
    synthetic = programs("dig", "+short", "db.test").stdout.split()[0]
    for host, words in (("db.test", "could not translate"), (synthetic, "server closed the connection")):
        done = programs.fence.other("psql", "-X", f"host={host} port=5432 user=postgres connect_timeout=5", "-Atc", "select 1")
        assert done.returncode == 2 and (words in done.stderr or "reset by peer" in done.stderr), done
    programs.refused(layer="transparent", host="db.test", port=5432, agent="dev")
    assert programs.psql("db.test", "select 7").stdout == "7\n", "the control"
