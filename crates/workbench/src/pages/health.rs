//! `/health`: one row per check, with the way out in its sentence.

use super::shell::{Page, Shell};
use crate::app::{App, Visitor};
use crate::workspace::HealthLevel;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::html;
use std::sync::Arc;

/// `GET /health`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let (shell, rows) = tokio::join!(Shell::load(&app, &visitor), app.workspace.health());
    let base = &app.options.base;
    let main = html! {
        div.page {
            header.page-head { h1 { "Health Center" } }
            @if rows.is_empty() { p.empty { "Nothing is checked yet." } }
            ul.checks {
                @for row in &rows {
                    @let (tone, sign, word) = match row.level {
                        HealthLevel::Ok => ("tone-ok", "✓", "Good"),
                        HealthLevel::Warning => ("tone-warn", "!", "Look at this"),
                        HealthLevel::Error => ("tone-danger", "✕", "Does not work"),
                    };
                    li {
                        span class={ "level " (tone) } { span aria-hidden="true" { (sign) " " } (word) }
                        strong { (row.name) }
                        p { (row.detail) }
                    }
                }
            }
            p { a.button href=(base.url("/health")) { "Check again" } }
        }
    };
    let page = Page {
        title: "Health Center",
        path: &base.url("/health"),
        chat: None,
        stream: &base.url("/events"),
        main,
    };
    shell.render(&app, &page).into_response()
}
