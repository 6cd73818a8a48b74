//! Transactions are serializable, on every backend: anomalies that are provoked one by one are
//! refused, and what thousands of transactions of clients at once saw is judged as a whole.
//!
//! A transaction can be told to forget what it read; with that fault planted the anomalies happen
//! and the judge finds them.

mod anomalies;
mod clients;
mod transfers;

use std::sync::Arc;

use statekeep::{BlockingTenant, Host};
use statekeep_tests::{fixtures, states};
use tempfile::TempDir;

/// A state of its own on a backend. The folder goes when it is dropped.
struct State {
    host: Arc<Host>,
    _folder: TempDir,
}

impl State {
    fn new(backend: &str) -> State {
        let folder = fixtures::folder();
        let plugins = folder.path().join("plugins");
        let config = states::config_with_plugin(&folder.path().join("state"), backend, &plugins);
        State {
            host: states::open(&config),
            _folder: folder,
        }
    }

    fn tenant(&self) -> BlockingTenant {
        self.host.manager.default_tenant().blocking()
    }
}

macro_rules! on_each_backend {
    ($($backend:ident: $name:literal;)*) => {$(
        mod $backend {
            use super::*;

            #[test]
            fn each_anomaly_is_refused() {
                anomalies::are_refused(&State::new($name));
            }

            #[test]
            fn many_clients_see_a_serial_history() {
                clients::see_a_serial_history(&State::new($name));
            }

            #[test]
            fn transfers_keep_the_sum() {
                transfers::keep_the_sum(&State::new($name));
            }
        }
    )*};
}

statekeep_tests::persistent_backends!(on_each_backend);
on_each_backend! { memory: "memory"; }
