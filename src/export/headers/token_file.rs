//! A file that holds a token, which somebody else replaces from time to time.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderValue;

use super::rules;
use crate::sync::lock;

/// A token is read again after this time, even where the file looks the same. Kubernetes replaces tokens every hour or so.
const OLDEST: Duration = Duration::from_secs(60);
/// A larger file is no token.
const LARGEST: u64 = 64 << 10;

pub(super) struct TokenFile {
    path: PathBuf,
    last: Mutex<Option<Token>>,
}

struct Token {
    value: HeaderValue,
    stamp: Stamp,
    read: Instant,
}

/// What changes when a file is written or replaced. Links are followed, so an exchanged link changes it too.
#[derive(PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    file: (u64, u64),
}

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            last: Mutex::new(None),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// `Bearer` and the token; read again if the file changed, after a minute, or to `refresh`. Errors do not show content.
    pub(super) fn read(&self, refresh: bool, now: Instant) -> Result<HeaderValue, String> {
        let mut last = lock(&self.last);
        let metadata = std::fs::metadata(&self.path).map_err(|error| error.to_string())?;
        // To open a pipe may take forever.
        if !metadata.is_file() {
            return Err("it is no file".to_owned());
        }
        if let Some(token) = &*last
            && !refresh
            && token.stamp == Stamp::of(&metadata)
            && now.saturating_duration_since(token.read) < OLDEST
        {
            return Ok(token.value.clone());
        }
        let (value, stamp) = self.open()?;
        *last = Some(Token {
            value: value.clone(),
            stamp,
            read: now,
        });
        Ok(value)
    }

    fn open(&self) -> Result<(HeaderValue, Stamp), String> {
        let said = |error: io::Error| error.to_string();
        let file = File::open(&self.path).map_err(said)?;
        // Taken before the content, and of the file that is open: what changes meanwhile is seen the next time.
        let stamp = Stamp::of(&file.metadata().map_err(said)?);
        let mut text = Vec::new();
        file.take(LARGEST + 1)
            .read_to_end(&mut text)
            .map_err(said)?;
        if text.len() as u64 > LARGEST {
            return Err(format!("it is larger than {} KiB", LARGEST >> 10));
        }
        let text = str::from_utf8(&text).map_err(|_| "it is no text")?.trim();
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        let (_, value) = rules::checked("authorization", &format!("Bearer {text}"))?;
        Ok((value, stamp))
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let file = (0, 0);
        Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            file,
        }
    }
}
