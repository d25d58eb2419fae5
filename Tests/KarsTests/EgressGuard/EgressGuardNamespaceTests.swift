import KarsCore
import KarsTesting
import Subprocess
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The rules against a real kernel: two network namespaces joined by a cable, the guard installed in one of them, and sockets
/// of every UID on both sides.
@Suite struct `Egress guard in a network namespace` {
    /// Nil when the machine can run it; otherwise what it lacks.
    static let obstacle: String? = {
        #if os(Linux)
        guard geteuid() == 0 else { return "needs root" }
        for tool in ["python3", "ip", "nsenter", "unshare", "ss", "iptables-nft-save", "iptables-legacy-save"]
        where !PacketTool.isInstalled(tool) {
            return "\(tool) is not installed"
        }
        guard access(binary, X_OK) == 0 else { return "\(binary) is not built" }
        return nil
        #else
        return "needs Linux"
        #endif
    }()

    static let binary = BuiltProduct.kars

    @Test(.enabled(if: obstacle == nil, Comment(rawValue: "skipped: \(obstacle ?? "")")), arguments: ["nft", "legacy"])
    func `every UID but the router's is confined`(backend: String) async throws {
        let result = try await Subprocess.run(
            .name("python3"), arguments: ["-c", Self.probe, Self.binary, backend], output: .string(limit: 1 << 20),
            error: .string(limit: 1 << 20))
        let output = result.standardOutput
        let line = try #require(
            output.split(whereSeparator: \.isNewline).last { $0.hasPrefix("RESULTS ") }, "\(output)\(result.standardError)")
        let results = try #require(try JSON(parsing: Array(line.dropFirst(8).utf8)).objectValue)

        func text(_ name: String) -> String { results[name]?.stringValue ?? "no such result" }
        func isRefused(_ name: String) -> Bool {
            ["ConnectionRefusedError", "PermissionError", "TimeoutError", "OSError"].contains { text(name).hasPrefix($0) }
        }
        for uid in [0, 1000, 1002, 65534] {
            for family in ["v4", "v6"] {
                let name = "\(uid) \(family)"
                for what in ["tcp 9999", "tcp 8446 outside", "udp 9999", "ping", "loopback 11434"] {
                    #expect(isRefused("\(name) \(what)"), "\(name) \(what)")
                }
                #expect(results["\(name) tcp 9999 is quick"] == true)
                for port in [8445, 8446, 9090] {
                    for place in ["loopback", "own address"] {
                        #expect(isRefused("\(name) \(place) \(port)"), "\(name) \(place) \(port)")
                    }
                }
                // The helper's exemption is for one address of one family.
                if uid == 1002, family == "v4" {
                    #expect(text("\(name) tcp 6443") == "outside")
                } else {
                    #expect(isRefused("\(name) tcp 6443"))
                }
                for what in ["web 80", "web 443"] { #expect(text("\(name) \(what)") == "proxy") }
                for what in ["dns udp", "dns tcp", "dns udp loopback"] { #expect(text("\(name) \(what)") == "stub") }
                #expect(text("\(name) loopback 18789") == "chat")
                #expect(text("\(name) own address 7000") == "agent")
            }
        }
        for what in [
            "v4 bound to lo", "v6 bound to lo", "v4 bound to eth0", "v6 bound to eth0", "v4 other loopback 8446", "mapped 8446",
        ] {
            #expect(isRefused("1000 \(what)"), "\(what)")
        }
        #expect(results["loopback on the wire"] == 0)
        for family in ["v4", "v6"] {
            let name = "1001 \(family)"
            for what in ["tcp 80", "tcp 443", "tcp 9999", "udp 53", "udp 9999", "udp from 5555", "tcp from 5556"] {
                #expect(text("\(name) \(what)") == "outside")
            }
            #expect(text("\(name) loopback 11434") == "model")
            #expect(text("\(name) chat") == "chat")
            #expect(text("\(name) inbound 9090") == "router")
            #expect(results["\(name) inbound 8446, sent after close"] == 8_388_608)
            for what in ["inbound to the agent", "agent's udp from 5555", "agent's tcp from 5556"] {
                #expect(isRefused("\(name) \(what)"), "\(name) \(what)")
            }
        }
        #expect(results["connections stuck outside"] == 0)
    }

    @Test(.enabled(if: obstacle == nil, Comment(rawValue: "skipped: \(obstacle ?? "")")), arguments: ["nft", "legacy"])
    func `a second run changes nothing, and a removed rule is named`(backend: String) async throws {
        let script = """
            set -e
            "$0" egress-guard --backend \(backend)
            iptables-\(backend)-save | grep -v '^[#:]' > "$1/one"; ip6tables-\(backend)-save | grep -v '^[#:]' >> "$1/one"
            "$0" egress-guard --backend \(backend)
            iptables-\(backend)-save | grep -v '^[#:]' > "$1/two"; ip6tables-\(backend)-save | grep -v '^[#:]' >> "$1/two"
            cmp "$1/one" "$1/two"
            "$0" egress-guard --backend \(backend) --check
            ip6tables-\(backend) -D KARS-EGRESS -p tcp -m tcp --dport 9090 -j REJECT --reject-with tcp-reset
            ! "$0" egress-guard --backend \(backend) --check
            "$0" egress-guard --backend auto
            """
        let result = try await withTemporaryDirectory { directory in
            try await Subprocess.run(
                .name("unshare"), arguments: ["-n", "sh", "-c", script, Self.binary, directory], output: .string(limit: 1 << 16),
                error: .string(limit: 1 << 16))
        }
        #expect(result.terminationStatus.isSuccess, "\(result.standardOutput)\(result.standardError)")
        #expect(
            result.standardError.contains("IPv6 rule 10 of KARS-EGRESS (router port 9090) is missing"), "\(result.standardError)")
    }

