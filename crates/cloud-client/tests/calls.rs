//! Calls against a server that misbehaves: what is repeated, what is not, and what the caller hears.

mod support;

use open_cowork_cloud_client::{CloudClient, Error, RetryPolicy};
use open_cowork_contracts::SessionId;
use open_cowork_contracts::api::sessions::{PromptRequest, SessionsQuery};
use serde_json::{Value, json};
use std::time::Duration;
use support::{Fake, Step, answer, error, ok};
use tokio::time::Instant;

fn page() -> Value {
    json!({"sessions": [], "nextCursor": null, "totalEstimate": 0})
}

fn command() -> Value {
    json!({
        "commandId": "c", "tenantId": "t", "userId": "u", "sessionId": "s", "kind": "prompt", "payload": {},
        "targetLeaseToken": null, "createdSequence": 1, "createdAt": "", "status": "pending", "claimedBy": null,
        "claimedLeaseToken": null, "attemptCount": 0, "availableAt": null, "lastErrorCode": null,
        "lastErrorSummary": null, "ackedAt": null, "error": null,
    })
}

fn mutation() -> Value {
    json!({"command": command(), "processed": 0, "view": support::envelope(1), "projectionFence": null})
}

async fn list(client: &CloudClient) -> Result<u64, Error> {
    let page = client.sessions().list(&SessionsQuery::default()).await?;
    Ok(page.total_estimate)
}

async fn prompt(client: &CloudClient) -> Result<(), Error> {
    let body = PromptRequest {
        text: "hi".into(),
        agent: None,
    };
    client
        .sessions()
        .prompt(&SessionId::from("s"), &body)
        .await
        .map(drop)
}

