//! Golden answers of the line protocol (10 §2).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in functions beside the tests too
#![allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used

use open_cowork_config::corpus::{Unknown, answer};
use serde_json::{Value, json};

fn ask(request: Value) -> Value {
    serde_json::from_str(&answer(&request.to_string()).unwrap()).unwrap()
}

fn verdict(kind: &str, doc: Value) -> Value {
    let mut answer = ask(json!({"id": 7, "kind": kind, "doc": doc}));
    assert_eq!(answer["id"], 7);
    answer.as_object_mut().unwrap().shift_remove("id");
    answer
}

fn full() -> Value {
    json!({
        "contractVersion": 1, "allowedEnvPlaceholders": [], "auth": {"mode": "none"},
        "branding": {"name": "n", "appId": "a", "dataDirName": "d", "helpUrl": ""},
        "providers": {"available": [], "defaultProvider": null, "defaultModel": null},
        "tools": [], "skills": [], "mcps": [], "agents": [],
        "permissions": {"bash": "ask", "fileWrite": "ask", "task": "ask", "web": "ask"}
    })
}

#[test]
fn a_document_is_judged_as_full_or_as_overlay() {
    let fine = json!({"schemaValid": true, "semanticValid": true, "errorPath": null});
    assert_eq!(verdict("full", full()), fine);
    assert_eq!(verdict("overlay", json!({})), fine);
    assert_eq!(verdict("overlay", Value::Null), fine);
    let missing =
        json!({"schemaValid": false, "semanticValid": null, "errorPath": "/contractVersion"});
    let mut doc = full();
    doc.as_object_mut().unwrap().shift_remove("contractVersion");
    assert_eq!(verdict("full", doc), missing);
    for scalar in [json!([]), json!(5), json!("x")] {
        assert_eq!(
            verdict("overlay", scalar),
            json!({"schemaValid": false, "semanticValid": null, "errorPath": ""})
        );
    }
    let unknown =
        json!({"schemaValid": false, "semanticValid": null, "errorPath": "/gateway/a~1b"});
    assert_eq!(verdict("overlay", json!({"gateway": {"a/b": 1}})), unknown);
}

#[test]
fn semantics_differ_by_kind() {
    let mut doc = full();
    doc["providers"]["available"] = json!(["p"]);
    assert_eq!(
        verdict("full", doc.clone()),
        json!({"schemaValid": true, "semanticValid": false, "errorPath": "/providers/available"})
    );
    assert_eq!(verdict("overlay", doc)["semanticValid"], true);
    let public = json!({"gateway": {"server": {"host": "0.0.0.0"}}});
    assert_eq!(
        verdict("overlay", public),
        json!({"schemaValid": true, "semanticValid": false, "errorPath": "/gateway/server/adminToken"})
    );
}

#[test]
fn numbers_keep_their_spelling_on_the_way_in() {
    let line = |number: &str| {
        format!(
            r#"{{"id":"n","kind":"overlay","doc":{{"branding":{{"sidebar":{{"top":{{"mediaSize":{number}}}}}}}}}}}"#
        )
    };
    for good in ["28", "28.0", "2.8e1"] {
        assert!(
            answer(&line(good))
                .unwrap()
                .contains("\"schemaValid\":true"),
            "{good}"
        );
    }
    for bad in ["28.5", "1e3", "-0", "15"] {
        assert!(
            answer(&line(bad))
                .unwrap()
                .contains("\"schemaValid\":false"),
            "{bad}"
        );
    }
}

#[test]
fn layers_fold_over_nothing_without_defaults() {
    let layers = json!([{"a": {"b": 1}, "l": [1]}, {"a": {"__proto__": 1, "c": null}, "l": []},
        {"cloud": {"publicBranding": {"theme": {"border": "#111111", "text": " "}}}}]);
    assert_eq!(
        ask(json!({"id": "x", "base": "empty", "layers": layers})),
        json!({"id": "x", "merged": {"a": {"b": 1, "c": null}, "l": [],
            "cloud": {"publicBranding": {"theme": {"border": "#111111", "borderSubtle": "#111111", "borderStrong": "#111111"}}}}})
    );
}

