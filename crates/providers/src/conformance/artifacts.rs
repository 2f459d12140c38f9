//! Cases about the index of artifacts (04 §2.3, 03 §8.5).

use super::plane::{Plane, at, scope};
use crate::store::artifacts::{ArtifactChange, ArtifactQuery, object_key};
use crate::store::{AppendRequest, NewEvent, Scope, SessionKey, StoreError};
use crate::time::iso;
use futures::future::join_all;
use open_cowork_contracts::EventType;
use open_cowork_contracts::api::artifacts::{Artifact, ArtifactKind, ArtifactStatus, cloud_path};
use serde_json::{Value, json};

fn artifact(session: &str, id: &str, second: u64) -> Artifact {
    Artifact {
        artifact_id: id.into(),
        id: id.into(),
        tool_id: "cloud-artifact".to_owned(),
        tool_name: "cloud.artifact".to_owned(),
        file_path: cloud_path(&id.into(), "report.md"),
        filename: "report.md".to_owned(),
        order: 0,
        source: "cloud".to_owned(),
        cloud_artifact_id: id.into(),
        session_id: session.into(),
        session_title: None,
        workspace_id: None,
        mime: Some("text/markdown".to_owned()),
        content_type: "text/markdown".to_owned(),
        size: 3,
        created_at: iso(at(second)),
        updated_at: iso(at(second)),
        kind: ArtifactKind::Document,
        status: ArtifactStatus::Draft,
        author_agent_id: None,
        project_id: None,
        task_id: None,
        status_updated_by: None,
        status_updated_at: None,
    }
}

async fn put(plane: &Plane, key: &SessionKey, artifact: Artifact) {
    plane
        .store
        .put_artifact(key, artifact, Some("k".into()))
        .await
        .unwrap();
}

fn becomes(status: ArtifactStatus) -> ArtifactChange {
    ArtifactChange {
        status,
        updated_by: None,
        author_agent_id: None,
        project_id: None,
        task_id: None,
        kind: None,
    }
}

async fn ids(plane: &Plane, query: &ArtifactQuery) -> Vec<String> {
    let page = plane.store.page_artifacts(query).await.unwrap();
    let id = |row: &crate::store::artifacts::ArtifactRow| row.artifact.artifact_id.to_string();
    page.rows.iter().map(id).collect()
}

/// By session and artifact; the first one stays.
pub async fn an_artifact_is_put_once(plane: &Plane) {
    let key = plane.session("t1", "u1", "s").await;
    put(plane, &key, artifact("s", "a", 1)).await;
    let mut other = artifact("s", "a", 2);
    other.filename = "other.md".to_owned();
    let again = plane
        .store
        .put_artifact(&key, other, Some("other".into()))
        .await
        .unwrap();
    assert_eq!(again.artifact.filename, "report.md");
    assert_eq!((again.key.as_deref(), again.scope), (Some("k"), scope()));
    let unknown = SessionKey::new("t1", "nothing");
    let refused = plane
        .store
        .put_artifact(&unknown, artifact("nothing", "a", 1), None)
        .await;
    assert_eq!(refused, Err(StoreError::NotFound("nothing".into())));
}

/// Another tenant's behaves as missing.
pub async fn artifacts_stay_in_their_tenant(plane: &Plane) {
    let key = plane.session("t1", "u1", "s").await;
    plane.session("t2", "u1", "s").await;
    put(plane, &key, artifact("s", "a", 1)).await;
    let foreign = SessionKey::new("t2", "s");
    assert_eq!(plane.store.artifact(&foreign, &"a".into()).await, Ok(None));
    let changed = plane
        .store
        .change_artifact(&foreign, &"a".into(), becomes(ArtifactStatus::Final), at(2))
        .await;
    assert_eq!(changed, Err(StoreError::Missing("artifact")));
    let query = ArtifactQuery::new(Scope::new("t2", "u1"));
    assert!(ids(plane, &query).await.is_empty());
    let query = ArtifactQuery::new(Scope::new("t1", "u2"));
    assert!(ids(plane, &query).await.is_empty());
}

