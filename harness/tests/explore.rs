//! The search finds what is there, shrinks it, and gives the same result each time. The commands
//! around it are tested too.

mod common;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Ran, Running, folder, harness, run, wait_for};
use harness::counterexample::{Counterexample, Found};
use harness::search::{Find, News, Plan, Searched, n_steps, search};
use loopnest_core::model::ideal;
use loopnest_core::program::{Actor, ActorKind, How, Side, Step};
use loopnest_core::trace::{Kind, What};
use loopnest_core::verdict::Word;
use loopnest_core::{Judgement, Program, classify};
use rustix::process::Signal;

/// A judge that says `words` of every program like this, and progress of all others.
fn planted(
    words: &[Word],
    like: impl Fn(&Program) -> bool,
) -> impl FnMut(&Program) -> io::Result<Option<Judgement>> {
    move |program| {
        let ideal = ideal(program);
        let mut judgement = classify(program, &ideal, &ideal);
        if like(program) {
            judgement.words = words.to_vec();
        }
        Ok(Some(judgement))
    }
}

fn searched(plan: &Plan, words: &[Word], like: impl Fn(&Program) -> bool) -> Searched {
    let never = AtomicBool::new(false);
    search(plan, &never, &mut planted(words, like), &mut |_| ()).expect("nothing is started")
}

fn found(plan: &Plan, words: &[Word], like: impl Fn(&Program) -> bool) -> Find {
    searched(plan, words, like).find.expect("there is one")
}

/// A task's timer is due while a callback's dialog is open, which is where asyncio-glib stalls.
fn owes_a_timer(program: &Program) -> bool {
    let opens = |steps: &[Step]| steps.iter().any(|step| matches!(step, Step::Dialog { .. }));
    let by_callback = program.actors.iter().any(|a| a.kind.side() == Side::Glib && opens(&a.steps));
    let timer = |what| matches!(what, What::Reached(key) if key.kind == Kind::Timer);
    by_callback && ideal(program).events.iter().any(|e| e.depth > 0 && timer(e.what))
}

fn has_library_task(program: &Program) -> bool {
    program.actors.iter().any(|actor| actor.kind == ActorKind::LibraryTask)
}

#[test]
fn what_is_found_is_small_whatever_the_seed() {
    for seed in 0..8 {
        let find = found(&Plan::on_model(seed, 2000, None), &[Word::Stall], owes_a_timer);
        assert!(owes_a_timer(&find.program));
        let n = n_steps(&find.program);
        assert!(n <= 3 && find.program.actors.len() <= 2, "seed {seed}: {}", find.program);
        assert!(find.shrunk_from >= n && find.tries > 0, "{find:#?}");
    }
}

#[test]
fn the_same_seed_finds_the_same_and_another_seed_makes_other_programs() {
    let at = |seed| {
        let mut plan = Plan::on_model(seed, 2000, Some(Word::Stall));
        plan.tries = 0;
        found(&plan, &[Word::Stall], has_library_task)
    };
    assert_eq!(at(1), at(1));
    assert_ne!(at(1).program, at(2).program);
}

#[test]
fn a_longer_search_does_not_change_what_a_shorter_one_has_found() {
    let mut plan = Plan::on_model(3, 2000, None);
    plan.finds = 1;
    let short = found(&plan, &[Word::Stall], owes_a_timer);
    plan.cases = 100_000;
    assert_eq!(short, found(&plan, &[Word::Stall], owes_a_timer));
}

