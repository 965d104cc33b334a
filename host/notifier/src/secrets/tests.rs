//! Places, writings and guesses.

use super::*;

fn anywhere(to: &str) -> Binding {
    let host: HostGrant = to.parse().expect(to);
    let to = || to.to_owned();
    let places = [
        Place::Path { to: to() },
        Place::Query { to: to() },
        Place::Header { to: to(), name: "*".into() },
        Place::Body { to: to() },
    ];
    Binding {
        key: "key".into(),
        places: places.into_iter().map(|place| (place, Some(host.clone()))).collect(),
    }
}

fn address() -> Binding {
    Binding { key: "address".into(), places: vec![(Place::Address, None)] }
}

fn url(url: &str) -> Url {
    Url::parse(url).expect(url)
}

#[test]
fn values_are_written_as_their_place_needs_it() {
    let mut references = References::default();
    let secret = references.add(&Secret::new("a\"b/c d"), anywhere("https://x"));
    let here = url("https://x");
    let header = references.fill(&format!("Bearer {secret}"), Escape::None, &here, Part::Header("a"));
    assert_eq!(header.as_deref(), Ok("Bearer a\"b/c d"));
    assert_eq!(
        references.fill_url(&format!("https://x/{secret}?q={secret}")).expect("an address").as_str(),
        "https://x/a%22b%2Fc%20d?q=a%22b%2Fc%20d"
    );
    let json = format!("{{\"k\":\"{secret}{secret}\"}}").into_bytes();
    let json = references.fill_body(json, Escape::Json, &here, Part::Body).expect("a body");
    assert_eq!(String::from_utf8(json).expect("text"), "{\"k\":\"a\\\"b/c da\\\"b/c d\"}");
    let markup = references.add(&Secret::new("<a & 'b'>\""), anywhere("https://x"));
    let xml = references.fill(&format!("<k a=\"{markup}\"/>"), Escape::Markup, &here, Part::Body);
    assert_eq!(xml.as_deref(), Ok("<k a=\"&lt;a &amp; &#39;b&#39;&gt;&quot;\"/>"));
}

#[test]
fn what_is_made_of_secrets_goes_where_each_of_them_goes() {
    let mut references = References::default();
    let at = |path: &str| url(&format!("https://x/{path}"));
    let user = references.add(&Secret::new("me"), anywhere("https://x"));
    let bound = Binding {
        key: "password".into(),
        places: vec![(
            Place::Header { to: "https://x".into(), name: "authorization".into() },
            "https://x".parse().ok(),
        )],
    };
    let password = references.add(&Secret::new("s3cret"), bound);
    let pieces = [Piece::Reference(user), Piece::Bytes(b":".to_vec()), Piece::Reference(password.clone())];
    let basic = references.base64(&pieces).expect("a reference");
    let header = |name| references.fill(&basic, Escape::None, &at(""), Part::Header(name));
    assert_eq!(header("authorization").as_deref(), Ok("bWU6czNjcmV0"));
    assert!(header("x-other").is_err_and(|why| why.contains("`password`")));
    assert!(references.signing_key(&basic).is_err());
    assert_eq!(references.mask(&basic), MASK);
    let among = [Piece::Bytes(format!("me:{password}").into_bytes())];
    assert!(references.base64(&among).is_err_and(|why| why.contains("among other bytes")));

    let derived = references.derive(vec![0xff; 32]).expect("a reference");
    assert_eq!(references.signing_key(&derived), Ok(vec![0xff; 32]));
    assert!(references.fill(&derived, Escape::None, &at(""), Part::Body).is_err());
    assert!(references.base64(&[Piece::Reference(derived)]).is_err());

    let kept = references.add_kept(&Secret::new("token-of-mine")).expect("a reference");
    let anywhere = references.fill(&kept, Escape::None, &url("https://elsewhere.example"), Part::Body);
    assert_eq!(anywhere.as_deref(), Ok("token-of-mine"));
    let many = (0..1_000).find_map(|_| references.derive(Vec::new()).err());
    assert!(many.is_some_and(|why| why.contains("at most 400")));
}

