//! Bringing the index up to date with the log.
//!
//! One transaction per batch holds what the events say together with the sequence up to which they are read, so
//! a crash leaves either both or neither. The row of `thread_index` is the lock: whoever finds it taken leaves
//! the thread to the other.

use super::digest::{Digest, Known, MAX_ID, Text};
use crate::dialect::{Connection, Dialect};
use crate::domain::artifacts;
use crate::domain::workflows::rows::{from_json, to_json};
use crate::read;
use crate::transaction::Stop;
use open_cowork_contracts::api::artifacts::{Artifact, ArtifactKind, ArtifactStatus, cloud_path};
use open_cowork_contracts::api::threads::HitRole;
use open_cowork_contracts::{ArtifactId, JsonObject};
use open_cowork_providers::store::artifacts::{default_status, infer_kind, object_key};
use open_cowork_providers::store::threads::{IndexProgress, MAX_INDEXED, words};
use open_cowork_providers::store::workflows::cut;
use open_cowork_providers::store::{EVENT_PAGE, SessionKey, StoreError};
use serde_json::Value;

/// Threads per transaction.
pub(super) const BATCH: usize = 32;

/// A thread whose log is ahead of the index.
pub(super) struct Behind {
    key: SessionKey,
    tenant_no: i64,
    session_no: i64,
    user_no: i64,
}

pub(super) async fn behind(
    connection: &mut Connection,
    limit: u32,
) -> Result<Vec<Behind>, sqlx::Error> {
    let select = "SELECT t.tenant_id, s.session_id, s.tenant_no, s.session_no, s.user_no FROM sessions s \
                  JOIN tenants t ON t.tenant_no = s.tenant_no WHERE s.last_sequence > s.indexed_sequence LIMIT $1";
    let rows = connection
        .query(select)
        .bind(i64::from(limit))
        .fetch_all()
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Behind {
                key: SessionKey::new(row.text(0)?, row.text(1)?),
                tenant_no: row.int(2)?,
                session_no: row.int(3)?,
                user_no: row.int(4)?,
            })
        })
        .collect()
}

impl Behind {
    /// One thread, whether or not it is behind.
    pub(super) fn of(located: &read::Located) -> Self {
        Behind {
            key: SessionKey::of(&located.row.session),
            tenant_no: located.tenant_no,
            session_no: located.session_no,
            user_no: located.user_no,
        }
    }
}

/// Up to where a thread's events are in the index.
pub(super) async fn reached(
    connection: &mut Connection,
    located: &read::Located,
) -> Result<u64, sqlx::Error> {
    let select =
        "SELECT i.sequence FROM thread_index i WHERE i.tenant_no = $1 AND i.session_no = $2";
    let query = connection.query(select).bind(located.tenant_no);
    let row = query.bind(located.session_no).fetch_optional().await?;
    row.map_or(Ok(0), |row| row.unsigned(0))
}

/// True when no thread is at fault: the database is gone, locked, full or closed.
pub(super) fn is_environment(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unavailable(_)
            | StoreError::Closed
            | StoreError::Full { .. }
            | StoreError::ReadOnly { .. }
    )
}

/// Reads one page of each thread's new events into the index.
pub(super) async fn index(
    connection: &mut Connection,
    batch: &[Behind],
) -> Result<IndexProgress, Stop> {
    let mut progress = IndexProgress::default();
    let mut reached = Vec::new();
    for thread in batch {
        let Some((sequence, more)) = index_thread(connection, thread).await? else {
            continue;
        };
        progress.threads += 1;
        progress.more |= more;
        reached.push((thread, sequence));
    }
    note(connection, &mut reached).await?;
    Ok(progress)
}

