//! The proof: registry and runtime contract against a source tree (05 §13.1–13.3).

use super::contract::{RuntimeContract, runtime_contract};
use super::{
    Assumption, BUNDLED, CATEGORIES, PRODUCT_MODES, REQUIRED_CATEGORIES, Registry, registry, source,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// What the caller lets pass (05 §13.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProofOptions {
    /// A tree without a pinned version only warns.
    pub allow_missing_runtime_version: bool,
    /// Assumptions about what OpenCode doesn't promise only warn.
    pub allow_private_assumptions: bool,
}

/// How bad an issue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssueSeverity {
    /// The proof fails.
    Error,
    /// The caller let it pass.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompatibilityIssue {
    /// Which assumption or row of the contract; absent when it is about the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumption_id: Option<String>,
    /// Stable (05 §13.1, §13.2).
    pub code: String,
    /// One sentence.
    pub message: String,
    /// How bad it is.
    pub severity: IssueSeverity,
}

/// Result of the proof (05 §13.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompatibilityReport {
    /// No issue is an error.
    pub ok: bool,
    /// The pinned version, if the tree has one.
    pub opencode_version: Option<String>,
    /// Assumptions in the registry.
    pub assumption_count: usize,
    /// Rows of the runtime contract.
    pub runtime_contract_count: usize,
    /// Assumptions that forbid something.
    pub blocked_count: usize,
    /// Assumptions that work around something.
    pub shim_count: usize,
    /// Assumptions about what OpenCode doesn't promise.
    pub private_assumption_count: usize,
    /// Assumptions that nobody has looked at.
    pub unknown_count: usize,
    /// Categories that have an assumption, sorted.
    pub checked_categories: Vec<String>,
    /// All issues.
    pub issues: Vec<CompatibilityIssue>,
}

/// Proves what is compiled in against the source tree at `root`.
#[must_use]
pub fn prove(root: &Path, options: ProofOptions) -> CompatibilityReport {
    prove_with(registry(), runtime_contract(), root, options)
}

/// Proves a given registry and contract.
#[must_use]
pub fn prove_with(
    registry: &Registry,
    contract: &RuntimeContract,
    root: &Path,
    options: ProofOptions,
) -> CompatibilityReport {
    let mut proof = Proof {
        tree: Tree::new(root),
        options,
        issues: Vec::new(),
    };
    let version = proof.version();
    proof.registry(registry, version.as_deref());
    proof.contract(contract, registry, version.as_deref());
    let count = |status: &str| {
        let rows = registry.assumptions.iter();
        rows.filter(|row| row.status == status).count()
    };
    let categories: BTreeSet<&String> = registry
        .assumptions
        .iter()
        .map(|row| &row.category)
        .collect();
    CompatibilityReport {
        ok: proof
            .issues
            .iter()
            .all(|issue| issue.severity == IssueSeverity::Warning),
        opencode_version: version,
        assumption_count: registry.assumptions.len(),
        runtime_contract_count: contract.runtime_config.len()
            + contract.sdk_events.len()
            + contract.http_routes.len()
            + contract.client_methods.len(),
        blocked_count: count("blocked"),
        shim_count: count("shim"),
        private_assumption_count: count("private-assumption"),
        unknown_count: count("unknown"),
        checked_categories: categories.into_iter().cloned().collect(),
        issues: proof.issues,
    }
}

/// What a test reference of the data leads to.
enum Reference {
    Found,
    /// Not a path inside the tree.
    Invalid,
    /// No such file, no function named, or no test of that name in it that runs.
    Missing,
}

struct Tree {
    root: PathBuf,
}

impl Tree {
    fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The file behind a path of the data, if it is written as one inside the tree.
    fn inside(&self, path: &str) -> Option<PathBuf> {
        let plain = !path.is_empty()
            && !path.contains('\\')
            && Path::new(path)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
        plain.then(|| self.root.join(path))
    }

    /// The text of a file that really lies in the tree, links resolved.
    fn read(&self, path: &Path) -> Option<String> {
        let (root, real) = (self.root.canonicalize().ok()?, path.canonicalize().ok()?);
        (real.starts_with(root) && real.is_file())
            .then(|| std::fs::read_to_string(real).ok())
            .flatten()
    }

