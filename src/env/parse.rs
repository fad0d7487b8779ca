//! From a variable's text to its value: one parser a type. A parser that cannot read a value says so and gives none.

pub(super) use super::entities::entities;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::config::{Compression, ExceptionSignal, Exporter, HeaderList, Protocol};
use crate::context::Propagator;
use crate::sampler::Named;
use crate::say::Level;

/// A variable that is set, and where to say what is wrong with it.
pub(super) struct Variable<'a> {
    pub(super) name: &'static str,
    /// As the user wrote it.
    pub(super) value: &'a str,
    pub(super) warnings: &'a mut Vec<String>,
}

impl Variable<'_> {
    fn text(&self) -> &str {
        self.value.trim()
    }

    fn ignored(&mut self, expected: &str) {
        self.warn("is ignored", expected);
    }

    fn warn(&mut self, verdict: &str, expected: &str) {
        self.push(format!(
            "{}={:?} {verdict}: expected {expected}",
            self.name, self.value
        ));
    }

    /// A variable that two settings ask for is warned about once.
    pub(super) fn push(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

pub(super) fn text(variable: &mut Variable<'_>) -> Option<String> {
    Some(variable.text().to_owned())
}

pub(super) fn path(variable: &mut Variable<'_>) -> Option<PathBuf> {
    Some(PathBuf::from(variable.text()))
}

/// "Any value other than a case-insensitive true is false", with a warning where it is not `false`.
pub(super) fn boolean(variable: &mut Variable<'_>) -> Option<bool> {
    let is = |text: &str| variable.text().eq_ignore_ascii_case(text);
    let (yes, no) = (is("true"), is("false"));
    if !yes && !no {
        variable.warn("means false", "true or false");
    }
    Some(yes)
}

/// Integers are from 0 to 2^31 - 1.
const MOST: u32 = i32::MAX as u32;

pub(super) fn count(variable: &mut Variable<'_>) -> Option<u32> {
    integer(variable, 0)
}

pub(super) fn positive(variable: &mut Variable<'_>) -> Option<usize> {
    integer(variable, 1).and_then(|number| usize::try_from(number).ok())
}

pub(super) fn milliseconds(variable: &mut Variable<'_>) -> Option<Duration> {
    integer(variable, 0).map(|number| Duration::from_millis(number.into()))
}

fn integer(variable: &mut Variable<'_>, least: u32) -> Option<u32> {
    let number = u32::from_str(variable.text())
        .ok()
        .filter(|number| (least..=MOST).contains(number));
    if number.is_none() {
        variable.ignored(&format!("an integer from {least} to {MOST}"));
    }
    number
}

pub(super) fn protocol(variable: &mut Variable<'_>) -> Option<Protocol> {
    let choices = [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson];
    choice(variable, &choices.map(|choice| (choice.name(), choice)))
}

pub(super) fn compression(variable: &mut Variable<'_>) -> Option<Compression> {
    let choices = [Compression::None, Compression::Gzip, Compression::Zstd];
    choice(variable, &choices.map(|choice| (choice.name(), choice)))
}

pub(super) fn level(variable: &mut Variable<'_>) -> Option<Level> {
    let choices = [
        ("none", Level::Off),
        ("off", Level::Off),
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
    ];
    choice(variable, &choices)
}

pub(super) fn sampler(variable: &mut Variable<'_>) -> Option<Named> {
    let choices = Named::ALL.map(|choice| (choice.name(), choice));
    let is_other = |other: &&str| variable.text().eq_ignore_ascii_case(other);
    if Named::OTHERS.iter().any(is_other) {
        variable.warn("is ignored, since it is not built in", &any_of(&choices));
        return None;
    }
    choice(variable, &choices)
}

fn choice<T: Copy>(variable: &mut Variable<'_>, choices: &[(&str, T)]) -> Option<T> {
    let chosen = find(variable.text(), choices);
    if chosen.is_none() {
        variable.ignored(&any_of(choices));
    }
    chosen
}

/// The specification allows a list, of which one is used here.
pub(super) fn exporter(variable: &mut Variable<'_>) -> Option<Exporter> {
    let choices = [Exporter::Otlp, Exporter::Stdout, Exporter::None];
    let choices = choices.map(|choice| (choice.name(), choice));
    let asked = variable.text().split(',').map(str::trim);
    let asked: Vec<&str> = asked.filter(|name| !name.is_empty()).collect();
    let several = asked.len() > 1;
    let chosen = asked.into_iter().find_map(|name| find(name, &choices));
    match chosen {
        None => variable.ignored(&any_of(&choices)),
        Some(chosen) if several => {
            let verdict = format!("means {}", chosen.name());
            variable.warn(&verdict, "one exporter");
        }
        Some(_) => {}
    }
    chosen
}

/// "Values MUST be deduplicated", `none` is no propagator, and what is not known is warned about and left out. Where nothing
/// is left, the variable is as not set.
pub(super) fn propagators(variable: &mut Variable<'_>) -> Option<Vec<Propagator>> {
    let known = Propagator::ALL.map(|form| (form.name(), Some(form)));
    let choices = [known.as_slice(), &[("none", None)]].concat();
    let asked = variable.text().split(',').map(str::trim);
    let asked = asked.filter(|name| !name.is_empty());
    let found: Vec<Option<Option<Propagator>>> = asked.map(|name| find(name, &choices)).collect();
    let mut chosen = Vec::new();
    for form in found.iter().copied().flatten().flatten() {
        if !chosen.contains(&form) {
            chosen.push(form);
        }
    }
    let has_none = found.contains(&Some(None));
    let expected = "any of tracecontext, baggage, b3 and b3multi, or none alone";
    if chosen.is_empty() && !has_none {
        variable.ignored(expected);
        return None;
    }
    if found.contains(&None) || (has_none && !chosen.is_empty()) {
        let names: Vec<&str> = chosen.iter().map(|form| form.name()).collect();
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(",")
        };
        variable.warn(&format!("means {names}"), expected);
    }
    Some(chosen)
}

