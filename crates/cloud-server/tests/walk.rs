//! The walk: every route × every kind of principal × own and foreign tenant, compared with the policy's table.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use open_cowork_cloud_server::http::routes;
use open_cowork_cloud_server::{Access, Options, Route};
use open_cowork_policy::capability::{self, Features, action_for, table};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::{KINDS, Reply, World, world, world_with};

/// Ids of the tenant `own`.
struct Fixture {
    session: String,
}

async fn fixture(world: &World) -> Fixture {
    let made = world.call("local@own", "POST", "/api/sessions", None).await;
    assert_eq!(made.status, 201, "{}", made.body);
    Fixture {
        session: made.json()["session"]["sessionId"]
            .as_str()
            .unwrap()
            .to_owned(),
    }
}

/// The path of a route. Where it names a session it is `session`, other ids are `other`.
fn path(route: &Route, session: &str, other: &str) -> String {
    let of_session = route.path.starts_with("/api/sessions/");
    let mut first = true;
    let segments = route.path.split('/').map(|segment| {
        if !segment.starts_with(':') {
            return segment.to_owned();
        }
        match std::mem::take(&mut first) && of_session {
            true => session.to_owned(),
            false => other.to_owned(),
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Whether the pipeline's matrix said no.
fn denied(reply: &Reply) -> bool {
    let code = reply.code();
    reply.status == 403
        && (code.starts_with("authorization.")
            || code == "channels.binding_scope_required"
            || code.ends_with(".disabled"))
}

fn is_authorized(route: &Route) -> bool {
    matches!(route.access, Access::Action(_) | Access::ByBody(_))
}

#[test]
fn the_routes_are_exactly_those_of_the_policys_table() {
    let routes = routes(&Options::default());
    let mut known = BTreeMap::new();
    for route in &routes {
        let name = format!("{} {}", route.method, route.path);
        assert!(
            known.insert(name.clone(), route).is_none(),
            "{name} is listed twice"
        );
        if let Some(action) = route.access.action() {
            let found = action_for(route.method.as_str(), &route.path.replace(':', ""));
            assert_eq!(found, Some(action), "{name}");
        }
    }
    let mut missing = Vec::new();
    for row in &table::ACTIONS {
        for route in row.routes {
            let (method, pattern) = route.split_once(' ').unwrap();
            let full = match pattern.starts_with('/') {
                true => pattern.to_owned(),
                false => format!("/api/{pattern}"),
            };
            let shape = |path: &str| {
                let segments = path
                    .split('/')
                    .map(|s| if s.starts_with(':') { ":" } else { s });
                segments.collect::<Vec<_>>().join("/")
            };
            let exists = routes
                .iter()
                .any(|route| route.method == method && shape(&route.path) == shape(&full));
            if !exists {
                missing.push(format!("{method} {full}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "routes of the table that nobody serves: {missing:#?}"
    );
}

#[tokio::test]
async fn every_route_decides_about_every_principal_as_the_table_says() {
    let world = world().await;
    let fixture = fixture(&world).await;
    let features = world.cloud.options.features().clone();
    let mut wrong = Vec::new();
    let mut asked = 0;
    for route in routes(&world.cloud.options) {
        if !is_authorized(&route) {
            continue;
        }
        for kind in KINDS {
            for tenant in ["own", "foreign"] {
                let who = format!("{kind}@{tenant}");
                let path = path(&route, &fixture.session, "unknown-id");
                let body = route.mutates().then(|| json!({}));
                let reply = world.call(&who, route.method.as_str(), &path, body).await;
                asked += 1;
                if let Some(complaint) = complaint(&world, &route, &who, &features, &reply) {
                    wrong.push(format!(
                        "{who}: {} {path}: {complaint}: {reply:?}",
                        route.method
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {asked}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(asked > 5000, "{asked}");
}

fn complaint(
    world: &World,
    route: &Route,
    who: &str,
    features: &Features,
    reply: &Reply,
) -> Option<String> {
    if reply.status == 500 {
        return Some("failed inside".into());
    }
    if !reply.status.is_success() && reply.code().is_empty() {
        return Some("a refusal without a code".into());
    }
    let Some(principal) = world.principals.principal(who) else {
        return (reply.status != 401).then(|| "should not be known".into());
    };
    let decision =
        capability::evaluate(route.access.action(), &principal.access(), features, false);
    match decision.denial {
        Some(code) => {
            let same = reply.status == 403 && reply.code() == code.as_str();
            (!same).then(|| format!("should be denied with {code}"))
        }
        None if denied(reply) => Some("should be allowed".into()),
        None => None,
    }
}

#[tokio::test]
async fn a_switched_off_feature_denies_before_anything_else() {
    let world = world_with(|services| services.options.profile.features.clear()).await;
    let mut gated = 0;
    for route in routes(&world.cloud.options) {
        let Some(action) = route.access.action() else {
            continue;
        };
        let row = table::row(action);
        let path = path(&route, "any", "any");
        // The body is never looked at.
        let reply = world
            .call(
                "local@own",
                route.method.as_str(),
                &path,
                Some(json!("not an object")),
            )
            .await;
        if !row.features.is_empty() || !row.any_features.is_empty() {
            gated += 1;
            assert_eq!(reply.status, 403, "{route:?} {reply:?}");
            assert!(reply.code().ends_with(".disabled"), "{route:?} {reply:?}");
            assert_eq!(reply.json()["verdict"]["policyCode"], reply.json()["code"]);
        }
    }
    assert!(gated > 50, "{gated}");
    // Nobody became an account by being refused.
    let admitted = world.principals.admitted.lock().unwrap();
    let refused_only = routes(&world.cloud.options).len() - gated;
    assert!(admitted.len() <= refused_only);
}

/// What another tenant sees of an id is what everybody sees of an id that never was.
#[tokio::test]
async fn a_foreign_id_reads_like_one_that_does_not_exist() {
    let world = world().await;
    let fixture = fixture(&world).await;
    for route in routes(&world.cloud.options) {
        if !is_authorized(&route) || !route.path.starts_with("/api/sessions/:id") {
            continue;
        }
        let body = || route.mutates().then(|| filled(&route));
        for who in ["owner@foreign", "local@foreign", "token:operator@foreign"] {
            let foreign = path(&route, &fixture.session, "x");
            let unknown = path(&route, "00000000-0000-4000-8000-000000000000", "x");
            let method = route.method.as_str();
            let foreign = world.call(who, method, &foreign, body()).await;
            let unknown = world.call(who, method, &unknown, body()).await;
            assert_eq!(
                (foreign.status, &foreign.body),
                (unknown.status, &unknown.body),
                "{who} {route:?}"
            );
            // Giving up an upload that never was is no failure (03 §8.5), and says so.
            let nothing = foreign.json()["upload"]["state"] == "not_found";
            assert!(
                !foreign.status.is_success() || nothing,
                "{who} {route:?} {foreign:?}"
            );
        }
    }
}

/// A body that passes every required field.
fn filled(route: &Route) -> Value {
    let last = route.path.rsplit('/').next().unwrap_or_default();
    match last {
        "prompt" => json!({"text": "hello"}),
        "question-reply" => json!({"requestId": "q", "answers": []}),
        "question-reject" => json!({"requestId": "q"}),
        "permission-respond" => json!({"permissionId": "p", "response": true}),
        "artifacts" => json!({"filename": "a.txt", "dataBase64": "aGk="}),
        "status" => json!({"status": "final"}),
        _ => json!({}),
    }
}

#[tokio::test]
async fn what_is_not_in_the_table_is_404_and_a_wrong_method_405_with_a_code() {
    let world = world().await;
    for (method, path, status) in [
        ("GET", "/api/nothing", 404),
        ("GET", "/api/sessions/a/b/c", 404),
        ("PURGE", "/api/sessions", 405),
        ("HEAD", "/api/sessions", 405),
        ("DELETE", "/api/config", 405),
        ("GET", "/healthz", 404),
        ("GET", "/nothing", 404),
    ] {
        let reply = world.call("local@own", method, path, None).await;
        assert_eq!(reply.status, status, "{method} {path}");
        if path.starts_with("/api") && method != "HEAD" {
            assert_eq!(
                reply.code(),
                "authorization.action_unknown",
                "{method} {path}"
            );
        }
        let stranger = world.call("nobody@own", method, path, None).await;
        assert_eq!(stranger.status, 401, "{method} {path}");
    }
    let other = world.call("local@own", "DELETE", "/api/config", None).await;
    assert_eq!(other.headers["allow"], "GET");
}

/// The same for records of the other domains.
#[tokio::test]
async fn foreign_records_of_every_domain_read_like_missing_ones() {
    let world = world().await;
    let me = "local@own";
    let made = async |path: &str, body: Value, at: &str| {
        let reply = world.call(me, "POST", path, Some(body)).await;
        assert_eq!(reply.status, 201, "{path}: {}", reply.body);
        let id = reply
            .json()
            .pointer(at)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        assert!(!id.is_empty(), "{path}: {}", reply.body);
        id
    };
    let tag = made("/api/threads/tags", json!({"name": "mine"}), "/tag/tagId").await;
    let query = json!({"name": "mine", "query": {}});
    let filter = made("/api/threads/smart-filters", query, "/filter/filterId").await;
    let draft = json!({"title": "Daily", "instructions": "Look around."});
    let workflow = made("/api/workflows", draft, "/workflow/id").await;
    let mut compared = 0;
    for route in routes(&world.cloud.options) {
        let id = match &*route.path {
            path if path.contains("/threads/tags/:id") => &tag,
            path if path.contains("/threads/smart-filters/:id") => &filter,
            path if path.starts_with("/api/workflows/:id") => &workflow,
            _ => continue,
        };
        let unknown = "00000000-0000-4000-8000-000000000000";
        for who in ["local@foreign", "owner@foreign"] {
            let body = || {
                route
                    .mutates()
                    .then(|| json!({"name": "x", "sessionIds": []}))
            };
            let method = route.method.as_str();
            let foreign = world
                .call(who, method, &route.path.replace(":id", id), body())
                .await;
            let missing = world
                .call(who, method, &route.path.replace(":id", unknown), body())
                .await;
            let text = foreign.body.replace(id.as_str(), unknown);
            assert_eq!(
                (foreign.status, text),
                (missing.status, missing.body),
                "{who} {route:?}"
            );
            compared += 1;
        }
    }
    assert!(compared > 15, "{compared}");
    // They are all still there.
    let tags = world
        .call(me, "GET", "/api/threads/tags", None)
        .await
        .json();
    assert_eq!(tags["tags"][0]["tagId"], tag.as_str());
    let kept = world
        .call(me, "GET", &format!("/api/workflows/{workflow}"), None)
        .await;
    assert_eq!(kept.json()["workflow"]["status"], "active");
}
