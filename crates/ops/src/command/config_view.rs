//! `open-cowork config view`: what somebody outside may see (02 §9).

use super::{Place, layers, no_sarif};
use crate::arguments::{Layers, Reader};
use crate::error::CommandError;
use crate::output::{Format, Outcome};
use open_cowork_config::view::{self, View};

pub(super) fn run(
    place: &Place,
    reader: Reader,
    layers: &Layers,
    format: Format,
) -> Result<Outcome, CommandError> {
    no_sarif(format, "config view")?;
    let loaded = match layers::load(place, &layers.config)? {
        Ok(loaded) => loaded,
        Err(refused) => return Ok(refused.into_outcome("config:view")),
    };
    let view = match reader {
        Reader::Web => View::Web,
        Reader::Desktop => View::Desktop,
        Reader::Gateway => View::Gateway,
        Reader::Diagnostics => View::Diagnostics,
    };
    let text = serde_json::to_string_pretty(&view::of(&loaded, view))
        .map_err(|error| CommandError::Internal(format!("the view has no JSON form: {error}")))?;
    Ok(Outcome::Document(text))
}
