"""Fixtures: one bench for the run, one gate a module, and what to do where namespaces cannot be had."""
import os, pathlib, pwd, shutil, sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.box import Box, ordinary_user
from harness.client import Agent
from harness.far import Far
from harness.gate import A2, BASE, BINARY, SHARED, Gate
from harness.gateway import POLICY as ROUTED
from harness.gateway import Behind
from harness.namespaces import Namespaces
from harness.naming import POLICY as NAMES
from harness.naming import Stage
from harness.sidecar import POLICY as FENCED
from harness.sidecar import Fenced
from harness.trial import Trial

HOSTS = "127.0.0.1 trap.wild.test\n10.0.0.5 hosts-only.wild.test\n11.11.0.10 named.wild.test\n"


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        why = pytest.mark.skip(reason="needs root: the bench is made of network namespaces")
        for item in items:
            if {"bench", "names", "own_stage", "fenced", "own_fence", "behind", "own_behind", "made", "box"} & set(item.fixturenames):
                item.add_marker(why)


@pytest.fixture(scope="session")
def binary():
    assert BINARY.exists(), f"{BINARY} does not exist: build it with `swift build`, or name another in EXITGATE_BINARY"
    return BINARY


@pytest.fixture(scope="session")
def bench(binary):
    namespaces = Namespaces(hosts=HOSTS)
    yield namespaces
    namespaces.remove()


@pytest.fixture(scope="session")
def everywhere(bench):
    far = Far(bench)
    yield far
    far.close()


@pytest.fixture
def far(everywhere):
    """The far side with the names of the bench, and nothing a test before set."""
    everywhere.script = None
    everywhere.reset_zone()
    return everywhere


@pytest.fixture(scope="module")
def gate(bench, tmp_path_factory, request):
    running = Gate(bench, tmp_path_factory.mktemp("gate"), getattr(request.module, "POLICY", BASE), doubles=240).start()
    yield running
    running.stop()


@pytest.fixture
def fresh(bench, tmp_path):
    """Makes gates of the test's own, each in namespaces of its own; they end with the test."""
    made = []

    def make(policy=BASE, *, start=True, name="a1", port=3128, **options):
        own = Namespaces(hosts=HOSTS, **{key: options.pop(key) for key in ("resolv_conf",) if key in options})
        made.append(own)
        far = Far(own)
        made.append(far)
        far.reset_zone()
        directory = tmp_path / f"gate{len(made)}"
        directory.mkdir()
        gate = Gate(own, directory, policy, **options)
        made.append(gate)
        if start:
            gate.start()
        return Trial(own, far, gate, Agent(own, port=port), name)

    yield make
    for one in reversed(made):
        (one.stop if isinstance(one, Gate) else one.close if isinstance(one, Far) else one.remove)()


@pytest.fixture
def trial(bench, far, gate):
    """Agent a1 before the module's gate."""
    return Trial(bench, far, gate)


@pytest.fixture
def other(bench, far, gate):
    """Agent a2, for whom there is no rule."""
    return Trial(bench, far, gate, Agent(bench, port=A2), "a2")


@pytest.fixture
def anyone(bench, far, gate):
    """A client of the listener that belongs to no agent."""
    return Trial(bench, far, gate, Agent(bench, port=SHARED), "default")


# -- the DNS listener

@pytest.fixture(scope="module")
def names(binary, tmp_path_factory, request):
    """One gate with a DNS listener for the module, under its POLICY and with its FLAGS."""
    module = request.module
    running = Stage(tmp_path_factory.mktemp("names"), getattr(module, "POLICY", NAMES), extra=getattr(module, "FLAGS", ()))
    yield running
    running.close()


@pytest.fixture
def stage(names):
    """The module's gate, and an upstream that has forgotten what tests before told it."""
    names.upstream.reset()
    return names


@pytest.fixture
def own_stage(binary, tmp_path):
    """Makes gates with a DNS listener of the test's own."""
    made = []

    def make(policy=NAMES, **options):
        directory = tmp_path / f"stage{len(made)}"
        directory.mkdir()
        made.append(Stage(directory, policy, **options))
        return made[-1]

    yield make
    for one in reversed(made):
        one.close()


# -- the sidecar

@pytest.fixture(scope="module")
def fence(binary, request):
    """One sidecar for the module, under its POLICY and with its FLAGS."""
    module = request.module
    running = Fenced(getattr(module, "POLICY", FENCED), extra=getattr(module, "FLAGS", ()))
    yield running
    running.close()


@pytest.fixture
def fenced(fence):
    """The module's sidecar; nothing that a test sends may reach anybody but whom rules name."""
    before = fence.seen("stray")
    yield fence
    assert fence.seen("stray") == before, "packets reached hosts that no rule names"


@pytest.fixture
def own_fence(binary):
    """Makes sidecars of the test's own."""
    made = []

    def make(policy=FENCED, **options):
        made.append(Fenced(policy, **options))
        return made[-1]

    yield make
    for one in reversed(made):
        one.close()


# -- run

@pytest.fixture(scope="session")
def runner(binary, tmp_path_factory):
    """The binary where every user may run it."""
    folder = pathlib.Path("/srv") / f"exitgate-binary-{os.getpid()}"
    folder.mkdir(mode=0o755)
    yield shutil.copy(binary, folder / "exitgate")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def ordinary():
    with ordinary_user() as account:
        yield account


@pytest.fixture(scope="session", params=["ordinary", "root"])
def boxes(runner, request):
    """A host on which commands are run, once by an ordinary user and once by root."""
    account = request.getfixturevalue("ordinary") if request.param == "ordinary" else pwd.getpwuid(0)
    made = Box(account, runner)
    yield made
    made.close()


@pytest.fixture
def box(boxes):
    """The host; nothing that a command sends may reach anybody but whom rules name."""
    before = boxes.seen()
    yield boxes
    boxes.end()
    assert boxes.seen() == before, "packets reached hosts that no rule names"


# -- the gateway

@pytest.fixture(scope="module", params=[True, False], ids=["forwarding", "not forwarding"])
def routed(binary, request):
    """One gateway for the module, on a host that routes by itself and on one that does not."""
    module = request.module
    running = Behind(getattr(module, "POLICY", ROUTED), forwards=request.param, extra=getattr(module, "FLAGS", ()))
    yield running
    running.close()


@pytest.fixture
def behind(routed):
    """The module's gateway; nothing that an agent sends may reach anybody but whom rules name, the other agent included."""
    before = routed.strays()
    yield routed
    assert routed.strays() == before, "packets reached hosts that no rule names"


@pytest.fixture
def own_behind(binary):
    """Makes gateways of the test's own."""
    made = []

    def make(policy=ROUTED, **options):
        made.append(Behind(policy, **options))
        return made[-1]

    yield make
    for one in reversed(made):
        one.close()
