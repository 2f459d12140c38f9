//! The traps of 02 §12, numbered as there, as far as the schema decides them. The eleventh (no
//! `default`, no `format`) is in `tests/schema_files.rs`.

use super::*;

#[test]
fn trap_1_absent_null_and_a_value_differ() {
    accepts("/cloud/abuse/maxPromptsPerHour", json!(null));
    refuses("/cloud/abuse/maxPromptsPerHour", json!(0), "CONFIG_RANGE");
    let limit = |document: Value| {
        config(&document)
            .cloud
            .unwrap()
            .abuse
            .unwrap()
            .max_prompts_per_hour
    };
    assert_eq!(
        limit(with("/cloud/abuse/enabled", json!(true))),
        Nullable::Absent
    );
    assert_eq!(
        limit(with("/cloud/abuse/maxPromptsPerHour", json!(null))),
        Nullable::Null
    );
    // Everywhere else null is refused.
    for pointer in [
        "/branding/shortName",
        "/updates",
        "/cloud/role",
        "/gateway/server/port",
        "/i18n/strings",
    ] {
        refuses(pointer, json!(null), "CONFIG_TYPE");
    }
    let allowed = [
        "/cloud/profiles/a/defaultProjectSource",
        "/cloud/billing/plans/a/entitlements/allowedProfiles",
        "/cloud/billing/plans/a/entitlements/allowedProviders",
        "/cloud/billing/plans/a/entitlements/maxQueueAgeMs",
        "/gateway/server/publicBaseUrl",
        "/gateway/server/adminToken",
    ];
    for pointer in allowed {
        accepts(pointer, json!(null));
    }
}