#[test]
fn layers_fold_over_the_defaults_as_the_loader_does_it() {
    let answer = ask(json!({"id": 1, "base": "default", "layers": [
        {"branding": {"name": "A"}, "cloud": {"auth": {"mode": "oidc"}}},
        {"cloud": {"publicBranding": {"logoUrl": "https://a.example.com"}}}]}));
    assert_eq!(
        (
            &answer["schemaValid"],
            &answer["semanticValid"],
            &answer["errorPath"]
        ),
        (&json!(true), &json!(true), &Value::Null)
    );
    assert_eq!(answer["merged"]["branding"]["name"], "A");
    assert_eq!(answer["merged"]["cloud"]["auth"]["signupMode"], "invite");
    assert_eq!(
        answer["merged"]["cloud"]["publicBranding"]["logoUrl"],
        "https://a.example.com/"
    );
    let defaults = ask(json!({"id": 1, "base": "default", "layers": []}));
    assert_eq!(defaults["errorPath"], Value::Null, "the defaults are valid");
    let half = ask(json!({"id": 1, "base": "default", "layers": [{"tools": [{"id": "a"}]}]}));
    assert_eq!(
        (&half["schemaValid"], &half["errorPath"]),
        (&json!(false), &json!("/tools/0/name"))
    );
}

#[test]
fn placeholders_are_resolved_in_a_value_and_in_a_layer() {
    let value = ask(
        json!({"id": 1, "level": "value", "doc": ["{env:A} {env:a}", 1, {"{env:A}": "{file:x}"}], "env": {"A": "v"}, "allowed": ["A", 5, ""]}),
    );
    assert_eq!(
        value,
        json!({"id": 1, "error": false, "resolved": ["v {env:a}", 1, {"{env:A}": ""}]})
    );
    let value =
        ask(json!({"id": 1, "level": "value", "doc": "{env:B}", "env": {"B": "v"}, "allowed": []}));
    assert_eq!(value, json!({"id": 1, "error": true, "resolved": null}));

    let layer = |doc: Value| {
        ask(
            json!({"id": 1, "level": "layer", "doc": doc, "env": {"A": "v"}, "files": {"n.txt": "N\n", "d/x": ""}}),
        )
    };
    let named = layer(
        json!({"allowedEnvPlaceholders": ["A"], "branding": {"name": "{file:./n.txt}{env:A}"}}),
    );
    assert_eq!(named["resolved"]["branding"]["name"], "N\nv");
    assert_eq!(
        layer(json!({"branding": {"name": "{file:d}"}}))["error"],
        true,
        "a directory"
    );
    assert_eq!(
        layer(json!({"branding": {"nmae": "x"}}))["error"],
        true,
        "the schema"
    );
    assert_eq!(
        layer(json!({"mcps": [{"type": "local"}]}))["error"],
        true,
        "semantics"
    );
    let raw = json!({"allowedEnvPlaceholders": ["A"], "providers": {"custom": {"p": {"options": {"k": "{env:A}{file:n.txt}"}}}}});
    assert_eq!(layer(raw.clone())["resolved"], raw);
}

#[test]
fn half_a_character_is_one_replacement_character() {
    let line = r#"{"id":1,"level":"value","doc":{"a\ud800":"\ud800\ud800x\udc00\ud83d\ude00"}}"#;
    assert_eq!(
        answer(line).unwrap(),
        "{\"id\":1,\"error\":false,\"resolved\":{\"a\u{fffd}\":\"\u{fffd}\u{fffd}x\u{fffd}😀\"}}"
    );
    let line = r#"{"id":1,"kind":"overlay","doc":{"branding":{"name":"\ud800"}}}"#;
    assert!(answer(line).unwrap().contains("\"schemaValid\":true"));
    // A text of 120 code points stays one.
    let most = format!(
        r#"{{"id":1,"kind":"overlay","doc":{{"branding":{{"home":{{"greeting":"{}"}}}}}}}}"#,
        r"\ud800".repeat(120)
    );
    assert!(answer(&most).unwrap().contains("\"schemaValid\":true"));
}

