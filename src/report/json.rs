//! The findings as they are, in JSON.

use crate::findings::Findings;

/// The findings as one pretty-printed JSON object with a newline at its end.
///
/// # Panics
///
/// Never: a type whose keys are all names always serializes.
#[must_use]
pub fn json(findings: &Findings) -> String {
    let mut text = serde_json::to_string_pretty(findings).expect("all keys are strings");
    text.push('\n');
    text
}