/// Notes on the sessions' own rows how far they are. It is a hint only, so rows that the log's writer holds are
/// left out: such a thread is looked at once more.
async fn note(
    connection: &mut Connection,
    reached: &mut [(&Behind, i64)],
) -> Result<(), sqlx::Error> {
    // The order in which the log's writer locks.
    reached.sort_by_key(|(thread, _)| (thread.tenant_no, thread.session_no));
    for (thread, sequence) in reached {
        let lock = "SELECT 1 FROM sessions s WHERE s.tenant_no = $1 AND s.session_no = $2";
        let query = connection
            .select_skip_locked(lock, "s")
            .bind(thread.tenant_no);
        if query
            .bind(thread.session_no)
            .fetch_optional()
            .await?
            .is_none()
        {
            continue;
        }
        let update =
            "UPDATE sessions SET indexed_sequence = $3 WHERE tenant_no = $1 AND session_no = $2";
        let query = connection.query(update).bind(thread.tenant_no);
        query
            .bind(thread.session_no)
            .bind(*sequence)
            .execute()
            .await?;
    }
    Ok(())
}

/// The sequence that was reached, and whether there is more; `None`: another process is at it.
async fn index_thread(
    connection: &mut Connection,
    thread: &Behind,
) -> Result<Option<(i64, bool)>, Stop> {
    let make = "INSERT INTO thread_index (tenant_no, session_no, user_no, sequence, body) \
                VALUES ($1, $2, $3, 0, '{}') ON CONFLICT DO NOTHING";
    let query = connection.query(make).bind(thread.tenant_no);
    query
        .bind(thread.session_no)
        .bind(thread.user_no)
        .execute()
        .await?;
    let lock = "SELECT i.sequence, i.body FROM thread_index i WHERE i.tenant_no = $1 AND i.session_no = $2";
    let query = connection
        .select_skip_locked(lock, "i")
        .bind(thread.tenant_no);
    let Some(row) = query.bind(thread.session_no).fetch_optional().await? else {
        return Ok(None);
    };
    let (from, mut known): (u64, Known) = (row.unsigned(0)?, from_json(&row, 1)?);
    let events = read::events(connection, &thread.key, from, EVENT_PAGE).await?;
    let Some(session) = read::session(connection, &thread.key).await? else {
        return Ok(None);
    };
    let session = session.row;
    let digest = known.take(&events);
    for (id, text) in &digest.texts {
        let new = write_text(connection, thread, id, text).await?;
        known.usage.messages += u64::from(new);
    }
    index_artifacts(connection, thread, &digest).await?;
    let facets = known.facets(session.directory.as_deref());
    write_facets(connection, thread, &facets).await?;
    let title = session.session.title.unwrap_or_default();
    let labels: Vec<&str> = facets.iter().map(|(_, value, _)| value.as_str()).collect();
    let findable = format!("{title}\n{}", labels.join("\n"));
    if known.title.as_deref() != Some(findable.as_str()) {
        let document = Document {
            id: "",
            role: HitRole::Title,
            sequence: 0,
            text: &title,
            findable: &findable,
        };
        write_document(connection, thread, &document).await?;
        known.title = Some(findable);
    }
    let sequence = events.last().map_or(from, |event| event.sequence);
    let update =
        "UPDATE thread_index SET sequence = $3, body = $4 WHERE tenant_no = $1 AND session_no = $2";
    let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
    let query = connection
        .query(update)
        .bind(thread.tenant_no)
        .bind(thread.session_no);
    query
        .bind(sequence)
        .bind(to_json(&known)?)
        .execute()
        .await?;
    let more = session.last_sequence > sequence.unsigned_abs();
    Ok(Some((sequence, more)))
}

/// What is written of one message or title.
struct Document<'a> {
    id: &'a str,
    role: HitRole,
    sequence: u64,
    /// What is shown.
    text: &'a str,
    /// What it is found by.
    findable: &'a str,
}

