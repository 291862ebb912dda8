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
        let known = self
            .programs
            .iter()
            .position(|(link_type, _)| *link_type == frame.link_type);
        let index = match known {
            Some(index) => index,
            None => {
                let program =
                    compile(frame.link_type, &self.expression).map_err(|why| Error::Filter {
                        origin: self.origin.clone(),
                        expression: self.expression.clone(),
                        link_type: frame.link_type,
                        why,
                    })?;
                self.programs.push((frame.link_type, program));
                self.programs.len() - 1
            }
        };
        Ok(self.programs[index].1.filter(frame.bytes))
    }
}

fn compile(link_type: LinkType, expression: &str) -> Result<pcap::BpfProgram, String> {
    // libpcap's compiler speaks DLT numbers; they differ from the files' for raw IP.
    let dlt = match link_type {
        LinkType::RAW | LinkType::RAW_DLT | LinkType::RAW_OPENBSD => LinkType::RAW_DLT,
        other => other,
    };
    let words = |error: pcap::Error| match error {
        pcap::Error::PcapError(words) => words,
        other => other.to_string(),
    };
    pcap::Capture::dead(pcap::Linktype(i32::from(dlt.0)))
        .map_err(words)?
        .compile(expression, true)
        .map_err(words)
}
