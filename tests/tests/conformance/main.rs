//! What GLib's main loop does, as tests that run on the model and on the real GLib.
//!
//! GLib's own tests of its main loop (glib/tests/mainloop.c of 2.74.6), in their order there:
//!
//! | no. | GLib's test | here |
//! |---|---|---|
//! | 1 | maincontext/basic | `basics` |
//! | 2, 3 | nsources, same and different priority | `basics`; 2,000 sources, because the model searches one list |
//! | 4 | nsources_threadpool | left out: other threads of the model take no time, so nothing can race |
//! | 5, 6, 7 | source finalization | left out: the model has its own rules for lifetimes; those of the wrapper are tested in `source.rs` |
//! | 8, 9 | idle-once, timeout-once | `basics` |
//! | 10 | mainloop/basic | `loops` |
//! | 11 | timeouts | `time` |
//! | 12 | priorities | `basics` |
//! | 13 | invoke | `wakeups` |
//! | 14, 15 | child_sources, recursive_child_sources | `children` |
//! | 16, 17 | swapping_child_sources, blocked_child_sources | `children` |
//! | 18 | source_time | `time` |
//! | 19 | overflow | model only, in `core/tests/model.rs`: GLib's constructor for it is private |
//! | 20 | ready-time | `time` |
//! | 21 | wakeup | `wakeups` |
//! | 22 | remove-invalid | left out: not about the loop |
//! | 23 | unref-while-pending | left out, like 5 to 7 |
//! | 24 | unix-fd | `fds`; 1 MiB |
//! | 25 | unix-fd-source | `fds`, except a source without a callback, which the safe wrapper cannot make |
//! | 26 | source-unix-fd-api | `fds` |
//! | 27 | wait | left out: two threads that wait for one context |
//! | 28 | unix-file-poll | `fds`, with a pipe that is ready at once |
//! | 29 | unix-fd-priority | `fds` |
//! | 30 | nfds | `fds` |
//! | 31 | ownerless-polling | left out: the flag is not modelled |
//! | 32 | steal-fd | left out: not about the loop |
//!
//! There are also tests of blocking (`blocking`), the pending list (`pending`), quits (`loops`) and
//! the wakeup (`wakeups`) that go beyond GLib's own.

mod basics;
mod blocking;
mod children;
mod fds;
mod loops;
mod pending;
mod time;
mod wakeups;

use std::time::Duration;

/// Makes two tests of each function: one on the model, one on the real GLib.
macro_rules! on_both {
    ($($(#[$doc:meta])* fn $name:ident($world:ident) $body:block)*) => {
        $(
            mod $name {
                use super::*;

                $(#[$doc])*
                fn test($world: &dyn World) $body

                #[test]
                fn on_the_model() {
                    loopnest_tests::world::on_the_model(test);
                }

                #[test]
                fn on_glib() {
                    loopnest_tests::world::on_glib(test);
                }
            }
        )*
    };
}
use on_both;

/// Far enough apart for a busy machine.
const STEP: Duration = Duration::from_millis(20);
