//! The event vocabulary as data (01 §2): who writes a type, who reads it, what it touches.

use crate::EventType;
use schemars::JsonSchema;
use serde::Serialize;

/// A part of the product state that an event touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Facet {
    /// Prompts and answers.
    Messages,
    /// Tool calls.
    ToolCalls,
    /// Sub-agent runs.
    TaskRuns,
    /// Approvals.
    Approvals,
    /// Questions.
    Questions,
    /// Deliverables.
    Artifacts,
    /// Todo lists.
    Todos,
    /// Cost and tokens.
    Cost,
    /// The thread's status.
    Status,
    /// Errors.
    Errors,
    /// Where the thread came from.
    Origin,
    /// The bound source.
    ProjectSource,
    /// The list of threads.
    Workspace,
    /// The transport itself.
    Control,
}

/// Who writes a type of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Producer {
    /// The runtime host.
    CloudRuntime,
    /// A service of the control plane.
    CloudService,
    /// A chat gateway.
    CloudGateway,
}

/// Who reads a type of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Consumer {
    /// The desktop.
    Desktop,
    /// The web workbench.
    CloudWeb,
    /// A chat gateway.
    Gateway,
    /// A worker.
    Worker,
}

/// One row of the vocabulary.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventDescriptor {
    /// The type.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// True: the reducer folds it; false: transport only, the log refuses it.
    pub projected: bool,
    /// What it touches.
    pub facets: &'static [Facet],
    /// Who writes it.
    pub producers: &'static [Producer],
    /// Who reads it.
    pub consumers: &'static [Consumer],
    /// True: a chat channel can show it.
    pub channel_renderable: bool,
    /// One line for people.
    pub description: &'static str,
}

impl EventDescriptor {
    /// True when events of this type touch `facet`.
    pub fn has_facet(&self, facet: Facet) -> bool {
        self.facets.contains(&facet)
    }
}

/// The row of a type; `None` for types of a later version.
pub fn describe(kind: &EventType) -> Option<&'static EventDescriptor> {
    VOCABULARY.iter().find(|row| row.kind == *kind)
}

impl EventType {
    /// True for the types that this version knows.
    pub fn is_known(&self) -> bool {
        !matches!(self, EventType::Other(_))
    }

    /// True for the types that the reducer folds; the log refuses all others (01 §2).
    pub fn is_projected(&self) -> bool {
        !matches!(
            self,
            EventType::Other(_) | EventType::SnapshotRequired | EventType::ChannelDelivery
        )
    }

    /// True for the types that a chat channel can show.
    pub fn is_channel_renderable(&self) -> bool {
        describe(self).is_some_and(|row| row.channel_renderable)
    }
}

const R: Producer = Producer::CloudRuntime;
const S: Producer = Producer::CloudService;
const G: Producer = Producer::CloudGateway;
const D: Consumer = Consumer::Desktop;
const W: Consumer = Consumer::CloudWeb;
const C: Consumer = Consumer::Gateway;
const K: Consumer = Consumer::Worker;

macro_rules! vocabulary {
    ($($kind:ident $projected:literal [$($facet:ident)*] [$($producer:ident)*] [$($consumer:ident)*] $renderable:literal $description:literal;)*) => {
        /// Every known type, upstream's 21 first, then the additive ones (decision 4).
        pub static VOCABULARY: &[EventDescriptor] = &[$(EventDescriptor {
            kind: EventType::$kind,
            projected: $projected,
            facets: &[$(Facet::$facet,)*],
            producers: &[$($producer,)*],
            consumers: &[$($consumer,)*],
            channel_renderable: $renderable,
            description: $description,
        },)*];
    };
}

