//! Importing a local thread (03 §8.4). Everything is checked before anything is written; then the bytes, the row,
//! and all events in one transaction.

use super::{billing, sessions};
use crate::cloud::Cloud;
use crate::error::ApiError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use open_cowork_contracts::api::artifacts::{Artifact, ArtifactKind, ArtifactStatus, cloud_path};
use open_cowork_contracts::api::import::{ImportArtifact, ImportRole, ImportSession};
use open_cowork_contracts::api::usage::QuotaKey;
use open_cowork_contracts::record::SessionEnvelope;
use open_cowork_contracts::{ArtifactId, EventType, RuntimeEvent, SessionId};
use open_cowork_projection::sanitize::{Redaction, Redactor};
use open_cowork_providers::billing::{BillingAction, BillingWish};
use open_cowork_providers::store::artifacts::{default_status, infer_kind, object_key};
use open_cowork_providers::store::governance::QuotaClaim;
use open_cowork_providers::store::{NewSession, Scope, SessionKey, StoreError};
use open_cowork_providers::time;
use open_cowork_thread_log::ImportedEvent;
use serde_json::{Map, Value, json};

const TITLE: usize = 512;
const MESSAGES: usize = 2000;
const CONTENT: usize = 1_000_000;
const ARTIFACTS: usize = 25;
const ARTIFACT_BYTES: usize = 25 * 1024 * 1024;
const TODOS: usize = 500;

/// Title of an import that nobody named.
const DEFAULT_TITLE: &str = "Imported session";

/// Refuses text that names a place of the machine it comes from, or looks like a secret, wherever it stands.
///
/// # Errors
/// 400 with the place, never with the text.
pub fn screen(body: &Map<String, Value>) -> Result<(), ApiError> {
    let redactor = Redactor::default();
    for (key, value) in body {
        screen_value(&redactor, key, value)?;
    }
    Ok(())
}

fn screen_value(redactor: &Redactor, place: &str, value: &Value) -> Result<(), ApiError> {
    match value {
        Value::String(text) => screen_text(redactor, place, text),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(n, item)| screen_value(redactor, &format!("{place}[{n}]"), item)),
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| *key != "dataBase64")
            .try_for_each(|(key, value)| screen_value(redactor, &format!("{place}.{key}"), value)),
        _ => Ok(()),
    }
}

fn screen_text(redactor: &Redactor, place: &str, text: &str) -> Result<(), ApiError> {
    if names_local_path(text) {
        return Err(ApiError::invalid(format!(
            "Field `{place}` names a path of the machine that it comes from; leave it out."
        ))
        .code("import.local_path"));
    }
    if redactor.redact(text, Redaction::ExactAction) != text {
        return Err(ApiError::invalid(format!(
            "Field `{place}` holds what looks like a secret; take it out."
        ))
        .code("import.secret"));
    }
    Ok(())
}

fn names_local_path(text: &str) -> bool {
    const ROOTS: [&str; 9] = [
        "/Users/",
        "/home/",
        "/root/",
        "/private/",
        "/var/",
        "/tmp/",
        "/Volumes/",
        "/opt/",
        "/etc/",
    ];
    if text.contains("file:///") {
        return true;
    }
    let starts = |at: usize| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "._-/:".contains(c)))
    };
    let rooted = |root: &&str| text.match_indices(*root).any(|(at, _)| starts(at));
    let drive = || {
        text.match_indices(":\\").any(|(at, _)| {
            let letter = text[..at].chars().next_back();
            letter.is_some_and(|c| c.is_ascii_alphabetic()) && starts(at - 1)
        })
    };
    ROOTS.iter().any(rooted) || drive()
}

/// An artifact that was checked: what the index gets, and its bytes.
struct Checked {
    artifact: Artifact,
    key: String,
    bytes: Bytes,
}

