//! What flags of `uptime check` say beyond their form: headers, variables that must be there, files that must be right.
//!
//! Whatever is wrong with it is the command line's fault and said before anything is checked. No message quotes a value:
//! it may be a secret.

use crate::args::{CheckArgs, HttpArgs, TlsArgs};
use crate::exit::{CommandError, Exit};
use uptime_check::{files, secrets};
use uptime_core::monitor::request::{self, HEADER_MOST, HeaderName};
use uptime_core::monitor::{ClientIdentity, TlsSpec};
use uptime_core::secret::access::Access;
use uptime_core::secret::{Secret, SecretRef};
use uptime_core::text::printable;

/// The headers that are asked for, by name.
pub(super) fn headers(flags: &HttpArgs) -> Result<Vec<(String, SecretRef)>, CommandError> {
    let mut headers = Vec::with_capacity(flags.header.len() + flags.header_env.len());
    for text in &flags.header {
        let (name, value) = text.split_once(':').ok_or_else(|| {
            usage("`--header` takes a name, a colon and a value").hint("write `--header \"NAME: VALUE\"`")
        })?;
        let (name, value) = (header_name("--header", name)?, value.trim());
        header_value("--header", &name, value)?;
        headers.push((name, SecretRef::Literal(value.to_owned())));
    }
    for text in &flags.header_env {
        let (name, variable) = text.split_once('=').ok_or_else(|| {
            usage("`--header-env` takes a name, `=` and a variable")
                .hint("write `--header-env NAME=VARIABLE`")
        })?;
        let name = header_name("--header-env", name)?;
        header_value("--header-env", &name, value_of("--header-env", variable)?.expose())?;
        headers.push((name, SecretRef::Env { env: variable.to_owned() }));
    }
    Ok(headers)
}

pub(super) fn look_over(args: &CheckArgs) -> Result<(), CommandError> {
    let CheckArgs { http, tls, tcp, .. } = args;
    if http.user.as_ref().is_some_and(|user| user.is_empty() || user.contains(':')) {
        return Err(usage("`--user` takes a name, which has no colon")
            .hint("the password is in a variable, which `--password-env` names"));
    }
    for (flag, variable) in [("--password-env", &http.password_env), ("--send-env", &tcp.send_env)] {
        if let Some(variable) = variable {
            value_of(flag, variable)?;
        }
    }
    if let Some(variable) = &http.bearer_env {
        header_value("--bearer-env", "Authorization", value_of("--bearer-env", variable)?.expose())?;
    }
    if let Some(text) = &http.proxy {
        proxy("--proxy", text)?;
    }
    if let Some(variable) = &http.proxy_env {
        proxy("--proxy-env", value_of("--proxy-env", variable)?.expose().trim())?;
    }
    files(tls)
}

fn files(flags: &TlsArgs) -> Result<(), CommandError> {
    let client = flags
        .client_certificate
        .clone()
        .zip(flags.client_key.clone())
        .map(|(certificate, key)| ClientIdentity { certificate, key: SecretRef::File { file: key } });
    let spec = TlsSpec { ca: flags.ca.clone(), client, ..TlsSpec::default() };
    match files::problems(&spec, &Access::operator()).into_iter().next() {
        Some(problem) => {
            let flag = problem.key.replace('_', "-");
            Err(usage(format!("`--{flag}`: {}", problem.message)).hint(problem.hint))
        }
        None => Ok(()),
    }
}

fn usage(message: impl Into<String>) -> CommandError {
    CommandError::new(Exit::Usage, message)
}

/// What the variable has that a flag names.
fn value_of(flag: &str, variable: &str) -> Result<Secret, CommandError> {
    // Somebody may have written the value where its name belongs.
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if variable.is_empty() || !variable.chars().all(is_name) {
        return Err(usage(format!("`{flag}` takes the name of an environment variable"))
            .hint("letters, digits and `_`: the variable's name, not its value"));
    }
    secrets::resolve_line(&SecretRef::Env { env: variable.to_owned() }, &Access::operator())
        .map_err(|error| usage(format!("`{flag}`: {error}")).hint(error.hint()))
}

fn header_name(flag: &str, name: &str) -> Result<String, CommandError> {
    let name = name.trim();
    match request::header_name(name) {
        Ok(()) => Ok(name.to_owned()),
        Err(wrong @ HeaderName::Malformed) => {
            Err(usage(format!("`{flag}` has what {}", wrong.problem())).hint(wrong.hint()))
        }
        Err(wrong @ HeaderName::Ours) => {
            let message = format!("`{flag}`: the header `{}` {}", printable(name, 60), wrong.problem());
            Err(usage(message).hint(wrong.hint()))
        }
    }
}

fn header_value(flag: &str, name: &str, value: &str) -> Result<(), CommandError> {
    if request::is_header_value(value) {
        return Ok(());
    }
    let message =
        format!("`{flag}`: the value of `{name}` is longer than {HEADER_MOST} bytes or has a line break");
    Err(usage(message).hint("a header's value is one line"))
}

fn proxy(flag: &str, text: &str) -> Result<(), CommandError> {
    let form = "such as `http://proxy.example.com:3128` or `socks5://127.0.0.1:1080`";
    let refuse = |why| usage(format!("`{flag}` names no proxy {form}")).hint(why);
    request::proxy(text).map(drop).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser as _;

    fn refused(flags: &[&str]) -> (String, String) {
        let line = [&["uptime", "check", "https://a/"], flags].concat();
        let Command::Check(args) = Args::try_parse_from(line).expect("a command line").command else {
            panic!("the command is `check`")
        };
        let error = headers(&args.http).map(drop).and_then(|()| look_over(&args)).expect_err("it is wrong");
        assert_eq!(error.exit, Exit::Usage, "{error}");
        (error.message, error.hint.expect("a way out"))
    }

    #[test]
    fn what_is_wrong_is_said_without_its_value() {
        for (flags, message) in [
            (&["--header", "X-Key secret"][..], "`--header` takes a name, a colon and a value"),
            (&["--header", "X Key: secret"], "`--header` has what is no name of a header"),
            (&["--header", "te: secret"], "`--header`: the header `te` is set by `uptime` itself"),
            (
                &["--header", "X-Key: se\ncret"],
                "`--header`: the value of `X-Key` is longer than 8000 bytes or has a line break",
            ),
            (&["--header-env", "X-Key"], "`--header-env` takes a name, `=` and a variable"),
            (&["--header-env", "X-Key=se cret"], "`--header-env` takes the name of an environment variable"),
            (
                &["--header-env", "X-Key=UPTIME_TEST_NONE"],
                "`--header-env`: the environment variable `UPTIME_TEST_NONE` is not set",
            ),
            (
                &["--bearer-env", "UPTIME_TEST_NONE"],
                "`--bearer-env`: the environment variable `UPTIME_TEST_NONE` is not set",
            ),
            (
                &["--user", "u:secret", "--password-env", "UPTIME_TEST_NONE"],
                "`--user` takes a name, which has no colon",
            ),
            (
                &["--proxy", "ftp://u:secret@p.example"],
                "`--proxy` names no proxy such as `http://proxy.example.com:3128` or `socks5://127.0.0.1:1080`",
            ),
        ] {
            let (said, hint) = refused(flags);
            assert_eq!(said, message, "{flags:?}");
            assert!(!said.contains("secret") && !hint.contains("secret"), "{said} {hint}");
        }
        let (said, hint) = refused(&["--ca", "/no/such/file"]);
        assert!(said.starts_with("`--ca`: the file `/no/such/file` can't be read: "), "{said}");
        assert_eq!(hint, "correct the path, or write the file");
    }
}
