//! The flags of `uptime check` as keys of a monitor, for the reader of the file. A flag that no target has a use for is
//! a usage error: who writes it means something by it.
//!
//! What only this machine can tell is looked at here: variables that must be there, files that must be right. No
//! message quotes what may be a secret.

use crate::args::{CheckArgs, FLAGS, Flag, For, Form};
use crate::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use uptime_check::{files, secrets};
use uptime_core::config::{Given, quoted, read_over};
use uptime_core::monitor::{CheckSpec, request};
use uptime_core::secret::access::Access;
use uptime_core::secret::{Secret, SecretRef};

/// What is read over: a monitor of a file.
pub(super) struct Base<'b> {
    pub(super) file: &'b str,
    pub(super) name: &'b str,
    pub(super) spec: &'b CheckSpec,
}

/// Whether anything was given that is a key.
pub(super) fn any(args: &CheckArgs) -> bool {
    !args.keys.0.is_empty() || !args.set.is_empty()
}

/// The check of `base` with the flags, and its deadline.
pub(super) fn read(args: &CheckArgs, base: &Base<'_>) -> Result<(CheckSpec, Duration)> {
    let kind = base.spec.kind();
    let mut given = given(args, kind)?;
    let speaks_tls = base.spec.tls().is_some()
        || given.iter().any(|given| matches!(given.key.as_str(), "tls" | "starttls"));
    if !speaks_tls {
        let is_of_tls =
            |key: &str| FLAGS.iter().any(|flag| flag.whom() == For::Tls && flag.key(kind) == Some(key));
        given.retain(|given| !is_of_tls(&given.key));
    }
    let names = given.iter().map(|given| (given.key.clone(), given.flag.clone()));
    let known = FLAGS.iter().rev().filter_map(|flag| Some((flag.key(kind)?.to_owned(), shown(flag))));
    let known: BTreeMap<String, String> = known.chain(names).collect();
    let (spec, timeout) = read_over(base.file, base.name, &given, known)
        .map_err(|error| CommandError { hint: error.hint, ..usage_error(error.message) })?;
    let problems = spec.tls().map(|tls| files::problems(tls, &Access::operator())).unwrap_or_default();
    for problem in problems {
        if let Some(Given { flag, .. }) = given.iter().find(|given| given.key == problem.key) {
            return Err(usage_error(format!("`{flag}`: {}", problem.message)).hint(problem.hint));
        }
    }
    Ok((spec, timeout))
}

/// Refuses the first flag that none of `specs` has a use for.
pub(super) fn refuse_unused(args: &CheckArgs, specs: &[&CheckSpec]) -> Result<()> {
    for (flag, _) in &args.keys.0 {
        if !specs.iter().any(|spec| has_use(flag, spec)) {
            return Err(usage_error(format!("`{}` has no use for these targets", shown(flag)))
                .hint(format!("it is for {}", flag.whom().words())));
        }
    }
    for text in &args.set {
        let (key, _) = set(text)?;
        let of_key = |flag: &&Flag| specs.iter().any(|spec| flag.key(spec.kind()) == Some(key));
        if !FLAGS.iter().filter(of_key).any(|flag| specs.iter().any(|spec| has_use(flag, spec))) {
            let keys = specs.iter().flat_map(|spec| FLAGS.iter().filter_map(|flag| flag.key(spec.kind())));
            let lists = || "`uptime config schema` lists the keys".to_owned();
            return Err(usage_error(format!("`--set {key}` has no use for these targets"))
                .hint(did_you_mean(key, keys).unwrap_or_else(lists)));
        }
    }
    Ok(())
}

fn has_use(flag: &Flag, spec: &CheckSpec) -> bool {
    let speaks_tls = match spec {
        CheckSpec::Http(http) => http.url.scheme() == "https" || http.redirects > 0,
        other => other.tls().is_some(),
    };
    flag.key(spec.kind()).is_some() && (flag.whom() != For::Tls || speaks_tls)
}

fn shown(flag: &Flag) -> String {
    format!("--{}", flag.long)
}

