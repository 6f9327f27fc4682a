//! The program as its users meet it: started as a process, judged by what it prints and how it ends.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs)]

mod bench;
mod config;
mod create;
mod demo;
mod dht;
mod doctor;
mod download;
mod errors;
mod file_choice;
mod help;
mod info;
mod magnet_and_edit;
mod magnet_link;
mod net;
mod output;
mod readme;
mod room;
mod schema;
mod stream;
mod swarm;
mod terminal;
mod tracker_command;
mod trackers;
mod verify;
mod web_certificates;
