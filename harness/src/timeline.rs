//! Runs as Chrome trace JSON, which opens in Perfetto (ui.perfetto.dev) and in `chrome://tracing`.
//!
//! A cell is a process, so that several can be viewed side by side, labelled with its verdict and its
//! cause.
//! Its tracks are the GLib side, the async side, the nested loops, what the rescue thread did, and
//! whether the loop thread slept, ran or could not run; depth and iterations are counters.
//! An arrow leads from when an event was due to when it came, if that was late.
//!
//! Perfetto requires slices that nest.
//! Nested loops usually do. But a run that was cut short leaves some open, and a broken strategy
//! may close them in the wrong order, so a slice that would not nest gets a track of its own.

use std::time::Duration;

use loopnest_core::program::{Program, Side};
use loopnest_core::strategy::About;
use loopnest_core::trace::{CANCELLED, End, Event, FIRED, Key, Trace, What};
use loopnest_core::verdict::Judgement;
use serde_json::{Value, json};

use crate::rules::recognise;

/// Track of GLib's events.
const GLIB: usize = 1;
/// Track of async events.
const ASYNC: usize = 2;
/// Track of whatever has no side: refusals, panics, the end.
const OTHER: usize = 3;
/// Track of what the loop thread did.
const THREAD: usize = 4;
/// Track of when things were due that came late.
const DUE: usize = 5;
/// First of the tracks with slices.
const SLICES: usize = 6;

/// An event is late, and has an arrow, if it came this long after it was due.
const LATE: Duration = Duration::from_millis(5);

/// How long the marks of due and delivered are: an arrow needs something to begin and to end at.
const MARK_US: f64 = 1.0;

/// A run of a cell.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The strategy.
    pub about: &'a About,
    /// The program.
    pub program: &'a Program,
    /// What happened.
    pub trace: &'a Trace,
    /// The judgement of that.
    pub judgement: &'a Judgement,
}

/// The runs of several cells as one trace.
pub fn chrome_trace(cells: &[Shown<'_>]) -> Value {
    let mut events = Vec::new();
    for (i, cell) in cells.iter().enumerate() {
        let program = cell.program;
        let mut process = Process { pid: i + 1, program, levels: program.levels(), events: vec![] };
        process.write(cell);
        events.append(&mut process.events);
    }
    json!({ "displayTimeUnit": "ms", "traceEvents": events })
}

/// One cell.
struct Process<'a> {
    pid: usize,
    program: &'a Program,
    levels: Vec<String>,
    events: Vec<Value>,
}

/// Something with a beginning and an end. `from` and `to` are positions in the trace.
struct Slice {
    name: String,
    kind: &'static str,
    from: usize,
    to: usize,
    begin: Duration,
    end: Duration,
    closed: bool,
}

