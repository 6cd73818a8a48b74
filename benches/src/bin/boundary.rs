//! The cost of a call through the plugin ABI against a direct call, in one run.
//!
//! The same trivial function (`bound`) is called directly, through a trait object, through a C
//! table, and through the table that the SDK makes (panic guard and poison flag). Rounds are
//! interleaved; printed are medians of nanoseconds a call and their ratio to the direct call.

use std::ffi::c_void;
use std::hint::black_box;
use std::time::Instant;

use statekeep_benches::median;
use statekeep_plugin_sdk::api::{
    self, Bytes, CompressionV1, ErrorOut, Host, Interface, OutBuf, Status,
};
use statekeep_plugin_sdk::{Compression, Config, Output, Plugin, Result, export_plugin};

const ROUNDS: usize = 301;
const CALLS: usize = 20_000;

struct Nop;

impl Plugin for Nop {
    const ID: &'static str = "statekeep.bench-nop";
    const VERSION: &'static str = "1.0.0";
    const LICENSE: &'static str = "MIT";
    const DESCRIPTION: &'static str = "does nothing";

    fn create(_: statekeep_plugin_sdk::Host, _: &Config) -> Result<Nop> {
        Ok(Nop)
    }
}

impl Compression for Nop {
    fn bound(&self, len: usize) -> usize {
        direct(len)
    }
    fn compress(&self, _: Option<i32>, _: &[u8], _: &mut Output<'_>) -> Result<()> {
        Ok(())
    }
    fn decompress(&self, _: &[u8], _: &mut Output<'_>) -> Result<()> {
        Ok(())
    }
}

export_plugin!(Nop: compression);

trait Bound {
    fn bound(&self, len: usize) -> usize;
}

impl Bound for Nop {
    fn bound(&self, len: usize) -> usize {
        direct(len)
    }
}

#[inline(never)]
fn direct(len: usize) -> usize {
    black_box(len) + 1
}

unsafe extern "C" fn plain_bound(_: *const api::Instance, len: usize) -> usize {
    direct(len)
}
unsafe extern "C" fn plain_compress(
    _: *const api::Instance,
    _: i32,
    _: Bytes,
    _: *mut OutBuf,
    _: *mut ErrorOut,
) -> Status {
    Status::UNSUPPORTED
}
unsafe extern "C" fn plain_decompress(
    _: *const api::Instance,
    _: Bytes,
    _: *mut OutBuf,
    _: *mut ErrorOut,
) -> Status {
    Status::UNSUPPORTED
}

static PLAIN: CompressionV1 = CompressionV1 {
    struct_size: size_of::<CompressionV1>(),
    abi_hash: CompressionV1::ABI_HASH,
    bound: plain_bound,
    compress: plain_compress,
    decompress: plain_decompress,
};

unsafe extern "C" fn no_service(_: *mut c_void, _: Bytes) -> *const c_void {
    std::ptr::null()
}

fn main() {
    let host = Host {
        struct_size: size_of::<Host>(),
        epoch: api::EPOCH,
        revision: api::REVISION,
        ctx: std::ptr::null_mut(),
        get_service: no_service,
    };
    let plugin = descriptor();
    let mut instance = std::ptr::null_mut();
    // SAFETY: host and configuration are valid for the call, and the host outlives the instance.
    let status = unsafe {
        (plugin.create)(
            &raw const host,
            Bytes::new(b"{}"),
            &raw mut instance,
            std::ptr::null_mut(),
        )
    };
    assert!(status.is_ok());
    // SAFETY: the id is valid for the call; the table is static and of the type that its id says.
    let guarded: &CompressionV1 = unsafe {
        (plugin.get_interface)(Bytes::new(CompressionV1::ID.as_bytes()))
            .cast::<CompressionV1>()
            .as_ref()
    }
    .expect("the plugin offers compression");
    let object: Box<dyn Bound> = black_box(Box::new(Nop));
    let plain = black_box(&PLAIN);
    let guarded = black_box(guarded);

    let mut nanos: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        nanos[0].push(time(direct));
        nanos[1].push(time(|len| object.bound(len)));
        // SAFETY: the plain table ignores its instance.
        nanos[2].push(time(|len| unsafe { (plain.bound)(std::ptr::null(), len) }));
        // SAFETY: the instance was made by this plugin and is alive.
        nanos[3].push(time(|len| unsafe { (guarded.bound)(instance, len) }));
    }
    // SAFETY: made above, ended once.
    unsafe { (plugin.destroy)(instance) };

    println!("boundary: ns a call, median of {ROUNDS} interleaved rounds of {CALLS} calls");
    let names = [
        "direct call",
        "trait object",
        "C table",
        "C table + panic guard (SDK)",
    ];
    let medians = nanos.map(|mut round| median(&mut round));
    for (name, nanos) in names.iter().zip(medians) {
        println!(
            "  {name:<28} {nanos:6.2} ns   {:5.2} x direct",
            nanos / medians[0]
        );
    }
    let boundary = medians[3] - medians[0];
    println!("  the boundary costs {boundary:.2} ns a call (aim: under 5)");
}

fn time(mut call: impl FnMut(usize) -> usize) -> f64 {
    let start = Instant::now();
    for len in 0..CALLS {
        black_box(call(black_box(len)));
    }
    start.elapsed().as_nanos() as f64 / CALLS as f64
}
