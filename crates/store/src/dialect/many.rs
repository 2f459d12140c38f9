//! Statements that carry many rows: most of the cost of a short one is the way to the database and back.
//!
//! SQLite gets tuples of parameters, in a few sizes, so that each statement is prepared once. PostgreSQL gets
//! one array per column, so any number of rows is one statement and one round trip. (`COPY` would be cheaper for the
//! server, but the library sends its data and its end as two packets, and the second waits 40 ms for a delayed ACK.)

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
        write: Write<R>,
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
        write: Write<R>,
    ) -> Result<(), sqlx::Error> {
        for (size, statement) in SIZES.iter().zip(&self.tuples) {
            while rows.len() >= *size {
                let (chunk, rest) = rows.split_at(*size);
                rows = rest;
                // The text is made above, of constants.
                let mut query = connection.query(AssertSqlSafe(statement.clone()));
                for row in chunk {
                    write(&mut query, row)?;
                }
                query.execute().await?;
            }
        }
        Ok(())
    }

    #[cfg(feature = "postgres")]
    async fn run_arrays<R>(
        &self,
        connection: &mut Connection,
        rows: &[R],
        write: Write<R>,
    ) -> Result<(), sqlx::Error> {
        let mut rows = rows.iter().peekable();
        while rows.peek().is_some() {
            let mut arrays = Arrays::new(self.columns);
            while !arrays.is_full()
                && let Some(row) = rows.next()
            {
                write(&mut arrays, row)?;
            }
            let query = connection.query(AssertSqlSafe(self.arrays.clone()));
            arrays.bind_to(query).execute().await?;
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
    write: Write<R>,
) -> Result<Query<'c>, sqlx::Error> {
    let mut arrays = Arrays::new(columns);
    for row in rows {
        write(&mut arrays, row)?;
    }
    Ok(arrays.bind_to(query))
}

/// Gives the cells of a row, one per column.
pub(crate) type Write<R> = fn(&mut dyn Cells, &R) -> Result<(), sqlx::Error>;

/// Takes the cells of rows, column by column; `None` is NULL.
pub(crate) trait Cells {
    fn int(&mut self, value: Option<i64>);
    fn text(&mut self, value: Option<String>);
    fn bytes(&mut self, value: Option<Vec<u8>>);
}

impl Cells for Query<'_> {
    fn int(&mut self, value: Option<i64>) {
        self.add(value);
    }

    fn text(&mut self, value: Option<String>) {
        self.add(value);
    }

    fn bytes(&mut self, value: Option<Vec<u8>>) {
        self.add(value);
    }
}

/// The rows as one list per column.
#[cfg(feature = "postgres")]
struct Arrays {
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

    fn is_full(&self) -> bool {
        self.rows >= ARRAY_ROWS || self.bytes >= ARRAY_BYTES
    }

    fn bind_to(self, mut query: Query<'_>) -> Query<'_> {
        for list in self.lists {
            query = match list {
                List::Ints(list) => query.bind_list(list),
                List::Texts(list) => query.bind_list(list),
                List::Bytes(list) => query.bind_list(list),
            };
        }
        query
    }
}

#[cfg(feature = "postgres")]
impl Cells for Arrays {
    fn int(&mut self, value: Option<i64>) {
        if let List::Ints(list) = self.next(8) {
            list.push(value);
        }
    }

    fn text(&mut self, value: Option<String>) {
        let bytes = value.as_ref().map_or(0, String::len);
        if let List::Texts(list) = self.next(bytes) {
            list.push(value.map(escaped));
        }
    }

    fn bytes(&mut self, value: Option<Vec<u8>>) {
        let bytes = value.as_ref().map_or(0, Vec::len);
        if let List::Bytes(list) = self.next(bytes) {
            list.push(value);
        }
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