#[test]
fn shrinking_keeps_the_wanted_word_and_rejects_other_verdicts() {
    let plan = Plan::on_model(5, 500, Some(Word::BusyLoop));
    let none = searched(&plan, &[Word::Stall], owes_a_timer);
    assert!(none.find.is_none() && none.cases == 500 && !none.interrupted, "{none:#?}");
    // Smaller programs have another fault, not the one that was found.
    let mut judge = |program: &Program| {
        let words: &[Word] = if owes_a_timer(program) {
            &[Word::Stall, Word::BusyLoop]
        } else if program.levels().is_empty() {
            &[Word::Progress]
        } else {
            &[Word::Lost]
        };
        planted(words, |_| true)(program)
    };
    let never = AtomicBool::new(false);
    let find = search(&plan, &never, &mut judge, &mut |_| ()).expect("nothing is started").find;
    let find = find.expect("there is one");
    assert!(owes_a_timer(&find.program) && find.word == Word::BusyLoop, "{find:#?}");
}

#[test]
fn without_a_wanted_word_the_worst_word_of_the_first_find_is_kept() {
    let plan = Plan::on_model(5, 500, None);
    let find = found(&plan, &[Word::Abort, Word::Stall], owes_a_timer);
    assert_eq!(find.word, Word::Abort);
    let refused = searched(&plan, &[Word::Refused], |_| true);
    assert!(refused.find.is_none(), "a refusal is not bad: {refused:#?}");
}

#[test]
fn on_the_real_loops_a_find_must_be_seen_each_time() {
    let mut n = 0;
    let mut judge = |program: &Program| {
        n += 1;
        planted(&[Word::Stall], |_| n % 3 != 0)(program)
    };
    let plan = Plan::on_real_loops(1, 50, None);
    let never = AtomicBool::new(false);
    let searched = search(&plan, &never, &mut judge, &mut |_| ()).expect("nothing is started");
    assert!(searched.find.is_none(), "{searched:#?}");
    assert_eq!(n, 150);
}

#[test]
fn the_words_beside_the_wanted_one_must_be_seen_each_time_too() {
    for (words, is_found) in
        [([Word::Stall, Word::Stall], true), ([Word::Lost, Word::Stall], false)]
    {
        let mut n = 0;
        let mut judge = |program: &Program| {
            n += 1;
            planted(&[words[usize::from(n % 3 == 1)], Word::BusyLoop], |_| true)(program)
        };
        let plan = Plan { tries: 0, ..Plan::on_real_loops(1, 5, Some(Word::BusyLoop)) };
        let never = AtomicBool::new(false);
        let searched = search(&plan, &never, &mut judge, &mut |_| ()).expect("nothing is started");
        assert_eq!(searched.find.is_some(), is_found, "{searched:#?}");
    }
}

#[test]
fn an_interrupted_search_keeps_the_best_so_far() {
    let stop = AtomicBool::new(false);
    let mut best = None;
    let mut news = |news: News<'_>| {
        if let News::Found(find) = news {
            best = Some(find.clone());
            stop.store(true, Ordering::Relaxed);
        }
    };
    let mut judge = planted(&[Word::Stall], owes_a_timer);
    let plan = Plan::on_model(1, 2000, None);
    let searched = search(&plan, &stop, &mut judge, &mut news).expect("nothing is started");
    assert!(searched.interrupted);
    assert_eq!(searched.find, best);
    assert!(best.is_some_and(|find| find.tries == 0 && owes_a_timer(&find.program)));
}

#[test]
fn a_judge_that_fails_ends_the_search() {
    let never = AtomicBool::new(false);
    let mut judge = |_: &Program| Err(io::Error::other("no more processes"));
    let plan = Plan::on_model(1, 10, None);
    let error = search(&plan, &never, &mut judge, &mut |_| ()).expect_err("it fails");
    assert_eq!(error.to_string(), "no more processes");
}

