//! What a distribution's folder holds.

use super::crates::Manifest;
use super::yaml::Leaf;
use super::{Options, Override};
use crate::error::CommandError;
use crate::hygiene::masked;
use ignore::WalkBuilder;
use open_cowork_config::document::Document;
use open_cowork_contracts::finding::Finding;
use std::path::{Path, PathBuf};

/// The files that matter, read.
pub(super) struct Folder {
    /// The folder itself.
    pub(super) dir: PathBuf,
    /// The main document first, when there is one, then overlays in the order of their names.
    pub(super) documents: Vec<ConfigFile>,
    /// Helm values.
    pub(super) values: Vec<YamlFile>,
    /// Compose files.
    pub(super) compose: Vec<YamlFile>,
    /// Cargo manifests.
    pub(super) manifests: Vec<Manifest>,
    /// Files below `branding`, `skills` and `mcps`.
    pub(super) content: Vec<String>,
    /// Container build files.
    pub(super) builds: Vec<String>,
    /// `.gitmodules`, when it is there.
    pub(super) submodules: Option<String>,
}

/// A configuration document.
pub(super) struct ConfigFile {
    /// From the folder, with `/`.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Not the main document.
    pub(super) is_overlay: bool,
    /// Parsed as written, or what is wrong with its syntax.
    pub(super) document: Result<Document, Vec<Finding>>,
}

impl ConfigFile {
    pub(super) fn parsed(&self) -> Option<&Document> {
        self.document.as_ref().ok()
    }
}

/// A YAML file with its values.
pub(super) struct YamlFile {
    pub(super) name: String,
    pub(super) leaves: Result<Vec<Leaf>, (u32, String)>,
}

impl YamlFile {
    pub(super) fn leaf(&self, path: &str) -> Option<&Leaf> {
        self.leaves.iter().flatten().find(|leaf| leaf.path == path)
    }

    pub(super) fn value(&self, path: &str) -> Option<&str> {
        self.leaf(path).map(|leaf| leaf.value.as_str())
    }
}

impl Folder {
    /// The main document, when there is one that can be read.
    pub(super) fn main(&self) -> Option<&Document> {
        self.documents
            .iter()
            .find(|file| !file.is_overlay)?
            .parsed()
    }

    /// What the distribution changes, by surface.
    pub(super) fn overrides(&self) -> Vec<Override> {
        let mut all = Vec::new();
        let mut add = |surface, mut what: Vec<String>| {
            what.dedup();
            if !what.is_empty() {
                all.push(Override { surface, what });
            }
        };
        let mut keys: Vec<String> = Vec::new();
        for document in self.documents.iter().filter_map(ConfigFile::parsed) {
            let object = document.value().as_object();
            keys.extend(object.into_iter().flatten().map(|(key, _)| key.clone()));
        }
        keys.sort();
        keys.dedup();
        keys.retain(|key| {
            !matches!(
                key.as_str(),
                "$schema" | "contractVersion" | "allowedEnvPlaceholders"
            )
        });
        let is_cloud = |key: &String| key.starts_with("cloud");
        let is_gateway = |key: &String| key == "gateway";
        add(
            "desktop",
            keys.iter()
                .filter(|key| !is_cloud(key) && !is_gateway(key))
                .cloned()
                .collect(),
        );
        add(
            "cloud",
            keys.iter().filter(|key| is_cloud(key)).cloned().collect(),
        );
        add(
            "gateway",
            keys.iter().filter(|key| is_gateway(key)).cloned().collect(),
        );
        add(
            "chart",
            self.values.iter().map(|file| file.name.clone()).collect(),
        );
        add(
            "compose",
            self.compose.iter().map(|file| file.name.clone()).collect(),
        );
        add(
            "content",
            self.content.iter().map(|name| masked(name)).collect(),
        );
        add(
            "code",
            self.manifests
                .iter()
                .filter_map(|manifest| manifest.package.clone())
                .collect(),
        );
        all
    }
}

