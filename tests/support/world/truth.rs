//! What could have been known: the truth that claims are held against, on the careful side.

use std::ops::RangeInclusive;

use super::{
    super::scene::{MILLISECOND, START_NS},
    Clock, Ingredient, Packet, Record, Scenario,
};

/// A loss is only asked for where a point was recording for so long before and after, beyond what
/// delays and clocks spread.
const MARGIN_NS: i64 = 300 * MILLISECOND;

/// A loss is only asked for where so many others show how the two points' times relate.
const CROSSINGS: usize = 20;

/// The same near the setting of a clock.
const MARGIN_OF_STEPS_NS: i64 = 2_000 * MILLISECOND;

/// A packet may still come for so long, where some are slow.
const WAIT_NS: i64 = 56_000 * MILLISECOND;

impl Scenario {
    /// Whether the packet was truly lost and could be known to be: it was recorded right before
    /// the loss as it was sent, the next point was recording well before and after, enough others
    /// relate the two clocks, and nothing can be taken for it.
    pub fn is_judgeable(&self, index: usize) -> bool {
        let packet = &self.world.packets[index];
        if !packet.is_lost() || !self.is_distinct(packet) {
            return false;
        }
        let (before, behind) = (packet.reaches - 1, packet.reaches);
        let (from, to) = (packet.point(before), packet.point(behind));
        let is_recorded = self.watched[from].records[index] == Record::Whole;
        is_recorded
            && !packet.is_altered(0, before)
            && self.recorders[to].drops.is_none()
            && self.recorders[to].above.is_none()
            && self.watches_well(from, to, packet.passages[behind].at_ns)
            && self.crossings(packet, from, to) >= CROSSINGS
    }

    /// Whether no other packet can be taken for it.
    fn is_distinct(&self, packet: &Packet) -> bool {
        let blurring = [
            Ingredient::Snaplen,
            Ingredient::RewrittenTimestamp,
            Ingredient::RewrittenPort,
            Ingredient::ChangedPayload,
            Ingredient::KnownDrops,
            Ingredient::UnknownDrops,
        ];
        let is_blurred = blurring.iter().any(|blurs| self.ingredients.have(*blurs));
        packet.is_alone || packet.is_unique && !is_blurred
    }

    /// Whether a point was recording well before and after a moment in which it should have seen
    /// what another saw.
    pub fn watches_well(&self, from: usize, to: usize, at_ns: i64) -> bool {
        let recorder = &self.recorders[to];
        let between = &self.world.segments[from.min(to)..from.max(to)];
        let spread_ns: i64 = between.iter().map(|segment| segment.jitter_ns).sum();
        let (a, b) = (&self.recorders[from].clock, &recorder.clock);
        let drift_ns = self.world.length_ns / 1_000 * (a.skew_ppb - b.skew_ppb).abs() / 1_000_000;
        let before_ns = MARGIN_NS + 3 * spread_ns + 3 * drift_ns + 3 * recorder.background_ns;
        let after_ns = if self.ingredients.have(Ingredient::Slow) {
            before_ns + WAIT_NS
        } else {
            before_ns
        };
        let (first, last) = (at_ns - before_ns, at_ns + after_ns);
        let gaps = recorder.gaps.iter();
        let mut steps = a.steps.iter().chain(&b.steps);
        recorder.runs.start <= first
            && last < recorder.runs.end
            && !gaps
                .clone()
                .any(|gap| gap.start <= last && first <= gap.end)
            && !steps.any(|step| (step.at_ns - at_ns).abs() < MARGIN_OF_STEPS_NS)
    }

    /// Packets of the same way that both points recorded alike, between the same settings of the
    /// two clocks.
    fn crossings(&self, packet: &Packet, from: usize, to: usize) -> usize {
        let epoch = |packet: &Packet, point: usize| {
            let at_ns = packet.passages[packet.position(point)].at_ns;
            let steps = |point: usize| self.recorders[point].clock.steps.iter();
            let is_past = |step: &&super::clock::Step| step.at_ns <= at_ns;
            steps(from).filter(is_past).count() + steps(to).filter(is_past).count()
        };
        let own = epoch(packet, to);
        let packets = self.world.packets.iter().enumerate();
        packets
            .filter(|(index, other)| {
                let is_whole = |point: usize| self.watched[point].records[*index] == Record::Whole;
                other.is_reply == packet.is_reply
                    && self.is_distinct(other)
                    && is_whole(from)
                    && is_whole(to)
                    && !other.is_altered(other.position(from), other.position(to))
                    && epoch(other, to) == own
            })
            .take(CROSSINGS)
            .count()
    }

    /// What the clock of one point shows more than another's, over the whole scenario.
    pub fn clock_differences(&self, from: usize, to: usize) -> RangeInclusive<i64> {
        let (a, b): (&Clock, &Clock) = (&self.recorders[from].clock, &self.recorders[to].clock);
        // Straight lines from step to step.
        let steps = a.steps.iter().chain(&b.steps);
        let corners = steps
            .flat_map(|step| [step.at_ns - 1, step.at_ns])
            .chain([START_NS, START_NS + self.world.length_ns]);
        let differences: Vec<i64> = corners
            .map(|at_ns| b.shows(at_ns) - a.shows(at_ns))
            .collect();
        *differences.iter().min().unwrap()..=*differences.iter().max().unwrap()
    }
}
