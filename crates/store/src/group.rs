//! One write transaction for many requests: what it has read, what it will write at its end.
//!
//! A request is first planned against rows in memory, and only a request that is right changes anything, so
//! one that is refused leaves no trace and needs no savepoint. A database error, in contrast, ends the whole
//! transaction; the writer then decides how to go on.

use crate::dialect;
use crate::insert::{self, EventRow};
use crate::read::{self, Located};
use open_cowork_contracts::{RuntimeSessionId, Session, SessionStatus};
use open_cowork_providers::store::append::{self, sequence_of_default_id};
use open_cowork_providers::store::asks::AskChange;
use open_cowork_providers::store::page::search_text;
use open_cowork_providers::store::{
    AppendRequest, Appended, CreatedSession, LeaseToken, NewSession, SessionKey, SessionRow,
    SessionUpdate, Snapshot, SnapshotRule, SnapshotWrite, StoreError,
};
use sqlx::{Row, SqliteConnection};
use std::collections::HashMap;

/// Whether event ids are looked up before they are inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// New events have new ids; a known one makes the unique index refuse, and everything is done again with care.
    Optimistic,
    /// Every id is looked up.
    Careful,
}

/// The outer error is the database's and ends the transaction; the inner one is the answer to one request.
pub(crate) type Ran<T> = Result<Result<T, StoreError>, sqlx::Error>;

/// Rows that are known from the groups before, so that they needn't be read again. Forgotten as soon as
/// another connection has written.
#[derive(Debug, Default)]
pub(crate) struct Known {
    version: i64,
    threads: HashMap<SessionKey, Located>,
    /// Last workspace sequence by (tenant, user); newer than the one in `threads`.
    workspaces: HashMap<(i64, i64), u64>,
}

/// Rows to know at most; beyond that all are forgotten, which costs one read each.
const KNOWN_ROWS: usize = 4096;

pub(crate) struct Group<'c> {
    connection: &'c mut SqliteConnection,
    mode: Mode,
    known: &'c mut Known,
    threads: HashMap<SessionKey, Touched>,
    /// Last workspace sequence by (tenant, user), for users of `threads`.
    workspaces: HashMap<(i64, i64), u64>,
    rows: Vec<EventRow>,
}

struct Touched {
    located: Located,
    changed: bool,
}

/// A change of a row that no event stands for.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) key: SessionKey,
    pub(crate) runtime: Option<RuntimeSessionId>,
    pub(crate) update: SessionUpdate,
    pub(crate) at: String,
    pub(crate) fence: Option<LeaseToken>,
}

/// A snapshot to be written.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotChange {
    pub(crate) key: SessionKey,
    pub(crate) snapshot: Snapshot,
    pub(crate) rule: SnapshotRule,
}

impl<'c> Group<'c> {
    pub(crate) async fn begin(
        connection: &'c mut SqliteConnection,
        known: &'c mut Known,
        mode: Mode,
    ) -> Result<Self, sqlx::Error> {
        let version: i64 = sqlx::raw_sql(dialect::BEGIN_WRITE)
            .fetch_one(&mut *connection)
            .await?
            .try_get(0)?;
        if version != known.version || known.threads.len() > KNOWN_ROWS {
            *known = Known {
                version,
                ..Known::default()
            };
        }
        Ok(Group {
            connection,
            mode,
            known,
            threads: HashMap::new(),
            workspaces: HashMap::new(),
            rows: Vec::new(),
        })
    }

    /// Writes what has gathered and commits: durable when it returns.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        // Whatever goes wrong from here on: what is known would be a guess.
        let mut known = std::mem::take(self.known);
        self.insert_rows().await?;
        let changed: Vec<&Located> = self
            .threads
            .values()
            .filter(|touched| touched.changed)
            .map(|touched| &touched.located)
            .collect();
        insert::update_sessions(self.connection, &changed).await?;
        for ((tenant_no, user_no), sequence) in &self.workspaces {
            let update =
                "UPDATE users SET workspace_sequence = $1 WHERE tenant_no = $2 AND user_no = $3";
            sqlx::query(update)
                .bind(*sequence as i64)
                .bind(*tenant_no)
                .bind(*user_no)
                .execute(&mut *self.connection)
                .await?;
        }
        sqlx::query("COMMIT").execute(&mut *self.connection).await?;

