//! Whether a project may come from where somebody says (02 §6).

use crate::model::secret::is_reference;
use serde::Serialize;
use serde_json::Value;

/// The answer. A refusal has a sentence and a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether it may.
    pub allowed: bool,
    /// Why not; `null` when it may.
    pub reason: Option<&'static str>,
    /// The code of the rule, such as `project_source.git.host_denied`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_code: Option<&'static str>,
}

/// Judges a source (`{kind: "git" | "snapshot", …}`) by `cloud.projectSources`, in the contract's order;
/// the first rule that is broken answers.
///
/// ```
/// use open_cowork_config::cloud::project_source::verdict;
/// use serde_json::json;
/// let rules = json!({"git": {"enabled": true, "allowedHosts": ["github.com"]}});
/// let source = json!({"kind": "git", "repositoryUrl": "https://git.example.com/a/b"});
/// assert_eq!(verdict(&rules, Some(&source)).policy_code, Some("project_source.git.host_denied"));
/// ```
pub fn verdict(rules: &Value, source: Option<&Value>) -> Verdict {
    let broken = match source.filter(|source| source.is_object()) {
        None => Some(("project_source.required", "A project source is required.")),
        Some(source) => match source["kind"].as_str() {
            Some("git") => git(&rules["git"], source),
            Some("snapshot") => snapshot(&rules["uploadedSnapshots"], source),
            _ => Some(("project_source.required", "A project source is required.")),
        },
    };
    match broken {
        None => Verdict {
            allowed: true,
            reason: None,
            policy_code: None,
        },
        Some((code, reason)) => Verdict {
            allowed: false,
            reason: Some(reason),
            policy_code: Some(code),
        },
    }
}

type Broken = Option<(&'static str, &'static str)>;

