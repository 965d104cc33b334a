//! The flags of `uptime check`, put into what is checked. A flag that nothing here has a use for is a usage error: who
//! writes it means something by it.

use super::values;
use crate::args::CheckArgs;
use crate::exit::{CommandError, Exit};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use uptime_core::expectation::{HeaderCondition, JsonCondition};
use uptime_core::monitor::{
    Auth, Bytes, CheckSpec, ClientIdentity, ExpectedBytes, HttpSpec, Lookup, PingSpec, TcpSpec, TlsSpec,
    Words,
};
use uptime_core::secret::SecretRef;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    All,
    Http,
    Tcp,
    /// `https`, perhaps after a redirect, and TCP with TLS.
    Tls,
    Ping,
}

impl For {
    fn has_use(self, spec: &CheckSpec) -> bool {
        match (self, spec) {
            (Self::All, _)
            | (Self::Http, CheckSpec::Http(_))
            | (Self::Tcp, CheckSpec::Tcp(_))
            | (Self::Ping, CheckSpec::Ping(_)) => true,
            (Self::Tls, CheckSpec::Http(http)) => http.url.scheme() == "https" || http.redirects > 0,
            (Self::Tls, CheckSpec::Tcp(tcp)) => tcp.tls.is_some(),
            _ => false,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::All => "any target",
            Self::Http => "`http://` and `https://`",
            Self::Tcp => "`tcp://`",
            Self::Tls => "`https://`, and for `tcp://` with `--tls` or `--starttls`",
            Self::Ping => "`ping://`",
        }
    }
}

pub(super) fn apply(args: &CheckArgs, specs: &mut [&mut CheckSpec]) -> Result<(), CommandError> {
    for spec in specs.iter_mut() {
        match &mut **spec {
            CheckSpec::Http(http) => to_http(args, http),
            CheckSpec::Tcp(tcp) => to_tcp(args, tcp),
            CheckSpec::Ping(ping) => to_ping(args, ping),
        }
    }
    let unused = given(args)
        .into_iter()
        .find(|(_, is_given, whom)| *is_given && !specs.iter().any(|spec| whom.has_use(spec)));
    if let Some((flag, _, whom)) = unused {
        return Err(CommandError::new(Exit::Usage, format!("`{flag}` has no use for these targets"))
            .hint(format!("it is for {}", whom.words())));
    }
    values::look_over(args)?;
    let headers = values::headers(&args.http)?;
    for spec in specs.iter_mut() {
        if let CheckSpec::Http(http) = &mut **spec {
            to_headers(&headers, &mut http.headers);
        }
        if let Some(conflict) = spec.conflicts(&Flags(args)).into_iter().next() {
            return Err(CommandError::new(Exit::Usage, conflict.message).hint(conflict.hint));
        }
    }
    Ok(())
}

/// The settings as the command line calls them.
struct Flags<'a>(&'a CheckArgs);

/// The flag for a setting that may contradict another.
fn flag(key: &str) -> Option<&'static str> {
    Some(match key {
        "ip" => "--ip",
        "method" => "--method",
        "http_version" => "--http-version",
        "redirects" => "--redirects",
        "downgrade" => "--downgrade",
        "expect.final_url" => "--expect-final-url",
        "expect.http_version" => "--expect-http-version",
        "expect.tls_version" => "--expect-tls-version",
        "expect.body_contains" => "--expect-body",
        "expect.body_not_contains" => "--expect-no-body",
        "expect.body_matches" => "--expect-match",
        "expect.json" => "--expect-json",
        "expect.latency_below" | "latency_below" => "--expect-latency",
        "expect.degraded_above" | "degraded_above" => "--warn-latency",
        "loss_below" => "--expect-loss",
        "loss_degraded" => "--warn-loss",
        _ => return None,
    })
}

impl Words for Flags<'_> {
    fn name(&self, key: &str) -> String {
        let is_given = |flag| given(self.0).into_iter().any(|(name, is_given, _)| name == flag && is_given);
        match flag(key).filter(|flag| is_given(*flag)) {
            Some(flag) => format!("`{flag}`"),
            None if matches!(key, "url" | "host") => "the target".into(),
            None => format!("the monitor's `{}`", key.trim_start_matches("expect.")),
        }
    }

    fn with(&self, key: &str, value: &str) -> String {
        match flag(key) {
            Some(flag) if value == "true" => format!("`{flag}`"),
            Some(flag) => format!("`{flag} {}`", value.trim_matches('"')),
            None => format!("`{key} = {value}`"),
        }
    }
}

