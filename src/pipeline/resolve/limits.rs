//! How much a span or a log record may hold.

use crate::config::{Limits, Setting};
use crate::env::{Environment, OfSignal};
use crate::pipeline::explain::Explanation;

/// Of spans, and of what is in them.
pub(super) fn of_spans(
    code: Option<Limits>,
    environment: &Environment,
    explained: &mut Explanation,
) -> Limits {
    let mut said = Said {
        code,
        method: "Builder::with_limits",
        explained,
    };
    let Environment {
        traces,
        events,
        links,
        attributes_per_event,
        attributes_per_link,
        ..
    } = environment;
    let counts = Limits {
        attributes: said.count("attributes", |l| l.attributes, traces.attributes),
        events: said.count("events", |l| l.events, *events),
        links: said.count("links", |l| l.links, *links),
        attributes_per_event: said.count(
            "attributes_per_event",
            |l| l.attributes_per_event,
            *attributes_per_event,
        ),
        attributes_per_link: said.count(
            "attributes_per_link",
            |l| l.attributes_per_link,
            *attributes_per_link,
        ),
        ..Limits::default()
    };
    said.sizes(counts, traces)
}

/// Of log records, which have attributes alone.
pub(super) fn of_logs(
    code: Option<Limits>,
    environment: &OfSignal,
    explained: &mut Explanation,
) -> Limits {
    let mut said = Said {
        code,
        method: "Logs::with_limits",
        explained,
    };
    let counts = Limits {
        attributes: said.count("attributes", |l| l.attributes, environment.attributes),
        ..Limits::default()
    };
    said.sizes(counts, environment)
}

/// What the code says, by which method, and where that is noted.
struct Said<'a> {
    code: Option<Limits>,
    method: &'static str,
    explained: &'a mut Explanation,
}

impl Said<'_> {
    fn count(
        &mut self,
        name: &str,
        of: fn(&Limits) -> u32,
        environment: Option<Setting<u32>>,
    ) -> u32 {
        let (code, default) = (self.code.as_ref().map(of), of(&Limits::default()));
        let setting = Setting::resolve(code, self.method, environment, default);
        self.explained.settle(&format!("limits.{name}"), setting)
    }

    /// How large values and records may be, beside these counts.
    fn sizes(&mut self, counts: Limits, environment: &OfSignal) -> Limits {
        let default = Limits::default();
        let value_depth = self.count("value_depth", |l| l.value_depth, None);
        let length = Setting::resolve(
            self.code.map(|limits| limits.value_length),
            self.method,
            environment
                .value_length
                .map(|set| Setting::new(Some(set.value), set.origin)),
            default.value_length,
        );
        let shown = length
            .value
            .map_or("not limited".to_owned(), |most| most.to_string());
        let explained = &mut *self.explained;
        explained.state("limits.value_length", shown, length.origin);
        let bytes = self.code.map(|limits| limits.record_bytes);
        let bytes = Setting::of_code(bytes, self.method, default.record_bytes);
        Limits {
            value_depth,
            value_length: length.value,
            record_bytes: explained.settle("limits.record_bytes", bytes),
            ..counts
        }
    }
}