/// What was given of the keys that the kind of check has.
fn given(args: &CheckArgs, kind: &str) -> Result<Vec<Given>> {
    let mut all: Vec<Given> = Vec::new();
    for (flag, values) in &args.keys.0 {
        let Some(key) = flag.key(kind) else { continue };
        let mut add = |(value, adds)| all.push(Given { key: key.to_owned(), flag: shown(flag), value, adds });
        if flag.form == Form::Value && flag.typed.is_list {
            let values: Vec<String> = values.iter().map(|value| flag.typed.toml(value)).collect();
            add((format!("[{}]", values.join(", ")), key != "expect.status"));
        } else if values.is_empty() {
            add(written(flag, key, "true")?);
        } else {
            values.iter().try_for_each(|value| written(flag, key, value).map(&mut add))?;
        }
    }
    for text in &args.set {
        let (key, value) = set(text)?;
        if let Some(flag) = FLAGS.iter().find(|flag| flag.key(kind) == Some(key)) {
            // What is no TOML is a text.
            let is_toml = value.starts_with(['"', '\'', '[', '{']) && value.parse::<toml::Value>().is_ok();
            let value = if is_toml { value.to_owned() } else { flag.typed.toml(value) };
            all.push(Given { key: key.to_owned(), flag: format!("--set {key}"), value, adds: false });
        }
    }
    let has_method = all.iter().any(|given| given.key == "method");
    if let Some(data) = all.iter().find(|given| given.flag == "--data").filter(|_| !has_method) {
        all.push(Given { key: "method".into(), value: "\"POST\"".into(), ..data.clone() });
    }
    Ok(all)
}

/// The value of a flag as the file has it, and whether it is added to what there is.
fn written(flag: &Flag, key: &str, value: &str) -> Result<(String, bool)> {
    let name = shown(flag);
    let replaces = match flag.form {
        Form::Value => flag.typed.toml(value),
        Form::Data => quoted(value),
        Form::Not => "false".into(),
        Form::Path => path(value)?,
        Form::File => format!("{{ file = {} }}", path(value)?),
        Form::Env => {
            let (secret, reference) = variable(&name, value)?;
            if key == "proxy" {
                // The file's reader sees the name alone.
                request::proxy(secret.expose().trim())
                    .map_err(|why| usage_error(format!("`{name}` names no proxy")).hint(why))?;
            }
            reference
        }
        // The first of them replaces what there is.
        Form::Part(part) => format!("{{ {part} = {} }}", quoted(value)),
        Form::PartEnv(part) => {
            return Ok((format!("{{ {part} = {} }}", variable(&name, value)?.1), part == "password"));
        }
        Form::Header => {
            let takes = "`--header` takes a name, a colon and a value";
            let (field, value) = parts(value, ':', takes, "write `--header \"NAME: VALUE\"`")?;
            return Ok((format!("{{ {} = {} }}", quoted(field.trim()), quoted(value.trim())), true));
        }
        Form::HeaderEnv => {
            let takes = "`--header-env` takes a name, `=` and a variable";
            let (field, named) = parts(value, '=', takes, "write `--header-env NAME=VARIABLE`")?;
            return Ok((format!("{{ {} = {} }}", quoted(field.trim()), variable(&name, named)?.1), true));
        }
        Form::Days => match value.split_once(',') {
            Some((warning, critical)) => {
                let [warning, critical] = [warning, critical].map(|days| flag.typed.toml(days));
                format!("{{ warning = {warning}, critical = {critical} }}")
            }
            None => flag.typed.toml(value),
        },
        Form::Escaped => bytes(&escaped(value).map_err(|why| {
            usage_error(format!("`{name}`: {why}"))
                .hint("in single quotes the shell leaves backslashes alone")
        })?),
    };
    Ok((replaces, false))
}

/// What stands before and after a sign.
fn parts<'v>(value: &'v str, sign: char, takes: &str, hint: &str) -> Result<(&'v str, &'v str)> {
    value.split_once(sign).ok_or_else(|| usage_error(takes).hint(hint))
}

fn set(text: &str) -> Result<(&str, &str)> {
    parts(text, '=', "`--set` takes a key, `=` and a value", "write `--set expect.status=204`")
}

/// The file's paths are absolute.
fn path(text: &str) -> Result<String> {
    let path =
        std::path::absolute(text).map_err(|error| usage_error(format!("`{text}` is no path: {error}")))?;
    Ok(quoted(&path.to_string_lossy()))
}

/// What the variable has that a flag names, and the file's reference to it.
fn variable(flag: &str, variable: &str) -> Result<(Secret, String)> {
    // Somebody may have written the value where its name belongs.
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if variable.is_empty() || !variable.chars().all(is_name) {
        return Err(usage_error(format!("`{flag}` takes the name of an environment variable"))
            .hint("letters, digits and `_`: the variable's name, not its value"));
    }
    let secret = secrets::resolve_line(&SecretRef::Env { env: variable.to_owned() }, &Access::operator())
        .map_err(|error| usage_error(format!("`{flag}`: {error}")).hint(error.hint()))?;
    Ok((secret, format!("{{ env = {} }}", quoted(variable))))
}

