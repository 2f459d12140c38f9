//! Every way of opening the store passes the public suite.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use open_cowork_providers::conformance::Subject;
use open_cowork_store::{SqliteOptions, SqliteStore};

mod file {
    use super::*;

    async fn fresh() -> Subject {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("threads.db");
        let open = || SqliteStore::open(&path, SqliteOptions::default());
        Subject::of_two(open().await.unwrap(), open().await.unwrap(), folder)
    }

    open_cowork_providers::store_conformance!(fresh);
}

mod memory {
    use super::*;

    async fn fresh() -> Subject {
        Subject::new(
            SqliteStore::in_memory(SqliteOptions::default())
                .await
                .unwrap(),
        )
    }

    open_cowork_providers::store_conformance!(fresh);
}

mod postgres {
    use open_cowork_providers::conformance::Subject;
    use open_cowork_store::{PostgresOptions, PostgresStore, SchemaName};
    use open_cowork_testkit::postgres::Postgres;
    use std::sync::atomic::{AtomicU32, Ordering};

    async fn fresh() -> Subject {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        let schema = format!("case_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
        let options = PostgresOptions {
            schema: SchemaName::parse(&schema).unwrap(),
            ..PostgresOptions::default()
        };
        let server = Postgres::shared().await.unwrap();
        let url = server.url().into();
        let open = || PostgresStore::open(&url, options.clone());
        Subject::of_two(open().await.unwrap(), open().await.unwrap(), server)
    }

    open_cowork_providers::store_conformance!(fresh);
}
