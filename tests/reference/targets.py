"""The targets of the comparison: good ones and bad ones, all inside one network namespace.

Names are looked up in a hosts file that only this namespace sees. The address of `hole.test` is in a network behind a
peer that drops what it gets, and that of `cut.test` in one of which the peer says that there is no way there.
"""

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

# Every name has an address of its own on the loopback, so that each can use the port that its protocol has.
ADDRESSES = {
    "web.test": "127.0.1.1",
    "tls13.test": "127.0.1.2",
    "tls12.test": "127.0.1.3",
    "h2c.test": "127.0.1.4",
    "expired.test": "127.0.2.1",
    "future.test": "127.0.2.2",
    "wrong.test": "127.0.2.3",
    "unknown.test": "127.0.2.4",
    "selfsigned.test": "127.0.2.5",
    "selfca.test": "127.0.2.6",
    "old10.test": "127.0.2.7",
    "old11.test": "127.0.2.8",
    "client.test": "127.0.2.9",
    "slow.test": "127.0.3.1",
    "hang.test": "127.0.3.2",
    "banner.test": "127.0.3.3",
    "smtp.test": "127.0.3.4",
    "redis.test": "127.0.3.5",
    "hole.test": "198.51.100.1",
    "cut.test": "203.0.113.1",
}

BODY = "all is well\n"