    static let probe = #"""
        import ctypes, json, os, signal, socket, subprocess, sys, time

        kars, backend = sys.argv[1], sys.argv[2]
        results, children = {}, []

        def holder():
            process = subprocess.Popen(["unshare", "-n", "sleep", "120"])
            children.append(process.pid)
            here = os.readlink("/proc/self/ns/net")
            while os.readlink(f"/proc/{process.pid}/ns/net") == here: time.sleep(0.01)
            return process.pid

        def sh(*words): subprocess.run(words, check=True)
        def inside(pid, *words): sh("nsenter", "-t", str(pid), "-n", *words)

        outside, pod = holder(), holder()
        sh("ip", "link", "add", "kg-out", "netns", str(outside), "type", "veth", "peer", "name", "eth0", "netns", str(pod))
        for pid, device, v4, v6 in [(outside, "kg-out", "198.51.100.1", "2001:db8::1"), (pod, "eth0", "198.51.100.2", "2001:db8::2")]:
            inside(pid, "ip", "link", "set", "lo", "up")
            inside(pid, "ip", "addr", "add", v4 + "/24", "dev", device)
            inside(pid, "ip", "addr", "add", v6 + "/64", "dev", device, "nodad")
            inside(pid, "ip", "link", "set", device, "up")
        inside(pod, "ip", "route", "add", "default", "via", "198.51.100.1")
        inside(pod, "ip", "-6", "route", "add", "default", "via", "2001:db8::1")
        inside(pod, "sh", "-c", "echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range")
        sh("nsenter", "-t", str(pod), "-n", kars, "egress-guard", "--backend", backend, "--protect-port", "11434", "--api-server", "198.51.100.1:6443")

        libc = ctypes.CDLL(None, use_errno=True)
        def enter(pid, uid):
            with open(f"/proc/{pid}/ns/net") as ns:
                if libc.setns(ns.fileno(), 0): raise OSError(ctypes.get_errno(), "setns")
            if uid: os.setgroups([]); os.setgid(uid); os.setuid(uid)