    fn test(&self, reference: &str) -> Reference {
        let (path, function) = match reference.split_once("::") {
            Some((path, function)) => (path, Some(function)),
            None => (reference, None),
        };
        let Some(path) = self.inside(path) else {
            return Reference::Invalid;
        };
        let Some(text) = self.read(&path) else {
            return Reference::Missing;
        };
        match function.is_some_and(|name| source::has_test(&text, name)) {
            true => Reference::Found,
            false => Reference::Missing,
        }
    }
}

struct Proof {
    tree: Tree,
    options: ProofOptions,
    issues: Vec<CompatibilityIssue>,
}

impl Proof {
    fn push(&mut self, id: Option<&str>, code: &str, message: String, severity: IssueSeverity) {
        self.issues.push(CompatibilityIssue {
            assumption_id: id.filter(|id| !id.is_empty()).map(str::to_owned),
            code: code.to_owned(),
            message,
            severity,
        });
    }

    fn error(&mut self, id: Option<&str>, code: &str, message: impl Into<String>) {
        self.push(id, code, message.into(), IssueSeverity::Error);
    }

    /// The version that the tree pins: `opencode.version`, and `opencode.lock.json` must agree.
    fn version(&mut self) -> Option<String> {
        let file = self.tree.root.join("opencode.version");
        let pinned = self.tree.read(&file).map(|text| text.trim().to_owned());
        let lock = self.tree.read(&self.tree.root.join("opencode.lock.json"));
        let locked = lock
            .and_then(|text| serde_json::from_str::<Value>(&text).ok())
            .and_then(|lock| Some(lock.get("version")?.as_str()?.to_owned()));
        let found = pinned.filter(|version| !version.is_empty());
        if let (Some(pinned), Some(locked)) = (&found, &locked)
            && pinned != locked
        {
            self.error(
                None,
                "compatibility_source_version_drift",
                format!("opencode.version pins {pinned}, opencode.lock.json pins {locked}; provision one of them."),
            );
        }
        let version = found.or(locked);
        if version.is_none() {
            let severity = match self.options.allow_missing_runtime_version {
                true => IssueSeverity::Warning,
                false => IssueSeverity::Error,
            };
            self.push(
                None,
                "opencode_version_missing",
                "No OpenCode version is pinned; write it into opencode.version.".to_owned(),
                severity,
            );
        }
        version
    }

    fn registry(&mut self, registry: &Registry, version: Option<&str>) {
        if registry.format_version != 1 {
            self.error(
                None,
                "compatibility_registry_empty",
                "The registry must have the format version 1; of another one nothing is understood.",
            );
            return;
        }
        if registry.assumptions.is_empty() {
            self.error(
                None,
                "compatibility_registry_empty",
                "The registry has no assumption, so nothing is proven.",
            );
        }
        for category in REQUIRED_CATEGORIES {
            if registry
                .assumptions
                .iter()
                .all(|row| row.category != category)
                && !registry.assumptions.is_empty()
            {
                self.error(
                    None,
                    "compatibility_category_missing",
                    format!("No assumption is of the category {category}."),
                );
            }
        }
        let mut seen = BTreeSet::new();
        for row in &registry.assumptions {
            if !seen.insert(&row.id) {
                self.error(
                    Some(&row.id),
                    "compatibility_id_duplicate",
                    "Two assumptions have this id.",
                );
            }
            self.assumption(row, version);
        }
    }

