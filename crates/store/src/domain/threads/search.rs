//! Search over threads and what they have in common.
//!
//! A text is looked up in the index of words, newest documents first and not more than [`MAX_HITS`] of titles and
//! of messages; that gives the candidates. Filters, order and paging are one statement over the sessions, for
//! searches with and without a text.

use super::digest::{Known, label};
use super::follow::owner_word;
use super::labels::tags_of;
use crate::dialect::{Connection, Dialect, Row, undecodable};
use crate::domain::workflows::rows::from_json;
use crate::owner;
use open_cowork_contracts::api::threads::{
    Facet, HitRole, Tag, ThreadFacets, ThreadHit, ThreadItem, ThreadSort, ThreadStatus, ThreadTag,
};
use open_cowork_providers::store::threads::words::Needle;
use open_cowork_providers::store::threads::{MAX_HITS, ThreadQuery};
use sqlx::AssertSqlSafe;
use std::collections::HashMap;

/// Most values of one facet.
const MAX_FACET_VALUES: usize = 200;

pub(super) struct Found {
    /// One more than the page's size where there are more.
    pub(super) rows: Vec<FoundRow>,
    /// How many there are, where that is known.
    pub(super) total: Option<u64>,
    pub(super) truncated: bool,
}

pub(super) struct FoundRow {
    pub(super) item: ThreadItem,
    /// Sort key and session id.
    pub(super) place: [String; 2],
}

impl Found {
    fn nothing(total: Option<u64>) -> Self {
        Found {
            rows: Vec::new(),
            total,
            truncated: false,
        }
    }
}

/// The documents that hold a text.
#[derive(Default)]
struct Candidates {
    /// By session: the title's document if it holds the text, else the newest message's.
    documents: HashMap<i64, i64>,
    truncated: bool,
}

/// What a thread is doing, from its row.
const STATUS: &str = "CASE WHEN s.waiting > 0 THEN 'needs_user' WHEN s.status = 'running' THEN 'running' \
                      WHEN s.status = 'errored' THEN 'error' \
                      WHEN substr(s.session_id, 1, 17) = 'workflow_session_' THEN 'workflow' ELSE 'idle' END";

/// The conditions of a query. Parameters 1 and 2 are the tenant's and the user's number.
struct Filter {
    sql: String,
    texts: Vec<String>,
}

impl Filter {
    fn of(dialect: Dialect, query: &ThreadQuery, candidates: Option<&Candidates>) -> Self {
        // With candidates the rows are found by their keys; the plus keeps SQLite from walking all threads of the
        // user instead (a hundred times slower with 20,000 of them).
        let user = match candidates {
            Some(_) => "+s.user_no",
            None => "s.user_no",
        };
        let mut filter = Filter {
            sql: format!("s.tenant_no = $1 AND {user} = $2"),
            texts: Vec::new(),
        };
        if let Some(candidates) = candidates {
            let numbers: Vec<i64> = candidates.documents.keys().copied().collect();
            let list = filter.text(dialect.numbers(&numbers));
            filter.and(&format!("s.session_no {}", dialect.in_numbers(&list)));
        }
        if let Some(from) = &query.from {
            let from = filter.text(from.clone());
            filter.and(&format!("s.updated_at >= {from}"));
        }
        if let Some(to) = &query.to {
            let to = filter.text(to.clone());
            filter.and(&format!("s.updated_at <= {to}"));
        }
        for (kind, values) in [
            ("project", &query.projects),
            ("directory", &query.directories),
            ("provider", &query.providers),
            ("model", &query.models),
            ("agent", &query.agents),
            ("tool", &query.tools),
            ("mcp", &query.mcps),
        ] {
            filter.one_of(
                values.iter().cloned(),
                &format!("thread_facets f WHERE f.kind = '{kind}' AND f.tenant_no = s.tenant_no AND f.session_no = s.session_no AND f.value"),
            );
        }
        filter.one_of(
            query.tags.iter().map(|tag| tag.to_string()),
            "session_tags g WHERE g.tenant_no = s.tenant_no AND g.session_no = s.session_no AND g.tag_id",
        );
        if !query.statuses.is_empty() {
            // Names of ours.
            let names: Vec<String> = query
                .statuses
                .iter()
                .map(|status| format!("'{status}'"))
                .collect();
            filter.and(&format!("{STATUS} IN ({})", names.join(", ")));
        }
        filter
    }

    fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    /// The next parameter.
    fn text(&mut self, text: String) -> String {
        self.texts.push(text);
        format!("${}", self.texts.len() + 2)
    }

