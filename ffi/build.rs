//! Names the shared library for the loader (`libstatekeep.so.0`) and keeps it in the process once
//! loaded: its threads and thread-locals point into it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_elf = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if is_elf {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libstatekeep.so.0");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