    fn assumption(&mut self, row: &Assumption, version: Option<&str>) {
        let id = Some(row.id.as_str());
        if !is_kebab(&row.id) {
            self.error(
                id,
                "compatibility_id_invalid",
                "An id is kebab-case: lower-case letters, digits, single hyphens.",
            );
        }
        if !CATEGORIES.contains(&row.category.as_str()) {
            let words = CATEGORIES.join(", ");
            self.error(
                id,
                "compatibility_category_missing",
                format!("The category is none of {words}."),
            );
        }
        match row.status.as_str() {
            "supported" => {}
            "shim" | "blocked" => {
                if row.removal_condition.as_deref().is_none_or(is_blank) {
                    self.error(
                        id,
                        "compatibility_removal_condition_missing",
                        "A shim or a block says when it may go.",
                    );
                }
            }
            "private-assumption" => {
                let severity = match self.options.allow_private_assumptions {
                    true => IssueSeverity::Warning,
                    false => IssueSeverity::Error,
                };
                self.push(
                    id,
                    "compatibility_private_assumption_blocked",
                    "This relies on what OpenCode doesn't promise.".to_owned(),
                    severity,
                );
            }
            "unknown" => self.error(
                id,
                "compatibility_unknown_blocked",
                "Nobody has looked at this yet.",
            ),
            _ => self.error(
                id,
                "compatibility_status_invalid",
                "The status is none of supported, shim, private-assumption, blocked, unknown.",
            ),
        }
        for (missing, code, message) in [
            (
                is_blank(&row.owner),
                "compatibility_owner_missing",
                "Nobody answers for this.",
            ),
            (
                is_blank(&row.reason),
                "compatibility_reason_missing",
                "It doesn't say why.",
            ),
            (
                row.product_modes.iter().all(|mode| is_blank(mode)),
                "compatibility_product_modes_missing",
                "It doesn't say in which product modes it matters.",
            ),
        ] {
            if missing {
                self.error(id, code, message);
            }
        }
        for mode in &row.product_modes {
            if !is_blank(mode) && !PRODUCT_MODES.contains(&mode.as_str()) {
                self.error(
                    id,
                    "compatibility_product_modes_missing",
                    format!(
                        "The product mode {mode:?} is none of {}.",
                        PRODUCT_MODES.join(", ")
                    ),
                );
            }
        }
        let drifted = row.source_version != BUNDLED && version != Some(row.source_version.as_str());
        if drifted {
            self.error(
                id,
                "compatibility_source_version_drift",
                format!(
                    "It was established for {:?}, pinned is {}; prove it again.",
                    row.source_version,
                    version.unwrap_or("nothing")
                ),
            );
        }
        self.tests(id, &row.tests, "compatibility_");
    }

    /// Every row names tests, and each of them exists.
    fn tests(&mut self, id: Option<&str>, tests: &[String], prefix: &str) {
        if tests.is_empty() {
            self.error(
                id,
                &format!("{prefix}tests_missing"),
                "No test proves this.",
            );
        }
        for test in tests {
            match self.tree.test(test) {
                Reference::Found => {}
                Reference::Invalid => self.error(
                    id,
                    &format!("{prefix}test_path_invalid"),
                    format!("{test:?} is not a path inside the repository."),
                ),
                Reference::Missing => self.error(
                    id,
                    &format!("{prefix}test_missing"),
                    format!(
                        "{test} is no test that runs; write `<file>::<function>` of one that is not ignored."
                    ),
                ),
            }
        }
    }

    fn contract(&mut self, contract: &RuntimeContract, registry: &Registry, version: Option<&str>) {
        if contract.format_version != 1 {
            self.error(
                None,
                "runtime_contract_format_invalid",
                "The runtime contract must have the format version 1.",
            );
            return;
        }
        if version.is_some_and(|version| version != contract.opencode_version) {
            self.error(
                None,
                "runtime_contract_version_drift",
                format!(
                    "The runtime contract is for {:?}, pinned is {}.",
                    contract.opencode_version,
                    version.unwrap_or_default()
                ),
            );
        }
        self.assumption_ids(contract, registry);
        for (section, empty) in [
            ("runtimeConfig", contract.runtime_config.is_empty()),
            ("sdkEvents", contract.sdk_events.is_empty()),
            ("httpRoutes", contract.http_routes.is_empty()),
            ("clientMethods", contract.client_methods.is_empty()),
        ] {
            if empty {
                self.error(
                    None,
                    "runtime_contract_section_empty",
                    format!("The section {section} has no row."),
                );
            }
        }
        let mut seen = BTreeMap::new();
        for row in &contract.runtime_config {
            self.row(&mut seen, &row.id, &row.owner, &row.tests);
            let last = row.key.rsplit('.').next().unwrap_or_default();
            if !is_key(&row.key) || !self.mentions(&row.evidence, &format!("\"{last}\"")) {
                self.error(
                    Some(&row.id),
                    "runtime_contract_config_key_invalid",
                    format!("{:?} is not a key that {:?} writes.", row.key, row.evidence),
                );
            }
        }
        for row in &contract.sdk_events {
            self.row(&mut seen, &row.id, &row.owner, &row.tests);
            self.events(&row.id, &row.fixture_path, &row.events);
        }
        for row in &contract.http_routes {
            self.row(&mut seen, &row.id, &row.owner, &row.tests);
            let known = ["GET", "POST", "PATCH", "PUT", "DELETE"].contains(&row.method.as_str());
            if !known || !row.path.starts_with('/') || row.path.contains(char::is_whitespace) {
                self.error(
                    Some(&row.id),
                    "runtime_contract_route_invalid",
                    "A route is GET, POST, PATCH, PUT or DELETE and an absolute path.",
                );
            }
        }
        for row in &contract.client_methods {
            self.row(&mut seen, &row.id, &row.owner, &row.tests);
            let named = !row.method.is_empty() && row.method.bytes().all(is_method_byte);
            if !named || !self.declares(&row.evidence, &row.method) {
                self.error(
                    Some(&row.id),
                    "runtime_contract_client_method_invalid",
                    format!("{:?} is not a method in {:?}.", row.method, row.evidence),
                );
            }
        }
    }