/// What the n-th request meets.
fn first_then(
    first: Vec<Step>,
    then: Vec<Step>,
) -> impl FnMut(usize, &support::Request) -> Vec<Step> + Send {
    move |number, _| {
        if number == 0 {
            first.clone()
        } else {
            then.clone()
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_survives_whatever_may_pass() {
    let half = Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"ses".to_vec());
    for fault in [
        error(502, ""),
        error(503, ""),
        error(504, ""),
        error(429, ""),
        vec![Step::Reset],
        vec![],
        vec![half.clone(), Step::Reset],
        vec![half],
    ] {
        let fake = Fake::start(first_then(fault.clone(), ok(&page()))).await;
        assert_eq!(list(&fake.client()).await, Ok(0), "{fault:?}");
        assert_eq!(fake.requests().len(), 2, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_mutation_carries_the_same_key_and_the_next_one_another() {
    let fake = Fake::start(first_then(vec![Step::Reset], ok(&mutation()))).await;
    let client = fake.client();
    prompt(&client).await.unwrap();
    prompt(&client).await.unwrap();
    let requests = fake.requests();
    let keys: Vec<_> = requests
        .iter()
        .map(|request| request.header("idempotency-key").unwrap())
        .collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
    assert_eq!(requests[1].body, r#"{"text":"hi"}"#);
    assert_eq!(
        requests[0].header("authorization"),
        Some("Bearer canary-token")
    );
}

#[tokio::test(start_paused = true)]
async fn against_a_cloud_that_ignores_keys_a_lost_answer_is_not_asked_again() {
    let policy = RetryPolicy {
        keyed: false,
        ..RetryPolicy::default()
    };
    for (fault, requests) in [
        (vec![Step::Reset], 1),
        (error(502, ""), 1),
        (error(503, ""), 2),
        (error(429, ""), 2),
    ] {
        let fake = Fake::start(first_then(fault, ok(&mutation()))).await;
        let result = prompt(&fake.builder().retry(policy).build().unwrap()).await;
        assert_eq!(
            (result.is_ok(), fake.requests().len()),
            (requests == 2, requests)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_decided_is_not_asked_again() {
    for status in [400, 401, 402, 403, 404, 405, 409, 413, 500, 501] {
        let fake = Fake::start(move |_, _| error(status, "x-request-id: r1\r\n")).await;
        let result = list(&fake.client()).await.unwrap_err();
        let refusal = result.refusal().unwrap();
        assert_eq!(
            (refusal.status, refusal.envelope.error.as_str()),
            (status, "No.")
        );
        assert_eq!(refusal.request_id.as_deref(), Some("r1"));
        assert_eq!(fake.requests().len(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mutation_that_is_still_being_answered_is_waited_for() {
    let busy = answer(
        409,
        "retry-after: 2\r\n",
        r#"{"error":"Wait.","code":"idempotency.in_progress"}"#,
    );
    let fake = Fake::start(first_then(busy, ok(&mutation()))).await;
    let start = Instant::now();
    prompt(&fake.client()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_when_there_is_time_and_told_when_there_is_not() {
    let fake = Fake::start(first_then(error(429, "retry-after: 7\r\n"), ok(&page()))).await;
    let start = Instant::now();
    list(&fake.client()).await.unwrap();
    assert!(
        start.elapsed() >= Duration::from_secs(7),
        "{:?}",
        start.elapsed()
    );

    let fake = Fake::start(|_, _| error(429, "retry-after: 40\r\n")).await;
    let start = Instant::now();
    let result = list(&fake.client()).await.unwrap_err();
    assert!(matches!(result, Error::RateLimited(_)));
    assert_eq!(result.retry_after(), Some(Duration::from_secs(40)));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn attempts_end_and_the_last_answer_is_told() {
    let fake = Fake::start(|_, _| error(503, "")).await;
    assert!(matches!(
        list(&fake.client()).await,
        Err(Error::Unavailable(_))
    ));
    assert_eq!(fake.requests().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_covers_the_head_the_body_and_the_repetitions() {
    let head = Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec());
    for hang in [vec![Step::Hang], vec![head, Step::Hang]] {
        let fake = Fake::start(move |_, _| hang.clone()).await;
        let client = fake
            .builder()
            .deadline(Duration::from_secs(3))
            .build()
            .unwrap();
        let start = Instant::now();
        assert!(matches!(list(&client).await, Err(Error::Timeout { .. })));
        assert!(start.elapsed() < Duration::from_millis(3100));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_trickles_for_ever_ends_at_the_deadline() {
    let fake = Fake::start(|_, _| {
        let mut steps = vec![Step::Send(
            b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n".to_vec(),
        )];
        for _ in 0..1000 {
            steps.extend([
                Step::Send(b" ".to_vec()),
                Step::Wait(Duration::from_secs(1)),
            ]);
        }
        steps
    })
    .await;
    let start = Instant::now();
    assert!(matches!(
        list(&fake.client()).await,
        Err(Error::Timeout { .. })
    ));
    assert!(start.elapsed() <= Duration::from_secs(31));
}

#[tokio::test(start_paused = true)]
async fn an_answer_above_the_bound_is_refused_announced_or_not() {
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(5000));
    let announced = answer(200, "", &long);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    for steps in [announced, vec![Step::Send(chunked.into_bytes())]] {
        let fake = Fake::start(move |_, _| steps.clone()).await;
        let client = fake.builder().max_answer_bytes(1000).build().unwrap();
        assert!(matches!(
            list(&client).await,
            Err(Error::TooLarge { limit: 1000, .. })
        ));
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn something_that_is_not_a_cloud_is_told_as_that() {
    for steps in [
        answer(
            200,
            "content-type: text/html\r\n",
            "<html>Sign in to the hotel</html>",
        ),
        answer(200, "", ""),
        answer(200, "", r#"{"sessions":{}}"#),
        answer(200, "", "\u{0}\u{1}"),
        answer(302, "location: http://127.0.0.1:1/steal\r\n", ""),
        answer(307, "location: /elsewhere\r\n", ""),
    ] {
        let fake = Fake::start(move |_, _| steps.clone()).await;
        let result = list(&fake.client()).await;
        assert!(
            matches!(result, Err(Error::Incompatible { .. })),
            "{result:?}"
        );
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_a_network_error_without_the_token() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = CloudClient::builder(&address)
        .token("canary-token")
        .build()
        .unwrap();
    for result in [list(&client).await.map(drop), prompt(&client).await] {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Network { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_ends_its_connection() {
    let fake = Fake::start(|_, _| vec![Step::Hang]).await;
    let client = fake.client();
    let call = tokio::spawn(async move { list(&client).await });
    while fake.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    call.abort();
    fake.connections_ended(1).await;
}

#[tokio::test(start_paused = true)]
async fn the_short_answer_is_asked_for_and_read() {
    let fake = Fake::start(|_, _| {
        ok(&json!({"command": command(), "processed": 0, "projectionFence": null}))
    })
    .await;
    let client = fake.client().minimal();
    let body = PromptRequest {
        text: "hi".into(),
        agent: None,
    };
    let done = client
        .sessions()
        .prompt(&SessionId::from("s"), &body)
        .await
        .unwrap();
    assert_eq!(done.view, None);
    assert_eq!(fake.requests()[0].header("prefer"), Some("return=minimal"));
}

#[tokio::test(start_paused = true)]
async fn a_search_is_repeated_without_a_key() {
    let found = json!({"threads": [], "nextCursor": null, "totalEstimate": 0, "truncated": false});
    let fake = Fake::start(first_then(vec![Step::Reset], ok(&found))).await;
    fake.client()
        .threads()
        .search(&Default::default())
        .await
        .unwrap();
    assert!(
        fake.requests()
            .iter()
            .all(|request| request.header("idempotency-key").is_none())
    );
    assert_eq!(fake.requests().len(), 2);
}
