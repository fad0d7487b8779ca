//! What the variables of a process do. Each case is a process of its own, since a test cannot change its own environment.

#![cfg(feature = "grpc")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and a child prints what it sees"
)]

use std::process::Command;
use std::time::Duration;

use tracing_subscriber::prelude::*;

const CHILD: &str = "ENVIRONMENT_TEST_CHILD";
const CANARY: &str = "canary-7f3a";

/// What a process with these variables, and no other `OTEL_*`, prints and says.
fn run(variables: &[(&str, &str)]) -> (String, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    let output = command
        .env(CHILD, "1")
        // Nobody is there.
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (printed, said) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{printed}\n{said}");
    (printed, said)
}

/// A program with a pipeline by the environment alone.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let (layer, guard) = tracing_otlp::layer()
        .with_shutdown_timeout(Duration::ZERO)
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || drop(tracing::info_span!("work")));
    // An exporter that answers has begun.
    let _ = guard.handle().flush(Duration::from_millis(300));
    println!("accepted {}", guard.handle().stats().accepted());
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, |tasks| {
        let names =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("otlp")).count()
    });
    println!("threads {threads}");
    print!("{}", guard.handle().explain());
}

#[test]
fn spec_10_1_a_disabled_sdk_starts_no_thread_and_records_nothing() {
    let (printed, _) = run(&[]);
    assert!(printed.contains("accepted 1\n"), "{printed}");
    if cfg!(target_os = "linux") {
        assert!(printed.contains("threads 1\n"), "{printed}");
    }
    for off in [
        ("OTEL_SDK_DISABLED", "True"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ] {
        let (printed, said) = run(&[off]);
        assert!(printed.contains("accepted 0\nthreads 0\n"), "{printed}");
        assert_eq!(said, "", "there is nothing to warn of");
    }
}

#[test]
fn spec_10_5_the_level_decides_what_is_said_and_no_secret_is() {
    let headers = format!("x-api-key={CANARY},x-wrong={CANARY}");
    let wrong = ("OTEL_BSP_SCHEDULE_DELAY", "soon");
    let said = |level| {
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", headers.as_str());
        let (printed, said) = run(&[headers, wrong, ("OTEL_LOG_LEVEL", level)]);
        assert!(!printed.contains(CANARY) && !said.contains(CANARY));
        assert!(printed.contains("header x-api-key = *** (OTEL_EXPORTER_OTLP_HEADERS)\n"));
        assert!(printed.contains("warning: OTEL_BSP_SCHEDULE_DELAY"));
        let has = |text| said.contains(text);
        (
            has("OTEL_BSP_SCHEDULE_DELAY=\"soon\" is ignored"),
            has("header x-api-key = ***"),
        )
    };
    assert_eq!(said(""), (true, false));
    assert_eq!(said("warn"), (true, false));
    assert_eq!(said("debug"), (true, true));
    assert_eq!(said("error"), (false, false));
    assert_eq!(said("none"), (false, false));
}
