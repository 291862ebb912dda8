//! Words: what the findings' reasons, warnings and causes say to a reader.
//!
//! This is the one place where they are made, as [`fmt::Display`]; every report uses it.

use std::fmt;

#[cfg(feature = "cli")]
use crate::findings::{IcmpEvidence, WitnessRule};
use crate::{
    decode::icmp_meaning,
    findings::{
        Cause, ClockFault, Kept, NamedSource, NotTheNumber, OrderSign, Others, PointKind, PortPair,
        Reason, Warning,
    },
    protocols, shell,
};

/// One sentence, without a full stop.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&reason(self))
    }
}

/// One line.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&warning(self))
    }
}

/// What most likely changed a field.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&cause(*self))
    }
}

#[expect(clippy::too_many_lines, reason = "a sentence for each kind")]
fn reason(reason: &Reason) -> String {
    match reason {
        Reason::OnlyOnePacket => {
            "only one packet: the first may get through where later ones do not".to_owned()
        }
        Reason::Refused {
            requested,
            call,
            errno,
            name,
            count,
        } => {
            let meaning = match (call.as_str(), name.as_str()) {
                ("sendto", "EPERM") => ": a firewall on the sending system, most likely",
                _ => "",
            };
            format!("{call} refused {requested} with {name} ({errno}), {count} of {count}{meaning}")
        }
        Reason::Ipv6ExtensionHeader => "over IPv6 the number is an extension header, which \
             kernels and routers act on: it need be no filter"
            .to_owned(),
        Reason::IcmpAnswer {
            from,
            version,
            icmp_type,
            code,
            answered,
            lost,
            about,
        } => {
            let meaning = icmp_meaning(*version, *icmp_type, *code);
            let not_the_number = match about {
                Some(NotTheNumber::Size) => ": for their size, not their number",
                Some(NotTheNumber::Ttl) => ": for their TTL, not their number",
                Some(NotTheNumber::Address) => ": for their address, not their number",
                None => "",
            };
            format!(
                "{from} answered ICMP {icmp_type}/{code} ({meaning}) to {answered} of {lost} \
                 lost{not_the_number}"
            )
        }
        Reason::FlowNotNumber { lost, came } => {
            let sum = |pairs: &[PortPair], of: fn(&PortPair) -> u64| -> u64 {
                pairs.iter().map(of).sum()
            };
            format!(
                "the flow, not the number: all {} lost under the ports {}, {} of {} under {}",
                sum(lost, |pair| pair.lost),
                ports(lost),
                sum(came, |pair| pair.lost),
                sum(came, |pair| pair.packets),
                ports(came)
            )
        }
        Reason::DroppedBy {
            witness,
            rule,
            hook,
            count,
        } => format!(
            "{witness} recorded that {} took {}",
            rule_name(rule, hook.as_deref(), None),
            packets(*count)
        ),
        Reason::Expired { count } => format!(
            "{} sent with a TTL that could not suffice, as a trace does",
            packets(*count)
        ),
        Reason::RanOutAt { hop, address } => {
            format!("last seen alive at hop {hop} ({address}), where a smaller TTL ran out")
        }
        Reason::SeenAndNot { from, to, count } => format!("{count} seen at {from} and not at {to}"),
        Reason::MissingFragment {
            point,
            from_byte,
            count,
        } => format!(
            "of {} some fragments came to {point}, the piece from byte {from_byte} did not",
            packets(*count)
        ),
        Reason::FirstLost {
            point,
            record,
            number,
        } => {
            let unit = match record {
                PointKind::Capture | PointKind::DropWitness => "frame",
                PointKind::SendLog | PointKind::ListenLog => "line",
            };
            format!("first in {unit} {number} of {point}")
        }
        Reason::AnsweredBeyond { point, count } => format!(
            "{point} saw the errors about {}: they came that far, and the captures before missed \
             them",
            packets(*count)
        ),
        Reason::CaptureDropped { point, frames } => {
            format!("the capture at {point} dropped {frames} frames itself, which ones is unknown")
        }
        Reason::Unheard { point, count } => format!(
            "a listener for the number was not open at {point}: {} cannot be judged there",
            packets(*count)
        ),
        Reason::SocketFull { point, count } => {
            format!(
                "the socket at {point} was full and lost {}",
                packets(*count)
            )
        }
        Reason::FirstPassed { count: 1 } => "the first passed, then none".to_owned(),
        Reason::FirstPassed { count } => format!("the first {count} passed, then none"),
        Reason::NothingToCompare => "no other number arrived to compare with".to_owned(),
        Reason::Chance {
            others,
            lost,
            packets,
            others_lost,
            others_packets,
            chance,
            asked,
        } => {
            let asked = if *asked > 1 {
                format!(", asked of {asked} numbers")
            } else {
                String::new()
            };
            format!(
                "{lost} of {packets} lost where {} lost {others_lost} of {others_packets}: chance \
                 {}{asked}",
                whose(*others),
                probability(*chance)
            )
        }
        Reason::SharedLimit {
            numbers,
            lost,
            packets,
        } => format!(
            "{} lose {lost} of {packets} together: a rate limit?",
            ranges(numbers)
        ),
        Reason::LostInARowWithOthers => {
            "lost in a row with the numbers sent next to it, each time: \
             send in another order to tell a loss of these numbers from one of that moment"
                .to_owned()
        }
        Reason::LostAtEqualIntervals => {
            "lost at equal intervals, as if always sent at the same place of a round: send each round in \
             another order to tell a loss of this number from a rate limit that those before it use up"
                .to_owned()
        }
        Reason::MostlyUnjudged { unjudged } => format!(
            "{} could not be judged, more than were: they may have fared otherwise",
            packets(*unjudged)
        ),
        Reason::MissedByCapture { point, count } => format!(
            "the destination answered {}, which {point} missed: not lost before",
            packets(*count)
        ),
        Reason::SnapshotTooShort { point, count } => format!(
            "the snapshot length at {point} is too small to recognise such packets: {} cannot be \
             judged there",
            packets(*count)
        ),
        Reason::NotWatching {
            point,
            count,
            may_have_dropped,
        } => {
            let what = if *may_have_dropped {
                "was not watching, or dropped frames,"
            } else {
                "was not watching"
            };
            format!(
                "{point} {what} when {} should have come by",
                packets(*count)
            )
        }
        Reason::ClocksUnrelated { from, to, count } => format!(
            "the clocks of {from} and {to} cannot be compared: no packet in common; whether {to} was \
             watching when {} should have come by is unknown",
            packets(*count)
        ),
        Reason::ClockSetMeanwhile { point, count } => format!(
            "a clock was set at about the time when {} should have come by {point}",
            packets(*count)
        ),
        Reason::CannotShow { point, count } => format!(
            "the capture at {point} cannot show such packets: {} cannot be judged there",
            packets(*count)
        ),
        Reason::IfClocksAgree {
            from,
            to,
            within_ns,
        } => format!(
            "{}: no packet in common compares those of {from} and {to}",
            if_clocks_agree(*within_ns)
        ),
        Reason::DeadTime { count } => format!(
            "{} lost while nothing else crossed either: the path was down",
            packets(*count)
        ),
        Reason::Late { count } => format!("{} came after the wait time", packets(*count)),
        Reason::Ambiguous { count } => {
            format!("{} cannot be distinguished from others", packets(*count))
        }
        Reason::OnlyQuoted => "only an ICMP error quotes it; no point saw the packet".to_owned(),
        Reason::Untranslated { point } => format!(
            "came to {point} with its private source untranslated, which the Internet drops"
        ),
    }
}

