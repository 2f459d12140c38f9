//! Whatever is sent, the answer is one sentence with a code, and never a 500 (03 §1.3, §2).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use futures::stream;
use open_cowork_cloud_server::http::routes;
use proptest::prelude::*;
use serde_json::json;
use support::{Reply, World, request, world, world_with};

const ME: &str = "owner@own";

async fn raw(world: &World, path: &str, body: impl Into<Body>) -> Reply {
    let request = Request::post(path)
        .header("x-test-principal", ME)
        .body(body.into())
        .unwrap();
    world.send(request).await
}

#[tokio::test]
async fn malformed_bodies_are_refused_with_their_place() {
    let world = world().await;
    for (body, status, words) in [
        (&b"{\"profileName\":"[..], 400, "line 1"),
        (
            b"{\"profileName\":\"a\",\"profileName\":\"b\"}",
            400,
            "twice",
        ),
        (b"\xff\xfe", 400, "UTF-8"),
        (b"[1,2]", 201, "session"),
        (b"5", 201, "session"),
        (b"", 201, "session"),
        (b"{\"profileName\":7}", 201, "session"),
        (b"{\"projectSource\":\"git\"}", 400, "projectSource"),
        (
            b"{\"projectSource\":{\"kind\":\"git\"}}",
            501,
            "Project sources",
        ),
    ] {
        let reply = raw(&world, "/api/sessions", body).await;
        assert_eq!(reply.status, status, "{}", reply.body);
        assert!(reply.body.contains(words), "{}", reply.body);
    }
    let deep = "[".repeat(100_000);
    assert_eq!(raw(&world, "/api/sessions", deep).await.status, 400);
}

#[tokio::test]
async fn a_body_beyond_its_bound_is_413_and_the_connection_ends() {
    let world = world().await;
    let big = vec![b' '; 1024 * 1024 + 1];
    let reply = raw(&world, "/api/sessions", big).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (413, "request.too_large")
    );
    assert_eq!(reply.headers["connection"], "close");
    let chunks =
        stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 100_000]))));
    let reply = raw(&world, "/api/sessions", Body::from_stream(chunks)).await;
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn a_body_that_never_comes_is_408() {
    let world = world().await;
    tokio::time::pause();
    let stalled = stream::pending::<Result<Bytes, std::io::Error>>();
    let reply = raw(&world, "/api/sessions", Body::from_stream(stalled)).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (408, "request.timeout")
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let world = world().await;
    let broken = stream::iter([
        Ok(Bytes::from("{\"a\":")),
        Err(std::io::Error::other("gone")),
    ]);
    let reply = raw(&world, "/api/sessions", Body::from_stream(broken)).await;
    assert_eq!(reply.status, 400);
}

/// A proxy and we could each have judged another one.
#[tokio::test]
async fn two_hosts_in_one_request_are_refused_wherever_it_goes() {
    let world = world().await;
    for path in [
        "/api/config",
        "/livez",
        "/",
        "/webhooks/workflows/x",
        "/auth/me",
    ] {
        let mut asked = request(ME, "GET", path, None);
        for host in ["127.0.0.1", "127.0.0.1"] {
            asked.headers_mut().append("host", host.parse().unwrap());
        }
        let reply = world.send(asked).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "request.invalid"),
            "{path}"
        );
        assert_eq!(reply.headers["connection"], "close", "{path}");
    }
}

#[tokio::test]
async fn a_webhook_s_path_needs_nobody_to_sign_in_whatever_the_method() {
    let world = world().await;
    for method in ["GET", "PUT", "DELETE"] {
        let path = "/webhooks/workflows/w1";
        let reply = world.call("stranger@own", method, path, None).await;
        assert_eq!(reply.status, 405, "{method}: {}", reply.body);
        assert_eq!(reply.headers["allow"], "POST");
        assert_eq!(reply.code(), "authorization.action_unknown");
    }
    for path in ["/webhooks", "/webhooks/workflows", "/webhooks/other/x"] {
        let reply = world.call("stranger@own", "POST", path, None).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.body);
        assert!(!reply.code().is_empty());
    }
}

#[tokio::test]
async fn over_long_and_strange_ids_are_just_unknown() {
    let world = world().await;
    for id in [
        "x".repeat(5000),
        "%00".into(),
        "..%2f..".into(),
        "%F0%9F%A6%80".into(),
        "a'b".into(),
    ] {
        let reply = world
            .call(ME, "GET", &format!("/api/sessions/{id}"), None)
            .await;
        assert!(
            [400, 404].contains(&reply.status.as_u16()),
            "{id}: {}",
            reply.body
        );
        assert!(!reply.code().is_empty());
    }
    let broken = world.call(ME, "GET", "/api/sessions/%zz", None).await;
    assert_eq!(
        (broken.status.as_u16(), broken.code().as_str()),
        (400, "request.invalid")
    );
}

