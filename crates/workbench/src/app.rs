//! The router and what all handlers share.

use crate::clock::Clock;
use crate::options::{Options, SignedIn, random_token};
use crate::render::Context;
use crate::workspace::{ThreadState, Workspace, WorkspaceError};
use crate::{actions, assets, guard, live, pages};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use open_cowork_contracts::SessionId;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, oneshot};

/// State of one workbench.
pub(crate) struct App {
    pub(crate) workspace: Arc<dyn Workspace>,
    pub(crate) options: Options,
    /// Cookies belong to a host, not to a port: the name differs per start, so that two workbenches on one machine
    /// don't log each other out.
    pub(crate) cookie: String,
    /// Key of the form tokens; `None` when the system had no randomness, and then nobody gets in.
    pub(crate) secret: Option<[u8; 32]>,
    /// Visits that are let in, oldest first.
    pub(crate) visits: Mutex<VecDeque<String>>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) assets: assets::Assets,
}

/// Who asks: set by the guard on every request that it lets through.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// Token that each of the visitor's forms carries.
    pub(crate) csrf: String,
    /// Theme that the visitor chose.
    pub(crate) theme: ThemeChoice,
    /// Who was signed in, where the program in front does that.
    pub(crate) account: Option<SignedIn>,
}

/// Light, dark, or as the system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ThemeChoice {
    #[default]
    System,
    Light,
    Dark,
}

impl ThemeChoice {
    pub(crate) fn parse(word: &str) -> ThemeChoice {
        match word {
            "light" => ThemeChoice::Light,
            "dark" => ThemeChoice::Dark,
            _ => ThemeChoice::System,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ThemeChoice::System => "system",
            ThemeChoice::Light => "light",
            ThemeChoice::Dark => "dark",
        }
    }
}

impl App {
    pub(crate) fn clock(&self) -> Clock {
        Clock {
            now: (self.options.now)(),
            zone: self.options.zone.clone(),
        }
    }

    pub(crate) fn context(&self, visitor: &Visitor, chat: &str) -> Context {
        Context {
            base: self.options.base.clone(),
            chat: chat.to_owned(),
            csrf: visitor.csrf.clone(),
            clock: self.clock(),
        }
    }
}

/// The workbench over a workspace: pages, forms and live updates (07 §19.7).
///
/// Serve it on loopback only; the visitor opens [`Options::entry_path`] first. Everything lives below
/// [`Options::base`]; other addresses tell nothing.
pub fn router(workspace: Arc<dyn Workspace>, options: Options) -> Router {
    let secret = match &options.form_key {
        Some(key) => Some(Sha256::digest(key).into()),
        None => random_token()
            .ok()
            .map(|token| Sha256::digest(token.as_bytes()).into()),
    };
    let suffix: String = random_token()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    // Percent-encoding triples a byte at most; the rest is for the other fields.
    let body_limit = options
        .limits
        .prompt_bytes
        .saturating_mul(3)
        .saturating_add(256 * 1024);
    let app = Arc::new(App {
        cookie: format!("workbench_{suffix}"),
        secret,
        visits: Mutex::new(VecDeque::new()),
        streams: Arc::new(Semaphore::new(options.limits.streams)),
        assets: assets::Assets::new(&options),
        workspace,
        options,
    });
    let at = |path: &str| app.options.base.url(path);
    Router::new()
        .route(&at("/"), get(pages::home::show))
        .route(
            &at("/chats"),
            get(pages::chats::show).post(actions::new_chat),
        )
        .route(&at("/chats/{id}"), get(pages::chat::show))
        .route(&at("/chats/{id}/events"), get(live::chat))
        .route(&at("/chats/{id}/calls/{call}"), get(pages::chat::call))
        .route(&at("/chats/{id}/prompt"), post(actions::prompt))
        .route(&at("/chats/{id}/retry"), post(actions::retry))
        .route(&at("/chats/{id}/stop"), post(actions::stop))
        .route(&at("/chats/{id}/rename"), post(actions::rename))
        .route(&at("/chats/{id}/trust"), post(actions::trust))
        .route(
            &at("/chats/{id}/asks/{ask}"),
            post(actions::answer_approval),
        )
        .route(
            &at("/chats/{id}/questions/{question}"),
            post(actions::answer_question),
        )
        .route(
            &at("/settings"),
            get(pages::settings::show).post(actions::save_settings),
        )
        .route(&at("/settings/test"), post(actions::test_connection))
        .route(&at("/theme"), post(actions::theme))
        .route(&at("/sign-out"), post(actions::sign_out))
        .route(&at("/health"), get(pages::health::show))
        .route(&at("/events"), get(live::rail))
        .route(&at("/assets/{file}"), get(assets::serve))
        .fallback(pages::missing)
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}

/// Reads a thread and hands back what `f` made of it.
pub(crate) async fn read<T: Send + 'static>(
    app: &App,
    id: &SessionId,
    f: impl FnOnce(ThreadState<'_>) -> T + Send + 'static,
) -> Result<T, WorkspaceError> {
    let (sender, receiver) = oneshot::channel();
    let read = Box::new(move |state: ThreadState<'_>| {
        // The receiver lives until the call below returned.
        let _ = sender.send(f(state));
    });
    app.workspace.read_thread(id, read).await?;
    receiver
        .await
        .map_err(|_| WorkspaceError::Internal("The chat was not read; reload the page.".into()))
}
