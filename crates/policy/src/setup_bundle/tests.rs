use super::*;
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::setup_bundle::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

fn source() -> ExtensionSource {
    ExtensionSource {
        origin: SourceOrigin::Export,
        scope: Some(ExtensionScope::Machine),
        reference: None,
    }
}

fn mcp(name: &str, body: Value) -> ExtensionDescriptor {
    export(ExtensionKind::Mcp, name, source(), &object(body))
}

fn bundle(entries: impl AsRef<[ExtensionDescriptor]>) -> SetupBundle {
    let entries = entries.as_ref();
    let of = |kind| entries.iter().filter(|e| e.kind == kind).cloned().collect();
    SetupBundle {
        format: BundleFormat::SetupBundle,
        version: 1,
        exported_at: "2026-01-01T00:00:00.000Z".into(),
        exported_by: None,
        skills: of(ExtensionKind::Skill),
        mcps: of(ExtensionKind::Mcp),
        agents: of(ExtensionKind::Agent),
    }
}

fn options(value: Value) -> ImportOptions {
    serde_json::from_value(value).unwrap()
}

fn keys(entry: &ExtensionDescriptor) -> Vec<&str> {
    entry.secrets.iter().map(|s| s.key.as_str()).collect()
}

/// Status and detail of the only entry.
fn planned(entry: &ExtensionDescriptor, with: Value) -> (ImportStatus, String) {
    let plan = plan(
        bundle(vec![entry.clone()]),
        &Existing::default(),
        &options(with),
    );
    assert_eq!(plan.steps.len(), 1);
    let step = &plan.steps[0];
    assert_eq!(
        step.install.is_some(),
        step.item.status == ImportStatus::Applied
    );
    (step.item.status, step.item.detail.clone())
}

#[test]
fn a_program_server_loses_environment_and_absolute_paths() {
    let entry = mcp(
        "wiki",
        json!({
            "name": "wiki", "scope": "project", "directory": "/home/ada/site", "type": "stdio",
            "command": "/opt/wiki/bin/serve",
            "args": ["--port", "8080", "/home/ada/wiki", "C:\\wiki", "\\\\host\\share", "--config=/etc/wiki", "x.js"],
            "env": {"MODE": "fast", "EMPTY": ""}, "lastError": "canary"
        }),
    );
    assert_eq!(entry.id, "mcp:wiki");
    assert_eq!(
        entry.payload.body(),
        &object(json!({
            "name": "wiki", "type": "stdio", "command": REDACTED,
            "args": ["--port", "8080", REDACTED, REDACTED, REDACTED, REDACTED, "x.js"],
            "env": {"MODE": REDACTED, "EMPTY": REDACTED}
        }))
    );
    assert_eq!(
        keys(&entry),
        [
            "env:MODE",
            "env:EMPTY",
            "path:command",
            "path:arg:2",
            "path:arg:3",
            "path:arg:4",
            "path:arg:5"
        ]
    );
    let required: Vec<bool> = entry.secrets.iter().map(|s| s.required).collect();
    assert_eq!(required, [true, false, true, true, true, true, true]);
    assert_eq!(entry.setup.len(), entry.secrets.len());
    assert_eq!(
        entry.secrets[6].label,
        "argument 6 of the program, --config=…"
    );
}

#[test]
fn a_web_server_loses_headers_and_keeps_its_address() {
    let entry = mcp(
        "web",
        json!({"type": "http", "url": "https://mcp.example.com/v1?team=7", "headers": {"X-Team": "blue"}}),
    );
    let body = entry.payload.body();
    assert_eq!(body["url"], "https://mcp.example.com/v1?team=7");
    assert_eq!(body["headers"], json!({"X-Team": REDACTED}));
    assert_eq!(keys(&entry), ["header:X-Team"]);
}