/// Reads a folder.
pub(super) fn read(dir: &Path, options: &Options) -> Result<Folder, CommandError> {
    if !dir.is_dir() {
        return Err(CommandError::Usage(format!(
            "{} is no folder; name the distribution's folder",
            dir.display()
        )));
    }
    let names = list(dir);
    let mut folder = Folder {
        dir: dir.to_owned(),
        documents: Vec::new(),
        values: Vec::new(),
        compose: Vec::new(),
        manifests: Vec::new(),
        content: Vec::new(),
        builds: Vec::new(),
        submodules: None,
    };
    // The first that a program would take (02 §2.1).
    let candidates = [
        "config.jsonc",
        "config.json",
        "open-cowork.config.jsonc",
        "open-cowork.config.json",
    ];
    let main = match &options.config {
        Some(path) => Some((shown(dir, path), path.clone())),
        None => candidates
            .iter()
            .find(|name| dir.join(name).is_file())
            .map(|name| ((*name).to_owned(), dir.join(name))),
    };
    if let Some((name, path)) = &main {
        folder.documents.push(document(name, path, false)?);
    }
    for name in &names {
        let path = dir.join(name);
        let file = name.rsplit('/').next().unwrap_or(name);
        let is_main = main.as_ref().is_some_and(|(_, main)| *main == path);
        if is_overlay(name) && !is_main {
            folder.documents.push(document(name, &path, true)?);
        } else if is_values(name) {
            folder.values.push(yaml(name, &path)?);
        } else if is_compose(file) {
            folder.compose.push(yaml(name, &path)?);
        } else if file == "Cargo.toml" {
            folder.manifests.push(Manifest::parse(name, &text(&path)?));
        } else if file.starts_with("Dockerfile") || file.starts_with("Containerfile") {
            folder.builds.push(name.clone());
        } else if name == ".gitmodules" {
            folder.submodules = Some(text(&path)?);
        }
        if ["branding/", "skills/", "mcps/"]
            .iter()
            .any(|top| name.starts_with(top))
        {
            folder.content.push(name.clone());
        }
    }
    for path in &options.values {
        folder.values.push(yaml(&shown(dir, path), path)?);
    }
    Ok(folder)
}

fn list(dir: &Path) -> Vec<String> {
    let walk = WalkBuilder::new(dir)
        .hidden(false)
        .ignore(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .filter_entry(|entry| {
            let name = entry.file_name();
            name != ".git" && name != "target" && name != "node_modules"
        })
        .build();
    let mut names: Vec<String> = walk
        .flatten()
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .map(|entry| shown(dir, entry.path()))
        .collect();
    names.sort();
    names
}

fn shown(dir: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(dir).unwrap_or(path);
    let parts: Vec<_> = relative
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

/// `overlays/NAME.json`, `NAME.overlay.json`, with or without `c`.
fn is_overlay(name: &str) -> bool {
    let Some(stem) = name
        .strip_suffix(".json")
        .or_else(|| name.strip_suffix(".jsonc"))
    else {
        return false;
    };
    stem.ends_with(".overlay") || name.starts_with("overlays/")
}

/// `values.yaml` anywhere, any YAML file in a folder `values`.
fn is_values(name: &str) -> bool {
    let Some(stem) = name
        .strip_suffix(".yaml")
        .or_else(|| name.strip_suffix(".yml"))
    else {
        return false;
    };
    let mut parts = stem.rsplit('/');
    let file = parts.next().unwrap_or_default();
    file == "values"
        || file.starts_with("values.")
        || file.starts_with("values-")
        || parts.any(|folder| folder == "values")
}

fn is_compose(file: &str) -> bool {
    let is_yaml = file.ends_with(".yaml") || file.ends_with(".yml");
    is_yaml && (file.starts_with("docker-compose") || file.starts_with("compose"))
}

fn document(name: &str, path: &Path, is_overlay: bool) -> Result<ConfigFile, CommandError> {
    Ok(ConfigFile {
        document: Document::parse(name, &text(path)?),
        name: name.to_owned(),
        path: path.to_owned(),
        is_overlay,
    })
}

fn yaml(name: &str, path: &Path) -> Result<YamlFile, CommandError> {
    Ok(YamlFile {
        name: name.to_owned(),
        leaves: super::yaml::leaves(&text(path)?),
    })
}

fn text(path: &Path) -> Result<String, CommandError> {
    let bytes = std::fs::read(path).map_err(|error| {
        CommandError::Usage(format!("{} can't be read: {error}", path.display()))
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        assert!(is_overlay("overlays/managed.json") && is_overlay("a/managed.overlay.jsonc"));
        assert!(!is_overlay("open-cowork.config.json") && !is_overlay("overlays/readme.md"));
        assert!(
            is_values("values/cloud.yaml")
                && is_values("helm/app/values.yaml")
                && is_values("values-prod.yml")
        );
        assert!(!is_values("deploy/pod.yaml"));
        assert!(
            is_compose("docker-compose.cloud.yml")
                && is_compose("compose.yaml")
                && !is_compose("compose.md")
        );
    }
}