/// A rule of a packet filter, with the interfaces between which it was.
#[cfg(feature = "cli")]
pub(super) fn placed_rule(rule: &WitnessRule) -> String {
    let interfaces = match (rule.in_interface, rule.out_interface) {
        (None, None) => None,
        (Some(into), None) => Some(format!("from interface {into}")),
        (None, Some(out)) => Some(format!("to interface {out}")),
        (Some(into), Some(out)) => Some(format!("interface {into} to {out}")),
    };
    rule_name(&rule.rule, rule.hook.as_deref(), interfaces.as_deref())
}

/// A rule of a packet filter by its prefix, hook and interfaces.
fn rule_name(prefix: &str, hook: Option<&str>, interfaces: Option<&str>) -> String {
    let name = match prefix {
        "" => "a rule without a prefix".to_owned(),
        prefix => format!("rule {prefix}"),
    };
    let place: Vec<&str> = hook.into_iter().chain(interfaces).collect();
    if place.is_empty() {
        return name;
    }
    format!("{name} ({})", place.join(", "))
}

#[expect(clippy::too_many_lines, reason = "a sentence for each kind")]
fn warning(warning: &Warning) -> String {
    match warning {
        Warning::Source { point, message } => format!("{point}: {message}"),
        Warning::NoFrames {
            point,
            was_watching: true,
        } => format!("{point}: it was watching, and no frame came that it was to record"),
        Warning::NoFrames {
            point,
            was_watching: false,
        } => format!(
            "{point}: the capture holds no frame, so nothing shows that it was watching; capture \
             all traffic, not only HDP"
        ),
        Warning::UnsupportedLink {
            point,
            frames,
            link_types,
        } => format!(
            "{point}: {frames} frames of link type {} cannot be decoded",
            link_types.join(", ")
        ),
        Warning::NoCaptureTime { point, packets } => format!(
            "{point}: {packets} HDP packets have no capture time (simple packet blocks) and are \
             left out"
        ),
        Warning::AllOverheard { point, packets } => format!(
            "{point}: all {packets} HDP packets were for other hosts: what is overheard has not \
             arrived, so nothing is judged there; capture the mirror port's own interface in place \
             of any"
        ),
        Warning::AllCutShort { point, packets } => format!(
            "{point}: {packets} packets were cut before the end of HDP's header and none is \
             whole, so nothing is judged there; capture with a longer snapshot length (-s)"
        ),
        Warning::NoHdp { point, packets } => format!(
            "{point}: none of {packets} IP packets is HDP; if some should be, is the sender's \
             clock off by more than --window?"
        ),
        Warning::BoundedMemory => "more packets than are kept in bounded memory: delays of \
             numbers with many packets are rounded to 1 %, losses in a row are not counted, copies \
             that come much later than the packet are not counted, and a capture inside a \
             forwarding host is not taken apart into its sides"
            .to_owned(),
        Warning::LeftOut {
            point,
            errors,
            rewritten,
        } => {
            let parts = [
                (*errors, "ICMP errors"),
                (*rewritten, "packets that something may have written into"),
            ];
            let parts = parts.into_iter().filter(|(count, _)| *count > 0);
            let parts: Vec<String> = parts
                .map(|(count, what)| format!("{count} {what}"))
                .collect();
            format!(
                "{point}: {} were left out: bounded memory has no room for so many",
                parts.join(" and ")
            )
        }
        Warning::NoRoomToWait { packets } => format!(
            "{packets} packets are ambiguous: there was no more room to wait for what other points \
             saw of them"
        ),
        Warning::Stale { point, packets } => format!(
            "{point}: {packets} packets came so much later than others that it is unknown whether \
             they are copies; they are left out"
        ),
        Warning::Misplaced {
            first,
            second,
            sign,
            order,
        } => format!(
            "the points are not in path order: {}; {}",
            order_sign(first, second, *sign),
            reordering(order)
        ),
        Warning::TtlRises { from, to, packets } => format!(
            "the TTL of {packets} packets rises between {from} and {to}: are the points in path \
             order?"
        ),
        Warning::SameTimes { from, to, packets } => format!(
            "{from} and {to} saw {packets} packets at the very same times: are they one capture?"
        ),
        Warning::GoesOn { from, to } => format!(
            "{to} begins where {from} ends, and shows the same hosts as far away: are they files of \
             one capture? Joined they are one point: mergecap -w joined.pcapng FILE..."
        ),
        Warning::AgainstOrder { from, to } => format!(
            "all HDP goes from {from} to {to}, against the order of the points: give {from} first"
        ),
        Warning::ClocksUnrelated {
            from,
            to,
            assumed: false,
        } => format!(
            "{from} → {to}: no packet was seen at both, so their clocks cannot be compared, and \
             whether {to} was watching at the time is unknown; if both clocks are right, say so with \
             --clock-error 1s"
        ),
        Warning::ClocksUnrelated {
            from,
            to,
            assumed: true,
        } => format!(
            "{from} → {to}: no packet was seen at both, so their clocks cannot be compared; they \
             are taken as right within --clock-error"
        ),
        Warning::OffDate {
            point,
            packets: n,
            off_ns,
        } => {
            const HOUR_NS: u64 = 3_600_000_000_000;
            let hours = off_ns.unsigned_abs().div_ceil(HOUR_NS);
            let off = off_ns.unsigned_abs() as f64 / HOUR_NS as f64;
            let side = if *off_ns < 0 { "before" } else { "behind" };
            let days = hours / 24 + 1;
            format!(
                "{point}: timestamps of {} that look like HDP lie {off:.1} h {side} their capture times: \
                 --window {days}d takes them for it",
                packets(*n)
            )
        }
        Warning::Anonymized => "addresses are replaced by others, prefixes kept".to_owned(),
        Warning::OtherRun { from, to, apart_ns } => {
            let apart = apart_ns.unsigned_abs() as f64 / 1e9;
            format!(
                "{from} → {to}: no packet in common: different runs? ({apart:.1} s apart); if they recorded the same one, \
                 and both clocks are right, say so with --clock-error 1s"
            )
        }
        Warning::OtherSender {
            point,
            sender,
            packets: n,
        } => format!(
            "{point}: {} from {sender}, or answering it, passed no other point that was watching: another \
             sender's, another run's, or missed by a capture; not judged",
            packets(*n)
        ),
        Warning::Unrecorded {
            point,
            unrecorded,
            packets: n,
            recorded,
        } => {
            let came = format!("at least {} under {}", packets(*n), folded(unrecorded));
            let nothing = match (unrecorded.last(), recorded.first()) {
                (Some(hidden), Some(least)) if hidden < least => format!("below {least}"),
                _ => "under some numbers".to_owned(),
            };
            format!(
                "{point} recorded nothing {nothing}, though {came} came by: a capture filter, or \
                 hardware that hides them? It has no say about a number that it never recorded"
            )
        }
        Warning::ClockFault { point, fault, hdp } => match fault {
            ClockFault::NeverSet { first_ns } => {
                const YEAR_NS: i64 = 31_556_952_000_000_000;
                let year = 1970 + first_ns.div_euclid(YEAR_NS);
                let recognised = match hdp {
                    0 => {
                        "so no HDP is recognised by it: a capture of another point whose clock is \
                          right would help"
                    }
                    _ => "HDP is recognised by the date of the other captures",
                };
                format!("{point}: its clock was never set, it shows {year}; {recognised}")
            }
            ClockFault::StandsStill => format!(
                "{point}: its clock stands still: all frames have the same time, so when it was \
                 watching is unknown"
            ),
            ClockFault::WholeSeconds => format!(
                "{point}: its times are whole seconds: delays and losses are judged no finer"
            ),
        },
        Warning::ClockSet { from, to, steps } => format!(
            "{from} → {to}: a clock was set while the captures ran ({steps} times), or the path \
             changed as abruptly; delays are counted anew from there"
        ),
    }
}

