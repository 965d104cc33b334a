//! Requests with the values in them, and answers without.

use super::*;
use crate::secrets::Binding;
use guest_secrets::Host as _;
use uptime_core::notifier::Place;
use uptime_core::secret::Secret;

/// A secret of the plugin's may go anywhere at this host, and sign.
fn anywhere() -> Binding {
    let to = || HERE.to_owned();
    let places = [
        Place::Path { to: to() },
        Place::Query { to: to() },
        Place::Header { to: to(), name: "*".into() },
        Place::Body { to: to() },
        Place::Signature,
    ];
    let host = || HERE.parse().ok();
    Binding { key: "token".into(), places: places.into_iter().map(|place| (place, host())).collect() }
}

const HERE: &str = "https://x.example";

fn call() -> (Call, String) {
    let mut references = References::default();
    let reference = references.add(&Secret::new("a\"b&cdefgh"), anywhere());
    (Call::new("test", &Limits::default(), references, Policy::default()), reference)
}

fn here() -> Url {
    Url::parse(HERE).expect(HERE)
}

fn request(url: String, headers: &[(&str, String)], body: String) -> Request {
    Request {
        method: guest_http::Method::Post,
        url,
        query: vec![("q".into(), body.clone())],
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        basic_auth: None,
        body: Some(body.into_bytes()),
        timeout_ms: Some(3_600_000),
        signatures: Vec::new(),
    }
}

#[test]
fn secrets_are_put_in_as_each_place_needs_it() {
    let (call, reference) = call();
    for (content_type, body) in [
        ("application/json; charset=utf-8", r#"a\"b&cdefgh"#),
        ("application/x-www-form-urlencoded", "a%22b%26cdefgh"),
        ("text/plain", "a\"b&cdefgh"),
    ] {
        let headers =
            [("content-type", content_type.to_owned()), ("authorization", format!("Bearer {reference}"))];
        let outbound = call.outbound(request(
            format!("https://x.example/{reference}/y?z#f"),
            &headers,
            reference.clone(),
        ));
        let outbound = outbound.expect("a request");
        assert_eq!(outbound.url.as_str(), "https://x.example/a%22b%26cdefgh/y?z&q=a%22b%26cdefgh");
        assert_eq!(outbound.headers["authorization"], "Bearer a\"b&cdefgh");
        assert_eq!(outbound.body, body.as_bytes(), "{content_type}");
        assert_eq!(outbound.timeout, Limits::default().request_timeout);
    }
}

#[test]
fn a_user_and_a_password_become_a_header() {
    let (call, reference) = call();
    let with = |basic: (&str, &str), headers: &[(&str, String)]| {
        let basic_auth = Some((basic.0.to_owned(), basic.1.to_owned()));
        call.outbound(Request { basic_auth, ..request("https://x.example".into(), headers, String::new()) })
    };
    let sent = with(("me", &reference), &[]).expect("a request");
    // me:a"b&cdefgh
    assert_eq!(sent.headers["authorization"], "Basic bWU6YSJiJmNkZWZnaA==");
    assert!(sent.headers["authorization"].is_sensitive());
    assert!(with(("a:b", "c"), &[]).is_err());
    assert!(with(("a", "b"), &[("authorization", "Bearer x".into())]).is_err());
    let request = Request {
        basic_auth: Some(("me".into(), reference)),
        ..request("https://x.example".into(), &[], String::new())
    };
    assert_eq!(call.preview(&request).headers, [("authorization".into(), "Basic me:•••".into())]);
}

#[test]
fn an_echo_is_cleared_before_the_guest_sees_it() {
    let (mut call, _) = call();
    let headers = HeaderMap::from_iter([(header::SERVER, HeaderValue::from_static("a\"b&cdefgh"))]);
    let body = b"a\"b&cdefgh, a\\\"b&cdefgh, a%22b%26CDEFGH".to_vec();
    let seen = call.inbound(&here(), &Inbound { status: 200, headers, body, truncated: false });
    assert_eq!(seen.headers, [("server".to_owned(), "•••".to_owned())]);
    assert_eq!(String::from_utf8(seen.body).expect("text"), "•••, •••, •••");
}

#[test]
fn a_coded_answer_and_the_end_of_a_cut_one_show_nothing() {
    let (mut call, _) = call();
    let coded = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
    let answer =
        |headers, body: &[u8], truncated| Inbound { status: 200, headers, body: body.to_vec(), truncated };
    let seen = call.inbound(&here(), &answer(coded, b"whatever it is", false));
    assert_eq!((seen.body.as_slice(), seen.truncated), (b"".as_slice(), true));
    let seen = call.inbound(&here(), &answer(HeaderMap::new(), &[b'x'; 100], true));
    assert!((20..90).contains(&seen.body.len()), "{} bytes", seen.body.len());
    let seen = call.inbound(&here(), &answer(HeaderMap::new(), &[b'x'; 100], false));
    assert_eq!(seen.body.len(), 100);
}

#[test]
fn an_answer_after_a_denial_is_what_counts() {
    let (mut call, _) = call();
    let denial = Denial { origin: "x".into(), reason: "y".into(), openable: true, by_answer: false };
    call.failed(EgressError::Denied(denial));
    assert!(call.denial.is_some());
    call.inbound(
        &here(),
        &Inbound { status: 503, headers: HeaderMap::new(), body: Vec::new(), truncated: false },
    );
    assert_eq!(call.denial, None);
}

#[test]
fn nothing_is_blown_up_by_the_values_that_are_put_in() {
    let mut call = call().0;
    let long = call.references.add(&Secret::new("x".repeat(60_000)), anywhere());
    let many = long.repeat(100);
    let here = || HERE.to_owned();
    let refused = |request| call.outbound(request).err().expect("refused");
    let body = Request { query: Vec::new(), ..request(here(), &[], many.clone()) };
    assert_eq!(refused(body), "a body of 6000000 bytes is over the limit of 262144");
    let url = request(format!("https://x.example/{long}"), &[], String::new());
    assert!(refused(url).starts_with("the address is longer than"));
    let header = request(here(), &[("x-a", long.clone())], String::new());
    assert!(refused(header).starts_with("the headers are longer than"));
    for basic in [(long.clone(), String::new()), (String::new(), long.clone())] {
        let basic = Request { basic_auth: Some(basic), ..request(here(), &[], String::new()) };
        assert!(refused(basic).starts_with("the headers are longer than"));
    }
}

#[test]
fn the_time_of_the_hosts_functions_is_on_the_guests_bill() {
    let (mut call, _) = call();
    let before = call.ticks_left;
    let began = Instant::now().checked_sub(Limits::TICK * 3).expect("the machine has run for longer");
    call.charge(began);
    assert!(call.ticks_left <= before - 3, "{} of {before}", call.ticks_left);
    call.charge(Instant::now().checked_sub(Limits::TICK * 1_000).expect("and longer"));
    assert_eq!((call.ticks_left, call.tick()), (0, Err(Abort::Cpu)));
}

#[test]
fn what_is_no_request_is_refused() {
    let (call, _) = call();
    let refused = |url: &str, name: &str, value: &str| {
        call.outbound(request(url.into(), &[(name, value.into())], String::new())).err().expect("refused")
    };
    assert_eq!(refused("nowhere", "x-a", "1"), "the address: relative URL without a base");
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "proxy-connection",
        "accept-encoding",
        "Range",
    ] {
        assert_eq!(
            refused("https://x.example", name, "1"),
            format!("the header `{name}` is the host's to set")
        );
    }
    assert_eq!(refused("https://x.example", "a b", "1"), "`a b` is no header's name");
    assert_eq!(
        refused("https://x.example", "x-a", "1\r\nx-b: 2"),
        "the header `x-a` has a value that can't be sent"
    );
}

