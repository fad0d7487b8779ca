//! The process (semantic conventions, process). The version of the compiler is not known when a program runs.

use super::Found;
use crate::resource::World;

pub(super) fn detect(world: &World, found: &mut Found) {
    found.put("process.pid", Some(i64::from(std::process::id())));
    found.put("process.executable.name", world.executable_name());
    found.put("process.executable.path", world.executable_path());
    found.put("process.owner", owner(world));
}

/// The name of the user, by the effective user id where that is known.
fn owner(world: &World) -> Option<String> {
    let Some(status) = world.read("/proc/self/status") else {
        let variable = world.any_variable(&["USER", "USERNAME"]);
        return variable.map(str::to_owned);
    };
    let mut lines = status.lines();
    let ids = lines.find_map(|line| line.strip_prefix("Uid:"))?;
    let effective = ids.split_whitespace().nth(1)?;
    let users = world.read("/etc/passwd")?;
    let mut users = users.lines().map(|line| line.split(':'));
    users.find_map(|mut fields| {
        let name = fields.next()?;
        let id = fields.nth(1)?;
        (id == effective && !name.is_empty()).then(|| name.to_owned())
    })
}