/// Bytes as the file takes them, who has no text with a NUL in it.
fn bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => quoted(text),
        _ => {
            let hex = bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut digits, byte| {
                // Writing to a string can't fail.
                let _ = write!(digits, "{byte:02x}");
                digits
            });
            format!("{{ hex = \"{hex}\" }}")
        }
    }
}

fn escaped(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let mut after = rest[at + 1..].chars();
        match after.next() {
            Some('r') => bytes.push(b'\r'),
            Some('n') => bytes.push(b'\n'),
            Some('t') => bytes.push(b'\t'),
            Some('\\') => bytes.push(b'\\'),
            Some('x') => {
                let digits: String = after.by_ref().take(2).collect();
                let byte = u8::from_str_radix(&digits, 16)
                    .ok()
                    .filter(|_| digits.len() == 2 && digits.chars().all(|c| c.is_ascii_hexdigit()));
                bytes.push(byte.ok_or("two hexadecimal digits come after `\\x`")?);
            }
            _ => return Err("a backslash begins `\\r`, `\\n`, `\\t`, `\\x00`, or is `\\\\`"),
        }
        rest = after.as_str();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser as _;
    use uptime_core::config::file_of;
    use uptime_core::target;

    fn parsed(line: &[&str]) -> CheckArgs {
        match Args::try_parse_from([&["uptime", "check"], line].concat()).expect("a command line").command {
            Command::Check(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    fn read_line(line: &[&str]) -> Result<CheckSpec, CommandError> {
        let (args, spec) = (parsed(line), target::parse(line[0]).expect("a target"));
        let base = Base { file: &file_of(&spec), name: "target", spec: &spec };
        let (spec, _) = read(&args, &base)?;
        refuse_unused(&args, &[&spec]).map(|()| spec)
    }

    fn refused(line: &[&str]) -> (String, String) {
        let error = read_line(line).expect_err("it is wrong");
        assert_eq!(error.exit, Exit::Usage, "{error}");
        (error.message, error.hint.expect("a way out"))
    }

    const WEB: &str = "https://a.example/";

    #[test]
    fn each_flag_says_what_its_key_says() {
        let said = |line: &[&str], text: &str| {
            let text = format!("[monitors.target]\n{text}");
            let written = uptime_core::config::read(&text, &[]);
            let written = written.config.unwrap_or_else(|| panic!("{:?}", written.diagnostics));
            assert_eq!(read_line(line).expect("a check"), written.monitors[0].check, "{line:?}");
        };
        let web = "type = 'http'\nurl = 'https://a.example/'\n";
        let of_web =
            |flags: &[&'static str], keys: &str| said(&[&[WEB], flags].concat(), &format!("{web}{keys}"));
        of_web(
            &["-X", "PUT", "-d", "7", "-H", "A: b", "-H", "a:  c"],
            "method = 'PUT'\nbody = '7'\nheaders = { a = 'c' }",
        );
        of_web(&["--data", "x"], "method = 'POST'\nbody = 'x'");
        of_web(
            &["--user", "u", "--password-env", "PATH"],
            "auth = { user = 'u', password = { env = 'PATH' } }",
        );
        of_web(
            &["--bearer-env", "PATH", "--redirects", "0"],
            "auth = { bearer = { env = 'PATH' } }\nredirects = 0",
        );
        of_web(
            &["--header-env", "A=HOME", "--no-verify"],
            "headers = { A = { env = 'HOME' } }\nverify = false",
        );
        of_web(
            &["--ip", "4", "--resolver", "192.0.2.53", "--compression"],
            "ip = '4'\nresolver = '192.0.2.53'\ncompression = true",
        );
        of_web(
            &["--expect-status", "2xx,404", "--expect-body", "a, b", "--expect-body", "c"],
            "expect = { status = ['2xx', 404], body_contains = ['a, b', 'c'] }",
        );
        of_web(
            &["--expect-size", "1000", "--certificate-days", "21,7"],
            "expect = { size_below = 1000, certificate_days = { warning = 21, critical = 7 } }",
        );
        of_web(
            &["--certificate-days", "0", "--expect-latency", "2s"],
            "expect = { certificate_days = 0, latency_below = '2s' }",
        );
        of_web(
            &["--set", "expect.json=$.ok == true", "--set", "ip=4"],
            "ip = '4'\nexpect = { json = '$.ok == true' }",
        );
        of_web(
            &["--set", "expect.status=[200, \"3xx\"]", "--set", "compression=true"],
            "compression = true\nexpect = { status = [200, '3xx'] }",
        );
        let mail = "type = 'tcp'\nhost = 'a.example'\nport = 25\n";
        let of_mail = |flags: &[&'static str], keys: &str| {
            said(&[&["tcp://a.example:25"], flags].concat(), &format!("{mail}{keys}"));
        };
        of_mail(
            &["--starttls", "smtp", "--certificate-days", "3"],
            "starttls = 'smtp'\ncertificate_days = 3",
        );
        of_mail(&["--send", r"PING\r\n", "--expect-text", "PONG"], "send = \"PING\\r\\n\"\nexpect = 'PONG'");
        of_mail(&["--send", r"\x00\xff", "--tls"], "send = { hex = '00ff' }\ntls = true");
        said(
            &["ping://192.0.2.1", "--pings", "9", "--expect-loss", "50", "--expect-jitter", "5ms"],
            "type = 'ping'\nhost = '192.0.2.1'\ncount = 9\nloss_below = 50\njitter_below = '5ms'",
        );
        said(
            &[
                "dns://a.example?type=MX",
                "--expect-answers",
                "1 b.example",
                "--expect-answers",
                "2 c.example",
                "--authoritative",
            ],
            "type = 'dns'\nhost = 'a.example'\nrecord = 'MX'\nauthoritative = true\n\
             expect = { answers = ['1 b.example', '2 c.example'] }",
        );
    }

    #[test]
    fn lists_are_added_to_those_of_a_monitor_and_all_else_replaces() {
        let file = "[channels.a]\nnotifier = 'x'\n[monitors.shop]\ntype = 'http'\nurl = 'https://a.example/'\n\
                    headers = { Accept = 'a', Host = 'b' }\nauth = { bearer = { env = 'T' } }\n\
                    [monitors.shop.expect]\nstatus = 204\nbody_contains = 'ok'\n";
        let silent = ["x".to_owned()];
        let known = uptime_core::config::Notifiers { described: &[], silent: &silent };
        let monitors = uptime_core::config::read(file, known).config.expect("a file").monitors;
        let over = |line: &[&str]| {
            let base = Base { file, name: "shop", spec: &monitors[0].check };
            read(&parsed(&[&["shop"], line].concat()), &base)
        };
        let line = ["--expect-body", "up", "--expect-status", "200", "-H", "accept: c", "--timeout", "3s"];
        let (CheckSpec::Http(http), timeout) = over(&line).expect("a check") else { panic!("http") };
        assert_eq!(http.expect.body_contains, ["ok", "up"]);
        assert_eq!(http.expect.status.iter().map(ToString::to_string).collect::<Vec<_>>(), ["200"]);
        assert_eq!(http.headers.keys().collect::<Vec<_>>(), ["Host", "accept"]);
        assert_eq!(timeout, std::time::Duration::from_secs(3));
        let (CheckSpec::Http(http), _) = over(&["--user", "u", "--password-env", "PATH"]).expect("a check")
        else {
            panic!("http")
        };
        assert!(matches!(http.auth, Some(uptime_core::monitor::Auth::Basic { .. })), "{:?}", http.auth);
        // A monitor's own keys have the file's names.
        let error = over(&["-X", "HEAD"]).expect_err("a contradiction");
        assert!(error.message.contains("and the monitor's `body_contains` asks"), "{error}");
    }

    #[test]
    fn flags_that_contradict_each_other_or_the_target_are_refused() {
        for (line, message, hint) in [
            (
                &[WEB, "--method", "HEAD", "--expect-json", "$ exists"][..],
                "`--method` is `HEAD`, whose answer has no body, and `--expect-json` asks for something in it",
                "write `--method GET`, or expect nothing of the body",
            ),
            (
                &[WEB, "--http-version", "1.1", "--expect-http-version", "2"],
                "`--http-version` speaks no version that `--expect-http-version` wants",
                "make them agree, or leave one of the two out",
            ),
            (
                &[WEB, "--redirects", "0", "--set", "expect.final_url=https://a.example/end"],
                "`--set expect.final_url` is another place than the target, and `--redirects` \
                 is `0`: nothing leads there",
                "write `--redirects 5`, or leave one of the two out",
            ),
            (
                &["tcp://192.0.2.1:22", "--ip", "6"],
                "`--ip` is `6`, and the target is an IPv4 address",
                "write `--ip 4`, or leave it out",
            ),
            (
                &[WEB, "--warn-latency", "2s", "--expect-latency", "1s"],
                "`--warn-latency` is `2s`, and from `--expect-latency`, `1s`, on it is down",
                "a target is degraded before it is down: make `--warn-latency` the smaller one",
            ),
        ] {
            assert_eq!(refused(line), (message.to_owned(), hint.to_owned()));
        }
    }

    #[test]
    fn what_is_wrong_names_the_flag_and_no_secret() {
        for (flags, message) in [
            (&["--timeout", "5"][..], "`--timeout` takes a duration such as `30s`, not `5`"),
            (&["--redirects", "21"], "`--redirects` takes a whole number from 0 to 20, not `21`"),
            (
                &["-X", "FETCH"],
                "`--method` takes one of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`, not `FETCH`",
            ),
            (
                &["--set", "expect.status=99"],
                "`--set expect.status` takes a status such as `200`, `\"2xx\"` or `\"200-299\"`, \
                 or a list of them, not `99`",
            ),
            (
                &["--certificate-days", "7,21"],
                "`--certificate-days`: `critical` is `21` days and `warning` only `7`",
            ),
            (&["--header", "X-Key secret"], "`--header` takes a name, a colon and a value"),
            (&["--header", "te: secret"], "`--header`: the header `te` is set by `uptime` itself"),
            (
                &["--header", "X-Key: se\ncret"],
                "`--header`: the header `X-Key` is longer than 8000 bytes or has a line break",
            ),
            (&["--header-env", "X-Key"], "`--header-env` takes a name, `=` and a variable"),
            (&["--header-env", "X-Key=se cret"], "`--header-env` takes the name of an environment variable"),
            (
                &["--bearer-env", "UPTIME_TEST_NONE"],
                "`--bearer-env`: the environment variable `UPTIME_TEST_NONE` is not set",
            ),
            (
                &["--user", "u:secret", "--password-env", "PATH"],
                "the user in `--user` has a colon, which ends a user's name",
            ),
            (
                &["--proxy", "ftp://u:secret@p.example"],
                "`--proxy` takes a proxy such as `http://proxy.example.com:3128` or \
                 `socks5://127.0.0.1:1080`, not this",
            ),
        ] {
            let (said, hint) = refused(&[&[WEB], flags].concat());
            assert_eq!(said, message, "{flags:?}");
            assert!(!said.contains("secret") && !hint.contains("secret"), "{said} {hint}");
        }
        assert_eq!(refused(&[WEB, "--timeout", "5"]).1, "write `--timeout 5s`");
        let (said, hint) = refused(&[WEB, "--ca", "/no/such/file"]);
        assert!(said.starts_with("`--ca`: the file `/no/such/file` can't be read: "), "{said}");
        assert_eq!(hint, "correct the path, or write the file");
    }

    #[test]
    fn a_flag_without_use_is_refused() {
        for (flag, value, with, without) in [
            ("--expect-status", Some("200"), "http://a/", "ping://a"),
            ("--expect-json", Some("$ exists"), "http://a/", "tcp://a:1"),
            ("--pings", Some("2"), "ping://a", "http://a/"),
            ("--tls", None, "tcp://a:1", "https://a/"),
            ("--certificate-days", Some("3"), "https://a/", "tcp://a:1"),
            ("--send", Some("x"), "tcp://a:1", "ping://a"),
            ("--record", Some("NS"), "dns://a", "ping://a"),
        ] {
            let line = |target| [vec![target, flag], value.into_iter().collect()].concat();
            assert!(read_line(&line(with)).is_ok(), "{flag} {with}");
            let message = format!("`{flag}` has no use for these targets");
            assert_eq!(refused(&line(without)).0, message, "{flag} {without}");
        }
        assert_eq!(
            refused(&[WEB, "--set", "expect.jsn=$ exists"]),
            ("`--set expect.jsn` has no use for these targets".into(), "did you mean `expect.json`?".into())
        );
    }

    #[test]
    fn what_is_sent_has_the_escapes_of_c() {
        assert_eq!(escaped(r"PING\r\n\\\x00\xfFä"), Ok([b"PING\r\n\\\x00\xff", "ä".as_bytes()].concat()));
        for wrong in [r"\", r"\q", r"\x", r"\x0", r"\xä0", r"\x+1"] {
            assert!(escaped(wrong).is_err(), "{wrong}");
        }
    }
}
