//! Every field that bears a secret gets one that can be recognised; a coworker works; then all that the cloud
//! answered, logged, exported and stored is searched for them, on both databases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use open_cowork_testkit::model::ScriptedModel;
use open_cowork_testkit::opencode::provision;
use open_cowork_testkit::postgres::{Durability, Postgres, programs};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Node, PATIENCE, free_port, processes_of, ready};

/// Settings, each with its own secret.
const SETTINGS: [(&str, &str); 11] = [
    ("HEADER_AUTH_SECRET", "hdr0Xq7Lw9Zr3Tn5Bv1Mc8Kd2Fj6Gp4Hs"),
    ("COOKIE_SECRET", "cki0Yw2Er4Ty6Ui8Op1As3Df5Gh7Jk9Lz"),
    ("SECRET_KEY", "key0Pz8Qx6Rv4St2Ub9Wc7Ya5Zd3Ef1Gh"),
    ("SECRET_KEY_PREVIOUS", "old0Mn3Bv5Cx7Zl9Kj2Hg4Fd6Sa8Po1Iu"),
    ("INTERNAL_TOKEN", "int0Tg6Yh8Uj1Ik3Ol5Pa7Sd9Fg2Hj4Kl"),
    ("OIDC_CLIENT_SECRET", "oid0Qa1Zw3Sx5Ed7Cr9Fv2Tg4Bh6Yn8Uj"),
    ("STRIPE_API_KEY", "str0Lp9Ko7Ij5Uh3Yg1Tf8Rd6Es4Wa2Qz"),
    ("STRIPE_WEBHOOK_SECRET", "swh0Mk1Nj3Bh5Vg7Cf9Xd2Zs4Aq6Wr8Et"),
    (
        "OBJECT_STORE_SECRET_ACCESS_KEY",
        "obj0Rt5Yu7Io9Pl2Kj4Hg6Fd8Sa1Qw3Ez",
    ),
    (
        "OBJECT_STORE_SAS_TOKEN",
        "sas0Vb2Nm4Qw6Er8Ty1Ui3Op5As7Df9Gh",
    ),
    ("SCRIPTED_KEY", "prv0Hj4Kl6Zx8Cv1Bn3Mq5We7Rt9Yu2Io"),
];
const OTLP: &str = "otl0Df3Gh5Jk7Lq9Wz2Xe4Cr6Vt8By1Nu";
const DATABASE: &str = "dbp0Sx4Dc6Fv8Gb1Hn3Jm5Kl7Qp9Wo2Ei";
const BYOK: &str = "byk0-Wd5Ef7Rg9Th2Yj4Uk6Il8Oz1Px3Ac";
const SSO: &str = "sso0Bg8Nh1Mj3Kq5Lw7Ze9Xr2Ct4Vy6Ud";
/// Not a certificate: what is checked is that it is kept like a secret.
const SAML: &str = "MIIC0sml7Yt9Re2Wq4Qa6Sz8Xd1Cf3Vg5Bh";

/// A secret and the one request whose answer may hold it.
struct Secret {
    name: String,
    text: String,
    given_by: Option<&'static str>,
}

fn known() -> Vec<Secret> {
    let settings = SETTINGS.into_iter();
    settings
        .chain([
            ("OTLP_HEADERS", OTLP),
            ("the database's password", DATABASE),
            ("a provider key of the organisation", BYOK),
            ("the SSO client secret", SSO),
            ("the SAML certificate", SAML),
        ])
        .map(|(name, text)| Secret {
            name: name.to_owned(),
            text: text.to_owned(),
            given_by: None,
        })
        .collect()
}

