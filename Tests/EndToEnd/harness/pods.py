"""podman with everything of its own below one directory: images, containers, control groups, and the network of a namespace.

What a host lacks is made up for here, never by a change of the manifest that is played:

* podman is started inside the namespace `agent` and told to use the "host's" network, so that the pod has that
  namespace and no other, and the resolver of /etc/resolv.conf is that of the bench.
* Where cgroup2 is not what stands at /sys/fs/cgroup, it is in podman's own mount namespace: containers then have a
  control group of their own and see it, as on any host of today.
* The OCI runtime is entered through `oci-runtime`, which puts each container's group below that of the test (podman
  without systemd forbids a pod's group every device) and takes limits away for which this host has no controller.
"""
import os, pathlib, resource, shutil, subprocess

from .gate import eventually
from .namespaces import RESOLVER, run

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "scripts" / "deploy"
NEEDED = ("podman", "catatonit", "conmon")

# Podman's own view of the file systems, as long as its standard input lasts.
VIEW = """set -eu
mount --make-rprivate /
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
  umount -R /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
mount --bind "$1/resolv.conf" /etc/resolv.conf
echo there
exec cat
"""

REMOVE = '[ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} +'

RUNTIME = """#!{python}
import json, os, sys
words = sys.argv[1:]
if "create" in words:
    path = os.path.join(words[words.index("--bundle") + 1], "config.json")
    with open(path) as file: config = json.load(file)
    config["linux"]["cgroupsPath"] = "/{group}/" + os.path.basename(config["linux"]["cgroupsPath"])
    with open("/sys/fs/cgroup/cgroup.controllers") as file: there = file.read().split()
    limits = config["linux"].get("resources", {{}})
    for name in ("memory", "cpu", "pids"):
        if name not in there: limits.pop(name, None)
    with open(path, "w") as file: json.dump(config, file)
os.execv("{runtime}", ["{runtime}", *words])
"""

CONF = """[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
pids_limit = 0
seccomp_profile = "{seccomp}"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "bench"
[engine.runtimes]
bench = ["{directory}/oci-runtime"]
"""


def lacking():
    """What is missing here for pods; nothing: None."""
    missing = [program for program in NEEDED if not (shutil.which(program) or pathlib.Path(f"/usr/libexec/podman/{program}").exists())]
    if not (shutil.which("runc") or shutil.which("crun")):
        missing.append("runc or crun")
    return ", ".join(missing) or None


class Podman:
    def __init__(self, bench, directory):
        self.bench, self.directory = bench, directory
        self.group = f"{bench.names['agent']}-pods"
        runtime = shutil.which("runc") or shutil.which("crun")
        (directory / "resolv.conf").write_text(f"nameserver {RESOLVER}\n")
        script = directory / "oci-runtime"
        script.write_text(RUNTIME.format(python=shutil.which("python3", path="/usr/bin:/usr/local/bin"), group=self.group, runtime=runtime))
        script.chmod(0o755)
        limit = lambda kind: min(4096, resource.getrlimit(kind)[1])
        (directory / "containers.conf").write_text(CONF.format(
            files=limit(resource.RLIMIT_NOFILE), processes=limit(resource.RLIMIT_NPROC), directory=directory,
            seccomp="/usr/share/containers/seccomp.json"))
        self.view = subprocess.Popen(["unshare", "--mount", "sh", "-c", VIEW, "view", directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.view.stdout.readline() == b"there\n"

    @property
    def words(self):
        own = self.directory
        return ["podman", "--root", own / "storage", "--runroot", own / "run", "--tmpdir", own / "tmp", "--storage-driver", "vfs"]

    def run(self, *command, status=0, timeout=120, **options):
        """podman itself."""
        return self.enter(*self.words, *command, status=status, timeout=timeout, **options)

    def enter(self, *command, status=0, timeout=120, **options):
        """A command where podman runs: its namespaces, no container."""
        outer = ["nsenter", f"--mount=/proc/{self.view.pid}/ns/mnt", f"--net=/run/netns/{self.bench.names['agent']}"]
        environment = os.environ | {"CONTAINERS_CONF": str(self.directory / "containers.conf"), "XDG_RUNTIME_DIR": str(self.directory)}
        environment |= options.pop("environment", {})
        done = subprocess.run(list(map(str, outer + list(command))), capture_output=True, text=True, timeout=timeout, env=environment, **options)
        assert status is None or done.returncode == status, f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def image(self, tag, *programs, files={}):
        """An image of programs of this host, made from local files alone."""
        context = self.directory / tag
        run(str(DEPLOY / "rootfs"), str(context / "rootfs"), *programs)
        for path, text in files.items():
            (context / "rootfs" / path).parent.mkdir(parents=True, exist_ok=True)
            (context / "rootfs" / path).write_text(text)
        (context / "Containerfile").write_text("FROM scratch\nCOPY rootfs /\n")
        self.run("build", "-q", "-t", f"localhost/{tag}", context)

    def within(self, container, *command, status=None, timeout=30):
        return self.run("exec", container, *command, status=status, timeout=timeout)

    def pid(self, container):
        return int(self.run("inspect", "--format", "{{.State.Pid}}", container).stdout)

    def close(self):
        for kind in (("pod", "rm"), ("rm",)):
            self.run(*kind, "--all", "--force", "--time", "0", status=None)
        for group in (self.group, "libpod_parent"):
            eventually(lambda: self.enter("sh", "-c", REMOVE, "remove", f"/sys/fs/cgroup/{group}", status=None).returncode == 0,
                       because="a control group of the pod is still in use")
        self.view.communicate()
        shutil.rmtree(self.directory, ignore_errors=True)
