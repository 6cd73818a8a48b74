//! What users rely on when they write settings: names, ranges, sources, and that nothing is ignored.

use super::*;

fn message(result: Result<impl std::fmt::Debug>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn every_default_is_allowed_by_its_own_row() {
    for key in Config::keys() {
        if let Some(text) = key.default {
            assert!(value::parse(key, text).is_ok(), "{}", key.name);
        } else {
            assert!(
                !key.unset.is_empty(),
                "{} says nothing about being unset",
                key.name
            );
        }
    }
    let config = Config::default();
    assert_eq!(config.backend(), "fjall");
    assert_eq!(config.durability(), Durability::Sync);
    assert_eq!(
        config.flush_interval_ms(),
        statekeep_core::FLUSH_INTERVAL_MS
    );
    assert_eq!(config.limits(), Limits::default());
    assert_eq!(config.keep(), Keep::default());
    assert_eq!(config.cache_bytes(), statekeep_core::CACHE_BYTES);
    let interval = statekeep_core::UPKEEP_INTERVAL_MS;
    assert_eq!(config.upkeep_interval_ms(), interval);
    assert_eq!(config.backup_hold_ms(), statekeep_core::BACKUP_HOLD_MS);
    assert_eq!(config.backup_chain_max(), statekeep_backup::CHAIN_DEFAULT);
    assert!(!config.backup_incremental() && !config.backup_history());
    assert!(config.rules().is_empty());
    assert!(config.create());
    assert!(config.backend_options().is_empty());
    assert_eq!(
        (config.backup_codec(), config.backup_level()),
        ("zstd".to_owned(), None)
    );
    assert_eq!((config.path(), config.backup_dir()), (None, None));
    assert!(message(config.check()).contains("`path` is not set"));
    let config = Config::new("/s");
    assert_eq!(config.backup_dir(), Some(PathBuf::from("/s/backups")));
    config.check().unwrap();
}

#[test]
fn unknown_keys_name_the_nearest_in_every_source() {
    let meant = "did you mean `backup.codec`?";
    assert!(message(Config::from_toml("[backup]\ncodek = \"zstd\"")).contains(meant));
    assert!(message(Config::from_json(r#"{"backup": {"codek": "zstd"}}"#)).contains(meant));
    assert!(message(Config::from_json(r#"{"backup.codek": "zstd"}"#)).contains(meant));
    assert!(message(Config::default().set("backup.codek", "zstd")).contains(meant));
    assert!(message(Config::default().get("backup.codek")).contains(meant));
    let error = message(
        Config::default().apply_variables([("STATEKEEP_BACKUP_CODEC".into(), "zstd".into())]),
    );
    assert!(
        error.contains("did you mean `STATEKEEP_BACKUP__CODEC`?"),
        "{error}"
    );
}

#[test]
fn values_out_of_range_name_key_value_and_what_is_allowed() {
    let error = message(Config::default().set("flush_interval_ms", "0"));
    assert_eq!(
        error,
        "invalid configuration: `flush_interval_ms` = 0 is not allowed; allowed: a whole number \
         from 1 to 60000 milliseconds"
    );
    for (key, text) in [
        ("flush_interval_ms", "1.5"),
        ("flush_interval_ms", "99999999999999999999999"),
        ("durability", "FULL"),
        ("create", "yes"),
        ("backend", "../fjall"),
        ("backend", ""),
        ("path", "a\0b"),
        ("path", ""),
        ("backend_options", "[1]"),
        ("plugins.paths", "[1]"),
        ("backup.level", "23"),
    ] {
        let error = Config::default().set(key, text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{key}={text}");
        assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
    }
    // A number where a text belongs, a date, a null.
    for text in [
        "path = 1",
        "create = 1",
        "flush_interval_ms = 2020-01-01",
        "backup = 1",
    ] {
        assert!(Config::from_toml(text).is_err(), "{text}");
    }
    assert!(Config::from_json(r#"{"path": null}"#).is_err());
    assert!(Config::from_json("[]").is_err());
    assert!(Config::from_json(&"[".repeat(100_000)).is_err());
    assert!(Config::from_json(&r#"{"backup":"#.repeat(100_000)).is_err());
}

#[test]
fn promised_names_count_and_those_of_later_features_are_refused_by_name() {
    let config = Config::from_toml(
        "backend_type = \"sled\"\n[backup]\nbackup_dir = \"/b\"\ncompression_type = \"gzip\"\n\
         compression_level = 3\nincremental_enabled = true\n",
    )
    .unwrap();
    assert_eq!(
        (config.backend(), config.backup_codec()),
        ("sled".into(), "gzip".into())
    );
    assert_eq!(config.backup_level(), Some(3));
    assert!(config.backup_incremental());
    assert_eq!(config.backup_dir(), Some(PathBuf::from("/b")));
    let seed =
        "[backup]\nevery = \"6h\"\nfull_backup_interval = 604800\nincremental_enabled = true";
    let config = Config::from_toml(seed).unwrap();
    let schedule = config.backup_schedule().unwrap().unwrap();
    assert_eq!(schedule.when, statekeep_backup::When::EveryMs(21_600_000));
    assert_eq!(schedule.full_every_ms, Some(604_800_000));
    assert_eq!(
        Config::from_toml("").unwrap().backup_schedule().unwrap(),
        None
    );
    let both = "[backup]\ndir = \"/a\"\nbackup_dir = \"/b\"";
    assert!(message(Config::from_toml(both)).contains("both set `backup.dir`"));
}

#[test]
fn relative_paths_in_a_file_are_relative_to_it_and_a_bad_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("statekeep.toml");
    let text = "path = \"state\"\n[backup]\ndir = \"/abs\"\n[plugins]\npaths = [\"p\", \"/q\"]\n\
                lock = \"../plugins.lock\"";
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&file).unwrap();
    assert_eq!(config.path(), Some(dir.path().join("state")));
    assert_eq!(config.backup_dir(), Some(PathBuf::from("/abs")));
    assert_eq!(
        config.plugins_paths(),
        [dir.path().join("p"), PathBuf::from("/q")]
    );
    assert_eq!(
        config.plugins_lock(),
        Some(dir.path().join("../plugins.lock"))
    );
    assert_eq!(config.source("path").unwrap(), Source::File(file.clone()));

    std::fs::write(&file, "create = false\nnope = 1").unwrap();
    let mut config = Config::new("/s");
    let error = message(config.add_file(&file));
    assert!(
        error.contains("statekeep.toml: unknown key `nope`"),
        "{error}"
    );
    assert!(config.create());
    let endless = Config::load("/dev/zero").unwrap_err();
    assert_eq!(endless.kind(), ErrorKind::TooLarge);
    std::fs::write(&file, format!("a = {}", "[".repeat(100_000))).unwrap();
    assert!(Config::load(&file).is_err());
    std::fs::write(&file, format!("{}a = 1", "a.".repeat(100_000))).unwrap();
    assert!(Config::load(&file).is_err());
    let missing = Config::load(dir.path().join("none.toml")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[test]
fn the_environment_counts_and_leaves_strangers_alone() {
    let mut config = Config::default();
    let ignored = config
        .apply_variables([
            ("STATEKEEP_PATH".into(), "/s".into()),
            ("STATEKEEP_BACKUP__CODEC".into(), "lz4".into()),
            ("STATEKEEP_PLUGINS__PATHS".into(), "/a:/b".into()),
            (
                "STATEKEEP_BACKEND_OPTIONS__CACHE_BYTES".into(),
                "1024".into(),
            ),
            ("STATEKEEP_CONFIG".into(), "x.toml".into()),
            ("STATEKEEP_PORT_80_TCP_ADDR".into(), "10.0.0.1".into()),
            ("OTHER".into(), "1".into()),
        ])
        .unwrap();
    assert_eq!(ignored, ["STATEKEEP_PORT_80_TCP_ADDR"]);
    assert_eq!(config.backup_codec(), "lz4");
    assert_eq!(
        config.plugins_paths(),
        [PathBuf::from("/a"), PathBuf::from("/b")]
    );
    assert_eq!(config.backend_options()["cache_bytes"], 1024);
    let error =
        message(config.apply_variables([("STATEKEEP_FLUSH_INTERVAL_MS".into(), "soon".into())]));
    assert!(
        error.contains("variable `STATEKEEP_FLUSH_INTERVAL_MS`"),
        "{error}"
    );
}

#[test]
fn toml_reads_back_as_the_same_configuration() {
    let mut config = Config::new("/tmp/a \"b\"\\c\n\u{e9}");
    for (key, text) in [
        ("backup.level", "-5"),
        ("plugins.paths", "/a:/b"),
        ("backend_options.cache_bytes", "4096"),
        ("backend_options.mode", "fast # not a comment"),
        (
            "backend_options.nested",
            r#"{"a": [1, true, "x"], "b c": {}}"#,
        ),
        ("durability", "relaxed"),
        ("create", "false"),
        ("limits.page_keys_max", "10"),
    ] {
        config.set(key, text).unwrap();
    }
    assert_eq!(
        Config::from_toml(&config.to_toml().unwrap()).unwrap(),
        config
    );
    let shown = config.to_toml_commented();
    assert_eq!(Config::from_toml(&shown).unwrap(), config, "{shown}");
    assert_eq!(
        Config::from_toml(&Config::default().to_toml_commented()).unwrap(),
        Config::default()
    );
    assert_ne!(Config::from_toml("").unwrap(), config);
    config.set("backend_options.none", "null").unwrap();
    assert_eq!(config.to_toml().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_secret_counts_and_is_never_shown() {
    let mut config = Config::new("/s");
    config.set("backup.dir", "s3://bucket/app").unwrap();
    config
        .set("backup.s3.secret_access_key", "hush-hush")
        .unwrap();
    config.set("backup.s3.region", "eu-1").unwrap();
    assert_eq!(
        config.backup_s3("secret_access_key").as_deref(),
        Some("hush-hush")
    );
    assert_eq!(config.backup_dir(), Some(PathBuf::from("s3://bucket/app")));
    let toml = config.to_toml().unwrap();
    let shown = [
        toml.clone(),
        config.to_toml_commented(),
        config.to_json().to_string(),
        config
            .get("backup.s3.secret_access_key")
            .unwrap()
            .to_string(),
        format!("{config:?}"),
        message(config.set("backup.s3.secret_access_key", "hush\nhush")),
    ];
    for text in shown {
        assert!(!text.contains("hush"), "{text}");
    }
    assert_eq!(config.to_json()["backup"]["s3"]["region"], "eu-1");
    let again = Config::from_toml(&toml).unwrap();
    assert_eq!(again.backup_s3("region").as_deref(), Some("eu-1"));
    assert_eq!(
        (
            again.backup_s3("secret_access_key"),
            again.backup_is_remote()
        ),
        (None, true)
    );
    let nested = "[backup]\ndir = \"s3://b\"\n[backup.s3]\nsecret_access_key = \"x\"";
    let nested = Config::from_toml(nested).unwrap();
    assert_eq!(nested.backup_s3("secret_access_key").as_deref(), Some("x"));
}

#[test]
fn the_reference_page_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, Config::reference()).unwrap();
    }
    let page = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        page == Config::reference(),
        "make it anew: UPDATE_DOCS=1 cargo test -p statekeep reference"
    );
}

#[test]
fn rules_are_read_checked_and_written_back() {
    let text = r#"
        keep.age_ms = 0
        keep.commits = 1000
        [[rules]]
        scope = "session:*"
        class = "bulk"
        ttl_ms = 60000
        [[rules]]
        key = "status"
        history = { versions = 3 }
    "#;
    let config = Config::from_toml(text).unwrap();
    let rules = config.rules();
    assert_eq!(rules[0].scope.as_deref(), Some("session:*"));
    assert_eq!(rules[0].ttl_ms, Some(60_000));
    assert_eq!(rules[1].history.unwrap().versions, Some(3));
    let keep = Keep {
        age_ms: None,
        commits: Some(1_000),
    };
    assert_eq!(config.keep(), keep);
    for written in [config.to_toml().unwrap(), config.to_toml_commented()] {
        let again = Config::from_toml(&written).unwrap();
        assert_eq!(again.rules(), rules, "{written}");
        assert_eq!(again.keep(), keep);
    }
    for (rule, words) in [
        (r#"[{"scope": "a:*"}]"#, "rule 1: it states no"),
        (r#"[{"ttl": 5}]"#, "unknown field `ttl`"),
        (r#"[{"class": "warm"}]"#, "unknown variant `warm`"),
        ("{}", "expected a sequence"),
    ] {
        let error = message(Config::default().set("rules", rule));
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_schedule_is_an_interval_or_a_time_of_the_day_and_what_is_neither_is_refused() {
    let daily =
        "path = \"/s\"\n[backup]\ndaily_at = \"03:00\"\ntime_zone = \"CET-1CEST,M3.5.0,M10.5.0/3\"";
    let config = Config::from_toml(daily).unwrap();
    config.check().unwrap();
    assert!(config.backup_schedule().unwrap().is_some());
    let again = Config::from_toml(&config.to_toml().unwrap()).unwrap();
    assert_eq!(
        again.backup_schedule().unwrap(),
        config.backup_schedule().unwrap()
    );

    let both = Config::from_toml(&format!("{daily}\nevery = \"1h\"")).unwrap();
    assert!(both.check().unwrap_err().to_string().contains("remove one"));
    for (text, said) in [
        ("every = \"0s\"", "`backup.every`"),
        ("every = \"often\"", "a time from 1s to 3650d"),
        ("every = -1", "`backup.every`"),
        ("interval = \"500ms\"", "`backup.every`"),
        ("daily_at = \"25:00\"", "`HH:MM`"),
        ("daily_at = 3", "`HH:MM`"),
        ("time_zone = \"Atlantis/Capital\"", "`backup.time_zone`"),
        ("jitter = \"2d\"", "a time from 0s to 1d"),
        (
            "full_backup_interval = true",
            "`backup.full_backup_interval`",
        ),
        ("enabled = true", "`backup.every` or `backup.daily_at`"),
    ] {
        let error = message(Config::from_toml(&format!("[backup]\n{text}")));
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn a_schedule_that_can_make_no_incrementals_is_warned_of() {
    let warnings = |more: &str| {
        let text = format!("path = \"/s\"\n{more}");
        Config::from_toml(&text).unwrap().warnings()
    };
    let backup = "[backup]\nevery = \"7d\"\nincremental_enabled = true\n";
    // The past is kept for 30 days anyway, or for ever.
    assert!(warnings(backup).is_empty());
    assert!(warnings(&format!("[keep]\nage_ms = 0\n{backup}")).is_empty());
    for keep in ["age_ms = 1000", "commits = 10"] {
        let told = warnings(&format!("[keep]\n{keep}\n{backup}"));
        assert!(
            told.len() == 1 && told[0].contains("`backup.hold_ms`"),
            "{told:?}"
        );
        let longer = format!("[keep]\n{keep}\n{backup}hold_ms = 1209600000");
        assert!(warnings(&longer).is_empty());
        // Full ones need no past, nor does nobody.
        let full = backup.replace("true", "false");
        assert!(warnings(&format!("[keep]\n{keep}\n{full}")).is_empty());
        assert!(warnings(&format!("[keep]\n{keep}")).is_empty());
    }
}

#[test]
fn an_interval_of_full_backups_without_a_schedule_is_warned_of() {
    let warnings = |more: &str| {
        let text = format!("path = \"/s\"\n[backup]\nfull_backup_interval = \"7d\"\n{more}");
        Config::from_toml(&text).unwrap().warnings()
    };
    let told = warnings("");
    assert!(
        told.len() == 1 && told[0].contains("`backup.every`"),
        "{told:?}"
    );
    assert!(warnings("every = \"1d\"").is_empty());
    assert!(warnings("daily_at = \"03:00\"").is_empty());
}

#[test]
fn retention_is_of_limits_that_hold_together_and_of_policies() {
    let rule = |text: &str| Config::from_toml(text).unwrap().retention().unwrap().rule;
    let json = |rule: Option<statekeep_backup::RetentionRule>| serde_json::to_value(rule).unwrap();
    assert_eq!(rule(""), None);
    let seed = "[backup]\nmax_backups = 10\nmax_backup_age = 2592000";
    let limits = serde_json::json!({ "all": [
        { "policy": "count", "keep": 10 },
        { "policy": "age", "max_age": "2592000000ms" },
    ] });
    assert_eq!(json(rule(seed)), limits);
    let policies = "[retention]\nmode = \"all\"\npolicies = [{ policy = \"count\", keep = 3 }, \
                    { any = [{ policy = \"calendar\", daily = 7 }] }]";
    let group = serde_json::json!({ "all": [{ "all": [
        { "policy": "count", "keep": 3 },
        { "any": [{ "policy": "calendar", "daily": 7 }] },
    ] }] });
    assert_eq!(json(rule(policies)), group);
    let asked = Config::from_toml("[retention]\nstate = true").unwrap();
    assert!(asked.retention().unwrap().state);
    let text = "[retention]\ngrace = \"2d\"\nautomatic = false\npolicy_timeout = \"250ms\"";
    let retention = Config::from_toml(text).unwrap().retention().unwrap();
    assert_eq!(
        (
            retention.grace_ms,
            retention.automatic,
            retention.policy_time_limit_ms
        ),
        (172_800_000, false, 250)
    );
    // Quotes once had a backslash before each, which nobody had written.
    for (key, value, said) in [
        (
            "retention.policies",
            r#"[{"keep": 3}"#,
            r#"`retention.policies` = [{"keep": 3} is not allowed"#,
        ),
        ("backup.codec", r#"a"b\"#, r#"= "a"b\" is not allowed"#),
        ("backup.codec", "a\u{1b}[31m\n", r#"= "a\u{1b}[31m\n" is"#),
        ("a\"b\u{202e}", "1", r#"unknown key `a"b\u{202e}`"#),
    ] {
        let message = message(Config::default().set(key, value));
        assert!(message.contains(said), "{message}");
    }
    for (text, said) in [
        ("policies = [{ keep = 3 }]", "policy"),
        ("policies = [{ any = [] }]", "no members"),
        ("policies = 3", "a list of tables"),
        ("max_age = 1", "retention.max_age"),
    ] {
        let message = message(Config::from_toml(&format!("[retention]\n{text}")));
        assert!(message.contains(said), "{text}: {message}");
    }
}

/// `20G` was refused wherever bytes are set, though rates were written so.
#[test]
fn bytes_may_have_a_unit_wherever_they_are_set() {
    let mut config = Config::from_toml(
        "cache_bytes = \"512M\"\n[retention]\nstorage_bytes_max = \"20GiB\"\n\
         [[rules]]\nkey = \"*\"\nhistory = { bytes = \"1.5K\" }",
    )
    .unwrap();
    assert_eq!(config.cache_bytes(), 512 << 20);
    assert_eq!(config.rules()[0].history.unwrap().bytes, Some(1536));
    assert_eq!(
        config.get("retention.storage_bytes_max").unwrap(),
        20_u64 << 30
    );
    config.set("backup.bytes_per_second_max", "10M").unwrap();
    assert_eq!(config.backup_bytes_per_second_max(), 10 << 20);
    config
        .set_json("limits.value_bytes_max", &serde_json::json!("2m"))
        .unwrap();
    assert_eq!(config.limits().value_bytes_max, 2 << 20);
    for (key, wrong) in [
        ("retention.storage_bytes_max", "20X"),
        ("retention.storage_bytes_max", "0K"),
        ("retention.storage_bytes_max", "20 G"),
        ("limits.page_keys_max", "1K"),
    ] {
        let message = message(config.set(key, wrong));
        assert!(message.contains("a whole number from"), "{message}");
    }
    let message = message(config.set("retention.storage_bytes_max", "many"));
    assert!(message.contains("`512M` or `20GiB`"), "{message}");
}
