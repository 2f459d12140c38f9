//! The command line. Names with colons, as evidence records and topology files write them, are the same commands:
//! `open-cowork config:validate` is `open-cowork config validate` (09 §1.1).

use crate::output::Format;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Tells whether a distribution of Open Cowork is inside the version 1 contract, and what its configuration means.
///
/// Exit codes: 0 all passed, 1 a finding or a failed check, 2 wrong usage, 3 something that is needed is missing,
/// 70 a defect of this program.
#[derive(Debug, Parser)]
#[command(
    name = "open-cowork",
    version,
    after_help = "Examples:\n  \
        open-cowork config validate                        the layers that a process would load here\n  \
        open-cowork config validate open-cowork.config.json overlays/*.json\n  \
        open-cowork config explain branding.name           where a value comes from\n  \
        open-cowork distribution check .                   the downstream checklist\n\n\
        Every command has its own --help with examples."
)]
pub struct Arguments {
    /// What all commands understand.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What all commands understand.
#[derive(Debug, Args)]
#[command(next_display_order = 100)]
pub struct Global {
    /// The folder to work in; relative paths are relative to it.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Options of all commands", value_parser = path()
    )]
    pub root: Option<PathBuf>,
    /// How the answer is printed.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        help_heading = "Options of all commands"
    )]
    pub format: Format,
    /// Only findings and checks whose code starts with this; may be given more than once.
    #[arg(
        long,
        global = true,
        value_name = "CODE_PREFIX",
        help_heading = "Options of all commands"
    )]
    pub only: Vec<String>,
    /// Warnings fail too.
    #[arg(long, global = true, help_heading = "Options of all commands")]
    pub strict: bool,
    /// Colours in text; `auto` is only on a terminal and without NO_COLOR.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Options of all commands"
    )]
    pub color: Colour,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The configuration document: check, explain, show.
    #[command(subcommand, arg_required_else_help = true)]
    Config(ConfigCommand),
    /// A distribution of one's own: configuration, branding, charts, adapters.
    #[command(subcommand, arg_required_else_help = true)]
    Distribution(DistributionCommand),
    /// Files that must be clean before others see them.
    #[command(subcommand, arg_required_else_help = true)]
    Hygiene(HygieneCommand),
    /// The look that a configuration gives.
    #[command(subcommand, arg_required_else_help = true)]
    Branding(BrandingCommand),
    /// Proofs that fail closed.
    #[command(subcommand, arg_required_else_help = true)]
    Proof(ProofCommand),
    /// The cloud server's settings and database.
    #[command(subcommand, arg_required_else_help = true)]
    Cloud(CloudCommand),
    /// Whether this machine is ready, and what to do if not.
    ///
    /// Looks at the desktop's configuration, OpenCode and provider, changes nothing and shows no key. What belongs to
    /// a gateway, a cloud or a pairing is unknown here: only its owner can tell.
    #[command(after_help = "Examples:\n  \
        open-cowork health\n  \
        open-cowork health --intent desktop-local --format json\n  \
        open-cowork health --data-dir ~/cowork-data --opencode ~/bin/opencode")]
    Health {
        /// The desktop's data folder; default: the platform's.
        #[arg(long, value_name = "DIR", value_parser = path())]
        data_dir: Option<PathBuf>,
        /// OpenCode's program; default: `opencode` in PATH.
        #[arg(long, value_name = "FILE", value_parser = path())]
        opencode: Option<PathBuf>,
        /// Only what this purpose needs: desktop-local, gateway-only, cloud-connect, desktop-pairing, full-hybrid.
        #[arg(long, value_name = "ID")]
        intent: Option<String>,
        /// Which layers the desktop is given.
        #[command(flatten)]
        layers: Layers,
    },
    /// Completion script for a shell, on standard output.
    #[command(
        after_help = "Examples:\n  open-cowork completions bash > ~/.local/share/bash-completion/completions/open-cowork\n  open-cowork completions zsh  > ~/.zfunc/_open-cowork"
    )]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Man pages: this command's on standard output, or one file per command in a folder.
    #[command(
        after_help = "Examples:\n  open-cowork man | man -l -\n  open-cowork man ~/.local/share/man/man1"
    )]
    Man {
        /// Where to write one file per command; it must exist.
        #[arg(value_parser = path())]
        dir: Option<PathBuf>,
    },
}