/// A program that `nested` stalls on and `dispatch` does not.
fn stalling() -> Counterexample {
    let dialog =
        Step::Dialog { level: "dialog".to_owned(), how: How::Run, close_after_ms: Some(250) };
    let opener = ActorKind::Timeout { every_ms: 50, times: 1, priority: 0 };
    let actor = |name: &str, kind, step| Actor { name: name.to_owned(), kind, steps: vec![step] };
    let program = Program {
        name: "found".to_owned(),
        about: "A timer is due in a dialog.".to_owned(),
        source: "asyncio-glib".to_owned(),
        tags: Vec::new(),
        actors: vec![
            actor("opener", opener, dialog),
            actor("timer", ActorKind::Task, Step::Sleep { ms: 100 }),
        ],
    };
    assert!(owes_a_timer(&program));
    let verdict = vec![Word::Stall, Word::BusyLoop];
    let found = Found {
        seed: "5eed".to_owned(),
        case: 3,
        want: vec![Word::Stall],
        shrunk_from: 12,
        tries: 40,
        model: verdict.clone(),
        real: Vec::new(),
    };
    Counterexample::new("nested", verdict, program, Some(found))
}

#[test]
fn a_stored_counterexample_is_read_back_the_same() {
    let (_folder, path) = folder();
    let file = path.join("below").join("found.toml");
    let stored = stalling();
    stored.save(&file).expect("the folder is made");
    assert_eq!(Counterexample::load(&file).expect("it was just written"), stored);
    let text = fs::read_to_string(&file).expect("it was just written");
    // The program comes before the seed, and a person can see what it is about.
    let position = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(position("[program]") < position("[found]"));
    assert!(position("#   opener: GLib timeout") < position("verdict = \"stall+busy-loop\""));
    let names: Vec<_> = fs::read_dir(path.join("below")).expect("a folder").collect();
    assert_eq!(names.len(), 1, "nothing is left beside it: {names:?}");
}

#[test]
fn replay_of_a_file_says_whether_the_verdict_was_seen_again() {
    let (_folder, path) = folder();
    let file = path.join("found.toml");
    stalling().save(&file).expect("room");
    let replay = |args: &[&str]| run(harness(["replay"]).arg(&file).args(args));
    let ran = replay(&["-n", "3"]).exits(0);
    assert!(ran.stdout.starts_with("nested/found  stall+busy-loop  "), "{ran:#?}");
    assert!(ran.stdout.ends_with("\nseen again\n"), "{ran:#?}");
    let ran = replay(&["--strategy", "dispatch", "-n", "2"]).exits(1);
    assert!(ran.stdout.starts_with("dispatch/found  progress  2/2\n"), "{ran:#?}");
    assert!(ran.stdout.ends_with("\nnot seen again: expected stall+busy-loop, got progress\n"));
    let timeline = path.join("trace.json");
    let timeline = timeline.to_str().expect("a plain name");
    replay(&["-s", "dispatch", "--verdict", "progress", "--timeline", timeline]).exits(0);
    assert!(fs::read_to_string(timeline).expect("it was asked for").contains("dispatch/found"));
}

#[test]
fn a_program_in_which_nothing_starts_ends_at_once() {
    let (_folder, path) = folder();
    let file = path.join("found.toml");
    let mut dormant = stalling();
    dormant.program.actors[1].kind = ActorKind::Dormant;
    dormant.program.actors.remove(0);
    let mut empty = dormant.clone();
    empty.program.actors.clear();
    for idle in [dormant, empty] {
        idle.save(&file).expect("room");
        let ran = run(harness(["replay"]).arg(&file).args(["--verdict", "progress"])).exits(0);
        assert!(ran.stdout.ends_with("\nseen again\n"), "{ran:#?}");
    }
}

#[test]
fn a_file_judged_by_other_rules_runs_with_a_warning() {
    let (_folder, path) = folder();
    let file = path.join("found.toml");
    let mut old = stalling();
    old.rules = 0;
    old.save(&file).expect("room");
    let ran = run(harness(["replay"]).arg(&file)).exits(0);
    let said =
        format!("warning: {} was judged by rules 0; this harness has rules 2\n", file.display());
    assert_eq!(ran.stderr, said);
}

