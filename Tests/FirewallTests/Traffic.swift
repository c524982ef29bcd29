import Foundation
import Testing

@testable import Firewall

/// Namespaces joined by veth pairs, and programs that send and count in them.
enum Traffic {
  /// Joins two namespaces by a pair of devices with one IPv4 and one IPv6 address each.
  static func join(
    _ left: Namespace, _ leftDevice: String, _ right: Namespace, _ rightDevice: String, net: Int
  ) throws {
    try left.run(
      "ip", "link", "add", leftDevice, "type", "veth", "peer", "name", rightDevice, "netns", "\(right.pid)")
    for (space, device, host) in [(left, leftDevice, 1), (right, rightDevice, 2)] {
      try space.run("ip", "address", "add", "11.\(net).0.\(host)/24", "dev", device)
      try space.run("ip", "address", "add", "2001:470:\(net)::\(host)/64", "dev", device, "nodad")
      try space.run("ip", "link", "set", device, "up")
    }
  }

  /// Starts a program in a namespace that writes a line once it is ready.
  static func start(_ space: Namespace, _ script: String, _ arguments: String..., uid: Int? = nil) throws
    -> Running
  {
    try Running(space, ["/usr/bin/python3", "-c", script] + arguments)
  }
}

/// A program that runs until it is asked for what it saw.
///
/// `@unchecked Sendable`: used from the thread of one test only.
final class Running: @unchecked Sendable {
  private let process = Process()
  private let stdin: Channel, stdout: Channel

  init(_ space: Namespace, _ command: [String]) throws {
    (stdin, stdout) = try (Channel(), Channel())
    process.executableURL = URL(filePath: "/usr/bin/nsenter")
    process.arguments = ["--net=/proc/\(space.pid)/ns/net"] + command
    process.standardInput = stdin.reading
    process.standardOutput = stdout.writing
    try process.run()
    for end in [stdin.reading, stdout.writing] { try end.close() }
    try #require(readLine() == "ready")
  }

