//! How each protocol is asked to go over to TLS.
//!
//! What a target says in the clear is bounded, and a refusal is told in its own words. Whatever it says after its last
//! answer and before TLS could come from somebody in between who hopes that it is taken for protected (CVE-2011-0411,
//! CVE-2021-23222): that is a failure, and none of it is used.

use super::{Hearing, Talk, hearing::hear};
use crate::trace::Trace;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::StartTls;
use uptime_core::text::printable;

/// The largest answer in the clear.
const ANSWER_MAX_BYTES: usize = 16 * 1024;

/// `SSLRequest`: its length, and a version that no protocol has.
const POSTGRES_REQUEST: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// An `ExtendedRequest` with the message ID 1 and the name of its `StartTLS`.
const LDAP_REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// Asks for TLS; on success the next byte on the stream is TLS's. Says whether the target greeted, and with the banner
/// that is expected.
pub(super) async fn ask(
    protocol: StartTls,
    stream: &mut TcpStream,
    talk: &Talk,
    trace: &mut Trace,
) -> Result<bool, Failure> {
    let local = stream.local_addr().ok();
    let mut dialogue = Dialogue { stream, talk, trace, came: Vec::new() };
    match protocol {
        StartTls::Smtp => {
            dialogue.greeting("220", reply, |greeting| has_code(greeting, "220")).await?;
            dialogue.say(format!("EHLO {}\r\n", address_literal(local)).as_bytes()).await?;
            let offers = dialogue
                .answer("the answer to `EHLO`", "250", reply, |answer| has_code(answer, "250"))
                .await?;
            if !offers.to_ascii_uppercase().lines().any(|line| line.get(4..).is_some_and(is_starttls)) {
                let failure = dialogue.failure("it does not offer `STARTTLS`");
                return Err(failure.with("`STARTTLS` among its extensions", offers.trim()));
            }
            dialogue.say(b"STARTTLS\r\n").await?;
            dialogue.agreement("`STARTTLS`", "220", reply, |answer| has_code(answer, "220")).await?;
        }
        StartTls::Imap => {
            dialogue.greeting("* OK", line, |greeting| has_word(greeting, "* OK")).await?;
            dialogue.say(b"a1 STARTTLS\r\n").await?;
            dialogue
                .agreement("`STARTTLS`", "a1 OK", tagged, |answer| {
                    answer.lines().next_back().is_some_and(|line| has_word(line, "A1 OK"))
                })
                .await?;
        }
        StartTls::Pop3 => {
            dialogue.greeting("+OK", line, |greeting| has_word(greeting, "+OK")).await?;
            dialogue.say(b"STLS\r\n").await?;
            dialogue.agreement("`STLS`", "+OK", line, |answer| has_word(answer, "+OK")).await?;
        }
        StartTls::Ftp => {
            dialogue.greeting("220", reply, |greeting| has_code(greeting, "220")).await?;
            dialogue.say(b"AUTH TLS\r\n").await?;
            dialogue.agreement("`AUTH TLS`", "234", reply, |answer| has_code(answer, "234")).await?;
        }
        StartTls::Ldap => {
            dialogue.say(LDAP_REQUEST).await?;
            let answer = dialogue.take("the answer to StartTLS", "success", ldap_message).await?;
            match ldap_result(&answer) {
                Some((0, _)) => {}
                Some((code, words)) => {
                    let failure = dialogue.failure("it refuses StartTLS");
                    return Err(failure.with("success (0)", format!("result {code}: {words}")));
                }
                None => return Err(dialogue.failure("its answer is not LDAP")),
            }
        }
        StartTls::Postgres => {
            dialogue.say(POSTGRES_REQUEST).await?;
            let answer = dialogue.take("the answer to `SSLRequest`", "S", |_| Some(1)).await?;
            match answer.first() {
                Some(b'S') => {}
                Some(b'N') => {
                    return Err(dialogue.failure("it refuses TLS (its `ssl` is off)").with("S", "N"));
                }
                _ => {
                    let came: Vec<u8> = answer.iter().chain(&dialogue.came).copied().collect();
                    let failure = dialogue.failure("its answer to `SSLRequest` is not PostgreSQL's");
                    return Err(failure.with("S", String::from_utf8_lossy(&came)));
                }
            }
        }
    }
    if dialogue.came.is_empty() {
        return Ok(!matches!(protocol, StartTls::Ldap | StartTls::Postgres));
    }
    let count = dialogue.came.len();
    let injected = String::from_utf8_lossy(&dialogue.came).into_owned();
    let failure =
        dialogue.failure("words came in the clear after the agreement on TLS: somebody may be in between");
    Err(failure.with("TLS", format!("{count} bytes in the clear: {injected}")))
}