/// True when the message is new.
async fn write_text(
    connection: &mut Connection,
    thread: &Behind,
    id: &str,
    text: &Text,
) -> Result<bool, sqlx::Error> {
    let select = "SELECT x.text, x.sequence FROM thread_texts x \
                  WHERE x.tenant_no = $1 AND x.session_no = $2 AND x.message_id = $3";
    let query = connection.query(select).bind(thread.tenant_no);
    let stored = query
        .bind(thread.session_no)
        .bind(id)
        .fetch_optional()
        .await?;
    let (before, sequence) = match &stored {
        Some(row) => (row.text(0)?, row.unsigned(1)?),
        None => (String::new(), text.sequence),
    };
    let whole = match text.replaces {
        true => cut(&text.text, MAX_INDEXED),
        false => cut(&format!("{before}{}", text.text), MAX_INDEXED),
    };
    if stored.is_none() || whole != before {
        let document = Document {
            id,
            role: text.role,
            sequence,
            text: &whole,
            findable: &whole,
        };
        write_document(connection, thread, &document).await?;
    }
    Ok(stored.is_none())
}

async fn write_document(
    connection: &mut Connection,
    thread: &Behind,
    document: &Document<'_>,
) -> Result<(), sqlx::Error> {
    let dialect = connection.dialect();
    let found_by = found_by(dialect, thread, document);
    let upsert = match dialect {
        Dialect::Sqlite => {
            "INSERT INTO thread_texts (tenant_no, session_no, message_id, user_no, role, sequence, text) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (tenant_no, session_no, message_id) DO UPDATE SET text = excluded.text RETURNING text_no"
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            "INSERT INTO thread_texts (tenant_no, session_no, message_id, user_no, role, sequence, text, words) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, CAST($8 AS TSVECTOR)) \
             ON CONFLICT (tenant_no, session_no, message_id) DO UPDATE SET text = excluded.text, \
             words = excluded.words RETURNING text_no"
        }
    };
    let query = connection
        .query(upsert)
        .bind(thread.tenant_no)
        .bind(thread.session_no)
        .bind(document.id)
        .bind(thread.user_no)
        .bind(document.role.as_str())
        .bind(i64::try_from(document.sequence).unwrap_or(i64::MAX))
        .bind(document.text);
    match dialect {
        Dialect::Sqlite => {
            let text_no = query.fetch_one().await?.int(0)?;
            let delete = "DELETE FROM thread_words WHERE rowid = $1";
            connection.query(delete).bind(text_no).execute().await?;
            let insert = "INSERT INTO thread_words (rowid, words) VALUES ($1, $2)";
            connection
                .query(insert)
                .bind(text_no)
                .bind(found_by)
                .execute()
                .await?;
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            query.bind(found_by).fetch_one().await?;
        }
    }
    Ok(())
}

/// The owner as a word that no text holds, since it begins with a private character: a search looks only where
/// its user's documents are. `titles` stands for the titles alone.
pub(super) fn owner_word(tenant_no: i64, user_no: i64, titles: bool) -> String {
    format!(
        "\u{e000}{tenant_no}x{user_no}{}",
        if titles { "t" } else { "m" }
    )
}

