use proptest::prelude::*;

use super::*;

fn state(text: &str) -> TraceState {
    TraceState::parse(text).unwrap()
}

/// A member of this length.
fn member(key: &str, length: usize) -> String {
    format!("{key}={}", "v".repeat(length - key.len() - 1))
}

fn joined(members: &[String]) -> String {
    members.join(",")
}

#[test]
fn spec_6_9_keys_and_values_are_valid_by_their_grammar() {
    let long = "k".repeat(256);
    for key in [
        "a",
        "0",
        "9a_-*/@",
        "tenant@system",
        "0tenant@system",
        "a@b@c",
        &long,
    ] {
        assert!(TraceState::default().insert(key, "1").is_some(), "{key}");
        assert!(TraceState::parse(&format!("{key}=1")).is_some(), "{key}");
    }
    let too_long = "k".repeat(257);
    for key in [
        "", "_a", "-a", "*a", "/a", "@a", "A", "a b", "a ", "a.b", "é", "a=", "a,b", &too_long,
    ] {
        assert_eq!(TraceState::default().insert(key, "1"), None, "{key}");
    }
    for text in ["=1", "A=1", "a =1", "foo bar=1", "a", "a.b=1", "é=1"] {
        assert_eq!(TraceState::parse(text), None, "{text}");
    }
    let (long, too_long) = ("v".repeat(256), "v".repeat(257));
    for value in [
        "1",
        " 1",
        "  a b",
        "!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~",
        &long,
    ] {
        assert!(
            TraceState::default().insert("a", value).is_some(),
            "{value}"
        );
        assert_eq!(state(&format!("a={value}")).get("a"), Some(value));
    }
    for value in [
        "", "1 ", "a=b", "a,b", "a\tb", "a\n", "é", "\u{7f}", &too_long,
    ] {
        assert_eq!(TraceState::default().insert("a", value), None, "{value:?}");
    }
    for text in ["a=", "a=  ", "a=b=c", "a=b\tc", "a=é"] {
        assert_eq!(TraceState::parse(text), None, "{text:?}");
    }
}

#[test]
fn spec_6_9_a_list_has_at_most_32_members() {
    let members: Vec<String> = (0..33).map(|n| format!("k{n}={n}")).collect();
    assert_eq!(state(&joined(&members[..32])).iter().count(), 32);
    assert_eq!(TraceState::parse(&joined(&members)), None);
    let full = state(&joined(&members[..32]));
    let more = full.insert("new", "1").unwrap();
    assert_eq!(more.iter().count(), 32);
    assert_eq!(more.iter().next(), Some(("new", "1")));
    assert_eq!((more.get("k30"), more.get("k31")), (Some("30"), None));
    // A key that is there needs no room.
    assert_eq!(full.insert("k31", "1").unwrap().get("k30"), Some("30"));
}

#[test]
fn spec_6_9_a_new_or_updated_key_moves_to_the_front_of_a_new_list() {
    let first = state("a=1,b=2,c=3");
    assert_eq!(first.insert("b", "4").unwrap().as_str(), "b=4,a=1,c=3");
    assert_eq!(first.insert("d", "4").unwrap().as_str(), "d=4,a=1,b=2,c=3");
    assert_eq!(first.remove("b").as_str(), "a=1,c=3");
    assert_eq!(first.remove("d"), first);
    assert!(state("a=1").remove("a").is_empty());
    assert_eq!(first.as_str(), "a=1,b=2,c=3", "it never changes");
}

#[test]
fn spec_6_9_a_key_that_is_there_twice_is_invalid() {
    assert_eq!(TraceState::parse("a=1,b=2,a=1"), None);
}

#[test]
fn spec_6_9_empty_members_and_blanks_around_members_are_allowed() {
    assert_eq!(state(" , a=1 \t,\t,, \t b= 2  ,").as_str(), "a=1,b= 2");
    assert!(state("").is_empty() && state(" ,\t, ").is_empty());
}

#[test]
fn spec_6_10_at_least_512_characters_are_passed_on() {
    let all = [member("a", 256), member("b", 127), member("c", 127)];
    assert_eq!(joined(&all).len(), 512);
    assert_eq!(state(&joined(&all)).as_str(), joined(&all));
    let all = [member("a", 511), member("b", 512)];
    assert_eq!(
        TraceState::parse(&joined(&all)),
        None,
        "of that length a value is invalid"
    );
    let all = [
        member("a", 255),
        member("b", 255),
        member("c", 255),
        member("d", 256),
    ];
    assert_eq!(joined(&all).len(), MOST);
    assert_eq!(state(&joined(&all)).as_str(), joined(&all));
}

