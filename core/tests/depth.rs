//! The depth stack, on one thread: which levels are open, and which quit gets the handle.
#![cfg(not(loopnest_loom))]

use loopnest_core::protocol::DepthStack;

#[test]
fn a_level_is_open_until_it_is_dropped() {
    let levels = DepthStack::new();
    let outer = levels.open("a", ());
    let inner = levels.open("b", ());
    assert_eq!(levels.depth(), 2);
    drop(inner);
    assert_eq!(levels.depth(), 1);
    drop(outer);
    assert_eq!(levels.depth(), 0);
}

#[test]
fn a_level_that_was_already_quit_does_not_begin() {
    let levels = DepthStack::new();
    assert_eq!(levels.quit("a"), None::<()>);
    assert!(levels.open("a", ()).is_none());
    assert!(levels.open("b", ()).is_some());
}

#[test]
fn the_outer_level_can_be_quit_first() {
    let levels = DepthStack::new();
    let outer = levels.open("a", "handle of a").expect("nobody told it");
    let inner = levels.open("b", "handle of b").expect("nobody told it");
    assert_eq!(levels.quit("a"), Some("handle of a"));
    assert!(outer.is_told() && !inner.is_told());
    assert_eq!(levels.quit("b"), Some("handle of b"));
    assert!(inner.is_told());
}

#[test]
fn only_the_first_quit_gets_the_handle() {
    let levels = DepthStack::new();
    let _level = levels.open("a", ());
    assert_eq!(levels.quit("a"), Some(()));
    assert_eq!(levels.quit("a"), None);
}

#[test]
fn a_level_that_is_over_has_no_handle_and_stays_over() {
    let levels = DepthStack::new();
    drop(levels.open("a", ()));
    assert_eq!(levels.quit("a"), None);
    assert!(levels.open("a", ()).is_none());
}

#[test]
fn a_level_closes_itself_and_no_other() {
    let levels = DepthStack::new();
    let outer = levels.open("a", "handle of a");
    let inner = levels.open("b", "handle of b").expect("nobody told it");
    drop(outer);
    assert_eq!(levels.depth(), 1);
    assert_eq!(levels.quit("a"), None);
    assert_eq!(levels.quit("b"), Some("handle of b"));
    assert!(inner.is_told());
    drop(inner);
    assert_eq!(levels.depth(), 0);
}
