//! Lines of JSON in files (the specification's group 13), on disks that are full, gone or slow (faults F46, F47, F51).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use tracing::Dispatch;
use tracing_otlp::{Batch, DropReason, File, Guard, Stats};
use tracing_subscriber::prelude::*;

use crate::support::patience::until;

const PLENTY: Duration = Duration::from_secs(10);
/// The test that is run in a process of its own, with this variable and what it shall do.
const CHILD: &str = "export::file::child";
const TASK: &str = "FILE_TEST_TASK";

/// A folder of its own, which goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("tracing-otlp-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("traces.jsonl")
    }

    /// What is in the folder, by name.
    fn files(&self) -> BTreeMap<String, String> {
        let files = fs::read_dir(&self.0).expect("the folder");
        let files = files.map(|entry| entry.expect("a file").path());
        files
            .map(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                (name.expect("a name").to_owned(), read(&path))
            })
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

struct Pipeline {
    dispatch: Dispatch,
    guard: Guard,
}

impl Pipeline {
    fn new(file: File) -> Self {
        let batch = Batch::default().with_interval(Duration::from_secs(60));
        let builder = tracing_otlp::layer()
            .with_service_name("test")
            .with_batch(batch)
            .with_timeout(Duration::from_millis(300));
        let (layer, guard) = builder.with_transport(file).build().expect("a pipeline");
        Self {
            dispatch: Dispatch::new(tracing_subscriber::registry().with(layer)),
            guard,
        }
    }

    /// Records spans with these numbers.
    fn record(&self, numbers: impl IntoIterator<Item = i64>) {
        tracing::dispatcher::with_default(&self.dispatch, || {
            for number in numbers {
                drop(tracing::info_span!("work", number));
            }
        });
    }

    #[track_caller]
    fn flush(&self) {
        let flushed = self.guard.handle().flush(PLENTY);
        assert!(flushed.is_ok(), "{flushed:?}: {}", self.stats());
    }

    /// Asks for everything to be written now, and does not wait.
    fn urge(&self) {
        let _ = self.guard.handle().flush(Duration::ZERO);
    }

    fn stats(&self) -> Stats {
        self.guard.handle().stats()
    }

    #[track_caller]
    fn wait_for_retries(&self, retries: u64) {
        let enough = || self.stats().retries() >= retries;
        until("the disk to fail", enough, || self.stats().to_string());
    }

    /// Everything that was recorded is delivered.
    #[track_caller]
    fn finish(self) -> Stats {
        let handle = self.guard.handle();
        let ended = handle.shutdown(PLENTY);
        let stats = handle.stats();
        assert!(ended.is_ok() && stats.is_balanced(), "{ended:?}: {stats}");
        assert_eq!((stats.held(), stats.delivered()), (0, stats.accepted()));
        stats
    }
}

/// Each line is one value, and the last one ends too.
#[track_caller]
fn lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("lines of JSON")
}

/// All the spans of such lines.
fn spans(lines: &[Value]) -> Vec<Value> {
    let all = |values: &[Value], key: &str| -> Vec<Value> {
        let lists = values.iter().map(|value| value[key].as_array());
        lists.flat_map(|list| list.expect(key).clone()).collect()
    };
    all(&all(&all(lines, "resourceSpans"), "scopeSpans"), "spans")
}

fn attribute<'a>(of: &'a Value, key: &str) -> &'a Value {
    let attributes = of["attributes"].as_array().expect("attributes");
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    &found.unwrap_or_else(|| panic!("no {key} in {of}"))["value"]
}

fn numbers(lines: &[Value]) -> Vec<i64> {
    let number = |span: &Value| attribute(span, "number")["intValue"].as_str()?.parse().ok();
    let numbers = spans(lines).iter().map(number).collect::<Option<_>>();
    numbers.expect("every span has a number")
}

#[track_caller]
fn assert_all(mut found: Vec<i64>, count: i64) {
    found.sort_unstable();
    assert_eq!(found, (0..count).collect::<Vec<_>>());
}

