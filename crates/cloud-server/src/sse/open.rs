//! The streams of a thread and of a workspace: from a cursor, over what a gap needs, to live (03 §9.4).

use super::frame::{Gap, workspace as workspace_frame};
use super::{Frame, answer};
use crate::call::{Call, Query};
use crate::error::ApiError;
use crate::reply::Answer;
use crate::service::sessions;
use axum::http::HeaderMap;
use futures::stream::{self, BoxStream, StreamExt};
use open_cowork_providers::store::{Scope, SessionKey, SessionQuery};
use open_cowork_providers::time::iso;
use open_cowork_thread_log::{Update, WorkspaceUpdate};
use serde_json::json;

/// Where a stream starts: after this sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub u64);

impl Cursor {
    /// The larger of `after` and `Last-Event-ID` (03 §12 #2); whatever is no whole number counts as 0.
    pub fn of(query: Query<'_>, headers: &HeaderMap) -> Cursor {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let after = query.text("after").as_deref().and_then(number);
        let last = headers
            .get("last-event-id")
            .and_then(|value| number(value.to_str().ok()?));
        Cursor(after.unwrap_or(0).max(last.unwrap_or(0)))
    }
}

/// What a stream begins with: a gap to tell of, and the sequence after which it goes on.
fn begin(after: u64, earliest: Option<u64>, latest: u64) -> (Option<Gap>, u64) {
    let first = earliest.unwrap_or(latest + 1);
    let gap = |reason| Gap {
        reason,
        after,
        earliest: first,
        latest,
    };
    match after {
        // Initial hydration is never a gap: everything that is retained.
        0 => (None, first - 1),
        after if after > latest => (Some(gap(Gap::AHEAD)), latest),
        after if first > after + 1 => (Some(gap(Gap::RETENTION)), latest),
        after => (None, after),
    }
}

/// Follows a thread of the caller.
///
/// # Errors
/// 404; 429 and 503 as [`answer`].
pub async fn session(call: &Call, key: &SessionKey) -> Answer {
    let cloud = &call.cloud;
    sessions::own(cloud, &call.scope()?, key).await?;
    session_of(call, key).await
}

/// Follows a thread that the caller was shown to be allowed to read.
///
/// # Errors
/// 429 and 503 as [`answer`].
pub async fn session_of(call: &Call, key: &SessionKey) -> Answer {
    let cloud = &call.cloud;
    let Cursor(after) = Cursor::of(call.query(), &call.headers);
    cloud.streams().learn_epoch(&*cloud.store).await;
    let stats = cloud.store.event_stats(key).await?;
    let (gap, start) = begin(after, stats.earliest_sequence, stats.latest_sequence);
    let updates = cloud.log.subscribe(key, start).await?;
    let now = cloud.clock.clone();
    let id = key.session_id.to_string();
    let first = gap.and_then(|gap| gap.frame(Some(&id), &iso(now())));
    let hub = cloud.streams().hub.clone();
    let (store, key) = (cloud.store.clone(), key.clone());
    let live = stream::unfold((updates, start), move |(mut updates, mut sent)| {
        let (hub, id, now) = (hub.clone(), id.clone(), now.clone());
        let (store, key) = (store.clone(), key.clone());
        async move {
            loop {
                let frame = match updates.next().await? {
                    Update::Event(record) => {
                        sent = record.sequence;
                        hub.frames.session(&record)
                    }
                    Update::Reset { sequence } => {
                        let stats = store.event_stats(&key).await;
                        let earliest = stats.ok().and_then(|stats| stats.earliest_sequence);
                        let gap = Gap {
                            reason: reset_reason(sent, sequence),
                            after: sent,
                            earliest: earliest.unwrap_or(sequence + 1),
                            latest: sequence,
                        };
                        sent = sequence;
                        gap.frame(Some(&id), &iso(now()))
                    }
                };
                if let Some(frame) = frame {
                    return Some((frame, (updates, sent)));
                }
            }
        }
    });
    let frames: BoxStream<'static, Frame> = stream::iter(first).chain(live).boxed();
    answer(call, frames)
}

fn reset_reason(sent: u64, sequence: u64) -> &'static str {
    match sent > sequence {
        true => Gap::AHEAD,
        false => Gap::RETENTION,
    }
}

