//! What detectors may look at: files below a root, the variables of the process, and its executable.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

/// Of a file no more is read.
const MOST_BYTES: u64 = 64 << 10;

/// The surroundings of a process, or in tests of one that is made up.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(super) root: PathBuf,
    pub(super) variables: HashMap<String, String>,
    pub(super) executable: Option<PathBuf>,
}

impl World {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        let variables = std::env::vars_os().map(|(name, value)| {
            let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
            (text(name), text(value))
        });
        Self {
            root: PathBuf::from("/"),
            variables: variables.collect(),
            executable: std::env::current_exe().ok(),
        }
    }

    /// The files that this process sees, and nothing else.
    pub(crate) fn of_files() -> Self {
        Self {
            root: PathBuf::from("/"),
            ..Self::default()
        }
    }

    /// These variables, and nothing else.
    #[cfg(test)]
    pub(crate) fn of_variables(variables: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            root: PathBuf::from("/nowhere"),
            variables: variables.iter().map(owned).collect(),
            executable: None,
        }
    }

    /// The name of the executable's file.
    pub(crate) fn executable_name(&self) -> Option<String> {
        let path = self.executable_path()?;
        let name = PathBuf::from(path);
        Some(name.file_name()?.to_string_lossy().into_owned())
    }

    /// Linux marks one that was replaced while it ran.
    pub(super) fn executable_path(&self) -> Option<String> {
        let path = self.executable.as_ref()?.to_string_lossy();
        let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
        (!path.is_empty()).then(|| path.to_owned())
    }

    /// A variable that is set, and not to nothing.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// The first of these variables that is set.
    pub(super) fn any_variable(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.variable(name))
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.variable(name)?.parse().ok()
    }

    /// The beginning of a regular file; anything else (a pipe, a device) might never end, and is as good as none. What is no
    /// Unicode is read as far as it is.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let path = self.root.join(path.trim_start_matches('/'));
        if !fs::metadata(&path).ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        let file = File::open(path).ok()?;
        file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The first line of a file that says something and is no comment.
    pub(crate) fn line(&self, path: &str) -> Option<String> {
        let text = self.read(path)?;
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
        Some(line.to_owned())
    }
}
