//! What became of the frames: shown, or passed over and why.

use std::fmt;

use crate::{
    decode::{Datagram, Skip},
    source::LinkType,
};

/// Counts over the frames of one source.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    packets: u64,
    quotes: u64,
    /// Reasons in order of appearance.
    skipped: Vec<(&'static str, u64)>,
    /// The first link type that could not be decoded.
    unsupported: Option<LinkType>,
}

impl Tally {
    /// Counts a packet that was shown.
    pub fn show(&mut self, datagram: &Datagram<'_>) {
        if datagram.quote.is_some() {
            self.quotes += 1;
        } else {
            self.packets += 1;
        }
    }

    /// Counts a frame that gave no packet.
    pub fn skip(&mut self, skip: &Skip) {
        if let Skip::UnsupportedLink(link_type) = skip {
            self.unsupported.get_or_insert(*link_type);
        }
        self.pass_over(match skip {
            Skip::NotIp => "not IP",
            Skip::NotHdp => "not HDP",
            Skip::CutShort { .. } => "cut short by the snapshot length",
            Skip::Malformed { .. } => "malformed",
            Skip::Fragment(_) => "later fragments",
            Skip::UnsupportedLink(_) => "of a link type that cannot be decoded",
        });
    }

    /// Counts a packet that nobody asked to see.
    pub fn leave_out(&mut self) {
        self.pass_over("under other protocol numbers");
    }

    fn pass_over(&mut self, reason: &'static str) {
        match self.skipped.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.skipped.push((reason, 1)),
        }
    }

    /// Packets and quotes that were shown.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.packets + self.quotes
    }

    /// Frames that were looked at.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.shown() + self.skipped()
    }

    /// Frames that were passed over.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.iter().map(|(_, count)| count).sum()
    }

    /// The link type that stood in the way, if no frame's could be decoded.
    #[must_use]
    pub fn undecodable(&self) -> Option<LinkType> {
        self.unsupported
            .filter(|_| self.shown() == 0 && self.skipped.len() == 1)
    }
}

/// `12 HDP packets in 350 frames; skipped: 335 not HDP, 3 not IP`, the commonest reason first.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count| if count == 1 { "" } else { "s" };
        write!(f, "{} HDP packet{}", self.packets, plural(self.packets))?;
        if self.quotes > 0 {
            write!(f, " and {} ICMP quote{}", self.quotes, plural(self.quotes))?;
        }
        let frames = self.frames();
        write!(f, " in {frames} frame{}", plural(frames))?;
        let mut skipped = self.skipped.clone();
        skipped.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let mut separator = "; skipped: ";
        for (reason, count) in skipped {
            write!(f, "{separator}{count} {reason}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_reason_comes_first() {
        let mut tally = Tally::default();
        assert_eq!(tally.to_string(), "0 HDP packets in 0 frames");
        tally.skip(&Skip::NotIp);
        for _ in 0..3 {
            tally.skip(&Skip::NotHdp);
        }
        tally.leave_out();
        assert_eq!(tally.skipped(), 5);
        assert_eq!(
            tally.to_string(),
            "0 HDP packets in 5 frames; skipped: 3 not HDP, 1 not IP, 1 under other protocol \
             numbers"
        );
    }

    #[test]
    fn a_source_is_undecodable_only_if_every_frame_is() {
        let mut tally = Tally::default();
        assert_eq!(tally.undecodable(), None);
        tally.skip(&Skip::UnsupportedLink(LinkType(147)));
        tally.skip(&Skip::UnsupportedLink(LinkType(147)));
        assert_eq!(tally.undecodable(), Some(LinkType(147)));
        tally.skip(&Skip::NotIp);
        assert_eq!(tally.undecodable(), None);
    }
}
