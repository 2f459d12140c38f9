//! Tags, stored filters, the thread list with tags, full-text search and facets (03 §8.7, §11; 07 §12).

use crate::{
    FilterId, JsonObject, MessageId, RunId, SessionId, SessionStatus, TagId, TenantId, UserId,
    WorkflowId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

names! {
    /// What a thread is doing, as search shows it.
    ThreadStatus {
        /// Nothing.
        Idle = "idle",
        /// A turn runs.
        Running = "running",
        /// A person is asked.
        NeedsUser = "needs_user",
        /// The last turn failed.
        Error = "error",
        /// It was set back to an earlier message.
        Reverted = "reverted",
        /// A workflow's run, at rest.
        Workflow = "workflow",
    }
    /// The order of found threads.
    ThreadSort {
        /// Touched last first.
        UpdatedDesc = "updated_desc",
        /// Made last first.
        CreatedDesc = "created_desc",
        /// By lower-case title.
        TitleAsc = "title_asc",
    }
    /// Who wrote the text that was found.
    HitRole {
        /// The thread's title.
        Title = "title",
        /// The user.
        User = "user",
        /// The agent.
        Assistant = "assistant",
        /// A sub-agent.
        Task = "task",
    }
}

/// A tag of a tenant. Clients read `id` as `tagId`, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    /// Tenant.
    pub tenant_id: TenantId,
    /// UUID.
    pub tag_id: TagId,
    /// At most 48 characters; unique in the tenant without regard to case.
    pub name: String,
    /// `#rrggbb`.
    pub color: String,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
}

/// The colour of a tag that has none.
pub const DEFAULT_TAG_COLOR: &str = "#64748b";

/// `#rrggbb`, lower-cased; anything else is [`DEFAULT_TAG_COLOR`] (03 §8.7).
pub fn tag_color(text: Option<&str>) -> String {
    let is_color = |text: &&str| {
        text.len() == 7
            && text.starts_with('#')
            && text.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit())
    };
    text.map(str::trim)
        .filter(is_color)
        .map_or_else(|| DEFAULT_TAG_COLOR.to_owned(), str::to_ascii_lowercase)
}

/// A stored search of a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SmartFilter {
    /// Tenant.
    pub tenant_id: TenantId,
    /// UUID.
    pub filter_id: FilterId,
    /// At most 64 characters.
    pub name: String,
    /// A [`ThreadSearch`], or what another client makes of it; at most 16 KiB.
    pub query: JsonObject,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
}

/// A thread with its tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaggedThread {
    /// Tenant.
    pub tenant_id: TenantId,
    /// Owner.
    pub user_id: UserId,
    /// The thread.
    pub session_id: SessionId,
    /// Its title.
    pub title: Option<String>,
    /// Its profile.
    pub profile_name: String,
    /// Its stored status.
    pub status: SessionStatus,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
    /// By lower-case name.
    pub tags: Vec<Tag>,
}

/// Query of `GET /api/threads`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThreadsQuery {
    /// Only threads with this tag; may be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_id: Option<Vec<String>>,
    /// The same, with commas. At most 50 tags in all; a thread with any of them is listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_ids: Option<Vec<String>>,
    /// 1 to 500, 500 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Answer of `GET /api/threads`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThreadList {
    /// Touched last first.
    pub threads: Vec<TaggedThread>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// Answer of `GET /api/threads/tags`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagList {
    /// By lower-case name.
    pub tags: Vec<Tag>,
}

/// Answer with one tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagAnswer {
    /// The tag.
    pub tag: Tag,
}

/// Body of `POST /api/threads/tags`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateTag {
    /// At most 48 characters.
    pub name: String,
    /// `#rrggbb`; anything else is the default colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// Body of `PATCH /api/threads/tags/:id`; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateTag {
    /// At most 48 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `#rrggbb`; anything else is the default colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// Body of `POST …/tags/:id/apply` and `…/remove`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagSessions {
    /// At most 500.
    pub session_ids: Vec<String>,
}

/// `{ok: true}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// True.
    pub ok: bool,
}

/// Whether something was there to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// It was there.
    pub deleted: bool,
}

/// Answer of `GET /api/threads/smart-filters`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FilterList {
    /// By lower-case name.
    pub filters: Vec<SmartFilter>,
}

/// Answer with one stored filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FilterAnswer {
    /// The filter.
    pub filter: SmartFilter,
}

/// Body of `POST /api/threads/smart-filters`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreateFilter {
    /// At most 64 characters.
    pub name: String,
    /// At most 16 KiB as JSON.
    pub query: JsonObject,
}

/// Body of `PATCH /api/threads/smart-filters/:id`; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateFilter {
    /// At most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At most 16 KiB as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<JsonObject>,
}

