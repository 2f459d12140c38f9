//! `/chats`: all chats, searched and paged by cursor.

use super::shell::{Page, Shell, list_row};
use crate::app::{App, Visitor};
use crate::base_path::segment;
use crate::workspace::ThreadQuery;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use maud::html;
use serde::Deserialize;
use std::sync::Arc;

/// What is searched, and from where.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Find {
    q: Option<String>,
    cursor: Option<String>,
}

/// `GET /chats?q=…&cursor=…`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Query(find): Query<Find>,
) -> Response {
    let text = find
        .q
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned);
    let query = ThreadQuery {
        text: text.clone(),
        cursor: find.cursor,
        limit: app.options.limits.list_rows,
    };
    let found = match app.workspace.threads(query).await {
        Ok(found) => found,
        Err(error) => return super::failed(&app, &visitor, &error),
    };
    let shell = Shell::load(&app, &visitor).await;
    let (base, clock) = (&app.options.base, app.clock());
    let search = text.as_deref().unwrap_or_default();
    let main = html! {
        div.page {
            header.page-head { h1 { "Chats" } }
            form.search method="get" action=(base.url("/chats")) role="search" {
                label.sr for="q" { "Search titles" }
                input id="q" type="search" name="q" value=(search) placeholder="Search titles";
                button.button type="submit" { "Search" }
            }
            @if found.threads.is_empty() {
                p.empty {
                    @if search.is_empty() { "No chats yet. " a.button.primary href=(base.home()) { "Start one" } }
                    @else { "No chat has “" (search) "” in its title. " a href=(base.url("/chats")) { "Show all" } }
                }
            }
            ul.chat-list { @for row in &found.threads { (list_row(base, row, &clock)) } }
            @if let Some(next) = &found.next {
                p { a.button href={ (base.url("/chats?q=")) (segment(search)) "&cursor=" (segment(next)) } rel="next" { "Older chats" } }
            }
        }
    };
    let page = Page {
        title: "Chats",
        path: &base.url("/chats"),
        chat: None,
        stream: &base.url("/events"),
        main,
    };
    shell.render(&app, &page).into_response()
}