fn order_sign(first: &str, second: &str, sign: OrderSign) -> String {
    match sign {
        OrderSign::SendLog => format!("{first} is the log of what was sent"),
        OrderSign::ListenLog => format!("{second} is the log of what was received"),
        OrderSign::Ttl => format!("the TTL falls from {first} to {second}"),
        OrderSign::Stage => format!("packets leave {first} and come in at {second}"),
    }
}

/// The command that puts the points in order.
fn reordering(order: &[NamedSource]) -> String {
    // A shell's <(...) goes by another name the next time.
    if order
        .iter()
        .any(|point| point.source.starts_with("/dev/fd/"))
    {
        let names: Vec<&str> = order.iter().map(|point| point.name.as_str()).collect();
        return format!("try --order auto, or give them so: {}", names.join(", "));
    }
    let words = order
        .iter()
        .map(|point| shell::quoted(&format!("{}={}", point.name, point.source)));
    format!("try: hdp path {}", words.collect::<Vec<_>>().join(" "))
}

fn cause(cause: Cause) -> String {
    let words = match cause {
        Cause::DscpBleached => "bleached, the class is cleared on the way",
        Cause::DscpRemarked => "remarked, the class is set anew on the way",
        Cause::CongestionMarked => "congestion experienced, a queue on the way marked it",
        Cause::EcnBleached => "bleached, the bits are cleared on the way",
        Cause::EctRewritten => "rewritten, one ECT codepoint became the other",
        Cause::EcnSet => "set on the way, which no router should do (RFC 3168)",
        Cause::Cut => "cut on the way, not by a capture, for the IP header itself says so",
        Cause::Lengthened => "lengthened on the way, for the IP header itself says so",
        Cause::TakenFor {
            protocol,
            keeps: Kept::Ports,
            ..
        } => {
            return format!(
                "HDP's ports lie where {} keeps its own; something translated them as such",
                transport(protocol)
            );
        }
        Cause::TakenFor {
            protocol,
            keeps,
            first_byte,
            last_byte,
        } => {
            let place = match first_byte {
                0..4 => ", its destination port,",
                4..12 => ", inside the timestamp,",
                _ => ", in the payload,",
            };
            let keeps = match keeps {
                Kept::Identifier => "identifier",
                Kept::Checksum | Kept::Ports => "checksum",
            };
            return format!(
                "HDP's bytes {first_byte}-{last_byte}{place} are where {} keeps its {keeps}; \
                 something took it for that",
                transport(protocol)
            );
        }
    };
    words.to_owned()
}

