//! A browser logs in at a real OpenID provider, over real HTTP (03 §6.3, §6.4): the code flow with PKCE, cookies,
//! attacks on the way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sign_in_support;

use open_cowork_adapters::oidc::{OidcOptions, OidcProvider};
use open_cowork_cloud_server::auth::{AuthOptions, Mode};
use open_cowork_cloud_server::server::{Bounds, serve};
use open_cowork_contracts::access::BuiltInRole;
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_providers::store::identity::{IdentityStore as _, Invitation};
use open_cowork_testkit::oidc::OidcProvider as RealProvider;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde_json::{Value, json};
use sign_in_support::{Place, cookie_options};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

struct Cloud {
    base: String,
    provider: RealProvider,
    place: Place,
    _stop: DropGuard,
}

async fn cloud(change: impl FnOnce(&mut AuthOptions)) -> Cloud {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let accounts = json!({
        "alice": {"email": "alice@acme.test", "email_verified": true, "tenant_id": "acme", "tenant_name": "Acme"},
        "bob": {"email": "bob@acme.test", "email_verified": true, "tenant_id": "acme"},
        "eve": {"email": "eve@elsewhere.test", "email_verified": true},
        "mallory": {"email": "alice@acme.test", "email_verified": false, "tenant_id": "acme"},
    });
    let callback = format!("{base}/auth/callback");
    let provider = RealProvider::start(&accounts, &[&callback]).await.unwrap();
    let adapter = OidcProvider::new(OidcOptions {
        issuer_url: provider.issuer().to_owned(),
        client_id: "open-cowork-ES256".into(),
        client_secret: Some(RealProvider::CLIENT_SECRET.into()),
        allowed_email_domains: None,
    });
    let mut options = AuthOptions {
        mode: Mode::Oidc,
        cookies: Some(cookie_options()),
        ..AuthOptions::default()
    };
    change(&mut options);
    let place = Place::with(options, Some(Arc::new(adapter.unwrap()))).await;
    let stop = CancellationToken::new();
    tokio::spawn(serve(
        listener,
        place.router.clone(),
        Bounds::default(),
        stop.clone(),
    ));
    Cloud {
        base,
        provider,
        place,
        _stop: stop.drop_guard(),
    }
}

/// A browser with a jar.
struct Browser {
    client: Client,
    jar: BTreeMap<String, String>,
}

impl Browser {
    fn new() -> Self {
        Browser {
            client: Client::builder().redirect(Policy::none()).build().unwrap(),
            jar: BTreeMap::new(),
        }
    }

    async fn get(&mut self, url: &str) -> Response {
        let request = self.client.get(url).header(COOKIE, self.line());
        self.keep(request.send().await.unwrap())
    }

    async fn post(&mut self, url: &str) -> Response {
        let csrf = self
            .jar
            .get("open_cowork_cloud_csrf")
            .cloned()
            .unwrap_or_default();
        let request = self
            .client
            .post(url)
            .header(COOKIE, self.line())
            .header("x-csrf-token", csrf);
        self.keep(request.body("{}").send().await.unwrap())
    }

