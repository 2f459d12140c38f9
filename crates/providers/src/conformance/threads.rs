//! Cases about tags, stored filters and search (04 §2.11, 07 §12).

use super::plane::{Plane, at, scope};
use crate::store::threads::words::Needle;
use crate::store::threads::{MAX_HITS, TaggedQuery, ThreadPage, ThreadQuery};
use crate::store::{AppendRequest, NewEvent, NewSession, Scope, SessionKey, StoreError};
use crate::time::iso;
use futures::future::join_all;
use open_cowork_contracts::api::threads::{
    Facet, HitRole, SmartFilter, Tag, ThreadSort, ThreadStatus,
};
use open_cowork_contracts::{EventType, TenantId};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn tenant() -> TenantId {
    "t1".into()
}

fn tag(id: &str, name: &str) -> Tag {
    Tag {
        tenant_id: tenant(),
        tag_id: id.into(),
        name: name.to_owned(),
        color: "#64748b".to_owned(),
        created_at: iso(at(0)),
        updated_at: iso(at(0)),
    }
}

async fn make_tag(plane: &Plane, id: &str, name: &str) {
    plane.store.create_tag(tag(id, name)).await.unwrap();
}

fn event(kind: EventType, payload: Value) -> NewEvent {
    NewEvent {
        event_id: None,
        kind,
        payload: payload.as_object().cloned().unwrap_or_default(),
        created_at: iso(at(1)),
    }
}

async fn append(plane: &Plane, key: &SessionKey, events: Vec<NewEvent>) {
    let request = AppendRequest {
        key: key.clone(),
        events: events.into(),
        fence: None,
    };
    plane.store.append(request).await.unwrap();
}

fn prompt(id: &str, text: &str) -> NewEvent {
    let payload = json!({"messageId": id, "commandId": "c", "text": text, "agent": "build"});
    event(EventType::PromptSubmitted, payload)
}

fn answer(id: &str, text: &str) -> NewEvent {
    let payload = json!({"messageId": id, "content": text, "mode": "append"});
    event(EventType::AssistantMessage, payload)
}

/// Until nothing is behind.
async fn index(plane: &Plane) {
    while plane.store.index_threads(100).await.unwrap().more {}
}

/// A thread with one prompt, indexed.
async fn thread(plane: &Plane, id: &str, title: &str, text: &str) -> SessionKey {
    plane.session_at(&scope(), id, Some(title), at(0)).await;
    let key = SessionKey::new("t1", id);
    append(plane, &key, vec![prompt(&format!("{id}-m"), text)]).await;
    index(plane).await;
    key
}

fn text(text: &str) -> ThreadQuery {
    ThreadQuery {
        text: Some(text.to_owned()),
        ..ThreadQuery::new(scope())
    }
}

async fn search(plane: &Plane, query: &ThreadQuery) -> ThreadPage {
    plane.peer.search_threads(query).await.unwrap()
}

async fn found(plane: &Plane, query: &ThreadQuery) -> Vec<String> {
    let page = search(plane, query).await;
    page.rows
        .iter()
        .map(|row| row.session_id.to_string())
        .collect()
}

fn ids(names: &[&str]) -> Vec<open_cowork_contracts::SessionId> {
    names.iter().map(|name| (*name).into()).collect()
}

/// Without regard to case.
pub async fn a_tags_name_is_unique_in_its_tenant(plane: &Plane) {
    make_tag(plane, "1", "Urgent").await;
    let taken = plane.store.create_tag(tag("2", "URGENT ")).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))));
    let elsewhere = Tag {
        tenant_id: "t2".into(),
        ..tag("2", "urgent")
    };
    assert!(plane.store.create_tag(elsewhere).await.is_ok());
    make_tag(plane, "3", "älter").await;
    let (owner, first, third) = (tenant(), "1".into(), "3".into());
    let renamed = plane
        .store
        .update_tag(&owner, &third, Some("urgent".into()), None, at(1));
    assert!(matches!(renamed.await, Err(StoreError::Conflict(_))));
    let recased = plane
        .store
        .update_tag(&owner, &first, Some("uRGENT".into()), None, at(1));
    assert_eq!(recased.await.unwrap().name, "uRGENT");
    let names: Vec<String> = plane
        .store
        .tags(&tenant())
        .await
        .unwrap()
        .into_iter()
        .map(|tag| tag.name)
        .collect();
    assert_eq!(names, ["uRGENT", "älter"]);
}

