//! The style sheet, the script and the icon: embedded, addressed by their content, cached for ever.

use crate::app::App;
use crate::theme::Theme;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Assets of one workbench with their addresses.
pub(crate) struct Assets {
    pub(crate) style: Asset,
    pub(crate) script: Asset,
    pub(crate) icon: Asset,
}

/// One asset.
pub(crate) struct Asset {
    /// File name with a digest of the content.
    pub(crate) name: String,
    mime: &'static str,
    body: Bytes,
}

impl Asset {
    fn new(stem: &str, extension: &str, mime: &'static str, body: String) -> Asset {
        use std::fmt::Write as _;
        let mut digest = String::new();
        for byte in Sha256::digest(body.as_bytes()).iter().take(8) {
            let _ = write!(digest, "{byte:02x}");
        }
        Asset {
            name: format!("{stem}-{digest}.{extension}"),
            mime,
            body: body.into(),
        }
    }

    /// Its address.
    pub(crate) fn href(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

impl Assets {
    pub(crate) fn new(theme: &Theme) -> Assets {
        let style = format!("{}{}", theme.css(), include_str!("../assets/app.css"));
        let script = include_str!("../assets/app.js").to_owned();
        let icon = include_str!("../assets/icon.svg").to_owned();
        Assets {
            style: Asset::new("app", "css", "text/css; charset=utf-8", style),
            script: Asset::new("app", "js", "text/javascript; charset=utf-8", script),
            icon: Asset::new("icon", "svg", "image/svg+xml", icon),
        }
    }
}

/// `GET /assets/{file}`
pub(crate) async fn serve(State(app): State<Arc<App>>, Path(file): Path<String>) -> Response {
    let assets = &app.assets;
    match [&assets.style, &assets.script, &assets.icon]
        .into_iter()
        .find(|asset| asset.name == file)
    {
        Some(asset) => {
            let headers = [
                (header::CONTENT_TYPE, asset.mime),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, asset.body.clone()).into_response()
        }
        None => crate::form::plain(StatusCode::NOT_FOUND, "There is no such file."),
    }
}