/// HMAC-SHA256 of `x` with this key.
fn mac_of_x(call: &mut Call, key: String) -> Result<Vec<u8>, String> {
    let (key, message) = (guest_secrets::Piece::Reference(key), guest_secrets::Piece::Bytes(b"x".to_vec()));
    call.hmac(guest_types::Hash::Sha256, vec![key], vec![message])
}

#[test]
fn only_what_may_sign_signs() {
    let (mut call, reference) = call();
    assert_eq!(mac_of_x(&mut call, reference.clone()).expect("a signature").len(), 32);
    let among = guest_secrets::Piece::Bytes(format!("x{reference}").into_bytes());
    assert!(call.hmac(guest_types::Hash::Sha256, Vec::new(), vec![among]).is_err());
    assert!(mac_of_x(&mut call, "bot_token".into()).is_err());
    let nowhere = call.references.add(&Secret::new("s3cret"), Binding::default());
    assert!(mac_of_x(&mut call, nowhere).is_err());
    let broken = call.references.add(&Secret::new("whsec_%%%"), anywhere());
    assert_eq!(mac_of_x(&mut call, broken), Err("the secret is none to sign with".into()));
    for (length, is_good) in [(23, false), (24, true), (64, true), (65, false)] {
        let encoded = base64::engine::general_purpose::STANDARD.encode(vec![7; length]);
        let key = call.references.add(&Secret::new(format!("whsec_{encoded}")), anywhere());
        assert_eq!(mac_of_x(&mut call, key).is_ok(), is_good, "{length}");
    }
    let many = vec![guest_secrets::Piece::Reference(reference); 65];
    assert!(call.base64(many).is_err_and(|why| why.contains("64 pieces")));
}

/// Amazon's example of a key that is made of keys ("Deriving the signing key" of Signature Version 4).
#[test]
fn a_chain_of_keys_never_enters_the_guest() {
    let (mut call, _) = call();
    let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let secret = call.references.add(&secret, anywhere());
    let bytes = |text: &str| guest_secrets::Piece::Bytes(text.as_bytes().to_vec());
    let hash = guest_types::Hash::Sha256;
    let mut key = vec![bytes("AWS4"), guest_secrets::Piece::Reference(secret)];
    for part in ["20120215", "us-east-1", "iam"] {
        let derived = call.derive(hash, key, vec![bytes(part)]).expect("a reference");
        key = vec![guest_secrets::Piece::Reference(derived)];
    }
    let last = call.hmac(hash, key, vec![bytes("aws4_request")]).expect("a key");
    assert_eq!(
        crate::secrets::hex(&last),
        "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
    );
}

