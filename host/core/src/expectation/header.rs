//! Conditions on a header of an answer.

use super::{CONDITION_MOST, Mismatch, Pattern, Regexes, Test};
use crate::words::as_text;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use std::fmt;
use std::str::FromStr;

/// `NAME OPERATOR [VALUE]`; the value is a text or a number.
///
/// A header that comes several times, such as `Set-Cookie`, satisfies the condition with one of its lines; only for `!=`
/// none of them may be the value. Compared with a number, a line counts when it is one. A header that is not there
/// satisfies `absent` alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HeaderCondition {
    name: String,
    test: Test,
}

impl HeaderCondition {
    /// The header's name as it was written; its case means nothing.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pattern that it matches with, if it does.
    pub fn pattern(&self) -> Option<&Pattern> {
        if let Test::Matches(pattern) = &self.test { Some(pattern) } else { None }
    }

    /// Whether it holds of the header's lines, of which there may be none, with patterns that somebody has compiled.
    ///
    /// # Errors
    /// What was expected and what is there.
    pub fn judge_with(&self, lines: &[&str], regexes: Regexes<'_>) -> Result<(), Mismatch> {
        let fits = |line: &&str| self.test.holds(&self.subject(line), regexes);
        let holds = match &self.test {
            Test::Removal => lines.is_empty(),
            test if test.is_negative() => !lines.is_empty() && lines.iter().all(fits),
            _ => lines.iter().any(fits),
        };
        if holds {
            return Ok(());
        }
        let got = if lines.is_empty() {
            "no such header".to_owned()
        } else {
            lines.iter().map(|line| format!("`{line}`")).collect::<Vec<_>>().join(", ")
        };
        Err(Mismatch { expected: self.to_string(), got })
    }

    /// A line as what it is compared with: a number if it can be one, else the text.
    fn subject(&self, line: &str) -> Value {
        let line = line.trim_matches([' ', '\t']);
        let by_number = self.test.literal().is_some_and(|literal| literal.value.is_number());
        match line.parse::<Number>() {
            Ok(number) if by_number => Value::Number(number),
            _ => Value::from(line),
        }
    }
}

impl FromStr for HeaderCondition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.chars().count() > CONDITION_MOST {
            return Err(format!("a condition has at most {CONDITION_MOST} characters"));
        }
        let end =
            text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if name.is_empty() {
            return Err("it begins with a header's name, such as `Content-Type`".into());
        }
        if rest.starts_with(':') {
            return Err(format!(
                "no colon comes after the name: write `{name} contains '…'` or `{name} == '…'`"
            ));
        }
        let test = Test::parse(rest)?;
        let is_text = |value: &Value| value.is_string();
        match (&test, test.literal()) {
            (Test::Contains(_), Some(literal)) if !is_text(&literal.value) => {
                Err(format!("a header is a text: write `contains '{literal}'`"))
            }
            (_, Some(literal)) if !is_text(&literal.value) && !literal.value.is_number() => {
                Err(format!("a header is a text or a number: write `'{literal}'`"))
            }
            _ => Ok(Self { name: name.to_owned(), test }),
        }
    }
}

as_text!(HeaderCondition);

impl fmt::Display for HeaderCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_operator_holds_and_does_not() {
        for (text, lines, holds) in [
            ("X-A exists", &["1"][..], true),
            ("X-A exists", &[], false),
            ("X-A absent", &[], true),
            ("X-A absent", &[""], false),
            ("X-A == 'b'", &["a", " b "], true),
            ("X-A == 'B'", &["b"], false),
            ("X-A=='b'", &[], false),
            ("X-A != 'b'", &["a"], true),
            ("X-A != 'b'", &["a", "b"], false),
            ("X-A != 'b'", &[], false),
            ("X-A == 10", &["10.0"], true),
            ("X-A == '10'", &["10.0"], false),
            ("X-A > 9", &["10"], true),
            ("X-A > '9'", &["10"], false),
            ("X-A > 9", &["ten"], false),
            ("X-A <= 9", &["10", "9"], true),
            ("X-A < 9", &["NaN"], false),
            ("X-A contains 'json'", &["application/json"], true),
            ("X-A contains 'xml'", &["application/json"], false),
            ("X-A =~ '(?i)^text/'", &["TEXT/plain"], true),
            ("X-A =~ '^text/'", &["a", "b"], false),
        ] {
            let condition: HeaderCondition = text.parse().expect(text);
            assert_eq!(condition.judge_with(lines, &Pattern::compile).is_ok(), holds, "{text} {lines:?}");
        }
    }

    #[test]
    fn a_mismatch_says_which_lines_came() {
        let condition: HeaderCondition = "Content-Type contains \"json\"".parse().expect("a condition");
        assert_eq!(condition.name(), "Content-Type");
        let mismatch = condition.judge_with(&["text/html", "x"], &Pattern::compile).expect_err("no JSON");
        assert_eq!(
            (mismatch.expected.as_str(), mismatch.got.as_str()),
            ("Content-Type contains 'json'", "`text/html`, `x`")
        );
        assert_eq!(condition.judge_with(&[], &Pattern::compile).expect_err("nothing").got, "no such header");
    }

    #[test]
    fn what_is_no_condition_says_why() {
        for (text, error) in [
            ("", "it begins with a header's name, such as `Content-Type`"),
            ("== 'x'", "it begins with a header's name, such as `Content-Type`"),
            (
                "Content-Type: text/html",
                "no colon comes after the name: write `Content-Type contains '…'` or `Content-Type == '…'`",
            ),
            ("Age == true", "a header is a text or a number: write `'true'`"),
            ("Age contains 1", "a header is a text: write `contains '1'`"),
            ("Age < [1]", "`<` takes a number or a text, not `[1]`"),
        ] {
            assert_eq!(text.parse::<HeaderCondition>().expect_err(text), error);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            name in "[A-Za-z][A-Za-z0-9-]{0,20}",
            operator in prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">=", "contains", "=~"]),
            text in ".{0,200}",
        ) {
            if let Ok(condition) = format!("{name} {operator} {}", Value::from(text)).parse::<HeaderCondition>() {
                let written = condition.to_string();
                let again: HeaderCondition = written.parse().expect("what was written");
                prop_assert_eq!(&again, &condition);
                prop_assert_eq!(again.to_string(), written);
            } else {
                prop_assert!(operator == "=~");
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), line in any::<String>()) {
            if let Ok(condition) = text.parse::<HeaderCondition>() {
                let _ = condition.judge_with(&[&line], &Pattern::compile);
            }
        }
    }
}