#[test]
fn a_value_goes_to_its_places_alone() {
    let host: HostGrant = "https://api.example".parse().expect("a grant");
    let to = || "https://api.example".to_owned();
    for (place, good) in [
        (Place::Path { to: to() }, "the path"),
        (Place::Query { to: to() }, "the query"),
        (Place::Header { to: to(), name: "x-key".into() }, "the header `x-key`"),
        (Place::Body { to: to() }, "the body"),
    ] {
        let mut references = References::default();
        let bound = Binding { key: "token".into(), places: vec![(place, Some(host.clone()))] };
        let secret = references.add(&Secret::new("s3cret"), bound);
        for at in [
            "https://api.example/",
            "https://api.example:8443/",
            "http://api.example/",
            "https://evil.example/",
        ] {
            for part in [Part::Path, Part::Query, Part::Header("x-key"), Part::Header("x-other"), Part::Body]
            {
                let filled = references.fill(&secret, Escape::None, &url(at), part);
                let may = at == "https://api.example/" && part.to_string() == good;
                assert_eq!(filled.is_ok(), may, "{good} {at} {part}: {filled:?}");
                assert!(filled.is_ok() || !format!("{filled:?}").contains("s3cret"));
            }
        }
        assert!(references.fill_url(&secret).is_err());
        assert!(references.signing_key(&secret).is_err());
        assert!(references.refuse_in(&format!("x-{secret}"), "a header's name").is_err());
        // An address says itself which part a reference stands in.
        for (address, part) in [
            (format!("https://api.example/{secret}"), "the path"),
            (format!("https://api.example/a/?b={secret}"), "the query"),
            (format!("https://evil.example/{secret}"), "nowhere"),
        ] {
            assert_eq!(references.fill_url(&address).is_ok(), part == good, "{good}: {address}");
        }
    }
    let mut references = References::default();
    let bound = Binding { key: "secret".into(), places: vec![(Place::Signature, None)] };
    let secret = references.add(&Secret::new("s3cret"), bound);
    assert_eq!(references.signing_key(&secret).as_deref(), Ok(b"s3cret".as_slice()));
    assert!(references.fill(&secret, Escape::None, &url("https://api.example"), Part::Body).is_err());
}

#[test]
fn a_reference_that_was_encoded_is_refused() {
    let mut references = References::default();
    let secret = references.add(&Secret::new("s3cret"), anywhere("https://x"));
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    for encoded in [
        secret.to_uppercase(),
        secret.replacen('s', "S", 1),
        hex(secret.as_bytes()),
        hex(secret.as_bytes()).to_uppercase(),
        base64(&secret),
        base64(&format!("a:{secret}")),
        base64(&format!("me:{secret}")),
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("??>{secret}")),
        secret.replace("secret", "%73ecre%74"),
        // Beside one that stands as it should.
        format!("{secret} {}", base64(&secret)),
    ] {
        let refused = references.fill(&encoded, Escape::None, &url("https://x"), Part::Body);
        assert!(refused.as_ref().is_err_and(|why| why.contains("was encoded")), "{encoded}: {refused:?}");
    }
    for cut in [&secret[..37], &secret[1..], &secret[..20], &secret[18..]] {
        let refused = references.fill(cut, Escape::None, &url("https://x"), Part::Body);
        assert!(refused.as_ref().is_err_and(|why| why.contains("or cut")), "{cut}: {refused:?}");
    }
    for fine in [String::new(), "secret".repeat(20), secret.repeat(3)] {
        assert!(references.fill(&fine, Escape::None, &url("https://x"), Part::Body).is_ok(), "{fine}");
    }
}

#[test]
fn an_address_stays_one_at_the_beginning_alone() {
    let mut references = References::default();
    let url = references.add(&Secret::new("https://hooks.example/T1/s3cret?x=1"), address());
    let filled = |url: &str| references.fill_url(url).expect("an address").to_string();
    assert_eq!(filled(&url), "https://hooks.example/T1/s3cret?x=1");
    assert_eq!(filled(&format!("{url}&y=2")), "https://hooks.example/T1/s3cret?x=1&y=2");
    assert_eq!(references.mask(&format!("POST {url}&y=2")), "POST https://hooks.example/•••&y=2");
}

