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

mod bystanders;
mod companions;
mod copies;
mod delays;
mod flow_pairs;
mod journey;
mod loss_runs;
mod offset_trend;
mod order;
mod pending;
mod recent;
mod relations;
mod rewritten;
mod rolling;
#[cfg(test)]
mod rolling_tests;
mod survey;

pub(crate) use bystanders::{Crossings, Passage};
pub(crate) use delays::Spans;
pub(crate) use flow_pairs::FlowPairs;
pub(crate) use journey::{AllJourneys, Journey, Seen, Station, Stretch, journeys};
pub(crate) use loss_runs::Mark;
pub(crate) use offset_trend::{Difference, Extremes, Trend};
pub(crate) use order::{Precedence, Proposal, propose};
pub(crate) use pending::{Again, Copies, GivenUp, Pending, Places, Returned};
pub(crate) use relations::{Offsets, Relations, Way};
pub(crate) use rewritten::SecondChance;
pub(crate) use rolling::{Rolling, Stretches};
pub(crate) use survey::{Survey, Through};
