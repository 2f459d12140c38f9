//! The index of artifacts (04 §2.3).

use super::workflows::rows::{from_json, to_json};
use crate::dialect::{Connection, Row};
use crate::store::{Database, SqlStore};
use crate::transaction::{Stop, read, transact};
use async_trait::async_trait;
use open_cowork_contracts::ArtifactId;
use open_cowork_contracts::api::artifacts::Artifact;
use open_cowork_providers::store::artifacts::{ArtifactChange, ArtifactQuery, ArtifactRow};
use open_cowork_providers::store::keyset::Page;
use open_cowork_providers::store::{ArtifactStore, Scope, SessionKey, StoreError};
use open_cowork_providers::time::{Timestamp, iso};

#[async_trait]
impl<D: Database> ArtifactStore for SqlStore<D> {
    async fn put_artifact(
        &self,
        key: &SessionKey,
        artifact: Artifact,
        object_key: Option<String>,
    ) -> Result<ArtifactRow, StoreError> {
        transact!(self, |connection| {
            insert(connection, key, &artifact, object_key.as_deref()).await?;
            let stored = by_key(connection, key, &artifact.artifact_id).await?;
            stored.ok_or_else(|| StoreError::NotFound(key.session_id.to_string()).into())
        })
    }

    async fn artifact(
        &self,
        key: &SessionKey,
        id: &ArtifactId,
    ) -> Result<Option<ArtifactRow>, StoreError> {
        read!(self, |connection| {
            Ok(by_key(connection, key, id).await?)
        })
    }

    async fn page_artifacts(&self, query: &ArtifactQuery) -> Result<Page<ArtifactRow>, StoreError> {
        let start = query.start()?;
        let rows = read!(self, |connection| {
            page(connection, query, start.as_ref()).await
        })?;
        Ok(query.page(rows))
    }

    async fn change_artifact(
        &self,
        key: &SessionKey,
        id: &ArtifactId,
        change: ArtifactChange,
        now: Timestamp,
    ) -> Result<ArtifactRow, StoreError> {
        transact!(self, |connection| {
            let lock = "SELECT a.body FROM artifacts a JOIN tenants t ON t.tenant_no = a.tenant_no \
                        WHERE t.tenant_id = $1 AND a.session_id = $2 AND a.artifact_id = $3";
            let query = connection
                .select_for_update(lock, "a")
                .bind(key.tenant_id.as_str())
                .bind(key.session_id.as_str())
                .bind(id.as_str());
            let Some(row) = query.fetch_optional().await? else {
                return Err(StoreError::Missing("artifact").into());
            };
            let stored: Artifact = from_json(&row, 0)?;
            let changed = change.apply(&stored, &iso(now))?;
            update(connection, key, &changed).await?;
            let stored = by_key(connection, key, id).await?;
            stored.ok_or_else(|| StoreError::Missing("artifact").into())
        })
    }
}

macro_rules! select_artifacts {
    ($tail:literal) => {
        concat!(
            "SELECT t.tenant_id, u.user_id, s.title, a.object_key, a.body FROM artifacts a ",
            "JOIN tenants t ON t.tenant_no = a.tenant_no ",
            "JOIN users u ON u.tenant_no = a.tenant_no AND u.user_no = a.user_no ",
            "JOIN sessions s ON s.tenant_no = a.tenant_no AND s.session_no = a.session_no ",
            $tail
        )
    };
}

/// The title is the session's own of now.
fn stored(row: &Row) -> Result<ArtifactRow, sqlx::Error> {
    let mut artifact: Artifact = from_json(row, 4)?;
    artifact.session_title = row.optional_text(2)?;
    Ok(ArtifactRow {
        scope: Scope {
            tenant_id: row.text(0)?.into(),
            user_id: row.text(1)?.into(),
        },
        artifact,
        key: row.optional_text(3)?,
    })
}

pub(super) async fn by_key(
    connection: &mut Connection,
    key: &SessionKey,
    id: &ArtifactId,
) -> Result<Option<ArtifactRow>, sqlx::Error> {
    let select =
        select_artifacts!("WHERE t.tenant_id = $1 AND s.session_id = $2 AND a.artifact_id = $3");
    let query = connection.query(select).bind(key.tenant_id.as_str());
    let query = query.bind(key.session_id.as_str()).bind(id.as_str());
    query
        .fetch_optional()
        .await?
        .as_ref()
        .map(stored)
        .transpose()
}

