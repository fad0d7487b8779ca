//! Without the feature `tail`, no trace is held.

use super::OtlpLayer;
use super::span::OpenSpan;

/// What an open span knows of its local trace.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Member {}

impl Member {
    #[inline(always)]
    pub(super) fn fail(&mut self) {}

    #[inline(always)]
    pub(super) fn leave(&mut self) {}
}

/// What is to be done about a trace when the locks are free.
#[derive(Debug)]
pub(super) struct Decided;

impl Decided {
    pub(super) const NOTHING: Self = Self;
}

/// Holds nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holder {}

impl Holder {
    #[inline(always)]
    pub(crate) fn is_on(&self) -> bool {
        false
    }

    pub(crate) fn held(&self) -> u64 {
        0
    }

    pub(crate) fn sweep(&self, _: u64, _: bool) {}
}

impl OtlpLayer {
    #[inline(always)]
    pub(super) fn join_trace(&self, _: u64, _: Option<u64>) {}

    #[inline(always)]
    pub(super) fn end_in_trace(&self, _: u64, _: &OpenSpan, _: u64, _: bool) -> Decided {
        Decided
    }

    #[inline(always)]
    pub(super) fn carry_out(&self, _: Decided) {}
}
