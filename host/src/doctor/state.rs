//! The doctor on an open state: its engine, its disks, its plugins.

use statekeep_core::{NamespaceStatus, Result};

use super::{FINDINGS_MAX, Findings, Gravity, LAG_COMMITS_MAX, count, size};
use crate::Host;

pub(super) fn examine(host: &Host, findings: &mut Findings) {
    if let Err(error) = engine(host, findings) {
        findings
            .failed("state", "the state cannot tell how it is", &error)
            .then("close it and open it again");
    }
    upkeep(host, findings);
    if let Err(error) = namespaces(host, findings) {
        findings.failed("state", "its folders cannot be listed", &error);
    }
    plugins(host, findings);
    findings.disks(&host.monitor.observed().facts.disks);
}

fn engine(host: &Host, findings: &mut Findings) -> Result<()> {
    let info = host.manager.info()?;
    match info.poisoned {
        Some(why) => {
            findings
                .add(Gravity::Error, "state", "it takes no more writes")
                .because(why)
                .then("see that the disk is well and has room, then close the state and open it again");
        }
        None => {
            let (backend, head) = (&info.backend, info.head);
            findings.fine(
                "state",
                format!("open on {backend}, commit {head}, takes writes"),
            );
        }
    }
    let mut is_fine = true;
    let lag = |from: u64| info.head.0.saturating_sub(from);
    let cursors = host.manager.cursors()?;
    let behind = cursors
        .iter()
        .filter(|cursor| lag(cursor.sequence.0) > LAG_COMMITS_MAX && !cursor.system);
    for cursor in behind.take(FINDINGS_MAX) {
        is_fine = false;
        let (name, lag) = (&cursor.name, lag(cursor.sequence.0));
        let what = format!("cursor {name} is {lag} commits behind and keeps their past");
        findings
            .add(Gravity::Warning, "state", what)
            .because("its reader has stopped, or is slower than the writers")
            .then(format!(
                "start its reader, or `statekeep cursor delete {name}` if nobody reads it any more"
            ));
    }
    if let Some(oldest) = info.oldest_snapshot
        && lag(oldest.0) > LAG_COMMITS_MAX
    {
        is_fine = false;
        let what = format!(
            "something in this process reads commit {oldest}, {} commits ago, and keeps their past",
            lag(oldest.0)
        );
        findings
            .add(Gravity::Warning, "state", what)
            .because("a snapshot, transaction or watch was not closed, or a backup takes long")
            .then("close snapshots, transactions and watches when they are done");
    }
    if is_fine {
        findings.fine("state", "nothing keeps a long past from being trimmed");
    }
    Ok(())
}

fn upkeep(host: &Host, findings: &mut Findings) {
    let status = host.manager.upkeep();
    let errors = [status.last_error, status.index_error];
    let mut is_fine = true;
    for error in errors.into_iter().flatten() {
        is_fine = false;
        findings
            .add(
                Gravity::Warning,
                "state",
                "the upkeep fails, so expired keys and the past stay",
            )
            .because(error)
            .then("mend what the reason names; it is tried again, or now by `statekeep trim`");
    }
    if status.paused {
        is_fine = false;
        findings
            .add(Gravity::Note, "state", "the upkeep is paused")
            .then("`statekeep_upkeep_resume` or `state.resume_upkeep()` lets it go on");
    }
    if is_fine {
        findings.fine("state", "the upkeep removes what has expired");
    }
}

fn namespaces(host: &Host, findings: &mut Findings) -> Result<()> {
    let namespaces = host.manager.namespaces()?;
    let replaced: Vec<&NamespaceStatus> = namespaces.iter().filter(|one| !one.is_current).collect();
    let bytes = replaced.iter().map(|one| one.bytes).sum::<u64>();
    if let Some(oldest) = replaced.first() {
        let what = format!(
            "{}, {}, stay from restores or swaps, as the way back",
            count(replaced.len() as u64, "replaced namespace"),
            size(bytes)
        );
        findings.add(Gravity::Note, "state", what).then(format!(
            "`statekeep namespace release {}` frees the oldest, when nobody wants to go back to it",
            oldest.namespace
        ));
    }
    Ok(())
}

fn plugins(host: &Host, findings: &mut Findings) {
    let plugins = host.plugins.list();
    let mut is_fine = true;
    for plugin in &plugins {
        let (panics, errors) = (plugin.counters.panics, plugin.counters.errors);
        if panics > 0 {
            is_fine = false;
            let what = format!("plugin {} panicked, {}", plugin.id, count(panics, "time"));
            findings
                .add(Gravity::Error, "plugins", what)
                .because("a fault in the plugin; the log has its words")
                .then("use another version of it; `statekeep plugin check` tries it in a process of its own");
        } else if errors > 0 {
            let calls = plugin.counters.calls;
            let what = format!("plugin {} failed in {errors} of {calls} calls", plugin.id);
            findings.add(Gravity::Note, "plugins", what);
        }
    }
    if is_fine {
        findings.fine(
            "plugins",
            format!("none of {} panicked", count(plugins.len() as u64, "plugin")),
        );
    }
}
