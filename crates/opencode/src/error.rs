//! What can go wrong, by what the caller can do about it.

use std::time::Duration;

/// Failure of a call (docs/contract/08-opencode.md §4.3). Messages name the route and the way out; they never hold
/// a password, a key, or a part of an answer that could (§3.3).
///
/// `route` is the method and path, with ids and without the query, e.g. `GET /session/ses_1/message`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client can't be made from this configuration. Mend the configuration.
    #[error("OpenCode client: {0}")]
    Config(String),
    /// The working directory can't be used; OpenCode would answer 200 and fail later (§4.2). Choose another.
    #[error("working directory {path:?}: {reason}")]
    Directory {
        /// As given.
        path: String,
        /// Why, and what is needed.
        reason: String,
    },
    /// 401: the password of this process is another one. Start the process anew, or connect to the right one.
    #[error(
        "{route}: OpenCode refused the credentials; the process was started with another password"
    )]
    Unauthorized {
        /// Route.
        route: String,
    },
    /// The session, message, permission or question doesn't exist (any more). Read the state anew.
    #[error("{route}: not found in OpenCode ({kind}); read the session again")]
    NotFound {
        /// Route.
        route: String,
        /// OpenCode's name of the error, or `id` when the id can't be one of OpenCode's.
        kind: String,
    },
    /// 409: the session runs a turn. Wait for idle, or abort first.
    #[error("{route}: the session is busy; wait for its turn to end or abort it")]
    Busy {
        /// Route.
        route: String,
    },
    /// 409: an id was used before with other content. Take a new id.
    #[error("{route}: conflicts with what OpenCode already holds ({kind}); use a new id")]
    Conflict {
        /// Route.
        route: String,
        /// OpenCode's name of the error.
        kind: String,
    },
    /// The request is wrong: a bug of ours, or another OpenCode version. Report it.
    #[error("{route}: OpenCode refused the request ({reason}); check the OpenCode version")]
    BadRequest {
        /// Route.
        route: String,
        /// Part of the request that is wrong, and the schema's message, cut to 200 characters.
        reason: String,
    },
    /// OpenCode can't read its configuration; every route of the directory answers so. The error's text is withheld,
    /// since it may hold the file with its keys (§3.3).
    #[error(
        "{route}: OpenCode can't read its configuration ({kind}); mend the configuration file and start OpenCode anew"
    )]
    Misconfigured {
        /// Route.
        route: String,
        /// `ConfigInvalidError` or `ConfigJsonError`.
        kind: String,
    },
    /// The request is above our limit and was not sent. Shorten it.
    #[error("{route}: the request has {bytes} bytes, the limit is {limit}; shorten it")]
    TooLarge {
        /// Route.
        route: String,
        /// Size of the body.
        bytes: usize,
        /// Largest size.
        limit: usize,
    },
    /// The answer is above our limit. Read a smaller page, or raise the limit.
    #[error("{route}: the answer has more than {limit} bytes; ask for less or raise the limit")]
    AnswerTooLarge {
        /// Route.
        route: String,
        /// Largest size.
        limit: usize,
    },
    /// No complete answer within the deadline. Whether the call took effect is unknown: look before repeating it.
    #[error(
        "{route}: no complete answer within {after:?}; look at the session's state before trying again"
    )]
    Timeout {
        /// Route.
        route: String,
        /// The deadline.
        after: Duration,
    },
    /// No connection, or it broke off. Start or reconnect OpenCode; look before repeating a call.
    #[error("{route}: OpenCode can't be reached ({reason}); check that its process runs")]
    Unreachable {
        /// Route.
        route: String,
        /// What failed, in a few words.
        reason: String,
    },
    /// The server doesn't know the route: it answers unknown paths with its web page (§4.3). Check the version.
    #[error("{route}: this OpenCode version doesn't have the route; use the tested version")]
    RouteMissing {
        /// Route.
        route: String,
    },
    /// 503: OpenCode has the route, but not the service behind it. Don't call it.
    #[error("{route}: OpenCode says that {service} is unavailable in this version")]
    Unavailable {
        /// Route.
        route: String,
        /// Service.
        service: String,
    },
    /// 5xx: OpenCode failed. Its log has the reason under the reference.
    #[error("{route}: OpenCode failed with status {status}{}; look into its log", reference.as_ref().map(|r| format!(" ({r})")).unwrap_or_default())]
    Server {
        /// Route.
        route: String,
        /// HTTP status.
        status: u16,
        /// `err_…` in OpenCode's log.
        reference: Option<String>,
    },
    /// The answer isn't what the route promises. Another program on the port, or another version.
    #[error(
        "{route}: unexpected answer ({reason}); check that OpenCode listens there and its version"
    )]
    BadAnswer {
        /// Route.
        route: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// True when the call may not have reached OpenCode, or its outcome is unknown: reconnect, look, then repeat.
    pub fn is_connection(&self) -> bool {
        matches!(self, Error::Timeout { .. } | Error::Unreachable { .. })
    }

    /// True when the thing that the call names doesn't exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::NotFound { .. })
    }
}
