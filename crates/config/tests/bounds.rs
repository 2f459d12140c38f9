//! A hostile document costs little more than its size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in functions beside the tests too

use open_cowork_config::load::review;
use open_cowork_config::placeholder::FILE_LIMIT;
use open_cowork_config::source::{LayerKind, Sources, Surface};
use open_cowork_contracts::finding::Finding;
use serde_json::json;

fn found(text: &str) -> Vec<Finding> {
    review(&Sources::new(Surface::Every).with(LayerKind::Base, "site.json", text))
}

#[test]
fn a_file_of_many_placeholders_is_one_finding() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("big"), "y".repeat(FILE_LIMIT)).unwrap();
    let path = folder.path().join("site.json");
    // The same file by many names is read for a while only.
    let names: String = (0..2000)
        .map(|n| format!("{{file:{}big}}", "./".repeat(n % 300)))
        .collect();
    for name in ["{file:big}".repeat(30_000), names] {
        std::fs::write(&path, json!({"branding": {"name": name}}).to_string()).unwrap();
        let sources = Sources::new(Surface::Every)
            .with_file(LayerKind::Base, &path, None)
            .unwrap();
        let found = review(&sources);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].code, "CONFIG_PLACEHOLDER");
        assert_eq!(found[0].pointer.as_deref(), Some("/branding/name"));
        assert_eq!(found[0].line, Some(1));
    }
}

#[test]
fn duplicate_keys_are_counted_after_the_first_hundred() {
    let members: Vec<&str> = vec!["\"name\": \"x\""; 400_001];
    let found = found(&format!("{{\"branding\": {{{}}}}}", members.join(",\n")));
    assert_eq!(found.len(), 101);
    assert!(
        found
            .iter()
            .any(|finding| finding.message.contains("399900 more keys")),
        "{:?}",
        found.first()
    );
}

#[test]
fn many_findings_take_linear_time() {
    let unknown: Vec<String> = (0..5_000).map(|n| format!("{{\"zz{n}\": 1}}")).collect();
    assert!(found(&format!("{{\"tools\": [{}]}}", unknown.join(",\n"))).len() >= 5_000);
    let unset: Vec<&str> = vec!["{\"id\": \"{env:X}\"}"; 20_000];
    assert!(found(&format!("{{\"tools\": [{}]}}", unset.join(","))).len() >= 20_000);
    let ids: Vec<String> = (0..20_000).map(|n| format!("\"t{n}\"")).collect();
    let profile = format!(
        "{{\"cloud\": {{\"profiles\": {{\"p\": {{\"tools\": [{}]}}}}}}}}",
        ids.join(",")
    );
    assert_eq!(found(&profile).len(), 20_000);
    assert!(found(&format!("{{{}", ",".repeat(3_900_000))).len() <= 20);
}

#[test]
fn what_cannot_be_kept_is_one_finding_and_hides_no_other() {
    for (text, said) in [
        (
            r#"{"branding": {"nmae": 1, "name": "\ud800"}}"#,
            "half of a character",
        ),
        (
            r#"{"branding": {"nmae": 1, "sidebar": {"top": {"mediaSize": 1e400}}}}"#,
            "larger than any",
        ),
        (
            r#"{"branding": {"nmae": 1}, "providers": {"custom": {"p": {"options": {"n": 1e400}}}}}"#,
            "larger than any",
        ),
    ] {
        let found = found(text);
        let told = |part: &str| {
            found
                .iter()
                .filter(|finding| finding.message.contains(part))
                .count()
        };
        assert_eq!((told(said), told("branding.nmae")), (1, 1), "{found:?}");
        assert!(found.iter().all(|finding| finding.line == Some(1)));
    }
    let deep = format!(
        r#"{{"tools": {}"]"{}, "nmae": 1}}"#,
        "[".repeat(3000),
        "]".repeat(3000)
    );
    let found = found(&deep);
    assert!(
        found
            .iter()
            .any(|finding| finding.message.contains("deeper than 128")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|finding| finding.pointer.as_deref() == Some("/nmae"))
    );
}
