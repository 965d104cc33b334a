"""The tools that are compared: how each is asked, and how its words become a verdict.

A tool's answer is a verdict (`up`, `down`, or `inconclusive`, which only `uptime` has), where it can be read from its
words a cause in the vocabulary of `uptime`, and its phases in milliseconds.
"""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

PLUGINS = Path("/usr/lib/nagios/plugins")
PHASES = ["dns", "connect", "tls", "first byte", "total"]

# Each tool, the program that must be there, and Debian's package of it.
NEEDED = [
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("ping", "iputils-ping"),
    ("fping", "fping"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nginx", "nginx-light"),
    ("prometheus-blackbox-exporter", "prometheus-blackbox-exporter"),
    (PLUGINS / "check_tcp", "monitoring-plugins-basic"),
    (PLUGINS / "check_curl", "monitoring-plugins-standard"),
    ("liburiparser.so.1", "liburiparser1"),
]

# What the tools' words mean. Some can't tell two causes apart; then either is what `uptime` may say.
CAUSES = [
    (r"has expired or is not yet valid: current time \S+ is after", {"tls_expired"}),
    (r"not yet valid|verify error:num=9:", {"tls_not_yet_valid"}),
    (r"certificate has expired|verify error:num=10:", {"tls_expired"}),
    (r"self-signed certificate|verify error:num=18:", {"tls_self_signed", "tls_unknown_issuer"}),
    (r"unable to get local issuer|unknown authority|verify error:num=2[01]:", {"tls_unknown_issuer", "tls_self_signed"}),
    (r"no alternative certificate subject name|[Hh]ostname mismatch|certificate is valid for", {"tls_wrong_name"}),
    (r"unsupported protocol|protocol version|alert protocol", {"tls_too_old"}),
    (r"certificate required|bad certificate|alert handshake failure", {"tls_client_certificate", "tls_too_old"}),
    (r"refused", {"refused"}),
    (r"[Mm]aximum \(?\d+\)? redirects|redirects followed|maximum redirection depth|stopped after \d+ redirects",
     {"redirect"}),
    (r"no route to host|No route to host|[Hh]ost [Uu]nreachable|EHOSTUNREACH", {"unreachable"}),
    (r"HTTP/\S+ [45]\d\d|Invalid HTTP response code|returned error: \d+|Invalid HTTP version|Invalid HTTP response status",
     {"status"}),
    (r"dial tcp \S+ i/o timeout|Connection timed? ?out|Connection timeout", {"connect_timeout", "first_byte_timeout"}),
    (r"awaiting headers|[Tt]imed out after|deadline exceeded|Operation timed out|Socket timeout",
     {"connect_timeout", "first_byte_timeout", "body_timeout", "loss"}),
    (r"100% packet loss|100%loss|xmt/rcv/%loss = \d+/0/100%|loss = 100%", {"loss", "unreachable"}),
    (r"not found in|pattern not found|[Ff]ailed regexes|Body did not match|Unexpected response", {"assertion"}),
]


@dataclass
class Answer:
    verdict: str
    words: str = ""
    phases: dict = field(default_factory=dict)
    cause: str | None = None

    def causes(self):
        """The causes that its words allow; none when they are not known."""
        if self.cause:
            return {self.cause}
        if self.verdict == "up":
            return set()
        return next((causes for pattern, causes in CAUSES if re.search(pattern, self.words)), set())


def missing(needed=NEEDED):
    """The packages that must still be installed."""
    def there(program):
        if str(program).startswith("lib"):
            return program in subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
        return Path(program).exists() if isinstance(program, Path) else shutil.which(program, path=PATH)
    return [package for program, package in needed if not there(program)]


PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def ms(seconds):
    return float(seconds) * 1000


class Uptime:
    """`uptime check` where a target says it all; else the same engine with a check's settings."""

    def __init__(self, binary, ask, certificates):
        self.binary, self.ask_binary = binary, ask
        self.environment = {
            "PATH": PATH,
            "SSL_CERT_FILE": str(certificates.certificate("trusted")),
            "UPTIME_DATA_DIR": str(certificates.folder),
        }

    def version(self):
        return said([self.binary, "--version"]) if self.binary else "the engine alone"

    def ask(self, target, timeout, spec=None):
        if spec is None and self.binary:
            command = [self.binary, "check", target, "--format", "json", "--timeout", f"{timeout}s"]
        else:
            command = [self.ask_binary, str(timeout * 1000), json.dumps(spec) if spec else target]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        try:
            told = json.loads(done.stdout)
        except ValueError:
            raise SystemExit(f"error: {command} said nothing:\n{done.stdout}{done.stderr}")
        return self.from_command(told["checks"][0]) if "checks" in told else self.from_report(told)

    def from_command(self, told):
        names = {"dns": "dns_ms", "connect": "connect_ms", "tls": "tls_ms", "first byte": "first_byte_ms"}
        phases = {name: told["phases"].get(key) for name, key in names.items()} | {"total": told["total_ms"]}
        return Answer(told["outcome"], told["message"] or "", known(phases), told["class"])

    def from_report(self, told):
        def duration(took):
            return None if took is None else took["secs"] * 1e3 + took["nanos"] / 1e6
        report = told["report"]
        phases = {name.replace("_", " "): duration(took)
                  for name, took in (report["hops"][-1]["phases"] if report["hops"] else {}).items()}
        failure = report["failure"] or {"class": None, "message": ""}
        phases = known(phases) | {"total": told["total_ms"]}
        return Answer(told["outcome"], failure["message"], phases, failure["class"])


class Curl:
    WRITE = ("%{time_namelookup} %{time_connect} %{time_appconnect} %{time_pretransfer} "
             "%{time_starttransfer} %{time_total}")

    def __init__(self, certificates):
        self.authority = certificates.certificate("trusted")

    def version(self):
        return said(["curl", "--version"])

    def ask(self, target, timeout, *more):
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--fail", "--location", "--max-redirs", "5", "--noproxy", "*",
             "--max-time", str(timeout), "--cacert", self.authority, "--output", "/dev/null",
             "--write-out", self.WRITE, *more, target],
            capture_output=True, text=True)
        lookup, connect, tls, before, first, total = (ms(word) for word in done.stdout.split())
        phases = {"total": total}
        if lookup:
            phases["dns"] = lookup
        if connect:
            phases["connect"] = connect - lookup
        if tls:
            phases["tls"] = tls - connect
        if first:
            phases["first byte"] = first - before
        return Answer("down" if done.returncode else "up", done.stderr, phases)


