//! The life of one packet, for a terminal.

use anstyle::Style;

use super::{
    GLUE, Layout, path,
    table::{PADDING, grid, natural, wrap},
    unglued,
    units::{count, day, exact_time_of_day, grouped, span},
};
use crate::{
    explain::{
        ChangedBytes, Explanation, FieldChange, IcmpError, Life, Neighbour, Place, SightingDelay,
        StageName, Station, StationSighting,
    },
    findings::{Carrier, DelayReference, Expected, Fate, PointKind},
    protocols,
};

/// Bytes of one change that are shown.
const MOST_BYTES: usize = 16;

/// The report on the packets that were asked for: where each was seen, what became of it and why,
/// what was changed, and how to check that.
#[must_use]
pub fn explanation(explanation: &Explanation, layout: &Layout) -> String {
    let mut page = Page {
        layout,
        text: String::new(),
    };
    for (index, life) in explanation.packets.iter().enumerate() {
        if index > 0 {
            page.line("");
        }
        page.life(life);
    }
    if explanation.untold > 0 {
        page.line("");
        let text = format!(
            "{} may be meant too, and {} not told.",
            count(explanation.untold, "more packet"),
            if explanation.untold == 1 { "is" } else { "are" }
        );
        page.paragraph("", "  ", &text);
    }
    if !explanation.warnings.is_empty() {
        page.title("Warnings");
        for warning in &explanation.warnings {
            page.paragraph(" - ", "   ", &warning.to_string());
        }
    }
    unglued(&page.text)
}

struct Page<'a> {
    layout: &'a Layout,
    text: String,
}

impl Page<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn bold(&mut self, text: &str) {
        let style = Style::new().bold();
        for line in wrap(text, self.layout.width) {
            if self.layout.color {
                self.line(&format!("{style}{line}{style:#}"));
            } else {
                self.line(&line);
            }
        }
    }

    fn title(&mut self, text: &str) {
        self.line("");
        self.bold(text);
    }

    fn paragraph(&mut self, first: &str, indent: &str, text: &str) {
        let width = self.layout.width.saturating_sub(indent.len());
        for (index, line) in wrap(text, width).iter().enumerate() {
            let indent = if index == 0 { first } else { indent };
            self.line(&format!("{indent}{line}"));
        }
    }

    /// Rows in columns of their natural widths; columns without a word are left out.
    fn grid(&mut self, cells: &[Vec<String>], first_row: usize) {
        let is_used = |column: &usize| {
            cells[first_row..]
                .iter()
                .any(|row| !row[*column].is_empty())
        };
        let used: Vec<usize> = (0..cells[0].len()).filter(is_used).collect();
        let cells: Vec<Vec<String>> = cells
            .iter()
            .map(|row| used.iter().map(|&column| row[column].clone()).collect())
            .collect();
        let mut widths: Vec<usize> = (0..used.len())
            .map(|column| natural(&cells, column))
            .collect();
        // The last column is wrapped where the terminal ends.
        if let Some((last, before)) = widths.split_last_mut() {
            let taken: usize = before.iter().map(|width| width + PADDING).sum();
            let rest = self.layout.width.saturating_sub(taken + PADDING);
            *last = (*last).min(rest.max(16));
        }
        for line in grid(&cells, &widths).lines() {
            self.line(&line);
        }
    }

    fn life(&mut self, life: &Life) {
        self.bold(&headline(life));
        self.paragraph("", "  ", &identity(life));
        self.line("");
        self.ladder(life);
        self.line("");
        for paragraph in reasons(life) {
            self.paragraph("", "  ", &paragraph);
        }
        if !life.icmp.is_empty() {
            self.title("ICMP errors that quote it");
            let rows: Vec<_> = life.icmp.iter().map(icmp).collect();
            self.grid(&rows, 0);
            if life.icmp_untold > 0 {
                self.line(&unglued(&format!(
                    "  and {}",
                    count(life.icmp_untold, "more error")
                )));
            }
        }
        if !life.changes.is_empty() {
            let has_bytes = life.changes.iter().any(|change| change.bytes.is_some());
            self.title(if has_bytes {
                "Changed (byte offsets from the IP header's first)"
            } else {
                "Changed"
            });
            let rows: Vec<_> = life.changes.iter().map(change).collect();
            self.grid(&rows, 0);
        }
        if !life.checks.is_empty() {
            self.title("Check");
            for check in &life.checks {
                // Not wrapped: to be copied.
                let lines = unglued(&count(check.lines, "line"));
                self.line(&format!("  {}  # {}: {lines}", check.command, check.point));
            }
        }
    }

    /// A row for each time that the packet was seen, and one for each point that did not see it.
    fn ladder(&mut self, life: &Life) {
        let titles = [
            "Point",
            "Frame",
            "Time (its own clock)",
            "Delay",
            "Where",
            "TTL",
        ];
        let mut rows: Vec<Vec<String>> = vec![titles.map(str::to_owned).to_vec()];
        for station in &life.stations {
            if station.sightings.is_empty() {
                let row = [&station.point, "-", "not seen", "", "", ""];
                rows.push(row.map(str::to_owned).to_vec());
            }
            rows.extend(
                station
                    .sightings
                    .iter()
                    .map(|sighting| row(station, sighting)),
            );
            if station.untold > 0 {
                let more = unglued(&format!("and {}", count(station.untold, "more time")));
                rows.push(
                    [&station.point, "-", &more, "", "", ""]
                        .map(str::to_owned)
                        .to_vec(),
                );
            }
        }
        self.grid(&rows, 1);
        let mut stretches: Vec<String> = Vec::new();
        for station in &life.stations {
            let delays = station
                .sightings
                .iter()
                .filter_map(|seen| seen.delay.as_ref());
            for delay in delays {
                let (DelayReference::Minimum, Some(packets)) = (delay.reference, delay.packets)
                else {
                    continue;
                };
                let stretch = path([delay.since.point.as_str(), &station.point]);
                stretches.push(format!("{} {stretch}", count(packets, "packet")));
            }
        }
        if !stretches.is_empty() {
            let text = format!(
                "Delays with + are counted from the fastest of {}: no two clocks are taken to agree.",
                stretches.join(", of ")
            );
            self.paragraph("", "  ", &text);
        }
    }
}