#[test]
fn spec_13_1_and_13_2_each_request_is_one_line_of_traces_data() {
    let folder = Folder::new("lines");
    let pipeline = Pipeline::new(File::at(folder.file()));
    for round in 0..3 {
        pipeline.record(10 * round..10 * round + 10);
        pipeline.flush();
    }
    let stats = pipeline.finish();
    let lines = lines(&read(&folder.file()));
    assert_eq!((lines.len(), stats.requests()), (3, 3));
    for line in &lines {
        let keys: Vec<_> = line.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["resourceSpans"]);
        let resource = &line["resourceSpans"][0]["resource"];
        let service = attribute(resource, "service.name");
        assert_eq!(service, &json!({ "stringValue": "test" }));
    }
    assert_eq!(numbers(&lines), (0..30).collect::<Vec<_>>());
}

#[test]
fn spec_13_5_a_line_holds_what_was_recorded() {
    let folder = Folder::new("recorded");
    let pipeline = Pipeline::new(File::at(folder.file()));
    tracing::dispatcher::with_default(&pipeline.dispatch, || {
        let _outer = tracing::info_span!("outer", otel.kind = "server").entered();
        let _inner =
            tracing::info_span!("inner", text = "a\nb", ratio = f64::NAN, on = false).entered();
        tracing::error!(code = 7, "no\n");
    });
    pipeline.flush();
    pipeline.finish();
    let spans = spans(&lines(&read(&folder.file())));
    let [inner, outer] = &spans[..] else {
        panic!("{spans:?}");
    };
    for (span, key, digits) in [
        (inner, "traceId", 32),
        (inner, "spanId", 16),
        (outer, "spanId", 16),
    ] {
        let id = span[key].as_str().expect(key);
        let is_hex = id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        assert!(id.len() == digits && is_hex, "{key} {id}");
    }
    assert_eq!(inner["traceId"], outer["traceId"]);
    assert_eq!(inner["parentSpanId"], outer["spanId"]);
    assert_eq!(outer["parentSpanId"], Value::Null);
    assert_eq!((&outer["kind"], &inner["kind"]), (&json!(2), &json!(1)));
    assert_eq!(inner["status"]["code"], json!(2));
    assert_eq!(attribute(inner, "text"), &json!({ "stringValue": "a\nb" }));
    assert_eq!(attribute(inner, "ratio"), &json!({ "doubleValue": "NaN" }));
    assert_eq!(attribute(inner, "on"), &json!({ "boolValue": false }));
    let event = &inner["events"][0];
    assert_eq!(event["name"], "no\n");
    assert_eq!(attribute(event, "code"), &json!({ "intValue": "7" }));
    let time = |of: &Value, key: &str| -> u64 {
        let digits = of[key].as_str().expect(key);
        digits.parse().expect("nanoseconds")
    };
    let times = [
        time(inner, "startTimeUnixNano"),
        time(event, "timeUnixNano"),
        time(inner, "endTimeUnixNano"),
    ];
    assert!(times.is_sorted() && times[0] > 0, "{times:?}");
}

#[cfg(unix)]
#[test]
fn a_new_file_is_its_owners_and_an_old_one_is_continued() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    let path = folder.file();
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    for (numbers, expected) in [(0..5, 0o600), (5..10, 0o644)] {
        let pipeline = Pipeline::new(File::at(&path));
        assert_eq!(path.exists(), numbers.start > 0, "made when it is needed");
        pipeline.record(numbers);
        pipeline.finish();
        assert_eq!(mode(&path), expected);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("another mode");
    }
    assert_all(numbers(&lines(&read(&path))), 10);
}

#[test]
fn rotation_keeps_every_record_and_splits_no_line() {
    const MOST: usize = 20_000;
    let folder = Folder::new("rotation");
    let file = File::at(folder.file()).with_max_bytes(MOST as u64);
    let pipeline = Pipeline::new(file.with_max_files(100));
    for round in 0..60 {
        pipeline.record(5 * round..5 * round + 5);
        pipeline.flush();
    }
    pipeline.finish();
    let files = folder.files();
    assert!(files.len() > 3, "{:?}", files.keys());
    let order: Vec<_> = (1..files.len())
        .rev()
        .map(|number| format!("traces.jsonl.{number}"))
        .collect();
    let mut found = Vec::new();
    for name in order.iter().map(String::as_str).chain(["traces.jsonl"]) {
        let text = &files[name];
        assert!(text.len() <= MOST, "{name} has {} bytes", text.len());
        found.extend(numbers(&lines(text)));
    }
    assert_eq!(
        found,
        (0..300).collect::<Vec<_>>(),
        "the oldest have the highest number"
    );
}

