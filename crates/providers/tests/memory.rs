//! The reference store passes the public suite.

use open_cowork_providers::conformance::Subject;
use open_cowork_providers::memory::MemoryStore;

async fn fresh() -> Subject {
    Subject::new(MemoryStore::new())
}

open_cowork_providers::store_conformance!(fresh);