#[test]
fn signatures_are_over_what_the_receiver_sees() {
    let (call, reference) = call();
    let signature = |header: &str, encoding, before: &str| guest_http::Signature {
        header: header.into(),
        prefix: "v1=".into(),
        hash: guest_types::Hash::Sha256,
        key: reference.clone(),
        before: before.as_bytes().to_vec(),
        encoding,
    };
    let sent = |signatures: Vec<_>| {
        let headers = [("content-type", "text/plain".to_owned())];
        let plain = request(HERE.into(), &headers, format!("k={reference}"));
        call.outbound(Request { query: Vec::new(), signatures, ..plain })
    };
    let (hex, base64) = (guest_http::Encoding::Hex, guest_http::Encoding::Base64);
    let outbound = sent(vec![signature("x-sign", hex, "1."), signature("X-Sign", base64, "")]);
    let outbound = outbound.expect("a request");
    assert_eq!(outbound.body, "k=a\"b&cdefgh");
    // Computed with OpenSSL.
    assert_eq!(
        outbound.headers["x-sign"],
        "v1=1ba73004d23d904bc935fe416495f5e81c7f375510d4a11bcdbbe4d34345547e v1=ZmJOu5EgYvnGsS9JF71W3GdfFkdaTaqUlzLBEXxo9sU="
    );
    for (wrong, why) in [
        (signature("content-type", hex, ""), "is a signature's, and is set besides"),
        (signature("host", hex, ""), "is the host's to set"),
        (signature("x-sign", hex, &reference), "can't hold a reference"),
        (guest_http::Signature { key: "x".into(), ..signature("x-sign", hex, "") }, "no reference"),
        (guest_http::Signature { prefix: "a\nb".into(), ..signature("x-sign", hex, "") }, "can't be sent"),
    ] {
        let refused = sent(vec![wrong]).err().expect(why);
        assert!(refused.contains(why), "{refused}");
    }
    assert!(sent(vec![signature("x-sign", hex, ""); 17]).is_err());
    // As people see it.
    let request = Request {
        signatures: vec![signature("x-sign", hex, "")],
        ..request(HERE.into(), &[], String::new())
    };
    assert_eq!(call.preview(&request).headers, [("x-sign".to_owned(), "v1=•••".to_owned())]);
}

/// The specification of Standard Webhooks has this example.
#[test]
fn the_vector_of_standard_webhooks() {
    let (mut call, _) = call();
    let key = call.references.add(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), anywhere());
    let signature = guest_http::Signature {
        header: "webhook-signature".into(),
        prefix: "v1,".into(),
        hash: guest_types::Hash::Sha256,
        key,
        before: b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.".to_vec(),
        encoding: guest_http::Encoding::Base64,
    };
    let plain = request(HERE.into(), &[], "{\"test\": 2432232314}".into());
    let outbound = call.outbound(Request { query: Vec::new(), signatures: vec![signature], ..plain });
    let sent = outbound.expect("a request").headers["webhook-signature"].clone();
    assert_eq!(sent, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn a_body_with_a_secret_says_what_it_is() {
    let (call, reference) = call();
    let without = Request { query: Vec::new(), ..request(HERE.into(), &[], reference.clone()) };
    let refused = call.outbound(without).err().expect("refused");
    assert!(refused.contains("content-type"), "{refused}");
    let headers = [("content-type", "application/soap+xml".to_owned())];
    let xml = call.outbound(request(HERE.into(), &headers, format!("<k>{reference}</k>")));
    assert_eq!(xml.expect("a request").body, "<k>a&quot;b&amp;cdefgh</k>");
}

#[test]
fn what_is_kept_is_a_reference_in_this_call_and_the_next() {
    let all = std::sync::Arc::default();
    let another = || {
        let mut call = call().0;
        call.kept = Some(KeptOf::new(std::sync::Arc::clone(&all), "test", "ops"));
        call
    };
    let mut first = another();
    assert_eq!(first.kept("token".into()), None);
    let reference = first.keep("token".into(), "ya29.made-up".into(), 60).expect("a reference");
    assert_eq!(first.kept("token".into()), Some(reference.clone()));
    let mut next = another();
    let again = next.kept("token".into()).expect("it is kept");
    assert_ne!(again, reference);
    let headers = [("authorization", format!("Bearer {again}"))];
    let outbound = next.outbound(request(HERE.into(), &headers, String::new())).expect("a request");
    assert_eq!(outbound.headers["authorization"], "Bearer ya29.made-up");
    assert_eq!(next.said(&format!("{again} is ya29.made-up"), 100), "••• is •••");
    assert!(next.keep("x".into(), again, 60).is_err(), "a reference is none to keep");
    assert!(call().0.keep("token".into(), "x".into(), 60).is_err());
}
