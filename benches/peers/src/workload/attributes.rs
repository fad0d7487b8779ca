//! A span with a given number of attributes, for the cost of one more.

use tracing::{Span, info_span};

/// The numbers of attributes for which a callsite stands below.
pub const ATTRIBUTES: [usize; 8] = [0, 1, 2, 4, 8, 16, 32, 64];

/// A root span with this many integer attributes.
///
/// # Panics
///
/// When [`ATTRIBUTES`] does not have the number: a callsite is fixed when it is compiled.
pub fn with_attributes(attributes: usize, n: i64) -> Span {
    match attributes {
        0 => info_span!(parent: None, "span"),
        1 => info_span!(parent: None, "span", a00 = n),
        2 => info_span!(parent: None, "span", a00 = n, a01 = n),
        4 => info_span!(parent: None, "span", a00 = n, a01 = n, a02 = n, a03 = n),
        8 => {
            info_span!(parent: None, "span", a00 = n, a01 = n, a02 = n, a03 = n, a04 = n, a05 = n, a06 = n, a07 = n)
        }
        16 => {
            info_span!(parent: None, "span", a00 = n, a01 = n, a02 = n, a03 = n, a04 = n, a05 = n, a06 = n, a07 = n, a08 = n, a09 = n, a10 = n, a11 = n, a12 = n, a13 = n, a14 = n, a15 = n)
        }
        32 => {
            info_span!(parent: None, "span", a00 = n, a01 = n, a02 = n, a03 = n, a04 = n, a05 = n, a06 = n, a07 = n, a08 = n, a09 = n, a10 = n, a11 = n, a12 = n, a13 = n, a14 = n, a15 = n, a16 = n, a17 = n, a18 = n, a19 = n, a20 = n, a21 = n, a22 = n, a23 = n, a24 = n, a25 = n, a26 = n, a27 = n, a28 = n, a29 = n, a30 = n, a31 = n)
        }
        64 => {
            info_span!(parent: None, "span", a00 = n, a01 = n, a02 = n, a03 = n, a04 = n, a05 = n, a06 = n, a07 = n, a08 = n, a09 = n, a10 = n, a11 = n, a12 = n, a13 = n, a14 = n, a15 = n, a16 = n, a17 = n, a18 = n, a19 = n, a20 = n, a21 = n, a22 = n, a23 = n, a24 = n, a25 = n, a26 = n, a27 = n, a28 = n, a29 = n, a30 = n, a31 = n, a32 = n, a33 = n, a34 = n, a35 = n, a36 = n, a37 = n, a38 = n, a39 = n, a40 = n, a41 = n, a42 = n, a43 = n, a44 = n, a45 = n, a46 = n, a47 = n, a48 = n, a49 = n, a50 = n, a51 = n, a52 = n, a53 = n, a54 = n, a55 = n, a56 = n, a57 = n, a58 = n, a59 = n, a60 = n, a61 = n, a62 = n, a63 = n)
        }
        _ => panic!("no callsite has {attributes} attributes"),
    }
}
