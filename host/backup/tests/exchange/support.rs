//! States on simulated disks, with codecs of the libraries, and what is read from exports.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use statekeep_backup::{
    BackupConfig, BackupManager, ExportFormat, ExportOptions, ExportTo, ImportFrom, ImportMode,
    ImportOptions, ImportReport, Progress, TextRecord, parse_records,
};
use statekeep_core::testing::TestPlugins;
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{
    Backend, BackendConfig, Codec, Error, Key, Limits, OpenOptions, Plugins, Result, SetOptions,
    StateManager, Value,
};

/// The test plugins, and zstd and gzip.
struct WithCodecs(Arc<TestPlugins>);

struct Library(&'static str);

impl Plugins for WithCodecs {
    fn open_backend(&self, name: &str, config: &BackendConfig) -> Result<Arc<dyn Backend>> {
        self.0.open_backend(name, config)
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>> {
        match name {
            "zstd" => Ok(Arc::new(Library("zstd"))),
            "gzip" => Ok(Arc::new(Library("gzip"))),
            name => self.0.codec(name),
        }
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Codec for Library {
    fn name(&self) -> &str {
        self.0
    }

    fn compress(&self, _level: Option<i32>, src: &[u8], out: &mut Vec<u8>) -> Result<()> {
        *out = match self.0 {
            "zstd" => zstd::bulk::compress(src, 3).unwrap(),
            _ => gzip(src),
        };
        Ok(())
    }

    fn decompress(&self, src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        let read = match self.0 {
            "zstd" => zstd::stream::read::Decoder::new(src)
                .unwrap()
                .take(raw_len as u64 + 1)
                .read_to_end(out),
            _ => flate2::read::GzDecoder::new(src).read_to_end(out),
        };
        match read {
            Ok(read) if read == raw_len => Ok(()),
            _ => Err(Error::corrupt("frame", "it is not of this length")),
        }
    }
}

pub(crate) struct State {
    pub(crate) manager: Arc<StateManager>,
    pub(crate) backups: BackupManager,
}

pub(crate) fn open(disk: &SimDisk) -> State {
    open_with(disk, Limits::default()).unwrap()
}

pub(crate) fn open_with(disk: &SimDisk, limits: Limits) -> Result<State> {
    let mut options = OpenOptions::new("/state", "log");
    options.vfs = disk.vfs();
    options.limits = limits;
    let plugins = Arc::new(WithCodecs(TestPlugins::shared(disk.vfs())));
    let manager = StateManager::open(options, plugins)?;
    let config = BackupConfig {
        dir: "/state/backups".into(),
        codec: "store".to_owned(),
        level: None,
        threads: 2,
        cores_free: 0,
        incremental: false,
        history: false,
        chain_max: statekeep_backup::CHAIN_DEFAULT,
        bytes_per_second_max: 0,
    };
    let backups = BackupManager::open(Arc::clone(&manager), config)?;
    Ok(State { manager, backups })
}

impl State {
    pub(crate) fn put(&self, tenant: &str, scope: &str, key: &str, value: Value, how: SetOptions) {
        let tenant = self.manager.tenant(tenant).unwrap().blocking();
        let (scope, key) = (scope.parse().unwrap(), Key::new(key).unwrap());
        tenant.set(&scope, &key, value, how).unwrap();
    }

    pub(crate) fn put_json(&self, scope: &str, key: &str, text: &str) {
        let value = Value::json(text).unwrap();
        self.put("", scope, key, value, SetOptions::default());
    }

    /// A few records of two tenants.
    pub(crate) fn fill(&self) {
        self.put_json("agent:1", "plan", r#"{"step": 1.50, "step": 2}"#);
        self.put_json("agent:1", "note:1", "[\n  1\n]\n");
        self.put_json("global", "../../etc/passwd", "null");
        let bytes = Value::bytes(&[0xff_u8, 0, 0xfe][..]);
        self.put("acme", "user:ä/\"", "blob", bytes, SetOptions::default());
    }

    pub(crate) fn export_with(&self, options: &ExportOptions) -> Vec<u8> {
        let mut out = Vec::new();
        let to = ExportTo::Stream(&mut out);
        let report = self.backups.export(to, options, &Progress::new()).unwrap();
        assert_eq!(report.bytes, out.len() as u64);
        out
    }

    pub(crate) fn export(&self) -> Vec<u8> {
        self.export_with(&ExportOptions::default())
    }

    pub(crate) fn import(&self, text: &[u8], options: &ImportOptions) -> Result<ImportReport> {
        let mut text = text;
        let from = ImportFrom::Stream(&mut text);
        self.backups.import(from, options, &Progress::new())
    }

    pub(crate) fn records(&self) -> Vec<TextRecord> {
        records(&self.export())
    }
}

pub(crate) fn mode(mode: ImportMode) -> ImportOptions {
    ImportOptions::new(mode)
}

pub(crate) fn plain(mode: ImportMode) -> ImportOptions {
    ImportOptions {
        plain: true,
        ..ImportOptions::new(mode)
    }
}

pub(crate) fn in_format(format: ExportFormat) -> ExportOptions {
    ExportOptions {
        format: Some(format),
        ..ExportOptions::default()
    }
}

pub(crate) fn records(text: &[u8]) -> Vec<TextRecord> {
    let mut records = Vec::new();
    let mut visit = |record| {
        records.push(record);
        Ok(())
    };
    parse_records(text, false, 1 << 20, &mut visit).unwrap();
    records
}

/// Names, values, classes and expiries: what a merge keeps.
pub(crate) fn said(records: &[TextRecord]) -> Vec<TextRecord> {
    let plain = |record: &TextRecord| TextRecord {
        sequence: None,
        created: None,
        changed: None,
        ..record.clone()
    };
    records.iter().map(plain).collect()
}