/// What was said in the clear so far.
struct Dialogue<'a> {
    stream: &'a mut TcpStream,
    talk: &'a Talk,
    trace: &'a mut Trace,
    /// Came and was not taken yet.
    came: Vec<u8>,
}

impl Dialogue<'_> {
    fn failure(&self, words: &str) -> Failure {
        Failure::new(FailureClass::Protocol, format!("`{}`: {words}", self.talk.target))
    }

    async fn say(&mut self, words: &[u8]) -> Result<(), Failure> {
        self.talk.enter_sending(self.trace);
        let said = self.stream.write_all(words).await;
        let doing = format!("sending to `{}`", self.talk.target);
        said.map_err(|error| super::broken(&doing, &self.talk.host, &error))
    }

    /// Waits until `end` finds the end of an answer, and takes it.
    async fn take(
        &mut self,
        what: &'static str,
        expected: &str,
        end: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<Vec<u8>, Failure> {
        let hearing = Hearing::new(&self.talk.target, what, expected.to_owned(), self.talk.redaction.clone());
        let hearing = Arc::new(hearing);
        hearing.extend(&self.came);
        hearing.enter(self.trace);
        let done = |came: &[u8]| end(came).is_some() || came.len() > ANSWER_MAX_BYTES;
        hear(self.stream, &self.talk.host, &hearing, done).await?;
        let mut answer = hearing.bytes();
        let Some(length) = end(&answer) else {
            let words = format!("{what} has no end within {} KiB", ANSWER_MAX_BYTES / 1024);
            return Err(hearing.other(FailureClass::Protocol, &words));
        };
        self.came = answer.split_off(length.min(answer.len()));
        Ok(answer)
    }

    /// Takes an answer that must be as expected.
    async fn answer(
        &mut self,
        what: &'static str,
        expected: &str,
        end: impl Fn(&[u8]) -> Option<usize>,
        is_right: impl Fn(&str) -> bool,
    ) -> Result<String, Failure> {
        let answer = self.take(what, expected, end).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if is_right(&answer) {
            return Ok(answer);
        }
        let failure = self.failure(&format!("{what} is not `{expected}`"));
        Err(failure.with(expected, printable(answer.trim(), 200)))
    }

    /// Takes the greeting, which is also the banner.
    async fn greeting(
        &mut self,
        expected: &str,
        end: impl Fn(&[u8]) -> Option<usize>,
        is_right: impl Fn(&str) -> bool,
    ) -> Result<(), Failure> {
        let greeting = self.answer("the greeting", expected, end, is_right).await?;
        match &self.talk.banner {
            Some(banner) if !banner.is_in(greeting.as_bytes()) => {
                let message = format!("`{}`: the banner is not the expected one", self.talk.target);
                Err(Failure::new(FailureClass::Assertion, message).with(banner.shown(), greeting.trim()))
            }
            _ => Ok(()),
        }
    }

    /// Takes the answer to the request for TLS.
    async fn agreement(
        &mut self,
        request: &str,
        expected: &str,
        end: impl Fn(&[u8]) -> Option<usize>,
        is_right: impl Fn(&str) -> bool,
    ) -> Result<(), Failure> {
        let answer = self.take("the answer to the request for TLS", expected, end).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if is_right(&answer) {
            return Ok(());
        }
        Err(self.failure(&format!("it refuses {request}")).with(expected, answer.trim()))
    }
}

/// Who we are to a mail server: an address needs no name in DNS (RFC 5321, 4.1.3).
fn address_literal(local: Option<SocketAddr>) -> String {
    match local {
        Some(SocketAddr::V4(address)) => format!("[{}]", address.ip()),
        Some(SocketAddr::V6(address)) => format!("[IPv6:{}]", address.ip()),
        None => "localhost".to_owned(),
    }
}

fn is_starttls(extension: &str) -> bool {
    extension.trim() == "STARTTLS"
}

fn has_word(line: &str, word: &str) -> bool {
    let line = line.trim_end().to_ascii_uppercase();
    line.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Whether the last line of a reply has this code.
fn has_code(reply: &str, code: &str) -> bool {
    reply.lines().next_back().is_some_and(|line| has_word(line, code))
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
