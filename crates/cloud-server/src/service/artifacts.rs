//! Artifacts: upload, list, read, change (03 §8.5, 07 §13).
//!
//! The order of an upload is bytes, event, index row. A process that dies in between leaves bytes that nothing
//! names, or an event whose row the thread index puts there later.

use crate::call::Call;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::service::{billing, sessions, usage};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use open_cowork_contracts::api::artifacts::{
    Artifact, ArtifactIndex, ArtifactKind, ArtifactStatus, UpdateArtifactStatus, UploadArtifact,
    cloud_path,
};
use open_cowork_contracts::api::usage::{QuotaKey, UsageEventType};
use open_cowork_contracts::{ArtifactId, EventType, JsonObject, RuntimeEvent};
use open_cowork_providers::billing::{BillingAction, BillingWish};
use open_cowork_providers::objects::ObjectStore;
use open_cowork_providers::store::artifacts::{
    ArtifactChange, ArtifactQuery, ArtifactRow, MAX_ARTIFACT_BYTES, MAX_FILENAME, MAX_ID_BYTES,
    default_status, infer_kind, object_key,
};
use open_cowork_providers::store::governance::{NewUsage, QuotaClaim};
use open_cowork_providers::store::{Scope, SessionKey, StoreError};
use open_cowork_providers::time::{iso, parse_iso};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Base64 with or without its padding, since clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest media type.
const MAX_CONTENT_TYPE: usize = 256;

/// The refusal of an artifact that doesn't exist, or isn't the caller's.
pub fn not_found() -> ApiError {
    ApiError::not_found("Cloud artifact was not found.").code("artifacts.not_found")
}

fn objects(cloud: &Cloud) -> Result<&dyn ObjectStore, ApiError> {
    cloud.objects.as_deref().ok_or_else(|| {
        ApiError::unavailable(
            "artifacts.storage_unavailable",
            "Artifact storage is not configured; ask the operator of this cloud.",
        )
    })
}

/// What is uploaded, within its bounds.
struct Checked {
    filename: String,
    content_type: String,
    kind: ArtifactKind,
    status: ArtifactStatus,
    author_agent_id: Option<String>,
    project_id: Option<String>,
    task_id: Option<String>,
    status_updated_by: Option<String>,
    status_updated_at: Option<String>,
}

fn check(upload: &UploadArtifact) -> Result<Checked, ApiError> {
    let filename = upload.filename.trim();
    let plain = !filename.is_empty()
        && !matches!(filename, "." | "..")
        && !filename.contains(['/', '\\'])
        && !filename.chars().any(char::is_control);
    if !plain {
        return Err(ApiError::invalid(
            "Field `filename` must be a plain name without slashes.",
        ));
    }
    if filename.chars().count() > MAX_FILENAME {
        return Err(ApiError::invalid(format!(
            "Field `filename` may have at most {MAX_FILENAME} characters; shorten it."
        )));
    }
    let content_type = upload
        .content_type
        .as_deref()
        .map_or("application/octet-stream", str::trim);
    let is_media = content_type.len() <= MAX_CONTENT_TYPE
        && content_type.contains('/')
        && content_type
            .bytes()
            .all(|byte| (0x20..0x7f).contains(&byte));
    if !is_media {
        return Err(ApiError::invalid(
            "Field `contentType` must be a media type such as text/markdown.",
        ));
    }
    let id = |field: &str, value: &Option<String>| bounded(field, value.as_deref());
    let status_updated_at = upload.status_updated_at.as_deref().map(|at| {
        parse_iso(at.trim())
            .map(iso)
            .ok_or_else(|| ApiError::invalid("Field `statusUpdatedAt` must be an ISO-8601 time."))
    });
    let kind = upload
        .kind
        .unwrap_or_else(|| infer_kind(filename, content_type));
    Ok(Checked {
        kind,
        status: upload.status.unwrap_or_else(|| default_status(kind)),
        author_agent_id: id("authorAgentId", &upload.author_agent_id)?,
        project_id: id("projectId", &upload.project_id)?,
        task_id: id("taskId", &upload.task_id)?,
        status_updated_by: id("statusUpdatedBy", &upload.status_updated_by)?,
        status_updated_at: status_updated_at.transpose()?,
        filename: filename.to_owned(),
        content_type: content_type.to_owned(),
    })
}

