//! What a pool gives back leaves the process. A program of its own, so that no other test's memory is counted.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used)]

use std::thread;

use riverrun_storage::Pool;

/// Memory of the process that no file backs, in bytes.
fn anonymous_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn an_idle_pool_is_small_although_other_memory_lies_between_its_buffers() {
    let pool = Pool::new(48 << 20);
    let before = anonymous_bytes();
    let taking: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            thread::spawn(move || {
                let mut others = Vec::new();
                let mut buffers = Vec::new();
                for number in 0..1000 {
                    let mut buffer = pool.try_take().unwrap();
                    buffer.append(&[1; 16384]);
                    buffers.push(buffer);
                    if number % 10 == 0 {
                        others.push(vec![1_u8; 200]);
                    }
                }
                (others, buffers)
            })
        })
        .collect();
    let (others, buffers): (Vec<_>, Vec<_>) = taking.into_iter().map(|thread| thread.join().unwrap()).unzip();
    let used = anonymous_bytes() - before;
    assert!(used > 40 << 20, "{used} bytes in use");
    drop(buffers);
    pool.trim();
    assert_eq!((pool.trim(), pool.held_bytes()), (3008 * 16384, 0), "as many slabs of 16 as there were needed");
    let left = anonymous_bytes().saturating_sub(before);
    assert!(left < 8 << 20, "{left} bytes of {used} are still here");
    drop(others);
}
