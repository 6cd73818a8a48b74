//! A backend over one log file, with a bug to choose.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex};

use statekeep_plugin_sdk::*;
use statekeep_plugin_testkit::backend::{self, Subject};

type Check = fn(&Subject) -> Result<(), String>;

type Rows = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

struct Faulty {
    bug: String,
    state: Arc<Mutex<State>>,
}

struct State {
    rows: Rows,
    log: BufWriter<File>,
}

impl Plugin for Faulty {
    const ID: &'static str = "test.faulty-backend";
    const VERSION: &'static str = "0.0.0";
    const LICENSE: &'static str = "MIT";
    const DESCRIPTION: &'static str = "A backend with a bug to choose";

    fn create(_: Host, config: &Config) -> Result<Faulty> {
        let path = config.directory()?.join("log");
        let log = std::fs::read(&path).unwrap_or_default();
        let bug: String = config.option("bug")?.unwrap_or_default();
        let mut rows = Rows::new();
        let mut rest = log.as_slice();
        // A commit is its length and its operations; one without its end was never acknowledged.
        while let Some((len, tail)) = rest.split_first_chunk::<4>() {
            let len = u32::from_le_bytes(*len) as usize;
            let Some((commit, tail)) = tail.split_at_checked(len) else {
                break;
            };
            if bug != "forgets" {
                replay(commit, &mut rows);
            }
            rest = tail;
        }
        let mut log = BufWriter::with_capacity(32 << 20, File::create(path)?);
        write_rows(&mut log, &rows)?;
        log.flush()?;
        let state = Arc::new(Mutex::new(State { rows, log }));
        Ok(Faulty { bug, state })
    }
}

fn write_op(out: &mut Vec<u8>, space: u32, key: &[u8], value: Option<&[u8]>) {
    out.push(space as u8);
    out.push(u8::from(value.is_some()));
    for part in [key, value.unwrap_or_default()] {
        out.extend((part.len() as u32).to_le_bytes());
        out.extend(part);
    }
}

fn write_commit(log: &mut impl Write, ops: &[u8]) -> std::io::Result<()> {
    log.write_all(&(ops.len() as u32).to_le_bytes())?;
    log.write_all(ops)
}

fn write_rows(log: &mut impl Write, rows: &Rows) -> std::io::Result<()> {
    let mut ops = Vec::new();
    for ((space, key), value) in rows {
        write_op(&mut ops, *space, key, Some(value));
    }
    write_commit(log, &ops)
}

fn replay(mut ops: &[u8], rows: &mut Rows) {
    let mut take = |n: usize| {
        let (head, tail) = ops.split_at_checked(n)?;
        ops = tail;
        Some(head.to_vec())
    };
    let part = |take: &mut dyn FnMut(usize) -> Option<Vec<u8>>| {
        let len = u32::from_le_bytes(take(4)?.try_into().ok()?);
        take(len as usize)
    };
    while let Some(head) = take(2) {
        let (key, value) = (part(&mut take).unwrap(), part(&mut take).unwrap());
        let place = (u32::from(head[0]), key);
        match head[1] {
            1 => rows.insert(place, value),
            _ => rows.remove(&place),
        };
    }
}

impl Faulty {
    fn has(&self, bug: &str) -> bool {
        self.bug == bug
    }

    fn holds(&self, rows: &Rows, commit: &Commit<'_>) -> Option<usize> {
        let is = |precondition| match precondition {
            Precondition::Equals { space, key, value } => {
                rows.get(&(space, key.to_vec())).is_some_and(|v| v == value)
            }
            Precondition::Absent { space, key } => !rows.contains_key(&(space, key.to_vec())),
        };
        let index = commit.preconditions().position(|it| !is(it))?;
        Some(if self.has("wrong_index") { 0 } else { index })
    }
}

