//! A value and who said it.

use std::fmt;

/// Who said a value: code beats the environment, which beats the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    /// The method, as `Builder::with_timeout`.
    Code(&'static str),
    /// The variable, as `OTEL_EXPORTER_OTLP_TIMEOUT`.
    Environment(&'static str),
    /// A detector of the resource, as `detector host`.
    Detector(&'static str),
}

impl Origin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Code(name) | Self::Environment(name) | Self::Detector(name) => name,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value and who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

impl<T> Setting<T> {
    pub(crate) fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// What `method` was called with, else what the environment says, else the default.
    pub(crate) fn resolve(
        code: Option<T>,
        method: &'static str,
        environment: Option<Self>,
        default: T,
    ) -> Self {
        match (code, environment) {
            (Some(value), _) => Self::new(value, Origin::Code(method)),
            (None, Some(setting)) => setting,
            (None, None) => Self::new(default, Origin::Default),
        }
    }

    /// What `method` was called with, else the default: there is no variable.
    pub(crate) fn of_code(code: Option<T>, method: &'static str, default: T) -> Self {
        Self::resolve(code, method, None, default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spec_2_14_code_beats_the_environment_which_beats_the_default() {
        let environment = Some(Setting::new(2, Origin::Environment("OTEL_X")));
        let resolve = |code, environment| Setting::resolve(code, "Builder::x", environment, 3);
        assert_eq!(
            resolve(Some(1), environment),
            Setting::new(1, Origin::Code("Builder::x"))
        );
        assert_eq!(resolve(None, environment).value, 2);
        assert_eq!(resolve(None, None), Setting::new(3, Origin::Default));
    }
}