    fn one_of(&mut self, values: impl Iterator<Item = String>, rows: &str) {
        let list: Vec<String> = values.map(|value| self.text(value)).collect();
        if !list.is_empty() {
            self.and(&format!(
                "EXISTS (SELECT 1 FROM {rows} IN ({}))",
                list.join(", ")
            ));
        }
    }

    async fn fetch(
        self,
        connection: &mut Connection,
        sql: String,
        (tenant_no, user_no): (i64, i64),
    ) -> Result<Vec<Row>, sqlx::Error> {
        // Constants of ours and numbers of parameters.
        let mut select = connection
            .query(AssertSqlSafe(sql))
            .bind(tenant_no)
            .bind(user_no);
        for text in self.texts {
            select = select.bind(text);
        }
        select.fetch_all().await
    }
}

async fn owner(
    connection: &mut Connection,
    query: &ThreadQuery,
) -> Result<Option<(i64, i64)>, sqlx::Error> {
    let Some(tenant_no) = owner::tenant_no(connection, &query.scope.tenant_id).await? else {
        return Ok(None);
    };
    let user_no = owner::user_no(connection, tenant_no, &query.scope.user_id).await?;
    Ok(user_no.map(|user_no| (tenant_no, user_no)))
}

pub(super) async fn find(
    connection: &mut Connection,
    query: &ThreadQuery,
    start: Option<&[String; 2]>,
) -> Result<Found, sqlx::Error> {
    let needle = query.text.as_deref().and_then(Needle::parse);
    let Some(owner) = owner(connection, query).await? else {
        return Ok(Found::nothing(needle.map(|_| 0)));
    };
    let candidates = match &needle {
        Some(needle) => Some(look_up(connection, owner, needle).await?),
        None => None,
    };
    if candidates
        .as_ref()
        .is_some_and(|found| found.documents.is_empty())
    {
        return Ok(Found::nothing(Some(0)));
    }
    let mut filter = Filter::of(connection.dialect(), query, candidates.as_ref());
    let (key, direction, before) = match query.sort {
        ThreadSort::UpdatedDesc => ("s.updated_at", "DESC", "<"),
        ThreadSort::CreatedDesc => ("s.created_at", "DESC", "<"),
        // It begins with the title in lower case (providers::store::page::search_text).
        ThreadSort::TitleAsc => ("s.search", "", ">"),
    };
    // Counting takes all rows: only where a text has bounded them.
    let total = if candidates.is_some() {
        "COUNT(*) OVER ()"
    } else {
        "-1"
    };
    let mut sql = format!(
        "SELECT c.total, c.place, s.session_no, s.session_id, s.title, s.directory, {STATUS}, s.created_at, \
         s.updated_at, i.body, r.workflow_id, r.run_id FROM (SELECT * FROM (SELECT {total} AS total, {key} AS place, \
         s.tenant_no, s.session_no, s.session_id FROM sessions s WHERE {}) a",
        filter.sql
    );
    if let Some([place, session]) = start {
        let (place, session) = (filter.text(place.clone()), filter.text(session.clone()));
        // The first half lets an index seek.
        sql.push_str(&format!(
            " WHERE a.place {before}= {place} AND (a.place {before} {place} OR a.session_id > {session})"
        ));
    }
    sql.push_str(&format!(
        " ORDER BY a.place {direction}, a.session_id LIMIT {}) c \
         JOIN sessions s ON s.tenant_no = c.tenant_no AND s.session_no = c.session_no \
         LEFT JOIN thread_index i ON i.tenant_no = c.tenant_no AND i.session_no = c.session_no \
         LEFT JOIN workflow_runs r ON r.tenant_no = c.tenant_no AND r.session_id = c.session_id \
         ORDER BY c.place {direction}, c.session_id",
        query.page_size() + 1
    ));
    let rows = filter.fetch(connection, sql, owner).await?;
    let mut found = Found {
        rows: Vec::with_capacity(rows.len()),
        total: match (&candidates, rows.first()) {
            (None, _) => None,
            (Some(_), None) => Some(0),
            (Some(_), Some(row)) => Some(row.unsigned(0)?),
        },
        truncated: candidates.as_ref().is_some_and(|found| found.truncated),
    };
    let numbers = rows
        .iter()
        .map(|row| row.int(2))
        .collect::<Result<Vec<_>, _>>()?;
    let mut tags = tags_of(connection, owner.0, &numbers).await?;
    let mut hits = hits_of(connection, needle.as_ref(), candidates.as_ref(), &numbers).await?;
    for (row, number) in rows.iter().zip(numbers) {
        found.rows.push(FoundRow {
            place: [row.text(1)?, row.text(3)?],
            item: item(
                row,
                tags.remove(&number).unwrap_or_default(),
                hits.remove(&number),
            )?,
        });
    }
    Ok(found)
}

