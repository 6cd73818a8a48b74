//! Set, get, delete, batches, tenants, reopening, closing.

use super::*;
use crate::{
    Backend, BackendConfig, Batch, Class, Codec, Durability, Error, ErrorKind, Plugins, Sequence,
};

#[test]
fn what_is_set_is_read_also_after_opening_again() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    assert_eq!(tenant.read("global", "k"), None);
    assert_eq!(tenant.put("global", "k", "one"), 1);
    assert_eq!(tenant.put("user:7", "k", "two"), 2);
    assert_eq!(tenant.put("global", "k", "three"), 3);
    assert_eq!(tenant.read("global", "k").as_deref(), Some("three"));
    assert_eq!(tenant.remove("user:7", "k"), Some(4));
    assert_eq!(tenant.remove("user:7", "k"), None);
    assert_eq!(manager.head(), Sequence(4));
    let id = manager.state_id();
    manager.close().unwrap();
    drop((tenant, manager));

    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    assert_eq!(manager.state_id(), id);
    assert_eq!(manager.head(), Sequence(4));
    assert_eq!(tenant.read("global", "k").as_deref(), Some("three"));
    assert!(!tenant.exists(&scope("user:7"), &key("k")).unwrap());
}

#[test]
fn a_record_tells_when_its_key_came_to_be_and_when_it_changed() {
    let disk = SimDisk::new();
    let time = clock();
    let mut options = options(disk.vfs());
    options.clock = time.clone();
    let tenant = open_with(options).unwrap().default_tenant().blocking();
    let record = || {
        tenant
            .get_record(&scope("global"), &key("k"))
            .unwrap()
            .unwrap()
    };
    tenant.put("global", "k", "a");
    time.set(5_000);
    tenant.put("global", "k", "b");
    assert_eq!(
        (record().created, record().changed),
        (UnixMs(1_000), UnixMs(5_000))
    );
    // A clock that goes back does not take the commits' times with it.
    time.set(10);
    tenant.remove("global", "k");
    tenant.put("global", "k", "c");
    assert_eq!(
        (record().created, record().changed),
        (UnixMs(5_000), UnixMs(5_000))
    );
    assert_eq!(record().sequence, Sequence(4));
}

#[test]
fn a_batch_is_one_commit_and_its_last_change_of_a_key_wins() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "gone", "x");
    let mut batch = Batch::new();
    let (global, user) = (scope("global"), scope("user:1"));
    batch.set(&global, &key("a"), Value::bytes("1"));
    batch.delete(&global, &key("gone"));
    batch.set(&user, &key("a"), Value::bytes("2"));
    batch.set(&global, &key("a"), Value::bytes("3"));
    batch.durability(Durability::Relaxed);
    assert_eq!(tenant.commit(batch).unwrap(), Sequence(2));
    assert_eq!(tenant.read("global", "a").as_deref(), Some("3"));
    assert_eq!(tenant.read("user:1", "a").as_deref(), Some("2"));
    assert_eq!(tenant.read("global", "gone"), None);
    let keys = [key("a"), key("gone")];
    let values = tenant.get_many(&global, &keys).unwrap();
    assert_eq!(
        values.into_iter().map(text).collect::<Vec<_>>(),
        [Some("3".into()), None]
    );
    // Nothing to change: no commit.
    let mut nothing = Batch::new();
    nothing.delete(&global, &key("gone"));
    assert_eq!(tenant.commit(nothing).unwrap(), Sequence(2));
    assert_eq!(tenant.commit(Batch::new()).unwrap(), Sequence(2));
}

#[test]
fn tenants_do_not_see_each_other_and_keep_their_numbers() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenants: Vec<_> = ["", "acme", "bolt"]
        .map(|name| manager.tenant(name).unwrap().blocking())
        .into();
    assert_eq!(tenants[1].read("global", "k"), None);
    assert_eq!(tenants[1].remove("global", "k"), None);
    assert_eq!(manager.info().unwrap().tenants, 0);
    for tenant in &tenants {
        tenant.put("global", "k", tenant.name());
    }
    manager.close().unwrap();
    let manager = open(&disk);
    for name in ["bolt", "acme", ""] {
        let tenant = manager.tenant(name).unwrap().blocking();
        assert_eq!(tenant.read("global", "k").as_deref(), Some(name));
    }
    assert_eq!(manager.info().unwrap().tenants, 2);
    assert!(manager.tenant("a\0b").is_err());
}

#[test]
fn after_close_everything_answers_closed() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "k", "v");
    manager.close().unwrap();
    manager.close().unwrap();
    let (global, k) = (scope("global"), key("k"));
    let kinds = [
        tenant.get(&global, &k).unwrap_err().kind(),
        tenant
            .set(&global, &k, Value::bytes(""), SetOptions::default())
            .unwrap_err()
            .kind(),
        tenant
            .delete(&global, &k, SetOptions::default())
            .unwrap_err()
            .kind(),
        tenant.commit(Batch::new()).unwrap_err().kind(),
        tenant
            .list(&global, &Default::default())
            .unwrap_err()
            .kind(),
        tenant.list_scopes(&Default::default()).unwrap_err().kind(),
        tenant.clear_scope(&global).unwrap_err().kind(),
        manager.flush().unwrap_err().kind(),
        manager.info().unwrap_err().kind(),
    ];
    assert!(
        kinds.iter().all(|kind| *kind == ErrorKind::Closed),
        "{kinds:?}"
    );
    // The lock is free although handles live on.
    assert_eq!(
        open(&disk)
            .default_tenant()
            .blocking()
            .read("global", "k")
            .as_deref(),
        Some("v")
    );
}