/// Imports. The same id again gives the thread as it is.
///
/// # Errors
/// 400 for what is too much or too long, 402 by the plan, 429 at a quota, 503 for artifacts without a store.
pub async fn run(
    cloud: &Cloud,
    scope: &Scope,
    id: SessionId,
    import: ImportSession,
) -> Result<SessionEnvelope, ApiError> {
    bounds(&import)?;
    let now = cloud.now_iso();
    let key = SessionKey {
        tenant_id: scope.tenant_id.clone(),
        session_id: id,
    };
    let title = import.title.clone().or_else(|| import.source.title.clone());
    let title = title.unwrap_or_else(|| DEFAULT_TITLE.to_owned());
    let artifacts = import.artifacts.iter().enumerate();
    let artifacts: Vec<Checked> = artifacts
        .map(|(n, artifact)| check(&key, &title, n, artifact, &now))
        .collect::<Result<_, _>>()?;
    let profile = import.profile_name.clone();
    let profile = profile.unwrap_or_else(|| cloud.options.profile.name.clone());
    let wish = BillingWish {
        profile: Some(&profile),
        ..BillingWish::to(BillingAction::SessionCreate)
    };
    billing::gate(cloud, &scope.tenant_id, wish).await?;
    let new = NewSession {
        tenant_id: scope.tenant_id.clone(),
        user_id: scope.user_id.clone(),
        session_id: key.session_id.clone(),
        profile_name: profile,
        title: Some(title.clone()),
        directory: None,
        created_at: now.clone(),
    };
    let quotas = billing::quotas(cloud, &scope.tenant_id).await?;
    let claim = QuotaClaim {
        key: QuotaKey::ArtifactBytesDay,
        amount: artifacts
            .iter()
            .map(|checked| checked.bytes.len() as u64)
            .sum(),
        limit: quotas.artifact_bytes_per_day,
    };
    if claim.amount > 0 {
        let (store, at) = (&cloud.store, cloud.now());
        store.consume_quota(&scope.tenant_id, &claim, at).await?;
    }
    if let Err(error) = place(cloud, scope, &artifacts, new).await {
        let (store, at) = (&cloud.store, cloud.now());
        if claim.amount > 0
            && let Err(error) = store.refund_quota(&scope.tenant_id, &claim, at).await
        {
            tracing::warn!(%error, "an import that failed still counts in its quota");
        }
        return Err(error);
    }
    let events = events(&key, &title, &import, &artifacts, &now);
    cloud.log.import(&key, events).await?;
    for checked in artifacts {
        let put = cloud
            .store
            .put_artifact(&key, checked.artifact, Some(checked.key));
        put.await?;
    }
    sessions::read(cloud, scope, &key).await
}

/// Puts the bytes, then makes the row.
async fn place(
    cloud: &Cloud,
    scope: &Scope,
    artifacts: &[Checked],
    new: NewSession,
) -> Result<(), ApiError> {
    let objects = match &cloud.objects {
        None if !artifacts.is_empty() => {
            return Err(ApiError::unavailable(
                "artifacts.unavailable",
                "This cloud keeps no artifacts; import without them.",
            ));
        }
        objects => objects,
    };
    if let Some(objects) = objects {
        for checked in artifacts {
            objects.put(&checked.key, checked.bytes.clone()).await?;
        }
    }
    let limit = sessions::in_use(cloud, scope).await?;
    let Err(error) = cloud.store.create_session_within(new, limit).await else {
        return Ok(());
    };
    // It was not made: nothing will ever name these bytes.
    if let (StoreError::Quota(_), Some(objects)) = (&error, objects) {
        for checked in artifacts {
            if let Err(error) = objects.delete(&checked.key).await {
                tracing::warn!(%error, "bytes of a refused import stay behind");
            }
        }
    }
    Err(error.into())
}

