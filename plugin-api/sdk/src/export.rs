//! What [`export_plugin!`](crate::export_plugin) builds on: descriptor, manifest and the doors.

use std::ffi::c_void;

use statekeep_plugin_api as api;
use statekeep_plugin_api::{Bytes, Descriptor, ErrorOut, Instance, Interface, Status};

use crate::guard::{self, Slot};
use crate::{Config, Host, Plugin, memory};

pub use statekeep_plugin_api::door;

/// The kind `compression` of [`export_plugin!`](crate::export_plugin).
pub mod compression {
    pub use crate::compression::table;
    pub use statekeep_plugin_api::CompressionV1 as Table;
}
/// The kind `backend` of [`export_plugin!`](crate::export_plugin).
pub mod backend {
    pub use crate::backend::table;
    pub use statekeep_plugin_api::BackendV1 as Table;
}
/// The kind `retention` of [`export_plugin!`](crate::export_plugin).
pub mod retention {
    pub use crate::retention::table;
    pub use statekeep_plugin_api::RetentionV1 as Table;
}
/// The kind `hook` of [`export_plugin!`](crate::export_plugin).
pub mod hook {
    pub use crate::hook::table;
    pub use statekeep_plugin_api::HookV1 as Table;
}

/// One interface that a plugin offers.
#[derive(Copy, Clone, Debug)]
pub struct Offer {
    id: &'static str,
    table: *const c_void,
}

/// The offer of a static table.
pub const fn offer<I: Interface>(table: &'static I) -> Offer {
    Offer {
        id: I::ID,
        table: (table as *const I).cast(),
    }
}

/// What the macro says of a plugin type.
pub trait Offers: Plugin {
    /// Its descriptor, one static.
    const DESCRIPTOR: &'static Descriptor;
    /// Its interfaces.
    const OFFERS: &'static [Offer];
}

/// The value of the descriptor.
pub const fn descriptor<T: Offers>() -> Descriptor {
    assert!(is_id(T::ID), "ID must be 1-128 bytes of a-z 0-9 . - _");
    Descriptor {
        magic: api::MAGIC,
        struct_size: size_of::<Descriptor>(),
        epoch: api::EPOCH,
        revision: api::REVISION,
        id: Bytes::new(T::ID.as_bytes()),
        version: Bytes::new(T::VERSION.as_bytes()),
        license: Bytes::new(T::LICENSE.as_bytes()),
        description: Bytes::new(T::DESCRIPTION.as_bytes()),
        create: create::<T>,
        destroy: destroy::<T>,
        get_interface: get_interface::<T>,
    }
}

const fn is_id(id: &str) -> bool {
    let id = id.as_bytes();
    let mut i = 0;
    while i < id.len() {
        if !matches!(id[i], b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_') {
            return false;
        }
        i += 1;
    }
    !id.is_empty() && id.len() <= 128
}

unsafe extern "C" fn create<T: Plugin>(
    host: *const api::Host,
    config_json: Bytes,
    out: *mut *mut Instance,
    err: *mut ErrorOut,
) -> Status {
    // SAFETY: the host passes its table, valid until `destroy` has returned, and memory that is
    // valid for the call.
    unsafe {
        guard::open(err, || {
            let out = out.as_mut().ok_or_else(|| memory::null("out"))?;
            let host = Host::from_raw(host)?;
            let config = Config::from_json(memory::bytes(config_json, "config_json")?)?;
            let plugin = T::create(host.clone(), &config)?;
            *out = Slot::open(plugin, host);
            Ok(())
        })
    }
}

unsafe extern "C" fn destroy<T: Plugin>(instance: *mut Instance) {
    // SAFETY: the host gives back what `create` made, once.
    unsafe { guard::close::<T>(instance) }
}

unsafe extern "C" fn get_interface<T: Offers>(id: Bytes) -> *const c_void {
    // SAFETY: the host passes an id that is readable for the call.
    let Ok(id) = (unsafe { memory::bytes(id, "id") }) else {
        return std::ptr::null();
    };
    T::OFFERS
        .iter()
        .find(|offer| offer.id.as_bytes() == id)
        .map_or(std::ptr::null(), |offer| offer.table)
}

/// Length of [`manifest`].
pub const fn manifest_len<T: Offers>() -> usize {
    write_manifest::<T>(&mut [])
}

