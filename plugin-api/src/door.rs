//! The Rust door: an abi_stable root module of a fixed shape, used as a proof at load time only.
//!
//! The root holds the descriptor and one row per interface with the layout that the plugin was
//! built with. The host compares each interface that it uses, field by field. The shape never
//! changes, since a newer host would refuse an older plugin if it did; for the same reason its
//! version is fixed. Together with [`crate::layout`] this is all that touches abi_stable.

use core::ffi::c_void;

use abi_stable::{
    StableAbi,
    library::{
        __call_root_module_loader, AbiHeaderRef, CheckTypeLayout, IsLayoutChecked, LibHeader,
        LibraryError, ROOT_MODULE_LOADER_NAME, RootModule, RootModuleResult,
    },
    prefix_type::PrefixTypeTrait,
    sabi_types::VersionStrings,
    std_types::{RSlice, RStr},
    type_layout::TypeLayout,
};

use crate::{Descriptor, Interface};

pub use abi_stable::library::LibHeader as Header;

/// The symbol of the Rust door; fixed by abi_stable.
pub const HEADER_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

const _: () = assert!(same(HEADER_SYMBOL, ROOT_MODULE_LOADER_NAME));

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// One interface that the plugin offers, and the layout it was built with.
#[repr(C)]
#[derive(Copy, Clone, StableAbi)]
pub struct InterfaceLayout {
    /// Id of the interface.
    pub id: RStr<'static>,
    /// The layout, as the plugin's compiler saw it.
    pub layout: &'static TypeLayout,
}

/// The root module; see the module's text.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootRef)))]
#[sabi(missing_field(panic))]
pub struct Root {
    /// The same descriptor that the entry symbol returns.
    pub descriptor: &'static Descriptor,
    /// One row for each interface.
    #[sabi(last_prefix_field)]
    pub interfaces: RSlice<'static, InterfaceLayout>,
}

impl RootModule for RootRef {
    abi_stable::declare_root_module_statics! {RootRef}
    const BASE_NAME: &'static str = "statekeep_plugin";
    const NAME: &'static str = "statekeep_plugin";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}

/// What the SDK knows of a plugin at compile time.
pub trait Exported: 'static {
    /// The descriptor that the entry symbol returns.
    const DESCRIPTOR: &'static Descriptor;
    /// One row for each interface, made by [`row`].
    const ROWS: &'static [InterfaceLayout];
}

/// The row of an interface.
pub const fn row<T: Interface>() -> InterfaceLayout {
    InterfaceLayout {
        id: RStr::from_str(T::ID),
        layout: T::LAYOUT,
    }
}

/// The static that a plugin exports as [`HEADER_SYMBOL`].
pub const fn header<T: Exported>() -> LibHeader {
    // SAFETY: the constructor returns a RootRef, the module named here.
    unsafe { LibHeader::from_constructor::<RootRef>(construct::<T>, CheckTypeLayout::Yes) }
}

extern "C" fn construct<T: Exported>() -> RootModuleResult {
    fn root<T: Exported>() -> RootRef {
        Root {
            descriptor: T::DESCRIPTOR,
            interfaces: RSlice::from_slice(T::ROWS),
        }
        .leak_into_prefix()
    }
    __call_root_module_loader(root::<T>)
}

/// Why the Rust door did not open.
#[derive(Debug)]
pub enum DoorError {
    /// The plugin was built with another abi_stable; go through the C door with its fingerprints.
    OtherAbiStable,
    /// The plugin switched the layout check off.
    Unchecked,
    /// The root names another descriptor than the entry symbol.
    OtherDescriptor,
    /// The root module or its layout was refused; the text says where.
    Refused(String),
}

/// Opens the Rust door of a loaded library and returns its rows.
///
/// # Safety
/// `header` is the address of the library's [`HEADER_SYMBOL`], and the library stays loaded.
pub unsafe fn open(
    header: *const c_void,
    descriptor: *const Descriptor,
) -> Result<&'static [InterfaceLayout], DoorError> {
    // SAFETY: AbiHeaderRef is a transparent non-null reference to the header, which is static data
    // of a library that is never unloaded.
    let header = unsafe { core::mem::transmute::<*const c_void, AbiHeaderRef>(header) };
    let header = match header.upgrade() {
        Ok(header) => header,
        Err(LibraryError::InvalidAbiHeader(_)) => return Err(DoorError::OtherAbiStable),
        Err(other) => return Err(refused(&other)),
    };
    if let IsLayoutChecked::No = header.root_mod_consts().layout() {
        return Err(DoorError::Unchecked);
    }
    let root = header
        .init_root_module::<RootRef>()
        .map_err(|error| refused(&error))?;
    if !core::ptr::eq(root.descriptor(), descriptor) {
        return Err(DoorError::OtherDescriptor);
    }
    Ok(root.interfaces().as_slice())
}

fn refused(error: &LibraryError) -> DoorError {
    DoorError::Refused(crate::layout::shorten(&error.to_string()))
}
