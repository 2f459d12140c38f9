//! Statements that carry many rows: most of the cost of a short one is the way to the database and back.
//!
//! SQLite gets tuples of parameters, in a few sizes, so that each statement is prepared once. PostgreSQL gets
//! one array per column, so any number of rows is one statement and one round trip.

use super::connection::Query;
use super::{Connection, Dialect};
use sqlx::AssertSqlSafe;
use std::sync::Arc;

/// Rows per statement of SQLite.
const SIZES: [usize; 4] = [128, 32, 8, 1];

/// Rows and bytes of one statement of PostgreSQL, about; the protocol ends at 1 GiB.
#[cfg(feature = "postgres")]
const ARRAY_ROWS: usize = 4096;
#[cfg(feature = "postgres")]
const ARRAY_BYTES: usize = 16 * 1024 * 1024;

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    Int,
    Text,
    Bytes,
}

/// The texts of one statement for both databases.
pub(crate) struct Many {
    /// One per size of [`SIZES`].
    tuples: [Arc<str>; 4],
    #[cfg(feature = "postgres")]
    arrays: Arc<str>,
    #[cfg(feature = "postgres")]
    columns: &'static [Column],
}

impl Many {
    /// The rows stand between the two texts: where `VALUES` or a `SELECT` may stand.
    pub(crate) fn new(before: &str, columns: &'static [Column], after: &str) -> Self {
        let tuple = format!("({})", vec!["?"; columns.len()].join(", "));
        let tuples = SIZES.map(|rows| {
            let rows = vec![tuple.as_str(); rows].join(", ");
            format!("{before}VALUES {rows}{after}").into()
        });
        #[cfg(feature = "postgres")]
        let arrays = {
            let array = |(column, at): (&Column, usize)| {
                let kind = match column {
                    Column::Int => "BIGINT",
                    Column::Text => "TEXT",
                    Column::Bytes => "BYTEA",
                };
                format!("${at}::{kind}[]")
            };
            let arrays: Vec<String> = columns.iter().zip(1..).map(array).collect();
            format!("{before}SELECT * FROM UNNEST({}){after}", arrays.join(", ")).into()
        };
        Many {
            tuples,
            #[cfg(feature = "postgres")]
            arrays,
            #[cfg(feature = "postgres")]
            columns,
        }
    }

    /// Runs the statement for all rows, in their order; `write` gives each of a row's columns once, in order.
    pub(crate) async fn run<R>(
        &self,
        connection: &mut Connection,
        rows: &[R],
        write: impl for<'c> Fn(Cells<'c>, &R) -> Result<Cells<'c>, sqlx::Error>,
    ) -> Result<(), sqlx::Error> {
        match connection.dialect() {
            Dialect::Sqlite => self.run_tuples(connection, rows, write).await,
            #[cfg(feature = "postgres")]
            Dialect::Postgres => self.run_arrays(connection, rows, write).await,
        }
    }

    async fn run_tuples<R>(
        &self,
        connection: &mut Connection,
        mut rows: &[R],
        write: impl for<'c> Fn(Cells<'c>, &R) -> Result<Cells<'c>, sqlx::Error>,
    ) -> Result<(), sqlx::Error> {
        for (size, statement) in SIZES.iter().zip(&self.tuples) {
            while rows.len() >= *size {
                let (chunk, rest) = rows.split_at(*size);
                rows = rest;
                // The text is made above, of constants.
                let query = connection.query(AssertSqlSafe(statement.clone()));
                let mut cells = Cells::Tuples(query);
                for row in chunk {
                    cells = write(cells, row)?;
                }
                cells.execute().await?;
            }
        }
        Ok(())
    }

    #[cfg(feature = "postgres")]
    async fn run_arrays<R>(
        &self,
        connection: &mut Connection,
        rows: &[R],
        write: impl for<'c> Fn(Cells<'c>, &R) -> Result<Cells<'c>, sqlx::Error>,
    ) -> Result<(), sqlx::Error> {
        let mut rows = rows.iter().peekable();
        while rows.peek().is_some() {
            let query = connection.query(AssertSqlSafe(self.arrays.clone()));
            let mut cells = Cells::Arrays(query, Arrays::new(self.columns));
            while !cells.is_full()
                && let Some(row) = rows.next()
            {
                cells = write(cells, row)?;
            }
            cells.execute().await?;
        }
        Ok(())
    }
}