class Openssl:
    """The handshake alone."""

    def __init__(self, certificates):
        self.authority = certificates.certificate("trusted")

    def version(self):
        return said(["openssl", "version"])

    def ask(self, target, timeout, *more):
        url = urllib.parse.urlsplit(target)
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{url.hostname}:{url.port or 443}", "-servername", url.hostname,
             "-verify_hostname", url.hostname, "-verify_return_error", "-CAfile", self.authority, *more],
            input="GET / HTTP/1.0\r\n\r\n", capture_output=True, text=True, timeout=timeout + 5)
        return Answer("down" if done.returncode else "up", done.stderr)


class Blackbox:
    """blackbox_exporter: one process with a module for each question."""

    ADDRESS = "127.0.0.1:9115"

    def __init__(self, folder, modules):
        settings = folder / "blackbox.yml"
        # JSON is YAML.
        settings.write_text(json.dumps({"modules": modules}))
        self.process = subprocess.Popen(
            ["prometheus-blackbox-exporter", f"--config.file={settings}", f"--web.listen-address={self.ADDRESS}"],
            stdout=subprocess.DEVNULL, stderr=open(folder / "blackbox.log", "w"))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://{self.ADDRESS}/-/healthy", timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"error: blackbox_exporter did not start:\n{(folder / 'blackbox.log').read_text()}")

    def version(self):
        return said(["prometheus-blackbox-exporter", "--version"])

    def ask(self, target, timeout, module):
        if not target.startswith("http"):
            target = target.partition("://")[2]
        if "[" in target and "]:" not in target:
            target = target.strip("[]")
        query = urllib.parse.urlencode({"target": target, "module": module, "debug": "true"})
        with urllib.request.urlopen(f"http://{self.ADDRESS}/probe?{query}", timeout=timeout + 5) as answer:
            text = answer.read().decode()

        def sample(name):
            found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
            return float(found[1]) if found else None

        def phase(name):
            kinds = [sample(f'probe_{kind}_duration_seconds{{phase="{name}"}}') for kind in ("http", "icmp")]
            return next((ms(took) for took in kinds if took), None)

        lookup = sample("probe_dns_lookup_time_seconds")
        phases = {
            "dns": phase("resolve") or (ms(lookup) if lookup else None),
            "connect": phase("connect"),
            "tls": phase("tls"),
            "first byte": phase("processing") or phase("rtt"),
            "total": ms(sample("probe_duration_seconds")),
        }
        words = "\n".join(line for line in text.split("Metrics that would")[0].splitlines() if "level=error" in line
                          or "level=info" in line and "msg=\"Invalid" in line or "did not match" in line)
        return Answer("up" if sample("probe_success") else "down", words, known(phases))


class Plugin:
    """One of the monitoring plugins: its exit code is its verdict."""

    PERFDATA = {"time": "total", "time_connect": "connect", "time_ssl": "tls", "time_firstbyte": "first byte",
                "rta": "first byte"}

    def __init__(self, name):
        self.name = name

    def version(self):
        return said([PLUGINS / self.name, "--version"])

    def ask(self, _target, timeout, *arguments):
        done = subprocess.run([PLUGINS / self.name, "-t", str(timeout), *arguments], capture_output=True, text=True)
        words, _, perfdata = done.stdout.partition("|")
        phases = {}
        for name, value, unit in re.findall(r"'?(\w+)'?=([\d.]+)(ms|s)\b", perfdata):
            if name in self.PERFDATA and self.name != "check_curl" or name in ("time", "time_connect", "time_ssl"):
                phases[self.PERFDATA[name]] = float(value) * (1 if unit == "ms" else 1000)
        return Answer("down" if done.returncode else "up", words + done.stderr, phases)


class Ping:
    """`ping` of iputils."""

    def version(self):
        return said(["ping", "-V"])

    def ask(self, target, timeout, *more):
        host = target.removeprefix("ping://").strip("[]")
        done = subprocess.run(["ping", "-n", "-c", "3", "-i", "0.2", "-W", str(timeout), *more, host],
                              capture_output=True, text=True)
        rtt = re.search(r"rtt min/avg/max/mdev = [\d.]+/([\d.]+)/", done.stdout)
        return Answer("down" if done.returncode else "up", done.stdout + done.stderr,
                      {"first byte": float(rtt[1])} if rtt else {})


class Fping:
    def version(self):
        return said(["fping", "--version"])

    def ask(self, target, timeout, *more):
        host = target.removeprefix("ping://").strip("[]")
        done = subprocess.run(["fping", "-q", "-c", "3", "-p", "200", "-t", str(timeout * 1000), *more, host],
                              capture_output=True, text=True)
        rtt = re.search(r"min/avg/max = [\d.]+/([\d.]+)/", done.stderr)
        return Answer("down" if done.returncode else "up", done.stderr + done.stdout,
                      {"first byte": float(rtt[1])} if rtt else {})


def known(phases):
    return {name: took for name, took in phases.items() if took is not None and name in PHASES}


def said(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0]
