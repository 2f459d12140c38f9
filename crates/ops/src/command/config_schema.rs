//! `open-cowork config schema`: the data files, as they are (02 §1.1).

use crate::arguments::Fragment;
use crate::error::CommandError;
use open_cowork_config::schema::{self, Form};

pub(super) fn run(overlay: bool, fragment: Option<Fragment>) -> Result<String, CommandError> {
    let text = match fragment {
        Some(fragment) => {
            let file = match fragment {
                Fragment::DesktopCore => "desktop-core.schema.json",
                Fragment::Cloud => "cloud.schema.json",
                Fragment::Gateway => "gateway.schema.json",
            };
            let found = schema::FRAGMENTS.iter().find(|(name, _)| *name == file);
            found.map(|(_, text)| *text).ok_or_else(|| {
                CommandError::Internal(format!("the schema has no fragment {file}"))
            })?
        }
        None if overlay => schema::text(Form::Overlay),
        None => schema::text(Form::Full),
    };
    Ok(text.trim_end().to_owned())
}