/// One wins.
pub async fn of_two_equal_tags_at_once_one_is_made(plane: &Plane) {
    let tags = (0..8).map(|n| {
        let store = [&plane.store, &plane.peer][n % 2];
        store.create_tag(tag(&n.to_string(), "same"))
    });
    let answers = join_all(tags).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(plane.store.tags(&tenant()).await.unwrap().len(), 1);
}

/// An unknown session or tag fails the whole call.
pub async fn tags_are_applied_to_all_or_none(plane: &Plane) {
    for id in ["a", "b"] {
        plane.session("t1", "u1", id).await;
    }
    plane.session("t1", "u2", "foreign").await;
    make_tag(plane, "x", "x").await;
    let (owner, x) = (scope(), "x".into());
    for wrong in [ids(&["a", "nothing"]), ids(&["b", "foreign"])] {
        let refused = plane.store.link_tag(&owner, &x, &wrong, true).await;
        assert!(matches!(refused, Err(StoreError::NotFound(_))));
    }
    let unknown = plane
        .store
        .link_tag(&owner, &"y".into(), &ids(&["a"]), true)
        .await;
    assert_eq!(unknown, Err(StoreError::Missing("tag")));
    let mut query = TaggedQuery {
        scope: scope(),
        tags: vec!["x".into()],
        limit: 0,
        cursor: None,
    };
    assert!(
        plane
            .store
            .tagged_threads(&query)
            .await
            .unwrap()
            .rows
            .is_empty()
    );
    for _ in 0..2 {
        plane
            .store
            .link_tag(&owner, &x, &ids(&["a", "b"]), true)
            .await
            .unwrap();
    }
    let tagged = plane.store.tagged_threads(&query).await.unwrap().rows;
    assert_eq!(tagged.len(), 2);
    assert_eq!(tagged[0].tags.len(), 1);
    plane
        .store
        .link_tag(&owner, &x, &ids(&["a"]), false)
        .await
        .unwrap();
    assert_eq!(
        plane.store.tagged_threads(&query).await.unwrap().rows.len(),
        1
    );
    assert_eq!(plane.store.delete_tag(&tenant(), &x).await, Ok(true));
    assert_eq!(plane.store.delete_tag(&tenant(), &x).await, Ok(false));
    query.tags.clear();
    let all = plane.store.tagged_threads(&query).await.unwrap().rows;
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|thread| thread.tags.is_empty()));
}

/// Touched last first; a cursor of another filter is refused.
pub async fn tagged_threads_page_by_key(plane: &Plane) {
    for n in 0..5u64 {
        plane
            .session_at(&scope(), &format!("s{n}"), None, at(n / 2))
            .await;
    }
    let mut query = TaggedQuery {
        scope: scope(),
        tags: Vec::new(),
        limit: 2,
        cursor: None,
    };
    let mut seen = Vec::new();
    loop {
        let page = plane.store.tagged_threads(&query).await.unwrap();
        seen.extend(page.rows.iter().map(|row| row.session_id.to_string()));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
        assert!(seen.len() < 9);
    }
    assert_eq!(seen, ["s4", "s2", "s3", "s0", "s1"]);
    query.cursor = plane.store.tagged_threads(&query).await.unwrap().next;
    query.tags.push("x".into());
    assert_eq!(
        plane.store.tagged_threads(&query).await,
        Err(StoreError::InvalidCursor)
    );
}

/// Made, changed, deleted; another tenant's behaves as missing.
pub async fn stored_filters_live_in_their_tenant(plane: &Plane) {
    let query = json!({"text": "x", "unknown": [1, {"a": null}]});
    let filter = SmartFilter {
        tenant_id: tenant(),
        filter_id: "f".into(),
        name: "Mine".to_owned(),
        query: query.as_object().cloned().unwrap(),
        created_at: iso(at(0)),
        updated_at: iso(at(0)),
    };
    plane.store.create_filter(filter.clone()).await.unwrap();
    assert_eq!(
        plane.peer.filters(&tenant()).await,
        Ok(vec![filter.clone()])
    );
    let (other, id) = ("t2".into(), "f".into());
    assert_eq!(plane.store.filter(&other, &id).await, Ok(None));
    let foreign = plane
        .store
        .update_filter(&other, &id, Some("x".into()), None, at(1))
        .await;
    assert_eq!(foreign, Err(StoreError::Missing("smart filter")));
    assert_eq!(plane.store.delete_filter(&other, &id).await, Ok(false));
    let renamed = plane
        .store
        .update_filter(&tenant(), &id, Some("Ours".into()), None, at(1))
        .await;
    let renamed = renamed.unwrap();
    assert_eq!(
        (renamed.name.as_str(), &renamed.query),
        ("Ours", &filter.query)
    );
    assert_eq!(plane.store.delete_filter(&tenant(), &id).await, Ok(true));
}

