//! `/`: the composer, what is new, the first step.

use super::shell::{Page, Shell};
use crate::app::{App, Visitor};
use crate::base_path::BasePath;
use crate::form::status_of;
use crate::render::csrf_field;
use crate::workspace::{Overview, WorkspaceError};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use std::sync::Arc;

/// `GET /`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    page(&app, &visitor, StatusCode::OK, None, &Draft::default())
        .await
        .into_response()
}

/// What was entered, kept when it could not be sent.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) directory: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) model: Option<String>,
}

/// The same page after a failed start, with everything that was entered.
pub(crate) async fn failed(
    app: &App,
    visitor: &Visitor,
    error: &WorkspaceError,
    draft: &Draft,
) -> Response {
    page(
        app,
        visitor,
        status_of(error),
        Some(&error.to_string()),
        draft,
    )
    .await
}

async fn page(
    app: &App,
    visitor: &Visitor,
    status: StatusCode,
    error: Option<&str>,
    draft: &Draft,
) -> Response {
    let shell = Shell::load(app, visitor).await;
    let (base, overview) = (&app.options.base, &shell.overview);
    let brand = &app.options.branding;
    let directory = draft
        .directory
        .as_deref()
        .unwrap_or(&overview.default_directory);
    let main = html! {
        div.home {
            h1 { (brand.say(&brand.home.greeting)) }
            @if let Some(subtitle) = &brand.home.subtitle { p.empty { (brand.say(subtitle)) } }
            @if overview.demo || !overview.configured { (first_step(base, overview, app.options.managed_keys)) }
            form.composer id="composer" method="post" action=(base.url("/chats")) data-stay {
                (csrf_field(&visitor.csrf))
                label.sr for="text" { "Prompt" }
                textarea id="text" name="text" rows="3" autofocus required placeholder=(brand.say(&brand.home.placeholder)) { (draft.text) }
                div.composer-row {
                    (pickers(overview, draft.agent.as_deref(), draft.model.as_deref()))
                    div.actions { button.button.primary.send type="submit" { "Start" kbd { "Enter" } } }
                }
                @if app.options.folders {
                    details.folder open[draft.directory.is_some()] {
                        summary { "Folder: " code { (directory) } }
                        label { "The coworker works in this folder"
                            input type="text" name="directory" value=(directory) autocomplete="off" spellcheck="false";
                        }
                    }
                }
                p.form-error role="alert" hidden[error.is_none()] { (error.unwrap_or_default()) }
            }
            p.hint { "Press " kbd { "?" } " for all keys. Commands and changes ask you first, unless your settings allow them." }
        }
    };
    let page = Page {
        title: "New chat",
        path: &base.home(),
        chat: None,
        stream: &base.url("/events"),
        main,
    };
    (status, shell.render(app, &page)).into_response()
}

fn first_step(base: &BasePath, overview: &Overview, managed: bool) -> Markup {
    html! {
        section.card.first-step {
            @if overview.demo {
                p { strong { "This is the demo. " } "A scripted model answers, so that you can look around without a key." }
            } @else {
                p { strong { "One step first. " } "Choose a model provider and enter its key; " @if managed { "it is kept encrypted." } @else { "it stays on this machine." } }
            }
            p { a.button.primary[!overview.demo] href=(base.url("/settings")) { "Set up a model" } }
        }
    }
}

/// Coworker and model.
pub(crate) fn pickers(overview: &Overview, agent: Option<&str>, model: Option<&str>) -> Markup {
    html! {
        div.pickers {
            @if !overview.coworkers.is_empty() {
                label { span.sr { "Coworker" }
                    select name="agent" title="Coworker" {
                        @for coworker in &overview.coworkers {
                            option value=(coworker.name) title=(coworker.description) selected[agent == Some(coworker.name.as_str())] { (coworker.name) }
                        }
                    }
                }
            }
            @if !overview.models.is_empty() {
                label { span.sr { "Model" }
                    select name="model" title="Model" {
                        @for one in &overview.models { option value=(one) selected[model == Some(one.as_str())] { (one) } }
                    }
                }
            }
        }
    }
}