/// Each flag, whether it is there, and what it is for.
fn given(args: &CheckArgs) -> Vec<(&'static str, bool, For)> {
    let CheckArgs { expect, http, tls, tcp, ping, .. } = args;
    vec![
        ("--expect-latency", expect.expect_latency.is_some(), For::All),
        ("--warn-latency", expect.warn_latency.is_some(), For::All),
        ("--ip", expect.ip.is_some(), For::All),
        ("--resolver", expect.resolver.is_some(), For::All),
        ("--expect-status", !http.expect_status.is_empty(), For::Http),
        ("--expect-body", !http.expect_body.is_empty(), For::Http),
        ("--expect-no-body", !http.expect_no_body.is_empty(), For::Http),
        ("--expect-match", !http.expect_match.is_empty(), For::Http),
        ("--expect-json", !http.expect_json.is_empty(), For::Http),
        ("--expect-header", !http.expect_header.is_empty(), For::Http),
        ("--expect-size", http.expect_size.is_some(), For::Http),
        ("--expect-final-url", http.expect_final_url.is_some(), For::Http),
        ("--expect-http-version", !http.expect_http_version.is_empty(), For::Http),
        ("--method", http.method.is_some(), For::Http),
        ("--header", !http.header.is_empty(), For::Http),
        ("--header-env", !http.header_env.is_empty(), For::Http),
        ("--data", http.data.is_some(), For::Http),
        ("--user", http.user.is_some(), For::Http),
        ("--password-env", http.password_env.is_some(), For::Http),
        ("--bearer-env", http.bearer_env.is_some(), For::Http),
        ("--redirects", http.redirects.is_some(), For::Http),
        ("--downgrade", http.downgrade, For::Http),
        ("--redirect-to-private", http.redirect_to_private, For::Http),
        ("--http-version", http.http_version.is_some(), For::Http),
        ("--compression", http.compression, For::Http),
        ("--proxy", http.proxy.is_some(), For::Http),
        ("--proxy-env", http.proxy_env.is_some(), For::Http),
        ("--certificate-days", tls.certificate_days.is_some(), For::Tls),
        ("--expect-tls-version", tls.expect_tls_version.is_some(), For::Tls),
        ("--no-verify", tls.no_verify, For::Tls),
        ("--ca", tls.ca.is_some(), For::Tls),
        ("--client-certificate", tls.client_certificate.is_some(), For::Tls),
        ("--client-key", tls.client_key.is_some(), For::Tls),
        ("--server-name", tls.server_name.is_some(), For::Tls),
        ("--tls", tcp.tls, For::Tcp),
        ("--starttls", tcp.starttls.is_some(), For::Tcp),
        ("--expect-banner", tcp.expect_banner.is_some(), For::Tcp),
        ("--send", tcp.send.is_some(), For::Tcp),
        ("--send-env", tcp.send_env.is_some(), For::Tcp),
        ("--expect-text", tcp.expect_text.is_some(), For::Tcp),
        ("--pings", ping.pings.is_some(), For::Ping),
        ("--spacing", ping.spacing.is_some(), For::Ping),
        ("--size", ping.size.is_some(), For::Ping),
        ("--expect-loss", ping.expect_loss.is_some(), For::Ping),
        ("--warn-loss", ping.warn_loss.is_some(), For::Ping),
        ("--expect-min", ping.expect_min.is_some(), For::Ping),
        ("--expect-max", ping.expect_max.is_some(), For::Ping),
        ("--expect-jitter", ping.expect_jitter.is_some(), For::Ping),
    ]
}

/// Sets what somebody asked for.
fn set<T>(place: &mut T, asked: Option<T>) {
    if let Some(asked) = asked {
        *place = asked;
    }
}

/// Sets what somebody asked for where there may be nothing.
fn put<T: Clone>(place: &mut Option<T>, asked: Option<&T>) {
    if let Some(asked) = asked {
        *place = Some(asked.clone());
    }
}

fn literal(text: &str) -> SecretRef {
    SecretRef::Literal(text.to_owned())
}

fn variable(name: &str) -> SecretRef {
    SecretRef::Env { env: name.to_owned() }
}

fn to_lookup(args: &CheckArgs, lookup: &mut Lookup) {
    set(&mut lookup.ip, args.expect.ip);
    put(&mut lookup.resolver, args.expect.resolver.as_ref());
}

fn to_tls(args: &CheckArgs, tls: &mut TlsSpec) {
    let flags = &args.tls;
    tls.verify &= !flags.no_verify;
    put(&mut tls.ca, flags.ca.as_ref());
    put(&mut tls.server_name, flags.server_name.as_ref());
    if let (Some(certificate), Some(key)) = (&flags.client_certificate, &flags.client_key) {
        let key = SecretRef::File { file: key.clone() };
        tls.client = Some(ClientIdentity { certificate: certificate.clone(), key });
    }
}

