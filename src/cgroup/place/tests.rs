use super::*;
use crate::resource::tests::Tree;

const TWO: &str =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate";
const ONE: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";

fn find(cgroups: &str, mounts: &[&str]) -> Option<Place> {
    let mounts = mounts.join("\n");
    let files = [
        ("/proc/self/cgroup", cgroups),
        ("/proc/self/mountinfo", &mounts),
    ];
    Place::find(&Tree::new(&files).world(&[]))
}

fn folders(cgroups: &str, mounts: &[&str]) -> Vec<String> {
    find(cgroups, mounts).map_or_else(Vec::new, |place| place.folders)
}

#[test]
fn it_has_all_that_are_above_it() {
    let place = find(
        "0::/kubepods/pod7/c1\n",
        &["1 1 0:1 / / rw - ext4 /dev/a rw", TWO],
    );
    let expected = ["/kubepods/pod7/c1", "/kubepods/pod7", "/kubepods", ""];
    let expected = expected.map(|path| format!("/sys/fs/cgroup{path}"));
    assert_eq!(
        place,
        Some(Place {
            version: Version::Two,
            folders: expected.to_vec()
        })
    );
}

#[test]
fn a_machine_with_both_versions_limits_memory_by_the_first() {
    let cgroups = "4:cpu,memory:/a\n1:cpu:/b\n0::/c\n";
    let unified = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
    let other = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
    let place = find(cgroups, &[other, unified, ONE]);
    let place = place.expect("it is found");
    assert_eq!(place.version, Version::One);
    let expected = ["/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"];
    assert_eq!(place.folders, expected);
    // Its own controllers are mounted nowhere: then by the second.
    let place = find(cgroups, &[unified, other]).expect("it is found");
    assert_eq!(place.version, Version::Two);
    let expected = ["/sys/fs/cgroup/unified/c", "/sys/fs/cgroup/unified"];
    assert_eq!(place.folders, expected);
}

#[test]
fn a_container_sees_its_own_cgroup_as_the_root() {
    // By a namespace of its own.
    assert_eq!(folders("0::/\n", &[TWO]), ["/sys/fs/cgroup"]);
    // By a mount of a part of the hierarchy.
    let part = "35 31 0:32 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
    let of = |path: &str| folders(&format!("4:memory:{path}\n"), &[part]);
    assert_eq!(of("/docker/ab"), ["/sys/fs/cgroup/memory"]);
    let inner = ["/sys/fs/cgroup/memory/x", "/sys/fs/cgroup/memory"];
    assert_eq!(of("/docker/ab/x"), inner);
    for outside in ["/docker/abc", "/elsewhere", "/../other", "/"] {
        assert_eq!(of(outside), ["/sys/fs/cgroup/memory"], "{outside}");
    }
}

#[test]
fn where_there_is_none_nothing_is_found() {
    for (cgroups, mounts) in [
        ("", vec![TWO]),
        ("0::/a\n", vec![]),
        ("0::/a\n", vec![ONE]),
        ("1:cpu:/a\n", vec![TWO, ONE]),
        ("garbage\n::\n", vec!["garbage - - -", " - cgroup2"]),
    ] {
        assert_eq!(find(cgroups, &mounts), None, "{cgroups} {mounts:?}");
    }
    assert_eq!(Place::find(&Tree::new(&[]).world(&[])), None);
}

#[test]
fn what_is_deeper_than_anybody_makes_it_is_not_walked() {
    let deep = format!("0::{}\n", "/a".repeat(1_000));
    assert_eq!(folders(&deep, &[TWO]), ["/sys/fs/cgroup"]);
}
