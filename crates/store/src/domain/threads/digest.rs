//! What a run of events says to the index: pure, so that it can be tested without a database.

use open_cowork_contracts::api::threads::{HitRole, NamedCount, ThreadUsage};
use open_cowork_contracts::{EventType, JsonObject, SessionEventRecord};
use open_cowork_providers::store::threads::MAX_INDEXED;
use open_cowork_providers::store::workflows::cut;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Longest id and longest name that an index takes, in bytes and characters.
pub(super) const MAX_ID: usize = 512;
const MAX_NAME: usize = 200;
/// Most different names of one kind in a thread, and most sub-agents that are told apart.
const MAX_NAMES: usize = 200;

/// What is known of a thread beside its row: the body of its `thread_index` row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Known {
    pub(super) usage: ThreadUsage,
    pub(super) agents: BTreeMap<String, u64>,
    pub(super) tools: BTreeMap<String, u64>,
    pub(super) provider: Option<String>,
    pub(super) model: Option<String>,
    pub(super) project: Option<String>,
    /// The words of the title's document: rewritten only when they change.
    pub(super) title: Option<String>,
    tasks: BTreeSet<String>,
}

/// A change of a message's text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    pub(super) role: HitRole,
    /// Sequence of the first event of it in this run.
    pub(super) sequence: u64,
    /// False: it goes on after what is stored.
    pub(super) replaces: bool,
    pub(super) text: String,
}

/// What a run of events adds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Digest {
    /// By message id.
    pub(super) texts: BTreeMap<String, Text>,
    /// Payloads of artifact events, in order.
    pub(super) artifacts: Vec<(bool, JsonObject, String)>,
}

impl Known {
    /// Takes a run of events in.
    pub(super) fn take(&mut self, events: &[impl AsRef<SessionEventRecord>]) -> Digest {
        let mut digest = Digest::default();
        for event in events {
            self.take_one(event.as_ref(), &mut digest);
        }
        digest
    }

    fn take_one(&mut self, event: &SessionEventRecord, digest: &mut Digest) {
        let payload = &event.payload;
        self.provider = word(payload, &["providerId"]).or(self.provider.take());
        self.model = word(payload, &["modelId"]).or(self.model.take());
        match event.kind {
            EventType::PromptSubmitted => {
                count(&mut self.agents, word(payload, &["agent"]));
                digest.text(event, HitRole::User, "text");
            }
            EventType::AssistantMessage => digest.text(event, HitRole::Assistant, "content"),
            EventType::TaskMessage => digest.text(event, HitRole::Task, "content"),
            EventType::ToolCall => {
                let ended = matches!(text(payload, "status"), Some("complete" | "error"));
                if ended {
                    self.usage.tool_calls += 1;
                    count(&mut self.tools, word(payload, &["name", "tool"]));
                }
            }
            EventType::TaskRun => {
                let Some(id) = word(payload, &["taskRunId", "id"]) else {
                    return;
                };
                if self.tasks.len() < MAX_NAMES && self.tasks.insert(id) {
                    self.usage.task_runs += 1;
                    count(&mut self.agents, word(payload, &["agent"]));
                }
            }
            EventType::CostUpdated => {
                let cost = payload.get("cost").and_then(Value::as_f64);
                self.usage.cost += cost.filter(|cost| cost.is_finite()).unwrap_or(0.0);
                let tokens = payload.get("tokens").and_then(Value::as_object);
                self.usage.tokens = self.usage.tokens.saturating_add(tokens.map_or(0, sum));
            }
            EventType::ProjectSourceBound => {
                let source = payload.get("projectSource").and_then(Value::as_object);
                let place = source.and_then(|source| {
                    ["repositoryUrl", "displayName", "name"]
                        .iter()
                        .find_map(|key| text(source, key))
                });
                self.project = place.map(label).or(self.project.take());
            }
            EventType::ArtifactCreated | EventType::ArtifactUpdated => {
                let created = event.kind == EventType::ArtifactCreated;
                let at = event.created_at.clone();
                digest.artifacts.push((created, payload.clone(), at));
            }
            _ => {}
        }
    }

