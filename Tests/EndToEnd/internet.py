"""What lies outside the sandbox in the tests: names, web pages over HTTP and HTTPS, and a log of who came.

usage: internet.py IPV4 IPV6 DIRECTORY. Prints `ready` once everything listens. Every name below `.example` resolves to the
two addresses; `private.example` to a private one, `metadata.example` to the metadata service.
"""
import http.server
import pathlib
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading

IPV4, IPV6, DIRECTORY = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
LOG = DIRECTORY / "internet.log"
SPECIAL = {"private.example": "10.1.2.3", "metadata.example": "169.254.169.254"}
lock = threading.Lock()


def log(line):
    with lock, LOG.open("a") as file:
        file.write(line + "\n")


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        log(f"{scheme} {self.headers.get('Host')} {self.path}")
        body = f"hello from {self.headers.get('Host')}{self.path}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class WebServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "internet", self.server_address[1]


def answer(query):
    """A DNS response (RFC 1035) to one query: A and AAAA below `.example`, NXDOMAIN for the rest."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += query[at] + 1
    question = query[12:at + 5]
    kind = struct.unpack("!H", query[at + 1:at + 3])[0]
    name = ".".join(labels).lower()
    log(f"dns {name} {kind}")
    records = []
    if name.endswith(".example"):
        if kind == 1:
            records.append(socket.inet_pton(socket.AF_INET, SPECIAL.get(name, IPV4)))
        elif kind == 28 and name not in SPECIAL:
            records.append(socket.inet_pton(socket.AF_INET6, IPV6))
    code = 0 if name.endswith(".example") else 3
    header = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0)
    body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 30, len(data)) + data for data in records)
    return header + question + body


class DNS(socketserver.BaseRequestHandler):
    def handle(self):
        data, connection = self.request
        connection.sendto(answer(data), self.client_address)


class DNSServer(socketserver.ThreadingUDPServer):
    daemon_threads = True


subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=internet", "-addext",
     "subjectAltName=DNS:*.example", "-keyout", DIRECTORY / "key.pem", "-out", DIRECTORY / "cert.pem"],
    check=True, capture_output=True)
plain = WebServer(("::", 80), Web)
secure = WebServer(("::", 443), Web)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(DIRECTORY / "cert.pem", DIRECTORY / "key.pem")
secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
for server in (plain, secure, DNSServer((IPV4, 53), DNS)):
    threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