fn git(rules: &Value, source: &Value) -> Broken {
    if rules["enabled"] == false {
        return Some(("project_source.git.disabled", "Git projects are disabled."));
    }
    let text = source["repositoryUrl"]
        .as_str()
        .map(crate::blank::trim)
        .unwrap_or_default();
    let Ok(url) = url::Url::parse(text) else {
        return Some((
            "project_source.git.invalid_url",
            "The repository address is not valid.",
        ));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some((
            "project_source.git.raw_credentials",
            "The repository address holds credentials; use a credential reference instead.",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some((
            "project_source.git.url_components",
            "The repository address must not have a query or a fragment.",
        ));
    }
    let file = url.scheme() == "file";
    if file && rules["allowFileUrls"] != true {
        return Some((
            "project_source.git.file_url_disabled",
            "File addresses are disabled.",
        ));
    }
    if !file && (url.scheme() != "https" || !url.has_host()) {
        return Some((
            "project_source.git.scheme",
            "The repository address must be https.",
        ));
    }
    if !file && let Some(broken) = place(rules, &url) {
        return Some(broken);
    }
    let given = |key: &str| source[key].as_str().filter(|text| !text.is_empty());
    if given("subdirectory").is_some_and(|path| !is_subdirectory(path)) {
        return Some((
            "project_source.git.subdirectory",
            "The subdirectory must be a plain relative path.",
        ));
    }
    if given("ref").is_some_and(|name| !is_ref(name)) {
        return Some((
            "project_source.git.ref",
            "The ref is not a plain branch, tag or commit.",
        ));
    }
    if given("credentialRef").is_some_and(|reference| !is_reference(reference)) {
        return Some((
            "project_source.git.credential_ref",
            "The credential must be a reference to a secret.",
        ));
    }
    None
}

/// An empty list of hosts or repositories means any.
fn place(rules: &Value, url: &url::Url) -> Broken {
    let listed = |key: &str, wanted: &str| {
        let mut entries = crate::semantics::texts(&rules[key])
            .map(crate::blank::trim)
            .filter(|entry| !entry.is_empty())
            .peekable();
        entries.peek().is_none() || entries.any(|entry| normal(entry) == wanted)
    };
    let host = url.host_str().unwrap_or_default().to_lowercase();
    if !listed("allowedHosts", &host) {
        return Some((
            "project_source.git.host_denied",
            "This repository host is not allowed.",
        ));
    }
    let key = normal(&format!("{host}/{}", url.path().trim_matches('/')));
    if !listed("allowedRepositories", &key) {
        return Some((
            "project_source.git.repo_denied",
            "This repository is not allowed.",
        ));
    }
    None
}

fn normal(key: &str) -> String {
    let key = key.to_lowercase();
    let key = key.trim_matches('/');
    key.strip_suffix(".git").unwrap_or(key).to_owned()
}

fn is_subdirectory(path: &str) -> bool {
    !path.contains(['\\', '\0']) && path.split('/').all(|step| !matches!(step, "" | "." | ".."))
}

fn is_ref(name: &str) -> bool {
    !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains(['\0', '\\'])
        && !["..", "@{", "//"].iter().any(|part| name.contains(part))
        && name.split('/').all(|part| !part.is_empty() && part != ".")
}

fn snapshot(rules: &Value, source: &Value) -> Broken {
    if rules["enabled"] == false {
        return Some((
            "project_source.snapshot.disabled",
            "Uploaded projects are disabled.",
        ));
    }
    let above = |count: &str, limit: &str, default: f64| {
        source[count].as_f64().unwrap_or(0.0) > rules[limit].as_f64().unwrap_or(default)
    };
    if above("fileCount", "maxFiles", 2000.0) {
        return Some((
            "project_source.snapshot.too_many_files",
            "The upload has too many files.",
        ));
    }
    if above("byteCount", "maxBytes", 26_214_400.0) {
        return Some((
            "project_source.snapshot.too_large",
            "The upload is too large.",
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used

    use super::*;
    use serde_json::json;

    #[test]
    fn every_rule_of_git_has_its_code_in_order() {
        let rules = json!({"git": {"enabled": true, "allowFileUrls": false, "allowedHosts": ["GitHub.com"],
            "allowedRepositories": ["github.com/Acme/App.git"]}});
        let code = |mut source: Value| {
            source["kind"] = json!("git");
            verdict(&rules, Some(&source))
                .policy_code
                .map(|code| code.trim_start_matches("project_source.git."))
        };
        let good = "https://github.com/acme/app.git";
        for (source, expected) in [
            (json!({"repositoryUrl": good}), None),
            (
                json!({"repositoryUrl": "git@github.com:a/b"}),
                Some("invalid_url"),
            ),
            (
                json!({"repositoryUrl": "https://u:p@github.com/acme/app"}),
                Some("raw_credentials"),
            ),
            (
                json!({"repositoryUrl": "https://github.com/acme/app?x"}),
                Some("url_components"),
            ),
            (
                json!({"repositoryUrl": "https://github.com/acme/app#x"}),
                Some("url_components"),
            ),
            (
                json!({"repositoryUrl": "file:///srv/x"}),
                Some("file_url_disabled"),
            ),
            (
                json!({"repositoryUrl": "http://github.com/acme/app"}),
                Some("scheme"),
            ),
            (
                json!({"repositoryUrl": "ssh://github.com/acme/app"}),
                Some("scheme"),
            ),
            (
                json!({"repositoryUrl": "https://git.example.com/acme/app"}),
                Some("host_denied"),
            ),
            (
                json!({"repositoryUrl": "https://github.com/acme/other"}),
                Some("repo_denied"),
            ),
            (
                json!({"repositoryUrl": good, "subdirectory": "a/../b"}),
                Some("subdirectory"),
            ),
            (
                json!({"repositoryUrl": good, "subdirectory": "/a"}),
                Some("subdirectory"),
            ),
            (json!({"repositoryUrl": good, "subdirectory": "a/b"}), None),
            (json!({"repositoryUrl": good, "ref": "-x"}), Some("ref")),
            (json!({"repositoryUrl": good, "ref": "a..b"}), Some("ref")),
            (json!({"repositoryUrl": good, "ref": "feature/x"}), None),
            (
                json!({"repositoryUrl": good, "credentialRef": "hunter2"}),
                Some("credential_ref"),
            ),
            (
                json!({"repositoryUrl": good, "credentialRef": "env:GIT_TOKEN", "ref": null}),
                None,
            ),
        ] {
            assert_eq!(code(source.clone()), expected, "{source}");
        }
        assert_eq!(
            verdict(&rules, None).policy_code,
            Some("project_source.required")
        );
        let off = json!({"git": {"enabled": false}});
        assert_eq!(
            verdict(&off, Some(&json!({"kind": "git"}))).policy_code,
            Some("project_source.git.disabled")
        );
    }

    #[test]
    fn empty_lists_mean_any_and_files_skip_them() {
        let rules =
            json!({"git": {"allowFileUrls": true, "allowedHosts": [], "allowedRepositories": []}});
        for url in ["https://any.example.com/a/b", "file:///srv/x"] {
            assert!(verdict(&rules, Some(&json!({"kind": "git", "repositoryUrl": url}))).allowed);
        }
    }

    #[test]
    fn uploads_are_bounded() {
        let rules = json!({"uploadedSnapshots": {"enabled": true, "maxFiles": 2, "maxBytes": 10}});
        let code = |files: u64, bytes: u64| {
            verdict(
                &rules,
                Some(&json!({"kind": "snapshot", "fileCount": files, "byteCount": bytes})),
            )
            .policy_code
        };
        assert_eq!(code(2, 10), None);
        assert_eq!(code(3, 10), Some("project_source.snapshot.too_many_files"));
        assert_eq!(code(2, 11), Some("project_source.snapshot.too_large"));
        let off = json!({"uploadedSnapshots": {"enabled": false}});
        assert_eq!(
            verdict(&off, Some(&json!({"kind": "snapshot"}))).policy_code,
            Some("project_source.snapshot.disabled")
        );
    }
}
