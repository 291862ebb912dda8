//! Findings as they are, in JSON.

use serde::Serialize;

/// Findings as one pretty-printed JSON object with a newline at its end.
///
/// # Panics
///
/// Never: a type whose keys are all names always serializes.
#[must_use]
pub fn json(findings: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(findings).expect("all keys are strings");
    text.push('\n');
    text
}
