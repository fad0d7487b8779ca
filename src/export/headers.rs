//! The headers that users add to requests: fixed ones, a token from a file, or whatever a function of theirs gives.
//!
//! All are checked by the same rules, all are marked as sensitive, and nothing here writes a value anywhere but into a
//! `HeaderValue`.

mod rules;
mod token_file;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use self::token_file::TokenFile;
use super::blocking;
use super::transport::Failure;
use crate::config::HeaderProvider;
use crate::error::Error;
use crate::sync::lock;

pub(crate) use self::rules::is_credential;

/// Names and values together, each with the 32 bytes that HTTP/2 counts for it. Servers take 8 to 16 KiB.
const MOST_BYTES: usize = 64 << 10;
/// What a provider's error says is shown so far.
const LONGEST: usize = 300;

/// What users add to each request.
#[derive(Default)]
pub(crate) struct Headers {
    fixed: HeaderMap,
    sources: Vec<Arc<Source>>,
    /// The read of the sources that is under way. One that hangs is not joined by another.
    running: Arc<Mutex<Option<Running>>>,
}

enum Source {
    Provider(HeaderProvider),
    File(TokenFile),
}

#[derive(Clone)]
struct Running {
    since: Instant,
    source: String,
}

impl Headers {
    /// Adds a header. The same name again replaces: a configuration is a map, and what several values mean to a header, one
    /// value with commas says.
    ///
    /// # Errors
    ///
    /// For a name or value that no request can carry, and names that are not the user's to set. The value is not named.
    pub(crate) fn insert(&mut self, name: &str, value: &str, origin: &str) -> Result<(), Error> {
        put(&mut self.fixed, name, value)
            .map_err(|wrong| Error::config(format!("{origin}: {wrong}")))
    }

    /// Asks this function before each request. What it gives replaces what was set before under the same name.
    pub(crate) fn provide(&mut self, provider: HeaderProvider) {
        self.sources.push(Arc::new(Source::Provider(provider)));
    }

    /// Sends what stands in this file as `authorization: Bearer …`.
    pub(crate) fn bearer_token_file(&mut self, path: PathBuf) {
        let file = TokenFile::new(path);
        self.sources.push(Arc::new(Source::File(file)));
    }

    /// The names that are known before a provider is asked.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let is_file = |source: &Arc<Source>| matches!(**source, Source::File(_));
        let token = self.sources.iter().any(is_file) && !self.fixed.contains_key(AUTHORIZATION);
        let token = token.then_some(AUTHORIZATION.as_str());
        self.fixed.keys().map(HeaderName::as_str).chain(token)
    }

    /// Whether asking again may give others.
    pub(super) fn may_be_refreshed(&self) -> bool {
        !self.sources.is_empty()
    }

    /// The headers of the next request.
    ///
    /// Providers and files are read on a blocking thread of the exporter's runtime. Dropping the future leaves a read that
    /// hangs to itself: until it ends, whoever asks again is refused.
    ///
    /// # Errors
    ///
    /// For a source that cannot tell now; the request is sent again.
    pub(crate) async fn resolve(&self, refresh: bool) -> Result<HeaderMap, Failure> {
        if self.sources.is_empty() {
            return Ok(self.fixed.clone());
        }
        let turn = Turn::take(&self.running).map_err(Failure::retry)?;
        let sources = self.sources.clone();
        let mut headers = self.fixed.clone();
        let read = move || {
            for source in &sources {
                turn.note_source(source);
                source.read_into(&mut headers, refresh)?;
            }
            Ok(headers)
        };
        match blocking::start(read) {
            Some(task) => task
                .await
                .unwrap_or_else(|_| Err("the headers could not be read".to_owned())),
            None => {
                // tokio keeps the read, and its turn, until there is a thread: who asks again must not wait for that.
                Turn::give_back(&self.running);
                Err("the headers could not be read: no thread".to_owned())
            }
        }
        .map_err(Failure::retry)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.sources.iter().map(|source| source.name());
        f.debug_struct("Headers")
            .field("names", &self.fixed.keys().collect::<Vec<_>>())
            .field("sources", &sources.collect::<Vec<_>>())
            .finish()
    }
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::Provider(_) => "the header provider".to_owned(),
            Self::File(file) => format!("the token file {:?}", file.path()),
        }
    }

    fn read_into(&self, headers: &mut HeaderMap, refresh: bool) -> Result<(), String> {
        match self {
            Self::Provider(provider) => {
                let provide = || {
                    let provided = provider(refresh).map_err(|error| shown(&*error))?;
                    provided
                        .iter()
                        .try_for_each(|(name, value)| put(headers, name, value))
                };
                // The text of a panic is not shown: it may hold what the provider worked with.
                catch_unwind(AssertUnwindSafe(provide))
                    .unwrap_or_else(|_| Err("it panicked".to_owned()))
            }
            Self::File(file) => file
                .read(refresh, Instant::now())
                .and_then(|value| put_value(headers, AUTHORIZATION, value)),
        }
        .map_err(|why| format!("{}: {why}", self.name()))
    }
}

/// The right to read the sources, until it is dropped: also by a panic, or by a runtime that ends.
struct Turn(Arc<Mutex<Option<Running>>>);

impl Turn {
    fn take(running: &Arc<Mutex<Option<Running>>>) -> Result<Self, String> {
        let mut current = lock(running);
        if let Some(Running { since, source }) = &*current {
            let seconds = since.elapsed().as_secs();
            return Err(format!("{source} has not answered for {seconds} s"));
        }
        *current = Some(Running {
            since: Instant::now(),
            source: "what gives the headers".to_owned(),
        });
        Ok(Self(Arc::clone(running)))
    }

    fn give_back(running: &Mutex<Option<Running>>) {
        *lock(running) = None;
    }

    fn note_source(&self, source: &Source) {
        let source = source.name();
        let since = Instant::now();
        let mut current = lock(&self.0);
        *current = Some(Running { since, source });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        Self::give_back(&self.0);
    }
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let (name, value) = rules::checked(name, value)?;
    put_value(headers, name, value)
}

fn put_value(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<(), String> {
    let size = |name: &HeaderName, value: &HeaderValue| name.as_str().len() + value.len() + 32;
    let others = headers.iter().filter(|(other, _)| **other != name);
    let others: usize = others.map(|(name, value)| size(name, value)).sum();
    if others + size(&name, &value) > MOST_BYTES {
        return Err(format!(
            "with the header \"{name}\" the headers are longer than {} KiB",
            MOST_BYTES >> 10
        ));
    }
    headers
        .try_insert(name, value)
        .map(drop)
        .map_err(|_| "there are too many headers".to_owned())
}

/// What an error says, without its control characters and not at any length.
fn shown(error: &dyn std::error::Error) -> String {
    use fmt::Write;

    struct Short(String);
    impl Write for Short {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for character in text.chars() {
                if self.0.len() >= LONGEST {
                    return Err(fmt::Error);
                }
                self.0.extend(character.escape_debug());
            }
            Ok(())
        }
    }
    let mut short = Short(String::new());
    let _ = write!(short, "{error}");
    short.0
}

#[cfg(test)]
mod tests;
