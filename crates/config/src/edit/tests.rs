use super::*;
use proptest::prelude::*;
use serde_json::{Map, json};
use std::path::Path;

fn set_in(text: &str, key: &str, value: impl Into<Value>) -> String {
    set("site.json", text, key, &value.into()).unwrap()
}

fn remove_from(text: &str, key: &str) -> String {
    remove("site.json", text, key).unwrap()
}

fn value_of(text: &str) -> Value {
    Document::parse("site.json", text).unwrap().value().clone()
}

#[test]
fn a_value_is_replaced_and_everything_else_stays() {
    let before = "\u{feff}// site\r\n{\r\n\t\"a\" : /* why */ [1, 2] , // one\r\n\t\"b\": \"}\", \"c\": 3,\r\n}\r\n";
    assert_eq!(
        set_in(before, "a", json!({"x": [1]})),
        "\u{feff}// site\r\n{\r\n\t\"a\" : /* why */ {\r\n\t\t\"x\": [\r\n\t\t\t1\r\n\t\t]\r\n\t} , // one\r\n\t\"b\": \"}\", \"c\": 3,\r\n}\r\n"
    );
    assert_eq!(
        set_in(before, "c", json!({"x": 1})),
        before.replace("\"c\": 3", "\"c\": {\"x\":1}"),
        "on a line with others it stays on that line"
    );
}

#[test]
fn a_new_member_comes_last_and_looks_like_its_neighbours() {
    let cases = [
        ("{\n  \"a\": 1\n}\n", "{\n  \"a\": 1,\n  \"k\": true\n}\n"),
        ("{\n  \"a\": 1,\n}\n", "{\n  \"a\": 1,\n  \"k\": true,\n}\n"),
        (
            "{\n    \"a\": 1 // one, two\n    // end\n}",
            "{\n    \"a\": 1, // one, two\n    \"k\": true\n    // end\n}\n",
        ),
        (
            "{\r\n\t\"a\": 1, /* x */\r\n}",
            "{\r\n\t\"a\": 1, /* x */\r\n\t\"k\": true,\r\n}\r\n",
        ),
        (
            "{\n  \"a\": 1 /* x\n  y */\n}\n",
            "{\n  \"a\": 1,\n  \"k\": true /* x\n  y */\n}\n",
        ),
        ("{\"a\": 1}", "{\"a\": 1, \"k\": true}\n"),
        ("{ \"a\": 1, }\n", "{ \"a\": 1, \"k\": true, }\n"),
        ("{\"a\": 1 // x\n}\n", "{\"a\": 1, \"k\": true // x\n}\n"),
        ("{\n  \"a\": 1}\n", "{\n  \"a\": 1,\n  \"k\": true}\n"),
        ("{}", "{\n  \"k\": true\n}\n"),
        ("{\n}\n", "{\n  \"k\": true\n}\n"),
        (
            "{ // nothing yet\n}\n",
            "{ // nothing yet\n  \"k\": true\n}\n",
        ),
        (
            "{\n  // nothing yet\n}\n",
            "{\n  // nothing yet\n  \"k\": true\n}\n",
        ),
        (
            "{ /* nothing yet */ }\n",
            "{ /* nothing yet */\n  \"k\": true\n }\n",
        ),
    ];
    for (before, after) in cases {
        let out = set_in(before, "k", json!(true));
        assert_eq!(out, after, "{before}");
    }
}

#[test]
fn blank_text_is_created_by_a_set_and_left_alone_by_a_removal() {
    for text in ["", " \r\n", "\n"] {
        assert_eq!(set_in(text, "k", json!([])), "{\n  \"k\": []\n}\n");
        assert_eq!(remove_from(text, "k"), text);
    }
    assert_eq!(
        set_in("\u{feff}", "k", json!(1)),
        "\u{feff}{\n  \"k\": 1\n}\n"
    );
}

