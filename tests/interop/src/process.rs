//! A test in a process of its own, which serves until the one that started it has done.

use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// Where the collector is, which the other process sends to.
const ENDPOINT: &str = "INTEROP_ENDPOINT";

/// Before the address that the other process listens on.
const LISTENING: &str = "listening on ";

/// The other process.
pub struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts this test's binary again, with a test of this name alone, which calls [`serve`].
    pub fn start(test: &str, endpoint: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--ignored", "--nocapture"])
            .env(ENDPOINT, endpoint)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, address) = line.split_once(LISTENING)?;
            Some(address.parse().unwrap())
        });
        let address = address.unwrap_or_else(|| panic!("{test} does not listen"));
        // It may go on to write.
        std::thread::spawn(|| lines.for_each(drop));
        Self { child, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells it that all is done, and waits for its end.
    pub fn stop(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where the test has failed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the other process: `start` gets the collector's endpoint, and returns the address that it listens on, and what ends it. Does
/// nothing where nobody has started the process for it.
pub fn serve<End: FnOnce()>(start: impl FnOnce(&str) -> (SocketAddr, End)) {
    let Ok(endpoint) = env::var(ENDPOINT) else {
        return;
    };
    let (address, end) = start(&endpoint);
    tell(address);
    let _ = io::stdin().read_to_end(&mut Vec::new());
    end();
}

#[allow(clippy::print_stdout, reason = "the other process reads it")]
fn tell(address: SocketAddr) {
    println!("{LISTENING}{address}");
}
