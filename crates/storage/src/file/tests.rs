//! The storage of files against real folders.
