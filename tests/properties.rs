//! What holds of every path: losses are found where they were planted, and nothing that only
//! looks like a loss becomes one.

use std::{collections::BTreeMap, sync::Arc};

use hdp::{
    findings::{Fate, Findings, Warning},
    path::{Memory, Options, Room},
};
use proptest::{prelude::*, sample::Index};

use crate::support::scene::{Captured, copied, copy, findings, findings_bounded, judged, scenes};

/// What became of a packet, and between which points it was lost.
type Outcome = (Fate, Option<[Arc<str>; 2]>);

fn fates_of(captures: &[Vec<Captured>]) -> BTreeMap<(u64, u8), Outcome> {
    judged(captures)
        .1
        .into_iter()
        .map(|(key, mut fates)| {
            assert_eq!(
                fates.len(),
                1,
                "one packet of {key:?} became {}",
                fates.len()
            );
            (key, fates.remove(0))
        })
        .collect()
}

/// Exchanges elements by a sequence of arbitrary numbers.
fn shuffle<T>(items: &mut [T], by: &[usize]) {
    let len = items.len();
    for (index, other) in by.iter().enumerate() {
        items.swap(index % len, other % len);
    }
}

proptest! {
    #[test]
    fn a_cut_is_found_where_it_was_planted(scene in scenes()) {
        let points = scene.clocks_ns.len();
        let fates = fates_of(&scene.frames());
        prop_assert_eq!(fates.len(), scene.packets.len());
        for sent in &scene.packets {
            let (fate, lost_at) = &fates[&sent.key()];
            if sent.reaches == points {
                prop_assert_eq!(*fate, Fate::Delivered);
            } else {
                // A point that nothing reached has a clock nobody can relate: no loss then.
                if *fate == Fate::Lost {
                    let name = |hop: usize| {
                        format!("p{}", if sent.is_reply { points - 1 - hop } else { hop })
                    };
                    let [from, to] = lost_at.clone().unwrap();
                    prop_assert_eq!(&*from, name(sent.reaches - 1));
                    // The next point, or one behind it where the next is not related.
                    prop_assert!((sent.reaches..points).map(name).any(|name| *name == *to));
                } else {
                    prop_assert_eq!(*fate, Fate::Edge);
                }
            }
        }
        // Where packets of the same way went through all points, every loss must be found.
        let whole = |is_reply| {
            scene.packets.iter().filter(|s| s.is_reply == is_reply && s.reaches == points).count()
        };
        for sent in &scene.packets {
            if whole(sent.is_reply) >= 10 && sent.reaches < points {
                prop_assert_eq!(fates[&sent.key()].0, Fate::Lost);
            }
        }
    }

    #[test]
    fn the_order_of_frames_in_the_files_changes_no_fate(
        scene in scenes(),
        by in prop::collection::vec(any::<usize>(), 0..400),
    ) {
        let mut captures = scene.frames();
        let before = fates_of(&captures);
        for frames in &mut captures {
            shuffle(frames, &by);
        }
        prop_assert_eq!(&before, &fates_of(&captures));
        for frames in &mut captures {
            frames.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        }
        prop_assert_eq!(&before, &fates_of(&captures));
    }

    #[test]
    fn shrinking_what_a_point_watched_makes_no_loss(
        scene in scenes(),
        point in any::<Index>(),
        from_percent in 0..90_i64,
        length_percent in 5..100_i64,
    ) {
        let mut captures = scene.frames();
        let before = fates_of(&captures);
        let frames = &mut captures[point.index(scene.clocks_ns.len())];
        let (first, last) = (frames[0].0, frames[frames.len() - 1].0);
        let share = |percent: i64| first + (last - first) / 100 * percent;
        let (start, end) = (share(from_percent), share(from_percent + length_percent));
        frames.retain(|(time, _)| (start..=end).contains(time));
        for (key, (fate, _)) in fates_of(&captures) {
            if fate == Fate::Lost {
                prop_assert_eq!(before[&key].0, Fate::Lost, "{:?} became a loss", key);
            }
        }
    }

    #[test]
    fn duplicates_at_any_point_create_no_loss(
        scene in scenes(),
        copies in prop::collection::vec(copied(), 1..40),
    ) {
        let mut captures = scene.frames();
        let before = fates_of(&captures);
        copy(&mut captures, &copies);
        // Copies may come after what the point watched before; that judges more, not otherwise.
        for (key, (fate, lost_at)) in fates_of(&captures) {
            let (fate_before, lost_before) = &before[&key];
            if fate == Fate::Lost {
                prop_assert_eq!(*fate_before, Fate::Lost);
                prop_assert_eq!(&lost_at, lost_before);
            } else {
                prop_assert_eq!(fate, *fate_before);
            }
        }
    }

    #[test]
    fn surveying_while_reading_gives_the_same_findings(
        scene in scenes(),
        copies in prop::collection::vec(copied(), 0..20),
    ) {
        let mut captures = scene.frames();
        copy(&mut captures, &copies);
        let at_once = Options { memory: Memory::Unbounded, ..Options::default() };
        prop_assert_eq!(findings(&captures, &at_once), findings(&captures, &Options::default()));
    }

    #[test]
    fn bounded_memory_gives_the_same_findings(
        scene in scenes(),
        copies in prop::collection::vec(copied(), 0..20),
        by in prop::collection::vec(any::<usize>(), 1..40),
        batch in 1..40_usize,
    ) {
        let mut captures = scene.frames();
        copy(&mut captures, &copies);
        let mut at_once = findings(&captures, &Options::default());
        // Nothing is kept that all points saw; there is room for all others.
        let room = Room { all: 0, batch, ..Room::default() };
        let mut bounded = findings_bounded(&captures, room, &by);
        prop_assert!(bounded.warnings.contains(&Warning::BoundedMemory));
        bounded.warnings.retain(|warning| *warning != Warning::BoundedMemory);
        for findings in [&mut at_once, &mut bounded] {
            findings.warnings.sort();
            let directions = findings.directions.iter_mut();
            for number in directions.flat_map(|direction| &mut direction.protocols) {
                number.loss_runs = None;
            }
        }
        prop_assert_eq!(at_once, bounded);
    }

    #[test]
    fn deciding_on_the_way_neither_makes_a_loss_nor_forgets_a_packet(
        scene in scenes(),
        copies in prop::collection::vec(copied(), 0..20),
        by in prop::collection::vec(any::<usize>(), 1..40),
        batch in 1..40_usize,
        waiting in 1..40_usize,
    ) {
        let mut captures = scene.frames();
        copy(&mut captures, &copies);
        let at_once = findings(&captures, &Options::default());
        let room = Room { all: 0, batch, waiting, delays: 10 };
        let bounded = findings_bounded(&captures, room, &by);
        let sums = |findings: &Findings| {
            let directions = findings.directions.iter();
            let foreign = findings.warnings.iter().map(|warning| match warning {
                Warning::OtherSender { packets, .. } => *packets,
                _ => 0,
            });
            let numbers = directions.flat_map(|direction| &direction.protocols);
            numbers.fold([foreign.sum(), 0, 0], |[packets, arrived, lost], p| {
                [packets + p.packets, arrived + p.delivered + p.late, lost + p.lost]
            })
        };
        let ([packets, arrived, lost], truth) = (sums(&bounded), sums(&at_once));
        prop_assert_eq!(packets, truth[0]);
        // Which way packets go may not have shown yet when the first had to be decided.
        if !scene.packets.iter().any(|sent| sent.is_reply) {
            prop_assert_eq!(arrived, truth[1]);
        }
        prop_assert!(lost <= truth[2], "{} lost where it was {}", lost, truth[2]);
    }

    #[test]
    fn translation_at_one_point_changes_no_fate(
        scene in scenes(),
        point in any::<Index>(),
    ) {
        let mut captures = scene.frames();
        let before = fates_of(&captures);
        // From some point on, the client is known under another address.
        let first_behind = point.index(scene.clocks_ns.len() - 1) + 1;
        for (_, bytes) in captures[first_behind..].iter_mut().flatten() {
            for address in [12..16, 16..20] {
                if bytes[address.clone()] == [10, 77, 1, 2] {
                    bytes[address].copy_from_slice(&[10, 77, 2, 1]);
                }
            }
        }
        prop_assert_eq!(before, fates_of(&captures));
    }
}
