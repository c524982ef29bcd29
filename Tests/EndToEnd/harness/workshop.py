"""A project in which git, pip, npm, apt and a build fetch from servers on the far side, run by `exitgate run`."""
import os, shutil, subprocess

from .box import PYTHON, Box
from .namespaces import RESOLVER
from .servers import Servers

MAKEFILE = """all: out.txt
in.txt:
\t@curl -sSf -m 10 --cacert ca.pem -o $@ https://web.test/hello.txt
out.txt: in.txt
\t@tr a-z A-Z <in.txt >$@
clean:
\t@rm -f in.txt out.txt
"""
APT = ("-o", "Dir::Etc=$PWD/apt", "-o", "Dir::State=$PWD/apt/state", "-o", "Dir::State::status=$PWD/apt/status", "-o", "Dir::Cache=$PWD/apt/cache",
       "-o", "Acquire::Retries=0", "-o", "Acquire::Languages=none", "-o", "APT::Update::Error-Mode=any", "-o", "Dir::Etc::main=/dev/null",
       "-o", "Dir::Etc::parts=/dev/null", "-o", "APT::Sandbox::User=root")

# What each of them runs, and what it must leave behind.
PROGRAMS = {
    "git": ("git -c http.sslCAInfo=ca.pem clone -q https://git.test/git/project.git clone", "clone/README"),
    "pip": (f"{PYTHON} -m pip install -q --no-cache-dir --disable-pip-version-check --retries 0 --cert ca.pem --target got"
            " --index-url https://index.test/simple/ exitgate-sample", "got/exitgate_sample.py"),
    "npm": ("npm install --silent --no-audit --no-fund --no-update-notifier --cache .npm --fetch-retries 0 --cafile ca.pem"
            " --registry https://npm.test/npm/ exitgate-sample", "node_modules/exitgate-sample/index.js"),
    "make": ("make -s", "out.txt"),
    "apt": (f"apt-get -q {' '.join(APT)} update", "apt/state/lists/apt.test_debs_._Release"),
}


class Workshop(Box):
    def __init__(self, account, binary):
        super().__init__(account, binary, ports=())
        try:
            directory = self.work / "servers"
            directory.mkdir()
            self.servers = Servers(self.bench, directory)
            (self.project / "agent.sh").write_text("set -e\n" + "".join(f"{command}\n" for command, _ in PROGRAMS.values()))
            (self.project / "Makefile").write_text(MAKEFILE)
            shutil.copy(self.servers.ca, self.project / "ca.pem")
            self.empty = self.work / "empty.yaml"
            self.empty.write_text("version: 1\nrules: []\n")
            self.clean()
        except BaseException:
            self.close()
            raise

    def clean(self):
        """The project as it was before anything was fetched."""
        for name in ("clone", "got", "node_modules", ".npm", "apt"):
            shutil.rmtree(self.project / name, ignore_errors=True)
        for name in ("in.txt", "out.txt", "package.json", "package-lock.json"):
            (self.project / name).unlink(missing_ok=True)
        for folder in ("preferences.d", "sources.list.d", "trusted.gpg.d", "state/lists/partial", "cache/archives/partial"):
            (self.project / "apt" / folder).mkdir(parents=True)
        (self.project / "apt" / "status").write_text("")
        (self.project / "apt" / "sources.list").write_text("deb [trusted=yes] http://apt.test/debs ./\n")
        (self.project / "package.json").write_text('{"name": "own", "version": "1.0.0", "private": true}\n')
        for folder, folders, files in os.walk(self.project):
            for name in (".", *folders, *files):
                os.chown(os.path.join(folder, name), self.account.pw_uid, self.account.pw_gid)

    def shell(self, line, timeout=120):
        """A line that a person types in the project, with `exitgate` on the path and its settings in the environment."""
        bin = self.work / "bin"
        bin.mkdir(exist_ok=True)
        if not (bin / "exitgate").exists():
            (bin / "exitgate").symlink_to(self.binary)
        environment = self.environment({
            "EXITGATE_AUDIT_LOG": str(self.log.path), "EXITGATE_CONTROL": str(self.state / "control.sock"), "EXITGATE_DNS_UPSTREAM": RESOLVER})
        environment["PATH"] = f"{bin}:{environment['PATH']}"
        return subprocess.run(self.on_host("sh", "-c", line), capture_output=True, text=True, timeout=timeout, env=environment,
                              cwd=self.project, stdin=subprocess.DEVNULL)

    def close(self):
        if hasattr(self, "servers"):
            self.servers.close()
        super().close()
