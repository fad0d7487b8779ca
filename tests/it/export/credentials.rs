//! Credentials: fixed, out of a file that is replaced, or by a function that may fail, panic or hang.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tracing_otlp::{Problem, ProblemKind, Protocol};

use super::answers::{Heard, PLENTY, PROTOCOLS, flush_with_losses, rig};
use crate::support::collector::manner::Answer;
use crate::support::collector::{Manner, Request};
use crate::support::patience::{timed, until};
use crate::support::rig::{Rig, SLACK, assert_unfinished};

type Given = Result<Vec<(String, String)>, Box<dyn Error + Send + Sync>>;

/// A provider that gives `token-1`, `token-2` and so on, and notes how it is called.
#[derive(Clone, Default)]
struct Tokens {
    calls: Arc<Mutex<Vec<Call>>>,
}

struct Call {
    refresh: bool,
    thread: Option<String>,
    is_the_tests: bool,
}

impl Tokens {
    fn provider(&self) -> impl Fn(bool) -> Given + Send + Sync + 'static {
        let calls = Arc::clone(&self.calls);
        let test = std::thread::current().id();
        move |refresh| {
            let mut calls = calls.lock().unwrap();
            let current = std::thread::current();
            calls.push(Call {
                refresh,
                thread: current.name().map(str::to_owned),
                is_the_tests: current.id() == test,
            });
            let token = format!("token-{}", calls.len());
            Ok(vec![("x-token".to_owned(), token)])
        }
    }

    /// With which argument it was called.
    fn refreshes(&self) -> Vec<bool> {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .map(|call| call.refresh)
            .collect()
    }
}

/// The values of a header, request by request.
fn headers(rig: &Rig, name: &str) -> Vec<String> {
    let header = |request: &Request| request.header(name).to_owned();
    rig.collector
        .look(|log| log.requests.iter().map(header).collect())
}

/// What says that a token is not good enough.
fn unauthorized(protocol: Protocol) -> Manner {
    Manner::Say(match protocol {
        Protocol::Grpc => Answer::grpc("16"),
        _ => Answer::http(401),
    })
}

#[test]
fn headers_of_the_code_are_sent_with_each_request() {
    for protocol in PROTOCOLS {
        let rig = rig(protocol, |builder| {
            builder
                .with_header("x-tenant", "first")
                .with_header("X-Tenant", "checkout, 100%25 & more")
                .with_header("authorization", "Basic abc=")
        });
        for _ in 0..2 {
            rig.record(1);
            rig.flush();
        }
        let tenant = "checkout, 100%25 & more";
        assert_eq!(headers(&rig, "x-tenant"), [tenant; 2]);
        assert_eq!(headers(&rig, "authorization"), ["Basic abc="; 2]);
        rig.finish(0);
    }
}

#[test]
fn a_provider_is_asked_for_each_request_on_no_thread_of_the_application() {
    for protocol in PROTOCOLS {
        let tokens = Tokens::default();
        let rig = rig(protocol, |builder| {
            let builder = builder.with_header("x-token", "replaced");
            builder.with_header_provider(tokens.provider())
        });
        for _ in 0..3 {
            rig.record(1);
            rig.flush();
        }
        assert_eq!(headers(&rig, "x-token"), ["token-1", "token-2", "token-3"]);
        assert_eq!(tokens.refreshes(), [false; 3]);
        for call in tokens.calls.lock().unwrap().iter() {
            assert_eq!(call.thread.as_deref(), Some("otlp-blocking"));
            assert!(!call.is_the_tests);
        }
        rig.finish(0);
    }
}

