//! JSON to send, and one value out of a JSON text, without what reads and writes all of it.
//!
//! A notifier looks at three or four values of an answer. What serde needs to read them (each kind of number, the words
//! for each mistake) is half of a small plugin; [`at`] is a walk over the text. It skips what is not asked for, finds
//! nothing in what is no JSON on the way there, and does not judge the rest. No recursion: a text without a bottom costs
//! no stack.

use crate::text::escape_json;

/// JSON to send, as text. Where it is empty there is nothing, and an object leaves it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// An object with these members.
pub fn object(members: &[(&str, Json)]) -> Json {
    let there = members.iter().filter(|(_, value)| !value.0.is_empty());
    let members: Vec<String> =
        there.map(|(key, value)| format!("\"{}\":{}", escape_json(key), value.0)).collect();
    Json(format!("{{{}}}", members.join(",")))
}

/// A list of these.
pub fn list(items: &[Json]) -> Json {
    let items: Vec<&str> = items.iter().map(|item| item.0.as_str()).collect();
    Json(format!("[{}]", items.join(",")))
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self(format!("\"{}\"", escape_json(text)))
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl From<bool> for Json {
    fn from(on: bool) -> Self {
        Self(on.to_string())
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map(Into::into).unwrap_or_default()
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string())
    }
}

/// A value that is not made of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A text, its escapes read.
    Text(String),
    /// A number as it is written.
    Number(String),
    /// `true` or `false`.
    Bool(bool),
}

impl Scalar {
    /// The text, if it is one.
    pub fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// As text, whatever it is.
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Bool(on) => on.to_string(),
        }
    }

    /// The whole number, if it is one.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }
}

/// The scalar at `path`, a key for each object on the way: `at(b"{\"a\":{\"b\":1}}", &["a", "b"])`.
pub fn at(json: &[u8], path: &[&str]) -> Option<Scalar> {
    let mut walk = Walk { rest: json };
    for key in path {
        walk.enter(key)?;
    }
    walk.scalar()
}

/// The texts by key of the object at `path`; what is no text is left out.
pub fn pairs(json: &[u8], path: &[&str]) -> Vec<(String, String)> {
    let mut walk = Walk { rest: json };
    let mut pairs = Vec::new();
    if path.iter().try_for_each(|key| walk.enter(key)).and_then(|()| walk.eat(b'{')).is_some() {
        while let Some(key) = walk.string().and_then(unescape) {
            let Some(()) = walk.eat(b':') else { break };
            let value = Walk { rest: walk.rest }.scalar().and_then(Scalar::text);
            pairs.extend(value.map(|value| (key, value)));
            let Some(()) = walk.skip().and_then(|()| walk.eat(b',')) else { break };
        }
    }
    pairs
}

struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// Steps over `byte`, if it comes next.
    fn eat(&mut self, byte: u8) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    /// Steps into the object that comes next, to the value of `key`.
    fn enter(&mut self, key: &str) -> Option<()> {
        self.eat(b'{')?;
        loop {
            let found = unescape(self.string()?)? == key;
            self.eat(b':')?;
            if found {
                return Some(());
            }
            self.skip()?;
            self.eat(b',')?;
        }
    }

    /// Steps over a string; what is between its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.eat(b'"')?;
        let mut end = 0;
        loop {
            match self.rest.get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        let (inside, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        Some(inside)
    }

    /// Steps over a value of whatever kind.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            self.space();
            match *self.rest.first()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.rest = &self.rest[1..];
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.rest = &self.rest[1..];
                }
                b',' | b':' if depth > 0 => self.rest = &self.rest[1..],
                _ => {
                    self.word()?;
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Steps over a number, or one of the three words.
    fn word(&mut self) -> Option<&'a str> {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let end = self.rest.iter().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).filter(|(word, _)| !word.is_empty())?;
        self.rest = rest;
        std::str::from_utf8(word).ok()
    }

    fn scalar(&mut self) -> Option<Scalar> {
        self.space();
        if self.rest.first()? == &b'"' {
            return self.string().and_then(unescape).map(Scalar::Text);
        }
        match self.word()? {
            "true" => Some(Scalar::Bool(true)),
            "false" => Some(Scalar::Bool(false)),
            number if number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                Some(Scalar::Number(number.to_owned()))
            }
            _ => None,
        }
    }
}