#[test]
fn no_value_becomes_a_part_of_where_a_request_goes() {
    let mut references = References::default();
    let everywhere = || {
        let mut binding = anywhere("https://a.example");
        binding.places.extend(anywhere("https://hooks.example").places);
        binding.places.push((Place::Address, None));
        binding
    };
    let secret = references.add(&Secret::new("s3cret"), everywhere());
    let place = references.add(&Secret::new("https://hooks.example"), everywhere());
    let port = references.add(&Secret::new("https://hooks.example:80"), everywhere());
    for (url, reason) in [
        (format!("https://{secret}/"), "before its path"),
        (format!("https://{secret}.evil.example/"), "before its path"),
        (format!("https://{}.evil.example/", secret.to_uppercase()), "before its path"),
        (format!("https://a{secret}b:1/"), "before its path"),
        (format!("https://{secret}@evil.example/"), "before its path"),
        (format!("https://me:{secret}@evil.example/"), "before its path"),
        (format!("https:\\\\{secret}.evil.example/"), "before its path"),
        (format!("https:///{secret}.evil.example/"), "before its path"),
        (format!("ht\ttps://{secret}.evil.example/"), "before its path"),
        (format!("{secret}://evil.example/"), "no address"),
        (format!("https://evil.example:{secret}/"), "invalid port"),
        (format!("{secret}https://evil.example/"), "no address"),
        (format!("{place}.evil.example/"), "leads elsewhere"),
        (format!("{place}@evil.example/"), "leads elsewhere"),
        (format!("{place}:8080/"), "leads elsewhere"),
        (format!("{port}80/"), "leads elsewhere"),
        (format!("{place}{secret}/"), "leads elsewhere"),
    ] {
        let refused = references.fill_url(&url).expect_err(&url);
        assert!(refused.contains(reason) && !refused.contains("s3cret"), "{url}: {refused}");
    }
    let inside = references.fill_url(&format!("https://a.example/{secret}@x:1//{secret}"));
    assert_eq!(inside.expect("an address").as_str(), "https://a.example/s3cret@x:1//s3cret");
}

#[test]
fn what_people_see_holds_no_value_in_any_writing() {
    let mut references = References::default();
    references.add(&Secret::new("s3cret \"key\""), address());
    references.add(&Secret::new("s3cret"), address());
    references.add(&Secret::new("of"), address());
    let said = "s3cret \"key\" / s3cret \\\"key\\\" / S3CRET%20%22KEY%22 / s3cret of 7333637265740a";
    assert_eq!(references.mask(said), "••• / ••• / ••• / ••• of •••0a");
}

#[test]
fn no_part_of_a_value_is_seen() {
    let mut references = References::default();
    references.add(&Secret::new("https://hooks.example/services/T1/abcDEF12345?key=q1w2e3r4t5"), address());
    references.add(&Secret::new("Bearer tok3n+value/=="), address());
    references.hide(&Secret::new("https://plain.example/a"));
    for (said, shown) in [
        ("Cannot POST /services/T1/abcDEF12345?key=q1w2e3r4t5", "Cannot POST •••"),
        ("no service abcDEF12345", "no service •••"),
        ("key q1w2e3r4t5 is unknown", "key ••• is unknown"),
        ("token tok3n+value/== is unknown", "token ••• is unknown"),
        ("token tok3n%2Bvalue%2F%3D%3D is unknown", "token ••• is unknown"),
        ("services: none at /a; T1", "services: none at /a; T1"),
        // In base64 behind none, one and two bytes, with something behind it.
        ("QmVhcmVyIHRvazNuK3ZhbHVlLz09", "•••"),
        ("eEJlYXJlciB0b2szbit2YWx1ZS89PXg=", "eE•••Xg="),
    ] {
        let seen = references.mask(said);
        assert_eq!(seen, shown, "{said}");
    }
}

