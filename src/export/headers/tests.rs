use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const CANARY: &str = "c4n4ry-s3cr3t";

fn block_on<T>(future: impl Future<Output = T>) -> T {
    // As the exporter's own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .build()
        .unwrap();
    // Also when a test fails, what hangs is not waited for.
    let runtime = Background(Some(runtime));
    runtime.0.as_ref().unwrap().block_on(future)
}

struct Background(Option<tokio::runtime::Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(10);

fn resolve(headers: &Headers, refresh: bool) -> Result<HeaderMap, Failure> {
    block_on(headers.resolve(refresh))
}

fn pairs(map: &HeaderMap) -> Vec<(&str, &str)> {
    let pair = |(name, value)| {
        let (name, value): (&HeaderName, &HeaderValue) = (name, value);
        (name.as_str(), value.to_str().unwrap())
    };
    map.iter().map(pair).collect()
}

fn providing(
    give: impl Fn(bool) -> Vec<(&'static str, &'static str)> + Send + Sync + 'static,
) -> Headers {
    let mut headers = Headers::default();
    headers.provide(Arc::new(move |refresh| {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(give(refresh).into_iter().map(owned).collect())
    }));
    headers
}

fn error_of(name: &str, value: &str) -> String {
    let mut headers = Headers::default();
    let error = headers
        .insert(name, value, "Builder::with_header")
        .unwrap_err();
    assert!(error.is_config());
    assert_eq!(headers.fixed.len(), 0);
    format!("{error} {error:?}")
}

#[test]
fn p_30_what_no_request_can_carry_is_refused_by_name() {
    for name in ["", "a b", "a:b", "ä", "a\r\nb", "a\0", "\"a\"", "(a)"] {
        let error = error_of(name, CANARY);
        let shown = format!("{name:?}");
        assert!(
            error.contains("Builder::with_header") && error.contains(&shown),
            "{error}"
        );
        assert!(!error.contains(CANARY), "{error}");
    }
    for value in ["\r\nb: c", "\n", "a\rb", "\0", "\u{7f}", "ä", "a\tb"] {
        let error = error_of("x-name", &format!("{CANARY}{value}{CANARY}"));
        assert!(error.contains("\"x-name\""), "{error}");
        assert!(!error.contains(CANARY), "{error}");
    }
    assert!(error_of(&"ä".repeat(10_000), "").len() < 500);
}

#[test]
fn p_30_names_that_are_not_the_users_are_refused() {
    for name in [
        "Content-Type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "Host",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "accept-encoding",
        "grpc-timeout",
        "GRPC-Encoding",
        ":path",
        ":authority",
        "keep-alive",
        "expect",
    ] {
        assert!(
            error_of(name, "x").contains("set by the exporter"),
            "{name}"
        );
    }
    assert!(error_of("User-Agent", "x").contains("Builder::with_user_agent"));
}

#[test]
fn a_binary_value_of_grpc_is_base64() {
    for value in [
        "",
        "YQ==",
        "YWI=",
        "YWJj",
        "YQ",
        "YWI",
        "+/+/",
        "YQ==, YWI=",
    ] {
        let mut headers = Headers::default();
        assert!(headers.insert("x-bin", value, "").is_ok(), "{value}");
    }
    for value in ["Y", "YQ=", "Y===", "====", "=", "YQ==YQ==", "a-_b", "YWJj="] {
        assert!(error_of("x-bin", value).contains("base64"), "{value}");
    }
}

#[test]
fn a_name_is_in_lower_case_and_the_last_value_holds() {
    let mut headers = Headers::default();
    headers
        .insert("X-Tenant", "environment", "OTEL_EXPORTER_OTLP_HEADERS")
        .unwrap();
    headers
        .insert("x-tenant", " code\t", "Builder::with_header")
        .unwrap();
    headers.insert("empty", "", "").unwrap();
    assert_eq!(headers.names().collect::<Vec<_>>(), ["x-tenant", "empty"]);
    let map = resolve(&headers, false).unwrap();
    assert_eq!(pairs(&map), [("x-tenant", "code"), ("empty", "")]);
}

#[test]
fn what_headers_come_to_is_limited() {
    let mut headers = Headers::default();
    let long = "x".repeat(MOST_BYTES - 40);
    headers.insert("a", &long, "").unwrap();
    // The same one again does not count twice.
    headers.insert("a", &long, "").unwrap();
    assert!(headers.insert("b", "", "").is_err());
    let mut headers = Headers::default();
    let many = (0..40_000).take_while(|n| headers.insert(&format!("h{n}"), "", "").is_ok());
    assert!(many.count() < 2_048);
}

#[test]
fn p_28_credentials_are_known_by_their_names() {
    for name in [
        "Authorization",
        "proxy-authorization",
        "cookie",
        "api-key",
        "x-api-key",
        "X-SF-Token",
        "client_secret",
        "apikey",
    ] {
        assert!(is_credential(name), "{name}");
    }
    for name in ["x-tenant", "x-keyboard", "tokens", "secretary", ""] {
        assert!(!is_credential(name), "{name}");
    }
}

proptest! {
    #[test]
    fn p_30_what_is_accepted_can_be_sent_and_breaks_no_line(
        name in prop_oneof!["[a-zA-Z0-9-]{1,20}(-bin)?", any::<String>()],
        value in prop_oneof!["[ -~]{0,40}", "[\\x00-\\xff]{0,9}", any::<String>()],
    ) {
        let mut headers = Headers::default();
        match headers.insert(&name, &value, "here") {
            Ok(()) => {
                let (name_sent, sent) = headers.fixed.iter().next().unwrap();
                prop_assert_eq!(name_sent.as_str(), name.to_ascii_lowercase());
                prop_assert_eq!(sent.as_bytes(), value.trim_matches([' ', '\t']).as_bytes());
                prop_assert!(sent.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte)));
                prop_assert!(sent.is_sensitive());
            }
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.starts_with("here: "));
                prop_assert!(!text.contains('\r') && !text.contains('\n'));
                let marked = headers.insert(&name, &format!("{CANARY}{value}"), "here");
                if let Err(error) = marked {
                    prop_assert!(!error.to_string().contains(CANARY));
                }
            }
        }
    }
}