fn bounded(field: &str, value: Option<&str>) -> Result<Option<String>, ApiError> {
    let value = value.map(str::trim).filter(|value| !value.is_empty());
    match value {
        Some(value) if value.len() > MAX_ID_BYTES => Err(ApiError::invalid(format!(
            "Field `{field}` may have at most {MAX_ID_BYTES} bytes."
        ))),
        value => Ok(value.map(str::to_owned)),
    }
}

/// An artifact that is uploaded as base64 in JSON.
///
/// # Errors
/// 400, 402 by the plan, 404, 413, 429 at the quota, 503 without storage.
pub async fn upload(
    call: &Call,
    key: &SessionKey,
    mut upload: UploadArtifact,
) -> Result<Artifact, ApiError> {
    let encoded = std::mem::take(&mut upload.data_base64);
    let checked = check(&upload)?;
    sessions::own(&call.cloud, &call.scope()?, key).await?;
    // Before decoding: four characters are three bytes.
    if encoded.len() / 4 * 3 > MAX_ARTIFACT_BYTES + 3 {
        return Err(too_large());
    }
    let data = BASE64
        .decode(encoded.trim())
        .map_err(|_| ApiError::invalid("Field `dataBase64` must be valid base64."))?;
    drop(encoded);
    if data.len() > MAX_ARTIFACT_BYTES {
        return Err(too_large());
    }
    let id = ArtifactId::new(call.new_id("artifact"));
    store(call, key, id, checked, data.into()).await
}

fn too_large() -> ApiError {
    let mut error = ApiError::too_large();
    error.message = "Cloud artifact is too large; at most 25 MiB are allowed.".to_owned();
    error.code("artifacts.too_large")
}

/// An artifact that is uploaded as plain bytes, under an id that the client chose (additive).
///
/// # Errors
/// As [`upload`]; 409 when the id is taken by another content.
pub async fn upload_content(
    call: &Call,
    key: &SessionKey,
    id: ArtifactId,
    upload: UploadArtifact,
    data: Bytes,
) -> Result<Artifact, ApiError> {
    if uuid::Uuid::parse_str(id.as_str()).is_err() {
        return Err(ApiError::invalid(
            "The id of a new artifact must be a UUID.",
        ));
    }
    let checked = check(&upload)?;
    sessions::own(&call.cloud, &call.scope()?, key).await?;
    if data.len() > MAX_ARTIFACT_BYTES {
        return Err(too_large());
    }
    if let Some(stored) = call.cloud.store.artifact(key, &id).await? {
        let same = stored.artifact.filename == checked.filename
            && stored.artifact.size == data.len() as u64
            && bytes_of(&call.cloud, key, &stored).await? == data;
        return match same {
            true => Ok(shown(stored, 0, false)),
            false => Err(ApiError::conflict(
                "An artifact with this id exists; choose another id.",
            )),
        };
    }
    store(call, key, id, checked, data).await
}

async fn store(
    call: &Call,
    key: &SessionKey,
    id: ArtifactId,
    checked: Checked,
    data: Bytes,
) -> Result<Artifact, ApiError> {
    let cloud = &call.cloud;
    let objects = objects(cloud)?;
    if let Some(stored) = cloud.store.artifact(key, &id).await? {
        // The same request again, after a crash that its idempotency key didn't see the end of.
        return Ok(shown(stored, 0, false));
    }
    let size = data.len() as u64;
    let now = cloud.now();
    let wish = BillingWish::to(BillingAction::ArtifactUpload);
    billing::gate(cloud, &key.tenant_id, wish).await?;
    let quotas = billing::quotas(cloud, &key.tenant_id).await?;
    let claim = QuotaClaim {
        key: QuotaKey::ArtifactBytesDay,
        amount: size,
        limit: quotas.artifact_bytes_per_day,
    };
    cloud
        .store
        .consume_quota(&key.tenant_id, &claim, now)
        .await?;
    let object = object_key(key, &id, &checked.filename);
    let artifact = new_artifact(key, id, checked, size, iso(now));
    let stored = async {
        objects.put(&object, data).await?;
        append(
            cloud,
            key,
            EventType::ArtifactCreated,
            created_payload(&artifact),
            &artifact,
        )
        .await?;
        let row = cloud
            .store
            .put_artifact(key, artifact.clone(), Some(object.clone()))
            .await?;
        Ok::<ArtifactRow, ApiError>(row)
    };
    let row = match stored.await {
        Ok(row) => row,
        Err(error) => {
            // The bytes stay where no event names them, in case the event got through after all.
            if let Err(error) = cloud.store.refund_quota(&key.tenant_id, &claim, now).await {
                tracing::warn!(%error, "an upload that failed still counts in its quota");
            }
            return Err(error);
        }
    };
    count(call, UsageEventType::ArtifactUploaded, &row.artifact, 1).await;
    Ok(shown(row, 0, false))
}