#[test]
fn an_address_or_argument_that_carries_a_secret_is_hidden() {
    for url in [
        "https://ada:canary@mcp\\.example\\.com/",
        "https://mcp.example.com/?api_key=canary",
        "https://mcp.example.com/#access_token=canary",
        "mcp.example.com/canary",
    ] {
        let entry = mcp("web", json!({"type": "http", "url": url}));
        assert_eq!(entry.payload.body()["url"], REDACTED, "{url}");
        assert_eq!(keys(&entry), ["credential:url"]);
    }
    for args in [
        json!(["--api-key", "canary"]),
        json!(["--token=canary"]),
        json!(["--header", "X-Team: canary"]),
        json!(["postgres://ada:canary@db.example.com/wiki"]),
        json!(["--dsn=postgres://ada:canary@db.example.com/wiki"]),
        json!(["postgres://ada:canary@db.example.com:wiki/x y"]),
        json!(["prefix-canary-as-in-the-environment"]),
    ] {
        let env = json!({"KEY": "canary-as-in-the-environment"});
        let entry = mcp(
            "db",
            json!({"type": "stdio", "command": "node", "args": args, "env": env}),
        );
        let text = serde_json::to_string(&entry).unwrap();
        assert!(!text.contains("canary"), "{args}: {text}");
    }
}

#[test]
fn a_provider_loses_secret_options_at_any_depth() {
    let entry = export(
        ExtensionKind::Provider,
        "site",
        source(),
        &object(json!({
            "name": "Site", "npm": "@ai-sdk/openai-compatible",
            "options": {
                "apiKey": "canary", "TOKEN": "canary", "clientSecret": "canary", "dbPassword": 7, "maxTokens": 4096,
                "baseURL": "https://models.example.com/v1",
                "proxy": "https://ada:canary@proxy.example.com",
                "headers": {"X-Team": "canary"},
                "nested": {"refreshToken": "canary", "list": [{"privateKey": "canary"}]}
            },
            "models": {"m1": {"name": "M1", "options": {"accessToken": "canary", "maxOutputTokens": 9}}},
            "dynamicCatalog": {"url": "https://models.example.com/", "authHeader": "Bearer canary"},
            "credentials": [{"key": "apiKey", "label": "Key"}],
            "apiKey": "canary"
        })),
    );
    let text = serde_json::to_string(&entry).unwrap();
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(
        keys(&entry),
        [
            "credential:apiKey",
            "credential:TOKEN",
            "credential:clientSecret",
            "credential:dbPassword",
            "credential:proxy",
            "credential:headers.X-Team",
            "credential:nested.refreshToken",
            "credential:nested.list.0.privateKey",
            "credential:models.m1.options.accessToken",
            "credential:dynamicCatalog.authHeader",
        ]
    );
    let body = entry.payload.body();
    assert_eq!(body["options"]["maxTokens"], 4096);
    assert_eq!(body["options"]["baseURL"], "https://models.example.com/v1");
    assert_eq!(
        body["credentials"][0]["key"], "apiKey",
        "a declaration is no secret"
    );
}

#[test]
fn skills_and_agents_carry_no_secrets_but_an_agents_options_may() {
    let skill =
        json!({"name": "notes", "content": "# Notes", "location": "/home/ada/skills/notes"});
    let entry = export(ExtensionKind::Skill, "notes", source(), &object(skill));
    assert!(entry.secrets.is_empty());
    assert_eq!(
        entry.payload.body(),
        &object(json!({"name": "notes", "content": "# Notes"}))
    );
    let agent = json!({"instructions": "Read.", "options": {"apiKey": "canary", "effort": "high"}});
    let entry = export(ExtensionKind::Agent, "reader", source(), &object(agent));
    assert_eq!(
        entry.payload.body()["options"],
        json!({"apiKey": REDACTED, "effort": "high"})
    );
    assert_eq!(keys(&entry), ["credential:apiKey"]);
}

#[test]
fn a_description_or_reference_that_repeats_a_secret_loses_it() {
    let mut from = source();
    from.reference = Some("/home/ada/site".into());
    let entry = export(
        ExtensionKind::Mcp,
        "wiki",
        from,
        &object(json!({
            "type": "http", "url": "https://mcp.example.com/", "description": "Use canary-key.",
            "headers": {"Authorization": "Bearer canary-key"}
        })),
    );
    assert_eq!(entry.description.as_deref(), Some("Use [redacted]."));
    assert_eq!(entry.source.reference, None);
}

#[test]
fn a_bundle_is_written_with_two_spaces_and_read_back() {
    let written = write(&bundle(vec![mcp(
        "wiki",
        json!({"type": "stdio", "command": "node", "args": ["a.js"]}),
    )]));
    assert!(
        written.starts_with("{\n  \"format\": \"open-cowork-setup-bundle\",\n  \"version\": 1,\n")
    );
    assert!(written.ends_with("}\n"));
    let parsed = parse(&written).unwrap();
    assert!(parsed.rejected.is_empty());
    assert_eq!(write(&parsed.bundle), written);
}