#[test]
fn a_member_is_removed_with_its_line_and_comments_stay() {
    let cases = [
        (
            "{\n  \"a\": 1,\n  \"k\": [\n    2\n  ],\n  \"b\": 3\n}\n",
            "{\n  \"a\": 1,\n  \"b\": 3\n}\n",
        ),
        (
            "{\n  \"a\": 1, // one\n  \"k\": 2\n}\n",
            "{\n  \"a\": 1 // one\n}\n",
        ),
        ("{\n  \"a\": 1,\n  \"k\": 2,\n}\n", "{\n  \"a\": 1,\n}\n"),
        (
            "{\n  // about k\n  \"k\": 2, // two\n  \"a\": 1\n}\n",
            "{\n  // about k\n   // two\n  \"a\": 1\n}\n",
        ),
        ("{\r\n  \"k\": 2\r\n}", "{\r\n}\r\n"),
        ("{\"a\": 1, \"k\": 2, \"b\": 3}\n", "{\"a\": 1, \"b\": 3}\n"),
        ("{ \"k\": 2, \"a\": 1 }\n", "{ \"a\": 1 }\n"),
        ("{ \"a\": 1, \"k\": 2 }\n", "{ \"a\": 1 }\n"),
        ("{\"k\": 2 /* x */, \"a\": 1}\n", "{ /* x */ \"a\": 1}\n"),
    ];
    for (before, after) in cases {
        assert_eq!(remove_from(before, "k"), after, "{before}");
    }
    let absent = "{\"a\": 1}";
    assert_eq!(
        remove_from(absent, "k"),
        absent,
        "without a line break, as it was"
    );
}

#[test]
fn of_duplicate_keys_the_last_is_set_and_all_are_removed() {
    let before = "{\n  \"k\": 1,\n  \"a\": 2,\n  \"\\u006b\": 3\n}\n";
    assert_eq!(set_in(before, "k", json!(4)), before.replace("3", "4"));
    assert_eq!(remove_from(before, "k"), "{\n  \"a\": 2\n}\n");
}

#[test]
fn what_is_no_object_is_refused_with_its_place() {
    for text in ["[1]", "7", "{\"a\": }", "// only a comment\n", "{} {}"] {
        for result in [
            set("site.json", text, "k", &json!(1)),
            remove("site.json", text, "k"),
        ] {
            let findings = result.unwrap_err();
            assert!(
                findings
                    .iter()
                    .all(|f| f.file.as_deref() == Some("site.json") && f.line.is_some()),
                "{text}"
            );
        }
    }
}

#[test]
fn a_value_that_no_reader_would_take_is_not_written() {
    let deep = (0..crate::jsonc::MAX_DEPTH).fold(json!(1), |inner, _| json!([inner]));
    assert!(set("site.json", "{}", "k", &deep).is_err());
}

#[test]
fn a_file_is_created_changed_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.json");
    remove_in_file(&path, "k").unwrap();
    assert!(!path.exists());
    set_in_file(&path, "k", &json!(1)).unwrap();
    set_in_file(&path, "l", &json!(2)).unwrap();
    remove_in_file(&path, "k").unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\n  \"l\": 2\n}\n"
    );
    assert_eq!(
        names_in(folder.path()),
        ["site.json"],
        "nothing is left behind"
    );
}

