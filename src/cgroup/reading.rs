//! What the cgroups of the process say of memory now.

use super::place::{Place, Version};
use crate::resource::World;

/// Of a limit, this part is left to others: who comes so near to it is slowed, and then killed.
const RESERVE: u64 = 16;

/// What follows from the process's cgroup and all above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    /// The smallest limit, in bytes; `None` where there is none.
    pub(super) limit: Option<u64>,
    /// Bytes that may be used before a sixteenth of a limit is left, in whichever cgroup that is fewest; less than none where less is
    /// left already. `None` where there is no limit, or nothing is known of what is used.
    pub(super) spare: Option<i64>,
    /// Percent of the last ten seconds in which a task waited for memory, in whichever cgroup that is most.
    pub(super) stalled: f64,
}

impl Reading {
    const NOTHING: Self = Self {
        limit: None,
        spare: None,
        stalled: 0.0,
    };

    pub(super) fn take(world: &World, place: &Place) -> Self {
        let readings = place.folders.iter().map(|folder| match place.version {
            Version::One => Self::of_one(world, folder),
            Version::Two => Self::of_two(world, folder),
        });
        readings.fold(Self::NOTHING, Self::and)
    }

    /// What is used beyond `memory.high` is reclaimed, and its tasks are slowed; beyond `memory.max` something is killed.
    fn of_two(world: &World, folder: &str) -> Self {
        let bytes = |name| number(world, &format!("{folder}/{name}"));
        let limit = [bytes("memory.high"), bytes("memory.max")];
        let limit = limit.into_iter().flatten().min();
        let used = limit.and_then(|_| bytes("memory.current"));
        let used =
            used.map(|used| used.saturating_sub(reclaimable(world, folder, "inactive_file")));
        Self::of(limit, used, pressure(world, folder).unwrap_or_default())
    }

    fn of_one(world: &World, folder: &str) -> Self {
        let bytes = |name| number(world, &format!("{folder}/{name}"));
        // Without a limit it is the largest number of pages.
        let limit = bytes("memory.limit_in_bytes").filter(|limit| *limit < i64::MAX as u64 / 2);
        let used = limit.and_then(|_| bytes("memory.usage_in_bytes"));
        let key = "total_inactive_file";
        let used = used.map(|used| used.saturating_sub(reclaimable(world, folder, key)));
        Self::of(limit, used, 0.0)
    }

    fn of(limit: Option<u64>, used: Option<u64>, stalled: f64) -> Self {
        let spare = limit.zip(used).map(|(limit, used)| {
            let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
            signed(limit - limit / RESERVE).saturating_sub(signed(used))
        });
        Self {
            limit,
            spare,
            stalled,
        }
    }

    /// The worse of both.
    fn and(self, other: Self) -> Self {
        let least = |one: Option<i64>, other| [one, other].into_iter().flatten().min();
        Self {
            limit: [self.limit, other.limit].into_iter().flatten().min(),
            spare: least(self.spare, other.spare),
            stalled: self.stalled.max(other.stalled),
        }
    }
}

/// A file that holds a number; `max` is none.
fn number(world: &World, path: &str) -> Option<u64> {
    world.line(path)?.parse().ok()
}

/// Bytes of files that were read and not looked at since, which the kernel gives up before anything else: they are used, and free all the
/// same.
fn reclaimable(world: &World, folder: &str, key: &str) -> u64 {
    let text = world.read(&format!("{folder}/memory.stat"));
    let text = text.unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(name, _)| *name == key);
    found
        .and_then(|(_, bytes)| bytes.trim().parse().ok())
        .unwrap_or(0)
}

/// `some avg10=1.23 avg60=...`: percent of the last ten seconds in which at least one task waited.
fn pressure(world: &World, folder: &str) -> Option<f64> {
    let text = world.read(&format!("{folder}/memory.pressure"))?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let mut averages = some.split(' ');
    let percent = averages.find_map(|average| average.strip_prefix("avg10="))?;
    percent
        .parse()
        .ok()
        .filter(|percent: &f64| percent.is_finite())
}

#[cfg(test)]
mod tests;
