//! The table `packets`: a row a packet.

use std::fs::File;

use super::{
    background::Background,
    columns::{
        Cell, Context, Each,
        Kind::{Boolean, Int32, Int64, Text, Timestamp},
        time,
    },
    file::{Error, Table},
};
use crate::findings::{Packet, PacketSighting};

/// The fates of single packets.
pub type Packets = Table<Packet>;

/// The same, written by a thread of its own.
pub type ManyPackets = Background<Packet>;

impl Table<Packet> {
    /// Begins the table in a file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn packets(file: File) -> Result<Self, Error> {
        Self::begin("packets", fields(), file)
    }

    /// Adds a packet.
    pub fn packet(&mut self, context: &Context, packet: &Packet) {
        self.push(context, packet);
    }
}

impl Background<Packet> {
    /// Begins the table in a file, in groups of so many rows.
    ///
    /// # Errors
    /// Those of the file.
    pub fn packets(file: File, group: usize) -> Result<Self, Error> {
        Ok(Self::of(Packets::packets(file)?, fields(), group))
    }

    /// Adds a packet.
    pub fn packet(&mut self, packet: &Packet) {
        self.push(&Context::default(), packet);
    }
}

/// A member of each sighting.
macro_rules! seen {
    ($name:literal, $kind:expr, $of:expr) => {{
        let each: Each<Packet> = |packet, take| {
            let of: for<'a> fn(&'a PacketSighting) -> Cell<'a> = $of;
            for sighting in &packet.seen {
                take(of(sighting));
            }
        };
        ($name, $kind, each)
    }};
}

type Field = super::columns::Field<Packet>;

fn fields() -> Vec<Field> {
    let mut fields = vec![
        Field::Value("id", Text, |path, _| path.id.as_ref().into()),
        Field::Value("from_point", Text, |_, packet| (&packet.from).into()),
        Field::Value("to_point", Text, |_, packet| (&packet.to).into()),
        Field::Value("protocol", Int32, |_, packet| packet.protocol.into()),
        Field::Value("carrier", Text, |_, packet| packet.carrier.name().into()),
    ];
    fields.extend(time!("timestamp", |_, packet| packet.timestamp_ns.into()));
    fields.extend([
        Field::Value("srcport", Int32, |_, packet| packet.srcport.into()),
        Field::Value("dstport", Int32, |_, packet| packet.dstport.into()),
        Field::Value("payload_len", Int64, |_, packet| packet.payload_len.into()),
        Field::Value("fate", Text, |_, packet| packet.fate.name().into()),
        Field::Value("lost_from", Text, |_, packet| {
            packet.lost_at.as_ref().map(|[from, _]| from).into()
        }),
        Field::Value("lost_to", Text, |_, packet| {
            packet.lost_at.as_ref().map(|[_, to]| to).into()
        }),
        Field::Value("expected_point", Text, |_, packet| {
            packet.expected.as_ref().map(|at| &at.point).into()
        }),
        Field::Value("expected_from_ns", Int64, |_, packet| {
            packet.expected.as_ref().and_then(|at| at.from_ns).into()
        }),
        Field::Value("expected_to_ns", Int64, |_, packet| {
            packet.expected.as_ref().and_then(|at| at.to_ns).into()
        }),
        Field::Value("delay_ns", Int64, |_, packet| packet.delay_ns.into()),
        Field::Value("reordered", Boolean, |_, packet| packet.reordered.into()),
        Field::Value("altered", Boolean, |_, packet| packet.altered.into()),
        Field::Structures(
            "seen",
            vec![
                seen!("point", Text, |at| (&at.point).into()),
                seen!("frame", Int64, |at| at.frame.into()),
                seen!("time_ns", Int64, |at| at.time_ns.into()),
                seen!("time", Timestamp, |at| at.time_ns.into()),
                seen!("src", Text, |at| (&at.src).into()),
                seen!("dst", Text, |at| (&at.dst).into()),
                seen!("ttl", Int32, |at| at.ttl.into()),
                seen!("duplicates", Int64, |at| at.duplicates.into()),
            ],
        ),
    ]);
    fields
}