/// What a string's inside stands for. Halves of a surrogate pair that stand alone are replaced.
fn unescape(inside: &[u8]) -> Option<String> {
    let mut units = Vec::new();
    let mut text = String::new();
    let mut characters = std::str::from_utf8(inside).ok()?.chars();
    while let Some(c) = characters.next() {
        let plain = match c {
            '\\' => match characters.next()? {
                'u' => {
                    let digits = characters.as_str().get(..4)?;
                    units.push(u16::from_str_radix(digits, 16).ok()?);
                    characters = characters.as_str()[4..].chars();
                    continue;
                }
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\u{8}',
                'f' => '\u{c}',
                same => same,
            },
            same => same,
        };
        text.extend(char::decode_utf16(units.drain(..)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        text.push(plain);
    }
    text.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn found(json: &str, path: &[&str]) -> Option<Value> {
        Some(match at(json.as_bytes(), path)? {
            Scalar::Text(text) => Value::from(text),
            Scalar::Number(number) => serde_json::from_str(&number).expect("a number"),
            Scalar::Bool(on) => Value::from(on),
        })
    }

    #[test]
    fn what_is_written_is_what_serde_reads() {
        let there = object(&[
            ("t\"", "a\n\"b\"".into()),
            ("n", (-7).into()),
            ("on", true.into()),
            ("none", None::<&str>.into()),
            ("list", list(&[1.into(), object(&[]), Some(String::new()).into()])),
            ("value", serde_json::json!({"x": null}).into()),
        ]);
        assert_eq!(
            serde_json::from_str::<Value>(&there.into_text()).expect("JSON"),
            serde_json::json!({"t\"": "a\n\"b\"", "n": -7, "on": true, "list": [1, {}, ""], "value": {"x": null}})
        );
        assert_eq!(list(&[]).into_text(), "[]");
    }

    #[test]
    fn it_finds_what_a_parser_finds() {
        let json = r#" {"a" : 1 , "b": {"c": [1, {"d": "}]\""}], "": -2.5e3}, "e\"\u00e9": "\ud83d\udc7e \u0041\n\/\\",
            "t": true, "f": false, "n": null, "half": "\ud83d!", "a": 2, "last": "x"} "#;
        let parsed: Value =
            serde_json::from_str(&json.replace(r"\ud83d!", r"\ufffd!").replace(r#", "a": 2"#, ""))
                .expect("JSON");
        for path in [
            &["a"][..],
            &["b", ""],
            &["e\"é"],
            &["t"],
            &["f"],
            &["half"],
            &["last"],
            &["n"],
            &["b"],
            &["b", "c"],
            &["b", "x"],
            &["a", "b"],
            &["x"],
        ] {
            let expected = path.iter().try_fold(&parsed, |value, key| value.get(key));
            let expected =
                expected.filter(|value| value.is_string() || value.is_number() || value.is_boolean());
            assert_eq!(found(json, path).as_ref(), expected, "{path:?}");
        }
        assert_eq!(found("7", &[]), Some(7.into()));
    }

    #[test]
    fn pairs_are_those_of_one_object() {
        let json = br#"{"a": [1], "t": {"x": "1", "y": {"z": "2"}, "b\"": "c", "n": 7}, "u": {"v": "w"}}"#;
        let texts = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(pairs(json, &["t"]), texts(&[("x", "1"), ("b\"", "c")]));
        assert_eq!(pairs(json, &["t", "y"]), texts(&[("z", "2")]));
        for (wrong, path) in
            [(&json[..], "a"), (json, "missing"), (b"{\"t\":{}}", "t"), (b"{\"t\":{\"x\"", "t")]
        {
            assert!(pairs(wrong, &[path]).is_empty());
        }
    }

    #[test]
    fn it_finds_nothing_in_what_is_no_json() {
        let deep = format!("{}\"a\":1", "{\"b\":[".repeat(100_000));
        for json in [
            "",
            " ",
            "{",
            "{}",
            "[]",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":}",
            "{\"a\":\"",
            "{\"a\":\"\\",
            "{\"a\":\"\\u12",
            "{\"a\":\"\\u00zz\"}",
            "{\"x\":]",
            "{\"x\" 1,\"a\":1}",
            "{,\"a\":1}",
            "<html>",
            "ok",
            "{\"a\":ok}",
            &deep,
        ] {
            assert_eq!(at(json.as_bytes(), &["a"]), None, "{json:.40}");
        }
        assert_eq!(at(b"{\"a\":\"\xff\"}", &["a"]), None);
    }

    #[test]
    fn numbers_are_kept_as_they_are_written() {
        let number = |json: &str| at(json.as_bytes(), &["a"]);
        assert_eq!(number("{\"a\":0.6405}"), Some(Scalar::Number("0.6405".into())));
        assert_eq!(
            number("{\"a\":-1001234567890}").and_then(|found| found.integer()),
            Some(-1_001_234_567_890)
        );
        assert_eq!(number("{\"a\":1e30}").and_then(|found| found.integer()), None);
    }
}
