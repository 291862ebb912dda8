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

/// What each says.
pub fn words<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}