/// The bytes of the ELF section; their form is in [`api::manifest`].
pub const fn manifest<T: Offers, const N: usize>() -> [u8; N] {
    assert!(N <= api::manifest::BYTES_MAX, "the manifest is too long");
    let mut out = [0; N];
    write_manifest::<T>(&mut out);
    out
}

/// Writes what fits and answers the length of the whole.
const fn write_manifest<T: Offers>(out: &mut [u8]) -> usize {
    let mut at = 0;
    at = line(out, at, api::manifest::HEAD, "");
    at = number(out, at, "epoch=", api::EPOCH);
    at = number(out, at, "revision=", api::REVISION);
    at = line(out, at, "id=", T::ID);
    at = line(out, at, "version=", T::VERSION);
    at = line(out, at, "license=", T::LICENSE);
    let mut i = 0;
    while i < T::OFFERS.len() {
        at = line(out, at, "interface=", T::OFFERS[i].id);
        i += 1;
    }
    at
}

const fn line(out: &mut [u8], at: usize, name: &str, value: &str) -> usize {
    let at = bytes(out, at, name.as_bytes());
    let at = bytes(out, at, value.as_bytes());
    bytes(out, at, &[0])
}

const fn number(out: &mut [u8], at: usize, name: &str, value: u32) -> usize {
    let mut at = bytes(out, at, name.as_bytes());
    let mut unit = 1_000_000_000;
    while unit > 0 {
        if value >= unit || unit == 1 {
            at = bytes(out, at, &[b'0' + (value / unit % 10) as u8]);
        }
        unit /= 10;
    }
    bytes(out, at, &[0])
}

const fn bytes(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let mut i = 0;
    while i < bytes.len() {
        if at + i < out.len() {
            out[at + i] = bytes[i];
        }
        i += 1;
    }
    at + bytes.len()
}

/// Makes a plugin of a type: `export_plugin!(MyType: compression, retention);`
///
/// Emits `pub fn descriptor() -> &'static Descriptor` for registration by a host that links the
/// crate. With the feature `export` of the *plugin's* crate also the two symbols and the manifest
/// section of a library to be loaded; a crate that is linked statically must not have it on, since
/// two plugins would define the same symbols.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty: $($kind:ident),+ $(,)?) => {
        /// The plugin's descriptor, for static registration in a host.
        pub fn descriptor() -> &'static $crate::api::Descriptor {
            <$plugin as $crate::export::Offers>::DESCRIPTOR
        }

        const _: () = {
            static DESCRIPTOR: $crate::api::Descriptor = $crate::export::descriptor::<$plugin>();

            impl $crate::export::Offers for $plugin {
                const DESCRIPTOR: &'static $crate::api::Descriptor = &DESCRIPTOR;
                const OFFERS: &'static [$crate::export::Offer] = &[$({
                    static TABLE: $crate::export::$kind::Table =
                        $crate::export::$kind::table::<$plugin>();
                    $crate::export::offer(&TABLE)
                }),+];
            }

            #[cfg(feature = "export")]
            #[allow(unsafe_code, reason = "the two symbols and the section of the plugin ABI")]
            const _: () = {
                impl $crate::export::door::Exported for $plugin {
                    const DESCRIPTOR: &'static $crate::api::Descriptor = &DESCRIPTOR;
                    const ROWS: &'static [$crate::export::door::InterfaceLayout] =
                        &[$($crate::export::door::row::<$crate::export::$kind::Table>()),+];
                }

                #[used]
                #[unsafe(link_section = ".statekeep")]
                static MANIFEST: [u8; $crate::export::manifest_len::<$plugin>()] =
                    $crate::export::manifest::<$plugin, { $crate::export::manifest_len::<$plugin>() }>();

                // The name is `statekeep_plugin_api::ENTRY_SYMBOL`.
                #[unsafe(export_name = "statekeep_plugin_entry_1")]
                extern "C" fn entry() -> *const $crate::api::Descriptor {
                    &DESCRIPTOR
                }

                // The name is `statekeep_plugin_api::door::HEADER_SYMBOL`.
                #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
                static HEADER: $crate::export::door::Header =
                    $crate::export::door::header::<$plugin>();
            };
        };
    };
}
