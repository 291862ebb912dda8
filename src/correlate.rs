//! Correlation: sightings of the same packet at several points become one [`Journey`].
//!
//! Packets are matched in the order of the senders' timestamps, by a merge of the points' sorted
//! sightings: no capture clock needs to be known, and nothing is hashed. The timestamp is a key
//! that may repeat; protocol number, ports, length and a digest of the payload break ties.
//! Addresses stay out of it, because translation changes them; so does the IP ID (RFC 6864).
//!
//! Two passes run over the sightings. The [`Survey`] counts in bulk the packets that every point
//! saw alike, and notes the others; from it, [`Relations`] finds out which way address pairs travel
//! and how capture times relate. [`journeys`] then gives each of the other packets its journey.
//! [`propose`] finds the order of the points. The [`Rolling`] survey does
//! the first pass while captures are being read, [`Pending`] in whatever order they come and in
//! bounded memory. What became of a packet is [`crate::judge`]'s business.

mod copies;
mod flow_pairs;
mod generations;
mod merge;
mod order;
mod passed;
mod pending;
mod relations;
mod rolling;
mod second_chance;
mod spans;
mod survey;
mod trend;

pub(crate) use flow_pairs::FlowPairs;
pub(crate) use merge::{Journey, Seen, Station, all_journeys, journeys};
pub(crate) use order::{Precedence, Proposal, propose};
pub(crate) use passed::Mark;
pub(crate) use pending::{Again, Copies, GivenUp, Pending, Places, Returned};
pub(crate) use relations::{Offsets, Relations, Way};
pub(crate) use rolling::Rolling;
pub(crate) use second_chance::SecondChance;
pub(crate) use spans::Spans;
pub(crate) use survey::{Survey, Through};
pub(crate) use trend::{Difference, Extremes, Trend};