        known.threads.extend(
            self.threads
                .into_iter()
                .map(|(key, touched)| (key, touched.located)),
        );
        known.workspaces.extend(self.workspaces);
        *self.known = known;
        Ok(())
    }

    pub(crate) async fn append(&mut self, request: &AppendRequest) -> Ran<Appended> {
        let Some(located) = self.located(&request.key).await? else {
            return Ok(Err(unknown(&request.key)));
        };
        if let Err(refused) = refuse_fence(request.fence.as_ref()) {
            return Ok(Err(refused));
        }
        let session = &located.row.session.session_id;
        let ids = request
            .events
            .iter()
            .filter_map(|event| event.event_id.as_ref());
        let known = match self.mode {
            // A default id isn't in the index of ids.
            Mode::Optimistic => {
                let defaults = ids.filter(|id| sequence_of_default_id(session, id).is_some());
                read::events_by_id(self.connection, &located, defaults).await?
            }
            Mode::Careful => read::events_by_id(self.connection, &located, ids).await?,
        };
        let place = (located.tenant_no, located.user_no);
        let workspace_last = self
            .workspaces
            .get(&place)
            .or_else(|| self.known.workspaces.get(&place));
        let workspace_last = workspace_last
            .copied()
            .unwrap_or(located.workspace_sequence);
        let planned = append::plan(located.row.clone(), workspace_last, &request.events, |id| {
            known.get(id).cloned()
        });
        let mut plan = match planned {
            Ok(plan) => plan,
            Err(refused) => return Ok(Err(refused)),
        };
        if !plan.writes() {
            return Ok(Ok(Appended {
                row: plan.row,
                events: plan.events,
            }));
        }

        let mut templates = located.templates.clone();
        for event in plan.events.iter().filter(|event| event.created) {
            self.rows
                .push(EventRow::new(&located, &mut templates, event));
        }
        self.workspaces.insert(place, plan.workspace_last);
        for ask in &plan.asks {
            let change = self.change_ask(&located, ask).await?;
            plan.row.waiting = plan.row.waiting.saturating_add_signed(change);
        }
        self.threads.insert(
            request.key.clone(),
            Touched {
                located: Located {
                    row: plan.row.clone(),
                    templates,
                    ..located
                },
                changed: true,
            },
        );
        if self.mode == Mode::Careful {
            // Later requests of the group look ids up in the table.
            self.insert_rows().await?;
        }
        Ok(Ok(Appended {
            row: plan.row,
            events: plan.events,
        }))
    }

    pub(crate) async fn create(&mut self, new: &NewSession) -> Ran<CreatedSession> {
        let key = SessionKey {
            tenant_id: new.tenant_id.clone(),
            session_id: new.session_id.clone(),
        };
        if let Some(located) = self.located(&key).await? {
            if located.row.session.user_id != new.user_id {
                let taken = format!(
                    "The session id {} is taken; choose another.",
                    new.session_id
                );
                return Ok(Err(StoreError::Conflict(taken)));
            }
            return Ok(Ok(CreatedSession {
                row: located.row,
                created: false,
            }));
        }
        let (tenant_no, user_no) = self.owner(new).await?;
        let session = Session {
            tenant_id: new.tenant_id.clone(),
            user_id: new.user_id.clone(),
            session_id: new.session_id.clone(),
            profile_name: new.profile_name.clone(),
            status: SessionStatus::Idle,
            title: new.title.clone(),
            created_at: new.created_at.clone(),
            updated_at: new.created_at.clone(),
            ..Session::default()
        };
        let insert = "INSERT INTO sessions (tenant_no, session_no, session_id, user_no, runtime_id, profile_name, \
                      status, title, directory, created_at, updated_at, search, last_sequence, waiting) \
                      SELECT $1, COALESCE(MAX(session_no), 0) + 1, $2, $3, '', $4, $5, $6, $7, $8, $8, $9, 0, 0 \
                      FROM sessions WHERE tenant_no = $1";
        sqlx::query(insert)
            .bind(tenant_no)
            .bind(session.session_id.as_str())
            .bind(user_no)
            .bind(session.profile_name.as_str())
            .bind(session.status.as_str())
            .bind(session.title.as_deref())
            .bind(new.directory.as_deref())
            .bind(session.created_at.as_str())
            .bind(search_text(&session))
            .execute(&mut *self.connection)
            .await?;
        let row = SessionRow {
            session,
            directory: new.directory.clone(),
            waiting: 0,
            last_sequence: 0,
        };
        Ok(Ok(CreatedSession { row, created: true }))
    }

    pub(crate) async fn change(&mut self, change: &Change) -> Ran<SessionRow> {
        let Some(mut located) = self.located(&change.key).await? else {
            return Ok(Err(unknown(&change.key)));
        };
        if let Err(refused) = refuse_fence(change.fence.as_ref()) {
            return Ok(Err(refused));
        }
        let session = &mut located.row.session;
        if let Some(runtime) = &change.runtime {
            session.opencode_session_id = runtime.clone();
        }
        session.status = change.update.status.unwrap_or(session.status);
        if change.update.title.is_some() {
            session.title.clone_from(&change.update.title);
        }
        if change.at > session.updated_at {
            session.updated_at.clone_from(&change.at);
        }
        let row = located.row.clone();
        self.threads.insert(
            change.key.clone(),
            Touched {
                located,
                changed: true,
            },
        );
        Ok(Ok(row))
    }

    pub(crate) async fn write_snapshot(&mut self, change: &SnapshotChange) -> Ran<SnapshotWrite> {
        let Some(located) = self.located(&change.key).await? else {
            return Ok(Err(unknown(&change.key)));
        };
        let stored = read::snapshot(self.connection, &change.key).await?;
        let write = match change.rule.decide(stored.as_ref(), &change.snapshot) {
            Ok(SnapshotWrite::Written) => SnapshotWrite::Written,
            decided => return Ok(decided),
        };
        let upsert = "INSERT INTO snapshots (tenant_no, session_no, sequence, projector_version, view_json, updated_at) \
                      VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_no, session_no) DO UPDATE SET \
                      sequence = excluded.sequence, projector_version = excluded.projector_version, \
                      view_json = excluded.view_json, updated_at = excluded.updated_at";
        let snapshot = &change.snapshot;
        sqlx::query(upsert)
            .bind(located.tenant_no)
            .bind(located.session_no)
            .bind(snapshot.sequence as i64)
            .bind(i64::from(snapshot.projector_version))
            .bind(snapshot.view.as_str())
            .bind(snapshot.updated_at.as_str())
            .execute(&mut *self.connection)
            .await?;
        Ok(Ok(write))
    }

    /// The session as this transaction sees it.
    async fn located(&mut self, key: &SessionKey) -> Result<Option<Located>, sqlx::Error> {
        if let Some(touched) = self.threads.get(key) {
            return Ok(Some(touched.located.clone()));
        }
        let located = match self.known.threads.get(key) {
            Some(located) => Some(located.clone()),
            None => read::session(self.connection, key).await?,
        };
        if let Some(located) = &located {
            self.threads.insert(
                key.clone(),
                Touched {
                    located: located.clone(),
                    changed: false,
                },
            );
        }
        Ok(located)
    }

    /// The numbers of a tenant and a user, made when they are new.
    async fn owner(&mut self, new: &NewSession) -> Result<(i64, i64), sqlx::Error> {
        let (tenant, user) = (new.tenant_id.as_str(), new.user_id.as_str());
        sqlx::query("INSERT INTO tenants (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(tenant)
            .execute(&mut *self.connection)
            .await?;
        let tenant_no: i64 =
            sqlx::query_scalar("SELECT tenant_no FROM tenants WHERE tenant_id = $1")
                .bind(tenant)
                .fetch_one(&mut *self.connection)
                .await?;
        let insert = "INSERT INTO users (tenant_no, user_no, user_id, workspace_sequence) \
                      SELECT $1, COALESCE(MAX(user_no), 0) + 1, $2, 0 FROM users WHERE tenant_no = $1 \
                      ON CONFLICT DO NOTHING";
        sqlx::query(insert)
            .bind(tenant_no)
            .bind(user)
            .execute(&mut *self.connection)
            .await?;
        let user_no =
            sqlx::query_scalar("SELECT user_no FROM users WHERE tenant_no = $1 AND user_id = $2")
                .bind(tenant_no)
                .bind(user)
                .fetch_one(&mut *self.connection)
                .await?;
        Ok((tenant_no, user_no))
    }

    /// Opens or closes an ask; by how many the open ones changed.
    async fn change_ask(&mut self, located: &Located, ask: &AskChange) -> Result<i32, sqlx::Error> {
        let sql = match ask.open {
            true => {
                "INSERT INTO open_asks (tenant_no, session_no, kind, ask_id) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO NOTHING"
            }
            false => {
                "DELETE FROM open_asks WHERE tenant_no = $1 AND session_no = $2 AND kind = $3 AND ask_id = $4"
            }
        };
        let done = sqlx::query(sql)
            .bind(located.tenant_no)
            .bind(located.session_no)
            .bind(ask.kind.as_str())
            .bind(ask.id.as_str())
            .execute(&mut *self.connection)
            .await?;
        let rows = i32::from(done.rows_affected() > 0);
        Ok(if ask.open { rows } else { -rows })
    }

    async fn insert_rows(&mut self) -> Result<(), sqlx::Error> {
        insert::insert_events(self.connection, &self.rows).await?;
        self.rows.clear();
        Ok(())
    }
}

fn unknown(key: &SessionKey) -> StoreError {
    StoreError::NotFound(key.session_id.to_string())
}

/// No table of leases yet, so no token can be the current one (04 §2.3: fail closed).
fn refuse_fence(fence: Option<&LeaseToken>) -> Result<(), StoreError> {
    if fence.is_some() {
        Err(StoreError::StaleFence)
    } else {
        Ok(())
    }
}