fn new_artifact(
    key: &SessionKey,
    id: ArtifactId,
    checked: Checked,
    size: u64,
    at: String,
) -> Artifact {
    Artifact {
        artifact_id: id.clone(),
        id: id.clone(),
        tool_id: "cloud-artifact".to_owned(),
        tool_name: "cloud.artifact".to_owned(),
        file_path: cloud_path(&id, &checked.filename),
        filename: checked.filename,
        order: 0,
        source: "cloud".to_owned(),
        cloud_artifact_id: id,
        session_id: key.session_id.clone(),
        session_title: None,
        workspace_id: None,
        mime: Some(checked.content_type.clone()),
        content_type: checked.content_type,
        size,
        created_at: at.clone(),
        updated_at: at,
        kind: checked.kind,
        status: checked.status,
        author_agent_id: checked.author_agent_id,
        project_id: checked.project_id,
        task_id: checked.task_id,
        status_updated_by: checked.status_updated_by,
        status_updated_at: checked.status_updated_at,
    }
}

/// The exact payload of 03 §9.7.
fn created_payload(artifact: &Artifact) -> Value {
    json!({
        "artifactId": artifact.artifact_id,
        "sessionId": artifact.session_id,
        "filename": artifact.filename,
        "contentType": artifact.content_type,
        "size": artifact.size,
        "createdAt": artifact.created_at,
        "updatedAt": artifact.updated_at,
        "kind": artifact.kind,
        "status": artifact.status,
        "authorAgentId": artifact.author_agent_id,
        "projectId": artifact.project_id,
        "taskId": artifact.task_id,
        "statusUpdatedBy": artifact.status_updated_by,
        "statusUpdatedAt": artifact.status_updated_at,
    })
}