/// Binds rows as one array per column, for a statement of several parts; `write` as for [`Many::run`].
#[cfg(feature = "postgres")]
pub(crate) fn bind_arrays<'c, R>(
    query: Query<'c>,
    columns: &[Column],
    rows: &[R],
    write: impl Fn(Cells<'c>, &R) -> Result<Cells<'c>, sqlx::Error>,
) -> Result<Query<'c>, sqlx::Error> {
    let mut cells = Cells::Arrays(query, Arrays::new(columns));
    for row in rows {
        cells = write(cells, row)?;
    }
    Ok(cells.into_query())
}

/// Where the columns of the rows go.
pub(crate) enum Cells<'c> {
    Tuples(Query<'c>),
    #[cfg(feature = "postgres")]
    Arrays(Query<'c>, Arrays),
}

/// The rows as one list per column.
#[cfg(feature = "postgres")]
pub(crate) struct Arrays {
    lists: Vec<List>,
    /// The column that comes next.
    next: usize,
    rows: usize,
    bytes: usize,
}

#[cfg(feature = "postgres")]
enum List {
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

#[cfg(feature = "postgres")]
impl Arrays {
    fn new(columns: &[Column]) -> Self {
        let list = |column: &Column| match column {
            Column::Int => List::Ints(Vec::new()),
            Column::Text => List::Texts(Vec::new()),
            Column::Bytes => List::Bytes(Vec::new()),
        };
        Arrays {
            lists: columns.iter().map(list).collect(),
            next: 0,
            rows: 0,
            bytes: 0,
        }
    }

    fn next(&mut self, bytes: usize) -> &mut List {
        let at = self.next;
        self.next = (at + 1) % self.lists.len();
        self.rows += usize::from(self.next == 0);
        self.bytes += bytes;
        &mut self.lists[at]
    }
}

impl<'c> Cells<'c> {
    pub(crate) fn int(self, value: impl Into<Option<i64>>) -> Self {
        let value = value.into();
        match self {
            Cells::Tuples(query) => Cells::Tuples(query.bind(value)),
            #[cfg(feature = "postgres")]
            Cells::Arrays(query, mut arrays) => {
                if let List::Ints(list) = arrays.next(8) {
                    list.push(value);
                }
                Cells::Arrays(query, arrays)
            }
        }
    }

    pub(crate) fn text(self, value: impl Into<Option<String>>) -> Self {
        let value = value.into();
        match self {
            Cells::Tuples(query) => Cells::Tuples(query.bind(value)),
            #[cfg(feature = "postgres")]
            Cells::Arrays(query, mut arrays) => {
                let bytes = value.as_ref().map_or(0, String::len);
                if let List::Texts(list) = arrays.next(bytes) {
                    list.push(value.map(escaped));
                }
                Cells::Arrays(query, arrays)
            }
        }
    }

    pub(crate) fn bytes(self, value: Option<Vec<u8>>) -> Self {
        match self {
            Cells::Tuples(query) => Cells::Tuples(query.bind(value)),
            #[cfg(feature = "postgres")]
            Cells::Arrays(query, mut arrays) => {
                let bytes = value.as_ref().map_or(0, Vec::len);
                if let List::Bytes(list) = arrays.next(bytes) {
                    list.push(value);
                }
                Cells::Arrays(query, arrays)
            }
        }
    }

    #[cfg(feature = "postgres")]
    fn is_full(&self) -> bool {
        match self {
            Cells::Tuples(_) => false,
            Cells::Arrays(_, arrays) => arrays.rows >= ARRAY_ROWS || arrays.bytes >= ARRAY_BYTES,
        }
    }

    fn into_query(self) -> Query<'c> {
        match self {
            Cells::Tuples(query) => query,
            #[cfg(feature = "postgres")]
            Cells::Arrays(mut query, arrays) => {
                for list in arrays.lists {
                    query = match list {
                        List::Ints(list) => query.bind_list(list),
                        List::Texts(list) => query.bind_list(list),
                        List::Bytes(list) => query.bind_list(list),
                    };
                }
                query
            }
        }
    }

    async fn execute(self) -> Result<u64, sqlx::Error> {
        self.into_query().execute().await
    }
}

/// Text that needs no escape isn't copied.
#[cfg(feature = "postgres")]
fn escaped(text: String) -> String {
    match super::text::escape(&text) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(escaped) => escaped,
    }
}