/// With the message to open the thread at.
pub async fn a_text_finds_the_thread_and_the_message(plane: &Plane) {
    let key = thread(plane, "s", "Groceries", "Where can I buy saffron?").await;
    let long = format!("{} Look for SAFFRON threads there.", "Well. ".repeat(30));
    append(
        plane,
        &key,
        vec![answer("a1", &long[..60]), answer("a1", &long[60..])],
    )
    .await;
    thread(plane, "other", "Weather", "Is it raining?").await;
    let page = search(plane, &text("saffron")).await;
    assert_eq!(
        (page.rows.len(), page.total_estimate, page.truncated),
        (1, 1, false)
    );
    let hit = page.rows[0].hit.clone().unwrap();
    assert_eq!(hit.message_id, Some("a1".into()));
    assert_eq!((hit.role, hit.sequence), (HitRole::Assistant, Some(2)));
    assert!(
        hit.snippet.contains("Look for SAFFRON threads"),
        "{}",
        hit.snippet
    );
    let page = search(plane, &text("buy saff")).await;
    assert_eq!(page.rows[0].hit.clone().unwrap().role, HitRole::User);
    let page = search(plane, &text("groc")).await;
    let hit = page.rows[0].hit.clone().unwrap();
    assert_eq!(
        (hit.role, hit.message_id, hit.sequence),
        (HitRole::Title, None, None)
    );
    assert!(found(plane, &text("saffron raining")).await.is_empty());
}

/// Nor is anything else an operator.
pub async fn no_character_of_a_text_is_a_wildcard(plane: &Plane) {
    thread(
        plane,
        "a",
        "",
        "about 50% of foo_bar* and \"quoted\" NEAR(x) it's C++ — fin",
    )
    .await;
    thread(
        plane,
        "b",
        "",
        "about 500 of fooxbar and quoted near it OR else",
    )
    .await;
    for (needle, expected) in [
        ("50%", vec!["a"]),
        ("foo_bar", vec!["a"]),
        ("foo_bar*", vec!["a"]),
        ("foo*", vec![]),
        ("*", vec!["a"]),
        ("%", vec!["a"]),
        ("_", vec!["a"]),
        ("\"", vec!["a"]),
        ("\"quoted\"", vec!["a"]),
        ("\"quo", vec!["a"]),
        ("quoted", vec!["a", "b"]),
        ("it's", vec!["a"]),
        ("C++", vec!["a"]),
        ("NEAR(x)", vec!["a"]),
        ("or", vec!["b"]),
        ("about AND quoted", vec!["a", "b"]),
        ("about NOT quoted", vec![]),
        ("words:about", vec![]),
        ("-quoted", vec![]),
        ("^about", vec![]),
        ("(", vec!["a"]),
        ("\\", vec![]),
        ("'", vec!["a"]),
        ("& | !", vec![]),
        (":*", vec![]),
        ("\u{0}", vec![]),
        ("\u{e000}1x1m", vec![]),
    ] {
        let mut names = found(plane, &text(needle)).await;
        names.sort();
        assert_eq!(names, expected, "{needle:?}");
    }
}

/// The same answer as the rule, whatever the text.
pub async fn a_search_finds_what_the_rule_says(plane: &Plane) {
    let texts = [
        "Déjà vu in Zürich",
        "straße STRASSE",
        "こんにちは世界",
        "Привет, мир!",
        "naïve café",
        "ΑΣ και ας",
        "x\u{0}y\u{1}z",
        "emoji 😀 face",
        "snake_case and kebab-case",
        "a.b.c/d?e=f&g=h",
        "İstanbul",
        "मानक हिन्दी",
        "ⓐ circled",
        "١٢٣ digits",
        "ﬁne ligature",
        "tab\tand\nnewline",
        "ทดสอบภาษาไทย",
        "한국어 문장",
    ];
    for (n, body) in texts.iter().enumerate() {
        thread(plane, &format!("s{n:02}"), "", body).await;
    }
    let needles = [
        "déjà",
        "Zür",
        "strasse",
        "straße",
        "世界",
        "にち",
        "мир",
        "каф",
        "café",
        "ας",
        "y",
        "😀",
        "snake_",
        "case",
        "c/d",
        "e=f&",
        "istanbul",
        "i\u{307}stanbul",
        "हिन्दी",
        "हिन्",
        "ⓐ",
        "١٢",
        "fine",
        "ﬁn",
        "and newline",
        "ทดสอบ",
        "한국",
        "국어",
    ];
    for needle in needles {
        let rule = Needle::parse(needle).unwrap();
        let expected: BTreeSet<String> = texts
            .iter()
            .enumerate()
            .filter(|(_, text)| rule.finds(text))
            .map(|(n, _)| format!("s{n:02}"))
            .collect();
        let names: BTreeSet<String> = found(plane, &text(needle)).await.into_iter().collect();
        assert_eq!(names, expected, "{needle:?}");
    }
}

