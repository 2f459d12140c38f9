//! The frame around the pages: the rail with the workspace, the pages and the recent chats.

use super::brand;
use crate::app::{App, ThemeChoice, Visitor};
use crate::base_path::BasePath;
use crate::clock::Clock;
use crate::form::document;
use crate::patch::Op;
use crate::render::csrf_field;
use crate::workspace::{Connection, Overview, ThreadDot, ThreadQuery, ThreadSummary};
use maud::{Markup, html};

/// Chats in the rail.
const RECENT: u32 = 14;

/// What the frame needs.
pub(crate) struct Shell {
    pub(crate) overview: Overview,
    base: BasePath,
    recent: Vec<ThreadSummary>,
    visitor: Visitor,
    clock: Clock,
}

/// A page inside the frame.
pub(crate) struct Page<'a> {
    /// Title of the window.
    pub(crate) title: &'a str,
    /// Path, for the current mark and the way back of the theme form.
    pub(crate) path: &'a str,
    /// Chat that is open.
    pub(crate) chat: Option<&'a str>,
    /// Address of the page's event stream.
    pub(crate) stream: &'a str,
    pub(crate) main: Markup,
}

impl Shell {
    /// Reads the frame's data. A list that can't be read is empty: the page itself must still open.
    pub(crate) async fn load(app: &App, visitor: &Visitor) -> Shell {
        let query = ThreadQuery {
            limit: RECENT,
            ..ThreadQuery::default()
        };
        let (overview, recent) =
            tokio::join!(app.workspace.overview(), app.workspace.threads(query));
        let recent = recent.map(|page| page.threads).unwrap_or_default();
        Shell {
            overview,
            base: app.options.base.clone(),
            recent,
            visitor: visitor.clone(),
            clock: app.clock(),
        }
    }

    /// The document.
    pub(crate) fn render(&self, app: &App, page: &Page<'_>) -> Markup {
        let title = format!("{} · {}", page.title, app.options.branding.name);
        let body = html! {
            a.skip href="#main" { "Skip to the content" }
            div.frame {
                (self.rail(app, page))
                main id="main" tabindex="-1" data-product=(app.options.branding.name) { (page.main) }
            }
            (shortcuts())
        };
        document(app, self.visitor.theme, &title, Some(page.stream), &body)
    }

    fn rail(&self, app: &App, page: &Page<'_>) -> Markup {
        let item = |path: &str, words: &str, key: &str| {
            let href = self.base.url(path);
            let current = page.path == href;
            html! {
                a.nav href=(href) aria-current=[current.then_some("page")] data-go=(key) { (words) }
            }
        };
        html! {
            details.rail-toggle id="rail-toggle" { summary { span.sr { "Menu: " } span aria-hidden="true" { "☰" } (app.options.branding.name) } }
            nav.rail id="rail" aria-label="Workspace" {
                button.collapse type="button" data-collapse aria-label="Hide or show this list" { span aria-hidden="true" { "«" } }
                div.workspace {
                    (brand::top(app))
                    span.place { (self.overview.workspace) }
                    div id="connection" role="status" { (connection(&self.overview, &app.options.branding.home.ready)) }
                }
                a.button.new-chat href=(self.base.home()) data-go="n" { span aria-hidden="true" { "+ " } "New chat" }
                (item("/chats", "Chats", "c"))
                h2 { "Recent" }
                ul.recent id="recent" {
                    @for row in &self.recent { (rail_row(&self.base, row, &self.clock, page.chat == Some(row.id.as_str()))) }
                    @if self.recent.is_empty() { li.hint { "No chats yet." } }
                }
                div.rail-foot {
                    (item("/health", "Health Center", "h"))
                    (item("/settings", "Settings", "s"))
                    (self.theme_form(page.path))
                    (self.account())
                    (brand::foot(app))
                }
            }
        }
    }

    /// Who is signed in, and the way out.
    fn account(&self) -> Markup {
        let Some(person) = &self.visitor.account else {
            return html! {};
        };
        html! {
            @if person.account.is_some() || person.can_sign_out {
                div.account {
                    @if let Some(account) = &person.account { span.hint title=(account) { (account) } }
                    @if person.can_sign_out {
                        form method="post" action=(self.base.url("/sign-out")) {
                            (csrf_field(&self.visitor.csrf))
                            button.button type="submit" { "Sign out" }
                        }
                    }
                }
            }
        }
    }

