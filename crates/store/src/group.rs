//! One write transaction for many requests: what it has read, what it will write at its end.
//!
//! A request is first planned against rows in memory, and only a request that is right changes anything, so
//! one that is refused leaves no trace and needs no savepoint. A database error, in contrast, ends the whole
//! transaction; the writer then decides how to go on.

use crate::compact::Templates;
use crate::dialect::Connection;
#[cfg(feature = "postgres")]
use crate::dialect::locks::{self, Wanted};
use crate::insert::{self, EventRow};
use crate::read::{self, Located};
use open_cowork_contracts::{EventId, RuntimeSessionId, Session, SessionStatus};
use open_cowork_providers::store::append::{self, sequence_of_default_id};
use open_cowork_providers::store::asks::AskChange;
use open_cowork_providers::store::page::search_text;
use open_cowork_providers::store::{
    AppendRequest, Appended, CreatedSession, InUse, LeaseFence, NewSession, SessionKey, SessionRow,
    SessionUpdate, Snapshot, SnapshotRule, SnapshotWrite, StoreError,
};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

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

/// What is known from the groups before.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Rows, so that they needn't be read again; forgotten as soon as another connection has written.
    rows: Rows,
    /// Events that were stored in full lately, for deltas to refer to. An event never changes until it is pruned, so
    /// these stay true whoever writes; what was pruned is on the session's row.
    templates: HashMap<SessionKey, Templates>,
}

#[derive(Debug, Default)]
struct Rows {
    /// See [`Connection::begin`]; without one nothing may be known.
    version: Option<i64>,
    /// See [`crate::transaction::Turn::others`].
    others: u64,
    threads: HashMap<SessionKey, Located>,
    /// Last workspace sequence by (tenant, user); newer than the one in `threads`.
    workspaces: HashMap<(i64, i64), u64>,
}

impl Known {
    /// Forgets the rows when others have written since.
    pub(crate) fn forget_rows_unless(&mut self, others: u64) {
        if self.rows.others != others {
            self.rows = Rows {
                others,
                ..Rows::default()
            };
        }
    }
}

/// Rows to know at most; beyond that all are forgotten, which costs one read each.
const KNOWN_ROWS: usize = 4096;

