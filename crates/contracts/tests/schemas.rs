//! The committed schemas in `docs/schemas/` are those of the types. Regenerate: `UPDATE_SCHEMAS=1`.

use std::collections::BTreeSet;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas")
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let update = std::env::var_os("UPDATE_SCHEMAS").is_some();
    if update {
        std::fs::create_dir_all(folder()).unwrap();
    }
    for (name, schema) in open_cowork_contracts::schema::all() {
        let path = folder().join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if update {
            std::fs::write(&path, text).unwrap();
            continue;
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            stored.replace("\r\n", "\n"),
            text,
            "{name}: run the tests of this crate with UPDATE_SCHEMAS=1 and read the difference"
        );
    }
}

#[test]
fn no_schema_is_orphaned() {
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        return; // the other test is writing them
    }
    let named: BTreeSet<String> = open_cowork_contracts::schema::all()
        .iter()
        .map(|(name, _)| format!("{name}.json"))
        .collect();
    let stored: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(stored, named);
}
