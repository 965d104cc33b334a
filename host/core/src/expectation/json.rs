//! Conditions on an answer that is JSON.

use super::{CONDITION_MOST, Mismatch, Pattern, Regexes, Test};
use crate::words::as_text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json_path::JsonPath;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// `PATH OPERATOR [VALUE]` or `length(PATH) OPERATOR VALUE`.
///
/// Where a path names several places (`$.items[*].ok`), the condition must hold at each of them, and there must be at
/// least one: `$.items[*].ok == true` does not hold of an empty list. A place whose value is `null` is there. A length
/// is a text's characters, a list's items or an object's keys.
///
/// A path is RFC 9535's without `match` and `search` (there is `=~`). So that no answer can make it costly, it has `..`
/// at most once and outside of brackets, brackets at most six deep, and no `$` but the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct JsonCondition {
    subject: Subject,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Subject {
    length: bool,
    path: JsonPath,
    /// The path as it was written.
    text: String,
}

/// How deep brackets may be: a parser of filters takes twice as long for each.
const NESTED_MOST: usize = 6;

impl JsonCondition {
    /// Whether it holds of an answer, with patterns that somebody has compiled.
    ///
    /// # Errors
    /// What was expected and what is there.
    pub fn judge_with(&self, answer: &Value, regexes: Regexes<'_>) -> Result<(), Mismatch> {
        let nodes = self.subject.path.query(answer);
        let wrong = match &self.test {
            Test::Exists if nodes.is_empty() => None,
            Test::Exists => return Ok(()),
            Test::Removal if nodes.is_empty() => return Ok(()),
            Test::Removal => Some(0),
            _ if nodes.is_empty() => None,
            test => {
                let fits =
                    |node: &Value| self.subject.of(node).is_some_and(|value| test.holds(&value, regexes));
                match nodes.iter().position(|node| !fits(node)) {
                    Some(at) => Some(at),
                    None => return Ok(()),
                }
            }
        };
        Err(Mismatch { expected: self.to_string(), got: self.subject.got(answer, wrong) })
    }

    /// The pattern that it matches with, if it does.
    pub fn pattern(&self) -> Option<&Pattern> {
        if let Test::Matches(pattern) = &self.test { Some(pattern) } else { None }
    }
}

impl Subject {
    fn parse(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix("length(");
        let (length, path) = match inner {
            Some(inner) => (true, inner.strip_suffix(')').ok_or("`length(` has no closing `)`")?.trim()),
            None => (false, text),
        };
        if !path.starts_with('$') {
            return Err("it begins with a path such as `$.status`, or with `length($.items)`".into());
        }
        bounded(path)?;
        let parsed = JsonPath::parse(path).map_err(|error| {
            // Its position is in bytes, and of its words those on functions alone help.
            let read = path.get(..error.position()).map_or(0, |read| read.chars().count());
            let why = match error.message().split_once("function ") {
                Some((_, why)) => format!(": the function {why}"),
                None => String::new(),
            };
            format!("the path `{path}` is wrong at its character {}{why}", read + 1)
        })?;
        Ok(Self { length, path: parsed, text: path.to_owned() })
    }

    /// What the condition is about, at one place.
    fn of<'v>(&self, node: &'v Value) -> Option<Cow<'v, Value>> {
        if !self.length {
            return Some(Cow::Borrowed(node));
        }
        let length = match node {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.len(),
            Value::Object(keys) => keys.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => return None,
        };
        Some(Cow::Owned(Value::from(length)))
    }

    /// What is there, at the place of that number; `None`: nothing is.
    fn got(&self, answer: &Value, at: Option<usize>) -> String {
        let Some(at) = at else { return "nothing is there".into() };
        let located = self.path.query_located(answer);
        let Some(node) = located.iter().nth(at) else { return "nothing is there".into() };
        let place = if located.len() > 1 { format!(" at `{}`", node.location()) } else { String::new() };
        match self.of(node.node()) {
            Some(value) => format!("{}{place}", shown(&value)),
            None => format!("{}{place}, which has no length", shown(node.node())),
        }
    }
}

/// A value for people; large ones in a word.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) if items.len() > 8 => format!("a list of {} items", items.len()),
        Value::Object(keys) if keys.len() > 8 => format!("an object of {} keys", keys.len()),
        Value::String(text) if text.chars().count() > CONDITION_MOST => {
            let start: String = text.chars().take(CONDITION_MOST).collect();
            Value::from(start).to_string()
        }
        value => value.to_string(),
    }
}

impl FromStr for JsonCondition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.chars().count() > CONDITION_MOST {
            return Err(format!("a condition has at most {CONDITION_MOST} characters"));
        }
        let end = unquoted(text)
            .find(|(_, c, depth)| *depth == 0 && (c.is_whitespace() || "=!<>~".contains(*c)))
            .map_or(text.len(), |(at, ..)| at);
        let (subject, rest) = text.split_at(end);
        let subject = Subject::parse(subject)?;
        let test = Test::parse(rest)?;
        if subject.length {
            let number = test.literal().is_some_and(|literal| literal.value.is_number());
            if !matches!(test, Test::Compare(..)) || !number {
                return Err("`length(…)` is compared with a number".into());
            }
        }
        Ok(Self { subject, test })
    }
}

