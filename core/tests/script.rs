//! Programs as scripts.
#![cfg(not(loopnest_loom))]

mod common;

use common::*;
use loopnest_core::program::{ActorKind, How, Step};

#[test]
fn a_script_names_who_when_and_what_and_numbers_every_step() {
    let program = program()
        .with(
            "opener",
            ActorKind::Timeout { every_ms: 50, times: 1, priority: 0 },
            vec![
                dialog("dialog", 160),
                block_on("wait", vec![sleep(3), read("pipe", 1)]),
                block_on("empty", vec![]),
            ],
        )
        .with("low", ActorKind::Timeout { every_ms: 10, times: 3, priority: 200 }, vec![])
        .with("idle", ActorKind::Flood { for_ms: 20, priority: 200 }, vec![])
        .with("watch", ActorKind::Watch { pipe: "bytes".to_owned(), times: 2 }, vec![])
        .task("task", vec![tick(10, 1), receive("channel", 2), Step::Yield { for_ms: 5 }])
        .with(
            "thread",
            ActorKind::Thread,
            vec![
                Step::Send { channel: "channel".to_owned(), n: 1 },
                Step::Dialog { level: "inner".to_owned(), how: How::Drain, close_after_ms: None },
            ],
        );
    let expected = "\
opener: GLib timeout after 50 ms
    1  open dialog `dialog` (MainLoop::run), closed after 160 ms
    2  block on a task, as level `wait`:
    3    sleep 3 ms
    4    read 1 byte from `pipe`, or its end
    5  block on a task that does nothing, as level `empty`
low: GLib timeout every 10 ms, 3 times, priority 200
idle: GLib idle source, ready until 20 ms, then once
watch: GLib watch on `bytes`, 2 times
task: task
    6  tick every 10 ms, once
    7  receive 2 messages from `channel`
    8  yield for 5 ms, always ready
thread: thread
    9  send 1 message to `channel`
   10  open dialog `inner` (while pending() { iteration(false) }), until it is quit
";
    assert_eq!(program.to_string(), expected);
    let steps = program.steps().count();
    assert!(program.to_string().contains(&format!("{steps:>5}  ")));
}
