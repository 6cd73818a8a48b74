//! kill -9 of a process that swaps its state between two backends while it writes, and goes back from
//! some of the swaps: the state is on one of the two, with every acknowledged commit, and both a swap
//! and what a swap left to go back to are as good as before.

use std::sync::Arc;
use std::thread;

use parking_lot::RwLock;
use serde_json::json;
use statekeep::{Config, ErrorKind, Host, NamespaceId, Progress, Sequence};
use statekeep_core::check::check_consistency;
use statekeep_tests::commits::{check_leftovers, judge};
use statekeep_tests::states::{self, Random, Rows};

use crate::child::{done, say, ticking};
use crate::{Subject, check, check_head, kill_after, rounds};

/// The other one of two backends.
fn other<'a>(pair: &'a [String; 2], one: &str) -> &'a String {
    &pair[usize::from(pair[0] == one)]
}

fn swap(host: &Host, to: &str) -> statekeep::Result<NamespaceId> {
    let report = host
        .manager
        .swap_backend(to, &json!({}), &Progress::new())?;
    Ok(report.replaced)
}

/// Goes back to a namespace, also when somebody's last read of it is just ending.
fn undo(host: &Host, to: NamespaceId, commits_lost_max: u64) -> statekeep::Result<Sequence> {
    loop {
        match host.manager.undo(to, commits_lost_max) {
            Err(error) if error.kind() == ErrorKind::Busy => thread::yield_now(),
            undone => return undone,
        }
    }
}

/// Lets go of what nobody reads any more.
fn release(host: &Host) -> statekeep::Result<()> {
    for kept in host.manager.namespaces()? {
        if kept.is_current {
            continue;
        }
        match host.manager.release_namespace(kept.namespace) {
            Err(error) if error.kind() == ErrorKind::Busy => {}
            released => released?,
        }
    }
    Ok(())
}

/// What the child does beside its writers: a swap while they write; and while they wait, so that it
/// costs no commit, a swap from which it goes back.
pub fn swap_again_and_again(host: &Arc<Host>, pair: &[String; 2], writing: &RwLock<()>) {
    loop {
        let from = host.manager.backend_name();
        let to = other(pair, &from);
        say(&format!("switch {to}"));
        done(swap(host, to));
        say(&format!("on {to}"));
        done(release(host));
        let _nobody_writes = writing.write();
        say(&format!("switch {from}"));
        let replaced = ticking(|| done(swap(host, &from)));
        say(&format!("on {from}"));
        say(&format!("switch {to}"));
        ticking(|| done(undo(host, replaced, 0)));
        say(&format!("on {to}"));
    }
}

/// The configuration without a backend: the state's own is taken.
fn any_backend(config: &Config) -> Config {
    let text = config.to_toml().unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("backend ="));
    Config::from_toml(&kept.collect::<Vec<_>>().join("\n")).unwrap()
}

/// What was replaced can be gone back to, whole, and left again without a loss.
fn check_kept(host: &Host, rows: &Rows, what: &str) {
    let all = host.manager.namespaces().unwrap();
    assert!(all.len() <= 4, "{what}: {all:#?}");
    let current = all.iter().find(|one| one.is_current).unwrap().namespace;
    for kept in all.iter().filter(|one| !one.is_current) {
        let what = format!("{what}, back to {} on {}", kept.namespace, kept.backend);
        undo(host, kept.namespace, u64::MAX).unwrap_or_else(|error| panic!("{what}: {error}"));
        check_consistency(&host.manager).unwrap_or_else(|error| panic!("{what}: {error}"));
        // Upkeep may have removed what has expired meanwhile; whether anything else is lost is seen below.
        undo(host, current, u64::MAX).unwrap_or_else(|error| panic!("{what}, and on: {error}"));
    }
    assert!(states::rows(&host.manager) == *rows, "{what}: after undos");
}

/// A process that swaps is killed; every other round acknowledges at `relaxed`.
pub fn kill_swaps(backend: &str) {
    let mut subject = Subject::new(backend);
    subject.open().close().unwrap();
    subject.config = any_backend(&subject.config);
    let partner = if backend == "redb" { "sqlite" } else { "redb" };
    let pair = [backend.to_owned(), partner.to_owned()];
    let mut random = Random(0x5a9);
    let (mut rows, mut head, mut on) = (Rows::new(), Sequence(0), backend.to_owned());
    let (mut acknowledged, mut switched, mut within) = (0, 0, 0);
    for round in 0..rounds() {
        let durability = ["sync", "relaxed"][round as usize % 2];
        subject.config.set("durability", durability).unwrap();
        let lines = random.below(600);
        let seed = random.number() >> 32;
        let what = format!("{backend}, round {round}, {durability}, killed after {lines} lines");
        let mut orders = subject.orders("swap", seed);
        orders["a"] = pair[0].as_str().into();
        orders["b"] = pair[1].as_str().into();
        let said = kill_after(&orders, lines);
        let host = subject.open();
        rows = check(&host, &judge(&rows, seed, &said.acks, &|_| None), &what);
        check_head(&host, &said, head, &what);
        check_leftovers(&subject.path(), &what);
        // What was told is so; of a switch that was not told the state is on one side.
        let is_on = host.manager.backend_name();
        let told = said.switched.last().unwrap_or(&on);
        let begun = said.switching.as_ref().unwrap_or(told);
        assert!([told, begun].contains(&&is_on), "{what}: it is on {is_on}");
        check_kept(&host, &rows, &what);
        release(&host).unwrap();
        on = other(&pair, &is_on).clone();
        swap(&host, &on).unwrap_or_else(|error| panic!("{what}: {error}"));
        check_consistency(&host.manager).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(states::rows(&host.manager) == rows, "{what}: after a swap");
        head = host.manager.head();
        acknowledged += said.acks.values().map(Vec::len).sum::<usize>();
        switched += said.switched.len();
        within +=
            u64::from(said.switching.is_some() && said.switched.last() != said.switching.as_ref());
        host.close().unwrap();
    }
    println!(
        "{backend}: {acknowledged} commits and {switched} switches acknowledged, {within} of {} kills \
         within a switch",
        rounds()
    );
    assert!(acknowledged > 0, "{backend}: nothing was ever acknowledged");
    assert!(switched > 0, "{backend}: no swap ever came to its end");
}