/// Each user finds their own.
pub async fn a_search_stays_with_its_user(plane: &Plane) {
    thread(plane, "mine", "secret plan", "secret plan").await;
    for (tenant, user) in [("t1", "u2"), ("t2", "u1"), ("t11", "u1")] {
        plane
            .session(tenant, user, &format!("{tenant}-{user}"))
            .await;
        let query = ThreadQuery {
            scope: Scope::new(tenant, user),
            ..text("secret")
        };
        assert!(found(plane, &query).await.is_empty());
    }
    let nobody = ThreadQuery {
        scope: Scope::new("t9", "u9"),
        ..text("secret")
    };
    assert!(found(plane, &nobody).await.is_empty());
    assert_eq!(
        plane.store.thread_facets(&nobody).await,
        Ok(Default::default())
    );
}

/// The index goes on where it was, and a text that was replaced is gone.
pub async fn the_index_follows_the_log(plane: &Plane) {
    let key = thread(plane, "s", "First", "one").await;
    append(plane, &key, vec![answer("a", "Half a sen")]).await;
    index(plane).await;
    assert_eq!(found(plane, &text("half sen")).await, ["s"]);
    append(plane, &key, vec![answer("a", "tence, whole.")]).await;
    index(plane).await;
    assert_eq!(found(plane, &text("sentence whole")).await, ["s"]);
    let replaced = json!({"messageId": "a", "content": "Something else"});
    append(
        plane,
        &key,
        vec![event(EventType::AssistantMessage, replaced)],
    )
    .await;
    let renamed = json!({"title": "Second"});
    append(plane, &key, vec![event(EventType::SessionRenamed, renamed)]).await;
    index(plane).await;
    assert!(found(plane, &text("sentence")).await.is_empty());
    assert!(found(plane, &text("first")).await.is_empty());
    assert_eq!(found(plane, &text("something")).await, ["s"]);
    assert_eq!(found(plane, &text("second")).await, ["s"]);
    assert_eq!(plane.store.index_threads(10).await.unwrap().threads, 0);
}

