//! The pages.

pub(crate) mod brand;
pub(crate) mod chat;
pub(crate) mod chats;
pub(crate) mod health;
pub(crate) mod home;
pub(crate) mod settings;
pub(crate) mod shell;

use crate::app::{App, Visitor};
use crate::form::{NoticePage, notice, status_of};
use crate::workspace::WorkspaceError;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// Any other address.
pub(crate) async fn missing(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let page = NoticePage {
        title: "There is no such page",
        text: "It may have moved; your chats are all in the list.",
        way_out: Some((&app.options.base.url("/chats"), "All chats")),
    };
    notice(&app, StatusCode::NOT_FOUND, visitor.theme, &page)
}

/// A page for an error that left nothing to show.
pub(crate) fn failed(app: &App, visitor: &Visitor, error: &WorkspaceError) -> Response {
    let title = match error {
        WorkspaceError::NotFound(_) => "Not found",
        WorkspaceError::Unavailable(_) => "Not available right now",
        _ => "That did not work",
    };
    let text = error.to_string();
    let page = NoticePage {
        title,
        text: &text,
        way_out: Some((&app.options.base.url("/chats"), "All chats")),
    };
    notice(app, status_of(error), visitor.theme, &page)
}