impl Process<'_> {
    fn write(&mut self, cell: &Shown<'_>) {
        let Shown { about, program, trace, judgement } = *cell;
        self.name("process_name", 0, &format!("{}/{}", about.name, program.name));
        let cause = recognise(program, about, judgement);
        self.label(&format!("{}: {}", judgement.text(), cause.title));
        let tracks = [(GLIB, "GLib"), (ASYNC, "async"), (OTHER, "run"), (THREAD, "loop thread")];
        for (tid, name) in tracks {
            self.name("thread_name", tid, name);
        }
        self.states(trace);
        self.arrows(judgement, trace);
        for event in &trace.events {
            self.instant(event);
            self.counters(event);
        }
        for (i, lane) in lanes(self.slices(trace)).into_iter().enumerate() {
            self.lane(SLICES + i, &lane);
        }
        self.end(trace);
    }

    fn name(&mut self, what: &str, tid: usize, name: &str) {
        let args = json!({ "name": name });
        self.events.push(json!({
            "ph": "M", "name": what, "pid": self.pid, "tid": tid, "args": args,
        }));
    }

    fn label(&mut self, text: &str) {
        let args = json!({ "labels": text });
        self.events.push(json!({
            "ph": "M", "name": "process_labels", "pid": self.pid, "tid": 0, "args": args,
        }));
    }

    /// What the loop thread did between events, for the most part.
    fn states(&mut self, trace: &Trace) {
        let mut stretch: Option<(&str, Duration, Duration)> = None;
        for pair in trace.events.windows(2) {
            let (from, to) = (pair[0].at, pair[1].at);
            let spent = pair[1].meter.saturating_sub(pair[0].meter);
            let slept = to.saturating_sub(from).saturating_sub(spent.cpu + spent.delay);
            let state = if slept >= spent.cpu.max(spent.delay) {
                "asleep"
            } else if spent.cpu >= spent.delay {
                "runs"
            } else {
                "could not run"
            };
            match &mut stretch {
                Some((same, _, end)) if *same == state => *end = to,
                other => {
                    let ended = other.replace((state, from, to));
                    ended
                        .into_iter()
                        .for_each(|(name, from, to)| self.whole(THREAD, name, from, to));
                }
            }
        }
        stretch.into_iter().for_each(|(name, from, to)| self.whole(THREAD, name, from, to));
    }

    /// A slice with its length.
    fn whole(&mut self, tid: usize, name: &str, from: Duration, to: Duration) {
        self.push("X", tid, name, from, None);
        if let Some(slice) = self.events.last_mut() {
            slice["dur"] = json!((to.saturating_sub(from).as_nanos() as f64 / 1000.0).max(MARK_US));
        }
    }

    /// From when something was due to when it came, or that it never came.
    fn arrows(&mut self, judgement: &Judgement, trace: &Trace) {
        let mut any = false;
        for (id, delivery) in judgement.deliveries.iter().enumerate() {
            let key = delivery.key;
            let came = trace.position(key).map(|i| trace.events[i].at);
            if came.is_some_and(|came| came < delivery.due + LATE) {
                continue;
            }
            let name = format!("{} {} was due", self.actor(key), key.kind.name());
            self.whole(DUE, &name, delivery.due, delivery.due);
            if let Some(slice) = self.events.last_mut() {
                slice["args"] = json!({ "fate": delivery.fate });
            }
            any = true;
            let Some(came) = came else { continue };
            let track = if key.kind.side() == Side::Glib { GLIB } else { ASYNC };
            self.whole(track, "came", came, came);
            self.flow("s", DUE, id, delivery.due);
            self.flow("f", track, id, came);
        }
        if any {
            self.name("thread_name", DUE, "due");
        }
    }

    fn flow(&mut self, phase: &str, tid: usize, id: usize, at: Duration) {
        self.push(phase, tid, "late", at, None);
        if let Some(event) = self.events.last_mut() {
            event["cat"] = json!("late");
            event["id"] = json!(format!("{}.{id}", self.pid));
            // It ends at the slice around this moment, not at the next one.
            event["bp"] = json!("e");
        }
    }

    fn instant(&mut self, event: &Event) {
        let (tid, name, mut args) = match event.what {
            What::Reached(key) => {
                let tid = if key.kind.side() == Side::Glib { GLIB } else { ASYNC };
                (tid, format!("{} {}", self.actor(key), key.kind.name()), self.reached(key))
            }
            What::Quit(level) => (GLIB, format!("quit {}", self.level(level)), json!({})),
            What::Refused(level) => (OTHER, format!("refused {}", self.level(level)), json!({})),
            What::Panicked => (OTHER, "panic".to_owned(), json!({})),
            What::Done => (OTHER, "all actors are done".to_owned(), json!({})),
            _ => return,
        };
        args["depth"] = json!(event.depth);
        args["iterations"] = json!(event.meter.iterations);
        self.push("i", tid, &name, event.at, Some(args));
    }

    fn reached(&self, key: Key) -> Value {
        let mut args = json!({ "actor": self.actor(key), "kind": key.kind.name(), "n": key.n });
        match key.step {
            // The source itself, not one of its steps.
            FIRED => {}
            CANCELLED => args["step"] = json!("cancelled"),
            step => args["step"] = json!(step),
        }
        args
    }

    fn actor(&self, key: Key) -> String {
        let actor = self.program.actors.get(usize::from(key.actor));
        actor.map_or_else(|| format!("actor {}", key.actor), |actor| actor.name.clone())
    }

    fn level(&self, level: u16) -> String {
        let name = self.levels.get(usize::from(level));
        name.map_or_else(|| format!("level {level}"), Clone::clone)
    }

    fn counters(&mut self, event: &Event) {
        // An event that opens or closes carries the depth inside the loop; outside it is one less.
        let closes = u16::from(matches!(event.what, What::Close(_)));
        let depth = event.depth.saturating_sub(closes);
        self.push("C", 0, "depth", event.at, Some(json!({ "nested loops": depth })));
        let iterations = json!({
            "GLib": event.meter.iterations, "justified": event.meter.useful,
        });
        self.push("C", 0, "iterations", event.at, Some(iterations));
    }

    /// Nested loops, quiet windows and pokes.
    fn slices(&self, trace: &Trace) -> Vec<Slice> {
        let events = &trace.events;
        let last = events.last().map_or(Duration::ZERO, |e| e.at);
        let mut slices = Vec::new();
        for (from, event) in events.iter().enumerate() {
            let (name, kind, closing) = match event.what {
                What::Open(level) => (self.level(level), "nested loop", What::Close(level)),
                What::QuietBegin => ("quiet".to_owned(), "quiet window", What::QuietEnd),
                What::PokeBegin(n) => ("poke".to_owned(), "rescue thread", What::PokeEnd(n)),
                _ => continue,
            };
            let after = events[from..].iter().position(|e| e.what == closing);
            let to = after.map_or(events.len(), |n| from + n);
            slices.push(Slice {
                name,
                kind,
                from,
                to,
                begin: event.at,
                end: events.get(to).map_or(last, |e| e.at),
                closed: after.is_some(),
            });
        }
        slices
    }

    /// A track of slices that nest.
    fn lane(&mut self, tid: usize, slices: &[Slice]) {
        let Some(first) = slices.first() else { return };
        self.name("thread_name", tid, first.kind);
        let mut open: Vec<&Slice> = Vec::new();
        for slice in slices {
            while open.last().is_some_and(|outer| outer.to <= slice.from) {
                open.pop().into_iter().for_each(|ended| self.slice_end(tid, ended));
            }
            let args = json!({ "closed": slice.closed });
            self.push("B", tid, &slice.name, slice.begin, Some(args));
            open.push(slice);
        }
        while let Some(slice) = open.pop() {
            self.slice_end(tid, slice);
        }
    }

    fn slice_end(&mut self, tid: usize, slice: &Slice) {
        self.push("E", tid, &slice.name, slice.end, None);
    }

    /// How the run ended, if not by itself.
    fn end(&mut self, trace: &Trace) {
        let text = match &trace.end {
            End::Finished => return,
            End::Died { message, .. } => format!("died: {message}"),
            End::Deadline { in_lock: true, .. } => "killed, asleep on a lock".to_owned(),
            End::Deadline { .. } => "killed at the deadline".to_owned(),
            End::Unknown { reason } => format!("unknown: {reason}"),
        };
        let at = trace.events.last().map_or(Duration::ZERO, |e| e.at);
        self.push("i", OTHER, &text, at, Some(json!({ "notes": trace.notes })));
    }

    fn push(&mut self, phase: &str, tid: usize, name: &str, at: Duration, args: Option<Value>) {
        let mut event = json!({
            "ph": phase, "name": name, "pid": self.pid, "tid": tid,
            "ts": at.as_nanos() as f64 / 1000.0,
        });
        if phase == "i" {
            // The scope of an instant: its track.
            event["s"] = json!("t");
        }
        if let Some(args) = args {
            event["args"] = args;
        }
        self.events.push(event);
    }
}