fn row(station: &Station, sighting: &StationSighting) -> Vec<String> {
    let unit = match station.kind {
        PointKind::Capture | PointKind::DropWitness => "",
        PointKind::SendLog | PointKind::ListenLog => "line ",
    };
    let delay = |delay: &SightingDelay| {
        let sign = match delay.reference {
            DelayReference::Minimum => "+",
            DelayReference::Absolute => "",
        };
        format!(
            "{sign}{}",
            span(i64::try_from(delay.ns).unwrap_or(i64::MAX))
        )
    };
    let stage = sighting.stage.map(|stage| match stage {
        StageName::In => "in",
        StageName::Out => "out",
    });
    let copy = sighting.duplicate.then_some("copy");
    let place = [stage, sighting.interface.as_deref(), copy];
    vec![
        station.point.clone(),
        format!("{unit}{}", sighting.frame),
        exact_time_of_day(sighting.time_ns),
        sighting.delay.as_ref().map(delay).unwrap_or_default(),
        place.into_iter().flatten().collect::<Vec<_>>().join(" "),
        sighting
            .ttl
            .map_or_else(|| "-".to_owned(), |ttl| ttl.to_string()),
    ]
}

/// The number, the way and what became of the packet.
fn headline(life: &Life) -> String {
    let packet = &life.packet;
    let fate = match (packet.fate, &packet.lost_at) {
        (Fate::Delivered, _) => "delivered".to_owned(),
        (Fate::Lost, Some([from, to])) => format!("lost between {from} and {to}"),
        (Fate::Lost, None) => "lost".to_owned(),
        (Fate::Edge, _) => "edge, not judged".to_owned(),
        (Fate::Late, _) => "late".to_owned(),
        (Fate::Ambiguous, _) => "ambiguous, not judged".to_owned(),
        (Fate::Expired, _) => "expired: sent with a TTL that could not suffice".to_owned(),
    };
    format!(
        "HDP {}, {}: {fate}",
        number(packet.protocol, packet.carrier),
        path([&*packet.from, &packet.to])
    )
}

fn number(protocol: u8, carrier: Carrier) -> String {
    match (carrier, protocols::keyword(protocol)) {
        (Carrier::Udp, _) => "in UDP (the control)".to_owned(),
        (Carrier::Ip, Some(keyword)) => format!("{protocol}{GLUE}{keyword}"),
        (Carrier::Ip, None) => protocol.to_string(),
    }
}

