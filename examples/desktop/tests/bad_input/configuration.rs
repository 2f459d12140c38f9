//! A configuration that isn't right stops the program before anything starts.

use crate::program::{command, finish, run};
use std::fs;

#[test]
fn a_wrong_configuration_is_told_line_by_line_and_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("wrong.json"), folder.path().join("data"));
    let wrong = "{\n  \"contractVersion\": 2,\n  \"branding\": {\n    \"nam\": \"Acme\",\n    \"supportUrl\": \"ftp://canary\"\n  }\n}\n";
    fs::write(&file, wrong).unwrap();
    let shown = file.display().to_string();
    let data_dir = data.display().to_string();
    for arguments in [
        vec!["serve", "--data-dir", &data_dir, "--config", &shown],
        vec!["--config", &shown, "chat", "hello", "--data-dir", &data_dir],
        vec![
            "config",
            "show",
            "--data-dir",
            &data_dir,
            "--config",
            &shown,
        ],
    ] {
        let ended = run(&arguments);
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(1), ""),
            "{ended:#?}"
        );
        for line in [2, 4, 5] {
            let place = format!("{shown}:{line}:");
            let told = ended.err.lines().filter(|told| told.contains(&place));
            assert_eq!(told.count(), 1, "{place} once: {ended:#?}");
        }
        assert!(ended.err.contains("name"), "the nearest key: {ended:#?}");
        assert!(!data.exists(), "nothing was opened");
    }
}

#[test]
fn a_configuration_that_was_named_must_be_there() {
    let missing = "/nonexistent/acme.json";
    let by_option = run(&["config", "show", "--config", missing]);
    assert_eq!(by_option.code, Some(1), "{by_option:#?}");
    assert!(by_option.err.contains(missing), "{by_option:#?}");
    let mut by_variable = command(&["config", "show"]);
    by_variable.env("OPEN_COWORK_CONFIG_PATH", missing);
    let ended = finish(by_variable, b"");
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(
        ended.err.contains("OPEN_COWORK_CONFIG_PATH") && ended.err.contains("unset"),
        "{ended:#?}"
    );
}

#[test]
fn the_data_folder_is_named_by_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.json");
    fs::write(&file, r#"{"branding": {"dataDirName": "acme-desk"}}"#).unwrap();
    let mut set = command(&[
        "config".as_ref(),
        "set".as_ref(),
        "--provider".as_ref(),
        "openai".as_ref(),
        "--model".as_ref(),
        "m".as_ref(),
        "--config".as_ref(),
        file.as_os_str(),
    ]);
    set.env("HOME", folder.path()).env_remove("XDG_DATA_HOME");
    let ended = finish(set, b"");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let place = match cfg!(target_os = "macos") {
        true => "Library/Application Support/acme-desk/settings.json",
        false => ".local/share/acme-desk/settings.json",
    };
    assert!(folder.path().join(place).exists(), "{ended:#?}");
}
