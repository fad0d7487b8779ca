//! What a table of measurements must say about where they were taken.

use std::fs;
use std::process::Command;
use std::time::Duration;

/// One line: processor, cores, kernel, compiler.
pub fn description() -> String {
    format!(
        "{}, {} cores, {}, {}",
        processor().unwrap_or_else(|| "unknown processor".into()),
        std::thread::available_parallelism().map_or(0, usize::from),
        kernel().unwrap_or_else(|| "unknown kernel".into()),
        compiler().unwrap_or_else(|| "unknown rustc".into()),
    )
}

/// The most memory that this process has ever had resident, in bytes.
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// CPU time of the threads of this process whose names begin so and that still live.
pub fn cpu_time_of(threads: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let name = fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        if name.starts_with(threads) {
            let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            // The first is the time on a processor.
            sum += Duration::from_nanos(times.split_whitespace().next()?.parse().ok()?);
        }
    }
    Some(sum)
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kernel() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("Linux {}", release.trim()))
}

fn compiler() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut words = text.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}
