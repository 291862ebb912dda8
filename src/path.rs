//! The front door: what is known of the packets at the observation points of a path.
//!
//! A user names points and gets findings:
//!
//! ```
//! use hdp::path::{self, Options};
//!
//! # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/three-points")).unwrap();
//! let points = path::points(["client=client.pcap", "server.pcap"])?;
//! let findings = path::findings(&points, &Options::default())?;
//! for number in &findings.directions[0].protocols {
//!     println!("{}: {:?}, {} of {} lost", number.protocol, number.verdict, number.lost, number.packets);
//! }
//! # assert!(findings.directions[0].protocols.iter().any(|number| number.lost > 0));
//! # Ok::<(), path::Error>(())
//! ```
//!
//! [`packets`] also reports the fate of every packet, [`explain`] tells the life of one, [`annotate`]
//! writes the captures with each fate as a comment, and [`watch`] returns a [`Session`] whose
//! findings can be read while interfaces and pipes are. Frames that a program captures by itself go
//! into a [`Window`].
//!
//! There are two ways to read and one judgement. Files are surveyed in bulk, which is fastest;
//! pipes and interfaces may be endless, so a window of their packets is kept, and findings take
//! 64 MiB for two points however many packets there are. [`Options::memory`] chooses another way.
//!
//! The module promises that nothing is printed, that no signal is caught and no global state is
//! changed: progress and what a user may want to know go to [`Options::events`], and every error
//! is an [`Error`] that names its source. Privileges, signals and settings of the heap are the
//! caller's business. It deliberately knows nothing of how findings are shown ([`crate::report`]).

mod annotate;
mod capture;
mod error;
mod explain;
mod files;
mod listing;
mod moment;
mod observations;
mod options;
mod order;
mod points;
mod reader;
mod session;
mod shared_survey;
mod sides;
mod streams;
mod window;
mod witnesses;

use std::io::Write;

pub use annotate::{Annotation, Frames};
pub use error::{Error, Unexplained};
pub use explain::Subject;
pub use moment::Moment;
pub use options::{Capture, Event, Events, Memory, Options, Order, Sandbox};
pub use points::{Named, Points};
pub use session::Session;
pub use window::{Room, Window};

#[cfg(feature = "cli")]
pub(crate) use {
    capture::{KernelFilter, open as capture_from},
    options::nanoseconds,
};

pub use crate::source::Until;

use crate::{
    explain::Explanation,
    findings::{Findings, Packet},
};

use observations::Observations;

/// The points that sources make, in path order, the sender's end first.
///
/// Each is `[NAME=]SOURCE`, where a source is a capture file, a log of `hdp send` or `hdp listen`, a
/// FIFO, `-` for standard input, or `live:IFACE`. Without a name a point is called after its
/// source. A name has no `/`, so `./a=b.pcap` is a file, as is `a=b.pcap` where there is one.
///
/// # Errors
/// Where there are fewer than two, one is given twice, is a directory or does not exist, or two
/// have the same name. No source is opened yet.
pub fn points<S: AsRef<str>>(sources: impl IntoIterator<Item = S>) -> Result<Points, Error> {
    Points::new(sources)
}

/// What the path does to each protocol number.
///
/// # Errors
/// Where a source cannot be read or an option cannot be honoured.
pub fn findings(points: &Points, options: &Options) -> Result<Findings, Error> {
    let points = &witnesses::set_apart(points, options)?;
    if options.is_bounded(points) {
        return start(points, options)?.finish();
    }
    Ok(observations(points, options)?.judge())
}

