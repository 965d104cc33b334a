"""The questions of the comparison, and what each tool is given to ask the same.

A question without an entry for a tool is one that the tool can't ask. `reasons` holds, by tool, why its verdict may
differ: the table shows it, and only then is a difference no failure.
"""

import copy
from dataclasses import dataclass, field

from targets import ADDRESSES

TIMEOUT = 2


@dataclass
class Question:
    target: str
    text: str
    # What `uptime` must say: `up`, or the class of its failure.
    expected: str
    # Arguments by the tool's name; for `uptime` a check's settings or None, for `blackbox` a module.
    tools: dict = field(default_factory=dict)
    reasons: dict = field(default_factory=dict)

    def is_slow(self):
        return self.expected in ("connect_timeout", "first_byte_timeout", "body_timeout", "loss")


def questions(certificates):
    trusted = str(certificates.certificate("trusted"))
    lookup = {"ip": "any"}

    def http_spec(url, **settings):
        expect = {"status": ["2xx"]} | settings.pop("expect", {})
        return {"type": "http", "url": url, "method": "GET", "redirects": 5, "expect": expect, "lookup": lookup} | settings

    def tcp_spec(host, port, **settings):
        return {"type": "tcp", "host": host, "port": port, "lookup": lookup} | settings

    def http(url, text, expected, uptime=None, curl=(), blackbox=None, plugin=(), openssl=None, reasons=None, **other):
        """A question that every tool for HTTP can ask; a tool that can't is given as False."""
        secure = url.startswith("https")
        host, _, path = url.split("://")[1].partition("/")
        probe = {"preferred_ip_protocol": "ip4", "no_follow_redirects": False}
        if secure:
            probe["tls_config"] = {"ca_file": trusted}
        tools = {"uptime": uptime}
        if curl is not False:
            tools["curl"] = list(curl)
        if openssl is not None:
            tools["openssl"] = list(openssl)
        if blackbox is not False:
            tools["blackbox"] = {"prober": "http", "timeout": f"{TIMEOUT}s", "http": probe | (blackbox or {})}
        if plugin is not False:
            checked = ["-S", "--sni", "-D", f"--ca-cert={trusted}"] if secure else []
            tools["check_curl"] = ["-H", host, "-I", ADDRESSES[host], "-u", f"/{path}", "-E", "-f", "follow",
                                   "--max-redirs=5", *checked, *plugin]
        return Question(url, text, expected, tools | other, reasons or {})

    def tls(name, text, expected, openssl=(), **more):
        return http(f"https://{name}/", text, expected, openssl=openssl, **more)

    def tcp(name, port, text, expected, uptime=None, blackbox=None, plugin=(), reasons=None, **other):
        probe = {"preferred_ip_protocol": "ip4"} | (blackbox or {})
        tools = {
            "uptime": uptime,
            "blackbox": {"prober": "tcp", "timeout": f"{TIMEOUT}s", "tcp": probe},
            "check_tcp": ["-H", name, "-p", str(port), *plugin],
        }
        return Question(f"tcp://{name}:{port}", text, expected, tools | other, reasons or {})

    def ping(host, text, expected, family="4", reasons=None):
        probe = {"preferred_ip_protocol": f"ip{family}"}
        bare = host.strip("[]")
        tools = {
            "uptime": None,
            "ping": [],
            "fping": [f"-{family}"],
            "blackbox": {"prober": "icmp", "timeout": f"{TIMEOUT}s", "icmp": probe},
            "check_ping": [f"-{family}", "-H", bare, "-w", "500,100%", "-c", "1000,100%", "-p", "3"],
        }
        return Question(f"ping://{host}", text, expected, tools, reasons or {})

    visitor = {"cert": str(certificates.certificate("visitor")), "key": str(certificates.key("visitor"))}
    identity = {"certificate": visitor["cert"], "key": {"file": visitor["key"]}}
    ca_leaf = ("webpki takes no CA's certificate as a server's own, whoever trusts it; the tools with OpenSSL and Go "
               "do, and here nobody trusts it")

    return [
        http("http://web.test/", "status 200", "up"),
        http("http://web.test/missing", "status 404", "status"),
        http("http://web.test/broken", "status 500", "status"),
        http("http://slow.test/", "first byte after 300 ms", "up"),
        http("http://web.test/moved", "a redirect", "up"),
        http("http://web.test/loop", "a redirect loop", "redirect",
             reasons={"blackbox": "down as well: Go's client gives up and hands over the last 302, which it then judges"}),
        http("http://web.test/", "the body has `all is well`", "up",
             uptime=http_spec("http://web.test/", expect={"body_contains": ["all is well"]}),
             curl=False, blackbox={"fail_if_body_not_matches_regexp": ["all is well"]}, plugin=["-s", "all is well"]),
        http("http://web.test/", "the body has `trouble`", "assertion",
             uptime=http_spec("http://web.test/", expect={"body_contains": ["trouble"]}),
             curl=False, blackbox={"fail_if_body_not_matches_regexp": ["trouble"]}, plugin=["-s", "trouble"]),
        http("http://hang.test/", "accepts and never answers", "first_byte_timeout"),
        http("http://web.test:81/", "a port that nobody listens on", "refused", plugin=False,
             check_curl=["-H", "web.test", "-I", ADDRESSES["web.test"], "-p", "81", "-E"]),
        http("http://hole.test/", "a black hole", "connect_timeout"),
        http("http://cut.test/", "a network that is not there", "unreachable"),
        http("http://h2c.test/", "HTTP/2 alone, without TLS", "up",
             uptime=http_spec("http://h2c.test/", versions="2"), curl=["--http2-prior-knowledge"],
             plugin=False, reasons={"blackbox": "Go's client speaks HTTP/2 over TLS alone"}),
        tls("web.test", "HTTP/2 or 1.1 over TLS", "up"),
        tls("tls12.test", "TLS 1.2 alone", "up", ["-tls1_2"]),
        tls("tls13.test", "TLS 1.3 alone", "up", ["-tls1_3"]),
        tls("expired.test", "an expired certificate", "tls_expired"),
        tls("future.test", "a certificate of the future", "tls_not_yet_valid"),
        tls("wrong.test", "another host's certificate", "tls_wrong_name"),
        tls("unknown.test", "an issuer that is not trusted", "tls_unknown_issuer"),
        tls("selfsigned.test", "a self-signed certificate", "tls_self_signed"),
        tls("selfca.test", "a self-signed CA's certificate", "tls_self_signed", reasons={"note": ca_leaf}),
        tls("old10.test", "TLS 1.0 alone", "tls_too_old"),
        tls("old11.test", "TLS 1.1 alone", "tls_too_old"),
        tls("client.test", "a client certificate is demanded", "tls_client_certificate",
            # With TLS 1.3 the refusal comes after the handshake, when `s_client` has seen enough.
            ["-tls1_2"]),
        tls("client.test", "a client certificate is shown", "up",
            uptime=http_spec("https://client.test/", tls={"client": identity}),
            curl=["--cert", visitor["cert"], "--key", visitor["key"]],
            openssl=["-cert", visitor["cert"], "-key", visitor["key"]],
            blackbox={"tls_config": {"ca_file": trusted, "cert_file": visitor["cert"], "key_file": visitor["key"]}},
            plugin=[f"--client-cert={visitor['cert']}", f"--private-key={visitor['key']}"]),
        tls("expired.test", "an expired certificate, not verified", "up",
            uptime=http_spec("https://expired.test/", tls={"verify": False}), curl=["--insecure"],
            openssl=None, blackbox={"tls_config": {"insecure_skip_verify": True}}, plugin=False),
        tcp("web.test", 80, "a connection", "up"),
        tcp("web.test", 81, "a port that nobody listens on", "refused"),
        tcp("hole.test", 80, "a black hole", "connect_timeout"),
        tcp("banner.test", 2525, "the banner has `service`", "up",
            uptime=tcp_spec("banner.test", 2525, banner={"text": "service"}),
            blackbox={"query_response": [{"expect": "service"}]}, plugin=["-e", "service", "-A"]),
        tcp("banner.test", 2525, "the banner has `ESMTP`", "body_timeout",
            uptime=tcp_spec("banner.test", 2525, banner={"text": "ESMTP"}),
            blackbox={"query_response": [{"expect": "ESMTP"}]}, plugin=["-e", "ESMTP", "-A", "-M", "crit"]),
        tcp("redis.test", 6379, "`PING` is answered `+PONG`", "up",
            uptime=tcp_spec("redis.test", 6379, send={"text": "PING\r\n"}, expect={"text": "+PONG"}),
            blackbox={"query_response": [{"send": "PING\r"}, {"expect": "PONG"}]},
            plugin=["-E", "-s", "PING\\r\\n", "-e", "+PONG"]),
        tcp("smtp.test", 25, "STARTTLS of SMTP", "up",
            uptime=tcp_spec("smtp.test", 25, starttls="smtp", tls={"verify": True}),
            blackbox={"query_response": [{"expect": "^220"}, {"send": "EHLO probe\r"}, {"expect": "^250[ -]STARTTLS"},
                                         {"expect": "^250 "}, {"send": "STARTTLS\r"}, {"expect": "^220"},
                                         {"starttls": True}],
                      "tls_config": {"ca_file": trusted, "server_name": "smtp.test"}},
            openssl=["-starttls", "smtp"], check_smtp=["-H", "smtp.test", "-S"]),
        ping("127.0.0.1", "the loopback", "up"),
        ping("[::1]", "the loopback", "up", family="6"),
        ping("hole.test", "a black hole", "loss"),
        ping("cut.test", "a network that is not there", "unreachable"),
    ]


def modules(asked):
    """The modules of blackbox_exporter, and the questions with their module's name in place."""
    found, named = {}, []
    for index, question in enumerate(asked):
        question = copy.copy(question)
        question.tools = dict(question.tools)
        module = question.tools.pop("blackbox", None)
        if module:
            found[f"q{index}"] = module
            question.tools["blackbox"] = [f"q{index}"]
        named.append(question)
    return found, named
