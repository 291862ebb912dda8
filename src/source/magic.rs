//! Magic numbers: how capture files begin.

/// The block type of a section header, the same in both byte orders.
pub(super) const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The same with CR LF in place of LF: made to be recognised.
pub(super) const PCAPNG_AS_TEXT: [u8; 4] = *b"\r\n\r\r";

/// The magic numbers: microseconds, nanoseconds and Kuznetzov's "modified" variant, which has
/// eight more bytes a record.
const CLASSIC: [u32; 3] = [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34];

/// Whether a file that begins so is of the classic format.
pub(super) fn is_classic(start: &[u8]) -> bool {
    start.first_chunk().is_some_and(|bytes| {
        CLASSIC.contains(&u32::from_le_bytes(*bytes))
            || CLASSIC.contains(&u32::from_be_bytes(*bytes))
    })
}
