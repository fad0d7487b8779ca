//! The samplers that `OTEL_TRACES_SAMPLER` knows.

use super::shared::Sampler;

/// One of them, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    AlwaysOn,
    AlwaysOff,
    TraceIdRatio,
    ParentBasedAlwaysOn,
    ParentBasedAlwaysOff,
    ParentBasedTraceIdRatio,
}

impl Named {
    pub(crate) const ALL: [Self; 6] = [
        Self::AlwaysOn,
        Self::AlwaysOff,
        Self::TraceIdRatio,
        Self::ParentBasedAlwaysOn,
        Self::ParentBasedAlwaysOff,
        Self::ParentBasedTraceIdRatio,
    ];
    /// The specification's others.
    pub(crate) const OTHERS: [&str; 3] = ["jaeger_remote", "parentbased_jaeger_remote", "xray"];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AlwaysOn => "always_on",
            Self::AlwaysOff => "always_off",
            Self::TraceIdRatio => "traceidratio",
            Self::ParentBasedAlwaysOn => "parentbased_always_on",
            Self::ParentBasedAlwaysOff => "parentbased_always_off",
            Self::ParentBasedTraceIdRatio => "parentbased_traceidratio",
        }
    }

    /// Whether `OTEL_TRACES_SAMPLER_ARG` is its ratio; the others take no argument.
    pub(crate) fn takes_ratio(self) -> bool {
        matches!(self, Self::TraceIdRatio | Self::ParentBasedTraceIdRatio)
    }

    pub(crate) fn sampler(self, ratio: f64) -> Sampler {
        match self {
            Self::AlwaysOn => Sampler::always_on(),
            Self::AlwaysOff => Sampler::always_off(),
            Self::TraceIdRatio => Sampler::ratio(ratio),
            Self::ParentBasedAlwaysOn => Sampler::parent_based(Sampler::always_on()),
            Self::ParentBasedAlwaysOff => Sampler::parent_based(Sampler::always_off()),
            Self::ParentBasedTraceIdRatio => Sampler::parent_based(Sampler::ratio(ratio)),
        }
    }
}
