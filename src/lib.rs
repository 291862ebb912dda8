//! Where along the path did each IP protocol number disappear?
//!
//! Data flows one way, and each stage sees only what the one before it gives:
//!
//! ```text
//! source ──► decode ──► observe ──► (stages) ──► correlate ──► judge ──► report
//!  Frame     Datagram    Sighting                  Journey     Findings   table | markdown | csv | json
//!              └──► dissect ─────────────────────────────► text | tree | jsonl
//!   └─ the files once more, with the findings ──► annotate ► pcapng
//!                                      └─ session: these three while points are being read, in bounded memory
//!              view: the findings so far, while they grow ──► a terminal, or a line a change
//!              explain: one packet, with a second reading of its frames ──► text | json
//! hdp (the protocol, a leaf) ◄── probe (send, listen, loopback)
//!                cli composes all; nobody imports cli
//! ```

pub mod annotate;
pub mod capture_file;
pub mod cli;
pub mod correlate;
pub mod decode;
pub mod dissect;
pub mod explain;
pub mod findings;
pub mod hdp;
pub mod judge;
pub mod log;
pub mod observe;
pub mod path;
pub mod probe;
pub mod protocols;
pub mod report;
pub mod shell;
pub mod source;
pub mod view;