fn to_http(args: &CheckArgs, spec: &mut HttpSpec) {
    let flags = &args.http;
    to_lookup(args, &mut spec.lookup);
    to_tls(args, &mut spec.tls);
    put(&mut spec.body, flags.data.as_ref());
    let method = flags.method.clone().or_else(|| flags.data.as_ref().map(|_| "POST".to_owned()));
    set(&mut spec.method, method);
    let basic = flags.user.as_ref().zip(flags.password_env.as_ref());
    let basic = basic.map(|(user, name)| Auth::Basic { user: user.clone(), password: variable(name) });
    let bearer = flags.bearer_env.as_ref().map(|name| Auth::Bearer { token: variable(name) });
    put(&mut spec.auth, basic.or(bearer).as_ref());
    set(&mut spec.redirects, flags.redirects);
    spec.downgrade |= flags.downgrade;
    spec.redirect_to_private |= flags.redirect_to_private;
    spec.compression |= flags.compression;
    set(&mut spec.versions, flags.http_version);
    let proxy = flags.proxy.as_deref().map(literal).or_else(|| flags.proxy_env.as_deref().map(variable));
    put(&mut spec.proxy, proxy.as_ref());
    let expect = &mut spec.expect;
    set(&mut expect.status, Some(flags.expect_status.clone()).filter(|all| !all.is_empty()));
    expect.body_contains.extend(flags.expect_body.iter().cloned());
    expect.body_not_contains.extend(flags.expect_no_body.iter().cloned());
    expect.body_matches.extend(flags.expect_match.iter().cloned());
    expect.json.extend(flags.expect_json.iter().map(JsonCondition::clone));
    expect.headers.extend(flags.expect_header.iter().map(HeaderCondition::clone));
    put(&mut expect.size_below, flags.expect_size.as_ref());
    put(&mut expect.final_url, flags.expect_final_url.as_ref());
    expect.http_version.extend(&flags.expect_http_version);
    put(&mut expect.tls_version, args.tls.expect_tls_version.as_ref());
    set(&mut expect.certificate_days, args.tls.certificate_days);
    put(&mut expect.latency_below, args.expect.expect_latency.as_ref());
    put(&mut expect.degraded_above, args.expect.warn_latency.as_ref());
}

fn to_headers(asked: &[(String, SecretRef)], headers: &mut BTreeMap<String, SecretRef>) {
    for (name, value) in asked {
        headers.retain(|other, _| !other.eq_ignore_ascii_case(name));
        headers.insert(name.clone(), value.clone());
    }
}