#[test]
fn whatever_is_no_bundle_is_told_at_once() {
    let codes = |text: &str| -> Vec<(String, String)> {
        parse(text)
            .unwrap_err()
            .into_iter()
            .map(|f| (f.code, f.pointer.unwrap_or_default()))
            .collect()
    };
    let one = |code: &str, pointer: &str| (code.to_owned(), pointer.to_owned());
    assert_eq!(codes("{"), [one("BUNDLE_SYNTAX", "")]);
    assert_eq!(codes("[]"), [one("BUNDLE_TYPE", "")]);
    assert_eq!(
        codes(r#"{"format": "x", "version": "1", "exportedAt": " ", "skills": null, "mcps": [7]}"#),
        [
            one("BUNDLE_FORMAT", "/format"),
            one("BUNDLE_VERSION", "/version"),
            one("BUNDLE_REQUIRED", "/exportedAt"),
            one("BUNDLE_TYPE", "/skills"),
            one("BUNDLE_TYPE", "/mcps/0"),
        ]
    );
    let least =
        r#"{"format": "open-cowork-setup-bundle", "version": 1.0, "exportedAt": "x", "later": 1}"#;
    let parsed = parse(&format!("\u{feff}{least}")).unwrap();
    assert!(
        parsed.bundle.mcps.is_empty() && parsed.rejected.is_empty(),
        "absent lists are empty"
    );
}

#[test]
fn one_bad_entry_rejects_its_list_only() {
    let good = bundle(vec![
        mcp(
            "a",
            json!({"type": "stdio", "command": "node", "args": ["a.js"]}),
        ),
        mcp(
            "b",
            json!({"type": "stdio", "command": "node", "args": ["b.js"]}),
        ),
        export(
            ExtensionKind::Skill,
            "c",
            source(),
            &object(json!({"content": "x"})),
        ),
    ]);
    let good = serde_json::to_value(&good).unwrap();
    let breaks: [(&str, Value, &str); 12] = [
        ("schemaVersion", json!(2), "BUNDLE_VERSION"),
        ("kind", json!("skill"), "BUNDLE_KIND"),
        ("id", json!(" "), "BUNDLE_REQUIRED"),
        ("name", json!(7), "BUNDLE_REQUIRED"),
        ("source", json!([]), "BUNDLE_TYPE"),
        ("secrets", Value::Null, "BUNDLE_TYPE"),
        ("secrets", json!([{"label": "x"}]), "BUNDLE_REQUIRED"),
        ("setup", json!({}), "BUNDLE_TYPE"),
        ("setup", json!(["x"]), "BUNDLE_TYPE"),
        ("payload", json!("x"), "BUNDLE_TYPE"),
        (
            "payload",
            json!({"kind": "skill", "skill": {}}),
            "BUNDLE_KIND",
        ),
        ("payload", json!({"kind": "mcp"}), "BUNDLE_TYPE"),
    ];
    for (member, value, code) in breaks {
        let mut bad = good.clone();
        bad["mcps"][1][member] = value;
        let parsed = parse(&bad.to_string()).unwrap();
        assert!(parsed.bundle.mcps.is_empty(), "{member}");
        assert_eq!(parsed.bundle.skills.len(), 1, "{member}");
        assert_eq!(parsed.rejected.len(), 1, "{member}: {:?}", parsed.rejected);
        assert_eq!(parsed.rejected[0].code, code);
        let path = &parsed.rejected[0].path;
        assert!(
            path.starts_with(&format!("bundle.mcps[1].{member}")),
            "{path}"
        );
    }
}

#[test]
fn servers_come_first_then_skills_then_agents() {
    let plan = plan(
        bundle(vec![
            export(
                ExtensionKind::Agent,
                "reader",
                source(),
                &object(json!({"instructions": "Read."})),
            ),
            export(
                ExtensionKind::Skill,
                "notes",
                source(),
                &object(json!({"content": "x"})),
            ),
            mcp(
                "wiki",
                json!({"type": "stdio", "command": "node", "args": ["/opt/wiki.js"]}),
            ),
        ]),
        &Existing::default(),
        &options(json!({"secretValues": {"mcp:wiki": {"path:0": "/srv/wiki.js"}}})),
    );
    let result = plan.result();
    let ids: Vec<&str> = result.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["mcp:wiki", "skill:notes", "agent:reader"]);
    assert_eq!(
        (
            result.applied_count,
            result.needs_secret_count,
            result.skipped_count
        ),
        (3, 0, 0)
    );
    let body = &plan.steps[0].install.as_ref().unwrap().body;
    assert_eq!(
        body["args"],
        json!(["/srv/wiki.js"]),
        "path:0 is path:arg:0"
    );
}