async fn append(
    cloud: &Cloud,
    key: &SessionKey,
    kind: EventType,
    payload: Value,
    artifact: &Artifact,
) -> Result<(), ApiError> {
    let payload: JsonObject = payload.as_object().cloned().unwrap_or_default();
    let created = kind == EventType::ArtifactCreated;
    let mut event = RuntimeEvent::new(kind, payload.into());
    if created {
        let id = format!(
            "{}:artifact.created:{}",
            key.session_id, artifact.artifact_id
        );
        event = event.with_id(id);
    }
    match cloud.log.append(key, vec![event]).await {
        Ok(_) => Ok(()),
        // An earlier try of the same request got this far and died: what it said counts, the index follows.
        Err(error) if matches!(error.store_error(), Some(StoreError::EventIdReused(_))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The artifact in an answer: its place, and in the index its workspace.
fn shown(row: ArtifactRow, order: u64, in_index: bool) -> Artifact {
    let mut artifact = row.artifact;
    artifact.order = order;
    artifact.workspace_id = in_index.then(|| format!("cloud:{}", row.scope.tenant_id));
    artifact
}

/// One page of the index.
///
/// # Errors
/// 400 for too many or too long ids or a bad cursor.
pub async fn index(cloud: &Cloud, query: ArtifactQuery) -> Result<ArtifactIndex, ApiError> {
    let page = cloud.store.page_artifacts(&query).await?;
    let sessions: BTreeSet<_> = page
        .rows
        .iter()
        .map(|row| &row.artifact.session_id)
        .collect();
    let scanned_sessions = sessions.len() as u64;
    let more = page.next.is_some();
    let total = page.rows.len() as u64 + u64::from(more);
    let rows = page.rows.into_iter().zip(0..);
    Ok(ArtifactIndex {
        artifacts: rows.map(|(row, order)| shown(row, order, true)).collect(),
        total,
        scanned_sessions,
        truncated: more,
        next_cursor: page.next,
    })
}

/// The artifacts of a thread, touched last first; at most 5000.
///
/// # Errors
/// 404.
pub async fn list(
    cloud: &Cloud,
    scope: &Scope,
    key: &SessionKey,
) -> Result<Vec<Artifact>, ApiError> {
    sessions::own(cloud, scope, key).await?;
    let mut query = ArtifactQuery {
        session_id: Some(key.session_id.clone()),
        limit: 500,
        ..ArtifactQuery::new(scope.clone())
    };
    let mut artifacts = Vec::new();
    for _ in 0..10 {
        let page = cloud.store.page_artifacts(&query).await?;
        for row in page.rows {
            let order = artifacts.len() as u64;
            artifacts.push(shown(row, order, false));
        }
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    Ok(artifacts)
}

/// An artifact and its bytes.
///
/// # Errors
/// 404 also when the bytes are gone, 503 without storage.
pub async fn read(
    call: &Call,
    key: &SessionKey,
    id: &ArtifactId,
) -> Result<(Artifact, Bytes), ApiError> {
    let cloud = &call.cloud;
    sessions::own(cloud, &call.scope()?, key).await?;
    let row = cloud.store.artifact(key, id).await?.ok_or_else(not_found)?;
    let data = bytes_of(cloud, key, &row).await?;
    count(call, UsageEventType::ArtifactDownloaded, &row.artifact, 1).await;
    Ok((shown(row, 0, false), data))
}

async fn bytes_of(cloud: &Cloud, key: &SessionKey, row: &ArtifactRow) -> Result<Bytes, ApiError> {
    let derived = || object_key(key, &row.artifact.artifact_id, &row.artifact.filename);
    let object = row.key.clone().unwrap_or_else(derived);
    objects(cloud)?.get(&object).await?.ok_or_else(not_found)
}

/// Changes the status and what goes with it.
///
/// # Errors
/// 400, 404, 409 when the status would go back.
pub async fn change(
    cloud: &Cloud,
    scope: &Scope,
    key: &SessionKey,
    id: &ArtifactId,
    asked: UpdateArtifactStatus,
) -> Result<Artifact, ApiError> {
    let change = ArtifactChange {
        status: asked.status,
        updated_by: bounded("updatedBy", asked.updated_by.as_deref())?,
        author_agent_id: bounded("authorAgentId", asked.author_agent_id.as_deref())?,
        project_id: bounded("projectId", asked.project_id.as_deref())?,
        task_id: bounded("taskId", asked.task_id.as_deref())?,
        kind: asked.kind,
    };
    sessions::own(cloud, scope, key).await?;
    let row = cloud
        .store
        .change_artifact(key, id, change, cloud.now())
        .await;
    let row = row.map_err(|error| match error {
        StoreError::Missing(_) => not_found(),
        error => error.into(),
    })?;
    let artifact = shown(row, 0, false);
    let payload = serde_json::to_value(&artifact).map_err(|_| ApiError::internal())?;
    append(cloud, key, EventType::ArtifactUpdated, payload, &artifact).await?;
    Ok(artifact)
}

/// Usage is told, never a reason to fail.
async fn count(call: &Call, event_type: UsageEventType, artifact: &Artifact, quantity: u64) {
    let Ok(principal) = call.principal() else {
        return;
    };
    let mut metadata = JsonObject::new();
    metadata.insert("sessionId".to_owned(), json!(artifact.session_id));
    metadata.insert("artifactId".to_owned(), json!(artifact.artifact_id));
    metadata.insert("size".to_owned(), json!(artifact.size));
    let event = NewUsage {
        event_id: format!("{event_type}:{}:{}", artifact.artifact_id, call.request_id),
        account_id: Some(principal.account_id.as_str().into()),
        event_type,
        quantity,
        metadata,
        at: call.cloud.now(),
    };
    usage::record(&call.cloud, &principal.tenant_id, event).await;
}
