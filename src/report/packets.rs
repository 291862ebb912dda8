//! Single packets in JSON Lines, for `--packets`.

use std::io;

use crate::findings::Packet;

/// Writes one packet's fate as one line of JSON.
///
/// To a writer and not to a string, because there may be millions.
///
/// # Errors
///
/// Those of `out`.
pub fn packet_line(packet: &Packet, out: &mut impl io::Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, packet)?;
    out.write_all(b"\n")
}