#[test]
fn a_conflict_comes_before_a_missing_secret_and_that_before_a_refusal() {
    let entry = mcp(
        "wiki",
        json!({"type": "stdio", "command": "bash", "args": ["-c", "x"], "env": {"KEY": "k"}}),
    );
    let existing = Existing {
        mcps: ["wiki".to_owned()].into(),
        ..Existing::default()
    };
    let status = |existing: &Existing, with: Value| {
        let plan = plan(bundle(vec![entry.clone()]), existing, &options(with));
        (
            plan.steps[0].item.status,
            plan.steps[0].item.missing_secrets.clone(),
        )
    };
    assert_eq!(
        status(&existing, json!({})),
        (ImportStatus::SkippedConflict, vec![])
    );
    let missing = (ImportStatus::NeedsSecret, vec!["env:KEY".to_owned()]);
    assert_eq!(status(&existing, json!({"overwrite": true})), missing);
    for entered in [REDACTED, " "] {
        let values = json!({"secretValues": {"mcp:wiki": {"env:KEY": entered}}});
        assert_eq!(
            status(&Existing::default(), values),
            missing,
            "{entered:?} counts as missing"
        );
    }
    let values = json!({"secretValues": {"mcp:wiki": {"env:KEY": "v"}}});
    assert_eq!(
        status(&Existing::default(), values),
        (ImportStatus::SkippedUnsupported, vec![])
    );
}

#[test]
fn the_second_of_two_equal_names_is_a_conflict() {
    let entry = mcp(
        "wiki",
        json!({"type": "stdio", "command": "node", "args": ["a.js"]}),
    );
    let project = json!({"scope": "project", "directory": "site"});
    let statuses = |with: Value| -> Vec<ImportStatus> {
        let twice = bundle(vec![entry.clone(), entry.clone()]);
        let result = plan(twice, &Existing::default(), &options(with)).result();
        result.items.iter().map(|item| item.status).collect()
    };
    use ImportStatus::{Applied, SkippedConflict};
    assert_eq!(
        statuses(json!({"target": project})),
        [Applied, SkippedConflict]
    );
    assert_eq!(
        statuses(json!({"target": project, "overwrite": true})),
        [Applied, Applied]
    );
}

#[test]
fn a_placeholder_is_never_installed() {
    let mut entry = mcp(
        "wiki",
        json!({"type": "http", "url": "https://mcp.example.com/", "headers": {"A": "", "B": "x"}}),
    );
    let values = json!({"secretValues": {"mcp:wiki": {"header:B": "entered"}}});
    let one = plan(
        bundle(vec![entry.clone()]),
        &Existing::default(),
        &options(values.clone()),
    );
    let body = &one.steps[0].install.as_ref().unwrap().body;
    assert_eq!(
        body["headers"],
        json!({"B": "entered"}),
        "an optional one is left out"
    );
    entry.secrets.clear();
    let one = plan(bundle(vec![entry]), &Existing::default(), &options(values));
    assert_eq!(
        one.steps[0].item.missing_secrets,
        ["header:A"],
        "nobody declared it, and it's missing"
    );
}

