//! Every way of opening the store passes the public suite.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use open_cowork_providers::conformance::Subject;
use open_cowork_providers::conformance::plane::Plane;
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

    mod plane {
        use super::*;

        async fn fresh() -> Plane {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("threads.db");
            let open = || SqliteStore::open(&path, SqliteOptions::default());
            Plane::of_two(open().await.unwrap(), open().await.unwrap(), folder)
        }

        open_cowork_providers::control_plane_conformance!(fresh);
    }
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

    mod plane {
        use super::*;

        async fn fresh() -> Plane {
            let store = SqliteStore::in_memory(SqliteOptions::default()).await;
            Plane::of_one(store.unwrap(), ())
        }

        open_cowork_providers::control_plane_conformance!(fresh);
    }
}

mod postgres {
    use super::*;
    use open_cowork_store::{PostgresOptions, PostgresStore, SchemaName};
    use open_cowork_testkit::postgres::Postgres;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Two handles on a schema of their own.
    async fn two() -> (PostgresStore, PostgresStore, Arc<Postgres>) {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        let schema = format!("case_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
        let options = PostgresOptions {
            schema: SchemaName::parse(&schema).unwrap(),
            readers: 2,
            writers: 2,
            ..PostgresOptions::default()
        };
        let server = Postgres::shared().await.unwrap();
        let url = server.url().into();
        let open = || PostgresStore::open(&url, options.clone());
        (open().await.unwrap(), open().await.unwrap(), server)
    }

    async fn fresh() -> Subject {
        let (store, peer, server) = two().await;
        Subject::of_two(store, peer, server)
    }

    open_cowork_providers::store_conformance!(fresh);

    mod plane {
        use super::*;

        async fn fresh() -> Plane {
            let (store, peer, server) = two().await;
            Plane::of_two(store, peer, server)
        }

        open_cowork_providers::control_plane_conformance!(fresh);
    }
}
