//! A child, from its parent's side.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::children::ENDPOINT;
use crate::collector::Collector;

/// The variable that makes this program a child, by its name.
pub(crate) const NAME: &str = "PROCESS_TEST_CHILD";

pub(crate) struct Child {
    process: std::process::Child,
    started: Instant,
    lines: mpsc::Receiver<String>,
    errors: mpsc::Receiver<String>,
    numbers: HashMap<String, u64>,
}

pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) took: Duration,
    pub(crate) errors: String,
    numbers: HashMap<String, u64>,
}

impl Child {
    pub(crate) fn start(name: &str, collector: &Collector) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .env(NAME, name)
            .env(ENDPOINT, collector.endpoint())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a child");
        let (line, lines) = mpsc::channel();
        let stdout = process.stdout.take().expect("it is piped");
        std::thread::spawn(move || {
            let all = BufReader::new(stdout).lines().map_while(Result::ok);
            // A parent that has seen enough does not listen.
            let _ = all.map(|text| line.send(text)).find(Result::is_err);
        });
        let (all, errors) = mpsc::channel();
        let mut stderr = process.stderr.take().expect("it is piped");
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            let _ = all.send(text);
        });
        Self {
            process,
            started: Instant::now(),
            lines,
            errors,
            numbers: HashMap::new(),
        }
    }

    /// Reads what the child tells, up to its ledger.
    #[track_caller]
    pub(crate) fn read(&mut self, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .expect("the child tells its ledger in time");
            match line.split_once(' ') {
                Some((name, number)) => {
                    let number = number.parse().expect("a number");
                    self.numbers.insert(name.to_owned(), number);
                }
                None => return,
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.numbers[name]
    }

    pub(crate) fn say(&mut self, word: &str) {
        let stdin = self.process.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{word}").expect("the child listens");
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.process.id());
        let sent = Command::new("sh").args(["-c", &command]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{command}");
    }

    /// Waits for the end of the process, so long at most.
    #[track_caller]
    pub(crate) fn end(mut self, within: Duration) -> Ended {
        let called = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().expect("a child") {
                break status;
            }
            if called.elapsed() > within {
                let _ = self.process.kill();
                panic!("the child did not end within {within:?}");
            }
            std::thread::park_timeout(Duration::from_millis(2));
        };
        let took = self.started.elapsed();
        for line in self.lines.iter() {
            if let Some((name, Ok(number))) = line
                .split_once(' ')
                .map(|(name, number)| (name, number.parse()))
            {
                self.numbers.insert(name.to_owned(), number);
            }
        }
        Ended {
            code: status.code(),
            took,
            errors: self.errors.recv().expect("what the child said"),
            numbers: self.numbers,
        }
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> u64 {
        *self
            .numbers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}: {}", self.errors))
    }
}
