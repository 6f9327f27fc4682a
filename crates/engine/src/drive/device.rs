//! Connections of a session that keeps to one device do not outlive it.
//!
//! To the system a device that went and came back is another one: sockets that were bound to the old one hear nothing any more, and
//! nobody tells them. So does the session, which also dials again at once.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::sleep;

use crate::engine::Engine;

/// How often the device is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Looks after the device as long as the session lives.
pub(crate) async fn run(engine: Weak<Engine>) {
    let number = || engine.upgrade().map(|engine| engine.settings.net.device_number());
    let mut before = number();
    while before.is_some() {
        sleep(LOOK).await;
        let now = number();
        if now == before {
            continue;
        }
        before = now;
        let Some(engine) = engine.upgrade() else { return };
        tracing::info!(is_there = now.flatten().is_some(), "the device is another one");
        engine.all().iter().for_each(|core| core.reconnect());
    }
}
