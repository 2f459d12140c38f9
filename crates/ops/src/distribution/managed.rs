//! What separates a self-hosted distribution from a managed one: `DIST_BILLING_FREE`, `DIST_OVERLAY_ONLY`,
//! `DIST_PROFILES_DEFINED`.

use super::folder::{ConfigFile, Folder};
use super::{Verdict, at, crates};
use open_cowork_config::advice::{BUILT_IN_AGENTS, NATIVE_TOOLS};
use open_cowork_config::document::Document;
use open_cowork_contracts::finding::Severity;
use serde_json::Value;

/// Self-hosting starts without a billing adapter.
pub(super) fn billing_free(folder: &Folder) -> Verdict {
    const ID: &str = "DIST_BILLING_FREE";
    let mut findings = crates::billing_by_default(folder);
    if let Some(main) = folder.main() {
        for pointer in ["/cloud/billing/provider", "/cloud/entitlements/provider"] {
            let provider = main.value().pointer(pointer).and_then(Value::as_str);
            if provider.is_some_and(|provider| !matches!(provider, "none" | "stub")) {
                let finding = main
                    .finding(ID, Severity::Error, pointer, "the main document demands a billing adapter, so a self-hosted start needs an account of a payment service.")
                    .with_help("write `none` or `stub` here, and the adapter into the overlay of the managed service");
                findings.push(finding);
            }
        }
    } else if folder.manifests.is_empty() {
        return Verdict::NotApplicable("no document and no crate".into());
    }
    Verdict::Looked(
        "billing of the main document, default features of the crates".into(),
        findings,
    )
}

/// A managed service is an overlay, and adapters are crates on public traits: nothing of ours is copied.
pub(super) fn overlay_only(folder: &Folder) -> Verdict {
    const ID: &str = "DIST_OVERLAY_ONLY";
    if folder.documents.is_empty() && folder.manifests.is_empty() {
        return Verdict::NotApplicable("no document and no crate".into());
    }
    let mut findings = crates::forks(folder);
    if let Some(main) = folder.main() {
        let managed: [(&str, Value, &str); 3] = [
            (
                "/gateway/mode",
                Value::from("managed"),
                "the gateway's managed mode",
            ),
            ("/cloud/billing/enabled", Value::from(true), "billing"),
            (
                "/cloudDesktop/requireManagedOrg",
                Value::from(true),
                "the managed organization",
            ),
        ];
        for (pointer, value, what) in managed {
            if main.value().pointer(pointer) == Some(&value) {
                let finding = main
                    .finding(ID, Severity::Error, pointer, format!("{what} is switched on in the main document, so nobody can self-host this distribution."))
                    .with_help("move it into an overlay, such as overlays/managed.json");
                findings.push(finding);
            }
        }
    }
    if let Some(modules) = &folder.submodules {
        let line = modules
            .lines()
            .position(|line| line.contains("url") && line.contains("open-cowork"));
        if let Some(line) = line {
            findings.push(at(
                ID,
                ".gitmodules",
                u32::try_from(line + 1).ok(),
                "a submodule holds a copy of this product.".into(),
                "depend on released crates and images instead",
            ));
        }
    }
    let overlays = folder
        .documents
        .iter()
        .filter(|file| file.is_overlay)
        .count();
    Verdict::Looked(
        format!(
            "overlays: {overlays}, manifests: {}",
            folder.manifests.len()
        ),
        findings,
    )
}

