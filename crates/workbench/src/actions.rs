//! What the forms do. Each works without script (answer: 303 to the page) and with it (answer: JSON).

use crate::app::{App, ThemeChoice, Visitor, read};
use crate::form::{Fields, NoticePage, done, error_response, go, notice, status_of};
use crate::guard::THEME_COOKIE;
use crate::options::SignOut;
use crate::pages::{chat, home, settings};
use crate::workspace::{ConnectionReport, NewThread, PromptInput, SettingsInput, WorkspaceError};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use open_cowork_contracts::SessionId;
use open_cowork_contracts::view::Role;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A provider that doesn't answer within this is reported as such.
const TEST_DEADLINE: Duration = Duration::from_secs(45);

type AppState = State<Arc<App>>;
type Who = Extension<Visitor>;

fn checked_prompt(app: &App, fields: &Fields) -> Result<PromptInput, WorkspaceError> {
    // Browsers send line breaks as CR LF.
    let text = fields.get("text").replace("\r\n", "\n");
    let limit = app.options.limits.prompt_bytes;
    if text.len() > limit {
        let sentence = format!(
            "The prompt has {} bytes and at most {limit} can be sent; shorten it or put it into a file of the folder.",
            text.len()
        );
        return Err(WorkspaceError::TooLarge(sentence));
    }
    if text.trim().is_empty() {
        return Err(WorkspaceError::Invalid(
            "The prompt is empty; write what should be done.".into(),
        ));
    }
    Ok(PromptInput {
        text,
        agent: fields.optional("agent"),
        model: fields.optional("model"),
        key: fields.optional("key"),
    })
}

/// `POST /chats`: a new chat with its first prompt.
pub(crate) async fn new_chat(
    State(app): AppState,
    Extension(visitor): Who,
    fields: Fields,
) -> Response {
    let draft = home::Draft {
        text: fields.get("text").to_owned(),
        directory: fields.optional("directory"),
        agent: fields.optional("agent"),
        model: fields.optional("model"),
    };
    let made = async {
        let prompt = checked_prompt(&app, &fields)?;
        let id = app
            .workspace
            .create_thread(NewThread {
                directory: draft.directory.clone(),
            })
            .await?;
        Ok((id, prompt))
    };
    let (id, prompt) = match made.await {
        Ok(made) => made,
        Err(error) if fields.script => return error_response(&error, false),
        Err(error) => return home::failed(&app, &visitor, &error, &draft).await,
    };
    match app.workspace.prompt(&id, prompt).await {
        Ok(()) => go(&fields, &app.options.base.chat(id.as_str())),
        // The chat exists: it shows what hinders (such as a folder to trust) and keeps the text.
        Err(error) => {
            let unsent = chat::Unsent {
                text: draft.text,
                agent: draft.agent,
                model: draft.model,
                error: Some(error),
            };
            prompt_failed(&app, &visitor, &fields, id.as_str(), unsent, true).await
        }
    }
}

/// `POST /chats/{id}/prompt`
pub(crate) async fn prompt(
    State(app): AppState,
    Extension(visitor): Who,
    Path(id): Path<String>,
    fields: Fields,
) -> Response {
    let sent = match checked_prompt(&app, &fields) {
        Ok(prompt) => app.workspace.prompt(&id.as_str().into(), prompt).await,
        Err(error) => Err(error),
    };
    match sent {
        Ok(()) => done(&fields, &app.options.base.chat(&id)),
        Err(error) => {
            let unsent = chat::Unsent {
                text: fields.get("text").to_owned(),
                agent: fields.optional("agent"),
                model: fields.optional("model"),
                error: Some(error),
            };
            prompt_failed(&app, &visitor, &fields, &id, unsent, false).await
        }
    }
}

async fn prompt_failed(
    app: &App,
    visitor: &Visitor,
    fields: &Fields,
    id: &str,
    unsent: chat::Unsent,
    moves: bool,
) -> Response {
    let Some(error) = unsent.error.as_ref().filter(|_| fields.script) else {
        return chat::unsent(app, visitor, id, &unsent).await;
    };
    let mut answer = json!({ "error": error.to_string() });
    let untrusted = matches!(error, WorkspaceError::TrustRequired(_));
    // The script opens the chat and puts the text into its composer.
    if moves || untrusted {
        answer["location"] = json!(app.options.base.chat(id));
        answer["draft"] = json!(unsent.text);
    }
    if moves && untrusted {
        // The card of the new chat says it, with what can be done.
        answer["error"] = json!(null);
    }
    (status_of(error), Json(answer)).into_response()
}

