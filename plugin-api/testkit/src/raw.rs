//! An instance behind a descriptor, as a host holds it.

use std::fmt;
use std::ptr::{self, null_mut};

use statekeep_plugin_api::{
    Bytes, Descriptor, EPOCH, ErrorOut, Host, Instance, Interface, MAGIC, OutBuf, Status,
};

use crate::host::TestHost;

/// A call that did not answer OK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it answered.
    pub status: Status,
    /// The text in its error.
    pub text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\"", self.status.name(), self.text)
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> String {
        format!("the call answered {failure}")
    }
}

/// Memory for an error's text, and the struct that points to it.
pub(crate) struct ErrorText {
    memory: Vec<u8>,
    pub(crate) raw: ErrorOut,
}

impl ErrorText {
    pub(crate) fn new() -> ErrorText {
        let mut memory = vec![0; 1024];
        let raw = ErrorOut {
            status: Status::OK,
            os_error: 0,
            message: OutBuf {
                ptr: memory.as_mut_ptr(),
                cap: memory.len(),
                len: 0,
            },
        };
        ErrorText { memory, raw }
    }

    /// The failure that a call with this error reported.
    pub(crate) fn failure(&self, status: Status) -> Failure {
        let len = self.raw.message.len.min(self.memory.len());
        Failure {
            status,
            text: String::from_utf8_lossy(&self.memory[..len]).into_owned(),
        }
    }

    pub(crate) fn result(&self, status: Status) -> Result<(), Failure> {
        match status {
            Status::OK => Ok(()),
            status => Err(self.failure(status)),
        }
    }
}

/// A living instance; dropping it destroys it.
pub struct Live {
    descriptor: &'static Descriptor,
    instance: *mut Instance,
    // The instance keeps pointers to both until it is destroyed.
    services: Box<TestHost>,
    _host: Box<Host>,
}

// SAFETY: the ABI lets any thread call an instance, at the same time.
unsafe impl Send for Live {}
// SAFETY: as above.
unsafe impl Sync for Live {}

impl Live {
    /// Makes an instance.
    ///
    /// # Errors
    /// What `create` answered; also when it broke its own rules.
    pub fn open(descriptor: &'static Descriptor, config_json: &str) -> Result<Live, Failure> {
        let broken = |text: String| Failure {
            status: Status::PLUGIN,
            text,
        };
        if descriptor.magic != MAGIC || descriptor.epoch != EPOCH {
            let text = "the descriptor has another magic number or epoch".to_owned();
            return Err(broken(text));
        }
        let services = Box::<TestHost>::default();
        let host = Box::new(services.table());
        let mut error = ErrorText::new();
        let mut instance = null_mut();
        // The text is scribbled over after the call: an instance must not keep it.
        let mut config = config_json.as_bytes().to_vec();
        // SAFETY: the descriptor is a plugin's, host and services outlive the instance, and the
        // rest outlives the call.
        let status = unsafe {
            let config = Bytes::new(&config);
            (descriptor.create)(&raw const *host, config, &mut instance, &mut error.raw)
        };
        config.fill(b'#');
        if status != Status::OK {
            return match instance.is_null() {
                true => Err(error.failure(status)),
                false => Err(broken(format!(
                    "create answered {} and wrote its output all the same",
                    status.name()
                ))),
            };
        }
        if instance.is_null() {
            return Err(broken("create answered OK and made no instance".to_owned()));
        }
        Ok(Live {
            descriptor,
            instance,
            services,
            _host: host,
        })
    }

    /// The handle to pass to the tables.
    pub fn instance(&self) -> *const Instance {
        self.instance
    }

    /// What the plugin told its host.
    pub fn host(&self) -> &TestHost {
        &self.services
    }

    /// The table of an interface that the plugin must offer.
    ///
    /// # Errors
    /// When it is absent or of another layout.
    pub fn table<T: Interface>(&self) -> Result<&'static T, Failure> {
        // SAFETY: the id lives through the call.
        let table = unsafe { (self.descriptor.get_interface)(Bytes::new(T::ID.as_bytes())) };
        let broken = |text: String| Failure {
            status: Status::INCOMPATIBLE,
            text,
        };
        if table.is_null() {
            return Err(broken(format!("the plugin does not offer {}", T::ID)));
        }
        // SAFETY: by `Interface`, every table starts with these two words.
        let (size, hash) = unsafe {
            (
                table.cast::<usize>().read(),
                table.cast::<u64>().add(1).read(),
            )
        };
        if size != size_of::<T>() || hash != T::ABI_HASH {
            let text = format!("the table of {} has size {size}, hash {hash:#x}", T::ID);
            return Err(broken(text));
        }
        // SAFETY: size and fingerprint are those of `T`; tables are static.
        Ok(unsafe { &*table.cast::<T>() })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let instance = std::mem::replace(&mut self.instance, ptr::null_mut());
        // SAFETY: made by `create`, ended once, and no call is running since we own it.
        unsafe { (self.descriptor.destroy)(instance) }
    }
}
