//! A world that a test makes up.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::*;

/// Files below a folder of its own, which goes with it.
pub(crate) struct Tree(PathBuf);

impl Tree {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        // A folder of its own for each: one that they shared would be removed by one tree while another is made in it.
        let name = format!(
            "tracing-otlp-resource-{}-{}",
            std::process::id(),
            fastrand::u64(..)
        );
        let tree = Self(std::env::temp_dir().join(name));
        fs::create_dir(&tree.0).unwrap();
        for (path, content) in files {
            let path = tree.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        tree
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    pub(crate) fn world(&self, variables: &[(&str, &str)]) -> World {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        World {
            root: self.0.clone(),
            variables: variables.iter().map(owned).collect(),
            executable: Some(PathBuf::from("/opt/shop/checkout")),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_file_is_read_up_to_64_kib_and_as_far_as_it_is_unicode() {
    let tree = Tree::new(&[("/etc/long", &"x".repeat(100_000)), ("/etc/empty", "")]);
    fs::write(tree.path("/etc/wrong"), b"a\xFFb\n").unwrap();
    let world = tree.world(&[]);
    assert_eq!(world.read("/etc/long").unwrap().len(), 64 << 10);
    assert_eq!(world.read("/etc/empty").unwrap(), "");
    assert_eq!(world.line("/etc/empty"), None);
    assert_eq!(world.line("/etc/wrong").unwrap(), "a\u{FFFD}b");
    assert_eq!(world.read("/etc/none"), None);
}

#[test]
#[cfg(unix)]
fn what_is_no_regular_file_is_not_opened() {
    let tree = Tree::new(&[("/etc/hostname", "")]);
    std::os::unix::fs::symlink("/dev/zero", tree.path("/etc/zero")).unwrap();
    let pipe = tree.path("/etc/pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    let world = tree.world(&[]);
    assert_eq!(world.read("/etc/zero"), None);
    assert_eq!(world.read("/etc"), None);
    if made.is_ok_and(|status| status.success()) {
        // Would wait for a writer.
        assert_eq!(world.read("/etc/pipe"), None);
    }
}

#[test]
fn a_variable_that_is_empty_is_not_set() {
    let tree = Tree::new(&[]);
    let world = tree.world(&[("A", " "), ("B", " 7 ")]);
    assert_eq!(world.variable("A"), None);
    assert_eq!(world.any_variable(&["A", "B"]), Some("7"));
    assert_eq!(world.integer("B"), Some(7));
}

#[test]
fn an_executable_that_was_replaced_keeps_its_name() {
    let mut world = Tree::new(&[]).world(&[]);
    world.executable = Some(PathBuf::from("/opt/shop/checkout (deleted)"));
    assert_eq!(world.executable_name().unwrap(), "checkout");
    world.executable = None;
    assert_eq!(world.executable_name(), None);
}
