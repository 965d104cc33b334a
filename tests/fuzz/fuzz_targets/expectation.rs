//! The expectation language: the input's first line is a condition, the rest is the answer that it is put to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::fmt::{Debug, Display};
use std::str::FromStr;
use uptime_core::expectation::{CONDITION_MOST, HeaderCondition, JsonCondition, Mismatch, Pattern};

fuzz_target!(|text: &str| {
    let (condition, answer) = text.split_once('\n').unwrap_or((text, ""));
    if let Some(condition) = read_again::<JsonCondition>(condition)
        && let Ok(answer) = serde_json::from_str::<Value>(answer)
    {
        said(condition.judge_with(&answer, &Pattern::compile), &condition);
    }
    if let Some(condition) = read_again::<HeaderCondition>(condition) {
        said(condition.judge_with(&answer.lines().collect::<Vec<_>>(), &Pattern::compile), &condition);
    }
    if let Ok(pattern) = condition.parse::<Pattern>() {
        assert_eq!(pattern.as_str(), condition);
        let regex = pattern.compile().expect("it was parsed");
        regex.is_match(answer);
    }
});

/// Reads a condition, writes it and reads it again: it must be the same.
fn read_again<C>(text: &str) -> Option<C>
where
    C: FromStr<Err = String> + Display + Debug + PartialEq,
{
    let condition = match text.parse::<C>() {
        Ok(condition) => condition,
        Err(error) => {
            assert!(!error.is_empty());
            return None;
        }
    };
    let written = condition.to_string();
    // What is written in the usual form may be longer by its escapes than what was typed, and then too long.
    if written.chars().count() <= CONDITION_MOST {
        let again: C = written.parse().unwrap_or_else(|error| panic!("`{written}` was written: {error}"));
        assert_eq!(again, condition);
        assert_eq!(again.to_string(), written);
    }
    Some(condition)
}

fn said(judged: Result<(), Mismatch>, condition: &impl Display) {
    if let Err(mismatch) = judged {
        assert_eq!(mismatch.expected, condition.to_string());
        assert!(!mismatch.got.is_empty());
    }
}