vocabulary! {
    SessionCreated true [Status Workspace] [S] [D W] false "A thread exists.";
    SessionImported true [Origin Status Workspace] [S] [D W] false "A thread was copied from elsewhere.";
    ProjectSourceBound true [ProjectSource Workspace] [S] [D W C] false "A git or snapshot source was bound.";
    PromptSubmitted true [Messages Status] [S G] [D W C K] false "The user's message.";
    AssistantMessage true [Messages] [R] [D W C] true "Assistant text, appended or replaced.";
    ToolCall true [ToolCalls TaskRuns Status] [R] [D W C] true "A tool call's state.";
    TaskRun true [TaskRuns] [R S] [D W] false "A sub-agent run's state.";
    PermissionRequested true [Approvals Status] [R] [D W C] true "An approval is asked.";
    PermissionResolved true [Approvals] [R S G] [D W C] false "An approval was answered or withdrawn.";
    QuestionAsked true [Questions Status] [R] [D W C] true "A question is asked.";
    QuestionResolved true [Questions] [R S G] [D W C] false "A question was answered or dismissed.";
    TodosUpdated true [Todos] [R] [D W] false "The whole todo list.";
    CostUpdated true [Cost] [R] [D W] false "A cost settlement, added to the sums.";
    ArtifactCreated true [Artifacts] [R S] [D W C] true "A deliverable appeared.";
    ArtifactUpdated true [Artifacts] [S] [D W C] true "A deliverable changed.";
    SessionStatus true [Status] [R S] [D W C] false "Busy, idle, retry and the like.";
    SessionIdle true [Status] [R S] [D W C] false "The turn ended.";
    SessionAborted true [Status] [S R] [D W C] false "The turn was stopped or cut short.";
    RuntimeError true [Errors Status] [R S] [D W C] false "The turn failed.";
    SnapshotRequired false [Control] [S] [D W C] false "Read the view again: events are missing.";
    ChannelDelivery false [Control] [G S] [C W] false "A delivery to a chat channel.";
    SessionRenamed true [Status Workspace] [R S] [D W] false "The thread's title changed.";
    TaskMessage true [TaskRuns Messages] [R] [D W] false "Text of a sub-agent, appended or replaced.";
    TaskTodos true [TaskRuns Todos] [R] [D W] false "The whole todo list of a sub-agent.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_known_type_in_registration_order() {
        let listed: Vec<&EventType> = VOCABULARY.iter().map(|row| &row.kind).collect();
        let known: Vec<&EventType> = EventType::KNOWN.iter().collect();
        assert_eq!(listed, known);
    }

    #[test]
    fn the_fast_predicates_agree_with_the_table() {
        for row in VOCABULARY {
            assert_eq!(row.kind.is_projected(), row.projected, "{}", row.kind);
            assert!(row.kind.is_known());
        }
        let later = EventType::parse("later.type");
        assert!(!later.is_projected() && !later.is_known() && !later.is_channel_renderable());
        assert!(describe(&later).is_none());
    }

    #[test]
    fn upstream_projects_its_first_nineteen_types_and_renders_six() {
        assert!(VOCABULARY[..19].iter().all(|row| row.projected));
        assert!(VOCABULARY[19..21].iter().all(|row| !row.projected));
        let rendered: Vec<&str> = VOCABULARY
            .iter()
            .filter(|row| row.channel_renderable)
            .map(|row| row.kind.as_str())
            .collect();
        assert_eq!(
            rendered,
            [
                "assistant.message",
                "tool.call",
                "permission.requested",
                "question.asked",
                "artifact.created",
                "artifact.updated"
            ]
        );
    }

    #[test]
    fn a_row_reads_as_the_contract_writes_it() {
        let row = serde_json::to_value(describe(&EventType::PromptSubmitted)).unwrap();
        assert_eq!(
            row,
            serde_json::json!({
                "type": "prompt.submitted", "projected": true, "facets": ["messages", "status"],
                "producers": ["cloud-service", "cloud-gateway"],
                "consumers": ["desktop", "cloud-web", "gateway", "worker"],
                "channelRenderable": false, "description": "The user's message."
            })
        );
        assert!(
            describe(&EventType::ToolCall)
                .unwrap()
                .has_facet(Facet::TaskRuns)
        );
    }
}
