//! A work queue of messages for chat channels (03 §9.8).
//!
//! A delivery is claimed by being sent here; one that isn't acknowledged comes again after its claim ran out. Whoever
//! sends remembers what was sent, and acknowledges again instead of sending again.

use crate::client::CloudClient;
use crate::error::Error;
use crate::line::{Line, LineState, Signal};
use open_cowork_contracts::api::channels::ChannelDelivery;
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::watch;

/// Which deliveries to claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveriesQuery {
    /// The name to claim under; the token's id when absent.
    pub claimed_by: Option<String>,
    /// How long a claim lasts: longer than the slowest send. 30 s when absent.
    pub ttl: Option<Duration>,
    /// Only those of these bindings.
    pub channel_binding_ids: Vec<String>,
}

/// Takes deliveries. Ends after an error that trying again can't mend.
pub struct Deliveries {
    line: Line,
    ended: bool,
}

impl Deliveries {
    pub(crate) fn new(client: &CloudClient, query: &DeliveriesQuery) -> Deliveries {
        let mut pairs = Vec::new();
        let mut pair = |key: &str, value: String| pairs.push((key.to_owned(), value));
        if let Some(name) = &query.claimed_by {
            pair("claimedBy", name.clone());
        }
        if let Some(ttl) = query.ttl {
            pair("ttlMs", ttl.as_millis().to_string());
        }
        for id in &query.channel_binding_ids {
            pair("channelBindingId", id.clone());
        }
        Deliveries {
            line: Line::new(client, &["channels", "deliveries", "stream"], pairs),
            ended: false,
        }
    }

    /// What the connection is doing.
    pub fn state(&self) -> watch::Receiver<LineState> {
        self.line.state()
    }

    /// The next delivery (03 §8.23); `None` after an error. The future can be dropped at any time.
    pub async fn next(&mut self) -> Option<Result<ChannelDelivery, Error>> {
        #[derive(Deserialize)]
        struct Data {
            delivery: ChannelDelivery,
        }
        if self.ended {
            return None;
        }
        loop {
            match self.line.next(0).await {
                // A frame that can't be read stays claimed until its time runs out, then comes again.
                Ok(Signal::Frame(frame)) if frame.event == "error" => {
                    self.line
                        .reconnect_later("the cloud couldn't read its deliveries");
                }
                Ok(Signal::Frame(frame)) => {
                    if let Ok(data) = serde_json::from_slice::<Data>(&frame.data) {
                        self.line.progress();
                        return Some(Ok(data.delivery));
                    }
                }
                Ok(Signal::Unreadable | Signal::AnotherLog) => {}
                Err(error) => {
                    self.ended = true;
                    self.line.end();
                    return Some(Err(error));
                }
            }
        }
    }
}
