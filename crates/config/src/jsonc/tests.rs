use super::*;
use proptest::prelude::*;
use serde_json::json;

fn value(text: &str) -> Value {
    match parse(text) {
        Ok(parsed) => parsed.value,
        Err(errors) => panic!("{text}: {errors:?}"),
    }
}

fn errors(text: &str) -> Vec<(u32, u32, String)> {
    match parse(text) {
        Ok(parsed) => panic!("{text} is {}", parsed.value),
        Err(errors) => errors
            .into_iter()
            .map(|e| (e.place.line, e.place.column, e.message))
            .collect(),
    }
}

#[test]
fn comments_trailing_commas_and_a_byte_order_mark_are_allowed() {
    assert_eq!(
        value(
            "\u{feff} // one\n/* two */ {\"a\": [1, 2, /* x */ ], // y\n \"b\": {\"c\": null,}, /**/ } // end"
        ),
        json!({"a": [1, 2], "b": {"c": null}})
    );
}

#[test]
fn comment_marks_in_a_text_are_text() {
    assert_eq!(
        value(r#"{"a": "// no /* no */"}"#),
        json!({"a": "// no /* no */"})
    );
}

#[test]
fn numbers_keep_their_kind() {
    let parsed = value("[28.0, 1e3, -0, 28, 18446744073709551615]");
    assert_eq!(
        serde_json::to_string(&parsed).unwrap(),
        "[28.0,1000.0,-0.0,28,18446744073709551615]"
    );
}

#[test]
fn nothing_looser_than_json_is_taken() {
    for text in [
        "{\"a\": 1,, \"b\": 2}",
        "[1,,]",
        "[,]",
        "{,}",
        "{'a': 1}",
        "{\"a\": 'x'}",
        "{a: 1}",
        "{} {}",
        "{} x",
        "{\"a\": 01}",
        "{\"a\": +1}",
        "{\"a\": .5}",
        "{\"a\": 5.}",
        "{\"a\": 0x10}",
        "{\"a\": NaN}",
        "{\"a\" 1}",
        "{\"a\": 1 \"b\": 2}",
        "{\"a\"}",
        "{\"a\":}",
        "{",
        "[",
        "{\"a\": [1}",
        "}",
        "\"a\nb\"",
        "\"a",
        "\"\t\"",
        r#""\x""#,
        r#""\'""#,
        r#""\u12""#,
        "{} /* open",
        "/* open",
        "{ / 1 }",
        "\u{a0}{}",
        "{\"a\": tru}",
        "#",
        "é",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn all_errors_are_told_with_their_places() {
    let found = errors("{\n  a: 1,\n  \"b\": 'x',\n  \"c\": 01,,\n  \"d\": 2\n  \"e\": tru\n}\nx");
    let places: Vec<(u32, u32)> = found.iter().map(|(l, c, _)| (*l, *c)).collect();
    assert_eq!(
        places,
        [(2, 3), (3, 8), (4, 8), (4, 11), (6, 3), (6, 8), (8, 1)],
        "{found:?}"
    );
}

#[test]
fn an_unclosed_comment_is_told_where_it_begins() {
    assert_eq!(
        errors("{\n  /* x\n \"a\": 1}"),
        [(2, 3, "This comment has no end.".to_owned())]
    );
}

#[test]
fn deep_nesting_is_one_clear_error() {
    let deepest = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
    assert!(parse(&deepest).is_ok());
    for text in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        let found = errors(&text);
        assert_eq!(found.len(), 1);
        assert!(found[0].2.contains("deeper than 128"));
    }
    let closed = "[".repeat(100_000) + "\"]\\\"\", /* ] */ 1\n// ]\n" + &"]".repeat(100_000);
    let parsed =
        parse(&format!("{{\"a\": {closed}, \"b\": 1}}")).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(parsed.value["b"], 1, "what follows is read");
    assert_eq!(parsed.faults.len(), 1);
    assert_eq!(parsed.faults[0].kind, FaultKind::TooDeep);
}

#[test]
fn errors_have_a_bound() {
    assert_eq!(errors(&"[x, ".repeat(100)).len(), MAX_ERRORS);
}

#[test]
fn no_error_quotes_the_text() {
    for (_, _, message) in errors("{\"a\": hunter2, hunter2: \"hunter2\n, \"b\": \"\\hunter2\"}") {
        assert!(!message.contains("hunter2"), "{message}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_json_writes_reads_the_same(json in any_json()) {
        prop_assert_eq!(&value(&json.to_string()), &json);
        prop_assert_eq!(value(&serde_json::to_string_pretty(&json).unwrap()), json);
    }

    #[test]
    fn text_without_comments_and_trailing_commas_is_taken_when_it_is_json(
        text in r#"([\[\]{},: \n"a0-9.\\eEu+-]|true|null|"a":|"b":|"x"|\[1,){0,14}"#
    ) {
        if let Ok(json) = serde_json::from_str::<Value>(&text) {
            prop_assert_eq!(value(&text), json);
        } else if let Ok(parsed) = parse(&text) {
            // Only trailing commas are more than JSON here.
            let strict: String = text.split_whitespace().collect::<String>().replace(",]", "]").replace(",}", "}");
            prop_assert!(serde_json::from_str::<Value>(&strict).is_ok(), "{} became {}", text, parsed.value);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = parse(&text);
    }
}