    fn line(&self) -> String {
        let pairs = self
            .jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: Response) -> Response {
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            match cookie.contains("Max-Age=0;") {
                true => drop(self.jar.remove(name)),
                false => drop(self.jar.insert(name.to_owned(), value.to_owned())),
            }
        }
        answer
    }

    /// As far as the address of the callback.
    async fn until_callback(&mut self, cloud: &Cloud, login: &str, query: &str) -> Url {
        let begun = self.get(&format!("{}/auth/login{query}", cloud.base)).await;
        assert_eq!(begun.status(), 302);
        let location = begun.headers()[LOCATION].to_str().unwrap().to_owned();
        cloud.provider.log_in(&location, login).await.unwrap()
    }

    async fn log_in(&mut self, cloud: &Cloud, login: &str) -> Response {
        let callback = self.until_callback(cloud, login, "").await;
        self.get(callback.as_str()).await
    }

    async fn me(&mut self, cloud: &Cloud) -> (u16, Value) {
        let answer = self.get(&format!("{}/auth/me", cloud.base)).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

#[tokio::test]
async fn a_person_logs_in_works_and_logs_out() {
    let cloud = cloud(|_| {}).await;
    let mut browser = Browser::new();
    assert_eq!(browser.me(&cloud).await.0, 401);
    let callback = browser
        .until_callback(&cloud, "alice", "?returnTo=%2Fchats%2F7%3Ftab%3Dfiles")
        .await;
    let login_cookie = browser.line();
    assert!(
        login_cookie.starts_with("open_cowork_cloud_oidc="),
        "{login_cookie}"
    );
    let back = browser.get(callback.as_str()).await;
    assert_eq!(back.status(), 302);
    assert_eq!(back.headers()[LOCATION], "/chats/7?tab=files");
    assert_eq!(back.headers()["cache-control"], "no-store");
    let names: Vec<&String> = browser.jar.keys().collect();
    assert_eq!(
        names,
        ["open_cowork_cloud_csrf", "open_cowork_cloud_session"]
    );

    let (status, me) = browser.me(&cloud).await;
    assert_eq!(status, 200);
    let principal = &me["principal"];
    assert_eq!(principal["tenantId"], "acme");
    assert_eq!(principal["tenantName"], "Acme");
    assert_eq!(principal["email"], "alice@acme.test");
    assert_eq!(
        (&principal["role"], &principal["authSource"]),
        (&json!("member"), &json!("user"))
    );
    assert_eq!(principal["userId"].as_str().unwrap().len(), 32);
    assert_eq!(principal["userId"], principal["accountId"]);
    assert_eq!(
        me["csrfToken"],
        browser.jar["open_cowork_cloud_csrf"].as_str()
    );

    assert_eq!(
        browser
            .post(&format!("{}/api/sessions", cloud.base))
            .await
            .status(),
        201
    );
    let stolen = browser.line();
    assert_eq!(
        browser
            .post(&format!("{}/auth/logout", cloud.base))
            .await
            .status(),
        200
    );
    assert!(browser.jar.is_empty());
    let replayed = browser
        .client
        .get(format!("{}/auth/me", cloud.base))
        .header(COOKIE, stolen);
    assert_eq!(replayed.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn an_identity_token_works_as_a_bearer_and_begins_a_session() {
    let cloud = cloud(|_| {}).await;
    let seconds = cloud.place.now().as_second();
    let claims = json!({
        "iss": cloud.provider.issuer(), "sub": "alice", "aud": "open-cowork-ES256", "exp": seconds + 600,
        "email": "alice@acme.test", "email_verified": true, "tenant_id": "acme",
    });
    let token = cloud
        .provider
        .sign("EdDSA", &claims, &json!({}))
        .await
        .unwrap();
    let me = cloud
        .place
        .get("/auth/me")
        .bearer(&token)
        .send()
        .await
        .json();
    assert_eq!(
        (&me["csrfToken"], &me["expiresAt"]),
        (&json!(null), &json!(null))
    );
    let begun = cloud
        .place
        .ask("POST", "/auth/session")
        .bearer(&token)
        .send()
        .await;
    let by_cookie = cloud
        .place
        .get("/auth/me")
        .cookies(&begun.cookie_line())
        .send()
        .await
        .json();
    assert_eq!(by_cookie["principal"], me["principal"]);
    // The same person by browser is the same account.
    let mut browser = Browser::new();
    browser.log_in(&cloud, "alice").await;
    assert_eq!(
        browser.me(&cloud).await.1["principal"]["userId"],
        me["principal"]["userId"]
    );
    // Remembered, but not beyond its own end.
    cloud.place.pass(601);
    assert_eq!(
        cloud
            .place
            .get("/auth/me")
            .bearer(&token)
            .send()
            .await
            .status,
        200,
        "a minute of skew"
    );
    cloud.place.pass(60);
    assert_eq!(
        cloud
            .place
            .get("/auth/me")
            .bearer(&token)
            .send()
            .await
            .status,
        401
    );

    let forged = cloud
        .provider
        .sign_foreign("EdDSA", &claims, &json!({"kid": "generation-1-EdDSA"}))
        .await
        .unwrap();
    let refused = cloud.place.get("/auth/me").bearer(&forged).send().await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (401, "auth.required")
    );
    assert!(!refused.body.contains(&forged));
}

#[tokio::test]
async fn a_desktop_is_told_where_to_sign_in() {
    let cloud = cloud(|_| {}).await;
    let config = cloud.place.get("/auth/desktop/config").send().await;
    assert_eq!(
        config.json(),
        json!({
            "mode": "oidc", "issuerUrl": cloud.provider.issuer(), "clientId": "open-cowork-ES256",
            "scope": "openid email profile offline_access",
        })
    );
}

#[tokio::test]
async fn a_login_ends_only_in_the_browser_that_began_it_and_only_once() {
    let cloud = cloud(|_| {}).await;
    let mut alice = Browser::new();
    let callback = alice.until_callback(&cloud, "alice", "").await;
    let mut eve = Browser::new();
    // Somebody sends their own callback to another browser: login CSRF.
    assert_eq!(eve.get(callback.as_str()).await.status(), 401);
    let _ = eve.until_callback(&cloud, "eve", "").await;
    assert_eq!(
        eve.get(callback.as_str()).await.status(),
        401,
        "a login of her own doesn't help"
    );
    // With the stolen cookie of the login, once it was finished.
    let under_way = alice.jar.clone();
    assert_eq!(alice.get(callback.as_str()).await.status(), 302);
    let mut replay = Browser {
        jar: under_way,
        ..Browser::new()
    };
    let answer = replay.get(callback.as_str()).await;
    assert_eq!(answer.status(), 401);
    let body: Value = answer.json().await.unwrap();
    assert!(
        body["error"].as_str().unwrap().contains("finished before"),
        "{body}"
    );
    assert!(
        replay.jar.is_empty(),
        "no session, and the login's cookie is gone"
    );
}

#[tokio::test]
async fn a_callback_that_is_not_the_providers_answer_is_refused() {
    let cloud = cloud(|_| {}).await;
    let change = |url: &Url, name: &str, value: Option<&str>| {
        let mut changed = url.clone();
        changed.query_pairs_mut().clear();
        for (key, old) in url.query_pairs() {
            match (key == name, value) {
                (false, _) => drop(changed.query_pairs_mut().append_pair(&key, &old)),
                (true, Some(value)) => drop(changed.query_pairs_mut().append_pair(&key, value)),
                (true, None) => {}
            }
        }
        changed
    };
    for (name, value) in [
        ("state", Some("x")),
        ("state", None),
        ("code", Some("made-up")),
        ("code", None),
        ("iss", Some("https://evil.example")),
    ] {
        let mut browser = Browser::new();
        let callback = browser.until_callback(&cloud, "alice", "").await;
        let answer = browser.get(change(&callback, name, value).as_str()).await;
        assert_eq!(answer.status(), 401, "{name} {value:?}");
        assert!(browser.jar.is_empty(), "{name} {value:?}");
    }
    let mut browser = Browser::new();
    let callback = browser.until_callback(&cloud, "alice", "").await;
    let denied = change(&callback, "code", None).to_string() + "&error=access_denied";
    assert_eq!(browser.get(&denied).await.status(), 401);

    let mut late = Browser::new();
    let callback = late.until_callback(&cloud, "alice", "").await;
    cloud.place.pass(601);
    assert_eq!(late.get(callback.as_str()).await.status(), 401);
}

#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let cloud = cloud(|_| {}).await;
    for evil in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/%09/evil.example",
        "/.//evil.example",
    ] {
        let mut browser = Browser::new();
        let query: String = url::form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        let callback = browser
            .until_callback(&cloud, "alice", &format!("?returnTo={query}"))
            .await;
        let back = browser.get(callback.as_str()).await;
        let location = back.headers()[LOCATION].to_str().unwrap();
        let landed = Url::parse(&cloud.base).unwrap().join(location).unwrap();
        assert_eq!(landed.host_str(), Some("127.0.0.1"), "{evil} → {location}");
    }
    let begun = cloud
        .place
        .get("/auth/login")
        .header("host", "evil.example")
        .send()
        .await;
    assert_eq!(
        (begun.status.as_u16(), begun.code().as_str()),
        (400, "auth.host_not_allowed")
    );
}

