//! Files that are whole or not there: written beside their place, and put there once they are complete.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{fd::AsFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use tempfile::TempPath;

/// A file that is being written. Dropped before it is finished, it leaves nothing, and what had its name
/// before is as it was.
#[derive(Debug)]
pub(crate) struct Unfinished(Option<(TempPath, PathBuf)>);

impl Unfinished {
    /// Begins a file. Errors name it, as those of [`Unfinished::finish`] do. What is no file of the disk, such as `/dev/stdout` or a FIFO, is written in its
    /// place, and so is what lies in a folder where no other may be made; `-` is standard output.
    pub(crate) fn begin(path: &Path) -> io::Result<(File, Self)> {
        Self::beside(path).map_err(|error| cannot_write(path, &error))
    }

    fn beside(path: &Path) -> io::Result<(File, Self)> {
        if path == Path::new("-") {
            let stdout = io::stdout().as_fd().try_clone_to_owned()?;
            return Ok((stdout.into(), Self(None)));
        }
        // Through links, which stay.
        let (place, mode) = match fs::metadata(path) {
            Ok(known) if !known.is_file() => return Ok((File::create(path)?, Self(None))),
            Ok(known) => (fs::canonicalize(path)?, known.permissions()),
            Err(_) => (path.to_owned(), Permissions::from_mode(0o666)),
        };
        let folder = match place.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let beside = tempfile::Builder::new()
            .prefix(".hdp-")
            .suffix(".part")
            .permissions(mode)
            .tempfile_in(folder);
        match beside {
            Ok(beside) => {
                let (file, beside) = beside.into_parts();
                Ok((file, Self(Some((beside, place)))))
            }
            Err(_) => Ok((File::create(path)?, Self(None))),
        }
    }

    /// Puts the file, of which all was written, into its place.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.0 {
            Some((beside, place)) => beside
                .persist(&place)
                .map_err(|error| cannot_write(&place, &error.error)),
            None => Ok(()),
        }
    }
}

/// The same error with the file's name. It keeps its kind.
pub(super) fn cannot_write(path: &Path, error: &io::Error) -> io::Error {
    let why = format!("{}: cannot write: {error}", path.display());
    io::Error::new(error.kind(), why)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_is_there_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("packets.jsonl");
        let here = || fs::read_dir(folder.path()).unwrap().count();
        let (mut file, unfinished) = Unfinished::begin(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(unfinished);
        assert_eq!(here(), 0);
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let (mut file, unfinished) = Unfinished::begin(&path).unwrap();
        file.write_all(b"all").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before");
        unfinished.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"all");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(here(), 1);
    }

    #[test]
    fn a_link_and_a_device_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let (mut to, unfinished) = Unfinished::begin(&link).unwrap();
        to.write_all(b"all").unwrap();
        unfinished.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"all");
        let (_, unfinished) = Unfinished::begin(Path::new("/dev/null")).unwrap();
        unfinished.finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