fn bounds(import: &ImportSession) -> Result<(), ApiError> {
    let too_long = |text: &Option<String>| text.as_ref().is_some_and(|t| t.chars().count() > TITLE);
    let mut findings = Vec::new();
    if too_long(&import.title) || too_long(&import.source.title) {
        findings.push(format!("`title` has more than {TITLE} characters"));
    }
    if import.messages.len() > MESSAGES {
        findings.push(format!("`messages` has more than {MESSAGES} entries"));
    }
    for (n, message) in import.messages.iter().enumerate() {
        if message.content.chars().count() > CONTENT {
            findings.push(format!(
                "`messages[{n}].content` has more than {CONTENT} characters"
            ));
        }
        let time = message.timestamp.as_deref();
        if time.is_some_and(|time| time::parse_iso(time).is_none()) {
            findings.push(format!("`messages[{n}].timestamp` is no ISO-8601 time"));
        }
    }
    if import.artifacts.len() > ARTIFACTS {
        findings.push(format!("`artifacts` has more than {ARTIFACTS} entries"));
    }
    if import
        .todos
        .as_ref()
        .is_some_and(|todos| todos.len() > TODOS)
    {
        findings.push(format!("`todos` has more than {TODOS} entries"));
    }
    if import.session_cost.is_some_and(|cost| cost < 0.0) {
        findings.push("`sessionCost` is negative".to_owned());
    }
    match findings.is_empty() {
        true => Ok(()),
        false => Err(ApiError::invalid(format!(
            "This can't be imported: {}.",
            findings.join("; ")
        ))),
    }
}

fn check(
    key: &SessionKey,
    title: &str,
    n: usize,
    given: &ImportArtifact,
    now: &str,
) -> Result<Checked, ApiError> {
    let wrong = |what: &str| ApiError::invalid(format!("Field `artifacts[{n}].{what}."));
    let filename = given.filename.trim();
    let plain = !filename.contains(['/', '\\', '\0']) && ![".", ".."].contains(&filename);
    if filename.is_empty() || !plain || filename.chars().count() > 256 {
        return Err(wrong(
            "filename` is no plain file name of at most 256 characters",
        ));
    }
    let bytes = STANDARD
        .decode(given.data_base64.trim())
        .map_err(|_| wrong("dataBase64` is no base64"))?;
    if bytes.len() > ARTIFACT_BYTES {
        return Err(ApiError::too_large());
    }
    let content_type = given
        .content_type
        .clone()
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    let kind = match &given.kind {
        None => infer_kind(filename, &content_type),
        Some(name) => ArtifactKind::parse(name).ok_or_else(|| wrong("kind` is unknown"))?,
    };
    let status = match &given.status {
        None => default_status(kind),
        Some(name) => ArtifactStatus::parse(name).ok_or_else(|| wrong("status` is unknown"))?,
    };
    let updated = given.status_updated_at.as_deref();
    if updated.is_some_and(|at| time::parse_iso(at).is_none()) {
        return Err(wrong("statusUpdatedAt` is no ISO-8601 time"));
    }
    // The same import of the same thread makes the same artifacts.
    let id = uuid_of(&[key.session_id.as_str(), "artifact", &n.to_string()]);
    let id = ArtifactId::new(id);
    let artifact = Artifact {
        artifact_id: id.clone(),
        tool_id: "cloud-artifact".into(),
        tool_name: "cloud.artifact".into(),
        file_path: cloud_path(&id, filename),
        filename: filename.to_owned(),
        order: n as u64,
        source: "cloud".into(),
        cloud_artifact_id: id.clone(),
        session_id: key.session_id.clone(),
        session_title: Some(title.to_owned()),
        workspace_id: None,
        mime: Some(content_type.clone()),
        content_type,
        size: bytes.len() as u64,
        created_at: now.to_owned(),
        updated_at: now.to_owned(),
        kind,
        status,
        author_agent_id: given.author_agent_id.clone(),
        project_id: given.project_id.clone(),
        task_id: given.task_id.clone(),
        status_updated_by: given.status_updated_by.clone(),
        status_updated_at: given.status_updated_at.clone(),
        id,
    };
    Ok(Checked {
        key: object_key(key, &artifact.id, filename),
        artifact,
        bytes: bytes.into(),
    })
}