/// The ways in which a text is written down.
fn written(text: &str) -> Vec<String> {
    let mut written = vec![
        text.to_owned(),
        text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        URL_SAFE_NO_PAD.encode(text),
        STANDARD_NO_PAD.encode(text),
    ];
    written.dedup();
    written
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

/// An administrator behind the signing proxy; keeps every answer.
struct Admin {
    client: Client,
    base: String,
    answers: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Admin {
    fn signed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let fields = ["acme", "acme", "ada", "ada@example.test", "owner"];
        let timestamp = jiff::Timestamp::now().as_second().to_string();
        let lines = format!("v1\n{timestamp}\n{}", fields.join("\n"));
        let mut mac = Hmac::<Sha256>::new_from_slice(SETTINGS[0].1.as_bytes()).unwrap();
        mac.update(lines.as_bytes());
        let signature = mac.finalize().into_bytes();
        let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        let names = [
            "tenant-id",
            "tenant-name",
            "user-id",
            "user-email",
            "user-role",
        ];
        names
            .into_iter()
            .zip(fields)
            .fold(request, |request, (name, value)| {
                request.header(format!("x-open-cowork-{name}"), value)
            })
            .header("x-open-cowork-header-auth-secret", SETTINGS[0].1)
            .header("x-open-cowork-header-auth-timestamp", timestamp)
            .header(
                "x-open-cowork-header-auth-signature",
                format!("v1={signature}"),
            )
    }

    /// With a token when one is given, else signed; `place` names the answer in failures.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: Option<&str>,
    ) -> (StatusCode, Value) {
        let place = format!("{method} {path}");
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => self.signed(request),
        };
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.timeout(PATIENCE).send().await.unwrap();
        let status = answer.status();
        let mut bytes = format!("{:?}\n", answer.headers()).into_bytes();
        let body = answer.bytes().await.unwrap();
        bytes.extend_from_slice(&body);
        self.answers.lock().unwrap().push((place, bytes));
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask(Method::GET, path, None, None).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {value}");
        value
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, value) = self.ask(Method::POST, path, Some(body), None).await;
        assert!(status.is_success(), "POST {path}: {status} {value}");
        value
    }

    /// What a stream says within that time.
    async fn listen(&self, path: &str, time: Duration) {
        let request = self.client.get(format!("{}{path}", self.base));
        let mut answer = self.signed(request).send().await.unwrap();
        let mut heard = Vec::new();
        let all = async {
            while let Ok(Some(chunk)) = answer.chunk().await {
                heard.extend_from_slice(&chunk);
            }
        };
        let _ = tokio::time::timeout(time, all).await;
        assert!(!heard.is_empty(), "GET {path} says nothing");
        self.answers
            .lock()
            .unwrap()
            .push((format!("GET {path}"), heard));
    }
}

fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("no {pointer} in {value}"))
        .to_owned()
}

/// A configuration whose provider's key comes from the environment, with webhooks on.
fn configuration(folder: &Path, model: &ScriptedModel) -> String {
    let path = support::configuration(folder, model);
    let mut document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    document["allowedEnvPlaceholders"] = json!(["OPEN_COWORK_CLOUD_SCRIPTED_KEY"]);
    document["providers"]["custom"]["scripted"]["options"]["apiKey"] =
        json!("{env:OPEN_COWORK_CLOUD_SCRIPTED_KEY}");
    document["cloud"]["profiles"]["full"]["features"] = json!({ "webhooks": true });
    std::fs::write(&path, serde_json::to_vec(&document).unwrap()).unwrap();
    path.display().to_string()
}

/// The one file that OpenCode reads its providers from; readable by its user only, and gone when it has ended.
const HANDED_OVER: &str = ".open-cowork/config/opencode.json";

/// Every file below the folder with its bytes: databases and their logs, objects, homes of coworkers.
fn files(folder: &Path, skip: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&path, skip, found);
        } else if kind.is_file() && path != skip {
            // A file of a running program may be gone by now.
            if let Ok(bytes) = std::fs::read(&path) {
                found.push((path.display().to_string(), bytes));
            }
        }
    }
}