/// Addresses where it was seen first, length and timestamp.
fn identity(life: &Life) -> String {
    let packet = &life.packet;
    let first = life
        .stations
        .iter()
        .find_map(|station| station.sightings.first());
    let ends = first.map_or_else(String::new, |first| {
        let (src, dst) = (&first.src, &first.dst);
        format!("{src} → {dst}, ")
    });
    let sent = i64::try_from(packet.timestamp_ns).map_or_else(
        |_| String::new(),
        |sent| {
            let (day, time) = (day(sent), exact_time_of_day(sent));
            format!(" ({day} {time} UTC by the sender's clock)")
        },
    );
    format!(
        "{ends}ports {} → {}, {} of payload, timestamp {}{sent}",
        packet.srcport,
        packet.dstport,
        count(packet.payload_len.into(), "byte"),
        packet.timestamp_ns,
    )
}

/// What became of it and why, a paragraph each.
fn reasons(life: &Life) -> Vec<String> {
    let packet = &life.packet;
    let mut reasons = Vec::new();
    let seen = |name: &str| {
        let station = life.stations.iter().find(|station| station.point == name);
        station.is_some_and(|station| !station.sightings.is_empty())
    };
    match packet.fate {
        Fate::Delivered => {
            let mut text = format!("Delivered: seen at {}, the end of its way", packet.to);
            if packet.altered {
                text += "; its bytes were altered before";
            }
            if packet.reordered {
                text += "; it came after a packet that was sent later";
            }
            reasons.push(text + ".");
        }
        Fate::Late => reasons.push(format!(
            "Late: seen at {}, but later than --wait allows.",
            packet.to
        )),
        Fate::Expired => reasons.push(
            "Not lost: it was sent with a TTL that could not suffice, as a trace does.".to_owned(),
        ),
        Fate::Ambiguous => reasons.push(
            "Not judged: another packet has the same timestamp and bytes and was not seen at the same \
             points; which of them was seen where is unknown."
                .to_owned(),
        ),
        Fate::Lost => reasons.extend(
            packet
                .expected
                .as_ref()
                .map(|expected| lost(life, expected)),
        ),
        Fate::Edge => reasons.extend(
            packet
                .expected
                .as_ref()
                .map(|expected| at_the_edge(life, expected)),
        ),
    }
    let last = life
        .stations
        .iter()
        .rposition(|station| !station.sightings.is_empty());
    let first = life
        .stations
        .iter()
        .position(|station| !station.sightings.is_empty());
    if let (Some(first), Some(last)) = (first, last) {
        for missed in &life.stations[first..last] {
            if !seen(&missed.point) {
                reasons.push(format!(
                    "{} did not record it, and {} behind it did: it was there.",
                    missed.point, life.stations[last].point
                ));
            }
        }
    }
    if let Some(neighbours) = &life.neighbours {
        reasons.extend(told_neighbours(neighbours));
    }
    let without_bytes: Vec<&str> = life
        .stations
        .iter()
        .filter(|station| station.kind == PointKind::Capture && !station.read_again)
        .map(|station| station.point.as_str())
        .collect();
    if !without_bytes.is_empty() {
        reasons.push(format!(
            "{}: no file that can be read a second time, so what changed there is told without bytes.",
            without_bytes.join(", ")
        ));
    }
    reasons
}

fn station<'a>(life: &'a Life, name: &str) -> Option<&'a Station> {
    life.stations.iter().find(|station| station.point == name)
}

/// `09:58:19.692345678`, or words where it is not known.
fn moment(time_ns: Option<i64>) -> String {
    time_ns.map_or_else(|| "an unknown time".to_owned(), exact_time_of_day)
}

/// When it should have come by; `None` where nothing relates the clocks.
fn window(expected: &Expected) -> Option<String> {
    Some(format!(
        "between {} and {} by its clock (guard band included)",
        exact_time_of_day(expected.from_ns?),
        exact_time_of_day(expected.to_ns?)
    ))
}

fn lost(life: &Life, expected: &Expected) -> String {
    let point = &expected.point;
    let watching = station(life, point).map_or_else(String::new, |station| {
        let [from, to] = watched_around(station, expected);
        format!("was watching from {} to {} and ", moment(from), moment(to))
    });
    let when = window(expected).unwrap_or_default();
    format!("Lost: {point} {watching}should have seen it {when}, and did not.")
}

/// The stretch without gaps in which a point was watching for a packet.
fn watched_around(station: &Station, expected: &Expected) -> [Option<i64>; 2] {
    let gaps = || station.gaps.iter();
    let before = gaps().filter(|[_, end]| Some(*end) <= expected.from_ns);
    let behind = gaps().filter(|[start, _]| Some(*start) >= expected.to_ns);
    let from = before.map(|[_, end]| *end).max();
    let to = behind.map(|[start, _]| *start).min();
    [from.or(station.first_ns), to.or(station.last_ns)]
}

