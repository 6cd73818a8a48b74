//! A swap to a backend that loses rows without a word is refused, and how far a swap tells it is.

use super::indexes::n;
use super::swap_plugins::SwapPlugins;
use super::swaps::{change, hooked, nothing, swap};
use super::*;
use crate::check::check_consistency;
use crate::{ErrorKind, Progress, Space};

/// The new backend loses rows of a space: the swap says which kind, and leaves the state as it was.
fn refused(manager: &Arc<StateManager>, plugins: &SwapPlugins, space: Space, what: &str) {
    plugins.lose(Some(("log2", space)));
    let error = swap(manager, "log2").unwrap_err();
    plugins.lose(None);
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains(what), "{error}");
    assert_eq!(manager.backend_name(), "log");
    check_consistency(manager).unwrap();
}

#[test]
fn a_copy_that_lacks_a_row_is_refused() {
    let (_, plugins, manager) = hooked();
    for n in 0..60 {
        change(&manager, n);
    }
    refused(&manager, &plugins, Space::Data, "records with the digest");
    refused(&manager, &plugins, Space::History, "history rows");
    refused(&manager, &plugins, Space::Journal, "journal rows");
    refused(&manager, &plugins, Space::Index, "expiry rows");
}

/// Rows of indexes were not compared, so that queries could miss what is there.
#[test]
fn a_copy_that_lacks_a_row_of_an_index_is_refused() {
    let (_, plugins, manager) = hooked();
    let tenant = manager.default_tenant().blocking();
    let value = Value::json(r#"{"n":1}"#).unwrap();
    tenant
        .set(&scope("agent:7"), &key("k"), value, SetOptions::default())
        .unwrap();
    manager.create_index(n("n")).unwrap().wait().unwrap();
    refused(
        &manager,
        &plugins,
        Space::Index,
        "rows of the index with the id 1",
    );
    swap(&manager, "log2").unwrap();
    check_consistency(&manager).unwrap();
}

#[test]
fn how_much_a_swap_has_to_copy_is_told() {
    let (_, _, manager) = hooked();
    for n in 0..60 {
        change(&manager, n);
    }
    let progress = Progress::new();
    let report = manager.swap_backend("log2", &nothing(), &progress).unwrap();
    let told = progress.snapshot();
    assert_eq!(
        (told.records, told.records_total),
        (report.records, report.records)
    );
    assert!(told.bytes_total > report.bytes, "history and journal count");
    assert_eq!(told.bytes_in, told.bytes_total);
}