#[test]
fn an_answer_is_cleared_of_what_may_have_gone_to_its_host() {
    let mut references = References::default();
    references.add(&Secret::new("s3cret-key"), anywhere("https://api.example"));
    references.add(&Secret::new("https://hooks.example/abcDEF12345"), address());
    let cleared = |from: &str, answer: &str| {
        String::from_utf8(references.clear(&url(from), answer.as_bytes(), false)).expect("text")
    };
    let api = "https://api.example/x";
    for echo in
        ["s3cret-key", "S3CRET-KEY", "7333637265742d6b6579", "7333637265742D6B6579", "czNjcmV0LWtleQ=="]
    {
        let seen = cleared(api, &format!("echo: {echo}"));
        assert!(seen.starts_with("echo: •••") && seen.len() < 20, "{echo}: {seen}");
        assert_eq!(cleared("https://evil.example/", echo), echo, "it never got it");
    }
    assert_eq!(cleared("https://hooks.example/", "no /ABCdef12345"), "no •••");
}

/// A plugin that does not know a value learns nothing of it by having its guesses repeated.
#[test]
fn no_guess_is_answered() {
    let mut references = References::default();
    references.add(&Secret::new("4711"), anywhere("https://api.example"));
    references.add(&Secret::new("s3cret-key"), anywhere("https://api.example"));
    let guesses = (0..10_000).map(|pin| format!("{pin:04}")).collect::<Vec<_>>().join(" ");
    for host in ["https://api.example/", "https://evil.example/"] {
        let seen = references.clear(&url(host), guesses.as_bytes(), false);
        assert_eq!(String::from_utf8(seen).expect("text"), guesses);
    }
    // The end of a cut answer is missing whether it is a value's beginning or not.
    let length = |end: &str| {
        let answer = format!("{}{end}", "x".repeat(1_000));
        references.clear(&url("https://api.example/"), answer.as_bytes(), true).len() + 8 - end.len()
    };
    assert!(
        ["s3cr", "s3cret", "s3cret-k", "guess", ""].map(length).windows(2).all(|pair| pair[0] == pair[1])
    );
    let whole = references.clear(&url("https://api.example/"), b"short", true);
    assert_eq!(whole, b"", "and never more than there is");
    // What it says itself is given back to it as it was.
    assert_eq!(references.mask_known("4711 s3cret-key"), "4711 s3cret-key");
}

#[test]
fn what_a_plugin_may_see_is_kept_from_people_alone() {
    let mut references = References::default();
    references.hide(&Secret::new("-100123"));
    let answer = b"{\"id\":-100123}".to_vec();
    assert_eq!(references.clear(&url("https://api.example"), &answer, false), answer);
    assert_eq!(references.mask("chat -100123"), "chat •••");
}

#[test]
fn a_length_is_known_before_the_values_are_put_in() {
    let mut references = References::default();
    let short = references.add(&Secret::new("a"), anywhere("https://x"));
    let long = references.add(&Secret::new("\"".repeat(100)), anywhere("https://x"));
    let text = format!("{short}{long} {short}{long}");
    for escape in [Escape::None, Escape::Json, Escape::Percent] {
        let filled = references.fill(&text, escape, &url("https://x"), Part::Body).expect("filled");
        assert_eq!(references.filled_length(text.as_bytes(), escape), filled.len());
    }
}

#[test]
fn content_types() {
    for (text, escape) in [
        ("application/json", Escape::Json),
        ("Application/Problem+JSON; charset=utf-8", Escape::Json),
        ("application/x-www-form-urlencoded", Escape::Percent),
        ("text/plain", Escape::None),
        ("", Escape::None),
    ] {
        assert_eq!(Escape::for_content_type(text), escape, "{text}");
    }
}

#[test]
fn bytes_are_found_and_replaced() {
    for (haystack, needle, with, result) in [
        ("aab", "ab", "x", "ax"),
        ("abab", "ab", "", ""),
        ("ab", "abc", "x", "ab"),
        ("xaxa", "xa", "xax", "xaxxax"),
    ] {
        assert_eq!(replace(haystack.as_bytes(), needle.as_bytes(), with.as_bytes()), result.as_bytes());
    }
}