#[test]
fn credentials_that_are_refused_are_renewed_once_within_the_attempt() {
    for protocol in PROTOCOLS {
        let tokens = Tokens::default();
        let rig = rig(protocol, |builder| {
            builder.with_header_provider(tokens.provider())
        });
        rig.collector.judges(move |_, request| {
            if request.header("x-token") == "token-1" {
                return unauthorized(protocol);
            }
            Manner::Take
        });
        rig.record(5);
        rig.flush();
        rig.record(5);
        rig.flush();
        assert_eq!(headers(&rig, "x-token"), ["token-1", "token-2", "token-3"]);
        assert_eq!(tokens.refreshes(), [false, true, false]);
        let stats = rig.stats();
        assert_eq!(
            (stats.requests(), stats.retries(), stats.rejected()),
            (2, 0, 0),
            "{protocol:?}: {stats}"
        );
        rig.finish(0);
    }
}

#[test]
fn credentials_that_are_refused_anew_are_refused_with_a_diagnosis() {
    for protocol in PROTOCOLS {
        let (tokens, heard) = (Tokens::default(), Heard::default());
        let rig = rig(protocol, |builder| {
            heard.listen(builder.with_header_provider(tokens.provider()))
        });
        rig.collector.always(unauthorized(protocol));
        for _ in 0..2 {
            rig.record(5);
            flush_with_losses(&rig);
        }
        // What was renewed in vain is not renewed with each request.
        assert_eq!(tokens.refreshes(), [false, true, false]);
        let stats = rig.stats();
        assert_eq!((stats.rejected(), stats.retries()), (10, 0), "{stats}");
        for problem in heard.all() {
            assert_eq!(problem.kind(), ProblemKind::Rejected);
            let names_the_fix = problem.message().contains("set or renew the header");
            assert!(names_the_fix, "{problem}");
        }
        rig.end();
    }
}

#[test]
fn what_is_forbidden_is_no_reason_to_ask_for_other_credentials() {
    for (protocol, answer) in [
        (Protocol::Grpc, Answer::grpc("7")),
        (Protocol::HttpProtobuf, Answer::http(403)),
    ] {
        let tokens = Tokens::default();
        let rig = rig(protocol, |builder| {
            builder.with_header_provider(tokens.provider())
        });
        rig.collector.always(Manner::Say(answer));
        rig.record(5);
        flush_with_losses(&rig);
        assert_eq!(tokens.refreshes(), [false]);
        rig.end();
    }
}

#[test]
fn a_provider_that_fails_or_panics_is_asked_again_and_nothing_is_lost() {
    for panics in [false, true] {
        let (calls, heard) = (AtomicUsize::new(0), Heard::default());
        let provider = move |_| -> Given {
            match calls.fetch_add(1, Ordering::Relaxed) {
                0 if panics => panic!("as it may"),
                0 => Err("the vault is sealed".into()),
                1 => Ok(vec![("x-odd".to_owned(), "canary\r\nx-more: 1".to_owned())]),
                _ => Ok(vec![("x-token".to_owned(), "good".to_owned())]),
            }
        };
        let rig = rig(Protocol::Grpc, |builder| {
            heard.listen(builder.with_header_provider(provider))
        });
        rig.record(5);
        let _ = rig.handle.flush(Duration::ZERO);
        rig.wait("the first failure", |stats| stats.retries() == 1);
        let _ = rig.handle.flush(Duration::ZERO);
        rig.wait("the second failure", |stats| stats.retries() == 2);
        rig.flush();
        let said: Vec<_> = heard.all().iter().map(ToString::to_string).collect();
        let why = if panics {
            "it panicked"
        } else {
            "the vault is sealed"
        };
        assert!(
            said[0].contains(why) && said[0].contains("provider"),
            "{said:?}"
        );
        assert!(
            said[1].contains("x-odd") && !said[1].contains("canary"),
            "{said:?}"
        );
        assert_eq!(
            headers(&rig, "x-token"),
            ["good"],
            "nothing is sent without"
        );
        rig.finish(0);
    }
}

