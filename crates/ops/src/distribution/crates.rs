//! What a distribution's Cargo manifests say: released crates, no fork, and the boundary between clients and
//! the runtime.

use super::folder::Folder;
use super::{Verdict, at};
use open_cowork_contracts::finding::{Finding, Severity};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// One manifest.
pub(super) struct Manifest {
    /// From the folder, with `/`.
    pub(super) name: String,
    /// The package's name, when it is a package.
    pub(super) package: Option<String>,
    text: String,
    parsed: Result<Table, String>,
}

/// One dependency, under the name of the package that it means.
struct Dependency<'a> {
    package: String,
    key: &'a str,
    value: &'a Value,
    is_shipped: bool,
}

impl Manifest {
    /// Reads a manifest; one that is no TOML is kept with its error.
    pub(super) fn parse(name: &str, text: &str) -> Manifest {
        let parsed = text
            .parse::<Table>()
            .map_err(|error| error.message().to_owned());
        let package = parsed
            .as_ref()
            .ok()
            .and_then(|table| Some(table.get("package")?.get("name")?.as_str()?.to_owned()));
        Manifest {
            name: name.to_owned(),
            package,
            text: text.to_owned(),
            parsed,
        }
    }

    fn table(&self) -> Option<&Table> {
        self.parsed.as_ref().ok()
    }

    /// The line of a key, as people write it.
    fn line(&self, key: &str) -> Option<u32> {
        let is_key = |line: &str| {
            let line = line.trim_start();
            line.strip_prefix(key)
                .or_else(|| line.strip_prefix(&format!("\"{key}\"")))
                .is_some_and(|rest| rest.trim_start().starts_with(['=', '.', ']']))
                || line.starts_with(&format!("[dependencies.{key}]"))
        };
        let at = self.text.lines().position(is_key)?;
        u32::try_from(at + 1).ok()
    }

    /// All dependencies, those for targets and of the workspace included.
    fn dependencies(&self) -> Vec<Dependency<'_>> {
        let mut found = Vec::new();
        let Some(root) = self.table() else {
            return found;
        };
        let mut tables: Vec<&Table> = vec![root];
        let targets = root.get("target").and_then(Value::as_table);
        tables.extend(
            targets
                .into_iter()
                .flat_map(|targets| targets.values().filter_map(Value::as_table)),
        );
        tables.extend(root.get("workspace").and_then(Value::as_table));
        for table in tables {
            for (section, is_shipped) in [
                ("dependencies", true),
                ("build-dependencies", true),
                ("dev-dependencies", false),
            ] {
                let section = table.get(section).and_then(Value::as_table);
                for (key, value) in section.into_iter().flatten() {
                    let package = value
                        .get("package")
                        .and_then(Value::as_str)
                        .unwrap_or(key)
                        .to_owned();
                    found.push(Dependency {
                        package,
                        key,
                        value,
                        is_shipped,
                    });
                }
            }
        }
        found
    }
}

/// The crates of this product. A package of one of these names in a distribution is a copy.
const OURS: [&str; 24] = [
    "contracts",
    "theme",
    "projection",
    "config",
    "policy",
    "providers",
    "opencode",
    "cloud-client",
    "store",
    "adapters",
    "channels",
    "thread-log",
    "runtime-host",
    "workbench",
    "cloud-server",
    "gateway",
    "standalone-gateway",
    "desktop",
    "cli",
    "sdk",
    "testkit",
    "control-plane",
    "cloud-server-core",
    "gateway-core",
];

/// The short name of one of our crates.
fn ours(package: &str) -> Option<&str> {
    package
        .strip_prefix("open-cowork-")
        .filter(|short| OURS.contains(short))
}

