//! What is known of requests beyond their number.

use std::fmt;
use std::time::{Instant, SystemTime};

use super::latency::Histogram;
use super::recent::Recent;

/// So many kinds of rejection are told apart; a server cannot make it more.
const KINDS: usize = 32;

#[derive(Debug)]
pub(super) struct Details {
    began: Instant,
    pub(super) latency: Histogram,
    recent: Recent,
    pub(super) last_success: Option<SystemTime>,
    pub(super) last_error: Option<LastError>,
    pub(super) rejections: Vec<(String, u64)>,
}

/// What went wrong last, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    when: SystemTime,
    message: String,
}

impl LastError {
    /// When it was.
    pub fn when(&self) -> SystemTime {
        self.when
    }

    /// What it was: the endpoint, what was seen and what may be done. It holds no secret.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for LastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Default for Details {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            latency: Histogram::default(),
            recent: Recent::default(),
            last_success: None,
            last_error: None,
            rejections: Vec::new(),
        }
    }
}

impl Details {
    pub(super) fn delivered(&mut self, records: u64, bytes: u64) {
        self.last_success = Some(SystemTime::now());
        self.recent.add(self.began.elapsed(), records, bytes);
    }

    pub(super) fn failed(&mut self, message: &str) {
        self.last_error = Some(LastError {
            when: SystemTime::now(),
            message: message.to_owned(),
        });
    }

    pub(super) fn rejected(&mut self, records: u64, answer: &str) {
        let known = self.rejections.iter().position(|(name, _)| name == answer);
        match known {
            Some(known) => self.rejections[known].1 += records,
            None if self.rejections.len() < KINDS => {
                self.rejections.push((answer.to_owned(), records));
            }
            None => {}
        }
    }

    /// Records and bytes delivered a second.
    pub(super) fn rate(&self) -> (f64, f64) {
        self.recent.rate(self.began.elapsed())
    }
}
