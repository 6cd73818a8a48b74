//! Reading the three forms of text: lines with header and footer, a document of the same objects,
//! and plain lines. Every record is checked; at the end so are count and hash.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{BufRead, Cursor, Read as _};

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use statekeep_core::{Error, ErrorKind, Result};

use super::RECORD_HEAD_BYTES_MAX;
use super::format::{
    FOOTER_START, Footer, Header, TextRecord, plain_words, read_footer, read_header,
};
use super::input::{Input, Pieces, read_line, unreadable};
use crate::hex::Hash256;

/// By so many bytes the format is known.
const START_BYTES: u64 = 64;

/// What an import does with what is read.
pub(super) trait Sink {
    /// The header, before any record; plain text has none.
    fn begin(&mut self, header: Option<&Header>) -> Result<()>;

    /// The next record.
    fn record(&mut self, record: TextRecord) -> Result<()>;

    /// The end of a good text.
    fn end(&self) -> Result<()> {
        Ok(())
    }
}

/// How text is read.
#[derive(Copy, Clone, Debug)]
pub(super) struct Rules {
    pub(super) plain: bool,
    pub(super) value_bytes_max: u64,
}

impl Rules {
    /// Longest line: a value may double as a JSON string.
    fn line_bytes_max(self) -> u64 {
        self.value_bytes_max
            .saturating_mul(2)
            .saturating_add(RECORD_HEAD_BYTES_MAX)
    }

    fn too_long(self, place: &Place<'_>) -> Error {
        let message = format!(
            "{place}: longer than {} bytes, twice limits.value_bytes_max and 64 KiB",
            self.line_bytes_max()
        );
        Error::other(ErrorKind::TooLarge, message)
    }
}

/// Where something stands.
struct Place<'a> {
    name: &'a str,
    what: &'static str,
    number: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} {}", self.name, self.what, self.number)
    }
}

impl Place<'_> {
    /// An error of this place; its kind stays, with what a caller can do about it.
    fn error(&self, error: &Error) -> Error {
        Error::other(error.kind(), format!("{self}: {error}"))
    }
}

/// Reads all text and answers how many records it has.
pub(super) fn parse(mut input: Input<'_>, rules: Rules, sink: &mut dyn Sink) -> Result<u64> {
    if rules.plain {
        return plain(&mut input, rules, sink);
    }
    // A stream may hand out its first bytes one by one.
    let mut start = Vec::new();
    let mut text = input.text;
    (&mut text)
        .take(START_BYTES)
        .read_to_end(&mut start)
        .map_err(|error| unreadable(&input.name, error))?;
    let mut first = start.clone();
    first.retain(|byte| !byte.is_ascii_whitespace());
    // All that there is begins as an export does: the rest is missing.
    let starts = ["{\"header\"", "{\"statekeep_export"];
    let is_start = |start: &&str| start.len() > first.len() && start.as_bytes().starts_with(&first);
    if starts.iter().any(is_start) && (start.len() as u64) < START_BYTES {
        return Err(cut(&input.name));
    }
    input.text = Box::new(Cursor::new(start).chain(text));
    if first.starts_with(b"{\"header\"") {
        document(&mut input, rules, sink)
    } else if first.starts_with(b"{\"statekeep_export") {
        lines(&mut input, rules, sink)
    } else {
        let message = format!(
            "{}: it does not begin with the header of a Statekeep export; for lines of another \
             program say that the format is plain",
            input.name
        );
        Err(Error::other(ErrorKind::InvalidArgument, message))
    }
}

/// Hashes and counts what the footer tells of.
struct Tally<'a> {
    name: &'a str,
    hash: Sha256,
    records: u64,
}

impl Tally<'_> {
    fn new(name: &str) -> Tally<'_> {
        Tally {
            name,
            hash: Sha256::new(),
            records: 0,
        }
    }

    fn add(&mut self, text: &[u8]) {
        self.hash.update(text);
        self.hash.update(b"\n");
    }

    fn check(self, footer: &Footer) -> Result<u64> {
        let is = Hash256(self.hash.finalize().into());
        if footer.records == self.records && footer.sha256 == is {
            return Ok(self.records);
        }
        let reason = format!(
            "its footer tells of {} records with the sha256 {}, and it has {} with {is}; it was cut or \
             changed. What was edited on purpose is imported without header and footer, as plain lines",
            footer.records, footer.sha256, self.records
        );
        Err(Error::corrupt(self.name, reason))
    }
}