        def spawn(pid, uid, body):
            """Runs body in a child; the parent gets what it returns once it is ready."""
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(reader)
                try: enter(pid, uid); body(lambda value: os.write(writer, json.dumps(value).encode() + b"\n"))
                except BaseException as error: os.write(writer, json.dumps(f"{type(error).__name__} {getattr(error, 'errno', '')}").encode() + b"\n")
                os._exit(0)
            children.append(child)
            os.close(writer)
            return json.loads(os.fdopen(reader).readline() or '"ended"')

        def listen(pid, uid, kind, address, port, answer, late=False):
            def body(ready):
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                s = socket.socket(family, kind)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.bind((address, port))
                if kind == socket.SOCK_STREAM: s.listen(16)
                ready("ready")
                while True:
                    if kind == socket.SOCK_DGRAM:
                        _, peer = s.recvfrom(2048); s.sendto(answer, peer)
                    else:
                        c, _ = s.accept()
                        try: c.sendall(answer)
                        except OSError: pass
                        c.close()
            value = spawn(pid, uid, body)
            assert value == "ready", value

        def tcp(pid, uid, address, port, everything=False, source=None, device=None, patience=3):
            def body(ready):
                s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
                s.settimeout(5 if everything else patience)
                if device: s.setsockopt(socket.SOL_SOCKET, 25, device)
                if source: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(source)
                s.connect((address, port))
                data = s.recv(65536)
                while everything:
                    more = s.recv(65536)
                    if not more: break
                    data += more
                ready(len(data) if everything else data.decode())
            return spawn(pid, uid, body)

        def udp(pid, uid, address, port, source=None, device=None):
            def body(ready):
                s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
                s.settimeout(2)
                if device: s.setsockopt(socket.SOL_SOCKET, 25, device)
                if source: s.bind(source)
                s.connect((address, port)); s.send(b"x"); ready(s.recv(64).decode())
            return spawn(pid, uid, body)

        def ping(pid, uid, address):
            def body(ready):
                six = ":" in address
                s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
                s.settimeout(2)
                s.connect((address, 0)); s.send(bytes([128 if six else 8, 0, 0, 0, 0, 0, 0, 0])); s.recv(64); ready("answered")
            return spawn(pid, uid, body)

        STREAM, DGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
        big = b"z" * (8 << 20)
        for address in ["198.51.100.1", "2001:db8::1"]:
            for port in [80, 443, 6443, 8446, 9999]: listen(outside, 0, STREAM, address, port, b"outside")
            for port in [53, 9999]: listen(outside, 0, DGRAM, address, port, b"outside")
        for address in ["127.0.0.1", "::1"]:
            listen(pod, 1001, STREAM, address, 8444, b"proxy")
            listen(pod, 1001, STREAM, address, 8453, b"stub")
            listen(pod, 1001, DGRAM, address, 8453, b"stub")
            listen(pod, 1001, STREAM, address, 11434, b"model")
            listen(pod, 1000, STREAM, address, 18789, b"chat")
        for address in ["0.0.0.0", "::"]:
            for port in [8445, 9090]: listen(pod, 1001, STREAM, address, port, b"router")
            listen(pod, 1001, STREAM, address, 8446, big)
            listen(pod, 1000, STREAM, address, 7000, b"agent")

