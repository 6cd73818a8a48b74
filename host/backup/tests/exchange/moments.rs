//! Exports of a moment in the history of a backup, and how fast text may move.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use statekeep_backup::{
    BackupId, CreateOptions, ExportFrom, ExportOptions, ExportTo, ImportFrom, ImportMode, Progress,
};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{ErrorKind, Sequence, UnixMs};

use crate::support::{State, mode, open, records};

fn from(from: ExportFrom) -> ExportOptions {
    ExportOptions {
        from,
        ..ExportOptions::default()
    }
}

fn create(state: &State, history: bool) -> BackupId {
    let options = CreateOptions {
        history: Some(history),
        ..CreateOptions::default()
    };
    let made = state.backups.create(&options, &Progress::new());
    made.unwrap().id
}

#[test]
fn a_moment_in_the_history_of_a_backup_is_exported_as_the_state_was() {
    let disk = SimDisk::new();
    let state = open(&disk);
    state.fill();
    let (then, as_it_was) = (state.manager.head(), state.export());
    state.put_json("agent:1", "plan", "2");
    state.put_json("agent:2", "more", "3");
    let with_history = create(&state, true);
    let without = create(&state, false);

    let text = state.export_with(&from(ExportFrom::BackupSequence(with_history, then)));
    assert_eq!(records(&text), records(&as_it_was));
    let header: serde_json::Value =
        serde_json::from_slice(text.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(header["sequence"], then.0);
    assert_eq!(header["backup"], with_history.to_string());
    // By the time that the export of the state itself says.
    let time = header["time_unix_ms"].as_i64().unwrap();
    let at = from(ExportFrom::BackupTime(with_history, UnixMs(time)));
    let by_time = records(&state.export_with(&at));
    assert!(by_time.len() >= records(&as_it_was).len());
    // Its end is itself, with and without history.
    for id in [with_history, without] {
        let end = ExportFrom::BackupSequence(id, state.manager.head());
        assert_eq!(
            records(&state.export_with(&from(end))),
            records(&state.export())
        );
    }

    for (moment, what) in [
        (ExportFrom::BackupSequence(without, then), "sequence"),
        (
            ExportFrom::BackupSequence(with_history, Sequence(state.manager.head().0 + 1)),
            "sequence",
        ),
        (ExportFrom::BackupTime(with_history, UnixMs(1)), "the time"),
    ] {
        let mut none = Vec::new();
        let to = ExportTo::Stream(&mut none);
        let error = state.backups.export(to, &from(moment), &Progress::new());
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let text = error.to_string();
        assert!(text.contains(what) && text.contains("ranges"), "{text}");
        assert_eq!(none, b"");
    }
}

/// Tells of each piece that it takes or gives.
struct Told<'a> {
    text: &'a [u8],
    tell: Sender<()>,
}

impl Write for Told<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.tell.send(()).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Read for Told<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.tell.send(()).unwrap();
        self.text.read(buf)
    }
}

fn told(text: &[u8]) -> (Told<'_>, Receiver<()>) {
    let (tell, heard) = channel();
    (Told { text, tell }, heard)
}

/// A byte a second: who is held back by it goes on only when cancelled, however slow the machine is.
fn held() -> Progress {
    let progress = Progress::new();
    progress.limit_rate(1);
    progress
}

#[test]
fn a_limited_export_is_held_back_after_a_piece() {
    let disk = SimDisk::new();
    let state = open(&disk);
    state.fill();
    let progress = held();
    let (mut out, heard) = told(b"");
    let outcome = std::thread::scope(|scope| {
        let export = scope.spawn(|| {
            let to = ExportTo::Stream(&mut out);
            state
                .backups
                .export(to, &ExportOptions::default(), &progress)
        });
        // The only piece is out, so without a limit it would end well.
        heard.recv().unwrap();
        progress.cancel();
        export.join().unwrap()
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_limited_import_is_held_back_after_a_piece() {
    let disk = SimDisk::new();
    let state = open(&disk);
    state.fill();
    let text = state.export();
    let progress = held();
    let (mut input, heard) = told(&text);
    let outcome = std::thread::scope(|scope| {
        let import = scope.spawn(|| {
            let from = ImportFrom::Stream(&mut input);
            state
                .backups
                .import(from, &mode(ImportMode::Merge), &progress)
        });
        heard.recv().unwrap();
        let next = heard.recv_timeout(Duration::from_millis(50));
        assert!(next.is_err(), "it went on to the next piece");
        progress.cancel();
        import.join().unwrap()
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
}