#[test]
fn a_file_that_can_not_be_written_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.json");
    std::fs::write(&path, "{ broken").unwrap();
    assert_eq!(
        set_in_file(&path, "k", &json!(1)).unwrap_err()[0].code,
        "CONFIG_SYNTAX"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{ broken");
    let missing = folder.path().join("no-such-folder/site.json");
    let finding = write(&missing, "{}\n").unwrap_err();
    assert_eq!(finding.code, "CONFIG_WRITE");
    assert_eq!(
        write(folder.path(), "{}\n").unwrap_err().code,
        "CONFIG_WRITE",
        "a folder"
    );
    assert_eq!(
        set_in_file(folder.path(), "k", &json!(1)).unwrap_err()[0].code,
        "CONFIG_READ"
    );
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[cfg(unix)]
#[test]
fn a_file_keeps_its_mode_and_a_new_one_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.json");
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    write(&path, "{}\n").unwrap();
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
    write(&path, "{\"a\": 1}\n").unwrap();
    assert_eq!(mode(), 0o664);
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_inside_its_folder_and_refused_out_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("project");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(folder.path().join("private.json"), "{}\n").unwrap();
    std::fs::write(inner.join("real.json"), "{}\n").unwrap();
    std::os::unix::fs::symlink("real.json", inner.join("near.json")).unwrap();
    std::os::unix::fs::symlink("../private.json", inner.join("far.json")).unwrap();
    set_in_file(&inner.join("near.json"), "k", &json!(1)).unwrap();
    assert!(
        std::fs::symlink_metadata(inner.join("near.json"))
            .unwrap()
            .is_symlink()
    );
    assert!(
        std::fs::read_to_string(inner.join("real.json"))
            .unwrap()
            .contains("\"k\": 1")
    );
    let findings = set_in_file(&inner.join("far.json"), "k", &json!(1)).unwrap_err();
    assert!(
        findings[0].message.contains("leads out of its folder"),
        "{findings:?}"
    );
    assert_eq!(
        std::fs::read_to_string(folder.path().join("private.json")).unwrap(),
        "{}\n"
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[ -~äß😀\n\\\\\"{}/*,]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[a-z/*\"]{0,3}", inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// White space and comments as they may stand between any two tokens.
fn any_blank() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "",
        "",
        " ",
        "\n",
        "\r\n",
        "\t",
        "\n  ",
        "\r\n\t",
        " // } , \"k\": 1\n",
        "/* { \"k\": */",
        " /* a\n b */ ",
        "// x\r\n  ",
    ])
}

fn any_document() -> impl Strategy<Value = String> {
    let member = (
        prop::sample::select(vec![
            "\"k\"",
            "\"\\u006b\"",
            "\"a\"",
            "\"b\"",
            "\"c\\\"\"",
            "\"\"",
        ]),
        any_value(),
        prop::array::uniform4(any_blank()),
        any::<bool>(),
    );
    (
        prop::collection::vec(member, 0..5),
        prop::array::uniform3(any_blank()),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(members, around, mark, trailing)| {
            let count = members.len();
            let mut text = format!("{}{}{{", if mark { "\u{feff}" } else { "" }, around[0]);
            for (index, (key, value, b, pretty)) in members.into_iter().enumerate() {
                let value = if pretty {
                    format!("{value:#}")
                } else {
                    value.to_string()
                };
                let comma = if index + 1 < count || trailing {
                    ","
                } else {
                    ""
                };
                text.push_str(&format!(
                    "{}{key}{}:{}{value}{}{comma}",
                    b[0], b[1], b[2], b[3]
                ));
            }
            text.push_str(&format!("{}}}{}", around[1], around[2]));
            text
        })
}

fn object_of(text: &str) -> Map<String, Value> {
    value_of(text).as_object().unwrap().clone()
}

proptest! {
    #[test]
    fn a_set_changes_one_member_and_keeps_every_other_byte(text in any_document(), value in any_value()) {
        let after = set_in(&text, "k", value.clone());
        let mut expected = object_of(&text);
        let existed = expected.insert("k".into(), value).is_some();
        prop_assert_eq!(object_of(&after), expected);
        prop_assert!(after.ends_with('\n'));
        let members = member::find(&text).unwrap();
        if existed {
            let member = members.all.iter().rfind(|member| member.key == "k").unwrap();
            prop_assert!(after.starts_with(&text[..member.value]));
            prop_assert!(after.trim_end().ends_with(text[member.end..].trim_end()));
        } else {
            // What was inserted stands between two parts of the old text, but for one comma.
            let mut old = text.bytes().peekable();
            for byte in after.bytes() {
                old.next_if_eq(&byte);
            }
            prop_assert_eq!(old.next(), None, "{} -> {}", text, after);
        }
    }

    #[test]
    fn a_removal_takes_the_member_and_keeps_all_others_and_every_comment(text in any_document()) {
        let after = remove_from(&text, "k");
        let mut expected = object_of(&text);
        let existed = expected.shift_remove("k").is_some();
        prop_assert_eq!(object_of(&after), expected);
        if !existed {
            prop_assert_eq!(&after, &text);
        }
        // Nothing but the members, white space and commas may be gone.
        let mut wanted = String::new();
        let mut at = 0;
        for member in member::find(&text).unwrap().all.iter().filter(|member| member.key == "k") {
            wanted.push_str(&text[at..member.begin]);
            at = member.end;
        }
        wanted.push_str(&text[at..]);
        let solid = |text: &str| text.replace([' ', '\t', '\r', '\n', ','], "");
        prop_assert_eq!(solid(&after), solid(&wanted));
    }

    #[test]
    fn a_removal_undoes_a_set(text in any_document(), value in any_value()) {
        let set = set_in(&text, "new", value);
        prop_assert_eq!(object_of(&remove_from(&set, "new")), object_of(&text));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[{}\\[\\]\",:/* \nak1\\\\\u{feff}]{0,24}", key in ".{0,3}") {
        let _ = set("site.json", &text, &key, &json!(1));
        let _ = remove("site.json", &text, &key);
    }
}
