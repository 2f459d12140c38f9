#![allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn run(value: Value, raw: Raw, allowed: &[&str], env: &[(&str, &str)]) -> (Value, Outcome) {
    let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let files = BTreeMap::from([
        ("./n.txt".to_owned(), Inserted::Text("Name\n".to_owned())),
        ("dir".to_owned(), Inserted::Refused("is a directory")),
        (
            "/etc/secret".to_owned(),
            Inserted::Text("SECRET {env:A}".to_owned()),
        ),
    ]);
    let mut value = value;
    let scope = Scope {
        allowed: &allowed,
        env: &env,
        files: &files,
    };
    let outcome = resolve(&mut value, raw, scope);
    (value, outcome)
}

fn text(input: &str) -> String {
    let env = [
        ("A", "x"),
        ("B", "{env:A}"),
        ("F", "{file:/etc/secret}"),
        ("P", "/etc/secret"),
        ("D", "$&"),
    ];
    let (value, outcome) = run(
        json!(input),
        Raw::Nothing,
        &["A", "B", "F", "P", "D", "U"],
        &env,
    );
    assert_eq!(outcome.problems, [], "{input}");
    value.as_str().unwrap().to_owned()
}

#[test]
fn variables_and_files_are_inserted_as_they_are() {
    assert_eq!(text("a {env:A}{env:A} {env:D}"), "a xx $&");
    assert_eq!(text("{file:./n.txt}"), "Name\n");
    assert_eq!(text("{file: ./n.txt }|{file:gone}|{env:U}|"), "Name\n|||");
}

#[test]
fn what_is_no_placeholder_stays() {
    for same in [
        "{env:a}",
        "{env:}",
        "{env:A",
        "{file:}",
        "{file:x",
        "{ENV:A}",
        "é{",
        "{{",
        "{file:{env:A}",
    ] {
        let expected = same.replace("{env:A}", "x");
        assert_eq!(text(same), expected, "{same}");
    }
    assert_eq!(text("{env:{env:A}}"), "{env:x}");
}

#[test]
fn what_was_inserted_is_never_looked_at_again() {
    assert_eq!(text("{env:B}"), "{env:A}");
    assert_eq!(text("{file:/etc/secret}"), "SECRET {env:A}");
}

#[test]
fn a_variables_value_cannot_name_a_file_but_the_document_can() {
    assert_eq!(text("{env:F}"), "{file:/etc/secret}");
    assert_eq!(text("{file:{env:P}}"), "SECRET {env:A}");
}

#[test]
fn keys_numbers_and_booleans_are_not_touched() {
    let value = json!({"{env:A}": 1, "b": true, "c": [{"d": "{env:A}"}]});
    let (value, _) = run(value, Raw::Nothing, &["A"], &[("A", "x")]);
    assert_eq!(value, json!({"{env:A}": 1, "b": true, "c": [{"d": "x"}]}));
}

#[test]
fn every_problem_is_named_with_its_place_and_never_with_a_value() {
    let value = json!({"a/b": ["{env:X} {env:Y}"], "f": "{file:dir}", "g": "{file:{env:X}}"});
    let (after, outcome) = run(
        value.clone(),
        Raw::Nothing,
        &[],
        &[("X", "canary"), ("Y", "canary")],
    );
    assert_eq!(after, value, "a string with a problem keeps its text");
    let said: Vec<_> = outcome
        .problems
        .iter()
        .map(|problem| (problem.pointer.as_str(), problem.message.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            ("/a~1b/0", "`{env:X}` is not allowlisted in this file."),
            ("/a~1b/0", "`{env:Y}` is not allowlisted in this file."),
            ("/f", "The file of `{file:dir}` is a directory."),
            ("/g", "`{env:X}` is not allowlisted in this file."),
        ]
    );
    assert!(!format!("{outcome:?}").contains("canary"));
}

#[test]
fn provider_options_keep_their_text_but_their_variables_must_be_allowed() {
    let value = json!({"providers": {
            "custom": {"p": {"options": {"key": "{env:A}", "deep": [{"f": "{file:dir}"}]},
                             "models": {"m": {"options": {"k": "{env:A}"}}}}},
            "descriptors": {"p": {"options": {"key": "{env:A}"}}}}});
    let (after, outcome) = run(value.clone(), Raw::ProviderOptions, &["A"], &[("A", "x")]);
    assert_eq!((outcome.problems.len(), outcome.unset.len()), (0, 0));
    assert_eq!(
        after["providers"]["custom"]["p"]["options"],
        value["providers"]["custom"]["p"]["options"]
    );
    assert_eq!(
        after["providers"]["custom"]["p"]["models"]["m"]["options"]["k"],
        "x"
    );
    assert_eq!(
        after["providers"]["descriptors"]["p"]["options"]["key"],
        "x"
    );
    let (_, outcome) = run(value, Raw::ProviderOptions, &[], &[]);
    assert_eq!(
        outcome.problems[0].pointer,
        "/providers/custom/p/options/key"
    );
    assert_eq!(outcome.problems.len(), 3);
}

