//! Artifacts, deliverables of threads (04 §2.3 "artifact index", §2.8; 03 §8.5). The bytes are in the
//! [`crate::objects::ObjectStore`], what happened to them is in the thread's log; this is the index over both.

use super::keyset::{List, Page, page_size};
use super::{Scope, SessionKey, StoreError};
use crate::time::Timestamp;
use async_trait::async_trait;
use open_cowork_contracts::api::artifacts::{Artifact, ArtifactKind, ArtifactStatus};
use open_cowork_contracts::{ArtifactId, SessionId};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Most bytes of an artifact that is uploaded in one piece: 25 MiB.
pub const MAX_ARTIFACT_BYTES: usize = 25 * 1024 * 1024;
/// Most characters of a filename.
pub const MAX_FILENAME: usize = 256;
/// Most bytes of an actor or an id.
pub const MAX_ID_BYTES: usize = 512;
/// Most artifacts of a page.
pub const MAX_ARTIFACTS: u32 = 500;

/// An artifact as stored: the record of the wire (`order` and `workspaceId` are the reader's), its owner, and
/// where its bytes are.
#[derive(Clone, Debug, PartialEq)]
pub struct ArtifactRow {
    /// Owner of its thread.
    pub scope: Scope,
    /// The record.
    pub artifact: Artifact,
    /// Key in the object store; absent for one whose bytes are elsewhere.
    pub key: Option<String>,
}

/// The key of an uploaded artifact (04 §2.8):
/// `tenants/<t>/sessions/<s>/artifacts/<artifactId>-<16 hex of sha256(filename)>.<ext>`.
///
/// Ids come from outside, so every byte that is not plain in a path is percent-encoded.
pub fn object_key(key: &SessionKey, artifact: &ArtifactId, filename: &str) -> String {
    let hash: String = Sha256::digest(filename)[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let extension = extension(filename).map_or(String::new(), |extension| format!(".{extension}"));
    format!(
        "tenants/{}/sessions/{}/artifacts/{}-{hash}{extension}",
        segment(key.tenant_id.as_str()),
        segment(key.session_id.as_str()),
        segment(artifact.as_str()),
    )
}

fn segment(id: &str) -> String {
    // Neither `.` nor `..` may come out.
    let dots = id.bytes().all(|byte| byte == b'.');
    let mut segment = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'.' if dots => segment.push_str("%2E"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                segment.push(char::from(byte));
            }
            byte => segment.push_str(&format!("%{byte:02X}")),
        }
    }
    segment
}

/// The extension of a filename, lower-case: 1 to 16 ASCII letters and digits after the last dot.
pub fn extension(filename: &str) -> Option<String> {
    let (stem, extension) = filename.rsplit_once('.')?;
    let plain = (1..=16).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain && !stem.is_empty()).then(|| extension.to_ascii_lowercase())
}

/// What an artifact is when nobody says so (07 §13).
pub fn infer_kind(filename: &str, content_type: &str) -> ArtifactKind {
    let mime = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let name = filename.to_lowercase();
    let extension = extension(filename).unwrap_or_default();
    let one_of = |list: &[&str]| list.contains(&extension.as_str());
    if mime.starts_with("image/") && (name.contains("chart") || name.contains("vega")) {
        return ArtifactKind::Chart;
    }
    if mime.contains("presentation")
        || mime.contains("powerpoint")
        || one_of(&["ppt", "pptx", "key"])
    {
        return ArtifactKind::Deck;
    }
    if mime.contains("spreadsheet")
        || mime.contains("excel")
        || mime == "text/csv"
        || mime == "text/tab-separated-values"
        || one_of(&["csv", "tsv", "xls", "xlsx", "ods"])
    {
        return ArtifactKind::Spreadsheet;
    }
    let documents = ["md", "markdown", "txt", "pdf", "doc", "docx", "htm", "html"];
    if mime == "application/pdf"
        || mime.contains("markdown")
        || mime.starts_with("text/")
        || one_of(&documents)
    {
        return ArtifactKind::Document;
    }
    ArtifactKind::Draft
}

