//! A visitor: a browser without script, below whatever base the workbench has.

use crate::support::{Fake, NOON};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use jiff::tz::TimeZone;
use open_cowork_workbench::{Access, Options, router};
use std::sync::Arc;
use tower::ServiceExt;

pub(crate) const TOKEN: &str = "token-of-this-start";
pub(crate) const HOST: &str = "127.0.0.1:4173";

pub(crate) struct Browser {
    app: Router,
    /// Put before every path that is asked for.
    base: String,
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

pub(crate) fn options() -> Options {
    let mut options = Options::new(Access::with_token(4173, TOKEN));
    options.zone = TimeZone::UTC;
    options.now = Arc::new(|| NOON.parse().unwrap());
    options
}

pub(crate) fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, HOST)
}

pub(crate) async fn text(response: Response<Body>) -> String {
    String::from_utf8(
        to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap()
            .to_vec(),
    )
    .unwrap()
}

impl Browser {
    /// Opens the start address.
    pub(crate) async fn open(fake: Arc<Fake>, options: Options) -> Browser {
        let base = options.base.as_str().to_owned();
        let path = options.entry_path();
        assert_eq!(path, format!("{base}/?token={TOKEN}"));
        let app = router(fake, options);
        let response = app
            .clone()
            .oneshot(request(Method::GET, &path).body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(location(&response), format!("{base}/"));
        let set = response.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            set.ends_with(&format!("; Path={base}/")),
            "bound to the base: {set}"
        );
        assert!(
            set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains(TOKEN),
            "{set}"
        );
        let cookie = set.split(';').next().unwrap().to_owned();
        let mut browser = Browser {
            app,
            base,
            cookie,
            csrf: String::new(),
        };
        let page = browser.page("/").await;
        let mark = "name=\"csrf\" value=\"";
        let start = page.find(mark).unwrap() + mark.len();
        browser.csrf = page[start..].split('"').next().unwrap().to_owned();
        browser
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response<Body> {
        self.send(
            request(Method::GET, &self.at(path))
                .header(header::COOKIE, &self.cookie)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    /// What somebody sees who isn't let in.
    pub(crate) async fn before_login(&self, path: &str) -> String {
        let stranger = request(Method::GET, &self.at(path)).body(Body::empty());
        let response = self.send(stranger.unwrap()).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        text(response).await
    }

    pub(crate) async fn page(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        text(response).await
    }

    /// The whole path of one below the base.
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn form(&self, path: &str) -> axum::http::request::Builder {
        request(Method::POST, &self.at(path))
            .header(header::COOKIE, &self.cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header(header::ORIGIN, "null")
    }

    pub(crate) fn body(&self, fields: &[(&str, &str)]) -> Body {
        let mut pairs = vec![("csrf", self.csrf.as_str())];
        pairs.extend_from_slice(fields);
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let body: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
            .collect();
        Body::from(body.join("&"))
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response<Body> {
        self.send(self.form(path).body(self.body(fields)).unwrap())
            .await
    }
}

pub(crate) fn location(response: &Response<Body>) -> &str {
    response.headers()[header::LOCATION].to_str().unwrap()
}
