use proptest::prelude::*;

use super::*;

fn parse(header: &str) -> Baggage {
    Baggage::parse([header])
}

fn list(baggage: &Baggage) -> Vec<(&str, &str, &str)> {
    baggage.iter().collect()
}

#[test]
fn spec_6_15_a_value_may_contain_the_equals_sign() {
    let baggage = parse("a=b=c,d==,e= =f=;g=h");
    assert_eq!(
        list(&baggage),
        [("a", "b=c", ""), ("d", "=", ""), ("e", "=f=", "g=h")]
    );
    assert_eq!(baggage.to_string(), "a=b=c,d==,e==f=;g=h");
}

#[test]
fn spec_6_16_several_headers_are_combined_in_order() {
    let baggage = Baggage::parse(["a=1,b=2", "", " c = 3 "]);
    assert_eq!(
        list(&baggage),
        [("a", "1", ""), ("b", "2", ""), ("c", "3", "")]
    );
}

#[test]
fn spec_6_16_values_are_percent_encoded_utf_8_and_so_is_the_percent_sign() {
    let baggage = Baggage::default().with("k", "50 % é,;\"\\\n=\u{1F600}");
    let header = "k=50%20%25%20%C3%A9%2C%3B%22%5C%0A=%F0%9F%98%80";
    assert_eq!(baggage.to_string(), header);
    assert_eq!(parse(header), baggage);
    assert_eq!(parse("k=a%2cb").get("k"), Some("a,b"));
    // What is encoded badly stays, and is encoded well from here on.
    assert_eq!(parse("k=5%zz%").get("k"), Some("5%zz%"));
    assert_eq!(parse("k=5%zz%").to_string(), "k=5%25zz%25");
    assert_eq!(parse("k=a%FFb").get("k"), Some("a\u{FFFD}b"));
}

#[test]
fn spec_6_16_metadata_is_one_opaque_text() {
    let baggage = parse("a=1 ; p1 ; p2=%20x;p3 , b=2;");
    assert_eq!(
        list(&baggage),
        [("a", "1", "p1 ; p2=%20x;p3"), ("b", "2", "")]
    );
    assert_eq!(baggage.to_string(), "a=1;p1 ; p2=%20x;p3,b=2");
    let written = Baggage::default().with_metadata("a", "1", " p=1 ");
    assert_eq!(list(&written), [("a", "1", "p=1")]);
    for wrong in ["x,y=1", "x\r\ny: 1", "é", "\0"] {
        assert!(Baggage::default().with_metadata("a", "1", wrong).is_empty());
    }
    assert!(
        parse("a=1;x\r\ny: 1").is_empty(),
        "it would be written into a header"
    );
}

#[test]
fn spec_6_16_a_key_is_a_token_and_what_is_invalid_is_left_out_alone() {
    let token = "!#$%&'*+-.^_`|~09azAZ";
    assert_eq!(parse(&format!("{token}=1")).get(token), Some("1"));
    let baggage = parse("a=1,=2,b,c d=3,é=4,e/f=5,g=h i,h=\"j\",i=\\,j=k\u{7f},l;m=1,z=");
    assert_eq!(list(&baggage), [("a", "1", ""), ("z", "", "")]);
    for key in ["", "a b", "a=b", "a,b", "é", "a;b", "\"a\""] {
        assert!(Baggage::default().with(key, "1").is_empty(), "{key}");
    }
}

#[test]
fn spec_6_16_64_members_and_8192_bytes_are_kept() {
    let members = |count: usize| (0..count).map(|n| format!("k{n:02}=v")).collect::<Vec<_>>();
    let (all, more) = (members(64).join(","), members(65).join(","));
    assert_eq!(parse(&all).to_string(), all);
    assert_eq!(parse(&more).to_string(), all);
    let full = parse(&all);
    assert_eq!(full.with("more", "1"), full);
    assert_eq!(full.with("k00", "w").get("k00"), Some("w"));

    let long = format!("a=1,b={}", "v".repeat(8192 - 6));
    assert_eq!(long.len(), 8192);
    assert_eq!(parse(&long).to_string(), long);
    assert_eq!(Baggage::parse(["a=1", &long[4..]]).to_string(), long);
    assert_eq!(list(&parse(&format!("{long}v"))), [("a", "1", "")]);
    assert_eq!(
        parse("a=1").with("b", &"v".repeat(8192 - 6)).to_string(),
        long
    );
    assert_eq!(parse("a=1").with("b", &"v".repeat(8192 - 5)), parse("a=1"));
    // What grows when it is encoded well is cut by whole members.
    let grown = parse(&format!("a=1,b={}", "%".repeat(4000)));
    assert_eq!(grown.to_string(), "a=1");
    let percents = "%".repeat(2730);
    assert_eq!(parse(&format!("k={percents}")).to_string().len(), 8192);
    assert_eq!(parse(&format!("kk={percents}")).to_string(), "");
}

#[test]
fn a_key_is_there_once_and_the_last_value_holds() {
    assert_eq!(
        list(&parse("a=1,b=2,a=3;m")),
        [("a", "3", "m"), ("b", "2", "")]
    );
    let baggage = parse("a=1;m,b=2");
    assert_eq!(
        list(&baggage.with("a", "3")),
        [("a", "3", ""), ("b", "2", "")]
    );
    assert_eq!(list(&baggage.without("a")), [("b", "2", "")]);
    assert_eq!(baggage.without("c"), baggage);
    assert!(parse("a=1").without("a").is_empty());
    assert_eq!(
        list(&baggage),
        [("a", "1", "m"), ("b", "2", "")],
        "it never changes"
    );
}

proptest! {
    #[test]
    fn spec_6_16_what_is_written_is_read(
        pairs in proptest::collection::vec(("[a-z!#%_~]{1,3}", "(?s).{0,12}", "[a-z=;%]{0,6}"), 0..20),
    ) {
        let mut baggage = Baggage::default();
        let mut naive: Vec<(String, String, String)> = Vec::new();
        for (key, value, metadata) in pairs {
            baggage = baggage.with_metadata(&key, &value, &metadata);
            let member = (key, value, metadata);
            match naive.iter_mut().find(|known| known.0 == member.0) {
                Some(known) => *known = member,
                None => naive.push(member),
            }
        }
        let naive: Vec<_> = naive.iter().map(|(k, v, m)| (k.as_str(), v.as_str(), m.as_str())).collect();
        prop_assert_eq!(list(&baggage), naive);
        let header = baggage.to_string();
        prop_assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", header);
        prop_assert_eq!(parse(&header), baggage);
    }

    #[test]
    fn no_text_does_harm_and_what_is_read_is_read_again(text in "(?s).{0,60}|[a-c=%;, \t]{0,40}") {
        let baggage = parse(&text);
        prop_assert!(baggage.iter().count() <= MEMBERS);
        prop_assert_eq!(parse(&baggage.to_string()), baggage);
    }
}
