//! Nodes among each other, on a network of messages with a clock moved by hand.

#![allow(clippy::unwrap_used)]

mod attacks;
mod network;
mod service;
mod world;