#[test]
fn trap_1_null_is_legal_at_the_listed_places_only() {
    fn count(schema: &Value, out: &mut Vec<String>, at: &str) {
        let Value::Object(members) = schema else {
            return;
        };
        if members.get("type").is_some_and(|t| {
            *t == "null" || t.as_array().is_some_and(|t| t.contains(&json!("null")))
        }) {
            out.push(at.to_owned());
        }
        for (keyword, value) in members {
            match (keyword.as_str(), value) {
                ("properties" | "$defs", Value::Object(children)) => {
                    children
                        .iter()
                        .for_each(|(name, child)| count(child, out, name));
                }
                ("anyOf" | "oneOf", Value::Array(children)) => {
                    children.iter().for_each(|child| count(child, out, at));
                }
                ("items" | "additionalProperties", child) => count(child, out, at),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    count(schema(Form::Full), &mut found, "");
    found.sort();
    assert_eq!(
        found,
        [
            "adminToken",
            "allowedProfiles",
            "allowedProviders",
            "credentialRef",
            "defaultAgent",
            "defaultModel",
            "defaultProjectSource",
            "defaultProvider",
            "externalWorkspaceId",
            "positiveIntegerOrNull",
            "publicBaseUrl",
            "ref",
            "steps",
            "subdirectory",
            "temperature",
            "title"
        ]
    );
}

#[test]
fn trap_2_integers_may_be_spelled_with_a_fraction_or_an_exponent() {
    for text in ["28.0", "28", "2.8e1"] {
        let size: Value = serde_json::from_str(text).unwrap();
        let document = with("/branding/sidebar/top/mediaSize", size);
        assert_eq!(findings(Form::Full, document.clone()), []);
        let top = config(&document).branding.sidebar.unwrap().top.unwrap();
        assert_eq!(top.media_size.unwrap().get(), 28);
    }
    refuses(
        "/branding/sidebar/top/mediaSize",
        json!(28.5),
        "CONFIG_TYPE",
    );
    refuses("/branding/sidebar/top/mediaSize", json!(15), "CONFIG_RANGE");
    refuses("/branding/sidebar/top/mediaSize", json!(97), "CONFIG_RANGE");
}

#[test]
fn trap_3_lengths_are_code_points() {
    accepts("/branding/shortName", json!("😀".repeat(16)));
    refuses(
        "/branding/shortName",
        json!("😀".repeat(17)),
        "CONFIG_LENGTH",
    );
    refuses("/branding/shortName", json!(""), "CONFIG_LENGTH");
}

#[test]
fn trap_4_patterns_are_ecmascript_and_not_anchored_by_themselves() {
    accepts("/branding/privacyUrl", json!("https://a\nb"));
    refuses(
        "/branding/privacyUrl",
        json!("https://\nb"),
        "CONFIG_PATTERN",
    );
    refuses(
        "/branding/projectNamespace",
        json!("abc\n"),
        "CONFIG_PATTERN",
    );
    for refused in [
        "/a.svg",
        "../a.svg",
        "branding/../a.svg",
        "https://x/a.svg",
        "a.html",
        "a.SVG",
    ] {
        refuses(
            "/branding/sidebar/top/logoAsset",
            json!(refused),
            "CONFIG_PATTERN",
        );
    }
    for accepted in ["branding/a.svg", r"a\b.svg"] {
        accepts("/branding/sidebar/top/logoAsset", json!(accepted));
    }
    let theme = "/cloud/publicBranding/theme/accentSoft";
    accepts(theme, json!("a\u{feff}b"));
    refuses(theme, json!("a\u{85}b"), "CONFIG_PATTERN");
}

#[test]
fn trap_5_objects_are_closed_but_for_options_and_settings() {
    accepts(
        "/agents",
        json!([{"name": "a", "description": "", "instructions": "", "options": {"any": [1]}}]),
    );
    accepts(
        "/gateway/providers",
        json!([{"kind": "cli", "channelBindingId": "a", "settings": {"any": null}}]),
    );
    let custom = |options: Value| json!({"acme": {"npm": "p", "name": "Acme", "models": {"m": {"options": options}}}});
    accepts(
        "/providers/custom",
        custom(json!({"any": {}, "maxOutputTokens": 5})),
    );
    let document = with("/providers/custom", custom(json!({"maxOutputTokens": 0})));
    assert_eq!(
        only(Form::Full, document),
        (
            "CONFIG_RANGE".to_owned(),
            "/providers/custom/acme/models/m/options/maxOutputTokens".to_owned()
        )
    );
    for pointer in [
        "/foo",
        "/gateway/cloud",
        "/gateway/instanceId",
        "/telemetry/foo",
        "/branding/sidebar/foo",
    ] {
        refuses(pointer, json!({}), "CONFIG_UNKNOWN_KEY");
    }
}

#[test]
fn trap_6_conditions_hold_in_both_forms() {
    for form in [Form::Full, Form::Overlay] {
        for kind in ["discord", "whatsapp", "signal"] {
            let provider = |credentials: Value, settings: Value| {
                with(
                    "/gateway/providers",
                    json!([{"kind": kind, "channelBindingId": "a", "credentials": credentials, "settings": settings}]),
                )
            };
            let full = provider(json!({"sharedSecret": "s"}), json!({"deliveryUrl": "u"}));
            assert_eq!(findings(form, full), []);
            let pointers = |document| -> Vec<String> {
                findings(form, document)
                    .into_iter()
                    .filter_map(|f| f.pointer)
                    .collect()
            };
            let both = [
                "/gateway/providers/0/credentials/sharedSecret",
                "/gateway/providers/0/settings/deliveryUrl",
            ];
            assert_eq!(
                pointers(provider(
                    json!({"sharedSecret": ""}),
                    json!({"deliveryUrl": ""})
                )),
                both
            );
            assert_eq!(pointers(provider(json!({}), json!({}))), both);
            let neither = with(
                "/gateway/providers",
                json!([{"kind": kind, "channelBindingId": "a"}]),
            );
            assert_eq!(
                pointers(neither),
                [
                    "/gateway/providers/0/credentials",
                    "/gateway/providers/0/settings"
                ]
            );
        }
        for (kind, expected) in [("select", 1), ("radio", 1), ("text", 0)] {
            let mcp = json!([{"name": "a", "type": "remote", "description": "", "authMode": "none", "credentials": [
                {"key": "k", "label": "", "description": "", "type": kind}
            ]}]);
            assert_eq!(findings(form, with("/mcps", mcp)).len(), expected, "{kind}");
        }
    }
}

#[test]
fn trap_7_unions_speak_of_the_branch_that_was_meant() {
    let source = |value: Value| only(Form::Full, with("/updates/releaseSource", value));
    let at = |code: &str, name: &str| (code.to_owned(), format!("/updates/releaseSource{name}"));
    assert_eq!(
        source(json!({"kind": "gcs"})),
        at("CONFIG_REQUIRED", "/bucket")
    );
    assert_eq!(
        source(json!({"kind": "gcs", "bucket": "a/b"})),
        at("CONFIG_PATTERN", "/bucket")
    );
    assert_eq!(
        source(json!({"kind": "gcs", "bucket": "1.2.3.4"})),
        at("CONFIG_PATTERN", "/bucket")
    );
    assert_eq!(
        source(json!({"kind": "generic-http"})),
        at("CONFIG_REQUIRED", "/url")
    );
    assert_eq!(
        source(json!({"kind": "generic-http", "url": "http://a.example.com/x"})),
        at("CONFIG_PATTERN", "/url")
    );
    assert_eq!(
        source(json!({"kind": "github-releases", "owner": "a/b"})),
        at("CONFIG_PATTERN", "/owner")
    );
    assert_eq!(
        source(json!({"kind": "github-releases", "owner": "a", "bucket": "b"})),
        at("CONFIG_UNKNOWN_KEY", "/bucket")
    );
    assert_eq!(source(json!({"kind": "svn"})), at("CONFIG_ENUM", "/kind"));
    assert_eq!(
        source(json!({"label": "x"})),
        at("CONFIG_REQUIRED", "/kind")
    );
    assert_eq!(source(json!("github")), at("CONFIG_TYPE", ""));
    assert_eq!(
        source(json!({"kind": "gcs", "bucket": "abc", "auth": {"kind": "signed-url-broker"}})),
        at("CONFIG_REQUIRED", "/auth/brokerUrl")
    );
    assert_eq!(
        only(
            Form::Full,
            with(
                "/cloud/profiles/a/defaultProjectSource",
                json!({"kind": "snapshot", "snapshotId": "s", "objectKey": "o", "fileCount": 0})
            )
        ),
        (
            "CONFIG_REQUIRED".to_owned(),
            "/cloud/profiles/a/defaultProjectSource/byteCount".to_owned()
        )
    );
    // A support link is an https address or a mailto: link, each with its own longest length.
    let support = "/branding/supportUrl";
    accepts(support, json!("mailto:help@example.com"));
    accepts(support, json!(format!("https://{}", "a".repeat(2040))));
    refuses(
        support,
        json!(format!("mailto:help@example.com{}", "a".repeat(512))),
        "CONFIG_UNION",
    );
    refuses(support, json!("tel:1"), "CONFIG_UNION");
    refuses(support, json!(5), "CONFIG_TYPE");
}

#[test]
fn trap_8_a_single_value_is_an_enum_and_the_version_a_number() {
    accepts("/contractVersion", json!(1.0));
    for refused in [json!(2), json!("1"), json!(true), json!(1.5)] {
        refuses("/contractVersion", refused, "CONFIG_VERSION");
    }
    refuses(
        "/cloud/runtime/configSource",
        json!("machine"),
        "CONFIG_ENUM",
    );
    refuses("/cloud/runtime/launcher", json!("deno"), "CONFIG_ENUM");
}

#[test]
fn trap_9_unique_lists_keep_their_order() {
    let scopes = "/cloud/auth/apiTokens/allowedScopes";
    let document = with(scopes, json!(["operator", "desktop", "admin"]));
    let tokens = config(&document)
        .cloud
        .unwrap()
        .auth
        .unwrap()
        .api_tokens
        .unwrap();
    assert_eq!(
        serde_json::to_value(&tokens.allowed_scopes).unwrap(),
        json!(["operator", "desktop", "admin"])
    );
    refuses(scopes, json!(["desktop", "desktop"]), "CONFIG_DUPLICATE");
    refuses(
        "/gateway/server/trustedProxyCidrs",
        json!(["10.0.0.0/8", "::1", "10.0.0.0/8"]),
        "CONFIG_DUPLICATE",
    );
}

#[test]
fn trap_10_the_schema_of_a_layer_relaxes_no_union() {
    let source =
        |value: Value| findings(Form::Overlay, json!({"updates": {"releaseSource": value}}));
    for singled_out in [
        json!({"owner": "a"}),
        json!({"repo": "a"}),
        json!({"url": "https://a"}),
        json!({"bucket": "abc"}),
        json!({"prefix": "a"}),
        json!({"auth": {"kind": "github-token"}}),
        json!({"auth": {"headers": {}}}),
        json!({"auth": {"kind": "google-oauth"}}),
        json!({"kind": "gcs"}),
    ] {
        assert_eq!(source(singled_out.clone()), [], "{singled_out}");
    }
    for ambiguous in [
        json!({}),
        json!({"label": "a"}),
        json!({"channel": "a"}),
        json!({"auth": {}}),
        json!({"auth": {"kind": "none"}}),
    ] {
        let found = source(ambiguous.clone());
        assert_eq!(found.len(), 1, "{ambiguous}");
        assert_eq!(found[0].code, "CONFIG_UNION");
        assert_eq!(found[0].pointer.as_deref(), Some("/updates/releaseSource"));
    }
    let broker = source(json!({"bucket": "abc", "auth": {"kind": "signed-url-broker"}}));
    assert_eq!(
        broker[0].pointer.as_deref(),
        Some("/updates/releaseSource/auth/brokerUrl")
    );
    let git = json!({"cloud": {"profiles": {"a": {"defaultProjectSource": {"kind": "git"}}}}});
    assert_eq!(
        only(Form::Overlay, git).1,
        "/cloud/profiles/a/defaultProjectSource/repositoryUrl"
    );
    for fine in [
        json!(null),
        json!({}),
        json!({"tools": [{"id": "a"}]}),
        json!({"branding": {}}),
    ] {
        assert_eq!(findings(Form::Overlay, fine), []);
    }
    for refused in [json!([]), json!("x"), json!(1), json!(true)] {
        assert_eq!(
            only(Form::Overlay, refused),
            ("CONFIG_TYPE".to_owned(), String::new())
        );
    }
    assert_eq!(
        only(Form::Overlay, json!({"contractVersion": 2})).0,
        "CONFIG_VERSION"
    );
}

#[test]
fn trap_12_names_and_members_are_spelled_exactly() {
    accepts(
        "/agents",
        json!([{"name": "a", "description": "", "instructions": "", "top_p": 0.5}]),
    );
    refuses_member(
        "/agents",
        json!([{"name": "a", "description": "", "instructions": "", "topP": 0.5}]),
        "/agents/0/topP",
    );
    accepts(
        "/providers/modelInfo",
        json!({"m": {"cost": {"cache_read": 0, "cache_write": 0.5}}}),
    );
    for (pointer, member) in [
        ("/auth/mode", "google_oauth"),
        ("/gateway/productMode", "cloud-channel"),
        ("/gateway/mode", "self_host"),
        ("/cloud/storage/objectStore/kind", "azure_blob"),
    ] {
        refuses(pointer, json!(member), "CONFIG_ENUM");
    }
}

fn refuses_member(pointer: &str, value: Value, at: &str) {
    assert_eq!(only(Form::Full, with(pointer, value)).1, at);
}

#[test]
fn trap_13_ranges_exceed_32_bits_and_some_numbers_may_be_negative() {
    accepts("/cloud/auth/apiTokens/maxTtlMs", json!(31_536_000_000u64));
    refuses(
        "/cloud/auth/apiTokens/maxTtlMs",
        json!(31_536_000_001u64),
        "CONFIG_RANGE",
    );
    let document = with(
        "/cloud/abuse/maxArtifactBytesPerDay",
        json!(10_737_418_240u64),
    );
    let limit = config(&document)
        .cloud
        .unwrap()
        .abuse
        .unwrap()
        .max_artifact_bytes_per_day;
    assert_eq!(limit.value().unwrap().get(), 10_737_418_240);
    accepts("/compaction/agent/temperature", json!(-1.5));
    let catalog = json!({"d": {"name": "", "description": "", "credentials": [],
        "models": [{"id": "m", "name": "", "contextLength": -0.5}],
        "dynamicCatalog": {"url": "https://a", "cacheTtlMinutes": -1}}});
    accepts("/providers/descriptors", catalog);
}

#[test]
fn trap_14_map_keys_are_free_text_in_their_order() {
    let document = with(
        "/cloud/profiles",
        json!({"z profile": {}, "": {}, "a/b~c": {}}),
    );
    let profiles = config(&document).cloud.unwrap().profiles.unwrap();
    assert_eq!(
        profiles.keys().collect::<Vec<_>>(),
        ["z profile", "", "a/b~c"]
    );
    refuses(
        "/cloud/defaultProfile",
        json!("z profile"),
        "CONFIG_PATTERN",
    );
}

#[test]
fn trap_15_of_duplicate_keys_the_last_one_is_validated() {
    let text = minimal()
        .to_string()
        .replacen("{", "{\"contractVersion\": 2, ", 1);
    let document = Document::parse("site.json", &text).unwrap();
    assert_eq!(validate(&document, Form::Full), []);
}

#[test]
fn trap_16_empty_texts_are_valid_where_no_length_forbids_them() {
    for pointer in [
        "/branding/name",
        "/branding/helpUrl",
        "/gateway/server/adminToken",
        "/telemetry/headers/a",
    ] {
        accepts(pointer, json!(""));
    }
    refuses("/branding/privacyUrl", json!(""), "CONFIG_PATTERN");
}
