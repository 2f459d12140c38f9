//! What findings say, and by [`traps`] what the schema decides.
#![allow(clippy::needless_pass_by_value)] // a `json!` argument reads best as a value

mod traps;

use super::*;
use crate::model::Config;
use crate::model::nullable::Nullable;
use crate::schema::{Form, validate, value as schema};
use serde_json::json;

/// The smallest document that is complete.
fn minimal() -> Value {
    json!({
        "contractVersion": 1,
        "allowedEnvPlaceholders": [],
        "branding": {"name": "A", "appId": "a", "dataDirName": "a", "helpUrl": ""},
        "auth": {"mode": "none"},
        "providers": {"available": [], "defaultProvider": null, "defaultModel": null},
        "tools": [], "skills": [], "mcps": [], "agents": [],
        "permissions": {"bash": "ask", "fileWrite": "ask", "task": "ask", "web": "ask"}
    })
}

/// The minimal document with one more or other member, made with the objects around it.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = minimal();
    let mut at = &mut document;
    for step in pointer::steps(pointer) {
        if let Value::Array(items) = at {
            items.push(json!({}));
            at = items.last_mut().unwrap();
        } else {
            at = &mut at[step.as_ref()];
        }
    }
    *at = value;
    document
}

fn findings(form: Form, value: Value) -> Vec<Finding> {
    validate(&Document::from_value("site.json", value), form)
}

fn accepts(pointer: &str, value: Value) {
    let found = findings(Form::Full, with(pointer, value));
    assert!(found.is_empty(), "{pointer}: {found:?}");
}

/// Code and pointer of the only finding.
fn only(form: Form, value: Value) -> (String, String) {
    let found = findings(form, value);
    assert_eq!(found.len(), 1, "{found:#?}");
    (found[0].code.clone(), found[0].pointer.clone().unwrap())
}

fn refuses(pointer: &str, value: Value, code: &str) {
    let found = only(Form::Full, with(pointer, value.clone()));
    assert_eq!(found, (code.to_owned(), pointer.to_owned()), "{value}");
}

fn config(document: &Value) -> Config {
    Config::from_value(document).unwrap()
}

#[test]
fn the_walk_knows_every_keyword_of_the_schema() {
    fn keywords(schema: &Value, out: &mut HashSet<String>) {
        let Value::Object(members) = schema else {
            return;
        };
        for (keyword, value) in members {
            out.insert(keyword.clone());
            match (keyword.as_str(), value) {
                ("properties" | "$defs", Value::Object(children)) => {
                    children.values().for_each(|child| keywords(child, out));
                }
                ("anyOf" | "oneOf", Value::Array(children)) => {
                    children.iter().for_each(|child| keywords(child, out));
                }
                ("items" | "additionalProperties" | "if" | "then", child) => keywords(child, out),
                _ => {}
            }
        }
    }
    let mut found = HashSet::new();
    keywords(schema(Form::Full), &mut found);
    let known: HashSet<String> = KEYWORDS.iter().map(|k| (*k).to_owned()).collect();
    assert_eq!(found, known);
}

#[test]
fn all_findings_come_at_once_in_the_order_of_the_document() {
    let text = r#"{
  "contractVersion": 2,
  "branding": {"name": 5, "shortname": "x"},
  "telemetry": {"endpoint": "http://a", "on": true}
}"#;
    let document = Document::parse("site.json", text).unwrap();
    let found: Vec<(String, u32, u32)> = validate(&document, Form::Overlay)
        .into_iter()
        .map(|f| (f.pointer.unwrap(), f.line.unwrap(), f.column.unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("/contractVersion".to_owned(), 2, 22),
            ("/branding/name".to_owned(), 3, 24),
            ("/branding/shortname".to_owned(), 3, 27),
            ("/telemetry/endpoint".to_owned(), 4, 29),
            ("/telemetry/on".to_owned(), 4, 41),
        ]
    );
}

#[test]
fn a_finding_says_what_is_wrong_and_what_to_write() {
    let document = json!({
        "contractVersion": "1",
        "branding": {"name": 5, "shortname": "x", "privacyUrl": "http://a", "signupMode": "x"},
        "auth": {"mode": "google_oauth", "googleOAuth": {}},
        "gateway": {"cloud": {}, "server": {"port": 70000}}
    });
    let said: Vec<(String, String)> = findings(Form::Full, document)
        .into_iter()
        .filter(|finding| {
            finding.code != "CONFIG_REQUIRED"
                || finding.pointer.as_deref() == Some("/auth/googleOAuth/clientId")
        })
        .map(|finding| (finding.message, finding.help.unwrap()))
        .collect();
    let said: Vec<(&str, &str)> = said.iter().map(|(m, h)| (m.as_str(), h.as_str())).collect();
    assert_eq!(
        said,
        [
            (
                "contractVersion in site.json must be 1, the only version that this program supports, but it is a text.",
                sentence::UPGRADE_NOTE
            ),
            (
                "branding.name must be a text, but it is a number.",
                "Write a text in double quotes."
            ),
            (
                "branding.shortname is not allowed.",
                "Did you mean \"shortName\"?"
            ),
            (
                "branding.privacyUrl has another form than it must have.",
                "Expected: An https address. The pattern is ^https://.+"
            ),
            (
                "branding.signupMode is not allowed.",
                "It belongs at cloud.auth.signupMode."
            ),
            (
                "auth.mode must be one of: none, google-oauth; this text is another.",
                "Did you mean \"google-oauth\"?"
            ),
            (
                "auth.googleOAuth.clientId is required.",
                "Add \"clientId\": Its client id."
            ),
            (
                "gateway.cloud is not allowed.",
                "The cloud of a gateway is set by the environment: OPEN_COWORK_CLOUD_BASE_URL and OPEN_COWORK_GATEWAY_SERVICE_TOKEN."
            ),
            (
                "gateway.server.port must be <= 65535; this number is larger.",
                "Write a number from 0 to 65535."
            ),
        ]
    );
}

#[test]
fn an_unlike_key_is_told_what_is_known() {
    let found = findings(Form::Overlay, json!({"i18n": {"quux": 1}}));
    assert_eq!(
        found[0].help.as_deref(),
        Some("Known here: locale, strings.")
    );
}

#[test]
fn no_finding_quotes_a_value() {
    let secret = "hunter2-hunter2";
    for value in [json!(secret), json!([secret]), json!({"x": secret})] {
        for pointer in [
            "/auth/googleOAuth/clientSecret",
            "/updates/releaseSource",
            "/telemetry/headers",
            "/cloud/auth",
            "/gateway/server/adminToken",
            "/gateway/providers",
            "/permissions/bash",
            "/contractVersion",
            "/compaction/reserved",
            "/branding/supportUrl",
        ] {
            for finding in findings(Form::Full, with(pointer, value.clone())) {
                assert!(!format!("{finding:?}").contains(secret), "{finding:?}");
            }
        }
    }
}