/// One prompt, from the request to the end of its turn.
async fn prompt(admin: &Admin, script: &str) -> String {
    let made = admin.post("/api/sessions", &json!({})).await;
    let session = text(&made, "/session/sessionId");
    let path = format!("/api/sessions/{session}");
    let said = json!({ "text": format!("Please [[script:{script}]]") });
    admin.post(&format!("{path}/prompt"), &said).await;
    let begun = Instant::now();
    let mut answered = false;
    loop {
        let view = admin.get(&path).await;
        let waiting = view.pointer("/projection/view/pendingApprovals/0/id");
        if let (Some(id), false) = (waiting.and_then(Value::as_str), answered) {
            let reply = json!({ "permissionId": id, "response": "allow" });
            admin
                .post(&format!("{path}/permission-respond"), &reply)
                .await;
            answered = true;
        }
        let messages = view
            .pointer("/projection/view/messages")
            .and_then(Value::as_array);
        let spoken =
            messages.is_some_and(|messages| messages.iter().any(|m| m["role"] == "assistant"));
        if spoken && view["session"]["status"] == "idle" && (answered || script != "bash") {
            return session;
        }
        assert!(begun.elapsed() < PATIENCE, "the turn does not end: {view}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What OpenCode, and all that it started, shows of itself to this machine's tables.
fn shown_by_children(folder: &Path, cloud: u32) -> Vec<(String, Vec<u8>)> {
    let mut shown = Vec::new();
    for (pid, line) in processes_of(folder) {
        if pid == cloud {
            continue;
        }
        for file in ["cmdline", "environ"] {
            if let Ok(bytes) = std::fs::read(format!("/proc/{pid}/{file}")) {
                shown.push((format!("{file} of {line}"), bytes));
            }
        }
    }
    assert!(!shown.is_empty(), "no OpenCode runs");
    shown
}

/// Plants, works, reads everything, and looks.
async fn nothing_is_seen(database: Option<&Postgres>, log: [&str; 2]) {
    let exported: Arc<Mutex<Vec<u8>>> = Arc::default();
    let keep = exported.clone();
    let collector = axum::Router::new().fallback(move |body: axum::body::Bytes| {
        keep.lock().unwrap().extend_from_slice(&body);
        async {}
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, collector).await });

    let model = ScriptedModel::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let config = configuration(folder.path(), &model);
    let opencode = provision().unwrap().display().to_string();
    let headers = json!({ "authorization": format!("Bearer {OTLP}") }).to_string();
    let url = match database {
        Some(server) => {
            let url = server.url_of(Postgres::GUARDED);
            url.replacen(
                &format!("{}@", Postgres::GUARDED),
                &format!("{}:{DATABASE}@", Postgres::GUARDED),
                1,
            )
        }
        None => String::new(),
    };
    let mut settings = vec![
        ("PORT", port.as_str()),
        ("AUTH_MODE", "header"),
        ("COOKIE_SECURE", "false"),
        ("SIGNUP_MODE", "open"),
        ("OPEN_COWORK_CONFIG_PATH", &config),
        ("OPENCODE_BIN", &opencode),
        ("OTLP_ENDPOINT", &endpoint),
        ("OTLP_HEADERS", &headers),
        ("OTLP_FLUSH_INTERVAL_MS", "100"),
        ("HTTP_RATE_LIMIT_ENABLED", "false"),
        ("LOG_FORMAT", log[0]),
        ("LOG_LEVEL", log[1]),
    ];
    settings.extend(SETTINGS);
    if database.is_some() {
        settings.push(("CONTROL_PLANE_URL", &url));
    }
    let mut cloud = Node::new("cloud", folder.path(), &settings);
    cloud.start();
    let base = format!("http://127.0.0.1:{port}");
    ready(&base).await;
    let admin = Admin {
        client: Client::new(),
        base: base.clone(),
        answers: Mutex::default(),
    };
    let mut secrets = known();

    // The provider's key of the configuration works first, then the organisation's own.
    prompt(&admin, "hello").await;
    admin
        .post("/api/byok/scripted", &json!({ "plaintext": BYOK }))
        .await;
    let reason = json!({ "reason": "The scripted model has no page to ask." });
    admin.post("/api/byok/scripted/override", &reason).await;
    let sso = json!({ "protocol": "oidc", "oidcIssuer": "https://id.example.test", "oidcClientId": "cowork",
        "oidcClientSecret": SSO, "samlIdpCertificate": SAML });
    admin.post("/api/admin/sso", &sso).await;
    let mut tokens = Vec::new();
    for scope in ["admin", "operator", "desktop"] {
        let issued = json!({ "name": scope, "scopes": [scope] });
        let issued = admin.post("/api/api-tokens", &issued).await;
        tokens.push(text(&issued, "/plaintext"));
        secrets.push(Secret {
            name: format!("the {scope} token"),
            text: text(&issued, "/plaintext"),
            given_by: Some("POST /api/api-tokens"),
        });
    }
    let workflow = json!({ "title": "On call", "instructions": "Say hello [[script:hello]]", "agentName": "build",
        "triggers": [{ "type": "webhook", "enabled": true }] });
    let workflow = admin.post("/api/workflows", &workflow).await;
    let id = text(&workflow, "/workflow/id");
    let rotate = format!("/api/workflows/{id}/rotate-webhook-secret");
    let rotated = admin.post(&rotate, &json!({})).await;
    secrets.push(Secret {
        name: "the webhook's secret".to_owned(),
        text: text(&rotated, "/webhookSecretReveal/secret"),
        given_by: Some("rotate-webhook-secret"),
    });
    let content = STANDARD.encode("# A report\n");
    let session = prompt(&admin, "bash").await;
    let session_path = format!("/api/sessions/{session}");
    let artifact =
        json!({ "filename": "report.md", "contentType": "text/markdown", "dataBase64": content });
    admin
        .post(&format!("{session_path}/artifacts"), &artifact)
        .await;

    // Answers of every kind: read, listed, exported, streamed, refused.
    for path in [
        "/api/config",
        "/api/workspace",
        "/api/byok",
        "/api/byok/scripted",
        "/api/admin",
        "/api/admin/sso",
        "/api/admin/members",
        "/api/admin/audit",
        "/api/admin/audit/export?format=csv&unredacted=true",
        "/api/admin/audit/export?format=json&unredacted=true",
        "/api/api-tokens",
        "/api/usage/events",
        "/api/workflows",
        "/api/settings",
        "/api/threads",
        "/auth/me",
        "/readyz",
        "/progressz",
        "/openapi.json",
        "/",
    ] {
        let (status, value) = admin.ask(Method::GET, path, None, None).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {value}");
    }
    admin.get(&format!("/api/workflows/{id}")).await;
    for path in ["/api/metrics", "/api/diagnostics"] {
        let (status, value) = admin.ask(Method::GET, path, None, Some(&tokens[1])).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {value}");
    }
    for (path, token) in [("/api/sessions", &tokens[2]), ("/api/byok", &tokens[0])] {
        let (status, value) = admin.ask(Method::GET, path, None, Some(token)).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {value}");
    }
    // Secrets in wrong places: they must not be quoted back.
    let wrong = json!({ "plaintext": BYOK, "apiKey": BYOK });
    let (status, _) = admin
        .ask(Method::POST, "/api/byok/scripted", Some(&wrong), None)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let wrong = json!({ "oidcIssuer": SSO, "protocol": SSO, "samlIdpSsoUrl": SAML });
    let (status, _) = admin
        .ask(Method::POST, "/api/admin/sso", Some(&wrong), None)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    admin
        .ask(
            Method::GET,
            &format!("/api/nowhere/{}", "x"),
            None,
            Some(SETTINGS[4].1),
        )
        .await;
    admin
        .listen(&format!("{session_path}/events"), Duration::from_secs(2))
        .await;
    admin
        .listen("/api/events?after=0&snapshot=true", Duration::from_secs(2))
        .await;

    let used = |key: &str| {
        let wanted = format!("Bearer {key}");
        let requests = model.requests();
        requests
            .iter()
            .any(|request| request.headers.get("authorization") == Some(&wanted))
    };
    assert!(
        used(SETTINGS[10].1),
        "the configuration's key reached the model"
    );
    assert!(used(BYOK), "the organisation's key reached the model");

    let log_file = folder.path().join("cloud.log");
    let mut places = shown_by_children(folder.path(), cloud.pid().unwrap());
    files(folder.path(), &log_file, &mut places); // as they are while it runs: with the database's own log
    places.retain(|(place, _)| !place.ends_with(HANDED_OVER));

    // Invitations need another sign-up; the second start also reads what the first has written.
    cloud.stop();
    let invite: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| match *name {
            "SIGNUP_MODE" => ("SIGNUP_MODE", "invite"),
            name => (name, *value),
        })
        .collect();
    let mut cloud = Node::new("cloud", folder.path(), &invite);
    cloud.start();
    ready(&base).await;
    let invited = json!({ "email": "grace@example.test", "role": "member" });
    let invited = admin.post("/api/admin/members", &invited).await;
    secrets.push(Secret {
        name: "the invitation".to_owned(),
        text: text(&invited, "/inviteToken"),
        given_by: Some("POST /api/admin/members"),
    });
    let accepted = admin.client.post(format!("{base}/api/invites/accept"));
    let token = json!({ "token": text(&invited, "/inviteToken") });
    let accepted = accepted.json(&token).send().await.unwrap();
    assert!(accepted.status().is_success(), "{accepted:?}");
    admin.get("/api/admin/members").await;
    admin.get("/api/admin/audit").await;
    cloud.stop();

    files(folder.path(), &log_file, &mut places);
    places.push(("the log".to_owned(), cloud.log().into_bytes()));
    let spans = exported.lock().unwrap().clone();
    assert!(holds(&spans, "cloud.http.request"), "traces were exported");
    places.push(("the exported traces".to_owned(), spans));
    if let Some(server) = database {
        let dump = Command::new(programs().unwrap().join("pg_dump"))
            .args(["--inserts", &server.url()])
            .output()
            .unwrap();
        assert!(dump.status.success(), "{dump:?}");
        assert!(holds(&dump.stdout, "On call"), "the dump holds the records");
        places.push(("the database".to_owned(), dump.stdout));
        places.push(("the database's log".to_owned(), server.log().into_bytes()));
    }
    let answers = admin.answers.into_inner().unwrap();
    let mut seen = Vec::new();
    for secret in &secrets {
        assert!(
            secret.text.len() > 24,
            "{} is too short to be told apart",
            secret.name
        );
        for needle in written(&secret.text) {
            let mut look = |place: &str, bytes: &[u8]| {
                if holds(bytes, &needle) {
                    seen.push(format!("{} in {place}", secret.name));
                }
            };
            for (place, bytes) in &places {
                look(place, bytes);
            }
            for (place, bytes) in &answers {
                if secret.given_by.is_none_or(|giver| !place.contains(giver)) {
                    look(&format!("the answer of {place}"), bytes);
                }
            }
        }
    }
    seen.sort();
    seen.dedup();
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn real_no_secret_is_seen_on_sqlite() {
    nothing_is_seen(None, ["json", "trace"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_no_secret_is_seen_on_postgresql() {
    let server = Postgres::start(Durability::Fast).await.unwrap();
    let role = format!(
        "CREATE ROLE {} SUPERUSER LOGIN PASSWORD '{DATABASE}'",
        Postgres::GUARDED
    );
    let made = Command::new(programs().unwrap().join("psql"))
        .args([&server.url(), "-c", &role])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    nothing_is_seen(Some(&server), ["pretty", "debug"]).await;
}
