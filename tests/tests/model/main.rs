//! Random steps of every kind, on every backend, against a model of maps and lists: what is written
//! and read, transactions, the past, expiry, trimming, indexes, watching, swaps of the backend, undos,
//! backups and their restore, and opening again.
//!
//! `STATEKEEP_SOAK_ROUNDS` sets the number of cases of each backend. A failing case is shrunk, and
//! the same numbers come again in the next run.

mod changes;
mod model;
mod namespace;
mod read;
mod run;
mod steps;
mod switches;
mod transactions;

use std::cell::Cell;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use statekeep_tests::{fixtures, states};

use run::Run;
use steps::Step;

/// Cases of a backend.
const CASES: u32 = 160;
/// Most steps of a case.
const STEPS: usize = 80;

fn cases() -> u32 {
    std::env::var("STATEKEEP_SOAK_ROUNDS").map_or(CASES, |text| text.parse().unwrap())
}

/// Runs cases on a backend until one fails.
fn is_what_the_model_says(backend: &str) {
    let folder = fixtures::folder();
    let plugins = folder.path().join("plugins");
    let config = states::config_with_plugin(&folder.path().join("state"), backend, &plugins);
    let plugins = Arc::new(statekeep::registry(&config).unwrap());
    let config = Config {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: 1_000,
        ..Config::default()
    };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(config, random);
    let tried = Cell::new(0);
    let outcome = runner.run(&prop::collection::vec(steps::step(), 1..STEPS), |steps| {
        tried.set(tried.get() + 1);
        let path = folder.path().join(format!("state-{}", tried.get()));
        let mut run = Run::new(&path, backend, plugins.clone());
        steps.iter().for_each(|step| run.step(step));
        run.end();
        std::fs::remove_dir_all(&path).unwrap();
        let _ = std::fs::remove_dir_all(path.with_extension("backups"));
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, steps)) => {
            let steps: Vec<String> = steps
                .iter()
                .map(|step: &Step| format!("{step:?}"))
                .collect();
            let (all, tried) = (steps.join("\n"), tried.get());
            panic!("{backend}, {tried} cases with shrinking: {reason}\nby the steps\n{all}");
        }
        Err(error) => panic!("{backend}: {error}"),
    }
}

macro_rules! on_each_backend {
    ($($module:ident: $backend:literal;)*) => {$(
        #[test]
        fn $module() {
            is_what_the_model_says($backend);
        }
    )*};
}

statekeep_tests::persistent_backends!(on_each_backend);
on_each_backend! { memory: "memory"; }
