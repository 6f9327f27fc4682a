//! How much must have come on a socket before its reader is woken.
#![allow(unsafe_code, reason = "neither rustix nor socket2 has this option")]

use std::io;

use tokio::net::TcpStream;

/// Has the reader woken only when so many bytes can be read, or no more will come. If what is there now is enough, it is woken now. A read
/// takes what is there all the same, however little.
///
/// # Errors
/// The system cannot do this; then every byte wakes the reader.
pub(crate) fn wake_at(stream: &TcpStream, bytes: usize) -> io::Result<()> {
    set(stream, bytes)
}

// The numbers of the option differ on other processors.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
fn set(stream: &TcpStream, bytes: usize) -> io::Result<()> {
    use std::ffi::{c_int, c_uint, c_void};
    use std::os::fd::AsRawFd;

    const SOL_SOCKET: c_int = 1;
    const SO_RCVLOWAT: c_int = 18;
    const LENGTH: c_uint = c_int::BITS / 8;

    unsafe extern "C" {
        fn setsockopt(socket: c_int, level: c_int, name: c_int, value: *const c_void, length: c_uint) -> c_int;
    }

    let value = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    // SAFETY: declared as in sys/socket.h. The stream keeps its descriptor open, and `value` lives and is as long as the call is told.
    let result = unsafe { setsockopt(stream.as_raw_fd(), SOL_SOCKET, SO_RCVLOWAT, (&raw const value).cast(), LENGTH) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))))]
fn set(_: &TcpStream, _: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