/// `[patch]` of our crates and branches of them: nobody can tell which product that is.
pub(super) fn unreleased(folder: &Folder) -> Vec<Finding> {
    const ID: &str = "DIST_BRANDING_SOURCE";
    let mut findings = Vec::new();
    for manifest in &folder.manifests {
        let Some(root) = manifest.table() else {
            let why = manifest.parsed.as_ref().err().map_or("", String::as_str);
            findings.push(at(
                ID,
                &manifest.name,
                None,
                format!("this is no TOML that could be looked at: {why}."),
                "repair the file",
            ));
            continue;
        };
        let patches = root
            .get("patch")
            .and_then(Value::as_table)
            .into_iter()
            .flat_map(|sources| sources.values());
        let replaced = root.get("replace").into_iter();
        for table in patches.chain(replaced).filter_map(Value::as_table) {
            for (key, value) in table {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(key);
                let package = package.split(':').next().unwrap_or(package);
                if ours(package).is_some() {
                    findings.push(at(
                        ID,
                        &manifest.name,
                        manifest.line(key),
                        format!("`{package}` is replaced by another source, so this is no longer a released product."),
                        "remove the patch and depend on a release; change behaviour by configuration or an adapter",
                    ));
                }
            }
        }
        for dependency in manifest.dependencies() {
            let is_branch = dependency.value.get("git").is_some()
                && dependency.value.get("tag").is_none()
                && dependency.value.get("rev").is_none();
            if ours(&dependency.package).is_some() && is_branch {
                findings.push(at(
                    ID,
                    &manifest.name,
                    manifest.line(dependency.key),
                    format!(
                        "`{}` comes from a branch, which is another product every day.",
                        dependency.package
                    ),
                    "name a release: a version, a tag, or a revision",
                ));
            }
        }
    }
    findings
}

/// Copies of our crates.
pub(super) fn forks(folder: &Folder) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in &folder.manifests {
        if let Some(package) = manifest
            .package
            .as_deref()
            .filter(|package| ours(package).is_some())
        {
            findings.push(at(
                "DIST_OVERLAY_ONLY",
                &manifest.name,
                manifest.line("name"),
                format!("`{package}` is a crate of this product: a copy of it is a fork."),
                "implement a public trait in a crate of your own name instead",
            ));
        }
    }
    findings
}

/// Billing adapters that a plain build would hold.
pub(super) fn billing_by_default(folder: &Folder) -> Vec<Finding> {
    let is_billing = |feature: &str| {
        ["billing", "stripe", "payment"]
            .iter()
            .any(|word| feature.contains(word))
    };
    let mut findings = Vec::new();
    for manifest in &folder.manifests {
        let Some(root) = manifest.table() else {
            continue;
        };
        let default = root
            .get("features")
            .and_then(|features| features.get("default"))
            .and_then(Value::as_array);
        for feature in default
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|feature| is_billing(feature))
        {
            findings.push(at(
                "DIST_BILLING_FREE",
                &manifest.name,
                manifest.line("default"),
                format!("the default features hold `{feature}`, so a self-hosted build has a billing adapter."),
                "take it out of `default`; the managed build names it",
            ));
        }
        for dependency in manifest
            .dependencies()
            .iter()
            .filter(|dependency| ours(&dependency.package).is_some())
        {
            let features = dependency.value.get("features").and_then(Value::as_array);
            let is_optional =
                dependency.value.get("optional").and_then(Value::as_bool) == Some(true);
            let named = features
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .find(|feature| is_billing(feature));
            if let Some(feature) = named.filter(|_| !is_optional && dependency.is_shipped) {
                findings.push(at(
                    "DIST_BILLING_FREE",
                    &manifest.name,
                    manifest.line(dependency.key),
                    format!("`{}` is built with `{feature}` in every build.", dependency.package),
                    "make the dependency optional, behind a feature that only the managed build names",
                ));
            }
        }
    }
    findings
}

