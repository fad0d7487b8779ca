//! Where the process is among the cgroups that limit memory.
//!
//! `/proc/self/cgroup` has the path in the hierarchy, and `/proc/self/mountinfo` where that is mounted, and which part of it. In a
//! container either of them may begin at the container. Both versions are known; where a machine has both, memory is limited
//! by the first.

use crate::resource::World;

/// Of a hierarchy no more is looked at: one that is deeper is none that anybody made for limits.
const DEEPEST: usize = 32;

/// The folders of the process's cgroup and of all above it, the own one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) version: Version,
    pub(super) folders: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

impl Place {
    /// `None`: there is none, or it cannot be found.
    pub(super) fn find(world: &World) -> Option<Self> {
        let cgroups = world.read("/proc/self/cgroup")?;
        let mounts = world.read("/proc/self/mountinfo")?;
        let one = path_of(&cgroups, |controllers| {
            controllers.split(',').any(|name| name == "memory")
        });
        let two = path_of(&cgroups, str::is_empty);
        [(Version::One, one), (Version::Two, two)]
            .into_iter()
            .find_map(|(version, path)| {
                let path = path?;
                let mount = mounts.lines().find_map(|line| Mount::of(line, version))?;
                let folders = mount.folders(path)?;
                Some(Self { version, folders })
            })
    }
}

/// The path in the hierarchy whose controllers are these: the third part of `4:memory:/path`.
fn path_of(cgroups: &str, is_wanted: impl Fn(&str) -> bool) -> Option<&str> {
    cgroups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        is_wanted(controllers).then_some(path)
    })
}

/// Where a hierarchy is mounted, and from which of its cgroups on.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
}

impl<'a> Mount<'a> {
    /// A line is `ID PARENT DEVICE ROOT POINT OPTIONS [TAGS] - TYPE SOURCE OPTIONS`.
    fn of(line: &'a str, version: Version) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let (kind, options) = (system.next()?, system.nth(1).unwrap_or_default());
        let is_it = match version {
            Version::One => kind == "cgroup" && options.split(',').any(|name| name == "memory"),
            Version::Two => kind == "cgroup2",
        };
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        is_it.then_some(Self { root, point })
    }

    /// The cgroup's folder, and those above it as far as they are mounted. A cgroup that is outside of what is mounted is seen from the
    /// inside as what is mounted.
    fn folders(&self, path: &str) -> Option<Vec<String>> {
        let below = match self.root {
            "/" => path,
            root => path.strip_prefix(root).unwrap_or_default(),
        };
        // `/a/bc` is not below `/a/b`.
        let below = match below.is_empty() || below.starts_with('/') {
            true => below,
            false => "",
        };
        let names: Vec<&str> = below.split('/').filter(|name| !name.is_empty()).collect();
        let is_outside = names.contains(&"..") || names.len() > DEEPEST;
        let names = if is_outside { &[] } else { names.as_slice() };
        let folder = |depth| {
            let mut folder = self.point.trim_end_matches('/').to_owned();
            for name in names.get(..depth)? {
                folder.push('/');
                folder.push_str(name);
            }
            Some(folder)
        };
        (0..=names.len()).rev().map(folder).collect()
    }
}

#[cfg(test)]
mod tests;
