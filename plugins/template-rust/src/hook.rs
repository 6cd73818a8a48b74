//! A hook: refuses to set or delete keys that start with a configured prefix.
//!
//! A hook that fails (an error or a panic) stops the change as a veto does, so it fails closed.

use statekeep_plugin_sdk::{Event, Hook, Phase, Reply, Result, api};

use crate::Template;

impl Hook for Template {
    fn points(&self) -> u64 {
        api::POINT_BEFORE_SET | api::POINT_BEFORE_DELETE
    }

    /// It may veto, and sees the value as it will be written.
    fn phase(&self) -> Phase {
        Phase::Validate
    }

    fn call(&self, event: &Event<'_>) -> Result<Reply> {
        if event.key.starts_with(&self.protected) {
            let key = event.key;
            return Ok(Reply::Veto(format!("the key {key} is protected")));
        }
        Ok(Reply::Continue)
    }
}
