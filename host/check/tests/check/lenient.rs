//! Answers that depart from the standard and are taken all the same, because curl and browsers take them: each is up, its
//! body is judged, and the evidence says how it departs.

use crate::assertion::{contains, encoded, gzip, json, judged, size_below};
use crate::target::{Target, read_request};
use crate::tls::{Authority, acceptor};
use crate::{PATIENT, ask, assert_failed, assert_up, check_with};
use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};
use std::io::Write as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uptime_core::check::{CheckReport, FailureClass};
use uptime_core::monitor::{CheckSpec, HttpExpect, HttpSpec};
use uptime_core::secret::SecretRef;

/// Sends these bytes to each request, and closes; `reset`: by a reset.
async fn sending(bytes: impl Into<Vec<u8>>, reset: bool) -> Target {
    let bytes = bytes.into();
    Target::raw(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            if reset {
                stream.set_zero_linger().expect("an open socket");
            }
        }
    })
    .await
}

/// As Latin-1, in which each letter is one byte.
fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(letter).expect("Latin-1")).collect()
}

/// A body of this type, to the end of the connection.
fn typed(content_type: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n").as_bytes(), body].concat()
}

fn deviations(report: &CheckReport) -> Vec<&str> {
    report.hops.iter().flat_map(|hop| &hop.deviations).map(AsRef::as_ref).collect()
}

#[tokio::test]
async fn heads() {
    let many = format!("HTTP/1.1 200 OK\r\n{}{{}}", "Set-Cookie: part=x; Path=/\r\n".repeat(2000));
    let nameless = format!("HTTP/1.1 200 OK\n{}{{}}", ":\n".repeat(30_000));
    let folded = &["a header goes over several lines"][..];
    let control = &["a header's value has a control byte"][..];
    let odd_name = &["a header has a name that can't be one, and is ignored"][..];
    let number = &["`Content-Length` is a number with something beside it"][..];
    let no_cr = "the lines of its head end without CR";
    let no_name = "a header has no name, and is ignored";
    // `{}`: a length of 3, the end of the head, and `yes`.
    for (head, expected) in [
        (nameless.as_str(), &[no_cr, no_name][..]),
        ("1.1 200\r\n{}", &[]),
        ("1.1  200  OK\r\n{}", &[]),
        ("http/1.1 200 OK\r\n{}", &[]),
        ("1.1 200 K\u{f6}ln\u{1}\r\n{}", &[]),
        ("\r\nHTTP/1.1 200 OK\r\n{}", &[]),
        ("1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n{}", &[]),
        (&many, &[]),
        ("2 200\r\n{}", &["the answer calls itself HTTP/2 on a connection that speaks HTTP/1.1"]),
        ("ICY 200 OK\r\n{}", &["the answer begins with `ICY`"]),
        ("1.1 200 OK\nContent-Length: 3\n\nyes", &[no_cr]),
        ("1.1 200 OK\r\nX: a\r\n\tb\r\n   c\r\n{}", folded),
        ("1.1 200 OK\r\nContent-Length:\r\n 3\r\n\r\nyes", folded),
        ("1.1 200 OK\r\nContent-Length \t: 3\r\n\r\nyes", &["a header has a blank before its colon"]),
        ("1.1 200 OK\r\nX: a\u{1}b\r\n{}", control),
        ("1.1 200 OK\r\nX: a\rb\r\n{}", control),
        ("1.1 200 OK\r\nSet-Cookie: a=\u{1}\r\n{}", control),
        ("1.1 200 OK\r\nX: K\u{f6}ln\r\n{}", &[]),
        ("1.1 200 OK\r\n: x\r\n{}", &[no_name]),
        ("1.1 200 OK\r\nX Y: z\r\n{}", odd_name),
        ("1.1 200 OK\r\nX\u{f6}: z\r\n{}", odd_name),
        ("1.1 200 OK\r\nContent-Length: 3\r\n{}", &[]),
        ("1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nyes", &[]),
        ("1.1 200 OK\r\nContent-Length: 3 bytes\r\n\r\nyes", number),
        ("1.1 200 OK\r\nContent-Length: +3\r\n\r\nyes", number),
        ("1.1 200 OK\r\nContent-Length: 03\r\nContent-Length: 3\r\n\r\nyes", &[]),
        ("1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nyes", &[]),
        ("1.1 200 OK\r\nTransfer-Encoding: identity\r\n{}", &[]),
    ] {
        let http = if head.starts_with(|first: char| first.is_ascii_digit()) { "HTTP/" } else { "" };
        let bytes = latin(&format!("{http}{head}"));
        let text = bytes.strip_suffix(b"{}").map(|head| [head, b"Content-Length: 3\r\n\r\nyes"].concat());
        let report = judged(&sending(text.unwrap_or(bytes), false).await, contains("yes")).await;
        assert_eq!(report.failure, None, "{head}");
        assert_eq!(deviations(&report), expected, "{head}");
    }
}