/// What is malformed in the text of an export was damaged: Statekeep wrote it whole. A value over its
/// limit and another format stay what they are.
fn damaged(error: Error) -> Error {
    match error.kind() {
        ErrorKind::InvalidArgument => Error::other(ErrorKind::Corrupt, error.to_string()),
        _ => error,
    }
}

fn cut(name: &str) -> Error {
    Error::corrupt(name, "it ends without a footer; it was cut")
}

fn lines(input: &mut Input<'_>, rules: Rules, sink: &mut dyn Sink) -> Result<u64> {
    let Input { text, name } = input;
    let mut tally = Tally::new(name);
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        number += 1;
        let place = Place {
            name,
            what: "line",
            number,
        };
        let ends = match read_line(text, rules.line_bytes_max(), &mut line) {
            Ok(Some(fed)) => !fed,
            Ok(None) => return Err(rules.too_long(&place)),
            Err(error) => return Err(unreadable(name, error)),
        };
        // A last line without a line feed is whole only if it is the footer.
        if ends && !line.starts_with(FOOTER_START) {
            return Err(cut(name));
        }
        if number == 1 {
            let header = read_header(&line).map_err(damaged);
            let header = header.map_err(|error| place.error(&error))?;
            sink.begin(Some(&header))?;
            tally.add(&line);
            continue;
        }
        if line.starts_with(FOOTER_START) {
            let footer = read_footer(&line).map_err(|error| match ends {
                true => cut(name),
                false => place.error(&damaged(error)),
            })?;
            let records = tally.check(&footer)?;
            return end(text, name).map(|()| records);
        }
        let record = TextRecord::read(&line, rules.value_bytes_max).map_err(damaged);
        let record = record.map_err(|error| place.error(&error))?;
        tally.add(&line);
        tally.records += 1;
        sink.record(record).map_err(|error| place.error(&error))?;
    }
}

/// Nothing but white space may follow.
fn end(text: &mut dyn BufRead, name: &str) -> Result<()> {
    loop {
        let rest = text.fill_buf().map_err(|error| unreadable(name, error))?;
        if rest.is_empty() {
            return Ok(());
        }
        if !rest.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::corrupt(name, "something follows its footer"));
        }
        let read = rest.len();
        text.consume(read);
    }
}

fn plain(input: &mut Input<'_>, rules: Rules, sink: &mut dyn Sink) -> Result<u64> {
    let Input { text, name } = input;
    let mut line = Vec::new();
    let (mut number, mut records) = (0, 0);
    sink.begin(None)?;
    loop {
        number += 1;
        let place = Place {
            name,
            what: "line",
            number,
        };
        match read_line(text, rules.line_bytes_max(), &mut line) {
            Ok(Some(true)) => {}
            Ok(Some(false)) if line.is_empty() => return Ok(records),
            Ok(Some(false)) => {}
            Ok(None) => return Err(rules.too_long(&place)),
            Err(error) => return Err(unreadable(name, error)),
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let record = TextRecord::read(&line, rules.value_bytes_max);
        let record = record.map_err(|error| place.error(&error))?;
        records += 1;
        sink.record(record).map_err(|error| place.error(&error))?;
    }
}

fn document(input: &mut Input<'_>, rules: Rules, sink: &mut dyn Sink) -> Result<u64> {
    let Input { text, name } = input;
    let left = Cell::new(rules.line_bytes_max());
    let failure = RefCell::new(None);
    let reading = Reading {
        rules,
        left: &left,
        failure: &failure,
        name,
    };
    let mut from = serde_json::Deserializer::from_reader(Pieces::new(text, &left));
    let outcome = DocumentSeed {
        reading: &reading,
        sink,
    }
    .deserialize(&mut from)
    .and_then(|records| {
        left.set(rules.line_bytes_max());
        from.end().map(|()| records)
    });
    outcome.map_err(|error| {
        if let Some(failure) = failure.take() {
            return failure;
        }
        let line = error.line();
        match error.classify() {
            serde_json::error::Category::Eof => cut(name),
            serde_json::error::Category::Io => {
                let error = unreadable(name, error.into());
                Error::other(error.kind(), format!("{name}, line {line}: {error}"))
            }
            _ => {
                let words = plain_words(&error);
                let message = format!("{name}, line {line}: {words}");
                Error::other(ErrorKind::Corrupt, message)
            }
        }
    })
}

/// What the parts of a document are read with. Errors of ours go past the parser, which would make
/// them text.
struct Reading<'a> {
    rules: Rules,
    left: &'a Cell<u64>,
    failure: &'a RefCell<Option<Error>>,
    name: &'a str,
}

