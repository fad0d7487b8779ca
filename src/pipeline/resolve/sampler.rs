//! Which sampler: the code's, else the environment's, else the specification's default.

use crate::config::{Origin, Setting};
use crate::env::Environment;
use crate::error::Error;
use crate::pipeline::explain::Explanation;
#[cfg(feature = "tail")]
use crate::sampler::Tail;
use crate::sampler::{Named, Sampler};

const METHOD: &str = "Builder::with_sampler";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

pub(super) fn sampler(
    code: Option<Sampler>,
    environment: &Environment,
    explained: &mut Explanation,
) -> Result<Sampler, Error> {
    if let Some(problem) = code.as_ref().and_then(Sampler::problem) {
        return Err(Error::config(format!("{METHOD}: {problem}")));
    }
    let said = match code {
        Some(_) => None,
        None => of_environment(environment, explained),
    };
    let setting = Setting::resolve(code, METHOD, said, Sampler::default());
    Ok(explained.settle("sampler", setting))
}

/// Tail sampling, which the code alone switches on.
#[cfg(feature = "tail")]
pub(super) fn tail(
    code: Option<Tail>,
    memory: usize,
    explained: &mut Explanation,
) -> Result<Option<Tail>, Error> {
    const METHOD: &str = "Builder::with_tail_sampling";
    let Some(tail) = &code else {
        return Ok(None);
    };
    if let Some(problem) = tail.problem(memory) {
        return Err(Error::config(format!("{METHOD}: {problem}")));
    }
    let text = format!("{tail}, in {} bytes", tail.room(memory));
    explained.state("tail_sampling", text, Origin::Code(METHOD));
    Ok(code)
}

/// "`OTEL_TRACES_SAMPLER_ARG`: the specified value will only be used if `OTEL_TRACES_SAMPLER` is set [...] Invalid or
/// unrecognized input MUST be logged and MUST be otherwise ignored".
fn of_environment(
    environment: &Environment,
    explained: &mut Explanation,
) -> Option<Setting<Sampler>> {
    let argument = environment.sampler_arg.as_ref().map(|set| &set.value);
    let mut ignored = |why: String| {
        if let Some(argument) = argument {
            explained.warn(format!("{ARGUMENT}={argument:?} is ignored: {why}"));
        }
    };
    let Some(Setting { value, origin }) = environment.sampler else {
        ignored("expected OTEL_TRACES_SAMPLER with the name of a sampler beside it".to_owned());
        return None;
    };
    let ratio = argument.and_then(|argument| read_ratio(argument));
    if !value.takes_ratio() {
        ignored(format!("{} takes no argument", value.name()));
    } else if ratio.is_none() {
        ignored("expected a number from 0 to 1; the ratio is 1".to_owned());
    }
    let origin = match origin {
        Origin::Environment(_) if value.takes_ratio() && ratio.is_some() => {
            Origin::Environment("OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG")
        }
        origin => origin,
    };
    Some(Setting::new(
        Named::sampler(value, ratio.unwrap_or(1.0)),
        origin,
    ))
}

fn read_ratio(text: &str) -> Option<f64> {
    let ratio: f64 = text.parse().ok()?;
    (0.0..=1.0).contains(&ratio).then_some(ratio)
}