fn uuid_of(parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(parts.join("\0"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

/// The events in the contract's order; their ids derive from their places, so that importing twice adds nothing.
fn events(
    key: &SessionKey,
    title: &str,
    import: &ImportSession,
    artifacts: &[Checked],
    now: &str,
) -> Vec<ImportedEvent> {
    let id = &key.session_id;
    let mut events = Vec::new();
    let mut add = |kind: EventType, name: String, payload: Value, at: &str| {
        let event = RuntimeEvent::new(kind, payload).with_id(format!("{id}:{name}"));
        events.push(ImportedEvent {
            event,
            created_at: at.to_owned(),
        });
    };
    let created = json!({"title": title, "runtimePending": true});
    add(
        EventType::SessionCreated,
        "session.created".into(),
        created,
        now,
    );
    let imported = json!({
        "sourceFingerprint": import.source.fingerprint,
        "importedAt": now,
        "itemCounts": import.item_counts,
    });
    add(
        EventType::SessionImported,
        "session.imported".into(),
        imported,
        now,
    );
    let mut messages: Vec<_> = import.messages.iter().collect();
    messages.sort_by(|a, b| a.order.total_cmp(&b.order));
    for (n, message) in messages.into_iter().enumerate() {
        let at = message.timestamp.as_deref().and_then(time::parse_iso);
        let at = at.map_or_else(|| now.to_owned(), time::iso);
        let (kind, text) = match message.role {
            ImportRole::User => (EventType::PromptSubmitted, "text"),
            ImportRole::Assistant => (EventType::AssistantMessage, "content"),
        };
        let mut payload = json!({
            "messageId": message.id,
            "attachments": message.attachments.clone().unwrap_or_default(),
            "imported": true,
        });
        payload[text] = json!(message.content);
        add(kind, format!("import:message:{n}"), payload, &at);
    }
    if let Some(todos) = &import.todos {
        let payload = json!({"todos": todos, "imported": true});
        add(EventType::TodosUpdated, "import:todos".into(), payload, now);
    }
    if import.session_cost.is_some() || import.session_tokens.is_some() {
        let payload = json!({
            "cost": import.session_cost.unwrap_or(0.0),
            "tokens": import.session_tokens.unwrap_or_default(),
            "imported": true,
        });
        add(EventType::CostUpdated, "import:cost".into(), payload, now);
    }
    let idle = json!({"imported": true});
    add(EventType::SessionIdle, "import:idle".into(), idle, now);
    for Checked { artifact, .. } in artifacts {
        let payload = json!({
            "artifactId": artifact.id, "sessionId": id, "filename": artifact.filename,
            "contentType": artifact.content_type, "size": artifact.size,
            "createdAt": artifact.created_at, "updatedAt": artifact.updated_at,
            "kind": artifact.kind, "status": artifact.status,
            "authorAgentId": artifact.author_agent_id, "projectId": artifact.project_id,
            "taskId": artifact.task_id, "statusUpdatedBy": artifact.status_updated_by,
            "statusUpdatedAt": artifact.status_updated_at,
        });
        let name = format!("artifact.created:{}", artifact.id);
        add(EventType::ArtifactCreated, name, payload, now);
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_and_secrets_are_found_wherever_they_stand() {
        let of = |text: &str| {
            let Value::Object(body) =
                json!({"messages": [{"content": text, "dataBase64": "/home/x"}]})
            else {
                unreachable!()
            };
            screen(&body).map_err(|error| error.code)
        };
        for path in [
            "see /home/ada/x",
            "(/Users/ada)/a /Users/ada/b",
            "file:///etc/passwd",
            "C:\\Users\\ada",
            "\"/tmp/a\"",
        ] {
            assert_eq!(of(path), Err("import.local_path".into()), "{path}");
        }
        assert_eq!(
            of("key sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"),
            Err("import.secret".into())
        );
        for fine in [
            "https://example.com/home/x",
            "src/var/x",
            "at 10:30",
            "and/or",
            "a/home/b",
        ] {
            assert_eq!(of(fine), Ok(()), "{fine}");
        }
    }
}