/// The characters that stand in no quotes, where they are, and how many brackets are open around them.
fn unquoted(text: &str) -> impl Iterator<Item = (usize, char, usize)> {
    let (mut quote, mut escaped, mut depth) = (None, false, 0_usize);
    text.char_indices().filter_map(move |(at, c)| {
        if let Some(open) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == open {
                quote = None;
            }
            return None;
        }
        match c {
            '\'' | '"' => quote = Some(c),
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            _ => return Some((at, c, depth)),
        }
        // A bracket counts as inside of itself.
        Some((at, c, depth.max(1)))
    })
}

/// Refuses what would be costly to parse, or to look for in an answer that somebody made for it.
fn bounded(path: &str) -> Result<(), String> {
    let mut dots = 0;
    for (at, c, depth) in unquoted(path) {
        if depth > NESTED_MOST {
            return Err(format!("brackets are at most {NESTED_MOST} deep"));
        }
        match c {
            '$' if at > 0 => return Err("there is a second `$`: a path in a filter begins with `@`".into()),
            '.' if path[at..].starts_with("..") => {
                dots += 1;
                if depth > 0 || dots > 1 {
                    return Err("`..` is there at most once, and not in brackets".into());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

as_text!(JsonCondition);

impl fmt::Display for JsonCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject: Subject { length, text, .. }, test } = self;
        if *length { write!(f, "length({text}) {test}") } else { write!(f, "{text} {test}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn condition(text: &str) -> JsonCondition {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn each_operator_holds_and_does_not() {
        let answer = json!({
            "status": "ok", "n": 3, "half": 0.5, "big": 9_007_199_254_740_993_u64, "none": null, "on": true,
            "items": [{"id": 1, "ok": true}, {"id": 2, "ok": false}], "tags": ["a", 1], "empty": [],
            "it's": "\"quoted\"", "at": "2026-11-24T10:00:00Z", "deep": {"list": [[1, {"a": 1.0}]]}
        });
        let these_hold = r#"
            $ exists; $.status exists; $.none exists; $.nowhere absent; $.status == 'ok'
            $.Über_Größe absent; $.status=='ok'; $.status == "ok"; $.status == "\u006fk"; $.status != 'down'
            $.n == 3; $.n == 3.0; $.n != '3'; $.half == 5e-1; $.big == 9007199254740993
            $.big > 9007199254740992; $.none == null; $.on == true; $.n <= 3; $.n >= 3
            $.at >= '2026-11-24'; $.status contains 'k'; $.tags contains 'a'; $.tags contains 1.0
            $.at =~ '^\d{4}-'; $.items[0].id == 1; $.items[-1].id == 2; $.items[*].id > 0
            $.items[?@.id > 5] absent; $.items[?(@.id == 2 && @.ok == false)].id == 2; $..ok exists
            $['it\'s'] == '"quoted"'; $["it's"] contains 'quoted'; $.deep == {"list": [[1.0, {"a": 1}]]}
            length($.items) == 2; length( $.status ) == 2; length($.items[*]) == 2; length($) > 5
            length($.empty) == 0"#;
        let these_do_not = r#"
            $.nowhere exists; $.none absent; $.status == 'OK'; $.status != 'ok'; $.nowhere != 'ok'
            $.n == '3'; $.big == 9007199254740992; $.on == 1; $.n < 3; $.n>3; $.n < '4'; $.status < 4
            $.on > 0; $.at < '2026-11-24'; $.status contains 'x'; $.status contains 1; $.tags contains '1'
            $.n contains 3; $.at =~ '^[a-z]'; $.n =~ '3'; $.items[*].ok == true
            $.items[?@.ok == false] absent; $.empty[*] == 1; $.deep == {"list": [[1.0, {"a": 2}]]}
            length($.items)>=3; length($.n) == 1; length($.nowhere) == 0"#;
        for (texts, hold) in [(these_hold, true), (these_do_not, false)] {
            for text in texts.split(['\n', ';']).map(str::trim).filter(|text| !text.is_empty()) {
                assert_eq!(condition(text).judge_with(&answer, &Pattern::compile).is_ok(), hold, "{text}");
            }
        }
    }

    #[test]
    fn a_mismatch_says_what_is_there_and_where() {
        let answer = json!({"status": "down", "items": [{"ok": true}, {"ok": null}], "n": 3, "many": [1,2,3,4,5,6,7,8,9]});
        for (text, expected, got) in [
            (r#"$.status=="ok""#, "$.status == 'ok'", r#""down""#),
            ("$.items[*].ok == true", "$.items[*].ok == true", "null at `$['items'][1]['ok']`"),
            ("$.nowhere exists", "$.nowhere exists", "nothing is there"),
            ("$.n absent", "$.n absent", "3"),
            ("length($.items) > 2", "length($.items) > 2", "2"),
            ("length($.n) > 2", "length($.n) > 2", "3, which has no length"),
            ("$.many == 1", "$.many == 1", "a list of 9 items"),
        ] {
            let mismatch = condition(text).judge_with(&answer, &Pattern::compile).expect_err(text);
            assert_eq!((mismatch.expected.as_str(), mismatch.got.as_str()), (expected, got));
        }
    }

    #[test]
    fn patterns_come_from_whoever_keeps_them() {
        let condition = condition("$ =~ '^a'");
        assert_eq!(condition.pattern().map(Pattern::as_str), Some("^a"));
        let other = |_: &Pattern| regex::Regex::new("^b").map_err(|error| error.to_string());
        assert!(condition.judge_with(&json!("b"), &other).is_ok());
    }

    #[test]
    fn what_is_no_condition_says_why() {
        let operators = "`exists`, `absent`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `contains` or `=~`";
        for (text, error) in [
            ("", "it begins with a path such as `$.status`, or with `length($.items)`"),
            ("status == 1", "it begins with a path such as `$.status`, or with `length($.items)`"),
            ("$.a", "there is no operator: write one of {operators}"),
            ("$.a equals 1", "`equals` is no operator: write one of {operators}"),
            ("$.a = 1", "`=` is no operator: write `==`"),
            ("$.a ==", "there is no value after `==`"),
            ("$.a == ok", "the value is no number, `true`, `false` or `null`; a text is `'ok'`"),
            ("$.a == 'ok", "the text has no closing `'`"),
            ("$.a == 'it's'", "a text in single quotes has none inside: use double quotes"),
            ("$.a == \"x", "the text in double quotes is not JSON"),
            ("$.a exists 1", "nothing comes after `exists`, and there is `1`"),
            ("$.a < true", "`<` takes a number or a text, not `true`"),
            ("$.a =~ ^x", "a regular expression stands in quotes, such as `'^[0-9]+$'`"),
            ("$.a =~ '('", "the regular expression is wrong: unclosed group"),
            ("$.a. == 1", "the path `$.a.` is wrong at its character 5"),
            (
                "$[?match(@.a, 'x')] exists",
                "the path `$[?match(@.a, 'x')]` is wrong at its character 4: the function name 'match' is not defined",
            ),
            ("length($.a) exists", "`length(…)` is compared with a number"),
            ("length($.a) == 'x'", "`length(…)` is compared with a number"),
            ("length($.a == 1", "`length(` has no closing `)`"),
            ("$..a..b == 1", "`..` is there at most once, and not in brackets"),
            ("$[?@..a] exists", "`..` is there at most once, and not in brackets"),
            ("$[?$.a == 1] exists", "there is a second `$`: a path in a filter begins with `@`"),
            ("$[?(((((((@.a)))))))] exists", "brackets are at most 6 deep"),
        ] {
            let error = error.replace("{operators}", operators);
            assert_eq!(text.parse::<JsonCondition>().expect_err(text), error, "{text}");
        }
        let long = "$.a == ".repeat(500).parse::<JsonCondition>().expect_err("it is long");
        assert!(long.contains("at most 1000"), "{long}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            path in prop::sample::select(vec!["$", "$.a", "$.items[*].ok", "$['a b'][?@.x == 'y' && @.z > 1]", "$..a"]),
            operator in prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">=", "contains", "=~", "exists"]),
            text in any::<String>(),
            number in any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()),
            kind in 0..3,
            length in any::<bool>(),
        ) {
            let value = match kind { 0 => json!(text), 1 => json!(number), _ => json!([number, {"a": text}]) };
            let value = if operator == "exists" { String::new() } else { value.to_string() };
            let subject = if length { format!("length({path})") } else { path.to_owned() };
            if let Ok(condition) = format!("{subject}{}{operator} {value}", " ").parse::<JsonCondition>() {
                let written = condition.to_string();
                let again: JsonCondition = written.parse().expect("what was written");
                prop_assert_eq!(&again, &condition);
                prop_assert_eq!(again.to_string(), written);
                let json = serde_json::to_string(&condition).expect("JSON");
                prop_assert_eq!(serde_json::from_str::<JsonCondition>(&json).expect("JSON"), condition);
            } else {
                prop_assert!(kind != 0 || length || operator == "=~" || text.chars().count() > 900, "{}", value);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "(length\\()?\\$[ -~]{0,40}", answer in any::<i64>()) {
            if let Ok(condition) = text.parse::<JsonCondition>() {
                let _ = condition.judge_with(&json!({"a": [answer, {"b": null}]}), &Pattern::compile);
            }
        }
    }
}
