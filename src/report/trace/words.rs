//! What a trace's reasons and warnings say to a reader.

use std::fmt;

use crate::{
    decode::icmp_meaning,
    findings::trace::{HowAnswered, TraceReason, TraceWarning},
};

/// One sentence, without a full stop.
impl fmt::Display for TraceReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&reason(self))
    }
}

/// One line.
impl fmt::Display for TraceWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&warning(self))
    }
}

fn icmp(version: u8, icmp_type: u8, code: u8) -> String {
    let meaning = icmp_meaning(version, icmp_type, code);
    let name = if version == 6 { "ICMPv6" } else { "ICMP" };
    format!("{name} {icmp_type}/{code} ({meaning})")
}

/// A chance as people read one: with two digits, and far below that as a power of ten.
fn chance(chance: f64) -> String {
    if chance >= 0.001 {
        format!("{chance:.3}")
    } else {
        format!("{chance:.0e}")
    }
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        several => format!("{several} times"),
    }
}

fn hops(hops: &[u8]) -> String {
    let numbers: Vec<u16> = hops.iter().copied().map(u16::from).collect();
    let plural = if hops.len() == 1 { "" } else { "s" };
    format!("hop{plural} {}", crate::protocols::fold(&numbers))
}

fn reason(reason: &TraceReason) -> String {
    match reason {
        TraceReason::Answered { how, count } => {
            let how = match *how {
                HowAnswered::Icmp {
                    version,
                    icmp_type,
                    code,
                } => icmp(version, icmp_type, code),
                HowAnswered::Reply => "a packet under the same number".to_owned(),
            };
            format!("the destination answered with {how}, {}", times(*count))
        }
        TraceReason::RefusedBy {
            from,
            hop,
            version,
            icmp_type,
            code,
            count,
        } => {
            let place = hop.map_or_else(String::new, |hop| format!(" at hop {hop}"));
            let what = icmp(*version, *icmp_type, *code);
            format!("{from}{place} refused it with {what}, {}", times(*count))
        }
        TraceReason::Silent {
            hop,
            sent,
            control_sent,
            control_answered,
            chance: by_chance,
            asked,
        } => {
            let asked = if *asked > 1 {
                format!(" for one number, of {asked} asked about")
            } else {
                String::new()
            };
            format!(
                "hop {hop} answered none of {sent}, and the control {control_answered} of \
                 {control_sent} times: by chance {}{asked}",
                chance(*by_chance)
            )
        }
        TraceReason::SilentForAll { hops: silent } => {
            format!("{} answered nothing, not the control either", hops(silent))
        }
        TraceReason::SeveralPaths { hop, addresses } => format!(
            "several paths: hop {hop} answers from {}, and the number need not go where the control \
             went",
            addresses.join(", ")
        ),
        TraceReason::OtherPath { hop, from } => format!(
            "at hop {hop} the number was answered by {from}, which never answered the control: \
             another path"
        ),
        TraceReason::DestinationSilent { sent } => format!(
            "the destination answers the control, and none of {sent} probes of the number: dropped \
             on the last hop, or taken without a word"
        ),
        TraceReason::ControlEnds { hop: 0 } => "nobody answered the control".to_owned(),
        TraceReason::ControlEnds { hop } => {
            format!("hop {hop} is the last that answers the control")
        }
        TraceReason::AnsweredFor { hop } => {
            format!("somebody at hop {hop} or nearer answers in the destination's name")
        }
        TraceReason::ControlRefused { from } => {
            format!("{from} refuses the control alike: not for its number")
        }
        TraceReason::NoControl => {
            "no control was sent: a hop that does not answer may never do".to_owned()
        }
        TraceReason::NoErrorsAboutIt { icmp_type } => format!(
            "read as ICMP it is of type {icmp_type}, and nobody sends an error about such a message: \
             with a source port of 2048 to 2303 it would be an echo request"
        ),
        TraceReason::SenderRefused {
            call,
            errno,
            name,
            count,
        } => {
            let meaning = match (call.as_str(), name.as_str()) {
                ("sendto", "EPERM") => ": a firewall on this system, most likely",
                ("sendto", "EMSGSIZE") => ": larger than the interface sends in one piece",
                _ => "",
            };
            format!("{call} refused it with {name} ({errno}), {count} of {count}{meaning}")
        }
    }
}

fn warning(warning: &TraceWarning) -> String {
    match warning {
        TraceWarning::NothingAnswered { sent } => format!(
            "none of {sent} controls was answered: a firewall may keep ICMP errors from this host"
        ),
        TraceWarning::NoControl => "no control (HDP, or anything else, in a valid UDP datagram): \
             which hops answer at all, nobody can tell"
            .to_owned(),
        TraceWarning::DestinationSilent => "the destination does not answer the control: what \
             becomes of numbers behind the last hop, nobody can tell"
            .to_owned(),
        TraceWarning::Loop { hop, addresses } => format!(
            "a loop from hop {hop} on: {} pass the packets to each other",
            addresses.join(", ")
        ),
        TraceWarning::AnsweredFor { hop } => {
            format!("somebody at hop {hop} or nearer answers the control in the destination's name")
        }
        TraceWarning::TtlRewritten { hop } => {
            format!("a box behind hop {hop} sets the TTL anew: routers behind it cannot be seen")
        }
        TraceWarning::RateLimited { hops: limited } => format!(
            "{} answered some controls only, as who limits the rate of ICMP errors does",
            hops(limited)
        ),
        TraceWarning::UnknownQuotes { count } => {
            format!("{count} ICMP errors quote none of the probes, or what looks like several")
        }
        TraceWarning::OtherDestinations { count, for_example } => format!(
            "probes to {count} other destinations too, such as {for_example}: name one to see it"
        ),
        TraceWarning::Interrupted => {
            "interrupted: this is what was known by then, and not all was asked".to_owned()
        }
    }
}
