//! pcap filters on files, through libpcap's own compiler.

use super::{Error, Frame, LinkType, Origin};

/// A pcap filter expression, compiled for each link type as it comes along.
///
/// libpcap is told the captured length for the wire length too, so `greater` and `less` see what
/// the snapshot length left.
pub struct Filter {
    expression: String,
    origin: Origin,
    programs: Vec<(LinkType, pcap::BpfProgram)>,
}

impl Filter {
    /// A filter for the frames of `origin`, compiled at the first frame of each link type.
    #[must_use]
    pub fn new(expression: &str, origin: &Origin) -> Self {
        Self {
            expression: expression.to_owned(),
            origin: origin.clone(),
            programs: Vec::new(),
        }
    }

    /// Whether the frame passes.
    ///
    /// # Errors
    /// [`Error::Filter`] when libpcap does not take the expression for the frame's link type.
    pub fn matches(&mut self, frame: &Frame) -> Result<bool, Error> {
        let link_type = compiled_as(frame);
        let known = self
            .programs
            .iter()
            .position(|(known, _)| *known == link_type);
        let index = if let Some(index) = known {
            index
        } else {
            let program = compile(link_type, &self.expression).map_err(|why| Error::Filter {
                origin: self.origin.clone(),
                expression: self.expression.clone(),
                link_type,
                why,
            })?;
            self.programs.push((link_type, program));
            self.programs.len() - 1
        };
        Ok(self.programs[index].1.filter(frame.bytes))
    }
}

/// The link type that the frame's filter is compiled for.
fn compiled_as(frame: &Frame) -> LinkType {
    match frame.link_type {
        // libpcap's compiler speaks DLT numbers; they differ from the files' for raw IP.
        LinkType::RAW | LinkType::RAW_OPENBSD => LinkType::RAW_DLT,
        // It takes NULL's address family for one of this host's byte order. Big-endian, it is the
        // network order of LOOP.
        LinkType::NULL if frame.bytes.starts_with(&[0, 0]) => LinkType::LOOP,
        other => other,
    }
}

fn compile(link_type: LinkType, expression: &str) -> Result<pcap::BpfProgram, String> {
    pcap::Capture::dead(pcap::Linktype(i32::from(link_type.0)))
        .map_err(words)?
        .compile(expression, true)
        .map_err(words)
}

/// libpcap's own words, without what the bindings put before them.
pub(super) fn words(error: pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(words) => words,
        other => other.to_string(),
    }
}
