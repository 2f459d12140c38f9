//! One connection to a server, from the first greeting to its loss.

use super::message;
use super::{NatsError, NatsOptions, PATIENCE};
use async_nats::rustls::crypto::ring;
use async_nats::rustls::{ClientConfig, RootCertStore};
use async_nats::{Client, ConnectError, ConnectErrorKind, Event, ServerError, Subscriber};
use bytes::Bytes;
use futures::StreamExt as _;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;
use tokio::time::timeout;

/// Messages that may wait to be read; when there are more, everything is looked at.
const WAITING_MESSAGES: usize = 1024;
/// Messages that may wait to be sent; when there are more, the teller waits.
const LEAVING_MESSAGES: usize = 16;

/// Why a connection is of no use any more.
#[derive(Debug)]
pub(super) struct Lost(pub(super) String);

/// A connection whose way back to us has been proven.
pub(super) struct Connection {
    client: Client,
    subscription: Subscriber,
    signs: watch::Receiver<Signs>,
    missed: u64,
    subject: String,
}

/// What the client noticed beside messages.
#[derive(Clone, Debug, Default)]
struct Signs {
    lost: bool,
    forbidden: bool,
    /// How often our queue was full.
    missed: u64,
}

impl Connection {
    /// Connects, subscribes, and waits until a greeting of our own comes back.
    pub(super) async fn open(
        options: &NatsOptions,
        subject: &str,
        id: &str,
        numbers: &mut u64,
    ) -> Result<Self, NatsError> {
        let opened = timeout(PATIENCE, Self::greet(options, subject, id, numbers)).await;
        opened.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", PATIENCE.as_secs());
            Err(unreachable(options, reason))
        })
    }

    async fn greet(
        options: &NatsOptions,
        subject: &str,
        id: &str,
        numbers: &mut u64,
    ) -> Result<Self, NatsError> {
        let (noticed, signs) = watch::channel(Signs::default());
        let tls = tokio::task::spawn_blocking(tls)
            .await
            .map_err(|error| unreachable(options, error.to_string()))?
            .map_err(|error| unreachable(options, error.to_string()))?;
        let servers = options.address.servers();
        let client = options
            .address
            .options()
            .tls_client_config(tls)
            .name("open-cowork")
            // One attempt per server; the pauses between are ours.
            .max_reconnects(servers.len())
            .ping_interval(options.silence * 2 / 5)
            .subscription_capacity(WAITING_MESSAGES)
            .client_capacity(LEAVING_MESSAGES)
            .event_callback(move |event| {
                notice(&noticed, &event);
                std::future::ready(())
            })
            .connect(servers)
            .await
            .map_err(|error| refusal(options, &error))?;
        let lost = |Lost(reason)| unreachable(options, reason);
        let subscription = client
            .subscribe(subject.to_owned())
            .await
            .map_err(|error| unreachable(options, error.to_string()))?;
        let mut connection = Connection {
            client,
            subscription,
            signs,
            missed: 0,
            subject: subject.to_owned(),
        };
        let greeting = message::write(id, numbers, Vec::new(), message::WRITTEN_BYTES);
        let sender = connection.sender();
        for message in greeting {
            sender.send(message.payload).await.map_err(lost)?;
        }
        sender.flush().await.map_err(lost)?;
        loop {
            // Whatever else comes is part of the "everything" that follows.
            let payload = connection.next().await.map_err(|Lost(reason)| {
                match connection.signs.borrow().forbidden {
                    true => NatsError::Forbidden {
                        server: options.address.to_string(),
                        subject: subject.to_owned(),
                    },
                    false => unreachable(options, reason),
                }
            })?;
            let heard = payload.and_then(|payload| message::read(&payload));
            if heard.is_some_and(|heard| heard.from == id && heard.number == *numbers) {
                return Ok(connection);
            }
        }
    }

    /// The next message; `None` when some didn't fit into our queue.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Lost> {
        loop {
            {
                let signs = self.signs.borrow_and_update();
                if signs.forbidden {
                    return Err(Lost("it forbids our subject".to_owned()));
                }
                // The client may have connected again before it told anybody.
                let connects = self.client.statistics().connects.load(Ordering::Relaxed);
                if signs.lost || connects > 1 {
                    return Err(Lost("the connection was lost".to_owned()));
                }
                if signs.missed > self.missed {
                    self.missed = signs.missed;
                    return Ok(None);
                }
            }
            tokio::select! {
                biased;
                changed = self.signs.changed() => {
                    if changed.is_err() {
                        return Err(Lost("the connection has ended".to_owned()));
                    }
                }
                message = self.subscription.next() => {
                    return match message {
                        Some(message) => Ok(Some(message.payload)),
                        None => Err(Lost("the connection has ended".to_owned())),
                    };
                }
            }
        }
    }

    pub(super) fn sender(&self) -> Sender {
        Sender {
            client: self.client.clone(),
            subject: self.subject.clone(),
        }
    }
}

/// The other half of a connection.
pub(super) struct Sender {
    client: Client,
    subject: String,
}

impl Sender {
    /// The largest message that the server takes.
    pub(super) fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// Hands a message to the client; waits while it has enough.
    pub(super) async fn send(&self, payload: String) -> Result<(), Lost> {
        let sent = self.client.publish(self.subject.clone(), payload.into());
        sent.await.map_err(|error| Lost(plain(&error.to_string())))
    }

    /// Waits until all is on its way.
    pub(super) async fn flush(&self) -> Result<(), Lost> {
        let flushed = self.client.flush().await;
        flushed.map_err(|error| Lost(plain(&error.to_string())))
    }
}

fn notice(signs: &watch::Sender<Signs>, event: &Event) {
    signs.send_modify(|signs| match event {
        Event::Disconnected | Event::Closed => signs.lost = true,
        Event::SlowConsumer(_) | Event::ServerError(ServerError::SlowConsumer(_)) => {
            signs.missed += 1;
        }
        Event::ServerError(ServerError::Other(words)) => {
            // The server keeps the connection, but hands nothing out.
            let words = words.to_ascii_lowercase();
            signs.forbidden |= words.contains("permissions violation");
        }
        _ => {}
    });
}

/// The roots of the machine, and the one crypto stack of this workspace, whatever others of the process have chosen.
fn tls() -> Result<ClientConfig, async_nats::rustls::Error> {
    let mut roots = RootCertStore::empty();
    // Where there are none, a server that wants TLS is refused with a reason.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn unreachable(options: &NatsOptions, reason: String) -> NatsError {
    NatsError::Unreachable {
        server: options.address.to_string(),
        reason,
    }
}

fn refusal(options: &NatsOptions, error: &ConnectError) -> NatsError {
    let reason = match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            return NatsError::Refused {
                server: options.address.to_string(),
            };
        }
        ConnectErrorKind::Dns => "its name can't be resolved".to_owned(),
        ConnectErrorKind::TimedOut => "it doesn't answer".to_owned(),
        _ => match error.source() {
            Some(source) => plain(&source.to_string()),
            None => plain(&error.to_string()),
        },
    };
    unreachable(options, reason)
}

/// Words that may be a server's, as one short line.
fn plain(words: &str) -> String {
    let printable = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(200).collect()
}
