//! The host (semantic conventions, host).

use super::{Found, container, kubernetes};
use crate::resource::World;

pub(super) fn detect(world: &World, found: &mut Found) {
    found.put("host.name", name(world));
    found.put("host.arch", Some(arch(std::env::consts::ARCH)));
    found.put("host.id", id(world));
}

fn name(world: &World) -> Option<String> {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = files.into_iter().find_map(|file| world.line(file));
    name.or_else(|| {
        let variable = world.any_variable(&["HOSTNAME", "COMPUTERNAME"]);
        variable.map(str::to_owned)
    })
}

/// "If one of them applies, then the respective value MUST be used".
pub(super) fn arch(rust: &'static str) -> &'static str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// "For non-containerized systems, this should be the machine-id": a container's file comes with its image, or says nothing.
/// The sources are those which the conventions list and which are files.
fn id(world: &World) -> Option<String> {
    if container::id(world).is_some() || kubernetes::is_pod(world) {
        return None;
    }
    let files: &[&str] = if std::env::consts::OS.ends_with("bsd") {
        &["/etc/hostid"]
    } else {
        &["/etc/machine-id", "/var/lib/dbus/machine-id"]
    };
    let mut ids = files.iter().filter_map(|file| world.line(file));
    // Before a machine has started for the first time, systemd writes "uninitialized".
    ids.find(|id| id.len() >= 32 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-'))
}
