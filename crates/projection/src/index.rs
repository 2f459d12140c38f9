//! Where in a list an id is: makes `upsert` (01 §4.2) cost nothing that grows with the thread.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// An element that has an id inside its list.
pub(crate) trait HasId {
    /// The id.
    fn id(&self) -> &str;
}

macro_rules! has_id {
    ($($type:ty),*) => {$(
        impl HasId for $type {
            fn id(&self) -> &str { &self.id }
        }
    )*};
}

use open_cowork_contracts::view::{
    Message, PendingApproval, PendingQuestion, ResolvedApproval, ResolvedQuestion, SessionArtifact,
    TaskRun, ToolCall, ViewError,
};
has_id!(
    Message,
    PendingApproval,
    PendingQuestion,
    ResolvedApproval,
    ResolvedQuestion,
    SessionArtifact,
    TaskRun,
    ToolCall,
    ViewError
);

/// Pieces of a transcript are open JSON; a foreign one may lack an id.
impl HasId for serde_json::Value {
    fn id(&self) -> &str {
        self.get("id")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    }
}

/// Positions by id of one list. Holds no strings: the list has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdIndex {
    positions: HashTable<u32>,
    hasher: RandomState,
    /// Events come in runs about one element: look there first.
    last: usize,
}

impl IdIndex {
    /// The index of an existing list; of equal ids the first counts, as in a search from the front.
    pub(crate) fn of<T: HasId>(list: &[T]) -> Self {
        let mut index = IdIndex {
            positions: HashTable::with_capacity(list.len()),
            ..IdIndex::default()
        };
        for (position, item) in list.iter().enumerate() {
            if index.lookup(list, item.id()).is_none() {
                index.insert(list, position);
            }
        }
        index
    }

    /// The position of `id`.
    pub(crate) fn find<T: HasId>(&mut self, list: &[T], id: &str) -> Option<usize> {
        if list.get(self.last).is_some_and(|item| item.id() == id) {
            return Some(self.last);
        }
        let position = self.lookup(list, id)?;
        self.last = position;
        Some(position)
    }

    /// Appends an element whose id isn't in the list yet; returns its position.
    pub(crate) fn push<T: HasId>(&mut self, list: &mut Vec<T>, item: T) -> usize {
        let position = list.len();
        list.push(item);
        self.insert(list, position);
        self.last = position;
        position
    }

    /// Takes an element out; the others keep their order. Costs what stands behind it.
    pub(crate) fn remove<T: HasId>(&mut self, list: &mut Vec<T>, position: usize) -> T {
        let item = list.remove(position);
        *self = IdIndex::of(list);
        item
    }

    fn lookup<T: HasId>(&self, list: &[T], id: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(id);
        let found = self
            .positions
            .find(hash, |&p| list[p as usize].id() == id)?;
        Some(*found as usize)
    }

    fn insert<T: HasId>(&mut self, list: &[T], position: usize) {
        let hasher = &self.hasher;
        let hash = hasher.hash_one(list[position].id());
        // A list of four thousand million elements doesn't fit in memory, so the cast keeps the value.
        self.positions.insert_unique(hash, position as u32, |&p| {
            hasher.hash_one(list[p as usize].id())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Item {
        id: String,
    }
    has_id!(Item);

    fn item(id: &str) -> Item {
        Item { id: id.to_owned() }
    }

    #[test]
    fn an_id_is_found_where_it_was_pushed() {
        let mut list = Vec::new();
        let mut index = IdIndex::default();
        for n in 0..1000 {
            assert_eq!(index.push(&mut list, item(&n.to_string())), n);
        }
        for n in (0..1000).rev() {
            assert_eq!(index.find(&list, &n.to_string()), Some(n));
        }
        assert_eq!(index.find(&list, "none"), None);
    }

    #[test]
    fn a_removed_id_is_gone_and_the_others_are_found() {
        let mut list = Vec::new();
        let mut index = IdIndex::default();
        for id in ["a", "b", "c"] {
            index.push(&mut list, item(id));
        }
        assert_eq!(index.remove(&mut list, 1).id, "b");
        assert_eq!(index.find(&list, "b"), None);
        assert_eq!(
            (index.find(&list, "a"), index.find(&list, "c")),
            (Some(0), Some(1))
        );
    }

    #[test]
    fn of_equal_ids_the_first_is_found() {
        let list = [item("a"), item("b"), item("a")];
        let mut index = IdIndex::of(&list);
        assert_eq!(index.find(&list, "b"), Some(1));
        assert_eq!(index.find(&list, "a"), Some(0));
    }
}
