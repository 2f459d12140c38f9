//! Streams against a server that misbehaves in every way that 03 §9 and §12 name.

mod support;

use open_cowork_cloud_client::deliveries::DeliveriesQuery;
use open_cowork_cloud_client::{
    CloudClient, Error, Follow, LineOptions, LineState, Update, WorkspaceUpdate,
};
use open_cowork_contracts::SessionId;
use std::time::Duration;
use support::{
    Fake, Request, Step, answer, chunk, end, envelope, error, event, events, ok, snapshot_required,
    stream,
};
use tokio::time::Instant;

/// An update in short: `S7` for a snapshot, `7` for an event.
async fn next(follow: &mut Follow) -> String {
    match follow.next().await {
        Some(Ok(Update::Snapshot(envelope))) => {
            format!(
                "S{}",
                envelope
                    .projection
                    .map_or(0, |projection| projection.sequence)
            )
        }
        Some(Ok(Update::Event(event))) => event.sequence.to_string(),
        Some(Err(error)) => format!("{error:?}")
            .chars()
            .take_while(|char| char.is_alphanumeric())
            .collect(),
        None => "-".to_owned(),
    }
}

async fn take(follow: &mut Follow, count: usize) -> String {
    let mut updates = Vec::new();
    for _ in 0..count {
        updates.push(next(follow).await);
    }
    updates.join(" ")
}

fn follow(client: &CloudClient) -> Follow {
    client.sessions().follow(&SessionId::from("s"))
}

fn asks_for_events(request: &Request) -> bool {
    request.line.contains("/events")
}

/// A server whose snapshots and streams are scripted apart, each by its own number; the last one repeats.
async fn server(snapshots: Vec<Vec<Step>>, streams: Vec<Vec<Step>>) -> Fake {
    let (mut snapshot, mut opened) = (0, 0);
    Fake::start(move |_, request| {
        let (list, number) = match asks_for_events(request) {
            true => (&streams, &mut opened),
            false => (&snapshots, &mut snapshot),
        };
        let steps = list[(*number).min(list.len() - 1)].clone();
        *number += 1;
        steps
    })
    .await
}

fn then(mut steps: Vec<Step>, more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    steps.extend(more);
    steps
}

fn hanging(text: &str) -> Vec<Step> {
    then(stream("", text), [Step::Hang])
}

fn at(sequence: u64) -> Vec<Step> {
    ok(&envelope(sequence))
}

#[tokio::test(start_paused = true)]
async fn a_thread_is_a_snapshot_and_then_what_happens_after_it() {
    let fake = server(vec![at(4)], vec![hanging(&events(5..=7))]).await;
    let mut follow = follow(&fake.client());
    assert_eq!(take(&mut follow, 4).await, "S4 5 6 7");
    assert_eq!(follow.cursor(), 7);
    assert_eq!(
        fake.lines(),
        ["GET /api/sessions/s", "GET /api/sessions/s/events?after=4"]
    );
    assert_eq!(fake.requests()[1].header("last-event-id"), Some("4"));
    assert_eq!(
        fake.requests()[1].header("accept"),
        Some("text/event-stream")
    );
    assert_eq!(
        fake.requests()[1].header("authorization"),
        Some("Bearer canary-token")
    );
}

#[tokio::test(start_paused = true)]
async fn a_thread_without_events_is_followed_from_its_first() {
    let fake = server(vec![at(0)], vec![hanging(&events(1..=2))]).await;
    assert_eq!(take(&mut follow(&fake.client()), 3).await, "S0 1 2");
    assert_eq!(fake.lines()[1], "GET /api/sessions/s/events");
}

