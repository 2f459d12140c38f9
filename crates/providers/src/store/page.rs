//! Pages of the session list: the filter, the cursor, and what they match (04 §2.2).

use super::{Scope, SessionRow, StoreError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use open_cowork_contracts::{Session, SessionId, SessionStatus};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Rows of a page when the caller doesn't say.
pub const DEFAULT_LIMIT: u32 = 100;
/// Most rows of a page.
pub const MAX_LIMIT: u32 = 500;

/// Which sessions of a user, and from where on.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionQuery {
    /// Owner.
    pub scope: Scope,
    /// Only this status.
    pub status: Option<SessionStatus>,
    /// Only this profile.
    pub profile_name: Option<String>,
    /// Case-insensitive substring of title, session id, runtime id or profile; `%` and `_` are plain
    /// characters. Blank means none.
    pub text: Option<String>,
    /// [`SessionPage::next`] of the page before.
    pub cursor: Option<String>,
    /// Rows, 1 to [`MAX_LIMIT`]; 0 means [`DEFAULT_LIMIT`].
    pub limit: u32,
}

impl SessionQuery {
    /// All sessions of a user.
    pub fn new(scope: Scope) -> Self {
        SessionQuery {
            scope,
            status: None,
            profile_name: None,
            text: None,
            cursor: None,
            limit: 0,
        }
    }

    /// The limit to use.
    pub fn page_size(&self) -> usize {
        match self.limit {
            0 => DEFAULT_LIMIT as usize,
            limit => limit.min(MAX_LIMIT) as usize,
        }
    }

    /// The text to look for, folded as [`search_text`] folds the row.
    pub fn needle(&self) -> Option<String> {
        let text = self.text.as_deref()?.trim();
        (!text.is_empty()).then(|| text.to_lowercase())
    }

    /// Where the page starts: after that row. [`StoreError::InvalidCursor`] when it isn't ours.
    pub fn start(&self) -> Result<Option<PageStart>, StoreError> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(cursor)
            .map_err(|_| StoreError::InvalidCursor)?;
        let wire: WireCursor =
            serde_json::from_slice(&bytes).map_err(|_| StoreError::InvalidCursor)?;
        if wire.v != 1 || wire.scope_hash != self.scope_hash() {
            return Err(StoreError::InvalidCursor);
        }
        Ok(Some(PageStart {
            updated_at: wire.updated_at,
            session_id: wire.session_id,
        }))
    }

    /// Makes a page of rows that came in order, one more than [`SessionQuery::page_size`] where there are more.
    pub fn page(&self, mut rows: Vec<SessionRow>) -> SessionPage {
        let total_estimate = rows.len().min(self.page_size() + 1) as u32;
        let more = rows.len() > self.page_size();
        rows.truncate(self.page_size());
        let next = rows
            .last()
            .filter(|_| more)
            .map(|row| self.cursor_after(&row.session));
        SessionPage {
            rows,
            next,
            total_estimate,
        }
    }

    fn cursor_after(&self, last: &Session) -> String {
        let wire = WireCursor {
            v: 1,
            updated_at: last.updated_at.clone(),
            session_id: last.session_id.clone(),
            scope_hash: self.scope_hash(),
        };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    fn scope_hash(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Filter<'a> {
            tenant_id: &'a str,
            user_id: &'a str,
            status: Option<SessionStatus>,
            profile_name: Option<&'a str>,
            query: Option<String>,
        }
        let filter = Filter {
            tenant_id: self.scope.tenant_id.as_str(),
            user_id: self.scope.user_id.as_str(),
            status: self.status,
            profile_name: self.profile_name.as_deref(),
            query: self.needle(),
        };
        URL_SAFE_NO_PAD.encode(Sha256::digest(
            serde_json::to_vec(&filter).unwrap_or_default(),
        ))
    }
}

/// The key of the last row of the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageStart {
    /// Its `updatedAt`.
    pub updated_at: String,
    /// Its id.
    pub session_id: SessionId,
}

/// One page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionPage {
    /// Rows, touched last first.
    pub rows: Vec<SessionRow>,
    /// Cursor of the next page; absent on the last one.
    pub next: Option<String>,
    /// A probe for more, not a count: at most `limit + 1`.
    pub total_estimate: u32,
}

/// base64url JSON `{v, updatedAt, sessionId, scopeHash}`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCursor {
    v: u32,
    updated_at: String,
    session_id: SessionId,
    scope_hash: String,
}

/// The text that a query is looked up in: title, session id, runtime id, profile, lower-cased by Unicode's
/// rules (a database's own `lower` often knows ASCII only), apart by a separator that nobody types.
pub fn search_text(session: &Session) -> String {
    let title = session.title.as_deref().unwrap_or_default();
    let (id, runtime) = (
        session.session_id.as_str(),
        session.opencode_session_id.as_str(),
    );
    format!(
        "{title}\u{1f}{id}\u{1f}{runtime}\u{1f}{}",
        session.profile_name
    )
    .to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> SessionQuery {
        SessionQuery::new(Scope::new("t", "u"))
    }

    fn row(id: &str) -> SessionRow {
        let session = Session {
            session_id: id.into(),
            updated_at: "2026-01-01T00:00:00.000Z".into(),
            ..Session::default()
        };
        SessionRow {
            session,
            ..SessionRow::default()
        }
    }

    #[test]
    fn a_cursor_is_base64url_json_with_the_fields_of_the_contract() {
        let page = SessionQuery {
            limit: 1,
            ..query()
        }
        .page(vec![row("a"), row("b")]);
        let bytes = URL_SAFE_NO_PAD.decode(page.next.unwrap()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["v", "updatedAt", "sessionId", "scopeHash"]);
        assert_eq!((&json["v"], &json["sessionId"]), (&1.into(), &"a".into()));
        assert_eq!(page.total_estimate, 2);
    }

    #[test]
    fn a_cursor_of_another_filter_and_garbage_are_refused() {
        let next = SessionQuery {
            limit: 1,
            ..query()
        }
        .page(vec![row("a"), row("b")])
        .next;
        let other = SessionQuery {
            cursor: next.clone(),
            text: Some("x".into()),
            ..query()
        };
        assert_eq!(other.start(), Err(StoreError::InvalidCursor));
        for garbage in ["", "%%%", "bm8"] {
            let query = SessionQuery {
                cursor: Some(garbage.into()),
                ..query()
            };
            assert_eq!(query.start(), Err(StoreError::InvalidCursor), "{garbage}");
        }
        let same_but_longer = SessionQuery {
            cursor: next,
            limit: 7,
            ..query()
        };
        assert_eq!(
            same_but_longer.start().unwrap().unwrap().session_id,
            "a".into()
        );
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        assert_eq!(
            SessionQuery {
                limit: 2,
                ..query()
            }
            .page(vec![row("a"), row("b")])
            .next,
            None
        );
    }
}
