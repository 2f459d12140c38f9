//! Licences, bans and sources of all dependencies, by the rules of deny.toml.
//!
//! The check reads `cargo metadata`, so it needs no tool of its own and takes a second. cargo-deny
//! checks the same file on top when it is installed. Advisories need its database, which comes
//! from the network, so they are checked only where cargo-deny already has one.

use anyhow::{Context as _, bail};
use cargo_metadata::{MetadataCommand, Package};
use open_cowork_testkit::process::find_program;
use serde::Deserialize;
use spdx::{Expression, ParseMode};

/// The part of deny.toml that we read ourselves.
#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licences,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Debug, Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
}

/// What the check looks at in a package.
#[derive(Debug)]
struct Dependency {
    name: String,
    licence: Option<String>,
    /// Where it comes from; nothing for a crate of this workspace.
    source: Option<String>,
    is_ours: bool,
}

/// Checks every package of the lock file.
///
/// # Errors
/// Every offending package with the rule that it breaks.
pub(crate) fn check() -> anyhow::Result<String> {
    let rules: Rules = toml::from_str(
        &std::fs::read_to_string(crate::root().join("deny.toml")).context("deny.toml")?,
    )
    .context("deny.toml")?;
    let metadata = MetadataCommand::new()
        .manifest_path(crate::root().join("Cargo.toml"))
        .other_options(vec!["--all-features".into(), "--locked".into()])
        .exec()
        .context("cargo metadata")?;
    let ours = metadata.workspace_packages();
    let dependency = |package: &Package| Dependency {
        name: package.name.to_string(),
        licence: package.license.clone(),
        source: package.source.as_ref().map(|source| source.repr.clone()),
        is_ours: ours.iter().any(|own| own.id == package.id),
    };
    let all: Vec<_> = metadata.packages.iter().map(dependency).collect();
    let wrong = violations(&rules, &all);
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    let advisories = with_cargo_deny()?;
    Ok(format!("{} packages; {advisories}", all.len()))
}

fn violations(rules: &Rules, dependencies: &[Dependency]) -> Vec<String> {
    let mut wrong = Vec::new();
    for dependency in dependencies {
        let name = &dependency.name;
        match &dependency.source {
            Some(source) if source.starts_with("registry+") => {}
            None if dependency.is_ours => {}
            Some(_) => wrong.push(format!("{name} does not come from the registry")),
            None => wrong.push(format!("{name} is a folder outside this workspace")),
        }
        if rules.bans.deny.iter().any(|banned| banned.name == *name) {
            wrong.push(format!("{name} is banned by deny.toml"));
        }
        let Some(licence) = &dependency.licence else {
            wrong.push(format!("{name} names no licence"));
            continue;
        };
        if !is_allowed(rules, name, licence) {
            wrong.push(format!(
                "{name} has the licence {licence}, which deny.toml does not allow"
            ));
        }
    }
    wrong
}

fn is_allowed(rules: &Rules, name: &str, licence: &str) -> bool {
    let own = rules
        .licenses
        .exceptions
        .iter()
        .filter(|exception| exception.name == name);
    let allowed: Vec<&String> = rules
        .licenses
        .allow
        .iter()
        .chain(own.flat_map(|exception| &exception.allow))
        .collect();
    // LAX takes the old "MIT/Apache-2.0" spelling.
    Expression::parse_mode(licence, ParseMode::LAX).is_ok_and(|expression| {
        expression.evaluate(|wanted| {
            allowed
                .iter()
                .any(|allowed| **allowed == wanted.to_string())
        })
    })
}

fn with_cargo_deny() -> anyhow::Result<&'static str> {
    if find_program("cargo-deny").is_none() {
        return Ok("advisories not checked (cargo-deny is not installed)");
    }
    let deny = |checks: &[&str]| {
        let mut command = crate::cargo();
        command.args(["deny", "--offline", "check"]).args(checks);
        command.output().context("cargo deny could not be started")
    };
    let output = deny(&["licenses", "bans", "sources"])?;
    if !output.status.success() {
        bail!(
            "cargo deny: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let output = deny(&["advisories"])?;
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok("advisories checked");
    }
    if words.contains("error[") {
        bail!("cargo deny: {}", words.trim());
    }
    Ok("advisories not checked (their database has not been fetched)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        toml::from_str(include_str!("../../deny.toml")).unwrap()
    }

    fn from_registry(name: &str, licence: Option<&str>) -> Dependency {
        Dependency {
            name: name.into(),
            licence: licence.map(Into::into),
            source: Some("registry+somewhere".into()),
            is_ours: false,
        }
    }

    fn wrong(dependency: Dependency) -> String {
        violations(&rules(), &[dependency]).join("; ")
    }

    #[test]
    fn one_allowed_choice_is_enough_and_every_required_one_is_needed() {
        assert_eq!(wrong(from_registry("a", Some("GPL-3.0 OR MIT"))), "");
        assert_eq!(wrong(from_registry("a", Some("MIT/Apache-2.0"))), "");
        assert_ne!(wrong(from_registry("a", Some("GPL-3.0 AND MIT"))), "");
        assert_ne!(wrong(from_registry("a", Some("no licence at all"))), "");
        assert_ne!(wrong(from_registry("a", None)), "");
    }

    #[test]
    fn banned_crates_and_foreign_sources_are_found() {
        assert!(wrong(from_registry("openssl", Some("MIT"))).contains("banned"));
        let git = Dependency {
            source: Some("git+somewhere".into()),
            ..from_registry("a", Some("MIT"))
        };
        assert!(wrong(git).contains("registry"));
        let folder = Dependency {
            source: None,
            ..from_registry("a", Some("MIT"))
        };
        assert!(wrong(folder).contains("outside"));
    }

    #[test]
    fn an_exception_is_for_its_crate_alone() {
        let mut rules = rules();
        rules.licenses.exceptions = vec![Exception {
            name: "a".into(),
            allow: vec!["MPL-2.0".into()],
        }];
        assert!(is_allowed(&rules, "a", "MPL-2.0"));
        assert!(!is_allowed(&rules, "b", "MPL-2.0"));
    }
}
