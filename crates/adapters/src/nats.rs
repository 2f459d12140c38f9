//! Wake-ups between processes through a NATS server (04 §9).
//!
//! One connection and one subject per deployment. What is told while a message is under way is joined into the next
//! one, so a busy process sends few messages with many topics. The server hands every process its own messages back:
//! they wake nobody a second time, but they prove that the whole way is open, and say what the others were told. What
//! was not handed back when a connection breaks is told again over the next.
//!
//! The client would connect again by itself, but doesn't say what was missed meanwhile; so a lost connection is given
//! up, and the next one begins with "look at everything".

mod address;
mod connection;
mod message;

pub use address::{NatsAddress, SubjectPrefix};

use connection::{Connection, Lost};
use message::{Outgoing, Unheard};
use open_cowork_providers::bus::{EventBus, Pauses, Subscribers, Topic, Waiting};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// Pause between two messages, so that a busy process doesn't keep the server busy with them.
const GAP: Duration = Duration::from_millis(2);
/// How long connecting or sending may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What keeps the bus from its work, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NatsError {
    /// An address that can't be used; it isn't repeated, because it may hold a password.
    #[error(
        "the address of the NATS server {problem}; write nats://user:password@host:4222, or tls:// for an encrypted \
         connection, several servers between commas, and @ : / , in user and password percent-encoded"
    )]
    Address {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A subject prefix that can't be used.
    #[error(
        "the subject prefix of the NATS bus can't be used; write words of letters, digits, - and _ with dots between \
         them, at most 128 characters"
    )]
    Prefix,
    /// The server knows other users.
    #[error(
        "the NATS server {server} refuses our user and password; write the right ones into its address"
    )]
    Refused {
        /// Its address, without them.
        server: String,
    },
    /// The user may not use the subject.
    #[error(
        "the NATS server {server} doesn't let our user publish and subscribe to {subject}; grant it both"
    )]
    Forbidden {
        /// Its address.
        server: String,
        /// The subject.
        subject: String,
    },
    /// No connection, or it was lost.
    #[error(
        "the NATS server {server} can't be reached ({reason}); see that it runs and that the address is right"
    )]
    Unreachable {
        /// Its address.
        server: String,
        /// What happened.
        reason: String,
    },
}

/// What a bus is told.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// The servers, and who we are there.
    pub address: NatsAddress,
    /// Which deployment this is: all its processes have the same one.
    pub prefix: SubjectPrefix,
    /// How long no sign of life may take before the connection counts as dead; a ping goes out more than twice in
    /// that time.
    pub silence: Duration,
}

impl NatsOptions {
    /// The default prefix, and 25 s of silence.
    #[must_use]
    pub fn new(address: NatsAddress) -> Self {
        NatsOptions {
            address,
            prefix: SubjectPrefix::default(),
            silence: Duration::from_secs(25),
        }
    }
}

/// The bus. Its task ends when it is dropped.
#[derive(Debug)]
pub struct NatsBus {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    subscribers: Subscribers,
    waiting: Waiting,
    unheard: Mutex<Unheard>,
    /// Tells our messages from those of others.
    id: String,
    connected: AtomicBool,
    trouble: Mutex<Option<NatsError>>,
    ignored: AtomicU64,
}

impl NatsBus {
    /// Starts a bus. It connects, and connects again, by itself, for ever; until then [`EventBus::is_connected`] is
    /// false and [`NatsBus::trouble`] says why. Make it inside a Tokio runtime.
    #[must_use]
    pub fn start(options: NatsOptions) -> Self {
        let shared = Arc::new(Shared {
            subscribers: Subscribers::default(),
            waiting: Waiting::default(),
            unheard: Mutex::default(),
            id: uuid::Uuid::new_v4().simple().to_string(),
            connected: AtomicBool::new(false),
            trouble: Mutex::new(None),
            ignored: AtomicU64::new(0),
        });
        let task = tokio::spawn(run(shared.clone(), options));
        NatsBus { shared, task }
    }

    /// Why it isn't connected; `None` while it is, and before the first attempt has ended.
    #[must_use]
    pub fn trouble(&self) -> Option<NatsError> {
        self.shared.trouble().clone()
    }

    /// Messages on our subject so far that none of our programs has written. They woke nobody.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.shared.ignored.load(Ordering::Relaxed)
    }
}

