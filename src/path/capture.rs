//! Points that are interfaces: started together, with a filter in the kernel, and saved where that
//! is asked for.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use super::{Capture, Error, Event, Named, Options, Points};
use crate::{
    capture_file::CaptureFile,
    decode,
    source::{self, Frame, Interface, Origin, Source, Summary},
};

/// What kernels are to pass.
#[derive(Debug)]
pub(crate) struct KernelFilter {
    pub(crate) expression: String,
    pub(crate) is_default: bool,
}

impl KernelFilter {
    /// What the user wants to see, or what may be HDP within the window of `now_ns`.
    pub(crate) fn new(given: Option<&str>, now_ns: i64, window_ns: u64) -> Self {
        Self {
            expression: given.map_or_else(|| decode::candidates(now_ns, window_ns), str::to_owned),
            is_default: given.is_none(),
        }
    }
}

/// A capture that is running.
pub(super) struct Capturing {
    pub(super) source: Source,
    pub(super) saved: Option<Saved>,
}

/// Starts the captures, and the files that save them: those of the points, `None` for points that are
/// no interfaces, and those of drop witnesses.
pub(super) fn start(
    points: &Points,
    options: &Options,
) -> Result<(Vec<Option<Capturing>>, Vec<Capturing>), Error> {
    let logs = &points.live_witnesses;
    if !points.have_interfaces() && logs.is_empty() {
        return Ok((points.iter().map(|_| None).collect(), Vec::new()));
    }
    let all = || points.iter().chain(logs);
    for file in all().filter_map(|point| saved_as(point, options)) {
        let origin = Origin::Path(file);
        if points.contain(&origin) {
            return Err(Error::SavedOverSource { origin });
        }
    }
    let given = options.filter.as_deref();
    let filter = KernelFilter::new(given, source::now_ns(), options.dates().window_ns());
    let start = |point: &Named, filter: Option<&str>| {
        let Origin::Live(interface) = &point.origin else {
            return Ok(None);
        };
        let source = open(interface, filter, &options.capture)?;
        options.tell(Event::Capturing {
            interface,
            link_types: &source.summary().link_types,
        });
        let saved = saved_as(point, options);
        let saved = saved.map(|path| Saved::create(path, &source)).transpose()?;
        Ok::<_, Error>(Some(Capturing { source, saved }))
    };
    let captures = points.iter();
    let captures = captures.map(|point| start(point, Some(&filter.expression)));
    let captures = captures.collect::<Result<_, Error>>()?;
    // What rules logged they have chosen themselves.
    let logs: Result<Vec<_>, Error> = logs.iter().map(|log| start(log, None)).collect();
    if filter.is_default && points.have_interfaces() {
        options.tell(Event::DefaultFilter(&filter.expression));
    }
    Ok((captures, logs?.into_iter().flatten().collect()))
}

/// Starts to capture from an interface; its kernel applies the filter.
#[cfg(feature = "libpcap")]
pub(crate) fn open(
    interface: &str,
    filter: Option<&str>,
    capture: &Capture,
) -> Result<Source, Error> {
    use crate::source::LiveOptions;

    if capture.promiscuous && interface == "any" {
        return Err(Error::PromiscuousAny);
    }
    let options = LiveOptions {
        filter: filter.map(str::to_owned),
        promiscuous: capture.promiscuous,
        buffer_len: capture.buffer_len.unwrap_or(LiveOptions::BUFFER_LEN),
    };
    Ok(Source::open_live(interface, &options)?)
}

/// Says that it cannot be done.
#[cfg(not(feature = "libpcap"))]
pub(crate) fn open(interface: &str, _: Option<&str>, _: &Capture) -> Result<Source, Error> {
    Ok(Source::open(Origin::Live(interface.to_owned()))?)
}

/// Where the capture of a point is saved, if anywhere.
fn saved_as(point: &Named, options: &Options) -> Option<PathBuf> {
    let folder = options.capture.save.as_ref()?;
    let file = format!("{}.pcapng", point.name);
    point.origin.is_live().then(|| folder.join(file))
}

/// The file that a capture is saved in; its errors name it.
pub(super) struct Saved {
    path: PathBuf,
    file: CaptureFile<BufWriter<File>>,
    /// Drops that the file tells of.
    drops: u64,
}

impl Saved {
    fn create(path: PathBuf, source: &Source) -> Result<Self, Error> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| Error::Create {
                folder: folder.to_owned(),
                error,
            })?;
        }
        let file = File::create(&path).and_then(|file| CaptureFile::begin(BufWriter::new(file)));
        let file = file.map_err(|error| cannot_write(&path, error))?;
        let mut saved = Self {
            path,
            file,
            drops: 0,
        };
        for interface in &source.summary().interfaces {
            saved.try_to(|file| file.interface(interface, ""))?;
        }
        Ok(saved)
    }

    /// Adds a frame.
    pub(super) fn frame(&mut self, frame: &Frame, interface: &Interface) -> Result<(), Error> {
        self.try_to(|file| file.frame(frame, interface))
    }

    /// Says in which stretch the capture dropped frames, if it has dropped more.
    pub(super) fn drops(&mut self, summary: &Summary) -> Result<(), Error> {
        let drops = (self.drops, summary.capture_drops.unwrap_or(0));
        if drops.0 == drops.1 {
            return Ok(());
        }
        self.drops = drops.1;
        let (Some((start, _)), Some(&(from, to))) = (summary.watched_ns, summary.dropped_ns.last())
        else {
            return Ok(());
        };
        self.try_to(|file| {
            file.statistics(0, (start, from), Some(drops.0))?;
            file.statistics(0, (start, to), Some(drops.1))
        })
    }

    /// Lets readers have what was written so far.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.try_to(CaptureFile::flush)
    }

    /// Ends the file with what the capture says of itself.
    pub(super) fn end(self, summary: &Summary) -> Result<(), Error> {
        let Self { path, file, .. } = self;
        file.end(summary.watched_ns, summary.capture_drops)
            .map_err(|error| cannot_write(&path, error))
    }

    fn try_to(
        &mut self,
        write: impl FnOnce(&mut CaptureFile<BufWriter<File>>) -> io::Result<()>,
    ) -> Result<(), Error> {
        write(&mut self.file).map_err(|error| cannot_write(&self.path, error))
    }
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::Write {
        name: path.display().to_string(),
        error,
    }
}
