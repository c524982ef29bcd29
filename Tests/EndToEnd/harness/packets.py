"""What an agent may try to send, as programs that it runs: each prints `sent` for what its own kernel let go."""

# IPV4 IPV6: datagrams to well-known ports, by every way to send one.
EVERY_UDP = """
import socket, sys
for address, family in ((sys.argv[1], socket.AF_INET), (sys.argv[2], socket.AF_INET6)):
    for port in (123, 443, 500, 853, 1900, 4500, 51820):
        s = socket.socket(family, socket.SOCK_DGRAM)
        for send in (lambda: s.sendto(b"x", (address, port)), lambda: s.connect((address, port)) or s.send(b"x"),
                     lambda: s.sendmsg([b"x"], [], 0, (address, port))):
            try: send(); print("sent", address, port)
            except OSError: pass
"""

# IPV4: ICMP of several types with a payload.
ICMP = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for kind in (8, 13, 15, 17, 3, 0):
    try: s.sendto(struct.pack(">BBHHH", kind, 0, 0, 1, 1) + b"MARK", (sys.argv[1], 0)); print("sent")
    except OSError: pass
"""

# IPV6...: neighbour discovery of a program's own, with bytes in it that are no option's.
NEIGHBORS = """
import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255); s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
for address in sys.argv[1:]:
    for kind in (133, 134, 135, 136):
        try: s.sendto(struct.pack(">BBHI", kind, 0, 0, 0) + b"MARK" * 16, (address, 0, 0, socket.if_nametoindex("a0"))); print("sent")
        except OSError: pass
"""

# IPV4 IPV6 IPV4: other protocols.
PROTOCOLS = """
import socket, sys
for family, address in ((socket.AF_INET, sys.argv[1]), (socket.AF_INET6, sys.argv[2]), (socket.AF_INET, sys.argv[3])):
    for protocol in (2, 4, 33, 41, 47, 50, 51, 89, 132, 136, 253):
        try:
            s = socket.socket(family, socket.SOCK_RAW, protocol); s.sendto(b"MARK" * 8, (address, 0)); print("sent", protocol)
        except OSError: pass
"""

# A request to every DHCP server.
BROADCAST = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
try: s.sendto(b"x", ("255.255.255.255", 67)); print("sent")
except OSError: pass
"""

# IPV4 IPV6 [SECONDS]: datagrams and connections with marks, by option and by message; waits so long for each answer.
MARKED = """
import socket, struct, sys
for mark in (1, 2, 3, 0x45670001, 0xffffffff):
    for family, address in ((socket.AF_INET, sys.argv[1]), (socket.AF_INET6, sys.argv[2])):
        s = socket.socket(family, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, 36, struct.pack("I", mark))
        try: s.sendto(b"x", (address, 443)); print("sent", mark)
        except OSError: pass
        s = socket.socket(family, socket.SOCK_DGRAM)
        try: s.sendmsg([b"x"], [(socket.SOL_SOCKET, 36, struct.pack("I", mark))], 0, (address, 443)); print("sent", mark)
        except OSError: pass
        s = socket.socket(family, socket.SOCK_STREAM); s.setsockopt(socket.SOL_SOCKET, 36, struct.pack("I", mark)); s.settimeout(float((sys.argv[3:] or ["3"])[0]))
        try: s.connect((address, 443)); s.sendall(b"x"); s.recv(1); print("sent", mark) if s.recv(1) else None
        except OSError: pass
print("marked")
"""

# IPV4 IPV6: sockets that root opens and nobody uses.
PASSED_ON = """
import os, socket, sys
made = [socket.socket(f, socket.SOCK_DGRAM) for f in (socket.AF_INET, socket.AF_INET6)]
os.setuid(65534)
for s, address in zip(made, sys.argv[1:]):
    try: s.sendto(b"x", (address, 443)); print("sent")
    except OSError: pass
"""

# IPV4...: segments that begin no connection, with data.
ODD_TCP = """
import socket, struct, sys
def total(data):
    data += b"\\0" * (len(data) % 2); s = sum(struct.unpack(f">{len(data)//2}H", data))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
for address in sys.argv[1:]:
    for flags in (0x10, 0x01, 0x00, 0x29, 0x18, 0x04, 0x12, 0x03):
        segment = struct.pack(">HHIIBBHHH", 41000, 443, 1, 1, 0x50, flags, 1024, 0, 0) + b"MARK"
        pseudo = socket.inet_aton("10.66.0.2") + socket.inet_aton(address) + struct.pack(">BBH", 0, 6, len(segment))
        segment = segment[:16] + struct.pack(">H", total(pseudo + segment)) + segment[18:]
        try: s.sendto(segment, (address, 0))
        except OSError: pass
print("done")
"""