#[tokio::test]
async fn who_may_not_come_in_hears_it_at_the_login() {
    let cloud = cloud(|options| {
        options.signup = SignupMode::Domain;
        options.allowed_email_domains = vec!["Acme.Test".into()];
    })
    .await;
    for (login, status, code) in [
        ("eve", 401, "auth.required"),
        ("mallory", 401, "auth.required"),
    ] {
        let mut browser = Browser::new();
        let answer = browser.log_in(&cloud, login).await;
        assert_eq!(answer.status(), status, "{login}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["code"], code);
        assert!(browser.jar.is_empty());
    }
    assert_eq!(Browser::new().log_in(&cloud, "alice").await.status(), 302);
}

#[tokio::test]
async fn an_invited_person_joins_by_their_verified_address_and_keeps_one_account() {
    let cloud = cloud(|options| options.signup = SignupMode::Invite).await;
    let mut bob = Browser::new();
    assert_eq!(bob.log_in(&cloud, "bob").await.status(), 403);
    assert!(
        cloud
            .place
            .store
            .org(&"acme".into())
            .await
            .unwrap()
            .is_none()
    );

    cloud.place.join("acme", "root", BuiltInRole::Owner).await;
    let invitation = Invitation {
        account_id: "account_of_the_invitation".into(),
        email: "Bob@Acme.Test".into(),
        role: BuiltInRole::Admin,
    };
    let stamp = cloud.place.stamp_of("root");
    cloud
        .place
        .store
        .invite_member(&"acme".into(), &invitation, &stamp)
        .await
        .unwrap();
    cloud.place.pass(31);
    for _ in 0..2 {
        let mut bob = Browser::new();
        assert_eq!(bob.log_in(&cloud, "bob").await.status(), 302);
        let (_, me) = bob.me(&cloud).await;
        assert_eq!(me["principal"]["userId"], "account_of_the_invitation");
        assert_eq!(me["principal"]["role"], "admin");
        assert_eq!(
            bob.get(&format!("{}/api/workspace", cloud.base))
                .await
                .status(),
            200
        );
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_503_and_ends_no_session() {
    let cloud = cloud(|_| {}).await;
    let mut alice = Browser::new();
    assert_eq!(alice.log_in(&cloud, "alice").await.status(), 302);
    cloud.provider.set_down(true).await.unwrap();
    cloud.place.pass(20 * 60);
    assert_eq!(alice.me(&cloud).await.0, 200);
    cloud.place.pass(2 * 60 * 60);
    let begun = Browser::new()
        .get(&format!("{}/auth/login", cloud.base))
        .await;
    assert_eq!(begun.status(), 503);
    assert!(begun.headers().contains_key("retry-after"));
    let body: Value = begun.json().await.unwrap();
    assert_eq!(body["code"], "auth.provider_unavailable");
}