#[test]
fn servers_pass_the_policies_of_programs_and_addresses() {
    let refused = |body: Value, with: Value| {
        let (status, detail) = planned(&mcp("wiki", body.clone()), with);
        assert_eq!(status, ImportStatus::SkippedUnsupported, "{body}: {detail}");
        detail
    };
    let shell = refused(
        json!({"type": "stdio", "command": "bash", "args": ["-c", "x"]}),
        json!({}),
    );
    assert!(shell.contains("`bash` is a shell"), "{shell}");
    let latest = refused(
        json!({"type": "stdio", "command": "npx", "args": ["wiki@latest"]}),
        json!({}),
    );
    assert!(latest.contains("not pinned"), "{latest}");
    refused(
        json!({"type": "stdio", "command": "node", "args": ["a.js"], "env": {"NODE_OPTIONS": ""}}),
        json!({"target": {"scope": "project", "directory": "x"}, "secretValues": {"mcp:wiki": {"env:NODE_OPTIONS": "-r x"}}}),
    );
    let metadata =
        json!({"type": "http", "url": "http://169.254.169.254/", "allowPrivateNetwork": true});
    refused(metadata.clone(), json!({}));
    refused(metadata, json!({"keepGrants": true}));
    let private = json!({"type": "http", "url": "http://10.0.0.7/", "allowPrivateNetwork": true});
    refused(private.clone(), json!({}));
    assert_eq!(
        planned(&mcp("wiki", private), json!({"keepGrants": true})).0,
        ImportStatus::Applied
    );
    refused(json!({"type": "socket"}), json!({}));
    refused(
        json!({"type": "stdio", "command": "node", "args": [7]}),
        json!({}),
    );
    let header = json!({"secretValues": {"mcp:wiki": {"header:A": "x\r\nB: y"}}});
    refused(
        json!({"type": "http", "url": "https://mcp.example.com/", "headers": {"A": "x"}}),
        header,
    );
    let entered = json!({"secretValues": {"mcp:wiki": {"path:command": "/canary/bash"}}});
    let detail = refused(json!({"type": "stdio", "command": "/bin/serve"}), entered);
    assert!(!detail.contains("bash"), "{detail}");
}

#[test]
fn a_bundle_grants_itself_nothing() {
    let entry = mcp(
        "wiki",
        json!({
            "type": "http", "url": "https://mcp.example.com/", "permissionMode": "allow", "googleAuth": true,
            "allowPrivateNetwork": false, "scope": "machine"
        }),
    );
    let (status, detail) = planned(&entry, json!({}));
    assert_eq!(status, ImportStatus::Applied);
    assert!(detail.contains("permissionMode, googleAuth;"), "{detail}");
    let kept = plan(
        bundle(vec![entry]),
        &Existing::default(),
        &options(json!({"keepGrants": true})),
    );
    assert_eq!(
        kept.steps[0].install.as_ref().unwrap().body["permissionMode"],
        "allow"
    );
    assert_eq!(kept.steps[0].item.detail, "Installed.");
}

#[test]
fn a_name_that_is_no_name_or_that_another_payload_has_is_refused() {
    for name in ["../../etc", "a/b", "Ümlaut", "a b", "-a", ".."] {
        let entry = export(
            ExtensionKind::Skill,
            name,
            source(),
            &object(json!({"content": "x"})),
        );
        assert_eq!(
            planned(&entry, json!({})).0,
            ImportStatus::SkippedUnsupported,
            "{name}"
        );
        let entry = mcp(
            name,
            json!({"type": "http", "url": "https://mcp.example.com/"}),
        );
        assert_eq!(
            planned(&entry, json!({})).0,
            ImportStatus::SkippedUnsupported,
            "{name}"
        );
    }
    let mut entry = mcp(
        "wiki",
        json!({"type": "http", "url": "https://mcp.example.com/"}),
    );
    entry.name = "other".into();
    assert_eq!(
        planned(&entry, json!({})).0,
        ImportStatus::SkippedUnsupported
    );
    let entry = mcp(
        "wiki",
        json!({"type": "http", "url": "https://mcp.example.com/"}),
    );
    let project = json!({"target": {"scope": "project"}});
    assert_eq!(
        planned(&entry, project).0,
        ImportStatus::SkippedUnsupported,
        "whose project?"
    );
}

#[test]
fn what_the_host_could_not_install_is_unsupported() {
    let entry = mcp(
        "wiki",
        json!({"type": "http", "url": "https://mcp.example.com/"}),
    );
    let mut plan = plan(
        bundle(vec![entry]),
        &Existing::default(),
        &ImportOptions::default(),
    );
    plan.refuse(0, "The disk is full.");
    plan.refuse(7, "There is no such step.");
    let result = plan.result();
    assert_eq!((result.applied_count, result.skipped_count), (0, 1));
    assert_eq!(result.items[0].detail, "The disk is full.");
}

