//! The nested dialog against the real GTK: whatever happens to the window, the call returns.

mod common;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use common::inside::{assert_nothing_left, dialog, on_a_desk, parent, soon};
use common::wait_for;
use gtk4::glib::signal::signal_has_handler_pending;
use gtk4::glib::subclass::SignalId;
use gtk4::glib::subclass::prelude::*;
use gtk4::prelude::*;
use gtk4::{gio, glib};
use gui_demo::dialog_run::{Answer, Outcome, abort_all, abort_for_good, depth, dialog_run};

/// Runs `job` when the window is on the screen.
fn when_mapped(window: &gtk4::Window, job: impl FnOnce() + 'static) {
    let job = RefCell::new(Some(job));
    window.connect_map(move |_| {
        if let Some(job) = job.take() {
            soon(job);
        }
    });
}

/// Runs xdotool on another thread, because this one has to answer the window manager meanwhile.
fn press_in(title: &'static str, keys: &'static str) {
    let xdotool = |args: &[&str]| {
        let output = Command::new("xdotool").args(args).output().expect("xdotool");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    thread::spawn(move || {
        wait_for(&format!("`{title}` to be active"), || {
            let active = xdotool(&["getactivewindow", "getwindowname"])?;
            (active == title).then_some(())
        });
        xdotool(&["key", keys]);
    });
}

/// Runs a loop until the parent gets a key press.
fn wait_for_a_key_in(parent: &gtk4::Window) {
    let main_loop = glib::MainLoop::new(None, false);
    let keys = gtk4::EventControllerKey::new();
    let quit = main_loop.clone();
    keys.connect_key_pressed(move |_, _, _, _| {
        quit.quit();
        glib::Propagation::Stop
    });
    parent.add_controller(keys);
    press_in("parent", "x");
    main_loop.run();
}

glib::wrapper! {
    /// A window whose class refuses the first request to close.
    pub struct Stubborn(ObjectSubclass<stubborn::Stubborn>)
        @extends gtk4::Window, gtk4::Widget,
        @implements gtk4::Buildable, gtk4::ConstraintTarget, gtk4::Native, gtk4::Root,
            gtk4::ShortcutManager;
}

mod stubborn {
    use std::cell::Cell;

    use gtk4::glib::{self, Propagation};
    use gtk4::subclass::prelude::*;

    #[derive(Debug, Default)]
    pub struct Stubborn {
        pub asked: Cell<u32>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Stubborn {
        const NAME: &'static str = "Stubborn";
        type Type = super::Stubborn;
        type ParentType = gtk4::Window;
    }

    impl ObjectImpl for Stubborn {}
    impl WidgetImpl for Stubborn {}
    impl WindowImpl for Stubborn {
        fn close_request(&self) -> Propagation {
            self.asked.set(self.asked.get() + 1);
            if self.asked.get() == 1 { Propagation::Stop } else { self.parent_close_request() }
        }
    }
}

on_a_desk! {
    fn a_response_is_what_the_call_returns() {
        let parent = parent();
        let outcome = dialog_run(&dialog("d", &parent), |answer| soon(move || answer.give(42)));
        assert_eq!(outcome, Outcome::Response(42));
        assert_eq!(outcome.response(), Some(42));
        assert_nothing_left(1);
    }

    fn a_click_on_a_button_answers() {
        let parent = parent();
        let button = gtk4::Button::with_label("Delete");
        let dialog = dialog("d", &parent);
        dialog.set_child(Some(&button));
        let press = button.clone();
        when_mapped(&dialog, move || press.emit_clicked());
        let outcome = dialog_run(&dialog, |answer| {
            button.connect_clicked(move |_| answer.give("delete"));
        });
        assert_eq!(outcome, Outcome::Response("delete"));
        assert_nothing_left(1);
    }

    fn the_first_answer_counts() {
        let parent = parent();
        let outcome = dialog_run(&dialog("d", &parent), |answer| {
            soon(move || {
                answer.give(1);
                answer.give(2);
            });
        });
        assert_eq!(outcome, Outcome::Response(1));
    }

    fn a_dialog_answered_while_it_is_wired_is_not_run() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        let shown = Rc::new(Cell::new(false));
        let seen = shown.clone();
        dialog.connect_map(move |_| seen.set(true));
        let outcome = dialog_run(&dialog, |answer| answer.give(()));
        assert_eq!(outcome, Outcome::Response(()));
        assert!(!shown.get());
        assert_nothing_left(1);
    }

    fn escape_closes() {
        let parent = parent();
        press_in("the dialog", "Escape");
        let outcome = dialog_run::<()>(&dialog("the dialog", &parent), |_| {});
        assert_eq!(outcome, Outcome::Closed);
        assert_nothing_left(1);
    }

    fn the_callers_own_escape_handler_comes_first() {
        let parent = parent();
        let dialog = dialog("the dialog", &parent);
        let keys = gtk4::EventControllerKey::new();
        dialog.add_controller(keys.clone());
        press_in("the dialog", "Escape");
        let outcome = dialog_run(&dialog, |answer| {
            keys.connect_key_pressed(move |_, _, _, _| {
                answer.give("its own");
                glib::Propagation::Stop
            });
        });
        assert_eq!(outcome, Outcome::Response("its own"));
    }

    fn the_window_manager_closes() {
        let parent = parent();
        press_in("the dialog", "alt+F4");
        let outcome = dialog_run::<()>(&dialog("the dialog", &parent), |_| {});
        assert_eq!(outcome, Outcome::Closed);
        assert_nothing_left(1);
    }

    fn a_window_that_refuses_to_close_stays_open() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        let asked = Rc::new(Cell::new(0));
        let n = asked.clone();
        dialog.connect_close_request(move |_| {
            n.set(n.get() + 1);
            if n.get() == 1 { glib::Propagation::Stop } else { glib::Propagation::Proceed }
        });
        let window = dialog.clone();
        when_mapped(&dialog, move || {
            window.close();
            assert_eq!(depth(), 1);
            window.close();
        });
        assert_eq!(dialog_run::<()>(&dialog, |_| {}), Outcome::Closed);
        assert_eq!(asked.get(), 2);
    }

    fn the_class_of_a_window_may_refuse_to_close() {
        let parent = parent();
        let dialog: Stubborn = glib::Object::builder().property("transient-for", &parent).build();
        let window = dialog.clone().upcast::<gtk4::Window>();
        when_mapped(&window.clone(), move || {
            window.close();
            assert_eq!(depth(), 1);
            window.close();
        });
        assert_eq!(dialog_run::<()>(&dialog, |_| {}), Outcome::Closed);
        assert_eq!(dialog.imp().asked.get(), 2);
        assert_nothing_left(1);
    }

    fn a_handler_that_is_connected_later_may_refuse_to_close() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        let outcome = dialog_run(&dialog, |answer| {
            let window = dialog.clone();
            when_mapped(&dialog, move || {
                window.connect_close_request(|_| glib::Propagation::Stop);
                window.close();
                answer.give("still open");
            });
        });
        assert_eq!(outcome, Outcome::Response("still open"));
    }

    fn a_window_that_hides_on_close_counts_as_closed() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        dialog.set_hide_on_close(true);
        let window = dialog.clone();
        when_mapped(&dialog, move || window.close());
        assert_eq!(dialog_run::<()>(&dialog, |_| {}), Outcome::Closed);
        assert_nothing_left(1);
    }

    fn a_gtk_dialog_answers_when_it_is_closed() {
        let parent = parent();
        let dialog = gtk4::Dialog::builder().transient_for(&parent).build();
        let window = dialog.clone();
        when_mapped(dialog.upcast_ref(), move || window.close());
        let outcome = dialog_run(&dialog, |answer| {
            dialog.connect_response(move |_, response| answer.give(response));
        });
        assert_eq!(outcome, Outcome::Response(gtk4::ResponseType::DeleteEvent));
        assert_nothing_left(1);
    }

    fn a_window_can_be_used_only_once() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        let answered = dialog_run(&dialog, |answer| soon(move || answer.give(())));
        assert_eq!(answered, Outcome::Response(()));
        assert_eq!(dialog_run::<()>(&dialog, |_| {}), Outcome::Destroyed);
        assert!(!dialog.is_visible());
        assert_nothing_left(1);
    }

    fn a_window_destroyed_while_it_is_wired_is_not_shown() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        assert_eq!(dialog_run::<()>(&dialog, |_| dialog.destroy()), Outcome::Destroyed);
        assert!(!dialog.is_visible());
        assert_nothing_left(1);
    }

    fn a_dialog_of_a_destroyed_parent_is_not_shown() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        parent.destroy();
        assert_eq!(dialog_run::<()>(&dialog, |_| {}), Outcome::Destroyed);
        assert_nothing_left(0);
    }

    fn a_handler_connected_while_it_is_wired_may_refuse_to_close() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        let window = dialog.clone();
        when_mapped(&dialog, move || window.close());
        let outcome = dialog_run(&dialog, |answer| {
            dialog.connect_close_request(move |_| {
                let answer = answer.clone();
                soon(move || answer.give("not yet"));
                glib::Propagation::Stop
            });
        });
        assert_eq!(outcome, Outcome::Response("not yet"));
        assert_nothing_left(1);
    }

    fn a_panic_while_it_is_wired_leaves_nothing() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        let call = || dialog_run::<()>(&dialog, |_| panic!("as the test wants"));
        assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
        assert_nothing_left(1);
    }

    fn an_ended_dialog_that_cannot_return_yet_is_hidden() {
        let parent = parent();
        let dialog = dialog("the dialog", &parent);
        let (window, below) = (dialog.clone(), parent.clone());
        let outcome = dialog_run(&dialog, |answer| {
            when_mapped(&dialog, move || {
                soon(move || {
                    answer.give(());
                    assert!(!window.is_visible());
                });
                // A foreign nested loop, which ends when the user can use the parent again.
                wait_for_a_key_in(&below);
                assert_eq!(depth(), 1);
            });
        });
        assert_eq!(outcome, Outcome::Response(()));
        assert_nothing_left(1);
    }

    fn a_dialog_that_ends_while_it_is_mapped_leaves_no_grab() {
        let parent = parent();
        let dialog = dialog("the dialog", &parent);
        let outcome = dialog_run(&dialog, |answer| {
            dialog.connect_map(move |_| answer.give(()));
        });
        assert_eq!(outcome, Outcome::Response(()));
        wait_for_a_key_in(&parent);
    }

    fn no_signal_handler_stays_on_the_parent() {
        let parent = parent();
        let unrealize = SignalId::lookup("unrealize", gtk4::Widget::static_type());
        let unrealize = unrealize.expect("a signal of every widget");
        let is_watched = {
            let parent = parent.clone();
            move || signal_has_handler_pending(&parent, unrealize, None, true)
        };
        assert!(!is_watched());
        let inside = is_watched.clone();
        dialog_run(&dialog("d", &parent), |answer| {
            soon(move || {
                assert!(inside());
                answer.give(());
            });
        });
        assert!(!is_watched());
    }

    fn a_hidden_dialog_ends() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        let window = dialog.clone();
        when_mapped(&dialog, move || window.set_visible(false));
        assert_eq!(dialog_run::<()>(&dialog, |_| {}), Outcome::Destroyed);
        assert_nothing_left(1);
    }

    fn a_destroyed_dialog_ends_despite_other_references() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        let window = dialog.clone();
        when_mapped(&dialog, move || window.destroy());
        assert_eq!(dialog_run::<()>(&dialog, |_| {}), Outcome::Destroyed);
        assert_nothing_left(1);
    }

    fn a_destroyed_parent_ends_the_dialog_despite_other_references() {
        let parent = parent();
        let dialog = dialog("d", &parent);
        let window = parent.clone();
        when_mapped(&dialog, move || window.destroy());
        assert_eq!(dialog_run::<()>(&dialog, |_| {}), Outcome::Destroyed);
        assert_nothing_left(0);
    }

    fn three_deep_each_gets_its_own_answer() {
        let parent = parent();
        let outer = dialog("1", &parent);
        let results = Rc::new(RefCell::new(Vec::new()));
        let (list, window) = (results.clone(), outer.clone());
        let first = dialog_run(&outer, |answer1| {
            soon(move || {
                let middle = dialog("2", &window);
                let (inner_list, inner_parent) = (list.clone(), middle.clone());
                let second = dialog_run(&middle, |answer2| {
                    soon(move || {
                        let inner = dialog("3", &inner_parent);
                        let third = dialog_run(&inner, |answer3| {
                            soon(move || {
                                assert_eq!(depth(), 3);
                                answer3.give(3);
                            });
                        });
                        inner_list.borrow_mut().push(third);
                        answer2.give(2);
                    });
                });
                list.borrow_mut().push(second);
                answer1.give(1);
            });
        });
        results.borrow_mut().push(first);
        assert_eq!(*results.borrow(), [3, 2, 1].map(Outcome::Response));
        assert_nothing_left(1);
    }

    fn an_answer_to_the_outermost_aborts_the_dialogs_on_top_of_it() {
        let outcomes = three_deep(|answers| answers[0].give(1));
        assert_eq!(outcomes, [Outcome::Aborted, Outcome::Aborted, Outcome::Response(1)]);
    }

    fn an_answer_to_the_middle_leaves_the_outermost_open() {
        let outcomes = three_deep(|answers| {
            answers[1].give(2);
            let outer = answers[0].clone();
            // Runs after the two inner calls have returned.
            glib::timeout_add_local_once(Duration::from_millis(50), move || {
                assert_eq!(depth(), 1);
                outer.give(1);
            });
        });
        assert_eq!(outcomes, [Outcome::Aborted, Outcome::Response(2), Outcome::Response(1)]);
    }

    fn abort_all_ends_every_dialog_that_is_open() {
        let outcomes = three_deep(|_| abort_all());
        assert_eq!(outcomes, [Outcome::Aborted; 3]);
        let later = dialog_run(&dialog("d", &parent()), |answer| soon(move || answer.give(4)));
        assert_eq!(later, Outcome::Response(4));
    }

    fn no_dialog_is_opened_after_abort_for_good() {
        let outcomes = three_deep(|_| abort_for_good());
        assert_eq!(outcomes, [Outcome::Aborted; 3]);
        let parent = parent();
        let dialog = dialog("d", &parent);
        dialog.connect_map(|_| panic!("it is shown"));
        assert_eq!(dialog_run::<()>(&dialog, |_| {}), Outcome::Aborted);
    }

    fn no_dialog_is_opened_while_the_stack_unwinds() {
        let parent = parent();
        let outer = dialog("1", &parent);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (list, window) = (seen.clone(), outer.clone());
        let first = dialog_run(&outer, |answer| {
            soon(move || {
                let outer_answer = answer.clone();
                let inner = dialog_run::<()>(&dialog("2", &window), |_| {
                    soon(move || outer_answer.give(1));
                });
                // The caller of the inner one does not give up, and asks again.
                let again = dialog_run::<()>(&dialog("3", &window), |_| {});
                list.borrow_mut().extend([inner, again]);
            });
        });
        assert_eq!(first, Outcome::Response(1));
        assert_eq!(*seen.borrow(), [Outcome::Aborted, Outcome::Aborted]);
        assert_nothing_left(1);
    }

    fn the_application_quits_at_once_after_abort_for_good() {
        let app = gtk4::Application::new(None::<&str>, gio::ApplicationFlags::NON_UNIQUE);
        let seen = Rc::new(Cell::new(None));
        let outcome = seen.clone();
        app.connect_activate(move |app| {
            let parent = gtk4::ApplicationWindow::builder().application(app).build();
            parent.present();
            let app = app.clone();
            let ask = |then: Box<dyn FnOnce()>| {
                dialog_run::<()>(&dialog("d", parent.upcast_ref()), |_| soon(then))
            };
            let end = ask(Box::new(move || {
                abort_for_good();
                app.quit();
            }));
            // A caller asks again although no dialog is open any more.
            let again = ask(Box::new(|| {}));
            outcome.set(Some([end, again]));
        });
        app.run_with_args(&[""; 0]);
        assert_eq!(seen.get(), Some([Outcome::Aborted; 2]));
    }
}

/// Opens three dialogs, each inside the one before, then calls `act` with the answers, outermost
/// first. Returns the outcomes, innermost first.
fn three_deep(act: impl FnOnce(&[Answer<i32>]) + 'static) -> Vec<Outcome<i32>> {
    let parent = parent();
    let outcomes = Rc::new(RefCell::new(Vec::new()));
    descend(&parent, Vec::new(), Box::new(act), &outcomes);
    assert_nothing_left(1);
    outcomes.take()
}

type Act = Box<dyn FnOnce(&[Answer<i32>])>;

fn descend(
    parent: &gtk4::Window,
    mut answers: Vec<Answer<i32>>,
    act: Act,
    outcomes: &Rc<RefCell<Vec<Outcome<i32>>>>,
) {
    let dialog = dialog("d", parent);
    let (window, list) = (dialog.clone(), outcomes.clone());
    let outcome = dialog_run(&dialog, |answer| {
        answers.push(answer);
        when_mapped(&window.clone(), move || {
            if answers.len() < 3 {
                descend(&window, answers, act, &list);
            } else {
                act(&answers);
            }
        });
    });
    outcomes.borrow_mut().push(outcome);
}
