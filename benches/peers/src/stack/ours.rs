//! The layer of `tracing-otlp`.

use std::hint::black_box;
use std::time::Duration;

use tracing_otlp::{
    Answer, Guard, Processor, Record, Redaction, Request, Rule, Sending, Tail, Transport, Value,
};

use super::{
    Destination, HEALTH, Hook, Limits, Running, SERVICE, Sampler, Settings, install_layer,
};
use crate::sink::Sink;

/// As long as the peers get.
const PATIENCE: Duration = Duration::from_secs(60);

struct Ours(Guard);

pub(super) fn install(settings: &Settings) -> Box<dyn Running> {
    let builder = tracing_otlp::layer()
        .with_service_name(SERVICE)
        .with_target(true)
        .with_location(true)
        .with_memory_limit(settings.memory_limit)
        .with_sampler(sampler(settings.sampler))
        .with_limits(limits(settings.limits))
        .with_busy_and_idle(settings.busy_and_idle);
    let builder = match settings.hook {
        None => builder,
        Some(Hook::Redaction) => builder.with_processor(Redaction::new()),
        Some(hook) => builder.with_processor(Looks(hook)),
    };
    let builder = match settings.tail {
        Some(ratio) => builder.with_tail_sampling(Tail::default().with_ratio(ratio)),
        None => builder,
    };
    #[cfg(feature = "contexts")]
    let builder = builder.with_context_activation(settings.context_activation);
    let builder = match &settings.destination {
        Destination::Sink(sink) => builder.with_transport(SinkTransport(sink.clone())),
        Destination::Collector(endpoint) => builder
            .with_endpoint(endpoint)
            .with_protocol(settings.transport.protocol)
            .with_compression(settings.transport.compression),
    };
    let (layer, guard) = builder.build().expect("the configuration is valid");
    install_layer(layer, settings);
    Box::new(Ours(guard))
}

/// A processor that looks, and changes nothing.
struct Looks(Hook);

impl Processor for Looks {
    fn on_start(&self, span: &mut Record<'_>) {
        if matches!(self.0, Hook::Start) {
            black_box(span.attribute("http.request.method"));
        }
    }

    fn on_value(&self, key: &str, value: &mut Value<'_>) {
        if matches!(self.0, Hook::Value) {
            black_box((key, value));
        }
    }

    fn on_end(&self, record: &mut Record<'_>) {
        if matches!(self.0, Hook::End) {
            black_box(record.attribute("http.request.method"));
        }
    }
}

fn sampler(sampler: Sampler) -> tracing_otlp::Sampler {
    let on = tracing_otlp::Sampler::always_on;
    let of_roots = match sampler {
        Sampler::On => on(),
        Sampler::Ratio(ratio) => tracing_otlp::Sampler::ratio(ratio),
        Sampler::Rules => {
            let off = tracing_otlp::Sampler::always_off();
            let health = Rule::new().name(format!("{HEALTH}*")).sampler(off);
            tracing_otlp::Sampler::rules([health], on())
        }
    };
    tracing_otlp::Sampler::parent_based(of_roots)
}

fn limits(limits: Limits) -> tracing_otlp::Limits {
    let mut ours = tracing_otlp::Limits::default();
    if let Some(characters) = limits.value_length {
        ours = ours.with_value_length(characters);
    }
    if let Some(attributes) = limits.attributes {
        ours = ours.with_attributes(attributes);
    }
    if let Some(events) = limits.events {
        ours = ours.with_events(events);
    }
    if let Some(bytes) = limits.record_bytes {
        ours = ours.with_record_bytes(bytes);
    }
    ours
}

impl Running for Ours {
    #[cfg(feature = "contexts")]
    fn make_global(&self) {
        tracing_otlp::bridge::opentelemetry_0_33::set_global(&self.0.handle());
    }

    fn flush(&self) {
        // Records that were dropped at full speed are an error of the flush; the tables show them.
        let _ = self.0.handle().flush(PATIENCE);
    }

    /// # Panics
    ///
    /// When the ledger does not balance, for then no number of it can be published.
    fn finish(&self, _made: u64) {
        let handle = self.0.handle();
        let _ = handle.shutdown(PATIENCE);
        let stats = handle.stats();
        assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
    }

    fn dropped(&self) -> Option<u64> {
        let stats = self.0.handle().stats();
        Some(stats.dropped() + stats.rejected())
    }

    fn retries(&self) -> Option<u64> {
        Some(self.0.handle().stats().retries())
    }
}

struct SinkTransport(Sink);

impl Transport for SinkTransport {
    fn send(&self, request: Request) -> Sending {
        self.0.take(request.records());
        Box::pin(std::future::ready(Ok(Answer::delivered())))
    }
}
