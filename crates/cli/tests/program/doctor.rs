//! `riverrun doctor`.

use std::net::TcpListener;

use crate::room::Room;

#[test]
fn a_port_that_is_taken_ends_it_as_it_would_end_a_download() {
    let room = Room::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let ran = room.run(&["doctor", "--offline", "--listen", &addr]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("fail  port         port "), "{ran:#?}");
    assert_eq!(lines[1].trim(), "--listen with another port, or end the other program");
    let document = room.run(&["doctor", "--offline", "--json", "--listen", &addr]).json();
    assert_eq!((&document["ok"], &document["checks"][0]["status"]), (&false.into(), &"fail".into()));
}

#[test]
fn a_folder_that_cannot_be_written_to() {
    let room = Room::new();
    room.write("file", "x");
    let ran = room.run(&["doctor", "--offline", "-d", "file/below"]);
    assert_eq!(ran.code, 8, "{ran:#?}");
    assert!(ran.out.lines().any(|line| line == "fail  downloads    file is no folder"), "{ran:#?}");
    assert_eq!(room.run(&["doctor", "--listen", "x"]).code, 2);
}
