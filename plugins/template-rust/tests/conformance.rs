//! The template passes what every plugin must pass: copy this with it.

use statekeep_plugin_testkit::{backend, codec, hook, retention};

#[test]
fn the_codec_conforms() {
    let subject = codec::Subject::new(statekeep_template_rust::descriptor());
    codec::run(&subject.without_checksum());
}

#[test]
fn the_backend_conforms() {
    backend::run(&backend::Subject::new(statekeep_template_rust::descriptor()));
}

#[test]
fn the_policy_conforms() {
    let policy = retention::Subject::new(statekeep_template_rust::descriptor());
    retention::run(&policy);
    let two = policy.options(r#"{"keep": 2}"#).open().unwrap();
    let verdicts = two.verdicts(&retention::daily(3)).unwrap();
    assert_eq!(verdicts, ["forget", "keep", "keep"]);
}

#[test]
fn the_hook_conforms() {
    let subject = hook::Subject::new(statekeep_template_rust::descriptor());
    hook::run(&subject);
    let hook = subject.options(r#"{"protected": "law/"}"#).open().unwrap();
    assert_eq!(
        hook.before_set("law/1", b"1").unwrap(),
        "veto: the key law/1 is protected"
    );
    assert_eq!(hook.before_set("other", b"1").unwrap(), "continue");
}
