//! `/settings`: provider, key and model. A key goes in and never comes out.

use super::shell::{Page, Shell};
use crate::app::{App, Visitor};
use crate::base_path::BasePath;
use crate::render::csrf_field;
use crate::workspace::{ConnectionReport, Settings, SettingsInput, WorkspaceError};
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;

/// What the page says on top.
pub(crate) enum Word {
    Saved,
    Tested(ConnectionReport),
    Failed(WorkspaceError),
}

/// `?saved=1` after a save.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct After {
    saved: Option<String>,
}

/// `GET /settings`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Query(after): Query<After>,
) -> Response {
    let word = after.saved.is_some().then_some(Word::Saved);
    page(&app, &visitor, StatusCode::OK, word, None).await
}

/// The page with a word on top and what was entered (without the key).
pub(crate) async fn page(
    app: &App,
    visitor: &Visitor,
    status: StatusCode,
    word: Option<Word>,
    entered: Option<&SettingsInput>,
) -> Response {
    let mut settings = match app.workspace.settings().await {
        Ok(settings) => settings,
        Err(error) => return super::failed(app, visitor, &error),
    };
    if let Some(entered) = entered {
        settings.provider.clone_from(&entered.provider);
        settings.model.clone_from(&entered.model);
        settings.base_url.clone_from(&entered.base_url);
    }
    let base = &app.options.base;
    let key_was_entered = entered.is_some_and(|entered| entered.key.is_some());
    let shell = Shell::load(app, visitor).await;
    let main = html! {
        div.page {
            header.page-head { h1 { "Settings" } }
            @if shell.overview.demo {
                p.card { "The demo model answers now. Save a provider and a key to use a real one." }
            }
            @if app.options.managed_keys {
                (keys(base, visitor, &settings, word.as_ref(), key_was_entered))
            } @else {
                (form(base, visitor, &settings, word.as_ref(), key_was_entered))
            }
        }
    };
    let page = Page {
        title: "Settings",
        path: &base.url("/settings"),
        chat: None,
        stream: &base.url("/events"),
        main,
    };
    (status, shell.render(app, &page)).into_response()
}

fn form(
    base: &BasePath,
    visitor: &Visitor,
    settings: &Settings,
    word: Option<&Word>,
    key_was_entered: bool,
) -> Markup {
    html! {
        form.settings method="post" action=(base.url("/settings")) data-stay data-report autocomplete="off" {
            (csrf_field(&visitor.csrf))
            h2 { "Model" }
            label { span { "Provider" }
                select name="provider" {
                    @for (id, name) in &settings.providers {
                        option value=(id) selected[*id == settings.provider] { (name) }
                    }
                }
            }
            label { span { "Key" }
                input type="password" name="key" autocomplete="off" spellcheck="false" maxlength="8000"
                    placeholder=(if settings.has_key { "A key is stored; leave empty to keep it" } else { "Paste the provider's key" });
                small { "Kept in: " (settings.key_storage) }
            }
            label { span { "Model" }
                input type="text" name="model" value=(settings.model) autocomplete="off" spellcheck="false" maxlength="400" required;
                small { "As the provider names it." }
            }
            label { span { "Address (only for a provider of your own)" }
                input type="url" name="base_url" value=(settings.base_url.as_deref().unwrap_or_default()) autocomplete="off" spellcheck="false" maxlength="2000" placeholder="http://127.0.0.1:8080/v1";
            }
            div.buttons {
                button.button.primary type="submit" { "Save" }
                button.button type="submit" formaction=(base.url("/settings/test")) { "Test the connection" }
            }
            div.report role="status" { @if let Some(word) = word { (report(word, key_was_entered)) } }
            p.form-error role="alert" hidden {}
        }
    }
}

/// Keys that all of an organisation use.
fn keys(
    base: &BasePath,
    visitor: &Visitor,
    settings: &Settings,
    word: Option<&Word>,
    key_was_entered: bool,
) -> Markup {
    html! {
        form.settings method="post" action=(base.url("/settings")) data-stay data-report autocomplete="off" {
            (csrf_field(&visitor.csrf))
            h2 { "Provider keys" }
            @if !settings.keys.is_empty() {
                ul.checks {
                    @for key in &settings.keys {
                        li {
                            span class={ "level " (if key.active { "tone-ok" } else { "tone-warn" }) } {
                                span aria-hidden="true" { (if key.active { "✓ " } else { "! " }) } (key.state)
                            }
                            strong { (key.provider) }
                            p { "Ends in " code { (key.ending) } }
                        }
                    }
                }
            }
            label { span { "Provider" }
                @if settings.providers.len() > 1 {
                    select name="provider" {
                        @for (id, name) in &settings.providers {
                            option value=(id) selected[*id == settings.provider] { (name) }
                        }
                    }
                } @else if let Some((id, name)) = settings.providers.first() {
                    input type="hidden" name="provider" value=(id);
                    strong { (name) }
                }
            }
            label { span { "Key" }
                input type="password" name="key" autocomplete="off" spellcheck="false" maxlength="8000" required placeholder="Paste the provider's key";
                small { (settings.key_storage) }
            }
            div.buttons { button.button.primary type="submit" { "Save" } }
            div.report role="status" { @if let Some(word) = word { (report(word, key_was_entered)) } }
            p.form-error role="alert" hidden {}
        }
    }
}

/// What happened, in one line.
pub(crate) fn report(word: &Word, key_was_entered: bool) -> Markup {
    html! {
        @match word {
            Word::Saved => p.tone-ok { span aria-hidden="true" { "✓ " } "Saved." },
            Word::Tested(report) if report.ok => p.tone-ok { span aria-hidden="true" { "✓ " } (report.message) },
            Word::Tested(report) => p.tone-danger { span aria-hidden="true" { "✕ " } (report.message) },
            Word::Failed(error) => p.tone-danger { span aria-hidden="true" { "✕ " } (error) },
        }
        @if key_was_entered && !matches!(word, Word::Saved) {
            p.hint { "The key was not saved; enter it again to save it." }
        }
    }
}
