//! Values that are longer than any record: processors see their beginning, and what was cut in two is not let through.

use std::borrow::Cow;

use super::OVERRUN;
use crate::layer::user;
use crate::model::Value;

/// Levels of arrays and maps that are looked into.
const DEPTH: u32 = 128;
/// An item takes two bytes at least.
const ITEM: usize = 2;

/// Cuts a value to so many bytes. Gives the end of a text, or of bytes, that was cut: what stands there may be half of a secret, which
/// no processor recognises.
pub(super) fn clip(value: &mut Value<'_>, room: usize) -> Option<Vec<u8>> {
    match value {
        Value::Str(text) if text.len() > room => {
            *text = Cow::Owned(user::fitting(text, room).to_owned());
            Some(end_of(text.as_bytes()))
        }
        Value::Bytes(bytes) if bytes.len() > room => {
            *bytes = Cow::Owned(bytes.get(..room).unwrap_or_default().to_owned());
            Some(end_of(bytes))
        }
        Value::Array(_) | Value::Map(_) => {
            clip_items(value, &mut { room }, 1);
            None
        }
        _ => None,
    }
}

fn end_of(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.len().saturating_sub(OVERRUN);
    bytes.get(start..).unwrap_or_default().to_owned()
}

/// Leaves out what is beyond; a text in an array or a map as a whole.
fn clip_items(value: &mut Value<'_>, room: &mut usize, level: u32) {
    *room = room.saturating_sub(ITEM);
    let taken = match value {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(values) if level < DEPTH => {
            values.truncate(*room / ITEM);
            return values
                .iter_mut()
                .for_each(|value| clip_items(value, room, level + 1));
        }
        Value::Map(pairs) if level < DEPTH => {
            pairs.truncate(*room / ITEM);
            return pairs.iter_mut().for_each(|(key, value)| {
                *room = room.saturating_sub(key.len());
                clip_items(value, room, level + 1);
            });
        }
        Value::Array(_) | Value::Map(_) => usize::MAX,
        Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
    };
    if taken > *room {
        *value = Value::Empty;
    }
    *room = room.saturating_sub(taken);
}

/// Cuts off as much of the end of what was cut as is still there: it is as it was, so no processor took it for a whole secret.
pub(super) fn cut_end(value: &mut Value<'_>, end: &[u8]) {
    let is_alike = |(one, other): &(&u8, &u8)| one == other;
    let left = |bytes: &[u8]| {
        let same = bytes.iter().rev().zip(end.iter().rev());
        bytes.len() - same.take_while(is_alike).count()
    };
    match value {
        Value::Str(text) => {
            let kept = user::fitting(text, left(text.as_bytes())).to_owned();
            *text = Cow::Owned(kept);
        }
        Value::Bytes(bytes) => {
            let kept = bytes.get(..left(bytes)).unwrap_or_default().to_owned();
            *bytes = Cow::Owned(kept);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_stands_across_the_end_is_cut_off_again() {
        let text = format!("{}{}", "[x]".repeat(10), "y".repeat(2 * OVERRUN));
        for room in [OVERRUN, OVERRUN + 30] {
            let mut value = Value::from(&*text);
            let end = clip(&mut value, room).unwrap();
            assert_eq!(value, text[..room].into());
            // A processor shortens what it recognises.
            let mut shorter = Value::from(text[..room].replace("[x]", ""));
            cut_end(&mut shorter, &end);
            assert!(matches!(&shorter, Value::Str(text) if text.len() <= room - OVERRUN));
            let mut other = Value::from("[redacted]");
            cut_end(&mut other, &end);
            assert_eq!(other, "[redacted]".into());
        }
        let mut short = Value::from("short");
        assert_eq!(clip(&mut short, 5), None);
        assert_eq!(short, "short".into());
    }

    #[test]
    fn arrays_and_maps_keep_whole_texts() {
        let mut value = Value::from(["12345", "6789", "0"].as_slice());
        assert_eq!(clip(&mut value, 14), None);
        let Value::Array(values) = &value else {
            panic!()
        };
        assert_eq!(values[..2], ["12345".into(), Value::Empty]);
        let mut deep = Value::from(1);
        for _ in 0..1_000 {
            deep = Value::Array(vec![deep]);
        }
        assert_eq!(clip(&mut deep, usize::MAX), None);
        assert!(!format!("{deep:?}").contains("Int"));
    }
}