    /// Everything by which a thread can be found beside its text: kind, value, uses.
    pub(super) fn facets(&self, directory: Option<&str>) -> Vec<(&'static str, String, u64)> {
        let mut facets = Vec::new();
        let project = self.project.clone().or_else(|| directory.map(label));
        for (kind, value) in [
            ("project", project),
            (
                "directory",
                directory.map(|directory| cut(directory, MAX_NAME)),
            ),
            ("provider", self.provider.clone()),
            ("model", self.model.clone()),
        ] {
            facets.extend(value.map(|value| (kind, value, 1)));
        }
        let mut mcps: BTreeMap<&str, u64> = BTreeMap::new();
        for (tool, uses) in &self.tools {
            if let Some(mcp) = mcp_of(tool) {
                *mcps.entry(mcp).or_default() += uses;
            }
        }
        facets.extend(
            self.agents
                .iter()
                .map(|(name, uses)| ("agent", name.clone(), *uses)),
        );
        facets.extend(
            self.tools
                .iter()
                .map(|(name, uses)| ("tool", name.clone(), *uses)),
        );
        facets.extend(
            mcps.into_iter()
                .map(|(name, uses)| ("mcp", name.to_owned(), uses)),
        );
        facets
    }

    pub(super) fn agents(&self) -> Vec<NamedCount> {
        by_count(&self.agents, |_| None)
    }

    pub(super) fn tools(&self) -> Vec<NamedCount> {
        by_count(&self.tools, |name| mcp_of(name).map(str::to_owned))
    }
}

fn by_count(
    names: &BTreeMap<String, u64>,
    mcp: impl Fn(&str) -> Option<String>,
) -> Vec<NamedCount> {
    let named = |(name, count): (&String, &u64)| NamedCount {
        name: name.clone(),
        mcp_name: mcp(name),
        count: *count,
    };
    let mut counts: Vec<NamedCount> = names.iter().map(named).collect();
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    counts
}

impl Digest {
    fn text(&mut self, event: &SessionEventRecord, role: HitRole, field: &str) {
        let Some(id) = text(&event.payload, "messageId") else {
            return;
        };
        let Some(content) = text(&event.payload, field) else {
            return;
        };
        if id.len() > MAX_ID {
            return;
        }
        let appends = text(&event.payload, "mode") == Some("append");
        let entry = self.texts.entry(id.to_owned()).or_insert_with(|| Text {
            role,
            sequence: event.sequence,
            replaces: !appends,
            text: String::new(),
        });
        if !appends {
            entry.replaces = true;
            entry.text.clear();
        }
        // What isn't indexed needn't be gathered; four bytes are the longest character.
        if entry.text.len() < MAX_INDEXED * 4 {
            entry.text.push_str(content);
        }
    }
}

fn text<'a>(object: &'a JsonObject, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// The first of these fields that is a word for an index.
fn word(object: &JsonObject, keys: &[&str]) -> Option<String> {
    let found = keys
        .iter()
        .filter_map(|key| text(object, key).map(str::trim))
        .find(|value| !value.is_empty())?;
    Some(cut(found, MAX_NAME))
}

fn count(names: &mut BTreeMap<String, u64>, name: Option<String>) {
    let Some(name) = name else { return };
    if names.len() < MAX_NAMES || names.contains_key(&name) {
        *names.entry(name).or_default() += 1;
    }
}

fn sum(tokens: &JsonObject) -> u64 {
    let number = |value: &Value| match value {
        Value::Object(inner) => sum(inner),
        value => value.as_u64().unwrap_or(0),
    };
    tokens
        .values()
        .map(number)
        .fold(0, |sum: u64, tokens| sum.saturating_add(tokens))
}

/// The last two segments of a path or an address (07 §12).
pub(super) fn label(path: &str) -> String {
    let segments: Vec<&str> = path
        .split(['/', '\\'])
        .filter(|segment| !segment.is_empty() && !segment.ends_with(':'))
        .collect();
    let from = segments.len().saturating_sub(2);
    let label = segments[from..].join("/");
    cut(label.strip_suffix(".git").unwrap_or(&label), MAX_NAME)
}

