//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A desktop on this machine: agents on OpenCode, in the browser or in the terminal.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  open-cowork-desktop-example serve\n  open-cowork-desktop-example chat \"What is in this folder?\" --workspace .\n  echo \"$KEY\" | open-cowork-desktop-example config set --provider openai --model gpt-5 --key-stdin --test"
)]
pub(crate) struct Arguments {
    /// What is logged to standard error, such as `info` or `open_cowork=debug`.
    #[arg(long, global = true, default_value = "warn", env = "OPEN_COWORK_LOG")]
    pub(crate) log: String,
    /// A configuration file above the others; may be given several times, the last wins.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves the workbench on 127.0.0.1 and prints its address.
    Serve {
        #[command(flatten)]
        engine: EngineArguments,
        /// Port; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// Runs one turn in the terminal. Exit codes: 0 answered, 1 failed, 2 wrong input, 3 stopped, 130 interrupted.
    Chat {
        #[command(flatten)]
        engine: EngineArguments,
        /// What to say.
        text: String,
        /// Go on in that chat.
        #[arg(long)]
        thread: Option<String>,
        /// Coworker: build, plan or one of the configuration
        #[arg(long)]
        agent: Option<String>,
        /// Print each event as a line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows or changes the provider settings.
    Config {
        /// The data folder; default: the platform's.
        #[arg(long, global = true)]
        data_dir: Option<PathBuf>,
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Shows the settings, never the key.
    Show {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Saves provider, model and, from standard input, the key.
    Set {
        /// anthropic, openai, google, openrouter, mistral, groq, xai, deepseek or custom.
        #[arg(long)]
        provider: String,
        /// Model id, as the provider names it.
        #[arg(long)]
        model: String,
        /// Endpoint of `custom`, up to and including /v1.
        #[arg(long)]
        base_url: Option<String>,
        /// Reads the key from standard input, so that it is in no argument list.
        #[arg(long)]
        key_stdin: bool,
        /// Calls the provider first and saves only when it answers.
        #[arg(long)]
        test: bool,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct EngineArguments {
    /// The data folder; default: the platform's.
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// OpenCode's program; default: `opencode` in PATH.
    #[arg(long)]
    pub(crate) opencode: Option<PathBuf>,
    /// Folder of new chats; default: a small demo folder.
    #[arg(long)]
    pub(crate) workspace: Option<PathBuf>,
    /// Endpoint of a scripted model, used while no provider is set up.
    #[arg(long)]
    pub(crate) demo_endpoint: Option<String>,
    /// Accept OpenCode versions that were not tested.
    #[arg(long)]
    pub(crate) allow_untested: bool,
}
