//! A span with a given number of attributes, for the cost of one more.

use tracing::{Span, info_span};

/// The numbers of attributes for which a callsite stands below.
pub const ATTRIBUTES: [usize; 8] = [0, 1, 2, 4, 8, 16, 32, 64];

/// A callsite with these attributes, all of the same value.
macro_rules! callsite {
    ($value:ident: $($key:ident)*) => {
        info_span!(parent: None, "span", $($key = $value),*)
    };
}

/// A root span with this many integer attributes.
///
/// # Panics
///
/// When [`ATTRIBUTES`] does not have the number: a callsite is fixed when it is compiled.
pub fn with_attributes(attributes: usize, n: i64) -> Span {
    match attributes {
        0 => info_span!(parent: None, "span"),
        1 => callsite!(n: a00),
        2 => callsite!(n: a00 a01),
        4 => callsite!(n: a00 a01 a02 a03),
        8 => callsite!(n: a00 a01 a02 a03 a04 a05 a06 a07),
        16 => callsite!(n: a00 a01 a02 a03 a04 a05 a06 a07 a08 a09 a10 a11 a12 a13 a14 a15),
        32 => callsite!(n:
            a00 a01 a02 a03 a04 a05 a06 a07 a08 a09 a10 a11 a12 a13 a14 a15
            a16 a17 a18 a19 a20 a21 a22 a23 a24 a25 a26 a27 a28 a29 a30 a31),
        64 => callsite!(n:
            a00 a01 a02 a03 a04 a05 a06 a07 a08 a09 a10 a11 a12 a13 a14 a15
            a16 a17 a18 a19 a20 a21 a22 a23 a24 a25 a26 a27 a28 a29 a30 a31
            a32 a33 a34 a35 a36 a37 a38 a39 a40 a41 a42 a43 a44 a45 a46 a47
            a48 a49 a50 a51 a52 a53 a54 a55 a56 a57 a58 a59 a60 a61 a62 a63),
        _ => panic!("no callsite has {attributes} attributes"),
    }
}