#[test]
fn a_number_beyond_all_bounds_fails_only_where_it_counts() {
    let ask = |doc: &str| {
        let line = format!(r#"{{"id":1,"kind":"overlay","doc":{doc}}}"#);
        answer(&line).unwrap()
    };
    for (doc, pointer) in [
        (
            r#"{"branding":{"sidebar":{"top":{"mediaSize":1e400}}}}"#,
            "\"/branding/sidebar/top/mediaSize\"",
        ),
        (r#"{"branding":{"name":-1e400}}"#, "\"/branding/name\""),
        (r#"{"contractVersion":1e400}"#, "\"/contractVersion\""),
    ] {
        let said = ask(doc);
        assert!(
            said.contains("\"schemaValid\":false") && said.contains(pointer),
            "{said}"
        );
    }
    let open = r#"{"providers":{"custom":{"p":{"options":{"n":1e400}}}}}"#;
    assert!(ask(open).contains("\"schemaValid\":true"));
    let merged = answer(r#"{"id":1,"base":"empty","layers":[{"a":1e400}]}"#).unwrap();
    assert_eq!(merged, r#"{"id":1,"merged":{"a":null}}"#);
}

#[test]
fn what_nests_too_deep_is_an_answer_and_no_stop() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    for levels in [129, 100_000] {
        let doc = deep(levels);
        let said = answer(&format!(r#"{{"id":1,"kind":"overlay","doc":{doc}}}"#)).unwrap();
        assert!(said.contains("\"schemaValid\":false"), "{said}");
        let said = answer(&format!(
            r#"{{"id":1,"base":"default","layers":[{{}},{{"tools":{doc}}}]}}"#
        ))
        .unwrap();
        assert!(said.contains("\"schemaValid\":false"));
        let said = answer(&format!(r#"{{"id":1,"level":"value","doc":{doc}}}"#)).unwrap();
        assert_eq!(said, r#"{"id":1,"error":true,"resolved":null}"#);
    }
    let fits = answer(&format!(
        r#"{{"id":1,"level":"value","doc":{}}}"#,
        deep(128)
    ));
    assert!(fits.unwrap().contains("\"error\":false"));
}

#[test]
fn what_placeholders_insert_is_bounded_here_too() {
    let line = json!({"id": 1, "level": "value", "doc": "{file:x}".repeat(2000), "files": {"x": "y".repeat(60_000)}});
    assert_eq!(
        answer(&line.to_string()).unwrap(),
        r#"{"id":1,"error":true,"resolved":null}"#
    );
}

#[test]
fn a_layer_that_the_loader_refuses_fails_whatever_the_sum_is() {
    for (layers, pointer) in [
        (json!([["x"]]), ""),
        (json!(["x"]), ""),
        (json!([{}, 5]), ""),
        (
            json!([{"contractVersion": 2}, {"contractVersion": 1}]),
            "/contractVersion",
        ),
        (json!([{"contractVersion": null}]), "/contractVersion"),
    ] {
        let answer = ask(json!({"id": 1, "base": "default", "layers": layers}));
        assert_eq!(
            (
                &answer["schemaValid"],
                &answer["semanticValid"],
                &answer["errorPath"]
            ),
            (&json!(false), &Value::Null, &json!(pointer)),
            "{layers}"
        );
    }
    let fine = ask(json!({"id": 1, "base": "default", "layers": [null, {"contractVersion": 1.0}]}));
    assert_eq!(fine["semanticValid"], true);
}

#[test]
fn blank_texts_of_branding_fall_back_to_what_is_built_in() {
    let branding = json!({"dashboard": {"subtitle": "  "}, "managedOrgConnectionLabels": {"cloudUrl": " "}, "theme": {"accent": " "}});
    let merged = |layers: Value| {
        ask(json!({"id": 1, "base": "default", "layers": layers}))["merged"]["cloud"]["publicBranding"].clone()
    };
    let built_in = merged(json!([]));
    assert_eq!(
        built_in["managedOrgConnectionLabels"]["cloudUrl"],
        "Cloud URL"
    );
    let mut own = merged(json!([{"cloud": {"publicBranding": branding}}]));
    for map in ["dashboard", "managedOrgConnectionLabels"] {
        assert_eq!(own[map], built_in[map]);
    }
    assert_eq!(own["theme"]["accent"].take(), built_in["theme"]["accent"]);
}

#[test]
fn a_line_that_is_no_request_is_told_apart() {
    // Our own parser reads more than JSON; a line may not be more.
    for line in [
        r#"{"id":1,"kind":"overlay","doc":{"a":"\ud800",}}"#,
        r#"{"id":1,"kind":"overlay","doc":{"a":"\ud800"/**/}}"#,
        r#"{"id":1,"kind":"overlay","doc":["\ud800","#,
    ] {
        assert!(
            matches!(answer(line), Err(Unknown::NotJson { .. })),
            "{line}"
        );
    }
    assert!(matches!(answer("{"), Err(Unknown::NotJson { .. })));
    for line in [
        "[]",
        "{}",
        r#"{"kind":"x","doc":1}"#,
        r#"{"kind":"full"}"#,
        r#"{"base":"empty"}"#,
        r#"{"base":"x","layers":[]}"#,
        r#"{"level":"z","doc":1}"#,
    ] {
        assert!(
            matches!(answer(line), Err(Unknown::NotARequest(_))),
            "{line}"
        );
    }
}
