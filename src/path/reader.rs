//! One point being read, from its source to an observer.

use super::{Error, Event, Named, Options};
#[cfg(feature = "libpcap")]
use crate::source::Filter;
use crate::{
    decode::Shortcut,
    observe::{Observer, Point},
    source::{Frame, Log, Recording, Source},
};

/// Sees that this build has what it needs to filter.
pub(super) fn ensure_filters(options: &Options) -> Result<(), Error> {
    if cfg!(feature = "libpcap") || options.filter.is_none() {
        Ok(())
    } else {
        Err(Error::NoFilters)
    }
}

/// Reads one point, whatever kind of record it is.
pub(super) fn read(point: &Named, options: &Options) -> Result<Point, Error> {
    match Recording::open(point.origin.clone())? {
        Recording::Capture(source) => Reader::of(point, options, *source).read(),
        Recording::Log(log) => read_log(point, options, *log),
    }
}

/// Reads a log, which is small next to captures.
pub(super) fn read_log(point: &Named, options: &Options, mut log: Log) -> Result<Point, Error> {
    if options.filter.is_some() {
        return Err(Error::FilterOnLog {
            origin: point.origin.clone(),
        });
    }
    if options.digest {
        log.digest();
    }
    let (name, source) = (point.name.clone(), point.origin.to_string());
    Ok(Point::of_log(log, name, source))
}

/// Sees frames go by.
pub(super) trait Witness {
    /// Sees one, and takes what is in it.
    fn read(&mut self, frame: &Frame, decoder: &mut Shortcut);

    /// Sees one, and leaves it unread.
    #[cfg(feature = "libpcap")]
    fn pass_over(&mut self, frame: &Frame);
}

impl Witness for Observer {
    #[inline(always)]
    fn read(&mut self, frame: &Frame, decoder: &mut Shortcut) {
        self.watch(frame);
        Observer::read(self, frame, decoder);
    }

    #[cfg(feature = "libpcap")]
    fn pass_over(&mut self, frame: &Frame) {
        self.watch(frame);
        Observer::pass_over(self, frame);
    }
}

/// One point being read.
pub(super) struct Reader<'a> {
    point: &'a Named,
    pub(super) source: Source,
    pub(super) decoder: Shortcut,
    #[cfg(feature = "libpcap")]
    filter: Option<Filter>,
}

impl<'a> Reader<'a> {
    pub(super) fn open(point: &'a Named, options: &Options) -> Result<Self, Error> {
        let source = Source::open(point.origin.clone())?;
        Ok(Self::of(point, options, source))
    }

    pub(super) fn of(point: &'a Named, options: &Options, mut source: Source) -> Self {
        if options.digest {
            source.digest();
        }
        if let Some(progress) = source.progress() {
            options.tell(Event::Reading(progress));
        }
        Self {
            point,
            source,
            decoder: Shortcut::new(options.dates()),
            #[cfg(feature = "libpcap")]
            filter: options
                .filter
                .as_deref()
                // The kernel applies an interface's.
                .filter(|_| !point.origin.is_live())
                .map(|filter| Filter::new(filter, &point.origin)),
        }
    }

    /// Reads frames as long as they are at hand, and the witness wants more: there may be none.
    #[inline(always)]
    pub(super) fn frames_at_hand<W: Witness>(
        &mut self,
        witness: &mut W,
        wants_more: impl Fn(&W) -> bool,
    ) {
        #[cfg(feature = "libpcap")]
        if self.filter.is_some() {
            return;
        }
        let decoder = &mut self.decoder;
        self.source.frames_at_hand(|frame| {
            witness.read(&frame, decoder);
            wants_more(witness)
        });
    }

    /// Reads one frame; `false` at the end.
    #[inline(always)]
    #[cfg_attr(not(feature = "libpcap"), allow(clippy::unnecessary_wraps))]
    pub(super) fn frame(&mut self, witness: &mut impl Witness) -> Result<bool, Error> {
        let Some(frame) = self.source.next_frame() else {
            return Ok(false);
        };
        #[cfg(feature = "libpcap")]
        if let Some(filter) = &mut self.filter
            // Of a copy, so that the frame itself stays in registers.
            && !filter.matches(&{ frame })?
        {
            witness.pass_over(&{ frame });
            return Ok(true);
        }
        witness.read(&frame, &mut self.decoder);
        Ok(true)
    }

    /// Reads to the end.
    fn read(mut self) -> Result<Point, Error> {
        let mut observer = Observer::default();
        while self.frame(&mut observer)? {}
        self.finish(observer)
    }

    /// The point, once its source has ended.
    pub(super) fn finish(self, observer: Observer) -> Result<Point, Error> {
        self.ensure_known(observer.understands_nothing())?;
        let name = self.point.name.clone();
        let source = self.point.origin.to_string();
        Ok(observer.finish(name, source, self.source.into_summary()))
    }

    /// Sees that there was something to be understood.
    pub(super) fn ensure_known(&self, is_unknown: bool) -> Result<(), Error> {
        if is_unknown {
            let unknown = self.source.summary().link_types.iter();
            let unknown: Vec<_> = unknown.map(ToString::to_string).collect();
            return Err(Error::LinkType {
                origin: self.point.origin.clone(),
                link_types: unknown.join(", "),
            });
        }
        Ok(())
    }
}
