//! Descriptors: who polls what, and whose readiness counts.

use loopnest_tests::world::{End, Events, Kind, Log, Polled, Read, World};

use super::on_both;

const BLOCK: u64 = 1024;

on_both! {
    /// 24: the more urgent writer keeps the pipe full; the two never run in the same iteration.
    fn a_writer_of_higher_priority_and_a_reader_alternate(w) {
        let log = Log::default();
        let pipe = w.pipe();
        let mut left = 1024;
        let said = log.clone();
        let write = w.source("write", Kind::Plain, Box::new(move |w, _| {
            assert!(w.write(pipe, BLOCK) > 0);
            said.say("w");
            true
        }));
        w.add_unix_fd(write, End::Write(pipe), Events::OUT);
        w.set_priority(write, -100);
        let said = log.clone();
        let read = w.source("read", Kind::Plain, Box::new(move |w, _| {
            assert!(matches!(w.read(pipe, BLOCK), Read::Bytes(_)));
            said.say("r");
            true
        }));
        w.add_unix_fd(read, End::Read(pipe), Events::IN);
        w.attach(write);
        w.attach(read);
        while left > 0 {
            if w.iteration(true) {
                let order = log.take();
                assert_eq!(order.len(), 1, "both in one iteration: {order}");
                left -= 1;
            }
        }
        w.destroy(write);
        while w.iteration(false) {}
        assert_eq!(w.read(pipe, 1), Read::Empty);
    }

    /// 25: the priority decides which of two ready descriptors is served; equal ones both are.
    fn priorities_decide_between_ready_descriptors(w) {
        let log = Log::default();
        let pipe = w.pipe();
        let make = |name: &'static str, end, events| {
            let said = log.clone();
            let s = w.source(name, Kind::Plain, Box::new(move |_, _| {
                said.say(name);
                true
            }));
            w.add_unix_fd(s, end, events);
            w.attach(s);
            s
        };
        make("out", End::Write(pipe), Events::OUT);
        let input = make("in", End::Read(pipe), Events::IN);
        w.write(pipe, 1);
        for (priority, order) in [(200, "out"), (-100, "in"), (0, "out in")] {
            w.set_priority(input, priority);
            assert!(w.iteration(false));
            assert_eq!(log.take(), order);
        }
    }

    /// 26: several descriptors of one source are added, changed and removed while it is attached.
    fn a_source_may_change_what_it_watches_at_any_time(w) {
        let log = Log::default();
        let [a, b] = [w.pipe(), w.pipe()];
        let make = |name: &'static str| {
            let said = log.clone();
            w.source(name, Kind::Plain, Box::new(move |_, _| {
                said.say(name);
                true
            }))
        };
        let read = |p| Polled::Pipe(End::Read(p));
        let write = |p| Polled::Pipe(End::Write(p));
        let ask = || {
            w.iteration(false);
            let mut set = w.poll_set(i32::MAX);
            assert_eq!(set.remove(0), (Polled::Wakeup, Events::IN));
            (log.take(), set)
        };
        let [first, second] = [make("first"), make("second")];
        w.add_unix_fd(first, End::Read(a), Events::IN);
        w.attach(first);
        w.set_priority(second, -100);
        w.attach(second);
        let quiet = (String::new(), vec![(read(a), Events::IN)]);
        assert_eq!(ask(), quiet);
        w.write(a, 1);
        assert_eq!(ask(), ("first".into(), vec![(read(a), Events::IN)]));
        let input = w.add_unix_fd(second, End::Read(b), Events::IN);
        let output = w.add_unix_fd(second, End::Write(b), Events::OUT);
        let set = vec![
            (read(a), Events::IN),
            (read(b), Events::IN),
            (write(b), Events::OUT),
        ];
        assert_eq!(ask(), ("second".into(), set.clone()));
        // To what it already is.
        w.modify_fd(second, input, Events::IN);
        w.modify_fd(second, output, Events::OUT);
        assert_eq!(ask(), ("second".into(), set));
        w.modify_fd(second, input, Events::OUT);
        w.modify_fd(second, output, Events::IN);
        let set = vec![
            (read(a), Events::IN),
            (read(b), Events::OUT),
            (write(b), Events::IN),
        ];
        assert_eq!(ask(), ("first".into(), set));
        w.remove_fd(second, input);
        let set = vec![(read(a), Events::IN), (write(b), Events::IN)];
        assert_eq!(ask(), ("first".into(), set));
        w.remove_fd(second, output);
        assert_eq!(ask().1, vec![(read(a), Events::IN)]);
        w.destroy(first);
        w.destroy(second);
        assert_eq!(ask(), (String::new(), vec![]));
    }

    /// 28: a descriptor that is ready at once does not block.
    fn a_descriptor_that_is_ready_from_the_start_is_served_at_once(w) {
        let pipe = w.pipe();
        w.close(pipe);
        let main_loop = w.new_loop();
        let s = w.source("end", Kind::Plain, Box::new(move |w, _| {
            assert_eq!(w.read(pipe, 1), Read::End);
            w.quit(main_loop);
            false
        }));
        w.add_unix_fd(s, End::Read(pipe), Events::IN);
        w.attach(s);
        w.run(main_loop);
        assert_eq!(w.poll_set(i32::MAX).len(), 1);
    }

    /// 29, GLib#1592: a descriptor of low priority and low number hid others.
    fn a_less_urgent_descriptor_with_a_lower_number_hides_no_other(w) {
        let log = Log::default();
        let [low, high] = [w.pipe(), w.pipe()];
        let says = |what: &'static str| {
            let said = log.clone();
            Box::new(move |_: &dyn World, _| {
                said.say(what);
                true
            })
        };
        let idle = w.source("idle", Kind::Idle, says("idle"));
        w.set_priority(idle, 0);
        w.attach(idle);
        for (pipe, name, priority) in [(low, "low", 10), (high, "high", 0)] {
            let s = w.source(name, Kind::Plain, says(name));
            w.add_unix_fd(s, End::Read(pipe), Events::IN);
            w.set_priority(s, priority);
            w.attach(s);
            w.write(pipe, 1);
        }
        assert!(w.iteration(false));
        assert_eq!(log.take(), "idle high");
    }

    /// 30: one entry per descriptor, with events merged; the priority hides records.
    fn a_query_merges_records_and_hides_those_of_lower_priority(w) {
        assert_eq!(w.poll_set(i32::MAX), [(Polled::Wakeup, Events::IN)]);
        let pipe = w.pipe();
        let end = Polled::Pipe(End::Read(pipe));
        for (priority, events) in [(0, Events::IN), (300, Events::OUT)] {
            let s = w.source("s", Kind::Plain, Box::new(|_, _| unreachable!()));
            w.add_unix_fd(s, End::Read(pipe), events);
            w.set_priority(s, priority);
            w.attach(s);
        }
        let set = |priority| w.poll_set(priority)[1..].to_vec();
        assert_eq!(set(i32::MAX), [(end, Events::IN | Events::OUT)]);
        assert_eq!(set(0), [(end, Events::IN)]);
        assert_eq!(w.poll_set(-1), []);
        // Events that nothing asks for are not passed to the kernel.
        let s = w.source("s", Kind::Plain, Box::new(|_, _| unreachable!()));
        w.add_unix_fd(s, End::Write(pipe), Events::ALWAYS);
        w.attach(s);
        assert_eq!(set(0)[1], (Polled::Pipe(End::Write(pipe)), Events::empty()));
    }

    /// A record that a query leaves out keeps what an earlier poll found.
    fn what_a_poll_found_stays_until_the_next_one_that_looks(w) {
        let pipe = w.pipe();
        let s = w.source("s", Kind::Plain, Box::new(|_, _| true));
        let tag = w.add_unix_fd(s, End::Read(pipe), Events::IN);
        w.set_priority(s, 10);
        w.attach(s);
        w.write(pipe, 1);
        assert_eq!(w.query_fd(s, tag), Events::empty());
        assert!(w.pending());
        assert_eq!(w.query_fd(s, tag), Events::IN);
        w.read(pipe, 1);
        let idle = w.source("idle", Kind::Idle, Box::new(|_, _| true));
        w.set_priority(idle, 0);
        w.attach(idle);
        assert!(w.pending());
        assert_eq!(w.query_fd(s, tag), Events::IN, "hidden by the idle, and so not polled");
    }
}
