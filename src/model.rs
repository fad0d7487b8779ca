//! What a program says of a span or a log, as plain values: an attribute's value, a kind, a status, a severity.

use std::borrow::Cow;

/// The value of an attribute (OTLP's `AnyValue`). Texts and bytes may be borrowed, so that setting an attribute need not allocate.
///
/// ```
/// use tracing_otlp::Value;
///
/// let value: Value<'_> = "text".into();
/// assert_eq!(value, Value::Str("text".into()));
/// assert_eq!(Value::from([1_i64, 2].as_slice()), Value::Array(vec![1_i64.into(), 2_i64.into()]));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// No value, which is not the same as no attribute.
    Empty,
    /// Text.
    Str(Cow<'a, str>),
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// Values in their order.
    Array(Vec<Self>),
    /// Values by key. A key that stands twice has the last of its values.
    Map(Vec<(Cow<'a, str>, Self)>),
}

impl Value<'_> {
    /// The same value, which owns its texts and bytes.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Empty => Value::Empty,
            Self::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Double(value) => Value::Double(value),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Self::Array(values) => {
                Value::Array(values.into_iter().map(Value::into_owned).collect())
            }
            Self::Map(pairs) => {
                let owned = |(key, value): (Cow<'_, str>, Self)| {
                    (Cow::Owned(key.into_owned()), value.into_owned())
                };
                Value::Map(pairs.into_iter().map(owned).collect())
            }
        }
    }
}

macro_rules! from {
    ($($source:ty => $value:ident => $result:expr;)*) => {$(
        impl<'a> From<$source> for Value<'a> {
            fn from($value: $source) -> Self {
                $result
            }
        }
    )*};
}

from! {
    &'a str => value => Self::Str(Cow::Borrowed(value));
    &'a String => value => Self::Str(Cow::Borrowed(value));
    String => value => Self::Str(Cow::Owned(value));
    Cow<'a, str> => value => Self::Str(value);
    &'a [u8] => value => Self::Bytes(Cow::Borrowed(value));
    Vec<u8> => value => Self::Bytes(Cow::Owned(value));
    bool => value => Self::Bool(value);
    i8 => value => Self::Int(value.into());
    i16 => value => Self::Int(value.into());
    i32 => value => Self::Int(value.into());
    i64 => value => Self::Int(value);
    u8 => value => Self::Int(value.into());
    u16 => value => Self::Int(value.into());
    u32 => value => Self::Int(value.into());
    u64 => value => integer(value);
    usize => value => integer(value);
    isize => value => integer(value);
    i128 => value => integer(value);
    u128 => value => integer(value);
    f32 => value => Self::Double(value.into());
    f64 => value => Self::Double(value);
    &'a [i64] => values => Self::Array(values.iter().copied().map(Self::from).collect());
    &'a [f64] => values => Self::Array(values.iter().copied().map(Self::from).collect());
    &'a [bool] => values => Self::Array(values.iter().copied().map(Self::from).collect());
    &'a [&'a str] => values => Self::Array(values.iter().copied().map(Self::from).collect());
    &'a [String] => values => Self::Array(values.iter().map(Self::from).collect());
    Vec<Value<'a>> => values => Self::Array(values);
}

/// An integer outside of 64 bits is its decimal text (specification, mapping of attribute types).
fn integer<'a, I: TryInto<i64> + Copy + ToString>(value: I) -> Value<'a> {
    match value.try_into() {
        Ok(value) => Value::Int(value),
        Err(_) => Value::Str(Cow::Owned(value.to_string())),
    }
}

/// Nothing is the empty value.
impl<'a, T: Into<Self>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

/// What a span is in a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpanKind {
    /// Work inside a program: the default (specification, span kind).
    #[default]
    Internal,
    /// A request is served.
    Server,
    /// A request is made.
    Client,
    /// A message is sent.
    Producer,
    /// A message is received.
    Consumer,
}

impl SpanKind {
    /// By its name in any case, as the field `otel.kind` gives it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        const NAMES: [(&str, SpanKind); 5] = [
            ("internal", SpanKind::Internal),
            ("server", SpanKind::Server),
            ("client", SpanKind::Client),
            ("producer", SpanKind::Producer),
            ("consumer", SpanKind::Consumer),
        ];
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, kind)| *kind)
    }

    /// `SpanKind` of trace.proto, where 0 is not to be used as default.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
            Self::Producer => 4,
            Self::Consumer => 5,
        }
    }

    /// "Implementations MAY assume SpanKind to be INTERNAL when receiving UNSPECIFIED."
    pub(crate) fn from_number(number: u64) -> Self {
        match number {
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Internal,
        }
    }
}

/// How a span went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Not said: the default.
    #[default]
    Unset,
    /// Said to be well, which is final.
    Ok,
    /// Failed, with a description that may be empty.
    Error(Cow<'static, str>),
}

impl Status {
    /// Failed, for this reason.
    pub fn error(description: impl Into<Cow<'static, str>>) -> Self {
        Self::Error(description.into())
    }
}

/// How bad it is what a log tells (logs data model, severity fields). Each of `tracing`'s levels is the least of its range, as in
/// `Severity::from(tracing::Level::WARN)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Severity(u8);

impl Severity {
    /// 1
    pub const TRACE: Self = Self(1);
    /// 5
    pub const DEBUG: Self = Self(5);
    /// 9
    pub const INFO: Self = Self(9);
    /// 13
    pub const WARN: Self = Self(13);
    /// 17
    pub const ERROR: Self = Self(17);

    /// OTLP's number, 1 to 24.
    pub fn number(self) -> u8 {
        self.0
    }
}
