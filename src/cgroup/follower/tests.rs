use std::fs;

use super::*;
use crate::resource::tests::Tree;
use crate::stats::Counts;

const MIB: usize = 1 << 20;
const SECOND: u64 = 1_000_000_000;

#[test]
fn the_budget_follows_the_files() {
    let mount = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
    let tree = Tree::new(&[
        ("/proc/self/cgroup", "0::/app\n"),
        ("/proc/self/mountinfo", mount),
        ("/sys/fs/cgroup/app/memory.max", "max\n"),
    ]);
    let write = |name: &str, text: &str| {
        let path = tree.path(&format!("/sys/fs/cgroup/app/{name}"));
        fs::write(path, text).expect("it is written");
    };
    let (budget, ledger) = (Arc::new(Budget::new(32 * MIB)), Arc::default());
    let follower = Follower::new(tree.world(&[]), &budget, MIB, &ledger);
    let follower = follower.expect("there is a cgroup");
    let look = |second: u64| (follower.look_at(second * SECOND), budget.limit() / MIB);
    assert_eq!(look(100), (false, 32));
    write("memory.max", "134217728\n");
    write("memory.current", "67108864\n");
    assert!(!follower.look_at(100 * SECOND + 1), "not a second later");
    assert_eq!(look(101), (true, 16));
    write("memory.current", "134000000\n");
    assert_eq!(look(102), (true, 8));
    write("memory.pressure", "some avg10=80.00\n");
    assert_eq!(look(103), (true, 4));
    assert_eq!(look(104), (false, 4));
    write("memory.pressure", "some avg10=0.00\n");
    write("memory.current", "1000000\n");
    assert_eq!((look(110), look(114)), ((false, 4), (false, 6)));
    // What is gone says nothing, and what was configured comes back.
    fs::remove_dir_all(tree.path("/sys/fs/cgroup")).expect("it goes");
    let last = (1..30)
        .map(|step| look(114 + 10 * step))
        .fold(None, |_, it| Some(it));
    assert_eq!(last, Some((false, 32)));
    let changes = ledger.snapshot(Counts::default()).memory_limit_changes();
    assert_eq!(changes, 3 + 14);
}

#[test]
fn without_a_cgroup_there_is_nothing_to_follow() {
    let (budget, ledger) = (Arc::new(Budget::new(MIB)), Arc::default());
    let world = Tree::new(&[]).world(&[]);
    assert!(Follower::new(world, &budget, MIB, &ledger).is_none());
}
