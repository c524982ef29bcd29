# Sourced by the scripts beside it: what they all need to say and to install.

say() { printf '%s\n' "$*" >&2; }
fail() { say "$1"; exit "${2:-1}"; }

# Where a program stands, or the file that proves a package is there: PACKAGE=PROOF.
readonly BUILD_PACKAGES=(
  libyaml-dev=/usr/include/yaml.h libpsl-dev=/usr/include/libpsl.h libidn2-dev=/usr/include/idn2.h
  libssl-dev=/usr/include/openssl/ssl.h libsqlite3-dev=/usr/include/sqlite3.h libnftnl-dev=/usr/include/libnftnl/table.h libmnl-dev=/usr/include/libmnl/libmnl.h
  pkg-config=pkg-config publicsuffix=/usr/share/publicsuffix/public_suffix_list.dafsa
)
readonly BENCH_PACKAGES=(
  iproute2=ip nftables=nft conntrack=conntrack procps=sysctl curl=curl git=git wget=wget openssl=openssl nginx-light=nginx unbound=unbound nodejs=node
  node-undici=/usr/share/nodejs/undici python3-venv=python3 bind9-dnsutils=delv knot-dnsutils=kdig ldnsutils=drill nsd=nsd
  dnsmasq-base=dnsmasq dnsperf=dnsperf iodine=iodined dns2tcp=dns2tcpd musl-tools=musl-gcc golang-go=go cargo=cargo
  chromium=chromium prometheus=promtool openssh-client=ssh openssh-server=sshd postgresql=/usr/lib/postgresql redis-server=redis-server redis-tools=redis-cli iputils-ping=ping
  rsyslog=rsyslogd rsyslog-openssl=/usr/share/doc/rsyslog-openssl rsyslog-gnutls=/usr/share/doc/rsyslog-gnutls
  podman=podman catatonit=catatonit runc=runc strace=strace systemd=systemd-analyze
  qemu-system-x86=qemu-system-x86_64 busybox-static=/usr/share/doc/busybox-static linux-image-cloud-amd64=/usr/share/doc/linux-image-cloud-amd64
)

# Installs those of the given packages whose proof is missing. Services that come with them are not started.
install_missing() {
  local missing=() pair proof
  for pair in "$@"; do
    proof=${pair#*=}
    if [[ $proof == /* ]]; then [[ -e $proof ]] || missing+=("${pair%%=*}")
    else PATH=$PATH:/usr/sbin:/sbin command -v "$proof" >/dev/null || missing+=("${pair%%=*}"); fi
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ $EUID -ne 0 ]]; then
    say "Missing: ${missing[*]}. Install them with: sudo apt-get install ${missing[*]}"
    return 1
  fi
  say "Installing ${missing[*]}"
  local policy=/usr/sbin/policy-rc.d made=no status=0
  if [[ ! -e $policy ]]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"; made=yes; fi
  { timeout 300 apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 900 apt-get install -qq -y \
      --no-install-recommends "${missing[@]}"; } >/dev/null || status=$?
  [[ $made == no ]] || rm -f "$policy"
  return "$status"
}