pub(crate) struct Group<'c> {
    connection: &'c mut Connection,
    mode: Mode,
    known: &'c mut Known,
    /// All rows that may change are locked and in `threads`; any other session doesn't exist.
    complete: bool,
    threads: HashMap<SessionKey, Touched>,
    templates: HashMap<SessionKey, Templates>,
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
    pub(crate) fence: Option<LeaseFence>,
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
        connection: &'c mut Connection,
        known: &'c mut Known,
        mode: Mode,
    ) -> Result<Self, sqlx::Error> {
        let version = connection.begin().await?;
        let rows = &mut known.rows;
        if version.is_none() || version != rows.version || rows.threads.len() > KNOWN_ROWS {
            *rows = Rows {
                version,
                others: rows.others,
                ..Rows::default()
            };
        }
        if known.templates.len() > KNOWN_ROWS {
            known.templates.clear();
        }
        Ok(Group {
            connection,
            mode,
            known,
            complete: false,
            threads: HashMap::new(),
            templates: HashMap::new(),
            workspaces: HashMap::new(),
            rows: Vec::new(),
        })
    }

    /// True when nobody else can write until the end of the transaction.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_alone(&self) -> bool {
        self.known.rows.version.is_some()
    }

    /// Locks and reads all rows of the group at once. Must come before the requests where others may write at
    /// the same time.
    #[cfg(feature = "postgres")]
    pub(crate) async fn lock(&mut self, wanted: &Wanted<'_>) -> Result<(), sqlx::Error> {
        for located in locks::take(self.connection, wanted).await? {
            let key = SessionKey::of(&located.row.session);
            let changed = false;
            self.threads.insert(key, Touched { located, changed });
        }
        self.complete = true;
        Ok(())
    }

    /// Writes what has gathered and commits: durable when it returns.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        // Whatever goes wrong from here on: what is known would be a guess.
        let mut known = std::mem::take(self.known);
        let changed: Vec<&Located> = self
            .threads
            .values()
            .filter(|touched| touched.changed)
            .map(|touched| &touched.located)
            .collect();
        let users: Vec<((i64, i64), u64)> = self.workspaces.into_iter().collect();
        insert::write_group(self.connection, &self.rows, &changed, &users).await?;
        self.connection.run("COMMIT").await?;

        known.templates.extend(self.templates);
        if known.rows.version.is_some() {
            let threads = self.threads.into_iter();
            let located = threads.map(|(key, touched)| (key, touched.located));
            known.rows.threads.extend(located);
            known.rows.workspaces.extend(users);
        }
        *self.known = known;
        Ok(())
    }

    pub(crate) async fn append(&mut self, request: &AppendRequest) -> Ran<Appended> {
        let Some(located) = self.located(&request.key).await? else {
            return Ok(Err(unknown(&request.key)));
        };
        if let Err(refused) = located.check(request.fence.as_ref()) {
            return Ok(Err(refused));
        }
        let mut planned = self.plan(&located, request, self.mode).await?;
        if planned.is_err() && self.mode == Mode::Optimistic {
            // More than one thing may be wrong; what is said first doesn't depend on the mode.
            planned = self.plan(&located, request, Mode::Careful).await?;
        }
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

        let key = &request.key;
        let known = || self.known.templates.get(key).cloned();
        let templates = match self.templates.entry(key.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(known().unwrap_or_default()),
        };
        templates.forget(located.pruned);
        for event in plan.events.iter().filter(|event| event.created) {
            self.rows.push(EventRow::new(&located, templates, event));
        }
        let place = (located.tenant_no, located.user_no);
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
                    ..located
                },
                changed: true,
            },
        );
        Ok(Ok(Appended {
            row: plan.row,
            events: plan.events,
        }))
    }

    async fn plan(
        &mut self,
        located: &Located,
        request: &AppendRequest,
        mode: Mode,
    ) -> Ran<append::Plan> {
        let session = &located.row.session.session_id;
        // A default id isn't in the index of ids, which would refuse a second one.
        let needed =
            |id: &&EventId| mode == Mode::Careful || sequence_of_default_id(session, id).is_some();
        let ids = request
            .events
            .iter()
            .filter_map(|event| event.event_id.as_ref());
        let ids: Vec<&EventId> = ids.filter(needed).collect();
        let mut known = HashMap::new();
        if !ids.is_empty() {
            // What this group has gathered is to be found too.
            self.insert_rows().await?;
            known = read::events_by_id(self.connection, located, &ids).await?;
        }
        let place = (located.tenant_no, located.user_no);
        let workspace_last = self
            .workspaces
            .get(&place)
            .or_else(|| self.known.rows.workspaces.get(&place));
        let workspace_last = workspace_last
            .copied()
            .unwrap_or(located.workspace_sequence);
        let row = located.row.clone();
        Ok(append::plan(row, workspace_last, &request.events, |id| {
            known.get(id).cloned()
        }))
    }

    pub(crate) async fn create(
        &mut self,
        new: &NewSession,
        limit: Option<&InUse>,
    ) -> Ran<CreatedSession> {
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
        if let Some(limit) = limit {
            let used = self.in_use(new, limit).await?;
            if used >= limit.most {
                return Ok(Err(limit.exceeded(used)));
            }
        }
        let (tenant_no, user_no, workspace_sequence) = self.owner(new).await?;
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
                      FROM sessions WHERE tenant_no = $1 RETURNING session_no";
        let inserted = self
            .connection
            .query(insert)
            .bind(tenant_no)
            .bind(session.session_id.as_str())
            .bind(user_no)
            .bind(session.profile_name.as_str())
            .bind(session.status.as_str())
            .bind(session.title.as_deref())
            .bind(new.directory.as_deref())
            .bind(session.created_at.as_str())
            .bind(search_text(&session))
            .fetch_one()
            .await?;
        let row = SessionRow {
            session,
            directory: new.directory.clone(),
            waiting: 0,
            last_sequence: 0,
        };
        let located = Located {
            row: row.clone(),
            tenant_no,
            session_no: inserted.int(0)?,
            user_no,
            workspace_sequence,
            pruned: 0,
            lease: None,
        };
        let changed = false;
        self.threads.insert(key, Touched { located, changed });
        Ok(Ok(CreatedSession { row, created: true }))
    }

    pub(crate) async fn change(&mut self, change: &Change) -> Ran<SessionRow> {
        let Some(mut located) = self.located(&change.key).await? else {
            return Ok(Err(unknown(&change.key)));
        };
        if let Err(refused) = located.check(change.fence.as_ref()) {
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
        self.connection
            .query(upsert)
            .bind(located.tenant_no)
            .bind(located.session_no)
            .bind(snapshot.sequence as i64)
            .bind(i64::from(snapshot.projector_version))
            .bind(snapshot.view.as_str())
            .bind(snapshot.updated_at.as_str())
            .execute()
            .await?;
        Ok(Ok(write))
    }

    /// The session as this transaction sees it.
    async fn located(&mut self, key: &SessionKey) -> Result<Option<Located>, sqlx::Error> {
        if let Some(touched) = self.threads.get(key) {
            return Ok(Some(touched.located.clone()));
        }
        if self.complete {
            return Ok(None);
        }
        let located = match self.known.rows.threads.get(key) {
            Some(located) => Some(located.clone()),
            None => read::leased_session(self.connection, key).await?,
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

    /// How many sessions of the tenant are in use. It reads the lately touched rows of each user, however many others
    /// there are.
    async fn in_use(&mut self, new: &NewSession, limit: &InUse) -> Result<u64, sqlx::Error> {
        let select = "SELECT COUNT(*) FROM tenants t \
                      JOIN users u ON u.tenant_no = t.tenant_no \
                      JOIN sessions s ON s.tenant_no = u.tenant_no AND s.user_no = u.user_no \
                      AND s.updated_at >= $2 WHERE t.tenant_id = $1 AND s.status <> 'closed'";
        let tenant = new.tenant_id.as_str();
        let lately = self.connection.query(select).bind(tenant);
        let lately = lately.bind(limit.since.as_str()).fetch_one().await?;
        let select = "SELECT COUNT(*) FROM tenants t JOIN sessions s ON s.tenant_no = t.tenant_no \
                      WHERE t.tenant_id = $1 AND s.status = 'running' AND s.updated_at < $2";
        let running = self.connection.query(select).bind(tenant);
        let running = running.bind(limit.since.as_str()).fetch_one().await?;
        Ok(lately.unsigned(0)? + running.unsigned(0)?)
    }

    /// The numbers of a tenant and a user, made when they are new, and the user's last workspace sequence.
    async fn owner(&mut self, new: &NewSession) -> Result<(i64, i64, u64), sqlx::Error> {
        let (tenant, user) = (new.tenant_id.as_str(), new.user_id.as_str());
        let insert = "INSERT INTO tenants (tenant_id) SELECT $1 \
                      WHERE NOT EXISTS (SELECT 1 FROM tenants WHERE tenant_id = $1)";
        self.connection.query(insert).bind(tenant).execute().await?;
        let select = "SELECT tenant_no FROM tenants WHERE tenant_id = $1";
        let tenant_row = self.connection.query(select).bind(tenant);
        let tenant_no = tenant_row.fetch_one().await?.int(0)?;
        let insert = "INSERT INTO users (tenant_no, user_no, user_id, workspace_sequence) \
                      SELECT $1, COALESCE(MAX(user_no), 0) + 1, $2, 0 FROM users WHERE tenant_no = $1 \
                      ON CONFLICT DO NOTHING";
        let made = self.connection.query(insert).bind(tenant_no).bind(user);
        made.execute().await?;
        let select =
            "SELECT user_no, workspace_sequence FROM users WHERE tenant_no = $1 AND user_id = $2";
        let user_row = self.connection.query(select).bind(tenant_no).bind(user);
        let user_row = user_row.fetch_one().await?;
        Ok((tenant_no, user_row.int(0)?, user_row.unsigned(1)?))
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
        let done = self
            .connection
            .query(sql)
            .bind(located.tenant_no)
            .bind(located.session_no)
            .bind(ask.kind.as_str())
            .bind(ask.id.as_str())
            .execute()
            .await?;
        let rows = i32::from(done > 0);
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