#[tokio::test(start_paused = true)]
async fn every_way_in_which_a_stream_can_end_is_noticed_and_healed() {
    let half = event(6);
    let half = &half[..half.len() / 2];
    for ending in [
        vec![end()],
        vec![Step::Reset],
        vec![],
        vec![chunk(half), Step::Reset],
        vec![chunk(half), end()],
        vec![Step::Hang],
        vec![Step::Send(b"zz\r\n".to_vec())],
    ] {
        let broken = then(stream("", &event(5)), ending.clone());
        let fake = server(vec![at(4)], vec![broken, hanging(&events(5..=7))]).await;
        assert_eq!(
            take(&mut follow(&fake.client()), 4).await,
            "S4 5 6 7",
            "{ending:?}"
        );
        assert_eq!(
            fake.lines()[2],
            "GET /api/sessions/s/events?after=5",
            "{ending:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_lives_as_long_as_it_says_so_and_dies_of_silence() {
    let mut steps = stream("", &event(5));
    for _ in 0..20 {
        steps.extend([
            Step::Wait(Duration::from_secs(20)),
            chunk(": keep-alive\n\n"),
        ]);
    }
    steps.extend([chunk(&event(6)), Step::Hang]);
    let fake = server(vec![at(4)], vec![steps, hanging(&event(7))]).await;
    let mut follow = follow(&fake.client());
    let start = Instant::now();
    assert_eq!(take(&mut follow, 3).await, "S4 5 6");
    assert_eq!(fake.requests().len(), 2);
    assert!(start.elapsed() >= Duration::from_secs(400));
    let start = Instant::now();
    assert_eq!(next(&mut follow).await, "7");
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_secs(60) && waited < Duration::from_secs(62),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_is_not_seen_again() {
    let text = events([3, 4, 5, 5, 4, 6, 1, 6, 7]);
    let fake = server(vec![at(4)], vec![hanging(&text)]).await;
    assert_eq!(take(&mut follow(&fake.client()), 4).await, "S4 5 6 7");
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_the_cloud_announces_is_closed_by_a_snapshot() {
    let text = snapshot_required(4, 9, "event_retention_gap") + &events([8, 9, 10, 11]);
    let fake = server(vec![at(4), at(9)], vec![hanging(&text)]).await;
    assert_eq!(take(&mut follow(&fake.client()), 4).await, "S4 S9 10 11");
    assert_eq!(fake.requests().len(), 3, "the stream stays open");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_newer_than_the_gap_skips_what_it_holds() {
    let text = snapshot_required(4, 9, "event_retention_gap") + &events([10, 11, 12, 13]);
    let fake = server(vec![at(4), at(12)], vec![hanging(&text)]).await;
    assert_eq!(take(&mut follow(&fake.client()), 3).await, "S4 S12 13");
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_the_cloud_does_not_announce_is_closed_too() {
    let fake = server(vec![at(4), at(8)], vec![hanging(&events([5, 8, 9]))]).await;
    assert_eq!(take(&mut follow(&fake.client()), 4).await, "S4 5 S8 9");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_older_than_what_was_shown_is_read_again() {
    let text = event(5) + &snapshot_required(5, 9, "event_retention_gap");
    let fake = server(vec![at(4), at(2), at(3), at(9)], vec![hanging(&text)]).await;
    assert_eq!(take(&mut follow(&fake.client()), 3).await, "S4 5 S9");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_stays_behind_the_log_is_taken_and_the_rest_asked_for() {
    let first = hanging(&snapshot_required(4, 9, "event_retention_gap"));
    let fake = server(vec![at(4), at(7)], vec![first, hanging(&events(8..=10))]).await;
    assert_eq!(take(&mut follow(&fake.client()), 5).await, "S4 S7 8 9 10");
    assert_eq!(
        fake.lines().last().unwrap(),
        "GET /api/sessions/s/events?after=7"
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_behind_a_hole_is_never_given_out() {
    let mut snapshots = vec![at(4)];
    snapshots.extend(vec![at(6); 5]);
    snapshots.push(at(9));
    let streams = vec![hanging(&events([5, 8])), hanging(&events([8, 9, 10]))];
    let fake = server(snapshots, streams).await;
    assert_eq!(take(&mut follow(&fake.client()), 5).await, "S4 5 S6 S9 10");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_went_back_is_followed_back() {
    let first = hanging(&snapshot_required(40, 7, "cursor_ahead"));
    let fake = server(vec![at(40), at(7)], vec![first, hanging(&event(8))]).await;
    assert_eq!(take(&mut follow(&fake.client()), 3).await, "S40 S7 8");
    assert_eq!(
        fake.lines().last().unwrap(),
        "GET /api/sessions/s/events?after=7"
    );
}

#[tokio::test(start_paused = true)]
async fn another_log_behind_the_same_address_is_noticed_by_its_epoch() {
    let first = then(
        stream("x-open-cowork-stream-epoch: a\r\n", &event(5)),
        [end()],
    );
    let other = then(
        stream("x-open-cowork-stream-epoch: b\r\n", &event(6)),
        [Step::Hang],
    );
    let fake = server(
        vec![at(4), at(2)],
        vec![
            first,
            other.clone(),
            then(
                stream("x-open-cowork-stream-epoch: b\r\n", &event(3)),
                [Step::Hang],
            ),
        ],
    )
    .await;
    assert_eq!(take(&mut follow(&fake.client()), 4).await, "S4 5 S2 3");
    assert_eq!(
        fake.lines().last().unwrap(),
        "GET /api/sessions/s/events?after=2"
    );
}

#[tokio::test(start_paused = true)]
async fn what_trying_again_cannot_mend_ends_the_stream_with_its_reason() {
    for (refusal, name) in [
        (error(400, ""), "Invalid"),
        (error(401, ""), "SignIn"),
        (error(402, ""), "PaymentRequired"),
        (error(403, ""), "Forbidden"),
        (error(404, ""), "NotFound"),
        (error(501, ""), "NotAvailable"),
        (
            answer(200, "content-type: text/html\r\n", "<html>"),
            "Incompatible",
        ),
        (answer(204, "", ""), "Incompatible"),
        (answer(302, "location: /x\r\n", ""), "Incompatible"),
    ] {
        let broken = then(stream("", &event(5)), [end()]);
        let fake = server(vec![at(4)], vec![broken, refusal]).await;
        let mut follow = follow(&fake.client());
        let state = follow.state();
        assert_eq!(take(&mut follow, 4).await, format!("S4 5 {name} -"));
        assert_eq!(*state.borrow(), LineState::Ended);
        assert_eq!(fake.requests().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_thread_that_is_not_there_is_told_at_once() {
    let fake = server(vec![error(404, "")], vec![hanging("")]).await;
    assert_eq!(take(&mut follow(&fake.client()), 2).await, "NotFound -");
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_waited_out_as_the_cloud_asks() {
    let streams = vec![
        error(503, "retry-after: 9\r\n"),
        error(429, ""),
        error(500, ""),
        vec![Step::Reset],
        hanging(&event(5)),
    ];
    let fake = server(vec![at(4)], streams).await;
    let start = Instant::now();
    assert_eq!(take(&mut follow(&fake.client()), 2).await, "S4 5");
    assert!(start.elapsed() >= Duration::from_secs(9));
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_is_waited_for_however_long_the_cloud_is_away() {
    let mut snapshots = vec![error(503, ""); 60];
    snapshots.push(at(4));
    let fake = server(snapshots, vec![hanging(&event(5))]).await;
    assert_eq!(take(&mut follow(&fake.client()), 2).await, "S4 5");
}

#[tokio::test(start_paused = true)]
async fn waits_grow_while_nothing_comes_and_start_over_after_an_event() {
    let mut streams = vec![then(stream("", ""), [end()]); 12];
    streams.push(then(stream("", &event(5)), [end()]));
    streams.push(hanging(&event(6)));
    let fake = server(vec![at(4)], streams).await;
    let mut follow = follow(&fake.client());
    let start = Instant::now();
    assert_eq!(take(&mut follow, 2).await, "S4 5");
    // 250 ms doubling to 30 s, each at least half: more than 60 s, less than 3 min.
    let grown = start.elapsed();
    assert!(
        grown > Duration::from_secs(60) && grown < Duration::from_secs(180),
        "{grown:?}"
    );
    let start = Instant::now();
    assert_eq!(next(&mut follow).await, "6");
    assert!(
        start.elapsed() <= Duration::from_millis(260),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_quiet_thread_whose_streams_end_by_age_is_not_treated_as_failing() {
    let aged = then(stream("", ""), [Step::Wait(Duration::from_secs(50)), end()]);
    let mut streams = vec![aged; 12];
    streams.push(hanging(&event(5)));
    let fake = server(vec![at(4)], streams).await;
    let start = Instant::now();
    assert_eq!(take(&mut follow(&fake.client()), 2).await, "S4 5");
    assert!(
        start.elapsed() <= Duration::from_secs(12 * 50 + 4),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_cannot_be_read_is_replaced_by_a_snapshot() {
    for bad in [
        "id: 5\ndata: {\"sequence\":\n\n",
        "id: 5\ndata: []\n\n",
        "id: 5\ndata: {\"sequence\":\"5\"}\n\n",
        "id: 5\ndata:\n\n",
    ] {
        let fake = server(vec![at(4), at(5)], vec![hanging(bad), hanging(&event(6))]).await;
        assert_eq!(
            take(&mut follow(&fake.client()), 3).await,
            "S4 S5 6",
            "{bad}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_too_long_is_replaced_by_a_snapshot() {
    let options = LineOptions {
        max_frame_bytes: 1000,
        ..LineOptions::default()
    };
    let long = format!("{}id: 6\ndata: {}\n\n", event(5), "x".repeat(2000));
    let fake = server(vec![at(4), at(6)], vec![hanging(&long), hanging(&event(7))]).await;
    let client = fake.builder().line(options).build().unwrap();
    assert_eq!(take(&mut follow(&client), 4).await, "S4 5 S6 7");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_sends_only_nonsense_is_left() {
    let nonsense = hanging("id: 9\ndata: nonsense\n\n");
    let fake = server(vec![at(4), at(9), at(9), at(9)], vec![nonsense]).await;
    assert_eq!(
        take(&mut follow(&fake.client()), 4).await,
        "S4 S9 Incompatible -"
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_of_next_loses_nothing() {
    let mut steps = stream("", "");
    for sequence in 5..30 {
        let text = event(sequence);
        let (head, tail) = text.split_at(40);
        steps.extend([
            chunk(head),
            Step::Wait(Duration::from_millis(7)),
            chunk(tail),
            Step::Wait(Duration::from_millis(5)),
        ]);
        if sequence % 7 == 0 {
            steps.push(Step::Reset);
            break;
        }
    }
    let fake = Fake::start(move |_, request| {
        if !asks_for_events(request) {
            return at(4);
        }
        let after: u64 = request
            .line
            .rsplit_once("after=")
            .unwrap()
            .1
            .parse()
            .unwrap();
        match after {
            4 => steps.clone(),
            _ => hanging(&events(after + 1..30)),
        }
    })
    .await;
    let mut follow = follow(&fake.client());
    let mut seen = Vec::new();
    let mut dropped = 0;
    while seen.len() < 26 {
        match tokio::time::timeout(Duration::from_millis(3), next(&mut follow)).await {
            Ok(update) => seen.push(update),
            Err(_) => dropped += 1,
        }
    }
    let expected: Vec<String> = std::iter::once("S4".to_owned())
        .chain((5..30).map(|n| n.to_string()))
        .collect();
    assert_eq!(seen, expected);
    assert!(dropped > 5, "{dropped}");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_follow_ends_its_connection() {
    let fake = server(vec![at(4)], vec![hanging(&event(5))]).await;
    let mut follow = follow(&fake.client());
    assert_eq!(take(&mut follow, 2).await, "S4 5");
    drop(follow);
    fake.connections_ended(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_renewed_token_is_used_at_the_next_connection() {
    let fake = server(
        vec![at(4)],
        vec![then(stream("", &event(5)), [end()]), hanging(&event(6))],
    )
    .await;
    let client = fake.client();
    let mut follow = follow(&client);
    assert_eq!(take(&mut follow, 2).await, "S4 5");
    client.set_token("renewed").unwrap();
    assert_eq!(next(&mut follow).await, "6");
    assert_eq!(
        fake.requests()[2].header("authorization"),
        Some("Bearer renewed")
    );
}

#[tokio::test(start_paused = true)]
async fn the_state_says_what_the_connection_does() {
    let fake = server(
        vec![at(4)],
        vec![then(stream("", &event(5)), [end()]), hanging(&event(6))],
    )
    .await;
    let mut follow = follow(&fake.client());
    let state = follow.state();
    assert_eq!(*state.borrow(), LineState::Connecting);
    assert_eq!(take(&mut follow, 2).await, "S4 5");
    assert_eq!(*state.borrow(), LineState::Live);
    let waiting = tokio::time::timeout(Duration::from_millis(20), follow.next()).await;
    assert!(waiting.is_err());
    assert!(
        matches!(&*state.borrow(), LineState::Waiting { reason, failures: 1, .. } if reason == "the cloud ended the stream")
    );
    drop(follow);
    assert_eq!(*state.borrow(), LineState::Ended);
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_a_cursor_starts_after_it_and_one_without_gets_what_there_is() {
    let fake = server(vec![at(0)], vec![hanging(&events(3..=4))]).await;
    let client = fake.client();
    let mut follow = client.sessions().follow_after(&SessionId::from("s"), 2);
    assert_eq!(take(&mut follow, 2).await, "3 4");
    assert_eq!(fake.lines(), ["GET /api/sessions/s/events?after=2"]);
    // Old events may be gone: the first one has any sequence.
    let mut follow = client.sessions().follow_after(&SessionId::from("s"), 0);
    assert_eq!(take(&mut follow, 2).await, "3 4");
}

fn workspace_event(sequence: u64) -> String {
    let record = serde_json::json!({
        "tenantId": "t", "userId": "u", "sessionId": "s", "eventId": format!("e{sequence}"), "sequence": sequence,
        "entityType": "session", "entityId": "s", "operation": "update", "projectionVersion": 1,
        "type": "session.idle", "payload": {}, "createdAt": "2026-01-02T03:04:05.678Z",
    });
    format!("id: {sequence}\nevent: session.idle\ndata: {record}\n\n")
}

#[tokio::test(start_paused = true)]
async fn a_workspace_is_followed_through_gaps_by_reading_its_lists_again() {
    let first = workspace_event(8)
        + &snapshot_required(8, 20, "event_retention_gap")
        + &workspace_event(20)
        + &workspace_event(21);
    let second = workspace_event(22) + &workspace_event(25) + "id: 26\ndata: nonsense\n\n";
    let third = snapshot_required(26, 3, "cursor_ahead") + &workspace_event(4);
    let fake = server(
        vec![at(0)],
        vec![
            then(stream("", &first), [end()]),
            hanging(&second),
            hanging(&third),
        ],
    )
    .await;
    let mut follow = fake.client().follow_workspace_after(7);
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(match follow.next().await.unwrap().unwrap() {
            WorkspaceUpdate::Reread { sequence } => format!("R{sequence}"),
            WorkspaceUpdate::Event(event) => event.sequence.to_string(),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(seen.join(" "), "8 R20 21 22 R25 R26 R3 4");
    let expected = [
        "GET /api/events?after=7",
        "GET /api/events?after=21",
        "GET /api/events?after=26",
    ];
    assert_eq!(fake.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_workspace_begins_with_its_newest_threads_and_their_cursor() {
    let session = serde_json::json!({"sessionId": "s", "title": "T"});
    let data = serde_json::json!({"sequence": 7, "sessions": [session]});
    let first = format!(
        "id: 7\nevent: workspace.snapshot\ndata: {data}\n\n{}",
        workspace_event(8)
    );
    let fake = server(
        vec![at(0)],
        vec![
            then(stream("", &first), [end()]),
            hanging(&workspace_event(9)),
        ],
    )
    .await;
    let mut follow = fake.client().follow_workspace();
    let begun = follow.next().await.unwrap().unwrap();
    assert!(
        matches!(&begun, WorkspaceUpdate::Snapshot { sequence: 7, sessions } if sessions.len() == 1),
        "{begun:?}"
    );
    for sequence in [8, 9] {
        let next = follow.next().await.unwrap().unwrap();
        assert!(
            matches!(&next, WorkspaceUpdate::Event(event) if event.sequence == sequence),
            "{next:?}"
        );
    }
    let expected = [
        "GET /api/events?snapshot=true",
        "GET /api/events?snapshot=true&after=8",
    ];
    assert_eq!(fake.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn deliveries_come_through_errors_and_ends() {
    let delivery = |id: &str| {
        let record = serde_json::json!({
            "deliveryId": id, "orgId": "o", "agentId": "g", "channelBindingId": "x", "sessionBindingId": null,
            "provider": "telegram", "target": {}, "eventType": "message", "payload": {}, "status": "claimed",
            "attemptCount": 1, "claimedBy": "me", "lastClaimedBy": "me", "claimExpiresAt": null, "nextAttemptAt": "",
            "lastError": null, "createdAt": "", "updatedAt": "",
        });
        format!("id: {id}\nevent: channel.delivery\ndata: {{\"delivery\":{record}}}\n\n")
    };
    let first = delivery("a") + "event: error\ndata: {\"error\":\"No.\"}\n\n";
    let mut streams = [hanging(&first), hanging(&delivery("b"))].into_iter();
    let fake = Fake::start(move |_, _| streams.next().unwrap_or_else(|| vec![Step::Hang])).await;
    let mut deliveries = fake.client().channels().deliveries(&DeliveriesQuery {
        claimed_by: Some("me".into()),
        ttl: Some(Duration::from_secs(90)),
        channel_binding_ids: vec!["x".into(), "y".into()],
    });
    for id in ["a", "b"] {
        assert_eq!(deliveries.next().await.unwrap().unwrap().delivery_id, id);
    }
    assert_eq!(
        fake.lines()[0],
        "GET /api/channels/deliveries/stream?claimedBy=me&ttlMs=90000&channelBindingId=x&channelBindingId=y"
    );
}

#[tokio::test(start_paused = true)]
async fn no_error_of_a_stream_holds_the_token() {
    let fake = server(vec![error(401, "")], vec![hanging("")]).await;
    let error = follow(&fake.client()).next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::SignIn(_)));
    assert!(!format!("{error} {error:?}").contains("canary"));
}