#[tokio::test]
async fn what_a_header_says_is_judged_as_it_can_be_read() {
    let head =
        "HTTP/1.1 200 OK\r\nX-Policy: default-src 'self';\r\n\tscript-src *\r\nX-State : fi\u{1}ne\r\n\r\n";
    let target = sending(head, false).await;
    for condition in ["X-Policy contains \"'self'; script-src\"", "X-State contains \"ne\""] {
        let headers = vec![condition.parse().expect("a condition")];
        assert_up(&judged(&target, HttpExpect { headers, ..HttpExpect::default() }).await);
    }
}

#[tokio::test]
async fn chunks() {
    let without_cr = &["the lines between the body's chunks end without CR"][..];
    for (body, expected) in [
        ("3\nyes\n0\n\n", without_cr),
        ("3;a=b\nyes\n0;c\nX: y\n\n", without_cr),
        ("3\r\r\nyes\r\r\n0\r\n\r\n", &[]),
        ("3;a=\"b\"\r\nyes\r\n0\r\nX-Sum: y\r\nX-Other: z\r\n\r\n", &[]),
        ("0003  \r\nyes\r\n000\r\n\r\n", &[]),
        (
            "1\r\ny\r\n2 junk\r\nes\r\n0\r\n\r\nand more",
            &["a chunk of the body has a size with something behind it"],
        ),
    ] {
        for version in ["1.0", "1.1"] {
            let head =
                format!("HTTP/{version} 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 99\r\n\r\n");
            let report = judged(&sending(head + body, false).await, contains("yes")).await;
            assert_eq!(report.failure, None, "{body}");
            assert_eq!(deviations(&report), expected, "{body}");
        }
    }
}

#[tokio::test]
async fn what_has_no_meaning_or_two_is_not_taken() {
    for (body, why) in [
        ("yes\r\n", "a chunk of its body has no size"),
        ("\r\n3\r\nyes\r\n0\r\n\r\n", "a chunk of its body has no size"),
        ("0x3\r\nyes\r\n0x0\r\n\r\n", "a chunk of its body has a size that is no size"),
        ("00000000000000003\r\nyes\r\n", "a chunk of its body has a size that is no size"),
        ("2\r\nyes\r\n0\r\n\r\n", "a chunk of its body is longer than it says"),
    ] {
        let target =
            sending(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"), false).await;
        let failure = ask(target.http("/")).await.failure.expect(body);
        let begin = format!("GET {}: the answer is not HTTP: {why}", target.url("/"));
        assert!(
            failure.class == FailureClass::Protocol && failure.message.starts_with(&begin),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn endless_lines_between_chunks() {
    for line in [b"x-more: and more\r\n".to_vec(), vec![b'x'; 4096]] {
        let target =
            Target::pouring("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", line).await;
        let message = format!(
            "GET {}: the answer is not HTTP: the lines between the chunks of its body are too long (after 0 bytes of the body)",
            target.url("/")
        );
        assert_failed(&ask(target.http("/")).await, FailureClass::Protocol, &message);
    }
}

#[tokio::test]
async fn a_body_that_ends_with_a_reset() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let report = judged(&sending(format!("{head}yes"), true).await, contains("yes")).await;
    assert_up(&report);
    assert_eq!(deviations(&report), ["the end of the body is a reset of the connection"]);
    // Not one whose length is known, and not before there is any of it.
    for (answer, more) in [
        (head, "(after 0 bytes of the body)"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nyes", "(after 3 bytes of the body)"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n", "(after 3 bytes of the body)"),
    ] {
        let target = sending(answer, true).await;
        let message = format!("GET {}: connection reset {more}", target.url("/"));
        assert_failed(&ask(target.http("/")).await, FailureClass::Protocol, &message);
    }
}

#[tokio::test]
async fn tls_that_ends_without_a_farewell() {
    let authority = Authority::new("trusted");
    let without = "the end of the body is the end of the connection, without TLS's `close_notify`";
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", Some(&[][..])),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n", Some(&[])),
        ("HTTP/1.1 200 OK\r\n\r\nyes", Some(&[without])),
        ("HTTP/1.0 200 OK\r\n\r\nyes", Some(&[without])),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nyes", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n", None),
    ] {
        let acceptor = acceptor(authority.local(), rustls::ALL_VERSIONS);
        let target = Target::over_tls(acceptor, move |mut stream| async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.flush().await;
            // The connection below is closed, and TLS is not told.
            let _ = stream.get_mut().0.shutdown().await;
        })
        .await;
        let mut spec = target.parsed("https");
        if let CheckSpec::Http(http) = &mut spec {
            http.expect = contains("yes");
        }
        let report = check_with(&authority.checker(), &spec, PATIENT).await;
        match expected {
            Some(expected) => {
                assert_eq!(report.failure, None, "{answer}");
                assert_eq!(deviations(&report), expected, "{answer}");
            }
            None => assert_eq!(report.failure.expect(answer).class, FailureClass::Protocol),
        }
    }
}