/// Follows the caller's workspace. `?snapshot=true` without a cursor begins with the list of threads and the
/// cursor that belongs to it (03 §12 #5).
///
/// # Errors
/// 429 and 503 as [`answer`].
pub async fn workspace(call: &Call) -> Answer {
    let cloud = &call.cloud;
    let scope = call.scope()?;
    let Cursor(after) = Cursor::of(call.query(), &call.headers);
    cloud.streams().learn_epoch(&*cloud.store).await;
    let stored = cloud.store.workspace_cursor(&scope).await?;
    let wants_snapshot = after == 0 && call.query().text("snapshot").as_deref() == Some("true");
    let (first, start) = match wants_snapshot {
        true => (
            snapshot(call, &scope, stored.latest_sequence).await?,
            stored.latest_sequence,
        ),
        false => {
            let (gap, start) = begin(after, stored.earliest_sequence, stored.latest_sequence);
            (gap.and_then(|gap| gap.frame(None, &cloud.now_iso())), start)
        }
    };
    let updates = cloud.log.subscribe_workspace(&scope, start);
    let now = cloud.clock.clone();
    let store = cloud.store.clone();
    let live = stream::unfold((updates, start), move |(mut updates, mut sent)| {
        let (store, scope, now) = (store.clone(), scope.clone(), now.clone());
        async move {
            loop {
                let frame = match updates.next().await? {
                    WorkspaceUpdate::Event(record) => {
                        sent = record.sequence;
                        workspace_frame(&record)
                    }
                    WorkspaceUpdate::Reset { sequence } => {
                        let cursor = store.workspace_cursor(&scope).await;
                        let earliest = cursor.ok().and_then(|cursor| cursor.earliest_sequence);
                        let gap = Gap {
                            reason: reset_reason(sent, sequence),
                            after: sent,
                            earliest: earliest.unwrap_or(sequence + 1),
                            latest: sequence,
                        };
                        sent = sequence;
                        gap.frame(None, &iso(now()))
                    }
                };
                if let Some(frame) = frame {
                    return Some((frame, (updates, sent)));
                }
            }
        }
    });
    let frames = stream::iter(first).chain(live).boxed();
    answer(call, frames)
}

/// The list of threads, read after its cursor: what happens in between comes twice rather than never.
async fn snapshot(call: &Call, scope: &Scope, cursor: u64) -> Result<Option<Frame>, ApiError> {
    let mut query = SessionQuery::new(scope.clone());
    query.limit = open_cowork_providers::store::page::MAX_LIMIT;
    let page = sessions::list(&call.cloud, &query).await?;
    let data = json!({"sequence": cursor, "sessions": page.sessions});
    Ok(Frame::new(
        Some(&cursor.to_string()),
        "workspace.snapshot",
        &data,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_cursor_wins_and_nonsense_is_zero() {
        let of = |query: &str, last: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(last) = last {
                headers.insert("last-event-id", last.parse().unwrap());
            }
            Cursor::of(Query::of(query), &headers).0
        };
        assert_eq!(of("after=7", Some("12")), 12);
        assert_eq!(of("after=12", Some("7")), 12);
        assert_eq!(of("after=-1", Some("x")), 0);
        assert_eq!(of("after=1.5", None), 0);
    }

    #[test]
    fn a_stream_begins_where_the_log_and_the_cursor_meet() {
        // (after, earliest, latest) → (reason, start)
        for ((after, earliest, latest), (reason, start)) in [
            ((0, None, 0), (None, 0)),
            ((0, Some(1), 9), (None, 0)),
            ((0, Some(5), 9), (None, 4)),
            ((4, Some(1), 9), (None, 4)),
            ((9, Some(1), 9), (None, 9)),
            ((4, Some(5), 9), (None, 4)),
            ((3, Some(5), 9), (Some(Gap::RETENTION), 9)),
            ((10, Some(1), 9), (Some(Gap::AHEAD), 9)),
            ((3, None, 0), (Some(Gap::AHEAD), 0)),
        ] {
            let (gap, at) = begin(after, earliest, latest);
            assert_eq!((gap.map(|gap| gap.reason), at), (reason, start), "{after}");
        }
    }
}
