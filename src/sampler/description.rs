//! How ratios are written.

/// With six digits behind the point, as in the specification's `TraceIdRatioBased{0.000100}`; with all that it takes, where six
/// would not tell it from another.
pub(super) fn ratio(value: f64) -> String {
    let short = format!("{value:.6}");
    if short.parse() == Ok(value) {
        short
    } else {
        value.to_string()
    }
}

/// What is wrong with a ratio.
pub(super) fn problem(method: &str, value: f64) -> Option<String> {
    let is_ratio = (0.0..=1.0).contains(&value);
    (!is_ratio).then(|| format!("{method}({value}): expected a number from 0 to 1"))
}
