//! Wake-ups between processes through PostgreSQL's NOTIFY (04 §9).
//!
//! Two connections of its own, so that no append waits for it: one tells, one listens. What is told while a
//! statement is under way is joined into the next one, so a busy process sends few statements with many
//! topics. The sender doesn't wait for the server's disk: a notification that a crash loses was a hint.
//!
//! Every process also tells itself a ping, so a listener whose connection is dead without a word is noticed by
//! its silence.

use crate::postgres::connect_options;
use open_cowork_providers::bus::{EventBus, Pauses, Subscribers, Topic, Waiting, Wire};
use open_cowork_providers::store::StoreError;
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// The channel of upstream (04 §9).
pub const CHANNEL: &str = "open_cowork_cloud_sse";

/// Pause between two statements, so that a busy process doesn't keep the server busy with them.
const GAP: Duration = Duration::from_millis(2);
/// How often a process tells itself that the way is open, and how long it waits for that.
const PING: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(25);
/// How long connecting or a statement may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// PostgreSQL's limit for a notification is 8000 bytes.
const PAYLOAD_BYTES: usize = 7_900;

/// The bus. Its tasks end when it is dropped.
#[derive(Debug)]
pub struct PostgresBus {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    subscribers: Subscribers,
    waiting: Waiting,
    listening: AtomicBool,
    /// The server's process behind our telling connection; 0 while there is none.
    own: AtomicI64,
}

impl PostgresBus {
    /// Starts a bus over a database, as [`PostgresStore`](crate::PostgresStore) takes its URL. It connects, and
    /// connects again, by itself; until then [`EventBus::is_connected`] is false. Make it inside a Tokio runtime.
    ///
    /// [`StoreError::Denied`] for a URL that can't be read.
    pub fn start(url: &SecretString) -> Result<Self, StoreError> {
        let connect = connect_options(url)?;
        let shared = Arc::new(Shared {
            subscribers: Subscribers::default(),
            waiting: Waiting::default(),
            listening: AtomicBool::new(false),
            own: AtomicI64::new(0),
        });
        let tasks = [
            tokio::spawn(listen(shared.clone(), connect.clone())),
            tokio::spawn(tell(shared.clone(), connect)),
        ];
        Ok(PostgresBus { shared, tasks })
    }
}

impl Drop for PostgresBus {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl EventBus for PostgresBus {
    fn publish(&self, topic: Topic) {
        self.shared.subscribers.wake_own(topic.clone());
        self.shared.waiting.add([topic]);
    }

    fn subscribe(&self) -> broadcast::Receiver<Topic> {
        self.shared.subscribers.all()
    }

    fn subscribe_remote(&self) -> broadcast::Receiver<Topic> {
        self.shared.subscribers.remote()
    }

    fn is_connected(&self) -> bool {
        self.shared.listening.load(Ordering::Acquire)
    }
}

async fn listen(shared: Arc<Shared>, connect: PgConnectOptions) {
    let mut pauses = Pauses::default();
    loop {
        match timeout(PATIENCE, listener(&connect)).await {
            Ok(Ok(mut listener)) => {
                pauses = Pauses::default();
                shared.listening.store(true, Ordering::Release);
                // Whatever was told meanwhile is lost.
                shared.subscribers.wake_remote(Topic::Everything);
                hear(&shared, &mut listener).await;
                shared.listening.store(false, Ordering::Release);
            }
            Ok(Err(error)) => tracing::debug!(%error, "can't listen to wake-ups yet"),
            Err(_) => tracing::debug!("can't listen to wake-ups yet: the server doesn't answer"),
        }
        pauses.next().await;
    }
}

async fn listener(connect: &PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(connect.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Until the connection is lost or silent.
async fn hear(shared: &Shared, listener: &mut PgListener) {
    loop {
        let told = match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(told))) => told,
            Ok(Ok(None)) | Err(_) => {
                tracing::warn!("wake-ups of other processes are lost; polling until they are back");
                return;
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "wake-ups of other processes are lost; polling until they are back");
                return;
            }
        };
        let own = shared.own.load(Ordering::Acquire);
        if i64::from(told.process_id()) == own {
            continue;
        }
        // What can't be read wakes nothing.
        let wire: Option<Wire> = serde_json::from_str(told.payload()).ok();
        if let Some(topic) = wire.and_then(Wire::topic) {
            shared.subscribers.wake_remote(topic);
        }
    }
}

async fn tell(shared: Arc<Shared>, connect: PgConnectOptions) {
    let mut pauses = Pauses::default();
    loop {
        match timeout(PATIENCE, teller(&connect)).await {
            Ok(Ok((mut connection, own))) => {
                pauses = Pauses::default();
                shared.own.store(own, Ordering::Release);
                if let Err(error) = tell_all(&shared, &mut connection).await {
                    tracing::debug!(%error, "can't send wake-ups to other processes for the moment");
                }
                shared.own.store(0, Ordering::Release);
            }
            Ok(Err(error)) => tracing::debug!(%error, "can't send wake-ups yet"),
            Err(_) => tracing::debug!("can't send wake-ups yet: the server doesn't answer"),
        }
        pauses.next().await;
    }
}

async fn teller(connect: &PgConnectOptions) -> Result<(PgConnection, i64), sqlx::Error> {
    let connect = connect.clone().options([("synchronous_commit", "off")]);
    let mut connection = connect.connect().await?;
    let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut connection)
        .await?;
    Ok((connection, i64::from(own)))
}

/// Until the connection is lost.
async fn tell_all(shared: &Shared, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut pinged = Instant::now() - PING;
    loop {
        let topics = shared.waiting.take();
        let mut payloads: Vec<String> = topics
            .iter()
            .map(|topic| Wire::from(topic.clone()).payload(PAYLOAD_BYTES))
            .collect();
        if pinged.elapsed() >= PING {
            payloads.push(Wire::Ping.payload(PAYLOAD_BYTES));
        }
        if payloads.is_empty() {
            // A permit is kept, so nothing that was told meanwhile waits for the ping.
            let _ = timeout(
                PING.saturating_sub(pinged.elapsed()),
                shared.waiting.added(),
            )
            .await;
            continue;
        }
        let pings = payloads.len() > topics.len();
        let notify =
            sqlx::query("SELECT pg_notify($1, payload) FROM UNNEST($2::TEXT[]) t (payload)")
                .bind(CHANNEL)
                .bind(payloads)
                .execute(&mut *connection);
        let told = match timeout(PATIENCE, notify).await {
            Ok(told) => told.map(drop),
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        };
        if let Err(error) = told {
            shared.waiting.add(topics);
            return Err(error);
        }
        if pings {
            pinged = Instant::now();
        }
        tokio::time::sleep(GAP).await;
    }
}