/// Every profile says what it allows.
pub(super) fn profiles_defined(folder: &Folder) -> Verdict {
    const ID: &str = "DIST_PROFILES_DEFINED";
    let documents: Vec<&Document> = folder
        .documents
        .iter()
        .filter_map(ConfigFile::parsed)
        .collect();
    if !documents
        .iter()
        .any(|document| document.value().get("cloud").is_some())
    {
        return Verdict::NotApplicable("no cloud section, so there are no profiles".into());
    }
    let mut findings = Vec::new();
    let mut count = 0;
    for document in &documents {
        let value = document.value();
        let mut found = |pointer: &str, message: String, help: &str| {
            findings.push(
                document
                    .finding(ID, Severity::Error, pointer, message)
                    .with_help(help),
            );
        };
        host_access(value, "/cloud/runtime", &mut found);
        let profiles = value.pointer("/cloud/profiles").and_then(Value::as_object);
        for (name, profile) in profiles.into_iter().flatten() {
            count += 1;
            let pointer = format!(
                "/cloud/profiles/{}",
                name.replace('~', "~0").replace('/', "~1")
            );
            for (list, known) in [("agents", "agents"), ("tools", "tools"), ("mcps", "mcps")] {
                match profile.get(list).and_then(Value::as_array) {
                    None => found(
                        &pointer,
                        format!(
                            "the profile does not list its `{list}`, so it allows all of them."
                        ),
                        "list them by name; an empty list allows none",
                    ),
                    Some(names) => {
                        for (at, name) in names.iter().enumerate() {
                            let name = name.as_str().unwrap_or_default();
                            if !is_known(&documents, known, name) {
                                found(
                                    &format!("{pointer}/{list}/{at}"),
                                    format!(
                                        "the profile names something in `{list}` that this distribution does not define."
                                    ),
                                    "name one that the document defines, or one of the runtime's own",
                                );
                            }
                        }
                    }
                }
            }
            if profile
                .get("runtime")
                .and_then(Value::as_object)
                .is_none_or(serde_json::Map::is_empty)
            {
                found(
                    &pointer,
                    "the profile says nothing about the runtime.".into(),
                    "write its flags, such as `\"runtime\": {\"allowLocalStdioMcps\": false}`",
                );
            }
            host_access(value, &format!("{pointer}/runtime"), &mut found);
        }
    }
    if count == 0 {
        let pointer = "/cloud";
        if let Some(main) = folder
            .main()
            .filter(|main| main.value().get("cloud").is_some())
        {
            let finding = main
                .finding(
                    ID,
                    Severity::Error,
                    pointer,
                    "no profile is defined, so the built-in ones allow everything.",
                )
                .with_help("define `cloud.profiles.full` with agents, tools, mcps and runtime");
            findings.push(finding);
        }
    }
    Verdict::Looked(format!("profiles: {count}"), findings)
}

/// The machine's own configuration and its programs stay out unless a list of names says which.
fn host_access(value: &Value, runtime: &str, found: &mut impl FnMut(&str, String, &str)) {
    let flag = |key: &str| {
        value
            .pointer(&format!("{runtime}/{key}"))
            .and_then(Value::as_bool)
            == Some(true)
    };
    let lists = |key: &str| {
        value
            .pointer(&format!("{runtime}/{key}"))
            .and_then(Value::as_array)
            .is_some_and(|names| !names.is_empty())
    };
    if flag("allowMachineRuntimeConfig") {
        found(
            &format!("{runtime}/allowMachineRuntimeConfig"),
            "the configuration of the worker's machine reaches every tenant's runtime.".into(),
            "write false; a runtime takes its configuration from the distribution",
        );
    }
    if flag("allowLocalStdioMcps") && !lists("allowedLocalMcpNames") {
        found(
            &format!("{runtime}/allowLocalStdioMcps"),
            "every MCP server may start programs on the worker.".into(),
            "write false, and name the ones that may in `allowedLocalMcpNames`",
        );
    }
    if flag("allowHostProjectDirectories") && !lists("allowedHostProjectDirectories") {
        found(
            &format!("{runtime}/allowHostProjectDirectories"),
            "every folder of the worker may be opened as a project.".into(),
            "write false, and name the ones that may in `allowedHostProjectDirectories`",
        );
    }
}

fn is_known(documents: &[&Document], list: &str, name: &str) -> bool {
    let key = if list == "tools" { "id" } else { "name" };
    let defines = |document: &&Document| {
        let items = document.value().get(list).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .any(|item| item.get(key).and_then(Value::as_str) == Some(name))
    };
    let is_native = match list {
        "tools" => NATIVE_TOOLS.contains(&name),
        "agents" => BUILT_IN_AGENTS.contains(&name),
        _ => false,
    };
    is_native || documents.iter().any(defines)
}