/// Replays a file with this text, which must be rejected.
#[track_caller]
fn rejected(file: &Path, text: &str) -> String {
    fs::write(file, text).expect("room");
    let ran = run(harness(["replay"]).arg(file)).exits(2);
    assert_eq!(ran.stdout, "", "{ran:#?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:#?}");
    ran.stderr
}

#[test]
fn a_broken_file_is_rejected_with_the_place_and_the_remedy() {
    let (_folder, path) = folder();
    let file = path.join("found.toml");
    let good = stalling().render().expect("TOML");
    let line = |what: &str| good.lines().position(|l| l.starts_with(what)).expect(what) + 1;
    let verdict = line("verdict = ");
    for (from, to, line, column, said) in [
        ("verdict = ", "verdict == ", verdict, 10, ""),
        ("stall+busy-loop", "slow", verdict, 11, "no such verdict, `slow`; did you mean "),
        ("case = ", "kase = ", line("case = "), 1, "unknown field `kase`"),
        ("every_ms = ", "evry_ms = ", line("every_ms = "), 1, "unknown field `evry_ms`"),
        ("do = \"dialog\"", "do = \"dialogue\"", line("do = \"dialog\""), 6, "dialogue"),
        ("strategy = \"nested\"\n", "", 1, 1, "missing field `strategy`"),
    ] {
        assert!(good.contains(from), "{from}: {good}");
        let said_all = rejected(&file, &good.replacen(from, to, 1));
        let said_all = said_all.replace(&file.display().to_string(), "FILE");
        let place = format!("error: FILE:{line}:{column}: ");
        assert!(said_all.starts_with(&place), "{from} -> {to}: not {place} but {said_all}");
        assert!(said_all.contains(said), "{from} -> {to}: {said_all}");
        assert!(said_all.contains("; fix that, or run `explore` again"), "{said_all}");
    }
}

#[test]
fn a_file_of_another_format_or_with_a_broken_program_is_rejected() {
    let (_folder, path) = folder();
    let file = path.join("found.toml");
    let good = stalling().render().expect("TOML");
    let said = rejected(&file, &good.replace("format = 1", "format = 2\nnew = true"));
    assert!(said.contains("format 2; this harness reads 1"), "{said}");
    let mut twice = stalling();
    let first = twice.program.actors[0].clone();
    twice.program.actors.push(first);
    let said = rejected(&file, &twice.render().expect("TOML"));
    assert!(said.contains("is used twice; fix it in the file"), "{said}");
    let mut stranger = stalling();
    stranger.strategy = "nestd".to_owned();
    let said = rejected(&file, &stranger.render().expect("TOML"));
    assert!(said.contains("did you mean nested"), "{said}");
}

#[test]
fn a_missing_file_is_named() {
    let ran = run(&mut harness(["replay", "/nonexistent/found.toml"])).exits(2);
    assert!(ran.stderr.starts_with("error: cannot read /nonexistent/found.toml: "), "{ran:#?}");
    assert!(ran.stderr.contains("`explore` writes such files"), "{ran:#?}");
    let ran = run(&mut harness(["replay", "nested/idle", "-s", "dispatch"])).exits(2);
    assert!(ran.stderr.contains("a cell already names its strategy"), "{ran:#?}");
}

/// Searches in an empty folder.
fn explore(args: &[&str]) -> (tempfile::TempDir, Ran) {
    let (folder, path) = folder();
    let ran = run(harness(["explore"]).args(args).current_dir(path));
    (folder, ran)
}

