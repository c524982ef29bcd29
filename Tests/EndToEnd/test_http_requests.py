"""HTTP: request heads and bodies that two parsers would read in two ways, and targets a proxy does not take."""
import pytest

from harness.client import connect, drain, get, read_head
from harness.far import Received

POST = b"POST http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n"
SMUGGLED = b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n"
REFUSED = {400, 501}


def test_HTTP_01_target_and_host_that_disagree(trial):
    for host in ("evil.test", "plain.test:8080", "10.66.0.1:3128", "plain.test.evil.test", "xplain.test"):
        trial.malformed(get("http://plain.test/", host=host), reason="host-mismatch")
    trial.refused(get("http://evil.test/", host="plain.test"), status={400, 403})
    _, received = trial.fetches("http://plain.test/path?q=1")
    assert received.startswith(b"GET /path?q=1 HTTP/1.1\r\n") and b"\r\nHost: plain.test\r\n" in received
    trial.fetches("http://plain.test:80/", host="plain.test:80")


def test_HTTP_02_the_connect_target_alone_counts(trial):
    for target, host in (("evil.test:443", "allowed.test:443"), ("allowed.test:443", "evil.test:443"), ("allowed.test:443", "allowed.test:80")):
        trial.malformed(connect(target, host), reason="host-mismatch")
    # What real clients send instead: nothing, the name alone, or the proxy's own address.
    for request in (connect("allowed.test:443", False, version="1.0"), connect("allowed.test:443", False), connect("allowed.test:443", "allowed.test"),
                    connect("allowed.test:443", "10.66.0.1:3128"), connect("allowed.test:443", "ALLOWED.test:443")):
        trial.tunnels("allowed.test:443", "allowed.test", request=request)


def test_HTTP_03_each_request_of_a_kept_connection_is_decided_anew(trial):
    seen, written = trial.far.mark(), trial.gate.log.mark()
    reply = trial.agent.send(get("http://plain.test/1"), get("http://evil.test/2", host="evil.test"), get("http://plain.test/3"), gap=0.2)
    assert reply.raw.count(b"HTTP/1.1 200") == 1 and reply.raw.count(b"HTTP/1.1 403") == 1 and reply.ended == "closed", reply
    received = trial.far.since(seen, Received)
    assert len(received) == 1 and received[0].data.startswith(b"GET /1 ")
    trial.gate.log.wait_for(written, verdict="deny", host="evil.test", reason="no-rule")
    trial.passes()


@pytest.mark.parametrize("first", [get("http://plain.test/1"), get("http://plain.test/1", fields="Content-Length: 0\r\n"),
                                   get("http://plain.test/1", fields="Connection: close\r\n")])
def test_HTTP_04_what_was_read_behind_a_request_is_no_body_of_it(trial, first):
    seen = trial.far.mark()
    reply = trial.agent.send(first + SMUGGLED + get("http://plain.test/3"))
    assert reply.raw.count(b"HTTP/1.1 200") == 1 and reply.ended == "closed", reply
    received = trial.far.since(seen, Received)
    assert len(received) == 1 and received[0].data.count(b"HTTP/1.1") == 1 and b"evil" not in received[0].data
    trial.passes()


@pytest.mark.parametrize("fields", ["Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
                                    "Content-Length: 4\r\ntrAnsfer-encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"])
def test_HTTP_05_a_length_together_with_chunked(trial, fields):
    trial.malformed(POST + fields.encode() + b"\r\n0\r\n\r\n" + SMUGGLED)
    trial.passes()


@pytest.mark.parametrize("lengths", [
    ["0", "44"], ["44", "0"], ["5", "5"], ["+5"], ["-1"], ["0x5"], ["5 5"], ["5,5"], ["5, 5"], [""], ["18446744073709551616"],
    ["99999999999999999999999"], ["1e1"], ["5;"], ["\t5\x0b"], ["\xb2"]])
def test_HTTP_06_content_length_is_one_decimal_number(trial, lengths):
    fields = "".join(f"Content-Length: {length}\r\n" for length in lengths)
    trial.malformed(POST + fields.encode("latin-1") + b"\r\n" + SMUGGLED, status=REFUSED)
    trial.passes()


@pytest.mark.parametrize("codings", [
    ["chunkedx"], ["xchunked"], ["chunked, identity"], ["identity"], ["gzip, chunked"], ["\x0bchunked"], ["chunked", "chunked"], ["chunked, chunked"],
    ["chunked;q=1"], ['"chunked"'], ["chunked,"], [""], ["\xa0chunked"], ["chun ked"]])
