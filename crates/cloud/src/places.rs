//! Whether what the settings name on this machine is there: said before anything is opened, by `--check` too.

use open_cowork_cloud_server::settings::Settings;
use open_cowork_config::model::cloud::CloudRole;
use open_cowork_contracts::finding::Finding;
use open_cowork_runtime_host::binary;
use open_cowork_store::SchemaName;
use std::ffi::OsStr;

/// Everything that isn't there, or can't be what it is meant for. A missing OpenCode that nobody named is a warning:
/// without it the server shows what there is, and the first prompt says what is missing.
pub(crate) fn missing(settings: &Settings, search_path: &OsStr) -> Vec<Finding> {
    let mut found = Vec::new();
    let root = &settings.root;
    if root.exists() && !root.is_dir() {
        found.push(wrong(
            "ROOT",
            "is a file",
            "Write the path of a folder, or of none yet.",
        ));
    }
    let serves = matches!(settings.role, CloudRole::AllInOne | CloudRole::Web);
    if serves && let Some(folder) = &settings.http.app_directory {
        if !folder.is_dir() {
            let help =
                "Write the path of the folder that the renderer was built into, or unset it.";
            found.push(wrong(
                "APP_DIRECTORY",
                "names a folder that isn't there",
                help,
            ));
        } else if !folder.join("index.html").is_file() {
            let help =
                "Write the path of the folder that the renderer was built into, or unset it.";
            found.push(wrong(
                "APP_DIRECTORY",
                "names a folder without an index.html",
                help,
            ));
        }
    }
    if matches!(settings.role, CloudRole::AllInOne | CloudRole::Worker) {
        let named = settings.worker.opencode.as_deref();
        match (binary::resolve(named, search_path), named) {
            (Ok(_), _) => {}
            (Err(_), Some(_)) => found.push(wrong(
                "OPENCODE_BIN",
                "names no program",
                "Write the path of OpenCode's program, or unset it and put opencode into PATH.",
            )),
            (Err(_), None) => {
                let place = "OPEN_COWORK_CLOUD_OPENCODE_BIN";
                let message = "There is no opencode in PATH, so that no coworker can be run.";
                let warning = Finding::error("CLOUD_BOOT", place, message).into_warning();
                found.push(
                    warning.with_help("Install OpenCode, or set it to the path of its program."),
                );
            }
        }
    }
    let schema = settings.records.postgres.as_ref();
    if schema.is_some_and(|postgres| SchemaName::parse(&postgres.schema).is_none()) {
        found.push(wrong(
            "PG_SCHEMA",
            "is no name of a schema",
            "Write at most 63 lower-case letters, digits and _, no digit and no pg_ first.",
        ));
    }
    found
}

fn wrong(variable: &str, what: &str, help: &str) -> Finding {
    let place = format!("OPEN_COWORK_CLOUD_{variable}");
    let message = format!("{place} {what}.");
    Finding::error("CLOUD_BOOT", place, message).with_help(help)
}
