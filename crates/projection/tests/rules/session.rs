//! The session: its flags, time, title, source, statuses and ends (01 §5.1, §5.4).

use crate::flags;
use crate::support::{T0, fold, projector, session, time, view_json};
use open_cowork_contracts::{EventType, SessionStatus};
use open_cowork_projection::Projector;
use serde_json::{Value, json};

#[test]
fn every_projected_type_moves_the_time_and_no_other_does() {
    for kind in EventType::KNOWN {
        let view = fold(&[(kind.as_str(), json!({}))]);
        let expected = if kind.is_projected() {
            time(1)
        } else {
            T0.to_owned()
        };
        assert_eq!(view.updated_at, expected, "{kind}");
    }
    assert_eq!(fold(&[("later.type", json!({"title": "x"}))]), fold(&[]));
}

#[test]
fn flags_follow_the_table() {
    let after = |kind: &str| {
        let view = fold(&[
            ("runtime.error", json!({"message": "m"})),
            (kind, json!({})),
        ]);
        let flags = flags(&view);
        (flags.0, flags.1, flags.2.is_some())
    };
    assert_eq!(after("session.created"), ("idle", false, false));
    assert_eq!(after("session.imported"), ("idle", false, false));
    assert_eq!(
        after("session.project_source.bound"),
        ("errored", false, true)
    );
    assert_eq!(after("prompt.submitted"), ("running", true, false));
    assert_eq!(after("assistant.message"), ("errored", false, false));
    assert_eq!(after("tool.call"), ("running", true, false));
    assert_eq!(after("task.run"), ("errored", false, true));
    assert_eq!(after("permission.requested"), ("running", false, true));
    assert_eq!(after("permission.resolved"), ("errored", false, true));
    assert_eq!(after("question.asked"), ("running", false, true));
    assert_eq!(after("question.resolved"), ("errored", false, true));
    assert_eq!(after("todos.updated"), ("errored", false, true));
    assert_eq!(after("cost.updated"), ("errored", false, true));
    assert_eq!(after("session.aborted"), ("idle", false, true));
    assert_eq!(after("session.idle"), ("errored", false, true));
    assert_eq!(after("session.renamed"), ("errored", false, true));
}

#[test]
fn a_running_session_starts_generating() {
    let mut session = session();
    session.status = SessionStatus::Running;
    session.title = Some("T".to_owned());
    let view = Projector::new(&session).into_view();
    assert_eq!((view.title.as_str(), view.is_generating), ("T", true));
    session.title = Some(String::new());
    assert_eq!(Projector::new(&session).view().title, "New session");
}

#[test]
fn titles_come_from_creation_and_renaming_and_blank_ones_are_ignored() {
    let view = fold(&[
        ("session.created", json!({"title": " A "})),
        ("session.created", json!({"title": " "})),
    ]);
    assert_eq!(view.title, " A ");
    let view = fold(&[
        ("session.renamed", json!({"title": "B"})),
        ("session.renamed", json!({})),
    ]);
    assert_eq!(view.title, "B");
}

#[test]
fn an_import_keeps_numeric_counts() {
    let view = view_json(&[(
        "session.imported",
        json!({"sourceFingerprint": "f", "itemCounts": {"messages": 2, "x": "3", "y": null}}),
    )]);
    assert_eq!(
        view["origin"],
        json!({"kind": "local-session-import", "sourceFingerprint": "f", "importedAt": time(1), "itemCounts": {"messages": 2}})
    );
}

#[test]
fn a_source_is_normalized_or_nothing() {
    let bound = |source: Value| {
        view_json(&[(
            "session.project_source.bound",
            json!({"projectSource": source}),
        )])["projectSource"]
            .clone()
    };
    assert_eq!(
        bound(
            json!({"kind": "git", "repositoryUrl": " u ", "ref": " ", "subdirectory": "d", "x": 1})
        ),
        json!({"kind": "git", "repositoryUrl": "u", "ref": null, "subdirectory": "d", "credentialRef": null})
    );
    assert_eq!(
        bound(
            json!({"kind": "snapshot", "snapshotId": "i", "objectKey": "k", "fileCount": -1, "byteCount": "2"})
        ),
        json!({"kind": "snapshot", "snapshotId": "i", "objectKey": "k", "fileCount": 0, "byteCount": 0, "title": null})
    );
    for bad in [
        json!({"kind": "git"}),
        json!({"kind": "zip"}),
        json!({"kind": "snapshot", "snapshotId": "i"}),
        json!(5),
    ] {
        assert_eq!(bound(bad), Value::Null);
    }
}

