"""Programs that ask for names, run in the sandbox with a resolv.conf of the test's own, and servers that answer them."""
import os, shutil, subprocess

from .gate import ROOT, eventually

PATHS = os.environ["PATH"] + ":/usr/sbin:/sbin:/usr/local/go/bin"
KUBERNETES = "search default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\nnameserver 10.66.0.1\n"
PLAIN = "nameserver 10.66.0.1\n"
BINARIES = ROOT / ".build-tools"  # clients compiled for the tests, kept between runs

MUSL = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int count, char **words) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = count > 2 ? AF_INET : AF_UNSPEC}, *found = 0;
  int error = getaddrinfo(words[1], "443", &hints, &found);
  if (error) return printf("%s\n", gai_strerror(error)), 1;
  for (; found; found = found->ai_next) {
    char text[64];
    const void *address = found->ai_family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr
                                                       : (void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr;
    puts(inet_ntop(found->ai_family, address, text, sizeof text));
  }
  return 0;
}
"""

GO = """package main

import (
	"context"
	"fmt"
	"net"
	"os"
)

func main() {
	found, err := (&net.Resolver{PreferGo: true}).LookupHost(context.Background(), os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, address := range found {
		fmt.Println(address)
	}
}
"""

CARES = """
import sys, threading, pycares
done, told = threading.Event(), []
channel = pycares.Channel()
def answered(result, error):
    told.append((result, error)), done.set()
channel.getaddrinfo(sys.argv[1], 443, family=0, callback=answered)
done.wait(20)
result, error = told[0]
if error is not None:
    print(pycares.errno.strerror(error)), sys.exit(1)
for node in result.nodes:
    address = node.addr[0]
    print(address.decode() if isinstance(address, bytes) else address)
"""

DNSPYTHON = """
import sys, dns.resolver
try:
    for kind in sys.argv[2:] or ["A"]:
        for record in dns.resolver.Resolver().resolve(sys.argv[1], kind, lifetime=10):
            print(record)
except dns.exception.DNSException as error:
    print(type(error).__name__), sys.exit(1)
"""


def found(program):
    return shutil.which(program, path=PATHS)


def run_in(bench, role, *command, resolv_conf=PLAIN, timeout=30, cwd=None, text=None):
    """Runs a program in a namespace; /etc/resolv.conf and /etc/nsswitch.conf are the test's there."""
    etc = bench.files(role)
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "resolv.conf").write_text(resolv_conf)
    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")
    environment = {"PATH": PATHS, "HOME": "/root", "LANG": "C.UTF-8"}
    return subprocess.run(bench.command(role, *command), capture_output=True, text=True, timeout=timeout, env=environment, cwd=cwd, input=text)


def compiled(name, source, *command, **variables):
    """A small client built once; `command` gets the source file and the output as its last words."""
    BINARIES.mkdir(exist_ok=True)
    output, folder = BINARIES / name, BINARIES / f"{name}-source"
    folder.mkdir(exist_ok=True)
    file = folder / ("main.go" if "go" in command[0] else "main.c")
    if not output.exists() or not file.exists() or file.read_text() != source:
        file.write_text(source)
        environment = os.environ | {"PATH": PATHS} | variables
        done = subprocess.run([*command, str(output), str(file)], capture_output=True, text=True, timeout=240, env=environment, cwd=folder)
        assert done.returncode == 0, done.stderr
    return output


def musl_client():
    return compiled("musl-lookup", MUSL, "musl-gcc", "-O1", "-static", "-o")


def go_client():
    return compiled("go-lookup", GO, "go", "build", "-o", CGO_ENABLED="0", GO111MODULE="off", GOCACHE=str(BINARIES / "go-cache"), GOFLAGS="")


UNBOUND = """
server:
  interface: {address}@{port}
  port: {port}
  access-control: 0.0.0.0/0 allow
  directory: "{dir}"
  chroot: ""
  username: ""
  pidfile: "{dir}/unbound.pid"
  use-syslog: no
  logfile: "{dir}/unbound.log"
  module-config: "iterator"
  do-not-query-localhost: no
  local-zone: "cluster.local." transparent
  {more}
remote-control:
  control-enable: no
{forward}
"""

NSD = """
server:
  ip-address: {address}@53
  zonesdir: "{dir}"
  database: ""
  pidfile: "{dir}/nsd.pid"
  logfile: "{dir}/nsd.log"
  xfrdfile: "{dir}/xfrd.state"
  xfrdir: "{dir}"
  zonelistfile: "{dir}/zone.list"
  username: root
  chroot: ""
  server-count: 1
  minimal-responses: no
remote-control:
  control-enable: no
zone:
  name: "test."
  zonefile: "zone"
"""


class Daemon:
    """A name server in a namespace, ended by its own process id."""

    def __init__(self, bench, role, *command):
        self.process = subprocess.Popen(bench.command(role, *map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)

    def ready(self, check, seconds=8):
        try:
            eventually(lambda: self.process.poll() is not None or check(), seconds)
            assert self.process.poll() is None
        except AssertionError:
            self.stop()
            raise AssertionError(f"{self.process.args} does not start: {self.process.stderr.read().decode()[-500:]}") from None
        return self

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


def unbound(bench, role, directory, address, port=53, forward=None, more=""):
    directory.mkdir(parents=True, exist_ok=True)
    zone = f'forward-zone:\n  name: "."\n  forward-addr: {forward}' if forward else ""
    (directory / "unbound.conf").write_text(UNBOUND.format(dir=directory, address=address, port=port, forward=zone, more=more))
    return Daemon(bench, role, found("unbound"), "-d", "-c", directory / "unbound.conf").ready(lambda: (directory / "unbound.pid").exists())


def nsd(bench, role, directory, address, zone):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "zone").write_text(zone)
    (directory / "nsd.conf").write_text(NSD.format(dir=directory, address=address))
    return Daemon(bench, role, found("nsd"), "-d", "-c", directory / "nsd.conf").ready(lambda: (directory / "nsd.pid").exists())


def dnsmasq(bench, role, directory, address, *records):
    directory.mkdir(parents=True, exist_ok=True)
    return Daemon(bench, role, found("dnsmasq"), "-k", "-C", "/dev/null", "-R", "-h", "-z", "-u", "root", f"--pid-file={directory}/dnsmasq.pid",
                  f"--listen-address={address}", *records).ready(lambda: (directory / "dnsmasq.pid").exists())