fn item(row: &Row, tags: Vec<Tag>, hit: Option<ThreadHit>) -> Result<ThreadItem, sqlx::Error> {
    let known: Known = match row.optional_stored(9)? {
        Some(_) => from_json(row, 9)?,
        None => Known::default(),
    };
    let directory = row.optional_text(5)?;
    let tag = |tag: Tag| ThreadTag {
        id: tag.tag_id,
        name: tag.name,
        color: tag.color,
        created_at: tag.created_at,
        updated_at: tag.updated_at,
    };
    Ok(ThreadItem {
        session_id: row.text(3)?.into(),
        title: row.optional_text(4)?,
        project_label: known
            .project
            .clone()
            .or_else(|| directory.as_deref().map(label)),
        directory,
        provider_id: known.provider.clone(),
        model_id: known.model.clone(),
        status: ThreadStatus::parse(row.stored(6)?).ok_or_else(|| undecodable(6))?,
        created_at: row.text(7)?,
        updated_at: row.text(8)?,
        parent_session_id: None,
        workflow_id: row.optional_text(10)?.map(Into::into),
        run_id: row.optional_text(11)?.map(Into::into),
        reverted_message_id: None,
        tags: tags.into_iter().map(tag).collect(),
        actual_agents: known.agents(),
        actual_tools: known.tools(),
        suggestions: Vec::new(),
        usage: known.usage,
        change_summary: None,
        hit,
    })
}

/// Titles first: a thread that is called so is shown as such.
async fn look_up(
    connection: &mut Connection,
    owner: (i64, i64),
    needle: &Needle,
) -> Result<Candidates, sqlx::Error> {
    let mut candidates = Candidates::default();
    for titles in [true, false] {
        let rows = documents(connection, owner, needle, titles).await?;
        candidates.truncated |= rows.len() > MAX_HITS;
        for row in rows.iter().take(MAX_HITS) {
            if !needle.pieces.is_empty() && !needle.has_pieces(&row.text(2)?) {
                continue;
            }
            // Newest first, so the first of a session stays.
            candidates
                .documents
                .entry(row.int(1)?)
                .or_insert(row.int(0)?);
        }
    }
    Ok(candidates)
}

/// Documents with the needle's words, newest first, one more than [`MAX_HITS`] where there are more. The text is
/// read only where it has to be looked at.
async fn documents(
    connection: &mut Connection,
    (tenant_no, user_no): (i64, i64),
    needle: &Needle,
    titles: bool,
) -> Result<Vec<Row>, sqlx::Error> {
    let text = if needle.pieces.is_empty() {
        "''"
    } else {
        "x.text"
    };
    let owner = owner_word(tenant_no, user_no, titles);
    let dialect = connection.dialect();
    let (from, condition, expression) = match dialect {
        Dialect::Sqlite => {
            let words = needle.words.iter().map(|sought| match sought.prefix {
                true => format!(" AND \"{}\" *", sought.word),
                false => format!(" AND \"{}\"", sought.word),
            });
            (
                // CROSS: the words lead, whatever the planner thinks of them.
                "thread_words w CROSS JOIN thread_texts x ON x.text_no = w.rowid",
                "w.words MATCH $1 AND x.tenant_no = $2 AND x.user_no = $3 ORDER BY w.rowid DESC",
                format!("\"{owner}\"{}", words.collect::<String>()),
            )
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            let words = needle.words.iter().map(|sought| match sought.prefix {
                true => format!(" & '{}':*", sought.word),
                false => format!(" & '{}'", sought.word),
            });
            (
                // Its own table for each.
                match titles {
                    true => "(SELECT * FROM thread_texts WHERE message_id = '') x",
                    false => "(SELECT * FROM thread_texts WHERE message_id <> '') x",
                },
                "x.words @@ CAST($1 AS TSQUERY) AND x.tenant_no = $2 AND x.user_no = $3 ORDER BY x.text_no DESC",
                format!("'{owner}'{}", words.collect::<String>()),
            )
        }
    };
    let sql = format!(
        "SELECT x.text_no, x.session_no, {text} FROM {from} WHERE {condition} LIMIT {}",
        MAX_HITS + 1
    );
    // Constants of ours.
    let query = connection.query(AssertSqlSafe(sql)).bind(expression);
    query.bind(tenant_no).bind(user_no).fetch_all().await
}

