//! Generates [`Program`]s, and shrinks them to few sources with few acts.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Act, Kind, LOOPS, Nest, PIPES, Program, Source};

/// Programs of up to six sources.
pub fn programs() -> impl Strategy<Value = Program> {
    (vec(source(), 1..7), vec(nest(), 1..5), vec(outside(), 0..6))
        .prop_map(|(sources, drive, outside)| Program { sources, drive, outside })
}

fn source() -> impl Strategy<Value = Source> {
    let parent = prop::option::weighted(0.25, any_source());
    let yes = prop::bool::weighted;
    let asides = || vec(act(), 0..3);
    let asides = prop_oneof![
        3 => Just([vec![], vec![]]),
        1 => [asides(), asides()],
    ];
    let flags = (yes(0.3), yes(0.85), yes(0.3));
    (kind(), priority(), flags, parent, vec(any_act(), 1..6), asides).prop_map(
        |(kind, priority, (can_recurse, attached, due), parent, acts, asides)| Source {
            kind,
            priority,
            can_recurse,
            parent,
            attached,
            due,
            acts,
            asides,
        },
    )
}

fn kind() -> impl Strategy<Value = Kind> {
    let answers = || vec(any::<bool>(), 1..4);
    prop_oneof![
        3 => Just(Kind::Idle),
        1 => Just(Kind::Timeout),
        2 => Just(Kind::Plain),
        3 => any_pipe().prop_map(Kind::Watch),
        1 => any_pipe().prop_map(Kind::Poll),
        2 => (answers(), answers()).prop_map(|(prepare, check)| Kind::Asks(prepare, check)),
    ]
}

/// Few, so that some are equal. One is above the priority of the wakeup.
fn priority() -> impl Strategy<Value = i32> {
    prop_oneof![4 => Just(0), 1 => Just(-1), 1 => Just(10), 2 => Just(200)]
}

fn any_source() -> impl Strategy<Value = usize> {
    0..6_usize
}

fn any_pipe() -> impl Strategy<Value = usize> {
    0..PIPES
}

/// Acts that usually change the poll set during a sleeping poll.
fn outside() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => act(),
        2 => any_source().prop_map(Act::Attach),
        1 => any_pipe().prop_map(Act::RawPoll),
        1 => (any_source(), any_pipe()).prop_map(|(i, p)| Act::AddFd(i, p)),
    ]
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        11 => act(),
        4 => nest().prop_map(Act::Nest),
        1 => (any_source(), priority()).prop_map(|(i, priority)| Act::Priority(i, priority)),
    ]
}

/// Acts that need no iterations.
fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Nothing),
        4 => any_pipe().prop_map(Act::Write),
        2 => any_pipe().prop_map(Act::Read),
        1 => any_pipe().prop_map(Act::Close),
        3 => (any_source(), prop::bool::weighted(0.7)).prop_map(|(i, due)| Act::Due(i, due)),
        2 => any_source().prop_map(Act::Destroy),
        2 => any_source().prop_map(Act::Attach),
        1 => (any_source(), any_source()).prop_map(|(i, j)| Act::Adopt(i, j)),
        1 => any_source().prop_map(Act::Disown),
        1 => (any_source(), any::<bool>()).prop_map(|(i, can)| Act::Recurse(i, can)),
        1 => Just(Act::Wakeup),
        1 => any_pipe().prop_map(Act::RawPoll),
        1 => (any_source(), any_pipe()).prop_map(|(i, p)| Act::AddFd(i, p)),
        1 => (any_source(), any::<bool>()).prop_map(|(i, input)| Act::ModifyFd(i, input)),
        1 => any_source().prop_map(Act::RemoveFd),
        3 => (0..LOOPS).prop_map(Act::Quit),
    ]
}

fn nest() -> impl Strategy<Value = Nest> {
    prop_oneof![
        2 => (1..4_u32).prop_map(Nest::Iterate),
        4 => (0..LOOPS).prop_map(Nest::Run),
        2 => Just(Nest::Block),
        1 => Just(Nest::Drain),
        1 => Just(Nest::Pending),
    ]
}