/// "A comma-separated list"; of both values, the one that sends more holds, as in the conventions' other opt-ins.
pub(super) fn exception_signal(variable: &mut Variable<'_>) -> Option<ExceptionSignal> {
    let choices = [ExceptionSignal::Logs, ExceptionSignal::LogsDup];
    let choices = choices.map(|choice| (choice.name(), choice));
    let asked = variable.text().split(',').map(str::trim);
    let asked: Vec<_> = asked
        .filter(|name| !name.is_empty())
        .map(|name| find(name, &choices))
        .collect();
    let chosen = match &asked {
        asked if asked.contains(&Some(ExceptionSignal::LogsDup)) => Some(ExceptionSignal::LogsDup),
        asked if asked.contains(&Some(ExceptionSignal::Logs)) => Some(ExceptionSignal::Logs),
        _ => None,
    };
    match chosen {
        None => variable.ignored(&any_of(&choices)),
        Some(chosen) if asked.contains(&None) => {
            variable.warn(&format!("means {}", chosen.name()), &any_of(&choices));
        }
        Some(_) => {}
    }
    chosen
}

fn find<T: Copy>(text: &str, choices: &[(&str, T)]) -> Option<T> {
    let found = choices
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, choice)| *choice)
}

fn any_of<T>(choices: &[(&str, T)]) -> String {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    format!("one of {}", names.join(", "))
}

/// `key=value,key=value`, percent-encoded. "In case of any error [...] the entire environment variable value SHOULD be
/// discarded".
pub(super) fn resource(variable: &mut Variable<'_>) -> Option<Vec<(String, String)>> {
    let pairs: Option<Vec<_>> = items(variable.value).map(|item| pair(item).ok()).collect();
    if pairs.is_none() {
        variable.ignored("key=value pairs with percent-encoding, separated by commas");
    }
    pairs
}

/// As a resource, and "additional semi-colon delimited metadata is not supported". The values are secrets, and so is an
/// item that could be one.
pub(super) fn headers(variable: &mut Variable<'_>) -> Option<HeaderList> {
    let mut headers = HeaderList::default();
    for (place, item) in items(variable.value).enumerate() {
        let read = match item.split_once('=') {
            Some((_, value)) if value.contains(';') => Err("has a `;`; write it as %3B"),
            _ => pair(item),
        };
        match read {
            Ok((name, value)) => headers.set(name, value),
            Err(why) => {
                let name = name_of(item, place);
                variable.push(format!(
                    "{} is ignored: {name} {why}; expected key=value pairs with percent-encoding, separated by commas",
                    variable.name
                ));
                return None;
            }
        }
    }
    Some(headers)
}

/// How a header that cannot be read is named: by what is surely its name, else by its place.
fn name_of(item: &str, place: usize) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match item.split_once('=') {
        Some((name, _)) if !name.trim().is_empty() && name.trim().chars().all(is_token) => {
            format!("{:?}", name.trim())
        }
        _ => format!("item {}", place + 1),
    }
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|item| !item.trim().is_empty())
}

fn pair(item: &str) -> Result<(String, String), &'static str> {
    const ENCODING: &str = "is not percent-encoded UTF-8";
    let (key, value) = item.split_once('=').ok_or("has no `=`")?;
    let key = percent_decode(key.trim()).ok_or(ENCODING)?;
    if key.is_empty() {
        return Err("has no key");
    }
    Ok((key, percent_decode(value.trim()).ok_or(ENCODING)?))
}

pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        if *first == b'%' {
            let (digits, behind) = behind.split_first_chunk::<2>()?;
            // `from_str_radix` alone would take a sign.
            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = behind;
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).ok()
}