# IPV4: data in the first segment (TCP_FASTOPEN).
FAST_OPEN = """
import socket, sys
s = socket.socket()
try: s.sendto(b"GET / HTTP/1.0\\r\\n\\r\\n", 0x20000000, (sys.argv[1], 443)); s.settimeout(3); print(s.recv(9))
except OSError as error: print(type(error).__name__)
"""

# IPV4 IPV6: fragments, whole and torn, and extension headers.
FRAGMENTS = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
def packet(ident, offset, more, data):
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(data), ident, (0x2000 if more else 0) | offset // 8, 64, 17, 0,
                       socket.inet_aton("10.66.0.2"), socket.inet_aton(sys.argv[1])) + data
udp = struct.pack(">HHHH", 40000, 443, 40, 0) + b"MARK" * 8
for part in (packet(7, 0, True, udp[:8]), packet(7, 8, False, udp[8:]), packet(8, 8, False, udp[8:]), packet(9, 0, True, udp[:8])):
    try: s.sendto(part, (sys.argv[1], 0))
    except OSError: pass
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_UDP)
for option, header in ((54, b"\\x11\\0\\1\\4\\0\\0\\0\\0"), (59, b"\\x11\\0\\1\\4\\0\\0\\0\\0"), (57, b"\\x11\\0\\0\\0\\0\\0\\0\\0")):
    try: s.sendmsg([udp], [(socket.IPPROTO_IPV6, option, header)], 0, (sys.argv[2], 0))
    except OSError: pass
print("done")
"""

# IPV4: a connection to many ports; prints what came of each.
CONNECT = """
import socket, sys
for port in (22, 25, 80, 443, 853, 3128, 6667, 8443):
    s = socket.socket(); s.settimeout(4)
    try:
        s.connect((sys.argv[1], port)); s.sendall(b"\\x00x"); print("data" if s.recv(9) else "end")
    except OSError as error: print(type(error).__name__)
"""

# IPV4...: datagrams to port 123 from 3000 ports.
MANY_FLOWS = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (4000, 4000))
held = []
for port in range(20000, 23000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); held.append(s)
    for address in sys.argv[1:]:
        try: s.sendto(b"x", (address, 123)); 
        except OSError: pass
print("done")
"""

# ADDRESS...: 50,000 flows to port 123 of each, a port of its own for each flow. It rests now and then, since a
# busy machine's queue behind the table holds a thousand packets and drops what is beyond.
FLOWS = """
import socket, sys, time
total = 0
for address in sys.argv[1:]:
    tried = sent = 0
    for port in range(10000, 61000):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
            try: s.bind(("", port))
            except OSError: continue
            tried += 1
            try: s.sendto(b"MARK", (address, 123)); sent += 1
            except OSError: pass
        if tried % 250 == 0: time.sleep(0.005)
        if tried == 50000: break
    total += sent
print(total)
"""

# IPV4 IPV6 SECONDS COUNT: datagrams as fast as it can; prints how many it tried and how many its kernel let go.
FLOOD = """
import socket, sys, time
made = [(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), (sys.argv[1], 443)), (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), (sys.argv[2], 443))]
count = passed = 0
end = time.monotonic() + float(sys.argv[3])
while time.monotonic() < end and count < int(sys.argv[4]):
    for s, address in made:
        count += 1
        try: s.sendto(b"MARK", address); passed += 1
        except OSError: pass
print(count, passed)
"""

# [ADDRESS PORT]...: a datagram to each.
UDP = """
import socket, sys
for address, port in zip(sys.argv[1::2], sys.argv[2::2]):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try: s.sendto(b"MARK", (address, int(port))); print("sent")
    except OSError as error: print(type(error).__name__)
"""

# IPV4 SECONDS: datagrams and connections, one after the other; prints how many, and how many datagrams its kernel let go.
PROBE = """
import socket, sys, time
end = time.monotonic() + float(sys.argv[2]); count = through = 0
while time.monotonic() < end:
    for family, kind, address, port in ((socket.AF_INET, socket.SOCK_DGRAM, sys.argv[1], 443), (socket.AF_INET, socket.SOCK_STREAM, sys.argv[1], 443)):
        s = socket.socket(family, kind); s.settimeout(0.05); count += 1
        try:
            s.connect((address, port)); s.send(b"\\x00MARK"); through += kind == socket.SOCK_DGRAM
        except OSError: pass
        s.close()
print(count, through)
"""

