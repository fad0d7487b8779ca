//! The operating system (semantic conventions, os).

use super::Found;
use crate::resource::World;

pub(super) fn detect(world: &World, found: &mut Found) {
    found.put("os.type", Some(os_type(std::env::consts::OS)));
    let first = world.read("/etc/os-release");
    let second = world.read("/usr/lib/os-release");
    let value = |key| {
        let files = [&first, &second].into_iter().flatten();
        files.filter_map(|file| release(file, key)).next()
    };
    found.put("os.name", value("NAME"));
    found.put("os.version", value("VERSION_ID"));
    found.put("os.description", value("PRETTY_NAME"));
    let build = value("BUILD_ID").or_else(|| world.line("/proc/sys/kernel/osrelease"));
    found.put("os.build_id", build);
}

/// "If one of them applies, then the respective value MUST be used".
pub(super) fn os_type(rust: &'static str) -> &'static str {
    match rust {
        "macos" | "ios" | "tvos" | "watchos" | "visionos" => "darwin",
        "android" => "linux",
        "dragonfly" => "dragonflybsd",
        "illumos" => "solaris",
        other => other,
    }
}

/// A value of os-release, which is quoted as in a shell (os-release(5)).
fn release(file: &str, key: &str) -> Option<String> {
    let mut lines = file.lines();
    let value = lines.find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    let mut text = String::with_capacity(value.len());
    let mut characters = value.trim().chars();
    let mut quote = None;
    while let Some(c) = characters.next() {
        match c {
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if quote == Some(c) => quote = None,
            '\\' if quote != Some('\'') => text.extend(characters.next()),
            _ => text.push(c),
        }
    }
    (!text.is_empty()).then_some(text)
}
