//! Where a thread came from and what it works on (01 §3.4, §5).

use crate::coerce;
use open_cowork_contracts::view::{Origin, ProjectSource};
use open_cowork_contracts::{JsNumber, JsonObject};
use serde_json::Value;

/// The origin of an imported thread; `None` without a fingerprint.
pub(crate) fn origin(fields: &JsonObject, now: &str) -> Option<Origin> {
    let counts = coerce::record(fields.get("itemCounts"));
    Some(Origin {
        kind: "local-session-import".to_owned(),
        source_fingerprint: coerce::text(fields.get("sourceFingerprint"))?.to_owned(),
        imported_at: coerce::text_or(fields.get("importedAt"), now),
        item_counts: counts
            .into_iter()
            .flatten()
            .filter(|(_, count)| coerce::number(Some(count)).is_some())
            .map(|(name, count)| (name.clone(), count.clone()))
            .collect(),
    })
}

/// A bound source; `None` when its kind is unknown or a required field is missing (01 §3.4).
pub(crate) fn project_source(value: Option<&Value>) -> Option<ProjectSource> {
    let fields = coerce::record(value)?;
    let text = |key: &str| coerce::trimmed_owned(fields.get(key));
    let count = |key: &str| {
        JsNumber(
            coerce::number(fields.get(key))
                .filter(|n| *n >= 0.0)
                .unwrap_or(0.0),
        )
    };
    match fields.get("kind")?.as_str()? {
        "git" => Some(ProjectSource::Git {
            repository_url: text("repositoryUrl")?,
            reference: text("ref"),
            subdirectory: text("subdirectory"),
            credential_ref: text("credentialRef"),
        }),
        "snapshot" => Some(ProjectSource::Snapshot {
            snapshot_id: text("snapshotId")?,
            object_key: text("objectKey")?,
            file_count: count("fileCount"),
            byte_count: count("byteCount"),
            title: text("title"),
        }),
        _ => None,
    }
}
