//! What can be in a scenario beyond packets on a path.

use std::{collections::BTreeSet, fmt, str::FromStr};

use super::Random;

/// One thing that makes a path or its captures what they are outside of textbooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ingredient {
    /// Packets get lost at random.
    Loss,
    /// A segment lets nothing through of some numbers.
    Blocked,
    /// A segment lets the first few packets of a number through, then none.
    CutOff,
    /// A segment lets nothing at all through one way.
    Severed,
    /// HDP goes both ways.
    Replies,
    /// HDP inside valid UDP beside the bare numbers.
    Control,
    /// Addresses of 128 bits, no IP ID.
    Ipv6,
    /// Routers and the receiver answer some packets with ICMP errors that quote them.
    IcmpErrors,
    /// Delays vary by more than packets are apart.
    Jitter,
    /// A few packets arrive more than 51 s late.
    Slow,
    /// The network delivers some packets twice.
    Duplicates,
    /// Addresses are translated at a segment, but those of six numbers.
    Nat,
    /// A box takes some numbers for transports with a checksum where HDP has its timestamp.
    RewrittenTimestamp,
    /// The same, where HDP has its destination port.
    RewrittenPort,
    /// A box cuts payloads, or changes bytes in them.
    ChangedPayload,
    /// A router resets the code point.
    Dscp,
    /// The sender's clock ticks in milliseconds: packets share timestamps.
    CoarseClock,
    /// Clocks run up to 100 ppm too fast or too slow.
    Skew,
    /// Clocks are set while the captures run.
    Steps,
    /// Nearly nothing but HDP shows that a point is watching.
    Sparse,
    /// Some captures start late.
    LateStart,
    /// Some captures end early.
    EarlyEnd,
    /// Some captures record nothing for a while.
    Gaps,
    /// A capture drops frames and counts them.
    KnownDrops,
    /// A capture drops frames and has no place to say so.
    UnknownDrops,
    /// A capture keeps the first bytes of each frame only.
    Snaplen,
    /// A mirror port shows frames twice.
    Mirror,
    /// Captures on all interfaces: routers in between show packets coming and going.
    AnyInterface,
    /// A capture overhears frames for other hosts.
    OtherHosts,
    /// For some seconds a segment loses all, whatever it is.
    Outage,
    /// A segment lets only so much through of a range of numbers.
    RateLimit,
    /// Numbers are sent in rising order, round after round.
    InOrder,
    /// Pings go from end to end and are answered.
    Pings,
    /// A capture keeps only what lies above a number, and the pings that it lacks are answered.
    Filtered,
    /// Another client joins the path on its way.
    SecondSender,
    /// No router lies between the points: no TTL falls.
    OneLan,
}

impl Ingredient {
    /// What sends or loses packets, and so is wanted often.
    const OFTEN: [(Self, u64); 6] = [
        (Self::Loss, 750),
        (Self::Blocked, 500),
        (Self::CutOff, 200),
        (Self::Replies, 500),
        (Self::Control, 250),
        (Self::Ipv6, 250),
    ];

    /// What disturbs.
    pub const DISTURBING: [Self; 30] = [
        Self::Severed,
        Self::IcmpErrors,
        Self::Jitter,
        Self::Slow,
        Self::Duplicates,
        Self::Nat,
        Self::RewrittenTimestamp,
        Self::RewrittenPort,
        Self::ChangedPayload,
        Self::Dscp,
        Self::CoarseClock,
        Self::Skew,
        Self::Steps,
        Self::Sparse,
        Self::LateStart,
        Self::EarlyEnd,
        Self::Gaps,
        Self::KnownDrops,
        Self::UnknownDrops,
        Self::Snaplen,
        Self::Mirror,
        Self::AnyInterface,
        Self::OtherHosts,
        Self::Outage,
        Self::RateLimit,
        Self::InOrder,
        Self::Pings,
        Self::Filtered,
        Self::SecondSender,
        Self::OneLan,
    ];

    pub fn all() -> impl Iterator<Item = Self> {
        Self::OFTEN
            .into_iter()
            .map(|(ingredient, _)| ingredient)
            .chain(Self::DISTURBING)
    }
}

/// An unknown name.
#[derive(Debug)]
pub struct Unknown(String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<String> = Ingredient::all().map(|i| format!("{i:?}")).collect();
        write!(
            f,
            "no ingredient {:?}; there are {}",
            self.0,
            known.join(" ")
        )
    }
}

/// The ingredients of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingredients(BTreeSet<Ingredient>);

impl Ingredients {
    /// What a seed draws: mostly few disturbances, so that causes can be told apart; now and then
    /// many at once.
    pub fn of_seed(seed: u64) -> Self {
        let random = &mut Random::new(seed).fork("ingredients");
        let often = Ingredient::OFTEN.into_iter();
        let mut ingredients: BTreeSet<_> = often
            .filter(|(_, per_thousand)| random.happens(*per_thousand))
            .map(|(ingredient, _)| ingredient)
            .collect();
        let disturbing = random.pick(&[0, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 6, 12]);
        for _ in 0..disturbing {
            ingredients.insert(random.pick(&Ingredient::DISTURBING));
        }
        Self(ingredients)
    }

    pub fn have(&self, ingredient: Ingredient) -> bool {
        self.0.contains(&ingredient)
    }

    pub fn iter(&self) -> impl Iterator<Item = Ingredient> {
        self.0.iter().copied()
    }

    /// Those that disturb.
    pub fn disturbing(&self) -> impl Iterator<Item = Ingredient> {
        self.iter().filter(|i| Ingredient::DISTURBING.contains(i))
    }

    /// Whether this one is in it, and nothing else that disturbs.
    pub fn have_only(&self, disturbing: Ingredient) -> bool {
        self.disturbing().eq([disturbing])
    }
}

/// Names of ingredients with spaces or commas between them.
impl FromStr for Ingredients {
    type Err = Unknown;

    fn from_str(names: &str) -> Result<Self, Unknown> {
        names
            .split([' ', ','])
            .filter(|name| !name.is_empty())
            .map(|name| {
                Ingredient::all()
                    .find(|ingredient| format!("{ingredient:?}").eq_ignore_ascii_case(name))
                    .ok_or_else(|| Unknown(name.to_owned()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Ingredients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.iter().map(|i| format!("{i:?}")).collect();
        f.write_str(&names.join(","))
    }
}
