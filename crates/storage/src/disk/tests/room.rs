//! Nothing more is wanted while much waits to be written.

use std::task::Wake;

use super::*;
use crate::memory::Faults;

struct Told(SyncSender<()>);
impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.send(()).unwrap();
    }
}

/// Half of the pool's 64 blocks may wait.
const MOST: u64 = 32;

fn sample() -> Sample {
    Sample::new(Format::V1, 4 * BLOCK, &[("a", 64 * u64::from(BLOCK))])
}

fn write_half(rig: &Rig, sample: &Sample) {
    (0..u32::try_from(MOST).unwrap() / 4).for_each(|piece| rig.write_piece(sample, PieceIndex(piece)));
}

#[test]
fn l16_who_waits_for_room_is_woken_when_the_disk_has_written() {
    let sample = sample();
    let storage = Gated::new(&sample);
    let rig = Rig::new(&sample, storage.clone(), 64);
    assert!(rig.disk.has_room());
    write_half(&rig, &sample);
    assert!(!rig.disk.has_room() && !rig.disk.is_behind());
    let (sender, told) = mpsc::sync_channel(1);
    let waker = Arc::new(Told(sender)).into();
    let cx = Context::from_waker(&waker);
    assert!(rig.disk.poll_room(&cx).is_pending());
    storage.open();
    told.recv_timeout(PATIENCE).expect("woken");
    assert!(rig.disk.poll_room(&cx).is_ready());
    assert!(rig.settle().is_empty());
    assert_eq!(rig.torrent.queued_bytes(), 0);
}

#[test]
fn l2_writes_of_a_parked_torrent_take_no_room_from_others() {
    let sample = sample();
    let storage = memory(&sample);
    storage.set_faults(Faults { room_bytes: Some(0), ..Faults::default() });
    let rig = Rig::new(&sample, storage, 64);
    write_half(&rig, &sample);
    assert!(matches!(rig.next(), Done::Parked(_)));
    assert!(rig.settle().is_empty());
    assert!(rig.disk.has_room() && rig.torrent.queued_bytes() > 0);
}

#[test]
fn what_a_torrent_that_is_gone_had_to_write_takes_no_room() {
    let sample = sample();
    let storage = Gated::new(&sample);
    let rig = Rig::new(&sample, storage.clone(), 64);
    write_half(&rig, &sample);
    assert!(!rig.disk.has_room());
    let Rig { disk, torrent, .. } = rig;
    drop(torrent);
    let (sender, told) = mpsc::sync_channel(1);
    let waker = Arc::new(Told(sender)).into();
    assert!(disk.poll_room(&Context::from_waker(&waker)).is_pending());
    storage.open();
    told.recv_timeout(PATIENCE).expect("woken");
    assert!(disk.has_room());
}