#[tokio::test]
async fn encodings_that_are_none() {
    let words = ["UTF-8", "none", "binary", "aws-chunked", "8bit", "identity", "", "none, identity"];
    for (coding, deviates) in words.into_iter().map(|word| (word, !matches!(word, "identity" | ""))) {
        let report = judged(&encoded(coding, b"all is well".to_vec()).await, contains("is well")).await;
        assert_eq!(report.failure, None, "{coding}");
        assert_eq!(!deviations(&report).is_empty(), deviates, "{coding}");
    }
    for coding in ["gzip, aws-chunked", "utf-8, X-GZIP"] {
        assert_up(&judged(&encoded(coding, gzip(b"all is well")).await, contains("is well")).await);
    }
}

#[tokio::test]
async fn compressed_bodies_without_their_sums() {
    let whole = gzip(b"all is well");
    for cut in [4, 8] {
        let target = encoded("gzip", whole[..whole.len() - cut].to_vec()).await;
        let report = judged(&target, contains("is well")).await;
        assert_up(&report);
        assert_eq!(deviations(&report), ["the body is gzip without its trailer"]);
    }
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(b"all is well").expect("memory");
    let zlib = zlib.finish().expect("memory");
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(b"all is well").expect("memory");
    assert_up(&judged(&encoded("gzip", zlib.clone()).await, contains("is well")).await);
    for bytes in [zlib[..zlib.len() - 4].to_vec(), zlib, deflate.finish().expect("memory")] {
        assert_up(&judged(&encoded("deflate", bytes).await, contains("is well")).await);
    }
    // A sum that is wrong is no missing one, and compressed data that breaks off is not all of it.
    for bytes in [[&whole[..whole.len() - 8], &[0; 8]].concat(), whole[..whole.len() - 12].to_vec()] {
        let failure =
            judged(&encoded("gzip", bytes).await, contains("is well")).await.failure.expect("broken");
        assert_eq!(failure.class, FailureClass::Protocol, "{failure:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_compressed_body_is_told_in_words() {
    for (coding, words) in [
        ("gzip", "invalid gzip header"),
        ("zstd", "it does not begin like that"),
        ("br", "it breaks off, or is broken"),
    ] {
        let target = encoded(coding, b"all is well, and plain text".to_vec()).await;
        let message = format!("GET {}: the body is not {coding}: {words}", target.url("/"));
        assert_failed(&judged(&target, contains("is well")).await, FailureClass::Protocol, &message);
    }
}

#[tokio::test]
async fn a_body_that_is_encoded_for_the_connection() {
    let body = gzip(b"all is well");
    for head in ["gzip, chunked", "gzip"] {
        let mut answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {head}\r\n\r\n").into_bytes();
        if head == "gzip" {
            answer.extend(&body);
        } else {
            answer
                .extend(format!("{:x}\r\n", body.len()).bytes().chain(body.clone()).chain(*b"\r\n0\r\n\r\n"));
        }
        assert_up(&judged(&sending(answer, false).await, contains("is well")).await);
    }
}

#[tokio::test]
async fn an_empty_body_that_calls_itself_gzip() {
    assert_up(&judged(&encoded("gzip", Vec::new()).await, size_below(1)).await);
}

#[tokio::test]
async fn an_answer_before_all_of_the_request_was_taken() {
    let target = Target::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nyes").await;
        // Open, and nothing more is read of it.
        std::future::pending::<()>().await;
    })
    .await;
    let mut spec = HttpSpec { method: "POST".into(), body: Some("x".repeat(1 << 20)), ..target.http("/") };
    spec.expect = HttpExpect { status: vec!["413".parse().expect("a rule")], ..contains("yes") };
    assert_up(&ask(spec).await);
}

