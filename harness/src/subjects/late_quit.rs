//! A planted fault: a nested loop that is told to end goes on for half a second.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use loopnest_core::loops::{
    BoxFuture, Callback, Canceller, Channel, Home, Job, Loops, Pipe, Refused,
};
use loopnest_core::program::{How, PRIORITY_DEFAULT, Reply};

/// Longer than anything that an event may be overtaken by.
const LATE: Duration = Duration::from_millis(500);

/// Other loops, in which every quit comes late.
pub(super) struct LateQuit(pub(super) Arc<dyn Loops>);

impl Loops for LateQuit {
    fn quit(&self, level: &str) {
        let (loops, level) = (self.0.clone(), level.to_owned());
        let quit = move || {
            loops.quit(&level);
            ControlFlow::Break(())
        };
        self.0.add_timeout(PRIORITY_DEFAULT, LATE, Box::new(quit));
    }

    fn now(&self) -> Duration {
        self.0.now()
    }

    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller {
        self.0.spawn(home, task)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture {
        self.0.sleep_until(deadline)
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.0.channel()
    }

    fn pipe(&self) -> io::Result<Arc<dyn Pipe>> {
        self.0.pipe()
    }

    fn call(&self, home: Home, after: Duration, reply: Reply) -> BoxFuture<Option<Reply>> {
        self.0.call(home, after, reply)
    }

    fn add_timeout(&self, priority: i32, interval: Duration, callback: Callback) {
        self.0.add_timeout(priority, interval, callback);
    }

    fn add_idle(&self, priority: i32, callback: Callback) {
        self.0.add_idle(priority, callback);
    }

    fn run_nested(&self, level: &str, how: How) -> Result<(), Refused> {
        self.0.run_nested(level, how)
    }

    fn block_on(&self, task: BoxFuture) -> Result<(), Refused> {
        self.0.block_on(task)
    }

    fn on_host(&self, home: Home, job: Job) -> BoxFuture<Result<(), Refused>> {
        self.0.on_host(home, job)
    }

    fn thread(&self, script: Vec<(Duration, Job)>) {
        self.0.thread(script);
    }

    fn compute(&self, time: Duration) {
        self.0.compute(time);
    }
}
