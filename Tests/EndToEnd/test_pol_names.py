"""POL: names that look like allowed ones, and authorities that two parsers read in two ways."""
import pytest

from harness.client import Agent, connect, get, socks


def both(trial, host, **expected):
    """The host is no authority: neither a tunnel nor a plain request to it is one."""
    trial.malformed(connect(host + b":443"), **expected)
    trial.malformed(get(b"http://" + host + b"/"), **expected)


def test_POL_02_suffixes_end_at_a_label_boundary(trial):
    for host in ("evilwild.test", "evilallowed.test", "x.evilallowed.test", "xallowed.test"):
        trial.denied(connect(f"{host}:443"), reason="no-rule")
    trial.passes()


def test_POL_03_neither_prefix_nor_substring_matches(trial):
    for host in ("allowed.test.evil.test", "allowedxtest", "allowed-test.evil.test", "allowed.test.evil"):
        trial.denied(connect(f"{host}:443"), reason="no-rule")
    trial.malformed(connect("evil.test/allowed.test:443"))
    trial.passes()


def test_POL_04_one_trailing_dot_is_the_same_name_and_two_are_none(trial):
    trial.tunnels("allowed.test.:443", "allowed.test")
    trial.denied(connect("bad.wild.test.:443"), reason="deny-rule")
    for host in ("allowed.test..", ".allowed.test", ".", "..", "allowed..test"):
        trial.malformed(connect(f"{host}:443"))
    trial.passes()


def test_POL_05_letter_case_changes_no_verdict(trial):
    trial.tunnels("AlLoWeD.TeSt:443", "allowed.test")
    trial.denied(connect("BAD.wild.test:443"), reason="deny-rule")
    reply, received = trial.fetches("http://PLAIN.TEST/", host="Plain.Test")
    assert b"\r\nHost: plain.test\r\n" in received, "the origin sees the canonical name"


@pytest.mark.parametrize("authority", ["[allowed.test]:443", "[bad.wild.test]:443", "[[allowed.test]]:443", "[11.66.0.66]:443",
                                       "[::1", "[]:443", "[2a0e:b107:11::10]]:443", "2a0e:b107:11::10:443"])
def test_POL_06_brackets_hold_an_ipv6_address_and_nothing_else(trial, authority):
    trial.malformed(connect(authority))
    trial.passes()


def test_POL_07_nul_splits_matcher_and_resolver(trial):
    for host in (b"evil.test\0.wild.test", b"allowed.test\0.evil.test", b"allowed.test\0", b"\0allowed.test"):
        both(trial, host)
    written = trial.gate.log.mark()
    trial.malformed(get(b"http://evil.test\0.plain.test/"))
    for entry in trial.gate.log.entries(written):
        assert "\\u0000" in entry.line or entry.host_raw is None, "the byte is shown escaped, never raw"
    trial.passes()


def test_POL_07_nul_in_a_socks_name_is_refused(trial):
    seen = trial.far.mark()
    for name in (b"evil.test\0.wild.test", b"allowed.test\0", b"allowed.test\r\nX: y", b"allowed.test%00", b"allowed.test:443"):
        client, agent = trial.stranger()
        written = trial.gate.log.mark()
        reply = client.send(*socks(name, 443))
        trial.recorded(written, agent, layer="socks", reason="malformed-request", host=None)
        assert reply.raw[:2] == b"\x05\x00" and reply.raw[2:4] not in (b"", b"\x05\x00") and reply.ended == "closed", reply
    trial.nothing_reached_the_far_side(seen)
    assert trial.gate.is_alive
    granted = trial.agent.send(*socks(b"allowed.test", 443), timeout=0.3)
    assert granted.raw[2:4] == b"\x05\x00", granted
    trial.passes()


@pytest.mark.parametrize("authority", [
    b"allowed.test\r\nX-A: b:443", b"allowed.test\t:443", b"127.0.0.1 .allowed.test:443", b"allowed.test\x0b:443",
    b"allowed.test\x7f:443", b"allowed.test\x85:443", b"allowed.test\n:443", b"allowed.test\x1b[2J:443", b" allowed.test:443"])
def test_POL_08_control_bytes_and_spaces_in_the_authority(trial, authority):
    trial.malformed(connect(authority), status={400, 505})
    trial.passes()


@pytest.mark.parametrize("host", [b"plain%2etest", b"evil.test%00.plain.test", b"allowed%2etest", b"%61llowed.test", b"evil%2ewild.test"])
def test_POL_09_percent_encoding_is_never_decoded(trial, host):
    both(trial, host)
    trial.passes()


