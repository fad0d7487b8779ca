//! OTLP as lines of JSON: "JSON Lines files (…) Each line is a top-level `TracesData`" (specification, file exporter).
//!
//! [`writer`] makes a request a line, on a blocking thread, since a disk may hang; [`log`] is the file on the disk.

mod log;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use self::log::Place;
use self::writer::Writer;
use super::transport::{Request, Sending, Transport};

/// Writes each request as one line of OTLP/JSON, to a file or to stdout, for a collector, a log shipper or `jq` to read.
///
/// A new file is for its owner alone (mode 0600 on Unix), and its folder has to exist. It is opened with the first request
/// and stays open; one that is moved or removed is made anew. Several pipelines and processes may write to the same file:
/// no line is torn, also when the disk is full. What cannot be written is kept and tried again, as with any other
/// destination. A write that takes longer than the time-out may have been made all the same; its spans then stand twice.
///
/// Nothing asks the disk to sync: what was written outlives the process, but not a loss of power.
///
/// ```
/// use tracing_otlp::File;
///
/// # let folder = std::env::temp_dir();
/// let file = File::at(folder.join("traces.jsonl"))
///     .with_max_bytes(64 << 20)
///     .with_max_files(3);
/// let (_layer, guard) = tracing_otlp::layer().with_transport(file).build()?;
/// # drop(guard);
/// # Ok::<(), tracing_otlp::Error>(())
/// ```
pub struct File {
    /// Stdout where there is none.
    place: Option<Place>,
    writer: Arc<Mutex<Writer>>,
}

impl File {
    /// To the process's stdout. What the program prints itself comes between the lines.
    pub fn stdout() -> Self {
        Self {
            place: None,
            writer: Arc::default(),
        }
    }

    /// To the end of this file. Lines of JSON are best named `.jsonl`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            place: Some(Place::new(path.into())),
            writer: Arc::default(),
        }
    }

    /// Before a line makes the file larger than this, `traces.jsonl` becomes `traces.jsonl.1`, that one `traces.jsonl.2`, and
    /// so on. A line that is larger by itself has a file of its own. Zero is no limit, which is the default.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        if let Some(place) = &mut self.place {
            place.max_bytes = bytes;
        }
        self
    }

    /// How many files there are at most, with the one that is written to; the oldest goes first. At least 1, default 5.
    pub fn with_max_files(mut self, files: u32) -> Self {
        if let Some(place) = &mut self.place {
            place.max_files = files.max(1);
        }
        self
    }
}

impl Transport for File {
    fn send(&self, request: Request) -> Sending {
        writer::send(self.place.clone(), Arc::clone(&self.writer), request)
    }

    /// One line is written at a time.
    fn most_in_flight(&self) -> usize {
        1
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("File");
        match &self.place {
            None => debug.field("to", &"stdout"),
            Some(place) => debug
                .field("path", &place.path)
                .field("max_bytes", &place.max_bytes)
                .field("max_files", &place.max_files),
        };
        debug.finish()
    }
}