/// Inserts what isn't there; an unknown session inserts nothing.
pub(super) async fn insert(
    connection: &mut Connection,
    key: &SessionKey,
    artifact: &Artifact,
    object_key: Option<&str>,
) -> Result<(), sqlx::Error> {
    let insert = "INSERT INTO artifacts (tenant_no, session_no, artifact_id, user_no, session_id, project_id, \
                  task_id, kind, status, updated_at, object_key, body) \
                  SELECT s.tenant_no, s.session_no, $3, s.user_no, s.session_id, $4, $5, $6, $7, $8, $9, $10 \
                  FROM sessions s JOIN tenants t ON t.tenant_no = s.tenant_no \
                  WHERE t.tenant_id = $1 AND s.session_id = $2 ON CONFLICT DO NOTHING";
    connection
        .query(insert)
        .bind(key.tenant_id.as_str())
        .bind(key.session_id.as_str())
        .bind(artifact.artifact_id.as_str())
        .bind(artifact.project_id.as_deref())
        .bind(artifact.task_id.as_deref())
        .bind(artifact.kind.as_str())
        .bind(artifact.status.as_str())
        .bind(artifact.updated_at.as_str())
        .bind(object_key)
        .bind(to_json(artifact)?)
        .execute()
        .await?;
    Ok(())
}

pub(super) async fn update(
    connection: &mut Connection,
    key: &SessionKey,
    artifact: &Artifact,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE artifacts SET project_id = $4, task_id = $5, kind = $6, status = $7, updated_at = $8, \
                  body = $9 WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant_id = $1) \
                  AND session_no = (SELECT s.session_no FROM sessions s JOIN tenants t ON t.tenant_no = s.tenant_no \
                  WHERE t.tenant_id = $1 AND s.session_id = $2) AND artifact_id = $3";
    connection
        .query(update)
        .bind(key.tenant_id.as_str())
        .bind(key.session_id.as_str())
        .bind(artifact.artifact_id.as_str())
        .bind(artifact.project_id.as_deref())
        .bind(artifact.task_id.as_deref())
        .bind(artifact.kind.as_str())
        .bind(artifact.status.as_str())
        .bind(artifact.updated_at.as_str())
        .bind(to_json(artifact)?)
        .execute()
        .await?;
    Ok(())
}

/// The rows of a page from `start` on, one more than its size where there are more.
async fn page(
    connection: &mut Connection,
    query: &ArtifactQuery,
    start: Option<&[String; 3]>,
) -> Result<Vec<ArtifactRow>, Stop> {
    const HEAD: &str = select_artifacts!(
        "WHERE t.tenant_id = $1 AND u.user_id = $2 AND ($3 IS NULL OR a.session_id = $3) \
         AND ($4 IS NULL OR a.project_id = $4) AND ($5 IS NULL OR a.kind = $5) AND ($6 IS NULL OR a.status = $6) \
         AND ($7 IS NULL OR a.updated_at < $7 OR (a.updated_at = $7 AND (a.session_id > $8 \
         OR (a.session_id = $8 AND a.artifact_id > $9))))"
    );
    let tasks: Vec<String> = (0..query.task_ids.len())
        .map(|at| format!("${}", at + 11))
        .collect();
    let of_tasks = match tasks.is_empty() {
        true => String::new(),
        false => format!(" AND a.task_id IN ({})", tasks.join(", ")),
    };
    let sql = format!(
        "{HEAD}{of_tasks} ORDER BY a.updated_at DESC, a.session_id, a.artifact_id LIMIT $10"
    );
    let start_at = |part: usize| start.map(|start| start[part].as_str());
    let mut select = connection
        // Constants of ours and numbers of parameters.
        .query(sqlx::AssertSqlSafe(sql))
        .bind(query.scope.tenant_id.as_str())
        .bind(query.scope.user_id.as_str())
        .bind(query.session_id.as_ref().map(|id| id.as_str()))
        .bind(query.project_id.as_deref())
        .bind(query.kind.map(|kind| kind.as_str()))
        .bind(query.status.map(|status| status.as_str()))
        .bind(start_at(0))
        .bind(start_at(1))
        .bind(start_at(2))
        .bind(query.page_size() as i64 + 1);
    for task in &query.task_ids {
        select = select.bind(task.as_str());
    }
    let rows = select.fetch_all().await?;
    Ok(rows.iter().map(stored).collect::<Result<_, _>>()?)
}
