//! `/chats/{id}`: the transcript, the composer and the drawer; and the full page of a tool call.

use super::home::pickers;
use super::shell::{Page, Shell};
use crate::app::{App, Visitor, read};
use crate::form::status_of;
use crate::options::random_token;
use crate::render::{self, Context, Facts};
use crate::timeline::{self, Item};
use crate::workspace::{TrustState, WorkspaceError};
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use open_cowork_contracts::SessionId;
use open_cowork_contracts::view::ToolCall;
use serde::Deserialize;
use std::sync::Arc;

/// Which part of the chat.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Part {
    before: Option<f64>,
    panel: Option<String>,
}

/// A prompt that was not sent, and why; or nothing.
#[derive(Default)]
pub(crate) struct Unsent {
    pub(crate) text: String,
    pub(crate) agent: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) error: Option<WorkspaceError>,
}

/// What one page needs of a thread.
struct Snapshot {
    items: Vec<Item>,
    /// Where the earlier page ends, if there is one.
    earlier: Option<f64>,
    facts: Facts,
    sequence: u64,
    directory: String,
}

/// `GET /chats/{id}?before=…`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Response {
    page(&app, &visitor, &id, &part, &Unsent::default()).await
}

/// The chat with the text that could not be sent, under the error's status.
pub(crate) async fn unsent(app: &App, visitor: &Visitor, id: &str, unsent: &Unsent) -> Response {
    page(app, visitor, id, &Part::default(), unsent).await
}

async fn page(app: &App, visitor: &Visitor, id: &str, part: &Part, unsent: &Unsent) -> Response {
    let session: SessionId = id.into();
    let limit = app.options.limits.timeline_items;
    let before = part.before.filter(|order| order.is_finite());
    let snapshot = read(app, &session, move |state| {
        let (entries, earlier) = timeline::entries(&state, before, limit);
        Snapshot {
            items: entries.iter().map(|entry| entry.to_item(0)).collect(),
            earlier: timeline::oldest(&entries).filter(|_| earlier),
            facts: Facts::take(&state, None),
            sequence: state.sequence,
            directory: state.directory.to_owned(),
        }
    });
    let (snapshot, shell, trust) = tokio::join!(
        snapshot,
        Shell::load(app, visitor),
        app.workspace.trust(&session)
    );
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(error) => return super::failed(app, visitor, &error),
    };
    // A folder whose files can't be read is not trusted; prompting says why.
    let trust = trust.ok().filter(|trust| !trust.trusted);
    let context = app.context(visitor, id);
    let live = before.is_none();
    let stream = if live {
        format!(
            "{}?after={}",
            app.options.base.chat_path(id, "events"),
            snapshot.sequence
        )
    } else {
        app.options.base.url("/events")
    };
    let title = render::title_text(&snapshot.facts);
    let status = unsent.error.as_ref().map_or(StatusCode::OK, status_of);
    let main = chat_main(
        &context,
        &snapshot,
        &shell,
        trust.as_ref(),
        live,
        part.panel.is_some(),
        unsent,
    );
    let path = app.options.base.chat(id);
    let page = Page {
        title: &title,
        path: &path,
        chat: Some(id),
        stream: &stream,
        main,
    };
    (status, shell.render(app, &page)).into_response()
}

fn chat_main(
    context: &Context,
    snapshot: &Snapshot,
    shell: &Shell,
    trust: Option<&TrustState>,
    live: bool,
    panel: bool,
    unsent: &Unsent,
) -> Markup {
    let here = context.base.chat(&context.chat);
    let regions = render::regions(context, &snapshot.facts);
    let region = |name: &str| {
        regions
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, markup)| markup)
    };
    let part = |name: &str| html! { @if let Some(markup) = region(name) { (markup) } };
    html! {
        div.chat.with-panel[panel] data-live[live] {
            header.chat-head {
                h1 id="chat-name" { (part("chat-name")) }
                (rename(context, &snapshot.facts.title))
                div.facts id="chat-facts" { (part("chat-facts")) }
                a.button.panel-toggle href=(if panel { here.clone() } else { format!("{here}?panel=1") }) aria-expanded=(panel) aria-controls="drawer" data-panel { "Details" }
            }
            div.scroller id="scroller" {
                div.transcript {
                    @if let Some(first) = snapshot.earlier {
                        p.earlier id="earlier" { a.button href={ (here) "?before=" (first) } { "Show earlier" } }
                    }
                    @if snapshot.items.is_empty() && trust.is_none() {
                        p.empty { "Nothing here yet. Write what should be done; the coworker works in " @if snapshot.directory.is_empty() { "a folder of this chat" } @else { code { (snapshot.directory) } } "." }
                    }
                    div.timeline id="timeline" role="log" aria-label="Chat" aria-live="polite" aria-busy=(snapshot.facts.working) {
                        @for item in &snapshot.items { (render::item(context, item)) }
                    }
                    @if live {
                        div.working id="working" { (part("working")) }
                    } @else {
                        p.earlier { a.button href=(here) { "Show the latest" } }
                    }
                    div.latest-at { a.latest id="latest" href="#composer" hidden { "Latest ↓" } }
                }
            }
            div.dock {
                div.dock-in {
                    p.offline id="offline" role="status" hidden { "Reconnecting, nothing is lost." }
                    div id="waiting" { (part("waiting")) }
                    @if let Some(trust) = trust { (trust_card(context, trust, &unsent.text)) }
                    div id="todos" { (part("todos")) }
                    (composer(context, shell, &part("actions"), unsent))
                    form id="stop-form" method="post" action=(context.base.chat_path(&context.chat, "stop")) data-stay { (context.csrf_field()) }
                }
            }
            aside.drawer id="drawer" aria-label="Details" {
                div id="drawer-detail" {}
                div id="drawer-body" { (part("drawer-body")) }
                @if !snapshot.directory.is_empty() { section { h2 { "Folder" } p { code { (snapshot.directory) } } } }
            }
        }
    }
}