#[test]
fn a_provider_that_hangs_holds_up_no_flush_and_no_shutdown() {
    let (goes, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let provider = move |_| -> Given {
        let _ = waits.lock().unwrap().recv();
        Err("the test is over".into())
    };
    let rig = rig(Protocol::Grpc, |builder| {
        builder
            .with_header_provider(provider)
            .with_timeout(Duration::from_millis(100))
    });
    rig.record(5);
    let flushed = rig.handle.flush(Duration::from_millis(30));
    assert_unfinished(&flushed.expect_err("nothing is sent"), 5);
    rig.wait("the end of an attempt", |stats| stats.retries() > 0);
    let _ = rig.handle.flush(Duration::ZERO);
    rig.wait("a second one", |stats| stats.retries() > 1);
    const TIME: Duration = Duration::from_millis(200);
    let (shut_down, took) = timed(|| rig.handle.shutdown(TIME));
    assert_unfinished(&shut_down.expect_err("nothing is sent"), 5);
    assert!(took <= TIME + SLACK, "{took:?}");
    let (collector, stats) = rig.end();
    assert_eq!((stats.delivered(), stats.dropped()), (0, 5), "{stats}");
    assert_eq!(collector.look(|log| log.requests.len()), 0);
    drop(goes);
}

/// A file that is removed with it.
struct TokenFile(PathBuf);

impl TokenFile {
    fn new() -> Self {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!("otlp-token-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn replace(&self, token: &str) {
        replace(&self.0, token);
    }
}

/// Puts another file in its place, as a rotation does.
fn replace(path: &Path, token: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, token).unwrap();
    std::fs::rename(&new, path).unwrap();
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_token_is_read_anew_when_its_file_is_replaced() {
    for protocol in PROTOCOLS {
        let file = TokenFile::new();
        let rig = rig(protocol, |builder| {
            builder.with_bearer_token_file(file.path())
        });
        let mut expected = Vec::new();
        for token in ["one", "two", "three"] {
            file.replace(&format!("{token}\n"));
            rig.record(1);
            rig.flush();
            expected.push(format!("Bearer {token}"));
        }
        assert_eq!(headers(&rig, "authorization"), expected);
        rig.finish(0);
    }
}

#[test]
fn a_token_that_expires_with_a_request_is_read_anew_within_the_attempt() {
    for protocol in PROTOCOLS {
        let file = TokenFile::new();
        file.replace("one");
        let rig = rig(protocol, |builder| {
            builder.with_bearer_token_file(file.path())
        });
        let path = file.path().to_owned();
        rig.collector.judges(move |_, request| {
            if request.header("authorization") == "Bearer one" {
                replace(&path, "two");
                return unauthorized(protocol);
            }
            Manner::Take
        });
        rig.record(5);
        rig.flush();
        let stats = rig.stats();
        assert_eq!((stats.requests(), stats.retries()), (1, 0), "{stats}");
        let sent = headers(&rig, "authorization");
        assert_eq!(sent, ["Bearer one", "Bearer two"]);
        rig.finish(0);
    }
}

#[test]
fn a_token_that_comes_late_is_awaited() {
    let file = TokenFile::new();
    let heard = Heard::default();
    let rig = rig(Protocol::HttpProtobuf, |builder| {
        heard.listen(builder.with_bearer_token_file(file.path()))
    });
    rig.record(5);
    let _ = rig.handle.flush(Duration::ZERO);
    rig.wait("the failure", |stats| stats.retries() > 0);
    file.replace("");
    let is_empty = |problem: &Problem| problem.message().contains("it is empty");
    let _ = rig.handle.flush(Duration::ZERO);
    until(
        "another failure",
        || heard.all().iter().any(is_empty),
        || rig.stats().to_string(),
    );
    file.replace("late");
    let flushed = rig.handle.flush(PLENTY);
    assert!(flushed.is_ok(), "{flushed:?}");
    let said: Vec<_> = heard.all().iter().map(ToString::to_string).collect();
    let path = file.path().to_str().unwrap();
    assert!(said.iter().all(|said| said.contains(path)), "{said:?}");
    assert_eq!(headers(&rig, "authorization"), ["Bearer late"]);
    rig.finish(0);
}
