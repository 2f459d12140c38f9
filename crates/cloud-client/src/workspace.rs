//! All threads of a person: what to show in a list, as it changes (03 §9.4).
//!
//! A stream begins with the newest threads and the cursor that belongs to them. [`WorkspaceUpdate::Reread`] says when to
//! read the lists that are on the screen again; the events after it say what changed since.

use crate::client::CloudClient;
use crate::error::Error;
use crate::line::{Line, LineState, Signal};
use crate::sse::Frame;
use futures::Stream;
use open_cowork_contracts::{EventType, Session, WorkspaceEventRecord};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

/// What happened to the threads of a person.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkspaceUpdate {
    /// The newest threads, at most a page of them: what a stream that asked for it begins with.
    Snapshot {
        /// The cursor: the events that follow come after this sequence.
        sequence: u64,
        /// Last changed first.
        sessions: Vec<Session>,
    },
    /// Read your lists again: the events that follow come after this sequence.
    Reread {
        /// The new cursor.
        sequence: u64,
    },
    /// The next event.
    Event(Box<WorkspaceEventRecord>),
}

/// Frames in a row that can't be read before the workspace can't be followed.
const UNREADABLE: u32 = 3;

/// Follows the threads of a person. Ends after an error that trying again can't mend.
pub struct FollowWorkspace {
    line: Line,
    cursor: u64,
    unreadable: u32,
    ended: bool,
}

/// The event of a frame that holds a snapshot (03 §12 #5).
const SNAPSHOT: &str = "workspace.snapshot";

impl CloudClient {
    /// Follows the workspace from now on: a snapshot first. A cloud that has no such snapshot (upstream's) gives every
    /// event that it keeps instead.
    pub fn follow_workspace(&self) -> FollowWorkspace {
        let query = vec![("snapshot".to_owned(), "true".to_owned())];
        FollowWorkspace::new(self, query, 0)
    }

    /// Follows the workspace from a stored cursor. With 0, the cloud gives the events that it keeps, from the first.
    pub fn follow_workspace_after(&self, cursor: u64) -> FollowWorkspace {
        FollowWorkspace::new(self, Vec::new(), cursor)
    }
}

impl FollowWorkspace {
    fn new(client: &CloudClient, query: Vec<(String, String)>, cursor: u64) -> FollowWorkspace {
        FollowWorkspace {
            line: Line::new(client, &["events"], query),
            cursor,
            unreadable: 0,
            ended: false,
        }
    }

    /// The sequence of what was given out last: keep it for the next start.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// What the connection is doing.
    pub fn state(&self) -> watch::Receiver<LineState> {
        self.line.state()
    }

    /// The next update; `None` after an error. The future can be dropped at any time without losing an update.
    pub async fn next(&mut self) -> Option<Result<WorkspaceUpdate, Error>> {
        if self.ended {
            return None;
        }
        loop {
            let taken = match self.line.next(self.cursor).await {
                Ok(signal) => self.take(signal),
                Err(error) => Err(error),
            };
            match taken {
                Ok(None) => {}
                Ok(Some(update)) => return Some(Ok(update)),
                Err(error) => {
                    self.ended = true;
                    self.line.end();
                    return Some(Err(error));
                }
            }
        }
    }

    /// The same as a stream, for combinators.
    pub fn into_stream(self) -> impl Stream<Item = Result<WorkspaceUpdate, Error>> + Send {
        futures::stream::unfold(self, |mut follow| async move {
            let item = follow.next().await?;
            Some((item, follow))
        })
    }

    fn take(&mut self, signal: Signal) -> Result<Option<WorkspaceUpdate>, Error> {
        match signal {
            Signal::Frame(frame) => self.take_frame(&frame),
            Signal::Unreadable => self.cannot_read(None, "a frame is too long"),
            Signal::AnotherLog => {
                self.cursor = 0;
                Ok(Some(WorkspaceUpdate::Reread { sequence: 0 }))
            }
        }
    }

    fn take_frame(&mut self, frame: &Frame) -> Result<Option<WorkspaceUpdate>, Error> {
        let id = frame.id.as_deref().and_then(|id| id.parse().ok());
        if frame.event == EventType::SnapshotRequired.as_str() {
            return Ok(Some(self.reread(frame, id)));
        }
        if frame.event == SNAPSHOT {
            return self.snapshot(frame, id);
        }
        let Ok(event) = serde_json::from_slice::<WorkspaceEventRecord>(&frame.data) else {
            return self.cannot_read(id, "a frame holds no event");
        };
        if event.sequence <= self.cursor {
            return Ok(None);
        }
        let is_next = event.sequence == self.cursor + 1 || self.cursor == 0;
        self.cursor = event.sequence;
        self.unreadable = 0;
        self.line.progress();
        Ok(Some(match is_next {
            true => WorkspaceUpdate::Event(Box::new(event)),
            false => WorkspaceUpdate::Reread {
                sequence: self.cursor,
            },
        }))
    }

    fn reread(&mut self, frame: &Frame, id: Option<u64>) -> WorkspaceUpdate {
        let record: Value = serde_json::from_slice(&frame.data).unwrap_or_default();
        let payload = &record["payload"];
        let latest = payload["latestSequence"].as_u64();
        let latest = latest.or(id).unwrap_or(self.cursor);
        // A log that went back is followed back; otherwise never.
        self.cursor = match payload["reason"] == "cursor_ahead" {
            true => latest,
            false => latest.max(self.cursor),
        };
        WorkspaceUpdate::Reread {
            sequence: self.cursor,
        }
    }

    fn snapshot(
        &mut self,
        frame: &Frame,
        id: Option<u64>,
    ) -> Result<Option<WorkspaceUpdate>, Error> {
        #[derive(Deserialize)]
        struct Data {
            sequence: u64,
            sessions: Vec<Session>,
        }
        let Ok(Data { sequence, sessions }) = serde_json::from_slice(&frame.data) else {
            return self.cannot_read(id, "a snapshot can't be read");
        };
        self.cursor = self.cursor.max(sequence);
        self.unreadable = 0;
        Ok(Some(WorkspaceUpdate::Snapshot {
            sequence: self.cursor,
            sessions,
        }))
    }

    /// Goes over a frame that can't be read: the lists that are read again hold what it said.
    fn cannot_read(
        &mut self,
        id: Option<u64>,
        what: &str,
    ) -> Result<Option<WorkspaceUpdate>, Error> {
        self.unreadable += 1;
        if self.unreadable >= UNREADABLE {
            return Err(Error::Incompatible {
                route: self.line.route(),
                reason: format!("{what}, {UNREADABLE} times in a row"),
            });
        }
        self.line.reconnect_later(what);
        self.cursor = id.unwrap_or(self.cursor + 1).max(self.cursor);
        Ok(Some(WorkspaceUpdate::Reread {
            sequence: self.cursor,
        }))
    }
}
