//! Somebody else's renderer below `/app`: its page with the bootstrap in it, its assets, its sandbox frame
//! (03 §1.1, §2.3, §2.4).

use super::headers::content_security_policy;
use crate::error::ApiError;
use crate::reply::Answer;
use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, Response};
use open_cowork_contracts::EventType;
use serde_json::json;
use std::path::PathBuf;

/// A folder with `index.html`, `chart-frame.html` and `assets/`.
#[derive(Clone, Debug)]
pub struct Renderer {
    /// The folder.
    pub folder: PathBuf,
    /// Whether its pages make visitors sign in: signed cookies and a browser login are configured.
    pub auth_required: bool,
}

impl Renderer {
    /// The answer to a path of the renderer; `None`: it isn't one.
    pub(crate) async fn serve(&self, path: &str) -> Option<Answer> {
        let inside = path.strip_prefix("/app")?;
        Some(match inside {
            "" | "/" | "/index.html" => self.page().await,
            "/chart-frame.html" => self.frame().await,
            _ => match inside.strip_prefix("/assets/") {
                Some(name) => self.asset(name).await,
                None => Err(missing()),
            },
        })
    }

    async fn page(&self) -> Answer {
        let html = self.text("index.html").await?;
        let bootstrap = self.bootstrap();
        let html = match html.find("</head>") {
            Some(at) => format!("{}{bootstrap}{}", &html[..at], &html[at..]),
            None => format!("{bootstrap}{html}"),
        };
        Ok(html_page(html, false))
    }

    async fn frame(&self) -> Answer {
        Ok(html_page(self.text("chart-frame.html").await?, true))
    }

    async fn asset(&self, name: &str) -> Answer {
        let media = media_of(name).ok_or_else(missing)?;
        let bytes = tokio::fs::read(self.folder.join("assets").join(name))
            .await
            .map_err(|_| missing())?;
        let mut response = Response::new(Body::from(bytes));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        Ok(response)
    }

    async fn text(&self, name: &str) -> Result<String, ApiError> {
        tokio::fs::read_to_string(self.folder.join(name))
            .await
            .map_err(|_| missing())
    }

    /// The script element that the renderer reads first: exactly three keys, `<` escaped.
    fn bootstrap(&self) -> String {
        let types: Vec<&str> = EventType::KNOWN.iter().map(EventType::as_str).collect();
        let data = json!({
            "authRequired": self.auth_required,
            "sessionEventTypes": types,
            "artifactDirectUpload": false,
        });
        let data = data.to_string().replace('<', "\\u003c");
        format!("<script id=\"cowork-bootstrap\" type=\"application/json\">{data}</script>")
    }
}

fn html_page(html: String, frame: bool) -> Response<Body> {
    let mut response = Response::new(Body::from(html));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let (name, policy) = content_security_policy(frame);
    headers.insert(name, policy);
    if frame {
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    }
    response
}

/// The media type of an asset's name; `None`: no name of an asset, so nothing outside the folder is ever read.
fn media_of(name: &str) -> Option<&'static str> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let first = name.bytes().next()?;
    if !first.is_ascii_alphanumeric() || !name.bytes().all(safe) {
        return None;
    }
    match name.rsplit_once('.')?.1 {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "woff2" => Some("font/woff2"),
        _ => None,
    }
}

fn missing() -> ApiError {
    ApiError::not_found("Not found.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_assets() {
        assert!(media_of("index-a1.js").is_some());
        for name in ["../x.js", ".x.js", "a/b.js", "a%2fb.js", "x.html", "js", ""] {
            assert_eq!(media_of(name), None, "{name}");
        }
    }
}