#[test]
fn statuses_and_aborts() {
    let after = |events: &[(&str, Value)]| {
        let view = fold(events);
        (view.status.as_str(), view.is_generating)
    };
    let busy = ("session.status", json!({"statusType": "busy"}));
    assert_eq!(after(std::slice::from_ref(&busy)), ("running", true));
    assert_eq!(
        after(&[("session.status", json!({"statusType": "running"}))]),
        ("running", true)
    );
    assert_eq!(
        after(&[
            busy.clone(),
            ("session.status", json!({"statusType": "idle"}))
        ]),
        ("idle", false)
    );
    assert_eq!(
        after(&[
            busy.clone(),
            ("permission.requested", json!({})),
            ("session.status", json!({"statusType": "retry"}))
        ]),
        ("running", true)
    );
    assert_eq!(
        after(&[busy, ("session.aborted", json!({"reason": "interrupted"}))]),
        ("idle", false)
    );
    let view = fold(&[
        ("permission.requested", json!({})),
        ("session.aborted", json!({})),
    ]);
    assert_eq!(
        view.pending_approvals.len(),
        1,
        "the host withdraws asks, not the reducer"
    );
}

#[test]
fn the_session_view_shows_people_what_they_may_see() {
    let stored = json!({
        "sessionId": "s1", "isGenerating": true, "lastError": "broke",
        "messages": [
            {"id": "a", "role": "user", "content": "A", "createdAt": "t", "attachments": []},
            {"id": "b", "role": "system", "content": "hidden", "createdAt": "t"},
            {"id": "c", "role": "assistant", "content": "C", "createdAt": "t", "attachments": [1]}
        ]
    });
    let view = open_cowork_projection::normalize(&stored, &session(), T0);
    let shown =
        serde_json::to_value(open_cowork_projection::session_view::project(&view, 9)).unwrap();
    assert_eq!(
        shown["messages"],
        json!([
            {"id": "a", "role": "user", "content": "A", "timestamp": "t", "order": 1},
            {"id": "c", "role": "assistant", "content": "C", "attachments": [1], "timestamp": "t", "order": 3}
        ])
    );
    assert_eq!(
        shown["errors"],
        json!([{"id": "s1:cloud-error", "sessionId": "s1", "message": "broke", "order": 4}])
    );
    assert_eq!(
        (
            &shown["revision"],
            &shown["lastEventAt"],
            &shown["isGenerating"]
        ),
        (&json!(9), &json!(9), &json!(true))
    );
    assert_eq!(
        (
            &shown["contextState"],
            &shown["executionPlan"],
            &shown["activeAgent"]
        ),
        (&json!("idle"), &json!([]), &Value::Null)
    );

    let asked = projector(&[
        ("prompt.submitted", json!({})),
        ("permission.requested", json!({})),
        ("session.status", json!({"statusType": "busy"})),
    ]);
    let shown = open_cowork_projection::session_view::project(asked.view(), 3);
    assert!(
        asked.view().is_generating
            && !shown.is_generating
            && shown.is_awaiting_permission
            && !shown.is_awaiting_question
    );

    let empty =
        open_cowork_projection::session_view(&open_cowork_contracts::record::SessionEnvelope {
            session: session(),
            projection: None,
        });
    assert_eq!(empty, open_cowork_projection::empty_session_view());
}

#[test]
fn a_stop_with_a_reason_is_remembered_and_one_without_leaves_the_view_as_it_was() {
    let view = fold(&[
        ("session.aborted", json!({"commandId": "c1"})),
        ("session.aborted", json!({"reason": " "})),
    ]);
    assert!(view.stops.is_empty());
    let shown = view_json(&[("session.aborted", json!({}))]);
    assert!(
        shown.get("stops").is_none(),
        "no field without a stop: {shown}"
    );
    let view = fold(&[(
        "session.aborted",
        json!({"reason": "watchdog.steps", "message": "Stopped."}),
    )]);
    let stop = &view.stops[0];
    assert_eq!(
        (
            stop.reason.as_str(),
            stop.message.as_deref(),
            stop.order.0,
            stop.stopped_at.as_str()
        ),
        ("watchdog.steps", Some("Stopped."), 1.0, time(1).as_str())
    );
}
