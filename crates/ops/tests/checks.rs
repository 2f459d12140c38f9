//! Whole runs of the checks that aren't about configuration documents.

mod support;

use support::*;

#[test]
fn the_repository_itself_passes_the_compatibility_proof() {
    let proof = run(&repository(), ["proof:opencode:compatibility", "--json"]);
    assert_eq!(proof.code, Some(0), "{proof:?}");
    let result = proof.json();
    assert_eq!(result["ok"], true);
    assert!(result["assumptionCount"].as_u64() > Some(0));
}

#[test]
fn the_compatibility_proof_fails_closed_where_a_version_is_missing() {
    // As much of a checkout as it takes to be one.
    let folder = folder_with(&[("Cargo.toml", ""), ("crates/runtime-host/Cargo.toml", "")]);
    let proof = run(folder.path(), ["proof", "compatibility"]);
    assert_eq!(proof.code, Some(1), "{proof:?}");
    assert!(
        proof.stdout.contains("OPENCODE_VERSION_MISSING"),
        "{proof:?}"
    );
    let sarif = run(
        folder.path(),
        ["proof", "compatibility", "--format", "sarif"],
    );
    assert_eq!(sarif.json()["runs"][0]["invocations"][0]["exitCode"], 1);
}

#[test]
fn hygiene_names_the_place_and_never_the_value() {
    let key = format!("{}{}", "ghp_", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    let folder = folder_with(&[("notes.txt", &format!("one\ntoken {key}\n"))]);
    for format in ["text", "json", "sarif"] {
        let scan = run(folder.path(), ["hygiene", "scan", ".", "--format", format]);
        assert_eq!(scan.code, Some(1), "{scan:?}");
        assert!(!scan.stdout.contains("a1B2c3"), "{scan:?}");
        assert!(scan.stdout.contains("notes.txt"), "{scan:?}");
    }
    let written = run(
        folder.path(),
        ["hygiene", "scan", ".", "--write-baseline", "a sample"],
    );
    assert_eq!(written.code, Some(0), "{written:?}");
    let accepted = run(folder.path(), ["hygiene", "scan", "."]);
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    assert!(
        accepted.stdout.contains("1 accepted by the baseline"),
        "{accepted:?}"
    );
    assert_eq!(
        run(folder.path(), ["hygiene", "scan", "nowhere"]).code,
        Some(2)
    );
}

#[test]
fn a_brand_is_shown_with_its_contrasts() {
    let readable = r##"{"branding": {"name": "Acme"}, "cloud": {"publicBranding": {"theme": {"accent": "#0f6b4b"}}}}"##;
    let unreadable = r##"{"cloud": {"publicBranding": {"theme": {
        "background": "#ffffff", "text": "#dddddd", "accent": "notacolor"}}}}"##;
    let folder = folder_with(&[("good.json", readable), ("bad.json", unreadable)]);
    let good = run(
        folder.path(),
        [
            "branding",
            "preview",
            "--config",
            "good.json",
            "--out",
            "page.html",
            "--strict",
        ],
    );
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.stdout.contains("contrast.light.text"), "{good:?}");
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("Acme") && page.contains("#0f6b4b") && !page.contains("<script"));
    let bad = run(
        folder.path(),
        [
            "branding", "preview", "--config", "bad.json", "--format", "json",
        ],
    );
    assert_eq!(bad.code, Some(0), "a contrast is a warning: {bad:?}");
    let codes = bad.codes();
    assert!(
        codes.contains(&"BRANDING_NOT_A_COLOR".to_owned()),
        "{codes:?}"
    );
    assert!(codes.contains(&"BRANDING_CONTRAST".to_owned()), "{codes:?}");
    let finding = &bad.json()["findings"][0];
    assert_eq!(finding["file"], "bad.json");
    assert!(finding["line"].is_u64());
    let strict = run(
        folder.path(),
        ["branding", "preview", "--config", "bad.json", "--strict"],
    );
    assert_eq!(strict.code, Some(1));
    let nowhere = run(
        folder.path(),
        [
            "branding",
            "preview",
            "--config",
            "good.json",
            "--out",
            "no/such/page.html",
        ],
    );
    assert_eq!(nowhere.code, Some(3), "{nowhere:?}");
}

#[test]
fn the_health_of_a_new_machine_says_what_to_do() {
    let folder = folder();
    let health = run(
        folder.path(),
        ["health", "--data-dir", "data", "--format", "json"],
    );
    assert_eq!(health.code, Some(1), "{health:?}");
    let report = health.json();
    assert_eq!(report["overall"]["ready"], false);
    assert_eq!(report["redacted"], true);
    let check = |id: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["id"] == id)
            .unwrap()
            .clone()
    };
    assert_eq!(check("desktop.runtime.ready")["status"], "action_required");
    assert_eq!(
        check("desktop.credentials.configured")["status"],
        "action_required"
    );
    assert!(check("desktop.credentials.configured")["recoveryAction"].is_string());
    for elsewhere in [
        "cloud.database.migrated",
        "gateway.provider.healthy",
        "pairing.connection.active",
    ] {
        assert_eq!(check(elsewhere)["status"], "unknown", "{elsewhere}");
    }
    assert!(
        !folder.path().join("data").exists(),
        "looking changes nothing"
    );
    let unknown = run(folder.path(), ["health", "--intent", "moon-base"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}

#[test]
#[cfg(unix)]
fn a_machine_with_opencode_and_a_provider_is_ready_and_its_key_stays_unread() {
    use std::os::unix::fs::PermissionsExt as _;
    const CANARY: &str = "canary-0penSe5ame";
    let folder = folder_with(&[
        ("bin/opencode", "#!/bin/sh\necho 1.18.33\n"),
        (
            "data/settings.json",
            r#"{"provider": "anthropic", "model": "some-model"}"#,
        ),
        ("data/keys/anthropic.key", CANARY),
    ]);
    let mode = |name: &str, mode| {
        let path = folder.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("bin/opencode", 0o755);
    mode("data", 0o700);
    mode("data/keys", 0o700);
    mode("data/keys/anthropic.key", 0o600);
    let path = format!("{}:/usr/bin:/bin", folder.path().join("bin").display());
    let arguments = ["health", "--data-dir", "data", "--intent", "desktop-local"];
    let health = finish(program(folder.path()).env("PATH", &path).args(arguments));
    assert_eq!(health.code, Some(0), "{health:?}");
    assert!(health.stdout.contains("1.18.33"), "{health:?}");
    let json = finish(
        program(folder.path())
            .env("PATH", &path)
            .args(arguments)
            .args(["--format", "json"]),
    );
    for text in [&health.stdout, &health.stderr, &json.stdout] {
        assert!(!text.contains("canary"), "{text}");
        assert!(
            !text.contains(&folder.path().display().to_string()),
            "no absolute path: {text}"
        );
    }
    mode("data/keys/anthropic.key", 0o644);
    let open = finish(program(folder.path()).env("PATH", &path).args(arguments));
    assert_eq!(
        open.code,
        Some(1),
        "a key that others can read is refused: {open:?}"
    );
}