#[test]
fn spec_6_10_whole_members_go_those_above_128_characters_first_then_those_at_the_end() {
    let all = [
        member("first", 129),
        member("a", 128),
        member("b", 128),
        member("c", 128),
        member("last", 129),
        member("d", 128),
        member("e", 128),
        member("f", 128),
    ];
    let kept = [&all[..4], &all[5..]].concat();
    assert_eq!(
        state(&joined(&all)).as_str(),
        joined(&kept),
        "one of the large ones was enough"
    );
    let small: Vec<String> = (0..9).map(|n| member(&format!("k{n}"), 128)).collect();
    assert_eq!(state(&joined(&small)).as_str(), joined(&small[..7]));
}

#[test]
fn spec_6_10_what_is_inserted_stays_and_others_go() {
    let small: Vec<String> = (0..7).map(|n| member(&format!("k{n}"), 128)).collect();
    let value = "v".repeat(256);
    let inserted = state(&joined(&small)).insert("ot", &value).unwrap();
    let expected = format!("ot={value},{}", joined(&small[..5]));
    assert_eq!(inserted.as_str(), expected);
}

#[test]
fn a_clone_shares_its_text_and_one_too_long_is_not_read() {
    let first = state("a=1");
    assert!(std::ptr::eq(first.as_str(), first.clone().as_str()));
    assert_eq!(TraceState::parse(&",".repeat(READ + 1)), None);
    assert!(state(&",".repeat(READ)).is_empty());
}

#[test]
fn texts_are_the_headers_value() {
    assert_eq!(state("a=1, b=2").to_string(), "a=1,b=2");
    assert_eq!(format!("{:?}", state("a=1")), "TraceState(\"a=1\")");
}

#[derive(Clone, Debug)]
enum Step {
    Insert(String, String),
    Remove(String),
}

fn step() -> impl Strategy<Value = Step> {
    let key = "[a-f0-9][a-c_@]{0,1}|[A-Z ]?";
    prop_oneof![
        4 => (key, "[ -~]{0,4}|v{100,256}").prop_map(|(key, value)| Step::Insert(key, value)),
        1 => key.prop_map(Step::Remove),
    ]
}

/// What a list of pairs would do.
fn naive(list: &mut Vec<(String, String)>, step: &Step) {
    match step {
        Step::Insert(key, value) => {
            list.retain(|(known, _)| known != key);
            list.insert(0, (key.clone(), value.clone()));
            list.truncate(32);
            let text = |list: &[(String, String)]| {
                list.iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect::<Vec<_>>()
                    .join(",")
            };
            while text(list).len() > MOST {
                let large = |(place, (key, value)): (usize, &(String, String))| {
                    (place > 0 && key.len() + value.len() >= 128).then_some(place)
                };
                let place = list.iter().enumerate().filter_map(large).next_back();
                list.remove(place.unwrap_or(list.len() - 1));
            }
        }
        Step::Remove(key) => list.retain(|(known, _)| known != key),
    }
}

proptest! {
    #[test]
    fn spec_6_9_it_behaves_like_a_list_of_pairs(steps in proptest::collection::vec(step(), 0..60)) {
        let (mut state, mut list) = (TraceState::default(), Vec::new());
        for step in steps {
            match &step {
                Step::Insert(key, value) => {
                    let Some(next) = state.insert(key, value) else { continue };
                    state = next;
                }
                Step::Remove(key) => state = state.remove(key),
            }
            naive(&mut list, &step);
            let pairs: Vec<(String, String)> =
                state.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(&pairs, &list);
            prop_assert_eq!(state.is_empty(), list.is_empty());
            for (key, value) in &list {
                prop_assert_eq!(state.get(key), Some(value.as_str()));
            }
            prop_assert_eq!(TraceState::parse(state.as_str()), Some(state.clone()));
        }
    }

    #[test]
    fn no_text_does_harm_and_what_is_read_is_read_again(text in "(?s).{0,60}|[a-c=, \t]{0,40}") {
        if let Some(state) = TraceState::parse(&text) {
            prop_assert!(state.as_str().len() <= MOST && state.iter().count() <= 32);
            prop_assert_eq!(TraceState::parse(state.as_str()), Some(state));
        }
    }
}
