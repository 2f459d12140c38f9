//! Pages by key, not by offset: rows that come or change between two pages neither repeat nor hide others. A
//! cursor belongs to one list with one filter; elsewhere it is refused.

use super::StoreError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Rows in the list's order.
    pub rows: Vec<T>,
    /// Cursor of the next page; absent on the last one.
    pub next: Option<String>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Page {
            rows: Vec::new(),
            next: None,
        }
    }
}

impl<T> Page<T> {
    /// The same page of other rows.
    pub fn map<U>(self, map: impl FnMut(T) -> U) -> Page<U> {
        Page {
            rows: self.rows.into_iter().map(map).collect(),
            next: self.next,
        }
    }
}

/// Which list with which filter: what a cursor is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    hash: String,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u32,
    k: Vec<String>,
    h: String,
}

impl List {
    /// `name` and everything that narrows the list, tenant included.
    pub fn new(name: &str, filter: &impl Serialize) -> Self {
        let mut digest = Sha256::new();
        digest.update(name.as_bytes());
        digest.update([0]);
        digest.update(serde_json::to_vec(filter).unwrap_or_default());
        List {
            hash: URL_SAFE_NO_PAD.encode(&digest.finalize()[..16]),
        }
    }

    /// The key after which the page starts. [`StoreError::InvalidCursor`] when the cursor isn't of this list.
    pub fn start<const N: usize>(
        &self,
        cursor: Option<&str>,
    ) -> Result<Option<[String; N]>, StoreError> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let invalid = |_| StoreError::InvalidCursor;
        let bytes = URL_SAFE_NO_PAD
            .decode(cursor)
            .map_err(|_| StoreError::InvalidCursor)?;
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|_| StoreError::InvalidCursor)?;
        if wire.v != 1 || wire.h != self.hash {
            return Err(StoreError::InvalidCursor);
        }
        wire.k.try_into().map(Some).map_err(invalid)
    }

    /// The cursor after the row with this key.
    pub fn after<const N: usize>(&self, key: [String; N]) -> String {
        let wire = Wire {
            v: 1,
            k: key.into(),
            h: self.hash.clone(),
        };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    /// Makes a page of rows in order, one more than `size` where there are more. `key` gives a row's place.
    pub fn page<T, const N: usize>(
        &self,
        mut rows: Vec<T>,
        size: usize,
        key: impl Fn(&T) -> [String; N],
    ) -> Page<T> {
        let more = rows.len() > size;
        rows.truncate(size);
        let next = rows.last().filter(|_| more).map(|row| self.after(key(row)));
        Page { rows, next }
    }
}

/// Rows of a page: 0 means the default, more than the maximum means the maximum.
#[must_use]
pub fn page_size(asked: u32, default: u32, most: u32) -> usize {
    match asked {
        0 => default as usize,
        asked => asked.min(most) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_its_key_in_its_list_only() {
        let list = List::new("members", &("t1", Some("ann")));
        let page = list.page(vec!["a", "b", "c"], 2, |row| [row.to_string()]);
        assert_eq!(page.rows, ["a", "b"]);
        let next = page.next.as_deref();
        assert_eq!(list.start::<1>(next), Ok(Some(["b".to_owned()])));
        assert_eq!(list.start::<2>(next), Err(StoreError::InvalidCursor));
        for other in [
            List::new("members", &("t2", Some("ann"))),
            List::new("tokens", &("t1", Some("ann"))),
        ] {
            assert_eq!(other.start::<1>(next), Err(StoreError::InvalidCursor));
        }
        for garbage in ["", "%", "e30", "bnVsbA"] {
            assert_eq!(
                list.start::<1>(Some(garbage)),
                Err(StoreError::InvalidCursor)
            );
        }
        assert_eq!(list.start::<1>(None), Ok(None));
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let list = List::new("members", &());
        let page = list.page(vec!["a", "b"], 2, |row| [row.to_string()]);
        assert_eq!(page.next, None);
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(page_size(0, 100, 500), 100);
        assert_eq!(page_size(7, 100, 500), 7);
        assert_eq!(page_size(u32::MAX, 100, 500), 500);
    }
}