impl Drop for NatsBus {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl EventBus for NatsBus {
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
        self.shared.connected.load(Ordering::Acquire)
    }
}

impl Shared {
    fn trouble(&self) -> MutexGuard<'_, Option<NatsError>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unheard(&self) -> MutexGuard<'_, Unheard> {
        self.unheard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says a trouble once, however often it is met.
    fn is_in(&self, trouble: NatsError) {
        let mut known = self.trouble();
        if known.as_ref() != Some(&trouble) {
            tracing::warn!(
                "wake-ups of other processes don't arrive, polling until they do: {trouble}"
            );
        }
        *known = Some(trouble);
    }
}

async fn run(shared: Arc<Shared>, options: NatsOptions) {
    let subject = options.prefix.wake_ups();
    let mut numbers = 0;
    let mut pauses = Pauses::default();
    loop {
        let opened = Connection::open(&options, &subject, &shared.id, &mut numbers);
        match Box::pin(opened).await {
            Ok(connection) => {
                pauses = Pauses::default();
                if shared.trouble().take().is_some() {
                    tracing::info!("wake-ups of other processes arrive again");
                }
                shared.connected.store(true, Ordering::Release);
                // Whatever was told meanwhile is lost.
                shared.subscribers.wake_remote(Topic::Everything);
                let lost = carry(&shared, connection, &options, &mut numbers).await;
                // First why, then that: who sees that it is lost can ask.
                shared.is_in(NatsError::Unreachable {
                    server: options.address.to_string(),
                    reason: lost.0,
                });
                shared.connected.store(false, Ordering::Release);
                // Nobody knows whether the others have it.
                let unheard = shared.unheard().take();
                shared.waiting.add(unheard);
            }
            Err(trouble) => shared.is_in(trouble),
        }
        pauses.next().await;
    }
}

/// Tells and hears until the connection is lost.
async fn carry(
    shared: &Shared,
    mut connection: Connection,
    options: &NatsOptions,
    numbers: &mut u64,
) -> Lost {
    let sender = connection.sender();
    tokio::select! {
        lost = hear(shared, &mut connection, options.silence) => lost,
        lost = tell(shared, &sender, options.silence, numbers) => lost,
    }
}

async fn hear(shared: &Shared, connection: &mut Connection, silence: Duration) -> Lost {
    let mut life = Instant::now();
    loop {
        let payload = match timeout_at(life + silence, connection.next()).await {
            Ok(Ok(payload)) => payload,
            Ok(Err(lost)) => return lost,
            Err(_) => return Lost(format!("no sign of life for {} s", silence.as_secs())),
        };
        let Some(payload) = payload else {
            // Our queue was full: what didn't fit is lost.
            shared.subscribers.wake_remote(Topic::Everything);
            continue;
        };
        let Some(heard) = message::read(&payload) else {
            if shared.ignored.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(
                    "something else than this program publishes on our NATS subject; it is ignored"
                );
            }
            continue;
        };
        if heard.from == shared.id {
            life = Instant::now();
            shared.unheard().heard(heard.number);
            continue;
        }
        for topic in heard.topics {
            shared.subscribers.wake_remote(topic);
        }
    }
}

async fn tell(
    shared: &Shared,
    sender: &connection::Sender,
    silence: Duration,
    numbers: &mut u64,
) -> Lost {
    let ping = silence * 2 / 5;
    let mut last = Instant::now();
    loop {
        let topics = shared.waiting.take();
        if topics.is_empty()
            && timeout_at(last + ping, shared.waiting.added())
                .await
                .is_ok()
        {
            continue;
        }
        let messages = message::write(&shared.id, numbers, topics, sender.max_payload());
        // Before the first is sent: what isn't sent because of a failure isn't heard either.
        messages
            .iter()
            .for_each(|message| shared.unheard().sent(message));
        match timeout(PATIENCE, send(sender, messages)).await {
            Ok(Ok(())) => {}
            Ok(Err(lost)) => return lost,
            Err(_) => return Lost(format!("it takes nothing for {} s", PATIENCE.as_secs())),
        }
        last = Instant::now();
        tokio::time::sleep(GAP).await;
    }
}

async fn send(sender: &connection::Sender, messages: Vec<Outgoing>) -> Result<(), Lost> {
    for message in messages {
        sender.send(message.payload).await?;
    }
    sender.flush().await
}