#[test]
fn headers_that_are_fixed_need_no_thread() {
    let mut headers = Headers::default();
    headers.insert("a", "b", "").unwrap();
    // Without a runtime, `spawn_blocking` would panic.
    let mut future = std::pin::pin!(headers.resolve(true));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Ok(map)) = future.as_mut().poll(&mut context) else {
        panic!("not at once");
    };
    assert_eq!(pairs(&map), [("a", "b")]);
}

#[test]
fn what_is_provided_replaces_what_is_fixed_and_is_asked_for_again() {
    let mut headers = providing(|refresh| {
        let token = if refresh { "new" } else { "old" };
        vec![("Authorization", token), ("x", "1"), ("x", "2")]
    });
    headers.insert("authorization", "fixed", "").unwrap();
    let token = |refresh| resolve(&headers, refresh).unwrap()[AUTHORIZATION].clone();
    assert_eq!(
        (token(false), token(true)),
        ("old".parse().unwrap(), "new".parse().unwrap())
    );
    assert!(token(false).is_sensitive());
    assert_eq!(resolve(&headers, false).unwrap()["x"], "2");
}

#[test]
fn a_provider_runs_on_another_thread() {
    let here = std::thread::current().id();
    let headers = providing(move |_| {
        assert_ne!(std::thread::current().id(), here);
        vec![]
    });
    assert!(resolve(&headers, false).is_ok());
}

#[test]
fn what_a_provider_gives_is_checked_too() {
    for (name, value) in [
        ("x-name", "c4n4ry-s3cr3t\r\nb: c"),
        ("content-type", CANARY),
        ("x-bin", CANARY),
    ] {
        let headers = providing(move |_| vec![("fine", "x"), (name, value)]);
        let failure = format!("{:?}", resolve(&headers, false).unwrap_err());
        assert!(
            failure.contains("header provider") && failure.contains(name),
            "{failure}"
        );
        assert!(!failure.contains(CANARY), "{failure}");
    }
}

