//! The traps: what makes a false verdict, one by one, what must not be said before what must.

#[path = "../support/mod.rs"]
mod support;

mod evidence;
