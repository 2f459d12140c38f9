//! Tags, stored filters, and the index over threads that search and facets read (04 §2.11, 07 §12, 03 §11).
//!
//! **The index follows the log.** Nobody writes it in the transaction of an append, so appending costs nothing
//! more; [`ThreadIndexStore::index_threads`] reads the events that are new since the sequence that it noted,
//! and writes what they say in one transaction with the new sequence. A crash at any point loses nothing: the
//! next call goes on from the noted sequence. Called when events come and at an interval, the index is behind by
//! less than a second; starting up never waits for it.
//!
//! What is indexed: the title (with the labels of project, agents and tools), and each message of the user, the
//! agent and its sub-agents as one document. See [`words`] for what is found.

pub mod words;

use super::keyset::{List, page_size};
use super::{Scope, StoreError};
use crate::time::Timestamp;
use async_trait::async_trait;
use open_cowork_contracts::api::threads::{
    SmartFilter, Tag, TaggedThread, ThreadFacets, ThreadItem, ThreadSort, ThreadStatus,
};
use open_cowork_contracts::{FilterId, JsonObject, SessionId, TagId, TenantId};
use serde::Serialize;

/// Most characters of a tag's name.
pub const MAX_TAG_NAME: usize = 48;
/// Most characters of a stored filter's name.
pub const MAX_FILTER_NAME: usize = 64;
/// Most bytes of a stored filter's query as JSON.
pub const MAX_FILTER_BYTES: usize = 16 * 1024;
/// Most sessions of one bulk call.
pub const MAX_BULK: usize = 500;
/// Most tags or filters of a tenant.
pub const MAX_LABELS: usize = 1000;
/// Most values of one filter.
pub const MAX_VALUES: usize = 50;
/// Most bytes of a text to look for.
pub const MAX_TEXT_BYTES: usize = 256;
/// Most messages that one search looks at, and most titles; the newest ones.
pub const MAX_HITS: usize = 2000;
/// Most characters of a message that are indexed.
pub const MAX_INDEXED: usize = 64 * 1024;

/// Which threads with tags, and from where on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedQuery {
    /// Owner.
    pub scope: Scope,
    /// With any of these tags; empty: all threads.
    pub tags: Vec<TagId>,
    /// Rows, at most 500; 0 means 500.
    pub limit: u32,
    /// Cursor of the page before.
    pub cursor: Option<String>,
}

/// A page of threads with tags.
pub type TaggedPage = super::keyset::Page<TaggedThread>;

impl TaggedQuery {
    /// The limit to use.
    pub fn page_size(&self) -> usize {
        page_size(self.limit, 500, 500)
    }

    /// What its cursor is bound to.
    pub fn list(&self) -> List {
        List::new(
            "threads",
            &(&self.scope.tenant_id, &self.scope.user_id, &self.tags),
        )
    }
}

/// Which threads to find. Fields are joined by AND, the values of one by OR; an empty list is no filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadQuery {
    /// Owner's tenant and user.
    #[serde(skip)]
    pub scope: Scope,
    /// See [`words::Needle`]; blank means none.
    pub text: Option<String>,
    /// `updatedAt` at least.
    pub from: Option<String>,
    /// `updatedAt` at most.
    pub to: Option<String>,
    /// Labels of projects.
    pub projects: Vec<String>,
    /// Folders.
    pub directories: Vec<String>,
    /// Providers.
    pub providers: Vec<String>,
    /// Models.
    pub models: Vec<String>,
    /// Agents.
    pub agents: Vec<String>,
    /// Tools.
    pub tools: Vec<String>,
    /// MCP servers.
    pub mcps: Vec<String>,
    /// What they are doing.
    pub statuses: Vec<ThreadStatus>,
    /// Tags.
    pub tags: Vec<TagId>,
    /// Order.
    pub sort: ThreadSort,
    /// Rows, at most 100; 0 means 50.
    #[serde(skip)]
    pub limit: u32,
    /// Cursor of the page before.
    #[serde(skip)]
    pub cursor: Option<String>,
}

impl ThreadQuery {
    /// All threads of a user.
    pub fn new(scope: Scope) -> Self {
        ThreadQuery {
            scope,
            text: None,
            from: None,
            to: None,
            projects: Vec::new(),
            directories: Vec::new(),
            providers: Vec::new(),
            models: Vec::new(),
            agents: Vec::new(),
            tools: Vec::new(),
            mcps: Vec::new(),
            statuses: Vec::new(),
            tags: Vec::new(),
            sort: ThreadSort::UpdatedDesc,
            limit: 0,
            cursor: None,
        }
    }

