//! Findings as they are, in JSON, with the words beside what has a type.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    diff::{Caution, Difference},
    explain::Explanation,
    findings::{
        Cause, Findings, Reason, Warning,
        trace::{Trace, TraceReason, TraceWarning},
    },
};

/// Findings as one pretty-printed JSON object with a newline at its end.
///
/// Beside `reasons_typed`, `warnings_typed` and `cause` stand `reasons`, `warnings` and
/// `explanation`, which say the same in words.
#[must_use]
pub fn json(findings: &Findings) -> String {
    text(&in_words_too(findings))
}

/// A path of a campaign as one line with a newline at its end: these members, which say what it is, and
/// beside them `error` and what [`json`] writes, where there are findings.
#[must_use]
pub fn campaign_line(path: &impl Serialize, found: Result<&Findings, &str>) -> String {
    let mut line = match value(path) {
        Value::Object(members) => members,
        other => Map::from_iter([("path".to_owned(), other)]),
    };
    line.insert("error".to_owned(), value(&found.err()));
    let members = match found {
        Ok(findings) => in_words_too(findings),
        Err(_) => serde_json::json!({
            "schema_version": Findings::SCHEMA_VERSION,
            "generator": concat!("hdp ", env!("CARGO_PKG_VERSION")),
            "ruleset": Findings::RULESET,
        }),
    };
    if let Value::Object(members) = members {
        line.extend(members);
    }
    format!("{}\n", Value::Object(line))
}

fn in_words_too(findings: &Findings) -> Value {
    let mut value = value(findings);
    for direction in array(&mut value, "directions") {
        for protocol in array(direction, "protocols") {
            add_words(protocol, "reasons", "reasons_typed", in_words::<Reason>);
            for change in array(protocol, "changes") {
                add_words(change, "explanation", "cause", |cause: Option<Cause>| {
                    cause.map(|cause| cause.to_string())
                });
            }
        }
    }
    add_warnings::<Warning>(&mut value);
    value
}

/// A trace likewise.
#[must_use]
pub fn trace_json(trace: &Trace) -> String {
    let mut value = value(trace);
    for protocol in array(&mut value, "protocols") {
        add_words(
            protocol,
            "reasons",
            "reasons_typed",
            in_words::<TraceReason>,
        );
    }
    add_warnings::<TraceWarning>(&mut value);
    text(&value)
}

/// A difference likewise.
#[must_use]
pub fn difference_json(difference: &Difference) -> String {
    let mut value = value(difference);
    add_words(
        &mut value,
        "warnings",
        "warnings_typed",
        in_words::<Caution>,
    );
    text(&value)
}

/// An explanation likewise.
#[must_use]
pub fn explanation_json(explanation: &Explanation) -> String {
    let mut value = value(explanation);
    add_warnings::<Warning>(&mut value);
    text(&value)
}

fn add_warnings<T: for<'de> serde::Deserialize<'de> + ToString>(value: &mut Value) {
    add_words(value, "warnings", "warnings_typed", in_words::<T>);
}

fn in_words<T: ToString>(typed: Vec<T>) -> Vec<String> {
    typed.into_iter().map(|typed| typed.to_string()).collect()
}

/// Anything else as one pretty-printed JSON object.
#[must_use]
pub fn json_of(object: &impl Serialize) -> String {
    text(&value(object))
}

/// Puts words before the member that they are made from.
fn add_words<T: for<'de> serde::Deserialize<'de>, W: Serialize>(
    object: &mut Value,
    words: &str,
    typed: &str,
    say: impl Fn(T) -> W,
) {
    let Value::Object(members) = object else {
        return;
    };
    *members = std::mem::take(members)
        .into_iter()
        .flat_map(|(name, member)| {
            let said = (name == typed).then(|| {
                let typed = T::deserialize(&member).expect("it was serialized from such");
                (words.to_owned(), value(&say(typed)))
            });
            said.into_iter().chain([(name, member)])
        })
        .collect::<Map<String, Value>>();
}

fn array<'a>(object: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    let array = object.get_mut(name).and_then(Value::as_array_mut);
    array.into_iter().flatten()
}

fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).expect("all keys are strings")
}

fn text(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("all keys are strings");
    text.push('\n');
    text
}
