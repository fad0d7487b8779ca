//! What is held back: where memory is short, and what is sent a second.

use std::time::Duration;

use crate::config::{Origin, RateLimit, Restraint, Setting};
use crate::error::Error;
use crate::pipeline::explain::Explanation;
use crate::pipeline::restraint::Wanted;

/// A program that waits longer for its telemetry has a mistake in it.
const LONGEST: Duration = Duration::from_secs(10);

pub(super) fn resolve(code: Wanted, explained: &mut Explanation) -> Result<Restraint, Error> {
    let Wanted {
        shedding,
        blocking,
        follows_cgroup,
        rate,
        drop_above,
    } = code;
    const BLOCKING: &str = "Builder::with_blocking";
    if let Some(wrong) = blocking.filter(|most| *most > LONGEST) {
        return Err(Error::config(format!(
            "{BLOCKING}: {wrong:?} is more than {LONGEST:?}"
        )));
    }
    let shedding = Setting::of_code(shedding, "Builder::with_shedding", false);
    let sheds = explained.settle("shedding", shedding);
    if follows_cgroup.is_some() {
        let origin = Origin::Code("Builder::with_memory_following_cgroup");
        explained.state(
            "memory_following_cgroup",
            follows_cgroup == Some(true),
            origin,
        );
    }
    if blocking.is_some() {
        let blocking = Setting::of_code(blocking, BLOCKING, Duration::ZERO);
        explained.settle("blocking", blocking);
    }
    let rate =
        rate.map(|_| Setting::of_code(rate, "Builder::with_rate_limit", RateLimit::default()));
    let rate = rate.map(|rate| explained.settle("rate_limit", rate));
    if let Some(limit) = drop_above {
        let origin = Origin::Code("Builder::with_drop_above");
        explained.state("drop_above", format_args!("{limit:?}"), origin);
    }
    let waits = blocking.filter(|most| !most.is_zero());
    Ok(Restraint {
        sheds,
        waits,
        follows_cgroup: follows_cgroup.unwrap_or_default(),
        drop_above: drop_above.unwrap_or_default(),
        rate: rate.unwrap_or_default(),
    })
}
