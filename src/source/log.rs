//! Logs of `hdp send` and `hdp listen`, read line by line.
//!
//! What a log says is [`crate::log`]'s; here is what captures have too: packing, cuts and
//! damage. Every line before a cut is delivered.

use super::{Buffer, Error, Origin, Summary};
use crate::{
    log::{End, ReceivedPacket, SentPacket, Start},
    printable::{printable, printable_json},
};

/// How the first line of every log begins.
const MAGIC: &[u8] = b"{\"hdp_log\":";

/// How its last line begins.
const END_MAGIC: &[u8] = b"{\"hdp_log_end\":";

/// No line of a log is longer than this; what is, is damaged.
const LONGEST_LINE: usize = 1 << 20;

/// Whether a source begins like a log.
pub(super) fn is_log(buffer: &mut Buffer) -> bool {
    // What cannot be read is told by whoever reads on.
    let _ = buffer.fill(MAGIC.len());
    buffer.view().starts_with(MAGIC)
}

/// An open log.
pub struct Log {
    buffer: Buffer,
    start: Start,
    end: Option<End>,
    /// Lines read.
    lines: u64,
    summary: Summary,
    ended: bool,
}

/// One packet's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Of a sender's log.
    Sent(SentPacket),
    /// Of a listener's log.
    Received(ReceivedPacket),
}

impl Log {
    /// Reads the first line.
    pub(super) fn open(origin: &Origin, mut buffer: Buffer) -> Result<Self, Error> {
        let header = |what: String| Error::Header {
            origin: origin.clone(),
            what,
        };
        let len = match line(&mut buffer) {
            Ok(Some(len)) => len,
            Ok(None) => return Err(header("is a log that was cut in its first line".to_owned())),
            Err(why) => return Err(header(why)),
        };
        let start = serde_json::from_slice(&buffer.view()[..len])
            .and_then(|start| serde_json::from_value(printable_json(start)))
            .map_err(|why| header(format!("is a log whose first line is damaged: {why}")))?;
        buffer.consume(len);
        Ok(Self {
            buffer,
            start,
            end: None,
            lines: 1,
            summary: Summary {
                // The system's own clock, in full.
                resolution_ns: Some(1),
                ..Summary::default()
            },
            ended: false,
        })
    }

    /// Whose log it is.
    #[must_use]
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The last line; `None` until it was read, and where the log was cut.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// What reading has found so far, as of a capture.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Begins to compute the SHA-256 of the file, if it is one.
    pub fn digest(&mut self) {
        self.buffer.digest();
    }

    /// [`Log::summary`] with the file's length and digest, once the log has been read.
    pub fn summarize(&mut self) -> Summary {
        let (bytes, sha256) = self.buffer.identity();
        Summary {
            bytes,
            sha256,
            ..self.summary.clone()
        }
    }

    /// The next packet and the number of its line, counted from 1; `None` at the end. Where that
    /// came before its time, [`Log::summary`] says why.
    pub fn next_line(&mut self) -> Option<(u64, Line)> {
        if self.ended {
            return None;
        }
        match self.step() {
            Ok(Some(line)) => Some((self.lines, line)),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(why) => {
                self.ended = true;
                self.summary.warnings.push(why);
                None
            }
        }
    }

    fn step(&mut self) -> Result<Option<Line>, String> {
        let Some(len) = line(&mut self.buffer)? else {
            return Err(format!(
                "the log was cut after line {}, before its last one: what came later is unknown",
                self.lines
            ));
        };
        self.lines += 1;
        let text = &self.buffer.view()[..len];
        let damaged = |why| {
            // Which quotes what the line says.
            let why: serde_json::Error = why;
            let why = why.to_string();
            format!(
                "line {} is damaged ({}): the log is read up to there",
                self.lines,
                printable(&why)
            )
        };
        let packet = if text.starts_with(END_MAGIC) {
            self.end = Some(serde_json::from_slice(text).map_err(damaged)?);
            None
        } else {
            let packet = match self.start {
                Start::Send(_) => serde_json::from_slice(text).map(Line::Sent),
                Start::Listen(_) => serde_json::from_slice(text).map(Line::Received),
            };
            Some(packet.map_err(damaged)?)
        };
        self.buffer.consume(len);
        Ok(packet)
    }
}

/// Length of the next line with its end; `None` where the input ends before the line does.
fn line(buffer: &mut Buffer) -> Result<Option<usize>, String> {
    let mut looked_at = 0;
    loop {
        let view = buffer.view();
        if let Some(end) = view[looked_at..].iter().position(|byte| *byte == b'\n') {
            return Ok(Some(looked_at + end + 1));
        }
        looked_at = view.len();
        if looked_at > LONGEST_LINE {
            return Err(format!(
                "a line at byte {} is longer than {LONGEST_LINE} bytes",
                buffer.position()
            ));
        }
        if !buffer
            .fill(looked_at + 1)
            .map_err(|error| format!("cannot read on at byte {}: {error}", buffer.position()))?
        {
            return Ok(None);
        }
    }
}