impl Backend for Faulty {
    type Cursor = Batches;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            persistent: true,
            preconditions: true,
            snapshot_scans: self.has("scans_go_on"),
            key_bytes_max: if self.has("short_keys") { 255 } else { 4096 },
            ..Capabilities::default()
        }
    }

    fn get(&self, space: u32, key: &[u8], out: &mut Sink<'_>) -> Result<bool> {
        let state = self.state.lock().unwrap();
        let space = if self.has("one_space") { 0 } else { space };
        match state.rows.get(&(space, key.to_vec())) {
            None => Ok(false),
            Some(value) if value.is_empty() && self.has("empty_is_missing") => Ok(false),
            Some(value) => out.put(value).map(|()| true),
        }
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Outcome> {
        let mut state = self.state.lock().unwrap();
        let State { rows, log } = &mut *state;
        let broken = self.holds(rows, commit);
        if let (Some(index), false) = (broken, self.has("conflict_applies")) {
            return Ok(Outcome::Conflict { index });
        }
        let mut ops = Vec::new();
        let mut seen = Vec::new();
        for op in commit.ops() {
            let (space, key, value) = match op {
                Op::Put { space, key, value } => (space, key, Some(value)),
                Op::Delete { .. } if self.has("lost_delete") => continue,
                Op::Delete { space, key } => (space, key, None),
            };
            let space = if self.has("one_space") { 0 } else { space };
            if self.has("first_op_wins") && seen.contains(&(space, key)) {
                continue;
            }
            if self.has("first_op_wins") {
                seen.push((space, key));
            }
            write_op(&mut ops, space, key, value);
            match value {
                Some(value) => rows.insert((space, key.to_vec()), value.to_vec()),
                None => rows.remove(&(space, key.to_vec())),
            };
        }
        write_commit(log, &ops)?;
        if !self.has("buffers") {
            log.flush()?;
        }
        Ok(broken.map_or(Outcome::COMMITTED, |index| Outcome::Conflict { index }))
    }

    fn scan(&self, range: &ScanRange<'_>) -> Result<Batches> {
        Ok(Batches {
            state: Arc::clone(&self.state),
            bug: self.bug.clone(),
            space: if self.has("one_space") {
                0
            } else {
                range.space
            },
            lo: range.lo.to_vec(),
            hi: range.hi.map(<[u8]>::to_vec),
            reverse: range.reverse && !self.has("always_forward"),
            last: None,
            taken: 0,
            batch: VecDeque::new(),
        })
    }

    fn flush(&self) -> Result<()> {
        Ok(self.state.lock().unwrap().log.flush()?)
    }
}

struct Batches {
    state: Arc<Mutex<State>>,
    bug: String,
    space: u32,
    lo: Vec<u8>,
    hi: Option<Vec<u8>>,
    reverse: bool,
    last: Option<Vec<u8>>,
    taken: usize,
    batch: VecDeque<(Vec<u8>, Vec<u8>)>,
}

impl Cursor for Batches {
    type Bytes = Vec<u8>;

    fn next(&mut self) -> Option<Result<(Vec<u8>, Vec<u8>)>> {
        if self.batch.is_empty() {
            let state = self.state.lock().unwrap();
            let below = |key: &Vec<u8>| match &self.hi {
                Some(hi) if self.bug == "inclusive_end" => key <= hi,
                Some(hi) => key < hi,
                None => true,
            };
            let mut rows: Vec<_> = state
                .rows
                .iter()
                .filter(|((space, key), _)| *space == self.space && *key >= self.lo && below(key))
                .map(|((_, key), value)| (key.clone(), value.clone()))
                .collect();
            if self.reverse {
                rows.reverse();
            }
            // Finding the place again by number instead of by key is wrong beside commits.
            let by_number = self.bug == "by_number";
            let behind = |key: &Vec<u8>| match &self.last {
                Some(last) if self.reverse => key < last,
                Some(last) => key > last,
                None => true,
            };
            let rest = rows
                .into_iter()
                .enumerate()
                .filter(|(i, row)| match by_number {
                    true => *i >= self.taken,
                    false => behind(&row.0),
                });
            self.batch = rest.map(|(_, row)| row).take(50).collect();
        }
        let row = self.batch.pop_front()?;
        self.taken += 1;
        self.last = Some(row.0.clone());
        Some(Ok(row))
    }
}

statekeep_plugin_sdk::export_plugin!(Faulty: backend);

fn subject(bug: &str) -> Subject {
    Subject::new(descriptor()).options(&format!("{{\"bug\": \"{bug}\"}}"))
}

#[test]
fn without_a_bug_everything_passes() {
    backend::run(&subject(""));
}

#[test]
fn every_bug_is_found_by_its_check() {
    let bugs: &[(&str, Check)] = &[
        ("inclusive_end", backend::half_open_ranges),
        ("always_forward", backend::reverse_order),
        ("lost_delete", backend::delete),
        ("empty_is_missing", backend::empty_value),
        ("one_space", backend::spaces_are_separate),
        ("first_op_wins", backend::last_operation_wins),
        ("by_number", backend::cursor_survives_commits),
        ("scans_go_on", backend::snapshot_scans_see_one_instant),
        ("forgets", backend::reopen_keeps_everything),
        ("conflict_applies", backend::preconditions),
        ("wrong_index", backend::preconditions),
        ("short_keys", backend::capabilities_meet_the_minimum),
        ("lost_delete", backend::random_model),
    ];
    for (bug, check) in bugs {
        assert!(check(&subject(bug)).is_err(), "{bug} was not found");
    }
    let report = backend::report(&subject("inclusive_end")).to_string();
    assert!(
        report.contains("half_open_ranges: \"b\" to \"d\""),
        "{report}"
    );
}

#[test]
fn kill_rounds_pass_where_nothing_is_lost() {
    let name = "backend::kill_rounds_pass_where_nothing_is_lost";
    backend::kill_rounds(&subject(""), name);
}

#[test]
#[should_panic(expected = "was acknowledged, 0 is the last that is there")]
fn kill_rounds_find_a_commit_that_never_left_the_process() {
    let name = "backend::kill_rounds_find_a_commit_that_never_left_the_process";
    backend::kill_rounds(&subject("buffers"), name);
}
