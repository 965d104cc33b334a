//! How each protocol is asked to go over to TLS: presets of steps.
//!
//! What a target says in the clear is bounded, and a refusal is told in its own words.

use super::dialogue::{Expect, Step};
use super::expected::Expected;
use std::net::SocketAddr;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::StartTls;

/// `SSLRequest`: its length, and a version that no protocol has.
const POSTGRES_REQUEST: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// An `ExtendedRequest` with the message ID 1 and the name of its `StartTLS`.
const LDAP_REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// The steps after which TLS begins. Where the target greets, the greeting is the banner, and is judged as such; where it
/// does not, the banner is given back. `local` is our side of the connection.
pub(super) fn steps(
    protocol: StartTls,
    local: Option<SocketAddr>,
    banner: Option<Expected>,
) -> (Vec<Step<'static>>, Option<Expected>) {
    let steps = match protocol {
        StartTls::Smtp => vec![
            greeting("220", reply, banner),
            send(format!("EHLO {}\r\n", address_literal(local))),
            Step::Expect(Expect::answer("the answer to `EHLO`", "250", reply, offers)),
            send("STARTTLS\r\n"),
            agreement("`STARTTLS`", "220", reply),
        ],
        StartTls::Imap => vec![
            greeting("* OK", line, banner),
            send("a1 STARTTLS\r\n"),
            agreement("`STARTTLS`", "a1 OK", tagged),
        ],
        StartTls::Pop3 => {
            vec![greeting("+OK", line, banner), send("STLS\r\n"), agreement("`STLS`", "+OK", line)]
        }
        StartTls::Ftp => {
            vec![greeting("220", reply, banner), send("AUTH TLS\r\n"), agreement("`AUTH TLS`", "234", reply)]
        }
        StartTls::Ldap => {
            let answer = Expect::answer("the answer to StartTLS", "success", ldap_message, ldap_verdict);
            return (vec![send(LDAP_REQUEST), Step::Expect(answer)], banner);
        }
        StartTls::Postgres => {
            let answer = Expect::answer("the answer to `SSLRequest`", "S", postgres_end, postgres_verdict);
            return (vec![send(POSTGRES_REQUEST), Step::Expect(answer)], banner);
        }
    };
    (steps, None)
}

fn send(words: impl AsRef<[u8]>) -> Step<'static> {
    Step::Send(words.as_ref().to_vec())
}

type End = fn(&[u8]) -> Option<usize>;

fn greeting(expected: &'static str, end: End, banner: Option<Expected>) -> Step<'static> {
    let what = "the greeting";
    Step::Expect(Expect::answer(what, expected, end, move |answer| {
        must_begin(answer, expected, || format!("{what} is not `{expected}`"))?;
        match &banner {
            Some(banner) if !banner.is_in(answer) => {
                let failure = Failure::new(FailureClass::Assertion, "the banner is not the expected one");
                Err(failure.with(banner.shown(), String::from_utf8_lossy(answer).trim()))
            }
            _ => Ok(()),
        }
    }))
}

/// The answer to the request for TLS.
fn agreement(request: &'static str, expected: &'static str, end: End) -> Step<'static> {
    Step::Expect(Expect::answer("the answer to the request for TLS", expected, end, move |answer| {
        must_begin(answer, expected, || format!("it refuses {request}"))
    }))
}

/// `STARTTLS` must be among the extensions that a mail server lists.
fn offers(answer: &[u8]) -> Result<(), Failure> {
    must_begin(answer, "250", || "the answer to `EHLO` is not `250`".to_owned())?;
    let answer = String::from_utf8_lossy(answer);
    let is_starttls = |line: &str| line.get(4..).is_some_and(|word| word.trim() == "STARTTLS");
    if answer.to_ascii_uppercase().lines().any(is_starttls) {
        return Ok(());
    }
    Err(fault("it does not offer `STARTTLS`").with("`STARTTLS` among its extensions", answer.trim()))
}

/// Whether the last line of an answer begins with the word that is expected.
fn must_begin(answer: &[u8], expected: &str, otherwise: impl Fn() -> String) -> Result<(), Failure> {
    let answer = String::from_utf8_lossy(answer);
    let last = answer.lines().next_back().unwrap_or_default().trim_end().to_ascii_uppercase();
    let rest = last.strip_prefix(&expected.to_ascii_uppercase());
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')) {
        return Ok(());
    }
    Err(fault(&otherwise()).with(expected, answer.trim()))
}

fn fault(words: &str) -> Failure {
    Failure::new(FailureClass::Protocol, words)
}

/// Who we are to a mail server: an address needs no name in DNS (RFC 5321, 4.1.3).
fn address_literal(local: Option<SocketAddr>) -> String {
    match local {
        Some(SocketAddr::V4(address)) => format!("[{}]", address.ip()),
        Some(SocketAddr::V6(address)) => format!("[IPv6:{}]", address.ip()),
        None => "localhost".to_owned(),
    }
}

