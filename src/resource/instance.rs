//! `service.instance.id`: which of a service's processes this is.

use std::sync::OnceLock;

/// "A random Version 1 or Version 4 UUID" (semantic conventions, service): the same one for every pipeline of a process.
pub(crate) fn instance_id() -> String {
    static KNOWN: OnceLock<(u32, String)> = OnceLock::new();
    let process = std::process::id();
    let (owner, id) = KNOWN.get_or_init(|| (process, random(process)));
    if *owner == process {
        id.clone()
    } else {
        // A copy of the process that made it.
        random(process)
    }
}

/// Copies of a process draw the same numbers, and only the process's own makes them differ.
fn random(process: u32) -> String {
    version_4(fastrand::u128(..) ^ u128::from(process))
}

/// RFC 9562: version 4, variant 0b10.
fn version_4(random: u128) -> String {
    let version = random & !(0xF << 76) | 0x4 << 76;
    let bits = version & !(0x3 << 62) | 0x2 << 62;
    let digits = format!("{bits:032x}");
    let mut out = String::with_capacity(36);
    for (place, digit) in digits.chars().enumerate() {
        if [8, 12, 16, 20].contains(&place) {
            out.push('-');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spec_9_13_an_instance_has_a_uuid_of_version_4() {
        assert_eq!(version_4(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(version_4(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let parts: Vec<usize> = instance_id().split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn spec_9_13_a_process_is_one_instance_and_another_process_is_another() {
        assert_eq!(instance_id(), instance_id());
        fastrand::seed(7);
        let one = random(1);
        fastrand::seed(7);
        assert_ne!(one, random(2));
    }
}
