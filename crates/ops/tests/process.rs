//! Whole runs of the program: what it returns and prints, whatever it is given.

mod support;

use support::*;

const MINIMAL: &str = r#"{ "branding": { "name": "Acme Cowork" } }"#;

#[test]
fn a_good_file_passes_and_a_bad_one_fails() {
    let folder = folder_with(&[("good.json", MINIMAL), ("bad.json", r#"{"brandng": {}}"#)]);
    let good = run(folder.path(), ["config", "validate", "good.json"]);
    assert_eq!((good.code, good.stderr.as_str()), (Some(0), ""), "{good:?}");
    assert!(good.stdout.contains("1 file"), "{good:?}");
    let both = run(
        folder.path(),
        ["config", "validate", "good.json", "bad.json"],
    );
    assert_eq!(both.code, Some(1));
    assert!(both.stdout.contains("bad.json:1:2"), "{both:?}");
    assert!(
        both.stdout.contains("\"branding\"") || both.stdout.contains("`branding`"),
        "{both:?}"
    );
}

#[test]
fn all_findings_of_all_files_come_at_once_in_their_order() {
    let many =
        r#"{"brandng": {}, "permissions": {"bash": "no", "web": 1}, "branding": {"name": 7}}"#;
    let folder = folder_with(&[
        ("b.json", many),
        ("a.json", r#"{"permissions": {"task": "x"}}"#),
    ]);
    let found = run(
        folder.path(),
        ["config", "validate", "b.json", "a.json", "--format", "json"],
    );
    assert_eq!(found.code, Some(1));
    let report = found.json();
    let places: Vec<String> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            format!(
                "{}{}",
                finding["file"].as_str().unwrap(),
                finding["pointer"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            "b.json/brandng",
            "b.json/permissions/bash",
            "b.json/permissions/web",
            "b.json/branding/name",
            "a.json/permissions/task"
        ]
    );
    assert_eq!(report["ok"], false);
    assert_eq!(report["command"], "config:validate");
    assert_eq!(report["schemaVersion"], 1);
    assert_eq!(report["redacted"], true);
}

#[test]
fn wrong_usage_is_two_with_a_suggestion() {
    let folder = folder();
    let unknown = run(folder.path(), ["config", "validat"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("validate"), "{unknown:?}");
    assert_eq!(
        run(folder.path(), ["--format", "xml", "config", "schema"]).code,
        Some(2)
    );
    assert_eq!(
        run(folder.path(), ["config", "schema", "--format", "sarif"]).code,
        Some(2)
    );
    assert_eq!(
        run(folder.path(), ["--root", "missing", "config", "validate"]).code,
        Some(2)
    );
    assert_eq!(
        run(folder.path(), ["config", "validate", "--as", "layers"]).code,
        Some(2)
    );
    assert_eq!(run(folder.path(), [] as [&str; 0]).code, Some(2));
}

#[test]
fn help_and_version_are_answers() {
    let folder = folder();
    for arguments in [
        vec!["--help"],
        vec!["config", "validate", "--help"],
        vec!["--version"],
    ] {
        let run = run(folder.path(), &arguments);
        assert_eq!(
            (run.code, run.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
        assert!(!run.stdout.is_empty());
    }
}

#[test]
fn a_name_with_colons_runs_the_same() {
    let folder = folder_with(&[("a:b.json", MINIMAL)]);
    let run = run(folder.path(), ["config:validate", "a:b.json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn root_is_where_relative_paths_start() {
    let folder = folder_with(&[("below/a.json", MINIMAL)]);
    let run = run(
        folder.path(),
        ["--root", "below", "config", "validate", "a.json"],
    );
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn only_and_strict_decide_what_fails() {
    let twice = r#"{"branding": {"name": "a", "name": "b"}}"#;
    let folder = folder_with(&[
        ("twice.json", twice),
        ("bad.json", r#"{"permissions": {"bash": 1}}"#),
    ]);
    let validate = |more: &[&str]| {
        let mut arguments = vec!["config", "validate"];
        arguments.extend(more);
        run(folder.path(), arguments)
    };
    assert_eq!(validate(&["twice.json"]).code, Some(0));
    assert_eq!(validate(&["twice.json", "--strict"]).code, Some(1));
    assert_eq!(
        validate(&["bad.json", "--only", "CONFIG_SYNTAX"]).code,
        Some(0)
    );
    assert_eq!(validate(&["bad.json", "--only", "CONFIG_"]).code, Some(1));
}

#[test]
fn the_sarif_form_names_rule_file_and_region() {
    let folder = folder_with(&[("a b.json", "{\n  \"brandng\": {}\n}")]);
    let run = run(
        folder.path(),
        ["config", "validate", "a b.json", "--format", "sarif"],
    );
    assert_eq!(run.code, Some(1));
    let sarif = run.json();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "CONFIG_UNKNOWN_KEY");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b.json");
    assert_eq!(place["region"]["startLine"], 2);
    assert_eq!(place["region"]["startColumn"], 3);
}

#[test]
fn colours_are_there_only_when_asked_for() {
    let folder = folder_with(&[("bad.json", "{")]);
    let plain = run(folder.path(), ["config", "validate", "bad.json"]);
    assert!(!plain.stdout.contains('\u{1b}'));
    let coloured = run(
        folder.path(),
        ["--color", "always", "config", "validate", "bad.json"],
    );
    assert!(coloured.stdout.contains('\u{1b}'));
}

#[test]
fn files_that_are_no_documents_get_one_clear_finding_each() {
    let folder = folder_with(&[("empty.json", ""), ("blank.json", " \n ")]);
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("folder.json")).unwrap();
    std::fs::write(
        path("latin1.json"),
        b"{\"branding\": {\"name\": \"caf\xe9\"}}",
    )
    .unwrap();
    std::fs::write(path("huge.json"), vec![b' '; 5 << 20]).unwrap();
    std::fs::write(path("deep.json"), "[".repeat(200_000)).unwrap();
    for name in [
        "folder.json",
        "latin1.json",
        "huge.json",
        "deep.json",
        "missing.json",
    ] {
        let run = run(
            folder.path(),
            ["config", "validate", name, "--format", "json"],
        );
        // What isn't there can't be judged.
        let code = if name == "missing.json" { 3 } else { 1 };
        assert_eq!(run.code, Some(code), "{name}: {run:?}");
        assert_eq!(run.codes().len(), 1, "{name}: {run:?}");
        let report = run.json();
        assert_eq!(report["findings"][0]["file"], name);
    }
    for name in ["empty.json", "blank.json"] {
        let run = run(folder.path(), ["config", "validate", name]);
        assert_eq!(
            run.code,
            Some(0),
            "an empty file is an empty layer: {run:?}"
        );
    }
}

#[test]
#[cfg(unix)]
fn an_unreadable_file_is_named() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = folder_with(&[("closed.json", MINIMAL)]);
    let closed = folder.path().join("closed.json");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    symlink("nowhere", folder.path().join("dangling.json")).unwrap();
    symlink("loop.json", folder.path().join("loop.json")).unwrap();
    let readable_all_the_same = std::fs::read(&closed).is_ok(); // by root
    for name in ["closed.json", "dangling.json", "loop.json"] {
        if name == "closed.json" && readable_all_the_same {
            continue;
        }
        let run = run(folder.path(), ["config", "validate", name]);
        let code = if name == "dangling.json" { 3 } else { 1 };
        assert_eq!(run.code, Some(code), "{run:?}");
        assert!(run.stdout.contains(name), "{run:?}");
    }
}

#[test]
fn no_secret_is_printed_whatever_is_wrong() {
    const CANARY: &str = "canary-5e5ame-0pen";
    let documents = [
        format!(r#"{{"gateway": {{"server": {{"adminToken": "{CANARY}", "port": "x"}}}}}}"#),
        format!(r#"{{"gateway": {{"server": {{"adminTokn": "{CANARY}"}}}}}}"#),
        format!(r#"{{"gateway": {{"server": {{"adminToken": ["{CANARY}"]}}}}}}"#),
        format!(r#"{{"gateway": {{"server": {{"adminToken": "{CANARY}" "port": 1}}}}}}"#),
        format!(r#"{{"gateway": {{"server": {{"adminToken": '{CANARY}'}}}}}}"#),
        format!(r#"{{"gateway": {{"server": {{"adminToken": "{CANARY}"#),
        format!(
            r#"{{"telemetry": {{"headers": {{"authorization": "{}"}}}}}}"#,
            CANARY.repeat(500)
        ),
        format!(r#"{{"cloud": {{"auth": {{"clientSecretRef": "{CANARY}", "mode": 1}}}}}}"#),
        format!(r#"{{"mcps": [{{"headers": {{"x": "{CANARY}"}}, "type": "x"}}]}} // {CANARY}"#),
        format!(
            r#"{{"providers": {{"custom": {{"a": {{"options": {{"apiKey": "{CANARY}"}}, "x": 1}}}}}}}}"#
        ),
    ];
    for document in documents {
        let folder = folder_with(&[("a.json", &document)]);
        for format in ["text", "json", "sarif"] {
            for command in [
                vec!["config", "validate", "a.json"],
                vec!["config", "explain", "gateway.server", "--config", "a.json"],
                vec![
                    "config",
                    "explain",
                    "/gateway/server/adminToken",
                    "--config",
                    "a.json",
                ],
                vec![
                    "config",
                    "view",
                    "--for",
                    "diagnostics",
                    "--config",
                    "a.json",
                ],
                vec!["config", "view", "--for", "gateway", "--config", "a.json"],
            ] {
                let run = finish(
                    program(folder.path())
                        .args(&command)
                        .args(["--format", format]),
                );
                for text in [&run.stdout, &run.stderr] {
                    assert!(!text.contains("canary"), "{command:?} {document}: {text}");
                }
            }
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let folder = folder();
    let mut child = program(folder.path())
        .args(["config", "schema"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::with_capacity(16, child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    drop(out);
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), stderr.as_str()),
        (Some(0), "")
    );
}

#[test]
fn the_corpus_is_answered_line_by_line_until_one_is_no_request() {
    let folder = folder();
    let input = concat!(
        "{\"id\":1,\"kind\":\"overlay\",\"doc\":{}}\n",
        "{\"id\":2,\"kind\":\"overlay\",\"doc\":[]}\n",
        "what?\n",
        "{\"id\":3,\"kind\":\"overlay\",\"doc\":{}}\n"
    );
    let run = run_with_input(folder.path(), &["config", "check-corpus"], input.as_bytes());
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("line 3"), "{run:?}");
    let answers: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(
        (&answers[0]["id"], &answers[0]["schemaValid"]),
        (&1.into(), &true.into())
    );
    assert_eq!(answers[1]["schemaValid"], false);
    let garbage = run_with_input(folder.path(), &["config", "check-corpus"], b"\xff\xfe\n");
    assert_eq!(garbage.code, Some(2));
}

#[test]
fn completions_and_man_pages_are_made_from_the_command_line() {
    let folder = folder_with(&[("man/keep", "")]);
    for shell in ["bash", "zsh", "fish"] {
        let run = run(folder.path(), ["completions", shell]);
        assert!(
            run.code == Some(0) && run.stdout.contains("open-cowork"),
            "{run:?}"
        );
    }
    assert!(
        run(folder.path(), ["man"])
            .stdout
            .contains(".TH open-cowork")
    );
    let pages = run(folder.path(), ["man", "man"]);
    assert_eq!(pages.code, Some(0), "{pages:?}");
    assert!(
        folder
            .path()
            .join("man/open-cowork-config-validate.1")
            .is_file()
    );
    assert_eq!(run(folder.path(), ["man", "nowhere"]).code, Some(2));
}

#[test]
fn without_files_the_layers_of_this_place_are_checked() {
    let folder = folder_with(&[
        (
            "open-cowork.config.json",
            r#"{"branding": {"name": "Acme", "dataDirName": "acme"}}"#,
        ),
        (
            "no-home/.config/acme/config.json",
            r#"{"permissions": {"bash": "deny"}}"#,
        ),
    ]);
    let good = run(folder.path(), ["config", "validate", "--format", "json"]);
    assert_eq!(good.code, Some(0), "{good:?}");
    let detail = good.json()["checks"][0]["detail"].to_string();
    assert!(
        detail.contains("open-cowork.config.json (bundled config)"),
        "{detail}"
    );
    assert!(
        detail.contains("no-home/.config/acme/config.json (user config)"),
        "{detail}"
    );
    std::fs::write(
        folder.path().join("no-home/.config/acme/config.json"),
        r#"{"permissions": {"bash": "never"}, "branding": {"name": "a", "name": "b"}}"#,
    )
    .unwrap();
    let bad = run(folder.path(), ["config", "validate"]);
    assert_eq!(bad.code, Some(1));
    assert!(
        bad.stdout.contains("no-home/.config/acme/config.json:1:26"),
        "{bad:?}"
    );
    assert!(
        bad.stdout.contains("1 error, 1 warning"),
        "warnings come with the errors: {bad:?}"
    );
    let named = finish(
        program(folder.path())
            .args(["config", "validate"])
            .env("OPEN_COWORK_CONFIG_PATH", "nowhere.json"),
    );
    assert_eq!(named.code, Some(3));
    assert!(
        named
            .stdout
            .contains("[CONFIG_SOURCE_MISSING] nowhere.json"),
        "{named:?}"
    );
}

#[test]
fn a_file_is_complete_or_an_overlay_and_the_user_may_say_which() {
    let folder = folder_with(&[
        ("a.json", MINIMAL),
        ("b.json", r#"{"tools": [{"id": "x"}]}"#),
    ]);
    let full = run(
        folder.path(),
        [
            "config", "validate", "--as", "full", "a.json", "--format", "json",
        ],
    );
    assert_eq!(full.code, Some(1));
    let codes = full.codes();
    assert!(
        codes.len() >= 9 && codes.iter().all(|code| code == "CONFIG_REQUIRED"),
        "{codes:?}"
    );
    let once: std::collections::BTreeSet<String> = full.json()["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["pointer"].to_string())
        .collect();
    assert_eq!(once.len(), codes.len(), "each place is named once");
    let layers = run(
        folder.path(),
        ["config", "validate", "--as", "layers", "a.json", "b.json"],
    );
    assert_eq!(layers.code, Some(1));
    assert!(
        layers.stdout.contains("b.json:1:"),
        "the layer that is to blame: {layers:?}"
    );
}

#[test]
fn a_value_is_explained_with_its_layers_and_a_secret_without_its_text() {
    let folder = folder_with(&[
        (
            "low.json",
            r#"{"branding": {"name": "Low"}, "gateway": {"server": {"adminToken": "canary-token"}}}"#,
        ),
        ("high.json", "{\n  \"branding\": {\"name\": \"High\"}\n}"),
    ]);
    let explain = |key: &str| {
        let files = [
            "--config",
            "low.json",
            "--config",
            "high.json",
            "--format",
            "json",
        ];
        finish(
            program(folder.path())
                .args(["config", "explain", key])
                .args(files),
        )
    };
    let name = explain("branding.name").json();
    assert_eq!(name["value"], "High");
    assert_eq!(
        (&name["setBy"]["file"], &name["setBy"]["line"]),
        (&"high.json".into(), &2.into())
    );
    assert_eq!(name["beaten"][0]["file"], "low.json");
    assert_eq!(explain("/branding/name").json()["value"], "High");
    let token = explain("gateway.server.adminToken");
    assert_eq!(token.code, Some(0));
    assert!(
        token.stdout.contains("redacted") && !token.stdout.contains("canary"),
        "{token:?}"
    );
    let unknown = explain("branding.nmae");
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stdout.contains("branding.name"),
        "it suggests the nearest: {unknown:?}"
    );
}

#[test]
fn every_reader_gets_a_view_and_none_gets_a_secret() {
    let document =
        r#"{"branding": {"name": "Acme"}, "gateway": {"server": {"adminToken": "canary-token"}}}"#;
    let folder = folder_with(&[("a.json", document)]);
    for reader in ["web", "desktop", "gateway", "diagnostics"] {
        let view = run(
            folder.path(),
            ["config", "view", "--for", reader, "--config", "a.json"],
        );
        assert_eq!(view.code, Some(0), "{view:?}");
        assert!(
            view.json().is_object() && !view.stdout.contains("canary"),
            "{view:?}"
        );
    }
    assert_eq!(
        run(folder.path(), ["config", "view", "--for", "everybody"]).code,
        Some(2)
    );
}

#[test]
fn the_printed_schema_is_the_published_one() {
    let folder = folder();
    let print = |more: &[&str]| {
        let mut arguments = vec!["config", "schema"];
        arguments.extend(more);
        run(folder.path(), arguments).json()
    };
    let schemas = repository().join("crates/config/schema");
    for (more, file) in [
        (vec![], "open-cowork.config.schema.json"),
        (vec!["--overlay"], "open-cowork.config.overlay.schema.json"),
        (vec!["--fragment", "gateway"], "gateway.schema.json"),
    ] {
        let published: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(schemas.join(file)).unwrap()).unwrap();
        assert_eq!(print(&more), published, "{file}");
    }
}

#[test]
fn an_empty_name_is_refused_in_words() {
    let folder = folder();
    let empty = run(folder.path(), ["config", "validate", ""]);
    assert_eq!(empty.code, Some(2), "{empty:?}");
    assert!(empty.stderr.contains("the name is empty"), "{empty:?}");
}

#[test]
fn what_only_hides_is_counted() {
    let folder = folder_with(&[("bad.json", r#"{"brandng": {}, "x": 1}"#)]);
    let run = run(
        folder.path(),
        ["config", "validate", "bad.json", "--only", "NOPE"],
    );
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("2 findings not shown"), "{run:?}");
}

#[test]
fn validate_tells_what_the_page_will_not_show() {
    let document = r##"{
      "branding": {"defaultTheme": "nrod", "appIcon": "branding/app.png",
        "sidebar": {"top": {"logoAsset": "branding/logo.svg"}}},
      "cloud": {"publicBranding": {"theme": {"accent": "gren", "text": "#777777", "surface": "#888888"}}}
    }"##;
    let folder = folder_with(&[
        ("below/acme.json", document),
        ("below/branding/app.png", "no picture"),
    ]);
    let expected = [
        ("BRANDING_THEME_UNKNOWN", 2),
        ("BRANDING_PICTURE", 2),
        ("BRANDING_PICTURE", 3),
        ("BRANDING_NOT_A_COLOR", 4),
    ];
    for arguments in [
        vec!["config", "validate", "below/acme.json"],
        vec!["config", "validate", "--as", "layers", "below/acme.json"],
        vec!["config", "validate", "--root", "below", "acme.json"],
        vec!["branding", "preview", "--config", "below/acme.json"],
    ] {
        let json = run(
            folder.path(),
            [&arguments[..], &["--format", "json"]].concat(),
        );
        assert_eq!(json.code, Some(0), "warnings: {json:?}");
        let report = json.json();
        let found: Vec<(&str, u64)> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| {
                (
                    finding["code"].as_str().unwrap(),
                    finding["line"].as_u64().unwrap(),
                )
            })
            .collect();
        for one in expected {
            assert!(found.contains(&one), "{arguments:?}: {one:?} in {found:?}");
        }
        assert!(found.contains(&("BRANDING_CONTRAST", 4)), "{found:?}");
    }
    let logo = folder.path().join("below/branding/logo.svg");
    std::fs::write(logo, "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").unwrap();
    let after = run(folder.path(), ["config", "validate", "below/acme.json"]);
    assert_eq!(
        after.stdout.matches("[BRANDING_PICTURE]").count(),
        1,
        "{after:?}"
    );
}

#[test]
fn explain_says_what_a_value_follows_from() {
    let folder = folder_with(&[("a.json", r#"{"cloud": {"auth": {"mode": "oidc"}}}"#)]);
    let explain = |key: &str| {
        let run = run(
            folder.path(),
            ["config", "explain", key, "--config", "a.json"],
        );
        assert_eq!(run.code, Some(0), "{run:?}");
        run.stdout
    };
    let inferred = explain("cloud.auth.allowSelfServiceSignup");
    assert!(
        inferred.contains("signupMode, else allowSelfServiceSignup"),
        "{inferred}"
    );
    let name = explain("branding.name");
    assert!(
        name.contains("from  the product's own document: "),
        "{name}"
    );
    let other = finish(
        program(folder.path())
            .args(["config", "explain", "cloud.role"])
            .env("OPEN_COWORK_CLOUD_ROLE", "web"),
    );
    assert!(other.stdout.contains("OPEN_COWORK_CLOUD_ROLE"), "{other:?}");
}

#[test]
fn a_proof_outside_a_checkout_is_no_proof() {
    let folder = folder();
    for more in [vec![], vec!["--json"]] {
        let run = run(
            folder.path(),
            [&["proof", "compatibility"][..], &more].concat(),
        );
        assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""), "{run:?}");
        assert!(run.stderr.contains("is no checkout"), "{run:?}");
    }
}