def test_POL_10_userinfo_is_refused_and_never_logged(trial):
    for authority in ("allowed.test@evil.test:443", "evil.test:443@allowed.test:443", "u:s3cr3t@allowed.test:443"):
        trial.malformed(connect(authority))
    for url in ("http://plain.test@evil.test/", "http://plain.test:80@evil.test:80/", "http://u:s3cr3t@plain.test/"):
        trial.malformed(get(url))
    assert "s3cr3t" not in trial.gate.log.path.read_text()
    trial.passes()


@pytest.mark.parametrize("target", [
    r"http://evil.test\@plain.test/", "http://evil.test#@plain.test/", "http://evil.test?.plain.test/", "http://plain.test;.evil.test/",
    "http:///plain.test/", "http:plain.test", "//plain.test/", "http:\\\\plain.test/", "http://plain.test#/", "http://", "http://:80/"])
def test_POL_11_delimiters_that_end_the_authority_early(trial, target):
    # `?` does end an authority (RFC 3986 §3.2): that one is a request to evil.test, and denied as such.
    trial.refused(get(target), status={400, 403})
    trial.passes()


@pytest.mark.parametrize("host", [b"127.1", b"0x7f000001", b"0x7f.1", b"2130706433", b"0177.0.0.1", b"017700000001", b"0", b"1", b"0xa9fea9fe",
                                  b"169.254.43518", b"0251.0376.0251.0376", b"1.2.3", b"256.1.1.1", b"1.1.1.1.1", b"a.0x7f", b"allowed.test.1", b"127.0.0.01"])
def test_POL_12_odd_ipv4_spellings_are_neither_names_nor_addresses(trial, host):
    both(trial, host)
    trial.passes()


@pytest.mark.parametrize("host", [
    "\uff11\uff12\uff17.0.0.1", "\u24dflain.test", "allowed\u3002test", "allo\u00adwed.test", "allowed\u200b.test", "\u212aiosk.test"])
def test_POL_13_letters_and_digits_outside_ascii(trial, host):
    both(trial, host.encode())
    trial.passes()


def test_POL_14_a_label_and_u_label_are_one_name_and_look_alikes_are_others(trial):
    trial.tunnels("xn--bcher-kva.test:443", "xn--bcher-kva.test")
    trial.tunnels("XN--BCHER-KVA.test:443", "xn--bcher-kva.test")
    trial.malformed(connect("bücher.test:443".encode()))
    trial.malformed(connect("xn--.test:443"))
    cyrillic = "xn--" + "\u0430llowed".encode("punycode").decode()
    trial.denied(connect(f"{cyrillic}.test:443"), reason="no-rule")
    trial.passes()


def test_POL_15_labels_have_a_shape(trial):
    longest = ".".join(["a" * 60] * 4)[:253 - len(".wild.test")] + ".wild.test"
    for host in ("a..allowed.test", "a" * 64 + ".wild.test", "a" + longest, "-a.wild.test", "a-.wild.test", "*.wild.test", "*"):
        trial.malformed(connect(f"{host}:443"))
    trial.far.answers("a_b.wild.test", "11.11.0.10")
    trial.tunnels("a_b.wild.test:443", "a_b.wild.test")
    trial.far.answers(longest, "11.11.0.10")
    trial.tunnels(f"{longest}:443", longest)


def test_POL_30_a_relay_inside_the_sandbox_changes_nothing(trial, bench, tmp_path):
    import socket, threading
    with bench.inside("agent"):
        relay = socket.create_server(("127.0.0.1", 9999))

    def forward():
        client, _ = relay.accept()
        with client, trial.agent.open() as onward:
            onward.sendall(client.recv(65536))
            client.sendall(onward.recv(65536))

    threading.Thread(target=forward, daemon=True).start()
    seen, written = trial.far.mark(), trial.gate.log.mark()
    reply = Agent(bench, "127.0.0.1", 9999).send(connect("relayed.evil.test:443"))
    relay.close()
    assert reply.status == 403 and reply.json["reason"] == "no-rule"
    trial.nothing_reached_the_far_side(seen)
    trial.gate.log.wait_for(written, verdict="deny", agent="a1", host="relayed.evil.test")
    for parent in ("10.66.0.1:3128", "10.66.0.1:3129"):
        trial.denied(connect(parent), reason="self-address")
    trial.passes()
