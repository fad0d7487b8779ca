//! Each scanner against a naive model that looks at every part of a text.

use std::ops::Range;

use proptest::prelude::*;

use super::*;

type Scanner = fn(&[u8], &mut Vec<Range<usize>>);

/// Which bytes a scanner finds.
fn covered(text: &str, scanner: Scanner) -> Vec<bool> {
    let mut found = Vec::new();
    scanner(text.as_bytes(), &mut found);
    marked(text, found)
}

fn marked(text: &str, found: impl IntoIterator<Item = Range<usize>>) -> Vec<bool> {
    let mut covered = vec![false; text.len()];
    for part in found {
        covered[part].fill(true);
    }
    covered
}

/// Which bytes are in a part that is secret.
fn naively(text: &str, is_secret: impl Fn(&str, Range<usize>) -> bool) -> Vec<bool> {
    let ends = || (0..=text.len()).filter(|at| text.is_char_boundary(*at));
    let parts = ends().flat_map(|start| ends().map(move |end| start..end));
    marked(
        text,
        parts.filter(|part| part.start < part.end && is_secret(text, part.clone())),
    )
}

fn before(text: &str, at: usize) -> Option<char> {
    text[..at].chars().next_back()
}

fn behind(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

fn is_card(text: &str, part: Range<usize>) -> bool {
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    if is_digit(before(text, part.start)) || is_digit(behind(text, part.end)) {
        return false;
    }
    let mut groups = text[part].split([' ', '-']);
    let are_digits = groups
        .clone()
        .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    let digits: Vec<u32> = groups
        .by_ref()
        .flat_map(str::chars)
        .filter_map(|c| c.to_digit(10))
        .collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit) {
            (0, digit) => *digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    are_digits
        && (13..=19).contains(&digits.len())
        && [2, 3, 4, 5, 6, 8].contains(&digits[0])
        && sum.is_multiple_of(10)
}

fn is_email(text: &str, part: Range<usize>) -> bool {
    let is_local = |c: char| c.is_alphanumeric() || ".!#$%&'*+-^_`{|}~".contains(c);
    let is_label = |c: char| c.is_alphanumeric() || c == '-';
    if before(text, part.start).is_some_and(is_local) {
        return false;
    }
    let signs = text[part.clone()]
        .match_indices('@')
        .chain(text[part.clone()].match_indices("%40"));
    signs
        .map(|(at, sign)| {
            text[part.clone()].split_at(at).0.to_owned()
                + "\n"
                + &text[part.start + at + sign.len()..part.end]
        })
        .any(|split| {
            let (local, domain) = split.split_once('\n').unwrap();
            let labels: Vec<&str> = domain.split('.').collect();
            let last = labels[labels.len() - 1];
            !local.is_empty()
                && local.chars().all(is_local)
                && labels.len() >= 2
                && labels
                    .iter()
                    .all(|label| !label.is_empty() && label.chars().all(is_label))
                && last.len() >= 2
                && last.starts_with(|c: char| c.is_alphabetic())
                && !last.ends_with('-')
        })
}

fn is_base64url(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn is_web_token(text: &str, part: Range<usize>) -> bool {
    let parts: Vec<&str> = text[part].split('.').collect();
    parts.len() >= 3
        && parts[0].starts_with("eyJ")
        && parts.iter().all(|part| part.chars().all(is_base64url))
}

fn is_credential(text: &str, part: Range<usize>) -> bool {
    let is_of_token = |c: char| is_base64url(c) || ".~+/=".contains(c);
    let head = &text[..part.start];
    let scheme = head.trim_end_matches([' ', '\t']);
    let Some(at) = scheme.len().checked_sub(6) else {
        return false;
    };
    let token = &text[part.clone()];
    let ends = !behind(text, part.end).is_some_and(is_of_token);
    scheme.len() < head.len()
        && scheme.is_char_boundary(at)
        && scheme[at..].eq_ignore_ascii_case("bearer")
        && !before(text, at).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
        && token.chars().all(is_of_token)
        && ends
        && (token.len() >= 8 || token.bytes().any(|byte| byte.is_ascii_digit()))
}

fn text_of(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(pieces).prop_map(str::to_owned),
        "[0-9]{1,5}",
        "[ .@eyJa-]{1,3}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn cards_are_what_a_naive_search_finds(
        text in text_of(&["4111 1111 1111 1111", "378282246310005", "4111-1111-1111-1111", " ", "-", "é"])
    ) {
        prop_assert_eq!(covered(&text, cards::find), naively(&text, is_card), "{}", text);
    }

    #[test]
    fn integers_are_cards_as_their_digits_are(number in 0_u64..=u64::MAX, shift in 0_u32..64, is_one: bool) {
        let mut number = number >> shift;
        if is_one {
            // The check digit that makes it one, if its length and its beginning do.
            number = (0..10).map(|digit| number / 10 * 10 + digit).find(|number| {
                let text = number.to_string();
                is_card(&text, 0..text.len())
            }).unwrap_or(number);
        }
        let text = number.to_string();
        prop_assert_eq!(cards::is_card(number), is_card(&text, 0..text.len()), "{}", text);
    }

    #[test]
    fn addresses_are_what_a_naive_search_finds(
        text in text_of(&["a.b@example.com", "a%40b.co", "@", "%40", ".", "é", "x", "-", "%", "/", "ü@ö.de"])
    ) {
        // The longest domain counts, which covers the others.
        prop_assert_eq!(covered(&text, emails::find), naively(&text, is_email), "{}", text);
    }

    #[test]
    fn tokens_are_what_a_naive_search_finds(
        text in text_of(&["eyJh.eyJz.c2ln", "eyJ", ".", "Bearer ", "bearer", " ", "abcdefgh", "\t", "_", "=", "é"])
    ) {
        let is_token = |text: &str, part: Range<usize>| {
            is_web_token(text, part.clone()) || is_credential(text, part)
        };
        prop_assert_eq!(covered(&text, tokens::find), naively(&text, is_token), "{}", text);
    }

    #[test]
    fn any_value_is_redacted_without_harm(text in ".{0,60}", bytes: Vec<u8>, key in ".{0,8}", number: i64) {
        let redaction = Redaction::new().with_keys([key.clone()]).with_span_names(true);
        for mut value in [Value::from(&*text), Value::from(&*bytes), number.into()] {
            redaction.redact("other", &mut value);
            redaction.redact(&key, &mut value);
            prop_assert_eq!(value, Value::from(MASK));
        }
    }
}

/// The shortest secrets of each kind, wherever in a block they stand.
#[test]
fn nothing_is_overlooked() {
    let is_found = |text: &str| !Redaction::new().find(text.as_bytes()).is_empty();
    for secret in [
        "4222222222222",
        "a@b.co",
        "a%40b.co",
        "eyJ..",
        "Bearer 1",
        "beaRER 1",
        "bASIC YTpi",
    ] {
        for (before, behind) in
            (0..50).flat_map(|before| (0..25).map(move |behind| (before, behind)))
        {
            let text = " ".repeat(before) + secret + &" ".repeat(behind);
            assert!(is_found(&text), "{text:?}");
        }
    }
    // As many digits at each place of a block as a byte can count, and one more.
    let digits = "4222222222222".to_owned() + &";".repeat(16) + &"1".repeat(4096 - 13);
    assert!(is_found(&digits));
    assert!(!is_found(" bearer eyJ a@b 123456789012 %40"));
}

#[track_caller]
fn redacted(text: &str) -> String {
    let mut value = Value::from(text);
    Redaction::new().redact("text", &mut value);
    match value {
        Value::Str(text) => text.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn secrets_in_texts_are_replaced_and_nothing_else() {
    for (text, expected) in [
        (
            "Authorization: Bearer abcdef123",
            "Authorization: Bearer [redacted]",
        ),
        ("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "basic [redacted]"),
        ("sent to alice+1@mail.example.com.", "sent to [redacted]."),
        ("?mail=alice%40example.com&x=1", "?mail=[redacted]&x=1"),
        (
            "card 12345 4111 1111 1111 1111 of",
            "card 12345 [redacted] of",
        ),
        (
            "card 4111-1111-1111-1111, 3782 822463 10005",
            "card [redacted], [redacted]",
        ),
        ("jwt=eyJhbGciOiJkaXIi..aXY.Y3Q.dGFn;", "jwt=[redacted];"),
        ("zażółć a@ż.pl gęślą", "zażółć [redacted] gęślą"),
    ] {
        assert_eq!(redacted(text), expected);
    }
    for text in [
        "a bearer of bad news, basic security and basic information",
        "user@localhost, a@b, @example.com, 1@2.3",
        "4111 1111 1111 1112, 1732832778123456789, 00000000-0000-0000-0000-000000000000",
        "eyJhbGciOiJIUzI1NiJ9.",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn keys_make_values_secret_also_inside_of_others() {
    let redaction = Redaction::of([Secret::AuthorizationHeader]).with_keys(["*password*"]);
    let pairs = |text: &'static str| {
        Value::Map(vec![
            ("Cookie".into(), text.into()),
            ("DB_PASSWORD".into(), 7.into()),
            ("x".into(), text.into()),
        ])
    };
    let mut value = Value::Array(vec![pairs("a@b.com"), 1.into()]);
    redaction.redact("headers", &mut value);
    let Value::Array(values) = value else {
        panic!()
    };
    let expected = Value::Map(vec![
        ("Cookie".into(), MASK.into()),
        ("DB_PASSWORD".into(), MASK.into()),
        ("x".into(), "a@b.com".into()),
    ]);
    assert_eq!(values, [expected, 1.into()]);
}

#[test]
fn names_of_spans_are_looked_into_on_request() {
    let mut value = Value::from("a@b.com");
    Redaction::new().redact("otel.name", &mut value);
    assert_eq!(value, "a@b.com".into());
    Redaction::new()
        .with_span_names(true)
        .redact("otel.name", &mut value);
    assert_eq!(value, MASK.into());
}

#[test]
fn numbers_and_bytes_are_looked_into() {
    let redaction = Redaction::new();
    let mut card = Value::from(4_111_111_111_111_111_i64);
    redaction.redact("n", &mut card);
    assert_eq!(card, MASK.into());
    let mut bytes = Value::from(&b"\xFF a@b.com \xFF"[..]);
    redaction.redact("n", &mut bytes);
    assert_eq!(bytes, Value::from(&b"\xFF [redacted] \xFF"[..]));
}

#[test]
fn values_are_looked_into_so_deep() {
    let mut value = Value::from("a@b.com");
    for _ in 0..1_000 {
        value = Value::Array(vec![value]);
    }
    Redaction::new().redact("deep", &mut value);
    assert!(!format!("{value:?}").contains("a@b.com"));
}

/// Texts that make a scanner which goes back work for ever.
#[test]
fn a_megabyte_of_anything_takes_linear_time() {
    for piece in [
        "a%40",
        "a@",
        "4 ",
        "41",
        "eyJ.",
        "eyJ",
        "bearer ",
        "a@b.",
        "Basic YTpi",
        "....",
        "-",
    ] {
        let text = piece.repeat((1 << 20) / piece.len());
        let begun = std::time::Instant::now();
        let mut value = Value::from(&*text);
        Redaction::new().redact("text", &mut value);
        let took = begun.elapsed();
        assert!(took.as_secs() < 20, "{piece:?}: {took:?}");
    }
}
