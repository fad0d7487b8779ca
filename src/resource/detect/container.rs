//! The container (semantic conventions, container): its id, out of the names that runtimes give to cgroups and mounts.

use super::kubernetes;
use crate::resource::World;

/// The id's hexadecimal digits.
const DIGITS: usize = 64;

/// By the cgroup (version 1, or version 2 in the host's namespace), else by what the runtime mounts into the container.
pub(super) fn id(world: &World) -> Option<String> {
    let cgroups = world.read("/proc/self/cgroup").unwrap_or_default();
    // `hierarchy:controllers:path`; containerd has colons in the path.
    let mut paths = cgroups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2));
    let of_cgroup = paths.find_map(in_cgroup);
    if let Some(id) = of_cgroup {
        return Some(id.to_owned());
    }
    in_mounts(&mounts(world), kubernetes::is_pod(world)).map(str::to_owned)
}

/// A line of mountinfo (proc_pid_mountinfo(5)), as far as it matters.
pub(super) struct Mount<'a> {
    /// The folder of the file system that is mounted.
    pub(super) root: &'a str,
    /// Where it is mounted.
    pub(super) point: &'a str,
    is_cgroup: bool,
}

/// The text of mountinfo, and the mounts in it.
pub(super) struct Mounts(String);

pub(super) fn mounts(world: &World) -> Mounts {
    Mounts(world.read("/proc/self/mountinfo").unwrap_or_default())
}

impl Mounts {
    pub(super) fn iter(&self) -> impl Iterator<Item = Mount<'_>> {
        self.0.lines().filter_map(|line| {
            let mut fields = line.split(' ');
            let root = fields.nth(3)?;
            let point = fields.next()?;
            let kind = line.split(" - ").nth(1).unwrap_or_default();
            let is_cgroup = kind.starts_with("cgroup");
            Some(Mount {
                root,
                point,
                is_cgroup,
            })
        })
    }
}

/// The innermost id in a cgroup's path: `/docker/<id>`, `/kubepods/pod<uid>/<id>`, `/machine.slice/libpod-<id>.scope`,
/// `/kubepods.slice/cri-containerd-<id>.scope`, `/kubepods-pod<uid>.slice:cri-containerd:<id>`.
fn in_cgroup(path: &str) -> Option<&str> {
    path.rsplit('/').find_map(|segment| {
        let name = segment.strip_suffix(".scope").unwrap_or(segment);
        let id = name.rsplit(['-', ':']).next()?;
        // CRI-O's and Podman's monitor of a container has the container's id in its name.
        (is_id(id) && !name.contains("conmon")).then_some(id)
    })
}

/// Podman and CRI-O mount `.containerenv` out of the container's own folder, Docker and Podman `/etc/hostname`. In a pod the
/// latter belongs to the sandbox, which is another container.
fn in_mounts(mounts: &Mounts, is_pod: bool) -> Option<&str> {
    let at = |point: &str| {
        let mut there = mounts.iter().filter(|mount| mount.point == point);
        there.find_map(|mount| of_runtime(mount.root))
    };
    let of_hostname = || if is_pod { None } else { at("/etc/hostname") };
    let of_cgroup = || {
        let mut cgroups = mounts.iter().filter(|mount| mount.is_cgroup);
        cgroups.find_map(|mount| in_cgroup(mount.root))
    };
    at("/run/.containerenv")
        .or_else(of_hostname)
        .or_else(of_cgroup)
}

/// The id behind the folder of all containers: `/var/lib/docker/containers/<id>/hostname`,
/// `/containers/storage/overlay-containers/<id>/userdata/hostname`.
fn of_runtime(root: &str) -> Option<&str> {
    let mut segments = root.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segments.peek() {
            Some(id) if segment.ends_with("containers") && is_id(id) => return Some(id),
            _ => {}
        }
    }
    None
}

fn is_id(text: &str) -> bool {
    text.len() == DIGITS && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}