def run(*command, **options):
    """Runs a command that must succeed, and shows what it said when it does not."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"error: `{' '.join(map(str, command))}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def enter_names(folder: Path):
    """Makes the names known in this mount namespace."""
    hosts = folder / "hosts"
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    lines += [f"{address} {name}" for name, address in ADDRESSES.items()]
    hosts.write_text("\n".join(lines) + "\n")
    run("mount", "--bind", hosts, "/etc/hosts")


def enter_network():
    """Brings the loopback up, and a peer with the two networks that are not there."""
    run("ip", "link", "set", "lo", "up")
    peer = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    inside = ["nsenter", f"--net=/proc/{peer.pid}/ns/net"]
    mine = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{peer.pid}/ns/net") == mine:
        time.sleep(0.01)
    run("ip", "link", "add", "far", "type", "veth", "peer", "name", "near", "netns", str(peer.pid))
    run(*inside, "ip", "link", "set", "lo", "up")
    run(*inside, "ip", "address", "add", "192.0.2.2/24", "dev", "near")
    run(*inside, "ip", "link", "set", "near", "up")
    run(*inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    # By default it tells each peer once a second alone.
    run(*inside, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/icmp_ratelimit")
    run(*inside, "ip", "route", "add", "blackhole", "198.51.100.0/24")
    run(*inside, "ip", "route", "add", "unreachable", "203.0.113.0/24")
    run("ip", "address", "add", "192.0.2.1/24", "dev", "far")
    run("ip", "link", "set", "far", "up")
    run("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.2")
    run("ip", "route", "add", "203.0.113.0/24", "via", "192.0.2.2")


class Certificates:
    """An authority that the tools trust, one that they don't, and certificates with every fault."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.authority("trusted")
        self.authority("another")
        for name in ["web.test", "tls13.test", "tls12.test", "old10.test", "old11.test", "client.test", "smtp.test"]:
            self.issue(name)
        self.issue("expired.test", start="20190101000000Z", end="20200101000000Z")
        self.issue("future.test", start="20480101000000Z", end="20490101000000Z")
        self.issue("wrong.test", names="DNS:other.example")
        self.issue("unknown.test", by="another")
        self.issue("visitor", names="DNS:visitor")
        self.self_signed("selfsigned.test", "CA:FALSE")
        self.self_signed("selfca.test", "CA:TRUE")

    def key(self, name):
        return self.folder / f"{name}.key"

    def certificate(self, name):
        return self.folder / f"{name}.pem"

    def self_signed(self, name, constraint, *more):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", self.key(name), "-out", self.certificate(name), "-days", "30", "-subj", f"/CN={name}",
            "-addext", f"subjectAltName=DNS:{name}", "-addext", f"basicConstraints=critical,{constraint}", *more)

    def authority(self, name):
        self.self_signed(name, "CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        (self.folder / f"{name}.index").touch()
        (self.folder / f"{name}.serial").write_text("01\n")

    def issue(self, name, by="trusted", names=None, start=None, end=None):
        request = self.folder / f"{name}.csr"
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", self.key(name), "-out", request, "-subj", f"/CN={name}")
        settings = self.folder / f"{name}.cnf"
        settings.write_text(f"""
[ca]
default_ca = it
[it]
database = {self.folder}/{by}.index
serial = {self.folder}/{by}.serial
new_certs_dir = {self.folder}
default_md = sha256
policy = any
unique_subject = no
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
subjectAltName = {names or "DNS:" + name}
extendedKeyUsage = serverAuth,clientAuth
""")
        when = ["-startdate", start, "-enddate", end] if start else ["-days", "30"]
        run("openssl", "ca", "-batch", "-notext", "-config", settings, "-cert", self.certificate(by),
            "-keyfile", self.key(by), "-in", request, "-out", self.certificate(name), *when)


def start_nginx(folder: Path, certificates: Certificates):
    """Everything that a well-kept web server does, good and bad."""
    def server(name, protocols):
        return f"""
    server {{
        listen {ADDRESSES[name]}:443 ssl http2;
        ssl_certificate {certificates.certificate(name)};
        ssl_certificate_key {certificates.key(name)};
        ssl_protocols {protocols};
        location / {{ default_type text/plain; return 200 "{BODY.strip()}"; }}
    }}"""

    settings = folder / "nginx.conf"
    settings.write_text(f"""
user root;
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    absolute_redirect off;
    server {{
        listen {ADDRESSES["web.test"]}:80;
        location / {{ default_type text/plain; return 200 "{BODY.strip()}"; }}
        location /missing {{ return 404; }}
        location /broken {{ return 500; }}
        location /moved {{ return 302 /here; }}
        location /loop {{ return 302 /loop; }}
    }}
    server {{
        listen {ADDRESSES["h2c.test"]}:80 http2;
        location / {{ default_type text/plain; return 200 "{BODY.strip()}"; }}
    }}
    {server("web.test", "TLSv1.2 TLSv1.3")}
    {server("tls13.test", "TLSv1.3")}
    {server("tls12.test", "TLSv1.2")}
}}
""")
    subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", settings], stderr=subprocess.DEVNULL)


def start_tls(certificates: Certificates, name, *more):
    """`openssl s_server`, which answers HTTP with a page about the handshake."""
    subprocess.Popen(["openssl", "s_server", "-accept", f"{ADDRESSES[name]}:443", "-www", "-quiet",
                      "-cert", certificates.certificate(name), "-key", certificates.key(name), *more],
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def serve(name, port, speak):
    """Runs `speak` with each connection, in a thread of its own."""
    listener = socket.create_server((ADDRESSES[name], port), backlog=64)

    def guarded(connection):
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(30)
            speak(connection)
        except OSError:
            pass  # A tool that has seen enough.
        finally:
            connection.close()

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=guarded, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def answer_late(connection):
    connection.recv(65536)
    time.sleep(0.3)
    connection.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {len(BODY)}\r\nconnection: close\r\n\r\n{BODY}".encode())


def never_answer(connection):
    while connection.recv(65536):
        pass


def greet(connection):
    connection.sendall(b"220 banner.test at your service\r\n")
    never_answer(connection)


def speak_redis(connection):
    while received := connection.recv(65536):
        connection.sendall(b"+PONG\r\n" if b"PING" in received.upper() else b"-ERR unknown command\r\n")


def speak_smtp(context):
    def speak(connection):
        connection.sendall(b"220 smtp.test ESMTP\r\n")
        lines = connection.makefile("rb")
        secure = False
        while line := lines.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"EHLO":
                offer = b"" if secure else b"250-STARTTLS\r\n"
                connection.sendall(b"250-smtp.test\r\n" + offer + b"250 SIZE 10240000\r\n")
            elif word == b"STARTTLS" and not secure:
                connection.sendall(b"220 go ahead\r\n")
                connection = context.wrap_socket(connection, server_side=True)
                lines = connection.makefile("rb")
                secure = True
            elif word == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 fine\r\n")
    return speak


def wait_for(name, port):
    """Until somebody listens there."""
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((ADDRESSES[name], port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"error: nothing listens at {name}:{port}: {error}")
            time.sleep(0.02)


def start(folder: Path) -> Certificates:
    """Starts all targets; they end with this process' namespace."""
    enter_network()
    enter_names(folder)
    certificates = Certificates(folder)
    start_nginx(folder, certificates)
    faults = ["expired.test", "future.test", "wrong.test", "unknown.test", "selfsigned.test", "selfca.test"]
    for name in faults:
        start_tls(certificates, name)
    # Debian's level of security refuses these versions even where they are named.
    start_tls(certificates, "old10.test", "-tls1", "-cipher", "DEFAULT@SECLEVEL=0")
    start_tls(certificates, "old11.test", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    start_tls(certificates, "client.test", "-Verify", "1", "-verify_return_error",
              "-CAfile", certificates.certificate("trusted"))
    serve("slow.test", 80, answer_late)
    serve("hang.test", 80, never_answer)
    serve("banner.test", 2525, greet)
    serve("redis.test", 6379, speak_redis)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate("smtp.test"), certificates.key("smtp.test"))
    serve("smtp.test", 25, speak_smtp(context))
    for name in ["web.test", "tls13.test", "tls12.test", *faults, "old10.test", "old11.test", "client.test"]:
        wait_for(name, 443)
    for name in ["web.test", "h2c.test"]:
        wait_for(name, 80)
    return certificates
