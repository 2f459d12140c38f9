//! The scripted model server as a program, for trying a client or the demo by hand.

use anyhow::Context as _;
use clap::Parser;
use open_cowork_testkit::model::{Scenario, ScriptedModel};
use std::path::PathBuf;

/// A scripted, OpenAI-compatible model server on loopback.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  \
    open-cowork-scripted-model --port 18080\n  \
    open-cowork-scripted-model --demo\n  \
    open-cowork-scripted-model --scenario mine.json --port-file model.port")]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Writes the port number to this file once it listens.
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// JSON file laid over the built-in scenario.
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// Plays the friendly demo conversation.
    #[arg(long)]
    demo: bool,
    /// Prints the scenario as JSON and ends.
    #[arg(long)]
    print_scenario: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut scenario = if arguments.demo {
        Scenario::demo()?
    } else {
        Scenario::builtin()?
    };
    if let Some(path) = &arguments.scenario {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the scenario {}", path.display()))?;
        let over = serde_json::from_str(&text)
            .with_context(|| format!("{} is not a scenario", path.display()))?;
        scenario = scenario.overlaid(over);
    }
    if arguments.print_scenario {
        println!("{}", serde_json::to_string_pretty(&scenario)?);
        return Ok(());
    }
    let model = ScriptedModel::start_with(scenario, arguments.port).await?;
    if let Some(path) = &arguments.port_file {
        std::fs::write(path, model.address().port().to_string())
            .with_context(|| format!("cannot write the port file {}", path.display()))?;
    }
    println!("scripted model listening on {}", model.base_url());
    tokio::signal::ctrl_c()
        .await
        .context("cannot wait for Ctrl-C")
}
