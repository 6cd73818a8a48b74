//! The plugin under test: every kind in one type, and a switch that makes one function panic.

use std::collections::BTreeMap;
use std::sync::RwLock;

use statekeep_plugin_sdk::*;

type Rows = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

pub struct Plugin {
    pub rows: RwLock<Rows>,
    panic_in: Option<String>,
    host: Host,
}

/// A payload whose drop panics with another payload whose drop panics.
struct Nasty(bool);

impl Drop for Nasty {
    fn drop(&mut self) {
        if self.0 {
            std::panic::panic_any(Nasty(false));
        }
    }
}

impl Plugin {
    fn maybe_panic(&self, function: &str) {
        match self.panic_in.as_deref() {
            Some("nasty") => std::panic::panic_any(Nasty(true)),
            Some(name) if name == function => panic!("{function} fell over"),
            _ => {}
        }
    }
}

impl statekeep_plugin_sdk::Plugin for Plugin {
    const ID: &'static str = "test.everything";
    const VERSION: &'static str = "1.2.3";
    const LICENSE: &'static str = "MIT";
    const DESCRIPTION: &'static str = "Every kind in one plugin";

    fn create(host: Host, config: &Config) -> Result<Plugin> {
        config.known_options(&["panic_in", "fail"])?;
        let panic_in: Option<String> = config.option("panic_in")?;
        if panic_in.as_deref() == Some("create") {
            panic!("create fell over");
        }
        if let Some(text) = config.option::<String>("fail")? {
            return Err(text.into());
        }
        host.log(Level::Info, "created");
        host.counter_add("created", 1);
        Ok(Plugin {
            rows: RwLock::default(),
            panic_in,
            host,
        })
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.maybe_panic("drop");
    }
}

impl Compression for Plugin {
    fn bound(&self, len: usize) -> usize {
        self.maybe_panic("bound");
        len.saturating_add(1)
    }
    fn compress(&self, level: Option<i32>, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        self.maybe_panic("compress");
        dst.put(&[level.unwrap_or(0) as u8])?;
        dst.put(src)
    }
    fn decompress(&self, src: &[u8], dst: &mut Output<'_>) -> Result<()> {
        self.maybe_panic("decompress");
        let [_, rest @ ..] = src else {
            return Err(Error::corrupt("no first byte"));
        };
        if rest.len() > dst.capacity() {
            return Err(dst.full(Some(rest.len())));
        }
        dst.put(rest)
    }
}

pub struct Rest {
    rows: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    panic: bool,
}

impl Cursor for Rest {
    type Bytes = Vec<u8>;
    fn next(&mut self) -> Option<Result<(Vec<u8>, Vec<u8>)>> {
        assert!(!self.panic, "next fell over");
        self.rows.next().map(|row| match row.1.as_slice() {
            b"bad row" => Err(Error::corrupt("a bad row")),
            _ => Ok(row),
        })
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        assert!(!self.panic, "close fell over");
    }
}

impl Backend for Plugin {
    type Cursor = Rest;
    fn capabilities(&self) -> Capabilities {
        self.maybe_panic("capabilities");
        Capabilities {
            preconditions: true,
            key_bytes_max: 4096,
            ..Capabilities::default()
        }
    }
    fn get(&self, space: u32, key: &[u8], out: &mut Sink<'_>) -> Result<bool> {
        self.maybe_panic("get");
        match self.rows.read().unwrap().get(&(space, key.to_vec())) {
            None => Ok(false),
            Some(value) if value.as_slice() == b"silent" => Ok(true),
            Some(value) if value.as_slice() == b"twice" => {
                out.put(value)?;
                out.put(value)?;
                Ok(true)
            }
            Some(value) => {
                out.reserve(value.len())?.copy_from_slice(value);
                Ok(true)
            }
        }
    }
    fn commit(&self, commit: &Commit<'_>) -> Result<Outcome> {
        self.maybe_panic("commit");
        let mut rows = self.rows.write().unwrap();
        for (index, precondition) in commit.preconditions().enumerate() {
            let holds = match precondition {
                Precondition::Equals { space, key, value } => rows
                    .get(&(space, key.to_vec()))
                    .is_some_and(|found| found == value),
                Precondition::Absent { space, key } => !rows.contains_key(&(space, key.to_vec())),
            };
            if !holds {
                return Ok(Outcome::Conflict { index });
            }
        }
        for op in commit.ops() {
            match op {
                Op::Put { space, key, value } => {
                    rows.insert((space, key.to_vec()), value.to_vec());
                }
                Op::Delete { space, key } => {
                    rows.remove(&(space, key.to_vec()));
                }
            }
        }
        Ok(Outcome::Committed { sequence: 7 })
    }
    fn scan(&self, range: &ScanRange<'_>) -> Result<Rest> {
        self.maybe_panic("scan");
        let mut rows: Vec<_> = self
            .rows
            .read()
            .unwrap()
            .iter()
            .filter(|((space, key), _)| {
                *space == range.space
                    && key.as_slice() >= range.lo
                    && range.hi.is_none_or(|hi| key.as_slice() < hi)
            })
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        if range.reverse {
            rows.reverse();
        }
        Ok(Rest {
            rows: rows.into_iter(),
            panic: self.panic_in.as_deref() == Some("next"),
        })
    }
    fn flush(&self) -> Result<()> {
        self.maybe_panic("flush");
        Ok(())
    }
}

impl Retention for Plugin {
    fn evaluate(&self, backups: &[Backup<'_>], context: &Context<'_>) -> Result<Vec<Decision>> {
        self.maybe_panic("evaluate");
        if context.time_zone == "short" {
            return Ok(Vec::new());
        }
        Ok(backups
            .iter()
            .map(|backup| match backup.pinned {
                true => Decision::keep(format!("{} is pinned", backup.id)),
                false => Decision::forget("zu alt: älter als erlaubt"),
            })
            .collect())
    }
}

impl Hook for Plugin {
    fn points(&self) -> u64 {
        self.maybe_panic("points");
        api::POINT_BEFORE_SET
    }
    fn phase(&self) -> Phase {
        self.maybe_panic("phase");
        Phase::Mutate
    }
    fn call(&self, event: &Event<'_>) -> Result<Reply> {
        self.maybe_panic("call");
        self.host.log(Level::Debug, event.key);
        Ok(match event.key {
            "veto" => Reply::Veto("not this one".to_owned()),
            "replace" => Reply::Replace(b"new".to_vec()),
            _ => Reply::Continue,
        })
    }
}

statekeep_plugin_sdk::export_plugin!(Plugin: compression, backend, retention, hook);