#[tokio::test]
async fn names_are_sent_as_everybody_writes_them_or_as_the_operator_does() {
    let target = Target::answering(|_| "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into()).await;
    let mut spec =
        HttpSpec { method: "POST".into(), body: Some("a=b".into()), compression: true, ..target.http("/") };
    for name in ["SOAPAction", "x-small", "HOST"] {
        spec.headers.insert(name.into(), SecretRef::Literal("one.example".into()));
    }
    assert_up(&ask(spec.clone()).await);
    (spec.body, spec.headers) = (None, [].into());
    assert_up(&ask(spec).await);
    let names = |request: &str| -> Vec<String> {
        let lines = request.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.map(|(name, _)| name.to_owned()).collect()
    };
    let requests = target.requests();
    let mut first = names(&requests[0]);
    first.sort();
    let ours = "Accept Accept-Encoding Connection Content-Length HOST SOAPAction User-Agent x-small";
    assert_eq!(first.join(" "), ours);
    let names = names(&requests[1]).join(" ");
    assert_eq!(names, "Host User-Agent Accept Accept-Encoding Connection Content-Length");
    assert!(requests[1].contains("\r\nContent-Length: 0\r\n"), "{}", requests[1]);
}

#[tokio::test]
async fn the_charset_that_is_declared() {
    let text = "alles in Ordnung f\u{fc}r K\u{f6}ln";
    let latin = latin(text);
    let wide = |mark: bool, big: bool| -> Vec<u8> {
        let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let markup = |head: &str| [head.as_bytes(), &latin].concat();
    for (charset, body) in [
        ("text/html; charset=utf-8", text.into()),
        ("text/html", text.into()),
        ("text/html; charset=iso-8859-1", latin.clone()),
        ("text/html;Charset = \"ISO-8859-1\"; x=y", latin.clone()),
        ("text/plain; charset='windows-1252'", latin.clone()),
        ("text/plain; charset=utf-16le", wide(false, false)),
        ("text/plain; charset=utf-16be", wide(false, true)),
        ("text/plain", wide(true, false)),
        ("text/plain; charset=utf-8", wide(true, true)),
        ("text/plain; charset=iso-8859-1", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        // Declared by a server that declares it for everything.
        ("text/plain; charset=iso-8859-1", text.into()),
        ("text/plain; charset=nobody-knows", text.into()),
        (
            "text/html",
            markup("<html><META http-equiv=Content-Type content=\"text/html; charset=iso-8859-1\">"),
        ),
        ("text/html", markup("<!doctype html><meta charset=latin1>")),
        ("text/html", markup("<!-- <meta charset=shift_jis> --><meta charset=latin1>")),
        ("text/html", markup("<meta name=x content='charset=shift_jis'><meta charset=latin1>")),
        // Declared by nobody.
        ("text/html", latin.clone()),
        ("text/plain", latin.clone()),
        ("text/html", [b"<meta charset=utf-16>", text.as_bytes()].concat()),
        ("application/xml", markup("<?xml version='1.0' encoding='ISO-8859-1'?>")),
    ] {
        let target = sending(typed(charset, &body), false).await;
        let expect = HttpExpect {
            body_matches: vec!["f\u{fc}r K.ln$".parse().expect("a pattern")],
            ..contains("K\u{f6}ln")
        };
        assert_eq!(judged(&target, expect).await.failure, None, "{charset}");
        let expect = HttpExpect { body_not_contains: vec!["f\u{fc}r".into()], ..HttpExpect::default() };
        let failure = judged(&target, expect).await.failure.expect(charset);
        assert!(failure.got.is_some_and(|got| got.contains("f\u{fc}r")), "{charset}");
    }
}

#[tokio::test]
async fn json_behind_a_mark_or_in_another_charset() {
    let text = "{\"place\": \"K\u{f6}ln\"}";
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    // Its bytes are UTF-8, too, which is no JSON.
    let wide_ascii = "{\"place\": \"K\\u00f6ln\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (charset, body) in [
        ("application/json", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        ("application/json; charset=iso-8859-1", latin(text)),
        ("application/json; charset=iso-8859-1", text.into()),
        ("application/json; charset=utf-16le", wide.clone()),
        ("application/json; charset=utf-16le", wide_ascii),
        ("application/json", [vec![0xff, 0xfe], wide].concat()),
    ] {
        let target = sending(typed(charset, &body), false).await;
        assert_eq!(judged(&target, json("$.place == \"K\u{f6}ln\"")).await.failure, None, "{charset}");
    }
}

#[tokio::test]
async fn a_secret_in_another_charset_is_not_shown() {
    let body: Vec<u8> = "no: s3cret-w\u{f6}rd".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let target = sending(typed("text/plain; charset=utf-16", &body), false).await;
    let mut spec = HttpSpec { expect: contains("yes"), ..target.http("/") };
    spec.headers.insert("X-Token".into(), SecretRef::Literal("s3cret-w\u{f6}rd".into()));
    let report = ask(spec).await;
    assert_eq!(report.failure.expect("it lacks `yes`").got.as_deref(), Some("no: \u{2026}"));
}
