//! Artifacts (03 §8.5, §12 #19).

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::{self, Answer};
use crate::route::{BodyBound, Route};
use crate::service::artifacts;
use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, RANGE,
};
use axum::http::{HeaderValue, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Limited};
use open_cowork_contracts::ArtifactId;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::artifacts::{
    AbortAnswer, AbortUpload, AbortedUpload, ArtifactAnswer, ArtifactData, ArtifactIndex,
    ArtifactKind, ArtifactList, ArtifactStatus, ArtifactWithData, UnsupportedUpload,
    UpdateArtifactStatus, UploadAnswer, UploadArtifact, UploadState, UploadTransfer,
};
use open_cowork_providers::store::artifacts::{
    ArtifactQuery, MAX_ARTIFACT_BYTES, MAX_ARTIFACTS, MAX_ID_BYTES,
};
use sha2::{Digest, Sha256};

/// Most tasks that can be asked for at once.
const MAX_TASKS: usize = 128;

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "artifacts",
            CloudAction::ArtifactsIndex,
            "The caller's artifacts, touched last first",
            index,
        )
        .query(&[
            ("sessionId", "Only of this thread"),
            ("projectId", "Only of this project"),
            ("taskId", "Only of this task"),
            (
                "taskIds",
                "Only of one of these tasks; repeated or with commas, at most 128",
            ),
            (
                "kind",
                "Only `document`, `chart`, `deck`, `spreadsheet` or `draft`",
            ),
            ("status", "Only `draft`, `in-review` or `final`"),
            ("limit", "Rows: 1 to 500, 100 when absent"),
            ("cursor", "`nextCursor` of the page before"),
        ])
        .answers::<ArtifactIndex>(),
        Route::get(
            "sessions/:id/artifacts",
            CloudAction::ArtifactsList,
            "The artifacts of a thread",
            list,
        )
        .answers::<ArtifactList>(),
        Route::post(
            "sessions/:id/artifacts",
            CloudAction::ArtifactsUpload,
            "Uploads an artifact",
            upload,
        )
        .query(&[(
            "transfer",
            "`presigned` asks for a direct upload, which this version doesn't have",
        )])
        .takes::<UploadArtifact>()
        .answers::<ArtifactAnswer>()
        .also(&[(
            200,
            "A direct upload was asked for: `{upload: {transfer: \"unsupported\"}}`",
        )])
        .body(BodyBound::Large)
        .status(201),
        Route::get(
            "sessions/:id/artifacts/:aid",
            CloudAction::ArtifactsRead,
            "An artifact and its bytes as base64",
            read,
        )
        .query(&[("transfer", "`presigned` is answered like nothing")])
        .answers::<ArtifactWithData>(),
        Route::post(
            "sessions/:id/artifacts/:aid/status",
            CloudAction::ArtifactsUpdate,
            "Changes an artifact's status",
            status,
        )
        .takes::<UpdateArtifactStatus>()
        .answers::<ArtifactAnswer>(),
        Route::post(
            "sessions/:id/artifacts/:aid/finalize",
            CloudAction::ArtifactsFinalize,
            "Ends a direct upload; 409, since there is none",
            finalize,
        )
        .answers::<ArtifactAnswer>()
        .status(201),
        Route::post(
            "sessions/:id/artifacts/:aid/abort",
            CloudAction::ArtifactsAbort,
            "Gives a direct upload up",
            abort,
        )
        .takes::<AbortUpload>()
        .answers::<AbortAnswer>(),
        Route::get(
            "sessions/:id/artifacts/:aid/content",
            CloudAction::ArtifactsRead,
            "The bytes of an artifact, whole or a range",
            content,
        )
        .also(&[
            (206, "A range of the bytes"),
            (304, "The caller has these bytes"),
        ])
        .media("application/octet-stream"),
        Route::put(
            "sessions/:id/artifacts/:aid/content",
            CloudAction::ArtifactsUpload,
            "Uploads an artifact as plain bytes",
            put_content,
        )
        .query(&[
            ("filename", "Its name"),
            ("kind", "What it is"),
            ("status", "How finished it is"),
            ("projectId", "Its project"),
            ("taskId", "Its task"),
            ("authorAgentId", "The agent that made it"),
        ])
        .answers::<ArtifactAnswer>()
        .body(BodyBound::Stream)
        .status(201),
    ]
}

fn artifact_id(call: &Call) -> ArtifactId {
    ArtifactId::new(call.param("aid"))
}

