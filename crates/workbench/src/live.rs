//! The one event stream per page: patches of the chat, rows of the rail, the connection line, and a sign of life.
//!
//! HTTP/1.1 gives a host six connections, so a page never opens a second one. Frames of the chat carry the
//! sequence of the last event they stand for as their id; rail frames carry none. The stream pulls: while the
//! browser doesn't read, nothing is queued here, and a log that ran too far ahead answers with a reset.

use crate::app::{App, Visitor, read};
use crate::pages::shell;
use crate::patch::{Op, OpenPage, Touched};
use crate::render::Context;
use crate::workspace::{ThreadSummary, ThreadUpdate, WorkspaceError};
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream, StreamExt};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

/// A sign of life; the page reconnects after 25 s of silence.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often the connection line is compared.
const CONNECTION_EVERY: Duration = Duration::from_secs(2);
/// A page grows beyond what its first load held; the script drops the oldest items at three times that.
pub(crate) const PATCHED: usize = 3;
/// Queued events that become one frame.
const BATCH: usize = 256;

/// Where to resume.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct After {
    after: Option<u64>,
}

/// `GET /events`: the rail only.
pub(crate) async fn rail(
    State(app): State<Arc<App>>,
    Extension(_): Extension<Visitor>,
) -> Response {
    respond(app, None).await
}

/// `GET /chats/{id}/events?after=N`: the chat from that sequence on, and the rail. `Last-Event-ID` wins over
/// `after`, as browsers repeat the address on reconnecting.
pub(crate) async fn chat(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    Query(query): Query<After>,
    headers: HeaderMap,
) -> Response {
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    let after = last.or(query.after).unwrap_or(0);
    let session = id.as_str().into();
    let updates = match app.workspace.follow_thread(&session, after).await {
        Ok(updates) => updates,
        Err(error) => return crate::form::error_response(&error, true),
    };
    let context = app.context(&visitor, &id);
    respond(
        app,
        Some(Chat {
            id: session,
            context,
            updates: updates.ready_chunks(BATCH),
            page: OpenPage::default(),
        }),
    )
    .await
}

struct Chat {
    id: open_cowork_contracts::SessionId,
    context: Context,
    updates: stream::ReadyChunks<BoxStream<'static, ThreadUpdate>>,
    page: OpenPage,
}

struct Live {
    app: Arc<App>,
    chat: Option<Chat>,
    rail: BoxStream<'static, ThreadSummary>,
    alive: Interval,
    connection: Interval,
    connection_html: String,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

async fn respond(app: Arc<App>, chat: Option<Chat>) -> Response {
    let Ok(permit) = app.streams.clone().try_acquire_owned() else {
        let message = "Too many pages are open; close one and this page connects by itself.";
        return crate::form::plain(StatusCode::SERVICE_UNAVAILABLE, message);
    };
    let every = |period: Duration| {
        let mut interval = interval_at(tokio::time::Instant::now() + period, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    };
    let rail = app
        .workspace
        .follow_threads()
        .await
        .chain(stream::pending())
        .boxed();
    let connection_html = shell::connection(
        &app.workspace.overview().await,
        &app.options.branding.home.ready,
    )
    .into_string();
    let live = Live {
        app,
        chat,
        rail,
        alive: every(KEEP_ALIVE),
        connection: every(CONNECTION_EVERY),
        connection_html,
        ended: false,
        _permit: permit,
    };
    let hello = stream::iter([Ok::<_, Infallible>(
        Event::default()
            .comment("connected")
            .event("tick")
            .data("0"),
    )]);
    let frames = stream::unfold(live, |mut live| async move {
        let event = live.next().await?;
        Some((Ok::<_, Infallible>(event), live))
    });
    let mut response = Sse::new(hello.chain(frames)).into_response();
    response.headers_mut().insert(
        "x-accel-buffering",
        axum::http::HeaderValue::from_static("no"),
    );
    response
}

impl Live {
    /// The next frame; `None` ends the stream, and the page reconnects.
    async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        loop {
            let Live {
                app,
                chat,
                rail,
                alive,
                connection,
                connection_html,
                ended,
                ..
            } = self;
            let app = app.clone();
            let batch = async {
                match chat {
                    Some(chat) => chat.updates.next().await,
                    None => futures::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = app.options.shutdown.cancelled() => return None,
                batch = batch => {
                    let batch = batch?;
                    let chat = chat.as_mut()?;
                    match chat.frame(&app, &batch).await {
                        Ok(Some(event)) => return Some(event),
                        Ok(None) => {}
                        Err(reset) => {
                            *ended = true;
                            return reset;
                        }
                    }
                }
                row = rail.next() => {
                    let row = row?;
                    let current = chat.as_ref().is_some_and(|chat| chat.id == row.id);
                    return patch(&shell::row_ops(&app.options.base, &row, &app.clock(), current), None);
                }
                _ = connection.tick() => {
                    let html = shell::connection(&app.workspace.overview().await, &app.options.branding.home.ready).into_string();
                    if html != *connection_html {
                        connection_html.clone_from(&html);
                        return patch(&[Op::Region { id: "connection".into(), html }], None);
                    }
                }
                _ = alive.tick() => return Some(Event::default().comment("keep-alive").event("tick").data("1")),
            }
        }
    }
}

impl Chat {
    /// One frame for all events of a batch. `Err` holds the last frame of this stream.
    async fn frame(
        &mut self,
        app: &App,
        batch: &[ThreadUpdate],
    ) -> Result<Option<Event>, Option<Event>> {
        let mut touched = Touched::default();
        for update in batch {
            match update {
                ThreadUpdate::Event(event) => touched.add(event),
                ThreadUpdate::Reset { sequence } => {
                    return Err(Some(
                        Event::default().event("reset").data(sequence.to_string()),
                    ));
                }
            }
        }
        let last = touched.last();
        let ops = match self.ops(app, touched).await {
            Ok(ops) => ops,
            Err(error) => {
                tracing::debug!(chat = %self.id, %error, "a chat could not be read for its stream");
                return Err(None);
            }
        };
        Ok(patch(&ops, Some(last)))
    }

    async fn ops(&mut self, app: &App, touched: Touched) -> Result<Vec<Op>, WorkspaceError> {
        let limit = PATCHED * app.options.limits.timeline_items;
        let mut ops = Vec::new();
        let mut touched = touched;
        // The second round, if any, reads the messages that need to be rendered whole.
        for _ in 0..2 {
            let mut page = std::mem::take(&mut self.page);
            let (back, draft) = read(app, &self.id, move |state| {
                let draft = page.collect(&state, &touched, limit);
                (page, draft)
            })
            .await?;
            self.page = back;
            let (more, again) = self.page.render(&self.context, draft);
            ops.extend(more);
            touched = again;
            if touched.is_empty() {
                break;
            }
        }
        Ok(ops)
    }
}

/// A frame of changes; nothing to say is no frame, unless it moves the page's sequence on.
fn patch(ops: &[Op], sequence: Option<u64>) -> Option<Event> {
    let data = serde_json::json!({ "ops": ops }).to_string();
    let event = Event::default().event("patch").data(data);
    Some(match sequence {
        Some(sequence) => event.id(sequence.to_string()),
        None => event,
    })
}