/// Filters are joined by AND, tasks by OR; the cursor belongs to the filter.
pub async fn the_index_filters_and_pages_by_key(plane: &Plane) {
    let one = plane.session("t1", "u1", "s1").await;
    let two = plane.session("t1", "u1", "s2").await;
    for n in 0..5 {
        let mut new = artifact("s1", &format!("a{n}"), 10);
        new.task_id = Some(format!("task{n}"));
        put(plane, &one, new).await;
    }
    let mut chart = artifact("s2", "chart", 20);
    chart.kind = ArtifactKind::Chart;
    chart.project_id = Some("p".to_owned());
    put(plane, &two, chart).await;
    let all = ArtifactQuery::new(scope());
    assert_eq!(
        ids(plane, &all).await,
        ["chart", "a0", "a1", "a2", "a3", "a4"]
    );
    let charts = ArtifactQuery {
        kind: Some(ArtifactKind::Chart),
        ..all.clone()
    };
    assert_eq!(ids(plane, &charts).await, ["chart"]);
    let nothing = ArtifactQuery {
        project_id: Some("p".into()),
        session_id: Some("s1".into()),
        ..all.clone()
    };
    assert!(ids(plane, &nothing).await.is_empty());
    let tasks = ArtifactQuery {
        task_ids: vec!["task3".into(), "task1".into(), "other".into()],
        ..all.clone()
    };
    assert_eq!(ids(plane, &tasks).await, ["a1", "a3"]);
    let mut page = ArtifactQuery { limit: 4, ..all };
    let first = plane.store.page_artifacts(&page).await.unwrap();
    page.cursor = first.next;
    assert_eq!(ids(plane, &page).await, ["a3", "a4"]);
    page.status = Some(ArtifactStatus::Draft);
    assert_eq!(
        plane.store.page_artifacts(&page).await,
        Err(StoreError::InvalidCursor)
    );
}

/// Forward or the same.
pub async fn a_status_never_goes_back(plane: &Plane) {
    let key = plane.session("t1", "u1", "s").await;
    put(plane, &key, artifact("s", "a", 1)).await;
    let id = "a".into();
    let change = ArtifactChange {
        updated_by: Some("ann".into()),
        project_id: Some("p".into()),
        ..becomes(ArtifactStatus::InReview)
    };
    let changed = plane
        .store
        .change_artifact(&key, &id, change, at(5))
        .await
        .unwrap();
    assert_eq!(changed.artifact.status_updated_by.as_deref(), Some("ann"));
    assert_eq!(changed.artifact.updated_at, iso(at(5)));
    let equal = becomes(ArtifactStatus::InReview);
    let changed = plane
        .store
        .change_artifact(&key, &id, equal, at(6))
        .await
        .unwrap();
    assert_eq!(changed.artifact.status_updated_by, None);
    assert_eq!(changed.artifact.project_id.as_deref(), Some("p"));
    let back = becomes(ArtifactStatus::Draft);
    let refused = plane.store.change_artifact(&key, &id, back, at(7)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(plane.peer.artifact(&key, &id).await.unwrap(), Some(changed));
}

/// Whoever comes second sees what the first did.
pub async fn concurrent_changes_have_an_order(plane: &Plane) {
    let key = plane.session("t1", "u1", "s").await;
    put(plane, &key, artifact("s", "a", 1)).await;
    let id = "a".into();
    let statuses = [ArtifactStatus::Final, ArtifactStatus::InReview];
    let changes = (0..8).map(|n| {
        let store = [&plane.store, &plane.peer][n / 2 % 2];
        store.change_artifact(&key, &id, becomes(statuses[n % 2]), at(5))
    });
    for answer in join_all(changes).await {
        assert!(matches!(answer, Ok(_) | Err(StoreError::Conflict(_))));
    }
    let stored = plane.store.artifact(&key, &id).await.unwrap().unwrap();
    assert_eq!(stored.artifact.status, ArtifactStatus::Final);
}

/// A process that died between the event and the row loses nothing.
pub async fn the_index_is_mended_from_the_log(plane: &Plane) {
    let key = plane.session("t1", "u1", "s").await;
    let event = |kind: EventType, payload: Value| NewEvent {
        event_id: None,
        kind,
        payload: payload.as_object().cloned().unwrap(),
        created_at: iso(at(1)),
    };
    let created = json!({
        "artifactId": "a", "sessionId": "s", "filename": "talk.key", "contentType": "application/x", "size": 7,
        "createdAt": iso(at(1)), "updatedAt": iso(at(1)), "kind": "deck", "status": "draft",
    });
    let mut updated = created.clone();
    updated["status"] = json!("final");
    updated["updatedAt"] = json!(iso(at(2)));
    let odd = json!({"artifactId": "x".repeat(2000), "filename": "f"});
    let request = AppendRequest {
        key: key.clone(),
        events: vec![
            event(EventType::ArtifactCreated, created),
            event(EventType::ArtifactUpdated, updated),
            event(EventType::ArtifactCreated, odd),
        ]
        .into(),
        fence: None,
    };
    plane.store.append(request).await.unwrap();
    plane.store.index_threads(10).await.unwrap();
    let mended = plane
        .store
        .artifact(&key, &"a".into())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(mended.artifact.status, ArtifactStatus::Final);
    assert_eq!(
        (mended.artifact.kind, mended.artifact.size),
        (ArtifactKind::Deck, 7)
    );
    assert_eq!(mended.key, Some(object_key(&key, &"a".into(), "talk.key")));
    assert_eq!(ids(plane, &ArtifactQuery::new(scope())).await, ["a"]);
}