/// `POST /chats/{id}/retry`: the last prompt once more.
pub(crate) async fn retry(
    State(app): AppState,
    Extension(visitor): Who,
    Path(id): Path<String>,
    fields: Fields,
) -> Response {
    let session: SessionId = id.as_str().into();
    let last = read(&app, &session, |state| {
        state
            .view
            .messages
            .iter()
            .rev()
            .find(|m| m.role == Role::User)
            .map(|m| m.content.clone())
    });
    let result = async {
        let text = last
            .await?
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| {
                WorkspaceError::Conflict("There is no prompt to try again; write one.".into())
            })?;
        app.workspace
            .prompt(
                &session,
                PromptInput {
                    text,
                    ..PromptInput::default()
                },
            )
            .await
    };
    settle(&app, &visitor, &fields, &id, result.await)
}

/// `POST /chats/{id}/stop`
pub(crate) async fn stop(
    State(app): AppState,
    Extension(visitor): Who,
    Path(id): Path<String>,
    fields: Fields,
) -> Response {
    let result = app.workspace.stop(&id.as_str().into()).await;
    settle(&app, &visitor, &fields, &id, result)
}

/// `POST /chats/{id}/rename`
pub(crate) async fn rename(
    State(app): AppState,
    Extension(visitor): Who,
    Path(id): Path<String>,
    fields: Fields,
) -> Response {
    let result = match fields.optional("title") {
        Some(title) => {
            app.workspace
                .rename_thread(&id.as_str().into(), &title)
                .await
        }
        None => Err(WorkspaceError::Invalid(
            "A chat needs a name; write one.".into(),
        )),
    };
    settle(&app, &visitor, &fields, &id, result)
}

/// `POST /chats/{id}/trust`
pub(crate) async fn trust(
    State(app): AppState,
    Extension(visitor): Who,
    Path(id): Path<String>,
    fields: Fields,
) -> Response {
    let result = app
        .workspace
        .grant_trust(&id.as_str().into(), fields.get("digest"))
        .await;
    // Without script the prompt that waited comes along, so that the decision doesn't cost it.
    if let (Ok(()), false, Some(text)) = (&result, fields.script, fields.optional("text")) {
        let unsent = chat::Unsent {
            text,
            ..chat::Unsent::default()
        };
        return chat::unsent(&app, &visitor, &id, &unsent).await;
    }
    settle(&app, &visitor, &fields, &id, result)
}

/// `POST /chats/{id}/asks/{ask}`: allow once, or deny with an optional reason. There is no third answer (07 §16).
pub(crate) async fn answer_approval(
    State(app): AppState,
    Extension(visitor): Who,
    Path((id, ask)): Path<(String, String)>,
    fields: Fields,
) -> Response {
    let session = id.as_str().into();
    let result = match fields.get("answer") {
        "allow" => {
            app.workspace
                .answer_approval(&session, &ask, true, None)
                .await
        }
        "deny" => {
            app.workspace
                .answer_approval(&session, &ask, false, fields.optional("reason"))
                .await
        }
        _ => Err(WorkspaceError::Invalid("Choose Allow once or Deny.".into())),
    };
    settle(&app, &visitor, &fields, &id, result)
}

/// `POST /chats/{id}/questions/{question}`
pub(crate) async fn answer_question(
    State(app): AppState,
    Extension(visitor): Who,
    Path((id, question)): Path<(String, String)>,
    fields: Fields,
) -> Response {
    let answers = if fields.get("answer") == "skip" {
        Ok(None)
    } else {
        answers(&fields).map(Some)
    };
    let result = match answers {
        Ok(answers) => {
            app.workspace
                .answer_question(&id.as_str().into(), &question, answers)
                .await
        }
        Err(error) => Err(error),
    };
    settle(&app, &visitor, &fields, &id, result)
}

/// Questions of one ask; more are refused.
const MAX_QUESTIONS: usize = 32;