async fn index(call: Call) -> Answer {
    let query = call.query();
    let joined = query.all("taskIds");
    let mut task_ids: Vec<String> = joined
        .iter()
        .flat_map(|tasks| tasks.split(','))
        .map(str::trim)
        .filter(|task| !task.is_empty())
        .map(str::to_owned)
        .collect();
    if task_ids.len() > MAX_TASKS || task_ids.iter().any(|task| task.len() > MAX_ID_BYTES) {
        return Err(ApiError::invalid(format!(
            "Query parameter `taskIds` may hold at most {MAX_TASKS} ids of at most {MAX_ID_BYTES} bytes."
        )));
    }
    if let Some(task) = query.text("taskId") {
        // Both filters must hold.
        let listed = task_ids.is_empty() || task_ids.contains(&task);
        task_ids = match listed {
            true => vec![task],
            false => return reply::ok(&ArtifactIndex::default()),
        };
    }
    let query = ArtifactQuery {
        session_id: query.text("sessionId").map(Into::into),
        project_id: query.text("projectId"),
        task_ids,
        kind: query.name("kind", ArtifactKind::ALL, ArtifactKind::as_str)?,
        status: query.name("status", ArtifactStatus::ALL, ArtifactStatus::as_str)?,
        limit: query.limit(100, MAX_ARTIFACTS),
        cursor: query.text("cursor"),
        ..ArtifactQuery::new(call.scope()?)
    };
    reply::ok(&artifacts::index(&call.cloud, query).await?)
}

async fn list(call: Call) -> Answer {
    let artifacts = artifacts::list(&call.cloud, &call.scope()?, &call.session_key()?).await?;
    reply::ok(&ArtifactList { artifacts })
}

fn presigned(call: &Call) -> bool {
    call.query()
        .text("transfer")
        .is_some_and(|transfer| transfer.trim() == "presigned")
}

async fn upload(call: Call) -> Answer {
    if presigned(&call) {
        // Before anything is validated: only this exact answer lets a client upload buffered.
        let upload = UnsupportedUpload {
            transfer: UploadTransfer::Unsupported,
        };
        return reply::ok(&UploadAnswer { upload });
    }
    let key = call.session_key()?;
    let artifact = artifacts::upload(&call, &key, call.json()?).await?;
    reply::created(&ArtifactAnswer { artifact })
}

async fn read(call: Call) -> Answer {
    let key = call.session_key()?;
    let (artifact, data) = artifacts::read(&call, &key, &artifact_id(&call)).await?;
    let artifact = ArtifactData {
        artifact,
        data_base64: STANDARD.encode(&data),
    };
    reply::ok(&ArtifactWithData { artifact })
}

async fn status(call: Call) -> Answer {
    let (scope, key, id) = (call.scope()?, call.session_key()?, artifact_id(&call));
    let artifact = artifacts::change(&call.cloud, &scope, &key, &id, call.json()?).await?;
    reply::ok(&ArtifactAnswer { artifact })
}

async fn finalize(_call: Call) -> Answer {
    let refused = ApiError::conflict("Cloud artifact direct upload is not enabled.");
    Err(refused.code("artifacts.direct_upload_disabled"))
}

async fn abort(call: Call) -> Answer {
    let upload = AbortedUpload {
        artifact_id: artifact_id(&call),
        state: UploadState::NotFound,
    };
    reply::ok(&AbortAnswer { upload })
}

async fn put_content(call: Call) -> Answer {
    let query = call.query();
    let upload = UploadArtifact {
        filename: query
            .text("filename")
            .ok_or_else(|| ApiError::invalid("Query parameter `filename` is missing."))?,
        content_type: call.header("content-type").map(str::to_owned),
        data_base64: String::new(),
        kind: query.name("kind", ArtifactKind::ALL, ArtifactKind::as_str)?,
        status: query.name("status", ArtifactStatus::ALL, ArtifactStatus::as_str)?,
        author_agent_id: query.text("authorAgentId"),
        project_id: query.text("projectId"),
        task_id: query.text("taskId"),
        status_updated_by: None,
        status_updated_at: None,
    };
    let key = call.session_key()?;
    let body = call.take_stream().unwrap_or_default();
    let receive = call.cloud.options.limits.receive;
    let reading = Limited::new(body, MAX_ARTIFACT_BYTES).collect();
    let data = match tokio::time::timeout(receive, reading).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Err(ApiError::too_large().closing()),
        Err(_) => {
            let slow = ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "request.timeout",
                "The body came too slowly.",
            );
            return Err(slow.closing());
        }
    };
    let artifact = artifacts::upload_content(&call, &key, artifact_id(&call), upload, data).await?;
    reply::created(&ArtifactAnswer { artifact })
}