/// A secret of its own at every place that a server or provider can hide one.
fn hiding() -> impl Strategy<Value = (ExtensionKind, Value)> {
    let name = "[A-Z][A-Z_]{0,6}";
    let server = (
        prop::collection::btree_map(name, "canary[a-z0-9]{4,12}", 0..4),
        prop::collection::btree_map(name, "(Bearer )?canary[a-z0-9]{4,12}", 0..4),
        prop::collection::vec(
            prop_oneof![
                Just("run.js".to_owned()),
                "/canary/[a-z]{1,5}",
                "--config=/canary/[a-z]{1,5}",
                "--[a-z]{0,4}token=canary[a-z]{0,5}",
                concat!("postgres://u", ":canary[a-z]{0,5}@db\\.example\\.com/x"),
            ],
            0..5,
        ),
        prop_oneof![Just("node".to_owned()), Just("/canary/serve".to_owned()), "[a-z-]{0,6}"],
        prop::sample::select(vec!["stdio", "http", "local", ""]),
        prop_oneof![
            Just("https://mcp.example.com/v1".to_owned()),
            "https://u:canary[a-z]{0,5}@mcp.example.com/",
            "https://mcp.example.com/\\?token=canary[a-z]{0,5}",
            "canary[a-z]{0,9}",
        ],
    )
        .prop_map(|(env, headers, args, command, kind, url)| {
            let description = env.values().next().cloned().unwrap_or_default();
            let body = json!({
                "type": kind, "command": command, "args": args, "env": env, "headers": headers, "url": url,
                "description": description, "directory": "/canary"
            });
            (ExtensionKind::Mcp, body)
        });
    let options = prop::collection::btree_map(
        "[a-z]{0,5}(Key|_token|SECRET|password)",
        "canary[a-z]{0,9}",
        0..4,
    );
    let other = (options, prop::bool::ANY).prop_map(|(options, agent)| {
        let kind = if agent {
            ExtensionKind::Agent
        } else {
            ExtensionKind::Provider
        };
        (
            kind,
            json!({"options": {"deep": options, "list": [options]}, "apiKey": "canary"}),
        )
    });
    prop_oneof![3 => server, 1 => other]
}

proptest! {
    #[test]
    fn no_secret_survives_an_export_and_no_answer_tells_an_entered_one(
        things in prop::collection::vec(hiding(), 0..5), enter in prop::bool::ANY, overwrite in prop::bool::ANY,
    ) {
        let entries: Vec<ExtensionDescriptor> = things
            .into_iter()
            .enumerate()
            .map(|(i, (kind, body))| export(kind, &format!("n{i}"), source(), &object(body)))
            .collect();
        let shown = format!("{} {entries:?}", serde_json::to_string(&entries).unwrap());
        prop_assert!(!shown.contains("canary"), "{}", shown);

        let mut values = serde_json::Map::new();
        for entry in entries.iter().filter(|_| enter) {
            let entered: serde_json::Map<String, Value> = entry
                .secrets
                .iter()
                .map(|secret| (secret.key.clone(), json!("/canary-entered")))
                .collect();
            values.insert(entry.id.clone(), entered.into());
        }
        let parsed = parse(&write(&bundle(entries))).unwrap();
        prop_assert!(parsed.rejected.is_empty());
        let options = options(json!({"secretValues": values, "overwrite": overwrite}));
        let plan = plan(parsed.bundle, &Existing::default(), &options);
        let told = format!("{plan:?} {options:?} {}", serde_json::to_string(&plan.result()).unwrap());
        prop_assert!(!told.contains("canary"), "{}", told);
        for step in &plan.steps {
            if let Some(install) = &step.install {
                prop_assert!(!Value::Object(install.body.clone()).to_string().contains(REDACTED));
            }
            if enter {
                prop_assert_ne!(step.item.status, ImportStatus::NeedsSecret);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,60}", at in 0usize..900, byte in prop::char::any()) {
        let _ = parse(&text);
        let good = write(&bundle(vec![
            mcp("a", json!({"type": "stdio", "command": "/x", "args": ["/y"], "env": {"A": "b"}})),
            export(ExtensionKind::Agent, "b", source(), &object(json!({"options": {"key": 1}}))),
        ]));
        let broken: String = good.chars().enumerate().map(|(i, c)| if i == at { byte } else { c }).collect();
        if let Ok(parsed) = parse(&broken) {
            let _ = plan(parsed.bundle, &Existing::default(), &ImportOptions::default()).result();
        }
    }
}
