//! The dependency boundary: an arrow may only point to a lower layer.

use anyhow::{Context as _, bail};
use cargo_metadata::{DependencyKind, MetadataCommand};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The table, as docs/dependency-layers.toml holds it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    layer: Vec<Layer>,
    dev: Dev,
    /// Crate, then who may use it and why.
    only_used_by: BTreeMap<String, BTreeMap<String, String>>,
    uses_only: BTreeMap<String, Vec<String>>,
    never_uses: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    number: u32,
    #[serde(rename = "is")]
    _is: String,
    crates: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dev {
    crates: Vec<String>,
}

/// One dependency between two crates of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    is_dev: bool,
}

/// Compares the workspace's edges with the table.
///
/// # Errors
/// Every forbidden edge, each with the rule that it breaks.
pub(crate) fn check() -> anyhow::Result<String> {
    let path = crate::root().join("docs/dependency-layers.toml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let table: Table = toml::from_str(&text).context("docs/dependency-layers.toml")?;
    let (crates, edges) = workspace()?;
    let mut wrong = violations(&table, &crates, &edges);
    wrong.extend(stale_permissions(&table, &edges));
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(format!("{} crates, {} edges", crates.len(), edges.len()))
}

fn workspace() -> anyhow::Result<(Vec<String>, Vec<Edge>)> {
    let metadata = MetadataCommand::new()
        .manifest_path(crate::root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    let crates = metadata
        .packages
        .iter()
        .map(|package| short(&package.name))
        .collect();
    let edge = |package: &cargo_metadata::Package| {
        let from = short(&package.name);
        let ours = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.path.is_some());
        ours.map(|dependency| Edge {
            from: from.clone(),
            to: short(&dependency.name),
            is_dev: dependency.kind == DependencyKind::Development,
        })
        .collect::<Vec<_>>()
    };
    Ok((crates, metadata.packages.iter().flat_map(edge).collect()))
}

fn short(package: &str) -> String {
    package
        .strip_prefix("open-cowork-")
        .unwrap_or(package)
        .to_owned()
}

fn violations(table: &Table, crates: &[String], edges: &[Edge]) -> Vec<String> {
    let layer_of = |name: &str| {
        let holds = |layer: &&Layer| layer.crates.iter().any(|listed| listed == name);
        table.layer.iter().find(holds).map(|layer| layer.number)
    };
    let is_dev = |name: &str| table.dev.crates.iter().any(|listed| listed == name);
    let mut wrong: Vec<String> = crates
        .iter()
        .filter(|name| layer_of(name).is_none() && !is_dev(name))
        .map(|name| format!("{name} has no layer in docs/dependency-layers.toml; give it one"))
        .collect();
    for Edge {
        from,
        to,
        is_dev: dev_edge,
    } in edges
    {
        // A crate may dev-depend on itself, to have its own features on in its tests.
        if is_dev(from) || from == to {
            continue;
        }
        if is_dev(to) {
            if !dev_edge {
                wrong.push(format!(
                    "{from} ships with {to}; make that a dev-dependency"
                ));
            }
            continue;
        }
        let (Some(above), Some(below)) = (layer_of(from), layer_of(to)) else {
            continue;
        };
        if below >= above {
            wrong.push(format!(
                "{from} (layer {above}) depends on {to} (layer {below}); an arrow may only point down"
            ));
        }
        let lists = |map: &BTreeMap<String, Vec<String>>, key: &str, value: &str| {
            map.get(key)
                .map(|list| list.iter().any(|listed| listed == value))
        };
        // Tests may look at anything below them; the following rules are about what ships.
        if *dev_edge {
            continue;
        }
        if let Some(users) = table.only_used_by.get(to)
            && !users.contains_key(from)
        {
            let users = users.keys().cloned().collect::<Vec<_>>().join(", ");
            wrong.push(format!("{from} depends on {to}, which only {users} may do"));
        }
        if lists(&table.uses_only, from, to) == Some(false) {
            let uses = table.uses_only[from].join(", ");
            wrong.push(format!("{from} depends on {to}, but may only use {uses}"));
        }
        if lists(&table.never_uses, from, to) == Some(true) {
            wrong.push(format!("{from} may never depend on {to}"));
        }
    }
    wrong
}

/// The other direction of `only_used_by`: a permission that nobody uses, or that gives no reason, is a door
/// left open.
fn stale_permissions(table: &Table, edges: &[Edge]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (to, users) in &table.only_used_by {
        for (from, why) in users {
            let used = |edge: &Edge| !edge.is_dev && &edge.from == from && &edge.to == to;
            if !edges.iter().any(used) {
                wrong.push(format!(
                    "{from} may depend on {to}, but doesn't; remove it from only_used_by.{to}"
                ));
            }
            if why.trim().is_empty() {
                wrong.push(format!(
                    "only_used_by.{to} doesn't say why {from} may; write it"
                ));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        toml::from_str(include_str!("../../docs/dependency-layers.toml")).unwrap()
    }

    fn edge(from: &str, to: &str, is_dev: bool) -> Edge {
        Edge {
            from: from.into(),
            to: to.into(),
            is_dev,
        }
    }

    fn wrong(from: &str, to: &str, is_dev: bool) -> String {
        violations(&table(), &[], &[edge(from, to, is_dev)]).join("; ")
    }

    #[test]
    fn the_workspace_keeps_its_layers() {
        let (crates, edges) = workspace().unwrap();
        assert!(crates.contains(&"contracts".to_owned()), "{crates:?}");
        assert_eq!(violations(&table(), &crates, &edges), Vec::<String>::new());
        assert_eq!(stale_permissions(&table(), &edges), Vec::<String>::new());
    }

    #[test]
    fn a_permission_that_nobody_uses_or_explains_is_found() {
        let unused = stale_permissions(&table(), &[]);
        assert!(
            unused[0].contains("may depend on opencode, but doesn't"),
            "{unused:?}"
        );
        // A test that looks at it is no use of it.
        let tests_only = [edge("runtime-host", "opencode", true)];
        assert_eq!(stale_permissions(&table(), &tests_only).len(), 1);
        let mut table = table();
        for why in table
            .only_used_by
            .values_mut()
            .flat_map(BTreeMap::values_mut)
        {
            why.clear();
        }
        let silent = stale_permissions(&table, &[edge("runtime-host", "opencode", false)]);
        assert!(silent[0].contains("doesn't say why"), "{silent:?}");
    }

    #[test]
    fn an_arrow_up_or_sideways_is_found() {
        assert!(wrong("contracts", "projection", false).contains("only point down"));
        assert!(wrong("store", "opencode", false).contains("only point down"));
        assert!(
            wrong("store", "thread-log", true).contains("only point down"),
            "tests too"
        );
        assert_eq!(wrong("thread-log", "store", true), "");
    }

    #[test]
    fn opencode_is_used_by_the_runtime_host_alone() {
        assert_eq!(wrong("runtime-host", "opencode", false), "");
        assert!(wrong("desktop", "opencode", false).contains("only runtime-host may do"));
    }

    #[test]
    fn the_workbench_sees_contracts_only() {
        assert_eq!(wrong("workbench", "contracts", false), "");
        assert!(wrong("workbench", "store", false).contains("may only use contracts"));
    }

    #[test]
    fn a_gateway_never_reaches_the_store() {
        assert!(wrong("gateway", "store", false).contains("may never depend"));
    }

    #[test]
    fn test_support_never_ships() {
        assert!(wrong("desktop-example", "testkit", false).contains("dev-dependency"));
        assert_eq!(wrong("store", "testkit", true), "");
        assert_eq!(wrong("testkit", "opencode", false), "");
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        let wrong = violations(&table(), &["brand-new".into()], &[]);
        assert!(wrong[0].contains("brand-new has no layer"), "{wrong:?}");
    }
}
