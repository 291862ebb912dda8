//! What became of each protocol number between captures from along a path.
//!
//! ```text
//! cargo run --example findings -- [--bounded] [NAME=]SOURCE [NAME=]SOURCE...
//! ```
//!
//! Prints what `hdp path --format json` prints for the same sources.

use std::{env, error::Error, io::Write as _};

use hdp::{
    path::{self, Memory, Options, Room},
    report,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    std::io::stdout().write_all(findings(&arguments)?.as_bytes())?;
    Ok(())
}

/// The findings as JSON.
///
/// # Errors
/// Where a source cannot be read.
#[allow(unreachable_pub, reason = "a test calls it")]
pub fn findings(arguments: &[String]) -> Result<String, path::Error> {
    let (sources, options) = match arguments.split_first() {
        Some((first, sources)) if first == "--bounded" => {
            let memory = Memory::Bounded(Room::default());
            (
                sources,
                Options {
                    memory,
                    ..Options::default()
                },
            )
        }
        _ => (arguments, Options::default()),
    };
    let points = path::points(sources)?;
    let findings = path::findings(&points, &options)?;
    Ok(report::json(&findings))
}