#[test]
fn a_providers_error_is_shown_in_short() {
    let mut headers = Headers::default();
    headers.provide(Arc::new(|_| {
        Err(format!("no answer\u{1b}[31m{}", "x".repeat(1 << 20)).into())
    }));
    let failure = resolve(&headers, false).unwrap_err();
    let expected = "the header provider: no answer\\u{1b}[31mxxx";
    assert!(failure.message.starts_with(expected), "{failure:?}");
    assert!(failure.message.len() < 400);
    assert_eq!(failure.kind, crate::export::transport::Kind::Busy);
}

#[test]
fn a_provider_that_panics_costs_an_attempt_and_its_text_is_not_ours() {
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let headers = providing(move |_| {
        let mut calls = lock(&counted);
        *calls += 1;
        assert!(*calls > 1, "{CANARY}");
        vec![("x", "1")]
    });
    let failure = resolve(&headers, false).unwrap_err();
    assert_eq!(failure.message, "the header provider: it panicked");
    assert_eq!(resolve(&headers, false).unwrap()["x"], "1");
}

#[test]
fn a_provider_that_hangs_is_not_asked_again_and_holds_nothing_up() {
    let (go, wait) = mpsc::channel::<()>();
    let (began, has_begun) = mpsc::channel();
    let wait = Mutex::new(wait);
    let headers = providing(move |_| {
        began.send(()).unwrap();
        let _ = wait.lock().unwrap().recv();
        vec![("x", "1")]
    });
    block_on(async {
        let patience = Duration::from_millis(1);
        let hanging = tokio::time::timeout(patience, headers.resolve(false)).await;
        assert!(hanging.is_err());
        has_begun.recv().unwrap();
        for _ in 0..10 {
            let refused = tokio::time::timeout(LONG, headers.resolve(true)).await;
            let failure = refused.unwrap().unwrap_err();
            let text = "the header provider has not answered for 0 s";
            assert_eq!(failure.message, text);
        }
        assert!(has_begun.try_recv().is_err(), "it was asked once");
        // It answers at last, to nobody; then it is asked again.
        go.send(()).unwrap();
        go.send(()).unwrap();
        let begin = Instant::now();
        let map = loop {
            assert!(begin.elapsed() < LONG, "it is asked again");
            match headers.resolve(false).await {
                Ok(map) => break map,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(map["x"], "1");
    });
}

#[test]
fn a_read_that_a_runtime_never_began_does_not_count_as_hanging() {
    let headers = providing(|_| vec![("x", "1")]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (go, wait) = mpsc::channel::<()>();
    runtime.block_on(async {
        tokio::task::spawn_blocking(move || wait.recv());
        let mut queued = std::pin::pin!(headers.resolve(false));
        assert!(futures_poll(queued.as_mut()).is_pending());
    });
    runtime.shutdown_background();
    drop(go);
    let begin = Instant::now();
    let map = loop {
        assert!(begin.elapsed() < LONG);
        if let Ok(map) = resolve(&headers, false) {
            break map;
        }
        std::thread::yield_now();
    };
    assert_eq!(map["x"], "1");
}

fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[test]
fn p_29_no_text_of_ours_has_a_value() {
    let folder = Folder::new();
    std::fs::write(folder.file("token"), CANARY).unwrap();
    let mut headers = providing(|_| vec![("x-provided", CANARY)]);
    headers.insert("x-fixed", CANARY, "").unwrap();
    headers.bearer_token_file(folder.file("token"));
    let map = resolve(&headers, false).unwrap();
    assert_eq!(map.len(), 3);
    assert!(map.values().all(HeaderValue::is_sensitive));
    assert_eq!(map[AUTHORIZATION], format!("Bearer {CANARY}"));
    for text in [format!("{headers:?} {headers:#?}"), format!("{map:?}")] {
        assert!(!text.contains(CANARY) && text.contains("x-fixed"), "{text}");
    }
    let names: Vec<_> = headers.names().collect();
    assert_eq!(names, ["x-fixed", "authorization"]);
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!(
            "tracing-otlp-{}-{:x}",
            std::process::id(),
            fastrand::u64(..)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn token(path: &Path) -> (TokenFile, Instant) {
    (TokenFile::new(path.to_owned()), Instant::now())
}

/// Writes text and gives the file this time of change.
fn write(path: &Path, text: &str, modified: std::time::SystemTime) {
    std::fs::write(path, text).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(modified).unwrap();
}

#[test]
fn a_token_is_read_again_when_its_file_is_replaced() {
    let (folder, then) = (Folder::new(), std::time::SystemTime::UNIX_EPOCH);
    let (path, next) = (folder.file("token"), folder.file("next"));
    write(&path, " first\n", then);
    let (file, now) = token(&path);
    assert_eq!(file.read(false, now).unwrap(), "Bearer first");
    // Of the same length and time: only the file is another one.
    write(&next, " other\n", then);
    std::fs::rename(&next, &path).unwrap();
    assert_eq!(file.read(false, now).unwrap(), "Bearer other");
}

#[cfg(unix)]
#[test]
fn a_token_is_read_again_when_a_link_is_exchanged() {
    use std::os::unix::fs::symlink;

    // As Kubernetes does: token -> ..data/token, ..data -> a folder with a date.
    let (folder, then) = (Folder::new(), std::time::SystemTime::UNIX_EPOCH);
    for (name, text) in [("..1", "first"), ("..2", "other")] {
        std::fs::create_dir(folder.file(name)).unwrap();
        write(&folder.file(name).join("token"), text, then);
    }
    symlink("..1", folder.file("..data")).unwrap();
    symlink("..data/token", folder.file("token")).unwrap();
    let (file, now) = token(&folder.file("token"));
    assert_eq!(file.read(false, now).unwrap(), "Bearer first");
    symlink("..2", folder.file("..next")).unwrap();
    std::fs::rename(folder.file("..next"), folder.file("..data")).unwrap();
    assert_eq!(file.read(false, now).unwrap(), "Bearer other");
}

#[test]
fn a_token_is_read_again_after_a_minute_and_to_refresh() {
    let (folder, then) = (Folder::new(), std::time::SystemTime::UNIX_EPOCH);
    let path = folder.file("token");
    let (file, now) = token(&path);
    let second = Duration::from_secs(1);
    write(&path, "one", then);
    assert_eq!(file.read(false, now).unwrap(), "Bearer one");
    // What `stat` cannot tell: same file, length and time.
    write(&path, "two", then);
    assert_eq!(file.read(false, now + 59 * second).unwrap(), "Bearer one");
    assert_eq!(file.read(false, now + 60 * second).unwrap(), "Bearer two");
    write(&path, "six", then);
    assert_eq!(file.read(false, now + 60 * second).unwrap(), "Bearer two");
    assert_eq!(file.read(true, now + 60 * second).unwrap(), "Bearer six");
    // And what it can tell.
    write(&path, "ten", then + second);
    assert_eq!(file.read(false, now + 60 * second).unwrap(), "Bearer ten");
}

#[test]
fn a_token_that_cannot_be_read_is_a_failure_that_names_the_file() {
    let folder = Folder::new();
    let path = folder.file("token");
    let mut headers = Headers::default();
    headers.bearer_token_file(path.clone());
    let failure = || format!("{:?}", resolve(&headers, false).unwrap_err());
    let absent = failure();
    let large = CANARY.repeat(6_000);
    let with_line = format!("{CANARY}\n{CANARY}");
    let contents: [&[u8]; 5] = [b"", b" \n", large.as_bytes(), with_line.as_bytes(), b"\xff"];
    let wrong = contents.map(|content| {
        std::fs::write(&path, content).unwrap();
        failure()
    });
    for text in [&[absent][..], &wrong].concat() {
        assert!(text.contains("token file") && text.contains(folder.0.to_str().unwrap()));
        assert!(!text.contains(CANARY) && text.contains("Busy"), "{text}");
    }
    // It is not a file, and then it heals.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(failure().contains("it is no file"));
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "fine").unwrap();
    assert_eq!(
        resolve(&headers, false).unwrap()[AUTHORIZATION],
        "Bearer fine"
    );
}
