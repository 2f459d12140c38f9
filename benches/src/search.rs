//! Full-text search over many threads of one tenant, on both databases, through the real path: sessions and
//! events are written as any client writes them, and the follower indexes them.

use crate::figure::{Figure, Target};
use anyhow::Context;
use futures::stream::{self, StreamExt, TryStreamExt};
use open_cowork_contracts::EventType;
use open_cowork_contracts::api::threads::ThreadSort;
use open_cowork_providers::store::threads::ThreadQuery;
use open_cowork_providers::store::{
    AppendRequest, ControlPlane, NewEvent, NewSession, Scope, SessionKey,
};
use open_cowork_providers::time::{Timestamp, iso};
use open_cowork_store::{PostgresOptions, PostgresStore, SchemaName, SqliteOptions, SqliteStore};
use open_cowork_testkit::postgres::Postgres;
use serde_json::json;
use std::time::{Duration, Instant};

/// Writers at once, so that the store can commit many together.
const WRITERS: usize = 512;

pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let threads = if quick { 20_000 } else { 200_000 };
    runtime.block_on(async {
        let mut figures = sqlite(threads).await?;
        figures.extend(postgres(threads).await?);
        Ok(figures)
    })
}

async fn sqlite(threads: u64) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("threads.db");
    let open = || SqliteStore::open(&path, SqliteOptions::default());
    let store = open().await?;
    fill(&store, threads).await?;
    store.close().await;
    // Nothing is indexed yet: opening must not wait for it.
    let started = Instant::now();
    let store = open().await?;
    let opened = started.elapsed();
    let mut figures = vec![
        Figure::new(
            format!("SQLite: open with {threads} threads to be indexed"),
            milliseconds(opened),
            "ms",
        )
        .target(Target::AtMost(50.0)),
    ];
    figures.extend(measure("SQLite", &store, threads).await?);
    store.close().await;
    Ok(figures)
}

async fn postgres(threads: u64) -> anyhow::Result<Vec<Figure>> {
    let server = Postgres::shared().await?;
    let options = PostgresOptions {
        schema: SchemaName::parse("search").context("a plain name")?,
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open(&server.url().into(), options).await?;
    fill(&store, threads).await?;
    let figures = measure("PostgreSQL", &store, threads).await?;
    store.close().await;
    Ok(figures)
}

fn scope() -> Scope {
    Scope::new("tenant", "user")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Words by rank: the word of rank r is about as frequent as 1/r, as in real text.
fn word(random: &mut u64) -> String {
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    let unit = ((*random >> 11) as f64) / ((1u64 << 53) as f64);
    spelled((20_000f64.powf(unit)) as u64)
}

/// The word of a rank, in syllables: about as many words as in real text share a beginning of three letters.
fn spelled(rank: u64) -> String {
    const CONSONANTS: &[u8] = b"bcdfghjklmnpqrstvwxz";
    const VOWELS: &[u8] = b"aeiou";
    let letter = |of: &[u8], at: u64| char::from(of[(at % of.len() as u64) as usize]);
    let mut rest = rank.wrapping_mul(2_654_435_761) & 0xffff_ffff;
    let syllables = 2 + rest % 3;
    rest /= 3;
    let mut word = String::new();
    for _ in 0..syllables {
        word.push(letter(CONSONANTS, rest));
        word.push(letter(VOWELS, rest / 20));
        rest /= 100;
    }
    if rank % 2 == 1 {
        word.push(letter(CONSONANTS, rank));
    }
    word
}

fn text(random: &mut u64, words: usize) -> String {
    (0..words)
        .map(|_| word(random))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Threads with a title, a prompt and an answer each.
async fn fill(store: &impl ControlPlane, threads: u64) -> anyhow::Result<()> {
    eprintln!("bench search: writing {threads} threads");
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    stream::iter(0..threads)
        .map(|number| async move {
            let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
            let at = iso(begin + Duration::from_secs(number));
            let id = format!("thread-{number}");
            let new = NewSession {
                tenant_id: scope().tenant_id,
                user_id: scope().user_id,
                session_id: id.as_str().into(),
                profile_name: "full".to_owned(),
                title: Some(text(&mut random, 4)),
                directory: None,
                created_at: at.clone(),
            };
            store.create_session(new).await?;
            let event = |kind: EventType, payload: serde_json::Value| NewEvent {
                event_id: None,
                kind,
                payload: payload.as_object().cloned().unwrap_or_default(),
                created_at: at.clone(),
            };
            let prompt = json!({"messageId": "p", "text": text(&mut random, 15), "agent": "build"});
            let answer = json!({"messageId": "a", "content": text(&mut random, 60)});
            let request = AppendRequest {
                key: SessionKey::new(scope().tenant_id, id),
                events: vec![
                    event(EventType::PromptSubmitted, prompt),
                    event(EventType::AssistantMessage, answer),
                    event(EventType::SessionIdle, json!({})),
                ]
                .into(),
                fence: None,
            };
            store.append(request).await.map(drop)
        })
        .buffer_unordered(WRITERS)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

async fn measure(
    database: &str,
    store: &impl ControlPlane,
    threads: u64,
) -> anyhow::Result<Vec<Figure>> {
    eprintln!("bench search: indexing on {database}");
    let started = Instant::now();
    while store.index_threads(1000).await?.more {}
    let rate = threads as f64 / started.elapsed().as_secs_f64();
    let mut took = Vec::new();
    let mut slowest = (Duration::ZERO, String::new());
    for needle in needles() {
        for sort in [ThreadSort::UpdatedDesc, ThreadSort::TitleAsc] {
            let query = ThreadQuery {
                text: Some(needle.clone()),
                sort,
                ..ThreadQuery::new(scope())
            };
            let started = Instant::now();
            let page = store.search_threads(&query).await?;
            let elapsed = started.elapsed();
            anyhow::ensure!(
                page.rows.len() <= 50,
                "a page holds {} threads",
                page.rows.len()
            );
            if elapsed > slowest.0 {
                slowest = (elapsed, needle.clone());
            }
            took.push(milliseconds(elapsed));
        }
    }
    took.sort_by(f64::total_cmp);
    let share = |share: f64| {
        let at = ((took.len() - 1) as f64 * share).round() as usize;
        took.get(at).copied().context("nothing was searched")
    };
    let name = format!("{database}: search over {threads} threads");
    Ok(vec![
        Figure::new(format!("{database}: threads indexed"), rate, "threads/s"),
        Figure::new(format!("{name}, p50"), share(0.5)?, "ms"),
        Figure::new(format!("{name}, p95"), share(0.95)?, "ms")
            .target(Target::AtMost(50.0))
            .note(format!(
                "{} searches: frequent, rare and missing words, beginnings, several words, signs; slowest {:.0} ms for `{}`",
                took.len(),
                milliseconds(slowest.0),
                slowest.1
            )),
    ])
}

/// What people type, from the most frequent word to nothing that exists.
fn needles() -> Vec<String> {
    let mut needles = Vec::new();
    for rank in [1, 2, 3, 5, 8, 13, 34, 89, 233, 610, 1597, 4181, 10_946] {
        let word = spelled(rank);
        needles.push(format!("{word} {}", spelled(rank * 3 % 20_000)));
        needles.push(word.to_uppercase());
        // While it is typed.
        needles.push(word.chars().take(3).collect());
        needles.push(word);
    }
    for other in ["nothing", "bas", "basa", "ba_so", "50%", "*"] {
        needles.push(other.to_owned());
    }
    needles
}