/// The status of a new artifact when nobody says so.
pub fn default_status(kind: ArtifactKind) -> ArtifactStatus {
    match kind {
        ArtifactKind::Chart => ArtifactStatus::Final,
        _ => ArtifactStatus::Draft,
    }
}

/// A change of status and of what goes with it; absent fields stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactChange {
    /// The same or a later one.
    pub status: ArtifactStatus,
    /// Who; absent resets it to null.
    pub updated_by: Option<String>,
    /// Agent that made it.
    pub author_agent_id: Option<String>,
    /// Project.
    pub project_id: Option<String>,
    /// Task.
    pub task_id: Option<String>,
    /// What it is.
    pub kind: Option<ArtifactKind>,
}

impl ArtifactChange {
    /// The artifact afterwards. [`StoreError::Conflict`] when the status would go back.
    pub fn apply(&self, artifact: &Artifact, at: &str) -> Result<Artifact, StoreError> {
        if self.status < artifact.status {
            return Err(StoreError::Conflict(format!(
                "An artifact that is {} can't become {} again; upload a new one.",
                artifact.status, self.status
            )));
        }
        let mut changed = artifact.clone();
        changed.status = self.status;
        changed.status_updated_by = self.updated_by.clone();
        changed.status_updated_at = Some(at.to_owned());
        changed.kind = self.kind.unwrap_or(changed.kind);
        let keep = |new: &Option<String>, old: Option<String>| new.clone().or(old);
        changed.author_agent_id = keep(&self.author_agent_id, changed.author_agent_id);
        changed.project_id = keep(&self.project_id, changed.project_id);
        changed.task_id = keep(&self.task_id, changed.task_id);
        if at > changed.updated_at.as_str() {
            changed.updated_at = at.to_owned();
        }
        Ok(changed)
    }
}

/// Which artifacts of a user, and from where on. Filters are joined by AND.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArtifactQuery {
    /// Owner.
    #[serde(serialize_with = "scope_fields")]
    pub scope: Scope,
    /// Only of this thread.
    pub session_id: Option<SessionId>,
    /// Only of this project.
    pub project_id: Option<String>,
    /// Only of one of these tasks; empty: of any or none.
    pub task_ids: Vec<String>,
    /// Only of this kind.
    pub kind: Option<ArtifactKind>,
    /// Only with this status.
    pub status: Option<ArtifactStatus>,
    /// Rows, at most [`MAX_ARTIFACTS`]; 0 means 100.
    #[serde(skip)]
    pub limit: u32,
    /// Cursor of the page before.
    #[serde(skip)]
    pub cursor: Option<String>,
}

fn scope_fields<S: serde::Serializer>(scope: &Scope, serializer: S) -> Result<S::Ok, S::Error> {
    (&scope.tenant_id, &scope.user_id).serialize(serializer)
}

impl ArtifactQuery {
    /// All artifacts of a user.
    pub fn new(scope: Scope) -> Self {
        ArtifactQuery {
            scope,
            session_id: None,
            project_id: None,
            task_ids: Vec::new(),
            kind: None,
            status: None,
            limit: 0,
            cursor: None,
        }
    }

    /// The limit to use.
    pub fn page_size(&self) -> usize {
        page_size(self.limit, 100, MAX_ARTIFACTS)
    }

    /// Where the page starts: `updatedAt`, session, artifact. [`StoreError::InvalidCursor`].
    pub fn start(&self) -> Result<Option<[String; 3]>, StoreError> {
        List::new("artifacts", self).start(self.cursor.as_deref())
    }

    /// Makes a page of rows that came in order, one more than [`ArtifactQuery::page_size`] where there are more.
    pub fn page(&self, rows: Vec<ArtifactRow>) -> Page<ArtifactRow> {
        List::new("artifacts", self).page(rows, self.page_size(), |row| {
            [
                row.artifact.updated_at.clone(),
                row.artifact.session_id.to_string(),
                row.artifact.artifact_id.to_string(),
            ]
        })
    }
}