#[tokio::test]
async fn what_a_caller_calls_itself_is_echoed_only_when_it_is_safe() {
    let world = world().await;
    let mut asked = request(ME, "GET", "/api/config", None);
    asked
        .headers_mut()
        .insert("x-request-id", "trace-7".parse().unwrap());
    assert_eq!(world.send(asked).await.headers["x-request-id"], "trace-7");
    let mut asked = request(ME, "GET", "/api/config", None);
    asked
        .headers_mut()
        .insert("x-request-id", "<script>".parse().unwrap());
    assert_ne!(world.send(asked).await.headers["x-request-id"], "<script>");
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let world = world_with(|services| {
        services.options.public_url = Some("https://cloud.example".into());
    })
    .await;
    for (who, method, path) in [
        (ME, "GET", "/api/config"),
        ("nobody@own", "GET", "/api/config"),
        (ME, "GET", "/api/none"),
        (ME, "OPTIONS", "/anything"),
        (ME, "GET", "/livez"),
        (ME, "POST", "/webhooks/billing"),
    ] {
        let reply = world.call(who, method, path, None).await;
        for name in [
            "x-content-type-options",
            "referrer-policy",
            "x-frame-options",
            "cross-origin-opener-policy",
            "permissions-policy",
            "strict-transport-security",
            "x-request-id",
        ] {
            assert!(reply.headers.contains_key(name), "{method} {path} {name}");
        }
    }
    let options = world
        .call("nobody@own", "OPTIONS", "/api/sessions", None)
        .await;
    assert_eq!((options.status.as_u16(), options.body.as_str()), (204, ""));
}

#[tokio::test]
async fn too_many_requests_are_429_with_a_time_to_wait() {
    let world = world_with(|services| {
        services.options.limits.requests = Some(open_cowork_cloud_server::cloud::RequestRate {
            max: 3,
            window: std::time::Duration::from_secs(3600),
        });
    })
    .await;
    for left in [2, 1, 0] {
        let reply = world.call(ME, "GET", "/api/config", None).await;
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.headers["ratelimit-remaining"],
            left.to_string().as_str()
        );
        assert_eq!(reply.headers["ratelimit-limit"], "3");
    }
    let refused = world.call(ME, "GET", "/api/config", None).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (429, "rate_limit.http_exceeded")
    );
    let wait = refused.json()["retryAfterMs"].as_u64().unwrap();
    assert!((1..=1_200_000).contains(&wait), "{wait}");
    assert_eq!(world.call(ME, "GET", "/livez", None).await.status, 200);
}

#[tokio::test]
async fn a_token_has_a_bucket_of_its_own_below_its_organisations() {
    let rate = open_cowork_cloud_server::cloud::RequestRate {
        max: 4,
        window: std::time::Duration::from_secs(3600),
    };
    let world = world_with(|services| services.options.limits.requests = Some(rate)).await;
    for _ in 0..4 {
        assert_eq!(
            world
                .call("token:desktop@own", "GET", "/api/config", None)
                .await
                .status,
            200
        );
    }
    assert_eq!(
        world
            .call("token:desktop@own", "GET", "/api/config", None)
            .await
            .status,
        429
    );
}

/// Any JSON value, some of it shaped like requests.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,12}".prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let key = prop_oneof![
            Just("text".to_owned()),
            Just("name".to_owned()),
            Just("title".to_owned()),
            Just("value".to_owned()),
            Just("key".to_owned()),
            Just("scopes".to_owned()),
            Just("permissions".to_owned()),
            Just("triggers".to_owned()),
            Just("instructions".to_owned()),
            Just("sessionIds".to_owned()),
            Just("query".to_owned()),
            Just("email".to_owned()),
            Just("role".to_owned()),
            Just("source".to_owned()),
            Just("messages".to_owned()),
            Just("filename".to_owned()),
            Just("dataBase64".to_owned()),
            ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::vec((key, inner), 0..6).prop_map(|entries| entries
                .into_iter()
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_body_makes_any_route_fail_inside(bodies in prop::collection::vec(any_json(), 4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = world().await;
            for (n, route) in routes(&world.cloud.options).into_iter().enumerate() {
                if !route.mutates() {
                    continue;
                }
                let segments = route.path.split('/').map(|s| if s.starts_with(':') { "x" } else { s });
                let path = segments.collect::<Vec<_>>().join("/");
                let body = bodies[n % bodies.len()].clone();
                let reply = world.call("local@own", route.method.as_str(), &path, Some(body.clone())).await;
                assert_ne!(reply.status, 500, "{route:?} {body} {}", reply.body);
                if !reply.status.is_success() && !reply.status.is_redirection() {
                    assert!(!reply.code().is_empty(), "{route:?} {body} {}", reply.body);
                }
            }
        });
    }
}
