//! What the integration tests share: frames built byte by byte and captures written from them,
//! both independent of the code under test.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary compiles the whole module as its own and uses a part of it"
)]

pub mod capture;
pub mod frames;
#[cfg(feature = "cli")]
pub mod hosts;
#[cfg(feature = "cli")]
pub mod live;
pub mod scenario;
pub mod scene;
pub mod world;

/// What `hdp` writes to standard output, run in a folder, where it does its work.
#[cfg(feature = "cli")]
pub fn hdp_in(folder: &std::path::Path, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hdp"));
    let output = command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// What each says.
pub fn words<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}