fn answers(fields: &Fields) -> Result<Vec<Vec<String>>, WorkspaceError> {
    let invalid = || WorkspaceError::Invalid("Answer each question, or press Skip.".into());
    let count: usize = fields.get("count").parse().map_err(|_| invalid())?;
    if count > MAX_QUESTIONS {
        return Err(invalid());
    }
    (0..count)
        .map(|index| {
            let mut chosen: Vec<String> = fields
                .all(&format!("q{index}"))
                .map(str::to_owned)
                .collect();
            chosen.extend(fields.optional(&format!("t{index}")));
            if chosen.is_empty() {
                Err(invalid())
            } else {
                Ok(chosen)
            }
        })
        .collect()
}

/// The answer to a form of a chat.
fn settle(
    app: &App,
    visitor: &Visitor,
    fields: &Fields,
    id: &str,
    result: Result<(), WorkspaceError>,
) -> Response {
    let error = match result {
        Ok(()) => return done(fields, &app.options.base.chat(id)),
        Err(error) => error,
    };
    if fields.script {
        return error_response(&error, false);
    }
    let (here, text) = (app.options.base.chat(id), error.to_string());
    let page = NoticePage {
        title: "That did not work",
        text: &text,
        way_out: Some((&here, "Back to the chat")),
    };
    notice(app, status_of(&error), visitor.theme, &page)
}

fn entered(fields: &Fields) -> SettingsInput {
    SettingsInput {
        provider: fields.get("provider").trim().to_owned(),
        base_url: fields.optional("base_url"),
        model: fields.get("model").trim().to_owned(),
        key: fields.optional("key"),
    }
}

/// `POST /settings`
pub(crate) async fn save_settings(
    State(app): AppState,
    Extension(visitor): Who,
    fields: Fields,
) -> Response {
    let input = entered(&fields);
    match app.workspace.save_settings(input.clone()).await {
        // Loaded anew with script too: what the page says about the demo and the stored key changed.
        Ok(()) => go(&fields, &app.options.base.url("/settings?saved=1")),
        Err(error) if fields.script => error_response(&error, false),
        Err(error) => {
            let status = status_of(&error);
            settings::page(
                &app,
                &visitor,
                status,
                Some(settings::Word::Failed(error)),
                Some(&input),
            )
            .await
        }
    }
}

/// `POST /settings/test`: a real call to the provider.
pub(crate) async fn test_connection(
    State(app): AppState,
    Extension(visitor): Who,
    fields: Fields,
) -> Response {
    let input = entered(&fields);
    let report = match tokio::time::timeout(
        TEST_DEADLINE,
        app.workspace.test_connection(input.clone()),
    )
    .await
    {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => ConnectionReport {
            ok: false,
            message: error.to_string(),
        },
        Err(_) => ConnectionReport {
            ok: false,
            message:
                "The provider did not answer within 45 seconds; check the address and the network."
                    .into(),
        },
    };
    let word = settings::Word::Tested(report);
    if fields.script {
        return told(StatusCode::OK, &word, false);
    }
    settings::page(&app, &visitor, StatusCode::OK, Some(word), Some(&input)).await
}

fn told(status: StatusCode, word: &settings::Word, key_was_entered: bool) -> Response {
    let html = settings::report(word, key_was_entered).into_string();
    (status, Json(json!({ "ok": true, "report": html }))).into_response()
}

/// `POST /theme`: remembered in a cookie, so that it works without script.
pub(crate) async fn theme(State(app): AppState, fields: Fields) -> Response {
    let choice = ThemeChoice::parse(fields.get("theme"));
    // For every path, unlike the visit: a random base would forget the choice at the next start, and the cookie
    // says one of three words to whoever sees it.
    let cookie = format!(
        "{THEME_COOKIE}={}; Max-Age=31536000; SameSite=Strict; HttpOnly; Path=/",
        choice.as_str()
    );
    let mut response = done(&fields, &app.options.base.local(fields.get("back")));
    if let Ok(value) = cookie.parse() {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

/// `POST /sign-out`: marks the answer, so that the program in front ends the session.
pub(crate) async fn sign_out(State(app): AppState, fields: Fields) -> Response {
    let mut response = done(&fields, &app.options.base.home());
    response.extensions_mut().insert(SignOut);
    response
}