#[test]
fn only_so_many_files_are_kept_and_a_large_line_has_its_own() {
    for most in [1, 2, 3] {
        let folder = Folder::new(&format!("files-{most}"));
        let file = File::at(folder.file())
            .with_max_bytes(1)
            .with_max_files(most);
        let pipeline = Pipeline::new(file);
        for number in 0..10 {
            pipeline.record([number]);
            pipeline.flush();
        }
        pipeline.finish();
        let kept: Vec<_> = folder
            .files()
            .values()
            .map(|text| numbers(&lines(text)))
            .collect();
        let newest: Vec<_> = (10 - i64::from(most)..10)
            .rev()
            .map(|number| vec![number])
            .collect();
        assert_eq!(kept, newest);
    }
}

#[test]
fn f47_records_wait_for_a_folder_that_is_missing() {
    let folder = Folder::new("missing");
    let path = folder.0.join("later").join("traces.jsonl");
    let pipeline = Pipeline::new(File::at(&path));
    pipeline.record(0..10);
    pipeline.urge();
    pipeline.wait_for_retries(2);
    assert_eq!(pipeline.stats().held(), 10);
    fs::create_dir(path.parent().expect("a folder")).expect("it is made");
    pipeline.record(10..20);
    pipeline.flush();
    // And for one that is removed while the file is open.
    fs::remove_dir_all(path.parent().expect("a folder")).expect("it is removed");
    let before = pipeline.stats().retries();
    pipeline.record(0..20);
    pipeline.urge();
    pipeline.wait_for_retries(before + 1);
    fs::create_dir(path.parent().expect("a folder")).expect("it is made");
    pipeline.finish();
    assert_all(numbers(&lines(&read(&path))), 20);
}

#[cfg(target_os = "linux")]
#[test]
fn f46_a_full_disk_loses_nothing_and_heals() {
    let folder = Folder::new("full");
    std::os::unix::fs::symlink("/dev/full", folder.file()).expect("a link");
    let pipeline = Pipeline::new(File::at(folder.file()).with_max_bytes(1 << 20));
    pipeline.record(0..10);
    pipeline.urge();
    pipeline.wait_for_retries(2);
    let stats = pipeline.stats();
    assert!(stats.is_balanced() && stats.held() == 10, "{stats}");
    fs::remove_file(folder.file()).expect("the link is removed");
    pipeline.record(10..20);
    pipeline.finish();
    assert_all(numbers(&lines(&read(&folder.file()))), 20);
}

#[cfg(target_os = "linux")]
#[test]
fn f46_what_a_full_disk_did_not_take_is_counted_at_the_end() {
    let pipeline = Pipeline::new(File::at("/dev/full"));
    pipeline.record(0..10);
    let handle = pipeline.guard.handle();
    let ended = handle.shutdown(Duration::from_millis(200));
    assert!(ended.is_err(), "{ended:?}");
    let empty = || handle.stats().held() == 0;
    until("the end", empty, || handle.stats().to_string());
    let stats = handle.stats();
    assert!(stats.is_balanced(), "{stats}");
    assert_eq!(stats.dropped_for(DropReason::Shutdown), 10, "{stats}");
}

/// The limit on a file's size cuts a write short, as a disk that runs full does.
#[cfg(unix)]
#[test]
fn f46_a_line_that_is_cut_short_is_taken_back() {
    let folder = Folder::new("short");
    let output = run("short", &folder, "trap '' XFSZ; ulimit -f 8; exec \"$@\"");
    let told = String::from_utf8_lossy(&output.stdout);
    let told = told
        .lines()
        .find_map(|line| line.strip_prefix("delivered "));
    let delivered: usize = told.and_then(|count| count.parse().ok()).expect("a count");
    let numbers = numbers(&lines(&read(&folder.file())));
    assert!((1..16).contains(&delivered), "{delivered}");
    assert_eq!(numbers, (0..delivered as i64).collect::<Vec<_>>());
}

