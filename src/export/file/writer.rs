//! A request becomes a line, in buffers that are used again.

use std::fmt;
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, TryLockError};

use super::log::{self, Log, Place};
use crate::export::blocking;
use crate::export::transport::{Answer, Failure, Request, Sending};
use crate::proto::json;
use crate::proto::wire::Malformed;
use crate::signal::Signal;
use crate::sync::lock;

/// A buffer that grew larger is not kept. A request of 1 MiB takes some 4 MiB of JSON.
const MOST_KEPT: usize = 8 << 20;

#[derive(Default)]
pub(super) struct Writer {
    message: Vec<u8>,
    line: Vec<u8>,
    log: Log,
}

/// Where lines go.
#[derive(Clone)]
pub(super) enum To {
    /// With whether the last line was not written to its end, whosever it was. Locked under stdout's own lock, and never waited for.
    Stdout(Arc<Mutex<bool>>),
    File(Place),
}

/// Writes on a blocking thread. While an earlier write hangs, another one is not begun.
pub(super) fn send(to: To, writer: Arc<Mutex<Writer>>, request: Request) -> Sending {
    Box::pin(async move {
        let signal = request.signal();
        let asked = to.clone();
        let writing = blocking::start(move || {
            let mut writer = match writer.try_lock() {
                Ok(writer) => writer,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    return Err(failure(signal, &to, &"an earlier write still hangs"));
                }
            };
            writer.write(&to, request)
        });
        let Some(writing) = writing else {
            return Err(failure(signal, &asked, &"the system has no thread to give"));
        };
        match writing.await.map_err(|error| error.try_into_panic()) {
            Ok(answer) => answer,
            // The exporter counts panics, and knows what to do about them.
            Err(Ok(panic)) => resume_unwind(panic),
            Err(Err(_)) => Err(Failure::retry("the exporter ends")),
        }
    })
}

impl Writer {
    fn write(&mut self, to: &To, request: Request) -> Result<Answer, Failure> {
        let signal = request.signal();
        self.message.clear();
        self.line.clear();
        for part in request.parts() {
            self.message.extend_from_slice(part);
        }
        // Its memory is free again, even if the disk hangs.
        drop(request);
        json::request(signal, &self.message, &mut self.line)
            .map_err(|Malformed| Failure::reject("the request is no OTLP"))?;
        self.line.push(b'\n');
        let written = match to {
            To::Stdout(is_torn) => print(&self.line, is_torn),
            To::File(place) => self.log.append(place, &self.line),
        };
        let sent = self.line.len() as u64;
        for buffer in [&mut self.message, &mut self.line] {
            if buffer.capacity() > MOST_KEPT {
                *buffer = Vec::new();
            }
        }
        written.map_err(|error| failure(signal, to, &error))?;
        Ok(Answer {
            sent: Some(sent),
            ..Answer::delivered()
        })
    }
}

fn failure(signal: Signal, to: &To, reason: &dyn fmt::Display) -> Failure {
    Failure::retry(match to {
        To::Stdout(_) => format!("{signal} cannot be written to stdout: {reason}"),
        To::File(place) => format!(
            "{signal} cannot be written to {}: {reason}",
            place.path.display()
        ),
    })
}

/// Under stdout's lock, so that the program's own lines do not come in between.
fn print(line: &[u8], is_torn: &Mutex<bool>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let mut is_torn = lock(is_torn);
    if *is_torn {
        stdout.write_all(b"\n")?;
        *is_torn = false;
    }
    let (written, end) = log::put(&mut stdout, line);
    let end = end.and_then(|()| stdout.flush());
    *is_torn = end.is_err() && written > 0;
    end
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::export::transport::Kind;
    use crate::proto::{common, request};

    /// A request whose resource has an attribute of so many bytes.
    fn request(bytes: usize) -> Request {
        let key = common::Prefix::new(0x0A, "key");
        let mut attribute = Vec::new();
        common::put_str(&mut attribute, &key, &"x".repeat(bytes));
        let mut resource = Vec::new();
        crate::proto::wire::put_len(&mut resource, 0x0A, &attribute);
        let header = request::header(&resource, 0);
        let (first, second) = header.split_at(header.len() / 2);
        let parts = [first, second].map(Bytes::copy_from_slice);
        Request::new(Signal::Traces, parts.to_vec(), 0)
    }

    fn place() -> Place {
        let name = format!("tracing-otlp-writer-{:016x}", fastrand::u64(..));
        Place::new(std::env::temp_dir().join(name))
    }

    #[test]
    fn a_line_counts_as_what_was_sent_and_large_buffers_are_not_kept() {
        let (mut writer, place) = (Writer::default(), place());
        for bytes in [10, MOST_KEPT, 20] {
            let before = std::fs::metadata(&place.path).map_or(0, |file| file.len());
            let answer = writer
                .write(&To::File(place.clone()), request(bytes))
                .expect("it is written");
            let after = std::fs::metadata(&place.path).expect("the file").len();
            assert_eq!(answer.sent, Some(after - before));
            assert!(answer.sent > Some(bytes as u64));
            let kept = [&writer.message, &writer.line].map(Vec::capacity);
            assert!(kept.iter().all(|kept| *kept <= MOST_KEPT), "{kept:?}");
            assert_eq!(
                kept.contains(&0),
                bytes == MOST_KEPT,
                "small ones are: {kept:?}"
            );
        }
        std::fs::remove_file(&place.path).expect("the file");
    }

    #[test]
    fn what_is_no_otlp_is_refused_and_not_written() {
        let (mut writer, place) = (Writer::default(), place());
        let request = Request::new(Signal::Traces, vec![Bytes::from_static(&[0x0A, 5, 1])], 1);
        let failure = writer
            .write(&To::File(place.clone()), request)
            .expect_err("it is not written");
        assert_eq!(failure.kind, Kind::Refused);
        assert!(!place.path.exists());
    }
}