/// `open-cowork config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Checks configuration files; all findings at once, with file, line, column and the way out.
    ///
    /// Without FILES, the layers that a process started here would load. Each FILE is checked alone: as a complete
    /// document if it states contractVersion and all required keys, else as an overlay on the built-in defaults.
    #[command(after_help = "Examples:\n  \
        open-cowork config validate\n  \
        open-cowork config validate open-cowork.config.json\n  \
        open-cowork config validate --as layers base.json overlay.json\n  \
        open-cowork config validate configs/*.json --format sarif > findings.sarif")]
    Validate {
        /// Files to check.
        #[arg(value_name = "FILE", value_parser = path())]
        files: Vec<PathBuf>,
        /// What each FILE is.
        #[arg(long = "as", value_enum, default_value_t, value_name = "KIND")]
        kind: DocumentKind,
    },
    /// Tells the value of a key, the layer that it comes from, and the layers that it beat.
    #[command(after_help = "Examples:\n  \
        open-cowork config explain branding.name\n  \
        open-cowork config explain /cloud/publicBranding/theme/accent --config overlay.json")]
    Explain {
        /// Dotted, such as `branding.name` or `tools[0].id`, or an RFC 6901 pointer.
        key: String,
        /// Which layers.
        #[command(flatten)]
        layers: Layers,
    },
    /// Prints the JSON Schema of the document.
    #[command(after_help = "Examples:\n  \
        open-cowork config schema > open-cowork.config.schema.json\n  \
        open-cowork config schema --overlay > open-cowork.overlay.schema.json\n\n\
        An editor checks while you type if the document names the file: \"$schema\": \"./open-cowork.overlay.schema.json\"")]
    Schema {
        /// The form for overlays and layers, in which little is required.
        #[arg(long, conflicts_with = "fragment")]
        overlay: bool,
        /// One of the three sources that the schema is composed of.
        #[arg(long, value_enum, value_name = "NAME")]
        fragment: Option<Fragment>,
    },
    /// Prints what somebody outside may see of the configuration, as JSON.
    #[command(after_help = "Examples:\n  \
        open-cowork config view --for web\n  \
        open-cowork config view --for diagnostics --config overlay.json")]
    View {
        /// Who looks.
        #[arg(long = "for", value_enum, value_name = "READER")]
        reader: Reader,
        /// Which layers.
        #[command(flatten)]
        layers: Layers,
    },
    /// Answers requests as JSON lines on standard input, for outside corpora; reads no file or environment.
    #[command(after_help = "Examples:\n  \
        echo '{\"id\":1,\"kind\":\"overlay\",\"doc\":{}}' | open-cowork config check-corpus\n\n\
        The protocol is in docs/contract/02-config.md. Exit code 2: a line is no request.")]
    CheckCorpus,
}

/// `open-cowork distribution …`
#[derive(Debug, Subcommand)]
pub enum DistributionCommand {
    /// Goes through the ten items of the downstream checklist: pass, fail or not applicable.
    ///
    /// Reads files only: no build, no network.
    #[command(after_help = "Examples:\n  \
        open-cowork distribution check examples/downstream\n  \
        open-cowork distribution check . --config acme.config.json --values charts/values-production.yaml\n  \
        open-cowork distribution check . --only DIST_IMAGES_PINNED")]
    Check {
        /// The distribution's folder.
        #[arg(default_value = ".", value_parser = path())]
        dir: PathBuf,
        /// The main document; default: the first that a program would find in the folder.
        #[arg(long, value_name = "FILE", value_parser = path())]
        config: Option<PathBuf>,
        /// Helm values beside those in the folder; may be given more than once.
        #[arg(long, value_name = "FILE", value_parser = path())]
        values: Vec<PathBuf>,
    },
}

/// `open-cowork hygiene …`
#[derive(Debug, Subcommand)]
pub enum HygieneCommand {
    /// Finds secrets, real ids, prices, mutable image tags, hard-coded addresses; never prints a value.
    ///
    /// Files that git ignores are left out. What is accepted stands in `.open-cowork-hygiene.json`, with a reason.
    #[command(after_help = "Examples:\n  \
        open-cowork hygiene scan\n  \
        open-cowork hygiene scan distributions/acme --format sarif\n  \
        open-cowork hygiene scan --only HYGIENE_SECRET\n  \
        open-cowork hygiene scan --write-baseline \"documented samples\"")]
    Scan {
        /// The folder.
        #[arg(default_value = ".", value_parser = path())]
        dir: PathBuf,
        /// Accepts everything that is found today, for this reason.
        #[arg(long, value_name = "REASON")]
        write_baseline: Option<String>,
    },
}

/// `open-cowork branding …`
#[derive(Debug, Subcommand)]
pub enum BrandingCommand {
    /// Shows a configuration's theme: contrasts here, all of it as an HTML page.
    ///
    /// A contrast below WCAG AA is a warning with its ratio; `--strict` lets it fail.
    #[command(after_help = "Examples:\n  \
        open-cowork branding preview --config open-cowork.config.json --out preview.html\n  \
        open-cowork branding preview --strict")]
    Preview {
        /// Which layers.
        #[command(flatten)]
        layers: Layers,
        /// Where to write the page: one file, without script, that loads nothing.
        #[arg(long, value_name = "FILE", value_parser = path())]
        out: Option<PathBuf>,
    },
}

/// `open-cowork proof …`
#[derive(Debug, Subcommand)]
pub enum ProofCommand {
    /// Compares what we rely on in OpenCode with its pinned version and our tests.
    ///
    /// Works on a checkout of the repository, in the current folder or --root. A missing version, an unknown
    /// status or a missing test is an error.
    #[command(after_help = "Examples:\n  \
        open-cowork proof compatibility\n  \
        open-cowork proof:opencode:compatibility --json --root ../open-cowork-rs")]
    Compatibility {
        /// The same as --format json: the result of docs/contract/05-runtime-host.md §13.3.
        #[arg(long)]
        json: bool,
        /// A version that isn't known is a warning.
        #[arg(long)]
        allow_missing_runtime_version: bool,
        /// Assumptions about OpenCode's insides are allowed.
        #[arg(long)]
        allow_private_assumptions: bool,
    },
}

/// `open-cowork cloud …`
#[derive(Debug, Subcommand)]
pub enum CloudCommand {
    /// Brings the cloud's database up to date: safe to run twice, and from two machines at once.
    ///
    /// Reads the same variables and files as the server. A database of a newer version is refused, untouched.
    #[command(after_help = "Examples:\n  \
        open-cowork cloud migrate\n  \
        OPEN_COWORK_CLOUD_CONTROL_PLANE_URL=postgresql://… open-cowork cloud migrate --format json")]
    Migrate {
        /// Which layers the server is given.
        #[command(flatten)]
        layers: Layers,
    },
    /// Tells where the cloud's records are and whether migrations are missing; changes nothing.
    #[command(after_help = "Examples:\n  \
        open-cowork cloud status\n  \
        open-cowork cloud status --strict     fails when migrations are missing")]
    Status {
        /// Which layers the server is given.
        #[command(flatten)]
        layers: Layers,
    },
    /// Looks for everything that would keep a cloud server from starting; changes nothing.
    ///
    /// Settings, production guards, database, folder, key, OpenCode.
    #[command(after_help = "Examples:\n  \
        open-cowork cloud doctor\n  \
        OPEN_COWORK_CLOUD_DEPLOYMENT_TIER=public_production open-cowork cloud doctor --format json")]
    Doctor {
        /// Which layers the server is given.
        #[command(flatten)]
        layers: Layers,
    },
}

/// Which layers are loaded.
#[derive(Debug, Args)]
pub struct Layers {
    /// A file that lies above the layers found here; may be given more than once, the last wins.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub config: Vec<PathBuf>,
}

/// What a file on the command line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DocumentKind {
    /// Complete if it states contractVersion and all required keys, else an overlay.
    #[default]
    Auto,
    /// A complete document.
    Full,
    /// One layer on the built-in defaults.
    Overlay,
    /// All FILES together, in order, lowest first.
    Layers,
}

/// The sources of the schema (02 §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fragment {
    /// Everything but the two others.
    DesktopCore,
    /// `cloud` and `cloudDesktop`.
    Cloud,
    /// `gateway`.
    Gateway,
}

/// Who looks at a configuration (02 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reader {
    /// A browser of the cloud.
    Web,
    /// The desktop's pages.
    Desktop,
    /// The gateway's health route and its operators.
    Gateway,
    /// A diagnostics bundle.
    Diagnostics,
}

/// The name of a file or folder. An empty one comes from a variable of a script that isn't set.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|name| match name.is_empty() {
        true => Err("the name is empty; was a variable not set?"),
        false => Ok(PathBuf::from(name)),
    })
}

/// `deploy:validate` becomes `deploy validate`, and the contract's `proof:opencode:compatibility` our
/// `proof compatibility`. Only the command itself is rewritten, never the value of an option or a file name.
pub(crate) fn without_colons(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let Some(at) = command_position(&arguments) else {
        return arguments;
    };
    if let Some(name) = arguments[at].to_str()
        && name.contains(':')
        && name.split(':').all(|word| !word.is_empty())
    {
        let words: Vec<OsString> = name.split(':').map(OsString::from).collect();
        arguments.splice(at..=at, words);
    }
    if arguments[at..].len() >= 3
        && ["proof", "opencode", "compatibility"]
            .iter()
            .zip(&arguments[at..])
            .all(|(word, argument)| argument == word)
    {
        arguments.remove(at + 1);
    }
    arguments
}

/// The first word that is neither an option nor the value of one.
fn command_position(arguments: &[OsString]) -> Option<usize> {
    let mut at = 1;
    while let Some(argument) = arguments.get(at) {
        match argument.to_str() {
            Some("--root" | "--format" | "--only" | "--color") => at += 2,
            Some(option) if option.starts_with('-') => at += 1,
            _ => return Some(at),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn rewritten(line: &str) -> String {
        let words = without_colons(line.split(' ').map(OsString::from));
        words.join(&OsString::from(" ")).into_string().unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_name_with_colons_is_the_same_command() {
        for (given, meant) in [
            ("x config:validate a:b.json", "x config validate a:b.json"),
            (
                "x --format json config:schema",
                "x --format json config schema",
            ),
            (
                "x --root a:b --strict config:view",
                "x --root a:b --strict config view",
            ),
            (
                "x proof:opencode:compatibility --json",
                "x proof compatibility --json",
            ),
            ("x proof opencode compatibility", "x proof compatibility"),
            ("x config validate a:b", "x config validate a:b"),
            ("x :", "x :"),
            ("x", "x"),
        ] {
            assert_eq!(rewritten(given), meant);
        }
    }

    #[test]
    fn every_command_shows_examples() {
        fn look(command: &clap::Command) {
            if command.has_subcommands() {
                command
                    .get_subcommands()
                    .filter(|sub| sub.get_name() != "help")
                    .for_each(look);
            } else {
                let help = command.get_after_help().map(ToString::to_string);
                assert!(
                    help.unwrap_or_default().contains("Examples:"),
                    "{} has no examples",
                    command.get_name()
                );
            }
        }
        look(&Arguments::command());
    }
}
