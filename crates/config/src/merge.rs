//! Putting one layer over another (02 §2.4).

use serde_json::{Map, Value};

/// Names that upstream drops so that a document can't reach JavaScript's prototypes. They mean nothing
/// here; dropping them keeps the merged document equal.
pub(crate) const DROPPED: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// Puts `layer` over `base` (02 §2.4): objects merge, everything else replaces, `null` too; a key that
/// the layer doesn't have keeps its value. There is no way to delete. An object over something else
/// starts from `{}`. A layer that is no object changes nothing.
///
/// ```
/// use open_cowork_config::merge::merge;
/// use serde_json::json;
///
/// let mut base = json!({"branding": {"name": "A", "helpUrl": ""}, "tools": [1, 2]});
/// merge(&mut base, &json!({"branding": {"name": "B"}, "tools": [3]}));
/// assert_eq!(base, json!({"branding": {"name": "B", "helpUrl": ""}, "tools": [3]}));
/// ```
pub fn merge(base: &mut Value, layer: &Value) {
    let Value::Object(layer) = layer else { return };
    merge_object(object(base), layer);
}

fn merge_object(base: &mut Map<String, Value>, layer: &Map<String, Value>) {
    for (key, value) in layer {
        if DROPPED.contains(&key.as_str()) {
            continue;
        }
        match value {
            Value::Object(inner) => {
                let slot = base.entry(key).or_insert(Value::Null);
                merge_object(object(slot), inner);
            }
            other => {
                base.insert(key.clone(), other.clone());
            }
        }
    }
}

fn object(slot: &mut Value) -> &mut Map<String, Value> {
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("it was just made an object"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn merged(mut base: Value, layer: &Value) -> Value {
        merge(&mut base, layer);
        base
    }

    #[test]
    fn objects_merge_and_everything_else_replaces() {
        let base = json!({"a": {"x": 1, "y": [1, 2]}, "b": 1, "c": "s", "d": {"z": 1}});
        let layer = json!({"a": {"y": [3]}, "b": null, "c": {"n": {"m": 1}}, "d": 5});
        assert_eq!(
            merged(base, &layer),
            json!({"a": {"x": 1, "y": [3]}, "b": null, "c": {"n": {"m": 1}}, "d": 5})
        );
    }

    #[test]
    fn prototype_names_are_dropped_at_any_depth_but_not_inside_arrays() {
        let layer = json!({
            "__proto__": {"p": 1}, "constructor": 1,
            "a": {"prototype": 2, "toString": 3, "b": {"__proto__": 4}},
            "list": [{"constructor": 1}]
        });
        assert_eq!(
            merged(json!({}), &layer),
            json!({"a": {"toString": 3, "b": {}}, "list": [{"constructor": 1}]})
        );
    }

    #[test]
    fn a_layer_that_is_no_object_changes_nothing() {
        for layer in [json!(null), json!([1]), json!("x")] {
            assert_eq!(merged(json!({"a": 1}), &layer), json!({"a": 1}));
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..9i64).prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_layer_wins_over_its_own_result(base in tree(), layer in tree()) {
            let once = merged(base, &layer);
            prop_assert_eq!(merged(once.clone(), &layer), once);
        }
    }
}
