//! The ways to a false verdict, each with the case that it is mistaken for, the innocent one first.
//! A test's number is that of its trap.

#[path = "../support/mod.rs"]
mod support;

mod clocks;
mod decoding;
mod evidence;
mod matching;
mod path;
mod stages;
mod watching;
