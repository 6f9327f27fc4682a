//! Making the allocator give free memory back to the system.
//!
//! Freed buffers do not leave the process by themselves: glibc keeps what lies below anything still in use, which after a download
//! is nearly all of it.
#![allow(unsafe_code)]

/// Gives back the whole pages that are free anywhere in the heap. Takes about a millisecond; does nothing where the allocator has no
/// such call.
pub(super) fn release_free_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: declared as in malloc.h of glibc. It may be called at any time and from any thread, and touches only memory that
        // is not allocated.
        unsafe { malloc_trim(0) };
    }
}
