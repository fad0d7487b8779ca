//! OTLP as lines of JSON: "JSON Lines files (…) Each line is a top-level `TracesData`" or `LogsData` (specification, file
//! exporter).
//!
//! [`writer`] makes a request a line, on a blocking thread, since a disk may hang; [`log`] is the file on the disk.

mod log;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use self::log::Place;
use self::writer::{To, Writer};
use super::transport::{Failure, Request, Sending, Transport};
use crate::signal::Signal;

/// Writes each request as one line of OTLP/JSON, to files or to stdout, for a collector, a log shipper or `jq` to read.
///
/// A file holds one kind of records, as the specification asks, so log records have one of their own
/// ([`File::with_logs_at`]). On stdout the lines of both are told apart by their first key, `resourceSpans` or `resourceLogs`.
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
#[must_use = "it does nothing until a builder has it"]
pub struct File {
    traces: Out,
    /// `None`: no log records are taken.
    logs: Option<Out>,
}

/// Where one signal's lines go, and what writes them.
struct Out {
    to: To,
    writer: Arc<Mutex<Writer>>,
}

impl File {
    /// To the process's stdout. What the program prints itself comes between the lines.
    pub fn stdout() -> Self {
        // Each signal has a writer, so that none waits for the other; whether the last line was torn is known to both.
        let to = To::Stdout(Arc::default());
        Self {
            traces: Out::new(to.clone()),
            logs: Some(Out::new(to)),
        }
    }

    /// Spans, to the end of this file. Lines of JSON are best named `.jsonl`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            traces: Out::new(To::File(Place::new(path.into()))),
            logs: None,
        }
    }

    /// Log records too, to the end of another file, which is rotated by itself as that of spans is. Without this, log records are
    /// not taken, unless everything goes to stdout.
    pub fn with_logs_at(mut self, path: impl Into<PathBuf>) -> Self {
        let like = match &self.traces.to {
            To::File(place) => place.clone(),
            To::Stdout(_) => Place::new(PathBuf::new()),
        };
        let path = path.into();
        self.logs = Some(Out::new(To::File(Place { path, ..like })));
        self
    }

    /// Before a line makes the file larger than this, `traces.jsonl` becomes `traces.jsonl.1`, that one `traces.jsonl.2`, and
    /// so on. A line that is larger by itself has a file of its own. Zero is no limit, which is the default.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.places().for_each(|place| place.max_bytes = bytes);
        self
    }

    /// How many files there are at most, with the one that is written to; the oldest goes first. At least 1, default 5.
    pub fn with_max_files(mut self, files: u32) -> Self {
        self.places()
            .for_each(|place| place.max_files = files.max(1));
        self
    }

    fn places(&mut self) -> impl Iterator<Item = &mut Place> {
        let outs = std::iter::once(&mut self.traces).chain(&mut self.logs);
        outs.filter_map(|out| match &mut out.to {
            To::Stdout(_) => None,
            To::File(place) => Some(place),
        })
    }

    fn out(&self, signal: Signal) -> Option<&Out> {
        match signal {
            Signal::Traces => Some(&self.traces),
            Signal::Logs => self.logs.as_ref(),
        }
    }
}

impl Out {
    fn new(to: To) -> Self {
        Self {
            to,
            writer: Arc::default(),
        }
    }
}

impl Transport for File {
    fn send(&self, request: Request) -> Sending {
        match self.out(request.signal()) {
            Some(out) => writer::send(out.to.clone(), Arc::clone(&out.writer), request),
            None => Box::pin(async { Err(Failure::reject("there is no file for this signal")) }),
        }
    }

    fn takes(&self, signal: Signal) -> bool {
        self.out(signal).is_some()
    }

    /// One line of each signal is written at a time.
    fn most_in_flight(&self) -> usize {
        1
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("File");
        match &self.traces.to {
            To::Stdout(_) => debug.field("to", &"stdout"),
            To::File(place) => debug
                .field("path", &place.path)
                .field("max_bytes", &place.max_bytes)
                .field("max_files", &place.max_files),
        };
        if let Some(To::File(place)) = self.logs.as_ref().map(|out| &out.to) {
            debug.field("logs_path", &place.path);
        }
        debug.finish()
    }
}
