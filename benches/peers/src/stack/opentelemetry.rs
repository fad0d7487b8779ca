//! tracing-opentelemetry over the SDK's `BatchSpanProcessor`.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    self, BatchConfig, BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData,
    SpanExporter, SpanLimits,
};
use tokio::runtime::{self, Runtime};
use tracing_opentelemetry::OpenTelemetryLayer;

use super::{Destination, Limits, Running, SERVICE, Sampler, Settings, install_layer};
use crate::sink::Sink;

/// Longer than any backlog takes, so that what a shutdown would cut off is not counted as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Some 60 MiB when it is full, twice our budget: in its favour.
const TUNED_QUEUE: usize = 65_536;

/// The best of 256 to 16,384 for the highest rate and the CPU time; larger batches cost more of
/// both.
const TUNED_BATCH: usize = 1_024;

struct OpenTelemetry {
    provider: SdkTracerProvider,
    /// tonic's connection lives on it; one worker is the least that it needs.
    _runtime: Runtime,
}

pub(super) fn install(settings: &Settings, defaults: bool) -> Box<dyn Running> {
    let runtime = runtime();
    let config = if defaults {
        BatchConfig::default()
    } else {
        BatchConfigBuilder::default()
            .with_max_queue_size(TUNED_QUEUE)
            .with_max_export_batch_size(TUNED_BATCH)
            .build()
    };
    let processor = match &settings.destination {
        Destination::Sink(sink) => BatchSpanProcessor::new(SinkExporter(sink.clone()), config),
        Destination::Collector(endpoint) => {
            BatchSpanProcessor::new(grpc_exporter(&runtime, endpoint), config)
        }
    };
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name(SERVICE).build())
        .with_span_processor(processor)
        .with_sampler(sampler(settings.sampler))
        .with_span_limits(limits(settings.limits))
        .build();
    let layer = OpenTelemetryLayer::new(provider.tracer(SERVICE))
        .with_context_activation(settings.context_activation);
    if defaults {
        install_layer(layer, settings);
    } else {
        let layer = layer
            .with_target(true)
            .with_location(true)
            .with_threads(false)
            .with_tracked_inactivity(settings.busy_and_idle);
        install_layer(layer, settings);
    }
    Box::new(OpenTelemetry {
        provider,
        _runtime: runtime,
    })
}

/// # Panics
///
/// For rules, of which the SDK has none.
fn sampler(sampler: Sampler) -> trace::Sampler {
    let of_roots = match sampler {
        Sampler::On => trace::Sampler::AlwaysOn,
        Sampler::Ratio(ratio) => trace::Sampler::TraceIdRatioBased(ratio),
        Sampler::Rules => panic!("the SDK has no rules"),
    };
    trace::Sampler::ParentBased(Box::new(of_roots))
}

fn limits(limits: Limits) -> SpanLimits {
    let mut theirs = SpanLimits::default();
    if let Some(attributes) = limits.attributes {
        theirs.max_attributes_per_span = attributes;
    }
    if let Some(events) = limits.events {
        theirs.max_events_per_span = events;
    }
    theirs
}

/// The runtime of an exporter that needs one.
pub(super) fn runtime() -> Runtime {
    runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts")
}

/// The OTLP exporter over gRPC; it also serves fastrace's reporter.
pub(super) fn grpc_exporter(
    runtime: &Runtime,
    endpoint: &str,
) -> impl SpanExporter + 'static + use<> {
    let _entered = runtime.enter();
    opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .expect("the endpoint is valid")
}

impl Running for OpenTelemetry {
    fn make_global(&self) {
        opentelemetry::global::set_tracer_provider(self.provider.clone());
    }

    fn flush(&self) {
        // A backlog longer than the SDK's own time limit is no error of the bench.
        let _ = self.provider.force_flush();
    }

    fn finish(&self, _made: u64) {
        let _ = self.provider.shutdown_with_timeout(PATIENCE);
    }
}

#[derive(Debug)]
struct SinkExporter(Sink);

impl SpanExporter for SinkExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.take(batch.len() as u64);
        Ok(())
    }
}