/// The index of artifacts. The thread index ([`super::ThreadIndexStore::index_threads`]) repairs it from the
/// log: what `artifact.created` and `artifact.updated` say is here at last, whoever died in between.
#[async_trait]
pub trait ArtifactStore: Send + Sync + 'static {
    /// Puts an artifact into the index. Idempotent by (session, artifact): what is there stays and comes back.
    /// [`StoreError::NotFound`] for an unknown session.
    async fn put_artifact(
        &self,
        key: &SessionKey,
        artifact: Artifact,
        object_key: Option<String>,
    ) -> Result<ArtifactRow, StoreError>;

    /// The artifact, or `None`.
    async fn artifact(
        &self,
        key: &SessionKey,
        id: &ArtifactId,
    ) -> Result<Option<ArtifactRow>, StoreError>;

    /// One page: `updatedAt` descending, then session id and artifact id ascending.
    async fn page_artifacts(&self, query: &ArtifactQuery) -> Result<Page<ArtifactRow>, StoreError>;

    /// Changes an artifact ([`ArtifactChange::apply`]), one change at a time. [`StoreError::Missing`],
    /// [`StoreError::Conflict`].
    async fn change_artifact(
        &self,
        key: &SessionKey,
        id: &ArtifactId,
        change: ArtifactChange,
        now: Timestamp,
    ) -> Result<ArtifactRow, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_plain_whatever_the_ids_hold() {
        let key = object_key(
            &SessionKey::new("..", "a/../b"),
            &"x y".into(),
            "Report.PDF",
        );
        let hash = "tenants/%2E%2E/sessions/a%2F..%2Fb/artifacts/x%20y-";
        assert!(key.starts_with(hash), "{key}");
        assert!(key.ends_with(".pdf"));
        assert!(key.split('/').all(|part| !matches!(part, "" | "." | "..")));
    }

    #[test]
    fn a_key_names_tenant_session_artifact_and_a_hash_of_the_name() {
        let key = object_key(&SessionKey::new("t", "s"), &"a".into(), "report.md");
        // sha256("report.md") begins with these digits.
        let digits: String = Sha256::digest("report.md")[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(key, format!("tenants/t/sessions/s/artifacts/a-{digits}.md"));
    }

    #[test]
    fn extensions_are_short_and_plain() {
        assert_eq!(extension("a.TXT").as_deref(), Some("txt"));
        for none in ["a", ".bashrc", "a.", "a.t xt", "a.aaaaaaaaaaaaaaaaa"] {
            assert_eq!(extension(none), None, "{none}");
        }
    }

    #[test]
    fn kinds_are_inferred_in_the_order_of_the_contract() {
        let cases = [
            ("sales-chart.png", "image/png", ArtifactKind::Chart),
            ("sales.png", "image/png", ArtifactKind::Draft),
            ("talk.key", "", ArtifactKind::Deck),
            ("a.bin", "application/vnd.ms-powerpoint", ArtifactKind::Deck),
            ("a.csv", "text/plain", ArtifactKind::Spreadsheet),
            (
                "a.txt",
                "text/csv; charset=utf-8",
                ArtifactKind::Spreadsheet,
            ),
            ("a.bin", "text/x-unknown", ArtifactKind::Document),
            ("a.html", "", ArtifactKind::Document),
            ("a.zip", "application/zip", ArtifactKind::Draft),
        ];
        for (filename, mime, kind) in cases {
            assert_eq!(infer_kind(filename, mime), kind, "{filename} {mime}");
        }
        assert_eq!(default_status(ArtifactKind::Chart), ArtifactStatus::Final);
        assert_eq!(default_status(ArtifactKind::Deck), ArtifactStatus::Draft);
    }
}
