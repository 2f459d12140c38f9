//! Reading forms and answering them: a page for a browser without script, JSON for the script.

use crate::app::{App, ThemeChoice, Visitor};
use crate::guard::same;
use crate::pages::brand;
use crate::workspace::WorkspaceError;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, Json};
use maud::{DOCTYPE, Markup, html};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A form is megabytes at most and comes from this machine or its neighbourhood.
const FORM_DEADLINE: Duration = Duration::from_secs(30);

/// The fields of a form whose token was right.
pub(crate) struct Fields {
    fields: Vec<(String, String)>,
    /// The script asks and stays on its page.
    pub(crate) script: bool,
}

impl Fields {
    /// The first value of that name, untrimmed.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.fields
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// The same, trimmed; `None` when blank.
    pub(crate) fn optional(&self, name: &str) -> Option<String> {
        let value = self.get(name).trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// All values of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl FromRequest<Arc<App>> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let script = wants_json(request.headers());
        let header_token = request
            .headers()
            .get("x-csrf-token")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let visitor = request.extensions().get::<Visitor>().cloned();
        let theme = visitor
            .as_ref()
            .map_or(ThemeChoice::System, |visitor| visitor.theme);
        let refuse = |status: StatusCode, title: &str, text: &str| {
            if script {
                return (status, Json(json!({ "error": text }))).into_response();
            }
            notice(
                app,
                status,
                theme,
                &NoticePage {
                    title,
                    text,
                    way_out: Some((&app.options.base.home(), "Home")),
                },
            )
        };
        let read = Form::<Vec<(String, String)>>::from_request(request, &());
        let Ok(read) = tokio::time::timeout(FORM_DEADLINE, read).await else {
            let text = "The form did not arrive within 30 seconds; check that the program runs, and send it again.";
            return Err(refuse(StatusCode::REQUEST_TIMEOUT, "Too slow", text));
        };
        let fields = match read {
            Ok(Form(fields)) => fields,
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let text = "The text is too long to be sent; go back, your text is still there, and shorten it or put \
                            it into a file.";
                return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "Too long", text));
            }
            Err(rejection) => {
                return Err(refuse(
                    rejection.status(),
                    "Not understood",
                    "The form could not be read; go back and try again.",
                ));
            }
        };
        let fields = Fields { fields, script };
        let token = header_token.unwrap_or_else(|| fields.get("csrf").to_owned());
        if !visitor.is_some_and(|visitor| same(&token, &visitor.csrf)) {
            let text =
                "This form is from an earlier visit; go back, reload the page and send it again.";
            return Err(refuse(StatusCode::FORBIDDEN, "Refused", text));
        }
        Ok(fields)
    }
}

fn wants_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.starts_with("application/json"))
}

/// A form did its work: the script stays, a browser without script goes to `location`.
pub(crate) fn done(fields: &Fields, location: &str) -> Response {
    if fields.script {
        return Json(json!({ "ok": true })).into_response();
    }
    Redirect::to(location).into_response()
}

/// A form leads elsewhere, with script too.
pub(crate) fn go(fields: &Fields, location: &str) -> Response {
    if fields.script {
        return Json(json!({ "location": location })).into_response();
    }
    Redirect::to(location).into_response()
}

/// The status of an error (its sentence is for people already).
pub(crate) fn status_of(error: &WorkspaceError) -> StatusCode {
    match error {
        WorkspaceError::NotFound(_) => StatusCode::NOT_FOUND,
        WorkspaceError::Invalid(_) => StatusCode::BAD_REQUEST,
        WorkspaceError::Forbidden(_) => StatusCode::FORBIDDEN,
        WorkspaceError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        WorkspaceError::Conflict(_) | WorkspaceError::TrustRequired(_) => StatusCode::CONFLICT,
        WorkspaceError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        WorkspaceError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error for the script, or as a bare line where no page is expected.
pub(crate) fn error_response(error: &WorkspaceError, bare: bool) -> Response {
    if bare {
        return plain(status_of(error), &error.to_string());
    }
    (
        status_of(error),
        Json(json!({ "error": error.to_string() })),
    )
        .into_response()
}

/// A line of text.
pub(crate) fn plain(status: StatusCode, text: &str) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        text.to_owned(),
    )
        .into_response()
}

/// A page that says one thing and the way out.
pub(crate) struct NoticePage<'a> {
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
    /// Address and words of the link.
    pub(crate) way_out: Option<(&'a str, &'a str)>,
}

/// Renders it, without the rail: it must work when nothing else does.
pub(crate) fn notice(
    app: &App,
    status: StatusCode,
    theme: ThemeChoice,
    page: &NoticePage<'_>,
) -> Response {
    let body = html! {
        main.notice {
            (brand::top(app))
            h1 { (page.title) }
            p { (page.text) }
            @if let Some((href, words)) = page.way_out { p { a.button.primary href=(href) { (words) } } }
            (brand::foot(app))
        }
    };
    let title = format!("{} · {}", page.title, app.options.branding.name);
    (status, document(app, theme, &title, None, &body)).into_response()
}

/// The document around a body. No inline script or style: the policy forbids both.
pub(crate) fn document(
    app: &App,
    theme: ThemeChoice,
    title: &str,
    stream: Option<&str>,
    body: &Markup,
) -> Markup {
    let (base, brand) = (&app.options.base, &app.options.branding);
    html! {
        (DOCTYPE)
        html lang="en" data-theme=(theme.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if !brand.description.is_empty() { meta name="description" content=(brand.say(&brand.description)); }
                title { (title) }
                link rel="icon" type=(app.assets.icon.mime) href=(app.assets.icon.href(base));
                link rel="stylesheet" href=(app.assets.style.href(base));
                script src=(app.assets.script.href(base)) defer {}
            }
            body data-home=(base.home()) data-stream=[stream] { (body) }
        }
    }
}