/// The protocols that boxes on the path take HDP for.
fn transport(protocol: u8) -> &'static str {
    match protocol {
        1 => "ICMP",
        6 => "TCP",
        17 => "UDP",
        33 => "DCCP",
        58 => "ICMPv6",
        132 => "SCTP",
        135 => "Mobile IPv6",
        _ => "UDP-Lite",
    }
}

/// ICMP errors of one kind from one host: `10.77.1.1 answered: protocol unreachable`.
#[cfg(feature = "cli")]
pub(crate) fn icmp(icmp: &IcmpEvidence) -> String {
    format!("{} answered: {}", icmp.from, icmp.meaning)
}

/// `420 → 7, 420 → 8 and 3 more`.
fn ports(pairs: &[PortPair]) -> String {
    const SHOWN: usize = 3;
    let shown = pairs.iter().take(SHOWN);
    let shown: Vec<_> = shown
        .map(|pair| format!("{} → {}", pair.srcport, pair.dstport))
        .collect();
    let more = pairs.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!(" and {more} more"));
    shown.join(", ") + &more.unwrap_or_default()
}

fn packets(count: u64) -> String {
    if count == 1 {
        "1 packet".to_owned()
    } else {
        format!("{count} packets")
    }
}

/// A probability as people read it.
/// `200-219, 253`.
fn ranges(numbers: &[u16]) -> String {
    let of_run = |run: &[u16]| match run {
        [first, .., last] if run.len() > 2 => format!("{first}-{last}"),
        several => several
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    };
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    runs.map(of_run).collect::<Vec<_>>().join(", ")
}

/// With whose losses a number's are compared.
pub(super) fn whose(others: Others) -> &'static str {
    match others {
        Others::Numbers => "the other numbers",
        Others::Bystanders => "other traffic",
    }
}

/// What a verdict hangs on where nothing compares two clocks.
pub(super) fn if_clocks_agree(within_ns: u64) -> String {
    // Two digits, rounded down: it must not be said to stand where it does not.
    let step = 10_u64.pow(within_ns.checked_ilog10().unwrap_or(0).saturating_sub(1));
    let seconds = (within_ns / step * step) as f64 / 1e9;
    format!("if the clocks agree within {seconds} s")
}

pub(super) fn probability(chance: f64) -> String {
    if chance >= 0.001 {
        format!("{chance:.3}")
    } else {
        format!("{chance:.0e}")
    }
}

/// Protocol numbers with their keywords, ranges folded.
fn folded(numbers: &[u8]) -> String {
    let numbers: Vec<u16> = numbers.iter().copied().map(u16::from).collect();
    protocols::fold_with_keywords(&numbers)
}