/// Days or moments, both ends included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DateRange {
    /// ISO-8601 time or date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// ISO-8601 time or date; a date means its whole day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Body of `POST /api/threads/search` and `/facets`: filters are joined by AND, the values of one by OR.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThreadSearch {
    /// Every word of it must begin a word of one message, or of the title, in any case. At most 256 bytes. No
    /// character is a wildcard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// 1 to 100, 50 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// When the thread was touched last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_range: Option<DateRange>,
    /// Labels of projects. Each list holds at most 50 values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_labels: Option<Vec<String>>,
    /// Folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directories: Option<Vec<String>>,
    /// Providers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_ids: Option<Vec<String>>,
    /// Models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_ids: Option<Vec<String>>,
    /// Agents that took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<String>>,
    /// Tools that were called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// MCP servers whose tools were called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcps: Option<Vec<String>>,
    /// What the thread is doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statuses: Option<Vec<ThreadStatus>>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_ids: Option<Vec<String>>,
    /// A stored filter; what is given here goes before what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smart_filter_id: Option<String>,
    /// `updated_desc` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<ThreadSort>,
}

/// A tag as search shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThreadTag {
    /// Its id.
    pub id: TagId,
    /// Its name.
    pub name: String,
    /// `#rrggbb`.
    pub color: String,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
}

/// Something that took part in a thread, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedCount {
    /// Agent or tool.
    pub name: String,
    /// The MCP server of a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_name: Option<String>,
    /// How often.
    pub count: u64,
}

/// What a thread used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThreadUsage {
    /// Messages of users and agents.
    pub messages: u64,
    /// Calls of tools.
    pub tool_calls: u64,
    /// Runs of sub-agents.
    pub task_runs: u64,
    /// US dollars.
    pub cost: f64,
    /// All tokens, in and out.
    pub tokens: u64,
}

/// The text that was found, and where (additive).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThreadHit {
    /// The message to open the thread at; null: the title.
    pub message_id: Option<MessageId>,
    /// Sequence of the message's first event; null: the title.
    pub sequence: Option<u64>,
    /// Who wrote it.
    pub role: HitRole,
    /// Up to 160 characters around the first word that was found.
    pub snippet: String,
}

/// A found thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThreadItem {
    /// The thread.
    pub session_id: SessionId,
    /// Its title.
    pub title: Option<String>,
    /// Folder that it works in.
    pub directory: Option<String>,
    /// Last two segments of the folder.
    pub project_label: Option<String>,
    /// Provider of its last turn.
    pub provider_id: Option<String>,
    /// Model of its last turn.
    pub model_id: Option<String>,
    /// What it is doing.
    pub status: ThreadStatus,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
    /// The thread that it was forked from.
    pub parent_session_id: Option<SessionId>,
    /// The workflow that it is a run of.
    pub workflow_id: Option<WorkflowId>,
    /// That run.
    pub run_id: Option<RunId>,
    /// The message that it was set back to.
    pub reverted_message_id: Option<MessageId>,
    /// By lower-case name.
    pub tags: Vec<ThreadTag>,
    /// Agents that took part, most often first.
    pub actual_agents: Vec<NamedCount>,
    /// Tools that were called, most often first.
    pub actual_tools: Vec<NamedCount>,
    /// Suggested tags; none yet.
    pub suggestions: Vec<JsonObject>,
    /// What it used.
    pub usage: ThreadUsage,
    /// What changed in its folder; null: not known.
    pub change_summary: Option<JsonObject>,
    /// The newest message that holds the text, when a text was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit: Option<ThreadHit>,
}

/// Answer of `POST /api/threads/search`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThreadSearchResult {
    /// In the order asked for.
    pub threads: Vec<ThreadItem>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
    /// With a text: how many threads were found; without: at most the limit and one.
    pub total_estimate: u64,
    /// The text occurs in more messages than are looked at: these are the newest (additive).
    pub truncated: bool,
}

/// A value of a facet and how often it occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Facet {
    /// What to filter by.
    pub value: String,
    /// What to show.
    pub label: String,
    /// Threads, or for agents, tools and MCP servers their uses.
    pub count: u64,
    /// Of tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// Answer of `POST /api/threads/facets`: each by count descending, then by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ThreadFacets {
    /// Projects.
    pub projects: Vec<Facet>,
    /// Providers.
    pub providers: Vec<Facet>,
    /// Models.
    pub models: Vec<Facet>,
    /// Agents.
    pub agents: Vec<Facet>,
    /// Tools.
    pub tools: Vec<Facet>,
    /// MCP servers.
    pub mcps: Vec<Facet>,
    /// What threads are doing.
    pub statuses: Vec<Facet>,
    /// Tags.
    pub tags: Vec<Facet>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_color_is_the_default() {
        assert_eq!(tag_color(Some("#AABBcc")), "#aabbcc");
        for wrong in [None, Some("red"), Some("#abc"), Some("#gggggg"), Some("")] {
            assert_eq!(tag_color(wrong), DEFAULT_TAG_COLOR);
        }
    }
}