#[test]
fn a_variable_that_is_not_set_is_nothing_and_remembered() {
    let (value, outcome) = run(json!(["{env:A}-"]), Raw::Nothing, &["A"], &[]);
    assert_eq!(value, json!(["-"]));
    assert_eq!(
        outcome.unset,
        [Unset {
            pointer: "/0".into(),
            name: "A".into()
        }]
    );
}

#[test]
fn a_file_whose_whole_path_is_an_unset_variable_is_no_placeholder() {
    assert_eq!(text("<{file:{env:U}}>"), "<{file:}>");
}

#[test]
fn what_placeholders_insert_together_has_a_bound() {
    let allowed = ["A".to_owned()];
    let env = BTreeMap::from([("A".to_owned(), "y".repeat(FILE_LIMIT))]);
    let files = BTreeMap::from([("f".to_owned(), Inserted::Text("y".repeat(FILE_LIMIT)))]);
    let scope = Scope {
        allowed: &allowed,
        env: &env,
        files: &files,
    };
    let fits = INSERTED_LIMIT / FILE_LIMIT;
    for placeholder in ["{env:A}", "{file:f}"] {
        let mut one = json!(placeholder.repeat(fits));
        let outcome = resolve(&mut one, Raw::Nothing, scope);
        assert_eq!(outcome.problems, []);
        assert_eq!(one.as_str().unwrap().len(), INSERTED_LIMIT);

        // In one text or over many, it is one finding, and the rest keeps its text.
        for value in [
            json!([placeholder.repeat(30_000)]),
            json!(vec![placeholder; 30_000]),
        ] {
            let mut after = value.clone();
            let outcome = resolve(&mut after, Raw::Nothing, scope);
            assert_eq!(outcome.problems.len(), 1);
            let said = &outcome.problems[0];
            assert!(said.message.contains("more than 4 MiB"), "{said:?}");
            let texts = after.as_array().unwrap();
            assert_eq!(texts.last(), value.as_array().unwrap().last());
            let all: usize = texts.iter().map(|text| text.as_str().unwrap().len()).sum();
            assert!(all <= INSERTED_LIMIT + 30_000 * placeholder.len());
            let at = if texts.len() == 1 { 0 } else { fits };
            assert_eq!(said.pointer, format!("/{at}"));
        }
    }
}

#[test]
fn a_path_that_a_variable_makes_too_long_is_refused_and_not_kept() {
    let env = [("A", "x".repeat(PATH_LIMIT + 1))];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, text)| (*name, &**text)).collect();
    let (_, outcome) = run(json!("{file:{env:A}}"), Raw::Nothing, &["A"], &env);
    assert_eq!(
        outcome.problems[0].message,
        "The file of `{file:{env:A}}` has a path that is too long."
    );
}

#[test]
fn the_files_to_read_are_known_before() {
    let value = json!({"a": "{file:./x}{file:{env:A}/y}{file:./x}", "b": "{file:{env:N}}",
            "providers": {"custom": {"p": {"options": {"k": "{file:raw}"}}}}});
    let env = BTreeMap::from([
        ("A".to_owned(), "/r".to_owned()),
        ("N".to_owned(), "/no".to_owned()),
    ]);
    let paths = files(&value, Raw::ProviderOptions, &["A".to_owned()], &env);
    assert_eq!(paths, ["./x", "/r/y"]);
}

#[test]
fn hostile_text_takes_linear_time() {
    for part in [
        "{",
        "{file:",
        "{env:",
        "{file:{env:A}",
        "{env:A",
        "{file:{",
        "{file:}",
    ] {
        let text = part.repeat(200_000);
        assert_eq!(
            pieces(&text).map(|piece| length(&piece)).sum::<usize>(),
            text.len()
        );
        let text = format!("{text}}}");
        assert_eq!(
            pieces(&text).map(|piece| length(&piece)).sum::<usize>(),
            text.len()
        );
    }
}

fn length(piece: &Piece<'_>) -> usize {
    match piece {
        Piece::Text(text) => text.len(),
        Piece::Env(name) => "{env:}".len() + name.len(),
        Piece::File(inner) => "{file:}".len() + inner.len(),
    }
}

proptest! {
    #[test]
    fn no_byte_is_lost_and_no_text_panics(text in "(\\{env:|\\{file:|[{}A-Zaé]){0,40}") {
        prop_assert_eq!(pieces(&text).map(|piece| length(&piece)).sum::<usize>(), text.len());
    }
}
