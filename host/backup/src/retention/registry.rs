//! The policies that a program registers as functions, and where a rule's policies come from: these
//! first, then plugins.
//!
//! No lock is held while a function runs, and none runs once its removal has returned.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use serde_json::{Map, Value};
use statekeep_core::{
    BackupFacts, Circumstances, Error, ErrorKind, Plugins, Result, RetentionPolicy, Vote,
};

use super::rule::Choice;
use super::timed::{Guarded, Late, Timed};
use crate::manager::BackupManager;

/// Most policies that a program registers on one manager.
pub const CALLBACKS_MAX: usize = 64;

/// A policy as a function: the backups of one series, oldest first; the circumstances; and the options
/// beside the policy's name in the rule. It answers one vote a backup, in their order. An error or a
/// panic fails the evaluation, and nothing is deleted then. It runs on a thread of its own, also
/// several times at once, and should be a pure function.
pub type PolicyFn = dyn Fn(&Arc<[BackupFacts]>, &Arc<Circumstances>, &Map<String, Value>) -> Result<Vec<Vote>>
    + Send
    + Sync;

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a registered policy.
pub fn is_inside_policy() -> bool {
    IS_INSIDE.get()
}

/// Where the policies of one manager come from.
#[derive(Default)]
pub(crate) struct Policies {
    registered: Mutex<BTreeMap<String, Arc<Registered>>>,
    late: Arc<Late>,
}

struct Registered {
    name: String,
    calls: Mutex<Calls>,
    idle: Condvar,
}

struct Calls {
    /// `None` once it is being removed.
    function: Option<Arc<PolicyFn>>,
    running: usize,
}

impl Policies {
    fn register(&self, name: &str, function: Arc<PolicyFn>, plugins: &dyn Plugins) -> Result<()> {
        let taken = |by: &str| {
            let message = format!("a {by} has the name `{name}` already; choose another");
            Err(Error::other(ErrorKind::AlreadyExists, message))
        };
        if name.contains('.') {
            let reason = format!("`{name}`: names with a dot are ids of plugins");
            return Err(Error::invalid("policy name", reason));
        }
        if plugins.has_retention(name)? {
            return taken("plugin");
        }
        let mut registered = self.registered.lock();
        if registered.contains_key(name) {
            return taken("registered policy");
        }
        if registered.len() >= CALLBACKS_MAX {
            return Err(Error::TooLarge {
                what: "number of registered policies",
                actual: registered.len() as u64 + 1,
                limit_name: "CALLBACKS_MAX",
                limit: CALLBACKS_MAX as u64,
            });
        }
        let entry = Registered {
            name: name.to_owned(),
            calls: Mutex::new(Calls {
                function: Some(function),
                running: 0,
            }),
            idle: Condvar::new(),
        };
        registered.insert(name.to_owned(), Arc::new(entry));
        Ok(())
    }

    fn unregister(&self, name: &str) -> Result<()> {
        if is_inside_policy() {
            let message = format!(
                "policy {name} cannot be removed from inside a policy, which it would wait for"
            );
            return Err(Error::other(ErrorKind::Reentrant, message));
        }
        let found = self.registered.lock().get(name).cloned();
        let missing = || {
            let message = format!("no policy `{name}` is registered");
            Error::other(ErrorKind::NotFound, message)
        };
        let entry = found.ok_or_else(missing)?;
        let mut calls = entry.calls.lock();
        let function = calls.function.take().ok_or_else(missing)?;
        while calls.running > 0 {
            entry.idle.wait(&mut calls);
        }
        drop(calls);
        // Nobody else is taking it out: the function was here.
        self.registered.lock().remove(name);
        // What ends with it is the caller's code, so no lock is held.
        drop(function);
        Ok(())
    }

    /// The policy of a choice, guarded.
    ///
    /// # Errors
    /// That there is none of the name, and what a plugin refuses of its options.
    pub(super) fn open(
        &self,
        choice: &Choice,
        plugins: &Arc<dyn Plugins>,
        limit: Duration,
    ) -> Result<Arc<dyn RetentionPolicy>> {
        let guarded = Guarded::new(&choice.policy, limit, &self.late);
        let registered = self.registered.lock().get(&choice.policy).cloned();
        let options = choice.options.clone();
        let policy: Arc<dyn RetentionPolicy> = match registered {
            Some(registered) => Arc::new(Called {
                registered,
                options,
            }),
            None => {
                let (name, plugins) = (choice.policy.clone(), Arc::clone(plugins));
                guarded.run(move || find(&name, &options, plugins.as_ref()))?
            }
        };
        Ok(Arc::new(Timed::new(guarded, policy)))
    }
}

fn find(
    name: &str,
    options: &Map<String, Value>,
    plugins: &dyn Plugins,
) -> Result<Arc<dyn RetentionPolicy>> {
    plugins.retention(name, options).map_err(|error| {
        if matches!(plugins.has_retention(name), Ok(true)) {
            return error;
        }
        let message = format!("nobody registered it in this program, and as a plugin: {error}");
        Error::other(error.kind(), message)
    })
}

/// A registered policy with the options of one choice.
struct Called {
    registered: Arc<Registered>,
    options: Map<String, Value>,
}

/// A call that runs; its end is told however it comes.
struct Running<'a> {
    registered: &'a Registered,
    function: Option<Arc<PolicyFn>>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        IS_INSIDE.set(false);
        // Before the end is told: who waits for it has the last reference then.
        self.function = None;
        self.registered.calls.lock().running -= 1;
        self.registered.idle.notify_all();
    }
}

impl RetentionPolicy for Called {
    fn name(&self) -> &str {
        &self.registered.name
    }

    fn evaluate(
        &self,
        backups: &Arc<[BackupFacts]>,
        circumstances: &Arc<Circumstances>,
    ) -> Result<Vec<Vote>> {
        let function = {
            let mut calls = self.registered.calls.lock();
            let Some(function) = calls.function.clone() else {
                let message = "it was removed meanwhile";
                return Err(Error::other(ErrorKind::Closed, message));
            };
            calls.running += 1;
            function
        };
        let running = Running {
            registered: &self.registered,
            function: Some(function),
        };
        IS_INSIDE.set(true);
        match &running.function {
            Some(function) => function(backups, circumstances, &self.options),
            None => Ok(Vec::new()),
        }
    }
}

impl BackupManager {
    /// Registers a policy of the program's own, which rules then name like a plugin:
    /// `{"policy": NAME, OPTION: VALUE}`. It stays until it is removed or the manager ends.
    ///
    /// # Errors
    /// `AlreadyExists` for a name that a registered policy or a plugin has, `InvalidArgument` for one
    /// that is no short name of a plugin, `TooLarge` beyond [`CALLBACKS_MAX`].
    pub fn register_policy(&self, name: &str, function: Arc<PolicyFn>) -> Result<()> {
        self.policies.register(name, function, self.plugins())
    }

    /// Removes a registered policy; returns when no call of it is running. Rules that name it fail from
    /// then on, and delete nothing.
    ///
    /// # Errors
    /// `NotFound`, and `Reentrant` from inside a policy.
    pub fn unregister_policy(&self, name: &str) -> Result<()> {
        self.policies.unregister(name)
    }
}
