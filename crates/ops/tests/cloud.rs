//! `open-cowork cloud …` as people run it: the settings of the server, its database, what it says of both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod support;

use std::process::Command;
use support::*;

/// Runs with variables of the cloud.
fn cloud(
    folder: &std::path::Path,
    arguments: &[&str],
    vars: &[(&str, &str)],
) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_open-cowork"));
    command
        .env_clear()
        .current_dir(folder)
        .arg("cloud")
        .args(arguments);
    for (name, value) in vars {
        command.env(format!("OPEN_COWORK_CLOUD_{name}"), value);
    }
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn an_empty_folder_is_told_migrated_and_told_again() {
    let folder = folder_with(&[]);
    let (code, told, _) = cloud(folder.path(), &["status"], &[]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("The database is empty"), "{told}");
    assert!(
        !folder.path().join(".open-cowork-cloud").exists(),
        "a status changes nothing"
    );
    assert_eq!(cloud(folder.path(), &["status", "--strict"], &[]).0, 1);
    let (code, told, _) = cloud(folder.path(), &["migrate"], &[]);
    assert!(code == 0 && told.contains("applied"), "{told}");
    let (code, told, _) = cloud(folder.path(), &["migrate"], &[]);
    assert!(code == 0 && told.contains("nothing to do"), "{told}");
    assert_eq!(cloud(folder.path(), &["status", "--strict"], &[]).0, 0);
}

#[test]
fn all_wrong_settings_come_at_once_without_their_values() {
    let folder = folder_with(&[]);
    let vars = [
        ("ROLE", "king"),
        ("PG_POOL_MAX", "many"),
        ("SECRET_KEY_REF", "gcp-sm://hunter2"),
    ];
    let (code, told, _) = cloud(folder.path(), &["doctor"], &vars);
    assert_eq!(code, 1);
    for name in ["ROLE", "PG_POOL_MAX", "SECRET_KEY_REF"] {
        assert!(told.contains(name), "{told}");
    }
    for value in ["king", "many", "hunter2"] {
        assert!(!told.contains(value), "{told}");
    }
}

#[test]
fn the_doctor_finds_what_would_keep_a_server_from_starting() {
    let folder = folder_with(&[]);
    let vars = [
        ("DEPLOYMENT_TIER", "public_production"),
        ("OPENCODE_BIN", "/nowhere/opencode"),
        (
            "CONTROL_PLANE_URL",
            "postgresql://ada:hunter2@127.0.0.1:1/none",
        ),
        ("PG_CONNECTION_TIMEOUT_MS", "200"),
    ];
    let (code, told, _) = cloud(folder.path(), &["doctor", "--format", "json"], &vars);
    assert_eq!(code, 1);
    let report: serde_json::Value = serde_json::from_str(&told).unwrap();
    let codes: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect();
    for code in ["CLOUD_BOOT", "CLOUD_RECORDS", "CLOUD_OPENCODE"] {
        assert!(codes.contains(&code), "{codes:?}");
    }
    assert!(!told.contains("hunter2"), "{told}");
    assert!(
        report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .any(|check| check["id"] == "root" && check["status"] == "pass")
    );
}

#[test]
fn a_database_of_another_program_is_refused_untouched() {
    let folder = folder_with(&[(
        ".open-cowork-cloud/control-plane.db",
        "no database at all, but a text of somebody",
    )]);
    let (code, told, _) = cloud(folder.path(), &["migrate"], &[]);
    assert_eq!(code, 1, "{told}");
    let file = folder.path().join(".open-cowork-cloud/control-plane.db");
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        "no database at all, but a text of somebody"
    );
}
