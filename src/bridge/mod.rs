//! Bridges to other libraries that programs trace with, each to one version of one of them, and each behind the feature of its name.
//!
//! A new version of theirs is a new bridge here, beside the old one.

#![allow(
    clippy::duplicate_mod,
    reason = "what versions share is compiled for each, with its types"
)]

#[cfg(feature = "opentelemetry-0_33")]
#[cfg_attr(docsrs, doc(cfg(feature = "opentelemetry-0_33")))]
pub mod opentelemetry_0_33;
#[cfg(feature = "opentelemetry-sdk-0_33")]
#[cfg_attr(docsrs, doc(cfg(feature = "opentelemetry-sdk-0_33")))]
pub mod opentelemetry_sdk_0_33;
#[cfg(feature = "tracing-opentelemetry-0_33")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing-opentelemetry-0_33")))]
pub mod tracing_opentelemetry_0_33;
#[cfg(feature = "tracing-opentelemetry-0_34")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing-opentelemetry-0_34")))]
pub mod tracing_opentelemetry_0_34;
