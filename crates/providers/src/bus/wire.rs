//! A wake-up as one process writes it and another reads it (04 §9).

use super::Topic;
use crate::store::{Scope, SessionKey};
use open_cowork_contracts::{SessionId, TenantId, UserId};
use serde::{Deserialize, Serialize};

/// A topic in JSON, such as `{"k":"s","t":"acme","s":"s1"}`. `s` and `w` are upstream's, which ignores the kinds that it
/// doesn't know; so do we.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "k")]
pub enum Wire {
    /// [`Topic::Session`].
    #[serde(rename = "s")]
    Session {
        /// The tenant.
        t: TenantId,
        /// The session.
        s: SessionId,
    },
    /// [`Topic::Workspace`].
    #[serde(rename = "w")]
    Workspace {
        /// The tenant.
        t: TenantId,
        /// The user.
        u: UserId,
    },
    /// [`Topic::Commands`].
    #[serde(rename = "c")]
    Commands {
        /// The tenant.
        t: TenantId,
        /// The session.
        s: SessionId,
    },
    /// [`Topic::Credentials`].
    #[serde(rename = "a")]
    Credentials {
        /// The tenant.
        t: TenantId,
    },
    /// [`Topic::Everything`].
    #[serde(rename = "*")]
    Everything,
    /// The sender's sign of life; wakes nothing.
    #[serde(rename = "p")]
    Ping,
}

impl From<Topic> for Wire {
    fn from(topic: Topic) -> Self {
        match topic {
            Topic::Session(key) => Wire::Session {
                t: key.tenant_id,
                s: key.session_id,
            },
            Topic::Workspace(scope) => Wire::Workspace {
                t: scope.tenant_id,
                u: scope.user_id,
            },
            Topic::Commands(key) => Wire::Commands {
                t: key.tenant_id,
                s: key.session_id,
            },
            Topic::Credentials(t) => Wire::Credentials { t },
            Topic::Everything => Wire::Everything,
        }
    }
}

impl Wire {
    /// What it wakes; `None` for a ping.
    #[must_use]
    pub fn topic(self) -> Option<Topic> {
        let key = |tenant_id, session_id| SessionKey {
            tenant_id,
            session_id,
        };
        Some(match self {
            Wire::Session { t, s } => Topic::Session(key(t, s)),
            Wire::Workspace { t, u } => Topic::Workspace(Scope {
                tenant_id: t,
                user_id: u,
            }),
            Wire::Commands { t, s } => Topic::Commands(key(t, s)),
            Wire::Credentials { t } => Topic::Credentials(t),
            Wire::Everything => Topic::Everything,
            Wire::Ping => return None,
        })
    }

    /// Its JSON of at most that many bytes. What doesn't fit says less: look at everything.
    #[must_use]
    pub fn payload(&self, most: usize) -> String {
        match serde_json::to_string(self) {
            Ok(payload) if payload.len() <= most => payload,
            _ => r#"{"k":"*"}"#.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 7_900;

    #[test]
    fn payloads_are_those_of_the_contract() {
        let payload = |topic| Wire::from(topic).payload(MOST);
        let session = Topic::Session(SessionKey::new("acme", "s1"));
        assert_eq!(payload(session), r#"{"k":"s","t":"acme","s":"s1"}"#);
        let workspace = Topic::Workspace(Scope::new("acme", "u1"));
        assert_eq!(payload(workspace), r#"{"k":"w","t":"acme","u":"u1"}"#);
    }

    #[test]
    fn every_topic_reads_back_as_it_was_written() {
        let key = SessionKey::new("acme", "s\u{0}\"1");
        for topic in [
            Topic::Session(key.clone()),
            Topic::Workspace(Scope::new("acme", "ü")),
            Topic::Commands(key),
            Topic::Credentials("acme".into()),
            Topic::Everything,
        ] {
            let payload = Wire::from(topic.clone()).payload(MOST);
            let wire: Wire = serde_json::from_str(&payload).unwrap();
            assert_eq!(wire.topic(), Some(topic));
        }
    }

    #[test]
    fn an_id_that_is_too_long_for_a_notification_wakes_everybody() {
        let long = Topic::Session(SessionKey::new("acme", "s".repeat(9_000)));
        assert_eq!(Wire::from(long).payload(MOST), r#"{"k":"*"}"#);
    }

    #[test]
    fn what_cant_be_read_wakes_nothing() {
        for payload in ["", "{}", r#"{"k":"z"}"#, r#"{"k":"s","t":"acme"}"#, "[1]"] {
            assert!(serde_json::from_str::<Wire>(payload).is_err(), "{payload}");
        }
    }
}
