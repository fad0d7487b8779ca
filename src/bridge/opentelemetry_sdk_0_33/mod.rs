//! The crate `opentelemetry_sdk`, version 0.33, with the feature `opentelemetry-sdk-0_33`: its parts in a pipeline of this crate, and a
//! pipeline as an exporter of theirs ([`PipelineExporter`]).
//!
//! ```
//! use opentelemetry_sdk::Resource;
//! use opentelemetry_sdk::trace::{RandomIdGenerator, Sampler};
//! use tracing_otlp::bridge::opentelemetry_sdk_0_33 as theirs;
//! # #[derive(Debug)]
//! # struct VendorsExporter;
//! # impl opentelemetry_sdk::trace::SpanExporter for VendorsExporter {
//! #     async fn export(&self, _: Vec<opentelemetry_sdk::trace::SpanData>) -> opentelemetry_sdk::error::OTelSdkResult {
//! #         Ok(())
//! #     }
//! # }
//!
//! let resource = Resource::builder().build(); // by their detectors
//! let builder = tracing_otlp::layer()
//!     .with_sampler(theirs::sampler(Sampler::TraceIdRatioBased(0.1)))
//!     .with_id_generator(theirs::id_generator(RandomIdGenerator::default()))
//!     .with_transport(theirs::span_exporter(VendorsExporter));
//! let builder = theirs::resource_attributes(&resource)
//!     .fold(builder, |builder, (key, value)| builder.with_resource_attribute(key, value));
//! let (_layer, guard) = builder.build()?;
//! # drop(guard);
//! # Ok::<(), tracing_otlp::Error>(())
//! ```

mod encode;
mod exporter;
mod log_data;
mod parts;
mod pipeline;
mod request;
mod span_data;

pub use self::exporter::{log_exporter, span_exporter};
pub use self::parts::{id_generator, resource_attributes, sampler};
pub use self::pipeline::PipelineExporter;