    /// The limit to use.
    pub fn page_size(&self) -> usize {
        page_size(self.limit, 50, 100)
    }

    /// What its cursor is bound to.
    pub fn list(&self) -> List {
        List::new(
            "thread-search",
            &(&self.scope.tenant_id, &self.scope.user_id, self),
        )
    }
}

/// A page of found threads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThreadPage {
    /// In the order asked for.
    pub rows: Vec<ThreadItem>,
    /// Cursor of the next page; absent on the last one.
    pub next: Option<String>,
    /// With a text: how many threads were found; without: at most the limit and one.
    pub total_estimate: u64,
    /// The text occurs in more than [`MAX_HITS`] messages or titles: only the newest ones were looked at.
    pub truncated: bool,
}

/// How far one call of [`ThreadIndexStore::index_threads`] came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexProgress {
    /// Threads that were brought up to date or nearer to it.
    pub threads: u32,
    /// True when there may be more: call again at once.
    pub more: bool,
}

impl IndexProgress {
    /// Both together.
    pub fn add(&mut self, other: IndexProgress) {
        self.threads += other.threads;
        self.more |= other.more;
    }
}

/// Tags, stored filters, search. Tags and filters belong to the tenant, threads to their user.
#[async_trait]
pub trait ThreadIndexStore: Send + Sync + 'static {
    /// All tags, by lower-case name.
    async fn tags(&self, tenant: &TenantId) -> Result<Vec<Tag>, StoreError>;

    /// Makes a tag. [`StoreError::Conflict`] when the name is taken, without regard to case;
    /// [`StoreError::Invalid`] beyond [`MAX_LABELS`].
    async fn create_tag(&self, tag: Tag) -> Result<Tag, StoreError>;

    /// Changes what is given. [`StoreError::Missing`], [`StoreError::Conflict`].
    async fn update_tag(
        &self,
        tenant: &TenantId,
        id: &TagId,
        name: Option<String>,
        color: Option<String>,
        now: Timestamp,
    ) -> Result<Tag, StoreError>;

    /// Deletes a tag and its links; false when there was none.
    async fn delete_tag(&self, tenant: &TenantId, id: &TagId) -> Result<bool, StoreError>;

    /// Ties a tag to threads of this user, or unties it (`apply: false`). All or none: [`StoreError::Missing`]
    /// or [`StoreError::NotFound`] for an unknown tag or session. Repeating it is fine.
    async fn link_tag(
        &self,
        scope: &Scope,
        id: &TagId,
        sessions: &[SessionId],
        apply: bool,
    ) -> Result<(), StoreError>;

    /// Threads with their tags, touched last first.
    async fn tagged_threads(&self, query: &TaggedQuery) -> Result<TaggedPage, StoreError>;

    /// All stored filters, by lower-case name.
    async fn filters(&self, tenant: &TenantId) -> Result<Vec<SmartFilter>, StoreError>;

    /// A stored filter.
    async fn filter(
        &self,
        tenant: &TenantId,
        id: &FilterId,
    ) -> Result<Option<SmartFilter>, StoreError>;

    /// Makes a filter. [`StoreError::Invalid`] beyond [`MAX_LABELS`].
    async fn create_filter(&self, filter: SmartFilter) -> Result<SmartFilter, StoreError>;

    /// Changes what is given. [`StoreError::Missing`].
    async fn update_filter(
        &self,
        tenant: &TenantId,
        id: &FilterId,
        name: Option<String>,
        query: Option<JsonObject>,
        now: Timestamp,
    ) -> Result<SmartFilter, StoreError>;

    /// Deletes a filter; false when there was none.
    async fn delete_filter(&self, tenant: &TenantId, id: &FilterId) -> Result<bool, StoreError>;

    /// Finds threads. With a text, at most [`MAX_HITS`] messages and as many titles are looked at, newest first;
    /// the threads that they belong to are filtered and sorted. [`StoreError::InvalidCursor`].
    async fn search_threads(&self, query: &ThreadQuery) -> Result<ThreadPage, StoreError>;

    /// What the threads that a query finds have in common; its cursor, limit and order don't matter.
    async fn thread_facets(&self, query: &ThreadQuery) -> Result<ThreadFacets, StoreError>;

    /// Brings up to `limit` threads nearer to their logs. Safe from several processes at once.
    async fn index_threads(&self, limit: u32) -> Result<IndexProgress, StoreError>;
}