# SOURCE... -- DESTINATION...: datagrams and pings with forged sources, of the family of the first.
FORGED = """
import socket, struct, sys
cut = sys.argv.index("--"); sources, targets = sys.argv[1:cut], sys.argv[cut + 1:]; six = ":" in sources[0]
def total(data):
    data += b"\\0" * (len(data) % 2); s = sum(struct.unpack(f">{len(data)//2}H", data))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
import json, subprocess
near = json.loads(subprocess.run(["ip", "-j", "neigh", "show", "dev", "a0"], capture_output=True, text=True).stdout)
mac = next(bytes.fromhex(n["lladdr"].replace(":", "")) for n in near if "lladdr" in n)
for source in sources:
    for target in targets:
        for port in (123, 443, 53):
            family = socket.AF_INET6 if six else socket.AF_INET
            ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
            udp = struct.pack(">HHHH", 40000, port, 12, 0) + b"MARK"
            udp = udp[:6] + struct.pack(">H", total(ends + struct.pack(">HH", 17, len(udp)) + udp) or 0xffff) + udp[8:]
            if six: packet = struct.pack(">IHBB", 0x60000000, len(udp), 17, 64) + ends + udp
            else:
                head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 7, 0, 64, 17, 0) + ends
                packet = head[:10] + struct.pack(">H", total(head)) + head[12:] + udp
            s.sendto(packet, ("a0", 0x86dd if six else 0x0800, 0, 0, mac)); print("sent")
"""

# MAC IPV4: whole frames by a packet socket, tagged for another network, and for a host that is not the sender.
FRAMES = """
import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0); s.bind(("a0", 0))
mac, own = bytes.fromhex(sys.argv[1].replace(":", "")), s.getsockname()[4]
head = struct.pack(">BBHHHBBH", 0x45, 0, 32, 0, 0, 64, 17, 0) + socket.inet_aton("10.66.0.2") + socket.inet_aton(sys.argv[2])
total = sum(struct.unpack(">10H", head)); total = (total & 0xffff) + (total >> 16)
ip = head[:10] + struct.pack(">H", ~total & 0xffff) + head[12:] + struct.pack(">HHHH", 40000, 443, 12, 0) + b"MARK"
for ethertype in (b"\\x08\\x00", b"\\x81\\x00\\x00\\x07\\x08\\x00", b"\\x88\\xa8\\x00\\x07\\x08\\x00"):
    for target in (mac, b"\\xff" * 6):
        s.send(target + own + ethertype + ip); print("sent")
"""

# DEVICE: router advertisements with a prefix and a default route, and redirects of both families.
ROUTERS = """
import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255); s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
s.setsockopt(socket.SOL_SOCKET, 25, sys.argv[1].encode())
prefix = struct.pack(">BBBBIII", 3, 4, 64, 0xc0, 86400, 86400, 0) + socket.inet_pton(socket.AF_INET6, "2a0e:b107:dead::")
for target in ("ff02::1", "fd66::1"):
    s.sendto(struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix, (target, 0)); print("sent")
    s.sendto(struct.pack(">BBHI", 137, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, "fe80::66") + socket.inet_pton(socket.AF_INET6, "2a0e:b107:11::10"), (target, 0))
r = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
inner = struct.pack(">BBHHHBBH", 0x45, 0, 28, 0, 0, 64, 17, 0) + socket.inet_aton("10.66.0.1") + socket.inet_aton("11.11.0.10") + b"\\0" * 8
r.sendto(struct.pack(">BBH", 5, 1, 0) + socket.inet_aton("10.66.0.2") + inner, ("10.66.0.1", 0)); print("sent")
"""

# FIRST TARGET...: datagrams that ask the router FIRST to lead them on to each TARGET (LSRR and SSRR of RFC 791).
SOURCE_ROUTED = """
import socket, struct, sys
for target in sys.argv[2:]:
    for option in (131, 137):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(0, 4, struct.pack(">BBB", option, 7, 4) + socket.inet_aton(sys.argv[1]) + b"\\0")
        try: s.sendto(b"MARK", (target, 443)); print("sent")
        except OSError as error: print(type(error).__name__)
"""
