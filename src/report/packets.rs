//! Single packets, for `--packets`: JSON Lines, or a table in Parquet.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use super::whole::{Unfinished, cannot_write};
use crate::findings::Packet;
#[cfg(feature = "parquet")]
use crate::tables::ManyPackets;

/// Rows of a table that are written at once, by a thread of its own.
#[cfg(feature = "parquet")]
const ROWS: usize = 64 * 1024;

/// Writes one packet's fate as one line of JSON.
///
/// To a writer and not to a string, because there may be millions.
///
/// # Errors
///
/// Those of `out`.
pub fn packet_line(packet: &Packet, out: &mut impl io::Write) -> io::Result<()> {
    // In one piece: a serializer writes each bracket by itself.
    let mut line = serde_json::to_vec(packet)?;
    line.push(b'\n');
    out.write_all(&line)
}

/// A file of packets, which has its name once it is finished. What cannot be written,
/// [`PacketFile::finish`] says.
#[derive(Debug)]
pub struct PacketFile {
    path: PathBuf,
    to: To,
    unfinished: Unfinished,
    written: io::Result<()>,
}

#[derive(Debug)]
enum To {
    Lines(BufWriter<File>),
    #[cfg(feature = "parquet")]
    Table(Box<ManyPackets>),
}

impl PacketFile {
    /// Creates a file: a table where its name ends with `.parquet`, else lines.
    ///
    /// # Errors
    /// Where it cannot be created, or this build has no tables. Errors name the file.
    pub fn create(path: &Path) -> io::Result<Self> {
        let (file, unfinished) = Unfinished::begin(path)?;
        let is_table = path.extension().is_some_and(|ending| ending == "parquet");
        let to = if is_table {
            table(file).map_err(|error| cannot_write(path, &error))?
        } else {
            To::Lines(BufWriter::new(file))
        };
        Ok(Self {
            path: path.to_owned(),
            to,
            unfinished,
            written: Ok(()),
        })
    }

    /// Adds a packet.
    pub fn write(&mut self, packet: &Packet) {
        match &mut self.to {
            To::Lines(file) if self.written.is_ok() => self.written = packet_line(packet, file),
            To::Lines(_) => {}
            #[cfg(feature = "parquet")]
            To::Table(table) => table.packet(packet),
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Where anything could not be written.
    pub fn finish(self) -> io::Result<()> {
        let finished = self.written.and_then(|()| match self.to {
            To::Lines(mut file) => file.flush(),
            #[cfg(feature = "parquet")]
            To::Table(table) => table.finish().map_err(io::Error::other),
        });
        finished.map_err(|error| cannot_write(&self.path, &error))?;
        self.unfinished.finish()
    }
}

#[cfg(feature = "parquet")]
fn table(file: File) -> io::Result<To> {
    let table = ManyPackets::packets(file, ROWS).map_err(io::Error::other)?;
    Ok(To::Table(Box::new(table)))
}

#[cfg(not(feature = "parquet"))]
fn table(_: File) -> io::Result<To> {
    Err(io::Error::other(
        "this hdp was built without Parquet; build it with --features parquet, or give the file another ending for \
         JSON Lines",
    ))
}
