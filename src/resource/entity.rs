//! Entities: what the attributes of a resource identify and describe (specification, entities; its status is Development).

use std::collections::HashMap;

use crate::proto::resource::EntityRef;

/// A host, a service, a container: its type, what identifies it, and what else is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entity {
    /// Its type.
    pub(crate) kind: String,
    /// Attributes that identify it, at least one.
    pub(crate) id: Vec<(String, String)>,
    /// Attributes that describe it, with other keys.
    pub(crate) description: Vec<(String, String)>,
    /// Empty where it is not known.
    pub(crate) schema_url: String,
}

impl Entity {
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &(String, String)> {
        self.id.iter().chain(&self.description)
    }

    pub(crate) fn to_ref(&self) -> EntityRef {
        let keys = |pairs: &[(String, String)]| pairs.iter().map(|(key, _)| key.clone()).collect();
        EntityRef {
            kind: self.kind.clone(),
            id_keys: keys(&self.id),
            description_keys: keys(&self.description),
            schema_url: self.schema_url.clone(),
        }
    }
}

/// Those of the entities that can be told of one resource together, in their order. The last one wins: of one type, there is
/// only the last; one that is identified by a value which a later one overwrites is left out, and so is a describing attribute.
/// `warn` is told what is left out.
pub(crate) fn consistent(entities: Vec<Entity>, mut warn: impl FnMut(String)) -> Vec<Entity> {
    let mut values: HashMap<String, String> = HashMap::new();
    let mut kept: HashMap<String, Vec<(String, String)>> = HashMap::new();
    let mut result = Vec::new();
    for mut entity in entities.into_iter().rev() {
        let differs =
            |(key, value): &(String, String)| values.get(key).is_some_and(|later| later != value);
        if let Some(later) = kept.get(&entity.kind) {
            let again = if *later == entity.id {
                "again"
            } else {
                "as another one"
            };
            warn(format!(
                "entity {:?} comes {again}: the last one holds",
                entity.kind
            ));
            continue;
        }
        if let Some((key, _)) = entity.id.iter().find(|pair| differs(pair)) {
            warn(format!(
                "entity {:?} is left out: a later one sets {key:?}",
                entity.kind
            ));
            continue;
        }
        if let Some((key, _)) = entity.description.iter().find(|pair| differs(pair)) {
            let kind = &entity.kind;
            warn(format!(
                "entity {kind:?} loses {key:?} and the like: a later one sets it"
            ));
        }
        entity.description.retain(|pair| !differs(pair));
        values.extend(entity.attributes().cloned());
        kept.insert(entity.kind.clone(), entity.id.clone());
        result.push(entity);
    }
    result.reverse();
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entity(kind: &str, id: &[(&str, &str)], description: &[(&str, &str)]) -> Entity {
        let owned = |pairs: &[(&str, &str)]| {
            let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            pairs.iter().map(pair).collect()
        };
        Entity {
            kind: kind.to_owned(),
            id: owned(id),
            description: owned(description),
            schema_url: String::new(),
        }
    }

    fn kept(entities: &[Entity]) -> (Vec<Entity>, usize) {
        let mut warnings = 0;
        let kept = consistent(entities.to_vec(), |_| warnings += 1);
        (kept, warnings)
    }

    #[test]
    fn spec_9_15_of_one_type_the_last_entity_holds() {
        let one = entity("service", &[("service.name", "a")], &[("version", "1")]);
        let again = entity("service", &[("service.name", "a")], &[("version", "2")]);
        let other = entity("service", &[("service.name", "b")], &[]);
        assert_eq!(kept(&[one.clone(), again.clone()]), (vec![again], 1));
        assert_eq!(kept(&[one, other.clone()]), (vec![other], 1));
    }

    #[test]
    fn spec_9_15_what_a_later_entity_says_otherwise_is_not_said_of_an_earlier_one() {
        let described = entity("a", &[("a.id", "1")], &[("x", "1"), ("y", "1")]);
        let identified = entity("b", &[("x", "1")], &[]);
        let later = entity("c", &[("c.id", "1")], &[("x", "2"), ("y", "1")]);
        let expected = vec![entity("a", &[("a.id", "1")], &[("y", "1")]), later.clone()];
        assert_eq!(kept(&[described, identified, later]), (expected, 2));
    }

    fn entities() -> impl Strategy<Value = Vec<Entity>> {
        let pairs = |least| {
            proptest::collection::btree_map("[a-d]", "[xy]", least..3)
                .prop_map(|map| map.into_iter().collect::<Vec<_>>())
        };
        let one = ("[st]", pairs(1), pairs(0)).prop_map(|(kind, id, mut description)| {
            description.retain(|(key, _)| id.iter().all(|(known, _)| known != key));
            Entity {
                kind,
                id,
                description,
                schema_url: String::new(),
            }
        });
        proptest::collection::vec(one, 0..6)
    }

    proptest! {
        #[test]
        fn spec_1_18_entities_that_are_kept_agree_and_the_last_one_is_whole(all in entities()) {
            let (kept, _) = kept(&all);
            prop_assert_eq!(kept.last(), all.last());
            let mut values = HashMap::new();
            for entity in &kept {
                prop_assert!(!entity.id.is_empty());
                for (key, value) in entity.attributes() {
                    prop_assert_eq!(values.entry(key).or_insert(value), &value);
                }
            }
            let mut kinds: Vec<_> = kept.iter().map(|entity| &entity.kind).collect();
            kinds.sort();
            kinds.dedup();
            prop_assert_eq!(kinds.len(), kept.len());
        }
    }
}
