//! Bytes that a thread takes in the database, by what they are for.

use anyhow::Context as _;
use open_cowork_contracts::View;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Row as _};
use std::path::Path;

/// Used bytes of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// Rows of events; a session event and its workspace event are one.
    pub(crate) events: i64,
    /// The indexes of events.
    pub(crate) indexes: i64,
    /// Stored views.
    pub(crate) snapshots: i64,
    /// Sessions, users and the rest.
    pub(crate) other: i64,
}

impl Used {
    /// Reads a database, also while it is written. Free space inside pages doesn't count.
    pub(crate) async fn of(database: &Path) -> anyhow::Result<Used> {
        let options = SqliteConnectOptions::new()
            .filename(database)
            .read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let rows =
            sqlx::query("SELECT name, SUM(pgsize - unused) AS used FROM dbstat GROUP BY name")
                .fetch_all(&mut connection)
                .await
                .context("this SQLite has no dbstat")?;
        connection.close().await?;
        let mut used = Used::default();
        for row in rows {
            let (name, bytes): (String, i64) = (row.try_get("name")?, row.try_get("used")?);
            *match name.as_str() {
                "events" => &mut used.events,
                "snapshots" | "sqlite_autoindex_snapshots_1" => &mut used.snapshots,
                name if name.starts_with("events_") => &mut used.indexes,
                _ => &mut used.other,
            } += bytes;
        }
        Ok(used)
    }

    pub(crate) fn since(self, before: Used) -> Used {
        Used {
            events: self.events - before.events,
            indexes: self.indexes - before.indexes,
            snapshots: self.snapshots - before.snapshots,
            other: self.other - before.other,
        }
    }

    pub(crate) fn total(self) -> i64 {
        self.events + self.indexes + self.snapshots + self.other
    }
}

/// Bytes of what a person reads of a finished thread: texts, and what tools were given and said.
pub(crate) fn transcript_bytes(view: &View) -> usize {
    let texts: usize = view
        .messages
        .iter()
        .map(|message| message.content.len())
        .sum();
    let length = |value: Option<String>| value.map_or(0, |value| value.len());
    let tools = view.tool_calls.iter().map(|tool| {
        let output = tool.output.as_ref().map(ToString::to_string);
        length(serde_json::to_string(&tool.input).ok()) + length(output)
    });
    texts + tools.sum::<usize>()
}
