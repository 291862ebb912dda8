//! Frames of any link type, made from bytes.

use crate::files::pieces;

/// Each link type that is decoded, and one that is not.
const LINK_TYPES: [u16; 27] = [
    0, 1, 9, 12, 14, 50, 101, 104, 105, 108, 113, 127, 149, 178, 179, 192, 226, 228, 229, 239, 258, 276, 281, 282,
    284, 285, 147,
];

/// A frame.
pub struct Made {
    pub link_type: u16,
    /// Bits that say how it came; the upper five, how many bytes longer it was.
    pub how: u8,
    pub bytes: Vec<u8>,
}

impl Made {
    /// Its length on the wire.
    pub fn original_len(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap() + u32::from(self.how >> 3)
    }
}

/// Each piece is a frame: its link type, how it came, and its bytes or what differs from the frame before, as
/// most frames of a flow differ in little.
pub fn made_frames(bytes: &[u8]) -> Vec<Made> {
    let mut before: (u16, Vec<u8>) = (101, Vec::new());
    let mut made = Vec::new();
    for piece in pieces(bytes) {
        let [link_type, how, rest @ ..] = piece else { continue };
        if how & 1 == 0 {
            before = (LINK_TYPES[usize::from(*link_type) % LINK_TYPES.len()], rest.to_vec());
        } else if !before.1.is_empty() {
            for change in rest.chunks_exact(2) {
                let at = usize::from(change[0]) % before.1.len();
                before.1[at] ^= change[1];
            }
        }
        let (link_type, bytes) = before.clone();
        made.push(Made { link_type, how: *how, bytes });
    }
    made
}
