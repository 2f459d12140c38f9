//! RFC 6901 pointers, and the dotted paths that people read (02 §2.5).

use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write as _;

/// The pointer of a member: `child("/a", "b/c")` is `/a/b~1c`.
pub fn child(pointer: &str, name: &str) -> String {
    let mut out = String::with_capacity(pointer.len() + name.len() + 1);
    out.push_str(pointer);
    push(&mut out, name);
    out
}

/// Appends one step to a pointer.
pub fn push(pointer: &mut String, name: &str) {
    pointer.push('/');
    for c in name.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            _ => pointer.push(c),
        }
    }
}

/// The steps of a pointer, unescaped. The empty pointer has none.
pub fn steps(pointer: &str) -> impl Iterator<Item = Cow<'_, str>> {
    pointer.split('/').skip(1).map(unescape)
}

/// The pointer without its last step; the root has no parent.
pub fn parent(pointer: &str) -> Option<&str> {
    pointer.rfind('/').map(|at| &pointer[..at])
}

/// The path as people write it: `tools[0].name`, `(root)` for the whole document.
///
/// Whether a number is an index or a key can only be told by the document; it is looked up in
/// `root`. Pointer escapes are undone.
pub fn dotted(root: &Value, pointer: &str) -> String {
    let mut out = String::new();
    let mut at = Some(root);
    for step in steps(pointer) {
        let array = at.is_some_and(Value::is_array);
        if array {
            let _ = write!(out, "[{step}]");
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&step);
        }
        at = at.and_then(|value| match value {
            Value::Array(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
            Value::Object(map) => map.get(step.as_ref()),
            _ => None,
        });
    }
    if out.is_empty() {
        out.push_str("(root)");
    }
    out
}

/// Whether a pointer is at the pattern, in which `*` stands for one step.
///
/// ```
/// use open_cowork_config::pointer::matches;
/// assert!(matches("/gateway/providers/*/credentials/*", "/gateway/providers/0/credentials/botToken"));
/// assert!(!matches("/gateway/providers/*", "/gateway/providers/0/id"));
/// ```
pub fn matches(pattern: &str, pointer: &str) -> bool {
    let mut wanted = pattern.split('/');
    let mut found = pointer.split('/');
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(want), Some(have)) if want == "*" || want == have => {}
            _ => return false,
        }
    }
}

fn unescape(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn an_index_is_told_from_a_key_by_the_document() {
        let root = json!({"tools": [{"id": "a"}], "plans": {"0": {}}});
        assert_eq!(dotted(&root, "/tools/0/name"), "tools[0].name");
        assert_eq!(dotted(&root, "/plans/0/label"), "plans.0.label");
        assert_eq!(dotted(&root, ""), "(root)");
    }

    proptest! {
        #[test]
        fn a_pointer_names_its_steps(names in prop::collection::vec(".{0,6}", 0..5)) {
            let mut pointer = String::new();
            for name in &names {
                push(&mut pointer, name);
            }
            let found: Vec<String> = steps(&pointer).map(Cow::into_owned).collect();
            prop_assert_eq!(found, names);
        }
    }
}