/// [`findings`], with the fate of every packet, in the order of their timestamps.
///
/// Files are read twice, so that few packets need to be kept; of what cannot be, or is far out of order, all
/// are, which takes 64 bytes or so per packet and point.
///
/// ```
/// use hdp::{findings::Fate, path::{self, Options}};
///
/// # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/three-points")).unwrap();
/// let points = path::points(["client.pcap", "router.pcap", "server.pcap"])?;
/// let mut lost = 0;
/// path::packets(&points, &Options::default(), |packet| {
///     if packet.fate == Fate::Lost {
///         lost += 1;
///     }
/// })?;
/// # assert!(lost > 0);
/// # Ok::<(), path::Error>(())
/// ```
///
/// # Errors
/// Those of [`findings`].
pub fn packets(
    points: &Points,
    options: &Options,
    mut note: impl FnMut(&Packet),
) -> Result<Findings, Error> {
    let points = &witnesses::set_apart(points, options)?;
    to_be_listed(points, options)?.list(&mut note)
}

/// The life of one packet: where it was seen, what changed on the way, and what became of it.
///
/// ```
/// use hdp::path::{self, Options};
///
/// # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/three-points")).unwrap();
/// let points = path::points(["client.pcap", "router.pcap", "server.pcap"])?;
/// let subject = "router:65".parse().unwrap();
/// let explanation = path::explain(&points, &subject, &Options::default())?;
/// assert_eq!(explanation.packets[0].stations.len(), 4); // the router shows two sides
/// # Ok::<(), path::Error>(())
/// ```
///
/// # Errors
/// Those of [`findings`], and [`Error::Unexplained`] where the subject names no packet.
pub fn explain(
    points: &Points,
    subject: &Subject,
    options: &Options,
) -> Result<Explanation, Error> {
    let points = &witnesses::set_apart(points, options)?;
    observations(points, &options.unbounded())?.explain(subject)
}

/// [`packets`], and captures of the points' own frames with the fate of each packet as a comment.
///
/// # Errors
/// Those of [`findings`]; where a source cannot be read twice, all points are logs, or a result
/// cannot be written.
pub fn annotate<W: Write>(
    points: &Points,
    options: &Options,
    results: Vec<Annotation<W>>,
    mut note: impl FnMut(&Packet),
) -> Result<Findings, Error> {
    let points = &witnesses::set_apart(points, options)?;
    annotate::ensure_repeatable(points)?;
    to_be_listed(points, options)?.annotate(results, &mut note)
}

/// Starts to read the points, each in a thread, and returns at once.
///
/// Interfaces are captured from before any point is read.
///
/// ```
/// use std::time::Duration;
/// use hdp::path::{self, Options};
///
/// # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/three-points")).unwrap();
/// let points = path::points(["client.pcap", "server.pcap"])?;
/// let session = path::watch(&points, &Options::default())?;
/// while !session.wait(Duration::from_millis(500)) {
///     println!("{} frames so far", session.snapshot().points[0].frames);
/// }
/// let findings = session.finish()?;
/// # assert!(findings.points[0].frames > 0);
/// # Ok::<(), path::Error>(())
/// ```
///
/// # Errors
/// Where a capture cannot start or there are too many points. What goes wrong later,
/// [`Session::finish`] reports.
pub fn watch(points: &Points, options: &Options) -> Result<Session, Error> {
    let points = &witnesses::set_apart(points, options)?;
    start(points, options)
}

fn start(points: &Points, options: &Options) -> Result<Session, Error> {
    Session::start(points, &options.dated(points))
}

/// Reads the points and keeps every packet, or as much of them as judging needs.
fn observations(points: &Points, options: &Options) -> Result<Observations, Error> {
    if points.have_streams() {
        return start(points, options)?.into_observations();
    }
    let options = &options.dated(points);
    let (seen, survey) = files::read(points, options)?;
    options.tell(Event::Read);
    Ok(Observations::new(points.clone(), seen, survey, options))
}

/// Reads the points so that every packet can be listed: from what was kept, or from files that are read again.
fn to_be_listed(points: &Points, options: &Options) -> Result<Observations, Error> {
    if !points.have_streams() {
        let options = &options.dated(points);
        if let Some((seen, survey)) = files::read_rolling(points, options)? {
            let observations = Observations::of_rest(points.clone(), seen, survey, options);
            if observations.can_be_listed() {
                options.tell(Event::Read);
                return Ok(observations);
            }
            options.tell(Event::ReadingAgain);
        }
    }
    observations(points, &options.unbounded())
}
