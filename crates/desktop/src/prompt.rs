//! Prompts before they are sent: what is refused, how they are named, and that a double click sends once.

use open_cowork_config::model::Config;
use open_cowork_config::model::agents::{AgentMode, BuiltInAgent};
use open_cowork_contracts::{CommandId, SessionId};
pub(crate) use open_cowork_runtime_host::message_id::tail_of;
use open_cowork_runtime_host::message_id::{self, base62};
use open_cowork_workbench::{Coworker, PromptInput, WorkspaceError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Longest prompt in bytes: what one event holds without being cut (01 §6, §16 #6).
pub const MAX_PROMPT_BYTES: usize = 64 * 1024;

/// Whom people can talk to: OpenCode's own two unless the configuration switches them off or hides them, then the
/// configuration's primary agents (02 §4.6).
pub(crate) fn coworkers(config: &Config) -> Vec<Coworker> {
    let changes = config.built_in_agents.as_ref();
    let own = [
        (
            "build",
            "Does the work: reads, writes, runs, asks.",
            changes.and_then(|agents| agents.build.as_ref()),
        ),
        (
            "plan",
            "Thinks first: reads and plans, changes nothing.",
            changes.and_then(|agents| agents.plan.as_ref()),
        ),
    ];
    let own = own.into_iter().filter_map(|(name, description, change)| {
        let off =
            |change: &BuiltInAgent| change.disable == Some(true) || change.hidden == Some(true);
        let said = change.and_then(|change| change.description.as_deref());
        (!change.is_some_and(off)).then(|| Coworker {
            name: name.to_owned(),
            description: said.unwrap_or(description).to_owned(),
        })
    });
    let configured = config
        .agents
        .iter()
        .filter(|agent| agent.mode == Some(AgentMode::Primary) && agent.hidden != Some(true));
    let configured = configured.map(|agent| Coworker {
        name: agent.name.clone(),
        description: agent.description.clone(),
    });
    own.chain(configured).collect()
}

/// Refuses what could never be sent.
pub(crate) fn check(prompt: &PromptInput, coworkers: &[Coworker]) -> Result<(), WorkspaceError> {
    if prompt.text.trim().is_empty() {
        return Err(WorkspaceError::Invalid(
            "The prompt is empty; write what should be done.".to_owned(),
        ));
    }
    if prompt.text.len() > MAX_PROMPT_BYTES {
        return Err(WorkspaceError::TooLarge(format!(
            "The message has {} KiB, at most {} KiB fit; put long material into a file of the folder and name it.",
            prompt.text.len().div_ceil(1024),
            MAX_PROMPT_BYTES / 1024
        )));
    }
    match &prompt.agent {
        Some(agent) if coworkers.iter().all(|known| known.name != *agent) => {
            let agent: String = agent.chars().take(64).collect();
            let names: Vec<&str> = coworkers.iter().map(|known| known.name.as_str()).collect();
            Err(WorkspaceError::Invalid(format!(
                "There is no coworker named {agent:?}; choose {}.",
                names.join(" or ")
            )))
        }
        _ => Ok(()),
    }
}

/// Prompts with a key that are on their way: a second one with the same key waits for the first and then finds
/// what became of it.
#[derive(Default)]
pub(crate) struct Sending(Mutex<HashMap<(SessionId, String), Weak<Gate>>>);

type Gate = tokio::sync::Mutex<()>;

impl Sending {
    pub(crate) fn gate(&self, id: &SessionId, prompt_key: &str) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, gate| gate.strong_count() > 0);
        let name = (id.clone(), prompt_key.to_owned());
        if let Some(gate) = gates.get(&name).and_then(Weak::upgrade) {
            return gate;
        }
        let gate = Arc::new(Gate::new(()));
        gates.insert(name, Arc::downgrade(&gate));
        gate
    }
}

/// A command of its own.
pub(crate) fn new_command() -> CommandId {
    command_now(&base62(uuid::Uuid::new_v4().as_bytes()))
}

/// The command with that tail. `msg_<command>` must sort by time among OpenCode's message ids (08 §2).
pub(crate) fn command_now(tail: &str) -> CommandId {
    CommandId::new(format!("{}{tail}", time_prefix()))
}

/// OpenCode's ids begin with twelve hex digits of the time, so that they sort (08 §2).
fn time_prefix() -> String {
    let ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
    message_id::time_prefix(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_config::{defaults, merge};
    use serde_json::json;

    #[test]
    fn the_configurations_primary_agents_can_be_talked_to_and_no_hidden_one() {
        let mut document = defaults::document();
        let agent = |name: &str, mode: &str, hidden: bool| {
            json!({"name": name, "description": format!("{name} helps."), "instructions": "i",
                "mode": mode, "hidden": hidden})
        };
        merge::merge(
            &mut document,
            &json!({
                "agents": [agent("clerk", "primary", false), agent("ghost", "primary", true),
                    agent("helper", "subagent", false)],
                "builtInAgents": {"plan": {"disable": true}, "build": {"description": "Builds."}},
            }),
        );
        let coworkers = coworkers(&Config::from_value(&document).unwrap());
        let shown: Vec<(&str, &str)> = coworkers
            .iter()
            .map(|known| (known.name.as_str(), known.description.as_str()))
            .collect();
        assert_eq!(shown, [("build", "Builds."), ("clerk", "clerk helps.")]);
        let prompt = |agent: &str| PromptInput {
            text: "hi".into(),
            agent: Some(agent.into()),
            ..PromptInput::default()
        };
        assert!(check(&prompt("clerk"), &coworkers).is_ok());
        let refused = check(&prompt("plan"), &coworkers).unwrap_err().to_string();
        assert!(refused.contains("build or clerk"), "{refused}");
    }

    #[test]
    fn command_ids_sort_among_the_message_ids_of_opencode() {
        assert!(message_id::is_message_form(new_command().as_str()));
        assert_eq!(
            command_now(&tail_of("a key")).as_str()[12..],
            tail_of("a key")
        );
        assert_ne!(tail_of("a key"), tail_of("another key"));
    }

    #[test]
    fn one_key_of_one_thread_has_one_gate_and_none_stays() {
        let (sending, thread) = (Sending::default(), SessionId::from("t"));
        let gate = sending.gate(&thread, "k");
        assert!(Arc::ptr_eq(&gate, &sending.gate(&thread, "k")));
        assert!(!Arc::ptr_eq(&gate, &sending.gate(&thread, "other")));
        assert!(!Arc::ptr_eq(
            &gate,
            &sending.gate(&SessionId::from("u"), "k")
        ));
        drop(gate);
        drop(sending.gate(&thread, "last"));
        assert_eq!(sending.0.lock().unwrap().len(), 1);
    }
}
