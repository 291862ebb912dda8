//! All tests in one program, which is linked once: but for those that want one of their own
//! (`allocation.rs`), and those that are run optimised too (`sweep.rs`).

mod support;

mod annotate;
mod anonymize;
mod architecture;
mod bounded;
mod campaign;
mod cli;
mod damaged;
mod decode;
mod delays;
mod diff;
mod dissect;
mod everyday;
mod explain;
mod first_use;
mod fixtures;
mod frames;
mod hostile;
mod html;
mod library;
mod listing;
mod live;
mod live_path;
mod logs;
mod order;
mod printed;
mod probe;
mod properties;
mod readme;
mod source;
mod tcpdump;
mod trace;
mod traps;
mod verdicts;
mod view;
mod wireshark;
mod witness;