/// All words of a document as the database takes them.
fn found_by(dialect: Dialect, thread: &Behind, document: &Document<'_>) -> String {
    let is_title = document.role == HitRole::Title;
    let owner = owner_word(thread.tenant_no, thread.user_no, is_title);
    let words = words::words(document.findable);
    let words = std::iter::once(owner.as_str()).chain(words.iter().map(String::as_str));
    match dialect {
        Dialect::Sqlite => words.collect::<Vec<_>>().join(" "),
        // Words hold letters and digits only, so the quotes need no escape.
        #[cfg(feature = "postgres")]
        Dialect::Postgres => words
            .map(|word| format!("'{word}'"))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

async fn write_facets(
    connection: &mut Connection,
    thread: &Behind,
    facets: &[(&'static str, String, u64)],
) -> Result<(), sqlx::Error> {
    // A project or a model that was replaced must go; counts only grow.
    let delete = "DELETE FROM thread_facets WHERE tenant_no = $1 AND session_no = $2 \
                  AND kind IN ('project', 'directory', 'provider', 'model')";
    let query = connection.query(delete).bind(thread.tenant_no);
    query.bind(thread.session_no).execute().await?;
    for (kind, value, uses) in facets {
        let upsert = "INSERT INTO thread_facets (tenant_no, session_no, kind, value, user_no, uses) \
                      VALUES ($1, $2, $3, $4, $5, $6) \
                      ON CONFLICT (tenant_no, session_no, kind, value) DO UPDATE SET uses = excluded.uses";
        connection
            .query(upsert)
            .bind(thread.tenant_no)
            .bind(thread.session_no)
            .bind(*kind)
            .bind(value.as_str())
            .bind(thread.user_no)
            .bind(i64::try_from(*uses).unwrap_or(i64::MAX))
            .execute()
            .await?;
    }
    Ok(())
}

/// Mends the artifact index where a process died between the event and the row.
async fn index_artifacts(
    connection: &mut Connection,
    thread: &Behind,
    digest: &Digest,
) -> Result<(), sqlx::Error> {
    for (created, payload, at) in &digest.artifacts {
        let Some((artifact, key)) = artifact_of(&thread.key, payload, at) else {
            continue;
        };
        let stored = artifacts::by_key(connection, &thread.key, &artifact.artifact_id).await?;
        match stored {
            None => {
                artifacts::insert(connection, &thread.key, &artifact, Some(&key)).await?;
            }
            Some(stored) => {
                let newer = artifact.updated_at > stored.artifact.updated_at
                    && artifact.status >= stored.artifact.status;
                if !created && newer {
                    artifacts::update(connection, &thread.key, &artifact).await?;
                }
            }
        }
    }
    Ok(())
}

/// The artifact that an event describes, and where its bytes are; `None` without an id or with one that is too
/// long.
fn artifact_of(key: &SessionKey, payload: &JsonObject, at: &str) -> Option<(Artifact, String)> {
    let text = |name: &str| payload.get(name).and_then(Value::as_str).map(str::to_owned);
    let id = ["artifactId", "cloudArtifactId", "id"]
        .iter()
        .filter_map(|name| text(name))
        .find(|id| !id.trim().is_empty() && id.len() <= MAX_ID)?;
    let id = ArtifactId::new(id);
    let filename = cut(
        &text("filename").unwrap_or_else(|| "artifact".to_owned()),
        256,
    );
    let content_type = text("contentType")
        .or_else(|| text("mime"))
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    let kind = text("kind").and_then(|kind| ArtifactKind::parse(&kind));
    let kind = kind.unwrap_or_else(|| infer_kind(&filename, &content_type));
    let status = text("status").and_then(|status| ArtifactStatus::parse(&status));
    let bounded = |name: &str| text(name).filter(|value| value.len() <= MAX_ID);
    let artifact = Artifact {
        artifact_id: id.clone(),
        id: id.clone(),
        tool_id: text("toolId").unwrap_or_else(|| "cloud-artifact".to_owned()),
        tool_name: text("toolName").unwrap_or_else(|| "cloud.artifact".to_owned()),
        file_path: text("filePath").unwrap_or_else(|| cloud_path(&id, &filename)),
        order: 0,
        source: "cloud".to_owned(),
        cloud_artifact_id: id.clone(),
        session_id: key.session_id.clone(),
        session_title: None,
        workspace_id: None,
        mime: Some(content_type.clone()),
        content_type,
        size: payload.get("size").and_then(Value::as_u64).unwrap_or(0),
        created_at: text("createdAt").unwrap_or_else(|| at.to_owned()),
        updated_at: text("updatedAt").unwrap_or_else(|| at.to_owned()),
        kind,
        status: status.unwrap_or_else(|| default_status(kind)),
        author_agent_id: bounded("authorAgentId"),
        project_id: bounded("projectId"),
        task_id: bounded("taskId"),
        status_updated_by: bounded("statusUpdatedBy"),
        status_updated_at: bounded("statusUpdatedAt"),
        filename,
    };
    let object = text("key").unwrap_or_else(|| object_key(key, &id, &artifact.filename));
    Some((artifact, object))
}