/// Nothing twice, nothing lost.
pub async fn many_followers_count_everything_once(plane: &Plane) {
    let mut keys = Vec::new();
    for n in 0..12 {
        keys.push(plane.session("t1", "u1", &format!("s{n}")).await);
    }
    let tool = |n: usize| {
        let payload = json!({"id": format!("t{n}"), "name": "grep", "status": "complete"});
        event(EventType::ToolCall, payload)
    };
    let writers = keys.iter().map(|key| async move {
        for n in 0..10 {
            append(
                plane,
                key,
                vec![answer(&format!("m{n}"), "needle"), tool(n)],
            )
            .await;
        }
    });
    let followers = (0..4).map(|n| async move {
        let store = [&plane.store, &plane.peer][n % 2];
        for _ in 0..20 {
            store.index_threads(5).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    tokio::join!(join_all(writers), join_all(followers));
    for _ in 0..4 {
        index(plane).await;
    }
    let page = search(plane, &text("needle")).await;
    assert_eq!(page.rows.len(), 12);
    for row in page.rows {
        assert_eq!(
            (row.usage.messages, row.usage.tool_calls),
            (10, 10),
            "{}",
            row.session_id
        );
        assert_eq!(row.actual_tools[0].count, 10);
    }
}

/// Different filters by AND, values by OR; with and without a text.
pub async fn filters_narrow_a_search(plane: &Plane) {
    let a = thread(plane, "a", "Alpha", "needle").await;
    thread(plane, "b", "Beta", "needle").await;
    plane
        .session_at(&scope(), "workflow_session_c", Some("Gamma"), at(0))
        .await;
    let c = SessionKey::new("t1", "workflow_session_c");
    append(plane, &c, vec![prompt("p", "needle")]).await;
    let task = json!({"taskRunId": "x", "agent": "explore", "status": "running"});
    append(plane, &a, vec![event(EventType::TaskRun, task)]).await;
    let ask = json!({"permissionId": "p", "tool": "bash", "input": {}, "description": "ls"});
    append(
        plane,
        &SessionKey::new("t1", "b"),
        vec![event(EventType::PermissionRequested, ask)],
    )
    .await;
    append(plane, &c, vec![event(EventType::SessionIdle, json!({}))]).await;
    append(
        plane,
        &a,
        vec![event(EventType::RuntimeError, json!({"message": "no"}))],
    )
    .await;
    index(plane).await;
    make_tag(plane, "x", "x").await;
    plane
        .store
        .link_tag(&scope(), &"x".into(), &ids(&["a", "b"]), true)
        .await
        .unwrap();
    for text in [Some("needle".to_owned()), None] {
        let all = ThreadQuery {
            text,
            sort: ThreadSort::TitleAsc,
            ..ThreadQuery::new(scope())
        };
        assert_eq!(found(plane, &all).await, ["a", "b", "workflow_session_c"]);
        let by = |change: &dyn Fn(&mut ThreadQuery)| {
            let mut query = all.clone();
            change(&mut query);
            query
        };
        let explorers = by(&|query| query.agents = vec!["explore".into(), "nobody".into()]);
        assert_eq!(found(plane, &explorers).await, ["a"]);
        let tagged = by(&|query| query.tags = vec!["x".into()]);
        assert_eq!(found(plane, &tagged).await, ["a", "b"]);
        let both = by(&|query| {
            query.tags = vec!["x".into()];
            query.statuses = vec![ThreadStatus::NeedsUser, ThreadStatus::Idle];
        });
        assert_eq!(found(plane, &both).await, ["b"]);
        let errors = by(&|query| query.statuses = vec![ThreadStatus::Error]);
        assert_eq!(found(plane, &errors).await, ["a"]);
        let runs = by(&|query| query.statuses = vec![ThreadStatus::Workflow]);
        assert_eq!(found(plane, &runs).await, ["workflow_session_c"]);
        let future = by(&|query| query.from = Some(iso(at(100_000))));
        assert!(found(plane, &future).await.is_empty());
        let past = by(&|query| query.to = Some(iso(at(100_000))));
        assert_eq!(found(plane, &past).await.len(), 3);
    }
}

/// In every order, with and without a text; a cursor of another query is refused.
pub async fn found_threads_page_by_key(plane: &Plane) {
    for n in 0..7u64 {
        let id = format!("s{n}");
        let title = ["Ähre", "beta", "Alpha", "beta", "zeta", "Beta", "alpha"][n as usize];
        plane
            .session_at(&scope(), &id, Some(title), at(n / 2))
            .await;
        append(
            plane,
            &SessionKey::new("t1", id.as_str()),
            vec![prompt("m", "needle")],
        )
        .await;
    }
    index(plane).await;
    for text in [Some("needle".to_owned()), None] {
        for (sort, expected) in [
            (
                ThreadSort::UpdatedDesc,
                ["s6", "s4", "s5", "s2", "s3", "s0", "s1"],
            ),
            (
                ThreadSort::CreatedDesc,
                ["s6", "s4", "s5", "s2", "s3", "s0", "s1"],
            ),
            (
                ThreadSort::TitleAsc,
                ["s2", "s6", "s1", "s3", "s5", "s4", "s0"],
            ),
        ] {
            let mut query = ThreadQuery {
                text: text.clone(),
                sort,
                limit: 3,
                ..ThreadQuery::new(scope())
            };
            let mut seen = Vec::new();
            loop {
                let page = search(plane, &query).await;
                seen.extend(page.rows.iter().map(|row| row.session_id.to_string()));
                if text.is_some() {
                    assert_eq!(page.total_estimate, 7);
                }
                query.cursor = page.next;
                if query.cursor.is_none() {
                    break;
                }
                assert!(seen.len() < 9);
            }
            if sort != ThreadSort::UpdatedDesc {
                assert_eq!(seen, expected, "{sort} {text:?}");
            }
            assert_eq!(seen.len(), 7);
            query.cursor = search(plane, &query).await.next;
            query.agents.push("build".into());
            assert_eq!(
                plane.store.search_threads(&query).await,
                Err(StoreError::InvalidCursor)
            );
        }
    }
}

/// By count, then by name.
pub async fn facets_count_what_is_found(plane: &Plane) {
    plane
        .store
        .create_session(NewSession {
            tenant_id: tenant(),
            user_id: "u1".into(),
            session_id: "a".into(),
            profile_name: "default".into(),
            title: Some("Alpha".into()),
            directory: Some("/home/ann/code/app".into()),
            created_at: iso(at(0)),
        })
        .await
        .unwrap();
    let a = SessionKey::new("t1", "a");
    let tool = |id: &str, name: &str| {
        let payload = json!({"id": id, "name": name, "status": "complete"});
        event(EventType::ToolCall, payload)
    };
    let tools = vec![
        prompt("m", "needle"),
        tool("1", "mcp__maps__route"),
        tool("2", "mcp__maps__route"),
        tool("3", "bash"),
    ];
    append(plane, &a, tools).await;
    thread(plane, "b", "Beta", "needle").await;
    thread(plane, "c", "Gamma", "straw").await;
    make_tag(plane, "x", "Important").await;
    plane
        .store
        .link_tag(&scope(), &"x".into(), &ids(&["a"]), true)
        .await
        .unwrap();
    let facets = plane.store.thread_facets(&text("needle")).await.unwrap();
    let counts = |facets: &[Facet]| -> Vec<(String, u64)> {
        facets
            .iter()
            .map(|facet| (facet.label.clone(), facet.count))
            .collect()
    };
    assert_eq!(counts(&facets.agents), [("build".into(), 2)]);
    assert_eq!(
        counts(&facets.tools),
        [("mcp__maps__route".into(), 2), ("bash".into(), 1)]
    );
    assert_eq!(counts(&facets.mcps), [("maps".into(), 2)]);
    assert_eq!(counts(&facets.projects), [("code/app".into(), 1)]);
    assert_eq!(counts(&facets.tags), [("Important".into(), 1)]);
    assert_eq!(facets.tags[0].value, "x");
    let total: u64 = facets.statuses.iter().map(|facet| facet.count).sum();
    assert_eq!(total, 2);
    let all = plane
        .store
        .thread_facets(&ThreadQuery::new(scope()))
        .await
        .unwrap();
    assert_eq!(counts(&all.agents), [("build".into(), 3)]);
    // A label is a way to find the thread, too.
    assert_eq!(found(plane, &text("code/app")).await, Vec::<String>::new());
    assert_eq!(found(plane, &text("app maps")).await, ["a"]);
}

/// The newest ones are looked at, and the answer says so.
pub async fn a_text_that_is_everywhere_is_bounded(plane: &Plane) {
    let key = plane.session("t1", "u1", "big").await;
    let per_batch = 500;
    for batch in 0..=MAX_HITS / per_batch {
        let events = (0..per_batch).map(|n| answer(&format!("m{batch}-{n}"), "needle"));
        append(plane, &key, events.collect()).await;
    }
    index(plane).await;
    thread(plane, "new", "", "needle").await;
    let page = search(plane, &text("needle")).await;
    assert!(page.truncated);
    assert_eq!(page.rows.len(), 2);
}

/// Odd events don't stop the follower.
pub async fn odd_events_are_indexed_around(plane: &Plane) {
    let key = thread(plane, "s", &"t".repeat(5000), "fine").await;
    let odd = vec![
        event(
            EventType::AssistantMessage,
            json!({"messageId": "x".repeat(5000), "content": "lost"}),
        ),
        event(
            EventType::AssistantMessage,
            json!({"messageId": "", "content": "empty id"}),
        ),
        event(
            EventType::AssistantMessage,
            json!({"messageId": "nul\u{0}", "content": "nul\u{0}nul \u{0} end"}),
        ),
        event(
            EventType::ToolCall,
            json!({"name": "n".repeat(9000), "status": "complete"}),
        ),
        event(
            EventType::ProjectSourceBound,
            json!({"projectSource": {"repositoryUrl": "p".repeat(9000)}}),
        ),
        answer("huge", &"word ".repeat(100_000)),
        answer("last", "after all that"),
    ];
    append(plane, &key, odd).await;
    index(plane).await;
    assert_eq!(found(plane, &text("after all")).await, ["s"]);
    assert_eq!(found(plane, &text("end")).await, ["s"]);
    assert_eq!(plane.store.index_threads(10).await.unwrap().threads, 0);
}