async fn content(call: Call) -> Answer {
    let key = call.session_key()?;
    let (artifact, data) = artifacts::read(&call, &key, &artifact_id(&call)).await?;
    let digest: String = Sha256::digest(&data)[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tag = format!("\"{digest}\"");
    let size = data.len();
    let known = call.header(IF_NONE_MATCH.as_str()).unwrap_or_default();
    let unchanged = known
        .split(',')
        .any(|known| matches!(known.trim(), known if known == "*" || known == tag));
    let asked = call.header(RANGE.as_str());
    let (status, body, range) = match (unchanged, asked.map(|asked| range(asked, size))) {
        (true, _) => (StatusCode::NOT_MODIFIED, Body::empty(), None),
        (false, None | Some(Range::Whole)) => (StatusCode::OK, Body::from(data), None),
        (false, Some(Range::Part(from, to))) => (
            StatusCode::PARTIAL_CONTENT,
            Body::from(data.slice(from..=to)),
            Some(format!("bytes {from}-{to}/{size}")),
        ),
        (false, Some(Range::Outside)) => {
            return Err(ApiError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "artifacts.range_not_satisfiable",
                format!("The artifact has {size} bytes; ask for a range inside."),
            ));
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let text = |text: &str| HeaderValue::from_str(text).map_err(|_| ApiError::internal());
    headers.insert(ETAG, text(&tag)?);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if status != StatusCode::NOT_MODIFIED {
        // What the agent made is never shown as a page of ours.
        headers.insert(CONTENT_TYPE, text(&artifact.content_type)?);
        headers.insert(CONTENT_DISPOSITION, text(&attachment(&artifact.filename))?);
    }
    if let Some(range) = range {
        headers.insert(CONTENT_RANGE, text(&range)?);
    }
    Ok(response)
}

/// `attachment` with the name as RFC 6266 writes it.
fn attachment(filename: &str) -> String {
    let encoded =
        percent_encoding::utf8_percent_encode(filename, percent_encoding::NON_ALPHANUMERIC);
    format!("attachment; filename*=UTF-8''{encoded}")
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// No range, or one that we don't know: the whole.
    Whole,
    /// First and last byte.
    Part(usize, usize),
    Outside,
}

/// One range of bytes (RFC 9110 §14); anything else means the whole.
fn range(header: &str, size: usize) -> Range {
    let Some((first, last)) = header
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Range::Whole;
    };
    if last.contains(',') {
        return Range::Whole;
    }
    let (first, last) = (first.trim(), last.trim());
    match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first > last => Range::Whole,
        (Ok(first), _) if first >= size && (last.is_empty() || last.parse::<usize>().is_ok()) => {
            Range::Outside
        }
        (Ok(first), Ok(last)) => Range::Part(first, last.min(size - 1)),
        (Ok(first), Err(_)) if last.is_empty() => Range::Part(first, size - 1),
        (Err(_), Ok(0)) if first.is_empty() => Range::Outside,
        (Err(_), Ok(last)) if first.is_empty() && size > 0 => {
            Range::Part(size.saturating_sub(last), size - 1)
        }
        (Err(_), Ok(_)) if first.is_empty() => Range::Outside,
        _ => Range::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (header, expected) in [
            ("bytes=0-4", Range::Part(0, 4)),
            ("bytes=5-", Range::Part(5, 9)),
            ("bytes=-3", Range::Part(7, 9)),
            ("bytes=-30", Range::Part(0, 9)),
            ("bytes=8-99", Range::Part(8, 9)),
            ("bytes=10-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=4-2", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("lines=1-2", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("bytes=-", Range::Whole),
        ] {
            assert_eq!(range(header, 10), expected, "{header}");
        }
        assert_eq!(range("bytes=0-", 0), Range::Outside);
    }

    proptest! {
        #[test]
        fn a_part_is_always_inside(header in "(bytes=)?[0-9]{0,3}-?[0-9]{0,3}[,a ]?", size in 0usize..50) {
            if let Range::Part(first, last) = range(&header, size) {
                prop_assert!(first <= last && last < size);
            }
        }
    }
}
