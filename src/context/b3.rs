//! B3, in one header and in several (openzipkin/b3-propagation; specification, B3 requirements).

use super::{Context, Extractor, Injector, SpanContext, TraceFlags, TraceState, hex};
use crate::id::{SpanId, TraceId};

const B3: &str = "b3";
const TRACE_ID: &str = "X-B3-TraceId";
const SPAN_ID: &str = "X-B3-SpanId";
const SAMPLED: &str = "X-B3-Sampled";
const FLAGS: &str = "X-B3-Flags";

pub(super) const SINGLE_FIELDS: &[&str] = &[B3];
/// The specification forbids `X-B3-ParentSpanId`.
pub(super) const MULTI_FIELDS: &[&str] = &[TRACE_ID, SPAN_ID, SAMPLED, FLAGS];

/// What B3 says of sampling beside or instead of the sampled flag, for which W3C has no place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wish {
    #[default]
    None,
    /// The whole trace is wanted, by a person. The sampled flag is set too.
    Debug,
    /// Nothing was said: whoever receives it decides. The sampled flag is not set, as elsewhere in OpenTelemetry.
    Deferred,
    /// There are no ids, and what begins here is not to be sampled.
    Denied,
}

/// `{trace id}-{span id}-{0, 1 or d}`, or the last one alone where it came alone.
pub(super) fn inject_single(context: &Context, carrier: &mut dyn Injector) {
    let Some(state) = State::of(context) else {
        return;
    };
    let mut text = String::with_capacity(32 + 1 + 16 + 2);
    if let Some(span) = context.span() {
        hex::write(&mut text, &span.trace_id().to_bytes());
        text.push('-');
        hex::write(&mut text, &span.span_id().to_bytes());
        if state != State::Deferred {
            text.push('-');
        }
    }
    text.push_str(state.text());
    carrier.set(B3, &text);
}

/// A debug flag says that the trace is sampled, so B3 does not send `X-B3-Sampled` beside it.
pub(super) fn inject_multi(context: &Context, carrier: &mut dyn Injector) {
    let Some(state) = State::of(context) else {
        return;
    };
    if let Some(span) = context.span() {
        carrier.set(TRACE_ID, &span.trace_id().to_string());
        carrier.set(SPAN_ID, &span.span_id().to_string());
    }
    match state {
        State::Deferred => {}
        State::Debug => carrier.set(FLAGS, "1"),
        State::Denied | State::Accepted => carrier.set(SAMPLED, state.text()),
    }
}

/// The single header goes before the others; those are read where it is not there, or cannot be read. What cannot be read at
/// all leaves the context as it was.
pub(super) fn extract(context: Context, carrier: &dyn Extractor) -> Context {
    let single = carrier.get(B3);
    let read = single.and_then(|text| read_single(&text));
    match read.or_else(|| read_multi(carrier)) {
        Some((Some(ids), state)) => with_ids(context, ids, state),
        // A word alone is for a trace that begins here.
        Some((None, State::Denied)) if context.span().is_none() => context.with_wish(Wish::Denied),
        Some((None, State::Debug)) if context.span().is_none() => context.with_wish(Wish::Debug),
        _ => context,
    }
}

/// Where another form told of the same span, what that form alone can say stays: tracestate and the other flags.
fn with_ids(context: Context, (trace_id, span_id): Ids, state: State) -> Context {
    let is_known =
        |known: &&SpanContext| known.trace_id() == trace_id && known.span_id() == span_id;
    let known = context.span().filter(is_known);
    let (trace_state, flags) = match known {
        Some(known) => (known.trace_state().clone(), known.flags().bits()),
        None => (TraceState::default(), 0),
    };
    let others = flags & !TraceFlags::SAMPLED.bits();
    let (flags, wish) = match state {
        State::Denied => (others, Wish::None),
        State::Accepted => (others | TraceFlags::SAMPLED.bits(), Wish::None),
        State::Debug => (others | TraceFlags::SAMPLED.bits(), Wish::Debug),
        State::Deferred if known.is_some() => (flags, Wish::None),
        State::Deferred => (flags, Wish::Deferred),
    };
    let span = SpanContext::remote(trace_id, span_id, TraceFlags::new(flags), trace_state);
    context.with_span(span).with_wish(wish)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Denied,
    Accepted,
    Debug,
    Deferred,
}

impl State {
    /// What is said of a context; `None` where there is nothing to say.
    fn of(context: &Context) -> Option<Self> {
        match (context.wish, context.span()) {
            (Wish::Debug, _) => Some(Self::Debug),
            (Wish::Denied, None) => Some(Self::Denied),
            (Wish::Deferred, Some(_)) => Some(Self::Deferred),
            (_, Some(span)) if span.is_sampled() => Some(Self::Accepted),
            (_, Some(_)) => Some(Self::Denied),
            (_, None) => None,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Denied => "0",
            Self::Accepted => "1",
            Self::Debug => "d",
            Self::Deferred => "",
        }
    }

    fn read(text: &str) -> Option<Self> {
        let known = [Self::Denied, Self::Accepted, Self::Debug];
        known.into_iter().find(|state| state.text() == text)
    }
}

type Ids = (TraceId, SpanId);

/// The longest: `{32 digits}-{16 digits}-{1 character}-{16 digits}`, of which the last is the parent's id, which is not used.
const LONGEST: usize = 32 + 1 + 16 + 1 + 1 + 1 + 16;

fn read_single(text: &str) -> Option<(Option<Ids>, State)> {
    if text.len() > LONGEST {
        return None;
    }
    if let Some(state) = State::read(text) {
        return Some((None, state));
    }
    let mut parts = text.split('-');
    let ids = (trace_id(parts.next()?)?, span_id(parts.next()?)?);
    let state = parts.next().map_or(Some(State::Deferred), State::read)?;
    if let Some(parent) = parts.next() {
        hex::read::<8>(parent.as_bytes())?;
    }
    parts.next().is_none().then_some((Some(ids), state))
}

/// Some tracers write `true` and `false`.
fn read_multi(carrier: &dyn Extractor) -> Option<(Option<Ids>, State)> {
    let ids = match (carrier.get(TRACE_ID), carrier.get(SPAN_ID)) {
        (Some(trace), Some(span)) => Some((trace_id(&trace)?, span_id(&span)?)),
        (None, None) => None,
        _ => return None,
    };
    if carrier.get(FLAGS).is_some_and(|flags| flags == "1") {
        return Some((ids, State::Debug));
    }
    let state = match carrier.get(SAMPLED).as_deref() {
        None => State::Deferred,
        Some("0" | "false") => State::Denied,
        Some("1" | "true") => State::Accepted,
        Some(_) => return None,
    };
    Some((ids, state))
}

/// 128 bits, or 64 with zeros before them.
fn trace_id(digits: &str) -> Option<TraceId> {
    let digits = digits.as_bytes();
    let short = || {
        let low = u64::from_be_bytes(hex::read(digits)?);
        Some(u128::from(low).to_be_bytes())
    };
    TraceId::from_bytes(hex::read(digits).or_else(short)?)
}

fn span_id(digits: &str) -> Option<SpanId> {
    SpanId::from_bytes(hex::read(digits.as_bytes())?)
}

#[cfg(test)]
mod tests;
