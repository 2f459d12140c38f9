//! Names of prompts inside OpenCode (decision 15, docs/decisions/0002).
//!
//! OpenCode compares message ids as text where it decides what is newer, so an id must sort after everything that
//! is there when the prompt is sent: twelve hex digits of the time as in OpenCode's own ids, then fourteen base62
//! characters that name the command. A command id of that form is taken as it is (`msg_<command>`); of any other
//! command the tail is a digest, and the time is that of sending, so that a prompt that waited behind a long turn
//! still sorts after it. Whoever looks for a prompt of such a command looks for its tail.

use open_cowork_contracts::CommandId;
use sha2::{Digest as _, Sha256};

/// Prefix of all message ids.
pub const PREFIX: &str = "msg_";
/// Hex digits of the time.
const TIME: usize = 12;
/// Characters that name the command.
const TAIL: usize = 14;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Fourteen base62 characters of these bytes.
#[must_use]
pub fn base62(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(TAIL)
        .map(|byte| BASE62[usize::from(*byte) % 62] as char)
        .collect()
}

/// The tail that a text is known by: a digest.
#[must_use]
pub fn tail_of(text: &str) -> String {
    base62(&Sha256::digest(text.as_bytes()))
}

/// The twelve digits of a time in Unix milliseconds: the low 48 bits of the time × 4096 (08 §2).
#[must_use]
pub fn time_prefix(ms: u64) -> String {
    format!("{:012x}", (ms << 12) & 0xffff_ffff_ffff)
}

/// True for a command id that is the rest of a message id already.
#[must_use]
pub fn is_message_form(command: &str) -> bool {
    command.len() == TIME + TAIL
        && command
            .bytes()
            .take(TIME)
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && command.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The message id of a command that is sent now. `newest` is the last message of the session: the id sorts after
/// it also when clocks of two machines disagree.
#[must_use]
pub fn of(command: &CommandId, now_ms: u64, newest: Option<&str>) -> String {
    let command = command.as_str();
    if is_message_form(command) {
        return format!("{PREFIX}{command}");
    }
    let tail = tail_of(command);
    let own = time_prefix(now_ms);
    let newest = newest
        .and_then(|id| id.strip_prefix(PREFIX))
        .and_then(|id| id.get(..TIME))
        .filter(|digits| *digits >= own.as_str());
    let after = newest
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .map(|digits| format!("{:012x}", digits.saturating_add(1) & 0xffff_ffff_ffff));
    format!("{PREFIX}{}{tail}", after.unwrap_or(own))
}

/// True when that message is the prompt of that command.
#[must_use]
pub fn names(message: &str, command: &str) -> bool {
    let Some(rest) = message.strip_prefix(PREFIX) else {
        return false;
    };
    rest == command
        || (is_message_form(rest) && !is_message_form(command) && rest[TIME..] == tail_of(command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn command(id: &str) -> CommandId {
        CommandId::from(id)
    }

    #[test]
    fn the_time_is_written_as_opencode_writes_it() {
        // Recorded: a message of 2026-11-20T07:36:25.910Z is msg_1f7e29c36001…
        assert_eq!(time_prefix(1_795_160_185_910), "1f7e29c36000");
    }

    #[test]
    fn a_command_that_has_the_form_already_is_taken_as_it_is() {
        let own = format!("1f7e29c36000{}", tail_of("x"));
        assert_eq!(of(&command(&own), 5, None), format!("msg_{own}"));
        assert!(names(&format!("msg_{own}"), &own));
    }

    #[test]
    fn a_prompt_sorts_after_the_newest_message_whatever_the_clock_says() {
        let newest = "msg_1f7e29c36001abcdefghijklmn";
        let late = of(&command("c"), 1_000, Some(newest));
        assert!(late.as_str() > newest, "{late}");
        let normal = of(&command("c"), 1_795_160_185_911, Some(newest));
        assert!(normal.as_str() > newest, "{normal}");
        assert!(normal.starts_with("msg_1f7e29c37000"));
        for odd in ["", "msg_", "msg_zz", "prt_1f7e29c36001", "msg_ä1f7e29c3600"] {
            assert_eq!(of(&command("c"), 1_000, Some(odd)).len(), 30, "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn a_message_names_its_command_and_no_other(one in "\\PC{1,64}", other in "\\PC{1,64}", ms in 0_u64..1 << 45) {
            let id = of(&command(&one), ms, None);
            prop_assert!(names(&id, &one));
            prop_assert_eq!(names(&id, &other), one == other);
        }

        #[test]
        fn nothing_panics_on_odd_ids(message in "\\PC{0,40}", command in "\\PC{0,40}") {
            let _ = names(&message, &command);
        }
    }
}
