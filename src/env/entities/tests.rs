use proptest::prelude::*;

use super::*;

/// The entities, and the warning.
fn read(list: &str) -> (Vec<Entity>, String) {
    let mut warnings = Vec::new();
    let mut variable = Variable {
        name: "OTEL_ENTITIES",
        value: list,
        warnings: &mut warnings,
    };
    let entities = entities(&mut variable).unwrap_or_default();
    assert!(warnings.len() <= 1);
    (entities, warnings.pop().unwrap_or_default())
}

fn entity(kind: &str, id: &[(&str, &str)], description: &[(&str, &str)], url: &str) -> Entity {
    let owned = |pairs: &[(&str, &str)]| {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(pair).collect()
    };
    Entity {
        kind: kind.to_owned(),
        id: owned(id),
        description: owned(description),
        schema_url: url.to_owned(),
    }
}

#[test]
fn spec_9_15_entities_are_read_with_their_attributes_and_schema() {
    let list = ";service{service.instance.id=i, service.name=my-app}[service.version=1.0.0]@https://one ;;\
                host{host.id=h};k8s.pod{k8s.pod.uid=u} [a=1,b=,] ;";
    let id = [("service.instance.id", "i"), ("service.name", "my-app")];
    let expected = vec![
        entity(
            "service",
            &id,
            &[("service.version", "1.0.0")],
            "https://one",
        ),
        entity("host", &[("host.id", "h")], &[], ""),
        entity(
            "k8s.pod",
            &[("k8s.pod.uid", "u")],
            &[("a", "1"), ("b", "")],
            "",
        ),
    ];
    assert_eq!(read(list), (expected, String::new()));
}

#[test]
fn spec_9_15_values_are_percent_decoded() {
    let list = "service{service.name=my%2Capp%C3%A9}[config=key%3Dvalue%5Bprod%5D%3b]";
    let expected = entity(
        "service",
        &[("service.name", "my,appé")],
        &[("config", "key=value[prod];")],
        "",
    );
    assert_eq!(read(list), (vec![expected], String::new()));
}

#[test]
fn spec_9_15_malformed_parts_are_skipped_with_a_warning() {
    let wrong = [
        ("service{}", "no identifying attribute"),
        ("service{,}", "no identifying attribute"),
        ("service", "no `{`"),
        ("invalid{syntax", "no `}`"),
        ("{a=1}", "its type"),
        ("1a{a=1}", "its type"),
        ("a b{a=1}", "its type"),
        ("service{a}", "no `=`"),
        ("service{=1}", "a key"),
        ("service{a=1}[b", "no `]`"),
        ("service{a=1}[b]", "no `=`"),
        ("service{a=1}x", "goes on"),
        ("service{a=1}[b=1][c=1]", "goes on"),
        ("service{a=b=c}", "percent-encoded"),
        ("service{a=b@c}", "percent-encoded"),
        ("service{a={}", "percent-encoded"),
        ("service{a=%zz}", "percent-encoded UTF-8"),
        ("service{a=%ff}", "percent-encoded UTF-8"),
    ];
    for (part, why) in wrong {
        let (entities, warning) = read(&format!("{part};host{{host.id=h}}"));
        assert_eq!(
            entities,
            [entity("host", &[("host.id", "h")], &[], "")],
            "{part}"
        );
        assert!(
            warning.starts_with("OTEL_ENTITIES: ") && warning.contains(why),
            "{part}: {warning}"
        );
        assert!(warning.contains(&format!("{part:?}")), "{warning}");
    }
}

#[test]
fn spec_9_15_a_wrong_schema_alone_is_ignored_with_a_warning() {
    let (entities, warning) = read("service{service.name=a}@invalid-url");
    assert_eq!(
        entities,
        [entity("service", &[("service.name", "a")], &[], "")]
    );
    assert!(warning.contains("invalid-url"), "{warning}");
}

#[test]
fn spec_9_15_the_last_duplicate_wins() {
    let (entities, warning) = read("s{n=a}[v=1];s{n=a}[v=2]");
    assert_eq!(entities, [entity("s", &[("n", "a")], &[("v", "2")], "")]);
    assert!(warning.contains("\"s\" comes again"), "{warning}");
    let (entities, _) = read("s{n=a,n=b}[v=1,v=2,n=3]");
    assert_eq!(entities, [entity("s", &[("n", "b")], &[("v", "2")], "")]);
}

#[test]
fn a_warning_stays_short_whatever_is_wrong() {
    let list = format!("{};", "x".repeat(1000)).repeat(1000);
    let (entities, warning) = read(&list);
    assert!(entities.is_empty() && warning.len() < 1000, "{warning}");
    assert!(warning.ends_with("and 996 more"), "{warning}");
}

/// What a value looks like in the variable.
fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

proptest! {
    #[test]
    fn spec_9_15_no_text_does_harm_and_what_is_read_is_valid(
        list in "(?s).{0,60}|([st]|[{}\\[\\]@;,=%]|a=1|b=2|https://x){0,30}"
    ) {
        let (entities, _) = read(&list);
        for entity in entities {
            prop_assert!(is_name(&entity.kind) && !entity.id.is_empty());
            let mut keys: Vec<_> = entity.attributes().map(|(key, _)| key).collect();
            prop_assert!(keys.iter().all(|key| is_name(key)));
            let count = keys.len();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), count);
        }
    }

    /// What is written well is read as it was meant, and of one type the last.
    #[test]
    fn spec_9_15_the_last_entity_of_a_type_is_read_as_it_was_written(
        all in proptest::collection::vec(("[a-c]", "[k-m]{1,3}", "(?s).{0,6}", "(?s).{0,6}"), 1..6)
    ) {
        let part = |(kind, key, id, value): &(String, String, String, String)| {
            format!("{kind}{{id.{kind}.{key}={}}}[d.{kind}.{key}={}]@urn:{kind}", encoded(id), encoded(value))
        };
        let list: Vec<String> = all.iter().map(part).collect();
        let (entities, _) = read(&list.join(";"));
        for kind in ["a", "b", "c"] {
            let expected = all.iter().rev().find(|(known, ..)| known == kind).map(|(kind, key, id, value)| entity(
                kind,
                &[(&format!("id.{kind}.{key}"), id)],
                &[(&format!("d.{kind}.{key}"), value)],
                &format!("urn:{kind}"),
            ));
            let found: Vec<_> = entities.iter().filter(|entity| entity.kind == kind).cloned().collect();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
