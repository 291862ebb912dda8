//! zstd (RFC 8878): what is in a file's frames, one after the other, each against its checksum.

use std::{
    error::Error as _,
    io::{self, BufRead, Read},
};

use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

/// A frame's window may be as large as other decoders take it without being asked to.
const LARGEST_WINDOW: u64 = 1 << 27;

/// What a block decodes to at the most (section 3.1.1.2.4).
const LARGEST_BLOCK: usize = 128 * 1024;

/// A last block of nothing (section 3.1.1.2), and a checksum.
const END: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

/// The content of all frames.
pub(super) struct Frames<R> {
    input: R,
    decoder: FrameDecoder,
    is_within_frame: bool,
    /// What keeps the rest of the input from being decoded, and how many of the bytes that the decoder
    /// still holds are in doubt.
    broken: Option<(io::Error, usize)>,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(input: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(LARGEST_WINDOW);
        Self {
            input,
            decoder,
            is_within_frame: false,
            broken: None,
        }
    }

    /// Begins the next frame that has content; `false` at the end.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.input.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.input) {
                Ok(()) => {
                    self.is_within_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut content = (&mut self.input).take(length.into());
                    io::copy(&mut content, &mut io::sink())?;
                }
                Err(error) => return Err(of_decoder(error)),
            }
        }
    }

    /// Decodes a block.
    fn decode(&mut self) {
        const A_BLOCK: BlockDecodingStrategy = BlockDecodingStrategy::UptoBlocks(1);
        let Err(error) = self.decoder.decode_blocks(&mut self.input, A_BLOCK) else {
            return;
        };
        let error = of_decoder(error);
        // A block is decoded once all of it is there.
        let doubtful = match error.kind() {
            io::ErrorKind::InvalidData => LARGEST_BLOCK,
            _ => 0,
        };
        // The decoder gives what later blocks may refer to once none comes.
        if !self.decoder.is_finished() {
            let _ = self.decoder.decode_blocks(END.as_slice(), A_BLOCK);
        }
        self.broken = Some((error, doubtful));
    }

    fn end(&mut self) -> io::Result<()> {
        self.is_within_frame = false;
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            let why = "the content of a zstd frame does not match its checksum";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let decoded = self.decoder.can_collect();
            if let Some((error, doubtful)) = &self.broken {
                let len = decoded.saturating_sub(*doubtful).min(out.len());
                if len == 0 {
                    return Err(io::Error::new(error.kind(), error.to_string()));
                }
                return self.decoder.read(&mut out[..len]);
            }
            if !self.is_within_frame {
                if !self.begin()? {
                    return Ok(0);
                }
            } else if decoded > 0 {
                return self.decoder.read(out);
            } else if self.decoder.is_finished() {
                self.end()?;
            } else {
                self.decode();
            }
        }
    }
}

/// The decoder's error, or that of its input which lies behind it: an input that ends early is not one
/// that is damaged.
fn of_decoder(error: FrameDecoderError) -> io::Error {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(of_input) = error.downcast_ref::<io::Error>() {
            return match of_input.kind() {
                io::ErrorKind::UnexpectedEof => {
                    io::Error::new(io::ErrorKind::UnexpectedEof, "incomplete frame")
                }
                kind => io::Error::new(kind, of_input.to_string()),
            };
        }
        cause = error.source();
    }
    io::Error::new(io::ErrorKind::InvalidData, error)
}