        for uid in [0, 1000, 1002, 65534]:
            for family, out, own, loop in [("v4", "198.51.100.1", "198.51.100.2", "127.0.0.1"), ("v6", "2001:db8::1", "2001:db8::2", "::1")]:
                name = f"{uid} {family} "
                started = time.time()
                results[name + "tcp 9999"] = tcp(pod, uid, out, 9999)
                results[name + "tcp 9999 is quick"] = time.time() - started < 1
                results[name + "tcp 8446 outside"] = tcp(pod, uid, out, 8446)
                results[name + "tcp 6443"] = tcp(pod, uid, out, 6443)
                results[name + "udp 9999"] = udp(pod, uid, out, 9999)
                results[name + "ping"] = ping(pod, uid, out)
                for port in [80, 443]: results[name + f"web {port}"] = tcp(pod, uid, out, port)
                results[name + "dns udp"] = udp(pod, uid, out, 53)
                results[name + "dns tcp"] = tcp(pod, uid, out, 53)
                results[name + "dns udp loopback"] = udp(pod, uid, loop, 53)
                for port in [8445, 8446, 9090]:
                    for where, address in [("loopback", loop), ("own address", own)]: results[name + f"{where} {port}"] = tcp(pod, uid, address, port)
                results[name + "loopback 11434"] = tcp(pod, uid, loop, 11434)
                results[name + "loopback 18789"] = tcp(pod, uid, loop, 18789)
                results[name + "own address 7000"] = tcp(pod, uid, own, 7000)
                if uid == 1000:
                    results[name + "bound to lo"] = tcp(pod, uid, out, 9999, device=b"lo", patience=0.5)
                    results[name + "bound to eth0"] = tcp(pod, uid, own, 8446, device=b"eth0")
        # What leaves on the wire for a loopback address.
        def sniff(ready):
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.settimeout(2.5); ready("ready")
            seen = 0
            try:
                while True:
                    frame = s.recv(4096)
                    kind = frame[12:14]
                    if kind == b"\x08\x00" and frame[30] == 127 or kind == b"\x86\xdd" and frame[38:54] == bytes(15) + b"\x01": seen += 1
            except TimeoutError: pass
            os.write(tell, str(seen).encode())
        wait, tell = os.pipe()
        spawn(outside, 0, sniff)
        for out, own in [("198.51.100.1", "198.51.100.2"), ("2001:db8::1", "2001:db8::2")]:
            for port in [443, 53]: results[f"1000 bound to eth0 {out} {port}"] = tcp(pod, 1000, out, port, device=b"eth0", patience=0.5)
            results[f"1000 bound to eth0 {out} udp 53"] = udp(pod, 1000, out, 53, device=b"eth0")
        results["loopback on the wire"] = int(os.read(wait, 16))
        results["1000 v4 other loopback 8446"] = tcp(pod, 1000, "127.8.9.1", 8446)
        results["1000 mapped 8446"] = tcp(pod, 1000, "::ffff:198.51.100.2", 8446)
        for family, out, own, loop in [("v4", "198.51.100.1", "198.51.100.2", "127.0.0.1"), ("v6", "2001:db8::1", "2001:db8::2", "::1")]:
            name = f"1001 {family} "
            for port in [80, 443, 9999]: results[name + f"tcp {port}"] = tcp(pod, 1001, out, port)
            for port in [53, 9999]: results[name + f"udp {port}"] = udp(pod, 1001, out, port)
            results[name + "loopback 11434"] = tcp(pod, 1001, loop, 11434)
            results[name + "chat"] = tcp(pod, 1001, loop, 18789)
            results[name + "inbound 8446, sent after close"] = tcp(outside, 0, own, 8446, everything=True)
            results[name + "inbound 9090"] = tcp(outside, 0, own, 9090)
            results[name + "inbound to the agent"] = tcp(outside, 0, own, 7000, patience=0.5)
            # The agent takes over a port of the router's whose connection the kernel still remembers as marked.
            results[name + "udp from 5555"] = udp(pod, 1001, out, 9999, source=(own, 5555))
            results[name + "agent's udp from 5555"] = udp(pod, 1000, out, 9999, source=(own, 5555))
            results[name + "tcp from 5556"] = tcp(pod, 1001, out, 9999, source=(own, 5556))
            results[name + "agent's tcp from 5556"] = tcp(pod, 1000, out, 9999, source=(own, 5556))
        stuck = subprocess.run(["nsenter", "-t", str(outside), "-n", "ss", "-Htan"], capture_output=True, text=True).stdout
        results["connections stuck outside"] = sum(word in stuck for word in ["LAST-ACK", "CLOSING", "FIN-WAIT-1"])
        print("RESULTS " + json.dumps(results))
        for child in children:
            try: os.kill(child, signal.SIGKILL)
            except ProcessLookupError: pass
        """#
}