def test_HTTP_07_transfer_encoding_is_chunked_and_nothing_else(trial, codings):
    fields = "".join(f"Transfer-Encoding: {coding}\r\n" for coding in codings).encode("latin-1")
    trial.malformed(POST + fields + b"\r\n0\r\n\r\n" + SMUGGLED, status=REFUSED)
    trial.malformed(POST.replace(b"/1.1", b"/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status=REFUSED)
    trial.passes()


@pytest.mark.parametrize("chunks", [
    b"5\nhello\r\n0\r\n\r\n", b"5;a=b\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"FFFFFFFFFFFFFFFF5\r\nhello",
    b"5\r\nhelloX\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"\r\n5\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n",
    b"5\rhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\n\n"])
def test_HTTP_08_chunks_that_are_none_never_make_a_whole_request(trial, chunks):
    seen = trial.far.mark()
    reply = trial.agent.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks, timeout=4)
    assert reply.ended == "closed" and reply.status in (400, 502, None), reply
    received = b"".join(event.data for event in trial.far.since(seen, Received))
    assert not received.endswith(b"0\r\n\r\n"), "the origin saw a complete request"
    trial.passes()


def test_HTTP_08_chunks_are_reframed_and_extensions_and_trailers_dropped(trial):
    seen = trial.far.mark()
    body = b"5;ext=evil\r\nhello\r\n6;x\r\n world\r\n0\r\nContent-Length: 9\r\nHost: evil.test\r\nX-Trailer: t\r\n\r\n"
    reply = trial.agent.send(POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert reply.status == 200, reply
    received = b"".join(event.data for event in trial.far.since(seen, Received))
    assert b"ext=evil" not in received and b"evil.test" not in received and b"X-Trailer" not in received
    assert received.count(b"Host:") == 1
    content = received.partition(b"\r\n\r\n")[2]
    assert content.replace(b"\r\n", b"").endswith(b"0") and b"hello" in content and b" world" in content
    trial.passes()


@pytest.mark.parametrize("request_", [
    b"GET http://plain.test/ HTTP/1.1\nHost: plain.test\n\n", b"GET http://plain.test/ HTTP/1.1\rHost: plain.test\r\r",
    b"GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\nX: a\rHost: evil.test\r\n\r\n", b"GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\n\r\n",
    b"GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n\n", b"\r\n\r\n\r\nGET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n",
    b"\nGET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n", b"GET http://plain.test/ HTTP/1.1\r\r\nHost: plain.test\r\n\r\n"])
def test_HTTP_09_lines_end_in_cr_lf(trial, request_):
    trial.malformed(request_)
    trial.passes()


@pytest.mark.parametrize("fields", [b"Host: plain.test\r\nX-A: b\r\n Transfer-Encoding: chunked\r\n", b"Host:\r\n evil.test\r\n",
                                    b"Host: plain.test\r\nX-A: b\r\n\tc\r\n", b"Host: plain.test\r\n \r\n"])
def test_HTTP_10_folded_fields(trial, fields):
    trial.malformed(b"GET http://plain.test/ HTTP/1.1\r\n" + fields + b"\r\n")
    trial.passes()


@pytest.mark.parametrize("fields", [
    b"Host: plain.test\r\nContent-Length : 5\r\n", b": x\r\nHost: plain.test\r\n", b"Host: plain.test\r\nHo st: x\r\n",
    b" Host: evil.test\r\nHost: plain.test\r\n", b"Host: plain.test\r\nX\0: y\r\n", b"Host: plain.test\r\nX: \0\r\n",
    b"Host: plain.test\r\nnocolon\r\n", b"Host : plain.test\r\n", b"Host: plain.test\r\nX\x80: y\r\n", b"Host: plain.test\r\n(x): y\r\n"])
def test_HTTP_11_field_names_are_tokens(trial, fields):
    trial.malformed(b"GET http://plain.test/ HTTP/1.1\r\n" + fields + b"\r\n")
    trial.passes()


@pytest.mark.parametrize("request_", [
    get("http://plain.test/", fields="X: " + "a" * 65535 + "\r\n"), get("http://plain.test/", fields="X: " + "a" * 65536 + "\r\n"),
    get("http://plain.test/", fields="X: " + "a" * 65537 + "\r\nContent-Length: 5\r\n"), get("http://plain.test/" + "a" * 65600 + "@evil.test"),
    get("http://" + "a" * 65536 + "@plain.test/"), get("http://plain.test/", fields="x" * 20000 + ": 1\r\n"), connect("a." * 40000 + "wild.test:443")])
def test_HTTP_12_sizes_have_a_limit_far_below_any_overflow(trial, request_):
    trial.malformed(request_, status={400, 414, 431})
    trial.fetches("http://plain.test/", fields="n" * 270 + ": 1\r\n")
    trial.passes()


@pytest.mark.parametrize("hosts", [[], ["plain.test", "evil.test"], ["evil.test", "plain.test"], ["plain.test", "plain.test"], [""], ["plain.test, evil.test"],
                                   ["plain.test evil.test"], ["plain.test,plain.test"], ["http://plain.test"], ["u@plain.test"]])
def test_HTTP_13_host_stands_once_and_is_one_authority(trial, hosts):
    for name in ("Host", "hOsT"):
        fields = "".join(f"{name if index else 'Host'}: {host}\r\n" for index, host in enumerate(hosts))
        trial.malformed(get("http://plain.test/", host=None, fields=fields))
    trial.passes()


def test_HTTP_16_no_interim_answer_for_what_is_refused(trial):
    expect = "Expect: 100-continue\r\nContent-Length: 30\r\n"
    reply = trial.denied(get("http://evil.test/", "evil.test", expect, method="POST"), get("http://plain.test/"), reason="no-rule")
    assert b" 100 " not in reply.raw
    for value in ("y 100-continue", "100-continue, 100-continue", "101-continue", "100-continueX"):
        trial.malformed(get("http://plain.test/", fields=f"Expect: {value}\r\nContent-Length: 3\r\n", method="POST") + b"abc", status={400, 417})
    trial.malformed(get("http://plain.test/", fields="Expect: 100-continue\r\n" * 2 + "Content-Length: 3\r\n", method="POST"), status={400, 417})
    received = []

    def patient(connection, data):
        received.append(data)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" if len(received) == 1 else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return len(received) < 2

    trial.far.script = patient
    with trial.agent.open() as sock:
        sock.sendall(get("http://plain.test/", fields="Expect: 100-continue\r\nConnection: close\r\nContent-Length: 3\r\n", method="POST"))
        assert read_head(sock).status == 100
        sock.sendall(b"abc")
        assert drain(sock).status == 200
    assert received[-1] == b"abc"


@pytest.mark.parametrize("named", ["close, Content-Length, Host", "Host", "Transfer-Encoding", "content-length"])
def test_HTTP_17_connection_may_not_name_what_frames_or_routes(trial, named):
    trial.malformed(get("http://plain.test/", fields=f"Connection: {named}\r\nContent-Length: 3\r\n", method="POST") + b"abc")
    _, received = trial.fetches("http://plain.test/", fields="Connection: X-Hop\r\nX-Hop: secret\r\nX-End: kept\r\n")
    lowered = received.lower()
    assert b"x-hop" not in lowered and b"secret" not in lowered, received
    assert lowered.count(b"\r\nx-end: kept\r\n") == 1 and lowered.count(b"\r\nhost: plain.test\r\n") == 1, received


def test_HTTP_18_hop_by_hop_fields_and_credentials_for_the_proxy_stay_here(trial):
    fields = ("Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\n"
              "Proxy-Foo: bar-marker\r\nX-Kept: kept-marker\r\nAuthorization: Bearer for-the-origin\r\n")
    _, received = trial.fetches("http://plain.test/", fields=fields)
    lowered = received.lower()
    for gone in (b"c2vjcmv0", b"proxy-", b"bar-marker", b"\r\nte:", b"trailers", b"keep-alive", b"timeout=5"):
        assert gone not in lowered, received
    assert b"\r\nx-kept: kept-marker\r\n" in lowered and b"\r\nauthorization: bearer for-the-origin\r\n" in lowered, received
    written = trial.gate.log.path.read_text()
    assert "plain.test" in written
    for secret in ("c2VjcmV0", "secret", "for-the-origin", "bar-marker", "kept-marker"):
        assert secret not in written, f"{secret} stands in the log"
    trial.passes()


def test_HTTP_19_methods_that_the_gate_would_have_to_answer_itself(trial):
    trial.malformed(get("http://plain.test/", fields="Max-Forwards: 0\r\n", method="TRACE"), status={400, 405})
    trial.malformed(get("http://plain.test/", method="TRACE"), status=405)
    trial.malformed(get("*", method="OPTIONS"))
    trial.malformed(get("http://plain.test/", fields="Max-Forwards: 0\r\n", method="OPTIONS"), status={400, 405})
    trial.passes()


@pytest.mark.parametrize("line", [
    b"connect evil.test:443 HTTP/1.1", b" CONNECT evil.test:443 HTTP/1.1", b"CONNECT  evil.test:443 HTTP/1.1", b"CONNECT\tevil.test:443 HTTP/1.1",
    b"GET\0 http://plain.test/ HTTP/1.1", b"M" * 10240 + b" http://plain.test/ HTTP/1.1", b"GE(T http://plain.test/ HTTP/1.1", b"CONNECT evil.test:443  HTTP/1.1",
    b"connect allowed.test:443 HTTP/1.1", b"Connect allowed.test:443 HTTP/1.1"])
def test_HTTP_20_the_method_is_one_token_and_one_space(trial, line):
    trial.malformed(line + b"\r\nHost: evil.test\r\n\r\n", status={400, 414, 431, 501})
    trial.passes()


@pytest.mark.parametrize("scheme", ["ftp", "https", "file", "gopher", "urn", "ws", "wss", "http+unix", "jar", "HTTPS", "javascript", "httpx"])
def test_HTTP_21_no_scheme_but_http(trial, scheme):
    trial.malformed(get(f"{scheme}://plain.test/"))
    trial.fetches("HTTP://plain.test/")


@pytest.mark.parametrize("request_", [
    get("/"), get("/health", host="10.66.0.1:3128"), get("/", host="allowed.test:443"), connect("http://allowed.test:443/", "allowed.test:443"),
    connect("/allowed.test:443", "allowed.test:443"), get("allowed.test:443", host="allowed.test:443"), get("*"), connect("*", "allowed.test"),
    get("http://10.66.0.1:3128/", host="evil.test")])
def test_HTTP_22_the_listener_serves_nothing_but_proxying(trial, request_):
    trial.malformed(request_)
    trial.passes()


@pytest.mark.parametrize("fields", ["Content-Length: 5\r\n", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: x\r\n"])
def test_HTTP_24_connect_has_no_body(trial, fields):
    trial.malformed(connect("allowed.test:443", fields=fields) + b"hello")
    trial.passes()


@pytest.mark.parametrize("line", [
    b"GET http://plain.test/", b"GET http://plain.test/ HTTP/1.1 ", b"GET http://plain.test/ HTTP/1.2", b"GET http://plain.test/ HTTP/2.0", b"GET http://plain.test/ http/1.1",
    b"GET http://plain.test/ HTTP/1", b"GET http://plain.test/ HTTP/0.9", b"GET http://plain.test/ HTTP/1.10", b"GET http://plain.test/ HTTP/01.1",
    b"GET http://plain.test/ HTTPS/1.1", b"GET http://plain.test/ HTTP/11", b"GET http://plain.test/ HTTP/1,1"])
def test_HTTP_25_the_version_is_1_0_or_1_1(trial, line):
    trial.malformed(line + b"\r\nHost: plain.test\r\n\r\n", status={400, 505})
    trial.fetches("http://plain.test/", version="1.0")


def test_HTTP_25_a_request_of_http_1_0_is_the_last_of_its_connection(trial):
    seen = trial.far.mark()
    reply = trial.agent.send(get("http://plain.test/1", version="1.0") + get("http://plain.test/2"))
    assert reply.ended == "closed" and reply.raw.count(b" 200 ") == 1
    assert len(trial.far.since(seen, Received)) == 1


def test_HTTP_28_no_field_changes_where_a_request_goes_or_who_asks(trial):
    magic = ("X-Unix-Socket: /var/run/docker.sock\r\nX-Upstream-Https-Proxy: http://11.66.0.66:80\r\nX-Forwarded-For: 10.66.0.9\r\n"
             "X-Forwarded-Host: evil.test\r\nForwarded: host=evil.test\r\nX-Original-URL: http://evil.test/\r\nX-Rewrite-URL: /evil\r\n")
    reply, received = trial.fetches("http://plain.test/", fields=magic)
    assert reply.body == b"origin 11.11.0.10" and received.startswith(b"GET / HTTP/1.1\r\nHost: plain.test\r\n")
    trial.tunnels("allowed.test:443", "allowed.test", request=connect("allowed.test:443", fields=magic))
    trial.denied(connect("evil.test:443", fields=magic), reason="no-rule")


@pytest.mark.parametrize("path", ["/public/../secret", "/public/%2e%2e/secret", "/public/%2E./secret", "/public;/../secret", "/public/%2fsecret", "//secret", "//public/x",
                                  "/public/..;/secret", r"/public/..\secret", "/public/%5c..%5csecret", "/public//secret", "/./public/x", "/secret", "/publicx", "/PUBLIC/x"])
def test_HTTP_30_paths_that_could_be_read_otherwise_match_no_rule(trial, path):
    trial.far.answers("paths.test", "11.11.0.10")
    trial.refused(get(f"http://paths.test{path}", host="paths.test"), status={400, 403})
    trial.fetches("http://paths.test/public/a/b?x=../y", host="paths.test", rule="paths")
    trial.denied(get("http://paths.test/public/a", host="paths.test", fields="Content-Length: 0\r\n", method="POST"), reason="no-rule")