#[test]
fn what_cannot_be_searched_for_is_wrong_usage() {
    for (args, said) in [
        (&["--want", "stall"][..], "--strategy"),
        (&["-s", "nestd"], "no strategy matches `nestd`; did you mean nested"),
        (&["-s", "nested", "--want", "stal"], "did you mean stall?"),
        (&["-s", "nested", "--want", "busy"], "did you mean busy-loop?"),
        (&["-s", "nested", "--want", "progress"], "`progress` is not a bad verdict"),
        (&["-s", "nested", "--skip", "driver"], "did you mean driver-held-by-library-task, "),
        (&["-s", "nested", "--cases", "0"], "0 is not in 1.."),
        (&["-s", "nested", "--seed", "seed"], "hexadecimal"),
        (&["-s", "nested", "--output", "/"], "--output is a folder, /"),
        (&["-s", "control-starved"], "there is no model of `control-starved`"),
        (&["-s", "control-starved"], "use `--real` to search on the real loops"),
    ] {
        let (_folder, ran) = explore(args);
        let ran = ran.exits(2);
        assert_eq!(ran.stdout, "", "{args:?}: {ran:#?}");
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(said), "{ran:#?}");
    }
}

#[test]
fn the_same_command_line_prints_and_saves_the_same() {
    let args = ["-s", "nested", "--want", "stall", "--seed", "5eed", "--cases", "300"];
    let [one, other] = [(); 2].map(|()| explore(&args));
    assert_eq!((one.1.code, &one.1.stdout), (other.1.code, &other.1.stdout));
    assert!(one.1.stdout.contains("harness explore --strategy nested --want stall --cases 300"));
    let [one, other] = [one, other].map(|(folder, _)| {
        let (path, found) = saved(folder.path());
        (fs::read_to_string(path).expect("text"), found)
    });
    assert_eq!(one, other);
    assert!((1..=3).contains(&n_steps(&one.1.program)), "{}", one.1.program);
    assert!(one.1.found.is_some_and(|found| found.real.contains(&Word::Stall)));
}

/// The one counterexample that a search in a folder has left there.
#[track_caller]
fn saved(folder: &Path) -> (PathBuf, Counterexample) {
    let entries = fs::read_dir(folder.join("counterexamples")).expect("something was found");
    let paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let [path] = &paths[..] else { panic!("one file: {paths:?}") };
    (path.clone(), Counterexample::load(path).expect("it was just saved"))
}

#[test]
fn a_stall_of_nested_is_found_and_seen_again_on_the_real_loops() {
    let (folder, ran) = explore(&["--strategy", "nested", "--want", "stall", "--seed", "1"]);
    ran.exits(0);
    let (path, found) = saved(folder.path());
    assert!((1..=3).contains(&n_steps(&found.program)), "{}", found.program);
    let ran = run(harness(["replay"]).arg(path).args(["--repeat", "3"])).exits(0);
    assert!(ran.stdout.contains("stall"), "{ran:#?}");
}

#[test]
fn dispatch_fails_only_at_its_known_limit() {
    let limit = ["--skip", "driver-held-by-library-task", "--seed", "1"];
    let (_folder, ran) =
        explore(&[&["--strategy", "dispatch", "--cases", "2000"][..], &limit[..]].concat());
    ran.exits(4);
}

#[test]
fn a_random_seed_is_printed_with_the_command_that_repeats_the_search() {
    let args = ["-s", "handoff", "--want", "livelock", "--cases", "5"];
    let (_folder, ran) = explore(&args);
    let ran = ran.exits(4);
    assert!(ran.stdout.starts_with("handoff: no `livelock` in 5 programs of seed "), "{ran:#?}");
    let (_, again) = ran.stdout.split_once("Again   harness explore ").expect("a line");
    let words: Vec<&str> = again.split_whitespace().filter(|word| *word != "\\").collect();
    let (_folder, same) = explore(&words);
    assert_eq!(same.exits(4).stdout, ran.stdout);
}

#[test]
fn a_strategy_without_a_model_can_be_searched_on_the_real_loops() {
    let args = ["-s", "control-correct", "--real", "--cases", "3", "--seed", "1"];
    let (_folder, ran) = explore(&[&args[..], &["--want", "deadlock"]].concat());
    let said = "control-correct: no `deadlock` in 3 programs of seed 1\n";
    assert!(ran.exits(4).stdout.starts_with(said));
}