impl Reading<'_> {
    fn fail<E: serde::de::Error>(&self, error: Error) -> E {
        self.failure.replace(Some(error));
        E::custom("refused")
    }

    /// The next object may be as long as a line.
    fn next(&self) {
        self.left.set(self.rules.line_bytes_max());
    }
}

struct DocumentSeed<'a> {
    reading: &'a Reading<'a>,
    sink: &'a mut dyn Sink,
}

impl<'de> DeserializeSeed<'de> for DocumentSeed<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<u64, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DocumentSeed<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of `header`, `records` and `footer`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let DocumentSeed { reading, sink } = self;
        let mut tally = Tally::new(reading.name);
        let expect = |map: &mut A, name: &'static str| {
            reading.next();
            match map.next_key::<String>()? {
                Some(key) if key == name => Ok(()),
                _ => Err(A::Error::custom(format!("`{name}` is expected here"))),
            }
        };
        expect(&mut map, "header")?;
        let text: Box<RawValue> = map.next_value_seed(RawSeed)?;
        let header = read_header(text.get().as_bytes()).map_err(damaged);
        let header = header.map_err(|error| reading.fail(error))?;
        tally.add(text.get().as_bytes());
        sink.begin(Some(&header))
            .map_err(|error| reading.fail(error))?;
        expect(&mut map, "records")?;
        map.next_value_seed(RecordsSeed {
            reading,
            sink,
            tally: &mut tally,
        })?;
        expect(&mut map, "footer")?;
        let text: Box<RawValue> = map.next_value_seed(RawSeed)?;
        let footer = read_footer(text.get().as_bytes()).map_err(damaged);
        let footer = footer.map_err(|error| reading.fail(error))?;
        if map.next_key::<serde::de::IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("nothing is expected after `footer`"));
        }
        tally.check(&footer).map_err(|error| reading.fail(error))
    }
}

/// The text of an object as it stands.
struct RawSeed;

impl<'de> DeserializeSeed<'de> for RawSeed {
    type Value = Box<RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Box<RawValue>, D::Error> {
        Box::<RawValue>::deserialize(from)
    }
}

struct RecordsSeed<'a, 'b> {
    reading: &'a Reading<'a>,
    sink: &'a mut dyn Sink,
    tally: &'a mut Tally<'b>,
}

impl<'de> DeserializeSeed<'de> for RecordsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RecordsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        let reading = self.reading;
        loop {
            reading.next();
            let Some(text) = records.next_element_seed(RawSeed)? else {
                return Ok(());
            };
            self.tally.add(text.get().as_bytes());
            self.tally.records += 1;
            let place = Place {
                name: reading.name,
                what: "record",
                number: self.tally.records,
            };
            TextRecord::read(text.get().as_bytes(), reading.rules.value_bytes_max)
                .map_err(damaged)
                .and_then(|record| self.sink.record(record))
                .map_err(|error| reading.fail(place.error(&error)))?;
        }
    }
}

/// Reads text as an import does and hands out its records; `plain` is text without header and
/// footer. For tests and fuzzing: an import is `BackupManager::import`.
pub fn parse_records(
    text: &[u8],
    plain: bool,
    value_bytes_max: u64,
    visit: &mut dyn FnMut(TextRecord) -> Result<()>,
) -> Result<u64> {
    struct Visit<'a>(&'a mut dyn FnMut(TextRecord) -> Result<()>);
    impl Sink for Visit<'_> {
        fn begin(&mut self, header: Option<&Header>) -> Result<()> {
            header.map_or(Ok(()), |header| header.selection.read().map(drop))
        }

        fn record(&mut self, record: TextRecord) -> Result<()> {
            (self.0)(record)
        }
    }
    let mut bytes = text;
    let progress = statekeep_core::Progress::new();
    let mut from = super::ImportFrom::Stream(&mut bytes);
    let input = Input::open(&statekeep_core::vfs::RealVfs, &mut from, &progress, 1)?;
    let rules = Rules {
        plain,
        value_bytes_max,
    };
    parse(input, rules, &mut Visit(visit))
}
