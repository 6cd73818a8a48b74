//! A policy and a hook, with a bug to choose.

use std::sync::atomic::{AtomicUsize, Ordering};

use statekeep_plugin_sdk::*;
use statekeep_plugin_testkit::{hook, retention};

struct Faulty(String, AtomicUsize);

impl Plugin for Faulty {
    const ID: &'static str = "test.faulty-verdicts";
    const VERSION: &'static str = "0.0.0";
    const LICENSE: &'static str = "MIT";
    const DESCRIPTION: &'static str = "A policy and a hook with a bug to choose";

    fn create(_: Host, config: &Config) -> Result<Faulty> {
        Ok(Faulty(
            config.option("bug")?.unwrap_or_default(),
            AtomicUsize::new(0),
        ))
    }
}

impl Retention for Faulty {
    fn evaluate(&self, backups: &[Backup<'_>], _: &Context<'_>) -> Result<Vec<Decision>> {
        let calls = self.1.fetch_add(1, Ordering::Relaxed);
        let reason = match self.0.as_str() {
            "silent" => String::new(),
            "counts_calls" => format!("call {calls}"),
            _ => "as ever".to_owned(),
        };
        let skip = usize::from(self.0 == "forgets_one");
        Ok(backups
            .iter()
            .skip(skip)
            .map(|_| Decision::keep(reason.clone()))
            .collect())
    }
}

impl Hook for Faulty {
    fn points(&self) -> u64 {
        match self.0.as_str() {
            "no_points" => 0,
            "odd_points" => 1 << 40,
            _ => api::POINT_BEFORE_SET,
        }
    }
    fn phase(&self) -> Phase {
        Phase::Validate
    }
    fn call(&self, event: &Event<'_>) -> Result<Reply> {
        Ok(match (self.0.as_str(), event.value) {
            ("replaces", Some(value)) => Reply::Replace(value.as_bytes().to_vec()),
            ("silent", _) => Reply::Veto(String::new()),
            ("panics", _) => panic!("fell over"),
            _ => Reply::Continue,
        })
    }
}

statekeep_plugin_sdk::export_plugin!(Faulty: retention, hook);

#[test]
fn bugs_of_policies_are_found() {
    let subject = |bug: &str| {
        let options = format!("{{\"bug\": \"{bug}\"}}");
        retention::Subject::new(descriptor()).options(&options)
    };
    retention::run(&subject(""));
    assert!(retention::every_backup_is_judged(&subject("silent")).is_err());
    assert!(retention::every_backup_is_judged(&subject("forgets_one")).is_err());
    assert!(retention::same_input_same_output(&subject("counts_calls")).is_err());
}

#[test]
fn bugs_of_hooks_are_found() {
    let subject = |bug: &str| {
        let options = format!("{{\"bug\": \"{bug}\"}}");
        hook::Subject::new(descriptor()).options(&options)
    };
    hook::run(&subject(""));
    for bug in ["no_points", "odd_points"] {
        assert!(hook::points_and_phase(&subject(bug)).is_err(), "{bug}");
    }
    for bug in ["replaces", "silent", "panics"] {
        assert!(hook::answers_fit_the_phase(&subject(bug)).is_err(), "{bug}");
    }
}