fn rename(context: &Context, title: &str) -> Markup {
    html! {
        details.rename id="rename" {
            summary { "Rename" }
            form method="post" action=(context.base.chat_path(&context.chat, "rename")) data-stay data-close="rename" {
                (context.csrf_field())
                label { span.sr { "New name" } input type="text" name="title" value=(title) maxlength="200" required autocomplete="off"; }
                button.button type="submit" { "Save" }
                p.form-error role="alert" hidden {}
            }
        }
    }
}

fn composer(context: &Context, shell: &Shell, actions: &Markup, unsent: &Unsent) -> Markup {
    // The same form sent twice prompts once.
    let key = random_token().unwrap_or_default();
    html! {
        form.composer id="composer" method="post" action=(context.base.chat_path(&context.chat, "prompt")) data-stay data-clear {
            (context.csrf_field())
            input type="hidden" name="key" value=(key);
            label.sr for="text" { "Prompt" }
            textarea id="text" name="text" rows="1" required placeholder="Write a prompt…" { (unsent.text) }
            div.composer-row {
                (pickers(&shell.overview, unsent.agent.as_deref(), unsent.model.as_deref()))
                div.actions id="actions" { (actions) }
            }
            @let error = unsent.error.as_ref().map(ToString::to_string);
            p.form-error role="alert" hidden[error.is_none()] { (error.unwrap_or_default()) }
        }
    }
}

/// What opening the folder would run, and the decision.
fn trust_card(context: &Context, trust: &TrustState, text: &str) -> Markup {
    html! {
        section.ask.trust aria-label="Trust this folder?" {
            p.head {
                span.icon aria-hidden="true" { "!" }
                strong { @if trust.changed { "This folder changed since you trusted it" } @else { "Trust this folder?" } }
            }
            pre.subject tabindex="0" { code { (trust.directory) } }
            p.detail { "Working here runs or obeys these files. Nothing runs until you decide." }
            ul.trust-files {
                @for file in &trust.files {
                    li {
                        details {
                            summary { code { (file.path) } " " span { (file.effect) } }
                            pre.code-block tabindex="0" { code { (file.excerpt) } }
                        }
                    }
                }
            }
            div.buttons {
                form method="post" action=(context.base.chat_path(&context.chat, "trust")) data-stay data-reload {
                    (context.csrf_field())
                    input type="hidden" name="digest" value=(trust.digest);
                    @if !text.is_empty() { input type="hidden" name="text" value=(text); }
                    button.button.primary type="submit" { "Trust exactly these files" }
                    p.form-error role="alert" hidden {}
                }
                a.button href=(context.base.home()) { "Don’t trust; choose another folder" }
            }
        }
    }
}

/// Whose call.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Whose {
    agent: Option<String>,
}

/// `GET /chats/{id}/calls/{call}?agent=…`: all of a call's input and output.
pub(crate) async fn call(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Path((id, call)): Path<(String, String)>,
    Query(whose): Query<Whose>,
) -> Response {
    let session: SessionId = id.as_str().into();
    let task = whose.agent.clone();
    let found = read(&app, &session, move |state| {
        let calls: &[ToolCall] = match &whose.agent {
            None => &state.view.tool_calls,
            Some(task) => state
                .view
                .task_runs
                .iter()
                .find(|run| run.id == *task)
                .map_or(&[], |run| &run.tool_calls),
        };
        calls.iter().rev().find(|one| one.id == call).cloned()
    })
    .await;
    let found = match found {
        Ok(Some(found)) => found,
        Ok(None) => {
            let error = WorkspaceError::NotFound(
                "This chat has no such step; it may have been compacted.".into(),
            );
            return super::failed(&app, &visitor, &error);
        }
        Err(error) => return super::failed(&app, &visitor, &error),
    };
    let context = app.context(&visitor, &id);
    let shell = Shell::load(&app, &visitor).await;
    let main = html! { div.page.wide { (render::call_page(&context, task.as_deref(), &found)) } };
    let path = context.base.call(&id, task.as_deref(), &found.id);
    let page = Page {
        title: "Step",
        path: &path,
        chat: Some(&id),
        stream: &app.options.base.url("/events"),
        main,
    };
    shell.render(&app, &page).into_response()
}
