//! What goes wrong around a database file, and what the store says then.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use futures::future::join_all;
use open_cowork_contracts::EventType;
use open_cowork_providers::store::{
    AppendRequest, EventStore, NewEvent, NewSession, SessionKey, SessionStore, StoreError,
};
use open_cowork_store::{RunMigrations, SqliteOptions, SqliteStore};
use serde_json::json;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn options() -> SqliteOptions {
    SqliteOptions {
        busy_timeout: Duration::from_millis(200),
        ..SqliteOptions::default()
    }
}

async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, options()).await
}

async fn create(store: &SqliteStore, session: &str) {
    let new = NewSession {
        tenant_id: "t".into(),
        user_id: "u".into(),
        session_id: session.into(),
        created_at: "2026-01-01T00:00:00.000Z".into(),
        ..NewSession::default()
    };
    store.create_session(new).await.unwrap();
}

fn key() -> SessionKey {
    SessionKey::new("t", "s")
}

async fn append(store: &SqliteStore, text: &str) -> Result<u64, StoreError> {
    let payload = json!({ "text": text }).as_object().unwrap().clone();
    let event = NewEvent {
        event_id: None,
        kind: EventType::PromptSubmitted,
        payload,
        created_at: "2026-01-01T00:00:00.000Z".into(),
    };
    let request = AppendRequest {
        key: key(),
        events: [event].into(),
        fence: None,
    };
    Ok(store.append(request).await?.row.last_sequence)
}

/// The error names the file and is one sentence.
fn says(error: &StoreError, path: &Path) {
    let message = error.to_string();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    assert!(
        message.ends_with('.') && !message.contains('\n'),
        "{message}"
    );
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("threads.db");
    (folder, path)
}

#[tokio::test]
async fn a_full_disk_refuses_the_request_and_leaves_nothing_half_written() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(
        &path,
        SqliteOptions {
            max_bytes: Some(1_200_000),
            ..options()
        },
    )
    .await
    .unwrap();
    create(&store, "s").await;
    let text = "x".repeat(20_000);
    let mut stored = 0;
    let error = loop {
        match append(&store, &text).await {
            Ok(sequence) => stored = sequence,
            Err(error) => break error,
        }
        assert!(stored < 100, "the quota is reached");
    };
    assert_eq!(error, StoreError::Full { path: path.clone() });
    says(&error, &path);
    assert!(!error.is_transient());
    assert_eq!(
        store.event_stats(&key()).await.unwrap().latest_sequence,
        stored
    );
    assert_eq!(
        store.session(&key()).await.unwrap().unwrap().last_sequence,
        stored
    );
    store.close().await;

    let store = open(&path).await.unwrap();
    assert_eq!(
        append(&store, "there is space again").await.unwrap(),
        stored + 1
    );
}

#[tokio::test]
async fn a_file_of_garbage_is_corrupt_and_stays_as_it_is() {
    let (_folder, path) = folder();
    let garbage = b"this is not a database, but someone's diary. ".repeat(500);
    std::fs::write(&path, &garbage).unwrap();
    let error = open(&path).await.unwrap_err();
    assert_eq!(error, StoreError::Corrupt { path: path.clone() });
    says(&error, &path);
    assert_eq!(std::fs::read(&path).unwrap(), garbage);
}

#[tokio::test]
async fn a_truncated_database_is_corrupt() {
    let (_folder, path) = folder();
    let store = open(&path).await.unwrap();
    create(&store, "s").await;
    for _ in 0..50 {
        append(&store, &"x".repeat(5_000)).await.unwrap();
    }
    store.close().await;
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(12 * 4096).unwrap();
    let error = match open(&path).await {
        Err(error) => error,
        Ok(store) => match store.list_events(&key(), 0, 1000).await {
            Err(error) => error,
            Ok(events) => panic!("{} events of a truncated file", events.len()),
        },
    };
    assert_eq!(error, StoreError::Corrupt { path: path.clone() });
}

#[tokio::test]
async fn damage_in_a_payload_is_corrupt_not_a_panic() {
    let (_folder, path) = folder();
    let store = open(&path).await.unwrap();
    create(&store, "s").await;
    append(&store, "fine").await.unwrap();
    let mut raw = raw(&path).await;
    sqlx::query("UPDATE events SET payload = '{\"text\": '")
        .execute(&mut raw)
        .await
        .unwrap();
    assert_eq!(
        store.list_events(&key(), 0, 10).await,
        Err(StoreError::Corrupt { path: path.clone() })
    );
    assert_eq!(append(&store, "the log goes on").await, Ok(2));
}

#[tokio::test]
async fn a_read_only_folder_is_named() {
    // Root may write into any folder but those of the kernel.
    let (_guard, path) = match rustix::process::geteuid().is_root() {
        true => (None, PathBuf::from("/sys/threads.db")),
        false => {
            use std::os::unix::fs::PermissionsExt;
            let (folder, path) = folder();
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o500))
                .unwrap();
            (Some(folder), path)
        }
    };
    let error = open(&path).await.unwrap_err();
    assert_eq!(error, StoreError::ReadOnly { path: path.clone() });
    says(&error, &path);
}