/// Where the text is, for the threads of a page.
async fn hits_of(
    connection: &mut Connection,
    needle: Option<&Needle>,
    candidates: Option<&Candidates>,
    sessions: &[i64],
) -> Result<HashMap<i64, ThreadHit>, sqlx::Error> {
    let (Some(needle), Some(candidates)) = (needle, candidates) else {
        return Ok(HashMap::new());
    };
    let documents: Vec<i64> = sessions
        .iter()
        .filter_map(|session| candidates.documents.get(session).copied())
        .collect();
    let dialect = connection.dialect();
    let sql = format!(
        "SELECT x.session_no, x.message_id, x.role, x.sequence, x.text FROM thread_texts x WHERE x.text_no {}",
        dialect.in_numbers("$1")
    );
    // Constants of ours.
    let query = connection
        .query(AssertSqlSafe(sql))
        .bind(dialect.numbers(&documents));
    let mut hits = HashMap::new();
    for row in query.fetch_all().await? {
        let role = HitRole::parse(row.stored(2)?).ok_or_else(|| undecodable(2))?;
        let is_message = role != HitRole::Title;
        let hit = ThreadHit {
            message_id: is_message.then(|| row.text(1)).transpose()?.map(Into::into),
            sequence: is_message.then(|| row.unsigned(3)).transpose()?,
            role,
            snippet: needle.snippet(&row.text(4)?),
        };
        hits.insert(row.int(0)?, hit);
    }
    Ok(hits)
}

pub(super) async fn facets(
    connection: &mut Connection,
    query: &ThreadQuery,
) -> Result<ThreadFacets, sqlx::Error> {
    let mut facets = ThreadFacets::default();
    let Some(owner) = owner(connection, query).await? else {
        return Ok(facets);
    };
    let candidates = match query.text.as_deref().and_then(Needle::parse) {
        Some(needle) => Some(look_up(connection, owner, &needle).await?),
        None => None,
    };
    let dialect = connection.dialect();
    let filter = Filter::of(dialect, query, candidates.as_ref());
    // What takes part counts its uses, what a thread has one of counts threads.
    let sql = format!(
        "SELECT v.kind, v.value, CAST(SUM(v.uses) AS BIGINT) FROM sessions s \
         JOIN thread_facets v ON v.tenant_no = s.tenant_no AND v.session_no = s.session_no \
         WHERE {} AND v.kind <> 'directory' GROUP BY v.kind, v.value",
        filter.sql
    );
    for row in filter.fetch(connection, sql, owner).await? {
        let value = row.text(1)?;
        let facet = Facet {
            label: value.clone(),
            value,
            count: row.unsigned(2)?,
            color: None,
        };
        match row.stored(0)? {
            "project" => facets.projects.push(facet),
            "provider" => facets.providers.push(facet),
            "model" => facets.models.push(facet),
            "agent" => facets.agents.push(facet),
            "tool" => facets.tools.push(facet),
            "mcp" => facets.mcps.push(facet),
            _ => return Err(undecodable(0)),
        }
    }
    let filter = Filter::of(dialect, query, candidates.as_ref());
    let sql = format!(
        "SELECT {STATUS}, COUNT(*) FROM sessions s WHERE {} GROUP BY 1",
        filter.sql
    );
    for row in filter.fetch(connection, sql, owner).await? {
        let status = row.text(0)?;
        facets.statuses.push(Facet {
            label: status.clone(),
            value: status,
            count: row.unsigned(1)?,
            color: None,
        });
    }
    let filter = Filter::of(dialect, query, candidates.as_ref());
    let sql = format!(
        "SELECT y.body, n.threads FROM (SELECT l.tenant_no, l.tag_id, COUNT(*) AS threads FROM sessions s \
         JOIN session_tags l ON l.tenant_no = s.tenant_no AND l.session_no = s.session_no \
         WHERE {} GROUP BY l.tenant_no, l.tag_id) n \
         JOIN tags y ON y.tenant_no = n.tenant_no AND y.tag_id = n.tag_id",
        filter.sql
    );
    for row in filter.fetch(connection, sql, owner).await? {
        let tag: Tag = from_json(&row, 0)?;
        facets.tags.push(Facet {
            value: tag.tag_id.to_string(),
            label: tag.name,
            count: row.unsigned(1)?,
            color: Some(tag.color),
        });
    }
    for list in [
        &mut facets.projects,
        &mut facets.providers,
        &mut facets.models,
        &mut facets.agents,
        &mut facets.tools,
        &mut facets.mcps,
        &mut facets.statuses,
        &mut facets.tags,
    ] {
        list.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.label.cmp(&b.label)));
        list.truncate(MAX_FACET_VALUES);
    }
    Ok(facets)
}
