//! The bus inside one process passes the suite.

use open_cowork_providers::bus::LocalBus;
use open_cowork_providers::conformance::bus::Buses;

async fn fresh() -> Buses {
    let one = LocalBus::default();
    let other = one.another();
    Buses::new(one, other, ())
}
open_cowork_providers::bus_conformance!(fresh);