#[tokio::test]
async fn a_path_that_is_a_folder_is_refused_in_one_sentence() {
    let (folder, _) = folder();
    let error = open(folder.path()).await.unwrap_err();
    assert_eq!(
        error,
        StoreError::ReadOnly {
            path: folder.path().to_owned()
        }
    );
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_untouched() {
    let (_folder, path) = folder();
    open(&path).await.unwrap().close().await;
    let mut raw = raw(&path).await;
    sqlx::query("INSERT INTO schema_migrations (version) VALUES (99)")
        .execute(&mut raw)
        .await
        .unwrap();
    raw.close().await.unwrap();
    let error = open(&path).await.unwrap_err();
    assert_eq!(
        error,
        StoreError::NewerSchema {
            path: path.clone(),
            found: 99,
            known: 7
        }
    );
    says(&error, &path);
}

#[tokio::test]
async fn migrations_are_a_step_of_their_own_where_they_should_be() {
    let (_folder, path) = folder();
    let by_hand = SqliteOptions {
        migrations: RunMigrations::No,
        ..options()
    };
    let missing = SqliteStore::migrations(&path, &by_hand).await.unwrap();
    assert_eq!((missing.found, missing.pending()), (0, missing.known));
    let error = SqliteStore::open(&path, by_hand.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unmigrated { found: 0, .. }));
    assert!(error.to_string().contains("cloud migrate"), "{error}");

    let at_once = (0..4).map(|_| SqliteStore::migrate(&path, by_hand.clone()));
    let applied: Vec<u32> = futures::future::join_all(at_once)
        .await
        .into_iter()
        .map(|migrated| migrated.unwrap().applied())
        .collect();
    assert_eq!(applied.iter().sum::<u32>(), missing.known, "{applied:?}");
    let done = SqliteStore::migrations(&path, &by_hand).await.unwrap();
    assert_eq!((done.found, done.pending()), (done.known, 0));
    SqliteStore::open(&path, by_hand).await.unwrap();
}

#[tokio::test]
async fn a_table_of_migrations_of_another_program_is_refused() {
    let (_folder, path) = folder();
    let mut other = raw(&path).await;
    for statement in [
        "CREATE TABLE schema_migrations (version TEXT)",
        "INSERT INTO schema_migrations VALUES ('001_cloud_control_plane_baseline')",
    ] {
        sqlx::query(statement).execute(&mut other).await.unwrap();
    }
    other.close().await.unwrap();
    let error = open(&path).await.unwrap_err();
    assert_eq!(error, StoreError::ForeignSchema { path: path.clone() });
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_untouched() {
    let (_folder, path) = folder();
    let mut other = raw(&path).await;
    sqlx::query("CREATE TABLE bookmarks (url TEXT)")
        .execute(&mut other)
        .await
        .unwrap();
    other.close().await.unwrap();
    let error = open(&path).await.unwrap_err();
    assert_eq!(error, StoreError::ForeignSchema { path: path.clone() });
    let mut other = raw(&path).await;
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_lock_of_another_program_is_transient_and_named() {
    let (_folder, path) = folder();
    let store = open(&path).await.unwrap();
    create(&store, "s").await;
    let mut other = raw(&path).await;
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let error = append(&store, "x").await.unwrap_err();
    assert!(error.is_transient());
    says(&error, &path);
    assert_eq!(
        store.event_stats(&key()).await.unwrap().count,
        0,
        "readers are not kept out"
    );
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(append(&store, "x").await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_can_be_opened_many_times_at_once_and_shared() {
    let (_folder, path) = folder();
    let patient = SqliteOptions {
        busy_timeout: Duration::from_secs(20),
        ..options()
    };
    let opened = join_all((0..6).map(|_| SqliteStore::open(&path, patient.clone()))).await;
    let stores: Vec<SqliteStore> = opened.into_iter().map(Result::unwrap).collect();
    create(&stores[0], "s").await;
    let appends = stores.iter().map(|store| async {
        for _ in 0..10 {
            append(store, "x").await.unwrap();
        }
    });
    join_all(appends).await;
    let events = stores[3].list_events(&key(), 0, 1000).await.unwrap();
    assert!(events.iter().map(|event| event.sequence).eq(1..=60));
}

#[tokio::test]
async fn what_was_acknowledged_is_there_for_the_next_process_without_a_close() {
    let (_folder, path) = folder();
    let store = open(&path).await.unwrap();
    create(&store, "s").await;
    append(&store, "x").await.unwrap();
    let next = open(&path).await.unwrap();
    assert_eq!(next.event_stats(&key()).await.unwrap().count, 1);
    std::mem::forget(store);
}

#[tokio::test]
async fn closing_finishes_what_was_asked_for_and_refuses_the_rest() {
    let (_folder, path) = folder();
    let store = open(&path).await.unwrap();
    create(&store, "s").await;
    let asked = join_all((0..20).map(|_| append(&store, "x")));
    let (results, ()) = tokio::join!(asked, async {
        tokio::task::yield_now().await;
        store.close().await;
    });
    let done = results.iter().filter(|result| result.is_ok()).count() as u64;
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Ok(_) | Err(StoreError::Closed)))
    );
    assert_eq!(append(&store, "late").await, Err(StoreError::Closed));
    assert_eq!(store.session(&key()).await, Err(StoreError::Closed));
    let next = open(&path).await.unwrap();
    assert_eq!(next.event_stats(&key()).await.unwrap().count, done);
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/threads.db");
    let store = open(&path).await.unwrap();
    create(&store, "s").await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn an_open_file_that_is_overwritten_is_corrupt_not_a_panic() {
    let (_folder, path) = folder();
    let store = open(&path).await.unwrap();
    create(&store, "s").await;
    for _ in 0..200 {
        append(&store, &"x".repeat(2_000)).await.unwrap();
    }
    store.close().await;
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xa5; 40 * 4096]).unwrap();
    let refused = match open(&path).await {
        Err(error) => error,
        Ok(store) => append(&store, "x").await.unwrap_err(),
    };
    assert_eq!(refused, StoreError::Corrupt { path });
}

async fn raw(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}
