//! A cgroup of the kernel's, below the one that this process is in.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    /// `None`: this machine lets nobody make one, or not this user.
    pub(crate) fn with_limit(bytes: usize) -> Option<Self> {
        let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let path = |controllers: &str| {
            let of = |line: &str| Some(line.split_once(controllers)?.1.to_owned());
            cgroups.lines().find_map(of)
        };
        let name = format!("tracing-otlp-{}", std::process::id());
        let make = |mount: &str, path: String, file: &str| {
            let folder = Path::new(mount).join(path.trim_matches('/')).join(&name);
            fs::create_dir(&folder).ok()?;
            // It goes with this, also where it has no such file.
            let cgroup = Self(folder);
            fs::write(cgroup.0.join(file), bytes.to_string()).ok()?;
            Some(cgroup)
        };
        let one = || {
            make(
                "/sys/fs/cgroup/memory",
                path(":memory:")?,
                "memory.limit_in_bytes",
            )
        };
        let two = || make("/sys/fs/cgroup", path("0::")?, "memory.max");
        one().or_else(two)
    }

    /// From now on the process is in it.
    #[track_caller]
    pub(crate) fn takes(&self, process: u32) {
        let moved = fs::write(self.0.join("cgroup.procs"), process.to_string());
        moved.expect("a process is moved into it");
    }
}

impl Drop for Cgroup {
    /// It can be removed once its last process has gone, which is a moment after its parent knows.
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