#[test]
fn half_a_line_that_somebody_left_spoils_no_other() {
    let folder = Folder::new("torn");
    fs::write(folder.file(), "{\"resourceSpans\":[{\"sco").expect("half a line");
    let pipeline = Pipeline::new(File::at(folder.file()));
    pipeline.record(0..5);
    pipeline.flush();
    let text = read(&folder.file());
    fs::write(folder.file(), format!("{text}{{")).expect("and again, while it is open");
    pipeline.record(5..10);
    pipeline.finish();
    let text = read(&folder.file());
    let whole = text.lines().filter(|line| line.ends_with('}'));
    let whole: String = whole.map(|line| format!("{line}\n")).collect();
    assert_eq!(text.lines().count(), 4);
    assert_all(numbers(&lines(&whole)), 10);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_moved_away_is_made_anew() {
    let folder = Folder::new("moved");
    let pipeline = Pipeline::new(File::at(folder.file()));
    pipeline.record(0..5);
    pipeline.flush();
    fs::rename(folder.file(), folder.0.join("old")).expect("it is moved");
    pipeline.record(5..10);
    pipeline.finish();
    assert_eq!(
        numbers(&lines(&read(&folder.0.join("old")))),
        [0, 1, 2, 3, 4]
    );
    assert_eq!(numbers(&lines(&read(&folder.file()))), [5, 6, 7, 8, 9]);
}

#[cfg(unix)]
#[test]
fn pipelines_that_share_a_file_tear_no_line_and_lose_none_when_it_rotates() {
    for most in [0, 30_000] {
        let folder = Folder::new(&format!("shared-{most}"));
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let file = File::at(folder.file())
                    .with_max_bytes(most)
                    .with_max_files(1_000);
                scope.spawn(move || {
                    let pipeline = Pipeline::new(file);
                    for round in 0..40 {
                        let first = (writer * 40 + round) * 10;
                        pipeline.record(first..first + 10);
                        pipeline.flush();
                    }
                    pipeline.finish();
                });
            }
        });
        let files = folder.files();
        assert_eq!(files.len() > 1, most > 0, "{:?}", files.keys());
        assert_all(
            files
                .values()
                .flat_map(|text| numbers(&lines(text)))
                .collect(),
            1_200,
        );
    }
}

/// A pipe that nobody reads yet hangs as a disk does that is gone.
#[cfg(unix)]
#[test]
fn f51_while_a_write_hangs_no_other_is_begun_and_the_exporter_goes_on() {
    let folder = Folder::new("hangs");
    let made = Command::new("mkfifo").arg(folder.file()).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe");
    let pipeline = Pipeline::new(File::at(folder.file()));
    pipeline.record(0..10);
    pipeline.urge();
    // The first attempt runs into the time-out, the next one finds it at work.
    pipeline.wait_for_retries(3);
    let stats = pipeline.stats();
    assert!(stats.is_balanced() && stats.held() == 10, "{stats}");
    let path = folder.file();
    let reader = std::thread::spawn(move || read(&path));
    pipeline.finish();
    let found = lines(&reader.join().expect("it reads"));
    assert!(
        (1..=2).contains(&found.len()),
        "the hanging write, and the next: {found:?}"
    );
    for line in found {
        assert_all(numbers(&[line]), 10);
    }
}

#[test]
fn spec_13_3_stdout_gets_lines_between_those_of_the_program() {
    let folder = Folder::new("stdout");
    let output = run("stdout", &folder, "exec \"$@\"");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (ours, theirs): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('{'));
    let ours: String = ours.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(numbers(&lines(&ours)), (0..20).collect::<Vec<_>>());
    let between = |line: &&str| *line == "the program's own";
    assert_eq!(theirs.into_iter().filter(between).count(), 2);
}

/// Runs [`child`] in a process of its own, by this line of the shell.
fn run(task: &str, folder: &Folder, shell: &str) -> Output {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new("sh")
        .args(["-c", shell, "sh"])
        .arg(program)
        .args([CHILD, "--exact", "--nocapture"])
        .env(TASK, task)
        .current_dir(&folder.0)
        .output()
        .expect("a child");
    assert!(output.status.success(), "{output:?}");
    output
}

#[test]
fn child() {
    match std::env::var(TASK).as_deref() {
        Ok("stdout") => {
            let pipeline = Pipeline::new(File::stdout());
            println!("\nthe program's own");
            pipeline.record(0..10);
            pipeline.flush();
            println!("the program's own");
            pipeline.record(10..20);
            pipeline.finish();
        }
        Ok("short") => {
            let pipeline = Pipeline::new(File::at("traces.jsonl"));
            for round in 0..8 {
                pipeline.record(2 * round..2 * round + 2);
                let _ = pipeline.guard.handle().flush(Duration::from_millis(100));
            }
            pipeline.wait_for_retries(2);
            println!("\ndelivered {}", pipeline.stats().delivered());
        }
        _ => {}
    }
}