/// The server of an MCP tool that says so: `mcp__<server>__<tool>`.
fn mcp_of(tool: &str) -> Option<&str> {
    let (server, _) = tool.strip_prefix("mcp__")?.split_once("__")?;
    (!server.is_empty()).then_some(server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    #[allow(clippy::needless_pass_by_value, reason = "`json!` at the call")]
    fn event(sequence: u64, kind: &str, payload: Value) -> Arc<SessionEventRecord> {
        let event = json!({"sequence": sequence, "type": kind, "payload": payload});
        Arc::new(serde_json::from_value(event).unwrap())
    }

    #[test]
    fn deltas_of_a_message_are_one_text() {
        let mut known = Known::default();
        let digest = known.take(&[
            event(
                1,
                "assistant.message",
                json!({"messageId": "m", "content": "Hel", "mode": "append"}),
            ),
            event(
                2,
                "assistant.message",
                json!({"messageId": "m", "content": "lo", "mode": "append"}),
            ),
        ]);
        let text = &digest.texts["m"];
        assert_eq!(
            (text.text.as_str(), text.replaces, text.sequence),
            ("Hello", false, 1)
        );
        let digest = known.take(&[
            event(
                3,
                "assistant.message",
                json!({"messageId": "m", "content": "x", "mode": "append"}),
            ),
            event(
                4,
                "assistant.message",
                json!({"messageId": "m", "content": "Other"}),
            ),
            event(
                5,
                "assistant.message",
                json!({"messageId": "m", "content": "!", "mode": "append"}),
            ),
        ]);
        let text = &digest.texts["m"];
        assert_eq!((text.text.as_str(), text.replaces), ("Other!", true));
    }

    #[test]
    fn a_tool_counts_once_and_a_sub_agent_once() {
        let mut known = Known::default();
        known.take(&[
            event(
                1,
                "prompt.submitted",
                json!({"messageId": "p", "text": "go", "agent": "build"}),
            ),
            event(
                2,
                "tool.call",
                json!({"id": "t", "name": "mcp__maps__route", "status": "running"}),
            ),
            event(
                3,
                "tool.call",
                json!({"id": "t", "name": "mcp__maps__route", "status": "complete"}),
            ),
            event(
                4,
                "task.run",
                json!({"taskRunId": "c", "agent": "explore", "status": "running"}),
            ),
            event(
                5,
                "task.run",
                json!({"taskRunId": "c", "agent": "explore", "status": "complete"}),
            ),
            event(
                6,
                "cost.updated",
                json!({"cost": 0.5, "tokens": {"input": 3, "output": 4, "cache": {"read": 2}}}),
            ),
        ]);
        assert_eq!((known.usage.tool_calls, known.usage.task_runs), (1, 1));
        assert_eq!((known.usage.cost, known.usage.tokens), (0.5, 9));
        assert_eq!(known.agents()[0].name, "build");
        assert_eq!(known.tools()[0].mcp_name.as_deref(), Some("maps"));
        let facets = known.facets(Some("/home/ann/code/app"));
        for facet in [
            ("project", "code/app", 1),
            ("mcp", "maps", 1),
            ("agent", "explore", 1),
        ] {
            assert!(
                facets.contains(&(facet.0, facet.1.to_owned(), facet.2)),
                "{facet:?}"
            );
        }
    }

    #[test]
    fn odd_payloads_do_nothing() {
        let mut known = Known::default();
        let digest = known.take(&[
            event(1, "assistant.message", json!({"content": "no id"})),
            event(
                2,
                "assistant.message",
                json!({"messageId": 3, "content": "x"}),
            ),
            event(
                3,
                "assistant.message",
                json!({"messageId": "x".repeat(9999), "content": "x"}),
            ),
            event(4, "tool.call", json!({"status": "complete"})),
            event(5, "task.run", json!({})),
            event(6, "cost.updated", json!({"cost": "much", "tokens": 3})),
        ]);
        assert!(digest.texts.is_empty());
        assert_eq!(known.usage.tokens, 0);
    }

    #[test]
    fn a_label_is_the_last_two_segments() {
        assert_eq!(label("/a/b/c/"), "b/c");
        assert_eq!(label("https://host/team/app.git"), "team/app");
        assert_eq!(label("C:\\work\\app"), "work/app");
        assert_eq!(label("/"), "");
    }
}
