//! Values of every type that `tracing` knows.

use std::error::Error;
use std::fmt;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Decoded;
use proptest::collection::vec;
use proptest::prelude::*;
use tracing::field::{self, Value};

use crate::support::layer::{bytes, double, int, text, truth};

#[derive(Clone, Debug)]
pub(super) enum Plain {
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    Str(String),
    Bytes(Vec<u8>),
    Debug(String),
    /// The texts of an error and of its sources.
    Error(String, Vec<String>),
}

impl Plain {
    pub(super) fn value(&self) -> Box<dyn Value> {
        match self {
            Self::Bool(value) => Box::new(*value),
            Self::I64(value) => Box::new(*value),
            Self::U64(value) => Box::new(*value),
            Self::I128(value) => Box::new(*value),
            Self::U128(value) => Box::new(*value),
            Self::F64(value) => Box::new(*value),
            Self::Str(value) => Box::new(value.clone()),
            Self::Bytes(value) => Box::new(value.clone().into_boxed_slice()),
            Self::Debug(value) => Box::new(field::display(value.clone())),
            Self::Error(text, sources) => {
                let error: Box<dyn Error> = Box::new(Chain::new(text, sources));
                Box::new(error)
            }
        }
    }

    /// What it is to a collector.
    pub(super) fn decoded(&self) -> Option<Decoded> {
        match self {
            Self::Bool(value) => truth(*value),
            Self::I64(value) => int(*value),
            Self::U64(value) => wide(*value),
            Self::I128(value) => wide(*value),
            Self::U128(value) => wide(*value),
            Self::F64(value) => double(*value),
            Self::Bytes(value) => bytes(value),
            Self::Str(value) | Self::Debug(value) | Self::Error(value, _) => text(value),
        }
    }

    /// What a field that is no attribute takes of it.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Str(value) | Self::Debug(value) | Self::Error(value, _) => Some(value),
            _ => None,
        }
    }
}

impl Plain {
    /// What the class of an error takes of it: integers too.
    pub(super) fn class(&self) -> Option<String> {
        match self {
            Self::I64(value) => Some(value.to_string()),
            Self::U64(value) => Some(value.to_string()),
            Self::I128(value) => Some(value.to_string()),
            Self::U128(value) => Some(value.to_string()),
            other => other.text().map(str::to_owned),
        }
    }
}

fn wide(value: impl TryInto<i64> + ToString + Copy) -> Option<Decoded> {
    value.try_into().map_or(text(value.to_string()), int)
}

#[derive(Debug)]
struct Chain {
    text: String,
    source: Option<Box<Self>>,
}

impl Chain {
    fn new(text: &str, sources: &[String]) -> Self {
        let source = sources.split_first();
        Self {
            text: text.to_owned(),
            source: source.map(|(text, sources)| Box::new(Self::new(text, sources))),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Chain {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Lengths around those where a varint takes one byte more.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..8_usize, 3 => 90..140_usize, 1 => 16_360..16_400_usize]
}

/// Text, and what means something in special fields.
pub(super) fn any_text() -> impl Strategy<Value = String> {
    let known = [
        "", "ok", "OK", "error", "Error", "unset", "server", "CLIENT", "producer", "consumer",
        "internal",
    ];
    prop_oneof![
        2 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        2 => ".{0,12}",
        2 => (length(), prop::sample::select(vec!["x", "\u{e9}", "\u{1f980}"]))
            .prop_map(|(length, letter)| letter.repeat(length / letter.len())),
    ]
}

pub(super) fn plain() -> impl Strategy<Value = Plain> {
    prop_oneof![
        any::<bool>().prop_map(Plain::Bool),
        any::<i64>().prop_map(Plain::I64),
        (-200..200_i64).prop_map(Plain::I64),
        any::<u64>().prop_map(Plain::U64),
        any::<i128>().prop_map(Plain::I128),
        any::<i64>().prop_map(|value| Plain::I128(value.into())),
        any::<u128>().prop_map(Plain::U128),
        any::<u64>().prop_map(|bits| Plain::F64(f64::from_bits(bits))),
        prop::sample::select(vec![f64::NAN, f64::INFINITY, -0.0, f64::MIN]).prop_map(Plain::F64),
        any_text().prop_map(Plain::Str),
        any_text().prop_map(Plain::Debug),
        (length(), any::<u8>()).prop_map(|(length, byte)| Plain::Bytes(vec![byte; length])),
        (any_text(), vec(any_text(), 0..3)).prop_map(|(text, sources)| Plain::Error(text, sources)),
    ]
}
