//! Limits of the system, and its clock.

use std::time::{Duration, SystemTime};

use rustix::process::{Resource, getrlimit};

use super::Check;
use crate::exit::Exit;

/// Connections, files and some more: with fewer open files a session of many torrents has to do without some.
const GOOD_DESCRIPTORS: u64 = 4096;
/// The 200 connections of one torrent and its files.
const FEWEST_DESCRIPTORS: u64 = 256;
/// What the listeners ask for.
const GOOD_BACKLOG: u64 = 1024;
/// What UDP sockets need at a gigabit, in bytes.
const GOOD_UDP_BUFFER: u64 = 1 << 20;
/// Seconds since 1970 at 1 November 2026: this program is not older.
const EARLIEST: u64 = 1_793_491_200;
/// The year 2100 is further off than any clock that is right.
const LATEST: u64 = 4_102_444_800;

/// How many files and sockets may be open.
pub(super) fn descriptors() -> Option<Check> {
    // The commands that meet peers take all that they may have.
    Some(judge_descriptors(getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)))
}

fn judge_descriptors(most: u64) -> Check {
    const NAME: &str = "open files";
    let found = format!("{most} files and sockets may be open");
    let fix = "raise the hard limit nofile in /etc/security/limits.conf, or LimitNOFILE of the service";
    match most {
        GOOD_DESCRIPTORS.. if most == u64::MAX => Check::ok(NAME, "any number of files and sockets may be open"),
        GOOD_DESCRIPTORS.. => Check::ok(NAME, found),
        FEWEST_DESCRIPTORS.. => Check::warn(NAME, format!("{found}, few for many torrents"), fix),
        _ => Check::fail(NAME, Exit::Storage, format!("{found}, too few for one torrent"), fix),
    }
}

/// How many connections may wait to be accepted. Nothing is said where the system does not tell.
pub(super) fn backlog() -> Option<Check> {
    kernel_number("somaxconn").map(judge_backlog)
}

fn judge_backlog(number: u64) -> Check {
    const NAME: &str = "backlog";
    let found = format!("{number} connections may wait to be accepted");
    if number >= GOOD_BACKLOG {
        return Check::ok(NAME, found);
    }
    Check::warn(NAME, found, format!("sysctl -w net.core.somaxconn={GOOD_BACKLOG}"))
}

/// How much of UDP may wait.
pub(super) fn udp_buffers() -> Option<Check> {
    Some(judge_udp_buffers(kernel_number("rmem_max")?, kernel_number("wmem_max")?))
}

fn judge_udp_buffers(receive: u64, send: u64) -> Check {
    const NAME: &str = "UDP buffers";
    let found = format!("a UDP socket holds up to {} KiB in and {} KiB out", receive >> 10, send >> 10);
    if receive.min(send) >= GOOD_UDP_BUFFER {
        return Check::ok(NAME, found);
    }
    let fix = format!("sysctl -w net.core.rmem_max={} net.core.wmem_max={}", GOOD_UDP_BUFFER * 4, GOOD_UDP_BUFFER * 4);
    Check::warn(NAME, format!("{found}; bursts beyond are lost"), fix)
}

fn kernel_number(name: &str) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok()?.trim().parse().ok()
}

/// Whether the clock can be right: certificates of trackers are judged by it.
pub(super) fn clock() -> Check {
    judge_clock(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
}

fn judge_clock(seconds: u64) -> Check {
    const NAME: &str = "clock";
    let set = "set it: timedatectl set-ntp true, or date -s";
    match seconds {
        ..EARLIEST => Check::fail(
            NAME,
            Exit::NoProgress,
            "the clock is behind: https trackers will seem not to be valid yet",
            set,
        ),
        LATEST.. => {
            Check::fail(NAME, Exit::NoProgress, "the clock is ahead: https trackers will seem to have expired", set)
        }
        _ => Check::ok(NAME, "the clock can be right"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn limits_are_judged() {
        assert_eq!(judge_descriptors(u64::MAX).status, Status::Ok);
        assert_eq!(judge_descriptors(4096).status, Status::Ok);
        assert_eq!(judge_descriptors(1024).status, Status::Warn);
        let failed = judge_descriptors(64);
        assert_eq!((failed.status, failed.exit), (Status::Fail, Exit::Storage));
        assert!(failed.fix.is_some_and(|fix| fix.contains("LimitNOFILE")));
        assert_eq!(judge_backlog(4096).status, Status::Ok);
        assert_eq!(judge_backlog(128).fix.as_deref(), Some("sysctl -w net.core.somaxconn=1024"));
        assert_eq!(judge_udp_buffers(4 << 20, 4 << 20).status, Status::Ok);
        assert_eq!(judge_udp_buffers(212_992, 4 << 20).status, Status::Warn);
    }

    #[test]
    fn clocks_that_cannot_be_right() {
        assert_eq!(judge_clock(0).exit, Exit::NoProgress);
        assert_eq!(judge_clock(EARLIEST).status, Status::Ok);
        assert_eq!(judge_clock(LATEST).status, Status::Fail);
    }
}
