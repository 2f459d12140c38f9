//! Both ways of opening the store pass the public suite.

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
        let store = SqliteStore::open(folder.path().join("threads.db"), SqliteOptions::default())
            .await
            .unwrap();
        Subject::guarded(store, folder)
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