fn at_the_edge(life: &Life, expected: &Expected) -> String {
    let point = &expected.point;
    if expected.unheard {
        return format!(
            "Not judged: {point} had no socket open for the number; that it did not see it says \
             nothing."
        );
    }
    let Some(station) = station(life, point).filter(|station| station.first_ns.is_some()) else {
        return format!(
            "Not judged: {point} recorded nothing, so nothing shows that it was watching."
        );
    };
    let Some(when) = window(expected) else {
        return format!(
            "Not judged: nothing relates the clock of {point} to that of the point before, so it \
             cannot be said when it should have seen it."
        );
    };
    let gap = station
        .gaps
        .iter()
        .find(|[start, end]| Some(*start) <= expected.to_ns && Some(*end) >= expected.from_ns);
    let is_within = station.first_ns <= expected.from_ns && expected.to_ns <= station.last_ns;
    let recorded = match gap {
        Some([start, end]) => format!(
            "recorded nothing from {} to {}",
            exact_time_of_day(*start),
            exact_time_of_day(*end)
        ),
        None if is_within => "dropped frames then or kept too few bytes of such packets".to_owned(),
        None => format!(
            "recorded from {} to {} only",
            moment(station.first_ns),
            moment(station.last_ns)
        ),
    };
    format!("Not judged: {point} {recorded}, and should have seen it {when}.")
}

fn told_neighbours(neighbours: &[Option<Neighbour>; 2]) -> Option<String> {
    let words = ["the one sent before it", "the one sent after it"];
    let told: Vec<String> = neighbours
        .iter()
        .zip(words)
        .filter_map(|(neighbour, words)| {
            let neighbour = neighbour.as_ref()?;
            let [from, to] = &neighbour.seen;
            Some(format!(
                "{words}, {}, is frame {} of {} and {} of {}",
                number(neighbour.protocol, neighbour.carrier),
                grouped(from.frame),
                from.point,
                grouped(to.frame),
                to.point
            ))
        })
        .collect();
    (!told.is_empty()).then(|| format!("Its neighbours were seen: {}.", told.join("; ")))
}

fn icmp(error: &IcmpError) -> Vec<String> {
    let IcmpError {
        point,
        frame,
        from,
        icmp_type,
        code,
        meaning,
        ..
    } = error;
    let doubt = if error.exact {
        ""
    } else {
        "; quotes the timestamp to 4.29 s only, so it may be about another packet"
    };
    vec![
        point.clone(),
        format!("frame {frame}"),
        moment(error.time_ns),
        format!("{from}: {meaning} ({icmp_type}/{code}){doubt}"),
    ]
}

fn change(change: &FieldChange) -> Vec<String> {
    let FieldChange {
        between: [from, to],
        field,
        bytes,
        ..
    } = change;
    let values = match bytes {
        // Its bytes are all there is to say of it.
        Some(bytes) if field == "payload" => count(bytes.from.len() as u64 / 2, "byte"),
        _ => format!("{} → {}", change.from, change.to),
    };
    vec![
        place(from, to),
        field_name(field),
        values,
        bytes.as_ref().map(changed).unwrap_or_default(),
    ]
}

/// Where it happened, with the frames inside a point.
fn place(from: &Place, to: &Place) -> String {
    if from.point == to.point {
        format!("in {}", from.point)
    } else {
        path([from.point.as_str(), &to.point])
    }
}

fn field_name(field: &str) -> String {
    match field {
        "ttl" | "dscp" | "ecn" => field.to_uppercase(),
        "ip_id" => "IP ID".to_owned(),
        _ => field.replace('_', " "),
    }
}

/// `[8] 40 → 3f`.
fn changed(bytes: &ChangedBytes) -> String {
    let shown = |hexadecimal: &str| {
        let pairs: Vec<String> = hexadecimal
            .as_bytes()
            .chunks(2)
            .take(MOST_BYTES)
            .map(|pair| String::from_utf8_lossy(pair).into_owned())
            .collect();
        let more = if hexadecimal.len() > 2 * MOST_BYTES {
            " …"
        } else {
            ""
        };
        pairs.join(" ") + more
    };
    let len = bytes.from.len().max(bytes.to.len()) / 2;
    let range = match len {
        0 | 1 => bytes.offset.to_string(),
        _ => format!("{}-{}", bytes.offset, bytes.offset + len - 1),
    };
    format!("[{range}] {} → {}", shown(&bytes.from), shown(&bytes.to))
}
