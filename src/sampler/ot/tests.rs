use proptest::prelude::*;

use super::*;

fn state(header: &str) -> TraceState {
    match header {
        "" => TraceState::default(),
        header => TraceState::parse(header).unwrap(),
    }
}

/// With this threshold: the header, and whether it was cut.
fn set(header: &str, threshold: Option<u64>) -> (String, bool) {
    let state = state(header);
    let written = set_threshold(Some(&state), &Ot::of(&state), threshold);
    let text = written.changed.unwrap_or(state).as_str().to_owned();
    (text, written.is_cut)
}

#[test]
fn spec_4_14_the_threshold_is_updated_and_the_other_members_stay() {
    let half = Some(ALL / 2);
    let cases = [
        ("", "ot=th:8"),
        ("a=1", "ot=th:8,a=1"),
        ("a=1,ot=p:8;r:62", "ot=th:8;p:8;r:62,a=1"),
        ("ot=p:8;th:c;r:62,a=1", "ot=th:8;p:8;r:62,a=1"),
        ("ot=th:c;rv:7479cfb506891d", "ot=th:8;rv:7479cfb506891d"),
        ("ot=th:c;p:1;th:d;p:2", "ot=th:8;p:1"),
    ];
    for (before, after) in cases {
        assert_eq!(set(before, half), (after.to_owned(), false), "{before}");
    }
    let removed = [
        ("a=1,ot=th:8", "a=1"),
        ("ot=th:8", ""),
        ("ot=th:zz;k:1", "ot=k:1"),
    ];
    for (before, after) in removed {
        assert_eq!(set(before, None), (after.to_owned(), false), "{before}");
    }
}

#[test]
fn what_need_not_change_is_not_built_anew() {
    for (header, threshold) in [("ot=th:8;k:1", Some(ALL / 2)), ("ot=k:1,a=1", None)] {
        let state = state(header);
        let written = set_threshold(Some(&state), &Ot::of(&state), threshold);
        assert_eq!(written.changed, None, "{header}");
    }
    assert_eq!(
        set_threshold(None, &Ot::default(), None).changed,
        None,
        "no tracestate"
    );
}

#[test]
fn spec_4_14_an_entry_that_would_be_too_long_is_not_written() {
    // `ot` has 256 characters at most: `th:8;` takes 5.
    let fits = format!("ot=k:{}", "x".repeat(256 - 5 - 2));
    let (written, is_cut) = set(&fits, Some(ALL / 2));
    assert_eq!((written.len(), is_cut), (3 + 256, false));
    let too_long = format!("ot=k:{}", "x".repeat(256 - 4 - 2));
    assert_eq!(set(&too_long, Some(ALL / 2)), (too_long.clone(), true));
    // The threshold of before would be wrong.
    let others = format!("k:{}", "x".repeat(256 - 5 - 2));
    let full = format!("ot=th:8;{others}");
    assert_eq!(
        set(&full, Some(ALL / 16 * 13)),
        (full.replace("th:8", "th:d"), false)
    );
    assert_eq!(set(&full, Some(1)), (format!("ot={others}"), true));
}

#[test]
fn spec_4_15_randomness_is_exactly_14_digits_in_lower_case() {
    let read = |header: &str| Ot::of(&state(header)).randomness;
    assert_eq!(read("ot=rv:7479cfb506891d"), Some(0x0074_79cf_b506_891d));
    assert_eq!(read("ot=th:8;rv:00000000000000"), Some(0));
    for wrong in [
        "7479cfb506891",
        "7479cfb506891d0",
        "7479CFB506891D",
        "+479cfb506891d",
        "",
        "7479cfb50689 d",
    ] {
        assert_eq!(read(&format!("ot=rv:{wrong}")), None, "{wrong}");
    }
    assert_eq!(read("other=rv:7479cfb506891d"), None);
}

#[test]
fn spec_4_15_randomness_is_never_overwritten() {
    let known = state("ot=rv:7479cfb506891d;th:8,a=1");
    assert_eq!(with_randomness(known.clone(), 1), known);
    let new = with_randomness(state("ot=th:8,a=1"), 0x1f);
    assert_eq!(new.as_str(), "ot=rv:0000000000001f;th:8,a=1");
    assert!((0..100).all(|_| random() < ALL));
}

#[test]
fn a_threshold_has_1_to_14_digits() {
    let read = |value: &str| Ot::of(&state(&format!("ot=th:{value}"))).threshold;
    assert_eq!(read("0"), Some(0));
    assert_eq!(read("8"), Some(ALL / 2));
    assert_eq!(read("fd70a4"), Some(0x00fd_70a4_0000_0000));
    assert_eq!(read("FD70A4"), Some(0x00fd_70a4_0000_0000));
    assert_eq!(read("ffffffffffffff"), Some(ALL - 1));
    for wrong in ["", "g", "+1", "-1", "123456789abcdef"] {
        assert_eq!(read(wrong), None, "{wrong}");
        assert!(Ot::of(&state(&format!("ot=th:{wrong}"))).has_threshold);
    }
}

proptest! {
    #[test]
    fn a_threshold_comes_back(threshold in 0..ALL) {
        let written = set_threshold(None, &Ot::default(), Some(threshold));
        let ot = Ot::of(&written.changed.unwrap());
        prop_assert_eq!((ot.threshold, ot.has_threshold), (Some(threshold), true));
    }

    /// Against a map: other keys keep their values, and the keys stay unique.
    #[test]
    fn other_members_survive(
        members in prop::collection::btree_map("[a-z][a-z0-9]{0,2}", "[a-zA-Z0-9._-]{0,5}", 0..12),
        threshold in prop::option::of(0..ALL),
    ) {
        let entry: Vec<_> = members.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        let header = if entry.is_empty() { "a=1".to_owned() } else { format!("ot={},a=1", entry.join(";")) };
        let (written, is_cut) = set(&header, threshold);
        prop_assert!(!is_cut);
        let after = state(&written);
        prop_assert_eq!(after.get("a"), Some("1"));
        let mut expected = members;
        expected.remove("th");
        if let Some(threshold) = threshold {
            expected.insert("th".to_owned(), threshold_text(threshold));
        }
        let found: Vec<_> = super::members(after.get("ot").unwrap_or_default()).collect();
        prop_assert_eq!(found.len(), expected.len());
        for (key, value) in found {
            prop_assert_eq!(expected.get(key).map(String::as_str), Some(value));
        }
    }

    #[test]
    fn any_entry_does_no_harm(entry in "[a-z:;0-9 -~]{0,300}", threshold in prop::option::of(0..ALL)) {
        let state = TraceState::parse(&format!("ot={entry}")).unwrap_or_default();
        let _ = set_threshold(Some(&state), &Ot::of(&state), threshold);
        let _ = with_randomness(state, 1);
    }
}
