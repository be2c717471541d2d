use super::*;

fn here() -> String {
    text(&of_this_thread())
}

#[test]
fn a_thread_works_on_one_thing_and_then_on_what_it_was_at_before() {
    assert_eq!(here(), "");
    let outer = working_on("web");
    {
        let _inner = working_on("db");
        assert_eq!(here(), "db");
    }
    assert_eq!(here(), "web");
    drop(outer);
    assert_eq!(here(), "");
}

#[test]
fn a_panic_ends_the_work_too() {
    let _ = std::panic::catch_unwind(|| {
        let _working = working_on("web");
        panic!("as bugs do");
    });
    assert_eq!(here(), "");
}

#[tokio::test]
async fn a_task_is_worked_on_only_while_it_runs() {
    let work = on("web", async {
        assert_eq!(here(), "web");
        tokio::task::yield_now().await;
        assert_eq!(here(), "web");
    });
    tokio::join!(work, async { assert_eq!(here(), "") });
    assert_eq!(here(), "");
}

/// Each test is a process of its own: nobody else works here.
#[test]
fn who_does_not_come_back_is_found_and_who_goes_on_is_not() {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let hanging = std::thread::spawn(move || {
        let _working = working_on("web");
        ready.send(()).unwrap();
        let _ = is_done.recv();
    });
    is_ready.recv().unwrap();
    let _mine = working_on("busy");
    let glance = glance();
    drop(working_on("other"));
    assert_eq!(glance.still().as_deref(), Some("web"));
    drop(done);
    hanging.join().unwrap();
    assert_eq!(glance.still(), None);
}

/// Both workers may hang in two lanes of it.
#[test]
fn two_threads_that_hang_on_one_deployment_are_found_and_on_two_nobody_is() {
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let is_done = std::sync::Arc::new(std::sync::Mutex::new(is_done));
    let hang = |name: &'static str| {
        let ((ready, is_ready), is_done) = (std::sync::mpsc::channel(), is_done.clone());
        let thread = std::thread::spawn(move || {
            let _working = working_on(name);
            ready.send(()).unwrap();
            let _ = is_done.lock().unwrap().recv();
        });
        is_ready.recv().unwrap();
        thread
    };
    let mut threads = vec![hang("web"), hang("web")];
    assert_eq!(glance().still().as_deref(), Some("web"));
    threads.push(hang("db"));
    assert_eq!(glance().still(), None, "one of them may be innocent");
    drop(done);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_name_that_is_too_long_is_cut() {
    let _working = working_on(&"x".repeat(200));
    assert_eq!(here().len(), LONGEST - 1);
}
