//! docs/cloud.md lists the variables that the program reads, as the table has them. `UPDATE_DOCS=1` writes it anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

use open_cowork_cloud_server::settings::table::VARIABLES;
use open_cowork_cloud_server::settings::variable::{Kind, Variable};
use std::fmt::Write as _;
use std::path::Path;

const BEGIN: &str = "<!-- variables: made by crates/cloud-server/tests/environment.rs -->\n";
const END: &str = "<!-- end of variables -->";

fn row(variable: &Variable) -> String {
    let wanted = match variable.kind {
        Kind::Choice(words) => words.join(", "),
        Kind::Text => String::new(),
        kind => kind.wanted(),
    };
    let default = match variable.default {
        "" => "–".to_owned(),
        text => format!("`{text}`"),
    };
    format!(
        "| `{}` | {default} | {} | {wanted} |",
        variable.name, variable.about
    )
}

fn table() -> String {
    let mut text = String::from(BEGIN);
    let mut section = "";
    for variable in VARIABLES {
        if variable.section != section {
            section = variable.section;
            writeln!(
                text,
                "\n### {section}\n\n| Variable | Default | What for | Holds |\n|---|---|---|---|"
            )
            .unwrap();
        }
        writeln!(text, "{}", row(variable)).unwrap();
    }
    text.push('\n');
    text
}

#[test]
fn the_documentation_lists_the_variables_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cloud.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/cloud.md has the mark");
    let (_, after) = rest
        .split_once(END)
        .expect("docs/cloud.md has the end mark");
    let wanted = format!("{before}{}{END}{after}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    } else {
        assert!(
            text == wanted,
            "docs/cloud.md is not up to date; run this test with UPDATE_DOCS=1"
        );
    }
}