    fn assumption_ids(&mut self, contract: &RuntimeContract, registry: &Registry) {
        let known: BTreeSet<&String> = registry.assumptions.iter().map(|row| &row.id).collect();
        let required: BTreeSet<&String> = contract.required_assumption_ids.iter().collect();
        for id in required.difference(&known) {
            self.error(
                Some(id),
                "runtime_contract_assumption_unknown",
                "The runtime contract requires an assumption that the registry doesn't have.",
            );
        }
        for id in known.difference(&required) {
            self.error(
                Some(id),
                "runtime_contract_assumption_missing",
                "The runtime contract doesn't require this assumption.",
            );
        }
    }

    fn row<'a>(
        &mut self,
        seen: &mut BTreeMap<&'a str, ()>,
        id: &'a str,
        owner: &str,
        tests: &[String],
    ) {
        if !is_kebab(id) {
            self.error(
                Some(id),
                "runtime_contract_id_invalid",
                "An id is kebab-case: lower-case letters, digits, single hyphens.",
            );
        }
        if seen.insert(id, ()).is_some() {
            self.error(
                Some(id),
                "runtime_contract_id_duplicate",
                "Two rows have this id.",
            );
        }
        if is_blank(owner) {
            self.error(
                Some(id),
                "runtime_contract_owner_missing",
                "Nobody answers for this.",
            );
        }
        self.tests(Some(id), tests, "runtime_contract_");
    }

    fn declares(&self, path: &str, function: &str) -> bool {
        let file = self.tree.inside(path);
        file.and_then(|file| self.tree.read(&file))
            .is_some_and(|content| source::has_function(&content, function))
    }

    fn mentions(&self, path: &str, text: &str) -> bool {
        let file = self.tree.inside(path);
        file.and_then(|file| self.tree.read(&file))
            .is_some_and(|content| content.contains(text))
    }

    /// Each event occurs in the recording: as the type of a frame's payload, or of the frame itself.
    fn events(&mut self, id: &str, fixture: &str, events: &[String]) {
        let Some(path) = self.tree.inside(fixture) else {
            self.error(
                Some(id),
                "runtime_contract_event_fixture_path_invalid",
                format!("{fixture:?} is not a path inside the repository."),
            );
            return;
        };
        let Some(text) = self.tree.read(&path) else {
            self.error(
                Some(id),
                "runtime_contract_event_fixture_missing",
                format!("The recording {fixture} does not exist."),
            );
            return;
        };
        let mut types = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let Ok(frame) = serde_json::from_str::<Value>(line) else {
                self.error(
                    Some(id),
                    "runtime_contract_event_fixture_parse_failed",
                    format!("Line {} of {fixture} is not JSON.", index + 1),
                );
                return;
            };
            let named = frame.get("payload").unwrap_or(&frame).get("type");
            types.extend(named.and_then(Value::as_str).map(str::to_owned));
        }
        if events.is_empty() {
            self.error(
                Some(id),
                "runtime_contract_event_missing",
                "The row names no event.",
            );
        }
        for event in events.iter().filter(|event| !types.contains(*event)) {
            self.error(
                Some(id),
                "runtime_contract_event_missing",
                format!("{fixture} has no event of the type {event}."),
            );
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn is_kebab(id: &str) -> bool {
    !id.is_empty()
        && id.split('-').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

fn is_key(key: &str) -> bool {
    key.split('.')
        .all(|part| !part.is_empty() && part.bytes().all(is_method_byte))
}

fn is_method_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'_'
}
