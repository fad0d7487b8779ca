//! This program, built without bridges and with them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::case::{Build, Case};

pub(crate) struct Programs(Vec<(Build, PathBuf)>);

impl Programs {
    /// # Panics
    ///
    /// When a build fails: there is nothing to measure then.
    pub(crate) fn build() -> Self {
        // Its file is replaced by each build.
        let own = std::env::current_exe().expect("the path of this executable");
        let build = |build: Build| {
            cargo(&own, build);
            let copy = own.with_file_name(format!("bridges-{}", build.name()));
            std::fs::copy(&own, &copy).expect("the program is copied");
            (build, copy)
        };
        Self(Build::ALL.map(build).into())
    }

    pub(crate) fn of(&self, case: &Case) -> Command {
        let mut all = self.0.iter();
        let found = all.find(|(build, _)| *build == case.build);
        let (_, path) = found.expect("each build is made");
        Command::new(path)
    }
}

/// Builds into the folder that this program lies in.
fn cargo(own: &Path, build: Build) {
    let target = own.ancestors().nth(2).expect("target/release/bridges");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "-p", "peers"])
        .args(["--bin", "bridges", "--features", build.features()])
        .arg("--target-dir")
        .arg(target)
        .status()
        .expect("cargo starts");
    assert!(status.success(), "{} does not build", build.name());
}
