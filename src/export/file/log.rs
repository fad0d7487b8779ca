//! A file to which lines are appended, and which is rotated by size.
//!
//! The file is locked while a line is written or files are renamed, so several writers, also of several processes, get on
//! with each other: none cuts off what another one wrote, and none appends to a file that is renamed meanwhile.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How often a file that somebody else rotates is opened again.
const ATTEMPTS: usize = 8;

/// Where the lines go.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// Zero is no limit.
    pub(super) max_bytes: u64,
    /// With the file that is written to; at least 1.
    pub(super) max_files: u32,
}

/// The open file, if it is.
#[derive(Default)]
pub(super) struct Log {
    file: Option<fs::File>,
}

struct Current {
    file: fs::File,
    /// Some file systems know no locks. There, nothing is cut off.
    is_locked: bool,
}

impl Log {
    /// Appends a line. After an error, the file is opened anew for the next one.
    pub(super) fn append(&mut self, place: &Place, line: &[u8]) -> io::Result<()> {
        let current = self.current(place, line.len() as u64)?;
        let written = put_line(&current, line);
        // Where that fails, the lock goes with the file.
        let is_free = current.file.unlock().is_ok();
        if written.is_ok() && is_free {
            self.file = Some(current.file);
        }
        written
    }

    /// The file that is at the path, locked, with room for so many bytes.
    fn current(&mut self, place: &Place, more: u64) -> io::Result<Current> {
        let mut kept = self.file.take();
        for _ in 0..ATTEMPTS {
            let file = match kept.take() {
                Some(file) => file,
                None => place.open()?,
            };
            let is_locked = file.lock().is_ok();
            if !is_at(&file, &place.path)? {
                continue;
            }
            let len = file.metadata()?.len();
            if place.max_bytes == 0 || len == 0 || len.saturating_add(more) <= place.max_bytes {
                return Ok(Current { file, is_locked });
            }
            place.rotate()?;
        }
        Err(io::Error::other("it is replaced again and again"))
    }
}

impl Place {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            max_bytes: 0,
            max_files: 5,
        }
    }

    fn open(&self) -> io::Result<fs::File> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        // The last byte is read; but a pipe that is opened for reading never tells that nobody reads.
        options.read(fs::metadata(&self.path).map_or(true, |known| known.is_file()));
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path)
    }

    /// Renames the files up to the first name that is free, from the oldest on. Where that ends early, the next attempt goes
    /// on, and nothing was lost.
    fn rotate(&self) -> io::Result<()> {
        let last = self.max_files - 1;
        if last == 0 {
            return fs::remove_file(&self.path);
        }
        let is_free = |number: &u32| fs::symlink_metadata(self.rotated(*number)).is_err();
        let free = (1..last).find(is_free).unwrap_or(last);
        for number in (1..free).rev() {
            fs::rename(self.rotated(number), self.rotated(number + 1))?;
        }
        fs::rename(&self.path, self.rotated(1))
    }

    fn rotated(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Writes all of it if it can; says how much it wrote.
pub(super) fn put(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..)
        && !rest.is_empty()
    {
        match out.write(rest) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// A whole line, on a line of its own, or nothing.
fn put_line(current: &Current, line: &[u8]) -> io::Result<()> {
    let mut file = &current.file;
    let mut len = file.metadata()?.len();
    if len > 0 && !ends_a_line(file, len) {
        file.write_all(b"\n")?;
        len += 1;
    }
    let (written, end) = put(&mut file, line);
    if end.is_err()
        && current.is_locked
        && written > 0
        && file.metadata()?.len() == len + written as u64
    {
        // Where this fails, the next line begins with the end of this one.
        let _ = file.set_len(len);
    }
    end
}

/// A process that was killed may have left half a line. What cannot be read is believed to be whole.
fn ends_a_line(mut file: &fs::File, len: u64) -> bool {
    let mut last = [b'\n'];
    let _ = file
        .seek(SeekFrom::Start(len - 1))
        .and_then(|_| file.read(&mut last));
    last == [b'\n']
}

/// Nobody renamed or removed the file since it was opened.
#[cfg(unix)]
fn is_at(file: &fs::File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let own = file.metadata()?;
    Ok(fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
}

/// Nobody renamed or removed the file since it was opened, unless another one took its place.
#[cfg(not(unix))]
fn is_at(_: &fs::File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}