/// Slices of one kind on as few tracks as possible so that they nest, in the order in which they
/// begin.
fn lanes(slices: Vec<Slice>) -> Vec<Vec<Slice>> {
    let mut lanes: Vec<Vec<Slice>> = Vec::new();
    for slice in slices {
        let nests = |lane: &Vec<Slice>| {
            let same = lane.iter().all(|other| other.kind == slice.kind);
            let crossed = |other: &Slice| other.to > slice.from && other.to < slice.to;
            same && !lane.iter().any(crossed)
        };
        match lanes.iter_mut().find(|lane| nests(lane)) {
            Some(lane) => lane.push(slice),
            None => lanes.push(vec![slice]),
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use loopnest_core::classify;
    use loopnest_core::model::ideal;
    use loopnest_core::strategy::Owner;
    use loopnest_core::trace::Meter;

    use super::*;
    use crate::rules::tests::{program, quiet, strategy};

    /// A trace of runs, judged.
    fn shown(runs: &[(&Program, &Trace)]) -> Value {
        let about = strategy(Owner::Glib);
        let judged: Vec<Judgement> =
            runs.iter().map(|(program, trace)| classify(program, &ideal(program), trace)).collect();
        let cells: Vec<Shown<'_>> = runs
            .iter()
            .zip(&judged)
            .map(|((program, trace), judgement)| Shown { about: &about, program, trace, judgement })
            .collect();
        chrome_trace(&cells)
    }

    fn events(trace: &Value) -> &Vec<Value> {
        trace["traceEvents"].as_array().unwrap()
    }

    fn of<'a>(trace: &'a Value, phase: &str) -> Vec<&'a Value> {
        events(trace).iter().filter(|e| e["ph"] == phase).collect()
    }

    /// Every end must close the slice that began last on its track, and not before it began.
    fn check_nesting(trace: &Value) {
        let mut open: BTreeMap<(u64, u64), Vec<(String, f64)>> = BTreeMap::new();
        for event in events(trace) {
            let track = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
            let name = event["name"].as_str().unwrap().to_owned();
            match event["ph"].as_str().unwrap() {
                "B" => open.entry(track).or_default().push((name, event["ts"].as_f64().unwrap())),
                "E" => {
                    let (begun, since) = open.get_mut(&track).unwrap().pop().unwrap();
                    assert_eq!(begun, name);
                    assert!(event["ts"].as_f64().unwrap() >= since);
                }
                _ => {}
            }
        }
        assert!(open.values().all(Vec::is_empty), "{open:?}");
    }

    fn trace_of(whats: &[What]) -> Trace {
        let event = |(i, what): (usize, &What)| Event {
            at: Duration::from_millis(10 * i as u64),
            depth: 1,
            what: *what,
            meter: Meter { iterations: i as u64, ..Meter::default() },
        };
        Trace {
            events: whats.iter().enumerate().map(event).collect(),
            meter: Meter::default(),
            end: End::Finished,
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_cell_is_a_process_with_named_tracks() {
        let (one, two) = (program("callback"), quiet());
        let (first, second) = (ideal(&one), ideal(&two));
        let trace = shown(&[(&one, &first), (&two, &second)]);
        let named = |e: &&&Value| e["name"] != "process_labels";
        let names: Vec<(u64, &str)> = of(&trace, "M")
            .iter()
            .filter(named)
            .map(|e| (e["pid"].as_u64().unwrap(), e["args"]["name"].as_str().unwrap()))
            .collect();
        assert_eq!(
            names,
            [
                (1, "nested/dialog"),
                (1, "GLib"),
                (1, "async"),
                (1, "run"),
                (1, "loop thread"),
                (1, "nested loop"),
                (2, "nested/idle"),
                (2, "GLib"),
                (2, "async"),
                (2, "run"),
                (2, "loop thread"),
            ]
        );
        assert_eq!(trace["displayTimeUnit"], "ms");
        check_nesting(&trace);
    }

    #[test]
    fn every_event_is_an_instant_on_the_track_of_its_side() {
        let program = program("callback");
        let run = ideal(&program);
        let trace = shown(&[(&program, &run)]);
        let reached = run.events.iter().filter(|e| matches!(e.what, What::Reached(_))).count();
        let instants = of(&trace, "i");
        assert_eq!(instants.iter().filter(|e| e["args"]["kind"].is_string()).count(), reached);
        assert!(instants.iter().all(|e| e["s"] == "t" && e["ts"].is_number()));
        let tick = instants.iter().find(|e| e["name"] == "ticker timer").unwrap();
        assert_eq!((&tick["tid"], &tick["args"]["n"]), (&json!(ASYNC), &json!(0)));
        assert!(instants.iter().any(|e| e["tid"] == GLIB && e["name"] == "opener timeout"));
    }

    #[test]
    fn depth_and_iterations_are_counted() {
        let program = program("callback");
        let run = trace_of(&[What::Open(0), What::Quit(0), What::Close(0)]);
        let trace = shown(&[(&program, &run)]);
        let counted = |name: &str, key: &str| -> Vec<Value> {
            let of = of(&trace, "C").into_iter().filter(|e| e["name"] == name);
            of.map(|e| e["args"][key].clone()).collect()
        };
        assert_eq!(counted("depth", "nested loops"), [json!(1), json!(1), json!(0)]);
        assert_eq!(counted("iterations", "GLib"), [json!(0), json!(1), json!(2)]);
    }

    #[test]
    fn loops_closed_in_the_wrong_order_still_nest_in_the_picture() {
        let run = trace_of(&[What::Open(0), What::Open(1), What::Close(0), What::Close(1)]);
        let program = program("callback");
        let trace = shown(&[(&program, &run)]);
        check_nesting(&trace);
        let tracks: Vec<&Value> = of(&trace, "B").iter().map(|e| &e["tid"]).collect();
        assert_ne!(tracks[0], tracks[1]);
    }

    #[test]
    fn loops_inside_each_other_share_a_track_and_quiet_windows_have_their_own() {
        let run = trace_of(&[
            What::Open(0),
            What::QuietBegin,
            What::Open(1),
            What::Close(1),
            What::QuietEnd,
            What::Close(0),
            What::Open(2),
            What::Close(2),
        ]);
        let program = program("callback");
        let trace = shown(&[(&program, &run)]);
        check_nesting(&trace);
        let tracks: Vec<u64> = of(&trace, "B").iter().filter_map(|e| e["tid"].as_u64()).collect();
        let first = SLICES as u64;
        assert_eq!(tracks, [first, first, first, first + 1]);
    }

    #[test]
    fn a_run_that_was_cut_short_leaves_no_slice_open() {
        let mut run = trace_of(&[What::Open(0), What::PokeBegin(0), What::Open(1)]);
        run.end = End::Died { signal: Some(6), code: None, message: "EnterError".to_owned() };
        let program = program("callback");
        let trace = shown(&[(&program, &run)]);
        check_nesting(&trace);
        assert!(of(&trace, "B").iter().all(|e| e["args"]["closed"] == false));
        assert!(of(&trace, "i").iter().any(|e| e["name"] == "died: EnterError"));
    }

    #[test]
    fn an_arrow_leads_from_when_something_was_due_to_when_it_came() {
        let program = program("callback");
        let mut run = ideal(&program);
        let late = run.events.iter().position(|e| matches!(e.what, What::Reached(_))).unwrap();
        let mut event = run.events.remove(late);
        let due = event.at;
        event.at = run.events.last().unwrap().at;
        run.events.push(event);
        let trace = shown(&[(&program, &run)]);
        let (from, to) = (of(&trace, "s"), of(&trace, "f"));
        assert_eq!((from.len(), to.len()), (1, 1));
        assert_eq!(from[0]["id"], to[0]["id"]);
        assert_eq!(from[0]["ts"], json!(due.as_nanos() as f64 / 1000.0));
        assert_eq!(to[0]["ts"], json!(event.at.as_nanos() as f64 / 1000.0));
        // The numbers that stand for no step are not shown.
        assert!(!trace.to_string().contains("65535"));
        let labels = of(&trace, "M").into_iter().find(|e| e["name"] == "process_labels");
        let text = labels.unwrap()["args"]["labels"].as_str().unwrap().to_owned();
        assert!(text.contains(": "), "{text}");
    }

    #[test]
    fn the_loop_thread_sleeps_runs_or_cannot_run() {
        let program = program("callback");
        let mut run = trace_of(&[What::Open(0), What::Quit(0), What::Close(0), What::Done]);
        let ms = Duration::from_millis;
        for (event, (cpu, delay)) in run.events.iter_mut().zip([(0, 0), (9, 0), (9, 9), (10, 9)]) {
            event.meter = Meter { cpu: ms(cpu), delay: ms(delay), ..Meter::default() };
        }
        let trace = shown(&[(&program, &run)]);
        let states = of(&trace, "X").into_iter().filter(|e| e["tid"] == THREAD);
        let states: Vec<_> = states.map(|e| (e["name"].clone(), e["dur"].clone())).collect();
        let expected =
            ["runs", "could not run", "asleep"].map(|name| (json!(name), json!(10_000.0)));
        assert_eq!(states, expected);
    }
}