  /// Reads up to the end of a line, byte by byte: what follows is `finish`'s.
  private func readLine() -> String {
    var bytes: [UInt8] = []
    while let byte = try? stdout.reading.read(upToCount: 1)?.first, byte != 10 {
      bytes.append(byte)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Ends it and gives what else it wrote, by line.
  func finish() throws -> [String] {
    try stdin.writing.close()
    let output = stdout.reading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: output, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  deinit { if process.isRunning { process.terminate() } }
}

extension Scripts {
  /// DEVICE: prints `PROTOCOL SIZE` in hexadecimal for every frame that comes in, until standard input ends.
  static let sniff = """
    import select, socket, sys
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)
    s.bind((sys.argv[1], 3))
    print('ready', flush=True)
    ended = False
    while True:
        readable, _, _ = select.select([s] if ended else [s, sys.stdin], [], [], 0.3 if ended else None)
        if s in readable:
            frame, address = s.recvfrom(2048)
            if address[2] != 4: print('%02x%02x' % (frame[12], frame[13]), frame[14:].hex())
        elif ended: break
        if sys.stdin in readable: ended = True
    """

  /// DEVICE: sends a marked IPv4 frame by a packet socket in every way there is.
  static let frames = """
    import errno, socket, sys
    packet = bytes.fromhex('4500003c0000000040110000') + bytes([11, 1, 0, 1, 11, 1, 0, 2]) + b'leaked-by-frame' * 3
    for bypass in (0, 1):
        for claimed in (0x0800, 0x0806, 0x86dd, 0x88cc):
            for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
                s = socket.socket(socket.AF_PACKET, kind, 0)
                s.setsockopt(263, 20, bypass)
                s.setsockopt(socket.SOL_SOCKET, 36, 1)
                head = b'' if kind == socket.SOCK_DGRAM else b'\\xff' * 6 + b'\\x02' * 6 + b'\\x08\\x00'
                if kind == socket.SOCK_DGRAM and claimed == 0x0806: continue
                try: print(s.sendto(head + packet, (sys.argv[1], claimed, 0, 0, b'\\xff' * 6)))
                except OSError as error: print(errno.errorcode[error.errno])
    """

  /// PORT...: prints `ADDRESS PORT BYTES` for every datagram to one of the ports, until standard input ends.
  static let receive = """
    import select, socket, sys
    sockets = []
    for port in sys.argv[1:]:
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)
        s.bind(('::', int(port)))
        sockets.append(s)
    print('ready', flush=True)
    ended = False
    while True:
        readable, _, _ = select.select(sockets if ended else sockets + [sys.stdin], [], [], 0.3 if ended else None)
        for s in readable:
            if s is sys.stdin: ended = True; continue
            data, peer = s.recvfrom(2048)
            print(peer[0].removeprefix('::ffff:'), s.getsockname()[1], data.decode(), flush=True)
            s.sendto(data, peer)
        if ended and not readable: break
    """

  /// ADDRESS PORT: sends as fast as it can from one socket until standard input ends; then prints how many left.
  static let flood = """
    import select, socket, sys
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    print('ready', flush=True)
    sent = refused = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        for _ in range(100):
            try:
                s.sendto(b'flood', (sys.argv[1], int(sys.argv[2])))
                sent += 1
            except OSError: refused += 1
    print(sent, refused)
    """
}

extension Scripts {
  /// [ADDRESS PORT TEXT]...: one datagram each; from MARK in the environment, if any, with SO_MARK.
  static let send = """
    import os, socket, sys
    words = sys.argv[1:]
    for address, port, text in zip(words[::3], words[1::3], words[2::3]):
        s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
        if 'MARK' in os.environ: s.setsockopt(socket.SOL_SOCKET, 36, int(os.environ['MARK']))
        try: s.sendto(text.encode(), (address, int(port)))
        except OSError as error: print(error)
    """

  /// ADDRESS PORT: one socket; a datagram per line of standard input, and for each what came back.
  static let talk = """
    import socket, sys
    s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.5)
    print('ready', flush=True)
    for line in sys.stdin:
        try:
            s.sendto(line.strip().encode(), (sys.argv[1], int(sys.argv[2])))
            print('answer', s.recvfrom(2048)[0].decode(), flush=True)
        except OSError as error: print('none', type(error).__name__, flush=True)
    """

  /// SOURCE DESTINATION PORT TEXT: a datagram with a forged source.
  static let forge = """
    import socket, struct, sys
    source, destination, port, text = sys.argv[1:]
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    data = struct.pack('!HHHH', 4000, int(port), 8 + len(text), 0) + text.encode()
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(data), 0, 0, 64, 17, 0,
        socket.inet_aton(source), socket.inet_aton(destination))
    s.sendto(head + data, (destination, 0))
    """

  /// IPV4 IPV6: other protocols (9 packets), an echo request, TCP that begins in the middle (5), and a datagram
  /// to port 9000 behind a routing header.
  static let oddities = """
    import socket, struct, sys
    target = sys.argv[1]
    for protocol in (4, 33, 41, 47, 50, 89, 132, 136, 253):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
        try: s.sendto(b'\\x12\\x34\\x23\\x28blocked-by-protocol', (target, 0))
        except OSError: pass
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
    try: s.sendto(struct.pack('!BBHHH', 8, 0, 0, 1, 1) + b'blocked-by-echo', (target, 0))
    except OSError: pass
    for flags in (0x10, 0x01, 0x00, 0x29, 0x12):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 6)
        try: s.sendto(struct.pack('!HHIIBBHHH', 4001, 8000, 1, 1, 0x50, flags, 512, 0, 0) + b'blocked-by-flags', (target, 0))
        except OSError: pass
    if len(sys.argv) > 2:
        data = struct.pack('!HHHH', 4000, 9000, 26, 0) + b'blocked-by-routing'
        behind = bytes([17, 2, 4, 0, 0, 0, 0, 0]) + socket.inet_pton(10, sys.argv[2]) + data
        head = struct.pack('!IHBB', 0x60000000, len(behind), 43, 64) + socket.inet_pton(10, sys.argv[3])
        s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        try: s.sendto(head + socket.inet_pton(10, sys.argv[2]) + behind, (sys.argv[2], 0))
        except OSError: pass
    """

  /// [ADDRESS PORT]...: TCP listeners with IP_TRANSPARENT and, for PORT 15353, UDP too; prints where each
  /// connection or datagram was headed (SO_ORIGINAL_DST where it was redirected).
  static let capture = """
    import select, socket, struct, sys
    words, sockets = sys.argv[1:], []
    for address, port in zip(words[::2], words[1::2]):
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        level, option = (socket.IPPROTO_IPV6, 75) if ':' in address else (socket.IPPROTO_IP, 19)
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM) if port == '15353' else (socket.SOCK_STREAM,):
            s = socket.socket(family, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setsockopt(level, option, 1)
            if kind == socket.SOCK_DGRAM: s.setsockopt(level, 74 if ':' in address else 20, 1)
            s.bind((address, int(port)))
            if kind == socket.SOCK_STREAM: s.listen()
            sockets.append(s)
    print('ready', flush=True)
    ended = False
    while True:
        readable, _, _ = select.select(sockets if ended else sockets + [sys.stdin], [], [], 0.3 if ended else None)
        for s in readable:
            if s is sys.stdin: ended = True; continue
            if s.type == socket.SOCK_DGRAM:
                _, control, _, _ = s.recvmsg(2048, 256)
                data = control[0][2]
                print('udp', socket.inet_ntoa(data[4:8]) if len(data) == 16 else socket.inet_ntop(10, data[8:24]),
                    struct.unpack('!H', data[2:4])[0], flush=True)
                continue
            c, _ = s.accept()
            host, port = c.getsockname()[:2]
            try:
                data = c.getsockopt(0, 80, 16) if c.family == 2 else c.getsockopt(41, 80, 28)
                port = struct.unpack('!H', data[2:4])[0]
                host = socket.inet_ntoa(data[4:8]) if c.family == 2 else socket.inet_ntop(10, data[8:24])
            except OSError: pass
            print('tcp', host, port, flush=True)
            c.close()
        if ended and not readable: break
    """

  /// [ADDRESS PORT]...: prints how each connection attempt ends.
  static let connect = """
    import socket, sys
    words = sys.argv[1:]
    for address, port in zip(words[::2], words[1::2]):
        s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
        s.settimeout(1)
        try: s.connect((address, int(port))); print('connected')
        except OSError as error: print(type(error).__name__)
    """
}

extension Running {
  /// Writes a line and reads the next one.
  func ask(_ line: String) -> String {
    stdin.writing.write(Data("\(line)\n".utf8))
    return readLine()
  }
}

extension Scripts {
  /// ADDRESS PORT COUNT: one datagram from each of so many ports; prints how many were sent.
  static let manyFlows = """
    import resource, socket, sys
    address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    first = int((sys.argv + ["20000"])[4])
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    made = []
    for number in range(count):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(('', first + number))
        made.append(s)
        try: s.sendto(b'flow', (address, port))
        except OSError: s.sendto(b'flow', (address, port))
    print(len(made))
    """

  /// PORT DEVICE: answers datagrams led here from where they were sent to; prints where that was.
  static let answer = """
    import select, socket, struct, sys
    made = []
    for family, host, level, transparent, original, where in (
        (socket.AF_INET, '127.0.0.1', socket.IPPROTO_IP, 19, 20, 8), (socket.AF_INET6, '::1', socket.IPPROTO_IPV6, 75, 74, 50)):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.setsockopt(level, transparent, 1)
        s.setsockopt(level, original, 1)
        s.setsockopt(socket.SOL_SOCKET, 25, sys.argv[2].encode())
        s.bind((host, int(sys.argv[1])))
        made.append((s, level, where))
    print('ready', flush=True)
    while True:
        ready, _, _ = select.select([s for s, _, _ in made] + [sys.stdin], [], [])
        if sys.stdin in ready: break
        for s, level, where in made:
            if s not in ready: continue
            data, extra, _, peer = s.recvmsg(2048, 512)
            name = next(value for l, kind, value in extra if l == level)
            if where == 8: info = struct.pack('i', 0) + name[4:8] + b'\\0' * 4
            else: info = name[8:24] + struct.pack('i', 0)
            print(name.hex(), flush=True)
            s.sendmsg([data], [(level, where, info)], 0, peer)
    """
}