fn to_tcp(args: &CheckArgs, spec: &mut TcpSpec) {
    let flags = &args.tcp;
    to_lookup(args, &mut spec.lookup);
    put(&mut spec.starttls, flags.starttls.as_ref());
    if flags.tls || flags.starttls.is_some() {
        spec.tls.get_or_insert_default();
    }
    if let Some(tls) = &mut spec.tls {
        to_tls(args, tls);
    }
    let text = |text: &String| ExpectedBytes::Text(text.clone());
    put(&mut spec.banner, flags.expect_banner.as_ref().map(text).as_ref());
    put(&mut spec.expect, flags.expect_text.as_ref().map(text).as_ref());
    let sent = flags.send.as_ref().map(|bytes| match std::str::from_utf8(bytes) {
        Ok(text) => Bytes::Text(literal(text)),
        Err(_) => Bytes::Hex(hex(bytes)),
    });
    let sent = sent.or_else(|| flags.send_env.as_deref().map(|name| Bytes::Text(variable(name))));
    put(&mut spec.send, sent.as_ref());
    put(&mut spec.tls_version, args.tls.expect_tls_version.as_ref());
    set(&mut spec.certificate_days, args.tls.certificate_days);
    put(&mut spec.latency_below, args.expect.expect_latency.as_ref());
    put(&mut spec.degraded_above, args.expect.warn_latency.as_ref());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut digits, byte| {
        // Writing to a string can't fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn to_ping(args: &CheckArgs, spec: &mut PingSpec) {
    let flags = &args.ping;
    to_lookup(args, &mut spec.lookup);
    set(&mut spec.count, flags.pings);
    set(&mut spec.spacing, flags.spacing);
    set(&mut spec.size, flags.size);
    set(&mut spec.loss_below, flags.expect_loss);
    put(&mut spec.loss_degraded, flags.warn_loss.as_ref());
    put(&mut spec.min_below, flags.expect_min.as_ref());
    put(&mut spec.max_below, flags.expect_max.as_ref());
    put(&mut spec.jitter_below, flags.expect_jitter.as_ref());
    put(&mut spec.latency_below, args.expect.expect_latency.as_ref());
    put(&mut spec.degraded_above, args.expect.warn_latency.as_ref());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::{CommandFactory as _, Parser as _};

    fn parsed(line: &[&str]) -> Box<CheckArgs> {
        match Args::try_parse_from([&["uptime", "check"], line].concat()).expect("a command line").command {
            Command::Check(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_flag_of_a_kind_is_known_to_be_of_it() {
        let mut command = Args::command();
        command.build();
        let check = command.find_subcommand("check").expect("the command").clone();
        let listed: Vec<String> = check
            .get_arguments()
            .filter(|arg| arg.get_help_heading().is_some_and(|heading| heading.starts_with("For ")))
            .filter_map(|arg| arg.get_long().map(|long| format!("--{long}")))
            .collect();
        let known: Vec<&str> = given(&parsed(&["ping://a"])).into_iter().map(|(flag, ..)| flag).collect();
        assert_eq!(listed, known);
    }

    #[test]
    fn flags_that_contradict_each_other_or_the_target_are_refused() {
        let refused = |line: &[&str]| {
            let mut spec = uptime_core::target::parse(line[0]).expect("a target");
            let error = apply(&parsed(line), &mut [&mut spec]).expect_err("a contradiction");
            (error.message, error.hint.expect("a way out"))
        };
        let web = "https://a.example/";
        for (line, message, hint) in [
            (
                &[web, "--method", "HEAD", "--expect-json", "$ exists"][..],
                "`--method` is `HEAD`, whose answer has no body, and `--expect-json` asks for something in it",
                "write `--method GET`, or expect nothing of the body",
            ),
            (
                &[web, "--http-version", "1.1", "--expect-http-version", "2"],
                "`--http-version` speaks no version that `--expect-http-version` wants",
                "make them agree, or leave one of the two out",
            ),
            (
                &["http://a.example/", "--redirects", "0", "--expect-http-version", "2"],
                "`--expect-http-version` wants HTTP/2, which without TLS is spoken only when asked for",
                "write `--http-version 2`, or ask for `https://`",
            ),
            (
                &[web, "--redirects", "0", "--expect-final-url", "https://a.example/end"],
                "`--expect-final-url` is another place than the target, and `--redirects` is `0`: nothing leads there",
                "write `--redirects 5`, or leave one of the two out",
            ),
            (
                &["tcp://192.0.2.1:22", "--ip", "6"],
                "`--ip` is `6`, and the target is an IPv4 address",
                "write `--ip 4`, or leave it out",
            ),
            (
                &[web, "--warn-latency", "2s", "--expect-latency", "1s"],
                "`--warn-latency` is `2s`, and from `--expect-latency`, `1s`, on it is down",
                "a target is degraded before it is down: make `--warn-latency` the smaller one",
            ),
        ] {
            assert_eq!(refused(line), (message.to_owned(), hint.to_owned()));
        }
        // A monitor's own keys have the file's names.
        let mut spec = uptime_core::target::parse(web).expect("a target");
        if let CheckSpec::Http(http) = &mut spec {
            http.expect.body_contains = vec!["ok".into()];
        }
        let error = apply(&parsed(&["shop", "-X", "HEAD"]), &mut [&mut spec]).expect_err("a contradiction");
        assert!(error.message.contains("and the monitor's `body_contains` asks"), "{error}");
    }

    #[test]
    fn a_flag_without_use_is_refused() {
        let refused = |line: &[&str], target: &str| {
            let mut spec = uptime_core::target::parse(target).expect(target);
            apply(&parsed(line), &mut [&mut spec]).err().map(|error| error.message)
        };
        for (flag, value, with, without) in [
            ("--expect-status", Some("200"), "http://a/", "ping://a"),
            ("--expect-json", Some("$ exists"), "http://a/", "tcp://a:1"),
            ("--pings", Some("2"), "ping://a", "http://a/"),
            ("--tls", None, "tcp://a:1", "https://a/"),
            ("--certificate-days", Some("3"), "https://a/", "tcp://a:1"),
            ("--send", Some("x"), "tcp://a:1", "ping://a"),
        ] {
            let line = |target| [vec![target, flag], value.into_iter().collect()].concat();
            assert_eq!(refused(&line(with), with), None, "{flag} {with}");
            let message = format!("`{flag}` has no use for these targets");
            assert_eq!(refused(&line(without), without), Some(message), "{flag} {without}");
        }
        assert_eq!(
            refused(&["tcp://a:1", "--starttls", "smtp", "--certificate-days", "3"], "tcp://a:1"),
            None
        );
    }
}