    fn theme_form(&self, back: &str) -> Markup {
        let option = |choice: ThemeChoice, words: &str| {
            html! {
                button type="submit" name="theme" value=(choice.as_str()) aria-pressed=(self.visitor.theme == choice) { (words) }
            }
        };
        html! {
            form.theme method="post" action=(self.base.url("/theme")) data-theme-form {
                (csrf_field(&self.visitor.csrf))
                input type="hidden" name="back" value=(back);
                span.sr { "Theme" }
                (option(ThemeChoice::System, "Auto"))
                (option(ThemeChoice::Light, "Light"))
                (option(ThemeChoice::Dark, "Dark"))
            }
        }
    }
}

/// The workspace's connection, in words.
pub(crate) fn connection(overview: &Overview, ready: &str) -> Markup {
    let demo = overview.demo;
    html! {
        @match &overview.connection {
            Connection::Online => span.tone-ok { span aria-hidden="true" { "● " } (ready) },
            Connection::Starting => span.tone-info { span.pulse aria-hidden="true" {} "Starting" },
            Connection::Reconnecting => span.tone-warn { span.pulse aria-hidden="true" {} "Reconnecting, nothing is lost" },
            Connection::Unavailable(why) => span.tone-danger { span aria-hidden="true" { "! " } (why) },
        }
        @if demo { span.tag { "Demo model" } }
    }
}

fn dot(state: ThreadDot) -> Markup {
    let (class, word) = match state {
        ThreadDot::Running => ("dot running", "working"),
        ThreadDot::Waiting => ("dot waiting", "waiting for you"),
        ThreadDot::Error => ("dot failed", "stopped by an error"),
        ThreadDot::Idle => ("dot idle", "ready"),
    };
    let sign = match state {
        ThreadDot::Waiting => "?",
        ThreadDot::Error => "!",
        ThreadDot::Running | ThreadDot::Idle => "",
    };
    html! { span class=(class) title=(word) { span aria-hidden="true" { (sign) } span.sr { (word) ": " } } }
}

fn shown_title(title: &str) -> &str {
    let title = title.trim();
    // The default of the wire; "session" is no word of the surface (07 §1).
    if title.is_empty() || title == "New session" {
        "New chat"
    } else {
        title
    }
}

fn rail_row(base: &BasePath, row: &ThreadSummary, clock: &Clock, current: bool) -> Markup {
    html! {
        li id={ "r-" (row.id) } {
            a href=(base.chat(row.id.as_str())) aria-current=[current.then_some("page")] {
                (dot(row.state)) span.title { (shown_title(&row.title)) }
                time datetime=(row.updated_at) { (clock.short(&row.updated_at)) }
            }
        }
    }
}

/// A row of the chat list.
pub(crate) fn list_row(base: &BasePath, row: &ThreadSummary, clock: &Clock) -> Markup {
    let word = match row.state {
        ThreadDot::Running => "Working",
        ThreadDot::Waiting => "Waiting for you",
        ThreadDot::Error => "Stopped by an error",
        ThreadDot::Idle => "",
    };
    html! {
        li id={ "l-" (row.id) } {
            a href=(base.chat(row.id.as_str())) {
                (dot(row.state)) span.title { (shown_title(&row.title)) }
                span.word { (word) }
                time datetime=(row.updated_at) { (clock.short(&row.updated_at)) }
            }
        }
    }
}

/// What a changed chat does to an open page.
pub(crate) fn row_ops(
    base: &BasePath,
    row: &ThreadSummary,
    clock: &Clock,
    current: bool,
) -> Vec<Op> {
    vec![
        Op::Row {
            id: format!("r-{}", row.id),
            html: rail_row(base, row, clock, current).into_string(),
        },
        Op::Row {
            id: format!("l-{}", row.id),
            html: list_row(base, row, clock).into_string(),
        },
    ]
}

/// The sheet of all keys; the script opens it.
fn shortcuts() -> Markup {
    let keys = [
        ("/", "Write in the composer"),
        ("Enter", "Send"),
        ("Shift Enter", "New line"),
        ("Esc", "Stop (when the composer is empty)"),
        ("↑", "Your last prompt again (in an empty composer)"),
        ("a", "Allow the focused ask once"),
        ("d", "Deny the focused ask"),
        ("j  k", "Next, previous message"),
        ("g n", "New chat"),
        ("g c", "Chats"),
        ("g s", "Settings"),
        ("g h", "Health Center"),
        ("?", "This list"),
    ];
    html! {
        dialog id="keys" aria-label="Keys" {
            h2 { "Keys" }
            dl { @for (key, what) in keys { dt { kbd { (key) } } dd { (what) } } }
            form method="dialog" { button.button { "Close" } }
        }
    }
}
