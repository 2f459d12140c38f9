//! The style sheet, the script and the pictures: held in memory, addressed by their content, cached for ever.

use crate::app::App;
use crate::base_path::BasePath;
use crate::branding::{Branding, Fit};
use crate::options::Options;
use crate::picture::Picture;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use open_cowork_theme::structural;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Assets of one workbench with their addresses.
pub(crate) struct Assets {
    pub(crate) style: Asset,
    pub(crate) script: Asset,
    /// Picture of the browser tab.
    pub(crate) icon: Asset,
    /// The brand's, at the top of the rail.
    pub(crate) logo: Option<Asset>,
}

/// One asset.
pub(crate) struct Asset {
    /// File name with a digest of the content.
    pub(crate) name: String,
    pub(crate) mime: &'static str,
    body: Bytes,
}

impl Asset {
    fn new(stem: &str, extension: &str, mime: &'static str, body: impl Into<Bytes>) -> Asset {
        let body = body.into();
        use std::fmt::Write as _;
        let mut digest = String::new();
        for byte in Sha256::digest(&body).iter().take(8) {
            let _ = write!(digest, "{byte:02x}");
        }
        Asset {
            name: format!("{stem}-{digest}.{extension}"),
            mime,
            body,
        }
    }

    /// Its address.
    pub(crate) fn href(&self, base: &BasePath) -> String {
        base.url(&format!("/assets/{}", self.name))
    }
}

/// An SVG is a document: opened by itself it may style itself and nothing else (02 §8.1).
const SVG_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

impl Assets {
    pub(crate) fn new(options: &Options) -> Assets {
        let brand = &options.branding;
        let style = format!(
            "{}{}{}",
            structural::style_sheet(&options.theme),
            include_str!("../assets/app.css"),
            logo_size(brand)
        );
        let script = include_str!("../assets/app.js").to_owned();
        let icon = include_str!("../assets/icon.svg").to_owned();
        let picture = |stem: &str, picture: &Picture| {
            let bytes = Bytes::copy_from_slice(picture.bytes());
            Asset::new(stem, picture.extension(), picture.mime(), bytes)
        };
        Assets {
            style: Asset::new("app", "css", "text/css; charset=utf-8", style),
            script: Asset::new("app", "js", "text/javascript; charset=utf-8", script),
            icon: match &brand.favicon {
                Some(favicon) => picture("icon", favicon),
                None => Asset::new("icon", "svg", "image/svg+xml", icon),
            },
            logo: brand.top.logo.as_ref().map(|logo| picture("logo", logo)),
        }
    }
}

/// The logo's size is the brand's (02 §4.2); the policy allows no inline style, so it stands in the sheet.
fn logo_size(brand: &Branding) -> String {
    let size = brand.top.size.unwrap_or(28).clamp(16, 96);
    let rule = match brand.top.fit {
        Fit::Bounded => format!("max-width:{size}px;max-height:{size}px"),
        Fit::Vertical => format!("width:auto;height:{size}px"),
        Fit::Horizontal => format!("width:{size}px;height:auto"),
    };
    format!(".brand .logo{{{rule}}}\n.brand .mark{{font-size:{size}px;line-height:{size}px}}\n")
}

/// `GET /assets/{file}`
pub(crate) async fn serve(State(app): State<Arc<App>>, Path(file): Path<String>) -> Response {
    let assets = &app.assets;
    let all = [&assets.style, &assets.script, &assets.icon];
    let Some(asset) = all
        .into_iter()
        .chain(&assets.logo)
        .find(|asset| asset.name == file)
    else {
        return crate::form::plain(StatusCode::NOT_FOUND, "There is no such file.");
    };
    let headers = [
        (header::CONTENT_TYPE, asset.mime),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    let mut response = (headers, asset.body.clone()).into_response();
    if asset.mime == "image/svg+xml" {
        let policy = HeaderValue::from_static(SVG_POLICY);
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