/// The end of a line.
fn line(came: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', came).map(|index| index + 1)
}

/// Each complete line, and where it ends.
fn lines(came: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = start + line(&came[start..])?;
        let found = (came[start..end].trim_ascii_end(), end);
        start = end;
        Some(found)
    })
}

/// The end of a reply of SMTP or FTP: `250-…` goes on, until `250 …`. What does not begin so ends with its first line.
fn reply(came: &[u8]) -> Option<usize> {
    let (first, end) = lines(came).next()?;
    let code = first.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit));
    match code {
        Some(code) if first.get(3) == Some(&b'-') => lines(came)
            .find(|(line, _)| line.starts_with(code) && line.get(3).is_none_or(|mark| *mark == b' '))
            .map(|(_, end)| end),
        _ => Some(end),
    }
}

/// The end of IMAP's answer to the command `a1`: the line with its tag. `* …` may come before.
fn tagged(came: &[u8]) -> Option<usize> {
    lines(came).find(|(line, _)| !line.starts_with(b"* ")).map(|(_, end)| end)
}

/// The contents of the first element of `ber`, what follows it, and its tag. Lengths have up to four bytes, of which Active
/// Directory always writes all.
fn element(ber: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = ber.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// The end of an LDAP message. What can be none ends at once.
fn ldap_message(came: &[u8]) -> Option<usize> {
    match came {
        [0x30, 0x80 | 0x85.., ..] => Some(came.len()),
        [0x30, ..] => element(came).map(|(_, _, rest)| came.len() - rest.len()),
        _ => Some(came.len()),
    }
}

/// The result code of an `ExtendedResponse`, and its diagnostic message.
fn ldap_result(message: &[u8]) -> Option<(u64, String)> {
    let (0x30, message, _) = element(message)? else { return None };
    let (0x02, _, rest) = element(message)? else { return None };
    let (0x78, response, _) = element(rest)? else { return None };
    let (0x0a, code, rest) = element(response)? else { return None };
    let (0x04, _, rest) = element(rest)? else { return None };
    let (0x04, words, _) = element(rest)? else { return None };
    let code = code.iter().take(8).fold(0, |code, digit| code << 8 | u64::from(*digit));
    Some((code, String::from_utf8_lossy(words).into_owned()))
}

fn ldap_verdict(answer: &[u8]) -> Result<(), Failure> {
    match ldap_result(answer) {
        Some((0, _)) => Ok(()),
        Some((code, words)) => {
            Err(fault("it refuses StartTLS").with("success (0)", format!("result {code}: {words}")))
        }
        None => Err(fault("its answer is not LDAP")),
    }
}

/// One byte; all of what is something else.
fn postgres_end(came: &[u8]) -> Option<usize> {
    Some(if matches!(came.first()?, b'S' | b'N') { 1 } else { came.len() })
}

fn postgres_verdict(answer: &[u8]) -> Result<(), Failure> {
    match answer {
        b"S" => Ok(()),
        b"N" => Err(fault("it refuses TLS (its `ssl` is off)").with("S", "N")),
        _ => {
            let failure = fault("its answer to `SSLRequest` is not PostgreSQL's");
            Err(failure.with("S", String::from_utf8_lossy(answer)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_reply() {
        for (came, length) in [
            (&b""[..], None),
            (b"220 mx", None),
            (b"220 mx\r\n", Some(8)),
            (b"220\r\nx", Some(5)),
            (b"250-mx\r\n250-SIZE\r\n", None),
            (b"250-mx\r\n250 SIZE\r\nrest", Some(18)),
            // FTP's text in between may begin with anything.
            (b"220-welcome\r\n221 times\r\n220 end\r\n", Some(33)),
            (b"hello\n", Some(6)),
        ] {
            assert_eq!(reply(came), length, "{}", String::from_utf8_lossy(came));
        }
        assert_eq!(tagged(b"* CAPABILITY IMAP4\r\na1 OK go\r\nx"), Some(30));
        assert_eq!(tagged(b"* CAPABILITY IMAP4\r\n"), None);
    }

    #[test]
    fn an_ldap_answer() {
        let refusal = b"\x30\x14\x02\x01\x01\x78\x0f\x0a\x01\x02\x04\x00\x04\x08no TLS !";
        assert_eq!(ldap_message(refusal), Some(refusal.len()));
        assert_eq!(ldap_message(&refusal[..10]), None);
        assert_eq!(ldap_result(refusal), Some((2, "no TLS !".to_owned())));
        let success =
            b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!((ldap_message(success), ldap_result(success)), (Some(22), Some((0, String::new()))));
        let endless = b"\x30\x80\x02\x01";
        assert_eq!((ldap_message(endless), ldap_result(endless)), (Some(4), None));
        assert_eq!((ldap_message(b"HTTP"), ldap_result(b"HTTP")), (Some(4), None));
    }
}