#[test]
fn limits_are_named_and_nothing_is_written() {
    let disk = SimDisk::new();
    let mut options = options(disk.vfs());
    options.limits.value_bytes_max = 10;
    options.limits.batch_ops_max = 2;
    options.limits.batch_bytes_max = 150;
    options.limits.page_keys_max = 3;
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    let (global, k) = (scope("global"), key("k"));
    let long = tenant.set(
        &global,
        &k,
        Value::bytes("12345678901"),
        SetOptions::default(),
    );
    let error = long.unwrap_err();
    assert_eq!(
        error.to_string(),
        "value of 11 exceeds the limit limits.value_bytes_max = 10"
    );
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let batch_of = |n: usize, value: &str| {
        let mut batch = Batch::new();
        for at in 0..n {
            batch.set(&global, &key(&at.to_string()), Value::bytes(value));
        }
        tenant.commit(batch)
    };
    let error = batch_of(3, "").unwrap_err();
    assert!(
        error.to_string().contains("limits.batch_ops_max = 2"),
        "{error}"
    );
    batch_of(2, "").unwrap();
    let mut wide = Batch::new();
    let far = key(&"k".repeat(120));
    wide.set(&global, &far, Value::bytes("0123456789"));
    let error = tenant.commit(wide).unwrap_err();
    assert!(
        error.to_string().contains("limits.batch_bytes_max = 150"),
        "{error}"
    );
    let error = tenant.get_many(&global, &vec![k.clone(); 4]).unwrap_err();
    assert!(
        error.to_string().contains("limits.page_keys_max = 3"),
        "{error}"
    );
    assert_eq!(manager.head(), Sequence(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_and_blocking_calls_work_within_a_runtime() {
    let disk = SimDisk::new();
    let manager = open(&disk);
    let tenant = manager.tenant("acme").unwrap();
    let (global, k) = (scope("global"), key("k"));
    tenant
        .set(
            &global,
            &k,
            Value::json("[1]").unwrap(),
            SetOptions::default(),
        )
        .await
        .unwrap();
    assert_eq!(
        tenant.blocking().read("global", "k").as_deref(),
        Some("[1]")
    );
    tenant.blocking().put("global", "k", "2");
    assert_eq!(
        text(tenant.get(&global, &k).await.unwrap()).as_deref(),
        Some("2")
    );
    assert!(tenant.exists(&global, &k).await.unwrap());
    let deleted = tenant
        .delete(&global, &k, SetOptions::default())
        .await
        .unwrap();
    assert_eq!(deleted, Some(Sequence(3)));
    assert_eq!(tenant.get_record(&global, &k).await.unwrap(), None);
    tenant.flush().await.unwrap();
}

/// Plugins of which some may be missing.
struct Installed {
    backends: Option<Arc<TestPlugins>>,
    has_codec: bool,
}

impl Plugins for Installed {
    fn open_backend(&self, name: &str, config: &BackendConfig) -> Result<Arc<dyn Backend>> {
        match &self.backends {
            Some(plugins) => plugins.open_backend(name, config),
            None => Err(Error::other(ErrorKind::NotFound, "there is no backend")),
        }
    }

    fn codec(&self, _name: &str) -> Result<Arc<dyn Codec>> {
        match self.has_codec {
            true => Ok(Arc::new(OneByte)),
            false => Err(Error::other(ErrorKind::NotFound, "there is no codec")),
        }
    }
}

/// Packs what is one byte again and again.
struct OneByte;

impl Codec for OneByte {
    fn name(&self) -> &str {
        "one-byte"
    }

    fn compress(&self, _level: Option<i32>, src: &[u8], out: &mut Vec<u8>) -> Result<()> {
        *out = src[..1].to_vec();
        Ok(())
    }

    fn decompress(&self, src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<()> {
        *out = vec![src[0]; raw_len];
        Ok(())
    }
}

/// "Not found" of a plugin would be read as "no such key" and "no such state" by a caller that goes by
/// the kind of an error.
#[test]
fn what_is_stored_is_not_missing_because_its_plugin_is() {
    let disk = SimDisk::new();
    let open = |has_backends: bool, has_codec| {
        let backends = has_backends.then(|| TestPlugins::shared(disk.vfs()));
        let plugins = Arc::new(Installed {
            backends,
            has_codec,
        });
        StateManager::open(options(disk.vfs()), plugins)
    };
    let name = (scope("global"), key("k"));
    let manager = open(true, true).unwrap();
    let archived = SetOptions {
        class: Some(Class::Archive),
        ..SetOptions::default()
    };
    let tenant = manager.default_tenant().blocking();
    let value = Value::bytes([b'a'; 500]);
    tenant.set(&name.0, &name.1, value, archived).unwrap();
    manager.close().unwrap();
    drop((tenant, manager));

    let refused = Err(ErrorKind::Plugin);
    assert_eq!(open(false, true).map(drop).map_err(|e| e.kind()), refused);
    let manager = open(true, false).unwrap();
    let read = manager.default_tenant().blocking().get(&name.0, &name.1);
    assert_eq!(read.map(drop).map_err(|e| e.kind()), refused);
}
