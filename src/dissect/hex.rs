//! The bytes of a frame, as `tcpdump -XX` prints them: offset, hexadecimal, ASCII.
//!
//! The whole frame, not only its IP datagram, so that the offsets are those of the tree.

use std::io;

use super::Packet;

const BYTES_A_ROW: usize = 16;

/// Writes the captured bytes of the packet's frame, sixteen a row.
///
/// # Errors
/// Whatever `out` gives.
pub fn write(packet: &Packet<'_>, out: &mut impl io::Write) -> io::Result<()> {
    for (row, bytes) in packet.frame.bytes.chunks(BYTES_A_ROW).enumerate() {
        let pairs: Vec<String> = bytes.chunks(2).map(super::digits).collect();
        let ascii: String = bytes
            .iter()
            .map(|&byte| match byte {
                b' '..=b'~' => char::from(byte),
                _ => '.',
            })
            .collect();
        let offset = row * BYTES_A_ROW;
        writeln!(out, "\t0x{offset:04x}:  {:<39}  {ascii}", pairs.join(" "))?;
    }
    Ok(())
}
