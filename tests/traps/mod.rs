//! The ways to a false verdict, each with the case that it is mistaken for, the innocent one first.
//! A test's number is that of its trap.
#![cfg(feature = "cli")]

mod bystanders;
mod clocks;
mod decoding;
mod evidence;
mod matching;
mod path;
mod stages;
mod watching;

use crate::support;
use std::{fs, path::Path};

/// How many traps there are.
const TRAPS: usize = 44;

#[test]
fn every_trap_has_a_test_and_a_line_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let table = fs::read_to_string(folder.join("README.md")).unwrap();
    for trap in 1..=TRAPS {
        let row = format!("| {trap} |");
        let rows: Vec<&str> = table
            .lines()
            .filter(|line| line.starts_with(&row))
            .collect();
        let [row] = rows[..] else {
            panic!("{} lines about trap {trap}", rows.len());
        };
        let file = row.split('`').find(|word| word.starts_with("traps/"));
        let tests = fs::read_to_string(folder.join(file.unwrap())).unwrap();
        let test = format!("\nfn trap_{trap:02}_");
        assert!(tests.contains(&test), "trap {trap}: no test in {file:?}");
    }
}