/// Clients and gateways know neither OpenCode's wire nor the store; nobody but us knows OpenCode's wire.
pub(super) fn boundary(folder: &Folder) -> Verdict {
    const ID: &str = "DIST_BOUNDARY";
    let packages: BTreeMap<&str, &Manifest> = folder
        .manifests
        .iter()
        .filter_map(|manifest| Some((manifest.package.as_deref()?, manifest)))
        .collect();
    if packages.is_empty() {
        return Verdict::NotApplicable("no crate of its own".into());
    }
    let mut findings = Vec::new();
    for (package, manifest) in &packages {
        for dependency in manifest.dependencies() {
            if ours(&dependency.package) == Some("opencode") && dependency.is_shipped {
                findings.push(at(
                    ID,
                    &manifest.name,
                    manifest.line(dependency.key),
                    format!("`{package}` uses the crate that knows OpenCode's wire, which changes with OpenCode."),
                    "use open-cowork-runtime-host, or what the desktop and cloud crates offer",
                ));
            }
        }
        let Some(role) =
            role(manifest).filter(|role| matches!(role.as_str(), "client" | "gateway"))
        else {
            continue;
        };
        for (path, forbidden) in reached(package, &packages) {
            findings.push(at(
                ID,
                &manifest.name,
                manifest.line(&path[0]),
                format!("`{package}` is a {role} and reaches `{forbidden}` by way of {}.", path.join(" → ")),
                "talk to the cloud through its API: open-cowork-cloud-client, open-cowork-contracts",
            ));
        }
    }
    if findings.is_empty() {
        findings.extend(
            folder
                .manifests
                .iter()
                .filter(|manifest| manifest.table().is_none())
                .map(|manifest| {
                    let mut finding = at(
                        ID,
                        &manifest.name,
                        None,
                        "this manifest could not be read, so its edges are unknown.".into(),
                        "repair the file",
                    );
                    finding.severity = Severity::Error;
                    finding
                }),
        );
    }
    Verdict::Looked(format!("crates: {}", packages.len()), findings)
}

/// `[package.metadata.open-cowork] role = "…"`, else what the name says.
fn role(manifest: &Manifest) -> Option<String> {
    let package = manifest.table()?.get("package")?;
    let stated = package
        .get("metadata")
        .and_then(|metadata| metadata.get("open-cowork"))
        .and_then(|ours| ours.get("role"));
    if let Some(role) = stated.and_then(Value::as_str) {
        return Some(role.to_owned());
    }
    let words: BTreeSet<&str> = manifest.package.as_deref()?.split(['-', '_']).collect();
    let has = |names: &[&str]| names.iter().any(|name| words.contains(name));
    if has(&["gateway", "channel", "channels"]) {
        return Some("gateway".to_owned());
    }
    has(&["client", "ui", "web", "mobile", "workbench"]).then(|| "client".to_owned())
}

/// Forbidden crates that a package reaches through packages of the distribution, with the way there.
fn reached(package: &str, packages: &BTreeMap<&str, &Manifest>) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([package.to_owned()]);
    let mut open: Vec<(String, Vec<String>)> = vec![(package.to_owned(), Vec::new())];
    while let Some((name, path)) = open.pop() {
        let Some(manifest) = packages.get(name.as_str()) else {
            continue;
        };
        for dependency in manifest
            .dependencies()
            .into_iter()
            .filter(|dependency| dependency.is_shipped)
        {
            let mut path = path.clone();
            path.push(dependency.key.to_owned());
            if matches!(
                ours(&dependency.package),
                Some("opencode" | "store" | "runtime-host")
            ) {
                found.push((path, dependency.package));
            } else if seen.insert(dependency.package.clone()) {
                open.push((dependency.package, path));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_reaches_through_crates_of_the_distribution() {
        let client = Manifest::parse(
            "a/Cargo.toml",
            "[package]\nname = \"acme-client\"\n[dependencies]\nacme-core = { path = \"../b\" }\n",
        );
        let core = Manifest::parse(
            "b/Cargo.toml",
            "[package]\nname = \"acme-core\"\n[dependencies]\nopen-cowork-store.workspace = true\n",
        );
        let packages = BTreeMap::from([("acme-client", &client), ("acme-core", &core)]);
        let found = reached("acme-client", &packages);
        assert_eq!(
            found,
            [(
                vec!["acme-core".to_owned(), "open-cowork-store".to_owned()],
                "open-cowork-store".to_owned()
            )]
        );
        assert!(client.line("acme-core").is_some());
    }

    #[test]
    fn dependencies_are_known_by_their_package() {
        let manifest = Manifest::parse(
            "Cargo.toml",
            "[target.'cfg(unix)'.dependencies]\nwire = { package = \"open-cowork-opencode\", version = \"1\" }\n",
        );
        assert_eq!(manifest.dependencies()[0].package, "open-cowork-opencode");
        assert_eq!(manifest.line("wire"), Some(2));
    }
}
