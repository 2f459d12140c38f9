//! Placeholders of a custom provider's options, resolved when the provider is handed to OpenCode (02 §2.3).
//!
//! The loaded config keeps them raw, so that no view of it can show a key. A stored credential wins; a name
//! that any credential declares is never read from the process; a name that the config doesn't allow is empty.

use open_cowork_config::model::credentials::Credential;
use open_cowork_config::placeholder::{self, Inserted, Raw, Scope};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What the placeholders may see.
pub(super) struct Handover<'a> {
    /// The merged config's `allowedEnvPlaceholders`.
    pub(super) allowed: &'a [String],
    /// Names that a credential of any provider declares.
    pub(super) declared: &'a BTreeSet<String>,
    /// The process's variables.
    pub(super) variables: &'a BTreeMap<String, String>,
    /// Files that the options name, by the path as written.
    pub(super) files: &'a BTreeMap<String, Inserted>,
}

impl Handover<'_> {
    /// Resolves one provider's options in place. Returns what was inserted: none of it may be shown.
    pub(super) fn resolve(
        &self,
        options: &mut Value,
        credentials: &[Credential],
        stored: &BTreeMap<String, SecretString>,
    ) -> Vec<SecretString> {
        let mut env = BTreeMap::new();
        for name in self.allowed {
            if let Some(value) = self.variables.get(name)
                && !self.declared.contains(name)
            {
                env.insert(name.clone(), value.clone());
            }
        }
        for credential in credentials {
            let value = stored.get(&credential.key);
            if let (Some(name), Some(value)) = (&credential.env, value)
                && !value.expose_secret().is_empty()
                && self.allowed.contains(name)
            {
                env.insert(name.clone(), value.expose_secret().to_owned());
            }
        }
        let raw = options.to_string();
        // Every name counts as allowed here, because one that isn't has no value above and becomes empty.
        let named = names(&raw);
        let scope = Scope {
            allowed: &named,
            env: &env,
            files: self.files,
        };
        placeholder::resolve(options, Raw::Nothing, scope);
        let used = |name: &String| raw.contains(&format!("{{env:{name}}}"));
        let from_variables = env
            .iter()
            .filter(|(name, _)| used(name))
            .map(|(_, value)| value);
        let from_files = self.files.values().filter_map(|file| match file {
            Inserted::Text(text) => Some(text),
            _ => None,
        });
        from_variables
            .chain(from_files)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .map(|text| text.to_owned().into())
            .collect()
    }
}

/// The names in `{env:NAME}`.
fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text
        .split("{env:")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn credential(key: &str, env: &str) -> Credential {
        serde_json::from_value(json!({"key": key, "label": "l", "description": "d", "env": env}))
            .unwrap()
    }

    #[test]
    fn a_stored_credential_wins_and_a_declared_name_is_never_read_from_the_process() {
        let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let allowed = strings(&["ACME_KEY", "ACME_OTHER", "REGION", "BETA_KEY"]);
        let declared = BTreeSet::from_iter(strings(&["ACME_KEY", "ACME_OTHER", "BETA_KEY"]));
        let variables = ["ACME_KEY", "ACME_OTHER", "REGION", "BETA_KEY", "HOME"]
            .map(|name| (name.to_owned(), format!("process-{name}")))
            .into();
        let files = BTreeMap::from([("~/key".to_owned(), Inserted::Text("file-key\n".into()))]);
        let handover = Handover {
            allowed: &allowed,
            declared: &declared,
            variables: &variables,
            files: &files,
        };
        let mut options = json!({
            "apiKey": "{env:ACME_KEY}", "other": "<{env:ACME_OTHER}>", "foreign": "{env:BETA_KEY}",
            "region": ["{env:REGION}"], "home": "{env:HOME}", "file": "{file:~/key}", "count": 3,
        });
        let stored = BTreeMap::from([("key".to_owned(), SecretString::from("stored-key"))]);
        let credentials = [
            credential("key", "ACME_KEY"),
            credential("other", "ACME_OTHER"),
        ];
        let inserted = handover.resolve(&mut options, &credentials, &stored);
        assert_eq!(
            options,
            json!({
                "apiKey": "stored-key", "other": "<>", "foreign": "", "region": ["process-REGION"],
                "home": "", "file": "file-key\n", "count": 3,
            })
        );
        let inserted: Vec<&str> = inserted.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(inserted, ["stored-key", "process-REGION", "file-key"]);
    }
}