#[test]
fn a_program_with_a_skipped_cause_is_not_found() {
    let args = ["-s", "control-starved", "--real", "--cases", "2", "--seed", "1"];
    let (_folder, ran) = explore(&[&args[..], &["--skip", "starved-by-priority"]].concat());
    let ran = ran.exits(4);
    assert!(ran.stdout.contains("--skip starved-by-priority"), "{ran:#?}");
}

#[test]
fn a_find_that_cannot_be_saved_is_still_printed() {
    let (_folder, path) = folder();
    let (below, out) = (path.join("below"), path.join("below/it.toml"));
    let args = ["-s", "control-starved", "--real", "--want", "busy-loop", "--cases", "1"];
    let running = Running::start(harness(["explore"]).args(args).arg("--output").arg(&out));
    // It could be saved when the search began, and then something else took the folder's place.
    wait_for("a cell that runs", || common::cells_of(running.id()).first().copied());
    wait_for("the folder's end", || {
        let _ = fs::remove_dir_all(&below);
        fs::write(&below, "").ok()
    });
    // Shrinking would take a while.
    wait_for("a warning", || running.stderr().contains('\n').then_some(()));
    running.send(Signal::INT);
    let ran = running.wait();
    let ran = ran.exits(70);
    assert!(ran.stdout.starts_with("control-starved: ") && !ran.stdout.contains("Saved"));
    let said = format!("cannot write {}: ", out.display());
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(lines.iter().all(|line| line.contains(&said)), "{ran:#?}");
    assert!(lines.last().is_some_and(|line| line.starts_with("error: ")), "{ran:#?}");
}

#[test]
fn ctrl_c_ends_a_search_and_prints_what_it_did_so_far() {
    for signal in [Signal::INT, Signal::TERM] {
        let (_folder, path) = folder();
        let args = ["-s", "control-starved", "--real", "--want", "deadlock", "--cases", "1000"];
        let running = Running::start(harness(["explore"]).args(args).current_dir(&path));
        wait_for("a cell that runs", || common::cells_of(running.id()).first().copied());
        let id = running.id();
        running.send(signal);
        let ran = running.wait().exits(130);
        assert_eq!(common::cells_of(id), [0; 0], "{ran:#?}");
        assert!(ran.stdout.contains("interrupted after "), "{ran:#?}");
        assert!(ran.stdout.contains("Again   harness explore "), "{ran:#?}");
        assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("error"), "{ran:#?}");
    }
}

#[test]
fn ctrl_c_while_shrinking_prints_and_saves_the_best_so_far() {
    let (_folder, path) = folder();
    let args = ["-s", "control-starved", "--real", "--want", "busy-loop", "--progress", "plain"];
    let running = Running::start(harness(["explore"]).args(args).current_dir(&path));
    // It is saved as soon as it is found. A line of progress may come before that.
    let folder = path.join("counterexamples");
    let saved = wait_for("a find", || fs::read_dir(&folder).ok()?.find_map(Result::ok));
    let first = Counterexample::load(&saved.path()).expect("it is whole");
    running.send(Signal::INT);
    let ran = running.wait().exits(130);
    assert!(ran.stdout.starts_with("control-starved: "), "{ran:#?}");
    assert!(ran.stdout.contains("Note    interrupted"), "{ran:#?}");
    let last = Counterexample::load(&saved.path()).expect("it is whole");
    assert!(n_steps(&last.program) <= n_steps(&first.program));
    assert!(last.verdict.contains(&Word::BusyLoop) && last.strategy == "control-starved");
    assert!(last.program.source.starts_with("explore --strategy control-starved "));
    assert_eq!(last.found.expect("it was").real, last.verdict);
    assert!(ran.stdout.contains(saved.file_name().to_str().expect("a plain name")), "{ran:#?}");
}
